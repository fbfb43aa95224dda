"""KL-UCB (Garivier and Cappe, 2011) and its variants KL-UCB+ and KL-UCB++.

Plays the arm with the largest index: the largest q that the observations leave plausible,

    max { q : pulls[a] * kl(mean[a], q) <= budget[a] }

    budget = log(t) + c log(log(t))                                KL-UCB; c = 0 in practice, 3 in the proof of [1]
    budget = log(t / pulls[a])                                     KL-UCB+ [1, Section 5]
    budget = log+(y (1 + log+(y)^2)),  y = T / (K pulls[a])        KL-UCB++ [2]; log+ is max(0, log)

kl is the Bernoulli divergence for rewards in [0, 1] (valid for non-binary ones too), and (p - q)^2 / (2 sd^2) for
Gaussian rewards, where the index is ``mean + sd sqrt(2 budget / pulls)``. The regret matches the Lai-Robbins bound
for Bernoulli rewards ([1], Theorem 2), and that of KL-UCB++ is of order sqrt(K T) besides ([2], Theorem 1).

How the largest Bernoulli index is found, without computing the others: each index is the root in q of a convex
function, so a Newton step from any q above the means lands on or above it, and the largest of the arms' steps on or
above the largest index. Repeating this converges to the largest index, and the arm that attains it is the answer.
The two logarithms of a step are then per replication, not per arm.

References:
    [1] Garivier and Cappe, "The KL-UCB Algorithm for Bounded Stochastic Bandits and Beyond", COLT 2011.
    [2] Menard and Garivier, "A minimax and asymptotically optimal algorithm for stochastic bandits", ALT 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.kernels import HUGE, exp, inline, kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import IndexPolicy, Tie, noise_or_unit_interval
from ._kl import negative_entropy

__all__ = ["KLUCB", "KLUCBPlus", "KLUCBPlusPlus"]

_TOP = 1.0 - 1e-15  # largest q whose logarithms are taken
_TOLERANCE = 4e-7  # of the last Newton step, times q (1 - q); it leaves about the square of its own length
_BLOCK = 64
_STEPS = 200  # never reached: a dozen steps suffice


@inline
def newton_step(q: float, spread: float, logit: float, log_rest: float, mean: float, excess: float) -> float:
    """Newton's next point for the root in q of ``kl(mean, q) = budget / pulls``, not below the mean.

    Args:
        q: Current point, above the mean.
        spread: ``q (1 - q)``.
        logit: ``log q - log(1 - q)``.
        log_rest: ``log(1 - q)``.
        mean: Empirical mean p.
        excess: ``p log p + (1 - p) log(1 - p) - budget / pulls``.
    """
    value = excess - log_rest - mean * logit  # kl(mean, q) - budget / pulls; its slope is (q - mean) / spread
    step = q - value * spread / (q - mean)
    return step if step > mean else mean


@inline
def kl_ucb_index(mean: float, pulls: float, budget: float) -> float:
    """Largest q in [mean, 1] with ``pulls * kl(mean, q) <= budget``, Bernoulli: Newton's method from above."""
    excess = negative_entropy(mean) - budget / pulls
    pinsker = mean + np.sqrt((0.5 * budget if budget > 0.0 else 0.0) / pulls)
    ceiling = 1.0 - exp(excess / (1.0 - mean))  # where -(1 - p) log(1 - q) alone uses up the budget
    step = ceiling if mean < ceiling < pinsker else pinsker
    for _ in range(_STEPS):
        q = step if step < _TOP else _TOP
        if q <= mean:
            break
        spread, log_rest = q * (1.0 - q), log(1.0 - q)
        step = newton_step(q, spread, log(q) - log_rest, log_rest, mean, excess)
        if step >= q or (q - step) * (q - step) <= 1e-13 * spread * (q - mean):
            break
    return step if step < 1.0 else 1.0


@kernel
def bernoulli_indices(mean: FloatArray, pulls: FloatArray, offset: FloatArray, base: float, out: FloatArray) -> None:
    """Index of every arm, shapes (K, B); the budget is ``base + offset``."""
    for k in range(mean.shape[0]):
        for b in range(mean.shape[1]):
            n = pulls[k, b] if pulls[k, b] > 0.0 else 1.0
            out[k, b] = kl_ucb_index(mean[k, b], n, base + offset[k, b])


