"""Which of K independent Beta variables is largest, without drawing them all: exact thinning.

Draw one variable only, the *leader* (that of the largest mean): its value is m. Another variable X matters only
if it exceeds m, and late in a run that is rare. For a, b >= 1 the log-density of Beta(a, b) is concave, so it
lies below its tangent at m,

    f(x) <= f(m) exp(-rate (x - m)),    rate = (b - 1) / (1 - m) - (a - 1) / m,

and for rate > 0 the mass under this envelope right of m is ``reach = f(m) / rate``. That gives X, as far as it
matters, exactly:

1. with probability ``1 - reach`` it stays below m;
2. else it is a *candidate*, x = m + Exponential(rate), accepted with probability f(x) / envelope(x), and never for
   x >= 1. An accepted x has the density ``reach * (envelope / reach) * (f / envelope) = f`` right of m.

Where the tangent rises, or ``reach`` is above 1/2, X is drawn in full. One uniform u serves all arms of a lane:
no arm is a candidate if and only if ``u < product of (1 - reach)``, so most lanes are finished with that
comparison. For the others the product is built up again, arm by arm. The first arm whose partial product falls to u
or below is a candidate (given that those before it are not, this has probability ``reach``), and the arms behind
it start over with a fresh uniform.

What happens in a lane depends on that lane alone, so results do not depend on the batch. "Exactly" means up to
rounding: f is evaluated as ``exp(a log m + b log(1 - m) - log B(a, b))``, whose relative error is about
``(a + b) * 1e-16``.
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
    """Stirling's series at x >= 10, to which a smaller x is raised by ``gamma(x) = gamma(x + 1) / x``."""
    product = 1.0
    while x < 10.0:
        product *= x
        x += 1.0
    z = 1.0 / (x * x)
    series = 1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z * (1 / 1188 - z * 691 / 360360))))
    return (x - 0.5) * log(x) - x + 0.91893853320467274178 + series / x - log(product)


@kernel
def draw_betas(
    key: Key, t: int, pairs: IntArray, count: int, shapes: FloatArray, scratch: FloatArray, sample: FloatArray
) -> None:
    """Draw x ~ Beta(a, b), from the gammas of slots 2 arm and 2 arm + 1, for the first ``count`` pairs.

    pairs: lane and arm; shapes: a and b, (2, K, B); sample: x and 1 - x, which is not rounded to 0.
    """
    lanes, arms = pairs[0], pairs[1]
    a, b = scratch[0], scratch[1]
    x, y = sample[0], sample[1]
    for i in range(count):
        a[i] = shapes[0, arms[i], lanes[i]]
        b[i] = shapes[1, arms[i], lanes[i]]
    for i in range(count):
        x[i], y[i] = gamma_first_trials(key, lanes[i], t, arms[i], a[i], b[i])
    for i in range(count):  # the few that were rejected, or whose shape is below 1
        if x[i] < 0.0:
            x[i] = gamma_at(key, lanes[i], t, 2 * arms[i], a[i], 0 if a[i] < 1.0 else 1)
        if y[i] < 0.0:
            y[i] = gamma_at(key, lanes[i], t, 2 * arms[i] + 1, b[i], 0 if b[i] < 1.0 else 1)
    for i in range(count):
        total = x[i] + y[i]
        x[i] = x[i] / total if total > 0.0 else 0.5
        y[i] = y[i] / total if total > 0.0 else 0.5


@kernel
def reaches(
    shapes: FloatArray,
    log_norm: FloatArray,
    leader: IntArray,
    lead: FloatArray,
    scratch: FloatArray,
    reach: FloatArray,
    clear: FloatArray,
) -> None:
    """Write reach (K, B), 0 for the leader and 1 for an arm to draw in full, and clear (B,), the product of 1 - reach.

    lead: the leader's sample m and 1 - m, (2, B).
    """
    n_arms, size = reach.shape
    log_m, log_rest = scratch[0], scratch[1]
    for i in range(size):
        log_m[i] = log(lead[0, i])
        log_rest[i] = log(lead[1, i])
        clear[i] = 1.0
    for k in range(n_arms):
        for i in range(size):
            a, b = shapes[0, k, i], shapes[1, k, i]
            density = exp(a * log_m[i] + b * log_rest[i] - log_norm[k, i])  # f(m), times m (1 - m)
            rate = (b - 1.0) * lead[0, i] - (a - 1.0) * lead[1, i]  # times the same
            q = density / rate if density < 0.5 * rate else 1.0
            q = 0.0 if leader[i] == k else q
            reach[k, i] = q
            clear[i] *= 1.0 - q


@kernel
def list_pairs(
    key: Key,
    t: int,
    uniform: FloatArray,
    reach: FloatArray,
    clear: FloatArray,
    full: IntArray,
    candidates: IntArray,
) -> tuple[int, int]:
    """List the (lane, arm) pairs to draw in full, and the candidates; return how many there are of each."""
    n_arms, size = reach.shape
    n_full, n_candidates = 0, 0
    for i in range(size):
        if uniform[i] < clear[i]:
            continue
        u, product = uniform[i], 1.0
        for k in range(n_arms):
            if reach[k, i] == 1.0:
                full[0, n_full], full[1, n_full] = i, k
                n_full += 1
                continue
            product *= 1.0 - reach[k, i]
            if u >= product:
                candidates[0, n_candidates], candidates[1, n_candidates] = i, k
                n_candidates += 1
                u, product = uniform_at(key, i, t, 2 * n_arms + k), 1.0
    return n_full, n_candidates


