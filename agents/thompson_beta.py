"""Thompson sampling for Bernoulli rewards with Beta priors (Thompson, 1933; Agrawal and Goyal, 2012).

Each round draws one sample per arm from its posterior and plays the arm with the largest:

    sample[k] ~ Beta(a + successes[k], b + failures[k])

A reward r strictly between 0 and 1 counts as a success with probability r ([1], Algorithm 2). The regret on
Bernoulli arms is at most ``(1 + eps) sum gap / kl(mean, best mean) * log T + O(K / eps^2)`` ([2], Theorem 1):
the Lai-Robbins bound to first order.

The samples themselves are not needed, only the arm of the largest. By default that is drawn by exact thinning
(see ``_thinning.py``): it has the same law as drawing every sample, and with ten arms it takes half of the time over
a thousand rounds, a third over ten thousand. ``sampler="plain"`` draws every sample. The two agree to the bit as
long as every posterior is drawn in full.

References:
    [1] Agrawal and Goyal, "Analysis of Thompson Sampling for the Multi-armed Bandit Problem", COLT 2012.
    [2] Agrawal and Goyal, "Further Optimal Regret Bounds for Thompson Sampling", AISTATS 2013.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.kernels import kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import reward_interval
from ._thinning import BetaRace, log_beta

__all__ = ["ThompsonBeta"]


@kernel
def all_binary(reward: FloatArray) -> bool:
    """Whether every reward is 0 or 1."""
    others = 0
    for i in range(reward.size):
        others |= (reward[i] != 0.0) & (reward[i] != 1.0)
    return others == 0


@kernel
def absorb(
    shapes: FloatArray,
    mean: FloatArray,
    log_norm: FloatArray,
    action: IntArray,
    success: FloatArray,
    scratch: FloatArray,
) -> None:
    """Count a success or a failure of the arm that was played: B(a + 1, b) = B(a, b) a / (a + b)."""
    total, ratio = scratch[0], scratch[1]
    for i in range(action.size):
        k = action[i]
        total[i] = shapes[0, k, i] + shapes[1, k, i]
        ratio[i] = shapes[0, k, i] if success[i] > 0.0 else shapes[1, k, i]
    for i in range(action.size):
        ratio[i] = log(ratio[i] / total[i])
    for i in range(action.size):
        k = action[i]
        log_norm[k, i] += ratio[i]
        shapes[0, k, i] += success[i]
        shapes[1, k, i] += 1.0 - success[i]
        mean[k, i] = shapes[0, k, i] / (total[i] + 1.0)


@register_agent("thompson_beta", source="Agrawal and Goyal (2012), Alg. 1 and 2")
class ThompsonBeta:
    """Thompson sampling with Beta posteriors, for rewards in [0, 1].

    There is no rule for ties: samples are continuous, and equal ones have probability zero.

    Args:
        problem: What the agent may know: the number of arms, and that rewards lie in [0, 1].
        streams: Random streams of the batch.
        a: First parameter of the Beta prior of every arm, positive; a = b = 1 is uniform.
        b: Second parameter of the prior, positive.
        sampler: "thinned" draws the arm of the largest sample by exact thinning, "plain" draws every sample.
            Thinning needs a, b >= 1: a smaller prior is played plain.

    Attributes:
        shapes: Parameters a and b of the posteriors, shape (2, K, B).
        mean: Posterior means, shape (K, B).
        log_norm: Logarithms of the Beta functions B(a, b), shape (K, B). Kept up by one term per play, with a
            rounding error that grows like pulls^1.5 * 1e-16: 1e-7 after a million plays of one arm.
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        a: float = 1.0,
        b: float = 1.0,
        sampler: Literal["thinned", "plain"] = "thinned",
    ) -> None:
        for name, value in (("a", a), ("b", b)):
            if not 0.0 < value < np.inf:
                raise ValueError(
                    f"{name} must be positive, got {value}: the prior is Beta(a, b), and Beta(1, 1) is uniform"
                )
        if sampler not in ("thinned", "plain"):
            raise ValueError(f"sampler must be 'thinned' or 'plain', got {sampler!r}")
        low, high = reward_interval(problem)
        if low < 0.0 or high > 1.0:
            raise UnsupportedProblem(f"needs rewards in [0, 1], got [{low:g}, {high:g}]: rescale them")
        shape = (problem.n_arms, streams.size)
        self.shapes = np.empty((2, *shape))
        self.shapes[0], self.shapes[1] = a, b
        self.mean = np.full(shape, a / (a + b))
        self.log_norm = np.full(shape, log_beta(a, b))
        self._stream = streams.agent
        self._race = BetaRace(streams.agent, problem.n_arms, thinned=sampler == "thinned" and min(a, b) >= 1.0)
        self._scratch = np.empty((2, streams.size))

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        return self._race.choose(t, self.shapes, self.mean, self.log_norm)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        success = feedback.reward
        if not all_binary(success):  # the draw changes nothing for a reward of 0 or 1, so it may be left out
            success = self._stream.bernoulli(t, success).astype(np.float64)
        absorb(self.shapes, self.mean, self.log_norm, action, success, self._scratch)
