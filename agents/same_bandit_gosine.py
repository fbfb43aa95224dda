"""Gossip among the learners of each bandit only: a reference that knows the contexts (derived from GosInE).

As `gosine_context_unaware`, but a learner asks only partners who learn its own bandit, with probabilities in
proportion to its row of the gossip matrix. What contexts are worth to gossip is the difference between the two.

References:
    [1] Chawla, Vial, Shakkottai and Srikant, "Collaborative Multi-Agent Heterogeneous Multi-Armed Bandits", ICML 2023.
"""

from __future__ import annotations

from bandits.protocol import Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._sticky import Sticky
from .gosine_context_unaware import GosineContextUnaware

__all__ = ["SameBanditGosine"]


@register_agent("same_bandit_gosine", source="this project, derived from Chawla et al. (2020)")
class SameBanditGosine(GosineContextUnaware):
    """Gossip among learners who know that they share a bandit: a reference (derived).

    Args:
        problem: What the agent may know of the population, and who learns which bandit.
        streams: Random streams of the batch.
        alpha: Exploration constant; the guarantee wants more than 3.
        beta: Phase j ends in round ``ceil(j^beta)``; above 1.
        sticky: How sticky sets are handed out: "oracle" (covers every bandit), "random", or "global" (does not).
        sticky_size: Arms in a sticky set; None takes the size of the design.
        gamma: Probability with which "random" sets may miss a bandit's best arm.
    """

    knows_bandits = True

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        alpha: float = 4.0,
        beta: float = 3.0,
        sticky: Sticky = "oracle",
        sticky_size: int | None = None,
        gamma: float = 0.05,
    ) -> None:
        super().__init__(problem, streams, alpha=alpha, beta=beta, sticky=sticky, sticky_size=sticky_size, gamma=gamma)
        self._bandit = problem.bandit

    def finish_phase(self, t: int) -> None:
        """Recommend, keep the winner, begin to count anew, and ask a partner of the same bandit."""
        self.close(self._everyone)
        self.network.pull(t, self.offers, among=self._bandit)
