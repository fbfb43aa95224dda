"""DMED, deterministic minimum empirical divergence (Honda and Takemura, 2010), and DMED+.

Plays through a list of arms in ascending order. After each round t, every arm a that is not waiting in the list
joins the *next* list if

    pulls[a] * kl(mean[a], max of the means) <= log(t)                     DMED
    pulls[a] * kl(mean[a], max of the means) <= log(t) - log(pulls[a])     DMED+ (plus=True)

and when the list is used up the next one takes its place. The best arm always joins, so no list is empty. The
regret matches the Lai-Robbins bound to first order for Bernoulli rewards.

The names are those of Garivier and Cappe [2]: the algorithm of [1] itself is the one that [2] and we call DMED+.

Differences from [1]: the first list holds every arm, and playing it is the initialisation; for non-binary rewards
in [0, 1] it takes the Bernoulli divergence, which is smaller than the infimum over all distributions that [1] uses.

References:
    [1] Honda and Takemura, "An Asymptotically Optimal Bandit Algorithm for Bounded Support Models", COLT 2010.
    [2] Garivier and Cappe, "The KL-UCB Algorithm for Bounded Stochastic Bandits and Beyond", COLT 2011, Section 5.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.kernels import kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import update_means
from ._kl import Evidence

__all__ = ["DMED"]


@kernel
def first_waiting(waiting: FloatArray, action: IntArray) -> None:
    """Lowest arm that waits, per lane: waiting (K, B) is 1 or 0."""
    n_arms = waiting.shape[0]
    for k in range(n_arms - 1, -1, -1):
        for b in range(action.size):
            action[b] = k if waiting[k, b] > 0.0 else action[b]


@kernel
def strike(waiting: FloatArray, log_pulls: FloatArray, pulls: FloatArray, plus: float, action: IntArray) -> None:
    """Take the arm that was played off the list; keep log(pulls) for DMED+, 0 for DMED."""
    for b in range(action.size):
        waiting[action[b], b] = 0.0
        log_pulls[action[b], b] = plus * log(pulls[action[b], b])


@kernel
def extend(
    waiting: FloatArray,
    following: FloatArray,
    evidence: FloatArray,
    log_pulls: FloatArray,
    log_t: float,
    left: FloatArray,
) -> None:
    """Let arms join the next list; where the list is used up, start the next one. ``left`` is scratch (B,)."""
    for b in range(left.size):
        left[b] = 0.0
    for k in range(waiting.shape[0]):
        for b in range(left.size):
            joins = (waiting[k, b] == 0.0) & (evidence[k, b] + log_pulls[k, b] <= log_t)
            following[k, b] = 1.0 if joins else following[k, b]
            left[b] += waiting[k, b]
    for k in range(waiting.shape[0]):
        for b in range(left.size):
            empty = left[b] == 0.0
            waiting[k, b] = following[k, b] if empty else waiting[k, b]
            following[k, b] = 0.0 if empty else following[k, b]


@register_agent("dmed", source="Honda and Takemura (2010), Sect. 3")
class DMED:
    """Plays every arm whose evidence of being suboptimal is still small.

    Args:
        problem: What the agent may know: the number of arms, and the family of the rewards.
        streams: Random streams of the batch; no randomness is used.
        plus: Compare with ``log(t / pulls)`` in place of ``log(t)``.

    Attributes:
        waiting: 1 for the arms of the current list that were not played yet, else 0, shape (K, B).
        following: 1 for the arms of the next list, else 0, shape (K, B).
    """

    def __init__(self, problem: Problem, streams: Streams, *, plus: bool = False) -> None:
        shape = (problem.n_arms, streams.size)
        self.mean, self.pulls, self.reward_sum = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.waiting, self.following = np.ones(shape), np.zeros(shape)
        self._plus = 1.0 if plus else 0.0
        self._evidence = Evidence(problem, streams.size)
        self._against, self._log_pulls = np.empty(shape), np.zeros(shape)
        self._left, self._action = np.empty(streams.size), np.zeros(streams.size, dtype=np.int64)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        first_waiting(self.waiting, self._action)
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        update_means(self.mean, self.pulls, self.reward_sum, action, feedback.reward)
        self._evidence.refresh(self.mean, action)
        strike(self.waiting, self._log_pulls, self.pulls, self._plus, action)
        self._evidence.against(self.mean, self.pulls, self._against)
        extend(self.waiting, self.following, self._against, self._log_pulls, log(t), self._left)
