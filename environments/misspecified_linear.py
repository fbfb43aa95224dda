"""Linear bandits with a sparse parameter and a bounded misspecification (Dong and Yang, 2023).

Arm a has fixed features ``x[a]`` of length at most 1, and the mean

    mean[a] = <x[a], theta> + error[a],    |error[a]| <= epsilon,    theta s-sparse and of length 1.

Each replication draws its theta: a support, and a uniform direction on it. The features are shared by all. Three
adversaries choose the error, all of them for each replication:

- "random": epsilon with a random sign;
- "hide_best": -epsilon for the arms whose linear part is within 2 epsilon of the largest, +epsilon for the others;
- "least_squares": epsilon sign(<x[a], V^-1 x[b]>), V being the mean of x x' over the arms. This raises the
  least-squares estimate of arm b by up to epsilon sqrt(d). Of the arms b that would then look best, it takes the worst.

Regret is measured against the largest mean, errors included. No lower bound on it is known.

References:
    [1] Dong and Yang, "Does Sparsity Help in Learning Misspecified Linear Bandits?", ICML 2023.
    [2] Lattimore, Szepesvari and Weisz, "Learning with Good Feature Representations in Bandits and in RL with a
        Generative Model", ICML 2020 (error epsilon sqrt(d) without sparsity).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bandits.kernels import inner_products
from bandits.protocol import Context, Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_environment
from bandits.streams import Streams

from ._arms import gaussian_round
from .gaussian import noise_levels
from .linear import longest, table, to_sphere, write_gaps

__all__ = ["MisspecifiedLinear"]

NOBODY = 2**32 - 1  # a replication that is never played: features that all share come from its stream


@register_environment("misspecified_linear", source="Dong and Yang (2023)")
class MisspecifiedLinear:
    """Fixed features, means within epsilon of linear in them, a sparse parameter, Gaussian noise.

    Args:
        streams: Random streams of the batch.
        features: K lists of d numbers of length at most 1; None draws them uniformly from the unit sphere, the same for
            all replications of a seed.
        n_arms: Number of arms K, where features are drawn.
        n_features: Number of features d, where features are drawn.
        sparsity: Number s of entries of theta that are not 0.
        epsilon: Largest error of the linear model.
        adversary: Who chooses the errors: "random", "hide_best" or "least_squares".
        sd: Standard deviation of the noise, one number or one per arm.
    """

    examples = (
        {"n_arms": 6, "n_features": 4, "sparsity": 2, "sd": 0.1},
        {"features": [[1.0, 0.0], [0.6, 0.8], [-0.6, 0.8]], "adversary": "hide_best", "epsilon": 0.05, "sd": 0.2},
        {"n_arms": 1, "n_features": 2, "sd": 0.5, "adversary": "least_squares"},
    )

    def __init__(
        self,
        streams: Streams,
        *,
        features: Sequence[Sequence[float]] | None = None,
        n_arms: int | None = None,
        n_features: int | None = None,
        sparsity: int = 1,
        epsilon: float = 0.1,
        adversary: Literal["random", "hide_best", "least_squares"] = "random",
        sd: float | Sequence[float] = 0.0,
    ) -> None:
        if not 0.0 <= epsilon < np.inf:
            raise ValueError(f"epsilon must be at least 0 and finite, got {epsilon:g}")
        if adversary not in ("random", "hide_best", "least_squares"):
            raise ValueError(f"adversary must be 'random', 'hide_best' or 'least_squares', got {adversary!r}")
        self.features = _features(streams.seed, features, n_arms, n_features)
        d, n_arms, _ = self.features.shape
        if not 1 <= sparsity <= d:
            raise ValueError(f"sparsity must lie in 1..{d}, the number of features, got {sparsity}")
        size = streams.size
        self._sd, self._noise = noise_levels(sd, n_arms), streams.reward
        self.theta = _sparse_directions(streams, d, sparsity)
        self.linear = np.empty((n_arms, size))
        self._context = np.ascontiguousarray(np.broadcast_to(self.features, (d, n_arms, size)))
        inner_products(self._context, self.theta, self.linear)
        self.means = self.linear + epsilon * _signs(adversary, self.features[:, :, 0], self.linear, epsilon, streams)
        self._gaps, self._best = np.empty((n_arms, size)), np.empty(size, dtype=np.int64)
        write_gaps(self.means, self._gaps, np.empty(size), self._best)
        self._feedback = Feedback(np.empty(size), np.empty(size))
        self.problem = Problem(
            n_arms=n_arms,
            noise_sd=self._sd.copy(),
            context=Context(
                n_features=d, per_arm=True, features=self.features.copy(), feature_norm=1.0, parameter_norm=1.0
            ),
        )

    def observe(self, t: int) -> FloatArray:
        """The features, the same in every round: (d, K, B)."""
        return self._context

    def step(self, t: int, action: IntArray) -> Feedback:
        """Play one round."""
        out = self._feedback
        gaussian_round(self.means, self._gaps, self._sd, action, self._noise.normal(t), out.reward, out.regret)
        return out

    def best_action(self, t: int) -> IntArray:
        """For the oracle: arm with the largest mean, the lowest of equals, shape (B,)."""
        return self._best

    def bound(self) -> None:
        """No lower bound is known."""


def _features(
    seed: int, given: Sequence[Sequence[float]] | None, n_arms: int | None, n_features: int | None
) -> FloatArray:
    """Features of shape (d, K, 1), checked or drawn."""
    if given is not None:
        if n_arms is not None or n_features is not None:
            raise ValueError("features says how many arms and features there are: leave n_arms and n_features out")
        rows = table(given, "features")
        if longest(rows) > 1.0 + 1e-12:
            raise ValueError(f"features must have length at most 1, the longest has {longest(rows):.6g}: rescale them")
        return np.ascontiguousarray(rows.T[:, :, None])
    for name, value in (("n_arms", n_arms), ("n_features", n_features)):
        if value is None or value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    assert n_arms is not None and n_features is not None
    drawn = Streams(seed, 1, NOBODY).instance.normals(0, n_features * n_arms).reshape(n_features, n_arms, 1)
    to_sphere(drawn, 1.0, np.empty(1))
    return drawn


def _sparse_directions(streams: Streams, d: int, sparsity: int) -> FloatArray:
    """A unit vector with ``sparsity`` entries at random places in each lane, shape (d, 1, B)."""
    values = streams.instance.normals(0, sparsity)[:, None, :]
    to_sphere(values, 1.0, np.empty(streams.size))
    theta = np.zeros((d, 1, streams.size))
    places = streams.instance.permutation(0, d)[:sparsity]
    np.put_along_axis(theta[:, 0], places, values[:, 0], axis=0)
    return theta


def _signs(adversary: str, features: FloatArray, linear: FloatArray, epsilon: float, streams: Streams) -> FloatArray:
    """Errors in units of epsilon, each 1 or -1, shape (K, B): features (d, K), linear (K, B)."""
    if adversary == "random":
        return np.where(streams.instance.uniforms(0, linear.shape[0]) < 0.5, -1.0, 1.0)
    if adversary == "hide_best":
        return np.where(linear > linear.max(axis=0) - 2.0 * epsilon, -1.0, 1.0)
    influence = features.T @ np.linalg.pinv(features @ features.T) @ features  # (K, K), the same in any batch
    signs = np.where(influence < 0.0, -1.0, 1.0)
    push = epsilon * (influence @ signs)  # column b: what the errors that raise arm b do to every estimate
    worst, chosen = np.full(linear.shape[1], -np.inf), np.zeros(linear.shape[1], dtype=np.int64)
    for b in range(linear.shape[0]):
        means = linear + epsilon * signs[:, b, None]
        fooled = (linear + push[:, b, None]).argmax(axis=0) == b
        loss = np.where(fooled, means.max(axis=0) - means[b], -1.0)
        chosen[loss > worst] = b
        worst = np.maximum(worst, loss)
    return np.ascontiguousarray(signs[:, chosen])
