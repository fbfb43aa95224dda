"""Sets that a sample must lie in, as data.

A sample x has some shape, usually (L, C): L moments of C channels. Its entries in C order are the n coordinates below.
Numbers that differ from sample to sample (the mean that each must have, the place of its peak) are given as tensors
whose first axis is the batch B; all else is shared. A list of members is what `projection.Constraints` puts together.
Everything is float64, on the CPU until `projection.Constraints` moves it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from .errors import ConstraintError, ShapeError

__all__ = [
    "Ball",
    "Box",
    "Convex",
    "Linear",
    "Member",
    "Number",
    "Ohlc",
    "argmax_at",
    "argmin_at",
    "ball",
    "box",
    "convex",
    "equality",
    "half_spaces",
    "mean",
    "mean_change",
    "ohlc",
    "ordered",
    "value_at",
]

Number: TypeAlias = "float | Sequence[float] | Tensor"


@dataclass(frozen=True, eq=False)
class Linear:
    """``rows @ x <= bounds``, or ``rows @ x = bounds``.

    Attributes:
        name: What an error message calls it.
        rows: (m, n), or (B, m, n).
        bounds: (m,), or (B, m).
        equality: Whether the rows are equalities.
    """

    name: str
    rows: Tensor
    bounds: Tensor
    equality: bool

    def __post_init__(self) -> None:
        """Check the shapes, and that no row is empty."""
        if self.rows.dim() not in (2, 3) or self.bounds.dim() not in (1, 2):
            raise ShapeError(f"{self.name}: rows are (m, n) or (B, m, n) and bounds (m,) or (B, m)")
        if self.rows.shape[-2] != self.bounds.shape[-1]:
            raise ShapeError(f"{self.name}: {self.rows.shape[-2]} rows, but {self.bounds.shape[-1]} bounds")
        if not (torch.isfinite(self.rows).all() and torch.isfinite(self.bounds).all()):
            raise ConstraintError(f"{self.name}: rows and bounds are finite numbers")
        if (self.rows.abs().amax(-1) == 0).any():
            raise ConstraintError(f"{self.name}: a row of zeros constrains nothing; leave it out")


@dataclass(frozen=True, eq=False)
class Box(Linear):
    """``low <= x <= high`` in every coordinate; as rows, the lower sides come first."""

    low: Tensor  # (n,) or (B, n)
    high: Tensor


@dataclass(frozen=True, eq=False)
class Ohlc(Linear):
    """``low <= min(open, close)`` and ``high >= max(open, close)`` at every moment.

    Attributes:
        channels: Where open, high, low and close stand.
    """

    channels: tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Ball:
    """``|x - centre| <= radius``; ``centre`` is (n,) or (B, n), ``radius`` () or (B,)."""

    name: str
    centre: Tensor
    radius: Tensor


@dataclass(frozen=True, eq=False)
class Convex:
    """Whatever cvxpy accepts: a function from the variable, of the shape of a sample, to a list of constraints."""

    name: str
    build: Callable[[Any], Sequence[Any]]


Member: TypeAlias = Linear | Ball | Convex


def equality(shape: Sequence[int], rows: Number, values: Number, name: str = "equality") -> Linear:
    """``rows @ x = values``: rows (m, n) or (B, m, n), values (m,) or (B, m)."""
    return Linear(name, _rows(shape, rows, name), _number(values), True)


def half_spaces(shape: Sequence[int], rows: Number, bounds: Number, name: str = "half-spaces") -> Linear:
    """``rows @ x <= bounds``: rows (m, n) or (B, m, n), bounds (m,) or (B, m)."""
    return Linear(name, _rows(shape, rows, name), _number(bounds), False)


def box(shape: Sequence[int], low: Number, high: Number, name: str = "box") -> Box:
    """``low <= x <= high``; numbers, or tensors that broadcast to the shape of a sample or of a batch."""
    n = math.prod(shape)
    sides = []
    for side in (low, high):
        value = _number(side)
        batch = value.shape[: max(0, value.dim() - len(shape))]
        sides.append(value.broadcast_to(*batch, *shape).reshape(*batch, n))
    if (sides[0] > sides[1]).any():
        raise ConstraintError(f"{name}: the lower side lies above the upper side")
    eye = torch.eye(n, dtype=torch.float64, device="cpu")
    both = sides[0] + sides[1]
    bounds = torch.cat([-sides[0].expand_as(both), sides[1].expand_as(both)], -1)
    return Box(name, torch.cat([-eye, eye]), bounds, False, sides[0], sides[1])


def ball(centre: Tensor, radius: Number, shape: Sequence[int], name: str = "ball") -> Ball:
    """``|x - centre| <= radius`` for a centre of the shape of a sample, or of a batch."""
    value = _number(centre)
    if tuple(value.shape[-len(shape) :]) != tuple(shape):
        raise ShapeError(f"{name}: a centre of shape {tuple(value.shape)} for samples of shape {tuple(shape)}")
    size = _number(radius)
    if (size < 0).any():
        raise ConstraintError(f"{name}: the radius must not be negative")
    return Ball(name, value.flatten(-len(shape)), size)


def convex(build: Callable[[Any], Sequence[Any]], name: str = "convex set") -> Convex:
    """A set that cvxpy describes, such as ``lambda x: [cp.norm(cp.diff(x[:, 0])) <= 1]``; it goes to a solver."""
    return Convex(name, build)


def mean(shape: Sequence[int], value: Number, channel: int = 0) -> Linear:
    """The mean of a channel over time; ``value`` is a number or one per sample (B,)."""
    rows = _moments(shape, channel).mean(0, keepdim=True)
    return Linear(f"mean of channel {channel}", rows, _column(value), True)


def mean_change(shape: Sequence[int], value: Number, channel: int = 0) -> Linear:
    """The mean of ``x[t + 1] - x[t]``, which is ``(x[L - 1] - x[0]) / (L - 1)``."""
    if shape[0] < 2:
        raise ShapeError("a mean change needs at least two moments")
    moments = _moments(shape, channel)
    rows = (moments[-1:] - moments[:1]) / (shape[0] - 1)
    return Linear(f"mean change of channel {channel}", rows, _column(value), True)


def value_at(shape: Sequence[int], time: int | Tensor, value: Number, channel: int = 0) -> Linear:
    """The value at one moment, which may differ between samples: ``time`` is an index or int64 (B,)."""
    moment = f" at time {time}" if isinstance(time, int) else ""
    return Linear(f"value of channel {channel}{moment}", _at(shape, time, channel), _column(value), True)


def argmax_at(shape: Sequence[int], time: int | Tensor, channel: int = 0) -> Linear:
    """The greatest value of a channel stands at ``time``, perhaps beside equals: ``x[i] <= x[time]`` for all i."""
    rows = _others(shape, time, channel) - _at(shape, time, channel)
    return Linear(f"place of the maximum of channel {channel}", rows, rows.new_zeros(shape[0] - 1), False)


def argmin_at(shape: Sequence[int], time: int | Tensor, channel: int = 0) -> Linear:
    """The least value of a channel stands at ``time``, perhaps beside equals."""
    rows = _at(shape, time, channel) - _others(shape, time, channel)
    return Linear(f"place of the minimum of channel {channel}", rows, rows.new_zeros(shape[0] - 1), False)


def ordered(shape: Sequence[int], below: int, above: int) -> Linear:
    """One channel never exceeds another: ``x[t, below] <= x[t, above]``."""
    rows = _moments(shape, below) - _moments(shape, above)
    return Linear(f"channel {below} below channel {above}", rows, rows.new_zeros(shape[0]), False)


def ohlc(shape: Sequence[int], channels: tuple[int, int, int, int] = (0, 1, 2, 3)) -> Ohlc:
    """What holds for any bar of prices; ``channels`` says where open, high, low and close stand."""
    o, h, low, c = (_moments(shape, channel) for channel in channels)
    rows = torch.stack([low - o, low - c, o - h, c - h], 1).flatten(0, 1)
    return Ohlc("open, high, low, close", rows, rows.new_zeros(len(rows)), False, channels)


def _number(value: Number) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64, device="cpu")


def _column(value: Number) -> Tensor:
    """One bound: (1,), or (B, 1)."""
    number = _number(value)
    if number.dim() > 1:
        raise ShapeError(f"a value is one number, or one per sample (B,), got shape {tuple(number.shape)}")
    return number.reshape(*number.shape, 1)


def _rows(shape: Sequence[int], rows: Number, name: str) -> Tensor:
    value = _number(rows)
    if value.shape[-1] != math.prod(shape):
        raise ShapeError(
            f"{name}: a row has {value.shape[-1]} entries, a sample of shape {tuple(shape)} {math.prod(shape)}"
        )
    return value


def _moments(shape: Sequence[int], channel: int) -> Tensor:
    """The rows that pick a channel: (L, n)."""
    if len(shape) != 2 or not 0 <= channel < shape[1]:
        raise ShapeError(f"no channel {channel} in samples of shape {tuple(shape)}: (moments, channels)")
    eye = torch.eye(math.prod(shape), dtype=torch.float64, device="cpu")
    return eye.reshape(*shape, -1)[:, channel]


def _check_times(shape: Sequence[int], time: int | Tensor) -> Tensor:
    times = torch.as_tensor(time, dtype=torch.int64, device="cpu")
    if times.dim() > 1 or (times < 0).any() or (times >= shape[0]).any():
        raise ShapeError(f"a time is one index, or one per sample (B,), from 0 to {shape[0] - 1}")
    return times


def _at(shape: Sequence[int], time: int | Tensor, channel: int) -> Tensor:
    """The row that picks one moment: (1, n), or (B, 1, n)."""
    return _moments(shape, channel)[_check_times(shape, time)].unsqueeze(-2)


def _others(shape: Sequence[int], time: int | Tensor, channel: int) -> Tensor:
    """The rows that pick every other moment: (L - 1, n), or (B, L - 1, n)."""
    times = _check_times(shape, time)
    if shape[0] < 2:
        raise ShapeError("the place of an extreme needs at least two moments")
    others = torch.arange(shape[0] - 1, device=times.device)
    index = others + (others >= times.unsqueeze(-1))
    return _moments(shape, channel)[index]
