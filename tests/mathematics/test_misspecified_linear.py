"""Misspecified linear bandits: the adversaries, the net and its guarantee, and the design that is compared with it."""

from __future__ import annotations

import math

import cvxpy
import numpy as np
import pytest

from bandits import Context, Problem, Streams, agent, environment
from bandits.agents import GOptimal, NetElimination, ball_net, g_optimal_design
from bandits.errors import BadParameter, UnsupportedProblem
from bandits.experiment import Cell

EPSILON = 0.05


def build(size=4, seed=1, **parameters):
    return environment("misspecified_linear", **({"epsilon": EPSILON} | parameters)).build(Streams(seed, size))


def loss_after_queries(size=20, seed=1, player=None, **parameters):
    """Regret of the arm that the agent commits to, (B,), and the number of queries."""
    spec = environment("misspecified_linear", **({"epsilon": EPSILON} | parameters))
    cell = Cell(spec, player or agent("net_elimination", epsilon=EPSILON), seed, (10,), size)
    env = cell.build_environment(Streams(seed, size))
    it = cell.build_agent(env, Streams(seed, size))
    for t in range(1, it.n_queries + 1):
        action = it.act(t, env.observe(t))
        it.update(t, action, env.step(t, action))
    committed = it.act(t + 1, env.observe(t + 1))
    assert (committed == it.act(t + 100, env.observe(t + 100))).all()
    return env.step(t + 1, committed).regret.copy(), it.n_queries


# --- the environment


@pytest.mark.parametrize("adversary", ["random", "hide_best", "least_squares"])
def test_means_are_within_epsilon_of_a_sparse_linear_function(adversary):
    env = build(50, n_arms=30, n_features=7, sparsity=3, adversary=adversary)
    x, theta = env.features[:, :, 0], env.theta[:, 0]
    assert np.linalg.norm(x, axis=0) == pytest.approx(np.ones(30))
    assert np.linalg.norm(theta, axis=0) == pytest.approx(np.ones(50))
    assert (np.count_nonzero(theta, axis=0) == 3).all()
    assert set(np.flatnonzero(theta.any(axis=1))) == set(range(7))
    np.testing.assert_allclose(np.abs(env.means - x.T @ theta), EPSILON)


def test_the_features_are_the_same_for_all_replications_of_a_seed():
    one, other, elsewhere = (
        environment("misspecified_linear", n_arms=5, n_features=3).build(Streams(seed, size, first))
        for seed, size, first in ((1, 2, 0), (1, 9, 100), (2, 2, 0))
    )
    assert (one.features == other.features).all()
    assert (one.features != elsewhere.features).any()


