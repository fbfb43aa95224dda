"""What agents for side observations share: who sees whom, estimates that pool all observations, and the first rounds.

Every observation of an arm counts, whichever arm was played. With a fixed weight ``w[i, j]`` of what playing i shows
of j (0 if nothing), each lane keeps for every arm j

    information[j] = sum of w[action, j] over the rounds so far
    mean[j]        = weighted mean of the observations of j
    width[j]       = 1 / sqrt(information[j])

With ``w = sigma^-2`` the mean is the maximum-likelihood estimate, and ``width`` its standard deviation.

A problem without side information but with Gaussian rewards of known noise counts as one where every arm sees itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.arrays import empty, full, zeros
from bandits.errors import UnsupportedProblem
from bandits.kernels import HUGE, argmax, argmax_random, inverse_root, kernel, place
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.streams import Streams

from ._index import Tie

__all__ = ["PooledPolicy", "SideInformation"]


class SideInformation:
    """What the matrix of noise levels says.

    Attributes:
        sigma: Standard deviations (K, K), row the arm that is played, column the arm that is seen.
        sees: Where they are finite, bool (K, K).
        precision: ``sigma^-2``, 0 where nothing is seen, at most 1e150 (for no noise at all).
        visible: Arms that some arm sees, bool (K,). Nobody can learn about the others.
        blind: Visible arms that do not see themselves, bool (K,).
        best_observer: For each arm the one that sees it with the least noise, the lowest of equals, (K,).
        cover: Arms to play first, so that every visible arm is seen: while some arm was not, the best observer
            of the lowest such arm.

    Raises:
        UnsupportedProblem: Neither side information nor Gaussian rewards of known noise.
    """

    def __init__(self, problem: Problem) -> None:
        self.sigma = _sigma(problem)
        self.sees = np.isfinite(self.sigma)
        self.precision = _precision(self.sigma)
        self.visible = np.asarray(self.sees.any(axis=0))
        self.blind: NDArray[np.bool_] = self.visible & ~np.diag(self.sees)
        self.best_observer: IntArray = self.precision.argmax(axis=0).astype(np.int64)
        self.cover = self._cover()

    def _cover(self) -> list[int]:
        seen, cover = ~self.visible, []
        while not seen.all():
            arm = int(self.best_observer[seen.argmin()])
            cover.append(arm)
            seen |= self.sees[arm]
        return cover


def _sigma(problem: Problem) -> FloatArray:
    if problem.observation_sd is not None:
        return problem.observation_sd
    if problem.noise_sd is None:
        raise UnsupportedProblem(
            "needs side observations or Gaussian rewards of known noise: "
            "play it on gaussian_side_observations or gaussian"
        )
    return np.where(np.eye(problem.n_arms, dtype=np.bool_), problem.noise_sd, np.inf)


def _precision(sigma: FloatArray) -> FloatArray:
    """``sigma^-2`` where sigma is finite, between 1 / HUGE and HUGE; 0 elsewhere."""
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        precision: FloatArray = np.where(np.isfinite(sigma), np.clip(sigma**-2.0, 1.0 / HUGE, HUGE), 0.0)
    return precision


@kernel
def absorb_arm(
    weight: FloatArray, seen: FloatArray, information: FloatArray, mean: FloatArray, width: FloatArray
) -> None:
    """Absorb what was seen of one arm, in each lane with its weight, 0 where nothing was: all are (B,)."""
    for b in range(weight.size):
        total = information[b] + weight[b]
        information[b] = total
        root = inverse_root(total if total > 1e-200 else 1e-200)  # not seen so far: the mean stays, root is 1e100
        width[b] = root
        mean[b] += weight[b] * root * root * (seen[b] - mean[b])


@kernel
def absorb_seen(
    weights: FloatArray,
    visible: NDArray[np.bool_],
    action: IntArray,
    seen: FloatArray,
    information: FloatArray,
    mean: FloatArray,
    width: FloatArray,
    weight: FloatArray,
) -> None:
    """Absorb all observations of a round: seen and the state are (K, B), weight is scratch (B,).

    weights (K, K) has a row for each arm that is seen. Its look-up is a loop of its own: else none is vectorised.
    """
    for k in range(seen.shape[0]):
        if visible[k]:
            for b in range(action.size):
                weight[b] = weights[k, place(action[b])]
            absorb_arm(weight, seen[k], information[k], mean[k], width[k])


@kernel
def absorb_own(
    weights: FloatArray,
    action: IntArray,
    reward: FloatArray,
    information: FloatArray,
    mean: FloatArray,
    width: FloatArray,
) -> None:
    """Absorb the reward of the arm that was played, where nothing else is seen."""
    for b in range(action.size):
        a = place(action[b])
        information[a, b] += weights[a]
        root = inverse_root(information[a, b])
        width[a, b] = root
        mean[a, b] += weights[a] * root * root * (reward[b] - mean[a, b])


class PooledPolicy:
    """Estimates from all observations, and play of the arm with the largest index.

    Args:
        problem: What the agent may know: who sees whom, how well.
        streams: Random streams of the batch.
        tie: Among equal indices play the "first" arm, or a "random" one.
        weights: What an observation counts, (K, K); None for its precision.

    Attributes:
        side: Who sees whom.
        information: Sums of weights, shape (K, B).
        mean: Weighted means of the observations, shape (K, B); hugely negative for an arm that nobody sees.
        width: ``1 / sqrt(information)``, shape (K, B); 0 for an arm that nobody sees.
    """

    needs_reward = False

    def __init__(
        self, problem: Problem, streams: Streams, tie: Tie = "first", *, weights: FloatArray | None = None
    ) -> None:
        self.side = SideInformation(problem)
        self.n_arms, shape = problem.n_arms, (problem.n_arms, streams.size)
        self.information, self.mean, self.width = zeros(shape), zeros(shape), full(shape, 1e100)
        self.mean[~self.side.visible], self.width[~self.side.visible] = -HUGE, 0.0
        weights = self.side.precision if weights is None else weights
        self._weights, self._own_weights = np.ascontiguousarray(weights.T), np.diag(weights).copy()
        self._tie = streams.ties if tie == "random" else None
        self._action, self._best = empty(streams.size, np.int64), empty(streams.size)

    def choose(self, t: int) -> IntArray:
        """Choose one arm per replication once every visible arm was seen: int64, shape (B,)."""
        raise TypeError(f"{type(self).__name__} does not define choose(t)")

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        if t <= len(self.side.cover):
            self._action.fill(self.side.cover[t - 1])
            return self._action
        return self.choose(t)

    def largest(self, t: int, index: FloatArray) -> IntArray:
        """Arm with the largest index, ties broken as configured."""
        if self._tie is None:
            argmax(index, self._action, self._best)
        else:
            argmax_random(index, self._tie.uniforms(t, self.n_arms), self._action, self._best)
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        state = self.information, self.mean, self.width
        if feedback.observations is None:
            absorb_own(self._own_weights, action, feedback.reward, *state)
        else:
            absorb_seen(self._weights, self.side.visible, action, feedback.observations, *state, self._best)
