"""Gaussian arms with known noise: the reward of arm a is ``means[a] + sd[a] * z`` with z standard normal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandits.protocol import Bound, Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_environment
from bandits.streams import Streams

from ._arms import Arms, instance, lai_robbins_bound

__all__ = ["Gaussian", "gaussian_lai_robbins"]

PRIORS = {
    "normal": lambda stream, n_arms: stream.normals(0, n_arms),
    "uniform": lambda stream, n_arms: stream.uniforms(0, n_arms),
}


@register_environment("gaussian", source="Lai and Robbins (1985)")
class Gaussian:
    """Gaussian arms; the noise level is known to the agents.

    Args:
        streams: Random streams of the batch.
        means: Mean of each arm; or use ``best``, ``gap`` and ``n_arms``, or ``prior`` and ``n_arms``.
        sd: Standard deviation of the noise, one number or one per arm.
        n_arms: Number of arms K.
        best: Mean of arm 0.
        gap: How far the other arms lie below it.
        prior: Draw each replication's means from "normal" (mean 0, variance 1) or "uniform" (on (0, 1)).
    """

    examples = ({"means": [0.5, 0.2, 0.1], "sd": [1.0, 0.5, 2.0]}, {"prior": "normal", "n_arms": 4})

    def __init__(
        self,
        streams: Streams,
        *,
        means: Sequence[float] | None = None,
        sd: float | Sequence[float] = 1.0,
        n_arms: int | None = None,
        best: float | None = None,
        gap: float | None = None,
        prior: str | None = None,
    ) -> None:
        values = instance(streams, PRIORS, means=means, n_arms=n_arms, best=best, gap=gap, prior=prior)
        self._sd = noise_levels(sd, values.shape[0])
        self._arms = Arms(streams, values, self._sd)
        self.problem = Problem(n_arms=values.shape[0], noise_sd=self._sd.copy())

    def observe(self, t: int) -> None:
        """There is no context."""

    def step(self, t: int, action: IntArray) -> Feedback:
        """Play one round."""
        return self._arms.step(t, action)

    def best_action(self, t: int) -> IntArray:
        """For the oracle: arm with the largest mean, the lowest of equals, shape (B,)."""
        return self._arms.best_action()

    def bound(self) -> Bound:
        """Lai-Robbins: ``sum of 2 sd^2 / gap`` over the suboptimal arms, times log T."""
        return lai_robbins_bound(gaussian_lai_robbins(self._arms.means, self._sd), self._arms.means)


def noise_levels(sd: float | Sequence[float], n_arms: int) -> FloatArray:
    """One noise level per arm, shape (K,), checked."""
    levels = np.asarray(sd, dtype=np.float64)
    if levels.ndim and levels.shape != (n_arms,):
        raise ValueError(f"sd has {levels.size} entries, expected one number or one for each of the {n_arms} arms")
    if not (np.isfinite(levels) & (levels >= 0)).all():
        raise ValueError(f"sd must be finite and at least 0, got {sd}")
    return np.ascontiguousarray(np.broadcast_to(levels, (n_arms,)))


def gaussian_lai_robbins(means: FloatArray, sd: FloatArray) -> FloatArray:
    """Regret per log T of each arm in the Lai-Robbins bound (Lai and Robbins 1985, Theorem 1), known variances.

    ``regret / KL`` of arm a is ``gap / (gap^2 / (2 sd^2))``, with the sd of arm a.

    Args:
        means: Shape (K, 1) or (K, B).
        sd: Shape (K,).

    Returns:
        Shape of ``means``, 0 for the best arm; their sum over the arms is the constant.
    """
    gaps = means.max(axis=0) - means
    terms: FloatArray = np.divide(2.0 * sd[:, None] ** 2, gaps, out=np.zeros_like(gaps), where=gaps > 0)
    return terms
