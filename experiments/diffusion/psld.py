"""PSLD: posterior sampling with latent diffusion (Rout et al., NeurIPS 2023).

    omega l(A D(zhat_0) - y) + gamma l(zhat_0 - E(A^T y + (I - A^T A) D(zhat_0)))

The second term, the gluing, asks the latents to be a fixed point of decoding, overwriting what was measured, encoding.
Follows the authors' code; the theorems were not read in the paper's text. With fixed weights the method converges to a
point that fits the measurement: it does not sample the posterior of a noisy one.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bandits.neural.checks import yes_or_no
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
from bandits.neural.identifiability import describe, null_dimension
from bandits.neural.interfaces import Codec, EpsModel, LinearOp
from bandits.neural.noise import Noise
from bandits.neural.operators import renoised
from bandits.neural.schedule import Schedule

__all__ = ["psld"]


def psld(
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
    projection: Projection = "adjoint",
    renoise_prediction: bool = False,
    sigma_y: float = 0.0,
    identify: bool = True,
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
        gamma: Weight of the gluing.
        loss: "norm" ``||r||``, as in the authors' code, or "sq" ``||r||^2``, as in the paper's algorithm.
        projection: What stands for A^T in the gluing: "adjoint", or "pinv" where A^T A is no projection.
        renoise_prediction: Add fresh noise of ``sigma_y`` to the predicted measurement, as the authors' code does.
        sigma_y: Standard deviation of that noise; used for nothing else.
        identify: Find out how many latent directions the measurement leaves open: the flags ``identifiable``,
            ``null_dimension`` (B,), ``null_dimension_exact`` and ``diagnosis``.
        init: Latents to start from; normal draws if not given.
        steps: Steps of the sampler.
        sampler: offset, eta_d, cond, uncond, scale: see ``Diffusion``.
    """
    check_weights(omega=omega, gamma=gamma, sigma_y=sigma_y)
    yes_or_no("renoise_prediction", renoise_prediction)
    yes_or_no("identify", identify)
    length, back = distance(loss), projector(operator, projection)
    diffusion = Diffusion(model, schedule, noise, steps=steps, **sampler)

    def misfit(clean: Tensor) -> Tensor:
        x = codec.decode(clean)
        predicted = operator.A(x)
        seen = renoised(operator, predicted, sigma_y, noise) if renoise_prediction else predicted
        glued = codec.encode(back(y) + x - back(predicted))
        return omega * length(seen - y) + gamma * length(clean - glued)

    z = guided(diffusion, start(codec, operator, y, noise, init), misfit)
    flags: dict[str, Any] = {"projection": projection}
    if identify:
        dimension, exact = null_dimension(codec, operator, z)
        flags |= {"identifiable": not bool(dimension.any()), "null_dimension": dimension}
        flags |= {"null_dimension_exact": exact, "diagnosis": describe(dimension)}
    return diffusion.restored(codec, z, **flags)
