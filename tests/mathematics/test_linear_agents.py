"""Linear agents: below their proved bounds where uniform play breaks them, and what each rule says by hand."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from bandits import Feedback, Streams, agent, environment, register_environment, registry, simulate
from bandits.errors import BadParameter, PlayError, UnsupportedProblem

agent("squarecb").parameters  # noqa: B018 - loads the agents
_squarecb, _logistic, _bootstrap = (
    sys.modules[f"bandits.agents.{name}"] for name in ("squarecb", "logistic_thompson", "bootstrapped_linear")
)

FRESH = environment("linear", n_arms=20, n_features=2, sd=0.1)
SHARED = environment("linear", n_arms=4, n_features=3, shared=True)
LOGISTIC = environment("linear", n_arms=5, n_features=3, link="logistic", parameter_norm=4.0)


def final_regret(env, spec, horizon, replications, seed=3):
    log = simulate(env, spec, horizon=horizon, replications=replications, seed=seed, checkpoints=1).to_pandas()
    return log.regret.to_numpy()


# --- proved bounds


@pytest.mark.parametrize("radius", ["determinant", "closed"])
def test_oful_stays_below_its_theorem(radius):
    """Abbasi-Yadkori et al. (2011), Theorem 3, with S = L = 1, which holds with probability 1 - delta."""
    horizon, d, r, delta, ridge = 3000, 2, 0.1, 0.05, 1.0
    bound = (
        4
        * np.sqrt(horizon * d * np.log(ridge + horizon / d))
        * (np.sqrt(ridge) + r * np.sqrt(2 * np.log(1 / delta) + d * np.log(1 + horizon / (ridge * d))))
    )
    assert bound < 0.5 * final_regret(FRESH, agent("uniform"), horizon, 20).mean(), "vacuous: uniform play would pass"
    regret = final_regret(FRESH, agent("oful", delta=delta, radius=radius), horizon, 20)
    assert regret.max() < bound


def test_lin_ts_stays_below_its_bayesian_bound():
    """Russo and Van Roy (2016): s sqrt(2 d log(K) T), with s^2 = 2: noise of variance 1, and a posterior."""
    horizon, n_arms, d, size = 1000, 20, 2, 200
    spec = environment("linear", n_arms=n_arms, n_features=d, fixed=True)
    bound = np.sqrt(2 * 2 * d * np.log(n_arms) * horizon)
    regrets = {}
    for name in ("lin_ts", "uniform"):
        env = spec.build(Streams(5, size))
        env.theta[:] = Streams(5, size).network.normals(0, d).reshape(d, 1, size)  # the prior of the theorem
        env._set_means()
        player = agent(name).build(env.problem, Streams(5, size))
        total = np.zeros(size)
        for t in range(1, horizon + 1):
            action = player.act(t, env.observe(t))
            feedback = env.step(t, action)
            total += feedback.regret
            player.update(t, action, feedback)
        regrets[name] = total
    assert bound < 0.5 * regrets["uniform"].mean(), "vacuous: uniform play would pass"
    assert regrets["lin_ts"].mean() + 4 * regrets["lin_ts"].std() / np.sqrt(size) < bound


def test_squarecb_stays_below_its_theorem():
    """Foster and Rakhlin (2020), Theorem 1, for losses in [0, 1]: 4 sqrt(K T Reg) + 8 sqrt(K T log(2 / delta))."""
    horizon, n_arms, d, delta = 20_000, 2, 2, 0.05
    env = environment("linear", features=[[1.0, 0.0], [0.0, 1.0]], parameter=[1.0, 0.0], sd=0.0)
    reg = d * np.log(1 + horizon / d) + 1
    bound = 4 * np.sqrt(n_arms * horizon * reg) + 8 * np.sqrt(n_arms * horizon * np.log(2 / delta))
    assert bound < 0.75 * 0.5 * horizon, "vacuous: uniform play would pass"
    spec = agent("squarecb", scale=1.0, delta=delta, regression_regret=reg)
    assert final_regret(env, spec, horizon, 16).max() < bound


LEARNERS = [
    (agent("linucb"), FRESH, 0.8, 1 / 3),
    (agent("linucb_disjoint"), SHARED, 0.8, 1 / 3),
    (agent("oful"), SHARED, 0.8, 1 / 3),
    (agent("lin_ts"), SHARED, 0.8, 1 / 3),
    (agent("bootstrapped_linear"), FRESH, 0.8, 1 / 3),
    (agent("bootstrapped_linear", weights="poisson"), SHARED, 0.8, 1 / 3),
    (agent("logistic_thompson"), LOGISTIC, 0.8, 1 / 3),
    (agent("epsilon_greedy_linear", decay=True), FRESH, 0.8, 1 / 2),
    (agent("epsilon_greedy_linear", decay=True), SHARED, 0.8, 1 / 2),
    (agent("epsilon_greedy_linear"), FRESH, 1.1, 1 / 5),  # explores for ever, and so does SquareCB up to its horizon
    (agent("squarecb"), FRESH, 1.1, 1 / 5),
    (agent("squarecb"), SHARED, 1.1, 1 / 2),
]


@pytest.mark.parametrize(("spec", "env", "flattening", "share"), LEARNERS, ids=lambda x: getattr(x, "label", None))
def test_it_learns(spec, env, flattening, share):
    """Regret of the second half in terms of the first half's, and of all in terms of uniform play's."""
    log = simulate(env, spec, horizon=2000, replications=40, checkpoints=(1000, 2000)).to_pandas()
    half, whole = (log[log.t == t].regret.mean() for t in (1000, 2000))
    assert whole - half < flattening * half
    assert whole < share * final_regret(env, agent("uniform"), 2000, 40, seed=0).mean()


def test_an_agent_that_ignores_the_context_does_not_learn_where_features_change():
    ucb, uniform = (final_regret(FRESH, agent(name), 2000, 40).mean() for name in ("ucb1", "uniform"))
    assert ucb == pytest.approx(uniform, rel=0.05)


# --- rules by hand


def test_squarecb_weighs_inverse_gaps():
    """Predicted losses (.2, .5, .3) and gamma = 10: (1 - 1/6 - 1/4, 1 / (3 + 3), 1 / (3 + 1))."""
    prediction = -np.repeat(np.array([[0.2], [0.5], [0.3]]), 2, axis=1)
    out = np.empty((3, 2))
    _squarecb.inverse_gap_weights(prediction, 10.0, np.zeros(2, dtype=np.int64), prediction[0].copy(), out)
    assert out[:, 0] == pytest.approx([0.58333333, 0.16666667, 0.25], abs=5e-9)
    assert (out[:, 0] == out[:, 1]).all()


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1e3, 1e300])
def test_squarecb_gives_the_best_arm_at_least_its_share_and_sums_to_1(gamma):
    prediction = np.random.default_rng(0).normal(size=(7, 50))
    best = prediction.argmax(axis=0)
    out = np.empty_like(prediction)
    _squarecb.inverse_gap_weights(prediction, gamma, best, prediction.max(axis=0), out)
    assert out.sum(axis=0) == pytest.approx(np.ones(50), abs=1e-12)
    assert (out >= 0).all()
    assert (out[best, np.arange(50)] >= 1 / 7 - 1e-12).all()
    if gamma == 0:
        assert out == pytest.approx(np.full((7, 50), 1 / 7), abs=1e-12)


def test_squarecb_takes_its_rate_from_horizon_and_regression():
    """gamma = sqrt(K T / (Reg + log(2 / delta))) for rewards of scale 1."""
    env = environment("linear", n_arms=4, n_features=3).build(Streams(0, 2))
    problem = replace(env.problem, horizon=500)
    built = agent("squarecb", regression_regret=7.0, delta=0.1).build(problem, Streams(0, 2))
    assert built.gamma == pytest.approx(np.sqrt(4 * 500 / (7 + np.log(20))), rel=1e-12)


@pytest.mark.parametrize("prediction", [-30.0, -1.0, 0.0, 2.5, 40.0])
@pytest.mark.parametrize("square", [0.0, 1e-6, 0.5, 30.0, 1e5])
@pytest.mark.parametrize("reward", [0.0, 1.0, 0.3])
def test_logistic_modes_solve_their_equation(prediction, square, reward):
    """The equation's slope is 1 + square p (1 - p), so the error of the step is the residual over that."""
    given = (np.array([value]) for value in (prediction, square, reward))
    response, weight, *scratch = np.empty((4, 1))
    _logistic.find_modes(*given, response, weight, *scratch)
    step = (response - prediction) * weight / (1 + weight * square)  # the change along H^-1 x that Ridge will make
    p = 1 / (1 + np.exp(-(prediction + step * square)))
    assert np.abs(reward - p - step) / (1 + square * p * (1 - p)) < 1e-10


