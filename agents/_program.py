"""What agents share that solve the program of the lower bound at their estimates, and count their pulls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bandits.information_lp import WarmSimplex
from bandits.kernels import count_pulls
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.streams import Streams

from ._pooled import PooledPolicy

__all__ = ["BoolArray", "ProgramPolicy"]

BoolArray = NDArray[np.bool_]


class ProgramPolicy(PooledPolicy):
    """Estimates from all observations, and the exploration that the lower bound prescribes at them.

    Args:
        problem: What the agent may know: who sees whom, how well.
        streams: Random streams of the batch.
        gap_floor: Smallest gap in the program, relative to ``max(1, largest mean - smallest mean)``.

    Attributes:
        pulls: How often each arm was played, int64 (K, B).
        allocation: Last solution of each lane: plays per unit of log t, 0 for the leader, (K, B).
        solver: The programs of all lanes; exact (Graves-Lai) where the leader does not see itself.
    """

    def __init__(self, problem: Problem, streams: Streams, *, gap_floor: float) -> None:
        if not 0 < gap_floor < 1:
            raise ValueError(f"gap_floor must lie strictly between 0 and 1, got {gap_floor}")
        super().__init__(problem, streams)
        shape = self.mean.shape
        self.pulls, self.allocation = np.zeros(shape, dtype=np.int64), np.zeros(shape)
        self.solver = WarmSimplex(self.side.precision, streams.size, gap_floor=gap_floor, kind="graves_lai")
        self._some_unseen = bool(self.side.visible.any() and not self.side.visible.all())

    def solve(self, lanes: IntArray) -> None:
        """Bring the allocation of the listed lanes up to date."""
        self.solver.solve(self._estimates(), lanes, self.allocation)

    def _estimates(self) -> FloatArray:
        """Means in which an arm that nobody sees counts as the worst of the others: programs need a number."""
        if not self._some_unseen:
            return self.mean
        visible = self.side.visible
        return np.where(visible[:, None], self.mean, self.mean[visible].min(axis=0))

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        count_pulls(action, self.pulls)
        super().update(t, action, feedback)
