"""MOSS, minimax optimal strategy in the stochastic case (Audibert and Bubeck, 2009), and its anytime version.

Plays the arm with the largest index

    mean[a] + scale[a] * sqrt(max(0, log(T / (K pulls[a]))) / pulls[a])                         horizon T known
    mean[a] + scale[a] * sqrt((1 + alpha) / 2 * max(0, log(t / (K pulls[a]))) / pulls[a])       anytime

``scale`` is the width of the interval that holds the rewards, or twice the standard deviation of Gaussian ones:
both are twice the sub-Gaussian constant. The regret on any instance with rewards in [0, 1] is at most ``49 sqrt(T
K)`` for the first [1], and of order ``sqrt(T K)`` for the second [2].

References:
    [1] Audibert and Bubeck, "Minimax policies for adversarial and stochastic bandits", COLT 2009, Section 2.
    [2] Degenne and Perchet, "Anytime optimal algorithms in stochastic multi-armed bandits", ICML 2016.
"""

from __future__ import annotations

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.kernels import inline, kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import IndexPolicy, Tie

__all__ = ["MOSS"]


@inline
def moss_bonus(log_ratio: float, rate: float, scale: float) -> float:
    """``scale * sqrt(max(0, log(T / (K pulls))) / pulls)``; ``rate`` is 1 / pulls."""
    return scale * np.sqrt((log_ratio if log_ratio > 0.0 else 0.0) * rate)  # type: ignore[no-any-return]  # numba sees a number, mypy an Any


@kernel
def anytime_indices(
    mean: FloatArray, rate: FloatArray, log_share: FloatArray, log_t: float, scale: FloatArray, out: FloatArray
) -> None:
    """Index of every arm; log_share is log(K pulls), shapes (K, B), scale is (K,)."""
    for k in range(mean.shape[0]):
        for b in range(mean.shape[1]):
            out[k, b] = mean[k, b] + moss_bonus(log_t - log_share[k, b], rate[k, b], scale[k])


@kernel
def horizon_indices(
    mean: FloatArray, pulls: FloatArray, action: IntArray, share: float, scale: FloatArray, out: FloatArray
) -> None:
    """Recompute the index of the arm that was played; share is T / K."""
    for b in range(action.size):
        a = action[b]
        rate = 1.0 / pulls[a, b]
        out[a, b] = mean[a, b] + moss_bonus(log(share * rate), rate, scale[a])


@kernel
def refresh(rate: FloatArray, log_share: FloatArray, pulls: FloatArray, action: IntArray) -> None:
    """Recompute 1 / pulls and log(K pulls) for the arm that was played."""
    for b in range(action.size):
        a = action[b]
        rate[a, b] = 1.0 / pulls[a, b]
        log_share[a, b] = log(pulls.shape[0] * pulls[a, b])


@register_agent("moss", source="Audibert and Bubeck (2009), Sect. 2")
class MOSS(IndexPolicy):
    """Optimism that stops exploring an arm once it had its share T / K of the rounds.

    Args:
        problem: What the agent may know: the number of arms, the scale of the rewards, and the horizon.
        streams: Random streams of the batch.
        anytime: Use the current round in place of the horizon, as [2] does.
        alpha: Constant of the anytime version; [2] uses 1.35 in its experiments.
        scale: Twice the sub-Gaussian constant of the rewards; None takes what the environment tells.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    uses_horizon = True

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        anytime: bool = False,
        alpha: float = 1.35,
        scale: float | None = None,
        tie: Tie = "first",
    ) -> None:
        if not 0 < alpha < np.inf:
            raise ValueError(f"alpha must be positive, got {alpha}: the anytime version is usually played with 1.35")
        if not anytime and problem.horizon is None:
            raise UnsupportedProblem("needs the horizon, got none: play it with anytime=True")
        super().__init__(problem, streams, tie)
        self.anytime = anytime
        self.scale = twice_sub_gaussian(problem, scale) * (np.sqrt((1.0 + alpha) / 2.0) if anytime else 1.0)
        self.share = (problem.horizon or 0) / problem.n_arms
        self.indices, self.rate, self.log_share = (np.zeros_like(self.mean) for _ in range(3))

    def index(self, t: int, out: FloatArray) -> None:
        """Write every arm's index."""
        if self.anytime:
            anytime_indices(self.mean, self.rate, self.log_share, log(t), self.scale, out)
        else:
            out[:] = self.indices

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        super().update(t, action, feedback)
        if self.anytime:
            refresh(self.rate, self.log_share, self.pulls, action)
        else:
            horizon_indices(self.mean, self.pulls, action, self.share, self.scale, self.indices)


def twice_sub_gaussian(problem: Problem, scale: float | None) -> FloatArray:
    """Scale of each arm, shape (K,): as given, else twice the known noise level, else the interval's width."""
    if scale is not None:
        if not 0 < scale < np.inf:
            raise ValueError(f"scale must be positive, got {scale}: it is twice the rewards' sub-Gaussian constant")
        return np.full(problem.n_arms, float(scale))
    if problem.noise_sd is not None:
        return 2.0 * problem.noise_sd
    if problem.reward_range is None:
        raise UnsupportedProblem("needs bounded or Gaussian rewards, got an unknown scale: pass scale=")
    low, high = problem.reward_range
    return np.full(problem.n_arms, high - low)
