"""Logs of neural runs to numbers: `bandits.load` of such a run returns a `NeuralLog`.

log = bandits.load("results/psld-20260101T000000Z")
log.summary()                         # mean of each metric at its last step, with its 95 % interval
log.compare("psnr")                   # every pair of trials on the same replications
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

from ..errors import BadParameter, DamagedPart, NotLogged, did_you_mean
from ..protocol import FloatArray, IntArray
from ..specs import written
from ..statistics import Method, mean_interval
from ..store import RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from .trials import TrialCell

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
    ]
)


def cell_table(cells: Sequence[TrialCell]) -> pa.Table:
    """Describe cells for cells.parquet."""
    rows = [
        {
            "cell": cell.key,
            "kind": "trial",
            "trial": cell.label,
            "trial_name": cell.trial.name,
            "parameters": json.dumps(written(cell.trial.parameters)),
            "replications": cell.replications,
            "seed": str(cell.seed),
        }
        for cell in cells
    ]
    return pa.Table.from_pylist(rows, schema=_CELLS)


@dataclass(frozen=True)
class TrialFacts:
    """What is known of a cell without reading its log: one row of cells.parquet.

    Attributes:
        cell: Key.
        kind: "trial", or "training" of a model that trials use.
        trial: Label.
        trial_name: Registered name.
        parameters: Every parameter, as plain data.
        replications: Number asked for.
        seed: Seed of all randomness, as text (it has 64 bits).
        seconds: Worker seconds per replication; NaN if unknown.
        run: Run folder.
    """

    cell: str
    kind: str
    trial: str
    trial_name: str
    parameters: dict[str, Any]
    replications: int
    seed: str
    seconds: float
    run: str


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

    @property
    def folder(self) -> RunFolder | None:
        """Where the run lies; None for several runs."""
        return self.folders[0] if len(self.folders) == 1 else None

    @property
    def trials(self) -> list[TrialFacts]:
        """Cells that are trials."""
        return [facts for facts in self.cells if facts.kind == "trial"]

    def rows(self, facts: TrialFacts) -> pa.Table:
        """Log rows of a cell: replication, step, metric, value."""
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

    def summary(self, at: int | None = None, level: float = 0.95, method: Method = "t") -> pd.DataFrame:
        """One row per trial and metric: its mean over replications at a step, with an interval.

        Args:
            at: Step to summarise; by default each metric's last. Metrics that were not logged then are left out.
            level: Confidence level of the interval for the mean.
            method: "t", "normal" or "bootstrap"; see `bandits.statistics.mean_interval`.

        Returns:
            Columns cell, trial, metric, step, replications, mean, low, high, sd, median and seconds (of a worker, per
            replication).
        """
        import pandas as pd

        found = []
        for facts in self.trials:
            for metric in self.metrics(facts):
                try:
                    step, _, values = self.values(facts, metric, at)
                except NotLogged:
                    continue
                interval = mean_interval(values, level, method)
                found.append(
                    {
                        "cell": facts.cell,
                        "trial": facts.trial,
                        "metric": metric,
                        "step": step,
                        "replications": len(values),
                        "mean": float(interval.mean),
                        "low": float(interval.low),
                        "high": float(interval.high),
                        "sd": float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
                        "median": float(np.median(values)),
                        "seconds": facts.seconds,
                    }
                )
        columns = ["cell", "trial", "metric", "step", "replications", "mean", "low", "high", "sd", "median", "seconds"]
        return pd.DataFrame(found, columns=columns)

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
            cells.append(TrialFacts(**row, seconds=seconds, run=folder.place))
    return NeuralLog(cells, list(folders), skip_damaged)
