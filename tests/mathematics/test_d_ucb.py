"""D-UCB, against a slow loop over the whole past."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bandits import Feedback, Problem, Streams, agent
from bandits.agents import DUCB
from bandits.errors import UnsupportedProblem

UNIT = (0.0, 1.0)


@pytest.mark.parametrize("gamma", [0.6, 0.95, 1.0])
def test_it_plays_what_a_slow_loop_plays(gamma):
    n_arms, horizon, size, xi, scale = 4, 150, 5, 0.7, 1.5
    rewards = np.random.default_rng(1).normal(size=(horizon, n_arms, size))
    it = DUCB(Problem(n_arms=n_arms, horizon=horizon), Streams(0, size), gamma=gamma, xi=xi, scale=scale)
    played = [[] for _ in range(size)]
    for t in range(1, horizon + 1):
        action = it.act(t)
        for b in range(size):
            ages = [gamma ** (len(played[b]) - 1 - s) for s in range(len(played[b]))]
            index = []
            for k in range(n_arms):
                seen = [(w, reward) for w, (arm, reward) in zip(ages, played[b], strict=True) if arm == k]
                weight = sum(w for w, _ in seen)
                index.append(
                    sum(w * reward for w, reward in seen) / weight
                    + 2 * scale * math.sqrt(xi * math.log(sum(ages)) / weight)
                    if seen
                    else math.inf
                )
            assert action[b] == int(np.argmax(index))
            played[b].append((action[b], rewards[t - 1, action[b], b]))
        it.update(t, action, Feedback(rewards[t - 1, action, np.arange(size)], np.zeros(size)))
    np.testing.assert_allclose(it.pulls.sum(axis=0), it._rounds, rtol=1e-12)


def test_the_default_discount_is_the_formula():
    def gamma(horizon, changes, scale=None):
        return DUCB(
            Problem(n_arms=2, reward_range=UNIT, horizon=horizon), Streams(0, 1), changes=changes, scale=scale
        ).gamma

    assert gamma(10_000, 1) == pytest.approx(1 - 0.25 * 0.01, rel=1e-15)
    assert gamma(10_000, 4) == pytest.approx(1 - 0.25 * 0.02, rel=1e-15)
    assert gamma(10_000, 1, 0.5) == pytest.approx(1 - 0.5 * 0.01, rel=1e-15)
    with pytest.raises(UnsupportedProblem, match="pass gamma="):
        gamma(None, 1)
    with pytest.raises(UnsupportedProblem, match=r"gives no discount for T = 4, changes = 1 and scale B = 0\.1"):
        gamma(4, 1, 0.1)


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
    """With xi = 0.15, whose bonus equals that of SW-UCB: at the default, exploration is most of the regret."""
    regret = regret_after_a_change(DUCB, xi=0.15)
    assert regret < 0.5 * regret_after_a_change(DUCB, xi=0.15, gamma=1.0), "a discount that never forgets"
    assert regret < 0.5 * (0.2 * 4000), "uniform play loses 0.2 per round"


@pytest.mark.parametrize("tie", ["first", "random"])
@pytest.mark.parametrize("on", ["bernoulli", "gaussian"])
def test_results_do_not_depend_on_the_batch(same_bits_in_any_batch, on, tie):
    same_bits_in_any_batch(agent("d_ucb", gamma=0.95, tie=tie), on)


@pytest.mark.parametrize(("name", "value"), [("gamma", 0.0), ("changes", 0), ("xi", 0.0), ("scale", -1.0)])
def test_wrong_parameters_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must .*, got {value}"):
        DUCB(Problem(n_arms=2, reward_range=UNIT, horizon=100), Streams(0, 1), **{name: value})
