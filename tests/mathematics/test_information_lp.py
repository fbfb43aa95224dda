"""The information program: against worked instances, closed forms, HiGHS, cvxpy and its own invariants."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from bandits import covering, simplex, simplex_batch
from bandits.information_lp import WarmSimplex, lower_bound, precisions

INF = math.inf


def standard(*sd):
    sigma = np.full((len(sd), len(sd)), INF)
    np.fill_diagonal(sigma, sd)
    return sigma


def graph(n, *edges, loops=True):
    """Undirected graph with noise 1."""
    sigma = standard(*[1.0 if loops else INF] * n)
    for i, j in edges:
        sigma[i, j] = sigma[j, i] = 1.0
    return sigma


def revealing(n, best_sees_it=False):
    """Arm 0 sees all, others only themselves; arm 1 may see arm 0."""
    sigma = standard(*[1.0] * n)
    sigma[0] = 1.0
    if best_sees_it:
        sigma[:, 0] = 1.0
    return sigma


STEPS = [0.9, 0.7, 0.5, 0.3]
SIGMA_E6 = [
    [1, 2, INF, INF, 3],
    [2, 0.5, 1.5, INF, INF],
    [INF, 1, 1, 2, INF],
    [4, INF, 1, 1, 0.8],
    [INF, INF, 2, 1, 1.2],
]
SIGMA_E10 = [
    [1, INF, INF, INF, 2],
    [INF, 1, 2, 1, INF],
    [INF, 0.5, 1, INF, 1],
    [1, INF, 0.8, 0.5, INF],
    [INF, 1.5, INF, 1, 1],
]
BLIND = [[INF, INF, INF], [1, 1, 1], [1, 1, 1]]
BLIND_E11 = [[INF, INF, INF], [1, 0.5, 2], [2, 1, 0.5]]
CYCLE_6 = graph(6, *[(i, (i + 1) % 6) for i in range(6)])
CLIQUES = graph(6, (0, 1), (2, 4), (3, 5))
PENTAGON = graph(6, *[(1 + i, 1 + (i + 1) % 5) for i in range(5)])
PRODUCT = np.array([INF, 1.0, 2**-0.5, 2**0.5])[:, None] * np.ones(4)

# name: sigma, means, kind, value, allocation or None, dual or None (None: not unique, or not given)
WORKED = {
    "E1": (standard(1, 1, 1, 1), STEPS, "lp", 18.33333333, [0, 50, 12.5, 5.55555556], [0, 0.2, 0.4, 0.6]),
    "E1b": (standard(0.5, 1, 2, 1.5), STEPS, "lp", 37.5, [0, 50, 50, 12.5], [0, 0.2, 1.6, 1.35]),
    "E2": (np.ones((4, 4)), STEPS, "lp", 0.0, [0, 0, 0, 0], [0, 0, 0, 0]),
    "E3": (CYCLE_6, [1, 0.8, 0.5, 0.6, 0.3, 0.7], "lp", 5.0, [0, 0, 0, 12.5, 0, 0], [0, 0, 0, 0.4, 0, 0]),
    "E4": (CLIQUES, [1, 0.9, 0.8, 0.7, 0.5, 0.2], "lp", 16.66666667, [0, 0, 50, 22.22222222, 0, 0], None),
    "E5": (
        revealing(5),
        [0.2, 1, 0.8, 0.6, 0.4],
        "lp",
        16.11111111,
        [5.55555556, 0, 44.44444444, 6.94444444, 0],
        [0, 0, 0.2, 0.4, 0.2],
    ),
    "E5b": (
        revealing(5),
        [0.2, 1, 0.9, 0.85, 0.8],
        "lp",
        44.42708333,
        [3.125, 0, 196.875, 85.76388889, 46.875],
        [0.35, 0, 0.1, 0.15, 0.2],
    ),
    "E5c": (revealing(5, True), [0.2, 1, 0.9, 0.85, 0.8], "lp", 43.33333333, [0, 0, 200, 88.88888889, 50], None),
    "E5d": (revealing(5, True), [1, 0.2, 0.9, 0.85, 0.8], "lp", 0.0, [0, 0, 0, 0, 0], None),
    "E9": (PENTAGON, [1, *[0.5] * 5], "lp", 6.66666667, [0, *[2.66666667] * 5], [0, *[1 / 6] * 5]),
    "E12": (revealing(32), [0.5, 1, *[0.8] * 30], "lp", 25.0, [50, *[0] * 31], None),
    "E10": (
        SIGMA_E10,
        [1, 0.8, 0.7, 0.5, 0.6],
        "lp",
        6.72916667,
        [0, 0, 19.09722222, 2, 0],
        [0, 0, 0.3, 0.0078125, 0],
    ),
    "E6": (SIGMA_E6, [1, 0.8, 0.7, 0.4, 0.55], "lp", 6.66666667, [0, 0, 22.22222222, 0, 0], None),
    "E6b": (SIGMA_E6, [0.5, 0.8, 0.7, 1, 0.55], "lp", 2.5, [0, 12.5, 0, 0, 0], None),
    "E7b": (BLIND, [1, 0.7, 0.5], "lp", 6.66666667, [0, 22.22222222, 0], None),
    "E7b exact": (BLIND, [1, 0.7, 0.5], "graves_lai", 13.33333333, [0, 44.44444444, 0], None),
    "E11": (BLIND_E11, [1, 0.7, 0.5], "lp", 6.93051146, [0, 22.0670194, 0.62081129], None),
    "E11 exact": (BLIND_E11, [1, 0.7, 0.5], "graves_lai", 8.79654400, [0, 27.50530091, 1.08990746], None),
    "E7c": ([[INF, 1], [1, INF]], [1, 0.6], "lp", 5.0, [0, 12.5], None),
    "E7c exact": ([[INF, 1], [1, INF]], [1, 0.6], "graves_lai", 5.0, [0, 12.5], None),
    "E8": (PRODUCT, [1, 0.8, 0.5, 0.6], "lp", 10.0, [0, 50, 0, 0], None),
    "E8 exact": (PRODUCT, [1, 0.8, 0.5, 0.6], "graves_lai", 20.0, [0, 100, 0, 0], None),
}


@pytest.mark.parametrize("name", WORKED)
def test_the_worked_instances_come_out(name):
    """Values of the specification, which HiGHS computed and printed with eight decimals."""
    sigma, means, kind, value, allocation, dual = WORKED[name]
    found = lower_bound(means, sigma, kind)
    assert found.value == pytest.approx(value, abs=1e-8)
    assert found.allocation == pytest.approx(allocation, abs=1e-8)
    if dual is not None:
        assert found.dual == pytest.approx(dual, abs=1e-8)
    assert found.status == ("optimal" if value else "free")
    assert found.solver == ("simplex" if value else "none")
    same = lower_bound(means, sigma, "graves_lai").value == pytest.approx(lower_bound(means, sigma).value)
    assert same == (name.split()[0] not in ("E7b", "E11", "E8")), "the two kinds differ for a blind best arm only"


def test_binding_arms_are_those_of_positive_price():
    assert lower_bound([0.2, 1, 0.9, 0.85, 0.8], revealing(5)).binding == (0, 2, 3, 4)
    assert lower_bound([1, 0.8, 0.5, 0.6, 0.3, 0.7], CYCLE_6).binding == (3,)


def random_instance(rng, n, *, density=0.4, spread=1.0, blind=False):
    sigma = np.exp(rng.normal(0, spread, (n, n)))
    sigma[rng.random((n, n)) > density] = INF
    np.fill_diagonal(sigma, np.exp(rng.normal(0, spread, n)))
    means = rng.random(n)
    best = means.argmax()
    if blind:
        sigma[best, best] = INF
        sigma[(best + 1) % n, best] = 1.0
    return means, sigma


def by_highs(means, sigma):
    """The reduced program as the specification writes it, rows and columns scaled to entries and costs of 1."""
    p = np.where(np.isfinite(sigma), np.float64(sigma) ** -2.0, 0.0)
    best = means.argmax()
    gap = means.max() - means
    need = 2 / np.where(np.arange(gap.size) == best, np.delete(gap, best).min(), gap) ** 2
    rows = np.flatnonzero(p[best] == 0)
    columns = np.delete(np.arange(gap.size), best)
    if not rows.size:
        return 0.0
    a = (p[np.ix_(columns, rows)] / gap[columns, None]).T
    largest = a.max(axis=1)  # HiGHS drops entries below 1e-9
    b = need[rows] / largest
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    unit = np.median(b)
    scaled = a / largest[:, None]
    return linprog(np.ones(columns.size), A_ub=-scaled, b_ub=-b / unit, method="highs", options=tight).fun * unit


def check_feasible(means, sigma, c, tolerance=1e-9):
    """Smallest information over need among the rows that the best arm leaves open is at least 1."""
    p = precisions(sigma)
    best = means.argmax()
    gap = means.max() - means
    gap[best] = np.delete(gap, best).min()
    open_rows = p[best] == 0
    assert (c >= 0).all()
    assert ((c @ p)[open_rows] * gap[open_rows] ** 2 / 2 >= 1 - tolerance).all()


def check_certificate(means, sigma):
    """Primal and dual are feasible, of equal value, and complementary."""
    found, p = lower_bound(means, sigma), precisions(sigma)
    check_feasible(means, sigma, found.allocation)
    best, gap = means.argmax(), means.max() - means
    need = 2 / np.where(np.arange(gap.size) == best, np.delete(gap, best).min(), gap) ** 2
    assert gap @ found.allocation == pytest.approx(found.value, rel=1e-12, abs=0)
    assert found.dual @ need == pytest.approx(found.value, rel=1e-8, abs=0)
    earned = p @ found.dual
    others = np.arange(gap.size) != best
    assert (found.dual >= 0).all()
    assert (earned[others] <= gap[others] * (1 + 1e-8)).all()
    played = found.allocation * gap > 1e-6 * found.value
    assert earned[played] == pytest.approx(gap[played], rel=1e-5, abs=0)


def test_two_thousand_random_instances_agree_with_highs():
    rng = np.random.default_rng(20)
    worst = 0.0
    for case in range(2000):
        n = 2 + case % 29 if case % 20 else int(rng.integers(31, 61))
        density, spread = rng.choice([0.05, 0.2, 0.5]), rng.choice([0.0, 0.3, 1.5])
        means, sigma = random_instance(rng, n, density=density, spread=spread, blind=case % 5 == 0)
        found = lower_bound(means, sigma)
        expected = by_highs(means, sigma)
        check_feasible(means, sigma, found.allocation)
        assert found.solver == ("simplex" if expected else "none")
        worst = max(worst, abs(found.value - expected) / max(expected, 1e-300))
    assert worst < 1e-9


def test_cvxpy_agrees_on_the_program_as_it_is_first_written():
    """With every row and a free best arm, as in the module's first formula."""
    import cvxpy

    rng = np.random.default_rng(3)
    for n in (3, 7, 15):
        means, sigma = random_instance(rng, n)
        gap = means.max() - means
        need = 2 / np.where(gap > 0, gap, np.delete(gap, gap.argmin()).min()) ** 2
        c = cvxpy.Variable(n, nonneg=True)
        problem = cvxpy.Problem(cvxpy.Minimize(gap @ c), [(precisions(sigma).T / need[:, None]) @ c >= 1])
        assert lower_bound(means, sigma).value == pytest.approx(problem.solve(solver="HIGHS"), rel=1e-7)


