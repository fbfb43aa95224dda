"""The experimental finite-time bound: worked numbers, a plain search and a plain program beside it, its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from bandits import finite_time_bound as module
from bandits.finite_time_bound import finite_time_bound, needed_information
from bandits.information_lp import lower_bound, precisions

INF = math.inf
STANDARD = np.where(np.eye(4) > 0, 1.0, INF)
STEPS = [0.9, 0.7, 0.5, 0.3]


@pytest.mark.parametrize(("horizon", "needed"), [(1e6, 10.10309), (1e12, 44.55955), (1e24, 124.60820)])
def test_needed_information_is_that_of_the_specification(horizon, needed):
    """Gap 0.4, e up to 2, cap sqrt(T): to the five printed decimals."""
    assert round(needed_information(0.4, 2.0, horizon, math.sqrt(horizon)), 5) == needed


@settings(max_examples=100, deadline=None)
@given(st.floats(1e-3, 2), st.floats(1e-3, 3), st.floats(1, 30), st.floats(-2, 20))
def test_needed_information_is_the_largest_on_a_fine_grid(gap, width, log_horizon, log_cap):
    horizon, cap = 10.0**log_horizon, 10.0**log_cap
    e = gap + width * np.concatenate([np.geomspace(1e-12, 1, 100_000), np.linspace(1e-5, 1, 100_000)])
    values = np.log(horizon * (e - gap) / (8 * cap)) / e**2
    found = needed_information(gap, gap + width, horizon, cap)
    assert found >= max(values.max(), 0.0) * (1 - 1e-9)
    assert found <= max(values.max(), 0.0) * (1 + 1e-5) + 1e-9


def test_needed_information_tends_to_a_quarter_of_the_asymptotic_one():
    """With cap sqrt(T): ln T / (2 gap^2), slowly."""
    shares = [needed_information(0.4, 2.0, T, math.sqrt(T)) / (math.log(T) / (2 * 0.4**2)) for T in (1e6, 1e24, 1e300)]
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] < 1.0


def random_instance(rng):
    n = int(rng.integers(2, 9))
    sigma = np.exp(rng.normal(0, 0.5, (n, n))) * rng.choice([1.0, 10.0])
    sigma[rng.random((n, n)) > 0.5] = INF
    np.fill_diagonal(sigma, rng.choice([1.0, INF], n, p=[0.9, 0.1]))
    return 0.9 * rng.random(n), sigma, int(10 ** rng.uniform(2, 6))


def test_it_solves_the_program_as_it_is_written(monkeypatch):
    """Every row and every arm, the plays adding up to T, by scipy: 300 instances, infeasible ones among them."""
    rng, solve = np.random.default_rng(0), module._solve
    positive = infinite = 0
    tight = []
    monkeypatch.setattr(module, "_solve", lambda *program: tight.append(solve(*program)) or tight[-1])
    for _ in range(300):
        means, sigma, horizon = random_instance(rng)
        found = finite_time_bound(means, sigma, horizon, regret_cap=10 ** rng.uniform(-2, np.log10(horizon)))
        gap, p, n = means.max() - means, precisions(sigma), means.size
        plain = linprog(gap, A_ub=-p.T, b_ub=-found.needed, A_eq=np.ones((1, n)), b_eq=[horizon], method="highs")
        assert math.isinf(found.value) == (plain.status == 2)
        if math.isinf(found.value):
            infinite += 1
            assert np.isnan(found.allocation).all()
            continue
        assert found.value == pytest.approx(plain.fun, rel=1e-7, abs=1e-7)
        assert found.value == pytest.approx(gap @ found.allocation)
        assert found.allocation.sum() == pytest.approx(horizon)
        assert (found.allocation >= 0).all()
        assert (p.T @ found.allocation >= found.needed * (1 - 1e-7)).all()
        positive += found.value > 0
    assert positive > 100
    assert infinite > 20
    assert sum(plays is not None for plays in tight) > 20, "some programs just have the rounds"


def test_a_standard_bandit_by_hand():
    found = finite_time_bound(STEPS, STANDARD, 10**6, largest_mean=2.0)
    m = [needed_information(gap, reach, 1e6, 1e3) for gap, reach in [(0.2, 0.9), (0.2, 1.3), (0.4, 1.5), (0.6, 1.7)]]
    assert found.needed == pytest.approx(m)
    assert found.regret_cap == 1e3
    assert found.value == pytest.approx(0.2 * m[1] + 0.4 * m[2] + 0.6 * m[3])
    assert found.allocation[1:] == pytest.approx(m[1:])


def test_it_comes_near_a_quarter_of_the_asymptotic_bound():
    found = finite_time_bound(STEPS, STANDARD, 10**300, largest_mean=2.0)
    assert 0.9 < found.value / (lower_bound(STEPS, STANDARD).value / 4 * math.log(1e300)) < 1.0


def test_free_information_costs_nothing_and_a_blind_best_arm_is_asked_about():
    assert finite_time_bound(STEPS, np.ones((4, 4)), 10**6, largest_mean=2.0).value == 0.0
    blind = STANDARD.copy()
    blind[0, 0], blind[3, 0] = INF, 1.0
    found = finite_time_bound(STEPS, blind, 10**6, largest_mean=2.0)
    assert found.allocation[3] == pytest.approx(max(found.needed[0], found.needed[3]))


def test_a_smaller_cap_and_wider_means_never_ask_for_less():
    values = [finite_time_bound(STEPS, STANDARD, 10**6, regret_cap=cap).value for cap in (10, 100, 1e3, 1e4, 1e6)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0 == values[-1]
    values = [finite_time_bound(STEPS, STANDARD, 10**6, largest_mean=D).value for D in (0.9, 0.95, 1.0, 1.1, 2.0)]
    assert values == sorted(values)
    assert values[0] == 0.0  # nothing can be better than the best arm
    assert values[-1] > values[2] > 0


def test_too_few_rounds_and_invisible_arms_make_it_infinite():
    assert finite_time_bound(STEPS, STANDARD * 1e3, 1000, regret_cap=1e-3, largest_mean=2.0).value == INF
    unseen = STANDARD.copy()
    unseen[2, 2] = INF
    assert finite_time_bound(STEPS, unseen, 10**6, largest_mean=2.0).value == INF


def test_degenerate_instances():
    assert finite_time_bound([0.3], [[1.0]], 100).value == 0.0
    assert finite_time_bound([0.5] * 4, STANDARD, 10**6).value == 0.0
    noiseless = STANDARD.copy()
    noiseless[1, 1] = 0.0
    full, less = (finite_time_bound(STEPS, sigma, 10**6, largest_mean=2.0) for sigma in (STANDARD, noiseless))
    assert less.value == pytest.approx(full.value - 0.2 * full.needed[1])
    tied = finite_time_bound([0.9, 0.9, 0.5], STANDARD[:3, :3], 10**6, largest_mean=2.0)
    assert tied.needed[:2].tolist() == [0.0, 0.0]
    assert tied.value == pytest.approx(0.4 * tied.needed[2])
    wide = np.where(np.isfinite(STANDARD), 10.0 ** np.array([[3], [-6], [0], [2]]), INF)
    found = finite_time_bound(STEPS, wide, 10**9, largest_mean=2.0)
    assert found.value == pytest.approx((np.diag(wide) ** 2 * found.needed * [0, 0.2, 0.4, 0.6]).sum())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"means": [0.9, 0.7]}, r"shapes \(2,\) and \(4, 4\), expected \(K,\) and \(K, K\)"),
        ({"means": [1.2, 0.7, 0.5, 0.3]}, r"means\[0\] = 1.2 lies outside \[0, 1\]: see largest_mean"),
        ({"means": [0.9, math.nan, 0.5, 0.3]}, r"means\[1\] = nan lies outside"),
        ({"means": [0.9, -0.1, 0.5, 0.3]}, r"means\[1\] = -0.1 lies outside"),
        ({"sigma": -STANDARD}, r"sigma\[0, 0\] = -1 is not a standard deviation"),
        ({"horizon": 0}, "horizon must be at least 1, got 0"),
        ({"regret_cap": 0.0}, "regret_cap must be positive and finite, got 0"),
        ({"regret_cap": INF}, "regret_cap must be positive and finite, got inf"),
        ({"largest_mean": math.nan}, "lies outside"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        finite_time_bound(**{"means": STEPS, "sigma": STANDARD, "horizon": 1000, **changes})


def test_an_answer_that_its_dual_does_not_certify_is_not_given(monkeypatch):
    monkeypatch.setattr(module, "_certified", lambda *arguments: False)
    with pytest.raises(ValueError, match="does not solve the finite-time program to 7 digits"):
        finite_time_bound([0.9, 0.9, 0.5], STANDARD[:3, :3], 10**6, largest_mean=2.0)
