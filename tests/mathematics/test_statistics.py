"""Statistics against scipy, against definitions, and against simulated experiments whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bandits.comparison import Sample, compare_samples
from bandits.errors import BadParameter
from bandits.significance import gaps, holm, independent_test, paired_test, power, replications_needed, t_tests
from bandits.statistics import (
    chance_of_least_mean,
    efficient,
    log_slopes,
    mean_interval,
    quantile_interval,
    quantiles,
    share_best,
)

EXPERIMENTS = 2000


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def covered(low, high, truth):
    return float(((low < truth) & (truth < high)).mean())


@pytest.mark.parametrize("method", ["t", "normal", "bootstrap"])
@pytest.mark.parametrize("law", ["normal", "exponential"])
def test_an_interval_of_95_percent_covers_93_to_97_percent(rng, method, law):
    """60 replications in each of 2000 experiments; the mean is 1."""
    values = rng.normal(1.0, 2.0, (60, EXPERIMENTS)) if law == "normal" else rng.exponential(size=(60, EXPERIMENTS))
    found = mean_interval(values, method=method)
    assert 0.93 < covered(found.low, found.high, 1.0) < 0.97


def test_the_studentised_bootstrap_follows_skewness_where_student_does_not(rng):
    """Means of 20 lognormals: t misses on one side far more often than on the other; bootstrap-t evens that out."""
    values = rng.lognormal(size=(20, EXPERIMENTS))
    truth = math.exp(0.5)
    missed = {}
    for method in ("t", "bootstrap"):
        found = mean_interval(values, method=method)
        missed[method] = ((found.high < truth).mean(), (found.low > truth).mean())
    assert missed["t"][0] > 10 * missed["t"][1]
    assert sum(missed["bootstrap"]) < 0.7 * sum(missed["t"])


def test_intervals_equal_scipys(rng):
    values = rng.exponential(size=(25, 3))
    for method, law in (("t", stats.t(24)), ("normal", stats.norm())):
        found = mean_interval(values, 0.9, method)
        half = law.ppf(0.95) * stats.sem(values)
        np.testing.assert_allclose(found.low, values.mean(axis=0) - half)
        np.testing.assert_allclose(found.high, values.mean(axis=0) + half)


def test_resampling_is_reproducible_and_moves_with_its_seed(rng):
    values = rng.exponential(size=30)
    ends = [mean_interval(values, method="bootstrap", seed=s) for s in (0, 0, 1)]
    assert ends[0].low == ends[1].low
    assert ends[0].low != ends[2].low


def test_bootstrap_quantiles_are_those_of_the_definition(rng):
    """The same resamples, one by one, with NumPy's own mean and standard deviation."""
    values = rng.exponential(size=12)
    n, resamples = 12, 199
    drawn = np.random.default_rng(3).integers(n, size=(resamples, n))
    sample = values[drawn]
    ratio = (sample.mean(axis=1) - values.mean()) / (sample.std(axis=1, ddof=1) / math.sqrt(n))
    low, high = np.quantile(ratio, [0.025, 0.975], method="weibull")
    error = values.std(ddof=1) / math.sqrt(n)
    found = mean_interval(values, method="bootstrap", seed=3, resamples=resamples)
    assert float(found.low) == pytest.approx(values.mean() - high * error)
    assert float(found.high) == pytest.approx(values.mean() - low * error)


@pytest.mark.parametrize("method", ["t", "normal", "bootstrap"])
def test_few_and_equal_replications(method):
    assert np.isnan(mean_interval(np.array([3.0]), method=method).low)
    assert mean_interval(np.array([3.0]), method=method).mean == 3.0
    assert np.isnan(mean_interval(np.zeros((0, 2)), method=method).mean).all()
    equal = mean_interval(np.full(9, 3.0), method=method)
    assert equal.low == equal.high == 3.0


@pytest.mark.parametrize("at", [0.5, 0.9])
@pytest.mark.parametrize("n", [20, 41, 100])
def test_the_quantile_interval_is_scipys(rng, at, n):
    values = rng.exponential(size=n)
    low, high = quantile_interval(values, at)
    expected = stats.quantile_test(values, q=0, p=at).confidence_interval(0.95)
    assert low == expected.low
    assert (math.isnan(expected.high) and high == math.inf) or high == expected.high


