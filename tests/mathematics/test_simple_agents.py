"""Explore-then-commit, epsilon-greedy, oracle and uniform play."""

import math

import numpy as np
import pytest

from bandits import Experiment, Feedback, Problem, Streams, agent, environment
from bandits.agents import ETC, EpsilonGreedy, Oracle, Uniform
from bandits.errors import UnsupportedProblem
from bandits.jobs import SimulationJob

UNIT = (0.0, 1.0)


def cell_of(spec, env, horizon, replications=1000):
    (cell,) = Experiment(
        name="test", environments=[env], agents=[spec], horizon=horizon, replications=replications, checkpoints=10
    ).cells()
    return cell


def final_regret(spec, env, horizon, replications=1000):
    table = SimulationJob(cell_of(spec, env, horizon, replications)).run(0, replications)
    return table.filter(table["t"].to_numpy() == horizon)["regret"].to_numpy()


SPECS = [
    agent("etc"),
    agent("etc", m=7, tie="random"),
    agent("epsilon_greedy"),
    agent("epsilon_greedy", decay=True, d=0.2, tie="random"),
    agent("oracle"),
    agent("uniform"),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.label)
@pytest.mark.parametrize("family", ["bernoulli", "gaussian"])
def test_results_do_not_depend_on_the_batch(spec, family):
    cell = cell_of(spec, environment(family, means=[0.4, 0.6, 0.6]), 150, 15)
    whole = SimulationJob(cell, 15).run(0, 15).combine_chunks()
    assert SimulationJob(cell, 7).run(0, 15).combine_chunks().equals(whole)
    assert SimulationJob(cell, 1).run(0, 15).combine_chunks().equals(whole)


@pytest.mark.parametrize(
    ("sd", "gap", "horizon"), [(1.0, 0.5, 1000), (2.0, 0.5, 1000), (1.0, 0.01, 1000), (1.0, 3.0, 100)]
)
def test_etc_explores_as_long_as_the_formula_says(sd, gap, horizon):
    signal = gap**2 / (4 * sd**2)
    expected = max(1, math.ceil(math.log(horizon * signal) / signal))
    assert ETC(Problem(n_arms=2, noise_sd=np.full(2, sd), horizon=horizon), Streams(0, 2), gap=gap).m == expected


def test_etc_without_a_gap_explores_by_the_horizon():
    expected = math.ceil((10_000 / 10) ** (2 / 3) * math.log(10_000) ** (1 / 3))
    assert ETC(Problem(n_arms=10, reward_range=UNIT, horizon=10_000), Streams(0, 2)).m == expected
    assert ETC(Problem(n_arms=50, reward_range=UNIT, horizon=30), Streams(0, 2)).m == 1


def test_etc_plays_in_turn_and_then_the_largest_mean():
    policy = ETC(Problem(n_arms=2, reward_range=UNIT, horizon=100), Streams(0, 2), m=2)
    rewards = {1: [0.0, 1.0], 2: [1.0, 0.0], 3: [0.0, 1.0], 4: [0.0, 0.0]}
    for t, reward in rewards.items():
        action = policy.act(t).copy()
        assert action.tolist() == [(t - 1) % 2] * 2
        policy.update(t, action, Feedback(np.array(reward), np.zeros(2)))
    for t in range(5, 20):  # what comes later changes nothing
        action = policy.act(t).copy()
        assert action.tolist() == [1, 0]
        policy.update(t, action, Feedback(np.zeros(2), np.zeros(2)))


def test_etc_regret_stays_below_the_proved_bound():
    """Lattimore and Szepesvari (2020), equation (6.6), noise of standard deviation 1."""
    gap, horizon = 0.5, 2000
    bound = gap + 4 / gap * (1 + max(0.0, math.log(horizon * gap**2 / 4)))
    assert bound < 0.5 * gap * horizon, "vacuous: uniform play would pass"
    assert final_regret(agent("etc", gap=gap), environment("gaussian", means=[0.0, gap]), horizon).mean() < bound


