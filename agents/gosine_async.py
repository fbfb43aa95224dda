"""Asynchronous GosInE: every learner has phases of its own, of random length (Chawla et al., 2020).

As `gosine`, but phase j of a learner lasts a number of rounds drawn uniformly from the whole numbers between
``A_j - A_(j-1)`` and ``ceil((1 + slack) (A_j - A_(j-1)))``, with ``A_j = ceil(j^beta)``, independently over learners
and phases. A learner that ends a phase asks a partner, which recommends the arm that it played most in its own last
completed phase (before its first is complete: the first arm of its list).

References:
    [1] Chawla, Sankararaman, Ganesh and Shakkottai, "The Gossiping Insert-Eliminate Algorithm for Multi-Agent
        Bandits", AISTATS 2020, asynchronous variant, with the constants of the authors' code.
"""

from __future__ import annotations

import math

import numpy as np

from bandits.kernels import kernel
from bandits.philox import Key, uniform_at
from bandits.protocol import Feedback, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._gossip import Gossip, phase_end

__all__ = ["GosineAsync"]


@kernel
def next_phase(key: Key, t: int, shortest: IntArray, longest: IntArray, phase: IntArray, end: IntArray) -> int:
    """Where a learner's phase ends at t, draw the length of its next, (N, B); return the first end of all."""
    soonest = np.int64(2**62)
    for i in range(end.shape[0]):
        for b in range(end.shape[1]):
            if end[i, b] == t:
                j = phase[i, b] + 1
                phase[i, b] = j
                choices = longest[j] - shortest[j] + 1
                end[i, b] = t + shortest[j] + int(uniform_at(key, b, j, i) * choices)
            soonest = min(soonest, end[i, b])
    return int(soonest)


@register_agent("gosine_async", source="Chawla et al. (2020), asynchronous variant")
class GosineAsync(Gossip):
    """Asynchronous GosInE: learners end their phases at random times.

    Args:
        problem: What the agent may know of the population.
        streams: Random streams of the batch.
        alpha: Exploration constant; 4 in the authors' code.
        beta: Exponent of the phases; 3 in the authors' code, above 1.
        slack: How much longer than in `gosine` a phase may last, as a share; 0.5 in the authors' code.
        sticky_size: Arms in a sticky set; None takes ceil(K / N).
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        alpha: float = 4.0,
        beta: float = 3.0,
        slack: float = 0.5,
        sticky_size: int | None = None,
    ) -> None:
        if not 0 <= slack < math.inf:
            raise ValueError(f"slack must be at least 0 and finite, got {slack}")
        super().__init__(problem, streams, alpha=alpha, beta=beta, sticky="global", sticky_size=sticky_size, gamma=0.5)
        self.slack = slack
        self._key = streams.agent.key
        self._phases = np.zeros_like(self.offers)
        self._ends = np.zeros_like(self.offers)
        self._shortest = self._longest = np.zeros(1, dtype=np.int64)
        self._soonest = self._next(0)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round; learners whose phase ends ask; hear what arrives."""
        self._phase_end = t if t == self._soonest else 0
        super().update(t, action, feedback)

    def finish_phase(self, t: int) -> None:
        """Recommend, keep the winner, begin to count anew, and ask a partner: learners whose phase ends."""
        ending = self._ends == t
        self.close(ending)
        self.network.pull(t, self.offers, asking=ending)
        self._soonest = self._next(t)

    def _next(self, t: int) -> int:
        """Draw what follows the phases that end at t; return the first end of all."""
        if int(self._phases.max()) + 1 >= self._shortest.size:
            self._extend(2 * self._shortest.size + 64)
        return int(next_phase(self._key, t, self._shortest, self._longest, self._phases, self._ends))

    def _extend(self, phases: int) -> None:
        """Tables of the shortest and longest length of each phase, from phase 1."""
        ends = [phase_end(j, self.beta) if j else 0 for j in range(phases)]
        lengths = np.diff(ends, prepend=0)
        self._shortest = lengths.astype(np.int64)
        self._longest = np.array([math.ceil(min((1.0 + self.slack) * n, 2.0**62)) for n in lengths], dtype=np.int64)
