"""Exact minimiser of many small quadratic programs with bounded multipliers, by a dual active-set method.

For every sample (lane) the kernel maximises the dual

    D(u) = excess . u - 1/2 u . (A A' + diag(ridge)) u      over  lower <= u <= upper

of a problem about the point w nearest to x. With ``excess = A x - b`` the minimiser is ``w = x - A' u``:

    Euclidean projection on {A w <= b}                     lower = 0, upper = inf  (equality: lower = -inf), ridge = 0
    1/2 |w - x|^2 + gamma/2 sum max(0, A w - b)            lower = 0, upper = gamma / 2
    1/2 |w - x|^2 + gamma/2 sum max(0, A w - b)^2          lower = 0, upper = inf, ridge = 1 / gamma

This is the method of Goldfarb and Idnani (1983) written for a Hessian of the identity, in which only the products
``A A'`` enter, with upper bounds added [derived]: a multiplier that runs into a bound rests there, the multipliers
strictly between their bounds keep the residuals of their rows at zero (a Cholesky factor of their products is updated
row by row), and the row that breaks its sign condition most moves next. D grows at every step, so the method ends with
the exact solution up to rounding. Every lane is solved on its own: its result does not know the batch.

References:
    [1] Goldfarb and Idnani, "A numerically stable dual method for solving strictly convex quadratic programs",
        Mathematical Programming 27 (1983).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..kernels import kernel
from ..protocol import FloatArray, IntArray

__all__ = ["INFEASIBLE", "SOLVED", "STUCK", "multipliers"]

BoolArray = NDArray[np.bool_]

SOLVED, INFEASIBLE, STUCK = 0, 1, 2
_TOLERANCE = 1e-10  # of a residual; rows have norm 1, so that it is a distance
_DEPENDENT = 1e-11  # squared distance of a unit row to the span of the active rows, below which it is called dependent


def multipliers(
    products: FloatArray, excess: FloatArray, equal: BoolArray, upper: FloatArray, ridge: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Maximise D for each lane.

    Args:
        products: ``A A'`` of rows with norm 1, (G, m, m); G is 1 where all lanes share the rows, else B.
        excess: ``A x - b``, (B, m).
        equal: Which rows are equalities, (m,): their least multiplier is ``-upper``, that of the others 0.
        upper: Greatest multipliers, (G', m) with G' 1 or B; inf for hard constraints.
        ridge: Added to the diagonal of the products, (G', m).

    Returns:
        Multipliers (B, m), and for each lane SOLVED, INFEASIBLE (D grows without end: no point satisfies the rows) or
        STUCK (too many steps; not seen outside of degenerate inputs).
    """
    found = np.zeros_like(excess)
    status = np.zeros(len(excess), dtype=np.int64)
    _solve_lanes(products, excess, equal, upper, ridge, _TOLERANCE, _DEPENDENT, found, status)
    return found, status


@kernel
def _forward(factor: FloatArray, size: int, out: FloatArray) -> None:
    """Solve L y = out in place; L is the leading block of ``factor``."""
    for i in range(size):
        total = out[i]
        for j in range(i):
            total -= factor[i, j] * out[j]
        out[i] = total / factor[i, i]


@kernel
def _backward(factor: FloatArray, size: int, out: FloatArray) -> None:
    """Solve L' y = out in place."""
    for i in range(size - 1, -1, -1):
        out[i] /= factor[i, i]
        for j in range(i):
            out[j] -= factor[i, j] * out[i]


@kernel
def _delete_row(factor: FloatArray, active: IntArray, size: int, gone: int) -> None:
    """Cholesky factor of the products without the row at position ``gone``, by plane rotations."""
    for i in range(gone, size - 1):
        active[i] = active[i + 1]
        for j in range(i + 2):
            factor[i, j] = factor[i + 1, j]
    for i in range(gone, size - 1):
        a, b = factor[i, i], factor[i, i + 1]
        norm = np.sqrt(a * a + b * b)
        c, s = a / norm, b / norm
        for k in range(i, size - 1):
            left, right = factor[k, i], factor[k, i + 1]
            factor[k, i] = c * left + s * right
            factor[k, i + 1] = c * right - s * left


