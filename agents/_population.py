"""What agents for populations share: UCB of every learner over its own list of active arms.

Learner i keeps statistics of its own plays only, in slots: slot s holds arm ``arms[i, s]``. It plays the slot with
the largest

    mean + scale * sqrt(alpha * log(t) / pulls),

the first in the list among equals, an arm that was never played before all others. ``scale`` is the width of the
rewards' interval, or twice the standard deviation of Gaussian rewards: alpha then means the same for both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.arrays import empty, full, zeros
from bandits.errors import UnsupportedProblem
from bandits.kernels import HUGE, inline, kernel, log, place
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.streams import Streams

from .ucb1 import MAX_TABLE, inverse_roots

__all__ = ["ActiveArms", "absorb_slots", "bonus_factor", "check_alpha", "choose_slots", "reward_width"]

BoolArray = NDArray[np.bool_]


@inline
def index_of(reward_sum: float, width: float, factor: float) -> float:
    """``mean + factor * width``, where the width is 1 / sqrt(pulls), so the mean is ``reward_sum * width^2``."""
    return width * (reward_sum * width + factor)


@kernel
def choose_slots(
    reward_sum: FloatArray, width: FloatArray, factor: float, slot: IntArray, best: FloatArray, at: FloatArray
) -> None:
    """Slot with the largest index for every learner and lane, the first of equals: (N, A, B) to (N, B).

    Four slots at a time: the scratch rows ``best`` and ``at`` (B,) are read and written a quarter as often.
    """
    n_slots = width.shape[1]
    by_four = n_slots - n_slots % 4
    for i in range(width.shape[0]):
        for b in range(best.size):
            best[b] = -HUGE
            at[b] = 0.0
        for k in range(0, by_four, 4):
            k0, k1, k2, k3 = float(k), float(k + 1), float(k + 2), float(k + 3)
            for b in range(best.size):
                leader, place = best[b], at[b]
                index = index_of(reward_sum[i, k, b], width[i, k, b], factor)
                better = index > leader
                leader = index if better else leader
                place = k0 if better else place
                index = index_of(reward_sum[i, k + 1, b], width[i, k + 1, b], factor)
                better = index > leader
                leader = index if better else leader
                place = k1 if better else place
                index = index_of(reward_sum[i, k + 2, b], width[i, k + 2, b], factor)
                better = index > leader
                leader = index if better else leader
                place = k2 if better else place
                index = index_of(reward_sum[i, k + 3, b], width[i, k + 3, b], factor)
                better = index > leader
                best[b] = index if better else leader
                at[b] = k3 if better else place
        for k in range(by_four, n_slots):
            last = float(k)
            for b in range(best.size):
                index = index_of(reward_sum[i, k, b], width[i, k, b], factor)
                better = index > best[b]
                best[b] = index if better else best[b]
                at[b] = last if better else at[b]
        for b in range(best.size):
            slot[i, b] = int(at[b])


@kernel
def take_arms(arms: IntArray, slot: IntArray, action: IntArray) -> None:
    """The arm in each chosen slot: arms (N, A, B), slot and action (N, B)."""
    for i in range(slot.shape[0]):
        for b in range(slot.shape[1]):
            action[i, b] = arms[i, place(slot[i, b]), b]


@kernel
def absorb_slots(
    pulls: FloatArray,
    reward_sum: FloatArray,
    width: FloatArray,
    roots: FloatArray,
    table: IntArray,
    slot: IntArray,
    reward: FloatArray,
) -> None:
    """Add each learner's reward to the slot it played in its table, both (N, B), of tables (M, A, B).

    In the order of learners; ``roots[n]`` is 1 / sqrt(n).
    """
    for i in range(slot.shape[0]):
        m = table[i]
        for b in range(slot.shape[1]):
            s = place(slot[i, b])
            n = pulls[m, s, b] + 1.0
            pulls[m, s, b] = n
            reward_sum[m, s, b] += reward[i, b]
            width[m, s, b] = roots[place(n)] if n < roots.size else 1.0 / np.sqrt(n)


class ActiveArms:
    """Every learner plays UCB on its active arms.

    Attributes:
        arms: The active arms in the order of the list, int64, shape (N, A, B).
        pulls, reward_sum, width: Of the arm in each slot: plays, sum of rewards, and 1 / sqrt(plays), which is huge
            before the first, each (N, A, B).
    """

    plays_population = True

    def __init__(self, problem: Problem, streams: Streams, arms: IntArray, *, alpha: float) -> None:
        check_alpha(alpha)
        assert problem.n_learners is not None
        self.alpha, self.scale = alpha, reward_width(problem)
        self.n_arms = problem.n_arms
        per_lane = arms if arms.ndim == 3 else arms[:, :, None]
        shape = (problem.n_learners, arms.shape[1], streams.size)
        self.arms = np.array(np.broadcast_to(per_lane, shape))
        self.pulls, self.reward_sum = zeros(shape), zeros(shape)
        self.width = full(shape, HUGE)
        self._learner = np.arange(shape[0])
        self._slot = empty((shape[0], shape[2]), np.int64)
        self._action = empty(self._slot.shape, np.int64)
        self._best, self._at = empty(shape[2]), empty(shape[2])
        self._roots = inverse_roots(1024)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per learner and replication: int64, shape (N, B)."""
        factor = bonus_factor(self.scale, self.alpha, t)
        choose_slots(self.reward_sum, self.width, factor, self._slot, self._best, self._at)
        take_arms(self.arms, self._slot, self._action)
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round: every learner its own reward."""
        if self._roots.size <= t < MAX_TABLE:
            self._roots = inverse_roots(2 * t)
        slots = self.pulls, self.reward_sum, self.width
        absorb_slots(*slots, self._roots, self._learner, self._slot, feedback.reward)

    def holds(self, arm: IntArray) -> BoolArray:
        """Whether each learner's list has the arm named for it, (N,): shape (N, B)."""
        found: BoolArray = (self.arms == arm[:, None, None]).any(axis=1)
        return found


def bonus_factor(scale: float, alpha: float, t: int) -> float:
    """``scale * sqrt(alpha * log(t))``, but above 0, so that arms without a play come first in round 1, too."""
    return max(scale * math.sqrt(alpha * log(t)), 1e-100)


def check_alpha(alpha: float) -> None:
    """Refuse an exploration constant that is not positive and finite."""
    if not 0 < alpha < math.inf:
        raise ValueError(f"alpha must be positive and finite, got {alpha}: with alpha <= 0 UCB never explores")


def reward_width(problem: Problem) -> float:
    """Width of the rewards' interval, or twice the noise level of Gaussian rewards.

    Raises:
        UnsupportedProblem: They are neither bounded nor Gaussian.
    """
    if problem.noise_sd is not None:
        return 2.0 * float(problem.noise_sd.max())
    if problem.reward_range is None:
        raise UnsupportedProblem("needs bounded rewards, or Gaussian ones of known noise")
    return problem.reward_range[1] - problem.reward_range[0]