def test_the_interval_for_the_median_covers_at_least_95_percent(rng):
    low, high = quantile_interval(rng.exponential(size=(50, EXPERIMENTS)))
    assert covered(low, high, math.log(2)) > 0.94


def test_quantiles_are_of_replications(rng):
    values = rng.normal(size=(1001, 4))
    np.testing.assert_allclose(quantiles(values, (0.5,))[0], np.median(values, axis=0))
    assert np.isnan(quantiles(np.zeros((0, 3)))).all()


def test_the_paired_test_is_scipys(rng):
    a, b = rng.normal(size=40), rng.normal(0.3, 1.0, 40)
    found, expected = paired_test(a, b, 0.9), stats.ttest_rel(b, a)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(0.9))
    assert found.effect_size == pytest.approx((b - a).mean() / (b - a).std(ddof=1))


def test_a_difference_that_is_no_number_separates_nothing(rng):
    values = rng.normal(size=(20, 2))
    values[3, 1] = np.nan
    mean, low, high, p = t_tests(values, 0.05)
    assert np.isnan([mean[1], low[1], high[1], p[1]]).all()
    assert p[0] == pytest.approx(stats.ttest_1samp(values[:, 0], 0.0).pvalue)
    samples = [Sample(name, "0", np.arange(20), column) for name, column in zip("ab", values.T, strict=True)]
    (found,) = compare_samples("e", samples, t=9, horizon=9, column="cost", alpha=0.05, level=0.95)
    assert not found.separated
    assert found.line.endswith("cost at T = 9 is NaN or infinite in some replications; 20 paired replications")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_said_and_warned_of_nowhere(rng, value):
    """Infinity swallowed every difference: a sample with one was called equal to any other."""
    first, second = rng.normal(size=(2, 20))
    second[3] = value
    for test in (paired_test, independent_test):
        found = test(first, second)
        assert np.isnan([found.difference, found.low, found.high, found.effect_size, found.p]).all()
        assert found.replications == 20
    noises = ("0", "0"), ("0", "1")
    for noise in noises:
        samples = [
            Sample(*one, np.arange(20), v)
            for one, v in zip(zip("ab", noise, strict=True), (first, second), strict=True)
        ]
        (compared,) = compare_samples("e", samples, t=9, horizon=9, column="cost", alpha=0.05, level=0.95)
        assert "cannot be compared: cost at T = 9 is NaN or infinite in some replications" in compared.line
    both = np.stack([first, second], axis=1)
    assert np.isnan(share_best(both)).all()
    assert np.isnan(chance_of_least_mean(both)).all()


def test_the_independent_test_is_scipys(rng):
    a, b = rng.normal(size=40), rng.normal(0.3, 2.0, 70)
    found, expected = independent_test(a, b), stats.ttest_ind(b, a, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(0.95))
    assert found.replications == 40


def test_pairs_without_spread():
    values = np.arange(6.0)
    same = paired_test(values, values)
    assert (same.difference, same.p, same.effect_size) == (0.0, 1.0, 0.0)
    shifted = paired_test(values, values + 0.1)
    assert shifted.p == 2.0**-5  # six signs agree
    assert math.isnan(paired_test(values[:1], values[:1] + 1).p)
    assert independent_test(np.zeros(3), np.ones(3)).p == pytest.approx(0.1)  # 2 of 20 ways to part six


def test_rounding_separates_nobody():
    """The same gaps added up in another order."""
    rng = np.random.default_rng(0)
    steps = rng.choice([0.1, 0.3, 0.7], size=(40, 10_000))
    first, second = steps.cumsum(axis=1)[:, -1], steps[:, ::-1].cumsum(axis=1)[:, -1]
    assert (first != second).any()
    assert not gaps(first, second).any()
    assert paired_test(first, second).p == 1.0


def test_holm_on_a_worked_example():
    """Sorted .005 .01 .03 .04 times 4 3 2 1, never falling; NaN is no member of the family."""
    found = holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005]))
    np.testing.assert_allclose(found, [0.03, 0.06, np.nan, 0.06, 0.02])
    assert holm(np.array([0.6, 0.9])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).size == 0


