"""DDRM: denoising diffusion restoration models, a linear baseline on pixels (Kawar et al., NeurIPS 2022).

With A = U diag(s) V^T and noise levels sigma of the variance-exploding process x_t = x_0 + sigma_t n, each coordinate
of V^T x is drawn anew around the estimate xb of the clean data and the measurement ybar = s^+ U^T y:

    s = 0:                 N(xb + sqrt(1 - eta^2) sigma_t (x_{t+1} - xb) / sigma_{t+1}, eta^2 sigma_t^2)
    sigma_t < sigma_y / s: N(xb + sqrt(1 - eta^2) sigma_t (ybar - xb) / (sigma_y / s), eta^2 sigma_t^2)
    sigma_t >= sigma_y / s: N((1 - eta_b) xb + eta_b ybar, sigma_t^2 - eta_b^2 sigma_y^2 / s^2)

No gradient is taken. The update and eta = 0.85, eta_b = 1 were written down from memory of the paper. V is orthogonal,
so noise is drawn on pixels and only weighed by s.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from bandits.neural.analytic import IdentityCodec
from bandits.neural.checks import probability
from bandits.neural.guidance import Diffusion, Restored, check_weights, play, start
from bandits.neural.interfaces import EpsModel
from bandits.neural.noise import Noise
from bandits.neural.operators import SpectralOp
from bandits.neural.schedule import Schedule

__all__ = ["ddrm"]


def ddrm(
    model: EpsModel,
    operator: SpectralOp,
    y: Tensor,
    noise: Noise,
    schedule: Schedule,
    *,
    sigma_y: float = 0.0,
    eta: float = 0.85,
    eta_b: float = 1.0,
    steps: int = 20,
    **sampler: Any,
) -> Restored:
    """Restore data from measurements y (B, *out_shape) with a noise model on pixels.

    Args:
        model: Noise model on pixels.
        operator: A, with its singular values.
        y: Measurements.
        noise: One stream per sample.
        schedule: Schedule of the model.
        sigma_y: Standard deviation of the measurement's noise.
        eta: Share of fresh noise where nothing, or too little, was measured.
        eta_b: Weight of the measurement where it is more certain than x_t.
        steps: Steps of the sampler.
        sampler: offset, cond, uncond, scale: see ``Diffusion``.
    """
    check_weights(sigma_y=sigma_y)
    probability("eta", eta)
    probability("eta_b", eta_b)
    diffusion = Diffusion(model, schedule, noise, steps=steps, **sampler)
    codec, spectral = IdentityCodec(), operator.spectral
    n = start(codec, operator, y, noise)
    ybar = operator.pinv(y)

    def sigma(t: int) -> float:
        return math.sqrt(1 / schedule.alpha(t) - 1)

    def update(z: Tensor, t: int, earlier: int) -> Tensor:
        after, now, fresh = sigma(t), sigma(earlier), noise.normal(*z.shape[1:])
        x, clean = z / math.sqrt(schedule.alpha(t)), diffusion.denoise(z, t)[1]
        kept = math.sqrt(1 - eta**2)
        moved = (
            clean
            + spectral(x - clean, lambda s: (s == 0) * (kept * now / after))
            + spectral(ybar - clean, lambda s: _share(s, now, sigma_y, kept, eta_b))
            + spectral(fresh, lambda s: _spread(s, now, sigma_y, eta, eta_b))
        )
        return math.sqrt(schedule.alpha(earlier)) * moved

    top = diffusion.times[0][0]
    with torch.no_grad():
        x = spectral(ybar, lambda s: (s * sigma(top) >= sigma_y) & (s > 0))
        x = x + spectral(n, lambda s: _spread(s, sigma(top), sigma_y, 1.0, 1.0))
        x = play(diffusion, math.sqrt(schedule.alpha(top)) * x, update)
    return diffusion.restored(codec, x)


def _share(s: Tensor, sigma: float, sigma_y: float, kept: float, eta_b: float) -> Tensor:
    """Weight of ybar - xb for each singular value."""
    sure = s * sigma >= sigma_y
    unsure_share = kept * sigma * s / sigma_y if sigma_y > 0 else torch.zeros_like(s)
    return torch.where(sure, torch.full_like(s, eta_b), unsure_share) * (s > 0)


def _spread(s: Tensor, sigma: float, sigma_y: float, eta: float, eta_b: float) -> Tensor:
    """Standard deviation of the fresh noise for each singular value."""
    sure = (s * sigma >= sigma_y) & (s > 0)
    left = (sigma**2 - (eta_b * sigma_y / s.clamp(min=1e-30)) ** 2).clamp(min=0).sqrt()
    return torch.where(sure, left, torch.full_like(s, eta * sigma))
