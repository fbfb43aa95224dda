"""What every registered agent keeps, on every environment that it can play: nothing here knows any of them by name.

Agents are played as declared (or on each of their ``examples``), and once with every other value of each parameter
that is a choice. At the end, agents that break one rule each show that every check can fail.
"""

from __future__ import annotations

import inspect
import math
import pickle
import random
import typing
from dataclasses import replace

import numpy as np
import pytest

from bandits import Feedback, Streams, agent, environment, register_agent, registry
from bandits.errors import BadParameter, UnsupportedProblem
from bandits.experiment import Cell
from bandits.jobs import SimulationJob
from bandits.registry import Entry, entries
from bandits.specs import Spec

HORIZON, SIZE, SEED = 45, 6, 9

AGENTS = [entry for entry in entries("agent") if entry.origin.startswith("bandits.")]
ENVIRONMENTS = [
    environment(entry.name, **parameters)
    for entry in entries("environment")
    if entry.origin.startswith("bandits.")
    for parameters in getattr(entry.target, "examples", ())
]

# Where formulas divide by zero, take logarithms of it, or overflow: no agent may answer with a warning or no arm.
MANY = [0.1 + 0.01 * k for k in range(HORIZON + 15)]  # more arms than rounds
EXTREMES = [
    environment("bernoulli", means=[0.5]),
    environment("gaussian", means=[0.5]),
    environment("bernoulli", means=MANY),
    environment("gaussian", means=MANY),
    environment("bernoulli", means=[0.0, 1.0, 1.0]),
    environment("bernoulli", means=[0.0, 0.0]),
    environment("gaussian", means=[0.5, 0.5, 0.2], sd=0.0),
    environment("gaussian", means=[0.0, 0.0], sd=[1.0, 0.0]),
    environment("gaussian", means=[1e6, -1e6, 1e6], sd=1e-6),
    environment("gaussian", means=[1.0, -1.0], sd=1e6),
    environment("collaborative", n_learners=3, means=[[0.5]]),
    environment("collaborative", n_learners=2, means=[MANY, MANY[::-1]]),
    environment("collaborative", n_learners=4, means=[[0.0, 1.0, 1.0], [0.5, 0.5, 0.5]], network="same_bandit"),
    environment("collaborative", n_learners=5, n_arms=4, rewards="gaussian", sd=0.0, network="star"),
    environment("linear", n_arms=1, n_features=1),
    environment("linear", n_arms=1, n_features=1, link="logistic"),
    environment("linear", n_arms=3, n_features=HORIZON + 15, link="logistic"),  # more features than rounds
    environment("linear", n_arms=HORIZON + 15, n_features=2),
    environment("linear", features=[[0.0, 0.0], [0.0, 0.0]], parameter=[1.0, 1.0]),
    environment("linear", features=[[0.6, 0.8], [0.6, 0.8]], parameter=[1e6, -1e6], sd=0.0),
    environment("linear", features=[[1e6, 1e-6], [-1e6, 1e6]], parameter=[1.0, 1.0], sd=1e6),
]
SINGLE = [spec for spec in (*EXTREMES, *ENVIRONMENTS) if spec.build(Streams(SEED, 2)).problem.n_arms == 1]


def cell_of(env: Spec, spec: Spec, seed: int = SEED, replications: int = 40) -> Cell:
    return Cell(env, spec, seed, tuple(range(1, HORIZON + 1)), replications, ("pulls",))


def build(cell: Cell, size: int = SIZE, first: int = 0):
    """Environment and agent as a job builds them: each with streams of its own."""
    env = cell.build_environment(Streams(cell.seed, size, first))
    return env, cell.build_agent(env, Streams(cell.seed, size, first))


def can_play(cell: Cell, declines: tuple[type[Exception], ...] = (UnsupportedProblem,)) -> bool:
    """False if the agent declines; one that breaks in another way counts as playing, so that the tests show it."""
    try:
        build(cell, 2)
    except declines:
        return False
    except Exception:  # whatever breaks is not hidden: the tests that play the pair meet it again
        return True
    return True


def declared(entry: Entry) -> list[Spec]:
    return [agent(entry.name, **parameters) for parameters in getattr(entry.target, "examples", ({},))]


def choices(spec: Spec) -> list[Spec]:
    """The agent with every other value of each parameter that is one of a few words, or true or false."""
    others = []
    for name, hint in typing.get_type_hints(registry.lookup("agent", spec.name).target.__init__).items():
        values = (False, True) if hint is bool else typing.get_args(hint) if is_choice(hint) else ()
        others += [spec.with_parameters(**{name: v}) for v in values if v != spec.parameters[name]]
    return others


