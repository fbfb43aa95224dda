"""Beta and normal quantiles against SciPy, and Bayes-UCB's lazy choice against all quantiles."""

import importlib
import math

import numpy as np
import pytest
from scipy import special

from bandits import Feedback, Problem, Streams
from bandits.agents import BayesUCB

quantiles = importlib.import_module("bandits.agents._quantiles")


def test_normal_quantile_equals_scipy():
    for level in [0.05, 0.3, math.log(2), *np.linspace(0.8, 60.0, 150)]:
        assert quantiles.normal_upper_quantile(float(level)) == pytest.approx(
            -special.ndtri_exp(-level), abs=3e-15, rel=3e-15
        )


def test_log_gamma_equals_scipy():
    for x in [*np.linspace(1.0, 40.0, 200), *10.0 ** np.arange(2, 10)]:
        assert quantiles.log_gamma(float(x)) == pytest.approx(special.gammaln(x), rel=1e-14, abs=1e-14)


def grid():
    for pulls in (1, 2, 3, 10, 37, 100, 1000, 10_000, 1_000_000):
        for share in (0, 0.001, 0.01, 0.1, 0.37, 0.5, 0.9, 0.999, 1):
            yield 1.0 + pulls * share, 1.0 + pulls * (1 - share)


@pytest.mark.parametrize("t", [2, 3, 10, 100, 10_000, 10**9])
def test_beta_quantile_equals_scipy(t):
    level = math.log(t)
    normal = quantiles.normal_upper_quantile(level)
    for a, b in grid():
        found, _, _ = quantiles.beta_upper_quantile(a, b, quantiles.log_beta(a, b), level, normal)
        assert found == pytest.approx(float(special.betainccinv(a, b, 1 / t)), abs=1e-11), (a, b)


def test_tangent_bounds_the_quantiles_of_higher_levels():
    for a, b in grid():
        norm = quantiles.log_beta(a, b)
        _, anchor, slope = quantiles.beta_upper_quantile(a, b, norm, 2.0, quantiles.normal_upper_quantile(2.0))
        for level in (2.0, 2.1, 3.0, 10.0):
            later, _, _ = quantiles.beta_upper_quantile(a, b, norm, level, quantiles.normal_upper_quantile(level))
            assert later <= anchor + slope * level + 1e-13


def test_lazy_choice_is_the_argmax_of_all_quantiles():
    n_arms, size, rounds = 5, 50, 400
    means, rng = np.linspace(0.4, 0.6, n_arms), np.random.default_rng(4)
    policy = BayesUCB(Problem(n_arms=n_arms, reward_range=(0.0, 1.0), horizon=rounds), Streams(0, size))
    index = np.empty((n_arms, size))
    for t in range(1, rounds + 1):
        action = policy.act(t).copy()
        if t > n_arms:
            policy.index(t, index)
            assert (action == index.argmax(axis=0)).all()
        reward = (rng.random(size) < means[action]).astype(float)
        policy.update(t, action, Feedback(reward, np.zeros(size)))
