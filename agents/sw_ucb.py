"""SW-UCB, UCB on a sliding window, for arms whose means change abruptly (Garivier and Moulines, 2011).

Plays the arm with the largest index

    mean_w[a] + scale[a] * sqrt(xi * log(min(t, window)) / pulls_w[a])

where ``mean_w`` and ``pulls_w`` count the last ``window`` rounds only; an arm that was not played in them comes
first. For rewards in an interval of width B and ``changes`` changes of the means up to round T, the window

    window = 2 B sqrt(T log(T) / changes)

makes the regret O(sqrt(changes T log T)) ([1], Section 4.2). ``scale`` is B, or twice the standard deviation of
Gaussian rewards (both are twice the sub-Gaussian constant).

The last rounds are kept in a ring: 12 bytes per round of the window and replication. What leaves the window is
subtracted from a running sum, whose rounding error starts again from 0 whenever an arm leaves the window altogether.

Differences from [1]: the window is rounded up and kept between 2 and T.

References:
    [1] Garivier and Moulines, "On Upper-Confidence Bound Policies for Switching Bandit Problems", ALT 2011,
        Algorithm 2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.errors import UnsupportedProblem
from bandits.kernels import HUGE, kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import IndexPolicy, Tie
from .moss import twice_sub_gaussian

__all__ = ["SWUCB"]


@kernel
def indices(mean: FloatArray, width: FloatArray, factor: FloatArray, out: FloatArray) -> None:
    """``mean + factor * width``, and HUGE for an arm that the window does not hold, whose width is HUGE."""
    for k in range(mean.shape[0]):
        for b in range(mean.shape[1]):
            index = mean[k, b] + factor[k] * width[k, b]
            out[k, b] = HUGE if width[k, b] == HUGE else index


@kernel
def count(total: FloatArray, pulls: FloatArray, action: NDArray[Any], reward: FloatArray, weight: float) -> None:
    """Add one round to the window (weight 1), or take it out (weight -1)."""
    for b in range(action.size):
        a = action[b]
        n = pulls[a, b] + weight
        pulls[a, b] = n
        total[a, b] = total[a, b] + weight * reward[b] if n > 0.0 else 0.0


@kernel
def refresh(total: FloatArray, pulls: FloatArray, action: NDArray[Any], mean: FloatArray, width: FloatArray) -> None:
    """Recompute the mean and the width 1 / sqrt(pulls) of one arm per lane."""
    for b in range(action.size):
        a = action[b]
        n = pulls[a, b]
        mean[a, b] = total[a, b] / n if n > 0.0 else 0.0
        width[a, b] = 1.0 / np.sqrt(n) if n > 0.0 else HUGE


@register_agent("sw_ucb", source="Garivier and Moulines (2011), Alg. 2")
class SWUCB(IndexPolicy):
    """UCB on the last ``window`` rounds.

    Args:
        problem: What the agent may know: the number of arms, the scale of the rewards, and the horizon.
        streams: Random streams of the batch.
        window: Number of rounds that count, at least 2; None takes the formula above.
        changes: How often the means change up to the horizon, at least 1; used by that formula only.
        xi: Exploration constant; [1] uses 0.6 in its experiments, and more than 1/2 in its bound.
        scale: Twice the sub-Gaussian constant of the rewards; None takes what the environment tells.
        tie: Among equal indices play the "first" arm, or a "random" one.

    Attributes:
        pulls: Plays within the window, shape (K, B).
        mean: Empirical means of the window, 0 for an arm that it does not hold, shape (K, B).
    """

    uses_horizon = True

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        window: int | None = None,
        changes: int = 1,
        xi: float = 0.6,
        scale: float | None = None,
        tie: Tie = "first",
    ) -> None:
        if window is not None and window < 2:
            raise ValueError(f"window must be at least 2, got {window}: leave it out for the formula")
        if changes < 1:
            raise ValueError(f"changes must be at least 1, got {changes}: where nothing changes play ucb1")
        if xi <= 0:
            raise ValueError(f"xi must be positive, got {xi}: with xi <= 0 there is no exploration")
        super().__init__(problem, streams, tie)
        self.xi, self.scale = xi, twice_sub_gaussian(problem, scale)
        self.window = window_length(problem.horizon, changes, float(self.scale.max())) if window is None else window
        rows = min(self.window, problem.horizon or self.window)
        self.total = np.zeros_like(self.mean)
        self.width = np.full_like(self.mean, HUGE)  # 1 / sqrt(pulls)
        self._actions = np.zeros((rows, streams.size), dtype=np.int32)
        self._rewards = np.zeros((rows, streams.size))

    def index(self, t: int, out: FloatArray) -> None:
        """Write every arm's index."""
        indices(self.mean, self.width, self.scale * math.sqrt(self.xi * log(min(t, self.window))), out)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        row = (t - 1) % len(self._actions)
        if t > self.window:
            self._count(self._actions[row], self._rewards[row], -1.0)
        self._count(action, feedback.reward, 1.0)
        self._actions[row], self._rewards[row] = action, feedback.reward

    def _count(self, action: NDArray[Any], reward: FloatArray, weight: float) -> None:
        count(self.total, self.pulls, action, reward, weight)
        refresh(self.total, self.pulls, action, self.mean, self.width)


def window_length(horizon: int | None, changes: int, scale: float) -> int:
    """``2 B sqrt(T log(T) / changes)``, rounded up, between 2 and T."""
    if horizon is None:
        raise UnsupportedProblem("needs the horizon to choose the window, got none: pass window=")
    length = math.ceil(2.0 * scale * math.sqrt(horizon * log(horizon) / changes))
    return max(2, min(length, horizon))
