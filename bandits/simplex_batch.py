"""Compiled allocation programs of a batch: from estimates to needs and costs, then `bandits.simplex`.

Most estimates leave the basis of the last program optimal. So the lanes of a block are first rechecked side by side:
the basic solution that the old tableau gives for the new numbers is kept if its certificate holds. The others follow
one by one. Sums run in the same order for every lane, so what a lane gets does not depend on its neighbours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .kernels import exp, kernel
from .protocol import FloatArray, IntArray
from .simplex import ANSWERED, FAILED, INVALID, LabelArray, solve

__all__ = ["Program", "State", "solve_lanes"]

_CLOSE = 1e-11  # of the certificate of a basis that is kept as it is; if it fails, the lane takes the careful way
_BLOCK = 32  # lanes that are rechecked side by side
_MOST_ARMS = 20  # up to which that is faster than one by one
_BISECTIONS = 60


class Program(NamedTuple):
    """What the programs of a batch share: matrices (K, K) with powers of 2 for scales, and what asks for information.

    ``unseen[i, j]`` is 1 where arm j asks for information while arm i leads.
    """

    matrix: FloatArray
    transposed: FloatArray
    row_scale: FloatArray
    column_scale: FloatArray
    unseen: FloatArray
    gap_floor: float
    exact: bool


class State(NamedTuple):
    """What each lane keeps between solves: tableau (B, K, K), labels (B, K), age (B, 2)."""

    tableau: FloatArray
    basic: LabelArray
    nonbasic: LabelArray
    age: IntArray


@kernel
def write_blind_needs(
    growth: float,
    leader: int,
    gap: FloatArray,
    least: float,
    open_row: FloatArray,
    row_scale: FloatArray,
    lower: FloatArray,
) -> bool:
    """Needs of the Graves-Lai program at leader information ``u = (1 + growth) * 2 / least^2``; False: no such u.

    ``1 / (gap^2 / 2 - 1 / u)`` for the other arms that the leader does not see, written without cancellation.
    """
    k = gap.size
    unit = 2.0 / (least * least)
    share = growth / (1.0 + growth)
    for j in range(k):
        if open_row[j] > 0.0 and j != leader:
            excess = (gap[j] - least) * (gap[j] + least) / (least * least) + share
            if excess <= 0.0:
                return False
            lower[k + j] = unit / excess * row_scale[j]
        else:
            lower[k + j] = 0.0
    lower[k + leader] = unit * (1.0 + growth) * row_scale[leader]
    return True


@kernel
def blind_slope(
    growth: float, leader: int, least: float, row_scale: FloatArray, lower: FloatArray, y: FloatArray
) -> float:
    """Derivative of the optimal cost in u, from the dual: each other need b falls by (b / u)^2 per unit of u."""
    k = y.size
    u = 2.0 / (least * least) * (1.0 + growth)
    slope: float = y[leader] * row_scale[leader]
    for j in range(k):
        if j != leader:
            ratio = lower[k + j] / row_scale[j] / u
            slope -= y[j] * row_scale[j] * ratio * ratio
    return slope


@kernel
def prepare(
    program: Program,
    means: FloatArray,
    lane: LabelArray,
    size: int,
    gap: FloatArray,
    lower: FloatArray,
    cost: FloatArray,
    leader: LabelArray,
    least: FloatArray,
    low: FloatArray,
    top: FloatArray,
) -> None:
    """Write gaps (K, L), needs and costs (2 K, L), leaders and least gaps (L,) of the lanes of a block."""
    k = gap.shape[0]
    for s in range(size):
        low[s] = top[s] = means[0, lane[s]]
        leader[s] = 0
        least[s] = np.inf
    for i in range(1, k):
        for s in range(size):
            mean = means[i, lane[s]]
            leader[s] = i if mean > top[s] else leader[s]
            top[s] = mean if mean > top[s] else top[s]
            low[s] = mean if mean < low[s] else low[s]
    for s in range(size):
        spread = top[s] - low[s]
        low[s] = program.gap_floor * (spread if spread > 1.0 else 1.0)
    for i in range(k):
        for s in range(size):
            value = top[s] - means[i, lane[s]]
            value = low[s] if value < low[s] else value
            gap[i, s] = value
            value = np.inf if leader[s] == i else value
            least[s] = value if value < least[s] else least[s]
            cost[i, s] = 0.0 if leader[s] == i else gap[i, s] * program.column_scale[i]
    for s in range(size):
        gap[leader[s], s] = least[s]
    for j in range(k):
        for s in range(size):
            unseen = program.unseen[leader[s], j]
            lower[k + j, s] = unseen * (2.0 / (gap[j, s] * gap[j, s])) * program.row_scale[j]


@kernel
def recheck(
    program: Program,
    state: State,
    lane: LabelArray,
    size: int,
    lower: FloatArray,
    cost: FloatArray,
    x: FloatArray,
    d: FloatArray,
    c: FloatArray,
    y: FloatArray,
    load: FloatArray,
    bound: FloatArray,
    rate: FloatArray,
    good: FloatArray,
) -> None:
    """Write the basic solution c (K, L) that each lane's last tableau gives now, and in ``good`` 1 if it is proved."""
    k = x.shape[0]
    for i in range(k):
        for s in range(size):
            bound[i, s] = lower[state.nonbasic[lane[s], i], s]
            rate[i, s] = cost[state.basic[lane[s], i], s]
            x[i, s] = 0.0
            d[i, s] = cost[state.nonbasic[lane[s], i], s]
            c[i, s] = 0.0
            y[i, s] = 0.0
    for i in range(k):
        for q in range(k):
            for s in range(size):
                entry = state.tableau[lane[s], i, q]
                x[i, s] += entry * bound[q, s]
                d[q, s] += entry * rate[i, s]
    for i in range(k):
        for s in range(size):
            if rate[i, s] > 0.0:
                c[state.basic[lane[s], i], s] = x[i, s] if x[i, s] > 0.0 else 0.0
            if bound[i, s] > 0.0:
                y[state.nonbasic[lane[s], i] - k, s] = d[i, s] if d[i, s] > 0.0 else 0.0
    for s in range(size):
        good[s] = 1.0
        bound[0, s] = 0.0
        rate[0, s] = 0.0
    for i in range(k):
        for s in range(size):
            bound[0, s] += cost[i, s] * c[i, s]
            rate[0, s] += lower[k + i, s] * y[i, s]
    for j in range(k):
        for s in range(size):
            load[0, s] = 0.0
            load[1, s] = 0.0
        for i in range(k):
            there, back = program.matrix[j, i], program.matrix[i, j]
            if there != 0.0:
                for s in range(size):
                    load[0, s] += there * c[i, s]
            if back != 0.0:
                for s in range(size):
                    load[1, s] += back * y[i, s]
        for s in range(size):
            fed = load[0, s] >= lower[k + j, s] * (1.0 - _CLOSE)
            fair = (load[1, s] <= cost[j, s] * (1.0 + _CLOSE)) | (cost[j, s] == 0.0)
            good[s] = good[s] if fed & fair else 0.0
    for s in range(size):
        gap = abs(bound[0, s] - rate[0, s])
        good[s] = good[s] if gap <= _CLOSE * bound[0, s] else 0.0


