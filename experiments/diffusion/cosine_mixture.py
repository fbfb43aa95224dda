"""Images whose posterior under any linear measurement is known: smooth cosines, weighted by a mixture of Gaussians."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from bandits.neural.analytic import GMMEps, LinearCodec, Mixture
from bandits.neural.operators import SpectralOp
from bandits.neural.schedule import linear

__all__ = ["SHAPE", "CosineMixture"]

SHAPE = (1, 8, 8)
LATENTS, COMPONENTS = 8, 4


class CosineMixture:
    """Exact models of the images, on latents and on pixels.

    Attributes:
        codec: Latents are the coefficients of the smoothest cosines.
        latent: Noise model of the latents.
        pixel: Noise model of the images, which all lie in the span of the cosines.
        schedule: Schedule of both.
    """

    def __init__(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        exact: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}
        place = (torch.arange(8, **exact) + 0.5) * math.pi / 8
        waves = torch.stack([(k * place).cos() * (1 if k else math.sqrt(0.5)) / 2 for k in range(8)])
        smooth = sorted((i + j, i, j) for i in range(8) for j in range(8))[:LATENTS]
        S = torch.stack([torch.outer(waves[i], waves[j]).flatten() for _, i, j in smooth], 1)
        draw = torch.Generator("cpu").manual_seed(0)
        means = 1.5 * torch.randn(COMPONENTS, LATENTS, generator=draw, **exact)
        factors = 0.4 * torch.randn(COMPONENTS, LATENTS, LATENTS, generator=draw, **exact)
        covariances = factors @ factors.mT / LATENTS + 0.05 * torch.eye(LATENTS, **exact)
        weights = torch.tensor([0.4, 0.3, 0.2, 0.1], **exact)
        self.schedule = linear()

        def model(means: Tensor, covariances: Tensor) -> GMMEps:
            w, mu, sigma = (part.to(device, dtype) for part in (weights, means, covariances))
            return GMMEps(w, mu, sigma, self.schedule)

        self.codec = LinearCodec(S.to(device, dtype), SHAPE)
        self.latent, self.pixel = model(means, covariances), model(means @ S.T, S @ covariances @ S.T)

    def posterior(self, operator: SpectralOp, y: Tensor, sigma_y: float) -> Mixture:
        """Law of the latents for each measurement y (B, ...)."""
        waves = self.codec.S.T.reshape(-1, *SHAPE)
        columns = [operator.A(wave.expand(len(y), *SHAPE)).flatten(1) for wave in waves]
        return self.latent.law.given(torch.stack(columns, -1), y.flatten(1), sigma_y)
