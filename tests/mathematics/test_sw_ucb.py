"""SW-UCB, against a slow loop over its window."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bandits import Feedback, Problem, Streams, agent
from bandits.agents import SWUCB
from bandits.errors import UnsupportedProblem

UNIT = (0.0, 1.0)


@pytest.mark.parametrize("window", [2, 7, 40, 1000])
def test_it_plays_what_a_slow_loop_plays(window):
    n_arms, horizon, size, xi, scale = 4, 200, 5, 0.7, 1.5
    rewards = np.random.default_rng(1).normal(size=(horizon, n_arms, size))
    it = SWUCB(Problem(n_arms=n_arms, horizon=horizon), Streams(0, size), window=window, xi=xi, scale=scale)
    played = [[] for _ in range(size)]
    for t in range(1, horizon + 1):
        action = it.act(t)
        for b in range(size):
            index = []
            for k in range(n_arms):
                seen = [reward for arm, reward in played[b][-window:] if arm == k]
                bonus = scale * math.sqrt(xi * math.log(min(t, window)) / len(seen)) if seen else math.inf
                index.append(math.fsum(seen) / len(seen) + bonus if seen else math.inf)
            assert action[b] == int(np.argmax(index))
            played[b].append((action[b], rewards[t - 1, action[b], b]))
        it.update(t, action, Feedback(rewards[t - 1, action, np.arange(size)], np.zeros(size)))
    np.testing.assert_array_equal(it.pulls.sum(axis=0), min(window, horizon))


def test_the_default_window_is_the_formula():
    def window(horizon, changes, scale=None):
        return SWUCB(
            Problem(n_arms=2, reward_range=UNIT, horizon=horizon), Streams(0, 1), changes=changes, scale=scale
        ).window

    assert window(10_000, 1) == math.ceil(2 * math.sqrt(1e4 * math.log(1e4)))  # 607
    assert window(10_000, 4) == math.ceil(math.sqrt(1e4 * math.log(1e4)))
    assert window(10_000, 1, 0.5) == math.ceil(math.sqrt(1e4 * math.log(1e4)))
    assert window(10, 1) == 10
    with pytest.raises(UnsupportedProblem, match="pass window="):
        window(None, 1)


def regret_after_a_change(cls, horizon=4000, size=100, **parameters):
    """Mean pseudo-regret when the worse of two Bernoulli arms becomes the better one, half-way."""
    rng = np.random.default_rng(6)
    it = cls(Problem(n_arms=2, reward_range=UNIT, horizon=horizon), Streams(0, size), **parameters)
    regret = np.zeros(size)
    for t in range(1, horizon + 1):
        means = np.array([0.5, 0.1] if t <= horizon // 2 else [0.5, 0.9])
        action = it.act(t)
        regret += means.max() - means[action]
        it.update(t, action, Feedback((rng.random(size) < means[action]).astype(float), regret))
    return regret.mean()


def test_forgetting_pays_when_the_means_change():
    regret = regret_after_a_change(SWUCB)
    assert regret < 0.5 * regret_after_a_change(SWUCB, window=4000), "a window that never forgets"
    assert regret < 0.5 * (0.2 * 4000), "uniform play loses 0.2 per round"


def test_the_memory_is_bounded_by_the_window():
    it = SWUCB(Problem(n_arms=2, reward_range=UNIT, horizon=10_000), Streams(0, 3), window=50)
    assert it._actions.shape == it._rewards.shape == (50, 3)
    assert len(SWUCB(Problem(n_arms=2, reward_range=UNIT, horizon=20), Streams(0, 3), window=50)._actions) == 20


@pytest.mark.parametrize("tie", ["first", "random"])
@pytest.mark.parametrize("on", ["bernoulli", "gaussian"])
def test_results_do_not_depend_on_the_batch(same_bits_in_any_batch, on, tie):
    same_bits_in_any_batch(agent("sw_ucb", window=20, tie=tie), on)


@pytest.mark.parametrize(("name", "value"), [("window", 1), ("changes", 0), ("xi", 0.0), ("scale", -1.0)])
def test_wrong_parameters_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be .*, got {value}"):
        SWUCB(Problem(n_arms=2, reward_range=UNIT, horizon=100), Streams(0, 1), **{name: value})
