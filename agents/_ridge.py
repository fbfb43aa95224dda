"""Ridge regressions, M of them in every lane, kept up to date observation by observation.

Each model has seen features x with rewards r and weights w, and holds

    gram    = ridge I + sum w x x'        inverse = gram^-1
    moment  = sum w r x                   theta   = inverse moment
    log_det = log(det(gram) / ridge^d)

An observation changes the inverse by the formula of Sherman and Morrison; every 1000 rounds inverse, theta and log_det
are computed afresh from gram and moment, by Cholesky's factorisation, so that rounding errors do not pile up.

A symmetric matrix is kept as its lower triangle, row by row: n = d (d + 1) / 2 numbers. The lane is the last axis of
everything, and the innermost loop of every kernel, so no lane's arithmetic depends on the others.
"""

from __future__ import annotations

import math

import numpy as np

from bandits.kernels import kernel, log, log1p
from bandits.protocol import FloatArray, IntArray

__all__ = ["Ridge", "checked_ridge", "cholesky", "solve_lower", "solve_upper", "take", "write_squares"]

REFRESH = 1000  # rounds between factorisations


@kernel
def take(table: FloatArray, index: IntArray, out: FloatArray) -> None:
    """Copy each lane's column: table is (n, K, B), or (n, 1, B) where one goes with every index, and out (n, B)."""
    own = 1 if table.shape[1] > 1 else 0
    for i in range(table.shape[0]):
        for b in range(index.size):
            out[i, b] = table[i, own * index[b], b]


@kernel
def put(values: FloatArray, index: IntArray, table: FloatArray) -> None:
    """Copy (n, B) back to each lane's column of table (n, K, B)."""
    for i in range(table.shape[0]):
        for b in range(index.size):
            table[i, index[b], b] = values[i, b]


@kernel
def add_observation(
    gram: FloatArray, moment: FloatArray, x: FloatArray, reward: FloatArray, weight: FloatArray
) -> None:
    """Add ``w x x'`` to gram (n, B) and ``w r x`` to moment (d, B): x is (d, B)."""
    p = 0
    for i in range(x.shape[0]):
        for b in range(reward.size):
            moment[i, b] += weight[b] * reward[b] * x[i, b]
        for j in range(i + 1):
            for b in range(reward.size):
                gram[p, b] += weight[b] * x[i, b] * x[j, b]
            p += 1


@kernel
def multiply(packed: FloatArray, x: FloatArray, out: FloatArray) -> None:
    """Product of a symmetric matrix (n, B) and a vector: x and out are (d, B)."""
    p = 0
    for i in range(x.shape[0]):
        for b in range(x.shape[1]):
            out[i, b] = 0.0
        for j in range(i):
            for b in range(x.shape[1]):
                out[i, b] += packed[p, b] * x[j, b]
                out[j, b] += packed[p, b] * x[i, b]
            p += 1
        for b in range(x.shape[1]):
            out[i, b] += packed[p, b] * x[i, b]
        p += 1


@kernel
def sherman_morrison(
    inverse: FloatArray,
    theta: FloatArray,
    log_det: FloatArray,
    x: FloatArray,
    u: FloatArray,
    reward: FloatArray,
    weight: FloatArray,
    gain: FloatArray,
    residual: FloatArray,
) -> None:
    """Absorb an observation, given u = inverse x.

        gain = w / (1 + w x'u)
        inverse -= gain u u',    theta += gain (r - x'theta) u,    log_det += log(1 + w x'u)

    inverse is (n, B); theta, x and u are (d, B); the rest is (B,), gain and residual being scratch.
    """
    for b in range(reward.size):
        gain[b] = 0.0
        residual[b] = reward[b]
    for i in range(x.shape[0]):
        for b in range(reward.size):
            gain[b] += x[i, b] * u[i, b]
            residual[b] -= x[i, b] * theta[i, b]
    for b in range(reward.size):
        square = weight[b] * (gain[b] if gain[b] > 0.0 else 0.0)
        gain[b] = weight[b] / (1.0 + square)
        residual[b] *= gain[b]
        log_det[b] += log1p(square)
    p = 0
    for i in range(x.shape[0]):
        for b in range(reward.size):
            theta[i, b] += residual[b] * u[i, b]
        for j in range(i + 1):
            for b in range(reward.size):
                inverse[p, b] -= gain[b] * u[i, b] * u[j, b]
            p += 1


