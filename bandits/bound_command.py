"""What ``bandits bound`` does: read an instance, compute its bound, describe it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from .errors import BadParameter
from .information_lp import InformationBound, Kind, lower_bound
from .number_files import ENDINGS, read_numbers
from .protocol import FloatArray

__all__ = ["describe_bound", "describe_finite_time", "read_means", "read_sigma"]


def read_means(text: str) -> FloatArray:
    """Means from ``0.9,0.7``, or from a CSV or Parquet file with one row or one column.

    Raises:
        BadParameter: An entry is no number, or the file cannot be read.
    """
    rows = _read_rows("--means", text)
    if len(rows) > 1 and any(len(row) > 1 for row in rows):
        raise BadParameter(f"--means {text}: {len(rows)} rows, expected one row or one column of numbers")
    means = [value for row in rows for value in row]
    if None in means:
        raise BadParameter(f"--means {text}: number {means.index(None) + 1} is empty, expected a number for each arm")
    return np.array(means, dtype=np.float64)


def read_sigma(text: str, n_arms: int) -> FloatArray:
    """Standard deviations, shape (K, K), from ``1,inf;inf,1`` or a CSV or Parquet file.

    One number, or K of them in one row, are the arms' own noise where nothing else is seen. An empty cell of a file is
    infinite.

    Raises:
        BadParameter: An entry is no number, the file cannot be read, or the shape does not fit.
    """
    rows = [[math.inf if value is None else value for value in row] for row in _read_rows("--sigma", text)]
    if len(rows) == 1 and n_arms > 1 and len(rows[0]) in (1, n_arms):
        sigma = np.full((n_arms, n_arms), np.inf)
        np.fill_diagonal(sigma, rows[0])
        return sigma
    for number, row in enumerate(rows, start=1):
        if len(row) != n_arms or len(rows) != n_arms:
            raise BadParameter(
                f"--sigma: row {number} of {len(rows)} has {len(row)} entries, expected {n_arms} rows of {n_arms}, as "
                f"there are {n_arms} means; one number, or one row of {n_arms}, stands for a diagonal"
            )
    return np.array(rows)


def describe_bound(means: FloatArray, sigma: FloatArray, kind: str, horizon: int | None) -> dict[str, Any]:
    """The answer of ``--json``: null stands for what is infinite or undefined.

    Raises:
        BadParameter: The kind or an entry is wrong.
    """
    if kind not in ("lp", "graves_lai"):
        raise BadParameter(f"--kind must be lp or graves_lai, got '{kind}'")
    chosen: Kind = "lp" if kind == "lp" else "graves_lai"
    try:
        exact = lower_bound(means, sigma, "graves_lai")
        found: InformationBound = lower_bound(means, sigma) if chosen == "lp" else exact
    except ValueError as error:
        raise BadParameter(str(error)) from error
    answer = {
        "kind": found.kind,
        "status": found.status,
        "value": _finite(found.value),
        "graves_lai": _finite(exact.value),
        "allocation": [_finite(c) for c in found.allocation],
        "dual": [_finite(y) for y in found.dual],
        "binding": list(found.binding),
        "solver": found.solver,
    }
    if horizon is not None:
        answer |= {"horizon": horizon, "regret": _finite(found.value * math.log(horizon) if found.value else 0.0)}
    return answer


def describe_finite_time(
    means: FloatArray, sigma: FloatArray, horizon: int | None, regret_cap: float | None, largest_mean: float | None
) -> dict[str, Any]:
    """The experimental bound at the horizon, for ``--json``; None for a limit stands for its default.

    Raises:
        BadParameter: There is no horizon, or a number is out of its range.
    """
    from .finite_time_bound import finite_time_bound

    if horizon is None:
        raise BadParameter("--finite-time is about a horizon: give --horizon T")
    limit = 1.0 if largest_mean is None else largest_mean
    try:
        found = finite_time_bound(means, sigma, horizon, regret_cap=regret_cap, largest_mean=limit)
    except ValueError as error:
        raise BadParameter(f"--finite-time: {error}") from error
    return {
        "experimental": True,
        "regret": _finite(found.value),
        "regret_cap": found.regret_cap,
        "largest_mean": found.largest_mean,
        "allocation": [_finite(c) for c in found.allocation],
        "needed": found.needed.tolist(),
    }


def _finite(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def _read_rows(option: str, text: str) -> list[list[float | None]]:
    """Rows from a file, None for an empty cell, or from the text itself."""
    if text.lower().endswith(ENDINGS) or "/" in text or (text != "" and Path(text).is_file()):
        try:
            return read_numbers(text)
        except ValueError as error:
            raise BadParameter(f"{option}: {error}") from error
    rows = [line.split(",") for line in text.split(";") if line.strip()]
    if not rows:
        raise BadParameter(f"{option}: no numbers in '{text}'; expected some, such as 0.9,0.7")
    return [[_number(option, word, r, c) for c, word in enumerate(row, 1)] for r, row in enumerate(rows, 1)]


def _number(option: str, word: str, row: int, column: int) -> float:
    try:
        return float(word)
    except ValueError:
        raise BadParameter(
            f"{option}: '{word.strip()}' in row {row}, column {column} is no number; "
            "numbers are separated by ',', rows by ';', and inf means that nothing is seen"
        ) from None
