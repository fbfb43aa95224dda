"""ChebCB: SquareCB with Chebyshev regression, for tuning a solver to a scalar context (Khodak et al., 2024).

The cost of arm a at context c in [low, high] is predicted by ``theta[a] . phi(c)`` with the Chebyshev polynomials

    phi(c) = (T_0(x), ..., T_{m-1}(x)),    x = 2 (c - low) / (high - low) - 1,

in units of ``scale``, and the arm is drawn with SquareCB's probabilities from the predictions and ``eta``. With
``cost = 1 + the best possible reward - reward``, which is the iteration count of a solver, after round t:

    largest = max cost,    slope = (largest - least) / (high - low)
    N = 2 + 4 (high - low) (slope / largest) (1 + log m),    scale = largest N
    theta[a]: least squares of (cost - 1) / scale on phi over the rounds of arm a, of least norm; where an entry leaves
              the box |theta[a, 0]| <= 1 / N, |theta[a, j]| <= 2 (high - low) slope / (scale j), the minimiser in it
    alpha = (pi + (2 / pi) log(2 m + 1)) / (2 scale (m + 1)) (high - low) slope
    eta = 2 t sqrt(K t / (R - residual + 2 alpha^2 t)),    R = sum of (prediction - cost / scale)^2

When scale changes all arms are fitted anew, else the one that was played. The first round is uniform play.

Four habits of the authors' code are the defaults, and each group can be left:

- ``least`` is 0, because the code takes the minimum of a buffer of zeros that has not filled up yet (``least="zero"``;
  "observed" takes the least cost so far);
- ``residual`` is that of the last fit alone, 0 if that did not meet the box, and R compares predictions with cost where
  the fit took cost - 1 (``residual="code"``; "regression" sums the residuals of all arms' fits, and takes cost - 1).

What differs from the code: fits come from the normal equations, so that they cost the same in every round. Last digits
of theta differ; and where the contexts of an arm nearly coincide, directions below 1e-6 of the largest singular value
count as absent (`agents/_least_squares.py`), where LAPACK's least squares goes down to about 1e-15. A denominator below
1e-12 counts as 1e-12.

The total cost approaches that of the best arm for each context, at a rate of T^(9/11) up to logarithms for costs that
are smooth in the context (from memory of [1]; constants not verified).

References:
    [1] Khodak, Chow, Balcan and Talwalkar, "Learning to Relax: Setting Solver Parameters Across a Sequence of Linear
        System Instances", ICLR 2024, and its code.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.kernels import kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._adversarial import draw
from ._context import scalar_context
from ._least_squares import in_box, least_norm, residual_sum
from ._squarecb import inverse_gap_weights

__all__ = ["ChebCB"]


@kernel
def chebyshev(context: FloatArray, low: float, high: float, out: FloatArray) -> None:
    """Chebyshev polynomials of ``2 (context - low) / (high - low) - 1``: context (B,), out (m, B)."""
    for b in range(context.size):
        x = 2.0 * (context[b] - low) / (high - low) - 1.0
        before, now = x, 1.0
        for j in range(out.shape[0]):
            out[j, b] = now
            before, now = now, 2.0 * x * now - before


@kernel
def predict(theta: FloatArray, features: FloatArray, out: FloatArray) -> None:
    """``out[k] = sum over j of theta[k, j] features[j]``: theta (K, m, B), features (m, B), out (K, B)."""
    for k in range(theta.shape[0]):
        for b in range(out.shape[1]):
            out[k, b] = 0.0
        for j in range(theta.shape[1]):
            for b in range(out.shape[1]):
                out[k, b] += theta[k, j, b] * features[j, b]


@kernel
def absorb(
    action: IntArray, cost: FloatArray, features: FloatArray, gram: FloatArray, moment: FloatArray, sums: FloatArray
) -> None:
    """Add the round to the normal equations of the arm: gram (K, m, m, B), moment (K, m, B), sums (K, 2, B)."""
    for b in range(action.size):
        a = action[b]
        sums[a, 0, b] += 1.0
        sums[a, 1, b] += (cost[b] - 1.0) * (cost[b] - 1.0)
        for i in range(features.shape[0]):
            moment[a, i, b] += features[i, b] * (cost[b] - 1.0)
            for j in range(features.shape[0]):
                gram[a, i, j, b] += features[i, b] * features[j, b]


@kernel
def refit(
    b: int,
    a: int,
    scale: float,
    bound: FloatArray,
    gram: FloatArray,
    moment: FloatArray,
    squares: float,
    theta: FloatArray,
    work: FloatArray,
    scratch: FloatArray,
) -> tuple[float, bool]:
    """Fit theta[a, :, b]; the residual sum of squares, and whether the box was met. Arrays as in `absorb`."""
    m = bound.size
    matrix, target, x = work[3], scratch[3], scratch[4]
    for i in range(m):
        target[i] = moment[a, i, b] / scale
        for j in range(m):
            matrix[i, j] = gram[a, i, j, b]
    least_norm(matrix, target, work, x)
    outside = False
    for i in range(m):
        outside |= abs(x[i]) > bound[i]
    if outside:
        in_box(matrix, target, bound, work, scratch, x)
    for i in range(m):
        theta[a, i, b] = x[i]
    return residual_sum(matrix, target, squares / (scale * scale), x), outside


@kernel
def learn(
    action: IntArray,
    cost: FloatArray,
    width: float,
    logs: FloatArray,
    from_zero: bool,
    as_code: bool,
    prediction: FloatArray,
    gram: FloatArray,
    moment: FloatArray,
    sums: FloatArray,
    theta: FloatArray,
    residual: FloatArray,
    state: FloatArray,
    eta: FloatArray,
    t: int,
    work: FloatArray,
    scratch: FloatArray,
) -> None:
    """Update scale, theta and eta after round t; ``logs`` is (1 + log m, pi + 2 / pi log(2 m + 1)).

    ``state`` (7, B): largest and least cost, scale, residual of the last fit, and the sums of prediction^2, prediction
    cost and cost^2 over the rounds. ``residual`` (K, B) has every arm's. Scratch: work (4, m, m), scratch (6, m).
    """
    n_arms, m = theta.shape[0], theta.shape[1]
    bound = scratch[5]
    for b in range(action.size):
        largest, least = max(state[0, b], cost[b]), min(state[1, b], cost[b])
        state[0, b], state[1, b] = largest, least
        slope = (largest - (0.0 if from_zero else least)) / width
        ratio = 2.0 + 4.0 * width * (slope / largest) * logs[0]
        scale = largest * ratio
        for j in range(m):
            bound[j] = 1.0 / ratio if j == 0 else 2.0 * width * slope / scale / j
        for k in range(n_arms):
            if (k == action[b] or scale != state[2, b]) and sums[k, 0, b] > 0.0:
                left, outside = refit(b, k, scale, bound, gram, moment, sums[k, 1, b], theta, work, scratch)
                residual[k, b] = left
                state[3, b] = left if outside else 0.0
        state[2, b] = scale
        y, target = prediction[action[b], b], cost[b] if as_code else cost[b] - 1.0
        state[4, b] += y * y
        state[5, b] += y * target
        state[6, b] += target * target
        fitted = state[3, b]
        if not as_code:
            fitted = 0.0
            for k in range(n_arms):
                fitted += residual[k, b]
        alpha = logs[1] / (2.0 * scale * (m + 1)) * width * slope
        rest = state[4, b] - 2.0 * state[5, b] / scale + state[6, b] / (scale * scale) - fitted
        rest += 2.0 * alpha * alpha * t
        eta[b] = 2.0 * t * np.sqrt(n_arms * t / (rest if rest > 1e-12 else 1e-12))


@register_agent("chebcb", source="Khodak, Chow, Balcan and Talwalkar (2024), ChebCB and its code")
class ChebCB:
    """SquareCB on Chebyshev polynomials of a scalar context, for rewards in a known interval.

    Args:
        problem: What the agent may know: the number of arms, the intervals of the context and of the rewards.
        streams: Random streams of the batch.
        features: Number of polynomials m.
        least: "zero" takes 0 for the least cost, as the code does; "observed" the least so far.
        residual: "code" takes the residual of the last fit and compares predictions with uncentred costs, as the code
            does; "regression" takes the residuals of all fits.
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        features: int = 6,
        least: Literal["zero", "observed"] = "zero",
        residual: Literal["code", "regression"] = "code",
    ) -> None:
        if not 1 <= features <= 32:
            raise ValueError(f"features must lie in 1..32, got {features}")
        if least not in ("zero", "observed"):
            raise ValueError(f"least must be 'zero' or 'observed', got {least!r}")
        if residual not in ("code", "regression"):
            raise ValueError(f"residual must be 'code' or 'regression', got {residual!r}")
        self._low, self._high = scalar_context(problem)
        if problem.reward_range is None:
            raise UnsupportedProblem("needs rewards in a known interval, got none: costs are measured from its end")
        self._top = problem.reward_range[1]
        n_arms, size, m = problem.n_arms, streams.size, features
        self._from_zero, self._as_code = least == "zero", residual == "code"
        self._logs = np.array([1.0 + log(float(m)), np.pi + 2.0 / np.pi * log(2.0 * m + 1.0)])
        self._stream = streams.agent
        self.theta = np.zeros((n_arms, m, size))
        self.eta = np.zeros(size)
        self.p = np.empty((n_arms, size))
        self._features, self._prediction = np.empty((m, size)), np.empty((n_arms, size))
        self._gram, self._moment = np.zeros((n_arms, m, m, size)), np.zeros((n_arms, m, size))
        self._sums, self._residual = np.zeros((n_arms, 2, size)), np.zeros((n_arms, size))
        self._state = np.zeros((7, size))
        self._state[1] = np.inf
        self._work, self._scratch = np.empty((4, m, m)), np.empty((6, m))
        self._draw_scratch = np.empty((2, size))
        self._action, self._best = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        chebyshev(context[0], self._low, self._high, self._features)
        predict(self.theta, self._features, self._prediction)
        inverse_gap_weights(self._prediction, self.eta, self._best, self._draw_scratch[0], self.p)
        draw(self.p, self._stream.uniform(t), self._draw_scratch, self._action)
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        cost = 1.0 + self._top - feedback.reward
        absorb(action, cost, self._features, self._gram, self._moment, self._sums)
        learn(
            action,
            cost,
            self._high - self._low,
            self._logs,
            self._from_zero,
            self._as_code,
            self._prediction,
            self._gram,
            self._moment,
            self._sums,
            self.theta,
            self._residual,
            self._state,
            self.eta,
            t,
            self._work,
            self._scratch,
        )
