"""Thompson sampling for Gaussian rewards with a flat prior (Honda and Takemura, 2014; Agrawal and Goyal, 2013).

Plays every arm once, in order, and then the arm with the largest sample of its posterior

    sample[k] ~ N(mean[k], scale[k]^2 / pulls[k])

``scale`` is the known standard deviation of Gaussian rewards. For rewards in an interval it is half the
interval's width: they are sub-Gaussian with that constant (Hoeffding), and the posterior is then a device, not a
belief. The regret is O(sum scale^2 / gap * log T); for Gaussian rewards the constant is that of Lai and Robbins.

References:
    [1] Agrawal and Goyal, "Further Optimal Regret Bounds for Thompson Sampling", AISTATS 2013, Section 2 (which
        adds 1 to the pulls instead of playing every arm once, and takes scale = 1).
    [2] Honda and Takemura, "Optimality of Thompson Sampling for Gaussian Bandits Depends on Priors", AISTATS 2014.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.arrays import empty, full, zeros
from bandits.errors import UnsupportedProblem
from bandits.kernels import HUGE, kernel
from bandits.philox import Key, normal_pair
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

__all__ = ["ThompsonGaussian"]


@kernel
def choose(
    key: Key, t: int, mean: FloatArray, width: FloatArray, normals: FloatArray, action: IntArray, best: FloatArray
) -> None:
    """Argmax of ``mean + width * normal``; arms that were never played come first. normals is scratch (2, B)."""
    n_arms, size = mean.shape
    for b in range(size):
        best[b] = -np.inf
        action[b] = 0
    for k in range(n_arms):
        if k % 2 == 0:
            for b in range(size):
                normals[0, b], normals[1, b] = normal_pair(key, b, t, k // 2)
        row = normals[k % 2]
        for b in range(size):
            sample = mean[k, b] + width[k, b] * row[b]
            sample = HUGE if width[k, b] == HUGE else sample
            better = sample > best[b]
            best[b] = sample if better else best[b]
            action[b] = k if better else action[b]


@kernel
def absorb(
    mean: FloatArray, pulls: FloatArray, width: FloatArray, scale: FloatArray, action: IntArray, reward: FloatArray
) -> None:
    """Update the running mean, the pulls and the posterior's width of the arm that was played."""
    for b in range(action.size):
        a = action[b]
        n = pulls[a, b] + 1.0
        pulls[a, b] = n
        mean[a, b] += (reward[b] - mean[a, b]) / n
        width[a, b] = scale[a] / np.sqrt(n)


@register_agent("thompson_gaussian", source="Agrawal and Goyal (2013), Sect. 2; Honda and Takemura (2014)")
class ThompsonGaussian:
    """Thompson sampling with Gaussian posteriors.

    There is no rule for ties: samples are continuous, and equal ones have probability zero.

    Args:
        problem: What the agent may know: the number of arms, and the scale of the rewards.
        streams: Random streams of the batch.
        scale: Standard deviation of one reward; None takes the known noise level of each arm, or else half
            the width of the interval that holds the rewards (0.5 for rewards in [0, 1]).

    Attributes:
        mean: Empirical means, shape (K, B).
        pulls: How often each arm was played, float64 for arithmetic, shape (K, B).
        width: Standard deviations of the posteriors, ``scale / sqrt(pulls)``, shape (K, B).
    """

    def __init__(self, problem: Problem, streams: Streams, *, scale: float | None = None) -> None:
        shape = (problem.n_arms, streams.size)
        self.scale = noise_scale(problem, scale)
        self.mean, self.pulls = zeros(shape), zeros(shape)
        self.width = full(shape, HUGE)
        self._key = streams.agent.key
        self._normals = empty((2, streams.size))
        self._action = empty(streams.size, np.int64)
        self._best = empty(streams.size)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        choose(self._key, t, self.mean, self.width, self._normals, self._action, self._best)
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        absorb(self.mean, self.pulls, self.width, self.scale, action, feedback.reward)


def noise_scale(problem: Problem, scale: float | None) -> FloatArray:
    """Sub-Gaussian constant of each arm (K,): as given, else the noise level, else half the interval's width."""
    if scale is not None:
        if not 0.0 < scale <= 1e75:
            raise ValueError(
                f"scale must be positive and at most 1e75, got {scale}: it is the standard deviation of one reward"
            )
        return np.full(problem.n_arms, float(scale))
    if problem.noise_sd is not None:
        return np.asarray(problem.noise_sd, dtype=np.float64)
    if problem.reward_range is None:
        raise UnsupportedProblem("needs Gaussian or bounded rewards, got an unknown scale: pass scale=")
    low, high = problem.reward_range
    return np.full(problem.n_arms, 0.5 * (high - low))
