"""PDM: projected diffusion models (Christopher, Baek and Fioretto, NeurIPS 2024), as a baseline of CPS.

The noisy state itself is projected after every step:

    z = P_C(sqrt(alpha_p) zhat0 + sqrt(1 - alpha_p - sig^2) e + sig xi)

Assumption, from memory: the paper projects within the inner loops of annealed Langevin sampling; here it is done after
the steps of the DDIM sampler that all arms share.
"""

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

__all__ = ["pdm"]


def pdm(
    model: EpsModel,
    constraints: Constraints,
    noise: Noise,
    schedule: Schedule,
    *,
    steps: int = 50,
    eta_d: float = 0.0,
    **sampler: Any,
) -> Restored:
    """Sample series that satisfy their constraints by projecting every state. Parameters as in `cps`."""
    diffusion, z = begin(model, constraints, noise, schedule, steps=steps, eta_d=eta_d, **sampler)

    def update(z: Tensor, t: int, earlier: int) -> Tensor:
        e, clean = diffusion.denoise(z, t)
        return constraints.project(diffusion.step(clean, e, t, earlier))

    with torch.no_grad():
        return finish(diffusion, play(diffusion, z, update))
