"""Which of K independent Beta variables is largest, without drawing them all: exact thinning.

Draw one variable only, the *leader* (the largest mean): its value is M. Another variable X matters only if it exceeds M,
and late in a run that is rare. For a, b >= 1 the log-density of Beta(a, b) is concave, so it lies below its tangent at M,

    f(x) <= f(M) exp(-rate (x - M)),    rate = (b - 1) / (1 - M) - (a - 1) / M,

and for rate > 0 the mass of this envelope above M is ``reach = f(M) / rate``. That gives X, as far as it matters, exactly:

1. with probability ``1 - reach`` X stays below M;
2. else it is a *candidate*: x = M + Exponential(rate), accepted with probability f(x) / envelope(x), and not at all for
   x >= 1. The density of an accepted x is ``reach * envelope / mass * f / envelope = f(x)``, as it should be above M.

Where the tangent rises or ``reach`` is above 1/2, X is drawn in full. One uniform U serves all arms of a lane: no arm is a
candidate if and only if ``U < product of (1 - reach)``, so most lanes are finished after that comparison. For the others
the product is built up again, arm by arm: the first arm whose partial product falls to U or below is a candidate (given
that the earlier ones are not, it is one with probability ``reach``), and the arms behind it start over with a fresh uniform.

What is done in a lane depends on that lane alone, so results do not depend on the batch. "Exactly" means up to rounding: f
is evaluated as ``exp(a log M + b log(1 - M) - log B(a, b))``, whose error is about ``(a + b) * 1e-16``.
"""

from __future__ import annotations

import numpy as np

from bandits.kernels import argmax, exp, kernel, log
from bandits.philox import Key, gamma_at, uniform_at, uniform_pair
from bandits.protocol import FloatArray, IntArray
from bandits.streams import Stream, gamma_first_trials

__all__ = ["BetaRace", "log_beta"]


def log_beta(a: float, b: float) -> float:
    """Logarithm of the Beta function for a, b > 0, from IEEE arithmetic alone: the same bits on any machine."""
    return _log_gamma(a) + _log_gamma(b) - _log_gamma(a + b)


def _log_gamma(x: float) -> float:
    """Stirling's series at x + 10, and ``gamma(x + 1) = x gamma(x)`` on the way back."""
    product = 1.0
    while x < 10.0:
        product *= x
        x += 1.0
    z = 1.0 / (x * x)
    series = 1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z * (1 / 1188 - z * 691 / 360360))))
    return (x - 0.5) * log(x) - x + 0.91893853320467274178 + series / x - log(product)


@kernel
def draw_betas(
    key: Key, t: int, lanes: IntArray, arms: IntArray, count: int, a: FloatArray, b: FloatArray, scratch: FloatArray,
    x: FloatArray, y: FloatArray,
) -> None:  # fmt: skip
    """Draw x ~ Beta(a, b) and y = 1 - x for ``count`` (lane, arm) pairs, from the gammas of slots 2 arm and 2 arm + 1."""
    shape0, shape1 = scratch[0], scratch[1]
    for i in range(count):
        shape0[i] = a[arms[i], lanes[i]]
        shape1[i] = b[arms[i], lanes[i]]
    for i in range(count):
        x[i], y[i] = gamma_first_trials(key, lanes[i], t, arms[i], shape0[i], shape1[i])
    for i in range(count):  # the few that were rejected, or whose shape is below 1
        if x[i] < 0.0:
            x[i] = gamma_at(key, lanes[i], t, 2 * arms[i], shape0[i], 0 if shape0[i] < 1.0 else 1)
        if y[i] < 0.0:
            y[i] = gamma_at(key, lanes[i], t, 2 * arms[i] + 1, shape1[i], 0 if shape1[i] < 1.0 else 1)
    for i in range(count):
        total = x[i] + y[i]
        x[i] = x[i] / total if total > 0.0 else 0.5
        y[i] = y[i] / total if total > 0.0 else 0.5


@kernel
def reaches(
    a: FloatArray, b: FloatArray, log_norm: FloatArray, leader: IntArray, m: FloatArray, rest: FloatArray,
    scratch: FloatArray, reach: FloatArray, clear: FloatArray,
) -> None:  # fmt: skip
    """Write each arm's ``reach`` above m (1 - m is ``rest``): 1 to draw in full, 0 for the leader; clear = prod(1 - reach)."""
    n_arms, size = a.shape
    log_m, log_rest = scratch[0], scratch[1]
    for i in range(size):
        log_m[i] = log(m[i])
        log_rest[i] = log(rest[i])
        clear[i] = 1.0
    for k in range(n_arms):
        for i in range(size):
            # density and rate, both times m (1 - m)
            density = exp(a[k, i] * log_m[i] + b[k, i] * log_rest[i] - log_norm[k, i])
            rate = (b[k, i] - 1.0) * m[i] - (a[k, i] - 1.0) * rest[i]
            q = density / rate if density < 0.5 * rate else 1.0
            q = 0.0 if leader[i] == k else q
            reach[k, i] = q
            clear[i] *= 1.0 - q


