"""One covering program, solved and certified: by our simplex, by HiGHS, or in rational arithmetic.

minimise  cost . c   subject to   matrix c >= need,  c >= 0,    cost, need > 0
"""

from __future__ import annotations

import math
from fractions import Fraction
from operator import mul
from typing import Any

import numpy as np

from . import simplex
from .protocol import FloatArray

__all__ = ["balance", "power_of_2", "solve_highs", "solve_rationally", "solve_simplex"]

_TOLERANCE = 1e-9  # relative gap between primal and dual value


def solve_simplex(matrix: FloatArray, need: FloatArray, cost: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Least ``cost . c`` with ``matrix c >= need > 0``, cost > 0: (c, dual), or None where the certificate fails."""
    m, n = matrix.shape
    column_scale = power_of_2(1.0 / cost)
    row_scale = power_of_2(1.0 / (matrix * column_scale).max(axis=1))
    scaled = np.ascontiguousarray(matrix * row_scale[:, None] * column_scale)
    lower, rates = np.concatenate([np.zeros(n), need * row_scale]), np.concatenate([cost * column_scale, np.zeros(m)])
    unit = power_of_2(lower.max())
    c, y = np.zeros(n), np.zeros(m)
    tableau, age = np.empty((m, n)), np.array([-1, 0])
    basic, nonbasic = np.empty(m, dtype=np.uint32), np.empty(n, dtype=np.uint32)
    scratch = np.empty(m + n), np.empty(m), np.empty(n), np.empty(max(m, n))
    transposed = np.ascontiguousarray(scaled.T)
    status = simplex.solve(scaled, transposed, tableau, basic, nonbasic, age, lower / unit, rates, *scratch, c, y)
    if status == simplex.FAILED:
        return None
    return c * column_scale * unit, y * row_scale


def solve_highs(matrix: FloatArray, need: FloatArray, cost: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """The same by HiGHS.

    HiGHS drops entries below 1e-9 and tolerates absolute errors, so rows are scaled to entries, then to needs, of 1.
    """
    from scipy.optimize import linprog

    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    rates = matrix / cost
    for scale in (rates.max(axis=1), need):
        scaled, wanted = rates / scale[:, None], need / scale
        unit = np.median(wanted)
        found = linprog(np.ones(cost.size), A_ub=-scaled, b_ub=-wanted / unit, method="highs", options=tight)
        if found.status == 0:
            c, y = np.maximum(found.x, 0.0) * unit, np.maximum(-found.ineqlin.marginals, 0.0)
            with np.errstate(divide="ignore", invalid="ignore"):
                c, y = c / min(1.0, (scaled @ c / wanted).min()), y / max(1.0, (y @ scaled).max())  # feasible, both
            if abs(c.sum() - y @ wanted) <= _TOLERANCE * c.sum() < math.inf:
                return c / cost, y / scale
    return None


def solve_rationally(matrix: FloatArray, need: FloatArray, cost: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The same without rounding, for what cancels too much in floating point: dual simplex steps by Bland's rule.

    Takes seconds where there are many arms; random tests with tied means need it a few times in a million programs.
    """
    m, n = matrix.shape
    rows = [[Fraction(entry) for entry in row] for row in matrix.tolist()]
    lower = [Fraction(0)] * n + [Fraction(bound) for bound in need.tolist()]
    rates = [Fraction(rate) for rate in cost.tolist()] + [Fraction(0)] * m
    basic, nonbasic = list(range(n, n + m)), list(range(n))
    while True:
        x = [sum(map(mul, row, (lower[label] for label in nonbasic)), Fraction(0)) for row in rows]
        d = [rates[nonbasic[q]] + sum(rates[basic[i]] * rows[i][q] for i in range(m)) for q in range(n)]
        short = [i for i in range(m) if x[i] < lower[basic[i]]]
        if not short:
            break
        p = min(short, key=basic.__getitem__)
        pivots = rows[p]
        q = min((j for j in range(n) if pivots[j] > 0), key=lambda j: (d[j] / pivots[j], nonbasic[j]))
        inverse = 1 / pivots[q]
        rows[p] = [-entry * inverse for entry in pivots]
        rows[p][q] = inverse
        for i in range(m):
            if i != p and rows[i][q]:
                factor, rows[i][q] = rows[i][q], Fraction(0)
                rows[i] = [entry + factor * step for entry, step in zip(rows[i], rows[p], strict=True)]
        basic[p], nonbasic[q] = nonbasic[q], basic[p]
    values = dict(zip(basic + nonbasic, x + [lower[label] for label in nonbasic], strict=True))
    prices = dict(zip(nonbasic, d, strict=True))
    c = np.array([float(values[i]) for i in range(n)])
    return c, np.array([float(prices.get(n + j, 0)) for j in range(m)])


def balance(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Powers of 2 for rows and columns that bring the entries near 1: geometric means of the extremes, three times."""
    row, column = np.ones(matrix.shape[0]), np.ones(matrix.shape[1])
    for _ in range(3):
        for axis, scale in ((1, row), (0, column)):
            entries = matrix * row[:, None] * column
            largest = entries.max(axis=axis)
            least = np.where(entries > 0, entries, np.inf).min(axis=axis)
            some = largest > 0
            scale[some] /= power_of_2(np.sqrt(largest[some]) * np.sqrt(least[some]))
    return row, column


def power_of_2(x: Any) -> Any:
    """The power of 2 at most x, for x > 0: scaling by it rounds nothing."""
    return np.ldexp(1.0, np.frexp(x)[1] - 1)
