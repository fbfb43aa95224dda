"""What index policies share: empirical means, pulls, and playing the arm with the largest index.

An index policy is little more than its formula:

    class UCB1(IndexPolicy):
        def index(self, t, out): ucb1_index(self.mean, self.pulls, ..., out)

An arm that was never played comes first, in arm order (or at random with ``tie="random"``).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from bandits.arrays import empty, zeros
from bandits.errors import UnsupportedProblem
from bandits.kernels import HUGE, argmax, argmax_random, kernel, place
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.streams import Streams

__all__ = ["IndexPolicy", "Tie", "noise_or_unit_interval", "reward_interval", "update_means"]

Tie = Literal["first", "random"]


@kernel
def update_means(
    mean: FloatArray, pulls: FloatArray, reward_sum: FloatArray, action: IntArray, reward: FloatArray
) -> None:
    """Absorb the reward of the arm that was played.

    The mean is the ratio of sum and pulls, not a running mean: arms with the same record tie exactly.
    """
    for b in range(action.size):
        a = place(action[b])
        n, total = pulls[a, b] + 1.0, reward_sum[a, b] + reward[b]
        pulls[a, b] = n
        reward_sum[a, b] = total
        mean[a, b] = total / n


@kernel
def unplayed_first(index: FloatArray, pulls: FloatArray) -> int:
    """Give arms that were never played an index above all others; return whether there are any."""
    found = 0
    for k in range(index.shape[0]):
        for b in range(index.shape[1]):
            found |= pulls[k, b] == 0.0
            index[k, b] = HUGE if pulls[k, b] == 0.0 else index[k, b]
    return found


class IndexPolicy:
    """Play the arm with the largest index.

    Attributes:
        pulls: How often each arm was played, float64 for arithmetic, shape (K, B).
        reward_sum: Sum of each arm's rewards, shape (K, B).
        mean: Empirical means, 0 for an arm that was never played, shape (K, B).
    """

    def __init__(self, problem: Problem, streams: Streams, tie: Tie = "first") -> None:
        shape = (problem.n_arms, streams.size)
        self.pulls = zeros(shape)
        self.reward_sum = zeros(shape)
        self.mean = zeros(shape)
        self._tie = streams.ties if tie == "random" else None
        self._index = empty(shape)
        self._action = empty(streams.size, np.int64)
        self._best = empty(streams.size)
        self._unplayed = 1

    def index(self, t: int, out: FloatArray) -> None:
        """Write every arm's index for round t into ``out``, shape (K, B); arms never played are handled by `act`."""
        raise TypeError(f"{type(self).__name__} does not define index(t, out)")

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        self.index(t, self._index)
        if self._unplayed:
            self._unplayed = unplayed_first(self._index, self.pulls)
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
        update_means(self.mean, self.pulls, self.reward_sum, action, feedback.reward)


def noise_or_unit_interval(problem: Problem) -> FloatArray | None:
    """Noise level of each arm, shape (K,), where rewards are Gaussian; None where they lie in [0, 1].

    Raises:
        UnsupportedProblem: They are neither.
    """
    if problem.noise_sd is not None:
        return problem.noise_sd
    if problem.reward_range == (0.0, 1.0):
        return None
    raise UnsupportedProblem(
        f"needs rewards in [0, 1] or Gaussian rewards of known noise, got {_rewards(problem)}: "
        f"rescale them, or play ucb1"
    )


def reward_interval(problem: Problem) -> tuple[float, float]:
    """Interval that holds the rewards.

    Raises:
        UnsupportedProblem: They are unbounded.
    """
    if problem.reward_range is None:
        raise UnsupportedProblem(f"needs bounded rewards, got {_rewards(problem)}: play ucb1 or kl_ucb")
    return problem.reward_range


def _rewards(problem: Problem) -> str:
    if problem.reward_range is not None:
        return "rewards in [{:g}, {:g}]".format(*problem.reward_range)
    return "unbounded rewards" if problem.noise_sd is None else "Gaussian rewards"
