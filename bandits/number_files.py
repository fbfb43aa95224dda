"""Tables of numbers that a user keeps in a CSV or Parquet file, such as noise levels and means."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from .errors import in_one_line

__all__ = ["ENDINGS", "read_numbers"]

ENDINGS = (".csv", ".parquet")  # by which the command line knows a file's name from numbers


def read_numbers(file: str | os.PathLike[str]) -> list[list[float | None]]:
    """Rows of numbers, None for an empty cell.

    A name that ends in .parquet is read as Parquet, with names of columns and an index that pandas stored left out;
    any other as CSV: numbers with ',' between, no header. Rows may differ in length; blank lines are skipped.

    Raises:
        ValueError: The file cannot be read, holds no cells, or a cell is no number: one line that says which.
    """
    path = Path(file)
    try:
        data = path.read_bytes()
        rows = _parquet_rows(data) if path.suffix.lower() == ".parquet" else _csv_rows(data.decode("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror or error}") from error
    except Exception as error:
        raise ValueError(f"cannot read {file}: {in_one_line(error)}") from error
    if not rows:
        raise ValueError(f"{file} holds no numbers")
    return [[_number(cell, f"{file}: row {r}, column {c}") for c, cell in enumerate(row, 1)] for r, row in rows]


def _csv_rows(text: str) -> list[tuple[int, list[Any]]]:
    """Cells of each line that is not blank, with the line's number."""
    lines = enumerate(csv.reader(io.StringIO(text)), start=1)
    return [(number, row) for number, row in lines if len(row) > 1 or any(cell.strip() for cell in row)]


def _parquet_rows(data: bytes) -> list[tuple[int, list[Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(data))  # Arrow's own file, for the reason that `RunFolder.cells` gives
    index = (table.schema.pandas_metadata or {}).get("index_columns", [])
    table = table.drop_columns([name for name in index if isinstance(name, str)])
    columns = [column.to_pylist() for column in table.columns]
    return list(enumerate((list(row) for row in zip(*columns, strict=True)), start=1))


def _number(cell: Any, place: str) -> float | None:
    cell = cell.strip() if isinstance(cell, str) else cell
    if cell is None or cell == "":
        return None
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise ValueError(f"{place}: {str(cell)!r} is no number; a file holds numbers alone, without a header") from None