def shape_of(env) -> tuple[int, ...]:
    """Of actions and rewards: (B,), or (N, B) in a population."""
    n_learners = env.problem.n_learners
    return (SIZE,) if n_learners is None else (n_learners, SIZE)


def is_choice(hint) -> bool:
    return typing.get_origin(hint) is typing.Literal


def shows_context(env: Spec) -> bool:
    return env.build(Streams(SEED, 2)).problem.context is not None


PLAIN = [env for env in ENVIRONMENTS if not shows_context(env)]
CONTEXTUAL = [env for env in ENVIRONMENTS if shows_context(env)]


def cells_of(spec: Spec, declines: tuple[type[Exception], ...] = (UnsupportedProblem,)) -> list[Cell]:
    """Where the agent plays; if that is also without a context, then of those with one only the first."""
    plain = [c for env in PLAIN if can_play(c := cell_of(env, spec), declines)]
    contextual = [c for env in CONTEXTUAL if can_play(c := cell_of(env, spec), declines)]
    return plain + contextual[:1] if plain else contextual


PAIRS = [c for e in AGENTS for a in declared(e) for c in cells_of(a)]
VARIANTS = [
    c
    for e in AGENTS
    for a in declared(e)
    for other in choices(a)
    for c in cells_of(other, (UnsupportedProblem, BadParameter))  # some go with another parameter
]

every_agent = pytest.mark.parametrize("entry", AGENTS, ids=lambda entry: entry.name)
every_pair = pytest.mark.parametrize("cell", PAIRS, ids=lambda cell: cell.label)
every_pair_and_variant = pytest.mark.parametrize("cell", PAIRS + VARIANTS, ids=lambda cell: cell.label)


def play(
    env,
    player,
    rounds=range(1, HORIZON + 1),
    shown=lambda feedback: feedback,
    absorb=None,
    lent=lambda context: context,
):
    """Play and return the actions, int64 (rounds, B).

    ``shown`` is what the agent gets to see of the feedback, ``lent`` of a context.
    """
    actions = []
    for t in rounds:
        context = env.observe(t)
        action = player.act(t, None if context is None else lent(context))
        actions.append(np.array(action))
        feedback = shown(env.step(t, action))
        (absorb or player.update)(t, action, feedback)
    return np.array(actions)


def arrays(feedback: Feedback) -> list[np.ndarray]:
    return [x for x in (feedback.reward, feedback.regret, feedback.observations) if x is not None]


def copied(feedback: Feedback) -> Feedback:
    return Feedback(*(x.copy() for x in arrays(feedback)))


# --- how it presents itself


@every_agent
def test_it_has_a_summary_and_a_source_unless_it_is_a_baseline(entry: Entry):
    """A baseline (an agent without parameters) comes from no paper."""
    assert len(entry.summary) > 10
    assert entry.summary[-1] in ".;:"
    assert entry.source or not keywords(entry)


def keywords(entry: Entry) -> list[inspect.Parameter]:
    return list(inspect.signature(entry.target).parameters.values())[2:]


@every_agent
def test_its_constructor_takes_problem_and_streams_and_then_documented_keywords_only(entry: Entry):
    assert list(inspect.signature(entry.target).parameters)[:2] == ["problem", "streams"]
    for parameter in keywords(entry):
        assert parameter.kind is parameter.KEYWORD_ONLY
        shown = any(parameter.name in spec.given for spec in declared(entry))
        assert shown or parameter.default is not parameter.empty, f"{parameter.name} has neither default nor example"
        assert f"{parameter.name}:" in inspect.getdoc(entry.target), f"{parameter.name} is not documented"


@every_agent
def test_a_parameter_that_it_does_not_have_is_refused_by_name(entry: Entry):
    with pytest.raises(BadParameter, match="no parameter 'no_such_parameter'"):
        _ = agent(entry.name, no_such_parameter=1).parameters


@every_agent
def test_a_parameter_of_the_wrong_type_is_refused_by_name(entry: Entry):
    """An object is the right type for none."""
    for spec in declared(entry):
        for parameter in keywords(entry):
            with pytest.raises(BadParameter, match=rf"\b{parameter.name} must be "):
                _ = spec.with_parameters(**{parameter.name: {"an": "object"}}).parameters