@kernel
def cholesky(gram: FloatArray, m: int, d: int, ridge: float, lower: FloatArray) -> None:
    """Factorise model m: lower lower' = gram[:, m], where gram is (n, M, B) and lower (n, B).

    No pivot is less than the ridge, except by rounding; there the ridge takes its place.
    """
    size = gram.shape[2]
    for j in range(d):
        column = j * (j + 1) // 2
        for i in range(j, d):
            row = i * (i + 1) // 2
            for b in range(size):
                lower[row + j, b] = gram[row + j, m, b]
            for k in range(j):
                for b in range(size):
                    lower[row + j, b] -= lower[row + k, b] * lower[column + k, b]
        for b in range(size):
            pivot = lower[column + j, b]
            lower[column + j, b] = np.sqrt(pivot if pivot > ridge else ridge)
        for i in range(j + 1, d):
            row = i * (i + 1) // 2
            for b in range(size):
                lower[row + j, b] /= lower[column + j, b]


@kernel
def solve_lower(lower: FloatArray, right: FloatArray) -> None:
    """Replace right (d, B) by the solution of ``lower y = right``."""
    p = 0
    for i in range(right.shape[0]):
        for j in range(i):
            for b in range(right.shape[1]):
                right[i, b] -= lower[p, b] * right[j, b]
            p += 1
        for b in range(right.shape[1]):
            right[i, b] /= lower[p, b]
        p += 1


