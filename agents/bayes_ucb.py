"""Bayes-UCB (Kaufmann, Cappe and Garivier, 2012).

Plays the arm whose posterior has the largest quantile of order

    1 - 1 / (t log(T)^c)

with a uniform prior on the mean of rewards in [0, 1], posterior Beta(1 + sum, 1 + pulls - sum), or a flat prior for
Gaussian rewards of known noise, posterior N(mean, sd^2 / pulls). For Bernoulli rewards and c >= 5 the regret
matches the Lai-Robbins bound ([1], Theorem 1); c = 0 is what [1] plays.

How few Beta quantiles are computed: the tail of a Beta distribution with parameters of at least 1 is log-concave,
so the tangent at an arm's last quantile bounds its later ones while it is not played. Only an arm whose bound is
the largest needs its quantile, one or two per round in place of K. The choice is the same as with all K.

Differences from [1]: an arm that was never played comes first; non-binary rewards in [0, 1] count as fractions.

References:
    [1] Kaufmann, Cappe and Garivier, "On Bayesian Upper Confidence Bounds for Bandit Problems", AISTATS 2012.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.kernels import kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import IndexPolicy, Tie, noise_or_unit_interval
from ._quantiles import beta_upper_quantile, log_beta, normal_upper_quantile

__all__ = ["BayesUCB"]

_UNPLAYED = 3.0  # above every quantile of a Beta distribution
_PLAYED = 2.0  # an arm whose posterior changed: nothing is known of its quantile
_MARGIN = 1e-13  # more than the rounding of a bound


@kernel
def beta_indices(
    reward_sum: FloatArray, pulls: FloatArray, norm: FloatArray, level: float, z: float, out: FloatArray
) -> None:
    """Posterior quantile of every arm, shapes (K, B)."""
    for k in range(pulls.shape[0]):
        for b in range(pulls.shape[1]):
            s, n = reward_sum[k, b], pulls[k, b]
            out[k, b], _, _ = beta_upper_quantile(1.0 + s, 1.0 + n - s, norm[k, b], level, z)


@kernel
def upper_bounds(anchor: FloatArray, slope: FloatArray, level: float, out: FloatArray) -> None:
    """Bound on every arm's quantile, shapes (K, B)."""
    for k in range(anchor.shape[0]):
        for b in range(anchor.shape[1]):
            out[k, b] = anchor[k, b] + slope[k, b] * level


@kernel
def beta_choice(
    reward_sum: FloatArray, pulls: FloatArray, norm: FloatArray, anchor: FloatArray, slope: FloatArray,
    level: float, z: float, bound: FloatArray, exact: IntArray, t: int, action: IntArray,
) -> None:  # fmt: skip  # arguments in rows that belong together
    """Arm with the largest quantile, the lowest of equals: (B,).

    Args:
        reward_sum: Sum of each arm's rewards, shape (K, B).
        pulls: How often each arm was played.
        norm: Logarithm of the beta function of the posterior's parameters.
        anchor: With ``slope``, the bound ``anchor + slope * level`` of each arm's quantile; refreshed here.
        slope: See ``anchor``.
        level: Minus the logarithm of the tail probability.
        z: Normal quantile of the same level.
        bound: The bounds, to be replaced by quantiles where needed.
        exact: Last round in which ``bound`` was made exact.
        t: This round.
        action: Where the arm is written.
    """
    for b in range(action.size):
        while True:
            a = 0
            for k in range(1, pulls.shape[0]):
                a = k if bound[k, b] > bound[a, b] else a
            if exact[a, b] == t or bound[a, b] == _UNPLAYED:
                break
            s, n = reward_sum[a, b], pulls[a, b]
            x, base, rise = beta_upper_quantile(1.0 + s, 1.0 + n - s, norm[a, b], level, z)
            bound[a, b], anchor[a, b], slope[a, b], exact[a, b] = x, base + _MARGIN, rise, t
        action[b] = a


@kernel
def refresh_beta(
    norm: FloatArray, anchor: FloatArray, slope: FloatArray, reward_sum: FloatArray, pulls: FloatArray, action: IntArray
) -> None:
    """Recompute the norm of the arm that was played, and forget its bound."""
    for b in range(action.size):
        a = action[b]
        s = reward_sum[a, b]
        norm[a, b] = log_beta(1.0 + s, 1.0 + pulls[a, b] - s)
        anchor[a, b] = _PLAYED
        slope[a, b] = 0.0


@kernel
def gaussian_indices(mean: FloatArray, pulls: FloatArray, factor: FloatArray, out: FloatArray) -> None:
    """``mean + factor / sqrt(pulls)`` for every arm, shapes (K, B), factor is (K,)."""
    for k in range(mean.shape[0]):
        for b in range(mean.shape[1]):
            out[k, b] = mean[k, b] + factor[k] / np.sqrt(pulls[k, b])


@register_agent("bayes_ucb", source="Kaufmann, Cappe and Garivier (2012), Alg. 1")
class BayesUCB(IndexPolicy):
    """Optimism from posterior quantiles.

    Args:
        problem: What the agent may know: the number of arms, the family of the rewards, and the horizon.
        streams: Random streams of the batch.
        c: Power of log(T) in the order of the quantile.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    uses_horizon = True

    def __init__(self, problem: Problem, streams: Streams, *, c: float = 0.0, tie: Tie = "first") -> None:
        if not 0 <= c < np.inf:
            raise ValueError(f"c must be at least 0, got {c}: 0 is the usual choice, 5 the proved one")
        if c > 0 and problem.horizon is None:
            raise UnsupportedProblem(f"needs the horizon for c={c}, got none: play it with c=0")
        super().__init__(problem, streams, tie)
        self.sd = noise_or_unit_interval(problem)
        horizon = problem.horizon or 1
        self._extra = c * log(log(horizon)) if c > 0 and horizon > 2 else 0.0
        self.norm, self.slope = np.zeros_like(self.mean), np.zeros_like(self.mean)
        self.anchor = np.full_like(self.mean, _UNPLAYED)
        self._exact = np.zeros(self.mean.shape, dtype=np.int64)

    def level(self, t: int) -> float:
        """Minus the logarithm of the probability above the quantile."""
        return max(log(t) + self._extra, 1e-9)

    def index(self, t: int, out: FloatArray) -> None:
        """Write every arm's index."""
        level = self.level(t)
        z = normal_upper_quantile(level)
        if self.sd is None:
            beta_indices(self.reward_sum, self.pulls, self.norm, level, z, out)
        else:
            gaussian_indices(self.mean, self.pulls, self.sd * z, out)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        if self.sd is not None or self._tie is not None:
            return super().act(t)
        level = self.level(t)
        upper_bounds(self.anchor, self.slope, level, self._index)
        beta_choice(
            self.reward_sum, self.pulls, self.norm, self.anchor, self.slope,
            level, normal_upper_quantile(level), self._index, self._exact, t, self._action,
        )  # fmt: skip  # arguments in rows that belong together
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        super().update(t, action, feedback)
        if self.sd is None:
            refresh_beta(self.norm, self.anchor, self.slope, self.reward_sum, self.pulls, action)