def test_the_adversary_of_least_squares_makes_it_prefer_a_worse_arm():
    """Ordinary least squares on all arms, the worst that it can be misled to for one replication by hand."""
    env = build(20, n_arms=60, n_features=20, adversary="least_squares")
    x = env.features[:, :, 0].T
    fits = x @ np.linalg.lstsq(x, env.means, rcond=None)[0]
    lane = np.arange(20)
    loss = env.means.max(axis=0) - env.means[fits.argmax(axis=0), lane]
    assert loss.mean() > EPSILON
    influence = x @ np.linalg.pinv(x)
    linear = env.linear[:, 0]
    losses = []
    for b in range(60):
        means = linear + EPSILON * np.where(influence[:, b] < 0, -1, 1)
        fit = x @ np.linalg.lstsq(x, means, rcond=None)[0]
        losses.append(means.max() - means[b] if fit.argmax() == b else -1.0)
    assert loss[0] == pytest.approx(max(losses))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"features": [[1.0, 1.0]]}, "length at most 1, the longest has 1.41421"),
        ({"features": [[1.0], [0.5, 0.5]]}, r"features\[1\] has 2 numbers, expected 1"),
        ({"features": []}, "features is empty"),
        ({"n_arms": 3}, "n_features must be at least 1, got None"),
        ({"n_arms": 3, "n_features": 2, "sparsity": 3}, "sparsity must lie in 1..2"),
        ({"n_arms": 3, "n_features": 2, "epsilon": -1.0}, "epsilon must be at least 0"),
        ({"n_arms": 3, "n_features": 2, "adversary": "evil"}, "adversary must be"),
        ({"features": [[1.0]], "n_arms": 1}, "leave n_arms and n_features out"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(parameters, message):
    with pytest.raises(BadParameter, match=message) as caught:
        build(**parameters)
    assert "\n" not in str(caught.value)


# --- the net


@pytest.mark.parametrize(
    ("s", "epsilon"), [(1, 0.05), (1, 1.0), (2, 0.1), (2, 0.5), (2, 1.0), (3, 0.2), (3, 1.0), (4, 0.5)]
)
def test_the_net_covers_the_ball_with_no_more_points_than_the_bound(s, epsilon):
    net = ball_net(s, epsilon)
    assert net.shape[0] <= (1 + 2 / epsilon) ** s
    rng = np.random.default_rng(s)
    points = rng.normal(size=(400, s))
    points /= np.linalg.norm(points, axis=1)[:, None]
    points[200:] *= rng.random((200, 1)) ** (1 / s)
    nearest = np.sqrt(((points[:, None] - net[None]) ** 2).sum(axis=2)).min(axis=1)
    assert nearest.max() <= epsilon * (1 + 1e-12)


def test_the_size_of_the_whole_net_is_below_the_printed_bound():
    """d = 20, s = 2, epsilon = 0.1: 83 790 by the bound."""
    assert math.comb(20, 2) * (1 + 2 / 0.1) ** 2 == pytest.approx(83_790)
    env = build(2, n_arms=8, n_features=20, sparsity=2)
    it = NetElimination(env.problem, Streams(1, 2), sparsity=2, epsilon=0.1)
    assert it.net_size == math.comb(20, 2) * 185
    assert it.net_size <= 83_790


@pytest.mark.parametrize("adversary", ["random", "hide_best", "least_squares"])
@pytest.mark.parametrize(("d", "s", "epsilon"), [(6, 1, 0.05), (40, 1, 0.1), (8, 2, 0.1), (5, 2, 0.3), (5, 3, 0.25)])
def test_the_arm_is_never_more_than_4_epsilon_from_the_best(d, s, epsilon, adversary):
    """Proved for rewards without noise, whatever the errors: 5 draws of the features, 40 parameters each."""
    for seed in range(5):
        sizes = {"n_arms": 80, "n_features": d, "sparsity": s, "epsilon": epsilon, "adversary": adversary}
        player = agent("net_elimination", sparsity=s, epsilon=epsilon)
        loss, queries = loss_after_queries(40, seed, player, **sizes)
        assert loss.max() <= 4 * epsilon + 1e-12
        assert queries <= 80


def test_the_guarantee_is_not_vacuous():
    """Half of all arms are worse than it allows."""
    env = build(40, n_arms=80, n_features=6, epsilon=0.05)
    gaps = env.means.max(axis=0) - env.means
    assert np.median(gaps) > 4 * 0.05


def test_noise_is_averaged_over_the_stated_number_of_repeats():
    sizes = {"n_arms": 10, "n_features": 3, "epsilon": 0.2, "sd": 0.3}
    env = build(2, **sizes)
    it = NetElimination(env.problem, Streams(1, 2), epsilon=0.2, delta=0.1)
    repeats = math.ceil(2 * 0.3**2 * math.log(2 * it.net_size / 0.1) / 0.2**2)
    assert (it.repeats == repeats).all()
    assert repeats > 1
    loss, _ = loss_after_queries(200, 1, agent("net_elimination", epsilon=0.2, delta=0.1), **sizes)
    assert (loss > 6 * 0.2).mean() <= 0.1


# --- the design


def test_the_design_is_that_of_the_convex_program():
    rng = np.random.default_rng(0)
    for k, d in ((5, 2), (20, 3), (30, 5)):
        x = rng.normal(size=(k, d))
        w = cvxpy.Variable(k, nonneg=True)
        program = cvxpy.Problem(cvxpy.Maximize(cvxpy.log_det(x.T @ cvxpy.diag(w) @ x)), [cvxpy.sum(w) == 1])
        program.solve(solver=cvxpy.CLARABEL)
        mine = g_optimal_design(x, 1e-5)
        assert mine.min() >= 0
        assert mine.sum() == pytest.approx(1)
        assert np.linalg.slogdet(x.T @ (mine[:, None] * x))[1] == pytest.approx(program.value, abs=1e-4)
        norms = np.einsum("ki,ij,kj->k", x, np.linalg.inv(x.T @ (mine[:, None] * x)), x)
        assert norms.max() == pytest.approx(d, rel=1e-4)


def test_features_that_span_less_are_designed_in_their_span():
    x = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.1, 0.1, 0.0]])
    assert g_optimal_design(x) == pytest.approx([0.5, 0.5, 0.0], abs=0.01)
    assert g_optimal_design(np.zeros((3, 2))).sum() == pytest.approx(1)
    assert (g_optimal_design(np.ones((1, 4))) == [1.0]).all()


