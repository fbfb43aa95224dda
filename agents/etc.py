"""Explore then commit: play every arm m times in turn, then the one with the largest mean for ever.

For two Gaussian arms of noise sigma whose gap is known, the regret is smallest up to constants with

    m = max(1, ceil(4 sigma^2 / gap^2 * log(T gap^2 / (4 sigma^2))))

([1], equation (6.5); it is then at most ``gap + 4 sigma^2 / gap * (1 + max(0, log(T gap^2 / (4 sigma^2))))``).
Without a gap the default is ``m = ceil((T / K)^(2/3) * log(T)^(1/3))``, whose regret is O(T^(2/3) (K log T)^(1/3))
on every instance with rewards in [0, 1] ([2], Theorem 1.5, with constants dropped).

References:
    [1] Lattimore and Szepesvari, "Bandit Algorithms", Cambridge University Press (2020), Chapter 6.
    [2] Slivkins, "Introduction to Multi-Armed Bandits", Foundations and Trends in Machine Learning 12 (2019).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.kernels import log, power
from bandits.protocol import Feedback, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import IndexPolicy, Tie

__all__ = ["ETC"]


def rounds_per_arm(horizon: int, n_arms: int, sigma: float, gap: float | None) -> int:
    """Length of the exploration phase per arm, between 1 and T / K rounded up."""
    if gap is None:
        m = power(horizon / n_arms, 2.0 / 3.0) * (power(log(horizon), 1.0 / 3.0) if horizon > 1 else 1.0)
    else:
        signal = gap * gap / (4.0 * sigma * sigma)
        m = log(horizon * signal) / signal
    return max(1, min(math.ceil(m), math.ceil(horizon / n_arms)))


@register_agent("etc", source="Lattimore and Szepesvari (2020), Alg. 1")
class ETC(IndexPolicy):
    """Explore then commit.

    Args:
        problem: What the agent may know: the number of arms, the scale of the rewards, and the horizon.
        streams: Random streams of the batch.
        m: Rounds of exploration per arm; None derives it from the gap and the horizon.
        gap: Known gap between the best arm and the next; None if unknown.
        tie: Among equal means commit to the "first" arm, or a "random" one.
    """

    uses_horizon = True

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        m: int | None = None,
        gap: float | None = None,
        tie: Tie = "first",
    ) -> None:
        if m is not None and m < 1:
            raise ValueError(f"m must be at least 1, got {m}: every arm is explored at least once")
        if gap is not None and not 0 < gap < np.inf:
            raise ValueError(f"gap must be positive, got {gap}: leave it out if it is unknown")
        super().__init__(problem, streams, tie)
        if m is None:
            if problem.horizon is None:
                raise UnsupportedProblem("needs the horizon to choose m, got none: pass m=")
            m = rounds_per_arm(problem.horizon, problem.n_arms, sub_gaussian(problem), gap)
        self.m = m
        self._committed: IntArray | None = None

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        n_arms = self.mean.shape[0]
        if t <= self.m * n_arms:
            self._action[:] = (t - 1) % n_arms
            return self._action
        if self._committed is None:
            self._committed = self.largest(t, self.mean).copy()
        return self._committed

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round of exploration."""
        if self._committed is None:
            super().update(t, action, feedback)


def sub_gaussian(problem: Problem) -> float:
    """Largest sub-Gaussian constant of the arms: the noise level, half the interval's width, or 1 if unknown."""
    if problem.noise_sd is not None:
        return max(float(np.max(problem.noise_sd)), 1e-100)
    low, high = problem.reward_range or (0.0, 2.0)
    return 0.5 * (high - low)