def test_cvxpy_agrees_on_the_exact_constant_of_a_blind_best_arm():
    """The second-order form: inv_pos of the information, no fixed u and no bisection."""
    import cvxpy

    rng = np.random.default_rng(4)
    for n in (3, 4, 6, 9):
        means, sigma = random_instance(rng, n, density=0.6, spread=0.4, blind=True)
        best, gap, p = means.argmax(), means.max() - means, precisions(sigma)
        c = cvxpy.Variable(n, nonneg=True)
        w = p.T @ c
        rows = [c[best] == 0, cvxpy.inv_pos(w[best]) <= np.delete(gap, best).min() ** 2 / 2]
        for j in set(range(n)) - {best}:
            if p[best, j] == 0:
                rows.append(cvxpy.inv_pos(w[j]) + cvxpy.inv_pos(w[best]) <= gap[j] ** 2 / 2)
        problem = cvxpy.Problem(cvxpy.Minimize(gap @ c), rows)
        expected = problem.solve(solver="CLARABEL")
        assert lower_bound(means, sigma, "graves_lai").value == pytest.approx(expected, rel=1e-6)


def test_the_exact_constant_lies_between_once_and_twice_the_program():
    rng = np.random.default_rng(5)
    for _ in range(60):
        means, sigma = random_instance(rng, int(rng.integers(2, 12)), blind=True)
        program, exact = lower_bound(means, sigma), lower_bound(means, sigma, "graves_lai")
        assert program.value * (1 - 1e-9) <= exact.value <= 2 * program.value * (1 + 1e-9)
        best, gap, p = means.argmax(), means.max() - means, precisions(sigma)
        w = exact.allocation @ p
        for j in set(range(means.size)) - {best}:
            alone = 0.0 if p[best, j] else 1 / w[j]
            assert alone + 1 / w[best] <= gap[j] ** 2 / 2 * (1 + 1e-8)