@kernel
def solve_lanes(
    program: Program, state: State, means: FloatArray, lanes: IntArray, allocation: FloatArray, status: IntArray
) -> None:
    """Solve the allocation program of each listed lane; see `bandits.information_lp.WarmSimplex`.

    Blocks of lanes are rechecked side by side; those whose basis has changed, or that are blind, follow one by one.
    Means and allocation have shape (K, B), status that of lanes (n,).
    """
    k = program.matrix.shape[0]
    wide = min(_BLOCK, lanes.size)
    gap, lower, cost = np.empty((k, wide)), np.zeros((2 * k, wide)), np.zeros((2 * k, wide))
    xs, ds, cs, ys = np.empty((k, wide)), np.empty((k, wide)), np.empty((k, wide)), np.empty((k, wide))
    bound, rate, load = np.empty((k, wide)), np.empty((k, wide)), np.empty((2, wide))
    low, top, least, good = np.empty(wide), np.empty(wide), np.empty(wide), np.zeros(wide)
    lane, leader = np.empty(wide, dtype=np.uint32), np.empty(wide, dtype=np.uint32)
    x, d, c, y, weight = np.empty(k), np.empty(k), np.empty(k), np.empty(k), np.empty(k)
    one_gap, one_lower, one_cost, rates = np.empty(k), np.empty(2 * k), np.empty(2 * k), np.empty(2 * k)
    for first in range(0, lanes.size, _BLOCK):
        size = min(_BLOCK, lanes.size - first)
        for s in range(size):
            lane[s] = lanes[first + s]
        prepare(program, means, lane, size, gap, lower, cost, leader, least, low, top)
        if k <= _MOST_ARMS:
            recheck(program, state, lane, size, lower, cost, xs, ds, cs, ys, load, bound, rate, good)
        for s in range(size):
            b = lane[s]
            blind = program.exact and program.unseen[leader[s], leader[s]] > 0.0
            status[first + s] = ANSWERED
            if good[s] > 0.0 and not blind and low[s] < np.inf:
                continue
            finite = True
            for i in range(k):
                finite &= abs(means[i, b]) < np.inf
            if not finite:
                status[first + s] = INVALID
                continue
            one_gap[:] = gap[:, s]
            one_lower[:] = lower[:, s]
            one_cost[:] = cost[:, s]
            tableau, basic, nonbasic, age = state.tableau[b], state.basic[b], state.nonbasic[b], state.age[b]
            valid = not blind or write_blind_needs(
                0.0, leader[s], one_gap, least[s], program.unseen[leader[s]], program.row_scale, one_lower
            )
            answer, slope, left, right = ANSWERED, -1.0, -37.0, 37.0
            if valid:
                answer = solve(
                    program.matrix, program.transposed, tableau, basic, nonbasic, age, one_lower, one_cost, rates,
                    x, d, weight, c, y,
                )  # fmt: skip
                if blind:
                    slope = blind_slope(0.0, leader[s], least[s], program.row_scale, one_lower, y)
            if blind and slope < 0.0:
                for _ in range(_BISECTIONS):
                    growth = exp(0.5 * (left + right))
                    write_blind_needs(
                        growth, leader[s], one_gap, least[s], program.unseen[leader[s]], program.row_scale, one_lower
                    )
                    answer = max(
                        answer,
                        solve(
                            program.matrix, program.transposed, tableau, basic, nonbasic, age, one_lower, one_cost,
                            rates, x, d, weight, c, y,
                        ),
                    )  # fmt: skip
                    if answer == FAILED:
                        break
                    if blind_slope(growth, leader[s], least[s], program.row_scale, one_lower, y) < 0.0:
                        left = 0.5 * (left + right)
                    else:
                        right = 0.5 * (left + right)
            status[first + s] = answer
            cs[:, s] = c
        for i in range(k):
            for s in range(size):
                allocation[i, lane[s]] = cs[i, s] * program.column_scale[i]
