"""What the samplers of constrained series share: states in float64, a check before the first step, and the end.

Whatever precision a network has, states and projections are float64, so that what is returned satisfies its constraints
to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bandits.neural.guidance import Diffusion, Restored
from bandits.neural.interfaces import EpsModel
from bandits.neural.noise import Noise
from bandits.neural.projection import Constraints
from bandits.neural.schedule import Schedule

__all__ = ["begin", "finish"]


class _Cast:
    """Plays a model of some precision on states of float64."""

    def __init__(self, model: EpsModel, dtype: torch.dtype) -> None:
        self.model, self.dtype = model, dtype

    def eps(self, z: Tensor, t: Tensor, cond: Any = None) -> Tensor:
        return self.model.eps(z.to(self.dtype), t, cond).to(z.dtype)


def begin(
    model: EpsModel, constraints: Constraints, noise: Noise, schedule: Schedule, **sampler: Any
) -> tuple[Diffusion, Tensor]:
    """Check that the constraints can hold, and draw the first states (B, *shape).

    Args:
        model: Noise model, in the precision of ``noise``.
        constraints: Of the batch.
        noise: One stream per sample.
        schedule: Schedule of the model.
        sampler: steps, offset, eta_d, cond, uncond, scale: see ``Diffusion``.

    Raises:
        InfeasibleError: No series satisfies the constraints of some sample.
        ShapeError: The constraints are for a batch of another size.
    """
    constraints.require_batch(len(noise))
    constraints.require_feasible()
    diffusion = Diffusion(_Cast(model, noise.dtype), schedule, noise, **sampler)
    return diffusion, noise.normal(*constraints.shape).double()


def finish(diffusion: Diffusion, z: Tensor, **flags: Any) -> Restored:
    """What a sampler hands back: the series, and what was counted."""
    return Restored(z, z, diffusion.forward, diffusion.backward, flags)
