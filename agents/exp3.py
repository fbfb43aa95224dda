"""EXP3, exponential weights for exploration and exploitation (Auer, Cesa-Bianchi, Freund and Schapire, 2002).

Plays arm k with probability

    p[k] = (1 - gamma) * exp(-eta loss_sum[k]) / sum_j exp(-eta loss_sum[j]) + gamma / K

and adds ``loss / p[k]`` to the estimated cumulative loss of the arm that was played, where ``loss = 1 - reward``.
With gamma = 0 and ``eta = sqrt(2 log(K) / (T K))`` the expected regret is at most ``sqrt(2 T K log K)`` against any
sequence of losses in [0, 1] that does not react to the actions ([2], Theorem 11.2).

Differences from [1]: losses in place of gains, and no mixing (gamma = 0) by default: with losses, exploration does
not need it.

References:
    [1] Auer, Cesa-Bianchi, Freund and Schapire, "The Nonstochastic Multiarmed Bandit Problem", SIAM Journal on
        Computing 32 (2002).
    [2] Lattimore and Szepesvari, "Bandit Algorithms", Cambridge University Press (2020), Chapter 11.
"""

from __future__ import annotations

from bandits.protocol import Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._adversarial import LossEstimator, default_rate, exponential_weights

__all__ = ["EXP3"]


@register_agent("exp3", source="Auer et al. (2002); Lattimore and Szepesvari (2020), Alg. 9")
class EXP3(LossEstimator):
    """Exponential weights on importance-weighted losses, for rewards in [0, 1].

    Args:
        problem: What the agent may know: the number of arms, that rewards lie in [0, 1], and the horizon.
        streams: Random streams of the batch.
        eta: Learning rate; None takes ``sqrt(2 log(K) / (T K))`` [2].
        gamma: Share of the rounds that are played uniformly, in [0, 1].
    """

    uses_horizon = True

    def __init__(self, problem: Problem, streams: Streams, *, eta: float | None = None, gamma: float = 0.0) -> None:
        if not 0.0 <= gamma <= 1.0:
            raise ValueError(f"gamma must lie in [0, 1], got {gamma}: it is the share of uniform play")
        super().__init__(problem, streams)
        self.eta, self.gamma = default_rate(problem, eta), gamma

    def distribution(self, t: int) -> None:
        """Write the probabilities of round t into ``p``."""
        exponential_weights(self.loss_sum, self.eta, self.gamma, self._scratch, self.p)
