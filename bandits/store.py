"""Run folders: what an experiment leaves on disk.

    results/<experiment>-<UTC time>/
      run.json          declaration as resolved, seed, versions, machine, status, failures, timing
      cells.parquet     one row per cell: agent, environment, parameters, bound
      log/cell=<key>/replications-000000-001023.parquet
      tensors/cell=<key>/replications-000000-001023.parquet    what a neural run keeps for its report

Log rows are sorted by (replication, t): `replication` int32, `t` int64, `regret` and `reward` float64 (cumulative),
and what the setting adds. A neural run has a trial in place of agent and environment, and logs `replication`, `step`,
`metric` (text) and `value` float64. Files appear whole or not at all (written beside, then renamed), a finished part
is never written again, and only JSON and Parquet are ever read. The place may be any URI that ``pyarrow.fs`` or
``fsspec`` knows.
"""

from __future__ import annotations

import io
import json
import re
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from .errors import DamagedPart, NotLogged, RunFolderError, StoreError

__all__ = ["SCHEMA_VERSION", "Part", "RunFolder", "encode", "facts_of", "missing_ranges"]

SCHEMA_VERSION = 1

_FACTS = {
    "experiment": dict, "schema": int, "streams": int, "status": str, "left_out": list, "failures": list,
    "timing": dict, "plugins": list, "versions": dict,
}  # fmt: skip  # a table of columns

_KEYS = {"replication", "t", "step", "metric", "name"}
_FACTS_KEY = "bandits"
_FINITE = frozenset({"regret", "reward"})  # columns that the loop checks before it logs them
_CELL_COLUMNS = (  # of a run of agents on environments, or of trials
    {"cell", "environment", "agent", "horizon", "bound_constants"},
    {"cell", "trial", "trial_name", "parameters", "replications"},
)

_PART = re.compile(r"replications-(\d+)-(\d+)\.parquet$")


@dataclass(frozen=True, order=True)
class Part:
    """One finished log file: replications ``first .. last`` of a cell."""

    first: int
    last: int
    path: str

    @property
    def count(self) -> int:
        """Number of replications."""
        return self.last - self.first + 1


def encode(table: pa.Table, facts: Mapping[str, Any] | None = None) -> bytes:
    """Encode log rows as Parquet: zstd, dictionaries for the keys, byte-stream split for floats.

    Facts are kept as JSON in the schema; `facts_of` reads them.
    """
    if facts:
        table = table.replace_schema_metadata({_FACTS_KEY: json.dumps(facts)})
    floats = [f.name for f in table.schema if pa.types.is_floating(f.type)]
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=[name for name in table.column_names if name in _KEYS],
        column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
        write_page_checksum=True,
    )
    return sink.getvalue()


def facts_of(table: pa.Table) -> dict[str, Any]:
    """What `encode` was told beside the rows; nothing if it was told nothing."""
    found = (table.schema.metadata or {}).get(_FACTS_KEY.encode())
    return {} if found is None else dict(json.loads(found))


def missing_ranges(replications: int, parts: Sequence[Part]) -> list[tuple[int, int]]:
    """What ``0 .. replications - 1`` still lacks, as (first, count) pairs in order."""
    missing, position = [], 0
    for part in sorted(parts):
        if part.first > position:
            missing.append((position, min(part.first, replications) - position))
        position = max(position, part.last + 1)
    if position < replications:
        missing.append((position, replications - position))
    return [(first, count) for first, count in missing if count > 0]


