"""Kernels on packed symmetric matrices and their Cholesky factors, many lanes at a time.

A symmetric or lower triangular matrix is kept as its lower triangle, row by row: n = d (d + 1) / 2 numbers. The lane is
the last axis of everything, and the innermost loop of every kernel, so no lane's arithmetic depends on the others, and
loops are vectorised.
"""

from __future__ import annotations

import numpy as np

from bandits.kernels import kernel, log, log1p
from bandits.protocol import FloatArray, IntArray

__all__ = [
    "add_observation",
    "add_scaled",
    "cholesky",
    "invert_factor",
    "log_determinant",
    "multiply",
    "put",
    "sherman_morrison",
    "solve_lower",
    "solve_upper",
    "take",
    "write_squares",
]


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
def cholesky(gram: FloatArray, d: int, ridge: float, lower: FloatArray) -> None:
    """Factorise one model: lower lower' = gram, both (n, B).

    No pivot is less than the ridge, except by rounding; there the ridge takes its place.
    """
    size = gram.shape[1]
    for j in range(d):
        column = j * (j + 1) // 2
        for i in range(j, d):
            row = i * (i + 1) // 2
            for b in range(size):
                lower[row + j, b] = gram[row + j, b]
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

    x is (d, K, B) or (d, 1, B), and inverse (M, n, B) with one model for all arms or one for each.
    """
    own_x, own_model = 1 if x.shape[1] > 1 else 0, 1 if inverse.shape[0] > 1 else 0
    for a in range(out.shape[0]):
        k, m, p = a * own_x, a * own_model, 0
        for b in range(row.size):
            out[a, b] = 0.0
        for i in range(x.shape[0]):
            for b in range(row.size):
                row[b] = 0.0
            for j in range(i):
                for b in range(row.size):
                    row[b] += inverse[m, p, b] * x[j, k, b]
                p += 1
            for b in range(row.size):
                out[a, b] += x[i, k, b] * (2.0 * row[b] + inverse[m, p, b] * x[i, k, b])
            p += 1
        for b in range(row.size):
            out[a, b] = out[a, b] if out[a, b] > 0.0 else 0.0


@kernel
def add_scaled(x: FloatArray, factor: float, out: FloatArray) -> None:
    """Add ``factor * x`` to out, both (d, B)."""
    for i in range(x.shape[0]):
        for b in range(x.shape[1]):
            out[i, b] += factor * x[i, b]