@kernel
def _polish(
    products: FloatArray,
    excess: FloatArray,
    ridge: FloatArray,
    u: FloatArray,
    residual: FloatArray,
    factor: FloatArray,
    active: IntArray,
    size: int,
    work: FloatArray,
) -> None:
    """Move the active multipliers so that their residuals are zero again, and compute all residuals afresh."""
    m = excess.size
    for again in range(2):
        residual[:] = excess
        for j in range(m):
            if u[j] != 0.0:
                for i in range(m):
                    residual[i] -= products[j, i] * u[j]
                residual[j] -= ridge[j] * u[j]
        if again == 0:
            for i in range(size):
                work[i] = residual[active[i]]
            _forward(factor, size, work)
            _backward(factor, size, work)
            for i in range(size):
                u[active[i]] += work[i]


@kernel
def _solve_lane(
    products: FloatArray,
    excess: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    ridge: FloatArray,
    tolerance: float,
    dependent: float,
    u: FloatArray,
    residual: FloatArray,
    factor: FloatArray,
    active: IntArray,
    is_active: IntArray,
    work: FloatArray,
    rate: FloatArray,
) -> int:
    """One lane; returns its status. ``u`` starts at zero."""
    m = excess.size
    residual[:] = excess
    is_active[:] = 0
    size = 0
    polished = False
    for _ in range(20 * m + 100):
        q, worst = -1, tolerance
        for i in range(m):
            if is_active[i] == 0 and (
                (residual[i] > worst and u[i] < upper[i]) or (-residual[i] > worst and u[i] > lower[i])
            ):
                q, worst = i, abs(residual[i])
        if q < 0:
            if polished:
                return 0
            _polish(products, excess, ridge, u, residual, factor, active, size, work)
            polished = True
            continue
        polished = False
        sign = 1.0 if residual[q] > 0.0 else -1.0
        while True:
            for i in range(size):
                work[i] = products[q, active[i]]
            _forward(factor, size, work)
            curvature = products[q, q] + ridge[q]
            for i in range(size):
                factor[size, i] = work[i]  # the row of q, should it become active
                curvature -= work[i] * work[i]
            _backward(factor, size, work)
            independent = curvature > dependent
            step = sign * residual[q] / curvature if independent else np.inf
            blocked = -1  # position of the active row whose multiplier meets a bound first; -2: that of q itself
            room = upper[q] - u[q] if sign > 0.0 else u[q] - lower[q]
            if room < step:
                step, blocked = room, -2
            for i in range(size):
                a = active[i]
                pace = -sign * work[i]
                if pace < 0.0:
                    room = (lower[a] - u[a]) / pace
                elif pace > 0.0:
                    room = (upper[a] - u[a]) / pace
                else:
                    room = np.inf
                if room < step:
                    step, blocked = max(room, 0.0), i
            if step == np.inf:
                return 1
            if step > 0.0:
                rate[:] = products[q]
                rate[q] += ridge[q]
                for i in range(size):
                    a, c = active[i], work[i]
                    for j in range(m):
                        rate[j] -= c * products[a, j]
                    rate[a] -= c * ridge[a]
                    u[a] -= sign * step * c
                for j in range(m):
                    residual[j] -= sign * step * rate[j]
                u[q] += sign * step
            if blocked == -1:
                factor[size, size] = np.sqrt(curvature)
                active[size] = q
                is_active[q] = 1
                size += 1
                break
            if blocked == -2:
                u[q] = upper[q] if sign > 0.0 else lower[q]
                break
            a = active[blocked]
            u[a] = lower[a] if -sign * work[blocked] < 0.0 else upper[a]
            is_active[a] = 0
            _delete_row(factor, active, size, blocked)
            size -= 1
    return 2


@kernel
def _solve_lanes(
    products: FloatArray,
    excess: FloatArray,
    equal: BoolArray,
    upper: FloatArray,
    ridge: FloatArray,
    tolerance: float,
    dependent: float,
    u: FloatArray,
    status: IntArray,
) -> None:
    lanes, m = excess.shape
    lower, residual, work, rate = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    factor = np.empty((m + 1, m + 1))
    active, is_active = np.empty(m + 1, dtype=np.int64), np.empty(m, dtype=np.int64)
    for lane in range(lanes):
        rows = lane if products.shape[0] > 1 else 0
        bound = lane if upper.shape[0] > 1 else 0
        for i in range(m):
            lower[i] = -upper[bound, i] if equal[i] else 0.0
        status[lane] = _solve_lane(
            products[rows],
            excess[lane],
            lower,
            upper[bound],
            ridge[bound],
            tolerance,
            dependent,
            u[lane],
            residual,
            factor,
            active,
            is_active,
            work,
            rate,
        )
