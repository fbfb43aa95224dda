"""Least squares on a G-optimal design, for misspecified linear bandits (Lattimore, Szepesvari and Weisz, 2020).

A G-optimal design is a distribution w over the arms that minimises the largest ``|x[a]|^2`` in the norm of ``V^-1``,
where ``V = sum of w[a] x[a] x[a]'``. That minimum is d, and the same design maximises det V (Kiefer and Wolfowitz).
The agent plays the arms of its support, fits theta by least squares with weights w, and commits to the arm with the
largest ``<x[a], theta>``. If the means are within epsilon of linear, the fit is within ``epsilon sqrt(d)`` of the
linear part at every arm, and the arm within ``2 epsilon (1 + sqrt(d))`` of the best [2]. That the root of d is needed
without sparsity is what `net_elimination` is compared with.

With noise of standard deviation sd, arm a is played ``ceil(2 sd^2 d w[a] log(2 K / delta) / accuracy^2)`` times,
which adds at most ``accuracy`` to the error of every fit, with probability 1 - delta.

The design comes from the ascent of Wolfe and Atwood on log det V from d arms that span the space: it shifts weight to
the arm of largest norm or away from that of smallest by an exact step; it stops when no norm exceeds d by more than
``slack``. Tests compare it with cvxpy's solution of the convex program.

References:
    [1] Kiefer and Wolfowitz, "The Equivalence of Two Extremum Problems", Canadian Journal of Mathematics 12 (1960).
    [2] Lattimore, Szepesvari and Weisz, "Learning with Good Feature Representations in Bandits and in RL with a
        Generative Model", ICML 2020.
    [3] Todd, "Minimum-Volume Ellipsoids", SIAM (2016), Chapter 3 (the ascent with away steps).
"""

from __future__ import annotations

import functools
import math

import numpy as np

from bandits.protocol import FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._commit import QueryAndCommit, fixed_features, largest_noise

__all__ = ["GOptimal", "g_optimal_design"]

_MOST_STEPS = 100_000


def g_optimal_design(features: FloatArray, slack: float = 0.01) -> FloatArray:
    """Weights (K,) whose largest norm is at most ``(1 + slack) rank``, for features (K, d).

    Features of rank below d are replaced by their coordinates in their span.
    """
    from scipy.linalg import qr

    _, values, directions = np.linalg.svd(features, full_matrices=False)
    rank = int((values > 1e-10 * max(values[0], 1e-300)).sum())
    n_arms = features.shape[0]
    if rank == 0:
        return np.full(n_arms, 1.0 / n_arms)
    x = features @ directions[:rank].T
    w = np.zeros(n_arms)
    w[qr(x.T, mode="r", pivoting=True)[1][:rank]] = 1.0 / rank  # arms that span the space, each far from those before
    for count in range(_MOST_STEPS):
        if count % 50 == 0:  # afresh, so that rounding errors do not pile up
            inverse = np.linalg.inv(x.T @ (w[:, None] * x))
            norms = np.einsum("ki,ki->k", x @ inverse, x)
        far, near = int(norms.argmax()), int(np.where(w > 0.0, norms, np.inf).argmin())
        if norms[far] <= (1.0 + slack) * rank:
            break
        a = far if norms[far] - rank >= rank - norms[near] else near
        step = (norms[a] - rank) / (rank * (norms[a] - 1.0)) if norms[a] > 1.0 else -np.inf
        step = max(step, -w[a] / (1.0 - w[a]))  # all that it has, at most
        y = inverse @ x[a]
        shrink = step / (1.0 - step + step * norms[a])
        w *= 1.0 - step
        w[a] = max(w[a] + step, 0.0)
        z = x @ y
        inverse = (inverse - shrink * np.outer(y, y)) / (1.0 - step)
        norms = (norms - shrink * z * z) / (1.0 - step)
    return w


@functools.lru_cache(maxsize=16)
def _known_design(features: bytes, n_arms: int, slack: float) -> FloatArray:
    """Design of the features (K, d) behind the bytes: once per problem, however many batches play it."""
    return g_optimal_design(np.frombuffer(features).reshape(n_arms, -1), slack)


@register_agent("g_optimal", source="Lattimore, Szepesvari and Weisz (2020), Sect. 3")
class GOptimal(QueryAndCommit):
    """Queries a G-optimal design, and commits to the best arm of the least-squares fit.

    Args:
        problem: What the agent may know: fixed features of length at most 1, shared by all replications, and the noise.
        streams: Random streams of the batch; not used.
        accuracy: What noise may add to the error of a fit.
        delta: Probability with which noise may add more.
        slack: By how much, relative to d, the design may miss the optimum.
    """

    def __init__(
        self, problem: Problem, streams: Streams, *, accuracy: float = 0.1, delta: float = 0.05, slack: float = 0.01
    ) -> None:
        if not 1e-75 <= accuracy <= 1e75:
            raise ValueError(f"accuracy must be positive and lie in [1e-75, 1e75], got {accuracy:g}")
        if not 0.0 < delta < 1.0:
            raise ValueError(f"delta must lie in (0, 1), got {delta:g}")
        if not 1e-6 <= slack < np.inf:
            raise ValueError(f"slack must be at least 1e-6, got {slack:g}: the ascent takes about 1 / slack steps")
        features, sd = fixed_features(problem), largest_noise(problem)
        n_arms, d = features.shape
        w = _known_design(features.tobytes(), n_arms, slack)
        arms = np.flatnonzero(w)
        factor = 2.0 * sd**2 * d * math.log(2.0 * n_arms / delta) / accuracy**2
        super().__init__(problem, streams, arms, np.clip(np.ceil(factor * w[arms]), 1, 2**62).astype(np.int64))
        chosen = features[arms]
        inverse = np.linalg.pinv(chosen.T @ (w[arms, None] * chosen))
        self.design = w.copy()
        self.prediction = features @ inverse @ (chosen * w[arms, None]).T  # (K, Q): from means of queries to fits

    def choose(self, means: FloatArray) -> IntArray:
        """The arm with the largest fitted mean, the lowest of equals, (B,)."""
        return np.asarray(np.einsum("kq,qb->kb", self.prediction, means).argmax(axis=0), dtype=np.int64)
