"""UCB1, against its formula, its theorem and a slow obvious loop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bandits import Feedback, Problem, Streams, agent, environment, simulate
from bandits.agents import UCB1, UCB1NumPy

PLAYERS = [UCB1, UCB1NumPy]


def fed(player, rounds):
    """Feed (action, reward) pairs from round 1 on to an agent of two lanes that see the same."""
    for t, (action, reward) in enumerate(rounds, start=1):
        player.update(t, np.full(2, action), Feedback(np.full(2, float(reward)), np.zeros(2)))
    return player


def test_the_index_is_the_published_value():
    """Ten plays, three successes, t = 100: 0.3 + sqrt(2 ln(100) / 10)."""
    player = fed(UCB1(Problem(n_arms=1), Streams(size=2)), [(0, r) for r in [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]])
    index = np.empty((1, 2))
    player.index(100, index)
    assert index[0] == pytest.approx([1.25970518, 1.25970518], abs=1e-8)


@pytest.mark.parametrize("cls", PLAYERS)
def test_it_plays_the_larger_index_by_hand(cls):
    """Means 1/2 and 0 after three plays, t = 4: 0.5 + sqrt(ln 4) = 1.677 against sqrt(2 ln 4) = 1.665."""
    player = fed(cls(Problem(n_arms=2), Streams(size=2)), [(0, 1.0), (1, 0.0), (0, 0.0)])
    assert player.act(4).tolist() == [0, 0]
    # one more failure of arm 0: 1/3 + sqrt(2 ln(5) / 3) = 1.369 against sqrt(2 ln 5) = 1.794
    player.update(4, np.zeros(2, dtype=np.int64), Feedback(np.zeros(2), np.zeros(2)))
    assert player.act(5).tolist() == [1, 1]


@pytest.mark.parametrize("cls", PLAYERS)
def test_every_arm_is_tried_in_order_first(cls):
    problem = Problem(n_arms=3, noise_sd=np.array([0.0, 5.0, 1.0]))
    player = cls(problem, Streams(size=2))
    for t in (1, 2, 3):
        action = player.act(t).copy()
        assert action.tolist() == [t - 1, t - 1]
        player.update(t, action, Feedback(np.full(2, -100.0), np.zeros(2)))


def slow_regret(means, horizon, replications, seed):
    """One replication at a time, as the paper writes it, with NumPy's own random numbers."""
    rng = np.random.default_rng(seed)
    final = []
    for _ in range(replications):
        pulls, total, regret = np.zeros(len(means)), np.zeros(len(means)), 0.0
        for t in range(1, horizon + 1):
            arm = t - 1
            if t > len(means):
                arm = int(np.argmax(total / pulls + np.sqrt(2 * math.log(t) / pulls)))
            pulls[arm] += 1
            total[arm] += rng.random() < means[arm]
            regret += max(means) - means[arm]
        final.append(regret)
    return np.array(final)


def test_mean_regret_is_that_of_a_slow_obvious_loop():
    means, horizon = [0.9, 0.6, 0.5], 500
    slow = slow_regret(means, horizon, 300, seed=1)
    fast = simulate(environment("bernoulli", means=means), agent("ucb1"), horizon=horizon, replications=3000)
    fast = fast.to_pandas(at=horizon)["regret"].to_numpy()
    error = math.hypot(slow.std(ddof=1) / math.sqrt(300), fast.std(ddof=1) / math.sqrt(3000))
    assert abs(slow.mean() - fast.mean()) < 4 * error
    assert error < 0.02 * slow.mean(), "vacuous: the standard error must be small beside the regret"


@pytest.mark.parametrize("gap", [0.4, 0.6])
def test_regret_stays_below_the_proved_bound(gap):
    """Auer et al. (2002), Theorem 1: 8 ln T / gap + (1 + pi^2 / 3) gap."""
    horizon = 2000
    bound = 8 * math.log(horizon) / gap + (1 + math.pi**2 / 3) * gap
    assert bound < 0.5 * gap * horizon, "vacuous: uniform play would pass"
    world = environment("bernoulli", means=[0.8, 0.8 - gap])
    (row,) = simulate(world, agent("ucb1"), horizon=horizon, replications=200).summary().to_dict("records")
    assert row["high"] < bound
    (row,) = simulate(world, agent("uniform"), horizon=horizon, replications=200).summary().to_dict("records")
    assert row["low"] > bound
