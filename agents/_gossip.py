"""What gossiping agents share: phases, recommendations, and the slots of an active list that change.

A list has S sticky slots and then dynamic ones. During a phase every learner plays UCB on its list. At the end of
phase j, round ``ceil(j^beta)``, it recommends the arm that it played most in the phase, keeps the most played of its
dynamic arms in the first dynamic slot, and asks a partner, whose recommendation takes a later slot unless the list has
that arm already. Statistics of an arm that leaves a list are kept for its return.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandits.kernels import HUGE, kernel
from bandits.network import Messages
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.streams import Streams

from ._population import ActiveArms
from ._sticky import Sticky, active_lists, miss_probability

__all__ = ["Gossip", "phase_end"]

BoolArray = NDArray[np.bool_]


NEVER = 2**40  # later than the last round of any horizon


def phase_end(phase: int, beta: float) -> int:
    """Last round of a phase, ``ceil(phase^beta)`` or NEVER; a power that is whole up to rounding counts as whole."""
    if beta * math.log2(phase) >= 40.0:
        return NEVER
    return math.ceil(math.pow(phase, beta) * (1.0 - 1e-12))


class Slots(NamedTuple):
    """What a list has in its slots, each (N, A, B): ``before`` is the pulls at the start of the phase."""

    pulls: FloatArray
    before: FloatArray
    reward_sum: FloatArray
    width: FloatArray
    arms: IntArray


@kernel
def most_played(slots: Slots, ending: BoolArray, offer: IntArray) -> None:
    """Where a phase ends (N, B), the arm played most in it, the first in the list among equals."""
    for i in range(offer.shape[0]):
        for b in range(offer.shape[1]):
            if ending[i, b]:
                most = -1.0
                for s in range(slots.pulls.shape[1]):
                    plays = slots.pulls[i, s, b] - slots.before[i, s, b]
                    if plays > most:
                        most = plays
                        offer[i, b] = slots.arms[i, s, b]


@kernel
def keep_winner(first: int, slots: Slots, ending: BoolArray) -> None:
    """Swap the dynamic arm played most in the phase into slot ``first``; slots from there on are dynamic."""
    pulls, before, arms = slots.pulls, slots.before, slots.arms
    for i in range(ending.shape[0]):
        for b in range(ending.shape[1]):
            if not ending[i, b]:
                continue
            s = first
            for other in range(first + 1, pulls.shape[1]):
                if pulls[i, other, b] - before[i, other, b] > pulls[i, s, b] - before[i, s, b]:
                    s = other
            if s != first:
                for values in (pulls, before, slots.reward_sum, slots.width):
                    values[i, first, b], values[i, s, b] = values[i, s, b], values[i, first, b]
                arms[i, first, b], arms[i, s, b] = arms[i, s, b], arms[i, first, b]


@kernel
def adopt(news: IntArray, slot: int, kept_pulls: FloatArray, kept_sum: FloatArray, slots: Slots) -> None:
    """Put the arm in ``news`` (N, B), -1 for none, into a slot, unless the list has it.

    What is known of an arm without a slot lies in ``kept_pulls`` and ``kept_sum``, each (N, K, B).
    """
    for i in range(news.shape[0]):
        for b in range(news.shape[1]):
            arm = news[i, b]
            known = arm < 0
            for s in range(slots.arms.shape[1]):
                known |= slots.arms[i, s, b] == arm
            if known:
                continue
            leaves = slots.arms[i, slot, b]
            kept_pulls[i, leaves, b] = slots.pulls[i, slot, b]
            kept_sum[i, leaves, b] = slots.reward_sum[i, slot, b]
            n, total = kept_pulls[i, arm, b], kept_sum[i, arm, b]
            slots.arms[i, slot, b] = arm
            slots.pulls[i, slot, b] = slots.before[i, slot, b] = n
            slots.reward_sum[i, slot, b] = total
            slots.width[i, slot, b] = 1.0 / np.sqrt(n) if n > 0.0 else HUGE


class Gossip(ActiveArms):
    """Every learner plays UCB on a short list of arms, which gossip renews at the end of each phase.

    Attributes:
        n_sticky: Slots that never change, S.
        offers: What each learner recommends, the arm it played most in its last completed phase, shape (N, B).
        remarks: What a user should know before this agent plays.
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        alpha: float,
        beta: float,
        sticky: Sticky,
        sticky_size: int | None,
        gamma: float,
        dynamic: int = 2,
    ) -> None:
        if not 1 < beta < math.inf:
            raise ValueError(f"beta must be above 1 and finite, got {beta}: phases must grow")
        assert problem.design is not None
        assert problem.network is not None
        design = problem.design
        arms, self.n_sticky = active_lists(design, streams, problem.n_arms, sticky, sticky_size, gamma, dynamic)
        super().__init__(problem, streams, arms, alpha=alpha)
        self.beta, self.network = beta, problem.network
        self.remarks: list[str] = []
        if sticky == "random":
            miss = miss_probability(design, problem.n_arms, self.n_sticky)
            self.remarks.append(
                f"random sticky sets of {self.n_sticky} arms: some bandit's best arm is with none of its learners, "
                f"with probability at most {miss:.6g}"
            )
        self._random_sets = sticky == "random"
        self._before = np.zeros_like(self.pulls)
        kept = (arms.shape[0], problem.n_arms, streams.size) if self.has_dynamic else (0, 0, 0)
        self._kept_pulls, self._kept_sum = np.zeros(kept), np.zeros(kept)
        self.offers = self.arms[:, 0].copy()
        self._everyone = np.ones(self.offers.shape, dtype=np.bool_)
        self._phase = 1
        self._phase_end = phase_end(1, beta)

    @property
    def has_dynamic(self) -> bool:
        """Whether lists have slots that change; else they hold all arms and gossip changes nothing."""
        return self.n_sticky < int(self.arms.shape[1])

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round; at the end of a phase, ask; hear what arrives."""
        super().update(t, action, feedback)
        if t == self._phase_end:
            self.finish_phase(t)
            self._phase += 1
            self._phase_end = phase_end(self._phase, self.beta)
        for messages in self.network.arrivals(t):
            self.hear(t, messages)

    def finish_phase(self, t: int) -> None:
        """Recommend, keep the winner, begin to count anew, and ask a partner."""
        self.close(self._everyone)
        self.network.pull(t, self.offers)

    def close(self, ending: BoolArray) -> None:
        """End the phase of these learners (N, B): all recommend before any list changes."""
        most_played(self._slots(), ending, self.offers)
        if self.has_dynamic:
            keep_winner(self.n_sticky, self._slots(), ending)
        np.copyto(self._before, self.pulls, where=ending[:, None, :])

    def hear(self, t: int, messages: Messages) -> None:
        """Take the recommended arm into the last slot, unless the list has it."""
        self.take(messages.arm, self.arms.shape[1] - 1)

    def take(self, news: IntArray, slot: int) -> None:
        """Put arms (N, B), -1 for none, into a slot of the lists that lack them."""
        if self.has_dynamic:
            adopt(news, slot, self._kept_pulls, self._kept_sum, self._slots())

    def keeps(self, arm: IntArray) -> BoolArray:
        """Whether the arm named for each learner, (N,), is in its sticky set for certain: shape (N, B)."""
        if self._random_sets:
            return np.ones(self.offers.shape, dtype=np.bool_)  # how likely that is, is remarked instead
        found: BoolArray = (self.arms[:, : self.n_sticky] == arm[:, None, None]).any(axis=1)
        return found

    def _slots(self) -> Slots:
        return Slots(self.pulls, self._before, self.reward_sum, self.width, self.arms)