@pytest.mark.parametrize("kind", ["lp", "graves_lai"])
@pytest.mark.parametrize("noise", [1e-140, 1e-6, 1.0, 1e6, 1e140])
@pytest.mark.parametrize("gap", [1e-8, 1.0, 1e8])
def test_units_do_not_matter(kind, noise, gap):
    rng = np.random.default_rng(6)
    means, sigma = random_instance(rng, 8, blind=True)
    unit, scaled = lower_bound(means, sigma, kind), lower_bound(means * gap, sigma * noise, kind)
    with np.errstate(over="ignore"):
        assert scaled.value / noise / noise * gap == pytest.approx(unit.value, rel=1e-7)
    assert scaled.binding == unit.binding


def test_noise_from_1e_minus_6_to_1e6_within_one_instance():
    """Precisions over 24 decades: HiGHS refuses some of these, so the dual is the witness."""
    rng = np.random.default_rng(7)
    for case in range(300):
        means, sigma = random_instance(rng, 3 + case % 18, blind=case % 5 == 0)
        check_certificate(means, np.where(np.isfinite(sigma), 10 ** rng.uniform(-6, 6, sigma.shape), INF))


# Closed forms


def test_a_standard_bandit_is_the_gaussian_lai_robbins_bound():
    rng = np.random.default_rng(8)
    means, sd = rng.random(30), rng.uniform(0.1, 3, 30)
    gap = np.delete(means.max() - means, means.argmax())
    expected = (2 * np.delete(sd, means.argmax()) ** 2 / gap).sum()
    assert lower_bound(means, standard(*sd)).value == pytest.approx(expected, rel=1e-12)


