"""MCG: DPS on pixels with a hard projection after each step (Chung et al., NeurIPS 2022).

After the guided step to the earlier alpha, what is measured is overwritten by the measurement, noised to that alpha:

    x <- A^T y_p + (I - A^T A) x,   y_p = sqrt(alpha_p) y + sqrt(1 - alpha_p) A xi
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from bandits.neural.analytic import IdentityCodec
from bandits.neural.guidance import (
    Diffusion,
    Distance,
    Projection,
    Restored,
    check_weights,
    distance,
    guided,
    projector,
    start,
)
from bandits.neural.interfaces import EpsModel, LinearOp
from bandits.neural.noise import Noise
from bandits.neural.schedule import Schedule

__all__ = ["mcg"]


def mcg(
    model: EpsModel,
    operator: LinearOp,
    y: Tensor,
    noise: Noise,
    schedule: Schedule,
    *,
    omega: float = 1.0,
    loss: Distance = "norm",
    projection: Projection = "pinv",
    init: Tensor | None = None,
    steps: int = 1000,
    **sampler: Any,
) -> Restored:
    """Restore data from measurements y (B, *out_shape) with a noise model on pixels.

    ``projection`` says what stands for A^T in the projection, which needs the pseudo-inverse to be one wherever A^T A
    is none; the rest as in ``latent_dps``.
    """
    check_weights(omega=omega)
    length, back, codec = distance(loss), projector(operator, projection), IdentityCodec()
    diffusion = Diffusion(model, schedule, noise, steps=steps, **sampler)

    def misfit(clean: Tensor) -> Tensor:
        return omega * length(operator.A(clean) - y)

    def overwrite(x: Tensor, earlier: int) -> Tensor:
        alpha = schedule.alpha(earlier)
        y_p = math.sqrt(alpha) * y + math.sqrt(1 - alpha) * operator.A(noise.normal(*operator.in_shape))
        return x + back(y_p - operator.A(x))

    x = guided(diffusion, start(codec, operator, y, noise, init), misfit, project=overwrite)
    return diffusion.restored(codec, x, projection=projection)
