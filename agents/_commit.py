"""What the agents that query a list of arms and then commit to one share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.streams import Streams

from ._context import known_context

__all__ = ["QueryAndCommit", "fixed_features", "largest_noise"]


def fixed_features(problem: Problem) -> FloatArray:
    """Features of the arms, shape (K, d), if all replications share them and they are of length at most 1.

    Raises:
        UnsupportedProblem: They are not.
    """
    context = known_context(problem)
    if context.features is None or context.features.shape[2] != 1:
        raise UnsupportedProblem(
            "needs features that are the same in every round and replication: play it on misspecified_linear"
        )
    features = np.ascontiguousarray(context.features[:, :, 0].T)
    longest = max(math.sqrt(math.fsum(x * x for x in row)) for row in features.tolist())
    if longest > 1.0 + 1e-9:
        raise UnsupportedProblem(f"needs features of length at most 1, got one of {longest:.6g}: rescale them")
    return features


def largest_noise(problem: Problem) -> float:
    """Largest standard deviation of a reward.

    Raises:
        UnsupportedProblem: It is not known.
    """
    if problem.noise_sd is None:
        raise UnsupportedProblem("needs Gaussian rewards of known noise level, got none")
    return float(problem.noise_sd.max())


class QueryAndCommit:
    """Play each arm of a list a number of times, then for ever the one that `choose` names.

    Attributes:
        arms: The arms to query, (Q,).
        repeats: How often each, (Q,).
        reward_sum: Sum of the rewards of each, (Q, B).
    """

    def __init__(self, problem: Problem, streams: Streams, arms: IntArray, repeats: IntArray) -> None:
        self.arms, self.repeats = arms, repeats
        self.reward_sum = np.zeros((arms.size, streams.size))
        self._ends = np.cumsum(repeats)
        self._action = np.empty(streams.size, dtype=np.int64)
        self._committed: IntArray | None = None

    @property
    def n_queries(self) -> int:
        """Rounds before it commits."""
        return int(self._ends[-1])

    def choose(self, means: FloatArray) -> IntArray:
        """The arm to commit to, (B,), from the mean reward of each query (Q, B)."""
        raise TypeError(f"{type(self).__name__} does not define choose(means)")

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        if t <= self.n_queries:
            self._action[:] = self.arms[np.searchsorted(self._ends, t)]
            return self._action
        if self._committed is None:
            self._committed = self.choose(self.reward_sum / self.repeats[:, None])
        return self._committed

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round of queries."""
        if t <= self.n_queries:
            self.reward_sum[np.searchsorted(self._ends, t)] += feedback.reward
