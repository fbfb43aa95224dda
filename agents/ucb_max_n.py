"""UCB-MaxN (Caron, Kveton, Lelarge and Bhagat, 2012): UCB-N that exploits among those whom the chosen arm sees.

Let I be the arm with the largest index of UCB-N. It plays the arm with the largest mean among those that I sees,
I itself first among equals, then the lowest. On undirected graphs with self-loops its regret is O(log T), with
constants no worse than UCB-N's ([1], Theorem 2).

**On other matrices the regret is linear in general.** The play may stand in for I because it sees I as well as I sees
it. Where it does not, nothing new is learned of I, its index is never refuted, and the same play is repeated for ever:
for instance where arm 0 sees all others and they see only themselves. It is here as published, as a baseline for
symmetric matrices.

Differences from [1]: those of `ucb_n`; and if I sees nobody, its best observer is played.

References:
    [1] Caron, Kveton, Lelarge and Bhagat, "Leveraging Side Observations in Stochastic Bandits", UAI 2012.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bandits.kernels import kernel
from bandits.protocol import FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import Tie
from .ucb_n import UCBN

__all__ = ["UCBMaxN"]


@kernel
def best_seen(
    mean: FloatArray, seen_by: NDArray[np.bool_], best_observer: IntArray, chosen: IntArray, best: FloatArray
) -> None:
    """Replace each lane's arm by the one with the largest mean that it sees: seen_by (K, K) has a row for each seen."""
    action = np.empty_like(chosen)
    for b in range(chosen.size):
        a = chosen[b]
        action[b] = a if seen_by[a, a] else best_observer[a]
        best[b] = mean[a, b] if seen_by[a, a] else -np.inf
    for k in range(mean.shape[0]):
        for b in range(chosen.size):
            better = seen_by[k, chosen[b]] and mean[k, b] > best[b]
            best[b] = mean[k, b] if better else best[b]
            action[b] = k if better else action[b]
    chosen[:] = action


@register_agent("ucb_max_n", source="Caron et al. (2012), UCB-MaxN")
class UCBMaxN(UCBN):
    """UCB-N that plays the best of those whom the chosen arm sees; linear regret on asymmetric matrices.

    Args:
        problem: What the agent may know: who sees whom, how well.
        streams: Random streams of the batch.
        scale: Standard deviation of every observation; None takes for each arm the largest with which it is seen.
        tie: Among equal indices take the "first" arm, or a "random" one.
    """

    def __init__(self, problem: Problem, streams: Streams, *, scale: float | None = None, tie: Tie = "first") -> None:
        super().__init__(problem, streams, scale=scale, tie=tie)
        self._any_blind = False  # its own rule takes the place of the one in pooled_ucb
        self._seen_by = np.ascontiguousarray(self.side.sees.T)

    def choose(self, t: int) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        action = super().choose(t)
        best_seen(self.mean, self._seen_by, self.side.best_observer, action, self._best)
        return action
