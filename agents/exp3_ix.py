"""EXP3-IX, exponential weights with implicit exploration (Neu, 2015).

Plays arm k with probability proportional to ``exp(-eta loss_sum[k])``, and adds

    loss / (p[k] + gamma)

to the estimated cumulative loss of the arm that was played, where ``loss = 1 - reward``. The bias gamma caps what
one rare play can add, and turns the bound on the expected regret into one that holds with high probability: at
most ``2 sqrt(2 K T log K) + (sqrt(2 K T / log K) + 1) log(2 / delta)`` with probability 1 - delta, for the defaults
``eta = sqrt(2 log(K) / (K T))`` and ``gamma = eta / 2`` ([1], Theorem 1).

References:
    [1] Neu, "Explore no more: Improved high-probability regret bounds for non-stochastic bandits", NIPS 2015,
        Algorithm 1.
"""

from __future__ import annotations

import numpy as np

from bandits.protocol import Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._adversarial import LossEstimator, default_rate, exponential_weights

__all__ = ["EXP3IX"]


@register_agent("exp3_ix", source="Neu (2015), Alg. 1")
class EXP3IX(LossEstimator):
    """Exponential weights on losses divided by ``p + gamma``, for rewards in [0, 1].

    Args:
        problem: What the agent may know: the number of arms, that rewards lie in [0, 1], and the horizon.
        streams: Random streams of the batch.
        eta: Learning rate; None takes ``sqrt(2 log(K) / (K T))`` [1].
        gamma: Implicit exploration, at least 0; None takes ``eta / 2``.
    """

    uses_horizon = True

    def __init__(
        self, problem: Problem, streams: Streams, *, eta: float | None = None, gamma: float | None = None
    ) -> None:
        super().__init__(problem, streams)
        self.eta = default_rate(problem, eta)
        if gamma is not None and not 0.0 <= gamma < np.inf:
            raise ValueError(f"gamma must be at least 0, got {gamma}: leave it out for eta / 2")
        self.gamma = self.bias = self.eta / 2.0 if gamma is None else gamma

    def distribution(self, t: int) -> None:
        """Write the probabilities of round t into ``p``."""
        exponential_weights(self.loss_sum, self.eta, 0.0, self._scratch, self.p)