def test_logistic_thompson_moves_to_the_mode_of_its_posterior():
    """Against a general minimiser, over six rounds."""
    env = environment("linear", n_arms=2, n_features=3, link="logistic").build(Streams(4, 2))
    player = agent("logistic_thompson", ridge=0.5).build(env.problem, Streams(4, 2))
    m, h = np.zeros(3), 0.5 * np.eye(3)
    for t in range(1, 7):
        action = player.act(t, env.observe(t))
        x = env.observe(t)[:, action[0], 0].copy()
        feedback = env.step(t, action)
        player.update(t, action, feedback)
        r = feedback.reward[0]

        def loss(theta, x=x, r=r, m=m, h=h):
            z = theta @ x
            return 0.5 * (theta - m) @ h @ (theta - m) + np.logaddexp(0, z) - r * z

        m = minimize(loss, m, method="BFGS", options={"gtol": 1e-9}).x
        p = 1 / (1 + np.exp(-m @ x))
        h = h + p * (1 - p) * np.outer(x, x)
        assert player.models.theta[:, 0, 0] == pytest.approx(m, abs=1e-6)
    rows, columns = np.tril_indices(3)
    assert player.models.gram[0, :, 0] == pytest.approx(h[rows, columns], abs=1e-6)


@pytest.mark.parametrize("thresholds", ["DOUBLE_OR_NOTHING", "POISSON"])
def test_bootstrap_weights_have_their_distribution(thresholds):
    """Frequencies of 0, 1, 2, 3 over 200 000 draws, within 4.5 standard errors; mean 1."""
    n = 200_000
    weight = np.empty(n)
    _bootstrap.resample(Streams(2, n).agent.uniform(1), getattr(_bootstrap, thresholds), weight)
    expected = {"DOUBLE_OR_NOTHING": [0.5, 0.0, 0.5, 0.0], "POISSON": np.exp(-1) / np.array([1, 1, 2, 6])}[thresholds]
    for count, p in enumerate(expected):
        assert abs((weight == count).mean() - p) <= 4.5 * np.sqrt(p * (1 - p) / n)
    assert abs(weight.mean() - 1) < 4.5 / np.sqrt(n)


