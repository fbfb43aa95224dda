"""One agent written in every way that there is: the same bits, or the same regret."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from bandits import Problem, ScalarAgent, Streams, agent, environment, foreign_agent, register_agent, registry
from bandits.errors import BadParameter
from bandits.experiment import Cell
from bandits.jobs import SimulationJob
from bandits.kernels import log
from bandits.scalar import beta, integer, normal, uniform

HORIZON, REPLICATIONS = 150, 70

ENVIRONMENTS = [
    environment("bernoulli", means=[0.5, 0.45, 0.4]),
    environment("bernoulli", prior="uniform", n_arms=7),
    environment("gaussian", means=[0.3, 0.1, 0.0, 0.25], sd=[1.0, 0.5, 2.0, 0.1]),
    environment("gaussian", prior="normal", n_arms=5, sd=0.3),
]


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    """What a test registers is gone after it."""
    for kind in ("agent", "environment"):
        registry.load_builtin(kind)
    monkeypatch.setattr(registry, "_entries", {kind: dict(known) for kind, known in registry._entries.items()})


def log_of(spec, env, *, batch=None, seed=21, horizon=HORIZON, first=0, count=REPLICATIONS):
    """Every round of every replication: regret, reward and pulls."""
    cell = Cell(env, spec, seed, tuple(range(1, horizon + 1)), REPLICATIONS, ("pulls",))
    return SimulationJob(cell, batch).run(first, count).combine_chunks()


# --- UCB1 three times


class ScalarUCB1(ScalarAgent):
    """UCB1 for one replication. Rows: sum of rewards, pulls."""

    rows = 2

    def __init__(self, problem: Problem, streams: Streams, *, c: float = 2.0) -> None:
        scale = np.ones(problem.n_arms) if problem.noise_sd is None else problem.noise_sd
        super().__init__(problem, streams, c=c, scale=scale)

    @staticmethod
    def init(state, p):
        state[:, :] = 0.0

    @staticmethod
    def act(state, t, p, draw):
        root = math.sqrt(p.c * log(t))
        arm, best = 0, -math.inf
        for k in range(p.n_arms):
            if state[1, k] == 0.0:
                return k
            index = state[0, k] / state[1, k] + p.scale[k] * root * (1.0 / math.sqrt(state[1, k]))
            if index > best:
                arm, best = k, index
        return arm

    @staticmethod
    def update(state, t, arm, reward, p):
        state[0, arm] += reward
        state[1, arm] += 1.0


@pytest.mark.parametrize("env", ENVIRONMENTS, ids=lambda spec: spec.label)
@pytest.mark.parametrize("c", [2.0, 0.3])
def test_ucb1_gives_the_same_bits_as_kernels_as_numpy_and_as_scalar_functions(env, c):
    register_agent("scalar_ucb1")(ScalarUCB1)
    kernels = log_of(agent("ucb1", c=c), env)
    assert log_of(agent("ucb1_numpy", c=c), env).equals(kernels)
    assert log_of(agent("scalar_ucb1", c=c), env).equals(kernels)


def test_the_comparison_sees_another_constant():
    assert not log_of(agent("ucb1", c=1.99), ENVIRONMENTS[0]).equals(log_of(agent("ucb1"), ENVIRONMENTS[0]))


@pytest.mark.parametrize("batch", [1, 2, 7, 70])
def test_a_scalar_agent_does_not_depend_on_the_batch(batch):
    register_agent("scalar_ucb1")(ScalarUCB1)
    assert log_of(agent("scalar_ucb1"), ENVIRONMENTS[2], batch=batch).equals(log_of(agent("ucb1"), ENVIRONMENTS[2]))


# --- randomness in scalar agents


class ScalarDice(ScalarAgent):
    """Draws from every sampler; a reward moves an arm's row, and with it the Beta."""

    rows = 2

    @staticmethod
    def init(state, p):
        state[:, :] = 1.0

    @staticmethod
    def act(state, t, p, draw):
        if uniform(draw, 3) < 0.2:
            return integer(draw, 4, p.n_arms)
        arm, best = 0, -math.inf
        for k in range(p.n_arms):
            score = beta(draw, k, state[0, k], state[1, k]) + 0.1 * normal(draw, k) + 0.01 * uniform(draw, k)
            if score > best:
                arm, best = k, score
        return arm

    @staticmethod
    def update(state, t, arm, reward, p):
        state[0, arm] += reward
        state[1, arm] += 1.0 - reward


