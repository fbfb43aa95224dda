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

from collections.abc import Sequence

import numpy as np

from bandits.arrays import empty
from bandits.information_lp import gaps, lower_bound
from bandits.kernels import kernel, place
from bandits.philox import Key, normal_pair
from bandits.protocol import Bound, Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_environment
from bandits.streams import Streams

from ._sight import Graph, Sigma, instance
from ._sight_sources import resolve

__all__ = ["GaussianSideObservations"]


@kernel
def draw_pair(key: Key, t: int, pair: int, x: FloatArray, y: FloatArray) -> None:
    """Normals of the arms ``2 pair`` and ``2 pair + 1`` in round t: x and y are (B,)."""
    for b in range(x.size):
        x[b], y[b] = normal_pair(key, b, t, pair)


@kernel
def observe_arm(mean: float, sd: FloatArray, action: IntArray, noise: FloatArray, out: FloatArray) -> None:
    """``mean + sd[action] * noise``, 0 where sd is negative, which stands for infinity: sd is (K,), the rest (B,)."""
    for b in range(action.size):
        level = sd[place(action[b])]
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
        a = place(action[b])
        reward[b] = observations[a, b]
        regret[b] = gaps[a]


@register_environment("gaussian_side_observations", source="Wu, Gyorgy and Szepesvari (2015), Sect. 1")
class GaussianSideObservations:
    """Gaussian arms where playing one shows noisy values of others, with a known noise level for every pair.

    Agents know the matrix, not the means. If every arm sees itself, agents for Gaussian rewards play unchanged.

    What a run declares is the matrix and the graph themselves, never where they came from: a file is read, and a graph
    object turned into its edges, where the declaration is made. So a run is resumed, verified and played on other
    machines without the file, and two files with the same numbers are the same environment. What is drawn depends on
    ``draw`` alone, neither on the seed of the run nor on the replication.

    Args:
        streams: Random streams of the batch.
        means: Mean of each arm; if left out, drawn uniformly from [0, 1].
        sigma: Noise levels, K lists of K numbers, the row being the arm that is played and the column the arm that is
            seen; inf, "inf" or null where nothing is seen, 0 where it is seen without noise. Or the name of a CSV or
            Parquet file with these numbers, where an empty cell is infinite, too. Or one number, the level of every
            pair of the ``graph`` that sees. Or, for the graph "random", [low, high]: levels between arms are uniform
            on this interval, and its geometric mean is the level with which an arm sees itself.
        graph: Who sees whom, every arm seeing itself: "standard" (nothing else), "full" (all see all), "cycle"
            (both neighbours), "star" (arm 0 sees all, and all see it), "revealing" (arm 0 sees all), "random" (each
            arm sees each other one with probability ``density``); or lists of arms that see each other: pairs are
            the edges of an undirected graph, disjoint lists are cliques. From Python also a networkx graph whose nodes
            are the arms 0..K-1.
        directed: Whether pairs [i, j] in ``graph`` mean only that playing i shows j.
        n_arms: Number of arms K, where neither means nor a matrix says it.
        density: Probability that one arm sees another, for the graph "random".
        draw: Number 0, 1, 2, ... of the instance, where means or graph are drawn.
    """

    examples = (
        {"means": [0.5, 0.2, 0.1], "sigma": [[1.0, 0.5, "inf"], [2.0, 1.0, 0.0], [None, 0.7, 1.5]]},
        {"means": [0.2, 0.5, 0.4, 0.3], "graph": [[0, 1], [1, 2, 3]], "sigma": 0.5},
        {"means": [0.4, 0.6, 0.5], "sigma": [[1.0, 1.0, 2.0], ["inf", "inf", 1.0], ["inf", 0.5, 1.0]]},
        {"means": [0.4, 0.6, 0.5], "graph": [[0, 1], [1, 2], [2, 1]], "directed": True},
        {"graph": "random", "n_arms": 10, "density": 0.3, "sigma": [0.5, 2.0], "draw": 3},
    )
    resolve = staticmethod(resolve)

    def __init__(
        self,
        streams: Streams,
        *,
        means: Sequence[float] | None = None,
        sigma: Sigma = 1.0,
        graph: Graph | None = None,
        directed: bool = False,
        n_arms: int | None = None,
        density: float | None = None,
        draw: int = 0,
    ) -> None:
        self.means, self.sigma = instance(
            means=means,
            sigma=sigma,
            graph=graph,
            directed=directed,
            n_arms=n_arms,
            density=density,
            draw=draw,
        )
        n_arms = self.means.size
        self._gaps = self.means.max() - self.means
        self._levels = np.ascontiguousarray(np.where(np.isfinite(self.sigma), self.sigma, -1.0).T)  # row: arm seen
        self._key = streams.reward.key
        self._noise = empty((2, streams.size))
        self._observations = empty((n_arms, streams.size))
        self._feedback = Feedback(empty(streams.size), empty(streams.size), self._observations)
        self._best = np.full(streams.size, int(np.argmax(self.means)), dtype=np.int64)
        own = np.ascontiguousarray(np.diag(self.sigma))
        self.problem = Problem(
            n_arms=n_arms, noise_sd=own if np.isfinite(own).all() else None, observation_sd=self.sigma.copy()
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
