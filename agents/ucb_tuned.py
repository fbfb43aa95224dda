"""UCB1-tuned (Auer, Cesa-Bianchi and Fischer, 2002).

Plays the arm with the largest index

    mean[a] + sqrt(log(t) / pulls[a] * min(1/4, variance[a] + sqrt(2 log(t) / pulls[a])))

for rewards in [0, 1]; 1/4 is the largest variance that such rewards can have. ``variance`` is the empirical one. [1] has
no proof of a regret bound for it, but reports that it beats UCB1 in practice. Rewards in another interval are rescaled.

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

from ._index import IndexPolicy, Tie, reward_interval, update_variances

__all__ = ["UCBTuned"]


@inline
def tuned_index(mean: float, variance: float, width: float, root: float) -> float:
    """Index of one arm; ``width`` is 1 / sqrt(pulls) and ``root`` is sqrt(log t)."""
    bound = variance + 1.4142135623730951 * root * width
    return mean + root * width * np.sqrt(bound if bound < 0.25 else 0.25)  # type: ignore[no-any-return]


@kernel
def tuned_indices(mean: FloatArray, variance: FloatArray, width: FloatArray, root: float, out: FloatArray) -> None:
    """Index of every arm, shapes (K, B)."""
    for k in range(mean.shape[0]):
        for b in range(mean.shape[1]):
            out[k, b] = tuned_index(mean[k, b], variance[k, b], width[k, b], root)


@kernel
def refresh_width(width: FloatArray, pulls: FloatArray, action: IntArray) -> None:
    """Recompute 1 / sqrt(pulls) for the arm that was played."""
    for b in range(action.size):
        width[action[b], b] = 1.0 / np.sqrt(pulls[action[b], b])


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
        self.variance = np.zeros_like(self.mean)
        self.width = np.zeros_like(self.mean)

    def index(self, t: int, out: FloatArray) -> None:
        """Write every arm's index."""
        tuned_indices(self.mean, self.variance, self.width, math.sqrt(log(t)), out)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        reward = feedback.reward if (self.low, self.scale) == (0.0, 1.0) else (feedback.reward - self.low) * self.scale
        update_variances(self.mean, self.variance, self.pulls, action, reward)
        refresh_width(self.width, self.pulls, action)