def test_disjoint_cliques_play_the_smallest_gap_of_each():
    rng = np.random.default_rng(9)
    block = np.repeat(np.arange(6), 4)
    sigma = np.where(block[:, None] == block, 0.7, INF)
    means = rng.random(24)
    gap = means.max() - means
    expected = sum(2 * 0.49 / gap[block == q].min() for q in range(6) if q != block[means.argmax()])
    assert lower_bound(means, sigma).value == pytest.approx(expected, rel=1e-12)


def test_one_hard_arm_is_watched_by_its_cheapest_observer():
    rng = np.random.default_rng(10)
    means, sigma = random_instance(rng, 9, density=0.8)
    best, hard = means.argmax(), means.argmin()
    sigma[best] = 1.0
    sigma[best, hard] = INF
    gap, p = means.max() - means, precisions(sigma)
    others = (np.arange(9) != best) & (p[:, hard] > 0)
    expected = 2 / gap[hard] ** 2 * (gap[others] / p[others, hard]).min()
    assert lower_bound(means, sigma).value == pytest.approx(expected, rel=1e-12)


def test_precisions_that_are_a_product_need_one_arm():
    rng = np.random.default_rng(11)
    means, alpha, beta = rng.random(7), rng.uniform(0.1, 2, 7), rng.uniform(0.1, 2, 7)
    best = means.argmax()
    alpha[best] = 0.0
    gap = means.max() - means
    gap[best] = np.delete(gap, best).min()
    others = np.arange(7) != best
    with np.errstate(divide="ignore"):
        sigma = np.multiply.outer(alpha, beta) ** -0.5
    expected = (gap[others] / alpha[others]).min() * (2 / (beta * gap**2)).max()
    assert lower_bound(means, sigma).value == pytest.approx(expected, rel=1e-12)


def test_a_revealing_arm_shares_its_plays():
    rng = np.random.default_rng(12)
    for _ in range(20):
        means = rng.random(12)
        means[1] = 1.1
        gap = 1.1 - means
        need = 2 / np.delete(gap, 1) ** 2  # of arm 0 first
        rates = np.delete(gap, 1)[1:]
        costs = [gap[0] * r + (rates * np.maximum(need[1:] - r, 0)).sum() for r in [need[0], *need[1:]] if r >= need[0]]
        assert lower_bound(means, revealing(12)).value == pytest.approx(min(costs), rel=1e-12)