def test_every_bootstrap_replicate_is_a_regression_of_its_resampled_rounds():
    """A slow loop with numpy.linalg, from the agent's own weights; each is drawn towards its own parameter."""
    env = SHARED.build(Streams(6, 2))
    player = agent("bootstrapped_linear", replicates=3, ridge=2.0).build(env.problem, Streams(6, 2))
    start = player.models.theta[:, :, 0].T.copy()  # replicate 0's arms 0..3, replicate 1's, ...
    assert len(np.unique(start)) == start.size
    gram, moment = np.tile(2.0 * np.eye(3), (12, 1, 1)), 2.0 * start
    for t in range(1, 31):
        context = env.observe(t)
        action = player.act(t, context)
        feedback = env.step(t, action)
        player.update(t, action, feedback)
        weight = 2.0 * (Streams(6, 2).agent.uniforms(t, 3)[:, 0] >= 0.5)
        for j in range(3):
            gram[4 * j + action[0]] += weight[j] * np.outer(context[:, 0], context[:, 0])
            moment[4 * j + action[0]] += weight[j] * feedback.reward[0] * context[:, 0]
    expected = np.linalg.solve(gram, moment[..., None])[..., 0]
    np.testing.assert_allclose(player.models.theta[:, :, 0].T, expected, atol=1e-10)


