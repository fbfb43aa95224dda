"""UCB-LP (Buccapatnam, Eryilmaz and Shroff, 2014): phases of elimination, explored through a cover of the graph.

Let z be the fractional plays of least sum that show every arm once. Phase m = 0, 1, ... works at the resolution
``D = 2^-m``, on the arms B that are left:

1. if one arm is left, or ``m > log2(T / e) / 2``, play the best of B to the end;
2. with ``n = ceil(2 log(T D^2) / D^2)``: while ``sum of z <= |B|``, bring the plays of every arm i up to
   ``ceil(z[i] n)``; after that, play the arms of B until each has n observations;
3. drop from B every arm with ``mean + r < max of mean - r over B``, where ``r = sqrt(log(T D^2) / (2 n))``.

The regret is O(log T); in the cover phases it scales with the sum of z rather than with the number of arms.
It uses the horizon T, and assumes gaps of at most 1.

Written from general knowledge of [1], not from its text: take the constants as choices. Differences: for Gaussian
observations r is multiplied by ``2 sigma``, sigma being the largest noise level (rewards in [0, 1] are sub-Gaussian
with 1/2); means are plain averages of all observations; in step 2 the best observer stands in for an arm that does not
see itself; after the last phase the arm with the largest mean of those left is played.

References:
    [1] Buccapatnam, Eryilmaz and Shroff, "Stochastic Bandits with Side Observations on Networks", SIGMETRICS 2014.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bandits.kernels import count_pulls, kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._cover import covering_plays
from ._pooled import PooledPolicy, SideInformation

__all__ = ["UCBLP"]


@kernel
def play_phase(
    phases: FloatArray,
    targets: FloatArray,
    stand_in: IntArray,
    mean: FloatArray,
    seen: FloatArray,
    pulls: IntArray,
    left: NDArray[np.bool_],
    phase: IntArray,
    action: IntArray,
) -> None:
    """Next arm of each lane, after the eliminations that are due.

    phases: n, r and the fewest arms for which the cover is used, (M, 3). targets: plays of the cover, (M, K).
    stand_in: whom to play to see an arm, (K,). seen: how often an arm was seen, (K, B). left: arms not dropped, (K, B).
    """
    n_arms = mean.shape[0]
    for b in range(action.size):
        arm = -1
        while arm < 0:
            m, count, top = phase[b], 0, -1
            for k in range(n_arms):
                if left[k, b]:
                    count += 1
                    top = k if top < 0 or mean[k, b] > mean[top, b] else top
            if count <= 1 or m >= phases.shape[0]:
                arm = max(top, 0)
                break
            n, radius, fewest = phases[m, 0], phases[m, 1], phases[m, 2]
            for k in range(n_arms):
                if count >= fewest:
                    if pulls[k, b] < targets[m, k]:
                        arm = k
                        break
                elif left[k, b] and seen[k, b] < n:
                    arm = stand_in[k]
                    break
            if arm < 0:
                for k in range(n_arms):
                    left[k, b] = left[k, b] and mean[k, b] + radius >= mean[top, b] - radius
                phase[b] = m + 1
        action[b] = arm


@register_agent("ucb_lp", source="Buccapatnam, Eryilmaz and Shroff (2014)")
class UCBLP(PooledPolicy):
    """Phased elimination that explores through a fractional cover of the graph.

    Args:
        problem: What the agent may know: who sees whom, how well, and the horizon.
        streams: Random streams of the batch; no randomness is used.
        scale: Standard deviation of every observation; None takes the largest one.
        cover_while: Use the cover while its sum is at most the number of "arms" left, or at most twice that number
            times the phase's resolution ("gaps").
    """

    uses_horizon = True

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        scale: float | None = None,
        cover_while: Literal["arms", "gaps"] = "arms",
    ) -> None:
        if problem.horizon is None:
            raise ValueError("needs the horizon: build it through a cell, or pass Problem(horizon=...)")
        if scale is not None and not 0 < scale < math.inf:
            raise ValueError(f"scale must be positive and finite, got {scale}: it is the noise level of one number")
        side = SideInformation(problem)
        super().__init__(problem, streams, weights=side.sees.astype(np.float64))  # information counts observations
        self.cover_plays = covering_plays(side.sees)
        largest = float(np.max(side.sigma, where=side.sees, initial=0.0)) if scale is None else scale
        self._phases = phase_table(problem.horizon, largest, float(self.cover_plays.sum()), cover_while)
        self._targets = np.ceil(np.outer(self._phases[:, 0], self.cover_plays) - 1e-9)
        self._stand_in = np.where(side.blind, side.best_observer, np.arange(self.n_arms))
        self.left = np.repeat(side.visible[:, None], streams.size, axis=1)
        self.phase = np.zeros(streams.size, dtype=np.int64)
        self.pulls = np.zeros(self.mean.shape, dtype=np.int64)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        play_phase(
            self._phases,
            self._targets,
            self._stand_in,
            self.mean,
            self.information,
            self.pulls,
            self.left,
            self.phase,
            self._action,
        )
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        count_pulls(action, self.pulls)
        super().update(t, action, feedback)


def phase_table(horizon: int, sigma: float, cover: float, cover_while: str) -> FloatArray:
    """One row (n, r, fewest arms for which the cover is used) for each phase, shape (M, 3)."""
    rows, resolution = [], 1.0
    while horizon * resolution**2 >= math.e:
        budget = log(horizon * resolution**2)
        n = math.ceil(2.0 * budget / resolution**2)
        fewest = cover if cover_while == "arms" else cover / (2.0 * resolution)
        rows.append((n, 2.0 * sigma * math.sqrt(budget / (2.0 * n)), fewest - 1e-9))
        resolution /= 2.0
    return np.array(rows).reshape(-1, 3)