@kernel
def bernoulli_choice(
    mean: FloatArray,
    rate: FloatArray,
    level: FloatArray,
    base: float,
    largest: FloatArray,
    scratch: FloatArray,
    action: IntArray,
) -> None:
    """Arm with the largest index, the lowest of equals; shapes (K, B) and (B,).

    Lanes are searched in blocks, so that one that converges slowly delays few others. A lane that has converged stays
    as it is: what the others do cannot change it.

    Args:
        mean: Empirical means p.
        rate: 1 / pulls.
        level: ``p log p + (1 - p) log(1 - p) - offset / pulls``.
        base: Part of the budget that arms share.
        largest: Largest index of the last call, where the search starts; replaced by the new one.
        scratch: Shape (6, 64).
        action: Where the arm is written.
    """
    for first in range(0, action.size, _BLOCK):
        size = _BLOCK if first + _BLOCK < action.size else action.size - first
        q, chosen = largest[first : first + size], action[first : first + size]
        spread, logit, log_rest = scratch[0][:size], scratch[1][:size], scratch[2][:size]
        candidate, arm, moving = scratch[3][:size], scratch[4][:size], scratch[5][:size]
        for b in range(size):
            moving[b], candidate[b] = 1.0, 0.0
        for k in range(mean.shape[0]):
            p = mean[k][first : first + size]
            for b in range(size):
                candidate[b] = p[b] if p[b] > candidate[b] else candidate[b]
        for b in range(size):
            above = 0.875 * candidate[b] + 0.125
            above = above if above < _TOP else _TOP
            q[b] = q[b] if q[b] > candidate[b] else above
        for _ in range(_STEPS):
            for b in range(size):
                log_rest[b] = log(1.0 - q[b])
                logit[b] = log(q[b]) - log_rest[b]
                spread[b] = q[b] * (1.0 - q[b])
                candidate[b] = -1.0
            for k in range(mean.shape[0]):
                p, r, h = mean[k][first : first + size], rate[k][first : first + size], level[k][first : first + size]
                for b in range(size):
                    step = newton_step(q[b], spread[b], logit[b], log_rest[b], p[b], h[b] - base * r[b])
                    better = step > candidate[b]
                    candidate[b] = step if better else candidate[b]
                    arm[b] = k if better else arm[b]
            any_moving = 0
            for b in range(size):
                active = moving[b] > 0.0
                step = candidate[b] if candidate[b] > 1e-300 else 1e-300
                step = step if step < _TOP else _TOP
                distance = step - q[b] if step > q[b] else q[b] - step
                chosen[b] = int(arm[b]) if active else chosen[b]
                q[b] = step if active else q[b]
                active = active & (distance > _TOLERANCE * spread[b])
                moving[b] = 1.0 if active else 0.0
                any_moving |= active
            if not any_moving:
                break


@kernel
def refresh(
    level: FloatArray, rate: FloatArray, offset: FloatArray, mean: FloatArray, pulls: FloatArray, action: IntArray
) -> None:
    """Recompute 1 / pulls and the level of the arm that was played."""
    for b in range(action.size):
        a = action[b]
        rate[a, b] = 1.0 / pulls[a, b]
        level[a, b] = negative_entropy(mean[a, b]) - offset[a, b] * rate[a, b]


@kernel
def gaussian_indices(
    mean: FloatArray, pulls: FloatArray, offset: FloatArray, base: float, sd: FloatArray, out: FloatArray
) -> None:
    """``mean + sd sqrt(2 budget / pulls)`` for every arm, shapes (K, B), sd is (K,)."""
    for k in range(mean.shape[0]):
        for b in range(mean.shape[1]):
            budget = base + offset[k, b]
            out[k, b] = mean[k, b] + sd[k] * np.sqrt(2.0 * (budget if budget > 0.0 else 0.0) / pulls[k, b])


