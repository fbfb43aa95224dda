"""Linear measurements of images: masks, average pooling, blur, and any matrix.

Each knows its singular values s and right singular vectors V, without storing a matrix where it has a structure:
``spectral(x, g)`` is ``V g(s) V^T x``. Images are (B, C, H, W) or vectors (B, d); an operator may hold one mask, kernel
or matrix for all samples, or one for each.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import BadParameter
from .checks import finite
from .errors import OperatorError, RangeError, ShapeError
from .interfaces import LinearOp
from .noise import Noise

__all__ = [
    "AveragePool",
    "Blur",
    "Inpainting",
    "Matrix",
    "SpectralOp",
    "check_adjoint",
    "check_measurement",
    "measure",
    "renoised",
]

Gains = Callable[[Tensor], Tensor]  # of singular values


class SpectralOp(LinearOp, Protocol):
    """A linear measurement whose singular values are known.

    Attributes:
        rank: Number of singular values that are not 0, (1 or B,).
    """

    rank: Tensor

    def spectral(self, x: Tensor, gains: Gains) -> Tensor:
        """``V g(s) V^T x``; a singular value that counts as 0 is exactly 0."""


class Inpainting:
    """Shows the pixels of a mask and puts 0 in place of the others.

    Args:
        mask: True where a pixel is seen, (1 or B, ...) and broadcast to data: one channel stands for all.
        in_shape: Shape of one x.
    """

    def __init__(self, mask: Tensor, in_shape: tuple[int, ...]) -> None:
        if mask.dim() != len(in_shape) + 1 or any(
            m not in (1, n) for m, n in zip(mask.shape[1:], in_shape, strict=True)
        ):
            raise ShapeError(f"a mask of shape {tuple(mask.shape)} does not fit data of shape (B, *{in_shape})")
        self.in_shape: tuple[int, ...] = in_shape
        self.out_shape: tuple[int, ...] = in_shape
        self.batch, self.mask = len(mask), mask.bool()
        self.rank = self.mask.flatten(1).sum(1) * (math.prod(in_shape) // self.mask[0].numel())
        if (~self.mask).flatten(1).all(1).any():
            warnings.warn("a mask shows no pixel at all: that sample is drawn from the model alone", stacklevel=2)

    def A(self, x: Tensor) -> Tensor:
        """The pixels seen."""
        return x * self.mask

    def At(self, y: Tensor) -> Tensor:
        """The same: a projection is its own adjoint."""
        return y * self.mask

    def pinv(self, y: Tensor) -> Tensor:
        """The same: a projection is its own pseudo-inverse."""
        return y * self.mask

    def spectral(self, x: Tensor, gains: Gains) -> Tensor:
        """Multiply pixels by ``gains`` of 1 where they are seen, of 0 where not."""
        return x * gains(self.mask.to(x))


class AveragePool:
    """Averages over blocks of k x k pixels: super-resolution by the factor k.

    ``A A^T = I / k^2``, so ``pinv = k^2 At``, which repeats each value over its block.
    """

    def __init__(self, k: int, in_shape: tuple[int, ...]) -> None:
        if len(in_shape) != 3 or k < 1 or in_shape[1] % k or in_shape[2] % k:
            raise ShapeError(
                f"blocks of {k} x {k} do not tile images of shape {in_shape}: give (C, H, W), k dividing H, W"
            )
        self.k = k
        self.in_shape: tuple[int, ...] = in_shape
        self.out_shape: tuple[int, ...] = (in_shape[0], in_shape[1] // k, in_shape[2] // k)
        self.rank = torch.tensor([math.prod(self.out_shape)], device="cpu")

    def A(self, x: Tensor) -> Tensor:
        """Means of the blocks."""
        means: Tensor = functional.avg_pool2d(x, self.k)
        return means

    def At(self, y: Tensor) -> Tensor:
        """Each value over k^2, repeated over its block."""
        return self.pinv(y) / (self.k * self.k)

    def pinv(self, y: Tensor) -> Tensor:
        """Each value, repeated over its block."""
        image: Tensor = functional.interpolate(y, scale_factor=float(self.k), mode="nearest")
        return image

    def spectral(self, x: Tensor, gains: Gains) -> Tensor:
        """Multiply block means by ``gains(1/k)`` and what differs from them by ``gains(0)``."""
        mean = self.pinv(self.A(x))
        gain = gains(torch.arange(1, -1, -1, dtype=x.dtype, device=x.device) / self.k)  # of 1/k and of 0
        return gain[0] * mean + gain[1] * (x - mean)


class Blur:
    """Convolves each channel with a kernel; periodic at the border.

    The periodic border makes A diagonal in Fourier space. (The papers' codes pad by reflection instead.)

    Args:
        kernel: Odd square kernels (1 or B, n, n), n at most the image's sides.
        in_shape: Shape (C, H, W) of one x.
        cutoff: Singular values below this share of the largest count as 0, here and in the pseudo-inverse.
    """

    def __init__(self, kernel: Tensor, in_shape: tuple[int, ...], cutoff: float = 1e-3) -> None:
        n = kernel.shape[-1]
        if kernel.dim() != 3 or kernel.shape[-2] != n or n % 2 == 0 or len(in_shape) != 3 or n > min(in_shape[1:]):
            raise ShapeError(
                f"kernel {tuple(kernel.shape)} does not fit images {in_shape}: (1 or B, n, n), odd, n <= H, W"
            )
        self.in_shape: tuple[int, ...] = in_shape
        self.out_shape: tuple[int, ...] = in_shape
        self.batch = len(kernel)
        height, width = in_shape[1:]
        padded = functional.pad(kernel, (0, width - n, 0, height - n)).roll((-(n // 2), -(n // 2)), (-2, -1))
        transfer = torch.fft.rfft2(padded).unsqueeze(1)
        size = transfer.abs()
        floor = cutoff * size.amax((-2, -1), keepdim=True)
        self._transfer, self._size = transfer * (size > floor), size * (size > floor)
        self.rank = in_shape[0] * (torch.fft.fft2(padded).abs() > floor[:, 0]).flatten(1).sum(1)

    def A(self, x: Tensor) -> Tensor:
        """Blurred images."""
        return self._filter(x, self._transfer)

    def At(self, y: Tensor) -> Tensor:
        """Correlation with the kernel."""
        return self._filter(y, self._transfer.conj())

    def pinv(self, y: Tensor) -> Tensor:
        """Deconvolution of the frequencies that the kernel lets pass."""
        return self._filter(y, torch.where(self._size > 0, self._transfer.conj() / self._size**2, 0))

    def spectral(self, x: Tensor, gains: Gains) -> Tensor:
        """Multiply frequencies by ``gains`` of the kernel's absolute transfer function."""
        return self._filter(x, gains(self._size))

    def _filter(self, x: Tensor, factors: Tensor) -> Tensor:
        filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(x) * factors, s=self.in_shape[1:])
        return filtered


