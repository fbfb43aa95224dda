"""Constraint sets as programs for cvxpy: any convex set, sample by sample, and what in it cannot hold together.

One parametrised problem serves a whole structure: the point, the weight and the numbers that differ between samples are
parameters (disciplined parametrised programming), so that cvxpy compiles it once. CLARABEL solves; what it does not
bring to ``optimal`` goes to OSQP and then to SCS. An answer counts only if it satisfies the constraints within 1e-6.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import cvxpy
import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from .errors import ConstraintError, InfeasibleError, ProjectionError

if TYPE_CHECKING:
    from .constraints import Convex
    from .projection import Constraints

__all__ = ["Program", "explain_conflict"]

cp: Any = cvxpy  # most of its functions are not declared for type checkers

_TOLERANCE = 1e-6
_TIGHT = 1e-10
SOLVERS: list[tuple[str, dict[str, Any]]] = [
    ("CLARABEL", {"tol_gap_abs": _TIGHT, "tol_gap_rel": _TIGHT, "tol_feas": _TIGHT}),
    ("OSQP", {"eps_abs": _TIGHT, "eps_rel": _TIGHT, "max_iter": 100_000}),
    ("SCS", {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iters": 100_000}),
]


class Program:
    """The penalised problem of one set of constraints, for each sample in turn.

    Args:
        constraints: The set.

    Raises:
        ConstraintError: A member is not convex by the rules of disciplined convex programming.
    """

    def __init__(self, constraints: Constraints) -> None:
        self._owner = constraints
        self._x = cp.Variable(constraints.shape)
        flat = cp.vec(self._x, order="C")
        m, shared = len(constraints.equal), len(constraints.rows) == 1
        self._rows = None if shared or m == 0 else cp.Parameter((m, constraints.size))
        self._bounds = cp.Parameter(m) if m else None
        self._balls = [(cp.Parameter(constraints.size), cp.Parameter(nonneg=True)) for _ in constraints.balls]
        hold: list[Any] = []
        broken: list[Any] = []  # each entry positive where a constraint is broken: what the penalties sum
        if m:
            rows = csr_array(constraints.rows[0].cpu().numpy()) if self._rows is None else self._rows
            excess = rows @ flat - self._bounds
            equal = constraints.equal.cpu().numpy()
            for which in (equal.nonzero()[0], (~equal).nonzero()[0]):
                if len(which):
                    part = excess[which]
                    hold.append(part == 0 if equal[which[0]] else part <= 0)
                    broken.append(cp.abs(part) if equal[which[0]] else cp.pos(part))
        for centre, radius in self._balls:
            hold.append(cp.norm(flat - centre) <= radius)
            broken.append(cp.pos(cp.norm(flat - centre) - radius))
        self._built = [_build(member, self._x) for member in constraints.convex]
        self._hold, self._broken = hold + [one for built in self._built for one in built], broken
        self._point = cp.Parameter(constraints.size)
        self._near = cp.sum_squares(flat - self._point) / 2
        self._gamma = cp.Parameter(nonneg=True)
        self._problems: dict[str, Any] = {}

    def solve(
        self, flat: Tensor, gamma: float = math.inf, penalty: str = "hinge", lanes: Sequence[int] | None = None
    ) -> Tensor:
        """Minimisers for some samples of a batch, all by default: (B', n) of ``flat`` (B, n).

        Args:
            flat: Points, in the order of the batch that the constraints are for.
            gamma: Weight of the penalty; infinity projects.
            penalty: ``hinge`` or ``sq_residual``.
            lanes: Which samples.

        Raises:
            InfeasibleError: A sample has no point to be projected on.
            ProjectionError: No solver answered.
        """
        points = flat.detach().cpu().numpy()
        hard = math.isinf(gamma)
        problem = self._problem("hard" if hard else penalty)
        if not hard:
            self._gamma.value = gamma
        answers = []
        for lane in range(len(points)) if lanes is None else lanes:
            if not np.isfinite(points[lane]).all():
                answers.append(points[lane])
                continue
            self._set(lane)
            self._point.value = points[lane]
            status = _run(problem, self._excess if hard else lambda: 0.0)
            if status == cp.INFEASIBLE:
                raise InfeasibleError(explain_conflict(self._owner, lane))
            if status != cp.OPTIMAL:
                tried = ", ".join(name for name, _ in SOLVERS)
                raise ProjectionError(f"sample {lane}: none of {tried} solved the projection; the last said '{status}'")
            answers.append(np.asarray(self._x.value).reshape(-1))
        return torch.from_numpy(np.array(answers).reshape(-1, points.shape[1])).to(flat.device)

    def violations(self, flat: Tensor) -> Tensor:
        """How far each convex member is broken, by cvxpy's measure: (B, number of convex members)."""
        points = flat.detach().cpu().numpy()
        table = np.zeros((len(points), len(self._built)))
        for lane, point in enumerate(points):
            self._x.value = point.reshape(self._owner.shape)
            for column, built in enumerate(self._built):
                table[lane, column] = max(float(np.max(one.violation())) for one in built)
        return torch.from_numpy(table).to(flat.device)

    def _problem(self, kind: str) -> Any:
        if kind not in self._problems:
            if kind == "hard":
                problem = cp.Problem(cp.Minimize(self._near), self._hold)
            else:
                broken = self._broken + [_excess_of(one) for built in self._built for one in built]
                slack = [cp.Variable(part.shape, nonneg=True) for part in broken]  # keeps parameters apart
                total = sum(cp.sum(s) if kind == "hinge" else cp.sum_squares(s) for s in slack)
                objective = cp.Minimize(self._near + self._gamma / 2 * total)
                problem = cp.Problem(objective, [part <= s for part, s in zip(broken, slack, strict=True)])
            assert problem.is_dcp(dpp=True), "compiled once for all samples"
            self._problems[kind] = problem
        return self._problems[kind]

    def _set(self, lane: int) -> None:
        """Give the parameters what belongs to one sample."""
        owner = self._owner
        if self._rows is not None:
            self._rows.value = owner.rows[lane].cpu().numpy()
        if self._bounds is not None:
            self._bounds.value = owner.bounds[lane if len(owner.bounds) > 1 else 0].cpu().numpy()
        for (centre, radius), ball in zip(self._balls, owner.balls, strict=True):
            centre.value = (ball.centre[lane] if ball.centre.dim() == 2 else ball.centre).numpy()
            radius.value = float(ball.radius[lane] if ball.radius.dim() == 1 else ball.radius)

    def _excess(self) -> float:
        """Largest violation of the answer that a solver left."""
        return max(float(np.max(one.violation())) for one in self._hold)


def explain_conflict(constraints: Constraints, lane: int) -> str:
    """Say which constraints of a sample exclude each other, and by how much they must be broken together at least.

    The sum of the violations is minimised; constraints without a multiplier there take no part. What is left is thinned
    out one by one while it still has no common point, so that leaving out any of those named would let the rest hold.
    """
    phase_one = _PhaseOne(constraints, lane)
    everything = list(range(len(constraints.names)))
    total, pulling = phase_one.least_violation(everything)
    if total <= _TOLERANCE:
        return f"sample {lane}: no point was found that satisfies all constraints, though they barely can hold together"
    subset = pulling if phase_one.least_violation(pulling)[0] > _TOLERANCE else everything
    for item in list(subset):
        rest = [other for other in subset if other != item]
        if rest and phase_one.least_violation(rest)[0] > _TOLERANCE:
            subset = rest
    names = "; ".join(constraints.names[item] for item in subset)
    return (
        f"sample {lane}: no point satisfies all constraints; these exclude each other: {names}. "
        f"They must be broken by at least {total:.3g} in total: relax one of them"
    )


class _PhaseOne:
    """Least total violation of any choice of the constraints of one sample."""

    def __init__(self, constraints: Constraints, lane: int) -> None:
        self._m = len(constraints.equal)
        self._x = cp.Variable(constraints.shape)
        flat = cp.vec(self._x, order="C")
        rows = constraints.rows[lane if len(constraints.rows) > 1 else 0].cpu().numpy()
        bounds = constraints.bounds[lane if len(constraints.bounds) > 1 else 0].cpu().numpy()
        equal = constraints.equal.cpu().numpy()
        self._excesses = []
        for row, bound, two_sided in zip(rows, bounds, equal, strict=True):
            excess = row @ flat - bound
            self._excesses.append([cp.abs(excess) if two_sided else excess])
        for ball in constraints.balls:
            centre = (ball.centre[lane] if ball.centre.dim() == 2 else ball.centre).numpy()
            radius = float(ball.radius[lane] if ball.radius.dim() == 1 else ball.radius)
            self._excesses.append([cp.norm(flat - centre) - radius])
        for member in constraints.convex:
            self._excesses.append([_excess_of(one) for one in _build(member, self._x)])

    def least_violation(self, items: Sequence[int]) -> tuple[float, list[int]]:
        """Least sum of violations of some constraints, and those of them that pull at the solution."""
        slack = cp.Variable(len(items), nonneg=True)
        bounds = [[excess <= slack[k] for excess in self._excesses[item]] for k, item in enumerate(items)]
        problem = cp.Problem(cp.Minimize(cp.sum(slack)), [one for group in bounds for one in group])
        if _run(problem, lambda: 0.0) != cp.OPTIMAL:
            return math.inf, list(items)
        pulling = [
            item
            for item, group in zip(items, bounds, strict=True)
            if max(float(np.max(np.abs(one.dual_value))) for one in group) > _TOLERANCE
        ]
        return float(problem.value), pulling


def _build(member: Convex, x: Any) -> list[Any]:
    """Constraints of a member on the variable."""
    built = member.build(x)
    constraints = list(built) if isinstance(built, list | tuple) else [built]
    for one in constraints:
        if not isinstance(one, cp.constraints.constraint.Constraint):
            raise ConstraintError(f"{member.name}: {one!r} is no constraint of cvxpy; write one with <=, >= or ==")
        if not one.is_dcp():
            raise ConstraintError(
                f"{member.name}: not convex by the rules of cvxpy (DCP): {one}. Linearise it, or fix what is discrete "
                "in it (the place of a maximum, say) so that linear inequalities remain"
            )
    if not constraints:
        raise ConstraintError(f"{member.name}: no constraint was returned")
    return constraints


def _excess_of(one: Any) -> Any:
    """What a violation of a constraint of cvxpy exceeds, entry by entry."""
    if isinstance(one, cp.constraints.Inequality):
        return cp.pos(one.expr)
    if isinstance(one, cp.constraints.Equality | cp.constraints.Zero):
        return cp.abs(one.expr)
    raise ConstraintError(f"{one}: only <=, >= and == can be penalised; use the penalty sq_dist")


def _run(problem: Any, excess: Callable[[], float]) -> str:
    """Solve with each solver until one answers: ``optimal``, ``infeasible``, or what the last one said."""
    status = "not tried"
    for name, options in SOLVERS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                problem.solve(solver=name, **options)
        except (cp.SolverError, ValueError) as error:
            status = str(error)
            continue
        status = str(problem.status)
        if status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE) and excess() < _TOLERANCE:
            return str(cp.OPTIMAL)
        if status == cp.INFEASIBLE:
            return status
    return status if status != cp.OPTIMAL else "an answer that breaks the constraints"
