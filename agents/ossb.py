"""OSSB, optimal sampling for structured bandits (Combes, Magureanu and Proutiere, 2017), for side observations.

In every round after the first look at each arm the program of the lower bound is solved at the estimates. With s
counting the rounds of exploration so far:

- if every arm i but the leader has ``pulls[i] >= (1 + gamma) allocation[i] log(t)``, play the leader;
- otherwise add 1 to s; play the arm with the fewest pulls if they are at most ``epsilon s``, else the one with the
  smallest ``pulls[i] / allocation[i]``.

The asymptotic regret is at most the constant of the lower bound times a factor that tends to 1 with epsilon and gamma.
Here the first rounds show every arm through its best observer, where [1] plays each arm once, and an arm that nobody
sees is not explored.

References:
    [1] Combes, Magureanu and Proutiere, "Minimal Exploration in Structured Stochastic Bandits", NeurIPS 2017, Alg. 1.
"""

from __future__ import annotations

import math

import numpy as np

from bandits.kernels import argmax, kernel, log
from bandits.protocol import FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._program import BoolArray, ProgramPolicy

__all__ = ["OSSB"]


@kernel
def explore(
    allocation: FloatArray,
    target: float,
    epsilon: float,
    pulls: IntArray,
    visible: BoolArray,
    explored: IntArray,
    action: IntArray,
) -> None:
    """Replace the leader in ``action`` where some arm has fewer than ``target * allocation`` pulls: (K, B), (B,)."""
    n_arms = pulls.shape[0]
    for b in range(action.size):
        leader, fewest, behind = action[b], -1, -1
        enough, least = True, math.inf
        for i in range(n_arms):
            wanted = allocation[i, b]
            if visible[i] and (fewest < 0 or pulls[i, b] < pulls[fewest, b]):
                fewest = i
            if i != leader and wanted > 0.0:
                enough &= pulls[i, b] >= target * wanted
                share = pulls[i, b] / wanted
                if share < least:
                    behind, least = i, share
        if not enough:
            explored[b] += 1
            action[b] = fewest if pulls[fewest, b] <= epsilon * explored[b] else behind


@register_agent("ossb", source="Combes, Magureanu and Proutiere (2017), Alg. 1")
class OSSB(ProgramPolicy):
    """Optimal sampling for structured bandits: tracks the program of the lower bound.

    Args:
        problem: What the agent may know: who sees whom, how well.
        streams: Random streams of the batch; no randomness is used.
        epsilon: Share of the rounds of exploration that every arm gets; below 1 / K.
        gamma: Surplus over the allocation.
        gap_floor: Smallest gap in the program, relative to ``max(1, largest mean - smallest mean)``.

    Attributes:
        explored: Rounds of exploration s, int64 (B,).
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        epsilon: float = 0.01,
        gamma: float = 0.0,
        gap_floor: float = 1e-6,
    ) -> None:
        if not 0 <= epsilon < 1 / problem.n_arms:
            raise ValueError(f"epsilon must lie in [0, 1/K) = [0, {1 / problem.n_arms:g}), got {epsilon}")
        if not 0 <= gamma < math.inf:
            raise ValueError(f"gamma must be at least 0 and finite, got {gamma}: it makes exploration larger")
        super().__init__(problem, streams, gap_floor=gap_floor)
        self.epsilon, self.gamma = epsilon, gamma
        self.explored = np.zeros(streams.size, dtype=np.int64)
        self._lanes = np.arange(streams.size)

    def choose(self, t: int) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        self.solve(self._lanes)
        argmax(self.mean, self._action, self._best)
        target = (1.0 + self.gamma) * log(float(t))
        explore(self.allocation, target, self.epsilon, self.pulls, self.side.visible, self.explored, self._action)
        return self._action