@pytest.mark.parametrize("decay", [False, True])
def test_epsilon_greedy_regret_agrees_with_a_slow_loop(decay):
    means, horizon, c, d, rng = [0.8, 0.4], 150, 1.0, 0.4, np.random.default_rng(7)
    slow = []
    for _ in range(400):
        sums, pulls, regret = [0.0, 0.0], [0, 0], 0.0
        for t in range(1, horizon + 1):
            epsilon = min(1.0, c * 2 / (d * d * t)) if decay else 0.1
            if rng.random() < epsilon:
                arm = int(rng.integers(2))
            elif 0 in pulls:
                arm = pulls.index(0)
            else:
                arm = 0 if sums[0] / pulls[0] >= sums[1] / pulls[1] else 1
            sums[arm] += rng.random() < means[arm]
            pulls[arm] += 1
            regret += means[0] - means[arm]
        slow.append(regret)
    parameters = {"decay": True, "c": c, "d": d} if decay else {}
    fast = final_regret(agent("epsilon_greedy", **parameters), environment("bernoulli", means=means), horizon)
    tolerance = 4 * math.hypot(np.std(slow) / math.sqrt(len(slow)), fast.std() / math.sqrt(fast.size))
    assert np.mean(slow) + tolerance < 0.5 * 0.4 * horizon, "vacuous: uniform play would pass"
    assert abs(fast.mean() - np.mean(slow)) < tolerance


def test_epsilon_of_the_decay_is_the_formula():
    policy = EpsilonGreedy(Problem(n_arms=10), Streams(0, 2), decay=True, d=0.5)
    assert [policy.epsilon(t) for t in (1, 200, 1000)] == [1.0, 1.0, pytest.approx(5 * 10 / (0.25 * 1000))]


def test_uniform_regret_is_the_mean_gap_times_t():
    means, horizon = [0.9, 0.5, 0.1], 200
    regret = final_regret(agent("uniform"), environment("bernoulli", means=means), horizon)
    assert abs(regret.mean() - 0.4 * horizon) < 4 * regret.std() / math.sqrt(regret.size)
    assert regret.std() == pytest.approx(math.sqrt(horizon * np.var([0.0, 0.4, 0.8])), rel=0.15)


@pytest.mark.parametrize("family", ["bernoulli", "gaussian"])
def test_oracle_has_no_regret(family):
    assert (final_regret(agent("oracle"), environment(family, prior="uniform", n_arms=5), 50, 20) == 0).all()


def test_oracle_needs_an_environment_that_knows():
    with pytest.raises(UnsupportedProblem, match="best_action"):
        Oracle(Problem(n_arms=2), Streams(0, 2))


def test_uniform_plays_every_arm():
    policy = Uniform(Problem(n_arms=3), Streams(0, 500))
    assert set(policy.act(1)) == {0, 1, 2}


@pytest.mark.parametrize(
    ("cls", "parameters", "message"),
    [
        (ETC, {"m": 0}, "m must be at least 1, got 0"),
        (ETC, {"gap": 0.0}, "gap must be positive, got 0.0"),
        (EpsilonGreedy, {"epsilon": 1.5}, r"epsilon must lie in \[0, 1\], got 1.5"),
        (EpsilonGreedy, {"decay": True}, "decay=True needs d"),
        (EpsilonGreedy, {"decay": True, "d": -1.0}, "d must be positive, got -1.0"),
        (EpsilonGreedy, {"c": 0.0}, "c must be positive, got 0.0"),
    ],
)
def test_parameters_out_of_range_are_refused(cls, parameters, message):
    with pytest.raises(ValueError, match=message):
        cls(Problem(n_arms=2, reward_range=UNIT, horizon=10), Streams(0, 2), **parameters)


def test_etc_without_horizon_or_m_is_declined():
    with pytest.raises(UnsupportedProblem, match="needs the horizon"):
        ETC(Problem(n_arms=2, reward_range=UNIT), Streams(0, 2))