@every_agent
def test_nan_is_refused_wherever_a_number_is_expected(entry: Entry):
    """By the type check or by the constructor: a cell with NaN in its key is never played."""
    hints = typing.get_type_hints(entry.target.__init__)
    for spec in declared(entry):
        env = next(cell.environment for cell in PAIRS if cell.agent == spec)
        for name in (p.name for p in keywords(entry) if float in (hints[p.name], *typing.get_args(hints[p.name]))):
            with pytest.raises(BadParameter, match=name):
                build(cell_of(env, spec.with_parameters(**{name: math.nan})))


@every_agent
def test_it_can_play_at_least_one_environment(entry: Entry):
    for spec in declared(entry):
        assert any(cell.agent == spec for cell in PAIRS)


# --- what it returns


@every_pair_and_variant
def test_it_chooses_one_arm_per_replication_every_round(cell: Cell):
    """An int64 array of shape (B,), or (N, B) in a population, with arms in 0..K-1."""
    env, player = build(cell)
    n_arms = env.problem.n_arms
    for t in range(1, HORIZON + 1):
        action = player.act(t, env.observe(t))
        assert type(action) is np.ndarray
        assert action.dtype == np.int64
        assert action.shape == shape_of(env)
        assert ((action >= 0) & (action < n_arms)).all()
        player.update(t, action, env.step(t, action))


@every_agent
def test_it_can_play_a_single_arm(entry: Entry):
    for spec in declared(entry):
        assert any(can_play(cell_of(env, spec)) for env in SINGLE)


@pytest.mark.parametrize("env_spec", EXTREMES, ids=lambda spec: spec.label)
@every_agent
def test_it_plays_valid_arms_where_formulas_degenerate(entry: Entry, env_spec: Spec):
    """One arm, more arms than rounds, certain or enormous rewards, no noise: without a warning, for any batch."""
    for cell in (cell_of(env_spec, spec, replications=5) for spec in declared(entry)):
        if can_play(cell):
            log = SimulationJob(cell, 5).run(0, 5)
            assert log.equals(SimulationJob(cell, 2).run(0, 5))
            learners = env_spec.build(Streams(SEED, 2)).problem.n_learners or 1
            assert (np.array(log["pulls"].to_pylist()).sum(axis=1) == learners * log["t"].to_numpy()).all()


@every_agent
def test_it_tries_an_arm_that_has_no_noise(entry: Entry):
    """A bonus in proportion to the arm's noise is 0 there, also for an arm that was never played."""
    for spec in declared(entry):
        cell = cell_of(environment("gaussian", means=[0.5, 0.9], sd=[1.0, 0.0]), spec)
        if can_play(cell):
            actions = play(*build(cell))
            assert (actions == 1).any(axis=0).all()


# --- the same bits


def assert_same_log_for_any_batch(cell: Cell):
    whole = SimulationJob(cell, 40).run(0, 40).combine_chunks()
    assert whole.equals(SimulationJob(cell, 40).run(0, 40)), "twice the same seed"
    for batch in (1, 2, 7):
        assert whole.equals(SimulationJob(cell, batch).run(0, 40)), f"batches of {batch}"


@every_pair_and_variant
def test_the_same_seed_gives_the_same_log_for_any_batch(cell: Cell):
    assert_same_log_for_any_batch(cell)


@every_pair
def test_replications_do_not_depend_on_how_many_there_are(cell: Cell):
    """The first ten of 40, a middle part, and one alone; also where the horizon comes from the cell."""
    whole = SimulationJob(cell).run(0, 40).combine_chunks()
    ten = SimulationJob(cell_of(cell.environment, cell.agent, replications=10)).run(0, 10)
    assert ten.equals(whole.slice(0, 10 * HORIZON))
    assert SimulationJob(cell).run(13, 7).equals(whole.slice(13 * HORIZON, 7 * HORIZON).combine_chunks())
    assert SimulationJob(cell).run(39, 1).equals(whole.slice(39 * HORIZON).combine_chunks())


def assert_no_leak(cell: Cell):
    """Perturb the context, the rewards and the observations of lane 2: the others play as before."""
    expected = play(*build(cell))
    env, player = build(cell)
    low, high = env.problem.reward_range or (0.0, 0.0)

    def shown(feedback: Feedback) -> Feedback:
        mine = copied(feedback)
        mine.reward[..., 2] = low + high - mine.reward[..., 2]
        if mine.observations is not None:
            mine.observations[:, 2] *= -1.0
        return mine

    def lent(context):
        mine = context.copy()
        mine[..., 2] *= -1.0
        return mine

    others = np.arange(SIZE) != 2
    assert (play(env, player, shown=shown, lent=lent)[..., others] == expected[..., others]).all()