class NumPyDice:
    """The same on arrays, from the tables of ``streams.agent``."""

    def __init__(self, problem: Problem, streams: Streams) -> None:
        self.n_arms, self.stream, self.lane = problem.n_arms, streams.agent, np.arange(streams.size)
        self.a, self.b = np.ones((2, problem.n_arms, streams.size))

    def act(self, t, context=None):
        n = self.n_arms
        uniforms = self.stream.uniforms(t, max(n, 5))
        score = self.stream.betas(t, self.a, self.b) + 0.1 * self.stream.normals(t, n) + 0.01 * uniforms[:n]
        return np.where(uniforms[3] < 0.2, (uniforms[4] * n).astype(np.int64), score.argmax(axis=0))

    def update(self, t, action, feedback):
        self.a[action, self.lane] += feedback.reward
        self.b[action, self.lane] += 1.0 - feedback.reward


@pytest.mark.parametrize("env", ENVIRONMENTS[:2], ids=lambda spec: spec.label)
def test_a_scalar_agent_draws_the_same_bits_as_a_numpy_one(env):
    register_agent("scalar_dice")(ScalarDice)
    register_agent("numpy_dice")(NumPyDice)
    expected = log_of(agent("numpy_dice"), env)
    assert log_of(agent("scalar_dice"), env).equals(expected)
    assert log_of(agent("scalar_dice"), env, batch=9).equals(expected)
    assert not log_of(agent("scalar_dice"), env, seed=22).equals(expected)


# --- what a scalar agent must have


def test_a_scalar_agent_without_one_of_its_functions_is_refused():
    with pytest.raises(BadParameter, match="Forgetful needs a @staticmethod 'update'"):

        class Forgetful(ScalarAgent):
            @staticmethod
            def init(state, p): ...

            @staticmethod
            def act(state, t, p, draw):
                return 0


def test_a_scalar_agent_whose_function_is_not_static_is_refused():
    with pytest.raises(BadParameter, match="Selfish needs a @staticmethod 'act'"):

        class Selfish(ScalarAgent):
            @staticmethod
            def init(state, p): ...

            def act(self, state, t, p, draw):
                return 0

            @staticmethod
            def update(state, t, arm, reward, p): ...


def test_a_scalar_agent_may_inherit_two_functions_and_replace_one():
    class Stubborn(ScalarUCB1):
        @staticmethod
        def act(state, t, p, draw):
            return p.n_arms - 1

    register_agent("stubborn")(Stubborn)
    pulls = np.array(log_of(agent("stubborn"), ENVIRONMENTS[0], horizon=5)["pulls"].to_pylist())
    assert (pulls[4::5] == [0, 0, 5]).all()


def test_a_parameter_of_a_scalar_agent_is_checked_like_any_other():
    register_agent("scalar_ucb1")(ScalarUCB1)
    with pytest.raises(BadParameter, match=r"no parameter 'd'.*It has: c"):
        _ = agent("scalar_ucb1", d=1.0).parameters
    with pytest.raises(BadParameter, match="c must be a number"):
        _ = agent("scalar_ucb1", c="two").parameters


# --- somebody else's objects


class TheirUCB1:
    """As found elsewhere: one object per replication, Python floats, ``math.log``, sums instead of means."""

    made: list = []  # noqa: RUF012 - the test looks at who was made

    def __init__(self, n_arms, seed, c):
        self.sums, self.counts, self.c, self.seed = [0.0] * n_arms, [0] * n_arms, c, seed
        self.made.append(self)

    def select_arm(self):
        if 0 in self.counts:
            return self.counts.index(0)
        t = sum(self.counts) + 1
        pairs = list(zip(self.sums, self.counts, strict=True))
        indices = [total / n + math.sqrt(self.c * math.log(t) / n) for total, n in pairs]
        return indices.index(max(indices))

    def update(self, arm, reward):
        self.counts[arm] += 1
        self.sums[arm] += reward


