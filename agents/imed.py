"""IMED, indexed minimum empirical divergence (Honda and Takemura, 2015).

Plays the arm with the smallest index

    pulls[a] * kl(mean[a], max of the means) + log(pulls[a])

For Bernoulli rewards, and for Gaussian ones of known noise, the regret matches the Lai-Robbins bound, with a
finite-time bound of the form ``sum of gap / kl * log T + O(1)`` ([1], Theorem 3). The index uses no horizon, round
or tuning.

Differences from [1]: for non-binary rewards in [0, 1] it takes the Bernoulli divergence, which is smaller than the
infimum over all distributions that [1] uses; the policy stays consistent but explores more.

References:
    [1] Honda and Takemura, "Non-Asymptotic Analysis of a New Bandit Algorithm for Semi-Bounded Rewards", JMLR 16
        (2015).
"""

from __future__ import annotations

import numpy as np

from bandits.kernels import kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import IndexPolicy, Tie
from ._kl import Evidence

__all__ = ["IMED"]


@kernel
def negate_sum(evidence: FloatArray, log_pulls: FloatArray) -> None:
    """Replace the evidence by ``-(evidence + log pulls)``: the smallest index becomes the largest."""
    for k in range(evidence.shape[0]):
        for b in range(evidence.shape[1]):
            evidence[k, b] = -(evidence[k, b] + log_pulls[k, b])


@kernel
def refresh_log(log_pulls: FloatArray, pulls: FloatArray, action: IntArray) -> None:
    """Recompute log(pulls) for the arm that was played."""
    for b in range(action.size):
        log_pulls[action[b], b] = log(pulls[action[b], b])


@register_agent("imed", source="Honda and Takemura (2015), Alg. 1")
class IMED(IndexPolicy):
    """Smallest empirical divergence, plus the logarithm of the pulls.

    Args:
        problem: What the agent may know: the number of arms, and the family of the rewards.
        streams: Random streams of the batch.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    def __init__(self, problem: Problem, streams: Streams, *, tie: Tie = "first") -> None:
        super().__init__(problem, streams, tie)
        self._evidence = Evidence(problem, streams.size)
        self._log_pulls = np.zeros_like(self.pulls)

    def index(self, t: int, out: FloatArray) -> None:
        """Write minus the index of [1] for every arm."""
        self._evidence.against(self.mean, self.pulls, out)
        negate_sum(out, self._log_pulls)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        super().update(t, action, feedback)
        self._evidence.refresh(self.mean, action)
        refresh_log(self._log_pulls, self.pulls, action)
