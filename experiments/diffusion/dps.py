"""DPS: diffusion posterior sampling on pixels (Chung et al., ICLR 2023).

The plain loop of latent DPS without a codec: E = D = id.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bandits.neural.analytic import IdentityCodec
from bandits.neural.guidance import Restored
from bandits.neural.interfaces import EpsModel, LinearOp
from bandits.neural.noise import Noise
from bandits.neural.schedule import Schedule

from .latent_dps import latent_dps

__all__ = ["dps"]


def dps(
    model: EpsModel, operator: LinearOp, y: Tensor, noise: Noise, schedule: Schedule, **parameters: Any
) -> Restored:
    """Restore data from measurements y (B, *out_shape) with a noise model on pixels: ``latent_dps`` with E = D = id."""
    return latent_dps(model, IdentityCodec(), operator, y, noise, schedule, **parameters)
