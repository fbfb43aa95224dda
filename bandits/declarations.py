"""What is run: an experiment of agents on environments, or a neural one; what the two have in common.

Everything that handles runs goes through `Declaration`, and asks no further which kind it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .protocol import Job

if TYPE_CHECKING:
    import pyarrow as pa

    from .scheduler import Settings

__all__ = ["Cell", "CellJob", "Declaration", "read_declaration"]


class Cell(Protocol):
    """The unit of comparison, and of the log."""

    @property
    def key(self) -> str:
        """Hash of what it is."""

    @property
    def label(self) -> str:
        """What a person calls it."""

    @property
    def replications(self) -> int:
        """Number of replications asked for."""

    @property
    def names(self) -> dict[str, str]:
        """Labels of its parts, by what they are."""

    @property
    def replays(self) -> bool:
        """Whether `Job.replay` can check its log."""


class CellJob:
    """What every job takes from its cell: the rest of `bandits.protocol.Job` is its own.

    Attributes:
        cell: What to do.
    """

    cell: Cell

    @property
    def key(self) -> str:
        """Hash of what the cell is."""
        return self.cell.key

    @property
    def label(self) -> str:
        """What a person calls it."""
        return self.cell.label

    @property
    def replications(self) -> int:
        """Number of replications R."""
        return self.cell.replications


class Declaration(Protocol):
    """A declared experiment, frozen."""

    @property
    def name(self) -> str:
        """Names the run folder."""

    @property
    def replications(self) -> int:
        """Number of replications of each cell."""

    @property
    def horizon(self) -> int | None:
        """Number of rounds; None where there are none."""

    @property
    def stream_version(self) -> int:
        """Version of the random numbers."""

    def plan(self) -> tuple[Sequence[Cell], Sequence[Any]]:
        """The cells, checked, and the pairs left out, as dataclasses that say why."""

    def cell_table(self, cells: Sequence[Any]) -> pa.Table:
        """What cells.parquet says of them."""

    def stages(self, cells: Sequence[Any], settings: Settings, batch: int | None) -> list[list[Job]]:
        """A job for each cell; those of one stage need those of the stages before."""

    def as_json(self) -> dict[str, Any]:
        """Plain data that `read_declaration` reads back."""

    def replace(self, **changes: Any) -> Declaration:
        """A copy with some fields replaced."""


def read_declaration(data: Mapping[str, Any]) -> Any:
    """Read back what `Declaration.as_json` wrote: an `Experiment` or a `NeuralExperiment`."""
    if data.get("kind") == "neural":
        from .neural.trials import NeuralExperiment

        return NeuralExperiment.from_json(data)
    from .experiment import Experiment

    return Experiment.from_json(data)
