"""Logs to numbers: `load` opens a run, and a `Log` answers questions about it.

    log = bandits.load("results/quickstart-20260101T000000Z")
    log.summary()                 # mean regret with its 95 % interval, the bound, the ratio
    log.to_pandas(at=10_000)      # one row per replication
    log.allocation()              # mean plays of each arm, beside those that the bound asks for

Nothing is read that is not asked for; a run in progress shows what is finished.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .errors import BadParameter, NotLogged
from .protocol import Bound, FloatArray, IntArray
from .specs import written
from .store import RunFolder
from .streams import Streams

if TYPE_CHECKING:
    import pandas as pd

    from .experiment import Cell
    from .specs import Spec

__all__ = ["CellFacts", "Curve", "Log", "cell_table", "load", "mean_interval"]


@dataclass(frozen=True)
class CellFacts:
    """What is known of a cell without reading its log: one row of cells.parquet.

    Attributes:
        cell: Key.
        environment, agent: Labels.
        environment_name, agent_name: Registered names.
        horizon: Number of rounds T.
        checkpoints: Rounds recorded, (C,).
        replications: Number asked for.
        bound: Lower bound; None where none is known or each replication has its own instance.
        seconds: Core seconds per replication; NaN if unknown.
    """

    cell: str
    environment: str
    agent: str
    environment_name: str
    agent_name: str
    horizon: int
    checkpoints: IntArray
    replications: int
    bound: Bound | None
    seconds: float = float("nan")


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


def cell_table(cells: Sequence[Cell]) -> pa.Table:
    """Describe cells for cells.parquet; the bound is taken from a built environment."""
    environments = _labels([cell.environment for cell in cells])
    agents = _labels([cell.agent for cell in cells])
    rows = []
    for cell, environment, agent in zip(cells, environments, agents, strict=True):
        env = cell.build_environment(Streams(cell.seed, 2))
        bound = env.bound() if hasattr(env, "bound") else None
        if not isinstance(bound, Bound | None):
            raise BadParameter(f"environment {environment}: bound() must return a Bound or None, got {bound!r}")
        if bound and bound.allocation is not None and np.shape(bound.allocation) != (env.problem.n_arms,):
            raise BadParameter(
                f"environment {environment}: the bound's allocation has shape {np.shape(bound.allocation)}, "
                f"expected ({env.problem.n_arms},): plays per ln t of each arm"
            )
        if bound is not None and bound.constants.ndim > 1:
            bound = None  # every replication has an instance, and so a bound, of its own
        rows.append(
            {
                "cell": cell.key,
                "environment": environment,
                "agent": agent,
                "environment_name": cell.environment.name,
                "environment_parameters": json.dumps(written(cell.environment.parameters)),
                "agent_name": cell.agent.name,
                "agent_parameters": json.dumps(written(cell.agent.parameters)),
                "n_arms": env.problem.n_arms,
                "horizon": cell.horizon,
                "replications": cell.replications,
                "seed": str(cell.seed),
                "bound_name": bound.name if bound else None,
                "bound_constants": bound.constants.tolist() if bound else None,
                "bound_starts": list(bound.starts) if bound else None,
                "bound_allocation": None if bound is None or bound.allocation is None else list(bound.allocation),
                "checkpoints": list(cell.checkpoints),
            }
        )
    return pa.Table.from_pylist(rows, schema=_CELLS)


def _labels(specs: Sequence[Spec]) -> list[str]:
    """A label for each; where the short ones would not tell two apart, all of them in full."""
    distinct = {(spec.name, json.dumps(spec.parameters)): spec for spec in specs}
    short = len({spec.label for spec in distinct.values()}) == len(distinct)
    return [spec.label if short else spec.full_label for spec in specs]


_CELLS = pa.schema(
    [
        ("cell", pa.string()),
        ("environment", pa.string()),
        ("agent", pa.string()),
        ("environment_name", pa.string()),
        ("environment_parameters", pa.string()),
        ("agent_name", pa.string()),
        ("agent_parameters", pa.string()),
        ("n_arms", pa.int64()),
        ("horizon", pa.int64()),
        ("replications", pa.int64()),
        ("seed", pa.string()),
        ("bound_name", pa.string()),
        ("bound_constants", pa.list_(pa.float64())),
        ("bound_starts", pa.list_(pa.int64())),
        ("bound_allocation", pa.list_(pa.float64())),
        ("checkpoints", pa.list_(pa.int64())),
    ]
)


class Log:
    """The log of a run, or of `simulate`.

    Attributes:
        cells: What is known of each cell, in order of declaration.
        folder: Where the run lies; None for a log in memory.
    """

    def __init__(
        self,
        cells: Sequence[CellFacts],
        folder: RunFolder | None = None,
        tables: dict[str, pa.Table] | None = None,
    ) -> None:
        self.cells = list(cells)
        self.folder = folder
        self._tables = tables or {}

    @classmethod
    def in_memory(cls, cells: Sequence[Cell], tables: dict[str, pa.Table]) -> Log:
        """Wrap the rows that jobs returned."""
        return cls(_facts(cell_table(cells), {}), None, tables)

    def to_pandas(self, *, at: int | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Log rows with the labels of their cell.

        Args:
            at: Only this round; it must be a checkpoint.
            columns: Log columns to read, by default all.
        """
        frames = []
        for facts in self.cells:
            for table in self._read(
                facts, None if columns is None else list(dict.fromkeys(["replication", "t", *columns]))
            ):
                rows = table if at is None else table.filter(pc.equal(table["t"], _checkpoint(facts, at)))
                frame = rows.to_pandas()
                frame.insert(0, "agent", facts.agent)
                frame.insert(0, "environment", facts.environment)
                frame.insert(0, "cell", facts.cell)
                frames.append(frame)
        import pandas as pd

        if not frames:
            return pd.DataFrame(columns=["cell", "environment", "agent", "replication", "t", *(columns or ())])
        return pd.concat(frames, ignore_index=True)

    def curve(self, facts: CellFacts, column: str = "regret") -> Curve:
        """Mean of a cumulative column at every checkpoint, from one pass over the parts."""
        n = np.zeros(facts.checkpoints.size)
        mean, squares = np.zeros_like(n), np.zeros_like(n)
        for table in self._read(facts, ["t", column]):
            at = np.searchsorted(facts.checkpoints, table["t"].to_numpy())
            values = table[column].to_numpy()
            m = np.bincount(at, minlength=n.size)
            part_mean = np.bincount(at, values, minlength=n.size) / np.maximum(m, 1)
            part_squares = np.bincount(at, (values - part_mean[at]) ** 2, minlength=n.size)
            shift, total = (
                part_mean - mean,
                np.maximum(n + m, 1),
            )  # merge two samples (Chan, Golub and LeVeque 1983)
            squares += part_squares + shift**2 * n * m / total
            mean += shift * m / total
            n += m
        with np.errstate(invalid="ignore", divide="ignore"):
            sd = np.sqrt(squares / (n - 1))
            half_width = _half_width(sd, n)
        mean[n == 0] = np.nan
        return Curve(facts.checkpoints, mean, half_width, sd, int(n[-1]) if n.size else 0)

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
        import pandas as pd

        frames = []
        for facts in self.cells:
            t = facts.horizon if at is None else _checkpoint(facts, at)
            pulls = self.pulls(facts, t)
            if not len(pulls):
                continue
            plays, half = mean_interval(pulls)
            known = None if facts.bound is None else facts.bound.allocation
            frames.append(
                pd.DataFrame(
                    {
                        "cell": facts.cell,
                        "environment": facts.environment,
                        "agent": facts.agent,
                        "arm": np.arange(plays.size),
                        "t": t,
                        "replications": len(pulls),
                        "plays": plays,
                        "low": plays - half,
                        "high": plays + half,
                        "bound": np.nan if known is None else known * np.log(t),
                    }
                )
            )
        columns = ["cell", "environment", "agent", "arm", "t", "replications", "plays", "low", "high", "bound"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)

    def pulls(self, facts: CellFacts, at: int | None = None) -> IntArray:
        """How often each replication had played each arm, by default by the horizon: shape (R, K).

        Raises:
            NotLogged: The run did not record pulls.
        """
        t = facts.horizon if at is None else _checkpoint(facts, at)
        if not self._logs(facts, "pulls"):
            raise NotLogged(
                "the run did not record how often each arm was played: run it again with --pulls "
                "(in Python: extras=('pulls',))"
            )
        found = []
        for table in self._read(facts, ["t", "pulls"]):
            rows = table.filter(pc.equal(table["t"], t))["pulls"].combine_chunks()
            found.append(rows.flatten().to_numpy().reshape(len(rows), -1))
        return np.concatenate(found) if found else np.empty((0, 0), dtype=np.int64)

    def summary(self, at: int | None = None) -> pd.DataFrame:
        """One row per cell: mean regret with its 95 % interval, the bound, and their ratio.

        Args:
            at: Round to summarise; by default the horizon. It must be a checkpoint.

        Returns:
            Columns cell, environment, agent, t, replications, regret, low, high, sd, bound, bound_name, ratio and
            run_steps_per_s.
            ``bound`` is the asymptotic lower bound at t, NaN where none is known or instances differ by replication.
        """
        import pandas as pd

        rows = []
        for facts in self.cells:
            t = facts.horizon if at is None else _checkpoint(facts, at)
            curve = self.curve(facts)
            j = int(np.searchsorted(curve.t, t))
            bound = float("nan") if facts.bound is None else float(facts.bound.at(np.array([t]))[0])
            mean, half = float(curve.mean[j]), float(curve.half_width[j])
            rows.append(
                {
                    "cell": facts.cell,
                    "environment": facts.environment,
                    "agent": facts.agent,
                    "t": t,
                    "replications": curve.replications,
                    "regret": mean,
                    "low": mean - half,
                    "high": mean + half,
                    "sd": float(curve.sd[j]),
                    "bound": bound,
                    "bound_name": None if facts.bound is None else facts.bound.name,
                    "ratio": mean / bound if bound > 0 else float("nan"),
                    "run_steps_per_s": facts.horizon / facts.seconds,
                }
            )
        return pd.DataFrame(rows)

    def bound(self) -> pd.DataFrame:
        """Lower bounds at the checkpoints, where known: columns cell, environment, agent, t, bound."""
        import pandas as pd

        frames = [
            pd.DataFrame(
                {
                    "cell": facts.cell,
                    "environment": facts.environment,
                    "agent": facts.agent,
                    "t": facts.checkpoints,
                    "bound": facts.bound.at(facts.checkpoints),
                }
            )
            for facts in self.cells
            if facts.bound is not None
        ]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["cell", "t", "bound"])

    def _read(self, facts: CellFacts, columns: Sequence[str] | None) -> Iterator[pa.Table]:
        if self.folder is None:
            if facts.cell in self._tables:
                table = self._tables[facts.cell]
                yield table if columns is None else table.select(list(columns))
            return
        for part in self.folder.parts(facts.cell):
            yield self.folder.read_part(part, columns)

    def _logs(self, facts: CellFacts, column: str) -> bool:
        """Whether the log of a cell has a column; a cell without replications has all."""
        if self.folder is None:
            return facts.cell not in self._tables or column in self._tables[facts.cell].column_names
        parts = self.folder.parts(facts.cell)
        return not parts or column in self.folder.columns(parts[0])


