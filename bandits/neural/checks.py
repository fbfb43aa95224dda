"""Checks of what a neural method is given, each with one line that names the field.

All raise a ``BadParameter`` (a ``ValueError``) before any work is done. Nothing here imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING

from ..errors import BadParameter, did_you_mean
from .errors import AdapterError, RangeError, ShapeError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "at_least",
    "choice",
    "finite",
    "named_once",
    "not_negative",
    "positive",
    "probability",
    "rank",
    "same_batch",
]


def positive(field: str, value: float) -> None:
    """Refuse what is not a number above 0: learning rates, scales, alpha."""
    if not (_number(value) and value > 0):
        raise BadParameter(f"{field} must be a number above 0, got {value}")


def not_negative(field: str, value: float) -> None:
    """Refuse what is not a number of at least 0: noise, weight decay."""
    if not (_number(value) and value >= 0):
        raise BadParameter(f"{field} must be a number of at least 0, got {value}")


def probability(field: str, value: float) -> None:
    """Refuse what is no probability."""
    if not (_number(value) and 0 <= value <= 1):
        raise BadParameter(f"{field} must lie in [0, 1], got {value}")


def choice(field: str, value: str, known: Sequence[str]) -> None:
    """Refuse what is not one of the known words."""
    if value not in known:
        raise BadParameter(
            f"{field} must be one of {', '.join(known)}, got {value!r}.{did_you_mean(str(value), known)}"
        )


def at_least(field: str, value: int, least: int, why: str = "") -> None:
    """Refuse a count below its least value: tasks, samples, classes, steps, restarts."""
    if not _whole(value) or value < least:
        reason = f": {why}" if why else ""
        raise BadParameter(f"{field} must be a whole number of at least {least}, got {value}{reason}")


def rank(value: int, n_in: int, n_out: int, *, field: str = "rank") -> None:
    """Refuse the rank of an adapter that its layer cannot have.

    Raises:
        AdapterError: Below 1, or above the smaller side of a layer with n_in inputs and n_out outputs.
    """
    if not _whole(value) or not 1 <= value <= min(n_in, n_out):
        most = min(n_in, n_out)
        raise AdapterError(
            f"{field} must lie between 1 and {most}, the smaller side of a layer {n_in} -> {n_out}, got {value}"
        )


def finite(field: str, values: Tensor) -> None:
    """Refuse NaN and infinity in data, and point at the first.

    Raises:
        RangeError: With the index of the first bad entry.
    """
    bad = ~values.isfinite()
    if bool(bad.any()):
        place = ", ".join(str(int(i)) for i in bad.nonzero()[0])
        raise RangeError(
            f"{field}[{place}] = {values[bad][0].item()} is not finite: leave such rows out, or repair them"
        )


def named_once(field: str, names: Sequence[str]) -> None:
    """Refuse an empty list, and names that occur twice.

    Raises:
        AdapterError: With the name.
    """
    if not names:
        raise AdapterError(f"{field} is empty: name at least one")
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise AdapterError(f"{field} names '{twice[0]}' twice: every adapter needs a name of its own")


def same_batch(**fields: Tensor) -> None:
    """Refuse tensors whose first axes differ.

    Raises:
        ShapeError: With all the shapes.
    """
    if len({values.shape[0] for values in fields.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(values.shape)}" for name, values in fields.items())
        raise ShapeError(f"the first axis is the batch and must be the same everywhere, got {shapes}")


def _number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
