"""EXP3-IX, against printed values, a slow loop with the same uniforms, and its high-probability bound."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bandits import Feedback, Problem, Streams, agent, environment
from bandits.agents import EXP3IX
from bandits.loop import simulate


def problem(n_arms, horizon=None):
    return Problem(n_arms=n_arms, reward_range=(0.0, 1.0), horizon=horizon)


def test_probabilities_and_estimate_equal_the_printed_values():
    it = EXP3IX(problem(3), Streams(0, 1), eta=0.5)
    assert it.gamma == 0.25
    it.loss_sum[:, 0] = 1.0, 0.0, 2.0
    it.distribution(1)
    assert it.p[:, 0] == pytest.approx([0.30719589, 0.50648039, 0.18632372], abs=5e-9)
    it.update(1, np.array([2]), Feedback(np.array([1 - 0.7]), np.zeros(1)))
    assert it.loss_sum[2, 0] - 2.0 == pytest.approx(1.60431341, abs=5e-9)


def test_it_plays_what_a_slow_loop_plays():
    n_arms, horizon, size = 4, 300, 6
    eta = math.sqrt(2 * math.log(n_arms) / (n_arms * horizon))
    rewards = np.random.default_rng(1).random((horizon, n_arms)) ** 4
    it, uniform = EXP3IX(problem(n_arms, horizon), Streams(9, size)), Streams(9, size).agent.uniform
    loss_sum = [[0.0] * n_arms for _ in range(size)]
    for t in range(1, horizon + 1):
        action = it.act(t)
        for b in range(size):
            weights = [math.exp(-eta * x) for x in loss_sum[b]]
            p = [w / sum(weights) for w in weights]
            u, arm = uniform(t)[b], 0
            while u > sum(p[: arm + 1]):
                arm += 1
            assert action[b] == arm
            loss_sum[b][arm] += (1 - rewards[t - 1, arm]) / (p[arm] + eta / 2)
        it.update(t, action, Feedback(rewards[t - 1, action], np.zeros(size)))
        assert np.allclose(it.loss_sum.T, loss_sum, rtol=1e-8)


def test_regret_exceeds_the_high_probability_bound_rarely():
    """Neu (2015), Theorem 1, with delta = 0.1: a realised regret above it in at most a tenth of the replications."""
    n_arms, horizon, delta = 5, 3000, 0.1
    means = [0.9] + 4 * [0.1]
    log_k = math.log(n_arms)
    bound = 2 * math.sqrt(2 * n_arms * horizon * log_k)
    bound += (math.sqrt(2 * n_arms * horizon / log_k) + 1) * math.log(2 / delta)
    assert bound < 0.5 * 0.64 * horizon, "vacuous: uniform play would pass"
    here = environment("bernoulli", means=means)
    log = simulate(here, agent("exp3_ix"), horizon=horizon, replications=300, checkpoints=1).to_pandas()
    realised = horizon * 0.9 + 3 * math.sqrt(horizon * 0.09) - log["reward"]  # the best arm's sum, and 3 sd more
    assert (realised > bound).mean() <= delta
    assert log["regret"].mean() < bound


def test_results_do_not_depend_on_the_batch(same_bits_in_any_batch):
    same_bits_in_any_batch(agent("exp3_ix"), "bernoulli")


def test_wrong_parameters_are_refused():
    with pytest.raises(ValueError, match="gamma must be at least 0, got -1"):
        EXP3IX(problem(3), Streams(0, 1), eta=1.0, gamma=-1.0)
    assert EXP3IX(problem(3), Streams(0, 1), eta=1.0, gamma=0.0).bias == 0.0
