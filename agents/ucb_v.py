"""UCB-V (Audibert, Munos and Szepesvari, 2009).

Plays the arm with the largest index

    mean[a] + sqrt(2 variance[a] zeta log(t) / pulls[a]) + 3 c reward_width zeta log(t) / pulls[a]

where ``variance`` is the empirical one, divided by the pulls. The empirical Bernstein bound behind it makes the
regret grow with the variances of the arms: at most ``10 sum (variance / gap + 2 reward_width) log(T)`` for zeta =
1.2 and c = 1 ([1], Section 3), the sum over the suboptimal arms with their true variances.

References:
    [1] Audibert, Munos and Szepesvari, "Exploration-exploitation tradeoff using variance estimates in multi-armed
        bandits", Theoretical Computer Science 410 (2009), equation (2) and Section 3.
"""

from __future__ import annotations

import math

import numpy as np

from bandits.kernels import kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import IndexPolicy, Tie, reward_interval, update_means

__all__ = ["UCBV"]


@kernel
def bernstein_indices(
    mean: FloatArray, error: FloatArray, rate: FloatArray, root: float, slope: float, out: FloatArray
) -> None:
    """``mean + root * error + slope * rate``, where error is sqrt(variance / pulls) and rate is 1 / pulls: (K, B)."""
    for k in range(mean.shape[0]):
        for b in range(mean.shape[1]):
            out[k, b] = mean[k, b] + root * error[k, b] + slope * rate[k, b]


@kernel
def refresh(
    error: FloatArray,
    rate: FloatArray,
    square_sum: FloatArray,
    mean: FloatArray,
    pulls: FloatArray,
    action: IntArray,
    reward: FloatArray,
) -> None:
    """Recompute sqrt(variance / pulls) and 1 / pulls for the arm that was played."""
    for b in range(action.size):
        a = action[b]
        total = square_sum[a, b] + reward[b] * reward[b]
        variance = total / pulls[a, b] - mean[a, b] * mean[a, b]
        square_sum[a, b] = total
        rate[a, b] = 1.0 / pulls[a, b]
        error[a, b] = np.sqrt((variance if variance > 0.0 else 0.0) * rate[a, b])


@register_agent("ucb_v", source="Audibert, Munos and Szepesvari (2009), eq. (2)")
class UCBV(IndexPolicy):
    """Optimism from the empirical Bernstein inequality.

    Args:
        problem: What the agent may know: the number of arms, and the interval that holds the rewards.
        streams: Random streams of the batch.
        zeta: Exploration constant; the bound above is for 1.2.
        c: Weight of the last term.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    def __init__(
        self, problem: Problem, streams: Streams, *, zeta: float = 1.0, c: float = 1.0, tie: Tie = "first"
    ) -> None:
        for name, value in (("zeta", zeta), ("c", c)):
            if not 0 < value < np.inf:
                raise ValueError(f"{name} must be positive, got {value}: 1 is the usual choice")
        self.low, high = reward_interval(problem)
        super().__init__(problem, streams, tie)
        self.zeta, self.bias = zeta, 3.0 * c * (high - self.low) * zeta
        self.error, self.rate, self.square_sum = (np.zeros_like(self.mean) for _ in range(3))

    def index(self, t: int, out: FloatArray) -> None:
        """Write every arm's index, for rewards that start at 0."""
        root = math.sqrt(2.0 * self.zeta * log(t))
        bernstein_indices(self.mean, self.error, self.rate, root, self.bias * log(t), out)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        reward = feedback.reward - self.low
        update_means(self.mean, self.pulls, self.reward_sum, action, reward)
        refresh(self.error, self.rate, self.square_sum, self.mean, self.pulls, action, reward)
