"""Learners who tell every learner of their bandit each arm and reward: what messages of any size could do at best.

The same play as `centralised_ucb`, but counted as the messages that it takes among learners: in every round each
learner hears from each other learner of its bandit an arm's number and a reward (a bit for rewards of 0 or 1, else 64).
No fault of the network touches it. It is an upper reference, not an algorithm for the setting: learners there do not
know who shares their bandit.

References:
    [1] Chawla, Vial, Shakkottai and Srikant, "Collaborative Multi-Agent Heterogeneous Multi-Armed Bandits", ICML 2023
        (regret with full cooperation; the protocol is this project's).
"""

from __future__ import annotations

from bandits.protocol import Feedback, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from .centralised_ucb import CentralisedUCB

__all__ = ["FullSharing"]


@register_agent("full_sharing", source="this project; UCB of Audibert, Munos and Szepesvari (2009)")
class FullSharing(CentralisedUCB):
    """UCB of every learner on the rewards of all who share its bandit, each of them sent: an upper reference.

    Args:
        problem: What the agent may know of the population, and who learns which bandit.
        streams: Random streams of the batch.
        alpha: Exploration constant.
    """

    plays_in_turn = False
    shares_outside_network = False

    def __init__(self, problem: Problem, streams: Streams, *, alpha: float = 4.0) -> None:
        super().__init__(problem, streams, alpha=alpha)
        assert problem.design is not None
        assert problem.network is not None
        self._network = problem.network
        self._others = problem.design.group_size[:, None] - 1
        self._bits = self._network.bits_per_message + (64 if problem.noise_sd is not None else 1)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb the round of all learners and count who told whom."""
        super().update(t, action, feedback)
        self._network.charge(self._others, self._bits)
