"""Thompson sampling with Gaussian posteriors, against its formula and a slow loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bandits import Feedback, Problem, Streams, agent, environment
from bandits.agents import ThompsonGaussian
from bandits.errors import UnsupportedProblem
from bandits.loop import simulate

SD = np.array([1.0, 0.5, 2.0, 1.5, 0.1])


def test_it_plays_the_largest_of_the_posterior_samples():
    streams = Streams(4, 50)
    it = ThompsonGaussian(Problem(n_arms=5, noise_sd=SD), streams)
    rng = np.random.default_rng(0)
    rewards = [[[] for _ in range(50)] for _ in range(5)]
    for t in range(1, 101):
        action = it.act(t)
        if t <= 5:
            assert set(action) == {t - 1}, "every arm once, in order"
        else:
            means = np.array([[np.mean(x) for x in row] for row in rewards])
            pulls = np.array([[len(x) for x in row] for row in rewards])
            samples = means + SD[:, None] / np.sqrt(pulls) * streams.agent.normals(t, 5)
            np.testing.assert_array_equal(action, samples.argmax(axis=0))
        reward = rng.normal(size=50)
        for b in range(50):
            rewards[action[b]][b].append(reward[b])
        it.update(t, action, Feedback(reward, reward))


def slow_regret(means, sd, horizon, replications):
    """One replication at a time: final pseudo-regret of each."""
    rng = np.random.default_rng(8)
    regret = np.zeros(replications)
    for r in range(replications):
        total, pulls = np.zeros(len(means)), np.zeros(len(means))
        for t in range(horizon):
            arm = t if t < len(means) else int(np.argmax(rng.normal(total / pulls, sd / np.sqrt(pulls))))
            total[arm] += rng.normal(means[arm], sd[arm])
            pulls[arm] += 1
            regret[r] += max(means) - means[arm]
    return regret


def test_regret_agrees_with_a_slow_loop():
    means, sd, horizon = [1.0, 0.4, 0.0], np.array([1.0, 1.5, 0.5]), 200
    slow = slow_regret(means, sd, horizon, 300)
    here = environment("gaussian", means=means, sd=sd.tolist())
    fast = simulate(here, agent("thompson_gaussian"), horizon=horizon, replications=4000, seed=1, checkpoints=1)
    regret = fast.to_pandas()["regret"].to_numpy()
    tolerance = 4 * math.hypot(stats.sem(slow), stats.sem(regret))
    assert abs(slow.mean() - regret.mean()) < tolerance
    uniform = horizon * 1.6 / 3
    assert uniform - slow.mean() > 4 * tolerance, "the tolerance would let uniform play pass"


def test_the_scale_comes_from_the_noise_or_from_half_the_interval():
    streams = Streams(0, 2)
    np.testing.assert_array_equal(ThompsonGaussian(Problem(n_arms=5, noise_sd=SD), streams).scale, SD)
    bounded = Problem(n_arms=2, reward_range=(0.0, 1.0))
    np.testing.assert_array_equal(ThompsonGaussian(bounded, streams).scale, [0.5, 0.5])
    np.testing.assert_array_equal(ThompsonGaussian(bounded, streams, scale=2.0).scale, [2.0, 2.0])
    with pytest.raises(UnsupportedProblem, match="pass scale="):
        ThompsonGaussian(Problem(n_arms=2), streams)
    with pytest.raises(ValueError, match="scale must be positive and at most 1e75, got -1"):
        ThompsonGaussian(bounded, streams, scale=-1.0)


@pytest.mark.parametrize("on", ["gaussian", "bernoulli"])
def test_results_do_not_depend_on_the_batch(same_bits_in_any_batch, on):
    same_bits_in_any_batch(agent("thompson_gaussian"), on)
