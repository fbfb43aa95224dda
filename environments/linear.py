"""Linear contextual bandits: the mean of an arm is the inner product of its features and an unknown parameter.

In round t the agent sees a vector of d features ``x[a]`` for each arm, plays one, and gets

    reward = <x[a], theta> + sd[a] * z,    z standard normal.

With the logistic ``link`` the reward is 1 with probability ``1 / (1 + exp(-<x[a], theta>))``, else 0. The parameter is
one for all arms, or one per arm (``disjoint``). Features are given, or drawn: in every round anew, or once per
replication (``fixed``), which makes it a bandit with K arms whose means lie in a space of dimension d. With ``shared``
one vector goes with all arms, each of which has its own parameter. Regret is measured against the best arm of the
round. No lower bound is given: for features that change none is known that holds instance by instance.

References:
    [1] Abbasi-Yadkori, Pal and Szepesvari, "Improved Algorithms for Linear Stochastic Bandits", NeurIPS 2011.
    [2] Li, Chu, Langford and Schapire, "A Contextual-Bandit Approach to Personalized News Article Recommendation",
        WWW 2010 (one parameter per arm).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from bandits.arrays import empty
from bandits.kernels import exp, inner_products, inverse_root, kernel
from bandits.protocol import Context, Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_environment
from bandits.streams import Stream, Streams

from ._arms import bernoulli_round, gaussian_round
from .gaussian import noise_levels

__all__ = ["Linear"]

Law = Literal["sphere", "cube", "gaussian"]


@kernel
def to_sphere(x: FloatArray, radius: float, square: FloatArray) -> None:
    """Scale vectors, the columns of x (d, n, B), to the same length; square is scratch (B,)."""
    for k in range(x.shape[1]):
        for b in range(square.size):
            square[b] = 1e-290
        for i in range(x.shape[0]):
            for b in range(square.size):
                square[b] += x[i, k, b] * x[i, k, b]
        for b in range(square.size):
            square[b] = radius * inverse_root(square[b])
        for i in range(x.shape[0]):
            for b in range(square.size):
                x[i, k, b] *= square[b]


@kernel
def to_cube(x: FloatArray, half: float) -> None:
    """Map uniforms on (0, 1) to (-half, half): x is (d, n, B)."""
    for i in range(x.shape[0]):
        for k in range(x.shape[1]):
            for b in range(x.shape[2]):
                x[i, k, b] = half * (2.0 * x[i, k, b] - 1.0)


@kernel
def write_gaps(means: FloatArray, gaps: FloatArray, best_mean: FloatArray, best: IntArray) -> None:
    """Best arm of each lane, the lowest of equals, its mean, and how far below it the others lie (K, B)."""
    for b in range(best.size):
        best_mean[b] = means[0, b]
        best[b] = 0
    for a in range(1, means.shape[0]):
        for b in range(best.size):
            better = means[a, b] > best_mean[b]
            best_mean[b] = means[a, b] if better else best_mean[b]
            best[b] = a if better else best[b]
    for a in range(means.shape[0]):
        for b in range(best.size):
            gaps[a, b] = best_mean[b] - means[a, b]


@kernel
def squash(means: FloatArray) -> None:
    """Replace every number by its logistic function."""
    for a in range(means.shape[0]):
        for b in range(means.shape[1]):
            means[a, b] = 1.0 / (1.0 + exp(-means[a, b]))


@register_environment("linear", source="Abbasi-Yadkori, Pal and Szepesvari (2011); Li et al. (2010)")
class Linear:
    """Arms whose means are linear in features that the agent sees, with Gaussian noise of known level; or logistic.

    Args:
        streams: Random streams of the batch.
        features: K lists of d numbers, the same in every round; or how each arm's are drawn: "sphere" (uniform on the
            unit sphere), "cube" (uniform, each within 1 / sqrt(d) of 0) or "gaussian" (standard normal).
        n_arms: Number of arms K, where features are drawn.
        n_features: Number of features d, where features are drawn.
        fixed: Draw the features once for each replication, instead of in every round.
        shared: One vector of features goes with all arms; each arm then has its own parameter.
        parameter: Theta, d numbers, or K lists of d numbers; None draws it for each replication, uniformly from the
            sphere of radius ``parameter_norm``.
        disjoint: Draw one parameter per arm.
        parameter_norm: Length S of a parameter that is drawn.
        sd: Standard deviation of the noise, one number or one per arm; not used with the logistic link.
        link: "identity", or "logistic" for rewards 0 and 1 whose log odds are linear.
    """

    examples = (
        {"n_arms": 4, "n_features": 3},
        {"features": [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], "parameter": [0.3, 0.4], "sd": [0.5, 1.0, 0.2]},
        {"features": "cube", "n_arms": 3, "n_features": 2, "fixed": True, "parameter_norm": 2.0},
        {"features": "gaussian", "n_arms": 3, "n_features": 2, "disjoint": True, "sd": 0.5},
        {"n_arms": 4, "n_features": 3, "link": "logistic", "parameter_norm": 3.0},
        {"n_arms": 3, "n_features": 2, "shared": True, "parameter": [[1.0, 0.0], [0.0, 1.0], [-0.6, -0.8]]},
    )

    def __init__(
        self,
        streams: Streams,
        *,
        features: Law | Sequence[Sequence[float]] = "sphere",
        n_arms: int | None = None,
        n_features: int | None = None,
        fixed: bool = False,
        shared: bool = False,
        parameter: Sequence[float] | Sequence[Sequence[float]] | None = None,
        disjoint: bool = False,
        parameter_norm: float = 1.0,
        sd: float | Sequence[float] = 1.0,
        link: Literal["identity", "logistic"] = "identity",
    ) -> None:
        self._law = features if isinstance(features, str) else None
        given = None if isinstance(features, str) else table(features, "features")
        if shared and (given is not None or fixed):
            raise ValueError("shared features are drawn in every round: leave out features=[...] and fixed")
        n_arms, d = _sizes(given, n_arms, n_features)
        self._shape = (d, 1 if shared else n_arms, streams.size)
        self.theta, norm = _parameter(streams, parameter, n_arms, d, disjoint or shared, parameter_norm)
        self._context_stream, self._noise = streams.context, streams.reward
        self._sd = noise_levels(sd, n_arms) if link == "identity" else None
        self._scratch = empty(streams.size)
        self._best = empty(streams.size, np.int64)
        self.means, self._gaps = empty((n_arms, streams.size)), empty((n_arms, streams.size))
        self._feedback = Feedback(empty(streams.size), empty(streams.size))
        self._x = empty(self._shape)
        if given is not None:
            self._x[:] = given.T[:, :, None]
        elif fixed:
            self._draw(streams.instance, 1)
        self._fixed = fixed or given is not None
        if self._fixed:
            self._set_means()
        self.problem = Problem(
            n_arms=n_arms,
            noise_sd=None if self._sd is None else self._sd.copy(),
            reward_range=(0.0, 1.0) if self._sd is None else None,
            context=self._facts(given, shared, None if self._sd is None else norm),
        )

    def _facts(self, given: FloatArray | None, shared: bool, parameter_norm: float | None) -> Context:
        norms = {"sphere": 1.0, "cube": 1.0, "gaussian": None}
        half = 1.0 / math.sqrt(self._shape[0])
        ranges = {"sphere": (-1.0, 1.0), "cube": (-half, half), "gaussian": None}
        fixed = None if not self._fixed else self._x.copy() if given is None else given.T[:, :, None].copy()
        return Context(
            n_features=self._shape[0],
            per_arm=not shared,
            features=fixed,
            feature_norm=longest(given) if self._law is None and given is not None else norms[self._law or ""],
            feature_range=None if self._law is None else ranges[self._law],
            parameter_norm=parameter_norm,
        )

    def _draw(self, stream: Stream, t: int) -> None:
        d, n, size = self._shape
        flat = self._x.reshape(d * n, size)
        if self._law == "cube":
            stream.uniforms(t, d * n, flat)
            to_cube(self._x, 1.0 / math.sqrt(d))
            return
        stream.normals(t, d * n, flat)
        if self._law == "sphere":
            to_sphere(self._x, 1.0, self._scratch)

    def _set_means(self) -> None:
        inner_products(self._x, self.theta, self.means)
        if self._sd is None:
            squash(self.means)
        write_gaps(self.means, self._gaps, self._scratch, self._best)

    def observe(self, t: int) -> FloatArray:
        """Features of round t: (d, K, B), or (d, B) if they are shared."""
        if not self._fixed:
            self._draw(self._context_stream, t)
            self._set_means()
        return self._x if self.problem.context is None or self.problem.context.per_arm else self._x[:, 0]

    def step(self, t: int, action: IntArray) -> Feedback:
        """Play one round; call `observe` first."""
        out, noise = self._feedback, self._noise
        if self._sd is None:
            bernoulli_round(self.means, self._gaps, action, noise.uniform(t), out.reward, out.regret)
        else:
            gaussian_round(self.means, self._gaps, self._sd, action, noise.normal(t), out.reward, out.regret)
        return out

    def best_action(self, t: int) -> IntArray:
        """For the oracle: arm with the largest mean in the round that was observed last, shape (B,)."""
        return self._best

    def bound(self) -> None:
        """None is known that holds for every instance."""


def table(rows: Sequence[Sequence[float]], name: str) -> FloatArray:
    """Rows of equally many finite numbers, at least one of each, as an array."""
    if len(rows) == 0:
        raise ValueError(f"{name} is empty: give one list of numbers for each arm")
    for k, row in enumerate(rows):
        if not isinstance(row, Sequence):
            raise ValueError(f"{name}[{k}] is {row!r}, expected a list of numbers")
        if len(row) == 0:
            raise ValueError(f"{name}[{k}] is empty: there must be at least one feature")
        if len(row) != len(rows[0]):
            raise ValueError(f"{name}[{k}] has {len(row)} numbers, expected {len(rows[0])} like {name}[0]")
        for i, value in enumerate(row):
            if not math.isfinite(value):
                raise ValueError(f"{name}[{k}][{i}] = {value:g} is not a finite number")
    return np.array(rows, dtype=np.float64)


def longest(vectors: FloatArray) -> float:
    """Length of the longest row."""
    return max(math.sqrt(math.fsum(x * x for x in row)) for row in vectors.tolist())


def _sizes(given: FloatArray | None, n_arms: int | None, n_features: int | None) -> tuple[int, int]:
    """Numbers of arms and of features."""
    if given is not None:
        for name, said, is_ in (("n_arms", n_arms, given.shape[0]), ("n_features", n_features, given.shape[1])):
            if said is not None and said != is_:
                raise ValueError(f"{name} is {said} but features is a list of {is_}: leave {name} out")
        return given.shape[0], given.shape[1]
    if n_arms is None or n_arms < 1:
        raise ValueError(f"n_arms must be at least 1, got {n_arms}")
    if n_features is None or n_features < 1:
        raise ValueError(f"n_features must be at least 1, got {n_features}")
    return n_arms, n_features


def _parameter(
    streams: Streams,
    given: Sequence[float] | Sequence[Sequence[float]] | None,
    n_arms: int,
    d: int,
    disjoint: bool,
    norm: float,
) -> tuple[FloatArray, float]:
    """Theta of every lane, shape (d, 1, B), or (d, K, B) with one per arm; and the length of the longest."""
    if not 0 <= norm < math.inf:
        raise ValueError(f"parameter_norm must be at least 0 and finite, got {norm:g}")
    if given is None:
        n = n_arms if disjoint else 1
        theta = streams.instance.normals(0, d * n).reshape(d, n, streams.size)
        to_sphere(theta, norm, empty(streams.size))
        return theta, norm
    per_arm = len(given) > 0 and isinstance(given[0], Sequence)
    if disjoint and not per_arm:
        raise ValueError(f"parameter must be {n_arms} lists of {d} numbers, one for each arm")
    rows = table(given if per_arm else [given], "parameter")  # type: ignore[arg-type, list-item]  # rows by the test above
    if rows.shape != (n_arms if per_arm else 1, d):
        wanted = f"{n_arms} lists of {d} numbers" if per_arm else f"{d} numbers, one for each feature"
        got = f"{rows.shape[0]} lists of {rows.shape[1]}" if per_arm else f"{rows.shape[1]}"
        raise ValueError(f"parameter must be {wanted}, got {got}")
    theta = np.ascontiguousarray(np.broadcast_to(rows.T[:, :, None], (d, rows.shape[0], streams.size)))
    return theta, longest(rows)