def load(place: str | Path) -> Log:
    """Open the log of a run.

    Args:
        place: Run folder, path or URI.

    Raises:
        RunFolderError: There is no run, or this version cannot read it.
    """
    folder = RunFolder.open(place)
    return Log(_facts(folder.cells(), folder.facts().get("timing", {})), folder)


def _facts(table: pa.Table, timing: dict[str, Any]) -> list[CellFacts]:
    facts = []
    for row in table.to_pylist():
        bound = None
        if row["bound_constants"] is not None:
            allocation = row.get("bound_allocation")  # older runs have no such column
            bound = Bound(
                row["bound_name"],
                np.array(row["bound_constants"]),
                tuple(row["bound_starts"]),
                None if allocation is None else np.array(allocation),
            )
        spent = timing.get(row["cell"], {})
        rate = spent["seconds"] / spent["replications"] if spent.get("replications") else float("nan")
        facts.append(
            CellFacts(
                cell=row["cell"],
                environment=row["environment"],
                agent=row["agent"],
                environment_name=row["environment_name"],
                agent_name=row["agent_name"],
                horizon=row["horizon"],
                checkpoints=np.array(row["checkpoints"], dtype=np.int64),
                replications=row["replications"],
                bound=bound,
                seconds=rate,
            )
        )
    return facts


