"""What the trials of inverse problems share: operators and methods by name, and chains that share a measurement."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bandits.neural.degradations import box_mask, gaussian_kernel, motion_kernel, random_mask
from bandits.neural.guidance import Restored
from bandits.neural.interfaces import Codec, EpsModel
from bandits.neural.noise import Noise
from bandits.neural.operators import AveragePool, Blur, Inpainting, SpectralOp
from bandits.neural.schedule import Schedule

from .controls import codec_ceiling, zero_fill
from .ddrm import ddrm
from .dps import dps
from .gml_dps import gml_dps
from .latent_dps import latent_dps
from .mcg import mcg
from .psld import psld
from .stsl import stsl, stsl_biased

__all__ = ["Chains", "operator_of", "photograph_operator", "restore"]

LATENT = {"latent_dps": latent_dps, "gml_dps": gml_dps, "psld": psld, "stsl": stsl, "stsl_biased": stsl_biased}
PIXEL = {"dps": dps, "mcg": mcg, "ddrm": ddrm}


def operator_of(name: str, shape: tuple[int, ...], noise: Noise, repeats: int = 1) -> SpectralOp:
    """The operator of that name for images (C, H, W); what it draws for an image is repeated for so many chains."""
    side = min(shape[1:])
    if name == "random":
        return Inpainting(random_mask(noise, shape).repeat_interleave(repeats, 0), shape)
    if name == "box":
        return Inpainting(box_mask(shape, side // 2).to(noise.device), shape)
    if name == "pool":
        return AveragePool(2, shape)
    size = side // 2 + 1 - side // 2 % 2
    if name == "gaussian_blur":
        return Blur(gaussian_kernel(size, side / 8).to(noise.device, noise.dtype), shape)
    return Blur(motion_kernel(noise, size).repeat_interleave(repeats, 0), shape)


def photograph_operator(name: str, shape: tuple[int, ...], noise: Noise, factor: int = 4) -> SpectralOp:
    """The operator of that name for photographs (C, H, W), with the sizes of the authors' code of PSLD.

    Blurs have kernels of 121 pixels for images of 512, and of as much less for smaller ones; the Gaussian has a
    standard deviation of 3 pixels, and the path of the motion turns with the intensity 0.5.
    """
    side = min(shape[1:])
    size = max(3, round(121 * side / 512) | 1)
    if name == "pool":
        return AveragePool(factor, shape)
    if name == "gaussian_blur":
        return Blur(gaussian_kernel(size, min(3.0, side / 8)).to(noise.device, noise.dtype), shape)
    if name == "motion_blur":
        return Blur(motion_kernel(noise, size, intensity=0.5), shape)
    return operator_of(name, shape, noise)


def restore(
    method: str,
    operator: SpectralOp,
    y: Tensor,
    noise: Noise,
    schedule: Schedule,
    *,
    latent: EpsModel | None = None,
    codec: Codec | None = None,
    pixel: EpsModel | None = None,
    truth: Tensor | None = None,
    **parameters: Any,
) -> Restored:
    """Apply the method of that name, with the models that it needs; ``codec_ceiling`` alone sees the truth."""
    if method == "zero_fill":
        return zero_fill(operator, y, **parameters)
    if method == "codec_ceiling":
        assert codec is not None and truth is not None
        return codec_ceiling(codec, truth)
    if method in PIXEL:
        assert pixel is not None
        return PIXEL[method](pixel, operator, y, noise, schedule, **parameters)
    assert latent is not None and codec is not None
    return LATENT[method](latent, codec, operator, y, noise, schedule, **parameters)


class Chains(Noise):
    """Streams of replications, each shared out to so many chains: what a replication's chains draw is its own."""

    def __init__(self, inner: Noise, chains: int) -> None:
        self._inner, self._chains = inner, chains
        self.device, self.dtype = inner.device, inner.dtype

    def __len__(self) -> int:
        """Number of chains of all replications."""
        return len(self._inner) * self._chains

    def normal(self, *shape: int) -> Tensor:
        """Standard normal draws, (replications x chains, *shape)."""
        return self._inner.normal(self._chains, *shape).flatten(0, 1)

    def uniform(self, *shape: int) -> Tensor:
        """Draws from [0, 1), (replications x chains, *shape)."""
        return self._inner.uniform(self._chains, *shape).flatten(0, 1)

    def permutation(self, n: int) -> Tensor:
        """A random order of 0 .. n-1 for each chain, int64 (replications x chains, n)."""
        return torch.cat([self._inner.permutation(n) for _ in range(self._chains)], 1).reshape(len(self), n)