@pytest.mark.parametrize("n", [3, 5, 7, 9])
def test_an_odd_cycle_is_covered_by_thirds(n):
    sigma = graph(n + 1, *[(1 + i, 1 + (i + 1) % n) for i in range(n)])
    found = lower_bound([1.0, *[0.5] * n], sigma)
    assert found.value == pytest.approx(n / 3 * 2 / 0.5, rel=1e-12)
    if n % 3:  # else three integral covers cost the same
        assert found.allocation[1:] == pytest.approx(np.full(n, 8 / 3))


# Invariants


@st.composite
def instances(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(2, 12))
    means, sigma = random_instance(
        rng, n, density=draw(st.floats(0, 1)), spread=draw(st.floats(0, 2)), blind=draw(st.booleans())
    )
    return means, sigma, rng


quickly = settings(max_examples=60, deadline=None)


@quickly
@given(instances(), st.floats(-100, 100), st.floats(1e-3, 1e3), st.sampled_from(["lp", "graves_lai"]))
def test_shift_scale_and_permutation(instance, shift, factor, kind):
    means, sigma, rng = instance
    value = lower_bound(means, sigma, kind).value
    assert lower_bound(means + shift, sigma, kind).value == pytest.approx(value, rel=1e-6)
    assert lower_bound(means * factor, sigma, kind).value == pytest.approx(value / factor, rel=1e-7)
    assert lower_bound(means, sigma * factor, kind).value == pytest.approx(value * factor**2, rel=1e-7)
    order = rng.permutation(means.size)
    assert lower_bound(means[order], sigma[np.ix_(order, order)], kind).value == pytest.approx(value, rel=1e-7)


@quickly
@given(instances(), st.sampled_from(["lp", "graves_lai"]))
def test_seeing_better_never_costs_more(instance, kind):
    means, sigma, rng = instance
    i, j = rng.integers(means.size, size=2)
    before = lower_bound(means, sigma, kind).value
    sigma[i, j] = min(sigma[i, j] * rng.random(), rng.exponential())
    assert lower_bound(means, sigma, kind).value <= before * (1 + 1e-7)


@quickly
@given(instances())
def test_strong_duality_and_complementary_slackness(instance):
    means, sigma, _ = instance
    check_certificate(means, sigma)


@quickly
@given(instances())
def test_the_allocation_is_of_least_cost_and_moves_with_its_arms(instance):
    """Whatever the order of the arms, it gathers the information, costs the value, and plays no best arm."""
    means, sigma, rng = instance
    order = rng.permutation(means.size)
    found, moved = lower_bound(means, sigma), lower_bound(means[order], sigma[np.ix_(order, order)])
    back = np.empty(means.size)
    back[order] = moved.allocation
    check_feasible(means, sigma, back)
    assert (means.max() - means) @ back == pytest.approx(found.value, rel=1e-8)
    assert back[means.argmax()] == 0.0


@quickly
@given(instances())
def test_the_exact_constant_is_the_program_s_value_or_up_to_twice_that(instance):
    """Equal wherever the best arm sees itself."""
    means, sigma, _ = instance
    program, exact = lower_bound(means, sigma).value, lower_bound(means, sigma, "graves_lai").value
    best = means.argmax()
    if np.isfinite(sigma[best, best]):
        assert exact == program
    else:
        assert program * (1 - 1e-9) <= exact <= 2 * program * (1 + 1e-9)


@quickly
@given(instances(), st.integers(2, 4))
def test_tied_best_arms_pool_what_they_see_and_ask_for_nothing(instance, copies):
    """Tied arms are one arm that sees with all their precisions at once: HiGHS solves that one's rows."""
    means, sigma, rng = instance
    best = rng.permutation(means.size)[:copies]
    means[best] = 2.0
    gap, p = means.max() - means, precisions(sigma)
    others = np.flatnonzero(gap > 0)
    rows = others[p[np.ix_(best, others)].sum(axis=0) == 0]
    found = lower_bound(means, sigma)
    assert (found.allocation[best] == 0).all()
    if not rows.size:
        assert found.value == 0.0
        return
    a, need = p[np.ix_(others, rows)].T / gap[others], 2 / gap[rows] ** 2
    a, need = a / a.max(axis=1, keepdims=True), need / a.max(axis=1)
    expected = linprog(np.ones(others.size), A_ub=-a, b_ub=-need / np.median(need), method="highs").fun
    assert found.value == pytest.approx(expected * np.median(need), rel=1e-6)


