"""A preconditioner to tune: every round is a time step of the heat equation, every arm an omega (Khodak et al., 2024).

The heat equation on the unit square, with boundary values 0, by Crank-Nicolson steps of length ``dt``:

    diffusion   kappa(t) = max(0.1 sin(2 pi t), -10 sin(2 pi t))
    source      32 times a bump of radius 1/8 that circles the centre at a distance of 1/4, eight times a unit of time
    start       a bump of radius 1/4 at the centre

where a bump is ``exp(1 - 1 / (1 - |.|^2 / radius^2))``. Each step is a linear system, solved by conjugate gradients
with the SSOR preconditioner of the arm's omega (0 for none), from the solution of the step before, until the residual
is ``tolerance`` times the first one. The context is kappa at the end of the step, the reward minus the number of
iterations.

Nothing here is random, and costs depend on the round alone (the state goes on with the solution of omega = 1, with
which the others agree to the tolerance): replications differ by their agents, and, if ``offset`` says so, by the
round in which they begin. Regret is the cost of the arm minus the
least on the grid of omegas. Two more comparators stand in the log: ``plain_iterations`` of conjugate gradients without
preconditioner, and ``golden_iterations``, the least that a golden-section search over omega in (0, 2) meets in each
round, which on plateaus of equal counts may miss the least of the grid. ``unsolved`` counts systems that met the cap.

What [1] does not say, or we could not see, is chosen here: n interior points on a side, kappa and source at both ends
of a step (the trapezoidal rule), and kappa as the context.

References:
    [1] Khodak, Chow, Balcan and Talwalkar, "Learning to Relax: Setting Solver Parameters Across a Sequence of Linear
        System Instances", ICLR 2024, the experiment with the heat equation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandits.protocol import Context, Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_environment
from bandits.streams import Streams

from ._heat import HeatCosts, heat_costs, rows
from .relaxation import GRID

__all__ = ["HeatEquation"]


@register_environment("heat_equation", source="Khodak, Chow, Balcan and Talwalkar (2024), heat equation")
class HeatEquation:
    """Time steps of the heat equation: an arm is an SSOR omega, its cost the iterations of conjugate gradients.

    Args:
        streams: Random streams of the batch.
        points: Interior points n on a side; a system has n^2 unknowns.
        omegas: The arms, each in [0, 2), 0 meaning no preconditioner; by default 20 from 1 to 1.95.
        dt: Length of a time step.
        offset: A replication begins in one of the first 1 + offset rounds, drawn at random.
        tolerance: Norm of the residual at which to stop, in units of the first one.
        cap: Most iterations; a system that takes more costs as much, and is recorded as unsolved.
    """

    examples = (
        {"points": 5, "omegas": [1.0, 1.5, 0.0], "offset": 2000, "dt": 0.0171},
        {"points": 4, "omegas": [1.3], "offset": 900, "cap": 6, "dt": 0.0171},
    )

    def __init__(
        self,
        streams: Streams,
        *,
        points: int = 50,
        omegas: Sequence[float] = GRID,
        dt: float = 0.001,
        offset: int = 0,
        tolerance: float = 1e-8,
        cap: int = 10_000,
    ) -> None:
        if not 1 <= points <= 1000:
            raise ValueError(f"points must lie in 1..1000, got {points}: a system has points^2 unknowns")
        arms = np.asarray(omegas, dtype=np.float64)
        if arms.ndim != 1 or arms.size == 0 or not ((arms >= 0.0) & (arms < 2.0)).all():
            raise ValueError(f"omegas must be numbers in [0, 2), one for each arm and at least one, got {omegas!r}")
        if not 0.0 < dt < np.inf:
            raise ValueError(f"dt must be positive, got {dt:g}")
        if not 0 <= offset <= 2**31:
            raise ValueError(f"offset must lie in 0..2^31, got {offset}")
        if not 0.0 < tolerance < 1.0:
            raise ValueError(f"tolerance must lie in (0, 1), got {tolerance:g}")
        if not 1 <= cap <= 10**9:
            raise ValueError(f"cap must lie in 1..10^9, got {cap}")
        self._parameters = (points, tuple(arms.tolist()), float(dt), float(tolerance), cap)
        self._first = streams.instance.integers(0, offset + 1)
        self._cap = cap
        self._cost = np.empty((arms.size, streams.size), dtype=np.int64)
        self._others = np.empty((2, streams.size), dtype=np.int64)
        self._context = np.empty((1, streams.size))
        self._plain, self._golden, self._unsolved = np.zeros((3, streams.size))
        self.problem = Problem(
            n_arms=arms.size,
            reward_range=(-float(cap), -1.0),
            context=Context(n_features=1, per_arm=False, feature_range=(0.0, 10.0)),
            arm_values=arms,
        )

    @property
    def _table(self) -> HeatCosts:
        return heat_costs(*self._parameters)

    def observe(self, t: int) -> FloatArray:
        """Diffusion at the end of the round's time step, shape (1, B)."""
        step, table = self._first + t - 1, self._table
        table.ensure(int(step.max()) + 1)
        self._cost = rows(table.costs, step)
        self._others = np.minimum([[table.others[int(i)][k] for i in step] for k in range(2)], self._cap)
        self._context[0] = [table.context[int(i)] for i in step]
        return self._context

    def step(self, t: int, action: IntArray) -> Feedback:
        """Solve the systems of the round."""
        taken = np.take_along_axis(self._cost, action[None], axis=0)[0]
        self._unsolved += taken > self._cap
        self._plain += self._others[0]
        self._golden += self._others[1]
        cost = np.minimum(taken, self._cap).astype(np.float64)
        return Feedback(reward=-cost, regret=cost - np.minimum(self._cost.min(axis=0), self._cap))

    def best_action(self, t: int) -> IntArray:
        """For the oracle: the arm that solves this round's system soonest, the lowest of equals, shape (B,)."""
        return np.asarray(self._cost.argmin(axis=0), dtype=np.int64)

    def log(self, t: int) -> dict[str, FloatArray]:
        """Columns ``plain_iterations``, ``golden_iterations`` and ``unsolved``, all totals."""
        return {
            "plain_iterations": self._plain,
            "golden_iterations": self._golden,
            "unsolved": self._unsolved,
        }

    def bound(self) -> None:
        """No lower bound is known."""