def test_disjoint_oful_is_oful_on_features_in_blocks():
    """One parameter per arm is one parameter of length d K, for features that are 0 outside the arm's block."""
    d, n_arms, size = 2, 3, 2
    shared = environment("linear", n_arms=n_arms, n_features=d, shared=True).build(Streams(8, size))
    blocks = environment("linear", n_arms=n_arms, n_features=d * n_arms).build(Streams(8, size))
    stacked = {"parameter_norm": float(np.sqrt(n_arms))}
    disjoint = agent("oful").build(shared.problem, Streams(8, size))
    whole = agent("oful", **stacked).build(blocks.problem, Streams(8, size))
    for t in range(1, 40):
        context = shared.observe(t)
        wide = np.zeros((d * n_arms, n_arms, size))
        for a in range(n_arms):
            wide[d * a : d * a + d, a] = context
        action = disjoint.act(t, context).copy()
        whole.act(t, wide)
        assert whole._scores == pytest.approx(disjoint._scores, rel=1e-9)
        feedback = shared.step(t, action)
        disjoint.update(t, action, feedback)
        whole.update(t, action, feedback)


def test_identical_features_tie_and_the_first_arm_or_a_random_one_is_played():
    env = environment("linear", features=[[0.6, 0.8]] * 4, parameter=[1.0, 0.0])
    for name in ("linucb", "oful", "lin_ts", "epsilon_greedy_linear"):
        for tie, arms in (("first", 1), ("random", 4)):
            parameters = {"epsilon": 0.0} if name == "epsilon_greedy_linear" else {}
            log = simulate(
                env, agent(name, tie=tie, **parameters), horizon=60, replications=5, extras=["pulls"], checkpoints=1
            ).to_pandas()
            assert (np.stack(log.pulls)[:, :arms] > 0).all()
            assert np.stack(log.pulls)[:, :arms].sum() == 5 * 60


def test_features_of_length_0_have_index_and_width_0():
    env = environment("linear", features=[[0.0, 0.0], [-1.0, 0.0]], parameter=[1.0, 0.0]).build(Streams(0, 2))
    player = agent("linucb").build(env.problem, Streams(0, 2))
    for t in range(1, 20):
        player.act(t, env.observe(t))
        assert (player._scores[0] == 0).all()
        player.update(t, np.ones(2, dtype=np.int64), Feedback(np.full(2, -1.0), np.zeros(2)))
    assert (player.act(20, env.observe(20)) == 0).all()


# --- who plays what


@pytest.mark.parametrize(
    "name", ["linucb", "oful", "lin_ts", "squarecb", "epsilon_greedy_linear", "bootstrapped_linear", "linucb_disjoint"]
)
def test_it_declines_an_environment_without_a_context(name):
    env = environment("gaussian", means=[0.0, 1.0]).build(Streams(0, 2))
    with pytest.raises(UnsupportedProblem, match="needs a context, and the environment shows none"):
        agent(name).build(env.problem, Streams(0, 2))


