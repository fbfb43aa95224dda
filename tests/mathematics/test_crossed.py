"""Intervals for a mean over crossed items and networks: what they are made of, and how often they cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bandits.comparison import Sample, compare_samples, gains_over, reference_of
from bandits.crossed import crossed_mean
from bandits.statistics import mean_interval

ITEMS, NETWORKS, DRAWS = 60, 3, 2


def study(rng, *, item=1.0, network=0.0, both=0.3, draw=0.5, items=ITEMS, networks=NETWORKS, draws=DRAWS):
    """Values of crossed random effects with mean 0, and the item and network of each."""
    i, m, _ = (a.ravel() for a in np.meshgrid(*map(np.arange, (items, networks, draws)), indexing="ij"))
    values = item * (rng.exponential(size=items) - 1)[i] + network * rng.standard_normal(networks)[m]
    values += both * rng.standard_normal((items, networks))[i, m] + draw * rng.standard_normal(i.size)
    return values, i, m


def coverage(studies, **effects):
    rng = np.random.default_rng(0)
    found = [crossed_mean(*study(rng, **effects), resamples=399) for _ in range(studies)]
    return np.mean([one.low <= 0 <= one.high for one in found]), found


@pytest.mark.parametrize("network", [0.0, 0.1, 1.0])
def test_intervals_cover_what_they_say_however_much_networks_differ(network):
    """500 studies: the standard error of the share is one percent."""
    share, _ = coverage(500, network=network)
    assert 0.92 <= share <= 0.985


def test_intervals_that_take_replications_for_independent_are_far_too_short():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        values, _, _ = study(rng, network=0.3)
        interval = mean_interval(values)
        hits += bool(interval.low <= 0 <= interval.high)
    assert hits / 200 < 0.7


def test_of_two_equal_arms_about_one_in_twenty_is_separated():
    _, found = coverage(500, network=0.2)
    assert np.mean([one.p < 0.05 for one in found]) == pytest.approx(0.05, abs=0.03)


def test_one_value_of_each_item_and_one_network_give_students_interval():
    values = np.random.default_rng(1).standard_normal(40) + 0.3
    found = crossed_mean(values, np.arange(40), np.zeros(40, dtype=int))
    student = stats.ttest_1samp(values, 0)
    low, high = student.confidence_interval(0.95)
    assert found.high - found.low == pytest.approx(high - low, rel=1e-9)
    assert (found.mean, found.p) == pytest.approx((values.mean(), student.pvalue))
    assert (found.items, found.networks, found.values) == (40, 1, 40)


def test_length_is_that_of_the_sum_of_both_variances():
    """By hand: variances of the means of items and of networks, and Satterthwaite's degrees of freedom."""
    values, i, m = study(np.random.default_rng(2), network=0.5)
    cell = values.reshape(ITEMS, NETWORKS, DRAWS).mean(2)
    a, b = cell.mean(1).var(ddof=1) / ITEMS, cell.mean(0).var(ddof=1) / NETWORKS
    freedom = (a + b) ** 2 / (a**2 / (ITEMS - 1) + b**2 / (NETWORKS - 1))
    found = crossed_mean(values, i, m)
    assert found.high - found.low == pytest.approx(2 * stats.t.isf(0.025, freedom) * math.sqrt(a + b))
    assert found.low < found.mean < found.high
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.mean) / math.sqrt(a + b), freedom))


def test_more_draws_of_the_same_items_do_not_make_an_interval_vanish():
    rng = np.random.default_rng(3)
    few, many = (crossed_mean(*study(rng, draws=draws, both=0.0)) for draws in (1, 50))
    assert many.high - many.low > 0.7 * (few.high - few.low)


def test_the_longer_side_is_where_items_reach_farther():
    items = np.arange(30)
    found = crossed_mean(np.exp(np.random.default_rng(4).standard_normal(30)), items, items * 0)
    assert found.high - found.mean > 1.05 * (found.mean - found.low)


def test_it_does_not_depend_on_chance_or_order():
    values, i, m = study(np.random.default_rng(5))
    shuffled = np.random.default_rng(6).permutation(len(values))
    first, again = crossed_mean(values, i, m), crossed_mean(values, i, m)
    other = crossed_mean(values[shuffled], i[shuffled], m[shuffled])
    assert first == again
    assert (other.low, other.high) == pytest.approx((first.low, first.high))


def test_a_study_that_is_not_finished_counts_what_is_there():
    values, i, m = study(np.random.default_rng(7), network=0.5)
    there = (m < 2) | (i < 20)
    found = crossed_mean(values[there], i[there], m[there])
    assert found.mean == pytest.approx(values[there].mean())
    assert (found.networks, found.values) == (3, there.sum())
    assert found.low < found.mean < found.high


@pytest.mark.parametrize(
    ("values", "p"), [([0.0] * 6, 1.0), ([2.0] * 6, 2.0**-2), ([1.0, math.nan] * 3, math.nan), ([], math.nan)]
)
def test_values_that_do_not_vary_and_values_that_are_missing(values, p):
    keys = np.arange(len(values))
    found = crossed_mean(np.array(values), keys // 2, keys % 2)
    assert found.p == pytest.approx(p, nan_ok=True)
    if p == 1.0:
        assert (found.mean, found.low, found.high) == (0, 0, 0)


# --- arms compared by them ---


def samples(shift):
    rng = np.random.default_rng(8)
    values, items, networks = study(rng, items=40, networks=3, draws=1, network=0.2)
    noise = [0.1 * rng.standard_normal(len(values)) for _ in range(3)]
    arms = {"plain": values + noise[0], "same": values + noise[1], "better": values + shift + noise[2]}
    return [Sample(name, "1", items, one, (items, networks)) for name, one in arms.items()]


def compare(found, **choices):
    return compare_samples("psnr", found, t=1, horizon=1, column="psnr", alpha=0.05, level=0.95, **choices)


def test_arms_are_paired_by_item_replication_and_network():
    pair = compare(samples(0.5)[1:])[0]
    assert (pair.agent, pair.separated, pair.paired) == ("better", True, True)
    assert pair.pairs == "120 pairs (40 items, 3 networks)"
    assert pair.pairs in pair.line
    assert pair.high - pair.low < 0.2, "what items and networks do to both arms alike cancels"
    missing = samples(0.5)[2]
    part = Sample("part", "1", missing.replications[:60], missing.values[:60], tuple(k[:60] for k in missing.crossed))
    assert compare([samples(0.5)[0], part])[0].pairs == "60 pairs (20 items, 3 networks)"


def test_against_a_reference_the_family_is_its_comparisons():
    every, with_plain = compare(samples(0.5)), compare(samples(0.5), against="plain")
    assert [len(every), len(with_plain)] == [3, 2]
    assert {one.family for one in with_plain} == {2}
    assert reference_of(with_plain) == "plain"
    assert reference_of(every) is None
    gains = gains_over(with_plain, "plain")
    assert gains["better"].mean == pytest.approx(0.5, abs=0.1)
    assert gains["better"].separated
    assert not gains["same"].separated
    worse = gains_over(compare(samples(-0.5), against="plain"), "plain")["better"]
    assert worse.low < worse.mean < worse.high < 0
