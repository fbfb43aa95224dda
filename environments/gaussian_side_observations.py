"""Gaussian arms with side observations: playing an arm shows noisy values of others, too.

Playing arm i in round t shows, for every arm j with a finite ``sigma[i][j]``,

    X[t, j] = means[j] + sigma[i][j] * z[t, j],    z standard normal, independent over rounds and arms,

and nothing of the other arms. The reward of the play is its own observation X[t, i]. An arm with an infinite
``sigma[i][i]`` does not see itself: playing it costs regret as ever, but the reward is not shown. It stands as 0 in the
feedback and in the log, and agents that learn from rewards alone decline such a problem. The engine draws all K
normals of a round whoever plays, so agents that see the same arm in the same round see the same z.

References:
    [1] Wu, Gyorgy and Szepesvari, "Online Learning with Gaussian Payoffs and Side Observations", NeurIPS 2015.
    [2] Atsidakou, Papadigenopoulos, Caramanis, Sanghavi and Shakkottai, "Asymptotically-Optimal Gaussian Bandits with
        Side Observations", ICML 2022.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np

from bandits.information_lp import gaps, lower_bound
from bandits.kernels import kernel
from bandits.philox import Key, normal_pair
from bandits.protocol import Bound, Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_environment
from bandits.streams import Streams

__all__ = ["GaussianSideObservations"]

Entry = float | str | None
Graph = Literal["standard", "full", "cycle", "star", "revealing"]


@kernel
def draw_pair(key: Key, t: int, pair: int, x: FloatArray, y: FloatArray) -> None:
    """Normals of the arms ``2 pair`` and ``2 pair + 1`` in round t: x and y are (B,)."""
    for b in range(x.size):
        x[b], y[b] = normal_pair(key, b, t, pair)


@kernel
def observe_arm(mean: float, sd: FloatArray, action: IntArray, noise: FloatArray, out: FloatArray) -> None:
    """``mean + sd[action] * noise``, 0 where sd is negative, which stands for infinity: sd is (K,), the rest (B,)."""
    for b in range(action.size):
        level = sd[action[b]]
        out[b] = mean + level * noise[b] if level >= 0.0 else 0.0


@kernel
def play_round(
    key: Key,
    t: int,
    means: FloatArray,
    gaps: FloatArray,
    sd: FloatArray,
    action: IntArray,
    noise: FloatArray,
    observations: FloatArray,
    reward: FloatArray,
    regret: FloatArray,
) -> None:
    """Draw what every lane sees of every arm (K, B); sd (K, K) has a row for each arm that is seen; noise is (2, B)."""
    n_arms = means.size
    for k in range(n_arms):
        if k % 2 == 0:
            draw_pair(key, t, k // 2, noise[0], noise[1])
        observe_arm(means[k], sd[k], action, noise[k % 2], observations[k])
    for b in range(action.size):
        a = action[b]
        reward[b] = observations[a, b]
        regret[b] = gaps[a]


@register_environment("gaussian_side_observations", source="Wu, Gyorgy and Szepesvari (2015), Sect. 1")
class GaussianSideObservations:
    """Gaussian arms where playing one shows noisy values of others, with a known noise level for every pair.

    Agents know the matrix, not the means. If every arm sees itself, agents for Gaussian rewards play unchanged.

    Args:
        streams: Random streams of the batch.
        means: Mean of each arm.
        sigma: Noise levels, K lists of K numbers, the row being the arm that is played and the column the arm that is
            seen; inf, "inf" or null where nothing is seen, 0 where it is seen without noise. Or one number, the
            level of every pair of the ``graph`` that sees.
        graph: Who sees whom, every arm seeing itself: "standard" (nothing else), "full" (all see all), "cycle"
            (both neighbours), "star" (arm 0 sees all, and all see it), "revealing" (arm 0 sees all); or lists of
            arms that see each other: pairs are the edges of an undirected graph, disjoint lists are cliques.
    """

    examples = (
        {"means": [0.5, 0.2, 0.1], "sigma": [[1.0, 0.5, "inf"], [2.0, 1.0, 0.0], [None, 0.7, 1.5]]},
        {"means": [0.2, 0.5, 0.4, 0.3], "graph": [[0, 1], [1, 2, 3]], "sigma": 0.5},
        {"means": [0.4, 0.6, 0.5], "sigma": [[1.0, 1.0, 2.0], ["inf", "inf", 1.0], ["inf", 0.5, 1.0]]},
    )

    def __init__(
        self,
        streams: Streams,
        *,
        means: Sequence[float],
        sigma: float | Sequence[Sequence[Entry]] = 1.0,
        graph: Graph | Sequence[Sequence[int]] | None = None,
    ) -> None:
        self.means = _finite(means)
        n_arms = self.means.size
        self.sigma = _matrix(sigma, graph, n_arms)
        self._gaps = self.means.max() - self.means
        self._levels = np.ascontiguousarray(np.where(np.isfinite(self.sigma), self.sigma, -1.0).T)  # row: arm seen
        self._key = streams.reward.key
        self._noise = np.empty((2, streams.size))
        self._observations = np.empty((n_arms, streams.size))
        self._feedback = Feedback(np.empty(streams.size), np.empty(streams.size), self._observations)
        self._best = np.full(streams.size, int(np.argmax(self.means)), dtype=np.int64)
        own = np.ascontiguousarray(np.diag(self.sigma))
        self.problem = Problem(
            n_arms=n_arms, noise_sd=own if np.isfinite(own).all() else None, observation_sd=self.sigma
        )

    def observe(self, t: int) -> None:
        """There is no context."""

    def step(self, t: int, action: IntArray) -> Feedback:
        """Play one round."""
        out = self._feedback
        play_round(
            self._key,
            t,
            self.means,
            self._gaps,
            self._levels,
            action,
            self._noise,
            self._observations,
            out.reward,
            out.regret,
        )
        return out

    def best_action(self, t: int) -> IntArray:
        """For the oracle: arm with the largest mean, the lowest of equals, shape (B,)."""
        return self._best

    def bound(self) -> Bound | None:
        """Graves-Lai: the least regret per log T at which no other instance explains what was seen.

        None where no policy is consistent, because nobody sees an arm that may be the best, and where the noise levels
        span more than a hundred orders of magnitude, too many for the program.
        """
        try:
            least = lower_bound(self.means, self.sigma, kind="graves_lai")
        except ValueError:
            return None
        if not np.isfinite(least.value):
            return None
        allocation = np.where(gaps(self.means) > 0, least.allocation, np.nan)
        return Bound("Graves-Lai bound", np.array([least.value]), allocation=allocation)


def _finite(means: Sequence[float]) -> FloatArray:
    values = np.asarray(means, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"means must be a list of numbers, one for each arm and at least one, got {means!r}")
    for k in np.flatnonzero(~np.isfinite(values)):
        raise ValueError(f"means[{k}] = {values[k]:g} is not a finite number")
    return values


def _matrix(
    sigma: float | Sequence[Sequence[Entry]], graph: Graph | Sequence[Sequence[int]] | None, n_arms: int
) -> FloatArray:
    """Noise levels (K, K), checked: infinite where nothing is seen."""
    if isinstance(sigma, int | float):
        if graph is None:
            raise ValueError(f"sigma is the one number {sigma:g}: say who sees whom with graph=, or give K lists of K")
        if not 0 <= sigma < np.inf:
            raise ValueError(f"sigma must be at least 0 and finite beside a graph, got {sigma:g}")
        return np.where(_sees(graph, n_arms), float(sigma), np.inf)
    if graph is not None:
        raise ValueError("graph goes with one number for sigma: a matrix of levels says already who sees whom")
    if len(sigma) != n_arms:
        raise ValueError(f"sigma has {len(sigma)} rows, expected {n_arms}: one for each of the means")
    for i, row in enumerate(sigma):
        if len(row) != n_arms:
            raise ValueError(f"sigma[{i}] has {len(row)} entries, expected {n_arms}: sigma is K lists of K numbers")
    matrix = np.array([[_level(entry, i, j) for j, entry in enumerate(row)] for i, row in enumerate(sigma)])
    for j in np.flatnonzero(~np.isfinite(matrix).any(axis=0)):
        warnings.warn(
            f"no arm sees arm {j}: column {j} of sigma is infinite, so no agent can know whether it is the best",
            stacklevel=2,
        )
    return matrix


def _level(entry: Entry, i: int, j: int) -> float:
    """One noise level as a number."""
    wanted = "a noise level is a number of at least 0, or inf where nothing is seen"
    if entry is None:
        return np.inf
    try:
        level = float(entry)
    except ValueError as error:
        raise ValueError(f"sigma[{i}][{j}] = {entry!r}: {wanted}") from error
    if not level >= 0:
        raise ValueError(f"sigma[{i}][{j}] = {level:g}: {wanted}")
    return level


def _sees(graph: Graph | Sequence[Sequence[int]], n_arms: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Whether playing the row's arm shows the column's arm, (K, K)."""
    sees = np.eye(n_arms, dtype=np.bool_)
    arms = np.arange(n_arms)
    if graph == "full":
        sees[:] = True
    elif graph == "cycle":
        sees[arms, (arms + 1) % n_arms] = sees[arms, arms - 1] = True
    elif graph in ("star", "revealing"):
        sees[0] = True
        sees[:, 0] |= graph == "star"
    elif not isinstance(graph, str):
        for group in graph:
            for k in group:
                if not 0 <= k < n_arms:
                    raise ValueError(f"graph names the arm {k}, expected 0..{n_arms - 1}")
            sees[np.ix_(group, group)] = True
    return sees
