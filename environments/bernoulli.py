"""Bernoulli arms: the reward of arm a is 1 with probability ``means[a]``, else 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandits.protocol import Bound, Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_environment
from bandits.streams import Streams

from ._arms import Arms, instance, lai_robbins_bound

__all__ = ["Bernoulli", "bernoulli_lai_robbins"]

PRIORS = {
    "uniform": lambda stream, n_arms: stream.uniforms(0, n_arms),
    "jeffreys": lambda stream, n_arms: stream.betas(
        0, np.full((n_arms, stream.size), 0.5), np.full((n_arms, stream.size), 0.5)
    ),
}


@register_environment("bernoulli", source="Lai and Robbins (1985)")
class Bernoulli:
    """Bernoulli arms.

    Args:
        streams: Random streams of the batch.
        means: Success probability of each arm; or use ``best``, ``gap`` and ``n_arms``, or ``prior`` and ``n_arms``.
        n_arms: Number of arms K.
        best: Mean of arm 0.
        gap: How far the other arms lie below it.
        prior: Draw each replication's means from "uniform" (on (0, 1)) or "jeffreys" (Beta(1/2, 1/2)).
    """

    examples = ({"means": [0.9, 0.8, 0.5]}, {"prior": "uniform", "n_arms": 4})

    def __init__(
        self,
        streams: Streams,
        *,
        means: Sequence[float] | None = None,
        n_arms: int | None = None,
        best: float | None = None,
        gap: float | None = None,
        prior: str | None = None,
    ) -> None:
        values = probabilities(instance(streams, PRIORS, means=means, n_arms=n_arms, best=best, gap=gap, prior=prior))
        self._arms = Arms(streams, values, None)
        self.problem = Problem(n_arms=values.shape[0], reward_range=(0.0, 1.0))

    def observe(self, t: int) -> None:
        """There is no context."""

    def step(self, t: int, action: IntArray) -> Feedback:
        """Play one round."""
        return self._arms.step(t, action)

    def best_action(self, t: int) -> IntArray:
        """For the oracle: arm with the largest mean, the lowest of equals, shape (B,)."""
        return self._arms.best_action()

    def bound(self) -> Bound:
        """Lai-Robbins: ``sum of gap / kl(mean, best mean)`` over the suboptimal arms, times log T."""
        return lai_robbins_bound(bernoulli_lai_robbins(self._arms.means), self._arms.means)


def probabilities(means: FloatArray) -> FloatArray:
    """Return ``means`` (K, B) if each is a probability, else say which is not."""
    bad = (means < 0) | (means > 1)
    if bad.any():
        a = int(np.argwhere(bad)[0][0])
        raise ValueError(
            f"means[{a}] = {means[bad][0]:g} is not a probability: the mean of a Bernoulli arm lies in [0, 1]"
        )
    return means


def bernoulli_lai_robbins(means: FloatArray) -> FloatArray:
    """Regret per log T of each arm, ``gap / kl(mean, best mean)``, in the bound of Lai and Robbins (1985, Theorem 1).

    Args:
        means: Probabilities, shape (K, 1) or (K, B).

    Returns:
        Shape of ``means``, 0 for the best arm; their sum over the arms is the constant.
    """
    best = means.max(axis=0)
    gaps = best - means
    with np.errstate(divide="ignore", invalid="ignore"):
        success = np.where(means > 0, means * np.log(means / best), 0.0)
        failure = np.where(means < 1, (1 - means) * np.log((1 - means) / (1 - best)), 0.0)
        terms: FloatArray = np.where(gaps > 0, gaps / (success + failure), 0.0)
    return terms
