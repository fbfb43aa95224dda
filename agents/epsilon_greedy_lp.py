"""Epsilon-greedy-LP (Buccapatnam, Eryilmaz and Shroff, 2014): explore through a fractional cover of the graph.

Let z be the fractional plays of least sum that show every arm once. In round t it explores with probability

    epsilon(t) = min(1, c Z / (d^2 t)),    Z = sum of z

playing arm i with probability ``z[i] / Z``, and otherwise plays the arm with the largest mean. The regret is
O(Z log T) if d is at most the smallest gap and c is large enough (5 for rewards in [0, 1]).

Written from general knowledge of [1], not from its text. Differences: means are precision-weighted; the first rounds
show every arm once, through its best observer.

References:
    [1] Buccapatnam, Eryilmaz and Shroff, "Stochastic Bandits with Side Observations on Networks", SIGMETRICS 2014.
"""

from __future__ import annotations

import math

import numpy as np

from bandits.kernels import kernel
from bandits.protocol import FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._cover import covering_plays
from ._index import Tie
from ._pooled import PooledPolicy

__all__ = ["EpsilonGreedyLP"]


@kernel
def explore(cumulative: FloatArray, uniform: FloatArray, epsilon: float, action: IntArray) -> None:
    """Where the uniform lies below epsilon, play an arm of the cover: cumulative (K,) ends at 1.

    There, ``uniform / epsilon`` is uniform again, and chooses the arm.
    """
    for b in range(action.size):
        if uniform[b] < epsilon:
            arm = 0
            while cumulative[arm] * epsilon <= uniform[b] and arm < cumulative.size - 1:
                arm += 1
            action[b] = arm


@register_agent("epsilon_greedy_lp", source="Buccapatnam, Eryilmaz and Shroff (2014)")
class EpsilonGreedyLP(PooledPolicy):
    """Greedy play with exploration through a fractional cover of the graph.

    Args:
        problem: What the agent may know: who sees whom, how well.
        streams: Random streams of the batch; exploration draws from ``agent``.
        d: Lower bound on the smallest gap.
        c: Exploration constant.
        tie: Among equal means play the "first" arm, or a "random" one.
    """

    examples = ({"d": 0.1}, {"d": 1.0, "c": 0.5})

    def __init__(self, problem: Problem, streams: Streams, *, d: float, c: float = 5.0, tie: Tie = "first") -> None:
        if not 0 < d < math.inf:
            raise ValueError(f"d must be positive and finite, got {d}: it is a lower bound on the smallest gap")
        if not 0 < c < math.inf:
            raise ValueError(f"c must be positive and finite, got {c}: with c <= 0 it never explores")
        super().__init__(problem, streams, tie)
        plays = covering_plays(self.side.sees)
        total = float(plays.sum())
        self.cover_plays, self._slope = plays, c * total / (d * d)
        self._cumulative = np.cumsum(plays) / total if total > 0 else np.ones(self.n_arms)
        self._stream = streams.agent

    def choose(self, t: int) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        action = self.largest(t, self.mean)
        explore(self._cumulative, self._stream.uniform(t), min(1.0, self._slope / t), action)
        return action
