"""Pooled UCB for side observations (UCB-SO): UCB1 on estimates that use every observation.

Once every arm was seen it plays the arm with the largest index

    mean[j] + sqrt(2 f(t) / information[j]),    f(t) = log(t) + c log(log(t))

where mean is the precision-weighted mean of all observations of arm j, and information the sum of their precisions.
For Gaussian noise this is KL-UCB's index, too. With side information it is a natural baseline, not the algorithm of
a paper: nothing makes it play an arm for the sake of what the arm shows, so its regret may stay far above the
constant of the information bound. Without, it is Gaussian KL-UCB, with O(sum sd^2 / gap * log T) regret.

An arm that does not see itself is played only if it is certainly the best,

    mean[j] - r[j] >= max of mean[k] + r[k] over the others,    r = sqrt(2 f(t) / information)

and otherwise its best observer is played. That rule is this project's own.

References:
    [1] Caron, Kveton, Lelarge and Bhagat, "Leveraging Side Observations in Stochastic Bandits", UAI 2012 (UCB-N: the
        same for one noise level).
    [2] Cappe, Garivier, Maillard, Munos and Stoltz, "Kullback-Leibler Upper Confidence Bounds for Optimal Sequential
        Allocation", Annals of Statistics 41 (2013).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bandits.arrays import empty
from bandits.kernels import kernel, log
from bandits.protocol import FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from . import ucb1
from ._index import Tie
from ._pooled import PooledPolicy

__all__ = ["PooledUCB"]


@kernel
def ask_observers(
    index: FloatArray,
    mean: FloatArray,
    blind: NDArray[np.bool_],
    best_observer: IntArray,
    action: IntArray,
    second: FloatArray,
) -> None:
    """Replace a blind arm that is not certainly the best by its best observer; second is scratch (B,)."""
    for b in range(action.size):
        second[b] = -np.inf
    for k in range(index.shape[0]):
        for b in range(action.size):
            rival = index[k, b] if action[b] != k else -np.inf
            second[b] = rival if rival > second[b] else second[b]
    for b in range(action.size):
        a = action[b]
        low = 2.0 * mean[a, b] - index[a, b]
        action[b] = best_observer[a] if blind[a] and low < second[b] else a


@register_agent("pooled_ucb", source="this project; for one noise level Caron et al. (2012)")
class PooledUCB(PooledPolicy):
    """UCB on precision-weighted means of all observations.

    Args:
        problem: What the agent may know: who sees whom, how well.
        streams: Random streams of the batch.
        c: Weight of ``log(log(t))``; 0 in practice, 3 in proofs.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    def __init__(self, problem: Problem, streams: Streams, *, c: float = 0.0, tie: Tie = "first") -> None:
        self._start(problem, streams, c, tie, None)

    def _start(self, problem: Problem, streams: Streams, c: float, tie: Tie, weights: FloatArray | None) -> None:
        if not 0 <= c < math.inf:
            raise ValueError(f"c must be at least 0 and finite, got {c}: it makes exploration larger")
        PooledPolicy.__init__(self, problem, streams, tie, weights=weights)
        self.c = c
        self._index, self._second = empty(self.mean.shape), empty(streams.size)
        self._ones = np.ones(self.n_arms)
        self._any_blind = bool(self.side.blind.any())

    def index(self, t: int, out: FloatArray) -> None:
        """Write every arm's index for round t, shape (K, B)."""
        ucb1.write_index(self.mean, self.width, self._ones, self._factor(t), out)

    def choose(self, t: int) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        if self._tie is None and not self._any_blind:
            ucb1.choose(self.mean, self.width, self._ones, self._factor(t), self._action, self._best)
            return self._action
        self.index(t, self._index)
        action = self.largest(t, self._index)
        if self._any_blind:
            side = self.side
            ask_observers(self._index, self.mean, side.blind, side.best_observer, action, self._second)
        return action

    def _factor(self, t: int) -> float:
        f = log_t = log(float(t))
        if self.c:
            f += self.c * log(max(log_t, 1.0))
        return math.sqrt(2.0 * f)
