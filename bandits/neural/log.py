"""Logs of neural runs to numbers: `bandits.load` of such a run returns a `NeuralLog`.

log = bandits.load("results/psld-20260101T000000Z")
log.summary()                         # mean of each metric at its last step, with its 95 % interval
log.compare("psnr")                   # arms on the same replications, items and networks
log.best("psnr", by=["method"])       # of each method, the arm of the best mean
log.to_pandas()                       # one row per (trial, replication, step, metric)
log.tensors("psld", "reconstruction") # {replication: array} that the run kept
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..comparison import Comparison
from ..errors import BadParameter, DamagedPart, NotLogged, did_you_mean
from ..protocol import FloatArray, IntArray
from ..specs import written
from ..statistics import Method
from ..store import RunFolder
from . import answers
from .arms import Arm, TrialFacts, Values, arms_of, inside
from .statements import LISTS, statements
from .trials import TrainingCell, TrialCell

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["NeuralLog", "TrialFacts", "cell_table", "open_log"]

_CELLS = pa.schema(
    [
        ("cell", pa.string()),
        ("kind", pa.string()),
        ("trial", pa.string()),
        ("trial_name", pa.string()),
        ("parameters", pa.string()),
        ("replications", pa.int64()),
        ("seed", pa.string()),
        ("larger_is_better", pa.list_(pa.string())),
        ("smaller_is_better", pa.list_(pa.string())),
        ("counts", pa.list_(pa.string())),
        ("pooled", pa.list_(pa.string())),
        ("task", pa.list_(pa.string())),
        ("items", pa.int64()),
        ("networks", pa.int64()),
        ("control", pa.bool_()),
        ("reference", pa.bool_()),
    ]
)


def cell_table(cells: Sequence[TrialCell | TrainingCell]) -> pa.Table:
    """Describe cells for cells.parquet."""
    return pa.Table.from_pylist([_row(cell) for cell in cells], schema=_CELLS)


def _row(cell: TrialCell | TrainingCell) -> dict[str, Any]:
    common = {"cell": cell.key, "trial": cell.label, "replications": cell.replications, "seed": str(cell.seed)}
    if isinstance(cell, TrialCell):
        said = statements(cell.trial) | {"reference": cell.reference}
        parameters = json.dumps(written(cell.trial.parameters))
        return common | {"kind": "trial", "trial_name": cell.trial.name, "parameters": parameters} | said
    training = cell.training
    parameters = json.dumps(training.parameters)
    own = {"kind": "training", "trial_name": training.recipe, "parameters": parameters}
    return common | own | {name: [] for name in LISTS} | {"control": False, "reference": False}


@dataclass
class NeuralLog:
    """The log of a neural run, or of several.

    Attributes:
        cells: What is known of each trial, in order of declaration, and of each training.
        folders: Where the runs lie.
        skip_damaged: Go on without damaged files.
        damaged: Damaged files that were skipped so far.
    """

    cells: list[TrialFacts]
    folders: list[RunFolder]
    skip_damaged: bool = False
    damaged: list[str] = field(default_factory=list)
    _read: dict[str, pa.Table] = field(default_factory=dict, repr=False)

    @property
    def folder(self) -> RunFolder | None:
        """Where the run lies; None for several runs."""
        return self.folders[0] if len(self.folders) == 1 else None

    @property
    def trials(self) -> list[TrialFacts]:
        """Cells that are trials."""
        return [facts for facts in self.cells if facts.kind == "trial"]

    def short_labels(self) -> tuple[dict[str, str], list[str]]:
        """By cell, what tells each trial from the others; and of each registered name, what its trials share.

        Titles stay; and so do all labels where there is one trial only, or short ones would not be unique.
        """
        named: dict[str, list[TrialFacts]] = {}
        for facts in self.trials:
            named.setdefault(facts.trial_name, []).append(facts)
        short, shared = {}, []
        for name, alike in named.items():
            first = alike[0].parameters
            same = {key for key in first if all(facts.parameters.get(key) == first[key] for facts in alike)}
            if len(alike) > 1 and (common := inside({key: first[key] for key in first if key in same})):
                shared.append(f"{name}: {common}")
            for facts in alike:
                own = inside({key: value for key, value in facts.parameters.items() if key not in same})
                titled = facts.trial.partition("(")[0] != name
                alone = own if own and len(named) == 1 else f"{name}({own})" if own else name
                short[facts.cell] = facts.trial if titled else alone
        if len(self.trials) < 2 or len(set(short.values())) < len(self.trials):
            return {facts.cell: facts.trial for facts in self.trials}, []
        return short, shared

    def rows(self, facts: TrialFacts) -> pa.Table:
        """Log rows of a cell: replication, step, metric, value."""
        if facts.cell not in self._read:
            self._read[facts.cell] = self._rows(facts)
        return self._read[facts.cell]

    def _rows(self, facts: TrialFacts) -> pa.Table:
        folder = next(folder for folder in self.folders if folder.place == facts.run)
        tables = []
        for part in folder.unopened_parts(facts.cell):
            try:
                tables.append(folder.read_part(part).replace_schema_metadata(None))
            except DamagedPart as error:
                if not self.skip_damaged:
                    raise
                self.damaged.append(f"{folder.place}/{error.path}")
        from .jobs import SCHEMA

        return pa.concat_tables(tables) if tables else SCHEMA.empty_table()

    def to_pandas(self, metric: str | None = None) -> pd.DataFrame:
        """Log rows of all trials, of one metric or of all: columns cell, trial, replication, step, metric, value."""
        import pandas as pd

        frames = []
        for facts in self.trials:
            rows = self.rows(facts)
            frame = (rows if metric is None else rows.filter(pc.equal(rows["metric"], metric))).to_pandas()
            frame.insert(0, "trial", facts.trial)
            frame.insert(0, "cell", facts.cell)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def metrics(self, facts: TrialFacts) -> list[str]:
        """Metrics that a trial logged, in alphabetical order."""
        return sorted(pc.unique(self.rows(facts)["metric"]).to_pylist())

    def values(self, facts: TrialFacts, metric: str, at: int | None = None) -> tuple[int, IntArray, FloatArray]:
        """A metric at a step, by default its last: the step, replications (R,) and values (R,).

        Raises:
            NotLogged: The trial has no such metric, or not at that step.
        """
        rows = self.rows(facts)
        mine = rows.filter(pc.equal(rows["metric"], metric))
        if not mine.num_rows:
            known = sorted(set(rows["metric"].to_pylist()))
            raise NotLogged(f"{facts.trial} has no metric '{metric}'.{did_you_mean(metric, known)} It has: {known}")
        step = pc.max(mine["step"]).as_py() if at is None else at
        mine = mine.filter(pc.equal(mine["step"], step))
        if not mine.num_rows:
            raise NotLogged(f"{facts.trial} did not log '{metric}' at step {step}")
        replications, values = mine["replication"].to_numpy().astype(np.int64), mine["value"].to_numpy()
        order = np.argsort(replications, kind="stable")
        return int(step), replications[order], values[order]

    def arms(self) -> list[Arm]:
        """Trials that differ only in the seed of their networks, put together; a plain trial is an arm by itself."""
        return arms_of(self.trials)

    def arm_values(self, arm: Arm, metric: str, at: int | None = None) -> Values:
        """A metric of an arm at a step, by default its last; trials of it that have not logged it are left out.

        Raises:
            NotLogged: No trial of the arm has the metric, or not at that step.
        """
        having = [facts for facts in arm.trials if metric in self.metrics(facts)] or [arm.first]
        read = [(facts, *self.values(facts, metric, at)) for facts in having]
        step = max(one[1] for one in read)
        read = [one for one in read if one[1] == step]
        replications = np.concatenate([one[2] for one in read])
        values = np.concatenate([one[3] for one in read])
        if not arm.first.crossed:
            return Values(step, replications, values)
        items = replications % arm.first.items if arm.first.items else replications
        if not (arm.first.pooled or arm.first.networks):
            return Values(step, replications, values, items)
        known = sorted({facts.network for facts in self.trials})
        networks = np.concatenate([np.full(len(one[2]), known.index(one[0].network)) for one in read])
        if arm.first.networks:
            networks = networks * arm.first.networks + replications % arm.first.networks
        return Values(step, replications, values, items, networks)

    def summary(self, at: int | None = None, level: float = 0.95, method: Method = "t") -> pd.DataFrame:
        """One row per arm and metric: its mean at a step, with an interval.

        Trials that differ only in the seed of their networks are one arm. Its interval is for the mean over items and
        networks: see `bandits.crossed`.

        Args:
            at: Step to summarise; by default each metric's last. Metrics that were not logged then are left out.
            level: Confidence level of the interval for the mean.
            method: Of plain trials: "t", "normal" or "bootstrap"; see `bandits.statistics.mean_interval`.

        Returns:
            Columns cell (of an arm, its first), trial, task, metric, step, replications, items, networks, mean, low,
            high, sd, median, shared (whether replications share items or networks, and the interval is that of
            `bandits.crossed`), count (whether the metric counts work) and seconds (of a worker, per replication).
        """
        return answers.summary(self, at, level, method)

    def compare(
        self,
        metric: str | None = None,
        at: int | None = None,
        *,
        against: str | None = None,
        alpha: float = 0.05,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Compare arms of one task with the arm that the experiment names, or every pair: one row each.

        Plain trials of one seed are compared by the paired t test, on the replications that both have finished; arms
        whose replications share items and networks are paired by these, too: see `bandits.crossed`. p-values are
        corrected by Holm over the comparisons of one metric and task. Which way is better is what the trials say in
        ``larger_is_better`` and ``smaller_is_better``; of other metrics the lower arm comes first, and none is called
        better. Counts are not compared.

        Args:
            metric: The metric, by default every one that two arms logged.
            at: Step; by default each metric's last.
            against: Label of an arm, or a part of it, that the others are compared with; "all" for every pair. By
                default what the experiment declares.
            alpha: Largest probability of separating any equal pair of a metric and task.
            level: Confidence level of each pair's interval.

        Returns:
            The fields of `bandits.comparison.Comparison`; arms are ``agent`` and ``other``, metric and task stand as
            ``environment``, and ``line`` is the comparison in plain words.

        Raises:
            NotLogged: No two arms of a task have logged the metric.
            BadParameter: There is no such arm, or the metric is a count.
        """
        import pandas as pd

        found = self.comparisons(metric, at, against=against, alpha=alpha, level=level)
        return pd.DataFrame([one.as_row() for one in found])

    def comparisons(
        self,
        metric: str | None = None,
        at: int | None = None,
        *,
        against: str | None = None,
        alpha: float = 0.05,
        level: float = 0.95,
    ) -> list[Comparison]:
        """What `compare` returns, as objects."""
        return answers.comparisons(self, metric, at, against, alpha, level)

    def best(self, metric: str, by: Sequence[str] = (), at: int | None = None) -> pd.DataFrame:
        """Of the arms of a task that agree in some parameters, the one with the best mean: how weights are chosen.

        The best of many means is too good: judge it on other data than it was chosen by.

        Args:
            metric: What to choose by; the trials say which way is better.
            by: Parameters in which arms must agree, such as ["method", "steps"].
            at: Step; by default the last.

        Returns:
            Rows of `summary`, with ``candidates``, how many there were.

        Raises:
            NotLogged: No trial has the metric.
            BadParameter: No trial has such a parameter, or nobody says which way is better.
        """
        return answers.best(self, metric, by, at)

    def select(self, trials: Sequence[str] | None = None) -> NeuralLog:
        """Only some trials, by label or name.

        Raises:
            BadParameter: There is none of that name.
        """
        if trials is None:
            return self
        known = {name for facts in self.trials for name in (facts.trial, facts.trial_name)}
        for name in trials:
            if name not in known:
                raise BadParameter(f"no trial of this run is called '{name}'.{did_you_mean(name, known)}")
        kept = [f for f in self.cells if f.kind != "trial" or {f.trial, f.trial_name} & set(trials)]
        return NeuralLog(kept, self.folders, self.skip_damaged, self.damaged)

    def tensors(self, trial: str, name: str) -> dict[int, NDArray[np.float64]]:
        """A tensor that the run kept, by replication.

        Args:
            trial: Label of the trial, its name, or its key.
            name: What the trial called it.

        Raises:
            BadParameter: There is no such trial, or several.
            NotLogged: It kept no such tensor.
        """
        facts = self._called(trial)
        kept = self.kept(facts)
        if name not in kept:
            raise NotLogged(f"{facts.trial} kept no '{name}'.{did_you_mean(name, kept)} It kept: {sorted(kept)}")
        return kept[name]

    def kept(self, facts: TrialFacts) -> dict[str, dict[int, NDArray[np.float64]]]:
        """All tensors that a trial kept: by name, then by replication."""
        folder = next(folder for folder in self.folders if folder.place == facts.run)
        found: dict[str, dict[int, NDArray[np.float64]]] = {}
        for table in folder.tensors(facts.cell):
            for row in table.to_pylist():
                tensor = np.array(row["values"], dtype=np.float64).reshape(row["shape"])
                found.setdefault(row["name"], {})[row["replication"]] = tensor
        return found

    def _called(self, trial: str) -> TrialFacts:
        found = [facts for facts in self.trials if trial in (facts.trial, facts.cell)]
        found = found or [facts for facts in self.trials if trial == facts.trial_name]
        if len(found) != 1:
            known = [facts.trial for facts in self.trials]
            raise BadParameter(
                f"{len(found)} trials are called '{trial}'.{did_you_mean(trial, known)} There are: {known}"
            )
        return found[0]

    def verdicts(self) -> None:
        """Nothing: a neural run has a fixed size."""

    def why_empty(self) -> str:
        """One line that says why there is nothing to look at."""
        from ..analysis import why_empty

        return why_empty(self.folders)


def open_log(folders: Sequence[RunFolder], skip_damaged: bool = False) -> NeuralLog:
    """Open neural runs as one log."""
    cells = []
    for folder in folders:
        timing = folder.facts()["timing"]
        for row in folder.cells().to_pylist():
            spent = timing.get(row["cell"], {})
            seconds = spent["seconds"] / spent["replications"] if spent.get("replications") else float("nan")
            row["parameters"] = json.loads(row["parameters"])
            row.update({name: tuple(row.get(name) or ()) for name in LISTS})
            row.update({name: bool(row.get(name)) for name in ("control", "reference")})
            cells.append(TrialFacts(**row, seconds=seconds, run=folder.place))
    return NeuralLog(cells, list(folders), skip_damaged)
