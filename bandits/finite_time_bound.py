"""Experimental: a lower bound on regret at one horizon, for Gaussian bandits with side observations.

For means in [0, D], any policy whose regret after T rounds is at most B on every instance has, on this one,

    regret(T) >= min  sum_i D[i] c[i]   subject to   sum_i P[i, j] c[i] >= m[j]   for every j,   sum_i c[i] = T

with gaps D[i] and precisions P as in `bandits.information_lp`. The information that it must gather is

    m[j] = max of  log(T (e - D[j]) / (8 B)) / e^2   over  e in (D[j], D - mean[j]]   for j != i*

and 0 where that is negative; for the best arm i* with the second smallest gap for D[j], over e up to mean[i*]. Where
several arms are best none of them asks for information, as playing any of them costs nothing.

The formula is recalled from memory of Wu, Gyorgy and Szepesvari (2015) and was not checked against the paper: treat
constants, the 8 above all, as provisional. As T grows with B = sqrt(T), m[j] tends, slowly, to log(T) / (2 D[j]^2), a
quarter of what the asymptotic bound asks for.

References:
    [1] Wu, Gyorgy and Szepesvari, "Online learning with Gaussian payoffs and side observations", NeurIPS 2015.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .covering import balance, solve_highs, solve_simplex
from .information_lp import precisions
from .protocol import FloatArray

__all__ = ["FiniteTimeBound", "finite_time_bound", "needed_information"]

_TOLERANCE = 1e-7  # relative gap between primal and dual value


@dataclass(frozen=True)
class FiniteTimeBound:
    """A lower bound at one horizon. Experimental.

    Attributes:
        value: Regret after T rounds; infinite where no policy meets the cap.
        allocation: Plays of each arm, summing to T, shape (K,); NaN where the value is infinite.
        needed: Information asked about each arm, m, shape (K,).
        horizon: Rounds T.
        regret_cap: Largest regret on any instance, B.
        largest_mean: Means lie between 0 and this, D.
    """

    value: float
    allocation: FloatArray
    needed: FloatArray
    horizon: int
    regret_cap: float
    largest_mean: float


def finite_time_bound(
    means: ArrayLike,
    sigma: ArrayLike,
    horizon: int,
    *,
    regret_cap: float | None = None,
    largest_mean: float = 1.0,
) -> FiniteTimeBound:
    """Compute the bound, by HiGHS, checked against its dual. Experimental: see the module.

    Args:
        means: Mean of each arm, in [0, largest_mean], shape (K,).
        sigma: Standard deviations, shape (K, K), row played, column seen: 0 for noiseless, infinite for unseen.
        horizon: Rounds T.
        regret_cap: Largest regret on any instance, B; sqrt(T) if left out.
        largest_mean: Means are known to lie between 0 and this, D.

    Raises:
        ValueError: A shape or an entry is wrong, or HiGHS does not solve the program to 7 digits.
    """
    mean, precision = np.array(means, dtype=np.float64), precisions(sigma)
    if mean.ndim != 1 or not mean.size or precision.shape != (mean.size, mean.size):
        raise ValueError(f"means and sigma have shapes {mean.shape} and {precision.shape}, expected (K,) and (K, K)")
    cap = math.sqrt(horizon) if regret_cap is None else float(regret_cap)
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1, got {horizon}")
    if not 0 < cap < math.inf:
        raise ValueError(f"regret_cap must be positive and finite, got {cap:g}")
    for k in np.flatnonzero(~((mean >= 0) & (mean <= largest_mean)))[:1]:
        raise ValueError(f"means[{k}] = {mean[k]:g} lies outside [0, {largest_mean:g}]: see largest_mean")
    needed = _needed(mean, horizon, cap, largest_mean)
    allocation = _cheapest(mean.max() - mean, precision, needed, float(horizon))
    if allocation is None:
        allocation = np.full(mean.size, np.nan)
        return FiniteTimeBound(math.inf, allocation, needed, horizon, cap, largest_mean)
    value = float((mean.max() - mean) @ allocation)
    return FiniteTimeBound(value, allocation, needed, horizon, cap, largest_mean)


def needed_information(gap: float, reach: float, horizon: float, regret_cap: float) -> float:
    """Largest ``log(T (e - gap) / (8 B)) / e^2`` over e in (gap, reach], or 0 if that is negative.

    With e = gap + exp(s) the derivative has the sign of ``1 + gap exp(-s) - 2 log(T exp(s) / (8 B))``, which falls
    in s: one maximum, found where the sign changes, or at the end.
    """
    from scipy.optimize import brentq

    log_rate = math.log(horizon) - math.log(8.0 * regret_cap)
    if reach <= gap or math.log(reach - gap) <= -log_rate:
        return 0.0

    def slope(s: float) -> float:
        return 1.0 + gap * math.exp(-s) - 2.0 * (log_rate + s)

    s = last = math.log(reach - gap)
    if slope(last) < 0.0:
        s = brentq(slope, -log_rate, last, xtol=1e-13)
    return (log_rate + s) / (gap + math.exp(s)) ** 2


def _needed(mean: FloatArray, horizon: float, cap: float, largest_mean: float) -> FloatArray:
    """Information asked about each arm, shape (K,)."""
    gap = mean.max() - mean
    needed = np.zeros(mean.size)
    for j in np.flatnonzero(gap > 0):
        needed[j] = needed_information(float(gap[j]), float(largest_mean - mean[j]), horizon, cap)
    best = np.flatnonzero(gap == 0)
    if best.size == 1 < mean.size:
        second = float(gap[gap > 0].min())
        needed[best[0]] = needed_information(second, float(mean[best[0]]), horizon, cap)
    return needed


def _cheapest(gap: FloatArray, precision: FloatArray, needed: FloatArray, horizon: float) -> FloatArray | None:
    """Plays of least regret that gather the information, or None where T rounds are too few.

    Plays of a best arm are what the others leave of T, which keeps numbers of the size of T out of the program.
    """
    free = int(gap.argmin())
    others = np.flatnonzero(np.arange(gap.size) != free)
    finite = np.isfinite(precision).all(axis=0)  # else one noiseless look is enough
    asked = np.flatnonzero((needed > 0) & finite & (precision.min(axis=0) * horizon < needed))
    if (precision.max(axis=0)[asked] * horizon < needed[asked]).any():
        return None
    shown, need = precision[free, asked], needed[asked]
    plays = np.zeros(gap.size)
    hidden = shown == 0
    if hidden.any():  # first as if T were infinite
        plays[others] = _covering(precision[np.ix_(others, asked[hidden])].T, need[hidden], gap[others])
    left = horizon - plays.sum()
    if left < 0 or (shown * left + plays @ precision[:, asked] < need * (1 - 1e-9)).any():
        found = _solve((precision[np.ix_(others, asked)] - shown).T, need - shown * horizon, gap[others], horizon)
        if found is None:
            return None
        plays[others] = found
    plays[free] = max(horizon - plays.sum(), 0.0)
    return plays


def _covering(matrix: FloatArray, need: FloatArray, cost: FloatArray) -> FloatArray | float:
    """Least ``cost . c`` with ``matrix c >= need`` and c >= 0; infinity where a cost is 0 or the solvers give up."""
    if not (cost > 0).all():
        return math.inf
    found = solve_simplex(matrix, need, cost) or solve_highs(matrix, need, cost)
    return math.inf if found is None else found[0]


def _solve(matrix: FloatArray, need: FloatArray, cost: FloatArray, total: float) -> FloatArray | None:
    """Least ``cost . c`` with ``matrix c >= need``, ``sum(c) <= total`` and c >= 0; None where there is no such c."""
    from scipy.optimize import linprog

    row, column = balance(np.abs(matrix))
    scaled, wanted, rates = matrix * row[:, None] * column, need * row, cost * column
    unit, price = float(wanted.max()), float(rates.max())
    if unit <= 0.0:
        return np.zeros(cost.size)
    every = np.vstack([-scaled, column / column.max()])
    limits = np.append(-wanted, total / column.max()) / unit
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(rates / price, A_ub=every, b_ub=limits, method="highs", options=tight)
    if found.status == 2:
        return None
    certified = found.status == 0 and _certified(rates / price, every, limits, found.x, -found.ineqlin.marginals)
    if not certified:
        raise ValueError("HiGHS does not solve the finite-time program to 7 digits: noise levels differ by too much")
    plays: FloatArray = np.maximum(found.x, 0.0) * unit * column
    return plays


def _certified(cost: FloatArray, matrix: FloatArray, limits: FloatArray, x: FloatArray, price: FloatArray) -> bool:
    """Whether primal and dual are feasible and of equal value, up to the tolerance."""
    value, size = float(cost @ x), np.abs(matrix) @ np.abs(x) + np.abs(limits)
    rounding = np.abs(price) <= 1e-12 * np.abs(price).max()  # which a huge limit would blow up
    price = np.where(rounding, 0.0, price)
    feasible = bool((matrix @ x - limits <= _TOLERANCE * size).all() and (x >= -_TOLERANCE).all())
    earned = -(price @ matrix)
    sound = bool((price >= -_TOLERANCE).all() and (earned <= cost + _TOLERANCE * (1.0 + np.abs(cost))).all())
    return feasible and sound and abs(value + float(price @ limits)) <= _TOLERANCE * max(value, 1e-30)
