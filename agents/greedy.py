"""Greedy play on estimates that use every observation: no exploration at all.

Once every arm was seen it plays the arm with the largest precision-weighted mean. Under full feedback (every play shows
every arm) this is all that is needed, and the expected regret stays bounded: for K = 2, gap D and one noise level s
the rounds n = 1, 2, ... after the first one cost together

    D * sum of Phi(-D sqrt(n) / (s sqrt(2)))

which is about s^2 / D for small gaps. Without full feedback the regret is linear: an arm that looked bad once may never
be seen again.

References:
    [1] Lattimore and Szepesvari, "Bandit Algorithms", Cambridge University Press 2020, Chapter 4 (follow the leader).
"""

from __future__ import annotations

from bandits.protocol import IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import Tie
from ._pooled import PooledPolicy

__all__ = ["Greedy"]


@register_agent("greedy", source="folklore; Lattimore and Szepesvari (2020)")
class Greedy(PooledPolicy):
    """Plays the arm with the largest mean of all observations; linear regret without full feedback.

    Args:
        problem: What the agent may know: who sees whom, how well.
        streams: Random streams of the batch.
        tie: Among equal means play the "first" arm, or a "random" one.
    """

    def __init__(self, problem: Problem, streams: Streams, *, tie: Tie = "first") -> None:
        super().__init__(problem, streams, tie)

    def choose(self, t: int) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        return self.largest(t, self.mean)
