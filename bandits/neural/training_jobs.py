"""The training of a model as a job: its log is the loss, and what the trained model was measured to be."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ..declarations import CellJob
from ..errors import BanditsError, PlayError
from ..protocol import Estimate, Output, Resources
from ..replay import Replayed
from .devices import describe, torch_device
from .jobs import SCHEMA
from .recipe_settings import changed, settings_of
from .trials import TrainingCell
from .weights import cache_folder

__all__ = ["TrainingJob"]

_STEP_S = 0.01  # a guess, of the small models here


@dataclass(frozen=True)
class TrainingJob(CellJob):
    """Trains one model, or finds it in the cache.

    Attributes:
        cell: What to train.
        device: "cuda" or "cpu".
        gpus: Share of a GPU that it takes.
    """

    cell: TrainingCell
    device: str = "cpu"
    gpus: float = 0.0

    @property
    def resources(self) -> Resources:
        """One core, and the share of a GPU."""
        return Resources(gpus=self.gpus)

    def prepare(self) -> None:
        """Nothing: a model is trained once."""

    def estimate(self) -> Estimate:
        """A guess from the number of steps; nothing where the model is in the cache."""
        training = self.cell.training
        steps = changed(training.recipe, settings_of(training.recipe), training.settings)["steps"]
        return Estimate(seconds=1e-3 if self._cached() else _STEP_S * steps, rows=60)

    def _cached(self) -> bool:
        from .recipes import is_trained

        training = self.cell.training
        return is_trained(training.recipe, training.seed, **training.settings)

    def run(self, first: int, count: int) -> Output:
        """Train the model unless it is in the cache, and return its curve."""
        from .recipes import trained

        device, training = torch_device(self.device), self.cell.training
        here = self._cached()
        try:
            found = trained(training.recipe, training.seed, device, self._tell, **training.settings)
        except BanditsError as error:
            raise PlayError(f"replication 0: {error}") from error
        finally:
            with suppress(OSError):
                self._news_file.unlink(missing_ok=True)
        facts = found.facts
        rows = [(int(step), "loss", float(loss)) for step, loss in facts["curve"]]
        last = rows[-1][0]
        rows += [(last, name, float(value)) for name, (value, _) in sorted(facts["gates"].items())]
        rows.sort()
        columns = {"replication": [0] * len(rows)} | {
            name: [row[i] for row in rows] for i, name in enumerate(("step", "metric", "value"))
        }
        source = f"{facts['device']}, torch {facts['torch']}"
        notes = [f"{self.label}: from the cache of weights, trained on {source}"] if here else []
        said = {
            "device": describe(device),
            "torch": facts["torch"],
            "weights": [f"{training.recipe}-{found.key}: {facts['digest']}"],
            "gates": facts["gates"],
            "notes": notes,
        }
        return Output(pa.table(columns, schema=SCHEMA), None, said)

    @property
    def _news_file(self) -> Path:
        return cache_folder() / "weights" / f"{self.key}.news"

    def _tell(self, line: str) -> None:
        with suppress(OSError):  # a disk that is full
            self._news_file.write_text(line, encoding="utf-8")

    def news(self, since: float) -> str | None:
        """How far the training is, if a process on this machine runs it."""
        try:
            fresh = self._news_file.stat().st_mtime >= since
            return self._news_file.read_text(encoding="utf-8") if fresh else None
        except OSError:
            return None

    def replay(self, logged: pa.Table, replication: int) -> Replayed:
        """A training is not run twice.

        Raises:
            PlayError: Always.
        """
        raise PlayError(f"{self.label} is not replayed: trials name the weights that they used")
