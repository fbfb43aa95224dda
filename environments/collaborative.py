"""N learners on M bandits with the same K arms, who gossip about arms without knowing who shares their bandit.

Learner i learns bandit m(i): its reward of arm k has mean ``means[m(i)][k]``, Bernoulli or Gaussian, independent over
learners and rounds, also of two learners that play the same arm of the same bandit. Regret is measured against the
best arm of the learner's own bandit, and the log sums it over learners unless it keeps them apart.

Learners exchange arms' numbers through `problem.network`, which draws whom a learner asks from a gossip matrix that
they do not know. For a bandit's best arm to reach all its learners, one of them must hold it for good (coverage), and
the learners of the bandit must be connected among themselves: others do not keep recommending it.

The reference instance is this project's own: with ``g = 0.6180339887498949``, bandit m has means ``0.8 frac((k + 1) g
(m + 1))``, but 0.95 at arm ``m floor(K / M)``, its best, and 0.85 at the next arm.

References:
    [1] Chawla, Vial, Shakkottai and Srikant, "Collaborative Multi-Agent Heterogeneous Multi-Armed Bandits", ICML 2023.
    [2] Chawla, Sankararaman, Ganesh and Shakkottai, "The Gossiping Insert-Eliminate Algorithm for Multi-Agent
        Bandits", AISTATS 2020 (one bandit).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from bandits.arrays import empty
from bandits.kernels import kernel, place
from bandits.network import Design, Network
from bandits.philox import Key, normal_pair, uniform_pair
from bandits.protocol import Bound, Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_environment
from bandits.streams import Streams

from ._gossip import gossip_matrix, reached, resolve
from .bernoulli import bernoulli_lai_robbins
from .gaussian import gaussian_lai_robbins

__all__ = ["Collaborative", "reference_means"]


@kernel
def draw_noise(key: Key, t: int, gaussian: bool, out: FloatArray) -> None:
    """One number per learner and replication, (N, B): standard normal or uniform, keyed by (round, learner)."""
    n_learners, size = out.shape
    for j in range((n_learners + 1) // 2):
        x, y = out[2 * j], out[min(2 * j + 1, n_learners - 1)]  # an odd last row is written twice, x last
        if gaussian:
            for b in range(size):
                u, v = normal_pair(key, b, t, j)
                y[b] = v
                x[b] = u
        else:
            for b in range(size):
                u, v = uniform_pair(key, b, t, j)
                y[b] = v
                x[b] = u


@kernel
def pay(
    means: FloatArray,
    sd: float,
    bandit: IntArray,
    learners: IntArray,
    arm: IntArray,
    noise: FloatArray,
    reward: FloatArray,
) -> None:
    """Rewards of the arms (G, B) of learners (G,): means (M, K), noise (N, B); sd < 0 for Bernoulli arms."""
    for g in range(learners.size):
        mean, z = means[bandit[learners[g]]], noise[learners[g]]
        if sd < 0.0:
            for b in range(arm.shape[1]):
                reward[g, b] = 1.0 if z[b] < mean[place(arm[g, b])] else 0.0
        else:
            for b in range(arm.shape[1]):
                reward[g, b] = mean[place(arm[g, b])] + sd * z[b]


@kernel
def take_gaps(gaps: FloatArray, bandit: IntArray, action: IntArray, regret: FloatArray) -> None:
    """Every learner's gap: gaps (M, K), action and regret (N, B)."""
    for i in range(action.shape[0]):
        gap = gaps[bandit[i]]
        for b in range(action.shape[1]):
            regret[i, b] = gap[place(action[i, b])]


