"""Random numbers as a pure function of their coordinates: Philox4x32-10 and the transforms built on it.

One call of the generator, a *block*, turns a 64-bit seed and a 128-bit counter into two 64-bit words. The counter is

    t (32 bits) | replication (32) | stream (8) slot (24) | kind (8) attempt (24)

so no draw depends on what was drawn before it, and any number can be recomputed alone. ``stream`` separates consumers
(reward noise, agent, ...), ``kind`` separates distributions, so that a uniform and a normal of the same round and
slot are independent, and ``attempt`` counts the retries of rejection samplers.

A *series* has one number per round: rounds 2j and 2j + 1 share a block. A *table* has n numbers per round: slots 2j and
2j + 1 share a block. Functions here are scalar and inlined into kernels; `bandits.streams` fills arrays with them.

References:
    [1] Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    [2] Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import float64, int64, uint64

from .kernels import exp, inline, log

__all__ = [
    "Key",
    "bernoulli_at",
    "beta_at",
    "block",
    "box_muller",
    "categorical_at",
    "choose",
    "exponential_at",
    "gamma_at",
    "integer_at",
    "normal_pair",
    "permute",
    "philox4x32",
    "series_uniform",
    "uniform_at",
    "uniform_pair",
    "unit",
]

# Kinds, the upper byte of the last counter word. Numbers are part of the reproducibility contract: never renumber.
UNIFORM_SERIES, UNIFORM_TABLE, NORMAL_SERIES, NORMAL_TABLE = 1, 2, 3, 4
GAMMA_NORMAL, GAMMA_UNIFORM, GAMMA_BOOST = 5, 6, 7
EXPONENTIAL_SERIES, EXPONENTIAL_TABLE = 8, 9
BERNOULLI_SERIES, INTEGER_SERIES, CATEGORICAL_SERIES, PERMUTATION_TABLE = 10, 11, 12, 13

_LOW = uint64(0xFFFFFFFF)
_M0, _M1 = uint64(0xD2511F53), uint64(0xCD9E8D57)
_W0, _W1 = uint64(0x9E3779B9), uint64(0xBB67AE85)


Word = Any  # in compiled code: a 64-bit word, a lane or slot number, or a float


class Key(NamedTuple):
    """What a kernel needs to draw from one stream: lane b of the batch is replication ``first + b``."""

    seed: np.uint64
    first: np.uint64
    stream: np.uint64  # stream number in the upper 8 of 32 bits


@inline
def philox4x32(c0: Word, c1: Word, c2: Word, c3: Word, k0: Word, k1: Word) -> tuple[Word, Word, Word, Word]:
    """Ten rounds of Philox4x32 [1]: four counter and two key words (32 bits in uint64) to four words."""
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0, c1, c2, c3 = (p1 >> uint64(32)) ^ c1 ^ k0, p1 & _LOW, (p0 >> uint64(32)) ^ c3 ^ k1, p0 & _LOW
        k0 = (k0 + _W0) & _LOW
        k1 = (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@inline
def block(key: Key, lane: Word, t: Word, slot: Word, kind: Word, attempt: Word) -> tuple[Word, Word]:
    """Two 64-bit words for lane ``lane`` at counter (t, slot, kind, attempt)."""
    c0, c1, c2, c3 = philox4x32(
        uint64(t) & _LOW,
        (key.first + uint64(lane)) & _LOW,
        key.stream | uint64(slot),
        (uint64(kind) << uint64(24)) | uint64(attempt),
        key.seed & _LOW,
        key.seed >> uint64(32),
    )
    return (c0 << uint64(32)) | c1, (c2 << uint64(32)) | c3


@inline
def unit(word: Word) -> Word:
    """Uniform on the open interval (0, 1) from the upper 52 bits: ``(i + 1/2) / 2^52``."""
    return (float64(int64(word >> uint64(12))) + 0.5) * (1.0 / 4503599627370496.0)


@inline
def _sin_cos_turn(word: Word) -> tuple[Word, Word]:
    """Sine and cosine of a uniform angle: two bits choose the quadrant, 52 the angle in (-pi/4, pi/4)."""
    quadrant = word >> uint64(62)
    y = (float64(int64((word << uint64(2)) >> uint64(12))) + 0.5) * (0.78539816339744830962 / 2251799813685248.0)
    y = y - 0.78539816339744830962
    z = y * y
    s = y + y * z * (
        -1.66666666666666324348e-01
        + z
        * (
            8.33333333332248946124e-03
            + z
            * (
                -1.98412698298579493134e-04
                + z * (2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10))
            )
        )
    )
    c = (
        1.0
        - 0.5 * z
        + z
        * z
        * (
            4.16666666666666019037e-02
            + z
            * (
                -1.38888888888741095749e-03
                + z
                * (
                    2.48015872894767294178e-05
                    + z
                    * (-2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))
                )
            )
        )
    )
    swap = (quadrant & uint64(1)) != 0
    sine = c if swap else s
    cosine = s if swap else c
    sine = -sine if (quadrant & uint64(2)) != 0 else sine
    cosine = -cosine if ((quadrant + uint64(1)) & uint64(2)) != 0 else cosine
    return sine, cosine


@inline
def box_muller(word0: Word, word1: Word) -> tuple[Word, Word]:
    """Two independent standard normals from two words; the tail reaches 8.6 standard deviations."""
    radius = np.sqrt(-2.0 * log(unit(word0)))
    sine, cosine = _sin_cos_turn(word1)
    return radius * sine, radius * cosine


@inline
def uniform_pair(key: Key, lane: Word, t: Word, pair: Word) -> tuple[Word, Word]:
    """Slots ``2 pair`` and ``2 pair + 1`` of the uniform table."""
    word0, word1 = block(key, lane, t, pair, UNIFORM_TABLE, 0)
    return unit(word0), unit(word1)


@inline
def uniform_at(key: Key, lane: Word, t: Word, slot: Word) -> Word:
    """One slot of the uniform table."""
    word0, word1 = block(key, lane, t, slot >> 1, UNIFORM_TABLE, 0)
    return unit(word1) if slot & 1 else unit(word0)


@inline
def normal_pair(key: Key, lane: Word, t: Word, pair: Word) -> tuple[Word, Word]:
    """Slots ``2 pair`` and ``2 pair + 1`` of the normal table."""
    word0, word1 = block(key, lane, t, pair, NORMAL_TABLE, 0)
    return box_muller(word0, word1)


@inline
def series_uniform(key: Key, lane: Word, t: Word, kind: Word) -> Word:
    """Round t of a uniform series of the given kind: what is behind ``uniform(t)``, ``bernoulli(t, p)`` and so on."""
    word0, word1 = block(key, lane, t >> 1, 0, kind, 0)
    return unit(word1) if t & 1 else unit(word0)


@inline
def exponential_at(key: Key, lane: Word, t: Word, slot: Word) -> Word:
    """One slot of the exponential table, mean 1."""
    word0, word1 = block(key, lane, t, slot >> 1, EXPONENTIAL_TABLE, 0)
    return -log(unit(word1) if slot & 1 else unit(word0))


@inline
def bernoulli_at(key: Key, lane: Word, t: Word, p: Word) -> Word:
    """1 with probability p, else 0: the number of ``bernoulli(t, p)``."""
    return 1 if series_uniform(key, lane, t, BERNOULLI_SERIES) < p else 0


@inline
def integer_at(key: Key, lane: Word, t: Word, n: Word) -> Word:
    """Uniform on 0..n-1: the number of ``integers(t, n)``."""
    return int64(series_uniform(key, lane, t, INTEGER_SERIES) * n)


@inline
def choose(weights: Word, uniform: Word) -> Word:
    """Index with probability proportional to ``weights`` (n,): where the running sum passes the uniform's share."""
    total = 0.0
    for k in range(weights.size):
        total += weights[k]
    target = uniform * total
    running, chosen = 0.0, -1
    for k in range(weights.size):
        if weights[k] > 0.0 and (chosen < 0 or running <= target):
            chosen = k
        running += weights[k]
    return chosen


