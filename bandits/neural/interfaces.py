"""What samplers ask of models, codecs and operators; analytic ones and networks implement the same.

B is the number of samples of a batch and always the first axis. Everything is differentiable where a gradient can flow.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

__all__ = ["Codec", "EpsModel", "Feature", "FlowModel", "LinearOp", "TokenDenoiser"]


class EpsModel(Protocol):
    """Predicts the noise of a variance-preserving diffusion."""

    def eps(self, z: Tensor, t: Tensor, cond: Any = None) -> Tensor:
        """Noise in ``z`` (B, ...) at the indices ``t`` (B,) of the schedule: shape of ``z``."""


class FlowModel(Protocol):
    """Predicts the velocity of a rectified flow; time 0 is data, time 1 is noise."""

    def u(self, y: Tensor, t: Tensor, cond: Any = None) -> Tensor:
        """``E[Y_1 - Y_0 | Y_t = y]`` for ``y`` (B, ...) and times ``t`` (B,) in [0, 1]: shape of ``y``."""


class Codec(Protocol):
    """Maps data to latents and back."""

    def encode(self, x: Tensor) -> Tensor:
        """Latents (B, ...) of data (B, ...)."""

    def decode(self, z: Tensor) -> Tensor:
        """Data (B, ...) of latents (B, ...)."""


class LinearOp(Protocol):
    """A linear measurement of data; A, its adjoint and its pseudo-inverse act on batches.

    Attributes:
        in_shape: Shape of one x.
        out_shape: Shape of one y.
    """

    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]

    def A(self, x: Tensor) -> Tensor:
        """Measurement (B, *out_shape) of x (B, *in_shape)."""

    def At(self, y: Tensor) -> Tensor:
        """Adjoint: <A x, y> = <x, At y>."""

    def pinv(self, y: Tensor) -> Tensor:
        """Moore-Penrose pseudo-inverse applied to y."""


class TokenDenoiser(Protocol):
    """Predicts the tokens behind masks."""

    def logits(self, z: Tensor, t: Tensor) -> Tensor:
        """Logits (B, L, K) for tokens ``z`` (B, L) and times ``t`` (B,)."""


class Feature(Protocol):
    """A differentiable description of data."""

    def psi(self, x: Tensor) -> Tensor:
        """Features (B, F) of data (B, ...)."""
