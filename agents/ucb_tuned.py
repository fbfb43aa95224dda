"""UCB1-tuned (Auer, Cesa-Bianchi and Fischer, 2002).

Plays the arm with the largest index

    mean[a] + sqrt(log(t) / pulls[a] * min(1/4, variance[a] + sqrt(2 log(t) / pulls[a])))

for rewards in [0, 1]; 1/4 is the largest variance that such rewards can have. ``variance`` is the empirical one.
[1] has no proof of a regret bound for it, but reports that it beats UCB1 in practice. Rewards in another interval
are rescaled.

References:
    [1] Auer, Cesa-Bianchi and Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem", Machine Learning 47
        (2002), Section 4.
"""

from __future__ import annotations

import math

import numpy as np

from bandits.kernels import inline, kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import IndexPolicy, Tie, reward_interval, update_means

__all__ = ["UCBTuned"]


@inline
def tuned_index(mean: float, variance: float, width: float, root: float) -> float:
    """Index of one arm; ``width`` is 1 / sqrt(pulls) and ``root`` is sqrt(log t)."""
    bound = variance + 1.4142135623730951 * root * width
    return mean + root * width * np.sqrt(bound if bound < 0.25 else 0.25)  # type: ignore[no-any-return]  # numba sees a number, mypy an Any


@kernel
def tuned_indices(mean: FloatArray, variance: FloatArray, width: FloatArray, root: float, out: FloatArray) -> None:
    """Index of every arm, shapes (K, B)."""
    for k in range(mean.shape[0]):
        for b in range(mean.shape[1]):
            out[k, b] = tuned_index(mean[k, b], variance[k, b], width[k, b], root)


@kernel
def refresh(
    variance: FloatArray,
    width: FloatArray,
    square_sum: FloatArray,
    mean: FloatArray,
    pulls: FloatArray,
    action: IntArray,
    reward: FloatArray,
) -> None:
    """Recompute the variance and 1 / sqrt(pulls) of the arm that was played."""
    for b in range(action.size):
        a = action[b]
        total = square_sum[a, b] + reward[b] * reward[b]
        value = total / pulls[a, b] - mean[a, b] * mean[a, b]
        square_sum[a, b] = total
        variance[a, b] = value if value > 0.0 else 0.0
        width[a, b] = 1.0 / np.sqrt(pulls[a, b])


@register_agent("ucb_tuned", source="Auer et al. (2002), Sect. 4")
class UCBTuned(IndexPolicy):
    """UCB1 with the empirical variance in place of Hoeffding's worst case.

    Args:
        problem: What the agent may know: the number of arms, and the interval that holds the rewards.
        streams: Random streams of the batch.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    def __init__(self, problem: Problem, streams: Streams, *, tie: Tie = "first") -> None:
        low, high = reward_interval(problem)
        super().__init__(problem, streams, tie)
        self.low, self.scale = low, 1.0 / (high - low)
        self.variance, self.width, self.square_sum = (np.zeros_like(self.mean) for _ in range(3))

    def index(self, t: int, out: FloatArray) -> None:
        """Write every arm's index, for rewards rescaled to [0, 1]."""
        tuned_indices(self.mean, self.variance, self.width, math.sqrt(log(t)), out)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        reward = (feedback.reward - self.low) * self.scale
        update_means(self.mean, self.pulls, self.reward_sum, action, reward)
        refresh(self.variance, self.width, self.square_sum, self.mean, self.pulls, action, reward)