@every_pair_and_variant
def test_replications_do_not_leak_into_each_other(cell: Cell):
    assert_no_leak(cell)


def assert_survives_pickling(cell: Cell):
    env, player = build(cell)
    play(env, player, range(1, 21))
    copy_env, copy_player = pickle.loads(pickle.dumps((env, player)))
    rest = range(21, HORIZON + 1)
    assert (play(copy_env, copy_player, rest) == play(env, player, rest)).all()


@every_pair_and_variant
def test_it_survives_pickling_in_the_middle_of_a_run(cell: Cell):
    assert_survives_pickling(cell)


# --- what it must not touch


def assert_inputs_unchanged(cell: Cell):
    env, player = build(cell)
    contexts = []

    def lent(context):
        contexts[:] = [context.copy(), context]
        return context

    def absorb(t, action, feedback):
        given = [action, *arrays(feedback)]
        before = [x.copy() for x in given]
        player.update(t, action, feedback)
        for was, now in [*zip(before, given, strict=True), contexts or (action, action)]:
            assert was.tobytes() == now.tobytes()

    play(env, player, absorb=absorb, lent=lent)


@every_pair
def test_it_leaves_context_action_and_feedback_as_they_were(cell: Cell):
    assert_inputs_unchanged(cell)


def assert_keeps_no_reference(cell: Cell):
    """The environment may reuse its arrays: here they are filled with rubbish once update has returned."""
    expected = play(*build(cell))
    env, player = build(cell)
    contexts = []

    def lent(context):
        contexts[:] = [context.copy()]
        return contexts[0]

    def absorb(t, action, feedback):
        mine = action.copy(), copied(feedback)
        player.update(t, *mine)
        mine[0][:] = 0
        for array in [*arrays(mine[1]), *contexts]:
            array[:] = 1e6

    assert (play(env, player, absorb=absorb, lent=lent) == expected).all()


@every_pair
def test_it_copies_what_it_keeps(cell: Cell):
    assert_keeps_no_reference(cell)


def assert_regret_not_read(cell: Cell):
    expected = play(*build(cell))
    actions = play(*build(cell), shown=lambda feedback: replace(feedback, regret=feedback.regret * math.nan))
    assert (actions == expected).all()


@every_pair
def test_it_does_not_read_the_regret(cell: Cell):
    assert_regret_not_read(cell)


def assert_global_randomness_unchanged(cell: Cell):
    def state():
        return np.random.get_state()[1].tobytes(), np.random.get_state()[2], random.getstate()  # noqa: NPY002 - the global state is what is checked

    before = state()
    play(*build(cell))
    assert state() == before


@every_pair
def test_it_leaves_global_randomness_alone(cell: Cell):
    assert_global_randomness_unchanged(cell)


@every_pair
def test_it_knows_the_horizon_the_best_action_and_the_contexts_only_if_it_declares_so(cell: Cell, monkeypatch):
    target = registry.lookup("agent", cell.agent.name).target
    seen, original = [], target.__init__

    def spy(self, problem, streams, **parameters):
        seen.append(problem)
        original(self, problem, streams, **parameters)

    spy.__signature__ = inspect.signature(original)
    monkeypatch.setattr(target, "__init__", spy)
    _ = cell.agent.parameters
    build(cell)
    (problem,) = seen
    assert (problem.horizon is not None) == getattr(target, "uses_horizon", False)
    assert (problem.best_action is not None) == getattr(target, "is_oracle", False)
    assert (problem.bandit is not None) == getattr(target, "knows_bandits", False)
    assert (problem.play_in_turn is not None) == getattr(target, "plays_in_turn", False)


@every_agent
def test_it_declines_rewards_that_are_not_seen_unless_it_declares_that_it_needs_none(entry: Entry):
    """Arm 1 does not see itself: its reward of 0 would be taken for a bad one."""
    env = environment("gaussian_side_observations", means=[0.1, 0.9], sigma=[[1.0, 1.0], ["inf", "inf"]])
    for spec in declared(entry):
        plays = can_play(cell_of(env, spec))
        assert plays == (not getattr(entry.target, "needs_reward", True))


# --- every check can fail


