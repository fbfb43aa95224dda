"""The environment of solver parameters: its laws, its costs, its comparators, and the agents that need no learning."""

from __future__ import annotations

import numpy as np
import pytest
from bandits.environments._sor import sor
from bandits.environments._sor_theory import jacobi_radius, sor_radius
from scipy import stats

from bandits import Streams, agent, environment, simulate
from bandits.errors import BadParameter, UnsupportedProblem
from bandits.experiment import Cell

OMEGAS = [1.0, 1.2, 1.4, 1.6, 1.8]
# Mean iterations at OMEGAS and at omega*(c), with standard errors from 400 instances.
MEANS = {
    "high": ([585.9, 388, 246, 145, 101.2, 55.1], [33, 22, 14, 8, 2.0, 1.6]),
    "low": ([275, 182, 113, 64.3, 86.1, 42.2], [11, 8, 5, 2.6, 0.3, 0.7]),
}


def build(size=3, seed=1, **parameters):
    return environment("relaxation", **parameters).build(Streams(seed, size))


@pytest.mark.parametrize(("variance", "shape"), [("high", (0.5, 1.5)), ("low", (2.0, 6.0))])
def test_contexts_are_stretched_beta_draws_and_right_hand_sides_bounded_normals(variance, shape):
    size = 4000
    env = build(size, variance=variance)
    context = env.observe(3)[0]
    assert stats.kstest((context + 0.15) / 0.6, stats.beta(*shape).cdf).pvalue > 1e-3
    squares = (env.rhs**2).sum(axis=0)
    assert (squares <= 100).all()
    law = stats.chi2(100)
    assert stats.kstest(law.cdf(squares) / law.cdf(100), "uniform").pvalue > 1e-3
    assert abs(env.rhs.mean()) < 4.5 / np.sqrt(env.rhs.size)
    assert abs(np.corrcoef(env.rhs[:8])[np.triu_indices(8, 1)]).max() < 4.5 / np.sqrt(size)
    assert len(np.unique(env.rhs)) == env.rhs.size


def test_a_grid_of_an_odd_number_of_points_keeps_its_bound_too():
    env = build(2000, points=3, lowest=0.0)
    env.observe(1)
    squares = (env.rhs**2).sum(axis=0)
    assert squares.max() <= 9
    law = stats.chi2(9)
    assert stats.kstest(law.cdf(squares) / law.cdf(9), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("variance", ["high", "low"])
def test_mean_iterations_are_the_reported_ones(variance):
    """Within 3 standard errors of the difference; 1200 instances."""
    env = build(300, variance=variance, omegas=OMEGAS)
    rows = []
    for t in range(1, 5):
        env.observe(t)
        omega = np.vstack([env._omegas, env.optimal_omega()])
        rows.append(env._solver.count(env.rhs, 4.0 + env.context[0], omega)[0])
    counts = np.concatenate(rows, axis=1)
    reported, errors = (np.array(row) for row in MEANS[variance])
    own = counts.std(axis=1) / np.sqrt(counts.shape[1])
    assert (np.abs(counts.mean(axis=1) - reported) <= 3 * np.hypot(own, errors)).all()


def test_cost_and_regret_are_those_of_the_textbook_solver():
    env = build(4, points=5, omegas=[1.0, 1.3, 1.7])
    for t in range(1, 8):
        context = env.observe(t)[0]
        action = np.array([0, 1, 2, t % 3])
        costs = np.array(
            [[sor(env.rhs[:, b].reshape(5, 5), context[b], w)[1] for b in range(4)] for w in (1.0, 1.3, 1.7)]
        )
        feedback = env.step(t, action)
        mine = costs[action, np.arange(4)]
        assert (feedback.reward == -mine).all()
        assert (feedback.regret == mine - costs.min(axis=0)).all()
        assert (env.best_action(t) == costs.argmin(axis=0)).all()
        radius = sor_radius(np.array([[1.0], [1.3], [1.7]]), jacobi_radius(context, 5))
        assert (env.informed_action(t) == radius.argmin(axis=0)).all()


def test_the_log_has_the_comparator_off_the_grid_and_systems_that_met_the_cap():
    env = build(4, points=6, omegas=[1.0, 1.2], cap=80, lowest=-0.1)
    optimal, unsolved = np.zeros(4), np.zeros(4)
    for t in range(1, 30):
        context = env.observe(t)[0]
        feedback = env.step(t, np.zeros(4, dtype=np.int64))
        for b in range(4):
            rhs = env.rhs[:, b].reshape(6, 6)
            optimal[b] += sor(rhs, context[b], env.optimal_omega()[b], cap=80)[1]
            _, count, solved = sor(rhs, context[b], 1.0, cap=80)
            unsolved[b] += not solved
            assert feedback.reward[b] == -count
    log = env.log(29)
    assert (log["optimal_iterations"] == optimal).all()
    assert (log["unsolved"] == unsolved).all()
    assert 0 < unsolved.sum() < 4 * 29


def test_agents_meet_the_same_systems():
    plays = [
        simulate(environment("relaxation"), agent("fixed_omega", omega=omega), horizon=20, replications=3).to_pandas()
        for omega in (1.6, 1.8)
    ]
    assert (plays[0]["optimal_iterations"] == plays[1]["optimal_iterations"]).all()
    assert (plays[0]["reward"] + plays[0]["regret"] == plays[1]["reward"] + plays[1]["regret"]).all()


def test_play_by_the_context_is_between_the_best_fixed_omega_and_hindsight():
    """Mean regret; 1.8 is the best of the five at high variance."""
    regret = {
        spec.label: simulate(environment("relaxation"), spec, horizon=100, replications=5, checkpoints=1)
        .to_pandas()["regret"]
        .mean()
        for spec in (agent("oracle"), agent("instance_optimal"), *(agent("fixed_omega", omega=w) for w in OMEGAS))
    }
    fixed = [regret[f"fixed_omega(omega={w:g})"] for w in OMEGAS]
    assert min(fixed) == fixed[-1]
    assert regret["oracle"] == 0
    assert 0 < regret["instance_optimal"] < 0.1 * min(fixed)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"omegas": [1.0, 2.0]}, "omega must lie in \\(0, 2\\), got 2"),
        ({"omegas": []}, "omegas must be a list of numbers"),
        ({"points": 15}, "lowest: the shift -0.15 makes the 15 x 15 system singular or indefinite"),
        ({"points": 0}, "points must lie in 1..200"),
        ({"spread": -1.0}, "spread must be at least 0"),
        ({"interval": [0.0, 1.0]}, "interval must be two numbers around the shifts"),
        ({"tolerance": 1.0}, "tolerance must lie in"),
        ({"cap": 0}, "cap must lie in"),
        ({"variance": "middling"}, "variance must be"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(parameters, message):
    with pytest.raises(BadParameter, match=message) as caught:
        build(**parameters)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("omega", "error", "message"),
    [
        (2.5, BadParameter, "omega must lie in \\[0, 2\\), got 2.5"),
        (1.01, UnsupportedProblem, "omega = 1.01 is none of the 20 values; the nearest is 1"),
    ],
)
def test_a_fixed_omega_must_be_one_of_the_arms(omega, error, message):
    spec = environment("relaxation")
    cell = Cell(spec, agent("fixed_omega", omega=omega), 1, (10,), 2)
    with pytest.raises(error, match=message):
        cell.build_agent(spec.build(Streams(1, 2)), Streams(1, 2))
