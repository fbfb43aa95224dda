"""What no sampler is needed for: the measurement put back into place, and the best that a codec allows."""

from __future__ import annotations

import torch
from torch import Tensor

from bandits.neural.guidance import Projection, Restored, projector
from bandits.neural.interfaces import Codec, LinearOp
from bandits.neural.operators import check_adjoint, check_measurement

__all__ = ["codec_ceiling", "zero_fill"]


def zero_fill(operator: LinearOp, y: Tensor, *, projection: Projection = "adjoint") -> Restored:
    """``A^T y``, or the pseudo-inverse applied to y: what was not measured is 0."""
    check_measurement(operator, y, len(y))
    check_adjoint(operator, y)
    x = projector(operator, projection)(y)
    return Restored(x, x, flags={"projection": projection})


def codec_ceiling(codec: Codec, x: Tensor) -> Restored:
    """``D(E(x))`` of the true data: what a method on latents could reach if it knew the answer."""
    with torch.no_grad():
        z = codec.encode(x)
        return Restored(codec.decode(z), z)
