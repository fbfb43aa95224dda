"""Epsilon-greedy: explore with probability epsilon, else play the arm with the largest mean.

With ``decay`` the probability is the one of Auer, Cesa-Bianchi and Fischer (2002),

    epsilon(t) = min(1, c K / (d^2 t))

whose regret is O(log T) if d is at most the smallest gap and c > 5 ([1], Theorem 3; rewards in [0, 1]). With a
fixed epsilon the regret is linear: ``epsilon * mean gap * T`` at least. Exploring is uniform over all arms.

Differences from [1]: when it does not explore, an arm that was never played counts as the best one.

References:
    [1] Auer, Cesa-Bianchi and Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem", Machine Learning 47
        (2002), Figure 3 and Theorem 3.
"""

from __future__ import annotations

import math
from typing import Any

from bandits.kernels import kernel
from bandits.protocol import FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import IndexPolicy, Tie

__all__ = ["EpsilonGreedy"]


@kernel
def explore(uniform: FloatArray, epsilon: float, random_arm: IntArray, action: IntArray) -> None:
    """Replace the action where the uniform lies below epsilon."""
    for b in range(action.size):
        action[b] = random_arm[b] if uniform[b] < epsilon else action[b]


@register_agent("epsilon_greedy", source="Auer et al. (2002), Fig. 3")
class EpsilonGreedy(IndexPolicy):
    """Greedy play with uniform exploration.

    Args:
        problem: What the agent may know; here only the number of arms.
        streams: Random streams of the batch; exploration draws from ``agent``.
        epsilon: Probability to explore; not used with ``decay``.
        decay: Explore with probability ``min(1, c K / (d^2 t))``.
        c: Constant of the decay; [1] asks for more than 5.
        d: Lower bound on the smallest gap, 0 < d < 1; needed with ``decay``.
        tie: Among equal means play the "first" arm, or a "random" one.
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        epsilon: float = 0.1,
        decay: bool = False,
        c: float = 5.0,
        d: float | None = None,
        tie: Tie = "first",
    ) -> None:
        if not 0 <= epsilon <= 1:
            raise ValueError(f"epsilon must lie in [0, 1], got {epsilon}")
        if not 0 < c < math.inf:
            raise ValueError(f"c must be positive, got {c}: the source asks for more than 5")
        if decay and d is None:
            raise ValueError("decay=True needs d, got None: give a lower bound on the smallest gap, such as d=0.1")
        if d is not None and not 0 < d < math.inf:
            raise ValueError(f"d must be positive, got {d}: it is a lower bound on the smallest gap")
        super().__init__(problem, streams, tie)
        self._fixed = epsilon
        self._slope = c * problem.n_arms / (d * d) if decay and d is not None else None
        self._stream = streams.agent

    def epsilon(self, t: int) -> float:
        """Probability to explore in round t."""
        return self._fixed if self._slope is None else min(1.0, self._slope / t)

    def index(self, t: int, out: FloatArray) -> None:
        """Write the means."""
        out[:] = self.mean

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        action = super().act(t)
        explore(self._stream.uniform(t), self.epsilon(t), self._stream.integers(t, self.mean.shape[0]), action)
        return action
