"""Learners that never communicate: each plays UCB(alpha) on all K arms.

The comparator of a single learner: regret of each is at most ``sum of 4 alpha / gap * log T`` plus a constant, and the
group's N times that, however many share a bandit.

References:
    [1] Chawla, Sankararaman, Ganesh and Shakkottai, "The Gossiping Insert-Eliminate Algorithm for Multi-Agent
        Bandits", AISTATS 2020, Section 6 (the comparator without communication).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.protocol import IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._population import ActiveArms, bonus_factor, choose_slots

__all__ = ["IsolatedUCB"]


@register_agent("isolated_ucb", source="Chawla et al. (2020), Sect. 6")
class IsolatedUCB(ActiveArms):
    """UCB of every learner on all arms, without communication.

    Args:
        problem: What the agent may know of the population.
        streams: Random streams of the batch.
        alpha: Exploration constant; 4 is that of [1].
    """

    def __init__(self, problem: Problem, streams: Streams, *, alpha: float = 4.0) -> None:
        everything = np.broadcast_to(
            np.arange(problem.n_arms, dtype=np.int64), (problem.n_learners or 1, problem.n_arms)
        )
        super().__init__(problem, streams, everything, alpha=alpha)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per learner and replication, which here is its slot: int64, shape (N, B)."""
        factor = bonus_factor(self.scale, self.alpha, t)
        choose_slots(self.reward_sum, self.width, factor, self._slot, self._best, self._at)
        return self._slot
