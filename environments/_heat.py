"""The two-dimensional heat equation by Crank-Nicolson, and its systems solved by conjugate gradients with SSOR.

Fields on the n x n interior points of the unit square are stored *skewed*: point (i, j) stands in row i + j + 1 and
column i + 1 of a (2 n + 1, n + 2) array, zero elsewhere. A row is an anti-diagonal, whose points do not depend on
each other in a forward or backward sweep in natural order, so a sweep is vectorised along it without changing a bit
of the result.

With ``s = dt kappa / (2 h^2)`` a time step solves ``(I + s A_0) u = (I - s' A_0) u' + dt (f + f') / 2``, A_0 the
five-point Laplacian (4, -1) and primes for the step before. The preconditioner is, up to a factor that conjugate
gradients do not see, ``M = (D + omega L) D^-1 (D + omega L)'``; omega = 0 leaves plain conjugate gradients.
"""

from __future__ import annotations

import functools

import numpy as np

from bandits.kernels import kernel
from bandits.protocol import FloatArray, IntArray

__all__ = ["HeatCosts", "conjugate_gradients", "diffusion", "heat_costs", "skewed"]

GOLDEN = 0.6180339887498949
GOLDEN_STEPS = 10  # narrows the interval of omegas to 1 % of its length


@kernel
def apply(u: FloatArray, s: float, n: int, out: FloatArray) -> None:
    """``out = u + s A_0 u``."""
    for k in range(1, 2 * n):
        first, last = max(1, k - n + 1), min(k, n)
        before, here, after, row = u[k - 1], u[k], u[k + 1], out[k]
        for i in range(first, last + 1):
            near = before[i - 1] + before[i] + after[i] + after[i + 1]
            row[i] = here[i] + s * (4.0 * here[i] - near)


@kernel
def precondition(r: FloatArray, s: float, omega: float, n: int, z: FloatArray) -> None:
    """``z = M^-1 r``: forward and backward substitution."""
    diagonal = 1.0 + 4.0 * s
    inverse, share = 1.0 / diagonal, omega * s / diagonal
    for k in range(1, 2 * n):
        before, row, right = z[k - 1], z[k], r[k]
        for i in range(max(1, k - n + 1), min(k, n) + 1):
            row[i] = right[i] * inverse + share * (before[i - 1] + before[i])
    for k in range(2 * n - 1, 0, -1):
        row, after = z[k], z[k + 1]
        for i in range(max(1, k - n + 1), min(k, n) + 1):
            row[i] += share * (after[i] + after[i + 1])


@kernel
def inner(x: FloatArray, y: FloatArray, sums: FloatArray) -> float:
    """Inner product of two fields, column by column: sums (n + 2,) is scratch."""
    for i in range(sums.size):
        sums[i] = 0.0
    for k in range(x.shape[0]):
        for i in range(sums.size):
            sums[i] += x[k, i] * y[k, i]
    total = 0.0
    for i in range(sums.size):
        total += sums[i]
    return total


@kernel
def conjugate_gradients(
    rhs: FloatArray, x: FloatArray, s: float, omega: float, tolerance: float, cap: int, work: FloatArray
) -> int:
    """Solve ``(I + s A_0) x = rhs`` from x, in place, and return the iterations.

    It stops when the norm of the residual is below ``tolerance`` times the first one. An answer above ``cap`` means
    that the cap was met. ``work`` is (5, 2 n + 1, n + 2).
    """
    n = x.shape[1] - 2
    r, z, p, product, sums = work[0], work[1], work[2], work[3], work[4, 0]
    work[:] = 0.0
    apply(x, s, n, product)
    for k in range(1, 2 * n):
        for i in range(1, n + 1):
            r[k, i] = rhs[k, i] - product[k, i]
    first = inner(r, r, sums)
    if first == 0.0:
        return 0
    precondition(r, s, omega, n, z)
    p[:] = z
    fit = inner(r, z, sums)
    for count in range(1, cap + 1):
        apply(p, s, n, product)
        length = fit / inner(p, product, sums)
        for k in range(1, 2 * n):
            for i in range(1, n + 1):
                x[k, i] += length * p[k, i]
                r[k, i] -= length * product[k, i]
        if inner(r, r, sums) < tolerance * tolerance * first:
            return count
        precondition(r, s, omega, n, z)
        before, fit = fit, inner(r, z, sums)
        share = fit / before
        for k in range(1, 2 * n):
            for i in range(1, n + 1):
                p[k, i] = z[k, i] + share * p[k, i]
    return cap + 1


def skewed(values: FloatArray) -> FloatArray:
    """Store a field (n, n) skewed."""
    n = values.shape[0]
    i, j = np.indices((n, n))
    out = np.zeros((2 * n + 1, n + 2))
    out[i + j + 1, i + 1] = values
    return out


