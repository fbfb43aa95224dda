"""What index policies share: empirical means, pulls, and playing the arm with the largest index.

An index policy is little more than its formula:

    class UCB1(IndexPolicy):
        def index(self, t, out): ucb1_index(self.mean, self.pulls, ..., out)

An arm that was never played comes first, in arm order (or at random with ``tie="random"``).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from bandits.kernels import HUGE, argmax, argmax_random, kernel
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.streams import Streams

__all__ = ["IndexPolicy", "Tie"]

Tie = Literal["first", "random"]


@kernel
def update_means(mean: FloatArray, pulls: FloatArray, action: IntArray, reward: FloatArray) -> None:
    """Running mean: ``mean += (reward - mean) / pulls``, on the arm that was played."""
    for b in range(action.size):
        a = action[b]
        n = pulls[a, b] + 1.0
        pulls[a, b] = n
        mean[a, b] += (reward[b] - mean[a, b]) / n


@kernel
def unplayed_first(index: FloatArray, pulls: FloatArray) -> None:
    """Give arms that were never played an index above all others."""
    for k in range(index.shape[0]):
        for b in range(index.shape[1]):
            index[k, b] = HUGE if pulls[k, b] == 0.0 else index[k, b]


class IndexPolicy:
    """Play the arm with the largest index.

    Attributes:
        pulls: How often each arm was played, float64 for arithmetic, shape (K, B).
        mean: Empirical means, 0 for an arm that was never played, shape (K, B).
    """

    def __init__(self, problem: Problem, streams: Streams, tie: Tie = "first") -> None:
        shape = (problem.n_arms, streams.size)
        self.pulls = np.zeros(shape)
        self.mean = np.zeros(shape)
        self._tie = streams.ties if tie == "random" else None
        self._index = np.empty(shape)
        self._action = np.empty(streams.size, dtype=np.int64)
        self._best = np.empty(streams.size)

    def index(self, t: int, out: FloatArray) -> None:
        """Write every arm's index for round t into ``out``, shape (K, B); arms never played are handled by `act`."""
        raise TypeError(f"{type(self).__name__} does not define index(t, out)")

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        self.index(t, self._index)
        unplayed_first(self._index, self.pulls)
        return self.largest(t, self._index)

    def largest(self, t: int, index: FloatArray) -> IntArray:
        """Arm with the largest index, ties broken as configured."""
        if self._tie is None:
            argmax(index, self._action, self._best)
        else:
            argmax_random(index, self._tie.uniforms(t, index.shape[0]), self._action, self._best)
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        update_means(self.mean, self.pulls, action, feedback.reward)