@kernel
def solve_upper(lower: FloatArray, right: FloatArray) -> None:
    """Replace right (d, B) by the solution of ``lower' y = right``."""
    for i in range(right.shape[0] - 1, -1, -1):
        for k in range(i + 1, right.shape[0]):
            for b in range(right.shape[1]):
                right[i, b] -= lower[k * (k + 1) // 2 + i, b] * right[k, b]
        for b in range(right.shape[1]):
            right[i, b] /= lower[i * (i + 1) // 2 + i, b]


@kernel
def invert_factor(lower: FloatArray, d: int, inverse: FloatArray) -> None:
    """Inverse of ``lower lower'`` into inverse (n, B); lower is overwritten by its own inverse."""
    for j in range(d):
        diagonal = j * (j + 1) // 2 + j
        for b in range(lower.shape[1]):
            lower[diagonal, b] = 1.0 / lower[diagonal, b]
        for i in range(j + 1, d):
            row = i * (i + 1) // 2
            for b in range(lower.shape[1]):
                lower[row + j, b] *= lower[diagonal, b]
            for k in range(j + 1, i):
                for b in range(lower.shape[1]):
                    lower[row + j, b] += lower[row + k, b] * lower[k * (k + 1) // 2 + j, b]
            for b in range(lower.shape[1]):
                lower[row + j, b] /= -lower[row + i, b]
    for i in range(d):
        for j in range(i + 1):
            p = i * (i + 1) // 2 + j
            for b in range(lower.shape[1]):
                inverse[p, b] = 0.0
            for k in range(i, d):
                row = k * (k + 1) // 2
                for b in range(lower.shape[1]):
                    inverse[p, b] += lower[row + i, b] * lower[row + j, b]


@kernel
def log_determinant(lower: FloatArray, d: int, ridge: float, out: FloatArray) -> None:
    """``log det(lower lower') - d log(ridge)`` of one model: out is (B,)."""
    for b in range(out.size):
        out[b] = -d * log(ridge)
    for i in range(d):
        for b in range(out.size):
            out[b] += 2.0 * log(lower[i * (i + 1) // 2 + i, b])


@kernel
def write_squares(inverse: FloatArray, x: FloatArray, row: FloatArray, out: FloatArray) -> None:
    """Squared widths ``x' inverse x`` of every arm (K, B), at least 0; row is scratch (B,).

    x is (d, K, B) or (d, 1, B), and inverse (n, M, B) with one model for all arms or one for each.
    """
    own_x, own_model = 1 if x.shape[1] > 1 else 0, 1 if inverse.shape[1] > 1 else 0
    for a in range(out.shape[0]):
        k, m, p = a * own_x, a * own_model, 0
        for b in range(row.size):
            out[a, b] = 0.0
        for i in range(x.shape[0]):
            for b in range(row.size):
                row[b] = 0.0
            for j in range(i):
                for b in range(row.size):
                    row[b] += inverse[p, m, b] * x[j, k, b]
                p += 1
            for b in range(row.size):
                out[a, b] += x[i, k, b] * (2.0 * row[b] + inverse[p, m, b] * x[i, k, b])
            p += 1
        for b in range(row.size):
            out[a, b] = out[a, b] if out[a, b] > 0.0 else 0.0


class Ridge:
    """M ridge regressions in each of B lanes.

    Args:
        n_models: M.
        n_features: d.
        size: B.
        ridge: Lambda, positive: the prior's weight.

    Attributes:
        gram, inverse: Packed lower triangles, shape (n, M, B).
        moment, theta: Shape (d, M, B).
        log_det: ``log(det(gram) / ridge^d)``, shape (M, B).
    """

    def __init__(self, n_models: int, n_features: int, size: int, ridge: float) -> None:
        self.ridge, self.d = checked_ridge(ridge), n_features
        n = n_features * (n_features + 1) // 2
        diagonal = [i * (i + 1) // 2 + i for i in range(n_features)]
        self.gram, self.inverse = np.zeros((n, n_models, size)), np.zeros((n, n_models, size))
        self.gram[diagonal], self.inverse[diagonal] = ridge, 1.0 / ridge
        self.moment, self.theta = np.zeros((n_features, n_models, size)), np.zeros((n_features, n_models, size))
        self.log_det = np.zeros((n_models, size))
        self._u, self._row, self._residual = np.empty((n_features, size)), np.empty(size), np.empty(size)
        self._lower = np.empty((n, size))
        self._taken = [np.empty((table.shape[0], size)) for table in self._tables] if n_models > 1 else []

    @property
    def _tables(self) -> list[FloatArray]:
        return [self.gram, self.moment, self.inverse, self.theta, self.log_det[None]]

    def add(self, model: IntArray, x: FloatArray, reward: FloatArray, weight: FloatArray) -> None:
        """Add one observation to gram and moment alone, in the model of each lane: x is (d, B), the rest (B,)."""
        gram, moment = self._take(2, model)
        add_observation(gram, moment, x, reward, weight)
        self._put(2, model)

    def absorb(self, model: IntArray, x: FloatArray, reward: FloatArray, weight: FloatArray) -> None:
        """Absorb one observation in the model of each lane: x is (d, B), the rest is (B,)."""
        gram, moment, inverse, theta, log_det = self._take(5, model)
        add_observation(gram, moment, x, reward, weight)
        multiply(inverse, x, self._u)
        sherman_morrison(inverse, theta, log_det[0], x, self._u, reward, weight, self._row, self._residual)
        self._put(5, model)

    def _take(self, count: int, model: IntArray) -> list[FloatArray]:
        """State of each lane's model, the first ``count`` tables: a view where there is one model, else a copy."""
        if self.log_det.shape[0] == 1:
            return [table[:, 0] for table in self._tables[:count]]
        for table, taken in zip(self._tables[:count], self._taken, strict=False):
            take(table, model, taken)
        return self._taken[:count]

    def _put(self, count: int, model: IntArray) -> None:
        for table, taken in zip(self._tables[:count], self._taken, strict=False):
            put(taken, model, table)

    def refresh(self, t: int) -> None:
        """Every 1000 rounds, compute inverse, theta and log_det from gram and moment."""
        if t % REFRESH:
            return
        inverse = np.empty_like(self._lower)
        for m in range(self.log_det.shape[0]):
            lower = self.factor(m)
            theta = self.moment[:, m].copy()
            solve_lower(lower, theta)
            solve_upper(lower, theta)
            self.theta[:, m] = theta
            log_determinant(lower, self.d, self.ridge, self.log_det[m])
            invert_factor(lower, self.d, inverse)
            self.inverse[:, m] = inverse

    def factor(self, m: int) -> FloatArray:
        """Cholesky factor of model m's gram (n, B), in an array that the next call overwrites."""
        cholesky(self.gram, m, self.d, self.ridge, self._lower)
        return self._lower

    def squares(self, x: FloatArray, out: FloatArray) -> None:
        """Write ``x' inverse x`` for every arm: x is (d, K, B) or (d, 1, B), out (K, B)."""
        write_squares(self.inverse, x, self._row, out)


def checked_ridge(ridge: float) -> float:
    """Lambda, if it is positive and finite."""
    if not 0 < ridge < math.inf:
        raise ValueError(f"ridge must be positive and finite, got {ridge:g}: without it V has no inverse in round 1")
    return ridge