@quickly
@given(instances())
def test_side_information_never_hurts(instance):
    means, sigma, rng = instance
    blind = np.isinf(np.diag(sigma))
    sigma[blind, blind] = np.exp(rng.normal(size=blind.sum()))
    gap, sd = means.max() - means, np.diag(sigma)
    others = gap > 0
    assert lower_bound(means, sigma).value <= (2 * sd[others] ** 2 / gap[others]).sum() * (1 + 1e-9)


# Degenerate inputs


def test_tied_best_arms_are_all_free():
    sigma = standard(1, 1, 1, 1)
    assert lower_bound([0.5] * 4, sigma).value == 0.0
    found = lower_bound([0.9, 0.9, 0.5, 0.3 + 0.6], sigma)  # 0.3 + 0.6 is 0.9 less rounding
    assert found.value == pytest.approx(2 / 0.4)
    assert found.allocation == pytest.approx([0, 0, 2 / 0.16, 0])
    sigma[1, 2] = 3.0
    assert lower_bound([0.9, 0.9, 0.5, 0.9], sigma).value == 0.0
    blind = standard(INF, 1, 1)
    blind[2, 0] = 1.0
    assert lower_bound([1, 1, 0.5], blind, "graves_lai").value == pytest.approx(4.0)


def test_an_invisible_arm_makes_the_bound_infinite_and_is_named():
    for kind in ("lp", "graves_lai"):
        found = lower_bound([1, 0.8, 0.5], standard(1, INF, INF), kind)
        assert (found.value, found.status, found.binding, found.solver) == (INF, "infinite", (1, 2), "none")
        assert np.isnan(found.allocation).all()
    assert lower_bound([1, 0.8], standard(INF, 1)).value == INF


def test_noiseless_observation_is_had_for_one_play():
    assert lower_bound([1, 0.8, 0.5], standard(1, 0, 1)).value == pytest.approx(4.0)
    assert lower_bound([1, 0.8, 0.5], np.zeros((3, 3))).value == 0.0
    sigma = np.full((3, 3), INF)
    sigma[1, 0] = 0.0  # a blind best arm that another shows exactly
    sigma[1, 1] = sigma[2, 2] = 1.0
    exact = lower_bound([1, 0.8, 0.5], sigma, "graves_lai")
    assert exact.value == pytest.approx(lower_bound([1, 0.8, 0.5], sigma).value) == pytest.approx(14.0)


def test_one_arm_costs_nothing():
    for sigma in ([[1.0]], [[INF]], [[0.0]]):
        assert lower_bound([0.3], sigma).value == 0.0


def test_duplicate_arms_leave_the_value_alone():
    means, sigma = [1, 0.8, 0.8, 0.6, 0.6], graph(5, (1, 2), (3, 4))
    found = lower_bound(means, sigma)
    assert found.value == pytest.approx(2 / 0.2 + 2 / 0.4)
    check_feasible(np.array(means), sigma, found.allocation)


@pytest.mark.parametrize(
    ("means", "sigma", "said"),
    [
        ([1, 0], [[1, math.nan], [1, 1]], r"sigma\[0, 1\] = nan is not a standard deviation"),
        ([1, 0], [[1, 1], [-2, 1]], r"sigma\[1, 0\] = -2 is not a standard deviation"),
        ([1, 0], [[1, 1]], r"sigma has shape \(1, 2\), expected \(K, K\)"),
        ([1, 0, 2], [[1, 1], [1, 1]], r"sigma has shape \(2, 2\), expected \(3, 3\): there are 3 means"),
        ([1, math.nan], np.ones((2, 2)), r"means\[1\] = nan is not a finite number"),
        ([], np.ones((0, 0)), r"means has shape \(0,\)"),
        ([1, 0], [[1e-80, 1], [1e80, 1]], "too wide"),
        ([1e308, -1e308], np.ones((2, 2)), "range over more than a double holds"),
    ],
)
def test_wrong_entries_are_named(means, sigma, said):
    with pytest.raises(ValueError, match=said):
        lower_bound(means, sigma)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind must be 'lp' or 'graves_lai', got 'exact'"):
        lower_bound([1, 0], np.ones((2, 2)), "exact")


