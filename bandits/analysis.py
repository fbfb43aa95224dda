"""Logs to numbers: `load` opens runs, and a `Log` answers questions about them.

    log = bandits.load("results/quickstart-20260101T000000Z")
    log.summary()                 # mean regret with its 95 % interval, the bound, the ratio
    log.compare()                 # every pair of agents: how much better, how sure, in words
    log.slope()                   # growth against ln t over the last decade, beside the bound's constant
    log.to_pandas(at=10_000)      # one row per replication
    log.allocation()              # mean plays of each arm, beside those that the bound asks for

Nothing is read that is not asked for; a run in progress shows what is finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .cells import CellFacts, cell_table, choose, read_facts, told_apart, varied
from .comparison import Comparison
from .errors import NotLogged, RunFolderError, in_one_line
from .protocol import FloatArray, IntArray
from .reading import Reader
from .statistics import Method, check_level, half_width, mean_interval, quantile_interval, quantiles
from .store import RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from .experiment import Cell

__all__ = ["Band", "Curve", "Log", "band_of", "load", "load_regret", "why_empty"]


@dataclass(frozen=True)
class Curve:
    """Mean regret of a cell at its checkpoints, with a pointwise 95 % confidence interval for the mean.

    Attributes:
        t: Rounds, (C,).
        mean, half_width, sd: Mean over replications, half-width of the interval, standard deviation, each (C,).
        replications: Number of replications.
    """

    t: IntArray
    mean: FloatArray
    half_width: FloatArray
    sd: FloatArray
    replications: int


BandKind = Literal["t", "normal", "bootstrap", "median", "quantiles"]


@dataclass(frozen=True)
class Band:
    """A line with a band around it.

    Attributes:
        t: Rounds, (C,).
        middle, low, high: The line and the ends of the band, each (C,).
        kind: "t", "normal" or "bootstrap" (mean, confidence interval for it), "median" (with its confidence
            interval), or "quantiles" (median, and the middle ``level`` of single replications).
        level: Pointwise level.
        replications: Number of replications.
    """

    t: IntArray
    middle: FloatArray
    low: FloatArray
    high: FloatArray
    kind: BandKind
    level: float
    replications: int


class Log:
    """The log of a run, of several, or of `simulate`.

    Attributes:
        cells: What is known of each cell, in order of declaration.
        folders: Where the runs lie; none for a log in memory.
    """

    def __init__(self, cells: Sequence[CellFacts], reader: Reader) -> None:
        self.cells = list(cells)
        self._reader = reader

    @classmethod
    def in_memory(cls, cells: Sequence[Cell], tables: dict[str, pa.Table]) -> Log:
        """Wrap the rows that jobs returned."""
        return cls(read_facts(cell_table(cells), {}), Reader(tables=tables))

    @property
    def folders(self) -> list[RunFolder]:
        """Where the runs lie; none for a log in memory."""
        return self._reader.folders

    @property
    def folder(self) -> RunFolder | None:
        """Where the run lies; None for a log in memory or of several runs."""
        return self.folders[0] if len(self.folders) == 1 else None

    @property
    def damaged(self) -> list[str]:
        """Damaged files that were skipped so far, as ``load(..., skip_damaged=True)`` allows."""
        return list(self._reader.damaged)

    def select(self, agents: Sequence[str] | None = None, environments: Sequence[str] | None = None) -> Log:
        """Only some agents or environments, by label or name.

        Raises:
            BadParameter: There is none of that name.
        """
        return Log(choose(self.cells, agents, environments), self._reader)

    def parameters(self) -> pd.DataFrame:
        """One row per cell: cell, environment, agent, and every parameter that differs between cells.

        Columns are called ``environment.gap`` or ``agent.c``: what ``Experiment.sweep`` varied is found there.
        """
        import pandas as pd

        labels = {name: [getattr(facts, name) for facts in self.cells] for name in ("cell", "environment", "agent")}
        return pd.DataFrame({**labels, **{n: pd.Series(v, dtype=object) for n, v in varied(self.cells).items()}})

    def to_pandas(self, *, at: int | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Log rows with the labels of their cell.

        Args:
            at: Only this round; it must be a checkpoint.
            columns: Log columns to read, by default all.
        """
        import pandas as pd

        wanted = None if columns is None else list(dict.fromkeys(["replication", "t", *columns]))
        frames = []
        for facts in self.cells:
            for _, table in self._reader.tables(facts.cell, wanted):
                rows = table if at is None else table.filter(pc.equal(table["t"], facts.checkpoint(at)))
                frame = rows.to_pandas()
                frame.insert(0, "agent", facts.agent)
                frame.insert(0, "environment", facts.environment)
                frame.insert(0, "cell", facts.cell)
                frames.append(frame)
        if not frames:
            return pd.DataFrame(columns=["cell", "environment", "agent", "replication", "t", *(columns or ())])
        return pd.concat(frames, ignore_index=True)

    def dataset(self) -> Any:
        """The log files as a `pyarrow.dataset.Dataset`, with the column ``cell``, for queries of your own.

        It holds what is finished now. Two runs that share replications contribute both.

        Raises:
            RunFolderError: The log is in memory, or nothing is finished.
        """
        from pyarrow import dataset

        wanted = {facts.cell for facts in self.cells}
        found = [folder.dataset(wanted) for folder in self.folders]
        if not (some := [one for one in found if one is not None]):
            raise RunFolderError(self.why_empty())
        return some[0] if len(some) == 1 else dataset.dataset(some)

    def logs(self, facts: CellFacts, column: str) -> bool:
        """Whether the log of a cell has a column; a cell without replications has all."""
        return self._reader.has(facts.cell, column)

    def values(self, facts: CellFacts, column: str = "regret", at: int | None = None) -> tuple[IntArray, FloatArray]:
        """Numbers of the finished replications, (R,), and a column's values, (R, C) or, at one round, (R,)."""
        return self._reader.values(facts, column, at)

    def curve(self, facts: CellFacts, column: str = "regret") -> Curve:
        """Mean of a cumulative column at every checkpoint, from one pass over the parts."""
        n, mean, squares = 0, np.zeros(facts.checkpoints.size), np.zeros(facts.checkpoints.size)
        for _, values in self._reader.blocks(facts, column):
            m, part_mean = len(values), values.mean(axis=0)
            shift = part_mean - mean  # merge two samples (Chan, Golub and LeVeque 1983)
            squares += ((values - part_mean) ** 2).sum(axis=0) + shift**2 * (n * m / (n + m))
            mean += shift * (m / (n + m))
            n += m
        if n == 0:
            mean[:] = np.nan
        sd = np.sqrt(squares / (n - 1)) if n > 1 else np.full_like(mean, np.nan)
        return Curve(facts.checkpoints, mean, half_width(sd, n), sd, n)

    def band(self, facts: CellFacts, kind: BandKind = "t", column: str = "regret", level: float = 0.95) -> Band:
        """A column over time: its mean or median with a band; see `Band` for the kinds."""
        return band_of(facts.checkpoints, self.values(facts, column)[1], kind, level)

    def ratio(self, facts: CellFacts) -> Curve | None:
        """Mean regret over the lower bound, from round 10 on; None where the bound is unknown or 0.

        Earlier, ln t is so small that the ratio says nothing. The interval is that of the regret, in the same unit.
        """
        curve = self.curve(facts)
        late = curve.t >= min(10, facts.horizon)
        t = curve.t[late]
        bound = np.zeros(1) if facts.bound is None else facts.bound.at(t)
        if not (bound > 0).all():
            return None
        scaled = (curve.mean[late] / bound, curve.half_width[late] / bound, curve.sd[late] / bound)
        return Curve(t, *scaled, curve.replications)

    def summary(self, at: int | None = None, level: float = 0.95, method: Method = "t") -> pd.DataFrame:
        """One row per cell: mean regret with its interval, median, the bound, and the ratio of mean and bound.

        Args:
            at: Round to summarise; by default the horizon. It must be a checkpoint.
            level: Confidence level of the interval for the mean.
            method: "t", "normal" or "bootstrap"; see `bandits.statistics.mean_interval`.

        Returns:
            Columns cell, environment, agent, t, replications, regret, low, high, sd, median, bound, bound_name, ratio,
            ratio_low, ratio_high and run_steps_per_s. ``bound`` is the asymptotic lower bound at t, NaN where none is
            known or instances differ by replication; the ratio's interval is that of the regret, in its unit.
        """
        from . import answers

        return answers.summary(self, at, level, method)

    def bound(self) -> pd.DataFrame:
        """Lower bounds at the checkpoints, where known: columns cell, environment, agent, t, bound."""
        from . import answers

        return answers.bound(self)

    def allocation(self, at: int | None = None) -> pd.DataFrame:
        """One row per cell and arm: mean plays with their 95 % interval, and the plays that the bound asks for.

        Args:
            at: Round to count up to; by default the horizon. It must be a checkpoint.

        Returns:
            Columns cell, environment, agent, arm, t, replications, plays, low, high and bound, which is the bound's
            ``c log(t)``: NaN for optimal arms, whose plays are free, and where no allocation is known.

        Raises:
            NotLogged: The run did not record pulls.
        """
        from . import answers

        return answers.allocation(self, at)

    def pulls(self, facts: CellFacts, at: int | None = None) -> IntArray:
        """How often each replication had played each arm, by default by the horizon: shape (R, K).

        Raises:
            NotLogged: The run did not record pulls.
        """
        j = int(np.searchsorted(facts.checkpoints, facts.checkpoint(at)))
        try:
            found = [values[:, j] for _, values in self._reader.blocks(facts, "pulls")]
        except NotLogged:
            raise NotLogged(
                "the run did not record how often each arm was played: run it again with --pulls "
                "(in Python: extras=('pulls',))"
            ) from None
        return np.concatenate(found) if found else np.empty((0, 0), dtype=np.int64)

    def compare(
        self, at: int | None = None, *, column: str = "regret", alpha: float = 0.05, level: float = 0.95
    ) -> pd.DataFrame:
        """Compare every pair of agents on each environment: one row per pair, the better agent first.

        Agents of one seed share the noise of a replication and are compared by the paired t test, on the replications
        that both have finished; others by Welch's. p-values are corrected by Holm over the pairs of one environment
        (of the agents `select` leaves), so on each environment the chance of separating any equal pair is at most
        alpha.

        Args:
            at: Round to compare at; by default the horizon. It must be a checkpoint.
            column: Log column to compare; of "reward" more is better, of any other less.
            alpha: Largest probability of separating any equal pair of an environment.
            level: Confidence level of each pair's interval.

        Returns:
            The fields of `bandits.comparison.Comparison`, and ``line``, the comparison in plain words.

        Raises:
            NotLogged: No two agents have finished replications, or the column was not logged.
        """
        import pandas as pd

        return pd.DataFrame([found.as_row() for found in self.comparisons(at, column=column, alpha=alpha, level=level)])

    def comparisons(
        self, at: int | None = None, *, column: str = "regret", alpha: float = 0.05, level: float = 0.95
    ) -> list[Comparison]:
        """What `compare` returns, as objects."""
        from . import answers

        return answers.comparisons(self, at, column, alpha, level)

    def best(self, at: int | None = None, column: str = "regret") -> pd.DataFrame:
        """How probable it is that each agent is the best on its environment; see the two columns for what "best" means.

        Returns:
            Columns environment, agent, t, replications (finished by all agents), mean, share_best (share of
            replications in which the agent was best, ties shared out) and chance_best_mean (bootstrap probability
            that its mean is the best).
        """
        from . import answers

        return answers.best(self, at, column)

    def slope(self, decades: float = 1.0, level: float = 0.95) -> pd.DataFrame:
        """Growth of regret per unit of ln t over the last decade of rounds, beside that of the lower bound.

        Regret over bound approaches its limit as slowly as 1 / ln T; the slope is free of what was lost early. It is
        fitted to each replication, so its interval holds although the points of a curve depend on each other.

        Args:
            decades: Powers of ten of t to look back.
            level: Confidence level.

        Returns:
            Columns cell, environment, agent, first_t, last_t, checkpoints, replications, slope, low, high,
            bound_slope (the bound's constant, fitted to the same rounds), ratio, ratio_low and ratio_high.
        """
        from . import answers

        return answers.slope(self, decades, level)

    def pareto(
        self, x: str = "messages", y: str = "regret", at: int | None = None, level: float = 0.95
    ) -> pd.DataFrame:
        """Two costs of each cell, and which cells are efficient: no other agent is as good in both and better in one.

        Args:
            x: A log column, or "seconds" (of one core, per replication). Of "reward" more is better.
            y: The same.
            at: Round; by default the horizon. It must be a checkpoint. Seconds are those of the whole run.
            level: Confidence level of the intervals.

        Returns:
            Columns cell, environment, agent, t, replications, and of each cost its mean, ``<cost>_low`` and
            ``<cost>_high``; efficient is judged by the means, within each environment. An agent that shares outside
            the network has no count of messages: NaN, and so it is neither efficient in them nor beats another.
        """
        from . import answers

        return answers.pareto(self, x, y, at, level)

    def verdicts(self) -> pd.DataFrame | None:
        """What the sequential test of ``--until-separated`` says of each pair; None for a run of fixed size.

        Returns:
            Columns environment, agent, other, state, look, replications, gain, low, high, p, threshold, alpha and
            line: see `bandits.sequential.Verdict`.
        """
        from . import answers

        return answers.verdicts(self)

    def why_empty(self) -> str:
        """One line that says why there is nothing to look at."""
        return why_empty(self.folders)


