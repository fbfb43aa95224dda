"""What regret information costs: the lower bound for Gaussian bandits with side observations, and its allocation.

Playing arm i shows arm j with standard deviation ``sigma[i, j]``: precision ``P[i, j] = 1 / sigma[i, j]^2``, 0 where
sigma is infinite. With gaps D and best arm i*, every consistent policy has ``liminf regret(T) / ln T >= C``, where

    C = min  sum_i D[i] c[i]   subject to   sum_i P[i, j] c[i] >= 2 / D[j]^2   for every j != i*
                                            sum_i P[i, i*] c[i] >= 2 / Dmin^2

and c[i] ln T plays of arm i are what the bound spends on it. Plays of i* are free, so only arms that it does not see
ask for anything. The dual, ``max sum_j b[j] y[j]`` subject to ``sum_j P[i, j] y[j] <= D[i]``, prices each arm's
information and certifies the answer.

Where the best arm sees itself this program is the exact Graves-Lai constant. Where it does not, an alternative may
lower i* and raise j together, and the exact constraints are ``1 / w[j] + 1 / w[i*] <= D[j]^2 / 2`` with
``w[j] = sum_i P[i, j] c[i]`` (1 / w[j] = 0 where i* sees j): between once and twice the program's value. For a fixed
u = w[i*] that is a program of the first kind, convex in u, and the dual gives its derivative, which we bisect.

The program is our re-derivation of the form published by Wu, Gyorgy and Szepesvari (2015) and Atsidakou et al. (2022);
the constant of a best arm that does not see itself is derived here.

References:
    [1] Wu, Gyorgy and Szepesvari, "Online learning with Gaussian payoffs and side observations", NeurIPS 2015.
    [2] Atsidakou, Papadigenopoulos, Caramanis, Sanghavi and Shakkottai, "Asymptotically-Optimal Gaussian Bandits with
        Side Observations", ICML 2022.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from . import simplex, simplex_batch
from .covering import balance, power_of_2, solve_highs, solve_rationally, solve_simplex
from .protocol import FloatArray, IntArray

__all__ = ["InformationBound", "Kind", "WarmSimplex", "gaps", "lower_bound", "precisions"]

Kind = Literal["lp", "graves_lai"]
Solver = Literal["none", "simplex", "highs", "rational"]

_Point = tuple[float, tuple[FloatArray, FloatArray] | None]  # derivative in u; allocation and dual
_WIDEST = 1e100  # largest ratio of two standard deviations whose squares stay well inside a double


@dataclass(frozen=True)
class InformationBound:
    """An asymptotic lower bound on regret, and the exploration that attains it.

    Attributes:
        value: Regret per ln T; infinite where no policy is consistent.
        allocation: Plays per ln T, shape (K,). 0 for a best arm, whose plays are free; NaN where the value is infinite.
            Not unique where arms duplicate each other.
        dual: Price of each arm's information, shape (K,); for "graves_lai" at the optimal information on the best arm.
        binding: Arms whose information the bound pays for: those of positive price, or the invisible ones.
        kind: "lp", or "graves_lai" for the exact constant; they differ only if the best arm does not see itself.
        status: "optimal"; "free" if playing the best arm is enough; "infinite" if an arm is invisible.
        solver: "simplex" (ours), "highs" where ours failed its certificate, "rational" (without rounding) where both
            did, or "none" where there was nothing to solve.
        retries: Programs that failed the certificate of our simplex.
    """

    value: float
    allocation: FloatArray
    dual: FloatArray
    binding: tuple[int, ...]
    kind: Kind
    status: Literal["optimal", "free", "infinite"]
    solver: Solver
    retries: int = 0


def lower_bound(means: ArrayLike, sigma: ArrayLike, kind: Kind = "lp") -> InformationBound:
    """Compute the lower bound of an instance.

    Means that differ by no more than rounding count as equal; where several arms are best all their plays are free
    and none of them asks for information. Programs are solved in scaled units, so units do not matter.

    Args:
        means: Mean of each arm, shape (K,).
        sigma: Standard deviations, shape (K, K), row played, column seen: 0 for noiseless, infinite for unseen.
        kind: "lp" for the linear program, "graves_lai" for the exact constant.

    Raises:
        ValueError: A shape or an entry is wrong.
    """
    if kind not in ("lp", "graves_lai"):
        raise ValueError(f"kind must be 'lp' or 'graves_lai', got {kind!r}")
    mean = _check_means(means)
    precision, sd_unit = _scaled_precisions(sigma, mean.size)
    n = mean.size
    gap = gaps(mean)
    free = gap == 0.0
    zeros = np.zeros(n)
    if free.all():
        return InformationBound(0.0, zeros, zeros, (), kind, "free", "none")
    invisible = np.flatnonzero(~(precision > 0).any(axis=0))
    if invisible.size:
        nothing = np.full(n, np.nan)
        return InformationBound(math.inf, nothing, nothing, _integers(invisible), kind, "infinite", "none")
    gap_unit = power_of_2(gap.max())
    gap /= gap_unit
    exploring = _Exploration(precision, gap, free)
    if not exploring.rows.size:
        return InformationBound(0.0, zeros, zeros, (), kind, "free", "none")
    c, y = exploring.exact() if kind == "graves_lai" and exploring.blind else exploring.linear()
    paid = y * exploring.need > 1e-12 * float(gap @ c)
    plays = (sd_unit / gap_unit) ** 2
    return InformationBound(
        float(gap @ c) * gap_unit * plays,
        c * plays,
        y * gap_unit * sd_unit**2,
        _integers(np.flatnonzero(paid)),
        kind,
        "optimal",
        exploring.solver,
        exploring.retries,
    )


def gaps(means: FloatArray) -> FloatArray:
    """Best mean minus each mean, shape (K,); 0 where they differ by no more than rounding.

    Raises:
        ValueError: A double does not hold them.
    """
    with np.errstate(over="ignore"):
        gap: FloatArray = means.max() - means
    if not np.isfinite(gap.max()):
        raise ValueError(f"means range over more than a double holds: from {means.min():g} to {means.max():g}")
    gap[gap <= 4 * np.spacing(np.abs(means).max())] = 0.0
    return gap


def precisions(sigma: ArrayLike) -> FloatArray:
    """``1 / sigma^2``, shape (K, K): 0 where sigma is infinite, infinite where it is 0.

    Raises:
        ValueError: sigma is not square, or an entry is NaN or negative.
    """
    with np.errstate(divide="ignore", over="ignore"):
        squares: FloatArray = 1.0 / _check_sigma(sigma) ** 2
    return squares


class WarmSimplex:
    """Allocation programs of a batch, solved again and again as the estimates move.

    Each lane keeps the tableau of its last program, so that a new estimate mostly costs a check and rarely a step. What
    a lane gets depends on its own sequence of estimates only. The leader is the first arm of largest mean; the gaps
    of the others are at least ``gap_floor * max(1, largest mean - smallest mean)``. Rows of arms that nobody sees are
    left out, as are those that somebody sees without noise, for whom one play is enough. Every answer is checked
    against its dual; where the check fails, the lane starts afresh, then asks HiGHS, then exact
    arithmetic.

    Args:
        precision: ``1 / sigma^2``, shape (K, K), row played, column seen.
        size: Number of lanes B.
        gap_floor: Smallest gap, relative to the scale above.
        kind: What to solve where the leader does not see itself: "lp", or "graves_lai" (some 60 programs).

    Attributes:
        solves: Lanes solved so far.
        restarts: Of these, how many were certified only after a fresh start.
        rescued: And how many needed HiGHS or exact arithmetic.
    """

    def __init__(self, precision: FloatArray, size: int, *, gap_floor: float = 1e-6, kind: Kind = "lp") -> None:
        precision = np.array(precision, dtype=np.float64)
        if precision.ndim != 2 or precision.shape[0] != precision.shape[1]:
            raise ValueError(f"precision has shape {precision.shape}, expected (K, K)")
        if not (precision >= 0).all():
            i, j = np.argwhere(~(precision >= 0))[0]
            raise ValueError(f"precision[{i}, {j}] = {precision[i, j]:g}, expected at least 0")
        if not 0 < gap_floor < 1:
            raise ValueError(f"gap_floor must lie strictly between 0 and 1, got {gap_floor}")
        if kind not in ("lp", "graves_lai"):
            raise ValueError(f"kind must be 'lp' or 'graves_lai', got {kind!r}")
        k = precision.shape[0]
        self.solves = self.restarts = self.rescued = 0
        self._precision, self._gap_floor, self._exact = precision, gap_floor, kind == "graves_lai"
        self._wanted = (np.isfinite(precision).all(axis=0) & (precision > 0).any(axis=0)).astype(np.float64)
        finite = np.where(np.isfinite(precision), precision, 0.0).T
        row_scale, column_scale = balance(finite)
        matrix = np.ascontiguousarray(finite * row_scale[:, None] * column_scale)
        unseen = np.where(precision > 0, 0.0, self._wanted)
        transposed = np.ascontiguousarray(matrix.T)
        self._program = simplex_batch.Program(
            matrix, transposed, row_scale, column_scale, unseen, float(gap_floor), self._exact
        )
        self._state = simplex_batch.new_state(k, size)
        self._status = np.zeros(size, dtype=np.int64)

    @property
    def exchanges(self) -> int:
        """Simplex steps so far, over all lanes."""
        return int(self._state.age[:, 1].sum())

    def solve(self, means: FloatArray, lanes: IntArray, allocation: FloatArray) -> None:
        """Write plays per ln T of the listed lanes, 0 for the leader; other lanes stay as they are.

        Args:
            means: Estimates, finite, shape (K, B).
            lanes: Which lanes to solve, shape (n,), each at most once.
            allocation: Written to, shape (K, B).

        Raises:
            ValueError: A shape is wrong, or a mean of a listed lane is not finite.
        """
        shape = (self._precision.shape[0], self._status.size)
        if means.shape != shape or allocation.shape != shape:
            raise ValueError(f"means and allocation have shapes {means.shape} and {allocation.shape}, expected {shape}")
        status = self._status[: lanes.size]
        simplex_batch.solve_lanes(self._program, self._state, means, lanes, allocation, status)
        self.solves += lanes.size
        worst = status.max(initial=simplex.ANSWERED)
        if worst == simplex.ANSWERED:
            return
        if worst == simplex.INVALID:
            lane = lanes[status == simplex.INVALID][0]
            raise ValueError(f"the means of lane {lane} are not finite: {means[:, lane]}")
        self.restarts += int((status == simplex.RESTARTED).sum())
        for lane in lanes[status == simplex.FAILED]:
            self.rescued += 1
            allocation[:, lane] = self._rescue(means[:, lane])

    def _rescue(self, mean: FloatArray) -> FloatArray:
        gap = np.maximum(mean.max() - mean, self._gap_floor * max(1.0, float(np.ptp(mean))))
        free = np.arange(mean.size) == mean.argmax()
        exploring = _Exploration(self._precision, np.where(free, 0.0, gap), free, self._wanted > 0)
        if not exploring.rows.size:
            return np.zeros_like(mean)
        return (exploring.exact() if self._exact and exploring.blind else exploring.linear())[0]


class _Exploration:
    """The program of one instance, without the rows that free plays satisfy and the columns of free plays."""

    def __init__(self, precision: FloatArray, gap: FloatArray, free: Any, wanted: Any = True) -> None:
        finite = np.isfinite(precision).all(axis=0)
        seen = (precision[free] > 0).any(axis=0)
        several = int(free.sum()) > 1
        self.gap, self.least, self.seen = gap, float(gap[~free].min()), seen
        self.rows = np.flatnonzero(finite & ~seen & ~(free if several else np.False_) & wanted)
        self.columns = np.flatnonzero(~free)
        self.leader = int(free.argmax())
        self.blind = self.leader in self.rows
        self.matrix = np.ascontiguousarray(precision[np.ix_(self.columns, self.rows)].T)
        self.need = np.zeros(gap.size)
        self.retries = 0
        self.solver: Solver = "simplex"

    def linear(self) -> tuple[FloatArray, FloatArray]:
        """Allocation and dual of the linear program."""
        self.need[self.rows] = 2.0 / np.where(self.gap > 0, self.gap, self.least)[self.rows] ** 2
        return self._solve()

    def exact(self) -> tuple[FloatArray, FloatArray]:
        """Allocation and dual of the Graves-Lai program of a leader that does not see itself."""
        slope, answer = self._at(0.0)
        if answer is not None and slope >= 0.0:
            return answer
        left, right = -37.0, 37.0  # u = (1 + e^s) 2 / Dmin^2: from the smallest double above 1 to 1e16
        below: _Point | None = None
        above: _Point | None = None
        for _ in range(60):
            middle = 0.5 * (left + right)
            found = self._at(math.exp(middle))
            if found[0] < 0.0:
                left, below = middle, found
            else:
                right, above = middle, found
        return _mix(below, above)

    def _at(self, growth: float) -> _Point:
        """Derivative in u of the least cost, and its allocation and dual, at ``u = (1 + growth) 2 / Dmin^2``."""
        unit, u = 2.0 / self.least**2, 2.0 / self.least**2 * (1.0 + growth)
        others = self.rows[self.rows != self.leader]
        gap = self.gap[others]
        excess = (gap - self.least) * (gap + self.least) / self.least**2 + growth / (1.0 + growth)
        if (excess <= 0.0).any():
            return -math.inf, None
        self.need[others] = unit / excess
        self.need[self.leader] = u
        c, y = self._solve()
        return float(y[self.leader] - (y[others] * (self.need[others] / u) ** 2).sum()), (c, y)

    def _solve(self) -> tuple[FloatArray, FloatArray]:
        need, cost = self.need[self.rows], self.gap[self.columns]
        found = solve_simplex(self.matrix, need, cost)
        if found is None:
            self.retries += 1
            self.solver = "highs" if self.solver == "simplex" else self.solver
            found = solve_highs(self.matrix, need, cost)
        if found is None:
            self.solver = "rational"
            found = solve_rationally(self.matrix, need, cost)
        c, y = np.zeros(self.gap.size), np.zeros(self.gap.size)
        c[self.columns], y[self.rows] = found
        return c, y


def _mix(below: _Point | None, above: _Point | None) -> tuple[FloatArray, FloatArray]:
    """The point between two neighbours, of negative and of non-negative slope, where the slope is 0."""
    pair = [point for point in (below, above) if point is not None and point[1] is not None]
    (first, last), share = (pair[0], pair[-1]), 0.0
    if last[0] > first[0]:
        share = last[0] / (last[0] - first[0])
    assert first[1] is not None and last[1] is not None
    (c_first, y_first), (c_last, y_last) = first[1], last[1]
    return c_last + share * (c_first - c_last), y_last + share * (y_first - y_last)


def _integers(found: IntArray) -> tuple[int, ...]:
    return tuple(int(i) for i in found)


def _check_means(means: ArrayLike) -> FloatArray:
    mean = np.array(means, dtype=np.float64)
    if mean.ndim != 1 or not mean.size:
        raise ValueError(f"means has shape {mean.shape}, expected (K,) with K at least 1")
    for i in np.flatnonzero(~np.isfinite(mean))[:1]:
        raise ValueError(f"means[{i}] = {mean[i]:g} is not a finite number")
    return mean


def _check_sigma(sigma: ArrayLike) -> FloatArray:
    sd = np.array(sigma, dtype=np.float64)
    if sd.ndim != 2 or sd.shape[0] != sd.shape[1]:
        raise ValueError(
            f"sigma has shape {sd.shape}, expected (K, K): one row per arm played, one column per arm seen"
        )
    for i, j in np.argwhere(~(sd >= 0))[:1]:
        raise ValueError(
            f"sigma[{i}, {j}] = {sd[i, j]:g} is not a standard deviation: expected at least 0, or inf for unseen"
        )
    return sd


def _scaled_precisions(sigma: ArrayLike, n_arms: int) -> tuple[FloatArray, float]:
    """Precisions in units that keep them inside a double, and the standard deviation that is 1 in these units."""
    sd = _check_sigma(sigma)
    if sd.shape[0] != n_arms:
        raise ValueError(f"sigma has shape {sd.shape}, expected ({n_arms}, {n_arms}): there are {n_arms} means")
    noisy = sd[(sd > 0) & np.isfinite(sd)]
    unit = float(power_of_2(noisy.min())) if noisy.size else 1.0
    if noisy.size and noisy.max() / unit > _WIDEST:
        raise ValueError(
            f"sigma ranges from {noisy.min():g} to {noisy.max():g}: more than {_WIDEST:g} times is too wide"
        )
    return precisions(sd / unit), unit
