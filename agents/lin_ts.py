"""Thompson sampling for linear bandits (Agrawal and Goyal, 2013).

Draws a parameter from a Gaussian around the ridge regression, and plays the arm that is best under it:

    sample ~ N(theta, v^2 V^-1),        V = ridge I + sum of x x',    theta = V^-1 sum of r x

With ``v = R``, the noise level, this is the posterior for the prior N(0, R^2 / ridge I) and Gaussian noise. If the
parameter was drawn from that prior, the rewards are s-sub-Gaussian given the past, and there are K arms with fixed
features, the expected regret is at most ``s sqrt(2 d log(K) T)`` ([2], Propositions 1 and 5). The regret bound of [1],
of order d^(3/2) sqrt(T), holds for any parameter but needs ``inflate``:

    v = R sqrt(9 d log(t / delta))

and its constants are so large that it says nothing at horizons that one simulates. The sample is
``lower'^-1 (lower^-1 moment + v z)`` with z standard normal and ``lower lower' = V``, factorised afresh whenever V
changes, so no rounding errors pile up.

References:
    [1] Agrawal and Goyal, "Thompson Sampling for Contextual Bandits with Linear Payoffs", ICML 2013, Algorithm 1 and
        Theorem 1.
    [2] Russo and Van Roy, "An Information-Theoretic Analysis of Thompson Sampling", JMLR 17 (2016).
"""

from __future__ import annotations

import math

import numpy as np

from bandits.kernels import inner_products, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import Tie
from ._linear import LinearPolicy
from ._packed import take
from ._ridge import Posterior
from .thompson_gaussian import noise_scale

__all__ = ["LinTS"]


@register_agent("lin_ts", source="Agrawal and Goyal (2013), Alg. 1")
class LinTS(LinearPolicy):
    """Thompson sampling with a linear model and a Gaussian posterior.

    Args:
        problem: What the agent may know.
        streams: Random streams of the batch; samples are drawn from ``agent``.
        scale: R, the sub-Gaussian constant of the noise; None takes the largest known noise level, or half the width
            of the interval that holds the rewards.
        inflate: Widen the posterior to v = R sqrt(9 d log(t / delta)), as the proof of [1] does.
        delta: Probability that the bound of [1] fails; used with ``inflate``.
        ridge: Lambda, the weight of the prior.
        disjoint: One parameter per arm; null for where all arms have the same features.
        tie: Among equal scores play the "first" arm, or a "random" one.
    """

    regression = Posterior
    models: Posterior

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        scale: float | None = None,
        inflate: bool = False,
        delta: float = 0.05,
        ridge: float = 1.0,
        disjoint: bool | None = None,
        tie: Tie = "first",
    ) -> None:
        if not 0 < delta < 1:
            raise ValueError(f"delta must lie in (0, 1), got {delta}: it is a probability of failure")
        super().__init__(problem, streams, ridge=ridge, disjoint=disjoint, tie=tie)
        self.scale, self.inflate, self.delta = float(noise_scale(problem, scale).max()), inflate, delta
        self._stream = streams.agent
        self._sample = np.empty_like(self.models.theta)
        self._normals = np.empty((self._sample.shape[0] * self._sample.shape[1], streams.size))

    def v(self, t: int) -> float:
        """Standard deviation of the sample, in units of V^(-1/2)."""
        if not self.inflate:
            return self.scale
        dimension = self._normals.shape[0]
        return self.scale * math.sqrt(9.0 * dimension * log(t / self.delta))

    def score(self, t: int, x: FloatArray, out: FloatArray) -> None:
        """Write the mean of every arm under the sample."""
        self._stream.normals(t, self._normals.shape[0], self._normals)
        self.models.draw(self.v(t), self._normals, self._sample)
        inner_products(x, self._sample, out)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round; theta and the inverse are not needed."""
        take(self._x, action, self._chosen)
        self.models.add(action, self._chosen, feedback.reward, self._ones)
        self.models.factorise(action)
