"""Small least-squares problems from their normal equations, one replication at a time, for kernels.

Minimise ``|F x - y|^2`` given the Gram matrix ``G = F'F`` (m, m) and ``v = F'y`` (m,), so that a fit costs the same
however many observations went in. `least_norm` is the shortest minimiser, by Jacobi's eigenvalue method; `in_box` the
minimiser in a box around 0, by the active-set method of Stark and Parker: bounds that the solution should leave are
freed one at a time, and steps that leave the box stop at its wall, which then holds.

Squaring F squares its condition number: directions in which F is below 1e-6 of its largest singular value count as
absent, where a solver that sees F itself resolves them down to about 1e-15. Only IEEE arithmetic is used.

References:
    [1] Stark and Parker, "Bounded-Variable Least-Squares: an Algorithm and Applications", Computational Statistics 10
        (1995).
"""

from __future__ import annotations

import numpy as np

from bandits.kernels import kernel
from bandits.protocol import FloatArray

__all__ = ["in_box", "least_norm", "residual_sum"]

NEGLIGIBLE = 1e-12  # eigenvalues of G below this share of the largest count as 0
MOST_SWEEPS = 30  # of Jacobi's method, which needs some six
TOLERANCE = 1e-11  # of the gradient, in units of the largest entry of v


@kernel
def _diagonalise(matrix: FloatArray, vectors: FloatArray) -> None:
    """Jacobi's eigenvalue method, in place: eigenvalues to the diagonal, eigenvectors to the columns of ``vectors``."""
    m = matrix.shape[0]
    for i in range(m):
        for j in range(m):
            vectors[i, j] = 1.0 if i == j else 0.0
    for _ in range(MOST_SWEEPS):
        off, on = 0.0, 0.0
        for i in range(m):
            on += matrix[i, i] * matrix[i, i]
            for j in range(i):
                off += matrix[i, j] * matrix[i, j]
        if off <= 1e-34 * on:
            break
        for p in range(m - 1):
            for q in range(p + 1, m):
                if matrix[p, q] == 0.0:
                    continue
                theta = (matrix[q, q] - matrix[p, p]) / (2.0 * matrix[p, q])
                size = theta if theta >= 0.0 else -theta
                tangent = 1.0 / (size + np.sqrt(size * size + 1.0))
                tangent = tangent if theta >= 0.0 else -tangent
                cosine = 1.0 / np.sqrt(tangent * tangent + 1.0)
                sine = tangent * cosine
                for i in range(m):
                    x, y = matrix[i, p], matrix[i, q]
                    matrix[i, p], matrix[i, q] = cosine * x - sine * y, sine * x + cosine * y
                for i in range(m):
                    x, y = matrix[p, i], matrix[q, i]
                    matrix[p, i], matrix[q, i] = cosine * x - sine * y, sine * x + cosine * y
                for i in range(m):
                    x, y = vectors[i, p], vectors[i, q]
                    vectors[i, p], vectors[i, q] = cosine * x - sine * y, sine * x + cosine * y


@kernel
def least_norm(gram: FloatArray, moment: FloatArray, work: FloatArray, out: FloatArray) -> None:
    """Write the shortest solution of ``gram out = moment``: gram (m, m) is kept, work is (2, m, m)."""
    m = moment.size
    matrix, vectors = work[0], work[1]
    for i in range(m):
        for j in range(m):
            matrix[i, j] = gram[i, j]
        out[i] = 0.0
    _diagonalise(matrix, vectors)
    largest = 0.0
    for i in range(m):
        largest = matrix[i, i] if matrix[i, i] > largest else largest
    for i in range(m):
        if matrix[i, i] > NEGLIGIBLE * largest:
            share = 0.0
            for j in range(m):
                share += vectors[j, i] * moment[j]
            share /= matrix[i, i]
            for j in range(m):
                out[j] += share * vectors[j, i]


@kernel
def in_box(
    gram: FloatArray, moment: FloatArray, bound: FloatArray, work: FloatArray, scratch: FloatArray, x: FloatArray
) -> int:
    """Move x, some start, to the minimiser with ``|x[j]| <= bound[j]``; the number of steps taken.

    gram is (m, m), moment, bound and x are (m,), work is (3, m, m) and scratch (3, m).
    """
    m = moment.size
    part, slope, step, state = (
        work[2],
        scratch[0],
        scratch[1],
        scratch[2],
    )  # state: -1, 0, 1 at the lower wall, free, ...
    scale = 0.0
    for j in range(m):
        scale = abs(moment[j]) if abs(moment[j]) > scale else scale
        x[j] = bound[j] if x[j] > bound[j] else -bound[j] if x[j] < -bound[j] else x[j]
        state[j] = 1.0 if x[j] >= bound[j] else -1.0 if x[j] <= -bound[j] else 0.0
    freed = -1
    for count in range(20 * m):
        for i in range(m):  # minus half of the gradient
            slope[i] = moment[i]
            for j in range(m):
                slope[i] -= gram[i, j] * x[j]
        for i in range(m):  # the step of the free ones; the others stay
            for j in range(m):
                free = state[i] == 0.0 and state[j] == 0.0
                part[i, j] = gram[i, j] if free else 0.0
            step[i] = slope[i] if state[i] == 0.0 else 0.0
        least_norm(part, step, work, slope)
        length, wall = 1.0, -1
        for j in range(m):
            if state[j] == 0.0 and abs(x[j] + slope[j]) > bound[j]:
                room = (bound[j] if slope[j] > 0.0 else -bound[j]) - x[j]
                if room / slope[j] < length:
                    length, wall = room / slope[j], j
        for j in range(m):
            if state[j] == 0.0:
                x[j] += length * slope[j]
        if wall >= 0:
            state[wall] = 1.0 if slope[wall] > 0.0 else -1.0
            x[wall] = state[wall] * bound[wall]
            if wall == freed and length <= 0.0:
                return count
            continue
        worst, freed = TOLERANCE * scale, -1
        for i in range(m):
            if state[i] != 0.0 and bound[i] > 0.0:
                pull = moment[i]
                for j in range(m):
                    pull -= gram[i, j] * x[j]
                pull *= -state[i]  # towards the inside
                if pull > worst:
                    worst, freed = pull, i
        if freed < 0:
            return count
        state[freed] = 0.0
    return 20 * m


@kernel
def residual_sum(gram: FloatArray, moment: FloatArray, squares: float, x: FloatArray) -> float:
    """``|F x - y|^2`` from the normal equations and ``squares = |y|^2``, not below 0."""
    total = squares
    for i in range(x.size):
        row = -2.0 * moment[i]
        for j in range(x.size):
            row += gram[i, j] * x[j]
        total += x[i] * row
    return total if total > 0.0 else 0.0
