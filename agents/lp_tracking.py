"""LP tracking (AOGSO, derived): asymptotically optimal play with side observations, by tracking the lower bound.

Once every arm was seen, with the budget

    f(t) = log(t) + c log(max(log(t), 1))

1. the leader i, the arm with the largest mean, is played if a likelihood-ratio test separates it from every other arm,

       gap[j]^2 / 2 * information[j] information[i] / (information[j] + information[i]) >= f(t)    for all j;

2. otherwise an arm that was seen too little for any estimate is looked at (forced exploration);
3. otherwise the linear program of the lower bound is solved at the estimates, and of the leader and the arms with
   fewer than ``allocation f(t)`` pulls the one with the fewest pulls is played.

With c >= 3 and a best arm that is unique and sees itself, ``limsup regret / log T`` is at most the constant of the
lower bound, and ``pulls / log T`` tends to its allocation where that is unique; the guarantee is derived here, as the
algorithm is. At a leader that does not see itself the exact Graves-Lai program takes the place of the linear one.

This is not the algorithm of [1], whose pseudo-code was not at hand: it is this project's own construction with the
guarantee that [1] states. Steps 2 and 3 are in `agents/_tracking.py`.

References:
    [1] Atsidakou, Papadigenopoulos, Caramanis, Sanghavi and Shakkottai, "Asymptotically-Optimal Gaussian Bandits with
        Side Observations", ICML 2022 (the guarantee).
    [2] Combes, Magureanu and Proutiere, "Minimal Exploration in Structured Stochastic Bandits", NeurIPS 2017 (tracking
        the program's solution).
"""

from __future__ import annotations

import math

from bandits.kernels import kernel, log
from bandits.protocol import FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._program import BoolArray
from ._tracking import TrackingPolicy

__all__ = ["LPTracking"]


@kernel
def test_pairs(
    budget: float,
    mean: FloatArray,
    width: FloatArray,
    leader: IntArray,
    leader_mean: FloatArray,
    leader_variance: FloatArray,
    certain: BoolArray,
) -> None:
    """Likelihood-ratio test of each lane's leader against every other arm; two scratch arrays (B,)."""
    for b in range(leader.size):
        root = width[leader[b], b]
        leader_mean[b] = mean[leader[b], b]
        leader_variance[b] = root * root
        certain[b] = True
    for j in range(mean.shape[0]):
        for b in range(leader.size):
            gap = leader_mean[b] - mean[j, b]
            variance = width[j, b] * width[j, b] + leader_variance[b]
            certain[b] &= (gap * gap >= 2.0 * budget * variance) | (leader[b] == j)


@register_agent("lp_tracking", source="this project (derived); guarantee of Atsidakou et al. (2022)")
class LPTracking(TrackingPolicy):
    """Tracks the linear program of the lower bound until the best arm is certain.

    Args:
        problem: What the agent may know: who sees whom, how well.
        streams: Random streams of the batch; no randomness is used.
        c: Weight of ``log(log(t))`` in the budget; 0 in practice, 3 in proofs.
        a: After n rounds of exploration each arm must have been seen as well as by ``a n^b / K`` plays of its best
            observer; in (0, 1/2].
        b: Exponent of that rule, in (0, 1).
        gap_floor: Smallest gap in the program, relative to ``max(1, largest mean - smallest mean)``.
        always_solve: Solve the program in every round, not only where it is used: to measure what that costs.
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        c: float = 0.0,
        a: float = 0.5,
        b: float = 0.5,
        gap_floor: float = 1e-6,
        always_solve: bool = False,
    ) -> None:
        if not 0 <= c < math.inf:
            raise ValueError(f"c must be at least 0 and finite, got {c}: it makes exploration larger")
        super().__init__(problem, streams, a=a, b=b, gap_floor=gap_floor, always_solve=always_solve)
        self.c = c
        self._leader_mean, self._leader_variance = self._best.copy(), self._best.copy()

    def budget(self, t: int) -> float:
        """Evidence asked for in round t, and pulls per unit of the allocation."""
        log_t = log(float(t))
        return log_t + self.c * log(max(log_t, 1.0))

    def certify(self, budget: float, leader: IntArray, certain: BoolArray) -> None:
        """Write where the leader is separated from every other arm, (B,)."""
        test_pairs(budget, self.mean, self.width, leader, self._leader_mean, self._leader_variance, certain)
