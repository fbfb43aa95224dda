"""How the learners of a population exchange messages: gossip, counted, delayed, lost and limited as declared.

A learner that asks (*pulls*) is served by a random partner, drawn from its row of the gossip matrix, which agents never
see. A message is one arm's number. Every draw comes from the network stream and is a pure function of (seed,
replication, round, learner), so two agents that ask in the same round ask the same partners.

    network.pull(t, offers)                  # every learner asks; offers[n] is what learner n tells who asks it
    for message in network.arrivals(t): ...  # what reaches its receiver in this round
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import UnsupportedProblem
from .kernels import kernel
from .philox import Key, choose, uniform_at
from .protocol import FloatArray, IntArray
from .streams import Stream

__all__ = ["Design", "Messages", "Network"]

BoolArray = NDArray[np.bool_]


@dataclass(slots=True)
class Messages:
    """What one round of pulls delivers; learner i's pull stands in row i.

    Attributes:
        sender: Who was asked, shape (N, B); -1 where no message arrives.
        receiver: Who gets the answer: the learner itself, or the peer to whom it is handed over, shape (N, B).
        arm: What the sender tells, shape (N, B); -1 where no message arrives.
        from_peers: Whether peers were asked instead of partners drawn from the gossip matrix.
    """

    sender: IntArray
    receiver: IntArray
    arm: IntArray
    from_peers: bool = False


@kernel
def exchange(
    key: Key,
    t: int,
    first_slot: int,
    weights: FloatArray,
    linked: BoolArray,
    loss: float,
    budget: int,
    members: IntArray,
    offers: IntArray,
    asking: BoolArray,
    sender: IntArray,
    receiver: IntArray,
    arm: IntArray,
    messages: IntArray,
) -> None:
    """Serve every learner that asks: draw its partner, count the answer, lose it or deliver it.

    Slots ``first_slot + i`` and ``first_slot + N + i`` of the network stream's uniforms belong to learner i. With a
    table of ``members`` (N, r) the answer of a partner outside the own group goes to the peer of rank ``arm mod size``.
    """
    n_learners, size = offers.shape
    for i in range(n_learners):
        for b in range(size):
            sender[i, b] = receiver[i, b] = arm[i, b] = -1
            if not asking[i, b] or messages[i, b] >= budget:
                continue
            n = choose(weights[i], uniform_at(key, b, t, first_slot + i))
            if n < 0 or not linked[i, n] or offers[n, b] < 0:
                continue
            messages[i, b] += 1
            if loss > 0.0 and uniform_at(key, b, t, first_slot + n_learners + i) < loss:
                continue
            to = i
            if members.shape[1] > 1:
                own, group = False, 0
                for j in range(members.shape[1]):
                    own |= members[i, j] == n
                    group += members[i, j] >= 0
                to = i if own else members[i, offers[n, b] % group]
            if linked[to, n]:
                sender[i, b], receiver[i, b], arm[i, b] = n, to, offers[n, b]


class Network:
    """Draws partners, delivers what they tell, and counts it.

    Args:
        stream: Network stream of the batch.
        gossip: Probability that the row's learner asks the column's, shape (N, N); a row of zeros asks nobody.
        n_arms: Number of arms K, for the size of a message: an arm's number has ``ceil(log2 K)`` bits.
        delay: Rounds from question to answer; the answer is as of the question.
        loss: Probability that an answer is lost on its way.
        budget: Answers that a learner may be sent in all; None for no limit.
        away: Spells (learner, first round, last round) in which a learner neither asks nor answers.
        splits: Spells (first round, last round, n) in which no message passes between learners below n and others.

    Attributes:
        messages: Answers sent to each learner so far, lost ones included, shape (N, B).
        bits: What they cost, shape (N, B).
    """

    def __init__(
        self,
        stream: Stream,
        gossip: FloatArray,
        n_arms: int,
        *,
        delay: int = 0,
        loss: float = 0.0,
        budget: int | None = None,
        away: Sequence[Sequence[int]] = (),
        splits: Sequence[Sequence[int]] = (),
    ) -> None:
        self.n_learners = gossip.shape[0]
        self.bits_per_message = max(1, (n_arms - 1).bit_length())
        self.messages = np.zeros((self.n_learners, stream.size), dtype=np.int64)
        self.bits = np.zeros_like(self.messages)
        self._key, self._gossip = stream.key, np.ascontiguousarray(gossip)
        self._delay, self._loss = delay, loss
        self._budget = np.iinfo(np.int64).max if budget is None else budget
        self._away, self._splits = [tuple(spell) for spell in away], [tuple(spell) for spell in splits]
        self._everyone = np.ones_like(self.messages, dtype=np.bool_)
        self._nobody = np.empty((self.n_learners, 0), dtype=np.int64)
        self._under_way: dict[int, list[Messages]] = {}

    def pull(
        self,
        t: int,
        offers: IntArray,
        *,
        asking: BoolArray | None = None,
        hand_over: IntArray | None = None,
        among: IntArray | None = None,
    ) -> None:
        """Let learners ask one partner each, drawn from the gossip matrix.

        Args:
            t: Round.
            offers: The arm that each learner tells who asks it, shape (N, B); -1 for none.
            asking: Who asks, shape (N, B); by default all.
            hand_over: Members of each learner's group, shape (N, r), -1 where a group is smaller: an answer from
                outside the group goes straight to the peer in charge of that arm.
            among: A label of each learner, shape (N,): ask only learners of the same label.
        """
        weights = self._gossip
        if among is not None:
            weights = np.where(among[:, None] == among[None, :], weights, 0.0)
        members = self._nobody if hand_over is None else hand_over
        self._exchange(t, 0, weights, members, offers, self._everyone if asking is None else asking, False)

    def pull_peer(self, t: int, offers: IntArray, members: IntArray) -> None:
        """Let every learner ask one of its peers, each with the same probability: members of groups as in `pull`."""
        weights = np.zeros_like(self._gossip)
        for i, group in enumerate(members):
            weights[i, group[(group >= 0) & (group != i)]] = 1.0
        self._exchange(t, 2 * self.n_learners, weights, self._nobody, offers, self._everyone, True)

    def arrivals(self, t: int) -> list[Messages]:
        """What reaches its receivers in round t, in the order of asking."""
        return self._under_way.pop(t, []) if self._under_way else []

    def charge(self, messages: IntArray, bits_each: int) -> None:
        """Count messages that a reference exchanges beside the gossip: so many for each learner (N, 1) or (N, B)."""
        self.messages += messages
        self.bits += messages * bits_each

    def _exchange(
        self,
        t: int,
        first_slot: int,
        weights: FloatArray,
        members: IntArray,
        offers: IntArray,
        asking: BoolArray,
        from_peers: bool,
    ) -> None:
        answers = Messages(np.empty_like(offers), np.empty_like(offers), np.empty_like(offers), from_peers)
        before = self.messages.copy()
        exchange(
            self._key,
            t,
            first_slot,
            weights,
            self._linked(t),
            self._loss,
            self._budget,
            members,
            offers,
            asking,
            answers.sender,
            answers.receiver,
            answers.arm,
            self.messages,
        )
        self.bits += (self.messages - before) * self.bits_per_message
        self._under_way.setdefault(t + self._delay, []).append(answers)

    def _linked(self, t: int) -> BoolArray:
        """Between whom messages pass in round t, shape (N, N)."""
        linked = np.ones((self.n_learners, self.n_learners), dtype=np.bool_)
        for learner, first, last in self._away:
            if first <= t <= last:
                linked[learner] = linked[:, learner] = False
        for first, last, n in self._splits:
            if first <= t <= last:
                linked[:n, n:] = linked[n:, :n] = False
        return linked


class Design:
    """What the designer of a population knows, and learners do not: enough to hand out arms and to introduce peers.

    Args:
        bandit: The bandit that each learner learns, shape (N,).
        most_peers: Largest group of learners who may know each other; None for any.

    Attributes:
        n_bandits: Number of bandits M.
        rank: Rank of each learner among those of its bandit, from 0, shape (N,).
        group_size: How many learners share the learner's bandit, itself included, shape (N,).
    """

    def __init__(self, bandit: IntArray, most_peers: int | None = None) -> None:
        self._bandit, self._most_peers = bandit, most_peers
        self.n_bandits = int(bandit.max()) + 1
        self.rank = np.array([int((bandit[:i] == m).sum()) for i, m in enumerate(bandit)], dtype=np.int64)
        self.group_size = np.bincount(bandit)[bandit].astype(np.int64)

    def groups(self, r: int) -> IntArray:
        """Disjoint groups of r learners of one bandit, in order of rank, the last one of a bandit maybe smaller.

        Returns:
            The members of each learner's group, itself among them, shape (N, r), -1 where a group is smaller.

        Raises:
            UnsupportedProblem: Learners here do not know that many.
        """
        if self._most_peers is not None and r > self._most_peers:
            raise UnsupportedProblem(
                f"needs groups of {r}, and learners here know groups of {self._most_peers} at most"
            )
        members = np.full((self.rank.size, r), -1, dtype=np.int64)
        for i, (m, q) in enumerate(zip(self._bandit, self.rank, strict=True)):
            together = np.flatnonzero((self._bandit == m) & (self.rank // r == q // r))
            members[i, : together.size] = together
        return members
