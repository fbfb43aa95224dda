"""The arithmetic of kernels, against 45-digit decimals, and the two ways to take the largest index."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy import stats

from bandits.kernels import HUGE, argmax, argmax_random, exp, inverse_root, kernel, log, log1p, power

SMALLEST, LARGEST = 2.0**-1022, math.nextafter(math.inf, 0.0)  # normal numbers


@pytest.fixture(autouse=True)
def digits():
    with localcontext() as context:
        context.prec = 45
        yield


def error_ulps(result: float, exact: Decimal) -> float:
    return float(abs(Decimal(result) - exact) / Decimal(math.ulp(result)))


def powers_of_ten(n: int, low: float, high: float, seed: int):
    return 10.0 ** np.random.default_rng(seed).uniform(low, high, n)


def signed(values):
    return np.concatenate([values, -values])


LOG_POINTS = np.concatenate(
    [
        powers_of_ten(2000, -307, 308, 1),
        1.0 + signed(powers_of_ten(1000, -16, -0.31, 2)),
        2.0 ** np.arange(-1022, 1024, 31),
        np.arange(1.0, 300.0),
        [SMALLEST, LARGEST, math.sqrt(0.5), math.sqrt(2.0), math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0)],
        [math.nextafter(math.sqrt(0.5), 0.0), math.nextafter(math.sqrt(2.0), 0.0), 2.0**-53, 1.0 - 2.0**-53],
    ]
)


def test_log_is_within_one_ulp():
    assert max(error_ulps(log(x), Decimal(x).ln()) for x in LOG_POINTS.tolist()) < 1.0


def test_log_of_1_is_exactly_0_and_log_accepts_a_whole_number():
    assert log(1.0) == log(1) == 0.0
    assert log(1000) == log(1000.0)


def test_log_never_decreases():
    """A bonus that shrank from one round to the next would be an artefact."""
    rounds = np.array([log(t) for t in range(1, 20000)])
    assert (np.diff(rounds) > 0).all()
    near = 1.0 + np.arange(-999, 1000) * 2.0**-52
    assert (np.diff([log(x) for x in near]) >= 0).all()


EXP_POINTS = np.concatenate(
    [
        np.random.default_rng(3).uniform(-708.0, 709.0, 3000),
        signed(powers_of_ten(1000, -300, 1, 4)),
        np.arange(-708.0, 709.0, 7.0),
        np.arange(-1020, 1020) * (0.5 * math.log(2.0)),  # where the exponent changes
    ]
)


def test_exp_is_within_one_ulp():
    assert max(error_ulps(exp(x), Decimal(x).exp()) for x in EXP_POINTS.tolist()) < 1.0


def test_exp_at_its_ends():
    """Zero below -708, clipped at e^709 above: always finite."""
    assert exp(0.0) == exp(-0.0) == 1.0
    assert 0.0 < exp(-708.0) < 1e-307
    assert exp(math.nextafter(-708.0, -math.inf)) == exp(-1e300) == exp(-math.inf) == 0.0
    assert exp(709.0) == exp(1e300) == exp(math.inf)
    assert math.isfinite(exp(math.inf))


LOG1P_POINTS = np.concatenate(
    [
        signed(powers_of_ten(1000, -300, -0.001, 5)),
        powers_of_ten(1000, 0, 300, 6),
        np.random.default_rng(7).uniform(-0.999, 3.0, 1000),
        signed(2.0 ** -np.arange(1.0, 60.0)),
        [-1.0 + 2.0**-53, -1.0 + 2.0**-40],
    ]
)


def decimal_log1p(x: float) -> Decimal:
    d = Decimal(x)
    return (1 + d).ln() if abs(x) > 1e-15 else d - d * d / 2 + d * d * d / 3


def test_log1p_is_accurate_near_0_and_elsewhere():
    assert max(error_ulps(log1p(x), decimal_log1p(x)) for x in LOG1P_POINTS.tolist()) < 2.0
    assert log1p(0.0) == 0.0


def test_power_loses_no_more_than_its_docstring_says():
    """An error of half an ulp in log x, times y, is ``|y log x| / 2`` relative ulps of the result; and one from exp."""
    rng = np.random.default_rng(8)
    for x, y in zip(powers_of_ten(3000, -30, 30, 9).tolist(), rng.uniform(-9.0, 9.0, 3000).tolist(), strict=True):
        assert error_ulps(power(x, y), (Decimal(y) * Decimal(x).ln()).exp()) < 1.5 + 2.0 * abs(y * math.log(x))


def test_powers_of_1_and_to_the_0_are_exactly_1():
    assert power(1.0, 1e300) == power(1.0, -3.0) == power(1e300, 0.0) == 1.0


# --- the same bits at any width


@kernel
def apply_log(x, out):
    for i in range(x.size):
        out[i] = log(x[i])


@kernel
def apply_exp(x, out):
    for i in range(x.size):
        out[i] = exp(x[i])


@kernel
def apply_log1p(x, out):
    for i in range(x.size):
        out[i] = log1p(x[i])


@kernel
def apply_power(x, out):
    for i in range(x.size):
        out[i] = power(x[i], 0.37)


@pytest.mark.parametrize(
    ("function", "over_arrays", "points"),
    [
        (log, apply_log, LOG_POINTS),
        (exp, apply_exp, np.append(EXP_POINTS, [-709.0, 710.0, math.inf, -math.inf])),
        (log1p, apply_log1p, LOG1P_POINTS),
        (lambda x: power(x, 0.37), apply_power, LOG_POINTS),
    ],
    ids=["log", "exp", "log1p", "power"],
)
def test_an_element_is_the_same_bits_alone_and_in_a_vector_of_any_width(function, over_arrays, points):
    """Vector body, its remainder, and a plain call from Python."""
    alone = np.array([function(x) for x in points.tolist()])
    for width in (*range(1, 20), 31, 32, 33, points.size):
        for first in (0, 1, 3, 200):
            x = points[first : first + width].copy()
            out = np.empty_like(x)
            over_arrays(x, out)
            assert (out == alone[first : first + width]).all(), (width, first)


# --- the largest index


def largest(index, uniforms=None):
    lanes = index.shape[1]
    action, best = np.full(lanes, -1, dtype=np.int64), np.empty(lanes)
    if uniforms is None:
        argmax(index, action, best)
    else:
        argmax_random(index, uniforms, action, best)
    assert (best == index.max(axis=0)).all()
    return action


def indices_with_ties(n_arms: int, lanes: int, seed: int):
    """Few distinct values, the extremes among them."""
    values = np.array([-math.inf, -HUGE, -1.0, -0.0, 0.0, 0.5, HUGE, math.inf])
    return np.random.default_rng(seed).choice(values, size=(n_arms, lanes))


@pytest.mark.parametrize("n_arms", [1, 2, 5, 33])
@pytest.mark.parametrize("lanes", [1, 2, 3, 7, 8, 9, 64, 1001])
def test_argmax_takes_the_lowest_of_the_largest(n_arms, lanes):
    index = indices_with_ties(n_arms, lanes, 10 * n_arms + lanes)
    expected = [max(range(n_arms), key=lambda k, b=b: (index[k, b], -k)) for b in range(lanes)]
    assert largest(index).tolist() == expected


@pytest.mark.parametrize("n_arms", [1, 2, 5, 33])
@pytest.mark.parametrize("lanes", [1, 2, 3, 7, 8, 9, 64, 1001])
def test_argmax_random_takes_the_largest_uniform_of_the_largest_indices(n_arms, lanes):
    index = indices_with_ties(n_arms, lanes, 10 * n_arms + lanes)
    uniforms = np.random.default_rng(lanes).random(index.shape).round(1)  # with ties of their own
    expected = [max(range(n_arms), key=lambda k, b=b: (index[k, b], uniforms[k, b], -k)) for b in range(lanes)]
    assert largest(index, uniforms).tolist() == expected


def test_argmax_random_never_takes_another_arm_than_a_largest():
    index = indices_with_ties(6, 20000, 1)
    chosen = largest(index, np.random.default_rng(2).random(index.shape))
    assert (index[chosen, np.arange(20000)] == index.max(axis=0)).all()


@pytest.mark.parametrize("tied", [(0, 1), (0, 3, 4), (1, 2, 4), (0, 1, 2, 3, 4)])
def test_argmax_random_is_uniform_over_the_tied_arms(tied):
    """Chi-square over 60 000 lanes, p above 1e-4."""
    index = np.full((5, 60000), -1.0)
    index[list(tied)] = 2.0
    chosen = largest(index, np.random.default_rng(3).random(index.shape))
    counts = np.bincount(chosen, minlength=5)
    assert counts[list(tied)].sum() == 60000
    assert stats.chisquare(counts[list(tied)]).pvalue > 1e-4


def test_argmax_of_one_lane_does_not_look_at_the_others():
    index = indices_with_ties(5, 40, 4)
    uniforms = np.random.default_rng(5).random(index.shape)
    for b in range(40):
        lane = np.s_[:, b : b + 1]
        assert largest(index[lane].copy()) == largest(index)[b]
        assert largest(index[lane].copy(), uniforms[lane].copy()) == largest(index, uniforms)[b]


def test_inverse_root_is_within_two_ulps():
    for x in [*powers_of_ten(3000, -300, 300, 7).tolist(), 1.0, 4.0, 1e-200, 1e150]:
        assert error_ulps(inverse_root(x), 1 / Decimal(x).sqrt()) < 2.0
