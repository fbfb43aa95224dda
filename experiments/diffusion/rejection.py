"""Rejection: sample freely until the constraints happen to hold. Exact where it answers at all, and rarely does.

A set with an equality is met with probability zero, so that only a tolerance makes acceptance possible; the share of
accepted draws is what this baseline is for.
"""

from __future__ import annotations

from typing import Any

import torch

from bandits.neural.checks import at_least, not_negative
from bandits.neural.guidance import Restored
from bandits.neural.interfaces import EpsModel
from bandits.neural.noise import Noise
from bandits.neural.projection import Constraints
from bandits.neural.schedule import Schedule

from .unconstrained import unconstrained

__all__ = ["rejection"]


def rejection(
    model: EpsModel,
    constraints: Constraints,
    noise: Noise,
    schedule: Schedule,
    *,
    tries: int = 10,
    tolerance: float = 1e-6,
    **sampler: Any,
) -> Restored:
    """Sample freely up to ``tries`` times, and keep each sample's first draw within the tolerance.

    Args:
        model: Noise model of series.
        constraints: What must hold.
        noise: One stream per sample.
        schedule: Schedule of the model.
        tries: Draws of each sample.
        tolerance: Largest violation that is accepted.
        sampler: steps, eta_d, ...: see `unconstrained`.

    Returns:
        The kept draws, or the one that breaks the constraints least where none was accepted. Flags: ``accepted`` (B,)
        and ``draws`` (B,), how many were accepted of the ``tries`` of each sample.
    """
    at_least("tries", tries, 1)
    not_negative("tolerance", tolerance)
    first = unconstrained(model, constraints, noise, schedule, **sampler)
    best, least, forward = first.x, constraints.largest_violation(first.x), first.forward
    draws = (least <= tolerance).long()
    for _ in range(tries - 1):
        drawn = unconstrained(model, constraints, noise, schedule, **sampler)
        forward += drawn.forward
        violation = constraints.largest_violation(drawn.x)
        better = (least > tolerance) & (violation < least)
        best = torch.where(better.reshape(-1, *[1] * (best.dim() - 1)), drawn.x, best)
        least = torch.where(better, violation, least)
        draws = draws + (violation <= tolerance)
    return Restored(best, best, forward, 0, {"accepted": least <= tolerance, "draws": draws})