class RunFolder:
    """One run on disk, or at any URI.

    Args:
        place: Path or URI of the run folder.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = str(place)
        self._fs, self._root = _resolve(self.place)

    @property
    def is_local(self) -> bool:
        """Whether the run lies on this machine's file system."""
        return isinstance(self._fs, fs.LocalFileSystem)

    @property
    def path(self) -> Path:
        """Where a local run lies."""
        return Path(self._root)

    @classmethod
    def create(cls, place: str | Path | None, name: str, facts: Mapping[str, Any], cells: pa.Table) -> RunFolder:
        """Make a new run folder; without a place, ``results/<name>-<UTC time>``.

        Raises:
            RunFolderError: The place holds something already, or cannot be written.
        """
        if place is not None and not str(place):
            raise RunFolderError("the name of the run folder is empty: name one, or leave out --out")
        folder = cls(place if place is not None else _fresh_place(name))
        try:
            if folder._names():
                remedy = (
                    f"'bandits resume {folder.place}' continues it"
                    if folder._has("run.json")
                    else "choose another --out"
                )
                raise RunFolderError(f"{folder.place} is not empty: {remedy}")
            folder._fs.create_dir(folder._path("log"), recursive=True)
            folder.write_cells(cells)
            folder.write_facts(facts)  # last: a folder with a run.json is a run
        except (OSError, StoreError) as error:
            raise RunFolderError(f"cannot write to {folder.place}: {_reason(error)}. Choose another --out.") from error
        return folder

    @classmethod
    def open(cls, place: str | Path) -> RunFolder:
        """Open an existing run folder.

        Raises:
            RunFolderError: There is none, or this version cannot read it.
        """
        folder = cls(place)
        facts = folder.facts()
        schema = facts.get("schema")
        if schema != SCHEMA_VERSION:
            raise RunFolderError(
                f"{folder.place} has log schema {schema!r}, and this version reads {SCHEMA_VERSION}: "
                f"use bandits {facts.get('versions', {}).get('bandits', 'of the time')}"
            )
        return folder

    def facts(self) -> dict[str, Any]:
        """What run.json says.

        Raises:
            RunFolderError: It is missing or not what we wrote.
        """
        try:
            facts = json.loads(self.read("run.json"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RunFolderError(f"{self.place} is not a run folder: it has no run.json") from error
        except (OSError, ValueError, RecursionError) as error:
            raise RunFolderError(f"cannot read {self.place}/run.json: {_reason(error)}") from error
        if not isinstance(facts, dict) or not all(isinstance(facts.get(k), t) for k, t in _FACTS.items()):
            raise RunFolderError(f"{self.place}/run.json was not written by bandits, or was edited: it lacks facts")
        return facts

    def write_facts(self, facts: Mapping[str, Any]) -> None:
        """Replace run.json."""
        self.write("run.json", (json.dumps(facts, indent=2) + "\n").encode())

    def cells(self) -> pa.Table:
        """One row per cell.

        The bytes go to Arrow as a file of its own: it reads on threads, and one that lets go of a Python file while the
        interpreter shuts down, after an error that ends the command at once, aborts the process.
        """
        try:
            cells = pq.read_table(pa.BufferReader(self.read("cells.parquet")))
        except (OSError, pa.ArrowException) as error:
            raise RunFolderError(f"cannot read {self.place}/cells.parquet: {_reason(error)}") from error
        missing = min((needed - set(cells.column_names) for needed in _CELL_COLUMNS), key=len)
        if missing:
            raise RunFolderError(f"{self.place}/cells.parquet was not written by bandits: no column {min(missing)}")
        return cells

    def write_cells(self, cells: pa.Table) -> None:
        """Replace cells.parquet."""
        sink = io.BytesIO()
        pq.write_table(cells, sink, compression="zstd")
        self.write("cells.parquet", sink.getvalue())

    def write_part(self, cell: str, first: int, count: int, data: bytes) -> None:
        """Write one finished part: whole or not at all."""
        self.write(_part_name("log", cell, first, count), data)

    def write_tensors(self, cell: str, first: int, count: int, data: bytes) -> None:
        """Write the tensors that belong to a part; before the part, which says that all is there."""
        self.write(_part_name("tensors", cell, first, count), data)

    def tensors(self, cell: str) -> Iterator[pa.Table]:
        """Tensors kept of the finished parts of a cell, part by part."""
        there = set(self._names(f"tensors/cell={cell}"))
        for part in self.unopened_parts(cell):
            name = _part_name("tensors", cell, part.first, part.count)
            if name.rpartition("/")[2] in there:
                try:
                    yield pq.read_table(pa.BufferReader(self.read(name)))
                except (OSError, pa.ArrowException) as error:
                    raise DamagedPart(self.place, name, _reason(error)) from error

    def parts(self, cell: str) -> list[Part]:
        """Finished parts of a cell, in order of replications; a damaged file does not count."""
        return self._apart([part for part in self.listed(cell) if self._is_whole(part)])

    def unopened_parts(self, cell: str) -> list[Part]:
        """Like `parts`, but nothing is opened: `read_part` finds out which of them are damaged."""
        return self._apart(self.listed(cell))

    def listed(self, cell: str) -> list[Part]:
        """Parts of a cell by their names alone, damaged ones included, in order of replications."""
        named = [(name, _PART.fullmatch(name)) for name in self._names(f"log/cell={cell}")]
        return sorted(Part(int(m[1]), int(m[2]), f"log/cell={cell}/{name}") for name, m in named if m)

    def set_aside(self, part: Part) -> str:
        """Rename a damaged part, so that nobody takes it for a log, and return its new name."""
        aside = f"{part.path}.damaged"
        self._fs.move(self._path(part.path), self._path(aside))
        return aside

    def _apart(self, parts: list[Part]) -> list[Part]:
        for before, part in pairwise(parts):
            if part.first <= before.last:
                raise RunFolderError(f"{self.place}: {before.path} and {part.path} overlap: remove one of them")
        return parts

    def dataset(self, cells: Collection[str]) -> Any:
        """Finished parts of some cells as a `pyarrow.dataset.Dataset` with the column ``cell``; None without parts."""
        from pyarrow import dataset

        paths = [self._path(part.path) for cell in sorted(cells) for part in self.unopened_parts(cell)]
        kind = dataset.partitioning(pa.schema([("cell", pa.string())]), flavor="hive")
        if not paths:
            return None
        return dataset.dataset(
            paths, format="parquet", filesystem=self._fs, partitioning=kind, partition_base_dir=self._path("log")
        )

    def read_part(self, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of one part, on one thread: for many small files that is several times as fast as `read_table`.

        Raises:
            DamagedPart: The file is truncated, was changed, or holds other replications than its name says, or a regret
                or reward that is not finite, which the engine never logs.
            NotLogged: It lacks a column.
        """
        try:
            with self._fs.open_input_file(self._path(part.path)) as source:
                file = pq.ParquetFile(source, page_checksum_verification=True)
                if _replications(file.metadata) != (part.first, part.last):
                    raise DamagedPart(self.place, part.path, "its replications are not those of its name")
                if lacking := [c for c in columns or () if c not in file.schema_arrow.names]:
                    raise NotLogged(
                        f"{self.place}/{part.path} has no column '{lacking[0]}', only "
                        f"{', '.join(file.schema_arrow.names)}"
                    )
                table = file.read(columns=None if columns is None else list(columns), use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise DamagedPart(self.place, part.path, _reason(error), inside=self._is_whole(part)) from error
        for column in _FINITE.intersection(table.column_names):
            if not np.isfinite(table[column].to_numpy()).all():
                raise DamagedPart(self.place, part.path, f"its {column} is not finite throughout", inside=True)
        return table

    def read(self, name: str) -> bytes:
        """Bytes of a file in the run folder."""
        with self._fs.open_input_stream(self._path(name)) as stream:
            data: bytes = stream.read()
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the run folder: whole or not at all."""
        parent, _, base = self._path(name).rpartition("/")
        with suppress(OSError):  # what really keeps us from writing is said below
            self._fs.create_dir(parent, recursive=True)
        beside = f"{parent}/.{base}.{uuid.uuid4().hex[:8]}.tmp"
        try:
            with self._fs.open_output_stream(beside) as stream:
                stream.write(data)
            self._fs.move(beside, self._path(name))
        except OSError as error:
            with suppress(OSError):
                self._fs.delete_file(beside)
            raise StoreError(f"cannot write {self.place}/{name}: {_reason(error)}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for writing; a second process is refused. The lock ends with the process, however it ends.

        Raises:
            RunFolderError: Another process is writing to the run.
        """
        try:
            import fcntl
        except ImportError:  # not on Windows
            fcntl = None  # type: ignore[assignment]  # stands for the module that is not there
        if fcntl is None or not self.is_local:
            yield
            return
        try:
            self.path.joinpath(".lock").touch()
        except OSError as error:
            raise RunFolderError(f"cannot write to {self.place}: {_reason(error)}") from error
        with self.path.joinpath(".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RunFolderError(f"another process is writing to {self.place}: wait for it, or stop it") from error
            yield

    def is_abandoned(self) -> bool:
        """Whether it is sure that no process holds the run for writing; never sure of a run elsewhere."""
        try:
            import fcntl

            with self.path.joinpath(".lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (ImportError, OSError, RunFolderError):
            return False
        return True

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _names(self, below: str = "") -> list[str]:
        found = self._fs.get_file_info(fs.FileSelector(self._path(below), allow_not_found=True))
        return sorted(info.base_name for info in found)

    def _has(self, name: str) -> bool:
        return bool(self._fs.get_file_info(self._path(name)).type == fs.FileType.File)

    def _is_whole(self, part: Part) -> bool:
        try:
            with self._fs.open_input_file(self._path(part.path)) as file:
                return _replications(pq.read_metadata(file)) == (part.first, part.last)
        except (OSError, pa.ArrowException):
            return False


def _part_name(folder: str, cell: str, first: int, count: int) -> str:
    return f"{folder}/cell={cell}/replications-{first:06d}-{first + count - 1:06d}.parquet"


def _resolve(place: str) -> tuple[Any, str]:
    """File system and root path of a local path or a URI."""
    if "://" not in place:
        return fs.LocalFileSystem(), str(Path(place).absolute())
    try:
        filesystem, root = fs.FileSystem.from_uri(place)
    except (pa.ArrowInvalid, OSError) as error:
        try:
            import fsspec
        except ImportError:
            raise RunFolderError(
                f"cannot open {place}: {_reason(error)}. Other kinds of URI need 'pip install fsspec'."
            ) from error
        try:
            inner, root = fsspec.core.url_to_fs(place)
        except (ValueError, ImportError, OSError) as cause:
            raise RunFolderError(f"cannot open {place}: {_reason(cause)}") from cause
        filesystem = fs.PyFileSystem(fs.FSSpecHandler(inner))
    return filesystem, str(root).rstrip("/")


def _replications(metadata: pq.FileMetaData) -> tuple[int, int] | None:
    """First and last replication of a log file, from its statistics; None if it has none."""
    at = metadata.schema.names.index("replication") if "replication" in metadata.schema.names else None
    groups = [] if at is None else [metadata.row_group(i).column(at) for i in range(metadata.num_row_groups)]
    found = [g.statistics for g in groups if g.is_stats_set and g.statistics.has_min_max]
    return (min(s.min for s in found), max(s.max for s in found)) if found else None


def _fresh_place(name: str) -> str:
    stem = Path("results") / f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    place, n = stem, 1
    while place.exists():
        n += 1
        place = stem.with_name(f"{stem.name}-{n}")
    return str(place)


def _reason(error: BaseException) -> str:
    """The operating system's words for an error, without its numbers and paths."""
    return str(getattr(error, "strerror", None) or error).split("\n")[0]
