"""A replication run again, compared with its log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .reading import flat

__all__ = ["Replayed", "compare_rows"]


@dataclass(frozen=True)
class Replayed:
    """What came out.

    Attributes:
        same: Whether the rows are the same.
        tolerance: Largest relative difference that counts as the same; 0 means to the bit.
    """

    same: bool
    tolerance: float = 0.0


def compare_rows(logged: Any, played: Any, tolerance: float = 0.0) -> Replayed:
    """Compare log rows: to the bit, or floating-point numbers within ``tolerance * max(1, |value|)``."""
    if logged.column_names != played.column_names or logged.num_rows != played.num_rows:
        return Replayed(False, tolerance)
    pairs = [(flat(logged[name]), flat(played[name])) for name in logged.column_names]
    return Replayed(all(_same(a, b, tolerance) for a, b in pairs), tolerance)


def _same(a: Any, b: Any, tolerance: float) -> bool:
    if a.dtype != b.dtype:
        return False
    if a.dtype == object:
        return bool((a == b).all())
    if tolerance and a.dtype.kind == "f":
        return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True))
    return bool(a.tobytes() == b.tobytes())  # bytes: 0.0 and -0.0 differ
