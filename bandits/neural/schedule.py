"""The variance-preserving noise schedule, and the steps that need nothing but it.

    z_t = sqrt(alpha_t) z_0 + sqrt(1 - alpha_t) eps,   eps ~ N(0, I)

where ``alpha_t`` is the cumulative product that papers write with a bar. Indices run from 0 (almost clean) to N - 1
(almost noise); the step before index 0 leads to ``final_alpha``, which a library's scheduler need not set to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .checks import is_whole
from .errors import ScheduleError

__all__ = ["Schedule", "ddim_step", "linear", "scaled_linear", "tweedie"]


@dataclass(frozen=True)
class Schedule:
    """Cumulative alphas of a variance-preserving diffusion.

    Attributes:
        alphas: alpha at the indices 0 .. N-1, strictly decreasing, in (0, 1).
        final_alpha: alpha before index 0.
    """

    alphas: Sequence[float]
    final_alpha: float = 1.0

    def __post_init__(self) -> None:
        """Check the order of the alphas."""
        values = [self.final_alpha, *self.alphas]
        if not self.alphas or not all(0 < alpha <= 1 for alpha in values):
            raise ScheduleError("a schedule has at least one alpha, and each lies in (0, 1]")
        if any(later >= earlier for earlier, later in zip(self.alphas, self.alphas[1:], strict=False)):
            raise ScheduleError("the alphas of a schedule decrease strictly")
        if self.final_alpha < self.alphas[0]:
            raise ScheduleError(
                f"final_alpha {self.final_alpha:g} is below the first alpha {self.alphas[0]:g}: "
                "the last step would add noise"
            )

    def __len__(self) -> int:
        """Number of indices N."""
        return len(self.alphas)

    def alpha(self, t: int) -> float:
        """Alpha at index t; ``final_alpha`` before index 0."""
        return self.final_alpha if t < 0 else self.alphas[t]

    def steps(self, count: int, offset: int = 0) -> list[tuple[int, int]]:
        """Pairs (index, earlier index) of a sampler of so many steps, from noise to data, evenly ("leading") spaced.

        The last earlier index is negative, which stands for ``final_alpha``.

        Raises:
            ScheduleError: No steps, more steps than indices, or an offset that leaves the schedule.
        """
        if not is_whole(count) or not 1 <= count <= len(self):
            raise ScheduleError(
                f"steps must be a whole number from 1 to the {len(self)} indices of the schedule, got {count!r:.60}"
            )
        stride = len(self) // count
        most = len(self) - 1 - stride * (count - 1)
        if not is_whole(offset) or not 0 <= offset <= most:
            raise ScheduleError(
                f"offset must be a whole number from 0 to {most}, got {offset!r:.60}: "
                f"{count} steps would lead beyond the last index {len(self) - 1}"
            )
        return [(t, t - stride) for t in range(stride * (count - 1) + offset, -1, -stride)]


def scaled_linear(
    n: int = 1000, start: float = 0.00085, end: float = 0.012, *, set_alpha_to_one: bool = False
) -> Schedule:
    """Schedule of Stable Diffusion: the square roots of beta are evenly spaced."""
    betas = torch.linspace(math.sqrt(start), math.sqrt(end), n, dtype=torch.float64, device="cpu") ** 2
    return _from_betas(betas, set_alpha_to_one)


def linear(n: int = 1000, start: float = 1e-4, end: float = 0.02, *, set_alpha_to_one: bool = True) -> Schedule:
    """Schedule of DDPM: the betas are evenly spaced."""
    return _from_betas(torch.linspace(start, end, n, dtype=torch.float64, device="cpu"), set_alpha_to_one)


def _from_betas(betas: Tensor, set_alpha_to_one: bool) -> Schedule:
    alphas = torch.cumprod(1 - betas, 0).tolist()
    return Schedule(tuple(alphas), 1.0 if set_alpha_to_one else alphas[0])


def tweedie(z: Tensor, eps: Tensor, alpha: float) -> Tensor:
    """Posterior mean ``E[z_0 | z_t]``: shape of ``z``."""
    return (z - _root(1 - alpha, z) * eps) / _root(alpha, z)


def ddim_step(
    clean: Tensor, eps: Tensor, alpha: float, earlier: float, eta: float = 0.0, noise: Tensor | None = None
) -> Tensor:
    """From the estimate of the clean sample at ``alpha`` to a sample at ``earlier``.

    Args:
        clean: ``E[z_0 | z_t]``.
        eps: The network's noise at z_t; reused, not computed anew.
        alpha: alpha at the present index.
        earlier: alpha at the index that the step leads to; at inversion a later one, with ``eta`` 0.
        eta: 0 deterministic, 1 ancestral.
        noise: Standard normal draws of the shape of ``clean``; not needed where ``eta`` is 0.
    """
    if eta == 0:
        return _root(earlier, clean) * clean + _root(1 - earlier, clean) * eps
    sigma = eta * math.sqrt((1 - earlier) / (1 - alpha)) * math.sqrt(1 - alpha / earlier)
    assert noise is not None, "a stochastic step needs noise"
    return math.sqrt(earlier) * clean + math.sqrt(max(0.0, 1 - earlier - sigma**2)) * eps + sigma * noise


def _root(part: float, like: Tensor) -> float:
    """Square root in the precision of ``like``: to the bit what libraries get that keep their alphas in it."""
    return _root_in(part, torch.float64 if like.dtype == torch.float64 else torch.float32)


@lru_cache(4096)
def _root_in(part: float, precision: torch.dtype) -> float:
    """The root as torch takes it, which is not always the nearest number."""
    return float(torch.tensor(part, dtype=precision, device="cpu").sqrt())
