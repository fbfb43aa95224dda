"""Compiled simplex method for covering programs that are solved again and again with moving numbers.

    minimise  cost . c   subject to   matrix c >= need,  c >= 0,    cost, need >= 0

The variables are c (labels 0 .. n - 1) and the loads w = matrix c (labels n .. n + m - 1), bounded below by 0 and by
``need``. A *tableau* writes m of them, the basic ones, as linear functions of the n others, which sit at their lower
bounds; it starts as the matrix itself and depends on neither cost nor need. A new estimate therefore costs two
products with the part of the tableau that matters, and an exchange of two variables only where the basis changes:

    value of a basic variable     x[i] = sum_q tableau[i, q] * lower[nonbasic[q]]          at least lower[basic[i]]
    price of a non-basic one      d[q] = cost[nonbasic[q]] + sum_i cost[basic[i]] * tableau[i, q]    at least 0

While some x falls short, dual simplex steps; then primal steps while some d is negative. Where both are so at first,
the costs are raised until the x are in order. Prices of the loads solve the dual program, and every answer is checked
against that certificate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .kernels import inline, kernel
from .protocol import FloatArray, IntArray

LabelArray = NDArray[np.uint32]  # unsigned: an index that cannot be negative needs no check for it

__all__ = ["ANSWERED", "FAILED", "INVALID", "RESTARTED", "LabelArray", "solve"]

ANSWERED, RESTARTED, FAILED, INVALID = 0, 1, 2, 3

_TOLERANCE = 1e-9  # of the certificate: relative, per row of the primal and of the dual program, and of their gap
_ROUNDING = 1e-12  # what counts as rounding in a sum, relative to the sum of the magnitudes
_SMALLEST_PIVOT = 1e-11  # the matrix is scaled so that the largest entries are about 1
_CANCELLED = 1e-13  # an entry that a step leaves this much smaller than the step's term is rounding: it becomes 0
_OLD = 256  # exchanges after which a tableau is built anew, against the growth of rounding errors


@kernel
def exchange(tableau: FloatArray, p: int, q: int) -> None:
    """Make the basic variable of row p non-basic and the one of column q basic."""
    inverse = 1.0 / tableau[p, q]
    for j in range(tableau.shape[1]):
        tableau[p, j] *= -inverse
    tableau[p, q] = inverse
    for i in range(tableau.shape[0]):
        factor = tableau[i, q]
        if i != p and factor != 0.0:
            tableau[i, q] = 0.0
            for j in range(tableau.shape[1]):
                term = factor * tableau[p, j]
                entry = tableau[i, j] + term
                tableau[i, j] = entry if abs(entry) > _CANCELLED * abs(term) else 0.0


@inline
def write_values(
    tableau: FloatArray,
    basic: LabelArray,
    nonbasic: LabelArray,
    lower: FloatArray,
    lowest: bool,
    x: FloatArray,
    weight: FloatArray,
) -> int:
    """Write the values x (m,) of the basic variables; ``weight`` (n,) is scratch.

    Returns:
        Row furthest below its bound by more than rounding, or the one of the lowest label; -1 where there is none.
    """
    m, n = tableau.shape
    for i in range(m):
        x[i] = 0.0
    for q in range(n):
        bound = lower[nonbasic[q]]
        weight[q] = bound
        if bound > 0.0:
            for i in range(m):
                x[i] += tableau[i, q] * bound
    p, worst = -1, 0.0
    for i in range(m):
        lack = lower[basic[i]] - x[i]
        if lack > 0.0 and (p < 0 or (basic[i] < basic[p] if lowest else lack > worst)):
            size = lower[basic[i]]
            for q in range(n):
                size += abs(tableau[i, q]) * weight[q]
            if lack > _ROUNDING * size:
                p, worst = i, lack
    return p


@inline
def write_prices(
    tableau: FloatArray,
    basic: LabelArray,
    nonbasic: LabelArray,
    cost: FloatArray,
    lowest: bool,
    d: FloatArray,
    weight: FloatArray,
) -> int:
    """Write the prices d (n,) of the non-basic variables; ``weight`` (m,) is scratch.

    Returns:
        Column of the most negative price beyond rounding, or the one of the lowest label; -1 where there is none.
    """
    m, n = tableau.shape
    for q in range(n):
        d[q] = cost[nonbasic[q]]
    for i in range(m):
        rate = cost[basic[i]]
        weight[i] = rate
        if rate > 0.0:
            for q in range(n):
                d[q] += tableau[i, q] * rate
    p, worst = -1, 0.0
    for q in range(n):
        if d[q] < 0.0 and (p < 0 or (nonbasic[q] < nonbasic[p] if lowest else d[q] < worst)):
            size = cost[nonbasic[q]]
            for i in range(m):
                size += abs(tableau[i, q]) * weight[i]
            if -d[q] > _ROUNDING * size:
                p, worst = q, d[q]
    return p


@kernel
def find_entering(tableau: FloatArray, nonbasic: LabelArray, d: FloatArray, p: int, lowest: bool) -> int:
    """Column that can raise row p at the least price per unit; the largest pivot, or lowest label, wins a tie."""
    q, best = -1, np.inf
    for j in range(nonbasic.size):
        pivot = tableau[p, j]
        if pivot > _SMALLEST_PIVOT:
            ratio = max(d[j], 0.0) / pivot
            tie = ratio == best and (nonbasic[j] < nonbasic[q] if lowest else pivot > tableau[p, q])
            if q < 0 or ratio < best or tie:
                q, best = j, ratio
    return q


@kernel
def find_leaving(tableau: FloatArray, basic: LabelArray, lower: FloatArray, x: FloatArray, q: int, lowest: bool) -> int:
    """Row that meets its bound first as column q grows; the largest pivot, or lowest label, wins a tie."""
    p, best = -1, np.inf
    for i in range(basic.size):
        pivot = -tableau[i, q]
        if pivot > _SMALLEST_PIVOT:
            ratio = max(x[i] - lower[basic[i]], 0.0) / pivot
            tie = ratio == best and (basic[i] < basic[p] if lowest else pivot > -tableau[p, q])
            if p < 0 or ratio < best or tie:
                p, best = i, ratio
    return p


@kernel
def descend(
    tableau: FloatArray,
    basic: LabelArray,
    nonbasic: LabelArray,
    lower: FloatArray,
    cost: FloatArray,
    rates: FloatArray,
    x: FloatArray,
    d: FloatArray,
    weight: FloatArray,
) -> int:
    """Exchange until optimal and return how often, or -1: no solution, or none found in a sensible number of steps.

    Where values and prices are both out of bounds, the costs are shifted so that no price is negative until the values
    are in order. Largest coefficient first; Bland's rule in the second half of the steps, against cycling.
    """
    limit = 20 * (basic.size + nonbasic.size) + 20
    rates[:] = cost
    is_shifted = False
    for step in range(limit):
        lowest = 2 * step >= limit
        p = write_values(tableau, basic, nonbasic, lower, lowest, x, weight)
        if p < 0 and is_shifted:
            rates[:] = cost
            is_shifted = False
        q = write_prices(tableau, basic, nonbasic, rates, lowest, d, weight)
        if p < 0 and q < 0:
            return step
        if p >= 0:
            if q >= 0 and not is_shifted:
                for j in range(nonbasic.size):
                    rates[nonbasic[j]] -= min(d[j], 0.0)
                is_shifted = True
            q = find_entering(tableau, nonbasic, d, p, lowest)
        else:
            p = find_leaving(tableau, basic, lower, x, q, lowest)
        if p < 0 or q < 0:
            break
        exchange(tableau, p, q)
        label = basic[p]
        basic[p] = nonbasic[q]
        nonbasic[q] = label
    return -1


@inline
def certified(
    matrix: FloatArray,
    transposed: FloatArray,
    basic: LabelArray,
    nonbasic: LabelArray,
    lower: FloatArray,
    cost: FloatArray,
    x: FloatArray,
    d: FloatArray,
    load: FloatArray,
    c: FloatArray,
    y: FloatArray,
) -> bool:
    """Write solution c (n,) and dual y (m,), and say whether they prove each other, computed from the matrix itself.

    Columns of cost 0 are free: they are left out of c, and no row with a need may have an entry there.
    """
    m, n = matrix.shape
    good, spent, earned = True, 0.0, 0.0
    for i in range(n):
        c[i] = 0.0
    for j in range(m):
        y[j] = 0.0
        load[j] = 0.0
    for i in range(m):
        label = basic[i]
        if cost[label] > 0.0:
            plays = max(x[i], 0.0)
            c[label] = plays
            spent += cost[label] * plays
            for j in range(m):
                load[j] += plays * transposed[label, j]
    for j in range(m):
        good &= load[j] >= lower[n + j] * (1.0 - _TOLERANCE)
    for i in range(n):
        load[i] = 0.0
    for q in range(n):
        label = nonbasic[q]
        if lower[label] > 0.0:
            rate = max(d[q], 0.0)
            j = label - n
            y[j] = rate
            earned += lower[label] * rate
            for i in range(n):
                load[i] += rate * matrix[j, i]
    for i in range(n):
        good &= (load[i] <= cost[i] * (1.0 + _TOLERANCE)) | (cost[i] == 0.0)
    return good and abs(spent - earned) <= _TOLERANCE * spent


@kernel
def start(matrix: FloatArray, tableau: FloatArray, basic: LabelArray, nonbasic: LabelArray) -> None:
    """Begin with c = 0: every load is basic."""
    m, n = matrix.shape
    tableau[:] = matrix
    for i in range(m):
        basic[i] = n + i
    for q in range(n):
        nonbasic[q] = q


@kernel
def solve(
    matrix: FloatArray,
    transposed: FloatArray,
    tableau: FloatArray,
    basic: LabelArray,
    nonbasic: LabelArray,
    age: IntArray,
    lower: FloatArray,
    cost: FloatArray,
    rates: FloatArray,
    x: FloatArray,
    d: FloatArray,
    weight: FloatArray,
    c: FloatArray,
    y: FloatArray,
) -> int:
    """Solve one program from where the last one ended, or from the start where ``age[0]`` is negative or large.

    ``age`` counts exchanges since the start, and in age[1] all of them.

    Returns:
        ANSWERED, RESTARTED where only a fresh start gave a certified answer, or FAILED.
    """
    for attempt in range(2):
        cold = attempt == 1 or age[0] < 0 or age[0] > _OLD
        if cold:
            start(matrix, tableau, basic, nonbasic)
            age[0] = 0
        steps = descend(tableau, basic, nonbasic, lower, cost, rates, x, d, weight)
        if steps >= 0:
            age[0] += steps
            age[1] += steps
            if certified(matrix, transposed, basic, nonbasic, lower, cost, x, d, weight, c, y):
                return ANSWERED if attempt == 0 else RESTARTED
        if cold:
            break
    age[0] = -1
    return FAILED