def test_one_parameter_for_all_arms_needs_features_of_each():
    env = SHARED.build(Streams(0, 2))
    with pytest.raises(UnsupportedProblem, match="linucb_disjoint"):
        agent("linucb").build(env.problem, Streams(0, 2))
    assert agent("lin_ts").build(env.problem, Streams(0, 2)).models.theta.shape == (3, 4, 2)


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("linucb", {"alpha": -1.0}, "alpha must be at least 0"),
        ("linucb", {"delta": 0.0}, "delta must lie in (0, 1)"),
        ("oful", {"delta": 1.0}, "delta must lie in (0, 1)"),
        ("oful", {"parameter_norm": -1.0}, "parameter_norm must be at least 0"),
        ("oful", {"radius": "closed", "feature_norm": -1.0}, "feature_norm must be at least 0"),
        ("oful", {"feature_norm": 5.0}, "feature_norm is of use with radius='closed' alone"),
        ("oful", {"scale": 0.0}, "scale must be positive"),
        ("squarecb", {"scale": 1e300}, "scale must be positive and at most 1e75"),
        ("lin_ts", {"delta": 2.0}, "delta must lie in (0, 1)"),
        ("squarecb", {"gamma": -1.0}, "gamma must be at least 0"),
        ("squarecb", {"regression_regret": -1.0}, "regression_regret must be at least 0"),
        ("epsilon_greedy_linear", {"epsilon": 1.5}, "epsilon must lie in [0, 1]"),
        ("epsilon_greedy_linear", {"c": 0.0}, "c must be positive"),
        ("bootstrapped_linear", {"replicates": 0}, "replicates must be at least 1"),
        ("bootstrapped_linear", {"prior_sd": -1.0}, "prior_sd must be at least 0"),
    ],
)
def test_a_wrong_parameter_is_refused_with_its_value(name, parameters, said):
    problem = FRESH.build(Streams(0, 2)).problem
    with pytest.raises(BadParameter, match=re.escape(said)):
        agent(name, **parameters).build(problem, Streams(0, 2))


def test_the_closed_radius_needs_to_know_how_long_features_are():
    env = environment("linear", features="gaussian", n_arms=2, n_features=2).build(Streams(0, 2))
    with pytest.raises(UnsupportedProblem, match="give feature_norm="):
        agent("oful", radius="closed").build(env.problem, Streams(0, 2))
    agent("oful", radius="closed", feature_norm=5.0).build(env.problem, Streams(0, 2))


class Broken:
    """The linear environment, whose context is changed from round 4 on."""

    change = None

    def __init__(self, streams) -> None:
        self.inner = environment("linear", n_arms=3, n_features=2).build(streams)
        self.problem, self.step, self.bound = self.inner.problem, self.inner.step, self.inner.bound

    def observe(self, t):
        context = self.inner.observe(t)
        return context if t < 4 else type(self).change(context)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x[0], r"round 4: the environment's context must be float64 of shape \(2, 3, \d+\), got float64 of"),
        (lambda x: x.astype(np.float32), "must be float64 of shape .*, got float32 of shape"),
        (lambda x: x.tolist(), "got <class 'list'>"),
        (lambda x: x * np.nan, "round 4: the environment's context holds a number that is NaN or infinite"),
        (lambda x: x * 1e200, "a score is not a number|weights must be at least 0"),
    ],
)
@pytest.mark.parametrize("name", ["linucb", "lin_ts", "squarecb"])
def test_a_context_that_cannot_be_read_stops_the_run(change, said, name, monkeypatch):
    monkeypatch.setattr(registry, "_entries", {kind: dict(known) for kind, known in registry._entries.items()})
    register_environment("broken")(type("Mine", (Broken,), {"change": staticmethod(change)}))
    with pytest.raises(PlayError, match=said):
        simulate(environment("broken"), agent(name), horizon=20, replications=4)


def test_a_nan_between_checkpoints_is_noticed_by_the_agent(monkeypatch):
    monkeypatch.setattr(registry, "_entries", {kind: dict(known) for kind, known in registry._entries.items()})
    register_environment("broken")(type("Mine", (Broken,), {"change": staticmethod(lambda x: x * np.nan)}))
    with pytest.raises(PlayError, match="round 4: FloatingPointError: a score is not a number"):
        simulate(environment("broken"), agent("linucb"), horizon=20, replications=4, checkpoints=1)