def test_what_our_simplex_cannot_certify_goes_to_highs_and_is_counted(monkeypatch):
    monkeypatch.setattr(simplex, "solve", lambda *arguments: simplex.FAILED)
    for name in ("E5b", "E10", "E11", "E11 exact"):
        sigma, means, kind, value, allocation, _ = WORKED[name]
        found = lower_bound(means, sigma, kind)
        assert found.value == pytest.approx(value, abs=1e-8)
        assert found.allocation == pytest.approx(allocation, abs=1e-7)
        assert found.solver == "highs"
        assert found.retries >= 1


def test_what_nobody_certifies_is_solved_without_rounding(monkeypatch):
    monkeypatch.setattr(simplex, "solve", lambda *arguments: simplex.FAILED)
    monkeypatch.setattr(covering, "_TOLERANCE", -1.0)
    for name in ("E1", "E5b", "E10", "E11", "E9"):
        sigma, means, kind, value, allocation, _ = WORKED[name]
        found = lower_bound(means, sigma, kind)
        assert found.value == pytest.approx(value, abs=1e-8)
        assert found.allocation == pytest.approx(allocation, abs=1e-7)
        assert found.solver == "rational"


# The batch


def drifting(rng, sigma, means, size, rounds):
    """Running precision-weighted estimates while arms are played in turn: yields arrays (K, B)."""
    p = precisions(sigma)
    total, estimate = np.full((means.size, 1), 1e-9), np.zeros((means.size, size))
    for t in range(rounds):
        seen = p[t % means.size][:, None]
        sd = np.where(seen > 0, 1 / np.sqrt(np.maximum(seen, 1e-300)), 0.0)
        total = total + seen
        shown = means[:, None] + sd * rng.normal(size=estimate.shape)
        estimate = estimate + np.where(seen > 0, (shown - estimate) * seen / total, 0.0)
        yield estimate


@pytest.mark.parametrize(("n", "kind"), [(2, "lp"), (5, "lp"), (10, "lp"), (20, "lp"), (30, "lp"), (5, "graves_lai")])
def test_re_solving_along_drifting_estimates_equals_solving_afresh(n, kind):
    rng = np.random.default_rng(n)
    means, sigma = random_instance(rng, n, blind=kind == "graves_lai")
    size, every = 16, np.arange(16)
    warm, c = WarmSimplex(precisions(sigma), size, kind=kind), np.zeros((n, size))
    compared = 0
    for t, estimate in enumerate(drifting(rng, sigma, means, size, 400)):
        if t < n:
            continue
        warm.solve(estimate, every, c)
        for b in every[t % 16 :: 16]:
            cold = lower_bound(estimate[:, b], sigma, kind)
            gap = estimate[:, b].max() - estimate[:, b]
            if np.delete(gap, gap.argmin()).min() > 1e-5:  # above the floor of the gaps
                assert gap @ c[:, b] == pytest.approx(cold.value, rel=3e-9)
                check_feasible(estimate[:, b], sigma, c[:, b], 2e-9)
                assert c[estimate[:, b].argmax(), b] == 0.0
                compared += 1
    assert compared > 300
    assert warm.rescued == 0
    assert warm.restarts <= warm.solves // 50


@pytest.mark.parametrize("n", [4, 10, 25])
def test_a_lane_does_not_depend_on_the_batch(n):
    rng = np.random.default_rng(n)
    means, sigma = random_instance(rng, n, blind=True)
    size = 70
    whole, parts = (WarmSimplex(precisions(sigma), size, kind="graves_lai") for _ in range(2))
    alone = WarmSimplex(precisions(sigma), 1, kind="graves_lai")
    one, two, three = np.full((n, size), -1.0), np.full((n, size), -1.0), np.zeros((n, 1))
    for t, estimate in enumerate(drifting(rng, sigma, means, size, n + 40)):
        if t < n:
            continue
        explore = np.flatnonzero(rng.random(size) < 0.7)
        whole.solve(estimate, explore, one)
        shuffled = rng.permutation(explore)
        for part in np.array_split(shuffled, 3):
            parts.solve(estimate, part, two)
        if 17 in explore:
            alone.solve(np.ascontiguousarray(estimate[:, 17:18]), np.zeros(1, dtype=np.int64), three)
            assert (three[:, 0] == one[:, 17]).all()
        assert (one == two).all()
    assert (one >= 0).all()
    assert whole.solves == parts.solves > 0


