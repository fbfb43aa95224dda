"""Ridge regressions kept up to date against numpy.linalg, and the worked example of the specification."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from bandits import Feedback, Streams, agent, environment
from bandits.errors import BadParameter

agent("linucb").parameters  # noqa: B018 - loads the agents
_ridge = sys.modules["bandits.agents._ridge"]


def full(packed, d):
    """Symmetric matrices (B, d, d) from packed lower triangles (n, B)."""
    matrix = np.zeros((packed.shape[1], d, d))
    rows, columns = np.tril_indices(d)
    matrix[:, rows, columns] = matrix[:, columns, rows] = packed.T
    return matrix


def observations(d, size, rounds, seed=0):
    """Features (d, B), rewards (B,) and weights (B,)."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        yield rng.normal(size=(d, size)), rng.normal(size=size), rng.integers(3, size=size).astype(float)


@pytest.mark.parametrize("d", [1, 2, 5, 10])
@pytest.mark.parametrize("refreshed", [False, True])
def test_all_of_its_state_is_what_linear_algebra_says(d, refreshed):
    size, n_models, ridge = 4, 3, 0.7
    models = _ridge.Ridge(n_models, d, size, ridge)
    gram = np.tile(ridge * np.eye(d), (n_models, size, 1, 1))
    moment = np.zeros((n_models, size, d))
    lanes = np.arange(size)
    for x, reward, weight in observations(d, size, 40):
        model = np.random.default_rng(int(1e6 * abs(x[0, 0]))).integers(n_models, size=size)
        models.absorb(model, x, reward, weight)
        gram[model, lanes] += np.einsum("b,ib,jb->bij", weight, x, x)
        moment[model, lanes] += (weight * reward * x).T
    models.refresh(_ridge.REFRESH if refreshed else 1)
    for m in range(n_models):
        np.testing.assert_allclose(full(models.gram[m], d), gram[m], rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(full(models.inverse[m], d), np.linalg.inv(gram[m]), rtol=1e-9, atol=1e-12)
        theta = np.linalg.solve(gram[m], moment[m][..., None])[..., 0].T
        np.testing.assert_allclose(models.theta[:, m], theta, rtol=1e-9, atol=1e-12)
        log_det = np.linalg.slogdet(gram[m])[1] - d * np.log(ridge)
        np.testing.assert_allclose(models.log_det[m], log_det, rtol=1e-11)


@pytest.mark.parametrize("n_models", [1, 3])
@pytest.mark.parametrize("own_features", [False, True])
def test_squared_widths_are_quadratic_forms(n_models, own_features):
    d, size, n_arms = 4, 5, 3
    models = _ridge.Ridge(n_models, d, size, 1.0)
    for x, reward, weight in observations(d, size, 20):
        models.absorb(np.arange(size) % n_models, x, reward, weight)
    x = np.random.default_rng(1).normal(size=(d, n_arms if own_features else 1, size))
    squares = np.empty((n_arms, size))
    models.squares(x, squares)
    for a in range(n_arms):
        inverse = full(models.inverse[a if n_models > 1 else 0], d)
        features = x[:, a if own_features else 0]
        np.testing.assert_allclose(squares[a], np.einsum("ib,bij,jb->b", features, inverse, features), rtol=1e-12)


def error_of_inverse(models, d):
    """Largest relative error of an inverse, in norm."""
    exact = np.linalg.inv(full(models.gram[0], d))
    difference = full(models.inverse[0], d) - exact
    return (np.linalg.norm(difference, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2))).max()


def test_drift_stays_bounded_over_100_000_rounds(monkeypatch):
    """Skewed features: one direction is seen a thousand times as strongly as another."""
    d, size = 6, 3
    scale = np.logspace(0, -3, d)[:, None]
    models, drifting = _ridge.Ridge(1, d, size, 1e-3), _ridge.Ridge(1, d, size, 1e-3)
    ones, model = np.ones(size), np.zeros(size, dtype=np.int64)
    rng = np.random.default_rng(3)
    errors = []
    for t in range(1, 100_001):
        x, reward = scale * rng.normal(size=(d, size)), rng.normal(size=size)
        models.absorb(model, x, reward, ones)
        drifting.absorb(model, x, reward, ones)
        if t % 1000 == 999:
            errors.append(error_of_inverse(models, d))
        models.refresh(t)
    assert max(errors) < 1e-10
    assert error_of_inverse(models, d) < 1e-13
    assert error_of_inverse(drifting, d) > 10 * error_of_inverse(models, d), "the factorisation must matter"


