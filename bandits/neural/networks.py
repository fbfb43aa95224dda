"""Small networks for data of an image's or a series' size: noise predictors, and codecs.

All take data of any shape (B, ...) and give back what went in; what a network needs to know of the shape is said when
it is built. Samples of a batch never influence one another: there is no normalisation over the batch.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["VAE", "Autoencoder", "EpsMLP", "EpsSeries", "EpsUNet", "frequencies", "mlp", "time_features"]


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers of these widths with SiLU between them."""
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(widths)):
        layers += [nn.Linear(before, after)] + ([nn.SiLU()] if i < len(widths) - 2 else [])
    return nn.Sequential(*layers)


def time_features(t: Tensor, size: int, dtype: torch.dtype = torch.float32, longest: float = 10_000.0) -> Tensor:
    """Sines and cosines of times (B,) at frequencies from 1 down to 1 / longest: (B, size)."""
    wide = torch.promote_types(dtype, torch.float32)
    angles = t.to(wide)[:, None] * frequencies(size // 2, longest, t.device, wide)
    return torch.cat([angles.sin(), angles.cos()], dim=1).to(dtype)


@cache
def frequencies(count: int, longest: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """So many, evenly spaced in logarithm, (count,); taken on the CPU, for a device may round powers differently."""
    exponents = torch.arange(count, device="cpu", dtype=torch.float32) / max(count - 1, 1)
    return (longest**-exponents).to(device=device, dtype=dtype)


class EpsMLP(nn.Module):
    """Noise predictor on flattened data: an `EpsModel`.

    Args:
        size: Numbers in one sample.
        width: Width of each hidden layer.
        depth: Number of hidden layers.
        features: Sines and cosines of the time.
    """

    def __init__(self, size: int, width: int = 384, depth: int = 3, features: int = 32) -> None:
        super().__init__()
        self.features = features
        self.net = mlp(size + features, *[width] * depth, size)

    def eps(self, z: Tensor, t: Tensor, cond: Any = None) -> Tensor:
        """Noise in ``z`` (B, ...) at the indices ``t`` (B,)."""
        dtype = next(self.parameters()).dtype
        times = time_features(t, self.features, dtype)
        out: Tensor = self.net(torch.cat([z.flatten(1).to(dtype), times], dim=1))
        return out.reshape(z.shape).to(z.dtype)

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        """The same as `eps`."""
        return self.eps(z, t)


class EpsUNet(nn.Module):
    """Noise predictor on small images: two resolutions, a residual block on each side of the skip.

    Args:
        channels: Channels of an image.
        width: Channels at full resolution; twice as many at half.
        features: Sines and cosines of the time.
    """

    def __init__(self, channels: int = 1, width: int = 32, features: int = 32) -> None:
        super().__init__()
        self.features = features
        self.time = mlp(features, 4 * width, 4 * width)
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        self.down = _Block(width, width, 4 * width)
        self.shrink = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.middle = nn.ModuleList([_Block(2 * width, 2 * width, 4 * width) for _ in range(2)])
        self.grow = nn.Conv2d(2 * width, width, 3, padding=1)
        self.up = _Block(2 * width, width, 4 * width)
        self.leave = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1))

    def eps(self, z: Tensor, t: Tensor, cond: Any = None) -> Tensor:
        """Noise in images ``z`` (B, C, H, W), H and W even, at the indices ``t`` (B,)."""
        dtype = next(self.parameters()).dtype
        time = self.time(time_features(t, self.features, dtype))
        skip = self.down(self.enter(z.to(dtype)), time)
        h = self.shrink(skip)
        for block in self.middle:
            h = block(h, time)
        h = self.grow(nn.functional.interpolate(h, scale_factor=2.0, mode="nearest"))
        out: Tensor = self.leave(self.up(torch.cat([h, skip], dim=1), time))
        return out.to(z.dtype)

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        """The same as `eps`."""
        return self.eps(z, t)


class _Block(nn.Module):
    """Two convolutions with group normalisation, shifted by the time, around a residual connection."""

    def __init__(self, before: int, after: int, time: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(8, before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1))
        self.shift = nn.Sequential(nn.SiLU(), nn.Linear(time, after))
        self.second = nn.Sequential(nn.GroupNorm(8, after), nn.SiLU(), nn.Conv2d(after, after, 3, padding=1))
        self.around = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.first(x) + self.shift(time)[:, :, None, None]
        out: Tensor = self.around(x) + self.second(h)
        return out


