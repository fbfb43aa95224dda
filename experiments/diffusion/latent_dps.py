"""Latent DPS: diffusion posterior sampling carried over to latents, the plain control of PSLD.

Minimises, with the gradient taken through the noise model and the decoder,

    omega l(A D(zhat_0) - y)

Many latents decode to an image that fits y, and nothing here chooses among them (Rout et al., "Solving Linear Inverse
Problems Provably via Posterior Sampling with Latent Diffusion Models", NeurIPS 2023, where it is called LDPS).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bandits.neural.guidance import Diffusion, Distance, Restored, check_weights, distance, guided, start
from bandits.neural.interfaces import Codec, EpsModel, LinearOp
from bandits.neural.noise import Noise
from bandits.neural.schedule import Schedule

__all__ = ["latent_dps"]


def latent_dps(
    model: EpsModel,
    codec: Codec,
    operator: LinearOp,
    y: Tensor,
    noise: Noise,
    schedule: Schedule,
    *,
    omega: float = 1.0,
    loss: Distance = "norm",
    init: Tensor | None = None,
    steps: int = 1000,
    **sampler: Any,
) -> Restored:
    """Restore data from measurements y (B, *out_shape).

    Args:
        model: Noise model on latents.
        codec: Encoder and decoder.
        operator: A.
        y: Measurements.
        noise: One stream per sample.
        schedule: Schedule of the model.
        omega: Weight of the measurement.
        loss: "norm" ``||r||`` or "sq" ``||r||^2``.
        init: Latents to start from; normal draws if not given.
        steps: Steps of the sampler.
        sampler: offset, eta_d, cond, uncond, scale: see ``Diffusion``.
    """
    check_weights(omega=omega)
    length = distance(loss)
    diffusion = Diffusion(model, schedule, noise, steps=steps, **sampler)

    def misfit(clean: Tensor) -> Tensor:
        return omega * length(operator.A(codec.decode(clean)) - y)

    z = guided(diffusion, start(codec, operator, y, noise, init), misfit)
    return diffusion.restored(codec, z)