@register_environment("collaborative", source="Chawla, Vial, Shakkottai and Srikant (2023)")
class Collaborative:
    """N learners on M bandits who gossip about arms.

    Args:
        streams: Random streams of the batch.
        n_learners: Number of learners N.
        n_bandits: Number of bandits M; left out where ``means`` are given.
        n_arms: Number of arms K of the reference instance; left out where ``means`` are given.
        means: M lists of K means instead of the reference instance, or the name of a .csv or .parquet file of them.
        rewards: "bernoulli" or "gaussian".
        sd: Noise level of Gaussian rewards.
        assignment: The bandit of each learner; by default learner i learns bandit i mod M.
        network: Whom a learner asks: "complete", "ring", "star", "grid", "erdos_renyi" (one graph for all
            replications), "same_bandit", each uniform over neighbours; or N lists of N probabilities, the row being who
            asks, zeros for a learner that asks nobody. Also the name of a .csv or .parquet file that holds them, and
            from Python a networkx graph whose nodes are the learners 0..N-1.
        edge_probability: Of each pair of learners in "erdos_renyi", and of use there alone; None is 0.3.
        peers: Largest group of learners of one bandit who may know each other; None allows agents any.
        delay: Rounds from a question to its answer.
        loss: Probability that an answer is lost.
        budget: Answers that a learner may be sent in all.
        away: Spells [learner, first round, last round] in which a learner plays on but neither asks nor answers.
        splits: Spells [first round, last round, n] in which no message passes between learners below n and others.
    """

    examples = (
        {"n_learners": 6, "n_bandits": 2, "n_arms": 9},
        {
            "n_learners": 5,
            "means": [[0.5, 0.2, 0.1, 0.3, 0.1], [0.1, 0.6, 0.2, 0.2, 0.3]],
            "rewards": "gaussian",
            "sd": 0.5,
            "assignment": [0, 0, 1, 1, 1],
            "network": [
                [0, 0.5, 0.5, 0, 0],
                [1, 0, 0, 0, 0],
                [0, 0, 0, 0.5, 0.5],
                [0.1, 0, 0.9, 0, 0],
                [0, 0, 0, 1, 0],
            ],
            "delay": 2,
            "loss": 0.2,
            "budget": 3,
            "away": [[1, 5, 20]],
            "splits": [[10, 30, 2]],
            "peers": 2,
        },
    )

    resolve = staticmethod(resolve)

    def __init__(
        self,
        streams: Streams,
        *,
        n_learners: int = 24,
        n_bandits: int | None = None,
        n_arms: int | None = None,
        means: Sequence[Sequence[float]] | None = None,
        rewards: Literal["bernoulli", "gaussian"] = "bernoulli",
        sd: float = 1.0,
        assignment: Sequence[int] | None = None,
        network: str | Sequence[Sequence[float]] = "complete",
        edge_probability: float | None = None,
        peers: int | None = None,
        delay: int = 0,
        loss: float = 0.0,
        budget: int | None = None,
        away: Sequence[Sequence[int]] = (),
        splits: Sequence[Sequence[int]] = (),
    ) -> None:
        self.means = _means(means, n_bandits, n_arms, rewards)
        self.bandit = _assignment(assignment, n_learners, self.means.shape[0])
        if not 0 <= sd < math.inf:
            raise ValueError(f"sd must be at least 0 and finite, got {sd}")
        _check_faults(n_learners, delay, loss, budget, away, splits)
        if peers is not None and peers < 1:
            raise ValueError(f"peers must be at least 1, a learner alone, got {peers}")
        n_arms = self.means.shape[1]
        self.gossip = gossip_matrix(network, self.bandit, edge_probability, streams.seed)
        self.network = Network(
            streams.network, self.gossip, n_arms, delay=delay, loss=loss, budget=budget, away=away, splits=splits
        )
        self.best = np.argmax(self.means, axis=1).astype(np.int64)
        self._gaps = self.means.max(axis=1, keepdims=True) - self.means
        self._gaussian = rewards == "gaussian"
        self._sd = sd if self._gaussian else -1.0
        self._key = streams.reward.key
        shape = (n_learners, streams.size)
        self._noise = empty(shape)
        self._noise_round = 0
        self._feedback = Feedback(empty(shape), empty(shape))
        self._has_played, self._played = np.zeros(n_learners, dtype=np.bool_), np.empty(shape, dtype=np.int64)
        self._in_turn = False  # whether anybody has played in this round yet
        self._everyone = np.arange(n_learners)
        self._holds: Any = None
        self.problem = Problem(
            n_arms=n_arms,
            noise_sd=np.full(n_arms, sd) if self._gaussian else None,
            reward_range=None if self._gaussian else (0.0, 1.0),
            n_learners=n_learners,
            network=self.network,
            design=Design(self.bandit, peers),
        )

    def observe(self, t: int) -> None:
        """There is no context."""

    def step(self, t: int, action: IntArray) -> Feedback:
        """Play one round of all learners: action, reward and regret are (N, B)."""
        if self._in_turn:
            if (action != self._played)[self._has_played].any():
                raise ValueError("a learner played in turn, and its action is another arm now")
            self._has_played[:] = self._in_turn = False
        self._draw(t)
        out = self._feedback
        pay(self.means, self._sd, self.bandit, self._everyone, action, self._noise, out.reward)
        take_gaps(self._gaps, self.bandit, action, out.regret)
        return out

    def play_in_turn(self, t: int, learners: IntArray, arm: IntArray) -> FloatArray:
        """Play the arms (G, B) of some learners (G,) before the others, and return their rewards, which `step` repeats.

        Raises:
            ValueError: One of them has played in this round.
        """
        if self._has_played[learners].any():
            raise ValueError(f"one of the learners {learners.tolist()} has played in this round: each plays once")
        self._has_played[learners] = self._in_turn = True
        self._played[learners] = arm
        self._draw(t)
        reward = np.empty(arm.shape)
        pay(self.means, self._sd, self.bandit, learners, arm, self._noise, reward)
        return reward

    def _draw(self, t: int) -> None:
        if self._noise_round != t:
            draw_noise(self._key, t, self._gaussian, self._noise)
            self._noise_round = t

    def watch(self, agent: Any) -> None:
        """Log from now on which learners hold their bandit's best arm, if the agent says so."""
        self._holds = getattr(agent, "holds", None)

    def log(self, t: int) -> dict[str, Any]:
        """Cumulative messages and bits of each learner, and whether it holds its bandit's best arm, each (N, B)."""
        columns: dict[str, Any] = {"messages": self.network.messages, "bits": self.network.bits}
        if self._holds is not None:
            held = [self._holds(np.argmax(tied, axis=1)) for tied in self._best_arms()]
            columns["holders"] = np.logical_or.reduce(held).astype(np.int64)
        return columns

    def _best_arms(self) -> list[Any]:
        """Each learner's best arms, the first of equals, the second, and so on: (N, K) with one True in a row."""
        tied = (self._gaps == 0.0)[self.bandit]
        rank = np.cumsum(tied, axis=1)
        most = int(tied.sum(axis=1).max())
        last = tied.sum(axis=1)
        return [tied & (rank == np.minimum(j + 1, last)[:, None]) for j in range(most)]

    def remarks(self, agent: Any) -> list[str]:
        """Name the learners that a bandit's best arm cannot reach, and pass on what the agent remarks."""
        lines = list(getattr(agent, "remarks", ()))
        keeps = getattr(agent, "keeps", None)
        if keeps is None:
            return lines
        edges = self.gossip > 0
        contacts = getattr(agent, "contacts", None)
        edges = edges if contacts is None else edges | contacts
        best = self.best[self.bandit]
        unreached = []
        for arm in np.unique(self.best):
            keen = best == arm  # who goes on recommending this arm once they know it
            sources = keen & keeps(np.full_like(best, arm)).all(axis=1)
            missed = keen & ~reached(edges & keen[None, :] & keen[:, None], sources)
            for m in np.unique(self.bandit[missed]):
                learners = ", ".join(str(i) for i in np.flatnonzero(missed & (self.bandit == m)))
                cause = "no path of gossip" if sources.any() else f"nobody keeps arm {arm}"
                unreached.append(f"bandit {m}: learners {learners} ({cause})")
        if unreached:
            lines.append("its best arm cannot be relied on to reach, so expect linear regret, " + "; ".join(unreached))
        return lines

    def bound(self) -> Bound:
        """Of any policy, even one that shares all rewards and knows who shares a bandit (this project's derivation).

        ``sum over bandits m and arms k of gap / kl(means[m][k], best mean of m)``, times log T.
        """
        return Bound("full-sharing bound (derived)", np.array([self._terms().sum()]))

    def more_bounds(self) -> tuple[Bound, ...]:
        """Of policies whose messages are arms' numbers: each learner must tell all bandits' best arms apart alone.

        ``sum over learners i and the bandits' best arms l of gap / kl(means[m(i)][l], best mean of m(i))``, times log
        T (this project's derivation); with groups of r who share all, divide by r.
        """
        constant = self._terms()[:, np.unique(self.best)][self.bandit].sum()
        return (Bound("arm-number messages bound (derived)", np.array([constant])),)

    def _terms(self) -> FloatArray:
        """Regret per log T of each bandit's arms, shape (M, K)."""
        if self._gaussian:
            return gaussian_lai_robbins(self.means.T, np.full(self.means.shape[1], self._sd)).T
        return bernoulli_lai_robbins(self.means.T).T