def test_lanes_that_are_not_listed_stay_as_they_are():
    warm, c = WarmSimplex(precisions(standard(1, 1, 1)), 3), np.full((3, 3), 7.0)
    warm.solve(np.tile(np.array([[1.0], [0.5], [0.0]]), 3), np.array([1]), c)
    assert c[:, 1] == pytest.approx([0, 8, 2])
    assert (c[:, [0, 2]] == 7.0).all()
    warm.solve(np.zeros((3, 3)), np.array([], dtype=np.int64), c)
    assert warm.solves == 1


def test_near_ties_are_floored():
    """Equal means count as 1e-6 apart, and means at 0 and 1e9 make that 1e3."""
    warm, c = WarmSimplex(precisions(standard(1, 1, 1)), 2), np.zeros((3, 2))
    warm.solve(np.array([[1.0, 1e9], [1.0, 1e9], [0.5, 0.0]]), np.array([0, 1]), c)
    assert c[:, 0] == pytest.approx([0, 2e12, 8])
    assert c[:, 1] == pytest.approx([0, 2e-6, 2e-18])


def test_the_batch_leaves_out_invisible_and_noiseless_arms():
    sigma = standard(1, 1, INF, 0)
    warm, c = WarmSimplex(precisions(sigma), 1), np.zeros((4, 1))
    warm.solve(np.array([[1.0], [0.5], [0.2], [0.1]]), np.array([0]), c)
    assert c[:, 0] == pytest.approx([0, 8, 0, 0])


def test_the_batch_refuses_what_is_no_number():
    warm, c = WarmSimplex(precisions(standard(1, 1)), 3), np.zeros((2, 3))
    for wrong in (math.nan, INF, -INF):
        means = np.array([[0.0, 1.0, 0.0], [1.0, wrong, 1.0]])
        with pytest.raises(ValueError, match="the means of lane 1 are not finite"):
            warm.solve(means, np.arange(3), c)
    warm.solve(np.array([[0.0, 1.0, 0.0], [1.0, 0.5, 1.0]]), np.arange(3), c)
    assert c.tolist() == [[2.0, 0.0, 2.0], [0.0, 8.0, 0.0]]


@pytest.mark.parametrize(
    ("precision", "said"),
    [
        (np.ones((2, 3)), r"shape \(2, 3\), expected \(K, K\)"),
        (np.array([[1.0, -1.0], [0.0, 1.0]]), r"precision\[0, 1\] = -1, expected at least 0"),
    ],
)
def test_the_batch_checks_its_precisions(precision, said):
    with pytest.raises(ValueError, match=said):
        WarmSimplex(precision, 2)


def test_the_batch_checks_shapes_and_kind():
    warm = WarmSimplex(precisions(standard(1, 1)), 3)
    with pytest.raises(ValueError, match=r"shapes \(3, 2\) and \(2, 3\), expected \(2, 3\)"):
        warm.solve(np.zeros((3, 2)), np.arange(3), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="kind must be 'lp' or 'graves_lai', got 'exact'"):
        WarmSimplex(np.ones((2, 2)), 1, kind="exact")


@pytest.mark.parametrize("kind", ["lp", "graves_lai"])
def test_a_lane_that_fails_is_rescued_by_highs_and_counted(monkeypatch, kind):
    real = simplex_batch.solve_lanes

    def failing(program, state, means, lanes, allocation, status):
        real(program, state, means, lanes, allocation, status)
        allocation[:, lanes[1]] = -1.0
        status[1] = simplex.FAILED

    monkeypatch.setattr(simplex_batch, "solve_lanes", failing)
    sigma, means, _, _, allocation, _ = WORKED["E11" if kind == "lp" else "E11 exact"]
    warm, c = WarmSimplex(precisions(np.array(sigma)), 3, kind=kind), np.zeros((3, 3))
    warm.solve(np.tile(np.array(means)[:, None], 3), np.arange(3), c)
    assert c == pytest.approx(np.tile(np.array(allocation)[:, None], 3), abs=1e-7)
    assert (warm.rescued, warm.restarts, warm.solves) == (1, 0, 3)