class EpsSeries(nn.Module):
    """Noise predictor on windows of a series: residual convolutions over time that reach further and further.

    Moments differ in what is learnt of each (a window may begin at midnight, or at the price that others refer to).

    Args:
        length: Moments of a window.
        channels: Channels of the series.
        width: Channels inside.
        features: Sines and cosines of the time.
    """

    def __init__(self, length: int, channels: int, width: int = 32, features: int = 32) -> None:
        super().__init__()
        self.features = features
        self.time = mlp(features, 4 * width, 4 * width)
        self.enter = nn.Conv1d(channels, width, 3, padding=1)
        self.moments = nn.Parameter(torch.zeros(width, length))
        self.blocks = nn.ModuleList([_SeriesBlock(width, 4 * width, reach) for reach in (1, 2, 4, 8, 1, 2)])
        self.leave = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv1d(width, channels, 3, padding=1))

    def eps(self, z: Tensor, t: Tensor, cond: Any = None) -> Tensor:
        """Noise in windows ``z`` (B, L, C) at the indices ``t`` (B,)."""
        dtype = self.moments.dtype
        time = self.time(time_features(t, self.features, dtype))
        h = self.enter(z.to(dtype).transpose(1, 2)) + self.moments
        for block in self.blocks:
            h = block(h, time)
        out: Tensor = self.leave(h).transpose(1, 2)
        return out.to(z.dtype)

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        """The same as `eps`."""
        return self.eps(z, t)


class _SeriesBlock(nn.Module):
    """Two convolutions around a residual connection; the time scales and shifts what the second takes."""

    def __init__(self, width: int, time: int, reach: int) -> None:
        super().__init__()
        wide = nn.Conv1d(width, width, 3, padding=reach, dilation=reach)
        self.first = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), wide, nn.GroupNorm(8, width))
        self.modulate = nn.Sequential(nn.SiLU(), nn.Linear(time, 2 * width))
        self.second = nn.Sequential(nn.SiLU(), nn.Conv1d(width, width, 3, padding=1))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.modulate(time)[:, :, None].chunk(2, dim=1)
        out: Tensor = x + self.second(self.first(x) * (1 + scale) + shift)
        return out


class Autoencoder(nn.Module):
    """A codec of two perceptrons; latents are scaled by one number, so that they have unit standard deviation.

    Args:
        shape: Shape of one sample.
        latent: Numbers in a latent.
        width: Width of each of the hidden layers.
        depth: Number of hidden layers on either side.
    """

    scale: Tensor

    def __init__(self, shape: tuple[int, ...], latent: int = 16, width: int = 256, depth: int = 3) -> None:
        super().__init__()
        self.shape, size = tuple(shape), math.prod(shape)
        self.encoder = mlp(size, *[width] * depth, latent)
        self.decoder = mlp(latent, *[width] * depth, size)
        self.register_buffer("scale", torch.ones(()))

    def encode(self, x: Tensor) -> Tensor:
        """Latents (B, latent) of data (B, *shape)."""
        out: Tensor = self.encoder(x.flatten(1).to(self.scale.dtype)) * self.scale
        return out.to(x.dtype)

    def decode(self, z: Tensor) -> Tensor:
        """Data (B, *shape) of latents (B, latent)."""
        out: Tensor = self.decoder(z.to(self.scale.dtype) / self.scale)
        return out.reshape(-1, *self.shape).to(z.dtype)


class VAE(Autoencoder):
    """A codec whose encoder gives a Gaussian; `encode` returns its mean, so that decode-encode loops are deterministic.

    Args:
        shape, latent, width, depth: As of `Autoencoder`.
    """

    def __init__(self, shape: tuple[int, ...], latent: int = 16, width: int = 256, depth: int = 3) -> None:
        super().__init__(shape, latent, width, depth)
        self.encoder = mlp(math.prod(shape), *[width] * depth, 2 * latent)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the unscaled latents, each (B, latent)."""
        mean, log_variance = self.encoder(x.flatten(1).to(self.scale.dtype)).chunk(2, dim=1)
        return mean, log_variance.clamp(-20.0, 10.0)

    def encode(self, x: Tensor) -> Tensor:
        """Mean latents (B, latent) of data (B, *shape)."""
        return (self.posterior(x)[0] * self.scale).to(x.dtype)
