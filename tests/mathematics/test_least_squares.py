"""Least squares from the normal equations, against NumPy and SciPy on the data themselves."""

from __future__ import annotations

import numpy as np
import pytest
from bandits.agents._least_squares import in_box, least_norm, residual_sum
from scipy.optimize import lsq_linear


def fit(features, y):
    m = features.shape[1]
    out = np.empty(m)
    least_norm(features.T @ features, features.T @ y, np.empty((2, m, m)), out)
    return out


def boxed(features, y, bound, start=None):
    m = features.shape[1]
    x = fit(features, y) if start is None else np.array(start, dtype=np.float64)
    steps = in_box(features.T @ features, features.T @ y, bound, np.empty((3, m, m)), np.empty((3, m)), x)
    assert steps < 20 * m, "the active-set method did not end"
    return x


def chebyshev(n, rng, low=-1.0, high=0.5):
    x = rng.uniform(low, high, n)
    return np.polynomial.chebyshev.chebvander(x, 5)


@pytest.mark.parametrize("n", [1, 2, 4, 5, 6, 7, 30, 3000])
def test_the_shortest_solution_is_numpys(n):
    rng = np.random.default_rng(n)
    for _ in range(20):
        features, y = rng.normal(size=(n, 6)), rng.normal(size=n)
        expected = np.linalg.lstsq(features, y, rcond=None)[0]
        assert fit(features, y) == pytest.approx(expected, rel=1e-6, abs=1e-6 * np.abs(expected).max())


def test_repeated_observations_leave_the_shortest_solution():
    features = np.tile([[1.0, 0.5, -0.5, -1.0, -0.5, 0.5]], (9, 1))
    assert fit(features, np.full(9, 2.0)) == pytest.approx(2.0 * features[0] / (features[0] ** 2).sum(), rel=1e-12)
    assert (fit(np.zeros((3, 4)), np.ones(3)) == 0).all()


@pytest.mark.parametrize("n", [6, 8, 15, 40, 2000])
@pytest.mark.parametrize("size", [0.01, 0.3, 3.0])
def test_the_minimiser_in_a_box_is_scipys(n, size):
    """Where it is unique: the same point; the objective always."""
    rng = np.random.default_rng(n)
    walls = 0
    for _ in range(25):
        features, y = chebyshev(n, rng), rng.normal(size=n)
        bound = size * rng.exponential(size=6)
        x = boxed(features, y, bound)
        assert (np.abs(x) <= bound).all()
        expected = lsq_linear(features, y, (-bound, bound), method="bvls", tol=1e-14)
        assert ((features @ x - y) ** 2).sum() <= 2 * expected.cost * (1 + 1e-9) + 1e-12
        if np.linalg.cond(features) < 1e3:
            assert x == pytest.approx(expected.x, abs=1e-6 * size)
        walls += (np.abs(x) == bound).sum()
    assert walls > 0 or (size > 1 and n > 40)


def test_the_objective_in_a_box_is_scipys_where_the_solution_is_not_unique():
    rng = np.random.default_rng(5)
    for n in (1, 2, 3, 5):
        for _ in range(25):
            features, y, bound = chebyshev(n, rng), rng.normal(size=n), rng.exponential(size=6)
            x = boxed(features, y, bound)
            assert (np.abs(x) <= bound).all()
            cost = 2 * lsq_linear(features, y, (-bound, bound), method="bvls").cost
            assert ((features @ x - y) ** 2).sum() <= cost * (1 + 1e-6) + 1e-9


def test_a_bound_of_0_holds_its_coordinate_at_0_and_any_start_leads_to_the_same_point():
    rng = np.random.default_rng(6)
    features, y = chebyshev(50, rng), rng.normal(size=50)
    bound = np.array([0.2, 0.0, 0.1, 0.0, 0.05, 1.0])
    x = boxed(features, y, bound)
    assert (x[[1, 3]] == 0).all()
    for start in (np.zeros(6), np.full(6, 9.0), np.full(6, -9.0)):
        assert boxed(features, y, bound, start) == pytest.approx(x, abs=1e-9)


def test_the_residual_sum_is_that_of_the_data():
    rng = np.random.default_rng(7)
    features, y, x = chebyshev(200, rng), rng.normal(size=200), rng.normal(size=6)
    got = residual_sum(features.T @ features, features.T @ y, y @ y, x)
    assert got == pytest.approx(((features @ x - y) ** 2).sum(), rel=1e-12)
    exact = chebyshev(3, rng)
    y = exact @ x
    assert 0 <= residual_sum(exact.T @ exact, exact.T @ y, y @ y, x) < 1e-12