@pytest.mark.parametrize("means", [(0, 0, 0, 0), (0, 0, 0, 0.5)])
def test_compare_separates_equal_agents_in_at_most_alpha_of_experiments(rng, means):
    """Agents share noise, their own is skewed; 1000 experiments, tested one-sidedly at three standard errors."""
    wrong = 0
    for _ in range(1000):
        values = rng.normal(size=(50, 1)) + rng.gamma(2.0, size=(50, 4)) + np.array(means)
        samples = [Sample(str(i), "s", np.arange(50), values[:, i]) for i in range(4)]
        pairs = compare_samples("e", samples, t=1, horizon=1, column="regret", alpha=0.05, level=0.95)
        wrong += any(pair.separated and means[int(pair.agent)] == means[int(pair.other)] for pair in pairs)
    assert wrong / 1000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)
    assert wrong > 0


@pytest.mark.parametrize(("effect", "alpha", "wanted"), [(0.1, 0.05, 0.8), (0.5, 0.05 / 66, 0.9), (1.0, 0.01, 0.8)])
def test_replications_needed_give_the_power_of_the_noncentral_t(effect, alpha, wanted):
    needed = int(replications_needed(effect, alpha, wanted))
    assert power(effect, needed, alpha) == pytest.approx(wanted, abs=0.01)


def test_the_power_is_what_simulated_experiments_have(rng):
    values = rng.normal(0.3, 1.0, (60, EXPERIMENTS))
    rejected = (stats.ttest_1samp(values, 0.0).pvalue < 0.05).mean()
    assert rejected == pytest.approx(power(0.3, 60, 0.05), abs=0.03)


def test_no_effect_needs_infinitely_many_replications():
    assert replications_needed(0.0, 0.05, 0.8) == math.inf
    assert replications_needed(math.nan, 0.05, 0.8) == math.inf
    assert replications_needed(math.inf, 0.05, 0.8) == 2


def test_winning_often_is_not_having_the_least_mean():
    """An agent that wins nine times in ten and then loses a lot has the larger mean; ties are shared out."""
    gambler = np.where(np.arange(100) % 10 == 0, 30.0, 0.0)
    steady = np.ones(100)
    values = np.column_stack([gambler, steady, steady])
    assert share_best(values) == pytest.approx([0.9, 0.05, 0.05])
    chance = chance_of_least_mean(values)
    assert chance[0] < 0.05
    assert chance[1] == pytest.approx(chance[2]) == pytest.approx((1 - chance[0]) / 2)


def test_slopes_are_polyfits_and_their_mean_is_the_slope_of_the_mean(rng):
    t = np.array([10, 20, 40, 100])
    values = rng.normal(size=(5, 4)) + 3 * np.log(t)
    slopes = log_slopes(t, values)
    assert slopes == pytest.approx([np.polyfit(np.log(t), row, 1)[0] for row in values])
    assert slopes.mean() == pytest.approx(np.polyfit(np.log(t), values.mean(axis=0), 1)[0])


def test_the_interval_of_a_slope_covers_although_rounds_depend_on_each_other(rng):
    """Regret as 3 ln t plus a random walk: 2000 experiments of 40 replications."""
    t = np.unique(np.geomspace(100, 1000, 12).astype(int))
    walk = rng.normal(size=(EXPERIMENTS * 40, t.size)).cumsum(axis=1)
    slopes = log_slopes(t, 3 * np.log(t) + walk).reshape(EXPERIMENTS, 40)
    found = mean_interval(slopes.T)
    assert 0.93 < covered(found.low, found.high, 3.0) < 0.97


def test_efficient_points_are_those_that_none_beats():
    points = np.array([[1, 5], [2, 2], [2, 3], [5, 1], [5, 1], [6, 6], [math.nan, 0]])
    assert efficient(points).tolist() == [True, True, False, True, True, False, False]


@pytest.mark.parametrize("level", [0, 1, 1.5, -0.1, "x", math.nan])
def test_a_level_is_a_probability(level):
    with pytest.raises(BadParameter, match="strictly between 0 and 1"):
        mean_interval(np.arange(3.0), level)
