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

from bandits.errors import UnsupportedProblem
from bandits.kernels import HUGE, kernel, log
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.streams import Streams

from .ucb1 import MAX_TABLE, inverse_roots

__all__ = ["ActiveArms", "check_alpha", "choose_slots", "reward_width"]

BoolArray = NDArray[np.bool_]


@kernel
def choose_slots(
    mean: FloatArray, width: FloatArray, factor: float, slot: IntArray, best: FloatArray, at: FloatArray
) -> None:
    """Slot with the largest ``mean + factor * width``, (N, A, B), for every learner and lane, the first of equals.

    Two slots at a time: the scratch rows ``best`` and ``at`` (B,) are read and written half as often.
    """
    n_slots = mean.shape[1]
    for i in range(mean.shape[0]):
        for b in range(best.size):
            best[b] = mean[i, 0, b] + factor * width[i, 0, b]
            at[b] = 0.0
        for k in range(1, n_slots - 1, 2):
            first, second = float(k), float(k + 1)
            for b in range(best.size):
                x = mean[i, k, b] + factor * width[i, k, b]
                y = mean[i, k + 1, b] + factor * width[i, k + 1, b]
                better = x > best[b]
                leader = x if better else best[b]
                place = first if better else at[b]
                better = y > leader
                best[b] = y if better else leader
                at[b] = second if better else place
        if n_slots % 2 == 0:
            last = float(n_slots - 1)
            for b in range(best.size):
                x = mean[i, n_slots - 1, b] + factor * width[i, n_slots - 1, b]
                at[b] = last if x > best[b] else at[b]
        for b in range(best.size):
            slot[i, b] = int(at[b])


@kernel
def take_arms(arms: IntArray, slot: IntArray, action: IntArray) -> None:
    """The arm in each chosen slot: arms (N, A, B), slot and action (N, B)."""
    for i in range(slot.shape[0]):
        for b in range(slot.shape[1]):
            action[i, b] = arms[i, slot[i, b], b]


@kernel
def absorb_slots(
    mean: FloatArray,
    pulls: FloatArray,
    reward_sum: FloatArray,
    width: FloatArray,
    roots: FloatArray,
    slot: IntArray,
    reward: FloatArray,
) -> None:
    """Update the slot that was played, (N, A, B), with its reward (N, B); ``roots[n]`` is 1 / sqrt(n)."""
    for i in range(slot.shape[0]):
        for b in range(slot.shape[1]):
            s = slot[i, b]
            n, total = pulls[i, s, b] + 1.0, reward_sum[i, s, b] + reward[i, b]
            pulls[i, s, b] = n
            reward_sum[i, s, b] = total
            mean[i, s, b] = total / n
            width[i, s, b] = roots[int(n)] if n < roots.size else 1.0 / np.sqrt(n)


class ActiveArms:
    """Every learner plays UCB on its active arms.

    Attributes:
        arms: The active arms in the order of the list, int64, shape (N, A, B).
        pulls, reward_sum, mean, width: Of the arm in each slot: plays, sum and mean of rewards (huge before the first),
            and 1 / sqrt(plays), each (N, A, B).
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
        self.pulls, self.reward_sum, self.width = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.mean = np.full(shape, HUGE)
        self._slot = np.empty((shape[0], shape[2]), dtype=np.int64)
        self._action = np.empty_like(self._slot)
        self._best, self._at = np.empty(shape[2]), np.empty(shape[2])
        self._roots = inverse_roots(1024)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per learner and replication: int64, shape (N, B)."""
        factor = self.scale * math.sqrt(self.alpha * log(t))
        choose_slots(self.mean, self.width, factor, self._slot, self._best, self._at)
        take_arms(self.arms, self._slot, self._action)
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round: every learner its own reward."""
        if self._roots.size <= t < MAX_TABLE:
            self._roots = inverse_roots(2 * t)
        absorb_slots(self.mean, self.pulls, self.reward_sum, self.width, self._roots, self._slot, feedback.reward)

    def holds(self, arm: IntArray) -> BoolArray:
        """Whether each learner's list has the arm named for it, (N,): shape (N, B)."""
        found: BoolArray = (self.arms == arm[:, None, None]).any(axis=1)
        return found


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
