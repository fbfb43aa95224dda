"""Gossip among learners of different bandits who do not know who shares theirs (derived from GosInE).

Every learner plays UCB(alpha) on S sticky arms and two more, U and L. At the end of phase j, round ceil(j^beta):

    1. each learner recommends the arm that it played most in the phase;
    2. if L was played more often than U they change places: the winner of the two stays;
    3. each learner asks a random partner, whose recommendation replaces L unless the learner has it already.

Once a bandit's best arm reaches one of its learners it wins its phases, becomes U and stays, so that L only cycles
through the other bandits' best arms. Per learner regret is at most the sum of ``4 alpha / gap`` over the sticky arms
and the bandits' best arms, times log T, plus a constant for the time the arms take to spread.

The paper states a method based on GosInE for this setting; what it is in detail is not public, so this algorithm and
its guarantee are this project's derivation.

References:
    [1] Chawla, Vial, Shakkottai and Srikant, "Collaborative Multi-Agent Heterogeneous Multi-Armed Bandits", ICML 2023.
"""

from __future__ import annotations

from bandits.protocol import Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._gossip import Gossip
from ._sticky import Sticky

__all__ = ["GosineContextUnaware"]


@register_agent("gosine_context_unaware", source="this project, derived from Chawla et al. (2020)")
class GosineContextUnaware(Gossip):
    """Gossip across bandits without contexts, GosInE for several bandits (derived).

    Args:
        problem: What the agent may know of the population.
        streams: Random streams of the batch.
        alpha: Exploration constant; the guarantee wants more than 3.
        beta: Phase j ends in round ``ceil(j^beta)``; above 1.
        sticky: How sticky sets are handed out: "oracle" (covers every bandit), "random", or "global" (does not).
        sticky_size: Arms in a sticky set; None takes the size of the design.
        gamma: Probability with which "random" sets may miss a bandit's best arm.
    """

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
