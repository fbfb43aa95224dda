"""The random numbers: known answers, distributions, independence, and being a pure function of their coordinates.

Every statistical test has a fixed seed. A p-value above 1e-4 in some 40 tests and a deviation below 4.5 standard errors
in some 1000 are what a true generator passes with probability 0.99; samples are so large that a wrong constant fails.
"""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
from scipy import stats

from bandits import Streams, philox
from bandits.errors import BadParameter
from bandits.kernels import kernel
from bandits.streams import STREAM_NUMBERS

P_VALUE = 1e-4
SIZE = 1009  # prime, so that no vector width divides it


# --- the generator


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        (
            (0x00000000, 0x00000000, 0x00000000, 0x00000000),
            (0x00000000, 0x00000000),
            (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
        ),
        (
            (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
            (0xFFFFFFFF, 0xFFFFFFFF),
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_philox_gives_the_published_known_answers(counter, key, answer):
    """Random123, examples/kat_vectors, philox4x32 with 10 rounds."""
    assert tuple(int(word) for word in philox.philox4x32(*map(np.uint64, (*counter, *key)))) == answer


def philox_by_hand(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """Philox4x32-10 in Python's unbounded integers (Salmon et al. 2011, Section 3)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


@pytest.mark.parametrize(
    ("seed", "first", "t"), [(0, 0, 1), (2**64 - 1, 2**32 - 3, 2**32 - 1), (0xDEADBEEF_12345678, 977, 12345)]
)
def test_a_uniform_table_is_philox_at_the_documented_counter(seed, first, t):
    """The layout of the counter and ``(i + 1/2) / 2^52`` are part of the reproducibility contract."""
    table = Streams(seed, 3, first).agent.uniforms(t, 5)
    for slot, lane in itertools.product(range(5), range(3)):
        counter = (t, first + lane, STREAM_NUMBERS["agent"] << 24 | slot >> 1, philox.UNIFORM_TABLE << 24)
        words = philox_by_hand(counter, (seed % 2**32, seed >> 32))
        high, low = words[2:] if slot % 2 else words[:2]
        assert table[slot, lane] == ((high << 32 | low) // 2**12 + 0.5) / 2**52


def test_the_unit_interval_is_open():
    zero, ones = philox.unit(np.uint64(0)), philox.unit(np.uint64(2**64 - 1))
    assert 0.0 < zero == 2.0**-53
    assert 1.0 > ones == 1.0 - 2.0**-53


def test_box_muller_is_radius_times_sine_and_cosine_of_a_uniform_angle():
    """Against NumPy's own log, sin and cos; the angle is ``2 pi w / 2^64 - pi / 4`` for a word w."""
    words = np.random.default_rng(1).integers(0, 2**64, size=(2000, 2), dtype=np.uint64)
    got = np.array([philox.box_muller(*pair) for pair in words])
    radius = np.sqrt(-2.0 * np.log((words[:, 0] >> np.uint64(12)).astype(float) / 2.0**52 + 2.0**-53))
    angle = 2.0 * np.pi * (words[:, 1].astype(float) / 2.0**64) - np.pi / 4
    expected = radius[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-14)


# --- distributions


def rounds_of(sample, rounds=range(1, 101), size=2003):
    """One series over many rounds, flat."""
    return np.concatenate([np.array(sample(Streams(4, size).agent, t)).ravel() for t in rounds])


SERIES_AND_TABLES = {
    "uniform": (lambda s, t: s.uniform(t), stats.uniform()),
    "uniforms": (lambda s, t: s.uniforms(t, 3), stats.uniform()),
    "normal": (lambda s, t: s.normal(t), stats.norm()),
    "normals": (lambda s, t: s.normals(t, 3), stats.norm()),
    "exponential": (lambda s, t: s.exponential(t), stats.expon()),
    "exponentials": (lambda s, t: s.exponentials(t, 3), stats.expon()),
    **{
        f"gammas, shape {shape}": (
            lambda s, t, shape=shape: s.gammas(t, np.full((3, s.size), shape)),
            stats.gamma(shape),
        )
        for shape in (0.3, 1.0, 2.5, 40.0)
    },
    **{
        f"betas, {a} and {b}": (
            lambda s, t, a=a, b=b: s.betas(t, np.full((3, s.size), a), np.full((3, s.size), b)),
            stats.beta(a, b),
        )
        for a, b in ((0.5, 0.5), (1.0, 1.0), (2.0, 5.0), (0.4, 30.0), (200.0, 100.0))
    },
}


@pytest.mark.parametrize("name", SERIES_AND_TABLES)
def test_a_sample_follows_its_distribution(name):
    """Kolmogorov-Smirnov on 200 309 draws: resolves a distance of 0.005 between distribution functions."""
    sample, distribution = SERIES_AND_TABLES[name]
    draws = rounds_of(sample, range(1, 101 if sample(Streams(4, 2).agent, 1).ndim == 1 else 34))
    assert stats.kstest(draws, distribution.cdf).pvalue > P_VALUE


@pytest.mark.parametrize("name", SERIES_AND_TABLES)
def test_a_sample_has_its_mean_and_variance(name):
    sample, distribution = SERIES_AND_TABLES[name]
    draws = rounds_of(sample, range(101, 201 if sample(Streams(4, 2).agent, 1).ndim == 1 else 134))
    mean, variance, kurtosis = map(float, distribution.stats("mvk"))
    n = draws.size
    assert abs(draws.mean() - mean) < 4.5 * math.sqrt(variance / n)
    assert abs(((draws - mean) ** 2).mean() - variance) < 4.5 * variance * math.sqrt((kurtosis + 2.0) / n)


def test_every_slot_of_a_gamma_table_has_the_shape_asked_for_there():
    """Shapes below, at and above 1 side by side and in both halves of a block, by lane: mean = variance = shape."""
    shapes = np.array([0.2, 3.0, 1.0, 0.7, 50.0])[:, None] * np.linspace(0.8, 1.2, 3)
    lanes = np.ascontiguousarray(np.repeat(shapes, 20000, axis=1))
    draws = Streams(8, lanes.shape[1]).agent.gammas(1, lanes).reshape(5, 3, 20000)
    se = np.sqrt(shapes / 20000)
    assert (abs(draws.mean(axis=2) - shapes) < 4.5 * se).all()
    se = np.sqrt((6.0 / shapes + 2.0) / 20000) * shapes  # kurtosis of a gamma: 6 / shape
    assert (abs(((draws - shapes[:, :, None]) ** 2).mean(axis=2) - shapes) < 4.5 * se).all()


def test_the_tail_of_the_normal_has_the_right_weight_and_ends_at_8_6():
    draws = rounds_of(lambda s, t: s.normal(t), range(1, 201), size=20011)
    assert abs(draws).max() < math.sqrt(2.0 * 53 * math.log(2.0))
    for level in (2.0, 3.0, 4.0):
        expected = draws.size * 2.0 * stats.norm.sf(level)
        assert abs((abs(draws) > level).sum() - expected) < 4.5 * math.sqrt(expected)


def chi_square(values, probabilities) -> float:
    """P-value of counts against probabilities; impossible values must be absent."""
    probabilities = np.asarray(probabilities, dtype=float) / np.sum(probabilities)
    counts = np.bincount(values.ravel(), minlength=probabilities.size)
    assert counts.size == probabilities.size, "a value outside the range"
    assert (counts[probabilities == 0] == 0).all(), "a value of probability 0"
    possible = probabilities > 0
    return float(stats.chisquare(counts[possible], counts.sum() * probabilities[possible]).pvalue)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 100])
def test_integers_are_uniform_on_0_to_n_minus_1(n):
    assert n == 1 or chi_square(rounds_of(lambda s, t: s.integers(t, n)), np.ones(n)) > P_VALUE
    assert (Streams(2, SIZE).agent.integers(1, 1) == 0).all()


@pytest.mark.parametrize(
    "weights",
    [[0.2, 0.5, 0.3], [0.0, 3.0, 0.0, 1.0, 0.0], [1e-3, 1.0, 1e3], [5e-324, 1.0], [7.0], [1e300, 1e300, 0.0]],
    ids=str,
)
def test_categorical_follows_weights_that_need_not_sum_to_one(weights):
    column = np.array(weights)[:, None]
    values = rounds_of(lambda s, t: s.categorical(t, np.repeat(column, s.size, axis=1)))
    likely = np.where(column[:, 0] < 1e-9 * column.sum(), 0.0, column[:, 0])
    assert np.count_nonzero(likely) == 1 or chi_square(values, likely) > P_VALUE
    assert set(values) <= set(np.flatnonzero(likely))


def test_categorical_uses_each_lane_s_own_weights():
    """Every lane has one possible arm."""
    size = 400
    possible = np.arange(size) % 5
    weights = (np.arange(5)[:, None] == possible).astype(float)
    assert (Streams(0, size).agent.categorical(1, weights) == possible).all()


def test_bernoulli_has_its_probability_per_lane():
    p = np.linspace(0.05, 0.95, 5)
    lanes = np.repeat(p, 4000)
    ones = sum(Streams(6, lanes.size).agent.bernoulli(t, lanes) for t in range(1, 11)).reshape(5, 4000).sum(axis=1)
    assert (abs(ones - 40000 * p) < 4.5 * np.sqrt(40000 * p * (1 - p))).all()


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_bernoulli_of_probability_0_and_1_is_certain(p):
    for t in range(1, 50):
        draw = Streams(6, SIZE).agent.bernoulli(t, p)
        assert draw.dtype == np.int64
        assert (draw == int(p)).all()


def test_all_24_permutations_of_4_are_equally_likely():
    draws = np.concatenate([Streams(9, 2003).agent.permutation(t, 4) for t in range(1, 51)], axis=1)
    assert (np.sort(draws, axis=0) == np.arange(4)[:, None]).all()
    number = {order: i for i, order in enumerate(itertools.permutations(range(4)))}
    assert chi_square(np.array([number[tuple(column)] for column in draws.T.tolist()]), np.ones(24)) > P_VALUE


# --- independence


def uncorrelated(a, b) -> bool:
    """Correlation, of the values and of their squared deviations, below 4.5 standard errors (1 / sqrt(n))."""
    a, b = np.ravel(a), np.ravel(b)
    squares = [(x - x.mean()) ** 2 for x in (a, b)]
    return all(abs(np.corrcoef(x, y)[0, 1]) < 4.5 / math.sqrt(a.size) for x, y in ((a, b), squares))


def over_rounds(sample, rounds=range(1, 41), seed=12, size=2003):
    return np.array([np.array(sample(Streams(seed, size), t), dtype=float) for t in rounds])


@pytest.mark.parametrize("pair", list(itertools.combinations(STREAM_NUMBERS, 2)), ids="-".join)
def test_streams_are_uncorrelated(pair):
    a, b = (over_rounds(lambda s, t, name=name: getattr(s, name).normal(t)) for name in pair)
    assert uncorrelated(a, b)


@pytest.mark.parametrize("name", ["uniform", "normal", "exponential"])
@pytest.mark.parametrize("lag", [1, 2, 16])
def test_rounds_of_a_series_are_uncorrelated(name, lag):
    draws = over_rounds(lambda s, t: getattr(s.agent, name)(t), range(1, 81))
    assert uncorrelated(draws[lag:], draws[:-lag])


@pytest.mark.parametrize("name", ["uniforms", "normals", "exponentials"])
def test_rounds_and_slots_of_a_table_are_uncorrelated(name):
    draws = over_rounds(lambda s, t: getattr(s.agent, name)(t, 4))
    assert uncorrelated(draws[1:], draws[:-1])
    for slot, other in itertools.combinations(range(4), 2):
        assert uncorrelated(draws[:, slot], draws[:, other])
    assert uncorrelated(draws[1:, 0], draws[:-1, 1])


@pytest.mark.parametrize(
    "sample",
    [
        lambda s, t: s.agent.normal(t),
        lambda s, t: s.agent.normals(t, 2),
        lambda s, t: s.agent.gammas(t, np.full((2, s.size), 0.7)),
        lambda s, t: s.agent.integers(t, 1000),
    ],
    ids=["normal", "normals", "gammas", "integers"],
)
@pytest.mark.parametrize("lag", [1, 2, 4, 8])
def test_replications_are_uncorrelated(sample, lag):
    """Lags up to the width of the vector registers."""
    draws = over_rounds(sample)
    assert uncorrelated(draws[..., lag:], draws[..., :-lag])


def test_gammas_of_adjacent_slots_are_uncorrelated():
    for shape in (0.3, 1.0, 8.0):
        draws = over_rounds(lambda s, t, shape=shape: s.agent.gammas(t, np.full((4, s.size), shape)))
        for slot, other in itertools.combinations(range(4), 2):
            assert uncorrelated(draws[:, slot], draws[:, other])


KINDS = {
    "uniform": lambda s, t: s.agent.uniform(t),
    "uniforms": lambda s, t: s.agent.uniforms(t, 1)[0],
    "normal": lambda s, t: s.agent.normal(t),
    "normals": lambda s, t: s.agent.normals(t, 1)[0],
    "exponential": lambda s, t: s.agent.exponential(t),
    "exponentials": lambda s, t: s.agent.exponentials(t, 1)[0],
    "gammas": lambda s, t: s.agent.gammas(t, np.full((1, s.size), 2.0))[0],
    "gammas below 1": lambda s, t: s.agent.gammas(t, np.full((1, s.size), 0.5))[0],
    "bernoulli": lambda s, t: s.agent.bernoulli(t, 0.3),
    "integers": lambda s, t: s.agent.integers(t, 1000),
    "categorical": lambda s, t: s.agent.categorical(t, np.ones((50, s.size))),
    "permutation": lambda s, t: s.agent.permutation(t, 50)[0],
}
SAME_TRIALS = {("gammas", "gammas below 1")}  # one distribution at two shapes


@pytest.mark.parametrize("pair", [p for p in itertools.combinations(KINDS, 2) if p not in SAME_TRIALS], ids="-".join)
def test_distributions_at_the_same_round_and_slot_are_uncorrelated(pair):
    """At even rounds t = 2j and at rounds j too: series number their blocks by t / 2, tables by t."""
    a, b = (over_rounds(KINDS[name], range(40)) for name in pair)
    assert uncorrelated(a, b)
    assert uncorrelated(a[::2], b[:20])
    assert uncorrelated(a[:20], b[::2])


SEEDS = [(0, 1), (7, 7 + 2**32), (2**63, 2**64 - 1), (5, 5 * 2**32)]


@pytest.mark.parametrize(("seed", "other"), SEEDS)
def test_different_seeds_give_uncorrelated_numbers(seed, other):
    """Also seeds that differ in the upper 32 bits alone."""
    a, b = (over_rounds(lambda s, t: s.agent.normal(t), seed=number) for number in (seed, other))
    assert uncorrelated(a, b)


# --- a pure function of (seed, replication, t, stream, slot)


def window(first: int, size: int):
    """Parameters per lane that depend on the replication alone."""
    return 0.1 + 1.7 * ((np.arange(first, first + size) * 0.37) % 1.0)


SAMPLERS = {
    "uniform": lambda s, t, w: s.uniform(t),
    "uniforms": lambda s, t, w: s.uniforms(t, 5),
    "normal": lambda s, t, w: s.normal(t),
    "normals": lambda s, t, w: s.normals(t, 5),
    "exponential": lambda s, t, w: s.exponential(t),
    "exponentials": lambda s, t, w: s.exponentials(t, 5),
    "gammas": lambda s, t, w: s.gammas(t, w * np.array([[0.5], [1.0], [9.0]])),
    "betas": lambda s, t, w: s.betas(t, w * np.array([[0.5], [1.0], [9.0]]), w * np.array([[3.0], [1.0], [0.4]])),
    "bernoulli": lambda s, t, w: s.bernoulli(t, w / 2.0),
    "integers": lambda s, t, w: s.integers(t, 13),
    "categorical": lambda s, t, w: s.categorical(t, w ** np.arange(4)[:, None]),
    "permutation": lambda s, t, w: s.permutation(t, 6),
}


@pytest.fixture(params=SAMPLERS)
def sample(request):
    """``sample(first, size, rounds)``: draws of these replications, in the order of the rounds, last axis lanes."""

    def draw(first, size, rounds, seed=3, stream="agent"):
        source = getattr(Streams(seed, size, first), stream)
        lanes = window(first, size)
        return np.array([np.array(SAMPLERS[request.param](source, t, lanes)) for t in rounds])

    return draw


@pytest.mark.parametrize(("first", "size"), [(0, 1), (0, 2), (5, 7), (17, 1), (30, 32), (1, 62), (61, 2)])
def test_any_window_of_replications_gives_the_same_bits(sample, first, size):
    rounds = (0, 1, 2, 17)
    whole = sample(0, 63, rounds)
    assert (sample(first, size, rounds) == whole[..., first : first + size]).all()


def test_the_last_replication_that_can_be_numbered_does_not_wrap(sample):
    whole = sample(2**32 - 40, 40, (1, 2))
    assert (sample(2**32 - 3, 3, (1, 2)) == whole[..., -3:]).all()
    assert not (whole == sample(0, 40, (1, 2))).all()


def test_the_order_of_rounds_does_not_matter(sample):
    rounds = [0, 1, 14, 15, 16, 17, 18, 31, 32, 33, 100]
    forwards = sample(0, 9, rounds)
    assert (sample(0, 9, rounds[::-1])[::-1] == forwards).all()
    assert (sample(0, 9, [t for t in rounds for _ in range(2)])[::2] == forwards).all()
    assert (np.concatenate([sample(0, 9, [t]) for t in rounds]) == forwards).all()


def test_rounds_at_the_end_of_the_range_are_all_different(sample):
    """T may be 2^32 - 1; nothing wraps round to the first rounds."""
    last = [2**32 - 18, 2**32 - 17, 2**32 - 16, 2**32 - 2, 2**32 - 1]
    late, early = sample(0, 50, last), sample(0, 50, [0, 1, 2, 15, 16])
    assert (sample(0, 50, last[::-1])[::-1] == late).all()
    rounds = np.concatenate([late, early]).reshape(10, -1)
    assert len({row.tobytes() for row in rounds}) == 10


def test_no_two_of_the_first_rounds_are_the_same(sample):
    draws = sample(0, 60, range(70)).reshape(70, -1)
    assert len({row.tobytes() for row in draws}) == 70


def test_streams_and_seeds_give_other_numbers(sample):
    seen = {sample(0, 60, [1], stream=name).tobytes() for name in STREAM_NUMBERS}
    seen |= {sample(0, 60, [1], seed=seed).tobytes() for seed in (0, 3 + 2**32, 3 + 2**63, 2**64 - 1)}
    assert len(seen) == len(STREAM_NUMBERS) + 4


@pytest.mark.parametrize("name", ["uniforms", "normals", "exponentials"])
def test_a_longer_table_begins_with_the_shorter_one(name):
    longest = getattr(Streams(1, 10).agent, name)(3, 9)
    for n in range(9):
        assert (getattr(Streams(1, 10).agent, name)(3, n) == longest[:n]).all()


def test_drawing_elsewhere_changes_nothing():
    """Several distributions and streams interleaved equal each alone."""
    together = Streams(5, 20)
    lanes = window(0, 20)
    mixed = {name: [] for name in SAMPLERS}
    for t in range(1, 36):
        for name, draw in SAMPLERS.items():
            mixed[name].append(np.array(draw(together.agent, t, lanes)))
            draw(together.reward, t, lanes)
    for name, draw in SAMPLERS.items():
        alone = Streams(5, 20)
        for t, values in enumerate(mixed[name], start=1):
            assert (draw(alone.agent, t, lanes) == values).all(), name


def test_a_gamma_depends_on_its_own_shape_alone():
    """A neighbour that is retried more often moves nothing."""
    shapes = np.full((4, 300), 2.0)
    others = shapes.copy()
    others[1], others[:, 1::2] = 0.2, 0.4
    a, b = (Streams(5, 300).agent.gammas(1, table) for table in (shapes, others))
    assert (a[[0, 2, 3], ::2] == b[[0, 2, 3], ::2]).all()
    assert (a[1] != b[1]).all()


# --- in kernels


@kernel
def draw_in_a_kernel(key, t, shapes, uniforms, normals, gammas, betas):
    for k in range(uniforms.shape[0]):
        for b in range(uniforms.shape[1]):
            uniforms[k, b] = philox.uniform_at(key, b, t, k)
            even, odd = philox.normal_pair(key, b, t, k >> 1)
            normals[k, b] = odd if k & 1 else even
            gammas[k, b] = philox.gamma_at(key, b, t, k, shapes[k, b], 0)
            betas[k, b] = philox.beta_at(key, b, t, k, shapes[k, b], 1.5)


@pytest.mark.parametrize("t", [0, 1, 16, 2**32 - 1])
def test_kernels_draw_the_same_bits_as_the_tables(t):
    stream = Streams(2**40 + 1, 203, 50).agent
    shapes = np.array([0.3, 1.0, 2.5, 40.0, 0.9])[:, None] * np.linspace(0.9, 1.1, 203)
    out = [np.empty(shapes.shape) for _ in range(4)]
    draw_in_a_kernel(stream.key, t, shapes, *out)
    tables = (
        stream.uniforms(t, 5),
        stream.normals(t, 5),
        stream.gammas(t, shapes),
        stream.betas(t, shapes, np.full_like(shapes, 1.5)),
    )
    for mine, table in zip(out, tables, strict=True):
        assert (mine == table).all()


def test_the_functions_of_kernels_can_be_called_from_python_with_the_same_bits():
    stream = Streams(3, 4).agent
    shapes = np.full((3, 4), 0.8)
    assert philox.uniform_at(stream.key, 2, 5, 1) == stream.uniforms(5, 3)[1, 2]
    assert philox.normal_pair(stream.key, 2, 5, 1)[0] == stream.normals(5, 3)[2, 2]
    assert philox.gamma_at(stream.key, 2, 5, 1, 0.8, 0) == stream.gammas(5, shapes)[1, 2]
    assert philox.beta_at(stream.key, 2, 5, 1, 0.8, 0.8) == stream.betas(5, shapes, shapes)[1, 2]


# --- arguments


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_outside_64_bits_is_refused(seed):
    with pytest.raises(BadParameter, match=str(seed)):
        Streams(seed)


@pytest.mark.parametrize(("size", "first"), [(0, 0), (-1, 0), (1, -1), (2, 2**32 - 1)])
def test_replications_outside_32_bits_are_refused(size, first):
    with pytest.raises(BadParameter, match="range"):
        Streams(0, size, first)


def test_the_batch_knows_its_replications():
    assert Streams(0, 3, 7).replications.tolist() == [7, 8, 9]


@pytest.mark.parametrize("shape", [0.0, -1.0, 1e-3, math.inf, math.nan])
def test_a_gamma_shape_that_cannot_be_drawn_well_is_refused(shape):
    """Below 0.01 draws underflow to 0, and an infinite shape would be tried for ever."""
    shapes = np.ones((2, 5))
    shapes[1, 3] = shape
    with pytest.raises(ValueError, match="must lie in"):
        Streams(0, 5).agent.gammas(1, shapes)
    with pytest.raises(ValueError, match="must lie in"):
        Streams(0, 5).agent.betas(1, np.ones((2, 5)), shapes)


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda s: s.integers(1, 0), "n must lie in"),
        (lambda s: s.integers(1, -3), "n must lie in"),
        (lambda s: s.bernoulli(1, 1.5), "p must lie in"),
        (lambda s: s.bernoulli(1, math.nan), "p must lie in"),
        (lambda s: s.bernoulli(1, np.full((2, 5), 0.5)), "p must be a number or have shape"),
        (lambda s: s.categorical(1, np.zeros((3, 5))), "one of them positive"),
        (lambda s: s.categorical(1, np.full((3, 5), -1.0)), "at least 0"),
        (lambda s: s.categorical(1, np.full((3, 5), math.nan)), "at least 0"),
        (lambda s: s.categorical(1, np.full((3, 5), 1e308)), "at most 1e300"),
        (lambda s: s.uniform(-1), "round t"),
        (lambda s: s.normals(2**32, 2), "round t"),
        (lambda s: s.uniforms(1, 2**24 + 1), "at most 2^24 slots"),
    ],
)
def test_a_draw_without_a_distribution_is_refused(draw, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        draw(Streams(0, 5).agent)


@pytest.mark.parametrize("table", [np.ones(5), np.ones((2, 4)), np.ones((1, 2, 5)), np.ones((5, 1))])
def test_a_table_of_the_wrong_shape_is_refused(table):
    stream = Streams(0, 5).agent
    for draw in (stream.gammas, stream.categorical, lambda t, x: stream.betas(t, x, x)):
        with pytest.raises(ValueError, match=r"expected \(n, 5\)"):
            draw(1, table)


def test_tables_of_any_memory_layout_and_number_type_are_accepted():
    shapes = np.arange(1, 11).reshape(2, 5)
    stream = Streams(0, 5).agent
    expected = stream.gammas(1, shapes.astype(float))
    for table in (shapes, np.asfortranarray(shapes), shapes.astype(np.float32), np.repeat(shapes, 2, axis=0)[::2]):
        assert (stream.gammas(1, table) == expected).all()


@kernel
def one_of_each(key, t, p, n, weights, slots, exponentials, bernoulli, integers, categorical, permutation):
    for b in range(bernoulli.size):
        for slot in range(slots):
            exponentials[slot, b] = philox.exponential_at(key, b, t, slot)
        bernoulli[b] = philox.bernoulli_at(key, b, t, p)
        integers[b] = philox.integer_at(key, b, t, n)
        categorical[b] = philox.categorical_at(key, b, t, weights[:, b])
        philox.permute(key, b, t, permutation[:, b])


@pytest.mark.parametrize("t", [0, 1, 15, 16, 77])
def test_every_discrete_draw_is_the_same_in_a_kernel(t):
    stream, size = Streams(3, 40, 5).agent, 40
    weights = np.random.default_rng(0).random((4, size))
    exponentials, permutation = np.empty((3, size)), np.empty((7, size), dtype=np.int64)
    bernoulli, integers, categorical = (np.empty(size, dtype=np.int64) for _ in range(3))
    one_of_each(stream.key, t, 0.3, 9, weights, 3, exponentials, bernoulli, integers, categorical, permutation)
    assert np.array_equal(exponentials, stream.exponentials(t, 3))
    assert np.array_equal(bernoulli, stream.bernoulli(t, 0.3))
    assert np.array_equal(integers, stream.integers(t, 9))
    assert np.array_equal(categorical, stream.categorical(t, weights))
    assert np.array_equal(permutation, stream.permutation(t, 7))
