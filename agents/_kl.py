"""What divergence-based policies share: how far each arm's mean lies below the largest one, in nats.

The *evidence* that arm a is not the best is

    pulls[a] * kl(mean[a], max of the means)

with the Bernoulli divergence for rewards in [0, 1], and with (p - q)^2 / (2 sd^2) for Gaussian ones. Expanding the
Bernoulli divergence leaves two logarithms per replication, not two per arm:

    kl(p, q) = p log p + (1 - p) log(1 - p)  -  p log q - (1 - p) log(1 - q)

where the first half changes only when the arm is played.
"""

from __future__ import annotations

import numpy as np

from bandits.kernels import HUGE, inline, kernel, log
from bandits.protocol import FloatArray, IntArray, Problem

from ._index import noise_or_unit_interval

__all__ = ["Evidence", "bernoulli_kl", "negative_entropy", "safe_log"]


@inline
def safe_log(x: float) -> float:
    """Logarithm that takes 0 for 1e-300, so that 0 log 0 is 0."""
    return log(x if x > 1e-300 else 1e-300)


@inline
def negative_entropy(p: float) -> float:
    """``p log p + (1 - p) log(1 - p)`` for p in [0, 1]."""
    return p * safe_log(p) + (1.0 - p) * safe_log(1.0 - p)


@inline
def bernoulli_kl(p: float, q: float) -> float:
    """Divergence of Bernoulli(q) from Bernoulli(p), in nats; some hundreds where it is infinite."""
    return p * (safe_log(p) - safe_log(q)) + (1.0 - p) * (safe_log(1.0 - p) - safe_log(1.0 - q))


@kernel
def best_means(mean: FloatArray, pulls: FloatArray, best: FloatArray) -> None:
    """Largest mean of the arms that were played, per lane."""
    for b in range(best.size):
        best[b] = -HUGE
    for k in range(mean.shape[0]):
        for b in range(best.size):
            value = mean[k, b] if pulls[k, b] > 0.0 else -HUGE
            best[b] = value if value > best[b] else best[b]


@kernel
def bernoulli_evidence(
    mean: FloatArray,
    pulls: FloatArray,
    entropy: FloatArray,
    best: FloatArray,
    log_best: FloatArray,
    log_rest: FloatArray,
    out: FloatArray,
) -> None:
    """``pulls * kl(mean, best)``, exactly 0 for the best arm: (K, B); log_best and log_rest are scratch (B,)."""
    for b in range(best.size):
        log_best[b] = safe_log(best[b])
        log_rest[b] = safe_log(1.0 - best[b])
    for k in range(mean.shape[0]):
        for b in range(best.size):
            p = mean[k, b]
            value = pulls[k, b] * (entropy[k, b] - p * log_best[b] - (1.0 - p) * log_rest[b])
            out[k, b] = 0.0 if p == best[b] else value


@kernel
def gaussian_evidence(
    mean: FloatArray, pulls: FloatArray, precision: FloatArray, best: FloatArray, out: FloatArray
) -> None:
    """``pulls * (best - mean)^2 * precision``: (K, B), where precision is 1 / (2 sd^2), (K,)."""
    for k in range(mean.shape[0]):
        for b in range(best.size):
            gap = best[b] - mean[k, b]
            out[k, b] = pulls[k, b] * gap * gap * precision[k]


@kernel
def refresh_entropy(entropy: FloatArray, mean: FloatArray, action: IntArray) -> None:
    """Recompute the negative entropy of the arm that was played."""
    for b in range(action.size):
        entropy[action[b], b] = negative_entropy(mean[action[b], b])


class Evidence:
    """Evidence against each arm, for either family of rewards.

    Args:
        problem: What the agent may know.
        size: Number of replications B.

    Raises:
        UnsupportedProblem: Rewards are neither in [0, 1] nor Gaussian of known noise.
    """

    def __init__(self, problem: Problem, size: int) -> None:
        sd = noise_or_unit_interval(problem)
        self._precision = None if sd is None else 0.5 / np.maximum(sd * sd, 1e-150)
        self._entropy = np.zeros((problem.n_arms, size))
        self._best, self._log_best, self._log_rest = np.empty(size), np.empty(size), np.empty(size)

    def refresh(self, mean: FloatArray, action: IntArray) -> None:
        """Absorb the new mean of the arm that was played."""
        if self._precision is None:
            refresh_entropy(self._entropy, mean, action)

    def against(self, mean: FloatArray, pulls: FloatArray, out: FloatArray) -> None:
        """Write ``pulls * kl(mean, max mean)`` into ``out``, shape (K, B); 0 for an arm that was never played."""
        best_means(mean, pulls, self._best)
        if self._precision is None:
            bernoulli_evidence(mean, pulls, self._entropy, self._best, self._log_best, self._log_rest, out)
        else:
            gaussian_evidence(mean, pulls, self._precision, self._best, out)
