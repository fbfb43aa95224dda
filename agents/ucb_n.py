"""UCB-N (Caron, Kveton, Lelarge and Bhagat, 2012): UCB1 that counts observations in place of plays.

Once every arm was seen it plays the arm with the largest index

    mean[j] + scale[j] * sqrt((2 log t) / O[j])

where O counts the observations of arm j, whichever arm was played, and mean is their plain average. Its regret
is O(log T), and the constant a sum over the cliques of a cover of the graph rather than over arms ([1], Theorem 1).

Differences from [1], whose observations lie in [0, 1] and have one noise level: ``scale`` is the largest noise level
with which the arm may be seen, so that the bonus holds for all of its observations; where there is only one level this
is `pooled_ucb`. Every arm is seen first through its best observer. An arm that does not see itself is handled as
`pooled_ucb` handles it.

References:
    [1] Caron, Kveton, Lelarge and Bhagat, "Leveraging Side Observations in Stochastic Bandits", UAI 2012.
"""

from __future__ import annotations

import numpy as np

from bandits.protocol import FloatArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import Tie
from ._pooled import SideInformation
from .pooled_ucb import PooledUCB

__all__ = ["UCBN"]


@register_agent("ucb_n", source="Caron et al. (2012), UCB-N")
class UCBN(PooledUCB):
    """UCB on plain means of all observations.

    Args:
        problem: What the agent may know: who sees whom, how well.
        streams: Random streams of the batch.
        scale: Standard deviation of every observation; None takes for each arm the largest with which it is seen.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    def __init__(self, problem: Problem, streams: Streams, *, scale: float | None = None, tie: Tie = "first") -> None:
        self._start(problem, streams, 0.0, tie, plain_weights(SideInformation(problem), scale))


def plain_weights(side: SideInformation, scale: float | None) -> FloatArray:
    """``scale^-2`` for every observation of an arm, so that weighted means are plain ones: (K, K), 0 where none."""
    if scale is None:
        least: FloatArray = np.where(side.sees, side.precision, np.inf).min(axis=0)
        return np.where(side.sees, least, 0.0)
    if not 1e-75 <= scale <= 1e75:
        raise ValueError(f"scale must be positive and finite, got {scale}: it is the standard deviation of one number")
    return np.where(side.sees, scale**-2.0, 0.0)
