"""UCB1 (Auer, Cesa-Bianchi and Fischer, 2002).

Plays the arm with the largest optimistic index

    mean[a] + scale[a] * sqrt(c * log(t) / pulls[a])

where t is the current round. ``scale`` is the standard deviation of Gaussian rewards, or the width of the interval
that holds bounded ones. Regret is O(log T).

References:
    [1] Auer, Cesa-Bianchi and Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem", Machine Learning 47
        (2002), Figure 1 and Theorem 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bandits.arrays import zeros
from bandits.kernels import kernel, log, place
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import IndexPolicy, Tie

__all__ = ["UCB1"]

MAX_TABLE = 2**20  # entries of the table of roots; the few arms played more often compute theirs


@kernel
def write_index(mean: FloatArray, width: FloatArray, scale: FloatArray, factor: float, out: FloatArray) -> None:
    """``mean + factor * scale * width``, where width is 1 / sqrt(pulls): (K, B), scale is (K,)."""
    for k in range(mean.shape[0]):
        factor_k = factor * scale[k]
        for b in range(mean.shape[1]):
            out[k, b] = mean[k, b] + factor_k * width[k, b]


@kernel
def choose(
    mean: FloatArray, width: FloatArray, scale: FloatArray, factor: float, action: IntArray, best: FloatArray
) -> None:
    """`write_index` and argmax in one pass, the lowest arm winning a tie.

    Three arms at a time: ``action`` and the scratch row ``best`` (B,) are read and written a third as often.
    """
    n_arms = mean.shape[0]
    by_three = n_arms - (n_arms - 1) % 3
    factor0 = factor * scale[0]
    for b in range(action.size):
        best[b] = mean[0, b] + factor0 * width[0, b]
        action[b] = 0
    for k in range(1, by_three, 3):
        factor0, factor1, factor2 = factor * scale[k], factor * scale[k + 1], factor * scale[k + 2]
        for b in range(action.size):
            leader, arm = best[b], action[b]
            index = mean[k, b] + factor0 * width[k, b]
            better = index > leader
            leader = index if better else leader
            arm = k if better else arm
            index = mean[k + 1, b] + factor1 * width[k + 1, b]
            better = index > leader
            leader = index if better else leader
            arm = k + 1 if better else arm
            index = mean[k + 2, b] + factor2 * width[k + 2, b]
            better = index > leader
            best[b] = index if better else leader
            action[b] = k + 2 if better else arm
    for k in range(by_three, n_arms):
        factor0 = factor * scale[k]
        for b in range(action.size):
            index = mean[k, b] + factor0 * width[k, b]
            better = index > best[b]
            best[b] = index if better else best[b]
            action[b] = k if better else action[b]


@kernel
def absorb(
    mean: FloatArray,
    pulls: FloatArray,
    reward_sum: FloatArray,
    width: FloatArray,
    inverse_roots: FloatArray,
    action: IntArray,
    reward: FloatArray,
) -> None:
    """Update sum, pulls, mean and width of the arm that was played; ``inverse_roots[n]`` is 1 / sqrt(n)."""
    for b in range(action.size):
        a = place(action[b])
        n, total = pulls[a, b] + 1.0, reward_sum[a, b] + reward[b]
        pulls[a, b] = n
        reward_sum[a, b] = total
        mean[a, b] = total / n
        width[a, b] = inverse_roots[place(n)] if n < inverse_roots.size else 1.0 / np.sqrt(n)


@register_agent("ucb1", source="Auer et al. (2002), Fig. 1")
class UCB1(IndexPolicy):
    """UCB1: optimism from Hoeffding's inequality.

    Args:
        problem: What the agent may know: the number of arms, and the scale of the rewards.
        streams: Random streams of the batch.
        c: Exploration constant; 2 is the value of [1], Theorem 1.
        scale: Standard deviation, or width of the rewards' interval; None takes what the environment tells.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        c: float = 2.0,
        scale: float | None = None,
        tie: Tie = "first",
    ) -> None:
        if not 0 < c < math.inf:
            raise ValueError(f"c must be positive and finite, got {c}: with c <= 0 UCB1 never explores")
        super().__init__(problem, streams, tie)
        self.c, self.scale = c, reward_scale(problem, scale)
        self.width = zeros(self.mean.shape)  # 1 / sqrt(pulls), renewed only where an arm was played
        self._inverse_roots = inverse_roots(1024)

    def index(self, t: int, out: FloatArray) -> None:
        """Write every arm's index."""
        write_index(self.mean, self.width, self.scale, self._factor(t), out)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        if self._unplayed or self._tie is not None:
            return super().act(t)
        choose(self.mean, self.width, self.scale, self._factor(t), self._action, self._best)
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        if self._inverse_roots.size <= t < MAX_TABLE:
            self._inverse_roots = inverse_roots(2 * t)
        absorb(self.mean, self.pulls, self.reward_sum, self.width, self._inverse_roots, action, feedback.reward)

    def _factor(self, t: int) -> float:
        return math.sqrt(self.c * log(t))


def inverse_roots(size: int) -> FloatArray:
    """``1 / sqrt(n)`` for n = 0 .. size - 1, with 0 for n = 0: a look-up costs less than a root and a division."""
    table = np.zeros(size)
    table[1:] = 1.0 / np.sqrt(np.arange(1.0, size))
    return table


def reward_scale(problem: Problem, scale: float | None) -> FloatArray:
    """Scale of each arm's rewards, shape (K,): as given, else the noise level, else the interval's width, else 1."""
    if scale is not None:
        if not 0 < scale < np.inf:
            raise ValueError(f"scale must be positive and finite, got {scale}")
        return np.full(problem.n_arms, float(scale))
    if problem.noise_sd is not None:
        return problem.noise_sd
    low, high = problem.reward_range or (0.0, 1.0)
    return np.full(problem.n_arms, high - low)