@kernel
def try_candidates(
    key: Key,
    t: int,
    pairs: IntArray,
    count: int,
    shapes: FloatArray,
    lead: FloatArray,
    scratch: FloatArray,
    sample: FloatArray,
) -> None:
    """Draw each candidate's x, from the uniforms of slots 2 arm and 2 arm + 1; -1 where it is rejected."""
    lanes, arms = pairs[0], pairs[1]
    a1, b1 = scratch[0], scratch[1]
    x, y = sample[0], sample[1]
    for i in range(count):
        a1[i] = shapes[0, arms[i], lanes[i]] - 1.0
        b1[i] = shapes[1, arms[i], lanes[i]] - 1.0
        x[i] = lead[0, lanes[i]]
        y[i] = lead[1, lanes[i]]
    for i in range(count):
        u, v = uniform_pair(key, lanes[i], t, arms[i])
        rate = b1[i] / y[i] - a1[i] / x[i]
        step = -log(u) / rate
        above, rest = x[i] + step, y[i] - step
        safe = rest if rest > 1e-300 else 1e-300
        log_ratio = a1[i] * log(above / x[i]) + b1[i] * log(safe / y[i]) + rate * step  # f(x) / envelope(x)
        x[i] = above if (rest > 0.0) & (log(v) < log_ratio) else -1.0


@kernel
def keep_largest(pairs: IntArray, count: int, sample: FloatArray, action: IntArray, best: FloatArray) -> None:
    """Where a pair's sample beats the best of its lane, its arm takes over."""
    for i in range(count):
        lane = pairs[0, i]
        if sample[0, i] > best[lane]:
            best[lane] = sample[0, i]
            action[lane] = pairs[1, i]


class BetaRace:
    """Draws the arm of the largest of K Beta variables, in each of B lanes.

    Args:
        stream: Where the random numbers come from.
        n_arms: Number of arms K.
        thinned: Use the thinning above, which needs every a, b >= 1; else draw every variable.

    Attributes:
        best: Value of the largest variable, shape (B,).
    """

    def __init__(self, stream: Stream, n_arms: int, *, thinned: bool) -> None:
        size, n_pairs = stream.size, n_arms * stream.size
        self._stream, self._shape, self.thinned = stream, (n_arms, size), thinned
        self._scratch, self._sample = np.empty((2, n_pairs)), np.empty((2, n_pairs))
        self._full = np.array([np.tile(np.arange(size), n_arms), np.repeat(np.arange(n_arms), size)])
        self._candidates = np.empty((2, n_pairs), dtype=np.int64)
        self._leader = np.array([np.arange(size), np.zeros(size, dtype=np.int64)])  # lane and arm
        self._lead, self._reach, self._clear = np.empty((2, size)), np.empty(self._shape), np.empty(size)
        self._action, self.best = np.empty(size, dtype=np.int64), np.empty(size)

    def choose(self, t: int, shapes: FloatArray, mean: FloatArray, log_norm: FloatArray) -> IntArray:
        """Arm of the largest variable.

        Args:
            t: Round.
            shapes: Parameters a and b, shape (2, K, B).
            mean: Means, which choose the leader: they decide the time taken, not the law. Shape (K, B).
            log_norm: ``log B(a, b)``, shape (K, B).

        Returns:
            int64, shape (B,).
        """
        if not self.thinned:
            draw_betas(self._stream.key, t, self._full, self._full.shape[1], shapes, self._scratch, self._sample)
            argmax(self._sample[0].reshape(self._shape), self._action, self.best)
            return self._action
        n_full, n_candidates = self._screen(t, shapes, mean, log_norm)
        self._action[:], self.best[:] = self._leader[1], self._lead[0]
        key, scratch, sample = self._stream.key, self._scratch, self._sample
        if n_full:
            draw_betas(key, t, self._full, n_full, shapes, scratch, sample)
            keep_largest(self._full, n_full, sample, self._action, self.best)
        if n_candidates:
            try_candidates(key, t, self._candidates, n_candidates, shapes, self._lead, scratch, sample)
            keep_largest(self._candidates, n_candidates, sample, self._action, self.best)
        return self._action

    def _screen(self, t: int, shapes: FloatArray, mean: FloatArray, log_norm: FloatArray) -> tuple[int, int]:
        """Draw the leaders, and list who may beat them."""
        key, scratch = self._stream.key, self._scratch
        argmax(mean, self._leader[1], self.best)
        draw_betas(key, t, self._leader, self._shape[1], shapes, scratch, self._lead)
        reaches(shapes, log_norm, self._leader[1], self._lead, scratch, self._reach, self._clear)
        uniform = self._stream.uniform(t)
        return list_pairs(key, t, uniform, self._reach, self._clear, self._full, self._candidates)
