"""What the agents for adversarial losses share: random play from a distribution over arms, and the losses' range.

They choose a distribution p over the arms from estimated cumulative losses, where ``loss = 1 - reward``, draw the arm
from p, and estimate the loss of an arm by dividing what they saw by the probability of seeing it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.kernels import exp, kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.streams import Streams

from ._index import reward_interval

__all__ = ["LossEstimator", "default_rate", "exponential_weights"]


@kernel
def exponential_weights(loss_sum: FloatArray, rate: float, mixing: float, scratch: FloatArray, p: FloatArray) -> None:
    """``p = (1 - mixing) softmax(-rate loss_sum) + mixing / K``, shapes (K, B); scratch is (2, B)."""
    n_arms, size = loss_sum.shape
    least, total = scratch[0], scratch[1]
    for b in range(size):
        least[b] = loss_sum[0, b]
        total[b] = 0.0
    for k in range(1, n_arms):
        for b in range(size):
            least[b] = loss_sum[k, b] if loss_sum[k, b] < least[b] else least[b]
    for k in range(n_arms):
        for b in range(size):
            weight = exp(-rate * (loss_sum[k, b] - least[b]))
            p[k, b] = weight
            total[b] += weight
    for b in range(size):
        total[b] = (1.0 - mixing) / total[b]
    for k in range(n_arms):
        for b in range(size):
            p[k, b] = p[k, b] * total[b] + mixing / n_arms


@kernel
def draw(p: FloatArray, uniform: FloatArray, scratch: FloatArray, action: IntArray) -> None:
    """Inverse distribution function, arms in order: the last one of positive p to begin at or below u * sum(p)."""
    n_arms, size = p.shape
    target, below = scratch[0], scratch[1]
    for b in range(size):
        target[b] = 0.0
        below[b] = 0.0
        action[b] = 0
    for k in range(n_arms):
        for b in range(size):
            target[b] += p[k, b]
    for b in range(size):
        target[b] *= uniform[b]
    for k in range(n_arms):
        for b in range(size):
            here = (p[k, b] > 0.0) & (below[b] <= target[b])
            action[b] = k if here else action[b]
            below[b] += p[k, b]


@kernel
def add_estimate(loss_sum: FloatArray, p: FloatArray, bias: float, action: IntArray, reward: FloatArray) -> None:
    """Add ``(1 - reward) / (p + bias)`` to the estimated loss of the arm that was played."""
    for b in range(action.size):
        a = action[b]
        loss_sum[a, b] += (1.0 - reward[b]) / (p[a, b] + bias)


class LossEstimator:
    """Play an arm drawn from ``p``, which `distribution` computes.

    Attributes:
        loss_sum: Estimated cumulative losses, shape (K, B).
        p: Probability of each arm in the current round, shape (K, B).
        bias: What is added to p in the importance weights.
    """

    bias = 0.0

    def __init__(self, problem: Problem, streams: Streams) -> None:
        low, high = reward_interval(problem)
        if low < 0.0 or high > 1.0:
            raise UnsupportedProblem(f"needs rewards in [0, 1], got [{low:g}, {high:g}]: rescale them")
        shape = (problem.n_arms, streams.size)
        self.loss_sum = np.zeros(shape)
        self.p = np.full(shape, 1.0 / problem.n_arms)
        self._stream = streams.agent
        self._scratch = np.empty((2, streams.size))
        self._action = np.empty(streams.size, dtype=np.int64)

    def distribution(self, t: int) -> None:
        """Write the probabilities of round t into ``p``."""
        raise TypeError(f"{type(self).__name__} does not define distribution(t)")

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        self.distribution(t)
        draw(self.p, self._stream.uniform(t), self._scratch, self._action)
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        add_estimate(self.loss_sum, self.p, self.bias, action, feedback.reward)


def default_rate(problem: Problem, eta: float | None) -> float:
    """Learning rate: as given, else ``sqrt(2 log(K) / (T K))``."""
    if eta is not None:
        if not 0.0 < eta < np.inf:
            raise ValueError(f"eta must be positive, got {eta}: leave it out for sqrt(2 log(K) / (T K))")
        return eta
    if problem.horizon is None:
        raise UnsupportedProblem("needs the horizon to choose its learning rate, got none: pass eta=")
    n_arms = problem.n_arms
    return float(np.sqrt(2.0 * log(n_arms) / (problem.horizon * n_arms)))
