"""UCB(alpha): UCB1 with a free exploration constant (Audibert, Munos and Szepesvari, 2009).

Plays the arm with the largest index

    mean[a] + scale[a] * sqrt(alpha * log(t) / pulls[a])

For rewards in [0, 1] the expected regret is O(log T) for every alpha > 1/2, and may be polynomial in T below ([1];
they and [2] write rho for alpha). For Gaussian rewards ``scale`` is the standard deviation, and the corresponding
threshold is alpha = 2, which is UCB1. The default 4 is the value that the gossip papers use.

References:
    [1] Audibert, Munos and Szepesvari, "Exploration-exploitation tradeoff using variance estimates in multi-armed
        bandits", Theoretical Computer Science 410 (2009).
    [2] Salomon, Audibert and El Alaoui, "Lower bounds and selectivity of weak-consistent policies in stochastic
        multi-armed bandit problem", JMLR 14 (2013).
"""

from __future__ import annotations

import math

from bandits.protocol import Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import Tie
from .ucb1 import UCB1

__all__ = ["UCBAlpha"]


@register_agent("ucb_alpha", source="Audibert, Munos and Szepesvari (2009)")
class UCBAlpha(UCB1):
    """UCB with a free exploration constant.

    Args:
        problem: What the agent may know: the number of arms, and the scale of the rewards.
        streams: Random streams of the batch.
        alpha: Exploration constant.
        scale: Standard deviation, or width of the rewards' interval; None takes what the environment tells.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        alpha: float = 4.0,
        scale: float | None = None,
        tie: Tie = "first",
    ) -> None:
        if not 0 < alpha < math.inf:
            raise ValueError(f"alpha must be positive, got {alpha}: for rewards in [0, 1] take more than 1/2")
        super().__init__(problem, streams, c=alpha, scale=scale, tie=tie)
