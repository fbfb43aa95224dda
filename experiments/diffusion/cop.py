"""COP: constrained optimisation around a given series (after Coletta et al., NeurIPS 2023), a baseline of CPS.

    minimise  1/2 |x - seed|^2 + realism/2 |x - D(x)|^2   over  x in C

The seed is a real series, or a sample. The realism term is ours [derived], since the paper's was not at hand: D(x) is
the model's denoiser at a low noise level, which leaves likely series alone. Solved by projected gradient descent with
Nesterov's momentum, restarted whenever it points uphill (O'Donoghue and Candes, 2015), for each sample on its own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from bandits.errors import BadParameter
from bandits.neural.checks import at_least, whole
from bandits.neural.errors import ShapeError
from bandits.neural.guidance import Restored, check_weights
from bandits.neural.interfaces import EpsModel
from bandits.neural.noise import Noise
from bandits.neural.projection import Constraints
from bandits.neural.schedule import Schedule

from .constrained import begin, finish

__all__ = ["cop"]


def cop(
    model: EpsModel,
    constraints: Constraints,
    noise: Noise,
    schedule: Schedule,
    *,
    seeds: Tensor,
    realism: float = 1.0,
    level: int | None = None,
    rate: float = 0.2,
    iterations: int = 100,
    **sampler: Any,
) -> Restored:
    """Change series as little as the constraints and the model ask for.

    Args:
        model: Noise model of series, differentiable.
        constraints: What must hold.
        noise: One stream per sample; only its precision is used.
        schedule: Schedule of the model.
        seeds: Series to start from, (B, *shape).
        realism: Weight of the realism term.
        level: Index of the schedule at which the model denoises; a tenth of the schedule if not given.
        rate: Step size; too large a one diverges.
        iterations: Steps of the descent.
        sampler: cond, uncond, scale: see ``Diffusion``.
    """
    check_weights(realism=realism, rate=rate)
    at_least("iterations", iterations, 1)
    if level is not None:
        whole("level", level, 0, len(schedule) - 1, "an index of the schedule")
    if not isinstance(seeds, Tensor):
        raise BadParameter(f"seeds must be a tensor of series (B, *shape), got {seeds!r}")
    diffusion, first = begin(model, constraints, noise, schedule, steps=1, **sampler)
    if seeds.shape != first.shape:
        raise ShapeError(f"seeds have shape {tuple(seeds.shape)}, expected {tuple(first.shape)}")
    t = len(schedule) // 10 if level is None else level
    scale = math.sqrt(schedule.alpha(t))
    seeds = seeds.double()
    x = ahead = constraints.project(seeds)
    momentum = torch.ones(len(x), dtype=x.dtype, device=x.device)
    for _ in range(iterations):
        ahead = ahead.detach().requires_grad_()
        unlike = ahead - diffusion.denoise(scale * ahead, t)[1]
        losses = ((ahead - seeds).square() + realism * unlike.square()).flatten(1).sum(1) / 2
        gradient = diffusion.gradient(losses, ahead)
        new = constraints.project(ahead.detach() - rate * gradient)
        uphill = ((ahead.detach() - new) * (new - x)).flatten(1).sum(1) > 0
        momentum = torch.where(uphill, 1.0, momentum)
        later = (1 + (1 + 4 * momentum**2).sqrt()) / 2
        share = torch.where(uphill, 0.0, (momentum - 1) / later).reshape(-1, *[1] * (x.dim() - 1))
        ahead, x, momentum = new + share * (new - x), new, later
    return finish(diffusion, x)
