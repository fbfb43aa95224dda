"""Compiled allocation programs of a batch: from estimates to needs and costs, then `bandits.simplex`.

Most estimates leave the basis of the last program optimal. So lanes are first rechecked, all of a block side by side:
the basic solution that the old tableau gives for the new numbers is kept if its certificate holds. The others
follow one by one. Sums run in the same order for every lane, so what a lane gets does not depend on its neighbours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .kernels import exp, kernel
from .protocol import FloatArray, IntArray
from .simplex import ANSWERED, FAILED, INVALID, LabelArray, solve

__all__ = ["Program", "State", "new_state", "solve_lanes"]

_CLOSE = 1e-11  # of the certificate of a basis that is kept as it is; if it fails, the lane takes the careful way
_WIDTH = 32  # lanes of a block: enough for a few vector instructions side by side
_MOST_ARMS = 20  # up to which rechecking is faster than solving at once; with more arms a block is one lane
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
    """What each lane keeps between solves, in blocks of W lanes: tableau (N, K, K, W), labels (N, K, W), age (B, 2)."""

    tableau: FloatArray
    basic: LabelArray
    nonbasic: LabelArray
    age: IntArray


def new_state(n_arms: int, size: int) -> State:
    """State of lanes that have solved nothing: labels as at the start, and an age that asks for a fresh tableau."""
    width = _WIDTH if n_arms <= _MOST_ARMS else 1
    blocks = -(-size // width)
    labels = np.arange(2 * n_arms, dtype=np.uint32).reshape(2, n_arms)
    basic, nonbasic = (np.tile(half[:, None], (blocks, 1, width)) for half in (labels[1], labels[0]))
    age = np.tile(np.array([-1, 0]), (size, 1))
    return State(np.zeros((blocks, n_arms, n_arms, width)), basic, nonbasic, age)


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
    mean: FloatArray,
    gap: FloatArray,
    lower: FloatArray,
    cost: FloatArray,
    leader: LabelArray,
    least: FloatArray,
    floor: FloatArray,
) -> None:
    """Write gaps (K, W), needs and costs (2 K, W), leaders and least gaps (W,) of a block from its means (K, W).

    ``floor`` is scratch, except that it is not finite where the means are not.
    """
    k, width = gap.shape
    top, low = np.empty(width), np.empty(width)
    for s in range(width):
        low[s] = top[s] = mean[0, s]
        leader[s] = 0
        least[s] = np.inf
    for i in range(1, k):
        for s in range(width):
            value = mean[i, s]
            leader[s] = i if value > top[s] else leader[s]
            top[s] = value if value > top[s] else top[s]
            low[s] = value if value < low[s] else low[s]
    for s in range(width):
        spread = top[s] - low[s]
        floor[s] = program.gap_floor * (spread if spread > 1.0 else 1.0)
    for i in range(k):
        scale = program.column_scale[i]
        for s in range(width):
            value = top[s] - mean[i, s]
            value = floor[s] if value < floor[s] else value
            gap[i, s] = value
            leads = leader[s] == i
            least[s] = value if value < least[s] and not leads else least[s]
            cost[i, s] = 0.0 if leads else value * scale
    for s in range(width):
        gap[leader[s], s] = least[s]
    for j in range(k):
        scale = program.row_scale[j]
        for s in range(width):
            value = gap[j, s]
            lower[k + j, s] = program.unseen[leader[s], j] * (2.0 / (value * value)) * scale


@kernel
def recheck(
    program: Program,
    tableau: FloatArray,
    basic: LabelArray,
    nonbasic: LabelArray,
    lower: FloatArray,
    cost: FloatArray,
    x: FloatArray,
    d: FloatArray,
    bound: FloatArray,
    rate: FloatArray,
    answer: FloatArray,
    good: FloatArray,
) -> None:
    """Write the basic solution that each lane's last tableau gives now, and in ``good`` 1 if it is proved.

    answer (2 K, W) has the allocation, then its dual: zero where a variable is not basic, or free.
    """
    k, width = x.shape
    for i in range(k):
        for s in range(width):
            bound[i, s] = lower[nonbasic[i, s], s]
            rate[i, s] = cost[basic[i, s], s]
            x[i, s] = 0.0
            d[i, s] = cost[nonbasic[i, s], s]
    for i in range(k):
        for q in range(k):
            for s in range(width):
                entry = tableau[i, q, s]
                x[i, s] += entry * bound[q, s]
                d[q, s] += entry * rate[i, s]
    for i in range(k):
        for s in range(width):
            x[i, s] = x[i, s] if (rate[i, s] > 0.0) & (x[i, s] > 0.0) else 0.0
            d[i, s] = d[i, s] if (bound[i, s] > 0.0) & (d[i, s] > 0.0) else 0.0
        for s in range(width):
            answer[basic[i, s], s] = x[i, s]
            answer[nonbasic[i, s], s] = d[i, s]
    spent, earned, load, price = np.zeros(width), np.zeros(width), np.empty(width), np.empty(width)
    for s in range(width):
        good[s] = 1.0
    for j in range(k):
        for s in range(width):
            spent[s] += cost[j, s] * answer[j, s]
            earned[s] += lower[k + j, s] * answer[k + j, s]
            load[s] = 0.0
            price[s] = 0.0
        for i in range(k):
            there, back = program.matrix[j, i], program.matrix[i, j]
            if there != 0.0:
                for s in range(width):
                    load[s] += there * answer[i, s]
            if back != 0.0:
                for s in range(width):
                    price[s] += back * answer[k + i, s]
        for s in range(width):
            fed = load[s] >= lower[k + j, s] * (1.0 - _CLOSE)
            fair = (price[s] <= cost[j, s] * (1.0 + _CLOSE)) | (cost[j, s] == 0.0)
            good[s] = good[s] if fed & fair else 0.0
    for s in range(width):
        good[s] = good[s] if abs(spent[s] - earned[s]) <= _CLOSE * spent[s] else 0.0


@kernel
def solve_lane(
    program: Program,
    state: State,
    block: int,
    w: int,
    age: IntArray,
    leader: int,
    gap: FloatArray,
    least: float,
    lower: FloatArray,
    cost: FloatArray,
    tableau: FloatArray,
    basic: LabelArray,
    nonbasic: LabelArray,
    rates: FloatArray,
    x: FloatArray,
    d: FloatArray,
    c: FloatArray,
    y: FloatArray,
    weight: FloatArray,
) -> int:
    """Solve one lane's program, from gaps (K,), needs and costs (2 K,), and keep its tableau: c is the solution.

    Where the leader does not see itself, and the program is to be exact, its information is bisected.
    """
    blind = program.exact and program.unseen[leader, leader] > 0.0
    open_row, row_scale = program.unseen[leader], program.row_scale
    if age[0] >= 0:
        tableau[:] = state.tableau[block, :, :, w]
        basic[:] = state.basic[block, :, w]
        nonbasic[:] = state.nonbasic[block, :, w]
    answer, slope, left, right = ANSWERED, -1.0, -37.0, 37.0
    if not blind or write_blind_needs(0.0, leader, gap, least, open_row, row_scale, lower):
        answer = solve(
            program.matrix, program.transposed, tableau, basic, nonbasic, age, lower, cost, rates, x, d, weight, c, y
        )
        if blind:
            slope = blind_slope(0.0, leader, least, row_scale, lower, y)
    if blind and slope < 0.0:
        for _ in range(_BISECTIONS):
            if answer == FAILED:
                break
            growth = exp(0.5 * (left + right))
            write_blind_needs(growth, leader, gap, least, open_row, row_scale, lower)
            next_answer = solve(
                program.matrix,
                program.transposed,
                tableau,
                basic,
                nonbasic,
                age,
                lower,
                cost,
                rates,
                x,
                d,
                weight,
                c,
                y,
            )
            answer = max(answer, next_answer)
            if blind_slope(growth, leader, least, row_scale, lower, y) < 0.0:
                left = 0.5 * (left + right)
            else:
                right = 0.5 * (left + right)
    state.tableau[block, :, :, w] = tableau
    state.basic[block, :, w] = basic
    state.nonbasic[block, :, w] = nonbasic
    return answer


@kernel
def solve_lanes(
    program: Program, state: State, means: FloatArray, lanes: IntArray, allocation: FloatArray, status: IntArray
) -> None:
    """Solve the allocation program of each listed lane; see `bandits.information_lp.WarmSimplex`.

    Lanes of a block that stand together in the list are prepared and rechecked side by side; those whose basis has
    changed, or that are blind, follow one by one. Means and allocation have shape (K, B), status that of lanes (n,).
    """
    k, width = program.matrix.shape[0], state.tableau.shape[3]
    shape = (k, width)
    mean, gap, lower, cost = np.empty(shape), np.empty(shape), np.zeros((2 * k, width)), np.zeros((2 * k, width))
    xs, ds, bound, rate = np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape)
    found = np.empty((2 * k, width))
    least, floor, good, leader = np.empty(width), np.empty(width), np.zeros(width), np.empty(width, dtype=np.uint32)
    tableau, basic, nonbasic = np.empty((k, k)), np.empty(k, dtype=np.uint32), np.empty(k, dtype=np.uint32)
    x, d, c, y, weight, rates = np.empty(k), np.empty(k), np.empty(k), np.empty(k), np.empty(k), np.empty(2 * k)
    first = 0
    while first < lanes.size:
        block = lanes[first] // width
        start = block * width
        last = first + 1
        while last < lanes.size and lanes[last] // width == block:
            last += 1
        inside = min(width, means.shape[1] - start)
        for i in range(k):
            for s in range(inside):
                mean[i, s] = means[i, start + s]
            for s in range(inside, width):
                mean[i, s] = mean[i, 0]
        prepare(program, mean, gap, lower, cost, leader, least, floor)
        if k <= _MOST_ARMS:
            recheck(
                program, state.tableau[block], state.basic[block], state.nonbasic[block], lower, cost,
                xs, ds, bound, rate, found, good,
            )  # fmt: skip  # arguments in rows that belong together
        for n in range(first, last):
            lane = lanes[n]
            s = lane - start
            blind = program.exact and program.unseen[leader[s], leader[s]] > 0.0
            status[n] = ANSWERED
            if good[s] > 0.0 and not blind and floor[s] < np.inf and state.age[lane, 0] >= 0:
                for i in range(k):
                    allocation[i, lane] = found[i, s] * program.column_scale[i]
                continue
            finite = True
            for i in range(k):
                finite &= abs(mean[i, s]) < np.inf
            if not finite:
                status[n] = INVALID
                continue
            status[n] = solve_lane(
                program, state, block, s, state.age[lane], leader[s], gap[:, s].copy(), least[s], lower[:, s].copy(),
                cost[:, s].copy(), tableau, basic, nonbasic, rates, x, d, c, y, weight,
            )  # fmt: skip  # arguments in rows that belong together
            for i in range(k):
                allocation[i, lane] = c[i] * program.column_scale[i]
        first = last
