"""STSL: a second-order Tweedie correction by a surrogate loss (Rout et al., CVPR 2024), and its first-order control.

Each inner step minimises

    omega l(A D(zhat_0) - y) + (w / n) xi^T (s(z + delta xi) - s(z)) / delta,   xi ~ N(0, I)

with the score s and n latent dimensions. The second term estimates the trace of the Hessian of log p_t, and so, by
Tweedie's second formula, the posterior's spread, without a Hessian. After K inner steps comes one deterministic DDIM
step, from the improved z.

Written from summaries of the paper, not from its text: the value of omega and the weight of the trace are not
confirmed. The weight "kappa", ``w = eta (1 - alpha_t)^2 / alpha_t``, is derived from Tweedie's formula by this project;
the paper's is constant, ``w = eta``.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from bandits.errors import BadParameter
from bandits.neural.checks import at_least, choice
from bandits.neural.guidance import Diffusion, Distance, Restored, check_weights, distance, play, start
from bandits.neural.interfaces import Codec, EpsModel, LinearOp
from bandits.neural.noise import Noise
from bandits.neural.schedule import Schedule

__all__ = ["Start", "TraceMode", "TraceWeight", "stsl", "stsl_biased"]

Start: TypeAlias = Literal["gaussian", "ddim_forward"]
TraceMode: TypeAlias = Literal["paper", "small_delta"]
TraceWeight: TypeAlias = Literal["const", "kappa"]


def stsl(
    model: EpsModel,
    codec: Codec,
    operator: LinearOp,
    y: Tensor,
    noise: Noise,
    schedule: Schedule,
    *,
    omega: float = 1.0,
    eta: float = 0.02,
    loss: Distance = "norm",
    inner: int = 5,
    start_from: Start = "ddim_forward",
    trace_mode: TraceMode = "small_delta",
    trace_weight: TraceWeight = "kappa",
    init: Tensor | None = None,
    steps: int = 50,
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
        eta: Weight of the trace; 0 leaves it out, and its evaluations of the network.
        loss: "norm" ``||r||`` or "sq" ``||r||^2``.
        inner: Gradient steps K before each step of the sampler.
        start_from: "ddim_forward" leads ``E(A^T y)`` to the last index by deterministic steps; "gaussian" draws.
        trace_mode: "paper" perturbs by delta = 1, far beyond where a network was trained when little noise is left;
            "small_delta" by ``0.1 sqrt(1 - alpha_t)``.
        trace_weight: "const" or "kappa", see above.
        init: Latents to start from, instead of either.
        steps: Steps of the sampler.
        sampler: offset, cond, uncond, scale: see ``Diffusion``.

    Returns:
        The result; its flags name the mode and ``paper_nfe``, steps x inner, which is how the paper counts.
    """
    check_weights(omega=omega, eta=eta)
    choice("start_from", start_from, get_args(Start))
    choice("trace_mode", trace_mode, get_args(TraceMode))
    choice("trace_weight", trace_weight, get_args(TraceWeight))
    at_least("inner", inner, 1)
    if sampler.get("eta_d"):
        raise BadParameter(f"eta_d must be 0, got {sampler['eta_d']!r}: STSL takes deterministic steps")
    length = distance(loss)
    diffusion = Diffusion(model, schedule, noise, steps=steps, **sampler)
    z = start(codec, operator, y, noise, init)
    if init is None and start_from == "ddim_forward":
        with torch.no_grad():
            z = diffusion.invert(codec.encode(operator.At(y)))

    def update(z: Tensor, t: int, earlier: int) -> Tensor:
        alpha = schedule.alpha(t)
        delta = 1.0 if trace_mode == "paper" else 0.1 * math.sqrt(1 - alpha)
        weight = eta * ((1 - alpha) ** 2 / alpha if trace_weight == "kappa" else 1.0) / z[0].numel()
        for _ in range(inner):
            z = z.detach().requires_grad_()
            eps, clean = diffusion.denoise(z, t)
            surrogate = omega * length(operator.A(codec.decode(clean)) - y)
            if eta > 0:
                xi = noise.normal(*z.shape[1:])
                bend = -(diffusion.eps(z + delta * xi, t) - eps) / math.sqrt(1 - alpha)  # s(z + delta xi) - s(z)
                surrogate = surrogate + weight * (xi * bend).flatten(1).sum(1) / delta
            z = z - diffusion.gradient(surrogate, z)
        with torch.no_grad():
            eps, clean = diffusion.denoise(z.detach(), t)
        return diffusion.step(clean, eps, t, earlier)

    z = play(diffusion, z, update)
    mode = {"trace_mode": trace_mode, "trace_weight": trace_weight} if eta > 0 else {"trace_mode": "none"}
    return diffusion.restored(codec, z, paper_nfe=steps * inner, start_from=start_from, **mode)


def stsl_biased(
    model: EpsModel,
    codec: Codec,
    operator: LinearOp,
    y: Tensor,
    noise: Noise,
    schedule: Schedule,
    **parameters: Any,
) -> Restored:
    """The first-order control of STSL: no trace, one inner step; the rest as of ``stsl``."""
    return stsl(model, codec, operator, y, noise, schedule, eta=0.0, inner=1, **parameters)
