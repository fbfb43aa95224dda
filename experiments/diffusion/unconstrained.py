"""Plain sampling: what comes out when nobody asks for the constraints."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bandits.neural.guidance import Restored, play
from bandits.neural.interfaces import EpsModel
from bandits.neural.noise import Noise
from bandits.neural.projection import Constraints
from bandits.neural.schedule import Schedule

from .constrained import begin, finish

__all__ = ["unconstrained"]


def unconstrained(
    model: EpsModel,
    constraints: Constraints,
    noise: Noise,
    schedule: Schedule,
    *,
    steps: int = 50,
    eta_d: float = 0.0,
    **sampler: Any,
) -> Restored:
    """Sample series; of the constraints only the shape is used. Parameters as in `cps`."""
    diffusion, z = begin(model, constraints, noise, schedule, steps=steps, eta_d=eta_d, **sampler)

    def update(z: Tensor, t: int, earlier: int) -> Tensor:
        e, clean = diffusion.denoise(z, t)
        return diffusion.step(clean, e, t, earlier)

    with torch.no_grad():
        return finish(diffusion, play(diffusion, z, update))
