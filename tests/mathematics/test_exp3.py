"""EXP3, against printed values, a slow loop with the same uniforms, and its regret bound."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bandits import Feedback, Problem, Streams, agent, environment
from bandits.agents import EXP3
from bandits.errors import UnsupportedProblem
from bandits.loop import simulate

UNIT = (0.0, 1.0)


def problem(n_arms, horizon=None):
    return Problem(n_arms=n_arms, reward_range=UNIT, horizon=horizon)


def test_probabilities_and_estimate_equal_the_printed_values():
    it = EXP3(problem(3), Streams(0, 1), eta=0.5)
    it.loss_sum[:, 0] = 1.0, 0.0, 2.0
    it.distribution(1)
    assert it.p[:, 0] == pytest.approx([0.30719589, 0.50648039, 0.18632372], abs=5e-9)
    it.update(1, np.array([2]), Feedback(np.array([1 - 0.7]), np.zeros(1)))
    assert it.loss_sum[2, 0] - 2.0 == pytest.approx(3.75690217, abs=5e-9)


def test_the_default_learning_rate_is_the_formula():
    assert EXP3(problem(10, 1000), Streams(0, 1)).eta == pytest.approx(math.sqrt(2 * math.log(10) / 10_000), rel=1e-14)
    with pytest.raises(UnsupportedProblem, match="pass eta="):
        EXP3(problem(10), Streams(0, 1))


@pytest.mark.parametrize("gamma", [0.0, 0.2])
def test_it_plays_what_a_slow_loop_plays(gamma):
    n_arms, horizon, size, eta = 4, 300, 6, 0.15
    rewards = np.random.default_rng(1).random((horizon, n_arms))
    it, uniform = EXP3(problem(n_arms), Streams(9, size), eta=eta, gamma=gamma), Streams(9, size).agent.uniform
    loss_sum = [[0.0] * n_arms for _ in range(size)]
    played = set()
    for t in range(1, horizon + 1):
        action = it.act(t)
        for b in range(size):
            weights = [math.exp(-eta * x) for x in loss_sum[b]]
            p = [(1 - gamma) * w / sum(weights) + gamma / n_arms for w in weights]
            u, arm = uniform(t)[b], 0
            while u > sum(p[: arm + 1]):
                arm += 1
            assert action[b] == arm
            loss_sum[b][arm] += (1 - rewards[t - 1, arm]) / p[arm]
            played.add((b, arm))
        it.update(t, action, Feedback(rewards[t - 1, action], np.zeros(size)))
        assert np.allclose(it.loss_sum.T, loss_sum, rtol=1e-8)
    assert len(played) == n_arms * size


def test_arms_of_probability_zero_are_never_drawn():
    it = EXP3(problem(3), Streams(0, 1000), eta=1.0)
    it.loss_sum[0], it.loss_sum[2] = 1e6, 1e6
    for t in range(1, 50):
        assert (it.act(t) == 1).all()


def test_regret_stays_below_the_proved_bound():
    """Lattimore and Szepesvari (2020), Theorem 11.2: sqrt(2 T K log K)."""
    means, horizon = [0.9] + 9 * [0.1], 2000
    bound = math.sqrt(2 * horizon * 10 * math.log(10))
    assert bound < 0.5 * 0.72 * horizon, "vacuous: uniform play would pass"
    log = simulate(
        environment("bernoulli", means=means), agent("exp3"), horizon=horizon, replications=200, checkpoints=1
    )
    assert log.to_pandas()["regret"].mean() < bound


def test_regret_against_losses_that_turn_round_stays_below_the_bound():
    """The best arm of the first 40 % of the rounds is the worst of the others: the best fixed arm is another one."""
    horizon, size = 2000, 200
    rewards = np.tile([0.1, 0.7, 0.4], (horizon, 1))
    rewards[: 2 * horizon // 5] = [0.9, 0.3, 0.4]
    it = EXP3(problem(3, horizon), Streams(2, size))
    total = np.zeros(size)
    for t in range(1, horizon + 1):
        action = it.act(t)
        reward = rewards[t - 1, action]
        total += reward
        it.update(t, action, Feedback(reward, reward))
    best, bound = rewards.sum(axis=0).max(), math.sqrt(2 * horizon * 3 * math.log(3))
    assert best - rewards.mean(axis=1).sum() > 1.5 * bound, "vacuous: uniform play would pass"
    assert best - total.mean() < bound


def test_results_do_not_depend_on_the_batch(same_bits_in_any_batch):
    same_bits_in_any_batch(agent("exp3", gamma=0.1), "bernoulli")


def test_wrong_parameters_and_unbounded_rewards_are_refused():
    with pytest.raises(ValueError, match="eta must be positive, got -1"):
        EXP3(problem(3), Streams(0, 1), eta=-1.0)
    with pytest.raises(ValueError, match=r"gamma must lie in \[0, 1\], got 1.5"):
        EXP3(problem(3), Streams(0, 1), eta=1.0, gamma=1.5)
    for reward_range in (None, (0.0, 2.0)):
        with pytest.raises(UnsupportedProblem):
            EXP3(Problem(n_arms=2, reward_range=reward_range), Streams(0, 2), eta=1.0)
