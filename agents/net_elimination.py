"""Best query of an epsilon-net of sparse parameters, for misspecified linear bandits (derived in this project).

Dong and Yang [1] show that with an s-sparse parameter O(epsilon^-s d^s) queries find an arm that is O(epsilon) from the
best, where without sparsity exponentially many are needed. Their algorithm was not at hand; this one has the same
guarantee, and is ours:

1. For every support of s of the d features, a net of the unit ball: the lattice of spacing ``2 epsilon / sqrt(s)``, as
   far as it comes within epsilon of the ball. So every s-sparse parameter of length at most 1 is within epsilon of a
   net point, and for the s that are practical a support has at most ``(1 + 2 / epsilon)^s`` of them.
2. Query, for every net point, the arm with the largest inner product; arms that several ask for are queried once.
3. Commit to the queried arm with the largest mean reward.

If the features are of length at most 1 and rewards are without noise, that arm is 4 epsilon from the best: the net
point theta' nearest to theta loses epsilon against theta, at both ends, and so does the model against the means. With
noise of standard deviation sd every query is repeated ``ceil(2 sd^2 log(2 |net| / delta) / epsilon^2)`` times: each
mean is then within epsilon, with probability 1 - delta for all, and the arm 6 epsilon from the best.

References:
    [1] Dong and Yang, "Does Sparsity Help in Learning Misspecified Linear Bandits?", ICML 2023.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.protocol import FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._commit import QueryAndCommit, fixed_features, largest_noise

__all__ = ["NetElimination", "ball_net"]

MOST_POINTS = 5_000_000
_BLOCK = 4096


def ball_net(dimension: int, epsilon: float) -> FloatArray:
    """Points such that each of the unit ball is within epsilon of one: shape (M, dimension).

    The lattice of spacing ``2 epsilon / sqrt(dimension)`` around 0, without the points farther than epsilon from the
    ball.
    """
    spacing = 2.0 * epsilon / math.sqrt(dimension)
    reach = math.ceil((1.0 + epsilon) / spacing)
    axis = spacing * np.arange(-reach, reach + 1)
    points = np.stack(np.meshgrid(*[axis] * dimension, indexing="ij"), axis=-1).reshape(-1, dimension)
    return np.ascontiguousarray(points[(points * points).sum(axis=1) <= (1.0 + epsilon) ** 2])


@register_agent("net_elimination", source="this project; setting and rate of Dong and Yang (2023)")
class NetElimination(QueryAndCommit):
    """Queries the best arm of every sparse parameter of a net, and commits to the best of these (derived here).

    Args:
        problem: What the agent may know: fixed features of length at most 1, shared by all replications, and the noise.
        streams: Random streams of the batch; not used.
        sparsity: Number s of features that matter.
        epsilon: Misspecification, and fineness of the net.
        delta: Probability with which noise may break the guarantee.
    """

    def __init__(
        self, problem: Problem, streams: Streams, *, sparsity: int = 1, epsilon: float = 0.1, delta: float = 0.05
    ) -> None:
        if not 0.0 < epsilon <= 1.0:
            raise ValueError(f"epsilon must lie in (0, 1], got {epsilon:g}")
        if not 0.0 < delta < 1.0:
            raise ValueError(f"delta must lie in (0, 1), got {delta:g}")
        if sparsity < 1:
            raise ValueError(f"sparsity must be at least 1, got {sparsity}")
        features = fixed_features(problem)
        d = features.shape[1]
        if sparsity > d:
            raise UnsupportedProblem(f"sparsity is {sparsity}, but there are only {d} features")
        upper = math.comb(d, sparsity) * (1.0 + 2.0 / epsilon) ** sparsity
        if upper > MOST_POINTS:
            raise UnsupportedProblem(
                f"the net would have up to {upper:.3g} points, more than {MOST_POINTS:,}: raise epsilon"
            )
        net = ball_net(sparsity, epsilon)
        self.net_size = math.comb(d, sparsity) * net.shape[0]
        sd = largest_noise(problem)
        repeats = max(1, math.ceil(2.0 * sd**2 * math.log(2.0 * self.net_size / delta) / epsilon**2))
        arms = queried_arms(features, net)
        super().__init__(problem, streams, arms, np.full(arms.size, repeats, dtype=np.int64))

    def choose(self, means: FloatArray) -> IntArray:
        """The queried arm with the largest mean reward, the lowest of equals, (B,)."""
        return np.asarray(self.arms[means.argmax(axis=0)], dtype=np.int64)


def queried_arms(features: FloatArray, net: FloatArray) -> IntArray:
    """Arms that are best for some net point on some support, sorted: features (K, d), net (M, s)."""
    wanted = np.zeros(features.shape[0], dtype=np.bool_)
    for support in itertools.combinations(range(features.shape[1]), net.shape[1]):
        for start in range(0, net.shape[0], _BLOCK):
            values = np.einsum("ks,ms->mk", features[:, support], net[start : start + _BLOCK])
            wanted[values.argmax(axis=1)] = True
    return np.flatnonzero(wanted)
