"""Named random streams for a batch of replications.

    streams = Streams(seed=7, size=1000)
    streams.agent.uniform(t)        # one number per replication: shape (B,)
    streams.agent.normals(t, 5)     # five numbers per replication: shape (5, B)

Every number is a pure function of (seed, replication, t, stream, slot, attempt): see `bandits.philox`. So results do
not depend on the batch, on the order of calls, or on who else draws. ``normal(t)`` is a series, one number per
round, and ``normals(t, n)`` a table with n slots per round; the two are independent, and so are different
distributions at the same t.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import philox
from .arrays import empty
from .errors import BadParameter
from .kernels import inline, kernel, log
from .philox import Key, Word, block, box_muller, choose, gamma_at, gamma_trial, permute, unit
from .protocol import FloatArray, IntArray

__all__ = ["STREAM_NUMBERS", "STREAM_VERSION", "Stream", "Streams"]

STREAM_VERSION = 1  # raised whenever a change alters any draw

# Numbers are part of the reproducibility contract: never renumber.
STREAM_NUMBERS = {"instance": 1, "context": 2, "reward": 3, "network": 4, "agent": 5, "ties": 6}

_ROUNDS = 16  # rounds of a series that are drawn at once


@kernel
def fill_uniform_series(out: FloatArray, key: Key, t: int, kind: int) -> None:
    for j in range(out.shape[0] // 2):
        for b in range(out.shape[1]):
            word0, word1 = block(key, b, (t >> 1) + j, 0, kind, 0)
            out[2 * j, b] = unit(word0)
            out[2 * j + 1, b] = unit(word1)


@kernel
def fill_normal_series(out: FloatArray, key: Key, t: int, kind: int) -> None:
    for j in range(out.shape[0] // 2):
        for b in range(out.shape[1]):
            word0, word1 = block(key, b, (t >> 1) + j, 0, kind, 0)
            out[2 * j, b], out[2 * j + 1, b] = box_muller(word0, word1)


@kernel
def _fill_uniform_table(out: FloatArray, key: Key, t: int, kind: int) -> None:
    n = out.shape[0]
    for j in range(n // 2):
        for b in range(out.shape[1]):
            word0, word1 = block(key, b, t, j, kind, 0)
            out[2 * j, b] = unit(word0)
            out[2 * j + 1, b] = unit(word1)
    if n % 2:
        for b in range(out.shape[1]):
            word0, word1 = block(key, b, t, n // 2, kind, 0)
            out[n - 1, b] = unit(word0)


@kernel
def _fill_normal_table(out: FloatArray, key: Key, t: int) -> None:
    n = out.shape[0]
    for j in range(n // 2):
        for b in range(out.shape[1]):
            word0, word1 = block(key, b, t, j, philox.NORMAL_TABLE, 0)
            out[2 * j, b], out[2 * j + 1, b] = box_muller(word0, word1)
    if n % 2:
        for b in range(out.shape[1]):
            word0, word1 = block(key, b, t, n // 2, philox.NORMAL_TABLE, 0)
            out[n - 1, b], _ = box_muller(word0, word1)


@inline
def gamma_first_trials(key: Key, lane: Word, t: Word, pair: Word, shape0: Word, shape1: Word) -> tuple[Word, Word]:
    """First trial at slots ``2 pair`` and ``2 pair + 1``; a rejected one is negative, to be redone by `gamma_at`.

    Shapes below 1 count as rejected. Free of branches, so a loop over lanes is vectorised.
    """
    word0, word1 = block(key, lane, t, pair, philox.GAMMA_NORMAL, 0)
    sine, cosine = box_muller(word0, word1)
    word0, word1 = block(key, lane, t, pair, philox.GAMMA_UNIFORM, 0)
    x = gamma_trial(shape0 if shape0 > 1.0 else 1.0, sine, unit(word0))
    y = gamma_trial(shape1 if shape1 > 1.0 else 1.0, cosine, unit(word1))
    return x if shape0 >= 1.0 else -1.0, y if shape1 >= 1.0 else -1.0


@kernel
def _fill_gamma_table(out: FloatArray, shapes: FloatArray, key: Key, t: int) -> None:
    n, size = out.shape
    for j in range(n // 2):
        for b in range(size):
            out[2 * j, b], out[2 * j + 1, b] = gamma_first_trials(key, b, t, j, shapes[2 * j, b], shapes[2 * j + 1, b])
    if n % 2:
        for b in range(size):
            out[n - 1, b], _ = gamma_first_trials(key, b, t, n // 2, shapes[n - 1, b], 1.0)
    for k in range(n):
        for b in range(size):
            if out[k, b] < 0.0:
                out[k, b] = gamma_at(key, b, t, k, shapes[k, b], 0 if shapes[k, b] < 1.0 else 1)


@kernel
def _fill_permutations(out: IntArray, key: Key, t: int) -> None:
    for b in range(out.shape[1]):
        permute(key, b, t, out[:, b])


@kernel
def _choose(weights: FloatArray, uniform: FloatArray, out: IntArray) -> None:
    for b in range(out.size):
        out[b] = choose(weights[:, b], uniform[b])


@kernel
def _negative_log(out: FloatArray) -> None:
    for i in range(out.shape[0]):
        for b in range(out.shape[1]):
            out[i, b] = -log(out[i, b])


class Stream:
    """One named stream of a batch. ``t`` is a round (0 for draws made before the first).

    Attributes:
        key: For kernels: seed, first replication and stream number.
        size: Number of replications B.
    """

    def __init__(self, seed: int, first: int, number: int, size: int) -> None:
        self.key = Key(np.uint64(seed), np.uint64(first), np.uint64(number << 24))
        self.size = size
        self._blocks: dict[int, tuple[int, FloatArray]] = {}

    def _series(self, kind: int, t: int, fill: Callable[..., Any]) -> FloatArray:
        _check(0 <= t < 2**32, "round t must lie in [0, 2^32)", t)
        start, rows = self._blocks.get(kind, (-_ROUNDS, None))
        if rows is None or not start <= t < start + _ROUNDS:
            rows = empty((_ROUNDS, self.size)) if rows is None else rows
            start = t - t % _ROUNDS
            fill(rows, self.key, start, kind)
            self._blocks[kind] = (start, rows)
        row: FloatArray = rows[t - start]
        return row

    def uniform(self, t: int) -> FloatArray:
        """Uniform on the open interval (0, 1): shape (B,). A view: copy it to keep it past this round."""
        return self._series(philox.UNIFORM_SERIES, t, fill_uniform_series)

    def uniforms(self, t: int, n: int, out: FloatArray | None = None) -> FloatArray:
        """N uniforms per replication: shape (n, B), written into ``out`` if given."""
        out = self._empty(t, n, out)
        _fill_uniform_table(out, self.key, t, philox.UNIFORM_TABLE)
        return out

    def normal(self, t: int) -> FloatArray:
        """Standard normal: shape (B,). A view: copy it to keep it past this round."""
        return self._series(philox.NORMAL_SERIES, t, fill_normal_series)

    def normals(self, t: int, n: int, out: FloatArray | None = None) -> FloatArray:
        """N standard normals per replication: shape (n, B), written into ``out`` if given."""
        out = self._empty(t, n, out)
        _fill_normal_table(out, self.key, t)
        return out

    def exponential(self, t: int) -> FloatArray:
        """Exponential of mean 1: shape (B,)."""
        out = self._series(philox.EXPONENTIAL_SERIES, t, fill_uniform_series)[None].copy()
        _negative_log(out)
        row: FloatArray = out[0]
        return row

    def exponentials(self, t: int, n: int) -> FloatArray:
        """N exponentials of mean 1 per replication: shape (n, B)."""
        out = self._empty(t, n)
        _fill_uniform_table(out, self.key, t, philox.EXPONENTIAL_TABLE)
        _negative_log(out)
        return out

    def gammas(self, t: int, shapes: FloatArray) -> FloatArray:
        """Gamma(shape, 1) for each entry of ``shapes`` (n, B), which lie in [0.01, 1e12]."""
        shapes = self._table(shapes, "shapes")
        inside = (shapes >= 0.01) & (shapes <= 1e12)
        _check(bool(inside.all()), "gamma and beta shapes must lie in [0.01, 1e12]", shapes[~inside][:1])
        out = self._empty(t, shapes.shape[0])
        _fill_gamma_table(out, shapes, self.key, t)
        return out

    def betas(self, t: int, a: FloatArray, b: FloatArray) -> FloatArray:
        """Beta(a, b) for each entry of ``a`` and ``b`` (n, B), which lie in [0.01, 1e12]."""
        a, b = self._table(a, "a"), self._table(b, "b")
        _check(a.shape == b.shape, "a and b must have the same shape", (a.shape, b.shape))
        shapes = np.empty((2 * a.shape[0], self.size))
        shapes[0::2], shapes[1::2] = a, b
        gammas = self.gammas(t, shapes)
        total = gammas[0::2] + gammas[1::2]
        ratio: FloatArray = np.divide(gammas[0::2], total, out=np.full_like(total, 0.5), where=total > 0.0)
        return ratio

    def bernoulli(self, t: int, p: FloatArray | float) -> IntArray:
        """1 with probability p, a number or (B,), else 0: int64, shape (B,)."""
        p = np.asarray(p, dtype=np.float64)
        _check(p.shape in ((), (self.size,)), f"p must be a number or have shape ({self.size},)", p.shape)
        _check(bool(((p >= 0.0) & (p <= 1.0)).all()), "p must lie in [0, 1]", p)
        uniform = self._series(philox.BERNOULLI_SERIES, t, fill_uniform_series)
        return (uniform < p).astype(np.int64)

    def integers(self, t: int, n: int) -> IntArray:
        """Uniform on 0..n-1 (bias below n / 2^52): int64, shape (B,)."""
        _check(1 <= n <= 2**40, "n must lie in [1, 2^40]", n)
        uniform = self._series(philox.INTEGER_SERIES, t, fill_uniform_series)
        return (uniform * n).astype(np.int64)

    def categorical(self, t: int, probabilities: FloatArray) -> IntArray:
        """Arm k with probability proportional to ``probabilities[k, b]`` (n, B): int64, shape (B,)."""
        weights = self._table(probabilities, "probabilities")
        sound = (weights >= 0.0).all(axis=0) & (weights <= 1e300).all(axis=0) & (weights > 0.0).any(axis=0)
        _check(bool(sound.all()), "weights must be at least 0, at most 1e300, and one of them positive", weights)
        out = np.empty(self.size, dtype=np.int64)
        uniform = self._series(philox.CATEGORICAL_SERIES, t, fill_uniform_series)
        _choose(weights, uniform, out)
        return out

    def permutation(self, t: int, n: int) -> IntArray:
        """Uniform permutation of 0..n-1 per replication: int64, shape (n, B)."""
        out = np.empty_like(self._empty(t, n), dtype=np.int64)
        _fill_permutations(out, self.key, t)
        return out

    def _empty(self, t: int, n: int, out: FloatArray | None = None) -> FloatArray:
        """Room for n slots of round t, if the counter has room for them: ``out``, or a new array."""
        _check(0 <= t < 2**32, "round t must lie in [0, 2^32)", t)
        _check(0 <= n <= 2**24, "a round has at most 2^24 slots", n)
        if out is None:
            return empty((n, self.size))
        fits = out.shape == (n, self.size) and out.dtype == np.float64 and out.flags.c_contiguous
        _check(fits, f"out must be contiguous float64 of shape {(n, self.size)}", (out.dtype, out.shape))
        return out

    def _table(self, values: FloatArray, name: str) -> FloatArray:
        values = np.ascontiguousarray(values, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != self.size:
            raise ValueError(f"{name} has shape {values.shape}, expected (n, {self.size})")
        return values


def _check(holds: bool, expected: str, got: Any) -> None:
    if not holds:
        raise ValueError(f"{expected}, got {got}")


class Streams:
    """The streams of replications ``first .. first + size - 1`` under one seed.

    An environment draws from ``instance``, ``context``, ``reward`` and ``network``; an agent from ``agent`` and
    ``ties``.

    Args:
        seed: Experiment seed, 0 <= seed < 2^64.
        size: Number of replications B in the batch.
        first: Number of the first replication.
    """

    instance: Stream
    context: Stream
    reward: Stream
    network: Stream
    agent: Stream
    ties: Stream

    def __init__(self, seed: int = 0, size: int = 1, first: int = 0) -> None:
        if not 0 <= seed < 2**64:
            raise BadParameter(f"seed must lie in [0, 2^64), got {seed}")
        if size < 1 or first < 0 or first + size > 2**32:
            raise BadParameter(f"replications {first}..{first + size - 1} must be a non-empty range within [0, 2^32)")
        self.seed, self.size, self.first = seed, size, first
        for name, number in STREAM_NUMBERS.items():
            setattr(self, name, Stream(seed, first, number, size))

    @property
    def replications(self) -> IntArray:
        """Numbers of the batch's replications: shape (B,)."""
        return np.arange(self.first, self.first + self.size, dtype=np.int64)