@pytest.mark.parametrize("adversary", ["random", "hide_best", "least_squares"])
def test_its_fit_keeps_its_own_guarantee(adversary):
    """Within ``epsilon sqrt(d)`` of the linear part, so 2 epsilon (1 + sqrt(d)) from the best."""
    for d in (4, 16):
        sizes = {"n_arms": 100, "n_features": d, "adversary": adversary}
        loss, _ = loss_after_queries(40, 3, agent("g_optimal"), **sizes)
        assert loss.max() <= 2 * EPSILON * (1 + math.sqrt(1.01 * d))
        env = build(40, 3, **sizes)
        it = GOptimal(env.problem, Streams(3, 40))
        error = it.prediction @ env.means[it.arms] - env.linear
        assert np.abs(error).max() <= EPSILON * math.sqrt(1.01 * d)


def test_without_sparsity_the_error_grows_with_the_dimension_where_the_net_s_does_not():
    """The control: at d = 64 least squares commits to arms beyond 4 epsilon, which the net never does."""
    sizes = {"n_arms": 150, "n_features": 64, "adversary": "least_squares"}
    least_squares, _ = loss_after_queries(20, 1, agent("g_optimal"), **sizes)
    net, _ = loss_after_queries(20, 1, **sizes)
    assert least_squares.max() > 4 * EPSILON
    assert least_squares.mean() > 3 * net.mean()
    assert net.max() <= 4 * EPSILON


def test_noise_adds_what_the_accuracy_allows():
    sizes = {"n_arms": 12, "n_features": 3, "epsilon": 0.0, "sd": 0.5}
    env = build(300, **sizes)
    it = GOptimal(env.problem, Streams(1, 300), accuracy=0.2, delta=0.1)
    expected = np.ceil(2 * 0.25 * 3 * it.design[it.arms] * math.log(2 * 12 / 0.1) / 0.04)
    assert (it.repeats == np.maximum(1, expected)).all()
    loss, _ = loss_after_queries(300, 1, agent("g_optimal", accuracy=0.2, delta=0.1), **sizes)
    assert (loss > 2 * 0.2).mean() <= 0.1


# --- what they decline


def facts(**changes):
    features = np.eye(3)[:, :, None]
    return Problem(
        n_arms=3,
        noise_sd=changes.pop("noise_sd", np.zeros(3)),
        context=Context(**({"n_features": 3, "per_arm": True, "features": features} | changes)),
    )


@pytest.mark.parametrize("cls", [NetElimination, GOptimal])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": None}, "the same in every round and replication"),
        ({"features": np.zeros((3, 3, 2))}, "the same in every round and replication"),
        ({"features": 2 * np.eye(3)[:, :, None]}, "length at most 1, got one of 2"),
        ({"noise_sd": None}, "known noise level"),
    ],
)
def test_problems_that_they_cannot_play_are_declined(cls, changes, message):
    with pytest.raises(UnsupportedProblem, match=message):
        cls(facts(**changes), Streams(0, 2))


@pytest.mark.parametrize(
    ("cls", "parameters", "error"),
    [
        (NetElimination, {"epsilon": 0.0}, ValueError),
        (NetElimination, {"delta": 1.0}, ValueError),
        (NetElimination, {"sparsity": 0}, ValueError),
        (NetElimination, {"sparsity": 4}, UnsupportedProblem),
        (NetElimination, {"sparsity": 3, "epsilon": 0.001}, UnsupportedProblem),
        (GOptimal, {"accuracy": 0.0}, ValueError),
        (GOptimal, {"delta": 0.0}, ValueError),
        (GOptimal, {"slack": 0.0}, ValueError),
    ],
)
def test_bad_agent_parameters_are_refused(cls, parameters, error):
    with pytest.raises(error):
        cls(facts(), Streams(0, 2), **parameters)