def _checkpoint(facts: CellFacts, t: int) -> int:
    if t not in facts.checkpoints:
        nearest = int(facts.checkpoints[np.argmin(np.abs(facts.checkpoints - t))])
        raise BadParameter(f"round {t} was not recorded; the nearest checkpoint is {nearest}")
    return t


def mean_interval(values: FloatArray | IntArray) -> tuple[FloatArray, FloatArray]:
    """Mean over replications and the half-width of its 95 % interval, each (K,), of values (R, K)."""
    n = len(values)
    sd = values.std(axis=0, ddof=1) if n > 1 else np.full(values.shape[1], np.nan)
    return values.mean(axis=0), _half_width(sd, np.array(n))


def _half_width(sd: FloatArray, n: FloatArray) -> FloatArray:
    """Half-width of the 95 % interval for the mean of n numbers with this standard deviation."""
    half_width: FloatArray = t_quantile(n - 1) * sd / np.sqrt(n)
    return half_width


def t_quantile(degrees: FloatArray) -> FloatArray:
    """97.5 % quantile of Student's t, for a two-sided 95 % interval; NaN below one degree of freedom."""
    from scipy.special import stdtrit

    quantile: FloatArray = stdtrit(np.where(degrees >= 1, degrees, np.nan), 0.975)
    return quantile