class Matrix:
    """Any matrix, applied to flattened data.

    Args:
        matrix: (m, d), or (B, m, d) for one each.
        in_shape: Shape of one x, of d entries; (d,) if not given.
    """

    def __init__(self, matrix: Tensor, in_shape: tuple[int, ...] | None = None) -> None:
        m, d = matrix.shape[-2:]
        self.in_shape: tuple[int, ...] = in_shape or (d,)
        self.out_shape: tuple[int, ...] = (m,)
        if math.prod(self.in_shape) != d:
            raise ShapeError(f"data of shape {self.in_shape} does not have the {d} entries of a row of the matrix")
        self.batch = len(matrix) if matrix.dim() == 3 else 1
        self.matrix, self._pinv = matrix, torch.linalg.pinv(matrix)
        _, s, self._Vt = torch.linalg.svd(matrix, full_matrices=True)
        floor = s[..., :1] * max(m, d) * torch.finfo(s.dtype).eps
        self._s = functional.pad(s * (s > floor), (0, d - s.shape[-1]))
        self.rank = (self._s > 0).sum(-1, keepdim=matrix.dim() == 2)

    def A(self, x: Tensor) -> Tensor:
        """Matrix times x."""
        return _times(self.matrix, x.flatten(1))

    def At(self, y: Tensor) -> Tensor:
        """Transpose times y."""
        return _times(self.matrix.mT, y).reshape(-1, *self.in_shape)

    def pinv(self, y: Tensor) -> Tensor:
        """Pseudo-inverse times y."""
        return _times(self._pinv, y).reshape(-1, *self.in_shape)

    def spectral(self, x: Tensor, gains: Gains) -> Tensor:
        """Multiply coordinates in the right singular vectors by ``gains`` of the singular values."""
        return _times(self._Vt.mT, gains(self._s) * _times(self._Vt, x.flatten(1))).view_as(x)


