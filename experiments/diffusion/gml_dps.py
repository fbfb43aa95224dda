"""GML-DPS: latent DPS that also asks latents to survive decoding and encoding, a control of PSLD.

    omega l(A D(zhat_0) - y) + gamma l(zhat_0 - E(D(zhat_0)))

The second term pulls towards latents that the codec maps to themselves, whatever was measured (Rout et al., NeurIPS
2023, "goodness modified latent"). Where E D = I it is 0 and the method is latent DPS.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bandits.neural.guidance import Diffusion, Distance, Restored, check_weights, distance, guided, start
from bandits.neural.interfaces import Codec, EpsModel, LinearOp
from bandits.neural.noise import Noise
from bandits.neural.schedule import Schedule

__all__ = ["gml_dps"]


def gml_dps(
    model: EpsModel,
    codec: Codec,
    operator: LinearOp,
    y: Tensor,
    noise: Noise,
    schedule: Schedule,
    *,
    omega: float = 1.0,
    gamma: float = 0.1,
    loss: Distance = "norm",
    init: Tensor | None = None,
    steps: int = 1000,
    **sampler: Any,
) -> Restored:
    """Restore data from measurements y (B, *out_shape); ``gamma`` weighs the second term."""
    check_weights(omega=omega, gamma=gamma)
    length = distance(loss)
    diffusion = Diffusion(model, schedule, noise, steps=steps, **sampler)

    def misfit(clean: Tensor) -> Tensor:
        x = codec.decode(clean)
        return omega * length(operator.A(x) - y) + gamma * length(clean - codec.encode(x))

    z = guided(diffusion, start(codec, operator, y, noise, init), misfit)
    return diffusion.restored(codec, z)