def diffusion(time: float) -> float:
    """``max(0.1 sin(2 pi t), -10 sin(2 pi t))``, at least 0."""
    wave = float(np.sin(2.0 * np.pi * time))
    return max(0.1 * wave, -10.0 * wave, 0.0)


def bump(points: int, x: float, y: float, radius: float) -> FloatArray:
    """``exp(1 - 1 / (1 - |.|^2 / radius^2))`` around (x, y) on the grid, 0 outside the radius: shape (n, n)."""
    at = np.arange(1, points + 1) / (points + 1)
    square = ((at[:, None] - x) ** 2 + (at[None, :] - y) ** 2) / radius**2
    inside = square < 1.0
    return np.where(inside, np.exp(1.0 - 1.0 / np.where(inside, 1.0 - square, 1.0)), 0.0)


def source(points: int, time: float) -> FloatArray:
    """32 times a bump of radius 1/8 that circles the centre at a distance of 1/4, eight times a unit of time."""
    angle = 16.0 * np.pi * time
    return 32.0 * bump(points, 0.5 + 0.25 * float(np.cos(angle)), 0.5 + 0.25 * float(np.sin(angle)), 0.125)


class HeatCosts:
    """Iterations of every omega in every time step, computed as far as they are asked for.

    The state of the equation goes on with the solution of omega = 1, whoever plays: solutions of other omegas agree
    with it to the tolerance, and costs depend on the step alone.

    Attributes:
        context: Diffusion at the end of each step known so far, (T,).
        costs: Iterations of each omega, (T, K); above the cap where it was met.
        others: Iterations of plain conjugate gradients, and the least that a golden-section search finds, (T, 2).
    """

    def __init__(self, points: int, omegas: tuple[float, ...], dt: float, tolerance: float, cap: int) -> None:
        self.points, self.omegas, self.dt, self.tolerance, self.cap = points, omegas, dt, tolerance, cap
        self._u = skewed(bump(points, 0.5, 0.5, 0.25))
        self._work = np.empty((5, *self._u.shape))
        self.context: list[float] = []
        self.costs: list[list[int]] = []
        self.others: list[tuple[int, int]] = []

    def ensure(self, steps: int) -> None:
        """Compute the steps up to number ``steps``."""
        while len(self.costs) < steps:
            self._advance(len(self.costs))

    def _advance(self, step: int) -> None:
        n, dt = self.points, self.dt
        before, after = step * dt, (step + 1) * dt
        half = 0.5 * dt * (n + 1) ** 2
        rhs = np.zeros_like(self._u)
        apply(self._u, -half * diffusion(before), n, rhs)
        rhs += skewed(0.5 * dt * (source(n, before) + source(n, after)))
        s = half * diffusion(after)
        self.costs.append([self._solve(rhs, s, omega)[0] for omega in self.omegas])
        self.others.append((self._solve(rhs, s, 0.0)[0], self._golden(rhs, s)))
        self._u = self._solve(rhs, s, 1.0)[1]
        self.context.append(diffusion(after))

    def _solve(self, rhs: FloatArray, s: float, omega: float) -> tuple[int, FloatArray]:
        x = self._u.copy()
        return int(conjugate_gradients(rhs, x, s, omega, self.tolerance, self.cap, self._work)), x

    def _golden(self, rhs: FloatArray, s: float) -> int:
        """Least iterations that a golden-section search over omega in (0, 2) comes across."""
        low, high = 0.0, 2.0
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        cost_left, cost_right = self._solve(rhs, s, left)[0], self._solve(rhs, s, right)[0]
        least = min(cost_left, cost_right)
        for _ in range(GOLDEN_STEPS - 2):
            if cost_left <= cost_right:
                high, right, cost_right = right, left, cost_left
                left = high - GOLDEN * (high - low)
                cost_left = self._solve(rhs, s, left)[0]
            else:
                low, left, cost_left = left, right, cost_right
                right = low + GOLDEN * (high - low)
                cost_right = self._solve(rhs, s, right)[0]
            least = min(least, cost_left, cost_right)
        return least


@functools.lru_cache(maxsize=8)
def heat_costs(points: int, omegas: tuple[float, ...], dt: float, tolerance: float, cap: int) -> HeatCosts:
    """The costs of these parameters, a function of them alone: shared by all that ask within a process."""
    return HeatCosts(points, omegas, dt, tolerance, cap)


def rows(values: list[list[int]], at: IntArray) -> IntArray:
    """Rows ``at`` (B,) of a table (T, K) as (K, B)."""
    return np.ascontiguousarray(np.array([values[int(step)] for step in at], dtype=np.int64).T)
