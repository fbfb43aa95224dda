"""GosInE, the gossiping insert-eliminate algorithm, for learners of one bandit (Chawla et al., 2020).

Every learner plays UCB(alpha) on S = ceil(K / N) sticky arms of its own and two more, U and L, at first consecutive
arms from ``i S`` on. At the end of phase j, round j^3,

    1. if L was played more often than U in the phase, they change places;
    2. the learner asks a random neighbour for the arm that it played most in the phase, and L becomes that arm
       unless the learner has it already.

Constants and ties (the first in the list) are those of the authors' code. There, learners gossip one after the other,
so that one may ask another whose list has changed already: ``sequential`` does the same. That changes nothing, because
the arm played most is never the one that is dropped; by default all recommend before any list changes. With one
bandit, regret of each learner is at most the sum of ``4 alpha / gap`` over its S + 2 arms, times log T, plus a
constant. With several bandits most best arms stay with learners of other bandits: play `gosine_context_unaware`.

References:
    [1] Chawla, Sankararaman, Ganesh and Shakkottai, "The Gossiping Insert-Eliminate Algorithm for Multi-Agent
        Bandits", AISTATS 2020, Algorithm 1 (synchronous), with the constants of the authors' code.
"""

from __future__ import annotations

import numpy as np

from bandits.protocol import Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._gossip import Gossip, keep_winner, most_played

__all__ = ["Gosine"]


@register_agent("gosine", source="Chawla et al. (2020), Alg. 1")
class Gosine(Gossip):
    """GosInE: gossip of arms among learners of one bandit.

    Args:
        problem: What the agent may know of the population.
        streams: Random streams of the batch.
        alpha: Exploration constant; 4 in the authors' code.
        beta: Phase j ends in round ``ceil(j^beta)``; 3 in the authors' code, above 1.
        sticky_size: Arms in a sticky set; None takes ceil(K / N).
        sequential: Let learners gossip one after the other, as in the authors' code.
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        alpha: float = 4.0,
        beta: float = 3.0,
        sticky_size: int | None = None,
        sequential: bool = False,
    ) -> None:
        super().__init__(problem, streams, alpha=alpha, beta=beta, sticky="global", sticky_size=sticky_size, gamma=0.5)
        self.sequential = sequential

    def finish_phase(self, t: int) -> None:
        """Recommend, keep the winner, and ask: all at once, or one after the other."""
        if not self.sequential or not self.has_dynamic:
            super().finish_phase(t)
            return
        for i in range(self.arms.shape[0]):
            turn = np.zeros_like(self._everyone)
            turn[i] = True
            keep_winner(self.n_sticky, self._slots(), turn)
            most_played(self._slots(), self._everyone, self.offers)
            self.network.pull(t, self.offers, asking=turn)
            for messages in self.network.arrivals(t):
                self.hear(t, messages)
        np.copyto(self._before, self.pulls)
