"""Masks and kernels of inverse problems, drawn for each image from its own stream."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import BadParameter
from .errors import ShapeError
from .noise import Noise

__all__ = ["box_mask", "gaussian_kernel", "motion_kernel", "random_mask"]


def random_mask(noise: Noise, in_shape: tuple[int, ...], low: float = 0.3, high: float = 0.7) -> Tensor:
    """Pixels seen, with a share hidden that is uniform in [low, high] for each image: bool (B, 1, H, W) or (B, d).

    The share is made exact by counting, and all channels share the mask, as in the code of PSLD.
    """
    if not 0 <= low <= high <= 1:
        raise BadParameter(f"the hidden share lies in [low, high] within [0, 1], got [{low}, {high}]")
    pixels = in_shape[1:] if len(in_shape) == 3 else in_shape
    n = math.prod(pixels)
    hidden = ((low + (high - low) * noise.uniform(1)) * n).round()
    seen = noise.permutation(n) >= hidden
    return seen.reshape(len(noise), *((1, *pixels) if len(in_shape) == 3 else pixels))


def box_mask(in_shape: tuple[int, ...], size: int) -> Tensor:
    """Pixels seen when a centred square of size x size is hidden: bool (1, 1, H, W)."""
    if len(in_shape) != 3 or not 0 <= size <= min(in_shape[1:]):
        raise ShapeError(f"a box of {size} x {size} does not fit images of shape {in_shape}, expected (C, H, W)")
    seen = torch.ones(1, 1, *in_shape[1:], dtype=torch.bool, device="cpu")
    top, left = ((side - size) // 2 for side in in_shape[1:])
    seen[..., top : top + size, left : left + size] = False
    return seen


def gaussian_kernel(size: int, sd: float) -> Tensor:
    """Gaussian blur cut off at an odd size, summing to 1: float64 (1, size, size); sd in pixels."""
    if sd <= 0 or size < 1 or size % 2 == 0:
        raise BadParameter(f"a kernel has an odd size and a positive sd, got size {size} and sd {sd}")
    place = torch.arange(-(size // 2), size // 2 + 1, dtype=torch.float64, device="cpu")
    line = torch.exp(-(place**2) / (2 * sd**2))
    kernel = torch.outer(line, line)
    return (kernel / kernel.sum()).unsqueeze(0)


def motion_kernel(noise: Noise, size: int, intensity: float = 0.5) -> Tensor:
    """Blur along a random path for each image, summing to 1: (B, size, size).

    The path starts in a random direction and turns by normal increments, of ``intensity`` turns of 180 degrees in
    standard deviation over its whole length; 0 is a straight line. (The generator of the papers' codes differs.)
    """
    if size < 3 or size % 2 == 0 or not intensity >= 0:
        raise BadParameter(f"a kernel has an odd size from 3 on and an intensity from 0 on, got {size} and {intensity}")
    n = 8 * size
    # on the CPU: running sums on a GPU are not the same to the bit each time
    turns = math.pi * intensity / math.sqrt(n) * noise.normal(n).cpu()
    heading = 2 * math.pi * noise.uniform(1).cpu() + turns.cumsum(1)
    path = torch.stack([heading.sin(), heading.cos()], -1).cumsum(1)
    path = path - (path.amax(1, keepdim=True) + path.amin(1, keepdim=True)) / 2
    reach = path.abs().amax((1, 2), keepdim=True)
    place = path / reach * (size // 2) + size // 2
    grid = torch.arange(size, device=place.device)
    rows, columns = ((1 - (place[..., i, None] - grid).abs()).clamp(min=0) for i in (0, 1))  # bilinear shares
    kernel = rows.mT @ columns
    return (kernel / kernel.sum((1, 2), keepdim=True)).to(noise.device)
