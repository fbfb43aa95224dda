"""Epsilon-greedy with a linear model: explore with probability epsilon, else play the arm with the largest prediction.

With ``decay`` the probability in round t is

    epsilon(t) = min(1, c (K d log(t + 1) / t)^(1/3))

whose order gives regret of order T^(2/3) up to logarithms, as exploring first does ([1], Sect. 2, with the error of a
linear regression for that of a class of policies); the constant is free. With a fixed epsilon the regret is linear.
Exploring is uniform over all arms.

References:
    [1] Langford and Zhang, "The Epoch-Greedy Algorithm for Contextual Multi-armed Bandits", NeurIPS 2007.
"""

from __future__ import annotations

import math
from typing import Any

from bandits.kernels import log, power
from bandits.protocol import IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import Tie
from ._linear import LinearPolicy
from .epsilon_greedy import explore

__all__ = ["EpsilonGreedyLinear"]


@register_agent("epsilon_greedy_linear", source="folklore; with decay after Langford and Zhang (2007)")
class EpsilonGreedyLinear(LinearPolicy):
    """Greedy play on a linear model with uniform exploration.

    Args:
        problem: What the agent may know.
        streams: Random streams of the batch; exploration draws from ``agent``.
        epsilon: Probability to explore; not used with ``decay``.
        decay: Explore with probability ``min(1, c (K d log(t + 1) / t)^(1/3))``.
        c: Constant of the decay.
        ridge: Lambda, the weight of the prior.
        disjoint: One parameter per arm; null for where all arms have the same features.
        tie: Among equal predictions play the "first" arm, or a "random" one.
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        epsilon: float = 0.1,
        decay: bool = False,
        c: float = 0.5,
        ridge: float = 1.0,
        disjoint: bool | None = None,
        tie: Tie = "first",
    ) -> None:
        if not 0 <= epsilon <= 1:
            raise ValueError(f"epsilon must lie in [0, 1], got {epsilon}")
        if not 0 < c < math.inf:
            raise ValueError(f"c must be positive and finite, got {c}")
        super().__init__(problem, streams, ridge=ridge, disjoint=disjoint, tie=tie)
        self._fixed, self._decay, self._c = epsilon, decay, c
        self._stream = streams.agent

    def epsilon(self, t: int) -> float:
        """Probability to explore in round t."""
        if not self._decay:
            return self._fixed
        share = self.n_arms * self.context.n_features * log(t + 1.0) / t
        return min(1.0, self._c * power(share, 1.0 / 3.0))

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        action = super().act(t, context)
        explore(self._stream.uniform(t), self.epsilon(t), self._stream.integers(t, self.n_arms), action)
        return action