def test_a_factorisation_heals_what_huge_features_broke():
    """After features of length 10^6 the inverse is a difference of nearly equal numbers."""
    d, size = 3, 2
    models = _ridge.Ridge(1, d, size, 1.0)
    ones, model = np.ones(size), np.zeros(size, dtype=np.int64)
    for x, reward, _ in observations(d, size, 10):
        models.absorb(model, 1e6 * x, reward, ones)
    assert error_of_inverse(models, d) > 1e-9
    models.refresh(_ridge.REFRESH)
    assert error_of_inverse(models, d) < 1e-12


# --- the specification's worked example: lambda = 1, x = (1, 0), (0, 1), (.6, .8), r = 1, .5, .9

FEATURES = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.8, 0.6]]
REWARDS = [1.0, 0.5, 0.9]
EXAMPLE = environment("linear", features=FEATURES, parameter=[0.6, 0.8], sd=1.0)  # S = 1, R = 1, L = 1


def after_three_rounds(spec):
    """The agent after it was made to play arms 0, 1, 2, and its context."""
    env = EXAMPLE.build(Streams(0, 2))
    player = spec.build(env.problem, Streams(0, 2))
    for t, reward in enumerate(REWARDS, start=1):
        context = env.observe(t)
        player.act(t, context)
        player.update(t, np.full(2, t - 1), Feedback(np.full(2, reward), np.zeros(2)))
    return player, context


def test_oful_gives_the_worked_example():
    player, context = after_three_rounds(agent("oful", delta=0.05))
    models = player.models
    assert np.exp(models.log_det) == pytest.approx(np.full((1, 2), 6.0), abs=1e-12)
    assert models.theta[:, 0, 0] == pytest.approx([0.58, 0.35666667], abs=5e-9)
    assert player.beta(4) == pytest.approx(np.full(2, 3.78984301), abs=5e-9)
    index = np.empty((4, 2))
    player.score(4, context, index)
    assert index[3] == pytest.approx(np.full(2, 2.90854075), abs=5e-9)


def test_the_closed_radius_gives_the_worked_example():
    player, _ = after_three_rounds(agent("oful", delta=0.05, radius="closed"))
    assert player.beta(4) == pytest.approx(np.full(2, 3.96041437), abs=5e-9)


def test_linucb_has_the_index_of_its_formula():
    """x = (.8, .6): x' theta = .678, x' V^-1 x = (.64 2.64 - 2 .48 .48 + .36 2.36) / 6 = .3464."""
    player, context = after_three_rounds(agent("linucb", alpha=2.0))
    index = np.empty((4, 2))
    player.score(4, context, index)
    assert index[3] == pytest.approx(np.full(2, 0.678 + 2.0 * np.sqrt(0.3464)), abs=1e-12)
    assert agent("linucb").build(EXAMPLE.build(Streams(0, 2)).problem, Streams(0, 2)).alpha == pytest.approx(
        1 + np.sqrt(np.log(40) / 2), abs=1e-12
    )


def test_lin_ts_samples_the_posterior():
    """Mean theta and covariance V^-1 of 40 000 draws, within 4.5 standard errors."""
    size, d = 40_000, 2
    models, model = _ridge.Posterior(1, d, size, 1.0), np.zeros(size, dtype=np.int64)
    for x, r in zip(FEATURES[:3], REWARDS, strict=True):
        column = np.repeat(np.array(x)[:, None], size, axis=1)
        models.add(model, column, np.full(size, r), np.ones(size))
    models.factorise(model)
    sample = np.empty((d, 1, size))
    v = 1.5
    models.draw(v, Streams(1, size).agent.normals(1, d), sample)
    inverse = np.array([[2.64, -0.48], [-0.48, 2.36]]) / 6
    z = np.linalg.cholesky(np.linalg.inv(inverse)).T @ (sample[:, 0] - np.array([[0.58], [0.35666667]])) / v
    assert np.abs(z.mean(axis=1)).max() < 4.5 / np.sqrt(size)
    assert np.abs(np.cov(z) - np.eye(d)).max() < 4.5 * np.sqrt(2 / size)


@pytest.mark.parametrize(
    "name", ["linucb", "linucb_disjoint", "oful", "lin_ts", "epsilon_greedy_linear", "squarecb", "bootstrapped_linear"]
)
def test_lambda_0_is_refused(name):
    problem = EXAMPLE.build(Streams(0, 2)).problem
    for ridge in (0, -1.0, np.inf):
        with pytest.raises(BadParameter, match="ridge must be positive and finite"):
            agent(name, ridge=ridge).build(problem, Streams(0, 2))
