"""The KL-UCB index against bisection, and the joint search for the largest against one index per arm."""

import importlib
import math

import numpy as np
import pytest

from bandits import Feedback, Problem, Streams
from bandits.agents import KLUCB, KLUCBPlusPlus

module = importlib.import_module(KLUCB.__module__)


def kl(p, q):
    first = p * math.log(p / q) if p > 0 else 0.0
    second = (1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0
    return first + second


def bisected(p, bound):
    low, high = p, 1.0
    for _ in range(60):
        q = (low + high) / 2
        low, high = (q, high) if q < 1 and kl(p, q) <= bound else (low, q)
    return low


def test_index_equals_bisection_on_a_wide_grid():
    for mean in (0.0, 1e-6, 1e-3, 0.01, 0.3, 0.5, 0.9, 0.999, 1 - 1e-9, 1.0):
        for pulls in (1.0, 2.0, 7.0, 100.0, 1e4, 1e6, 1e9):
            for budget in (0.01, 0.5, 1.0, 3.0, 10.0, 30.0):
                expected = bisected(mean, budget / pulls)
                slope = max(expected - mean, 1e-300) / (expected * (1 - expected) + 1e-15)
                rounding = 4e-16 / slope  # of kl in the bisection itself
                found = module.kl_ucb_index(mean, pulls, budget)
                assert abs(found - expected) < 1e-12 + rounding, (mean, pulls, budget)


@pytest.mark.parametrize(("mean", "pulls", "budget"), [(0.0, 5.0, 2.0), (0.0, 1e6, 10.0), (0.0, 1.0, 20.0)])
def test_index_of_an_arm_without_success_has_a_closed_form(mean, pulls, budget):
    assert module.kl_ucb_index(mean, pulls, budget) == pytest.approx(-math.expm1(-budget / pulls), abs=1e-14)


@pytest.mark.parametrize("mean", [0.0, 0.25, 1.0])
def test_index_without_budget_is_the_mean(mean):
    assert module.kl_ucb_index(mean, 10.0, 0.0) == pytest.approx(mean, abs=1e-14)


@pytest.mark.parametrize("cls", [KLUCB, KLUCBPlusPlus])
def test_largest_index_is_the_largest_of_the_indices(cls):
    """The joint search over arms against one root per arm, from random records, with ties and extremes."""
    n_arms, size = 7, 400
    rng = np.random.default_rng(0)
    policy = cls(Problem(n_arms=n_arms, reward_range=(0.0, 1.0), horizon=5000), Streams(0, size))
    policy.largest_index[:] = rng.random(size)
    for arm in range(n_arms):
        p, pulls = rng.choice([0.0, 0.02, 0.5, 0.9, 1.0], size), rng.choice([1, 2, 30, 5000], size)
        policy.pulls[arm] = pulls - 1.0
        policy.reward_sum[arm] = np.round(p * (pulls - 1.0))
        policy.update(1, np.full(size, arm), Feedback((rng.random(size) < p).astype(float), np.zeros(size)))
    for t in (5001, 5002, 200_000):
        action, index = policy.act(t).copy(), np.empty((n_arms, size))
        policy.index(t, index)
        assert policy.largest_index == pytest.approx(index.max(axis=0), abs=2e-12)
        assert np.take_along_axis(index, action[None], 0)[0] == pytest.approx(index.max(axis=0), abs=2e-12)


def test_search_of_a_lane_does_not_depend_on_its_neighbours():
    """Bit for bit, although lanes of a block take the same number of passes."""
    n_arms, size, rng = 4, 130, np.random.default_rng(5)
    problem = Problem(n_arms=n_arms, reward_range=(0.0, 1.0))
    rewards = (rng.random((40, size)) < rng.random(size)).astype(float)

    def largest_indices(lanes):
        policy = KLUCB(problem, Streams(0, lanes.size))
        for t in range(1, 41):
            policy.update(t, policy.act(t), Feedback(rewards[t - 1, lanes], np.zeros(lanes.size)))
        policy.act(41)
        return policy.largest_index

    whole = largest_indices(np.arange(size))
    parts = [largest_indices(np.arange(first, first + 2)) for first in range(0, size, 2)]
    assert (np.concatenate(parts) == whole).all()
