"""Algorithm 1 of Wu, Gyorgy and Szepesvari (2015): track the lower bound of the side-observation problem.

With ``f(t) = 4 alpha log(t)`` the leader, the arm with the largest mean, is played if

    information[j] / f(t) >= 2 / gap[j]^2    for every other arm j, and for the leader with the smallest gap.

Otherwise an arm that was seen too little is looked at (the rule with a n^b / K, n counting the rounds of exploration),
or else an arm with fewer than ``allocation f(t)`` pulls is played. The asymptotic regret is at most
``4 alpha C log T`` with alpha > 2 and C the constant of the lower bound: within a factor of about 8.

Written from general knowledge of [1], not from its text: take the constants as choices. Among the arms that are short
of pulls [1] leaves the choice free; here it is the rule of `agents/_tracking.py`, because others were measured to
stall.

References:
    [1] Wu, Gyorgy and Szepesvari, "Online Learning with Gaussian Payoffs and Side Observations", NeurIPS 2015.
"""

from __future__ import annotations

import math

from bandits.kernels import kernel, log
from bandits.protocol import FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._program import BoolArray
from ._tracking import TrackingPolicy

__all__ = ["WGS"]


@kernel
def test_each(
    budget: float,
    mean: FloatArray,
    width: FloatArray,
    leader: IntArray,
    leader_mean: FloatArray,
    least_gap: FloatArray,
    certain: BoolArray,
) -> None:
    """Whether each arm, and the leader, was seen well enough for its gap; two scratch arrays (B,)."""
    for b in range(leader.size):
        leader_mean[b] = mean[leader[b], b]
        least_gap[b] = math.inf
        certain[b] = True
    for j in range(mean.shape[0]):
        for b in range(leader.size):
            gap = leader_mean[b] - mean[j, b] if leader[b] != j else math.inf
            least_gap[b] = gap if gap < least_gap[b] else least_gap[b]
            certain[b] &= gap * gap >= 2.0 * budget * width[j, b] * width[j, b]
    for b in range(leader.size):
        width_b = width[leader[b], b]
        certain[b] &= least_gap[b] * least_gap[b] >= 2.0 * budget * width_b * width_b


@register_agent("wgs", source="Wu, Gyorgy and Szepesvari (2015), Alg. 1")
class WGS(TrackingPolicy):
    """Tracks the linear program of the lower bound at ``4 alpha`` times its rate.

    Args:
        problem: What the agent may know: who sees whom, how well.
        streams: Random streams of the batch; no randomness is used.
        alpha: Exploration constant; the proof asks for more than 2.
        a: After n rounds of exploration each arm must have been seen as well as by ``a n^b / K`` plays of its best
            observer; in (0, 1/2].
        b: Exponent of that rule, in (0, 1).
        gap_floor: Smallest gap in the program, relative to ``max(1, largest mean - smallest mean)``.
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        alpha: float = 2.01,
        a: float = 0.5,
        b: float = 0.5,
        gap_floor: float = 1e-6,
    ) -> None:
        if not 0 < alpha < math.inf:
            raise ValueError(f"alpha must be positive and finite, got {alpha}: the proof asks for more than 2")
        super().__init__(problem, streams, a=a, b=b, gap_floor=gap_floor)
        self.alpha = alpha
        self._leader_mean, self._least_gap = self._best.copy(), self._best.copy()

    def budget(self, t: int) -> float:
        """Plays per unit of the allocation in round t."""
        return 4.0 * self.alpha * log(float(t))

    def certify(self, budget: float, leader: IntArray, certain: BoolArray) -> None:
        """Write where every arm was seen well enough, (B,)."""
        test_each(budget, self.mean, self.width, leader, self._leader_mean, self._least_gap, certain)
