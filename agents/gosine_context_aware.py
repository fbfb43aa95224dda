"""Gossip where each learner knows r - 1 others of its bandit, its peers (derived from GosInE).

Groups of r learners of one bandit know each other. A list has S sticky arms and three more: U, L, and B for what
peers tell. At the end of phase j, round ceil(j^beta):

    1. each learner recommends the arm that it played most in the phase;
    2. the arm played most among U, L and B becomes U; the others keep their slots;
    3. each learner asks a random partner. A peer's answer comes to the learner itself; any other goes to the member of
       its group of rank ``arm mod r``, so that a foreign best arm is tried by one member of the group only;
    4. each learner asks a random peer, whose recommendation replaces B unless the learner has it;
    5. of the answers of step 3 that reached it, each learner takes one at random, which replaces L unless it has it.

It aims at a group regret of O((M K + M N / r) log T / gap); r = 1 is `gosine_context_unaware` with one idle arm more.
How the paper's algorithm shares arms among peers is not public, so steps 2 to 5 are this project's derivation.

References:
    [1] Chawla, Vial, Shakkottai and Srikant, "Collaborative Multi-Agent Heterogeneous Multi-Armed Bandits", ICML 2023.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bandits.kernels import kernel
from bandits.network import Messages
from bandits.philox import Key, uniform_at
from bandits.protocol import IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._gossip import Gossip
from ._sticky import Sticky

__all__ = ["GosineContextAware"]


@kernel
def pick_one(key: Key, t: int, members: IntArray, receiver: IntArray, arm: IntArray, picked: IntArray) -> None:
    """One answer at random of those that reached each learner, -1 for none: members (N, r), the rest (N, B)."""
    for i in range(arm.shape[0]):
        for b in range(arm.shape[1]):
            count = 0
            for n in members[i]:
                count += n >= 0 and receiver[n, b] == i
            picked[i, b] = -1
            if count:
                left = int(uniform_at(key, b, t, i) * count)
                for n in members[i]:
                    if n >= 0 and receiver[n, b] == i:
                        picked[i, b] = arm[n, b] if left == 0 else picked[i, b]
                        left -= 1


@register_agent("gosine_context_aware", source="this project, derived from Chawla et al. (2020)")
class GosineContextAware(Gossip):
    """Gossip across bandits in groups of peers who know that they share one (derived).

    Args:
        problem: What the agent may know of the population.
        streams: Random streams of the batch.
        r: Learners in a group; where a bandit has fewer, all of them.
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
        r: int = 2,
        alpha: float = 4.0,
        beta: float = 3.0,
        sticky: Sticky = "oracle",
        sticky_size: int | None = None,
        gamma: float = 0.05,
    ) -> None:
        assert problem.design is not None
        most = int(problem.design.group_size.max())
        if r < 1:
            raise ValueError(f"r must be at least 1, a learner alone, got {r}")
        super().__init__(
            problem,
            streams,
            alpha=alpha,
            beta=beta,
            sticky=sticky,
            sticky_size=sticky_size,
            gamma=gamma,
            dynamic=3,
        )
        fewest = int(problem.design.group_size.min())
        if r > most:
            self.remarks.append(f"no bandit has more than {most} learners, so groups of r = {r} have {most} at most")
        elif r > fewest:
            self.remarks.append(f"a bandit has {fewest} learners, fewer than r = {r}, so its groups are smaller")
        self.r = min(r, most)
        self.members = problem.design.groups(self.r)
        self._key = streams.agent.key

    @property
    def contacts(self) -> NDArray[np.bool_]:
        """Who asks whom beside the gossip: the peers, shape (N, N)."""
        learner = np.arange(self.members.shape[0])
        knows: NDArray[np.bool_] = (self.members[:, :, None] == learner[None, None, :]).any(axis=1)
        return knows

    def finish_phase(self, t: int) -> None:
        """Recommend, keep the winner, begin to count anew, ask a peer and a partner."""
        self.close(self._everyone)
        if self.r > 1:
            self.network.pull_peer(t, self.offers, self.members)
        self.network.pull(t, self.offers, hand_over=self.members)

    def hear(self, t: int, messages: Messages) -> None:
        """A peer's arm goes to B; of the others, one that reached the learner to L."""
        last = self.arms.shape[1] - 1
        if messages.from_peers:
            self.take(messages.arm, last)
            return
        picked = np.empty_like(messages.arm)
        pick_one(self._key, t, self.members, messages.receiver, messages.arm, picked)
        self.take(picked, last - 1)
