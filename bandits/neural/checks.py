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
    "HUGE",
    "at_least",
    "choice",
    "finite",
    "is_whole",
    "named_once",
    "not_negative",
    "positive",
    "probability",
    "rank",
    "real",
    "same_batch",
    "seed",
    "share",
    "text",
    "whole",
    "yes_or_no",
]


HUGE = 1e6  # of weights and noise, where data are of size 1: squares of more leave single precision
_MOST = 2**31 - 1
_SINGLE = 3.4e38  # beyond it a number of single precision is infinite


def real(field: str, value: float) -> None:
    """Refuse what is not a finite number, of single precision too: means, weights of guidance."""
    if not _number(value):
        raise BadParameter(f"{field} must be a finite number, got {value!r:.60}")


def positive(field: str, value: float) -> None:
    """Refuse what is not a number above 0: learning rates, scales, alpha."""
    if not (_number(value) and value > 0):
        raise BadParameter(f"{field} must be a number above 0, got {value!r:.60}")


def not_negative(field: str, value: float, most: float = math.inf) -> None:
    """Refuse what is not a number of at least 0, or more than ``most``: noise, weights, weight decay."""
    if not (_number(value) and value >= 0):
        raise BadParameter(f"{field} must be a number of at least 0, got {value!r:.60}")
    if value > most:
        raise BadParameter(
            f"{field} must be at most {most:g}, got {value!r:.60}: squares of more leave single precision"
        )


def probability(field: str, value: float) -> None:
    """Refuse what is no probability."""
    if not (_number(value) and 0 <= value <= 1):
        raise BadParameter(f"{field} must lie in [0, 1], got {value!r:.60}")


def share(field: str, value: float, of: str) -> None:
    """Refuse what is no share of something: above 0, and 1 at most."""
    if not (_number(value) and 0 < value <= 1):
        raise BadParameter(f"{field} is a share of {of} in (0, 1], got {value!r:.60}")


def yes_or_no(field: str, value: bool) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise BadParameter(f"{field} must be true or false, got {value!r:.60}")


def text(field: str, value: str) -> None:
    """Refuse what is not text: a folder, a prompt."""
    if not isinstance(value, str):
        raise BadParameter(f"{field} must be text, got {value!r:.60}")


def choice(field: str, value: str, known: Sequence[str]) -> None:
    """Refuse what is not one of the known words."""
    if not (isinstance(value, str) and value in known):
        raise BadParameter(
            f"{field} must be one of {', '.join(known)}, got {value!r:.60}.{did_you_mean(str(value), known)}"
        )


def at_least(field: str, value: int, least: int, why: str = "") -> None:
    """Refuse a count below its least value, or beyond 32 bits: tasks, samples, classes, steps, restarts."""
    if not is_whole(value) or value < least:
        reason = f": {why}" if why else ""
        raise BadParameter(f"{field} must be a whole number of at least {least}, got {value!r:.60}{reason}")
    if value > _MOST:
        raise BadParameter(f"{field} must be at most {_MOST:,}, got {value!r:.60}")


def seed(field: str, value: int) -> None:
    """Refuse what torch and NumPy take for no seed."""
    if not is_whole(value) or not 0 <= value < 2**64:
        raise BadParameter(f"{field} must be a whole number of at least 0, and below 2^64, got {value!r:.60}")


def whole(field: str, value: int, least: int, most: int, why: str = "") -> None:
    """Refuse a count that does not lie between its least and its greatest value: steps of a schedule, samples of few.

    ``why`` says where the greatest comes from.
    """
    if not is_whole(value) or not least <= value <= most:
        reason = f": {why}" if why else ""
        raise BadParameter(f"{field} must be a whole number from {least} to {most:,}, got {value!r:.60}{reason}")


def rank(value: int, n_in: int, n_out: int, *, field: str = "rank") -> None:
    """Refuse the rank of an adapter that its layer cannot have.

    Raises:
        AdapterError: Below 1, or above the smaller side of a layer with n_in inputs and n_out outputs.
    """
    if not is_whole(value) or not 1 <= value <= min(n_in, n_out):
        most = min(n_in, n_out)
        raise AdapterError(
            f"{field} must lie between 1 and {most}, the smaller side of a layer {n_in} -> {n_out}, got {value!r:.60}"
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
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and abs(float(value)) <= _SINGLE
    except OverflowError:  # a whole number beyond every float
        return False


def is_whole(value: object) -> bool:
    """Whether it is a whole number of a whole type: 2.0 and True are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)