def band_of(t: IntArray, values: FloatArray, kind: BandKind = "t", level: float = 0.95) -> Band:
    """Values of replications at rounds t, (R, C): their mean or median with a band; see `Band` for the kinds."""
    check_level(level)
    if kind == "quantiles":
        low, middle, high = quantiles(values, ((1 - level) / 2, 0.5, (1 + level) / 2))
    elif kind == "median":
        (middle,), (low, high) = quantiles(values, (0.5,)), quantile_interval(values, 0.5, level)
    else:
        found = mean_interval(values, level, kind)
        middle, low, high = found.mean, found.low, found.high
    return Band(t, middle, low, high, kind, level, len(values))


def why_empty(folders: Sequence[RunFolder]) -> str:
    """One line that says why there is nothing to look at in runs."""
    places = ", ".join(folder.place for folder in folders) or "the log"
    failures = [failure for folder in folders for failure in folder.facts()["failures"]]
    if not failures:
        return f"{places}: no replication is finished yet; 'bandits resume' plays what is missing"
    first = failures[0]
    return (
        f"{places}: no replication is finished, {len(failures)} task(s) failed, first {first.get('label')} in "
        f"{first.get('cause')}; mend the cause, then 'bandits resume'"
    )


def load(place: str | Path | Sequence[str | Path], *, skip_damaged: bool = False) -> Any:
    """Open the log of a run, or of several as one: a `Log`, or of neural runs a `bandits.neural.log.NeuralLog`.

    Cells of several runs are put side by side; a cell that several runs hold is one, with all their replications. Runs
    that differ in agents, environments, horizon or seed may be opened together: labels say what would be confused.

    Args:
        place: Run folder, its path or URI; a list of them; or a pattern such as ``results/quickstart-*``.
        skip_damaged: Go on without damaged log files; `Log.damaged` lists them. By default they are an error.

    Raises:
        RunFolderError: There is no run, this version cannot read it, or a file is damaged.
    """
    places = _places(place)
    folders, cells = [RunFolder.open(one) for one in places], []
    neural = [folder.facts()["experiment"].get("kind") == "neural" for folder in folders]
    if all(neural):
        from .neural.log import open_log

        return open_log(folders, skip_damaged)
    if any(neural):
        raise RunFolderError("some of these runs are neural, and some are of agents on environments: open them apart")
    for folder in folders:
        facts = folder.facts()
        try:
            cells += read_facts(folder.cells(), facts["timing"], folder.place, facts["streams"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunFolderError(f"cannot read {folder.place}/cells.parquet: {in_one_line(error)}") from error
    return Log(told_apart(cells) if len(folders) > 1 else cells, Reader(folders, skip_damaged=skip_damaged))


def load_regret(place: str | Path | Sequence[str | Path], *, skip_damaged: bool = False) -> Log:
    """Like `load`, for what asks for regret.

    Raises:
        NotLogged: The run is neural, and logged metrics.
    """
    opened = load(place, skip_damaged=skip_damaged)
    if not isinstance(opened, Log):
        raise NotLogged(
            f"{opened.folders[0].place} is a neural run, which logs metrics and no regret: 'bandits show', 'compare', "
            "'export' and 'report' know it"
        )
    return opened


def _places(place: str | Path | Sequence[str | Path]) -> list[str]:
    """Every place once: a list as it is, a pattern as the run folders that match it."""
    if not isinstance(place, str | Path):
        found = list(dict.fromkeys(str(one) for given in place for one in _places(given)))
        if not found:
            raise RunFolderError("no run to open: the list is empty")
        return found
    text = str(place)
    if "://" in text or not any(c in text for c in "*?[") or Path(text).exists():
        return [text]
    below = Path(Path(text).anchor)
    runs = sorted(str(found) for found in below.glob(text[len(below.anchor) :]) if (found / "run.json").is_file())
    if not runs:
        raise RunFolderError(f"no run folder matches {text}")
    return runs