@pytest.fixture
def theirs():
    TheirUCB1.made.clear()
    foreign_agent("their_ucb1", lambda n_arms, seed, *, c=2.0: TheirUCB1(n_arms, seed, c), source="a package")
    return TheirUCB1.made


@pytest.mark.parametrize("c", [2.0, 0.3])
def test_a_foreign_ucb1_plays_as_ours_does(theirs, c):
    """On Gaussian rewards of noise 1, where rounding breaks no ties: equal actions, so equal logs."""
    env = environment("gaussian", prior="normal", n_arms=4)
    assert log_of(agent("their_ucb1", c=c), env).equals(log_of(agent("ucb1", c=c), env))


@pytest.mark.parametrize("batch", [1, 7, 70])
def test_a_foreign_agent_does_not_depend_on_the_batch(theirs, batch):
    env = ENVIRONMENTS[1]
    assert log_of(agent("their_ucb1"), env, batch=batch).equals(log_of(agent("their_ucb1"), env, batch=13))


def test_every_replication_of_a_foreign_agent_has_a_seed_of_its_own_whatever_the_batch(theirs):
    def seeds(**options):
        theirs.clear()
        log_of(agent("their_ucb1"), ENVIRONMENTS[0], horizon=1, **options)
        return [policy.seed for policy in theirs]

    whole = seeds()
    assert len(set(whole)) == len(whole) == REPLICATIONS
    assert all(isinstance(seed, int) and 0 <= seed < 2**32 for seed in whole)
    assert seeds(batch=10) == whole
    assert seeds(first=30, count=20) == whole[30:50]
    assert not set(seeds(seed=22)) & set(whole)


def test_a_foreign_agent_that_uses_its_seed_is_reproducible(theirs):
    class Random:
        def __init__(self, n_arms, seed):
            self.rng, self.n_arms = np.random.default_rng(seed), n_arms

        def select_arm(self):
            return int(self.rng.integers(self.n_arms))

        def update(self, arm, reward): ...

    foreign_agent("their_random", Random)
    logs = [log_of(agent("their_random"), ENVIRONMENTS[0], batch=batch) for batch in (70, 7)]
    assert logs[0].equals(logs[1])
    pulls = np.array(logs[0]["pulls"].to_pylist())[HORIZON - 1 :: HORIZON]
    assert len({tuple(row) for row in pulls.tolist()}) > REPLICATIONS / 2


def test_a_foreign_agent_takes_the_keyword_parameters_of_its_factory(theirs):
    assert agent("their_ucb1").parameters == {"c": 2.0}
    assert agent("their_ucb1", c=0.5).parameters == {"c": 0.5}
    log_of(agent("their_ucb1", c=0.5), ENVIRONMENTS[0], horizon=1)
    assert {policy.c for policy in theirs} == {0.5}
    with pytest.raises(BadParameter, match=r"no parameter 'd'.*It has: c"):
        _ = agent("their_ucb1", d=1).parameters


def test_a_foreign_agent_is_listed_with_its_source_and_that_it_is_slow(theirs):
    entry = registry.lookup("agent", "their_ucb1")
    assert entry.source == "a package"
    assert "slow" in entry.summary


# --- agents that travel


def test_a_scalar_agent_survives_pickling_in_the_middle_of_a_run():
    world = ENVIRONMENTS[2].build(Streams(1, 5))
    mine = ScalarUCB1(world.problem, Streams(1, 5))

    def play(player, rounds):
        actions = []
        for t in rounds:
            actions.append(player.act(t).copy())
            player.update(t, actions[-1], world.step(t, actions[-1]))
        return np.array(actions)

    play(mine, range(1, 20))
    copy = pickle.loads(pickle.dumps(mine))
    assert (play(copy, range(20, 60)) == play(mine, range(20, 60))).all()
