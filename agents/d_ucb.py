"""D-UCB, discounted UCB, for arms whose means change abruptly (Kocsis and Szepesvari, 2006).

Plays the arm with the largest index

    mean_g[a] + 2 * scale[a] * sqrt(xi * log(n) / weight[a])

where round s counts with weight ``gamma^(t - s)``: ``weight[a]`` sums the weights of the rounds in which arm a was
played, ``mean_g[a]`` is the weighted mean of its rewards, and n the sum over all arms. An arm that was never played
comes first. For rewards in an interval of width B and ``changes`` changes of the means up to round T, the discount

    gamma = 1 - sqrt(changes / T) / (4 B)

makes the regret O(sqrt(changes T) log T) ([1], Section 4.1). ``scale`` is B, or twice the standard deviation of
Gaussian rewards (both are twice the sub-Gaussian constant).

Every arm's two sums are multiplied by gamma in every round, K products for one play: this is exact, and costs less
than the K roots of the index. Rounding errors decay like the sums themselves, so they do not pile up.

References:
    [1] Garivier and Moulines, "On Upper-Confidence Bound Policies for Switching Bandit Problems", ALT 2011,
        Algorithm 1.
    [2] Kocsis and Szepesvari, "Discounted UCB", 2nd PASCAL Challenges Workshop (2006).
"""

from __future__ import annotations

import math

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.kernels import HUGE, kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import IndexPolicy, Tie
from .moss import twice_sub_gaussian

__all__ = ["DUCB"]


@kernel
def indices(total: FloatArray, weight: FloatArray, factor: FloatArray, out: FloatArray) -> None:
    """``total / weight + factor / sqrt(weight)``, and HUGE for an arm that was never played."""
    for k in range(total.shape[0]):
        for b in range(total.shape[1]):
            index = total[k, b] / weight[k, b] + factor[k] / np.sqrt(weight[k, b])
            out[k, b] = index if weight[k, b] > 0.0 else HUGE


@kernel
def discount(total: FloatArray, weight: FloatArray, gamma: float, action: IntArray, reward: FloatArray) -> None:
    """Multiply all sums by gamma, then count this round."""
    for k in range(total.shape[0]):
        for b in range(total.shape[1]):
            total[k, b] *= gamma
            weight[k, b] *= gamma
    for b in range(action.size):
        total[action[b], b] += reward[b]
        weight[action[b], b] += 1.0


@register_agent("d_ucb", source="Garivier and Moulines (2011), Alg. 1")
class DUCB(IndexPolicy):
    """UCB that discounts the past.

    Args:
        problem: What the agent may know: the number of arms, the scale of the rewards, and the horizon.
        streams: Random streams of the batch.
        gamma: Discount per round, in (0, 1]; None takes the formula above.
        changes: How often the means change up to the horizon, at least 1; used by that formula only.
        xi: Exploration constant; [1] uses 0.6 in its experiments, and more than 1/2 in its bound.
        scale: Twice the sub-Gaussian constant of the rewards; None takes what the environment tells.
        tie: Among equal indices play the "first" arm, or a "random" one.

    Attributes:
        total: Discounted sums of rewards, shape (K, B).
        pulls: Discounted numbers of plays, the weights above, shape (K, B).
    """

    uses_horizon = True

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        gamma: float | None = None,
        changes: int = 1,
        xi: float = 0.6,
        scale: float | None = None,
        tie: Tie = "first",
    ) -> None:
        if gamma is not None and not 0.0 < gamma <= 1.0:
            raise ValueError(f"gamma must lie in (0, 1], got {gamma}: leave it out for 1 - sqrt(changes / T) / (4 B)")
        if changes < 1:
            raise ValueError(f"changes must be at least 1, got {changes}: where nothing changes play ucb1")
        if xi <= 0:
            raise ValueError(f"xi must be positive, got {xi}: with xi <= 0 there is no exploration")
        super().__init__(problem, streams, tie)
        self.xi, self.scale = xi, twice_sub_gaussian(problem, scale)
        self.gamma = discount_factor(problem.horizon, changes, float(self.scale.max())) if gamma is None else gamma
        self.total = np.zeros_like(self.mean)
        self._rounds = 0.0  # discounted number of rounds, the n above

    def index(self, t: int, out: FloatArray) -> None:
        """Write every arm's index."""
        factor = 2.0 * self.scale * math.sqrt(self.xi * log(max(self._rounds, 1.0)))
        indices(self.total, self.pulls, factor, out)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        self._rounds = self.gamma * self._rounds + 1.0
        discount(self.total, self.pulls, self.gamma, action, feedback.reward)


def discount_factor(horizon: int | None, changes: int, scale: float) -> float:
    """``1 - sqrt(changes / T) / (4 B)``, which must be positive."""
    if horizon is None:
        raise UnsupportedProblem("needs the horizon to choose the discount, got none: pass gamma=")
    gamma = 1.0 - math.sqrt(changes / horizon) / (4.0 * scale) if scale > 0.0 else 0.0
    if gamma <= 0.0:
        raise UnsupportedProblem(
            f"the formula 1 - sqrt(changes / T) / (4 B) gives no discount for T = {horizon}, changes = {changes} and "
            f"scale B = {scale:g}: pass gamma= in (0, 1]"
        )
    return gamma
