"""An intersection of constraint sets: how far a sample breaks it, and the nearest sample that does not.

The nearest point of one ball, box, plane, bar of prices, or of rows that are orthogonal to each other is a formula in
torch. Any other set of linear rows goes to `dual_active_set`, which is exact and solves each sample on its own; what is
not linear goes to cvxpy. All arithmetic is float64, whatever the samples came in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from . import dual_active_set
from .closed_forms import nearest_bar, nearest_in_ball, nearest_on_plane, toward_ball
from .constraints import Ball, Box, Convex, Linear, Member, Ohlc
from .convex import Program, explain_conflict
from .errors import InfeasibleError, ShapeError

__all__ = ["HARD", "Constraints", "Penalty"]

Penalty: TypeAlias = Literal["sq_dist", "hinge", "sq_residual"]

HARD = 1e6  # a weight from which on the penalised problem is replaced by the projection
_FEASIBLE = 1e-6  # largest violation of what counts as projected
_BATCHED = {"rows": 3, "bounds": 2, "low": 2, "high": 2, "centre": 2, "radius": 1}  # dimensions if one per sample


class Constraints:
    """The samples that lie in every member.

    Args:
        shape: Shape of one sample.
        members: From `constraints`; none leaves every sample as it is.
        device: Where the samples live.
    """

    def __init__(self, shape: Sequence[int], members: Sequence[Member], device: torch.device | str = "cpu") -> None:
        self.shape, self.members, self.device = tuple(shape), tuple(members), torch.device(device)
        self.size = math.prod(self.shape)
        self.linear = [member for member in members if isinstance(member, Linear)]
        self.balls = [member for member in members if isinstance(member, Ball)]
        self.convex = [member for member in members if isinstance(member, Convex)]
        self.batch = self._common_batch()
        self.rows, self.bounds = self._stack_rows()
        flags = [member.equality for member in self.linear for _ in range(member.bounds.shape[-1])]
        self.equal = torch.tensor(flags, dtype=torch.bool, device=self.device)
        self._all_equal = all(flags)
        self._consistent = False  # not known yet
        self.program = Program(self) if len(self.linear) < len(self.members) else None

    @property
    def names(self) -> list[str]:
        """Name of each constraint, in the order of `violations`."""
        names = []
        for member in self.linear:
            m = member.bounds.shape[-1]
            names += [member.name if m == 1 else f"{member.name}, row {i + 1} of {m}" for i in range(m)]
        return names + [ball.name for ball in self.balls] + [member.name for member in self.convex]

    def take(self, samples: Sequence[int]) -> Constraints:
        """The constraints of some samples of the batch."""
        if self.batch is None:
            return self
        taken = []
        for member in self.members:
            changes = {
                field.name: getattr(member, field.name)[list(samples)]
                for field in fields(member)
                if field.name in _BATCHED and getattr(member, field.name).dim() == _BATCHED[field.name]
            }
            taken.append(replace(member, **changes))
        return Constraints(self.shape, taken, self.device)

    def require_batch(self, size: int) -> None:
        """Refuse a batch of another size than the one that the constraints are for."""
        if self.batch not in (None, size):
            raise ShapeError(f"constraints of {self.batch} samples for a batch of {size}")

    def violations(self, x: Tensor) -> Tensor:
        """How far each constraint is broken, in its own units: (B, M), zero where it holds."""
        flat = self._flatten(x)
        excess = self._apply(self.rows, flat) - self.bounds
        parts = [torch.where(self.equal, excess.abs(), excess.clamp_min(0))]
        for ball in self._moved_balls:
            distance = torch.linalg.vector_norm(flat - ball.centre, dim=-1)
            parts.append((distance - ball.radius).clamp_min(0).unsqueeze(-1))
        if self.program is not None and self.convex:
            parts.append(self.program.violations(flat))
        return torch.cat(parts, -1)

    def largest_violation(self, x: Tensor) -> Tensor:
        """Largest entry of `violations` for each sample: (B,)."""
        violations = self.violations(x)
        return violations.amax(-1) if violations.shape[-1] else violations.new_zeros(len(violations))

    def require_feasible(self) -> None:
        """Check once, before anything is sampled, that every sample can satisfy its constraints.

        Raises:
            InfeasibleError: Some sample cannot; the message names constraints that exclude each other.
        """
        self.project(torch.zeros(self.batch or 1, *self.shape, device=self.device))

    def project(self, x: Tensor) -> Tensor:
        """Nearest points that satisfy all constraints: float64, shape of ``x``; NaN or infinity stays in its sample.

        Raises:
            InfeasibleError: There is none.
            ProjectionError: No solver found it.
        """
        flat = self._flatten(x)
        only = self.members[0] if len(self.members) == 1 else None
        if not self.members:
            nearest = flat
        elif self.program is not None:
            ball = self._moved_balls[0] if isinstance(only, Ball) else None
            nearest = nearest_in_ball(flat, ball.centre, ball.radius) if ball else self.program.solve(flat)
        elif isinstance(only, Box):
            nearest = flat.clamp(*self._sides)
        elif isinstance(only, Ohlc):
            nearest = flat.reshape(len(flat), *self.shape).clone()
            bars = nearest_bar(torch.stack([nearest[..., channel] for channel in only.channels], -1))
            for channel, entry in zip(only.channels, bars.unbind(-1), strict=True):
                nearest[..., channel] = entry
        elif self._all_equal and not self._orthogonal:
            self._require_consistent()
            nearest = nearest_on_plane(flat, self.rows, self._inverse, self.bounds)
        else:
            nearest = self._solve_dual(self._solve_dual(flat))  # again: the first is exact to the size of its input
        return nearest.reshape(x.shape)

    def penalised(self, x: Tensor, gamma: float, penalty: Penalty = "sq_dist") -> Tensor:
        """``argmin_w 1/2 |w - x|^2 + gamma/2 P(w)``; from ``gamma`` = `HARD` on the projection.

        Args:
            x: Samples (B, *shape).
            gamma: Weight of the penalty, at least 0; infinity is allowed.
            penalty: ``sq_dist``: P is the squared distance to the set. ``hinge``: the sum of what `violations` says.
                ``sq_residual``: the sum of its squares.
        """
        if not gamma >= 0:
            raise ValueError(f"gamma must not be negative, got {gamma}")
        if gamma >= HARD:
            return self.project(x)
        if gamma == 0:
            return x.double()
        if penalty == "sq_dist" or (penalty == "sq_residual" and self._is_one_ball):
            return (x.double() + gamma * self.project(x)) / (1 + gamma)
        if penalty not in ("hinge", "sq_residual"):
            raise ValueError(f"penalty must be sq_dist, hinge or sq_residual, got {penalty!r}")
        flat = self._flatten(x)
        if not self.members:
            nearest = flat
        elif self._is_one_ball:
            ball = self._moved_balls[0]
            nearest = toward_ball(flat, ball.centre, ball.radius, gamma / 2)
        elif self.program is not None:
            nearest = self.program.solve(flat, gamma, penalty)
        else:
            nearest = self._solve_dual(flat, gamma, penalty)
        return nearest.reshape(x.shape)

    def _solve_dual(self, flat: Tensor, gamma: float = math.inf, penalty: Penalty = "hinge") -> Tensor:
        """Points ``x - A' u`` for multipliers u of the rows, scaled to norm 1; an infinite ``gamma`` projects."""
        unit = self.rows / self._norms.unsqueeze(-1)
        excess = self._apply(unit, flat) - self.bounds / self._norms
        most, ridge = (gamma / 2, 0.0) if penalty == "hinge" else (math.inf, 1 / gamma)
        upper, ridges = most * self._norms, ridge / self._norms**2
        if self._orthogonal:
            u = torch.minimum(excess / (1 + ridges), upper)
            return flat - self._combine(unit, torch.where(self.equal, u.maximum(-upper), u.clamp_min(0)))
        excess = torch.where(excess.isfinite().all(-1, keepdim=True), excess, 0)  # other lanes stay as they are
        products, *arrays = (part.cpu().contiguous().numpy() for part in (self._products, excess, upper, ridges))
        found, status = dual_active_set.multipliers(products, arrays[0], self.equal.cpu().numpy(), *arrays[1:])
        for lane in (status == dual_active_set.INFEASIBLE).nonzero()[0]:
            if conflict := explain_conflict(self, int(lane)):
                raise InfeasibleError(conflict)
        nearest = flat - self._combine(unit, torch.from_numpy(found).to(flat.device))
        stuck = (status != dual_active_set.SOLVED).nonzero()[0].tolist()
        if stuck:
            nearest[stuck] = Program(self).solve(flat, gamma, penalty, stuck)
        return nearest

    def _require_consistent(self) -> None:
        """Refuse equalities that exclude each other, which has nothing to do with what is projected: asked once."""
        if self._consistent:
            return
        origin = self.rows.new_zeros(self.batch or 1, self.size)
        nearest = nearest_on_plane(origin, self.rows, self._inverse, self.bounds)
        excess = (self._apply(self.rows, nearest) - self.bounds).abs()
        broken = excess > _FEASIBLE * (1 + self.bounds.abs() + nearest.abs().amax(-1, keepdim=True))
        for lane in broken.any(-1).nonzero().flatten().tolist():
            if conflict := explain_conflict(self, lane):
                raise InfeasibleError(conflict)
        self._consistent = True

    @cached_property
    def _sides(self) -> tuple[Tensor, Tensor]:
        """The sides of the only member, a box, where the samples live."""
        (box,) = self.members
        assert isinstance(box, Box)
        return box.low.to(self.device), box.high.to(self.device)

    @property
    def _is_one_ball(self) -> bool:
        return len(self.members) == 1 and len(self.balls) == 1

    @cached_property
    def _norms(self) -> Tensor:
        """Norm of each row: (G, m)."""
        norms: Tensor = torch.linalg.vector_norm(self.rows, dim=-1)
        return norms

    @cached_property
    def _products(self) -> Tensor:
        """Inner products of the rows scaled to norm 1: (G, m, m)."""
        unit = self.rows / self._norms.unsqueeze(-1)
        return unit @ unit.mT

    @cached_property
    def _orthogonal(self) -> bool:
        off = self._products - torch.diag_embed(self._products.diagonal(dim1=-2, dim2=-1))
        return bool(off.abs().max() <= 1e-14) if off.numel() else True

    @cached_property
    def _inverse(self) -> Tensor:
        inverse: Tensor = torch.linalg.pinv(self.rows)
        return inverse

    def _stack_rows(self) -> tuple[Tensor, Tensor]:
        """All linear rows (G, m, n) and their bounds (G', m), where G and G' are 1 or B."""
        rows = [member.rows if member.rows.dim() == 3 else member.rows[None] for member in self.linear]
        bounds = [member.bounds if member.bounds.dim() == 2 else member.bounds[None] for member in self.linear]
        rows.append(torch.zeros(1, 0, self.size, dtype=torch.float64, device="cpu"))
        bounds.append(torch.zeros(1, 0, dtype=torch.float64, device="cpu"))
        stacked = []
        for parts in (rows, bounds):
            batch = max(len(part) for part in parts)
            stacked.append(torch.cat([part.expand(batch, *part.shape[1:]) for part in parts], 1).to(self.device))
        return stacked[0], stacked[1]

    def _common_batch(self) -> int | None:
        """B of the members that differ between samples; None where none does."""
        sizes: dict[int, str] = {}
        for member in self.members:
            for name, dims in _BATCHED.items():
                value = getattr(member, name, None)
                if value is not None and value.dim() == dims:
                    sizes.setdefault(len(value), member.name)
            n = getattr(member, "rows", getattr(member, "centre", None))
            if n is not None and n.shape[-1] != self.size:
                raise ShapeError(f"{member.name}: made for samples of {n.shape[-1]} entries, not of shape {self.shape}")
        if len(sizes) > 1:
            raise ShapeError(
                "constraints for batches of different sizes: " + "; ".join(f"{name}: {b}" for b, name in sizes.items())
            )
        return next(iter(sizes), None)

    @cached_property
    def _moved_balls(self) -> list[Ball]:
        return [Ball(b.name, b.centre.to(self.device), b.radius.to(self.device)) for b in self.balls]

    def _flatten(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.shape or (self.batch is not None and len(x) != self.batch):
            batch = "any" if self.batch is None else self.batch
            raise ShapeError(
                f"samples of shape {tuple(x.shape)}; the constraints are for {self.shape}, in batches of {batch}"
            )
        return x.double().reshape(len(x), self.size)

    @staticmethod
    def _apply(rows: Tensor, flat: Tensor) -> Tensor:
        """``A x`` for each sample: (B, m)."""
        return flat @ rows[0].T if len(rows) == 1 else (rows @ flat.unsqueeze(-1)).squeeze(-1)

    @staticmethod
    def _combine(rows: Tensor, weights: Tensor) -> Tensor:
        """``A' u`` for each sample: (B, n)."""
        return weights @ rows[0] if len(rows) == 1 else (weights.unsqueeze(-2) @ rows).squeeze(-2)
