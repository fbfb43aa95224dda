"""OFUL (Abbasi-Yadkori, Pal and Szepesvari, 2011): optimism over the confidence ellipsoid of a linear model.

Plays the arm with the largest

    x[a]' theta + beta * sqrt(x[a]' V^-1 x[a]),        V = ridge I + sum of x x',    theta = V^-1 sum of r x

    beta = R sqrt(2 log(sqrt(det(V) / ridge^d) / delta)) + sqrt(ridge) S           (radius "determinant")
    beta = R sqrt(d log((1 + n L^2 / ridge) / delta)) + sqrt(ridge) S              (radius "closed", n rounds played)

where the noise is R-sub-Gaussian, features are at most L long and the parameter at most S. With probability 1 - delta
the regret is at most

    4 sqrt(T d log(ridge + T L / d)) (sqrt(ridge) S + R sqrt(2 log(1 / delta) + d log(1 + T L / (ridge d))))

([1], Theorem 3, for means in [-1, 1]). With one parameter per arm (``disjoint``) this is the same algorithm on
features that are zero outside the block of the arm: V has one block per arm, det(V) is the product of theirs, d becomes
d K, and S the length of all parameters together, sqrt(K) times that of each.

References:
    [1] Abbasi-Yadkori, Pal and Szepesvari, "Improved Algorithms for Linear Stochastic Bandits", NeurIPS 2011, Figure 1,
        Theorems 2 and 3.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.kernels import log
from bandits.protocol import FloatArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import Tie
from ._linear import LinearPolicy, parameter_length
from .thompson_gaussian import noise_scale

__all__ = ["OFUL"]


@register_agent("oful", source="Abbasi-Yadkori, Pal and Szepesvari (2011), Fig. 1")
class OFUL(LinearPolicy):
    """Optimism in the face of uncertainty for linear bandits.

    Args:
        problem: What the agent may know.
        streams: Random streams of the batch.
        delta: Probability that the ellipsoid ever misses the parameter.
        ridge: Lambda, the weight of the prior.
        scale: R, the sub-Gaussian constant of the noise; None takes the largest known noise level, or half the width
            of the interval that holds the rewards.
        parameter_norm: S, the length of the parameter (of each arm's, if disjoint); None takes what the environment
            tells, or 1.
        radius: Beta from the "determinant", or the looser "closed" form.
        feature_norm: L, for the closed form; None takes what the environment tells.
        disjoint: One parameter per arm; null for where all arms have the same features.
        tie: Among equal indices play the "first" arm, or a "random" one.
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        delta: float = 0.05,
        ridge: float = 1.0,
        scale: float | None = None,
        parameter_norm: float | None = None,
        radius: Literal["determinant", "closed"] = "determinant",
        feature_norm: float | None = None,
        disjoint: bool | None = None,
        tie: Tie = "first",
    ) -> None:
        if not 0 < delta < 1:
            raise ValueError(f"delta must lie in (0, 1), got {delta}: it is a probability of failure")
        if feature_norm is not None and radius != "closed":
            raise ValueError(f"feature_norm is of use with radius='closed' alone, got radius='{radius}': leave it out")
        super().__init__(problem, streams, ridge=ridge, disjoint=disjoint, tie=tie)
        self.scale = float(noise_scale(problem, scale).max())
        n_models = self.models.log_det.shape[0]
        self._offset = math.sqrt(ridge * n_models) * parameter_length(self.context, parameter_norm)
        self._log_failure = -log(delta)
        self._dimension = self.context.n_features * n_models
        self._feature_norm = _feature_length(self.context.feature_norm, feature_norm) if radius == "closed" else None
        self._beta = np.empty(streams.size)

    def beta(self, t: int) -> FloatArray:
        """Radius of the ellipsoid in round t, shape (B,)."""
        if self._feature_norm is None:
            log_det = np.zeros_like(self._beta)
            for row in self.models.log_det:
                log_det += row
            return self.scale * np.sqrt(log_det + 2.0 * self._log_failure) + self._offset
        growth = log(1.0 + (t - 1) * self._feature_norm**2 / self.models.ridge)
        self._beta.fill(self.scale * math.sqrt(self._dimension * (growth + self._log_failure)) + self._offset)
        return self._beta

    def score(self, t: int, x: FloatArray, out: FloatArray) -> None:
        """Write every arm's index."""
        self.optimistic(x, self.beta(t), out)


def _feature_length(known: float | None, given: float | None) -> float:
    """L as given, else as known."""
    length = known if given is None else given
    if length is None:
        raise UnsupportedProblem(
            "radius='closed' needs a bound on the features, and the environment knows none: give feature_norm="
        )
    if not 0 <= length < math.inf:
        raise ValueError(f"feature_norm must be at least 0 and finite, got {length}")
    return length
