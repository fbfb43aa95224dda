"""KL-UCB (Garivier and Cappe, 2011) and its variants KL-UCB+ and KL-UCB++.

Plays the arm with the largest index: the largest q that the observations leave plausible,

    max { q : pulls[a] * kl(mean[a], q) <= budget[a] }

    budget = log(t) + c log(log(t))                                KL-UCB; c = 0 in practice, 3 in the proof of [1]
    budget = log(t / pulls[a])                                     KL-UCB+ [1, Section 5]
    budget = log+(y (1 + log+(y)^2)),  y = T / (K pulls[a])        KL-UCB++ [2]; log+ is max(0, log)

kl is the Bernoulli divergence for rewards in [0, 1] (valid for non-binary ones too), and (p - q)^2 / (2 sd^2) for Gaussian
rewards, where the index is ``mean + sd sqrt(2 budget / pulls)``. The regret matches the Lai-Robbins bound for Bernoulli
rewards ([1], Theorem 2), and that of KL-UCB++ is of order sqrt(K T) besides ([2], Theorem 1).

How the largest Bernoulli index is found, without computing the others: each index is the root in q of a convex function,
so a Newton step from any q above the means lands on or above it, and the largest of the arms' steps on or above the
largest index. Repeating this converges to the largest index, and the arm that attains it is the answer. The two logarithms
of a step are then per replication, not per arm.

References:
    [1] Garivier and Cappe, "The KL-UCB Algorithm for Bounded Stochastic Bandits and Beyond", COLT 2011.
    [2] Menard and Garivier, "A minimax and asymptotically optimal algorithm for stochastic bandits", ALT 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.kernels import HUGE, inline, kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import IndexPolicy, Tie, noise_or_unit_interval
from ._kl import negative_entropy

__all__ = ["KLUCB", "KLUCBPlus", "KLUCBPlusPlus"]

_TOP = 1.0 - 1e-15  # largest q whose logarithms are taken
_TOLERANCE = 1e-9  # of the last Newton step but one; the last one squares the error


@inline
def newton_step(q: float, log_q: float, log_rest: float, mean: float, excess: float) -> float:
    """Next approximation of the root in q of ``kl(mean, q) - budget / pulls``, from q above the mean.

    Args:
        q: Current point.
        log_q: log(q).
        log_rest: log(1 - q).
        mean: Empirical mean p.
        excess: ``p log p + (1 - p) log(1 - p) - budget / pulls``.
    """
    value = excess - mean * log_q - (1.0 - mean) * log_rest
    step = q - value * q * (1.0 - q) / (q - mean)
    step = step if step < 1.0 else 1.0
    return step if q > mean else mean + 0.5 * (1.0 - mean)


@inline
def kl_ucb_index(mean: float, pulls: float, budget: float) -> float:
    """Largest q in [mean, 1] with ``pulls * kl(mean, q) <= budget`` (Bernoulli), by Newton's method from above."""
    excess = negative_entropy(mean) - budget / pulls
    pinsker = mean + np.sqrt(0.5 * budget / pulls)
    q, step = 1.0, pinsker if budget > 0.0 else mean
    for _ in range(200):
        if not step < q:
            break
        q = step if step < _TOP else _TOP
        step = newton_step(q, log(q if q > 1e-300 else 1e-300), log(1.0 - q), mean, excess)
    return q
