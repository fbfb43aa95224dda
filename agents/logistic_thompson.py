"""Thompson sampling for logistic rewards, with Laplace's approximation (Chapelle and Li, 2011).

A reward in [0, 1] has the mean ``s(x' theta)`` with s the logistic function. The posterior is kept as a Gaussian,
N(m, H^-1), beginning with N(0, I / ridge). A round draws theta from it, with H^-1 widened by v^2, and plays the arm
with the largest ``x' theta``. Given the reward r, m moves to the mode of

    1/2 (theta - m)' H (theta - m) - r log p - (1 - r) log(1 - p),        p = s(x' theta)

and H grows by ``p (1 - p) x x'`` at the mode. Along the way the mode is the solution of one equation in one unknown,
``z = x' m + (r - s(z)) x' H^-1 x`` for z = x' theta, so an update costs no more than one of a linear regression: that
of the working response ``z + (r - p) / (p (1 - p))`` with weight ``p (1 - p)``.

Differences from [1]: its Algorithm 3 keeps only the diagonal of H, so that it can have millions of features, and may
absorb rewards in batches; here H is a full matrix and every round is absorbed by itself.

References:
    [1] Chapelle and Li, "An Empirical Evaluation of Thompson Sampling", NeurIPS 2011, Algorithm 3.
"""

from __future__ import annotations

import math

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.kernels import exp, inner_products, kernel
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import Tie
from ._linear import LinearPolicy
from ._packed import take
from ._ridge import Posterior

__all__ = ["LogisticThompson"]


@kernel
def find_modes(
    prediction: FloatArray,
    square: FloatArray,
    reward: FloatArray,
    response: FloatArray,
    weight: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> None:
    """Working response and weight at the mode, given ``x' m`` and ``x' H^-1 x``: all are (B,), low and high scratch.

    The step s solves ``s = r - logistic(prediction + s square)``; it lies in [r - 1, r], and the difference of both
    sides increases in s: Newton's method, with bisection where it would leave what is left of the interval.
    """
    for b in range(reward.size):
        low[b] = reward[b] - 1.0
        high[b] = reward[b]
        response[b] = reward[b] - 0.5
    for _ in range(40):
        for b in range(reward.size):
            s = response[b]
            p = 1.0 / (1.0 + exp(-(prediction[b] + s * square[b])))
            excess = s - reward[b] + p
            high[b] = s if excess > 0.0 else high[b]
            low[b] = low[b] if excess > 0.0 else s
            step = s - excess / (1.0 + square[b] * p * (1.0 - p))
            response[b] = step if (step > low[b]) & (step < high[b]) else 0.5 * (low[b] + high[b])
    for b in range(reward.size):
        z = prediction[b] + response[b] * square[b]
        p = 1.0 / (1.0 + exp(-z))
        w = p * (1.0 - p)
        weight[b] = w if w > 1e-12 else 1e-12
        response[b] = z + (reward[b] - p) / weight[b]


@register_agent("logistic_thompson", source="Chapelle and Li (2011), Alg. 3, with a full matrix")
class LogisticThompson(LinearPolicy):
    """Thompson sampling with a logistic model and Laplace's approximation, for rewards in [0, 1].

    Args:
        problem: What the agent may know.
        streams: Random streams of the batch; samples are drawn from ``agent``.
        v: Factor on the posterior's standard deviation: 1 samples the posterior, less explores less.
        ridge: Lambda, the precision of the prior.
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
        v: float = 1.0,
        ridge: float = 1.0,
        disjoint: bool | None = None,
        tie: Tie = "first",
    ) -> None:
        if not 0 <= v < math.inf:
            raise ValueError(f"v must be at least 0 and finite, got {v}: it widens the posterior")
        super().__init__(problem, streams, ridge=ridge, disjoint=disjoint, tie=tie)
        if problem.reward_range != (0.0, 1.0):
            raise UnsupportedProblem("needs rewards in [0, 1], got others: play lin_ts")
        self.v = v
        self._stream = streams.agent
        self._sample = np.empty_like(self.models.theta)
        self._normals = np.empty((self._sample.shape[0] * self._sample.shape[1], streams.size))
        self._predictions = np.empty_like(self._scores)
        self._response, self._weight, self._low, self._high = np.empty((4, streams.size))

    def score(self, t: int, x: FloatArray, out: FloatArray) -> None:
        """Write the score of every arm under the sample."""
        self._stream.normals(t, self._normals.shape[0], self._normals)
        self.models.draw(self.v, self._normals, self._sample)
        inner_products(x, self._sample, out)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Move the posterior to the new mode."""
        inner_products(self._x, self.models.theta, self._predictions)
        self.models.squares(self._x, self._squares)
        prediction, square = self._of_arm(self._predictions, action), self._of_arm(self._squares, action)
        find_modes(prediction, square, feedback.reward, self._response, self._weight, self._low, self._high)
        take(self._x, action, self._chosen)
        self.models.absorb(action, self._chosen, self._response, self._weight)
        self.models.factorise(action)
        self.models.refresh(t)

    def _of_arm(self, table: FloatArray, action: IntArray) -> FloatArray:
        out = np.empty((1, action.size))
        take(table[None], action, out)
        return out.reshape(action.size)
