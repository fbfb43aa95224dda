"""Reading logs: rows of cells from one run folder, several, or memory; nothing that is not asked for.

Log rows are sorted by (replication, t), so the value at a round is found by counting: no other column is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from .cells import CellFacts
from .errors import DamagedPart, NotLogged
from .protocol import FloatArray, IntArray
from .store import Part, RunFolder

__all__ = ["Reader"]


class Reader:
    """Rows of the finished replications of cells.

    Args:
        folders: Run folders. A replication that several hold is read from the first: its bits are the same in all.
        tables: Rows in memory, by cell key.
        skip_damaged: Go on without damaged files; they are listed in ``damaged``.

    Attributes:
        damaged: Damaged files met so far, when they are skipped.
    """

    def __init__(
        self,
        folders: Sequence[RunFolder] = (),
        tables: Mapping[str, pa.Table] | None = None,
        skip_damaged: bool = False,
    ) -> None:
        self.folders = list(folders)
        self.skip_damaged = skip_damaged
        self.damaged: list[str] = []
        self._tables = tables or {}

    def tables(self, cell: str, columns: Sequence[str] | None = None) -> Iterator[tuple[IntArray, pa.Table]]:
        """Pieces of a cell's log: the replications, increasing, (r,), and their rows.

        Raises:
            DamagedPart: A file is damaged, and damaged files are not skipped.
            NotLogged: There is no such column.
        """
        if (table := self._tables.get(cell)) is not None:
            if lacking := [c for c in columns or () if c not in table.column_names]:
                raise NotLogged(f"the log has no column '{lacking[0]}', it has {', '.join(table.column_names)}")
            replications = np.unique(table["replication"].to_numpy()).astype(np.int64)
            yield replications, table if columns is None else table.select(list(columns))
        covered = np.zeros(0, dtype=np.int64)
        for folder in self.folders:
            read = [covered]
            for part in self._parts(folder, cell):
                replications = np.arange(part.first, part.last + 1)
                fresh = ~np.isin(replications, covered) if covered.size else np.ones(part.count, dtype=bool)
                if not fresh.any() or (found := self._read(folder, part, columns)) is None:
                    continue
                rows = found if fresh.all() else found.filter(np.repeat(fresh, found.num_rows // part.count))
                read.append(replications[fresh])
                yield replications[fresh], rows
            covered = np.concatenate(read)

    def blocks(self, facts: CellFacts, column: str) -> Iterator[tuple[IntArray, Any]]:
        """The same as arrays: replications (r,) and values (r, C), or (r, C, K) of a column of lists.

        Rows of the learners of a population are summed.
        """
        rounds = facts.checkpoints.size
        for replications, table in self.tables(facts.cell, [column]):
            values = flat(table[column])
            width = (values.size // table.num_rows,) if pa.types.is_nested(table[column].type) else ()
            values = values.reshape(len(replications), rounds, facts.learners, *width)
            yield replications, values.sum(axis=2) if facts.learners > 1 else values[:, :, 0]

    def values(self, facts: CellFacts, column: str, at: int | None = None) -> tuple[IntArray, FloatArray]:
        """Replications (R,) and a column's values, (R, C) at all checkpoints or (R,) at one round."""
        j = None if at is None else int(np.searchsorted(facts.checkpoints, facts.checkpoint(at)))
        replications, found = [np.zeros(0, dtype=np.int64)], []
        for some, block in self.blocks(facts, column):
            replications.append(some)
            found.append(np.asarray(block if j is None else block[:, j], dtype=np.float64))
        empty = np.zeros((0, facts.checkpoints.size) if j is None else 0)
        order = np.argsort(merged := np.concatenate(replications), kind="stable")
        values = np.concatenate(found) if found else empty
        return (merged, values) if (np.diff(merged) > 0).all() else (merged[order], values[order])

    def has(self, cell: str, column: str) -> bool:
        """Whether the log of a cell has a column; a cell without replications has all."""
        try:
            next(iter(self.tables(cell, [column])), None)
        except NotLogged:
            return False
        return True

    def _parts(self, folder: RunFolder, cell: str) -> list[Part]:
        if not self.skip_damaged:
            return folder.unopened_parts(cell)
        whole = folder.parts(cell)
        self._note(folder, [part for part in folder.listed(cell) if part not in whole])
        return whole

    def _read(self, folder: RunFolder, part: Part, columns: Sequence[str] | None) -> pa.Table | None:
        try:
            return folder.read_part(part, columns)
        except DamagedPart:
            if not self.skip_damaged:
                raise
            self._note(folder, [part])
            return None

    def _note(self, folder: RunFolder, parts: Sequence[Part]) -> None:
        for part in parts:
            if (name := f"{folder.place}/{part.path}") not in self.damaged:
                self.damaged.append(name)


def flat(column: pa.ChunkedArray) -> Any:
    """The numbers of a column: those of its lists, too, which were of fixed size in the logs of version 0.1.0."""
    values = column.combine_chunks()
    return (values.flatten() if pa.types.is_nested(values.type) else values).to_numpy(zero_copy_only=False)