def _times(matrix: Tensor, x: Tensor) -> Tensor:
    return (matrix @ x.unsqueeze(-1)).squeeze(-1)


def measure(
    operator: LinearOp, x: Tensor, sigma_y: float, noise: Noise, bounds: tuple[float, float] | None = (-1.0, 1.0)
) -> Tensor:
    """Measurement ``A x + sigma_y n`` (B, *out_shape); a hidden pixel gets no noise.

    Args:
        operator: A.
        x: Data (B, *in_shape).
        sigma_y: Standard deviation of the noise.
        noise: Gives n.
        bounds: Range of the data, checked; None where it has none.

    Raises:
        ShapeError, RangeError: The data does not fit the operator, or leaves its range by more than 1e-3.
    """
    if not (math.isfinite(sigma_y) and sigma_y >= 0):
        raise BadParameter(f"sigma_y must be finite and at least 0, got {sigma_y}")
    if x.shape[1:] != operator.in_shape:
        raise ShapeError(f"data has shape (B, *{tuple(x.shape[1:])}), the operator takes (B, *{operator.in_shape})")
    if bounds and not (bounds[0] - 1e-3 <= float(x.min()) and float(x.max()) <= bounds[1] + 1e-3):
        raise RangeError(f"data lies in [{float(x.min()):.4g}, {float(x.max()):.4g}], expected within {list(bounds)}")
    if sigma_y == 0 and isinstance(operator, Inpainting) and bool(operator.mask.all()):
        warnings.warn("every pixel is seen without noise: nothing to infer", stacklevel=2)
    return renoised(operator, operator.A(x), sigma_y, noise)


def renoised(operator: LinearOp, y: Tensor, sigma_y: float, noise: Noise) -> Tensor:
    """Measurement y (B, *out_shape) with fresh noise; a hidden pixel gets none."""
    n = noise.normal(*operator.out_shape)
    return y + sigma_y * (operator.A(n) if isinstance(operator, Inpainting) else n)


def check_measurement(operator: LinearOp, y: Tensor, batch: int) -> None:
    """Refuse a measurement that is not of the operator, or not of the batch.

    Raises:
        ShapeError: Names both shapes.
        RangeError: A measurement is NaN or infinite.
    """
    if y.shape != (batch, *operator.out_shape):
        expected = (batch, *operator.out_shape)
        raise ShapeError(f"y has shape {tuple(y.shape)}, but {batch} samples of the operator's output have {expected}")
    own = getattr(operator, "batch", 1)
    if own not in (1, batch):
        raise ShapeError(f"the operator holds {own} masks, kernels or matrices for {batch} samples: one each, or one")
    finite("y", y)


def check_adjoint(operator: LinearOp, like: Tensor, tolerance: float = 1e-5) -> None:
    """Compare <A x, y> with <x, At y> for random x and y.

    Args:
        operator: What is checked.
        like: A measurement (B, *out_shape), for its batch, type and device.
        tolerance: Largest difference, relative to |A x| |y| + |x| |At y|.

    Raises:
        OperatorError: States the mismatch.
    """
    draw = torch.Generator("cpu").manual_seed(0)
    shapes = ((len(like), *operator.in_shape), like.shape)
    drawn = (torch.randn(shape, generator=draw, dtype=torch.float64, device="cpu") for shape in shapes)
    x, y = (part.to(like) for part in drawn)
    Ax, Aty = operator.A(x), operator.At(y)
    if Ax.shape != y.shape or Aty.shape != x.shape:
        raise OperatorError(
            f"{type(operator).__name__} maps {tuple(x.shape)} to {tuple(Ax.shape)} and back {tuple(y.shape)} to "
            f"{tuple(Aty.shape)}: A and At do not fit in_shape and out_shape"
        )
    left, right = ((a * b).flatten(1).sum(1) for a, b in ((Ax, y), (x, Aty)))
    scale = sum(a.flatten(1).norm(dim=1) * b.flatten(1).norm(dim=1) for a, b in ((Ax, y), (x, Aty)))
    mismatch = float(((left - right).abs() / (scale + 1e-30)).max())
    if not mismatch <= tolerance:
        raise OperatorError(
            f"At of {type(operator).__name__} is not the adjoint of A: <A x, y> and <x, At y> differ by {mismatch:.3g} "
            f"of their scale, more than {tolerance:g}"
        )