class Follower:
    """Plays the arm of the last reward's size; subclasses break one rule each."""

    def __init__(self, problem, streams) -> None:
        self.n_arms, self.streams = problem.n_arms, streams
        self.score = np.zeros(streams.size)

    def act(self, t, context=None):
        return (np.floor(np.abs(self.score) * 7.0).astype(np.int64) + t) % self.n_arms

    def update(self, t, action, feedback):
        self.score = feedback.reward + 0.3 * action


class Leaks(Follower):
    def update(self, t, action, feedback):
        self.score = np.full(action.size, feedback.reward.mean())


class ReadsRegret(Follower):
    def update(self, t, action, feedback):
        self.score = np.nan_to_num(feedback.regret, nan=9.0)


class KeepsReference(Follower):
    def update(self, t, action, feedback):
        self.score = feedback.reward


class ChangesReward(Follower):
    def update(self, t, action, feedback):
        feedback.reward += 1.0


class ChangesAction(Follower):
    def update(self, t, action, feedback):
        action[:] = 0


class FollowsContext(Follower):
    """Adds the first features of the round to what it follows."""

    def act(self, t, context=None):
        self.first = context[0].sum(axis=0) if context.ndim == 3 else context[0]
        self.score = self.score + self.first
        return super().act(t)


class LeaksContext(FollowsContext):
    def act(self, t, context=None):
        return super().act(t, np.full_like(context, context.mean()))


class KeepsContext(FollowsContext):
    """Looks at the context of the round before."""

    def act(self, t, context=None):
        before = getattr(self, "kept", context)
        self.kept = context
        return super().act(t, before)


class ChangesContext(FollowsContext):
    def act(self, t, context=None):
        action = super().act(t, context)
        context *= 0.5
        return action


class GlobalRandomness(Follower):
    def act(self, t, context=None):
        return np.random.randint(self.n_arms, size=self.score.size)  # noqa: NPY002 - the global state is what is checked


class UnseededRandomness(Follower):
    def act(self, t, context=None):
        return np.random.default_rng().integers(self.n_arms, size=self.score.size)


class BatchRandomness(Follower):
    """Seeded, but by the batch."""

    def act(self, t, context=None):
        return np.random.default_rng(t).integers(self.n_arms, size=self.score.size)


class ForgetsInPickle(Follower):
    def __getstate__(self):
        return {**vars(self), "score": np.zeros_like(self.score)}


BROKEN = [
    (Leaks, assert_no_leak),
    (Leaks, assert_same_log_for_any_batch),
    (ReadsRegret, assert_regret_not_read),
    (KeepsReference, assert_keeps_no_reference),
    (ChangesReward, assert_inputs_unchanged),
    (ChangesAction, assert_inputs_unchanged),
    (GlobalRandomness, assert_global_randomness_unchanged),
    (UnseededRandomness, assert_same_log_for_any_batch),
    (BatchRandomness, assert_same_log_for_any_batch),
    (ForgetsInPickle, assert_survives_pickling),
]
CHECKS = {check for _, check in BROKEN}
BROKEN_IN_CONTEXT = [
    (LeaksContext, assert_no_leak),
    (LeaksContext, assert_same_log_for_any_batch),
    (KeepsContext, assert_keeps_no_reference),
    (ChangesContext, assert_inputs_unchanged),
]


@pytest.fixture
def own_registry(monkeypatch):
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_entries", {kind: dict(known) for kind, known in registry._entries.items()})


@pytest.mark.parametrize(("broken", "check"), BROKEN, ids=lambda x: x.__name__)
def test_the_check_finds_an_agent_that_breaks_the_rule(own_registry, broken, check):
    register_agent("broken")(broken)
    with pytest.raises(AssertionError):
        check(cell_of(environment("gaussian", prior="normal", n_arms=5), agent("broken")))


@pytest.mark.parametrize(("broken", "check"), BROKEN_IN_CONTEXT, ids=lambda x: x.__name__)
def test_the_check_finds_an_agent_that_breaks_the_rule_with_a_context(own_registry, broken, check):
    register_agent("broken")(broken)
    with pytest.raises(AssertionError):
        check(cell_of(environment("linear", n_arms=5, n_features=3), agent("broken")))


def test_an_agent_that_breaks_no_rule_with_a_context_passes_every_check(own_registry):
    register_agent("sound")(FollowsContext)
    for check in CHECKS:
        check(cell_of(environment("linear", n_arms=5, n_features=3), agent("sound")))


def test_an_agent_that_breaks_no_rule_passes_every_check(own_registry):
    register_agent("sound")(Follower)
    for check in CHECKS:
        check(cell_of(environment("gaussian", prior="normal", n_arms=5), agent("sound")))