def reference_means(n_bandits: int, n_arms: int) -> FloatArray:
    """The reference instance, shape (M, K)."""
    m, k = np.arange(n_bandits)[:, None], np.arange(n_arms)[None, :]
    means: FloatArray = 0.8 * np.modf((k + 1) * 0.6180339887498949 * (m + 1))[0]
    best = np.arange(n_bandits) * (n_arms // n_bandits)
    means[np.arange(n_bandits), (best + 1) % n_arms] = 0.85
    means[np.arange(n_bandits), best] = 0.95
    return means


def _means(
    means: Sequence[Sequence[float]] | None, n_bandits: int | None, n_arms: int | None, rewards: str
) -> FloatArray:
    """Means (M, K), checked."""
    if means is None:
        n_bandits, n_arms = 4 if n_bandits is None else n_bandits, 40 if n_arms is None else n_arms
        if n_bandits < 1 or n_arms < n_bandits:
            raise ValueError(f"n_arms ({n_arms}) must be at least n_bandits ({n_bandits}), and that at least 1")
        return reference_means(n_bandits, n_arms)
    for name, given, implied in (
        ("n_bandits", n_bandits, len(means)),
        ("n_arms", n_arms, len(means[0]) if means else 0),
    ):
        if given is not None and given != implied:
            raise ValueError(f"{name} is {given} but means says {implied}: leave {name} out")
    if not means or not means[0]:
        raise ValueError("means must be M lists of K numbers, one list for each bandit")
    for m, row in enumerate(means):
        if len(row) != len(means[0]):
            raise ValueError(
                f"means[{m}] has {len(row)} entries, expected {len(means[0])}: all bandits have the same arms"
            )
        for k, mean in enumerate(row):
            if not math.isfinite(mean) or (rewards == "bernoulli" and not 0 <= mean <= 1):
                wanted = "the mean of a Bernoulli arm lies in [0, 1]" if rewards == "bernoulli" else "it must be finite"
                raise ValueError(f"means[{m}][{k}] = {mean:g}: {wanted}")
    return np.array(means, dtype=np.float64)


def _assignment(assignment: Sequence[int] | None, n_learners: int, n_bandits: int) -> IntArray:
    """The bandit of each learner (N,), checked."""
    if n_learners < n_bandits:
        raise ValueError(f"n_learners is {n_learners} for {n_bandits} bandits: every bandit needs a learner")
    if assignment is None:
        return np.arange(n_learners, dtype=np.int64) % n_bandits
    if len(assignment) != n_learners:
        raise ValueError(f"assignment has {len(assignment)} entries, expected {n_learners}: one for each learner")
    for i, m in enumerate(assignment):
        if not 0 <= m < n_bandits:
            raise ValueError(f"assignment[{i}] = {m}, expected a bandit 0..{n_bandits - 1}")
    for m in range(n_bandits):
        if m not in assignment:
            raise ValueError(f"nobody learns bandit {m}: give it a learner in assignment, or leave it out")
    return np.array(assignment, dtype=np.int64)


def _check_faults(
    n_learners: int,
    delay: int,
    loss: float,
    budget: int | None,
    away: Sequence[Sequence[int]],
    splits: Sequence[Sequence[int]],
) -> None:
    if delay < 0:
        raise ValueError(f"delay must be at least 0 rounds, got {delay}")
    if not 0 <= loss <= 1:
        raise ValueError(f"loss must lie in [0, 1], got {loss}")
    if budget is not None and budget < 0:
        raise ValueError(f"budget must be at least 0 messages, got {budget}")
    for spell in away:
        if len(spell) != 3 or not (0 <= spell[0] < n_learners and 1 <= spell[1] <= spell[2]):
            raise ValueError(f"away lists [learner, first round, last round], got {list(spell)}")
    for spell in splits:
        if len(spell) != 3 or not (1 <= spell[0] <= spell[1] and 1 <= spell[2] < n_learners):
            raise ValueError(f"splits lists [first round, last round, n] with 1 <= n < N, got {list(spell)}")
