"""LinUCB (Li, Chu, Langford and Schapire, 2010): optimism in a ridge regression of rewards on features.

Plays the arm with the largest

    x[a]' theta + alpha * sqrt(x[a]' V^-1 x[a]),        V = ridge I + sum of x x',    theta = V^-1 sum of r x

over the features x and rewards r of the arms that were played. `linucb` has one V and theta for all arms,
`linucb_disjoint` one for each arm, from its own rounds. With a fixed alpha this is a heuristic; `oful` has the alpha
of a proof.

Differences from [1]: its Algorithm 1 is the disjoint one; its hybrid model, with parameters of both kinds, is not here.

References:
    [1] Li, Chu, Langford and Schapire, "A Contextual-Bandit Approach to Personalized News Article Recommendation",
        WWW 2010, Algorithm 1; alpha = 1 + sqrt(ln(2 / delta) / 2) from its Section 3.1.
"""

from __future__ import annotations

import math

import numpy as np

from bandits.kernels import log
from bandits.protocol import FloatArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import Tie
from ._linear import LinearPolicy

__all__ = ["LinUCB", "LinUCBDisjoint"]


@register_agent("linucb", source="Li et al. (2010), Sect. 3")
class LinUCB(LinearPolicy):
    """LinUCB with one parameter for all arms.

    Args:
        problem: What the agent may know; the arms must have features of their own.
        streams: Random streams of the batch.
        alpha: Weight of the widths; None takes ``1 + sqrt(ln(2 / delta) / 2)``.
        delta: Probability that an interval of [1] fails, which sets alpha.
        ridge: Lambda, the weight of the prior.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    disjoint = False

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        alpha: float | None = None,
        delta: float = 0.05,
        ridge: float = 1.0,
        tie: Tie = "first",
    ) -> None:
        if not 0 < delta < 1:
            raise ValueError(f"delta must lie in (0, 1), got {delta}: it is a probability of failure")
        if alpha is not None and not 0 <= alpha < math.inf:
            raise ValueError(f"alpha must be at least 0 and finite, got {alpha}: it weighs the widths")
        super().__init__(problem, streams, ridge=ridge, disjoint=self.disjoint, tie=tie)
        self.alpha = 1.0 + math.sqrt(0.5 * log(2.0 / delta)) if alpha is None else alpha
        self._factor = np.full(streams.size, self.alpha)

    def score(self, t: int, x: FloatArray, out: FloatArray) -> None:
        """Write every arm's index."""
        self.optimistic(x, self._factor, out)


@register_agent("linucb_disjoint", source="Li et al. (2010), Alg. 1")
class LinUCBDisjoint(LinUCB):
    """LinUCB with one parameter for each arm.

    Args:
        problem: What the agent may know.
        streams: Random streams of the batch.
        alpha: Weight of the widths; None takes ``1 + sqrt(ln(2 / delta) / 2)``.
        delta: Probability that an interval of [1] fails, which sets alpha.
        ridge: Lambda, the weight of the prior.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    disjoint = True
