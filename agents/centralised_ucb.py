"""One UCB(alpha) for each bandit that plays all its learners and sees all their rewards: a reference, no gossip.

Each bandit has one table of pulls and means, which all its learners share. In every round all of them choose with the
table as of the round's start, and so play the same arm, the first of equals; with ``stagger`` they play in turn, in the
order of learners, and each sees what those before it were paid. Regret per bandit is O(sum of alpha / gap * log T),
whatever the number of its learners, plus a cost of acting at the same time.

References:
    [1] Chawla, Vial, Shakkottai and Srikant, "Collaborative Multi-Agent Heterogeneous Multi-Armed Bandits", ICML 2023
        (regret with full cooperation; the pooled table is this project's).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.kernels import HUGE
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._population import absorb_slots, bonus_factor, check_alpha, choose_slots, reward_width
from .ucb1 import inverse_roots

__all__ = ["CentralisedUCB"]


@register_agent("centralised_ucb", source="this project; UCB of Audibert, Munos and Szepesvari (2009)")
class CentralisedUCB:
    """One UCB per bandit on the rewards of all its learners: a reference that shares everything.

    Args:
        problem: What the agent may know of the population, and who learns which bandit.
        streams: Random streams of the batch.
        alpha: Exploration constant.
        stagger: Let learners play in turn within a round, each seeing the rewards of those before it.
    """

    plays_population = True
    knows_bandits = True
    plays_in_turn = True
    shares_outside_network = True

    def __init__(self, problem: Problem, streams: Streams, *, alpha: float = 4.0, stagger: bool = False) -> None:
        check_alpha(alpha)
        assert problem.bandit is not None
        self.alpha, self.scale, self.stagger = alpha, reward_width(problem), stagger
        self._bandit, self._play = problem.bandit, problem.play_in_turn
        assert problem.design is not None
        rank = problem.design.rank
        self._turns = [np.flatnonzero(rank == q) for q in range(int(rank.max()) + 1)]
        shape = (int(problem.bandit.max()) + 1, problem.n_arms, streams.size)
        self.pulls, self.reward_sum = np.zeros(shape), np.zeros(shape)
        self.width = np.full(shape, HUGE)
        self._roots = inverse_roots(1024)
        self._choice = np.empty((shape[0], streams.size), dtype=np.int64)
        self._action = np.empty((problem.bandit.size, streams.size), dtype=np.int64)
        self._best, self._at = np.empty(streams.size), np.empty(streams.size)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per learner and replication: int64, shape (N, B)."""
        factor = bonus_factor(self.scale, self.alpha, t)
        if self.stagger:
            self._play_in_turn(t, factor)
        else:
            choose_slots(self.reward_sum, self.width, factor, self._choice, self._best, self._at)
            np.take(self._choice, self._bandit, axis=0, out=self._action)
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb the round of all learners, unless they played in turn and have done so already."""
        if not self.stagger:
            self._absorb(self._bandit, self._action, feedback.reward)

    def holds(self, arm: IntArray) -> NDArray[np.bool_]:
        """Every learner may play every arm: shape (N, B)."""
        return np.ones(self._action.shape, dtype=np.bool_)

    def _play_in_turn(self, t: int, factor: float) -> None:
        """One learner of each bandit after the other; learners of different bandits do not wait for each other."""
        assert self._play is not None
        for learners in self._turns:
            choose_slots(self.reward_sum, self.width, factor, self._choice, self._best, self._at)
            bandit = self._bandit[learners]
            arm = self._choice[bandit]
            self._action[learners] = arm
            self._absorb(bandit, arm, self._play(t, learners, arm))

    def _absorb(self, bandit: IntArray, action: IntArray, reward: FloatArray) -> None:
        absorb_slots(self.pulls, self.reward_sum, self.width, self._roots, bandit, action, reward)