@register_agent("kl_ucb", source="Garivier and Cappe (2011), Alg. 1")
class KLUCB(IndexPolicy):
    """Optimism from the Kullback-Leibler divergence.

    Args:
        problem: What the agent may know: the number of arms, and the family of the rewards.
        streams: Random streams of the batch.
        c: Weight of log(log(t)); 0 is what [1] recommends, 3 what it proves.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    def __init__(self, problem: Problem, streams: Streams, *, c: float = 0.0, tie: Tie = "first") -> None:
        if not 0 <= c < np.inf:
            raise ValueError(f"c must be at least 0, got {c}: 0 is the usual choice")
        super().__init__(problem, streams, tie)
        self.c = c
        self.sd = noise_or_unit_interval(problem)
        self.offset = np.zeros_like(self.mean)  # what the budget of an arm has beyond the common part
        self.rate, self.level = np.zeros_like(self.mean), np.full_like(self.mean, -HUGE)
        self.largest_index = np.full(streams.size, 0.5)
        self._scratch = np.empty((6, _BLOCK))

    def base(self, t: int) -> float:
        """Part of the budget that depends on the round only."""
        log_t = log(t)
        return log_t + self.c * log(log_t) if log_t > 1.0 else log_t

    def index(self, t: int, out: FloatArray) -> None:
        """Write every arm's index."""
        if self.sd is None:
            bernoulli_indices(self.mean, self.pulls, self.offset, self.base(t), out)
        else:
            gaussian_indices(self.mean, self.pulls, self.offset, self.base(t), self.sd, out)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        if self.sd is not None or self._tie is not None:
            return super().act(t)
        bernoulli_choice(
            self.mean, self.rate, self.level, self.base(t), self.largest_index, self._scratch, self._action
        )
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        super().update(t, action, feedback)
        self.refresh_offset(action)
        if self.sd is None:
            refresh(self.level, self.rate, self.offset, self.mean, self.pulls, action)

    def refresh_offset(self, action: IntArray) -> None:
        """Recompute the offset of the arm that was played."""


@kernel
def minus_log_pulls(offset: FloatArray, pulls: FloatArray, action: IntArray) -> None:
    """Offset of KL-UCB+: ``-log(pulls)`` on the arm that was played."""
    for b in range(action.size):
        offset[action[b], b] = -log(pulls[action[b], b])


@register_agent("kl_ucb_plus", source="Garivier and Cappe (2011), Sect. 5")
class KLUCBPlus(KLUCB):
    """KL-UCB with the smaller budget ``log(t / pulls)``.

    Args:
        problem: What the agent may know: the number of arms, and the family of the rewards.
        streams: Random streams of the batch.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    def __init__(self, problem: Problem, streams: Streams, *, tie: Tie = "first") -> None:
        super().__init__(problem, streams, tie=tie)

    def refresh_offset(self, action: IntArray) -> None:
        """Recompute the offset of the arm that was played."""
        minus_log_pulls(self.offset, self.pulls, action)


@inline
def plus_plus_budget(share: float, pulls: float) -> float:
    """``log+(y (1 + log+(y)^2))`` with ``y = share / pulls``; share is T / K."""
    y = share / pulls
    log_y = log(y) if y > 1.0 else 0.0
    budget = log(y * (1.0 + log_y * log_y))
    return budget if budget > 0.0 else 0.0


@kernel
def plus_plus_offset(offset: FloatArray, pulls: FloatArray, action: IntArray, share: float) -> None:
    """Offset of KL-UCB++ on the arm that was played; -HUGE stands for a budget of 0."""
    for b in range(action.size):
        budget = plus_plus_budget(share, pulls[action[b], b])
        offset[action[b], b] = budget if budget > 0.0 else -HUGE


@register_agent("kl_ucb_plus_plus", source="Menard and Garivier (2017), Sect. 3")
class KLUCBPlusPlus(KLUCB):
    """KL-UCB with a budget that vanishes once an arm had its share T / K of the rounds.

    Args:
        problem: What the agent may know: the number of arms, the family of the rewards, and the horizon.
        streams: Random streams of the batch.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    uses_horizon = True

    def __init__(self, problem: Problem, streams: Streams, *, tie: Tie = "first") -> None:
        if problem.horizon is None:
            raise UnsupportedProblem("needs the horizon, got none: play kl_ucb or kl_ucb_plus")
        super().__init__(problem, streams, tie=tie)
        self.share = problem.horizon / problem.n_arms

    def base(self, t: int) -> float:
        """Nothing: the budget depends on the pulls only."""
        return 0.0

    def refresh_offset(self, action: IntArray) -> None:
        """Recompute the offset of the arm that was played."""
        plus_plus_offset(self.offset, self.pulls, action, self.share)
