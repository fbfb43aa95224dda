"""SquareCB (Foster and Rakhlin, 2020): contextual bandits by reduction to online regression.

A regression oracle predicts the mean of every arm. With b the best prediction, arm a is played with probability

    p[a] = 1 / (K + gamma (prediction[b] - prediction[a]))   for a != b,        p[b] = 1 - sum of the others

The oracle here is a ridge regression. If its predictions lie within Reg of the truth in sum of squares, the expected
regret is of order ``sqrt(K T Reg)`` for

    gamma = sqrt(K T / (Reg + log(2 / delta)))

([1], Theorem 1: at most ``4 sqrt(K T Reg) + 8 sqrt(K T log(2 / delta))`` for losses in [0, 1]).

Differences from [1]: predictions are not clipped. Rewards need not lie in an interval of width 1: the logarithm is
multiplied by R^2, the square of the rewards' scale. Where Reg is not given it is taken to be
``R^2 d log(1 + T L^2 / (ridge d)) + ridge S^2``, the order of a ridge regression's regret (with one parameter per arm,
d K in place of d and sqrt(K) S in place of S); that choice is this project's own.

References:
    [1] Foster and Rakhlin, "Beyond UCB: Optimal and Efficient Contextual Bandits with Regression Oracles", ICML 2020,
        Algorithm 1 and Theorem 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bandits.kernels import kernel, log
from bandits.protocol import FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._linear import LinearPolicy, features_of_arms, parameter_length
from .thompson_gaussian import noise_scale

__all__ = ["SquareCB", "inverse_gap_weights"]


@kernel
def inverse_gap_weights(
    prediction: FloatArray, gamma: float, best: IntArray, best_value: FloatArray, out: FloatArray
) -> None:
    """Probabilities of all arms (K, B), given the arm with the best prediction and that prediction, (B,)."""
    n_arms = prediction.shape[0]
    for a in range(n_arms):
        for b in range(best.size):
            weight = 1.0 / (n_arms + gamma * (best_value[b] - prediction[a, b]))
            out[a, b] = 0.0 if best[b] == a else weight
    for b in range(best.size):
        best_value[b] = 1.0
    for a in range(n_arms):
        for b in range(best.size):
            best_value[b] -= out[a, b]
    for a in range(n_arms):
        for b in range(best.size):
            out[a, b] = best_value[b] if best[b] == a else out[a, b]


@register_agent("squarecb", source="Foster and Rakhlin (2020), Alg. 1")
class SquareCB(LinearPolicy):
    """Play with probabilities inversely proportional to the predicted gaps.

    Args:
        problem: What the agent may know; it uses the horizon.
        streams: Random streams of the batch; arms are drawn from ``agent``.
        gamma: Learning rate; None takes ``sqrt(K T / (Reg + R^2 log(2 / delta)))``.
        regression_regret: Reg; None takes ``R^2 d log(1 + T L^2 / (ridge d)) + ridge S^2``.
        delta: Probability that the bound of [1] fails.
        scale: R, the sub-Gaussian constant of the noise; None takes the largest known noise level, or half the width
            of the interval that holds the rewards.
        ridge: Lambda, the weight of the prior.
        disjoint: One parameter per arm; null for where all arms have the same features.
    """

    uses_horizon = True

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        gamma: float | None = None,
        regression_regret: float | None = None,
        delta: float = 0.05,
        scale: float | None = None,
        ridge: float = 1.0,
        disjoint: bool | None = None,
    ) -> None:
        if gamma is not None and not 0 <= gamma < math.inf:
            raise ValueError(f"gamma must be at least 0 and finite, got {gamma}: with 0 play is uniform")
        if regression_regret is not None and not 0 <= regression_regret < math.inf:
            raise ValueError(f"regression_regret must be at least 0 and finite, got {regression_regret}")
        if not 0 < delta < 1:
            raise ValueError(f"delta must lie in (0, 1), got {delta}: it is a probability of failure")
        super().__init__(problem, streams, ridge=ridge, disjoint=disjoint)
        self._probabilities = np.empty_like(self._scores)
        self._stream = streams.agent
        self.gamma = gamma if gamma is not None else self._theory(problem, regression_regret, delta, scale)

    def _theory(self, problem: Problem, regret: float | None, delta: float, scale: float | None) -> float:
        square = float(noise_scale(problem, scale).max()) ** 2
        horizon, ridge = problem.horizon or 1, self.models.ridge
        n_models, d = self.models.log_det.shape[0], self.context.n_features
        if regret is None:
            length = self.context.feature_norm or math.sqrt(d)
            regret = square * d * n_models * log(1.0 + horizon * length**2 / (ridge * d * n_models))
            regret += ridge * n_models * parameter_length(self.context, None) ** 2
        return math.sqrt(self.n_arms * horizon / max(regret + square * log(2.0 / delta), 1e-200))

    def act(self, t: int, context: Any = None) -> IntArray:
        """Draw one arm per replication: int64, shape (B,)."""
        self._x = features_of_arms(context)
        self.score(t, self._x, self._scores)
        best = self.largest(t, self._scores)
        inverse_gap_weights(self._scores, self.gamma, best, self._best, self._probabilities)
        return self._stream.categorical(t, self._probabilities)