@inline
def categorical_at(key: Key, lane: Word, t: Word, weights: Word) -> Word:
    """Arm with probability proportional to ``weights`` (n,): the number of ``categorical(t, ...)``."""
    return choose(weights, series_uniform(key, lane, t, CATEGORICAL_SERIES))


@inline
def permute(key: Key, lane: Word, t: Word, out: Word) -> None:
    """Fill ``out`` (n,) with a uniform permutation of 0..n-1: the numbers of ``permutation(t, n)``."""
    n = out.size
    for i in range(n):
        out[i] = i
    for i in range(n - 1):  # Fisher-Yates: position i swaps with a uniform position in i..n-1
        word0, word1 = block(key, lane, t, i >> 1, PERMUTATION_TABLE, 0)
        j = i + int64((unit(word1) if i & 1 else unit(word0)) * (n - i))
        out[i], out[j] = out[j], out[i]


@inline
def gamma_trial(shape: Word, normal: Word, uniform: Word) -> Word:
    """One trial of Marsaglia and Tsang [2] for ``shape >= 1``: the draw, or -1 where it is rejected."""
    d = shape - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    v = 1.0 + c * normal
    cube = v * v * v
    safe = cube if cube > 1e-300 else 1e-300
    accepted = (v > 0.0) & (log(uniform) < 0.5 * normal * normal + d - d * cube + d * log(safe))
    return d * cube if accepted else -1.0


@inline
def gamma_at(key: Key, lane: Word, t: Word, slot: Word, shape: Word, attempt: Word) -> Word:
    """Gamma(shape, 1) at a slot, trying from ``attempt`` on; a shape below 1 is boosted by ``u^(1/shape)``."""
    pair, odd = slot >> 1, slot & 1
    raised = shape + 1.0 if shape < 1.0 else shape
    draw = -1.0
    while draw < 0.0:
        word0, word1 = block(key, lane, t, pair, GAMMA_NORMAL, attempt)
        sine, cosine = box_muller(word0, word1)
        word0, word1 = block(key, lane, t, pair, GAMMA_UNIFORM, attempt)
        draw = gamma_trial(raised, cosine if odd else sine, unit(word1) if odd else unit(word0))
        attempt += 1
    if shape < 1.0:
        word0, word1 = block(key, lane, t, pair, GAMMA_BOOST, 0)
        draw *= exp(log(unit(word1) if odd else unit(word0)) / shape)
    return draw


@inline
def beta_at(key: Key, lane: Word, t: Word, slot: Word, a: Word, b: Word) -> Word:
    """Beta(a, b) at a slot: ``x / (x + y)`` of the gammas at slots ``2 slot`` and ``2 slot + 1``."""
    x = gamma_at(key, lane, t, 2 * slot, a, 0)
    y = gamma_at(key, lane, t, 2 * slot + 1, b, 0)
    return x / (x + y) if x + y > 0.0 else 0.5
