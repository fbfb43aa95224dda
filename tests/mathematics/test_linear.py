"""The linear environment: features, means and rewards are those that it declares, and wrong ones are refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bandits import Streams, agent, environment, simulate
from bandits.errors import BadParameter

SIZE = 20_000


def build(size=SIZE, **parameters):
    return environment("linear", **parameters).build(Streams(2, size))


def test_means_are_inner_products_and_regret_is_the_gap_to_the_best_of_the_round():
    env = build(50, n_arms=4, n_features=3, disjoint=True)
    for t in range(1, 20):
        x = env.observe(t)
        means = np.einsum("ikb,ikb->kb", x, env.theta)
        assert np.linalg.norm(env.theta, axis=0) == pytest.approx(np.ones((4, 50)), abs=1e-14)
        for a in range(4):
            feedback = env.step(t, np.full(50, a))
            np.testing.assert_allclose(feedback.regret, means.max(axis=0) - means[a], atol=1e-14)
        assert (env.best_action(t) == means.argmax(axis=0)).all()


@pytest.mark.parametrize("law", ["sphere", "cube", "gaussian"])
def test_features_have_their_law(law):
    """Mean 0 and covariance I / d, 1 / (3 d) and 1, within 4.5 standard errors; on the sphere each has length 1."""
    d = 3
    x = build(n_arms=2, n_features=d, features=law).observe(5)
    variance = {"sphere": 1 / d, "cube": 1 / (3 * d), "gaussian": 1.0}[law]
    for k in range(2):
        assert np.abs(x[:, k].mean(axis=1)).max() < 4.5 * np.sqrt(variance / SIZE)
        assert np.abs(np.cov(x[:, k]) - variance * np.eye(d)).max() < 4.5 * variance * np.sqrt(2 / SIZE)
    assert np.abs(np.corrcoef(x[0, 0], x[0, 1])[0, 1]) < 4.5 / np.sqrt(SIZE)
    if law == "sphere":
        np.testing.assert_allclose(np.linalg.norm(x, axis=0), 1.0, rtol=1e-14)


def test_features_are_drawn_anew_or_once_for_each_replication():
    fresh, fixed = build(5, n_arms=2, n_features=2), build(5, n_arms=2, n_features=2, fixed=True)
    assert (fresh.observe(1).copy() != fresh.observe(2)).all()
    assert (fixed.observe(1).copy() == fixed.observe(2)).all()
    assert (fixed.problem.context.features == fixed.observe(3)).all()
    assert len(np.unique(fixed.observe(1)[0, 0])) == 5


def test_shared_features_meet_one_parameter_per_arm():
    env = build(6, n_arms=3, n_features=2, shared=True)
    x = env.observe(1)
    assert x.shape == (2, 6)
    np.testing.assert_allclose(env.means, np.einsum("ib,ikb->kb", x, env.theta), atol=1e-15)


def test_a_logistic_reward_is_1_with_the_probability_of_its_log_odds():
    env = build(features=[[1.0, 0.0], [0.0, 1.0]], parameter=[1.5, -0.5], link="logistic")
    env.observe(1)
    for a, log_odds in enumerate([1.5, -0.5]):
        p = 1 / (1 + np.exp(-log_odds))
        reward = env.step(1, np.full(SIZE, a)).reward
        assert set(np.unique(reward)) == {0.0, 1.0}
        assert abs(reward.mean() - p) < 4.5 * np.sqrt(p * (1 - p) / SIZE)


def test_given_features_are_a_bandit_with_arms_of_those_means():
    """The same log, to the bit, as the Gaussian environment: 0.6 * 0.5 and 0.8 * 0.5 have the bits of the products."""
    linear = environment("linear", features=[[0.6], [0.8]], parameter=[0.5], sd=0.3)
    gaussian = environment("gaussian", means=[0.6 * 0.5, 0.8 * 0.5], sd=0.3)
    logs = [simulate(env, agent("ucb1"), horizon=300, replications=10).to_pandas() for env in (linear, gaussian)]
    assert (logs[0].regret == logs[1].regret).all()
    assert (logs[0].reward == logs[1].reward).all()


@pytest.mark.parametrize("name", ["oracle"])
def test_the_oracle_has_no_regret(name):
    for parameters in ({"n_arms": 5, "n_features": 2}, {"n_arms": 3, "n_features": 2, "shared": True}):
        log = simulate(environment("linear", **parameters), agent(name), horizon=50, replications=5)
        assert (log.to_pandas().regret == 0).all()


WRONG = [
    ({"features": []}, "features is empty"),
    ({"features": [[]]}, "features[0] is empty: there must be at least one feature"),
    ({"features": [[1.0], [1.0, 2.0]]}, "features[1] has 2 numbers, expected 1 like features[0]"),
    ({"features": [[1.0, float("nan")]]}, "features[0][1] = nan is not a finite number"),
    ({"features": [[1.0], [float("inf")]]}, "features[1][0] = inf is not a finite number"),
    ({"features": "ball", "n_arms": 2, "n_features": 2}, "features must be one of 'sphere', 'cube', 'gaussian' or"),
    ({"n_features": 2}, "n_arms must be at least 1, got None"),
    ({"n_arms": 2, "n_features": 0}, "n_features must be at least 1, got 0"),
    ({"n_arms": 0, "n_features": 2}, "n_arms must be at least 1, got 0"),
    ({"features": [[1.0, 2.0]], "n_features": 3}, "n_features is 3 but features is a list of 2"),
    ({"n_arms": 2, "n_features": 2, "parameter": [1.0]}, "parameter must be 2 numbers, one for each feature, got 1"),
    ({"n_arms": 2, "n_features": 2, "parameter": [[1.0, 0.0]]}, "parameter must be 2 lists of 2 numbers, got 1 lists"),
    ({"n_arms": 2, "n_features": 2, "parameter": [1.0, float("nan")]}, "parameter[0][1] = nan is not a finite number"),
    ({"n_arms": 2, "n_features": 1, "parameter": [1.0], "shared": True}, "parameter must be 2 lists of 1 numbers"),
    ({"n_arms": 2, "n_features": 2, "parameter_norm": -1.0}, "parameter_norm must be at least 0"),
    ({"n_arms": 2, "n_features": 2, "sd": -1.0}, "sd must be finite and at least 0"),
    ({"n_arms": 2, "n_features": 2, "shared": True, "fixed": True}, "shared features are drawn in every round"),
]


@pytest.mark.parametrize(("parameters", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_instance_is_refused_with_the_place(parameters, said):
    with pytest.raises(BadParameter, match=re.escape(said)) as refusal:
        build(2, **parameters)
    assert "\n" not in str(refusal.value)