@kernel
def list_pairs(
    key: Key, t: int, uniform: FloatArray, reach: FloatArray, clear: FloatArray, full_lanes: IntArray,
    full_arms: IntArray, lanes: IntArray, arms: IntArray,
) -> tuple[int, int]:  # fmt: skip
    """List the (lane, arm) pairs to draw in full, and the candidates; return how many there are of each."""
    n_arms, size = reach.shape
    n_full, n = 0, 0
    for i in range(size):
        if uniform[i] < clear[i]:
            continue
        u, product = uniform[i], 1.0
        for k in range(n_arms):
            q = reach[k, i]
            if q == 1.0:
                full_lanes[n_full], full_arms[n_full] = i, k
                n_full += 1
                continue
            product *= 1.0 - q
            if u >= product:
                lanes[n], arms[n] = i, k
                n += 1
                u, product = uniform_at(key, i, t, 2 * n_arms + k), 1.0
    return n_full, n


@kernel
def try_candidates(
    key: Key, t: int, lanes: IntArray, arms: IntArray, count: int, a: FloatArray, b: FloatArray, m: FloatArray,
    rest: FloatArray, scratch: FloatArray, x: FloatArray, y: FloatArray,
) -> None:  # fmt: skip
    """Draw x above m for each candidate pair, from the uniforms of slots 2 arm and 2 arm + 1; -1 where it is rejected."""
    a1, b1 = scratch[0], scratch[1]
    for i in range(count):
        a1[i] = a[arms[i], lanes[i]] - 1.0
        b1[i] = b[arms[i], lanes[i]] - 1.0
        x[i] = m[lanes[i]]
        y[i] = rest[lanes[i]]
    for i in range(count):
        u, v = uniform_pair(key, lanes[i], t, arms[i])
        rate = b1[i] / y[i] - a1[i] / x[i]
        step = -log(u) / rate
        above, below = x[i] + step, y[i] - step
        safe = below if below > 1e-300 else 1e-300
        log_ratio = a1[i] * log(above / x[i]) + b1[i] * log(safe / y[i]) + rate * step
        x[i] = above if (below > 0.0) & (log(v) < log_ratio) else -1.0


@kernel
def keep_largest(lanes: IntArray, arms: IntArray, count: int, x: FloatArray, action: IntArray, best: FloatArray) -> None:
    """Where a pair's x beats the best of its lane, its arm takes over."""
    for i in range(count):
        if x[i] > best[lanes[i]]:
            best[lanes[i]] = x[i]
            action[lanes[i]] = arms[i]


class BetaRace:
    """Draws the arm of the largest of K Beta variables, for each of B lanes.

    Args:
        stream: Where the random numbers come from.
        n_arms: Number of arms K.
        thinned: Use the thinning above, which needs every a, b >= 1; else draw every variable.
    """

    def __init__(self, stream: Stream, n_arms: int, *, thinned: bool) -> None:
        size = stream.size
        self._stream, self._shape, self.thinned = stream, (n_arms, size), thinned
        self._scratch = np.empty((2, n_arms * size))
        self._x, self._y = np.empty((2, n_arms * size))
        self.best, self._rest, self._clear, self._m = np.empty((4, size))
        self._action, self._leader, self._each = np.empty((3, size), dtype=np.int64)
        self._each[:] = np.arange(size)
        self._full, self._candidates = np.empty((2, 2, n_arms * size), dtype=np.int64)
        self._reach = np.empty(self._shape)
        if not thinned:
            self._full[0], self._full[1] = np.tile(np.arange(size), n_arms), np.repeat(np.arange(n_arms), size)

    def choose(self, t: int, a: FloatArray, b: FloatArray, mean: FloatArray, log_norm: FloatArray) -> IntArray:
        """Arm of the largest variable, whose value is left in ``best``.

        Args:
            t: Round.
            a: First parameter, shape (K, B).
            b: Second parameter, shape (K, B).
            mean: Their means; chooses the leader, and so the time taken but not the law. Shape (K, B).
            log_norm: ``log B(a, b)``, shape (K, B).

        Returns:
            int64, shape (B,).
        """
        if not self.thinned:
            self._draw(t, *self._full, self._x.size, a, b)
            argmax(self._x.reshape(self._shape), self._action, self.best)
            return self._action
        key, n_lanes = self._stream.key, self._shape[1]
        argmax(mean, self._leader, self._m)
        draw_betas(key, t, self._each, self._leader, n_lanes, a, b, self._scratch, self._m, self._rest)
        reaches(a, b, log_norm, self._leader, self._m, self._rest, self._scratch, self._reach, self._clear)
        n_full, n = list_pairs(
            key, t, self._stream.uniform(t), self._reach, self._clear, *self._full, *self._candidates
        )
        self._action[:], self.best[:] = self._leader, self._m
        if n_full:
            self._draw(t, *self._full, n_full, a, b)
            keep_largest(*self._full, n_full, self._x, self._action, self.best)
        if n:
            try_candidates(
                key, t, *self._candidates, n, a, b, self._m, self._rest, self._scratch, self._x, self._y
            )
            keep_largest(*self._candidates, n, self._x, self._action, self.best)
        return self._action

    def _draw(self, t: int, lanes: IntArray, arms: IntArray, count: int, a: FloatArray, b: FloatArray) -> None:
        draw_betas(self._stream.key, t, lanes, arms, count, a, b, self._scratch, self._x, self._y)
