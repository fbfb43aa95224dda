"""Nearest points that a formula gives, for a whole batch at once, on any device.

Coordinates are the last axis throughout, and x is (B, n).
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

__all__ = ["nearest_bar", "nearest_in_ball", "nearest_on_plane", "toward_ball"]

# Bars (open, high, low, close), ordered low <= open, close <= high: the sets that hold with an entry all that lie above
# it (upper), or all that lie below it (lower); the whole bar is both.
_UPPER = [(1,), (0, 1), (1, 3), (0, 1, 3), (0, 1, 2, 3)]
_LOWER = [(2,), (0, 2), (2, 3), (0, 2, 3), (0, 1, 2, 3)]


def nearest_in_ball(x: Tensor, centre: Tensor, radius: Tensor) -> Tensor:
    """``centre + (x - centre) min(1, radius / |x - centre|)``; centre (n,) or (B, n), radius () or (B,)."""
    return toward_ball(x, centre, radius, float("inf"))


def toward_ball(x: Tensor, centre: Tensor, radius: Tensor, furthest: float) -> Tensor:
    """Move straight towards a ball until it is reached, or as far as ``furthest``."""
    offset = x - centre
    distance = torch.linalg.vector_norm(offset, dim=-1, keepdim=True)
    way: Tensor = (distance - radius.unsqueeze(-1)).clamp(0, furthest)
    moved: Tensor = x - offset * (way / distance.clamp_min(torch.finfo(x.dtype).tiny))
    return moved


def nearest_on_plane(x: Tensor, rows: Tensor, inverse: Tensor, values: Tensor) -> Tensor:
    """``x - A+ (A x - b)`` with the pseudo-inverse A+: rows A (G, m, n), inverse (G, n, m), G being 1 or B."""
    excess = (rows @ x.unsqueeze(-1)).squeeze(-1) - values
    return x - (inverse @ excess.unsqueeze(-1)).squeeze(-1)


def nearest_bar(bars: Tensor) -> Tensor:
    """Nearest bars (open, high, low, close) with ``low <= min(open, close)``, ``high >= max(open, close)``: (..., 4).

    This is least-squares isotonic regression on a partial order of four elements, for which the max-min formula holds
    (Robertson, Wright and Dykstra, "Order Restricted Statistical Inference", 1988, theorem 1.4.4): the entry at i is

        max over upper sets U with i of  min over lower sets D with i of  the mean of the bar's entries in both.
    """
    entries, parts = [], bars.unbind(-1)
    for i in range(4):
        uppers = [set(upper) for upper in _UPPER if i in upper]
        lowers = [set(lower) for lower in _LOWER if i in lower]
        both = [[parts[j] for j in sorted(upper & lower)] for upper, lower in product(uppers, lowers)]
        means = [torch.stack(chosen, -1).mean(-1) for chosen in both]
        table = torch.stack(means, -1).reshape(*bars.shape[:-1], len(uppers), len(lowers))
        entries.append(table.amin(-1).amax(-1))
    return torch.stack(entries, -1)
