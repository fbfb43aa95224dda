"""Tsallis-INF, against printed values, a bracketing root finder, a slow loop and its regret bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from bandits import Feedback, Problem, Streams, agent, environment
from bandits.agents import TsallisINF
from bandits.loop import simulate

REDUCED = "reduced"


def build(n_arms, size=1, seed=0, estimator="importance"):
    return TsallisINF(Problem(n_arms=n_arms, reward_range=(0.0, 1.0)), Streams(seed, size), estimator=estimator)


@pytest.mark.parametrize(
    ("loss_sum", "t", "x", "p"),
    [  # eta is 2 / sqrt(t)
        ([0.0, 0.0, 0.0], 4, -3.46410162, [1 / 3, 1 / 3, 1 / 3]),
        ([0.0, 1.0, 2.0], 4, -2.73481829, [0.53481434, 0.28676163, 0.17842404]),
        ([3.0, 0.0, 5.0, 0.5], 10, -4.96157752, [0.15776176, 0.40621919, 0.10077290, 0.33524615]),
    ],
)
def test_probabilities_equal_the_printed_values(loss_sum, t, x, p):
    it = build(len(loss_sum))
    it.loss_sum[:, 0] = loss_sum
    it.distribution(t)
    assert it.p[:, 0] == pytest.approx(p, abs=5e-9)
    assert min(loss_sum) - 2 * it._z[0] / it.eta(t) == pytest.approx(x, abs=5e-9)


def slow_probabilities(loss_sum, eta):
    """Solve for x in ``sum 4 / (eta (loss_sum - x))^2 = 1`` between min - 2 sqrt(K) / eta and min - 2 / eta."""
    low, high = min(loss_sum) - 2 * math.sqrt(len(loss_sum)) / eta, min(loss_sum) - 2 / eta
    weights = lambda x: [4 / (eta * (v - x)) ** 2 for v in loss_sum]  # noqa: E731 - the equation on one line
    x = brentq(lambda x: sum(weights(x)) - 1, low - 1e-9, high + 1e-9, xtol=1e-15, rtol=1e-15)
    return weights(x)


@pytest.mark.parametrize("start", [1.0, 1.7, 3.16, 1e3])
def test_probabilities_solve_the_equation_from_any_start(start):
    rng = np.random.default_rng(3)
    it = build(10, size=40)
    it.loss_sum[:] = rng.exponential(10.0 ** rng.integers(-2, 5, 40), (10, 40))
    it._z[:] = start
    it.distribution(400)
    for b in range(40):
        assert it.p[:, b] == pytest.approx(slow_probabilities(it.loss_sum[:, b].tolist(), 0.1), rel=1e-8)
    np.testing.assert_allclose(it.p.sum(axis=0), 1.0, atol=1e-14)


@pytest.mark.parametrize("estimator", ["importance", REDUCED])
def test_it_plays_what_a_slow_loop_plays(estimator):
    n_arms, horizon, size = 3, 150, 4
    rewards = np.random.default_rng(1).random((horizon, n_arms)) * [1.0, 0.5, 0.2]
    it, uniform = build(n_arms, size, 9, estimator), Streams(9, size).agent.uniform
    loss_sum = [[0.0] * n_arms for _ in range(size)]
    baselines = 0
    for t in range(1, horizon + 1):
        eta = (4 if estimator == REDUCED else 2) / math.sqrt(t)
        action = it.act(t)
        for b in range(size):
            p = slow_probabilities(loss_sum[b], eta)
            u, arm = uniform(t)[b] * sum(p), 0
            while u > sum(p[: arm + 1]):
                arm += 1
            assert action[b] == arm
            base = [0.5 if estimator == REDUCED and v >= eta**2 else 0.0 for v in p]
            baselines += base[arm] > 0
            loss_sum[b][arm] += (1 - rewards[t - 1, arm] - base[arm]) / p[arm]
            loss_sum[b] = [v + w for v, w in zip(loss_sum[b], base, strict=True)]
        it.update(t, action, Feedback(rewards[t - 1, action], np.zeros(size)))
        np.testing.assert_allclose(it.loss_sum.T, loss_sum, rtol=1e-7, atol=1e-9)
    assert (baselines > 50) == (estimator == REDUCED)


def test_regret_stays_below_the_proved_bound():
    """Zimmert and Seldin (2021), Theorem 1: 4 sqrt(K T) + 1."""
    horizon, bound = 2000, 4 * math.sqrt(10 * 2000) + 1
    assert bound < 0.5 * 0.72 * horizon, "vacuous: uniform play would pass"
    here = environment("bernoulli", means=[0.9] + 9 * [0.1])
    log = simulate(here, agent("tsallis_inf"), horizon=horizon, replications=200, checkpoints=1)
    assert log.to_pandas()["regret"].mean() < bound


def test_regret_grows_like_the_logarithm_on_stochastic_arms():
    """Ten times the rounds would multiply an adversarial rate sqrt(T) by 3.2; a logarithm gains less than 2 here."""
    here = environment("bernoulli", means=[0.9, 0.5, 0.5])
    for estimator in ("importance", REDUCED):
        log = simulate(
            here, agent("tsallis_inf", estimator=estimator), horizon=10_000, replications=200, checkpoints=(1000,)
        ).to_pandas()
        early, late = (log.loc[log["t"] == t, "regret"].mean() for t in (1000, 10_000))
        assert 1 < late / early < 2


@pytest.mark.parametrize("estimator", ["importance", REDUCED])
def test_results_do_not_depend_on_the_batch(same_bits_in_any_batch, estimator):
    same_bits_in_any_batch(agent("tsallis_inf", estimator=estimator), "bernoulli")


def test_an_unknown_estimator_is_refused():
    with pytest.raises(ValueError, match="estimator must be 'importance' or 'reduced', got 'best'"):
        build(2, estimator="best")
