"""How often to play each arm so that every arm is seen once: the linear program of UCB-LP and epsilon-greedy-LP."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bandits.protocol import FloatArray

__all__ = ["covering_plays"]


def covering_plays(sees: NDArray[np.bool_]) -> FloatArray:
    """Fractional plays ``z >= 0`` of least sum that show every arm at least once, shape (K,).

        min sum of z[i]    such that    sum of z[i] over the i that see j >= 1    for every j that anybody sees

    The least sum is the fractional domination number of the graph: 1 for a star, the number of cliques for disjoint
    cliques, n / 3 for a cycle of n arms. The optimum may not be unique; then z is the solver's choice.

    Args:
        sees: Whether playing the row's arm shows the column's arm, bool (K, K).
    """
    from scipy.optimize import linprog

    n_arms, visible = len(sees), sees.any(axis=0)
    if not visible.any():
        return np.zeros(n_arms)
    solution = linprog(np.ones(n_arms), A_ub=-sees.T[visible].astype(np.float64), b_ub=-np.ones(visible.sum()))
    assert solution.success, solution.message  # z = 1 is feasible, and 0 a bound
    plays: FloatArray = np.round(solution.x, 12)
    return plays
