"""What every registered environment keeps: nothing here knows any of them by name.

Each is played on every one of its ``examples``. A new file in ``environments/`` is covered the day it is registered.
"""

from __future__ import annotations

import inspect
import math
import pickle

import numpy as np
import pytest

from bandits import Bound, Context, Problem, Streams, agent, environment
from bandits.errors import BadParameter
from bandits.experiment import Cell
from bandits.jobs import SimulationJob
from bandits.registry import Entry, entries
from bandits.specs import Spec

HORIZON, SIZE, SEED = 50, 9, 5

ENTRIES = [entry for entry in entries("environment") if entry.origin.startswith("bandits.")]
EXAMPLES = [environment(e.name, **parameters) for e in ENTRIES for parameters in getattr(e.target, "examples", ())]

every_environment = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
every_example = pytest.mark.parametrize("spec", EXAMPLES, ids=lambda spec: spec.label)


def build(spec: Spec, size: int = SIZE, first: int = 0, seed: int = SEED):
    return spec.build(Streams(seed, size, first))


def shape_of(env, size: int = SIZE) -> tuple[int, ...]:
    """Of actions and rewards: (B,), or (N, B) in a population."""
    n_learners = env.problem.n_learners
    return (size,) if n_learners is None else (n_learners, size)


def any_actions(env, rounds: int = HORIZON, size: int = SIZE, seed: int = 0):
    """An arm for each round and replication (and learner), int64 (rounds, size) or (rounds, N, size)."""
    return np.random.default_rng(seed).integers(env.problem.n_arms, size=(rounds, *shape_of(env, size)))


def play(env, actions, first_round: int = 1):
    """Rewards and regrets, float64 (2, rounds, size)."""
    rows = []
    for t, action in enumerate(actions, start=first_round):
        env.observe(t)
        feedback = env.step(t, np.ascontiguousarray(action))
        rows.append((feedback.reward.copy(), feedback.regret.copy()))
    return np.array(rows).swapaxes(0, 1)


def shows_others(spec: Spec) -> bool:
    return build(spec).problem.observation_sd is not None


def has_constant_noise(spec: Spec) -> bool:
    """Gaussian rewards whose mean stays for a while."""
    problem = build(spec).problem
    return problem.noise_sd is not None and (problem.context is None or problem.context.features is not None)


def has_context(spec: Spec) -> bool:
    return build(spec).problem.context is not None


# --- how it presents itself


@every_environment
def test_it_shows_examples_a_summary_and_a_source(entry: Entry):
    assert len(entry.target.examples) >= 1
    assert len(entry.summary) > 10
    assert entry.summary[-1] in ".;:"
    assert entry.source


@every_environment
def test_its_constructor_takes_streams_and_then_keywords_only(entry: Entry):
    first, *rest = inspect.signature(entry.target).parameters.values()
    assert first.name == "streams"
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in rest)
    for parameter in rest:
        shown = any(parameter.name in example for example in entry.target.examples)
        assert shown or parameter.default is not parameter.empty, f"{parameter.name} has neither default nor example"
        assert f"{parameter.name}:" in inspect.getdoc(entry.target), f"{parameter.name} is not documented"


@every_example
def test_a_parameter_that_it_does_not_have_is_refused_by_name(spec: Spec):
    with pytest.raises(BadParameter, match="no parameter 'no_such_parameter'"):
        _ = spec.with_parameters(no_such_parameter=1).parameters


@every_example
def test_a_parameter_of_the_wrong_type_is_refused_by_name(spec: Spec):
    """An object is the right type for none."""
    for name in spec.parameters:
        with pytest.raises(BadParameter, match=rf"\b{name} must be "):
            _ = spec.with_parameters(**{name: {"an": "object"}}).parameters


@every_example
def test_nan_is_refused_wherever_a_number_is_expected(spec: Spec):
    """By the type check or by the constructor: a cell with NaN in its key is never played."""
    for name, value in spec.parameters.items():
        if isinstance(value, float | list) and value != []:
            with pytest.raises(BadParameter, match=name):
                build(spec.with_parameters(**{name: with_nan(value)}))


def with_nan(value: float | list):
    """The value with NaN for its first number."""
    return [with_nan(value[0]), *value[1:]] if isinstance(value, list) else math.nan


# --- what it says and returns


@every_example
def test_its_problem_describes_the_arms_and_hides_the_means(spec: Spec):
    problem = build(spec).problem
    assert isinstance(problem, Problem)
    assert type(problem.n_arms) is int
    assert problem.n_arms >= 1
    assert problem.horizon is None
    assert problem.best_action is None
    if problem.noise_sd is not None:
        assert problem.noise_sd.dtype == np.float64
        assert problem.noise_sd.shape == (problem.n_arms,)
        assert (problem.noise_sd >= 0).all()
    if problem.reward_range is not None:
        low, high = problem.reward_range
        assert -math.inf < low < high < math.inf


@every_example
@pytest.mark.parametrize("size", [2, 9])
def test_reward_and_regret_are_finite_float64_of_shape_B(spec: Spec, size: int):
    env = build(spec, size)
    low, high = env.problem.reward_range or (-math.inf, math.inf)
    for t, action in enumerate(any_actions(env, size=size), start=1):
        env.observe(t)
        feedback = env.step(t, action)
        for values in (feedback.reward, feedback.regret):
            assert values.dtype == np.float64
            assert values.shape == shape_of(env, size)
            assert np.isfinite(values).all()
        assert (feedback.regret >= 0).all()
        assert ((low <= feedback.reward) & (feedback.reward <= high)).all()


@every_example
def test_one_arm_of_every_round_has_regret_0_and_the_oracle_s_is_among_them(spec: Spec):
    env = build(spec)
    for t in range(1, HORIZON + 1):
        env.observe(t)
        regrets = np.array([env.step(t, np.full(shape_of(env), a)).regret.copy() for a in range(env.problem.n_arms)])
        assert (regrets.min(axis=0) == 0).all()
        if hasattr(env, "best_action"):
            best = env.best_action(t)
            assert best.dtype == np.int64
            assert best.shape == (SIZE,)
            assert (regrets[best, np.arange(SIZE)] == 0).all()


@every_example
@pytest.mark.parametrize("t", [1, HORIZON])
def test_expected_reward_plus_regret_is_the_same_for_every_arm(spec: Spec, t: int):
    """Both sum to the best mean, so arm a's reward + regret minus arm 0's averages to 0, over 20 000 replications.

    Tolerance 4.5 standard errors of the paired difference. Where a reward is not seen, it stands as 0.
    """
    size = 20000
    env = build(spec, size)
    env.observe(t)
    totals = []
    for a in range(env.problem.n_arms):
        feedback = env.step(t, np.full(shape_of(env, size), a))
        if a in env.problem.unseen_rewards:
            assert (feedback.reward == 0).all()
        else:
            totals.append(feedback.reward + feedback.regret)
    for total in totals[1:]:
        difference = total - totals[0]
        assert abs(difference.mean()) <= 4.5 * difference.std() / math.sqrt(difference.size) + 1e-12


@pytest.mark.parametrize("spec", [s for s in EXAMPLES if has_constant_noise(s)], ids=lambda s: s.label)
def test_a_gaussian_reward_has_the_noise_level_that_the_problem_states(spec: Spec):
    """From the change between two rounds of one segment, which is ``sd sqrt(2) z``, unless the context changes, too.

    20 000 replications; standard deviation within 4.5 standard errors (sd / sqrt(2 n)).
    """
    size = 20000
    env = build(spec, size)
    for a, sd in enumerate(env.problem.noise_sd):
        reward, regret = play(env, np.full((2, *shape_of(env, size)), a), first_round=HORIZON)
        noise = np.diff(reward + regret, axis=0) / math.sqrt(2)
        assert abs(noise.std() - sd) <= 4.5 * sd / math.sqrt(2 * noise.size)
        assert abs(noise.mean()) <= 4.5 * sd / math.sqrt(noise.size)


@pytest.mark.parametrize("spec", [s for s in EXAMPLES if shows_others(s)], ids=lambda s: s.label)
def test_its_observations_are_finite_and_0_where_nothing_is_seen_and_the_reward_is_among_them(spec: Spec):
    env = build(spec)
    sees = np.isfinite(env.problem.observation_sd)
    for t, action in enumerate(any_actions(env), start=1):
        env.observe(t)
        feedback = env.step(t, action)
        seen = feedback.observations
        assert seen.dtype == np.float64
        assert seen.shape == (env.problem.n_arms, SIZE)
        assert np.isfinite(seen).all()
        assert (seen[~sees.T[:, action]] == 0).all()
        assert (feedback.reward == seen[action, np.arange(SIZE)]).all()


@every_example
def test_it_shows_observations_if_and_only_if_its_problem_says_so(spec: Spec):
    env = build(spec)
    env.observe(1)
    feedback = env.step(1, np.zeros(shape_of(env), dtype=np.int64))
    assert (feedback.observations is not None) == (env.problem.observation_sd is not None)


@every_example
def test_it_shows_a_context_if_and_only_if_its_problem_says_so(spec: Spec):
    env = build(spec)
    assert (env.observe(1) is not None) == (env.problem.context is not None)


@pytest.mark.parametrize("spec", [s for s in EXAMPLES if has_context(s)], ids=lambda s: s.label)
@pytest.mark.parametrize("size", [2, 9])
def test_its_context_is_what_the_problem_says(spec: Spec, size: int):
    """Contiguous float64 of shape (d, K, B) or (d, B), within the stated length and interval."""
    env = build(spec, size)
    problem, facts = env.problem, env.problem.context
    assert isinstance(facts, Context)
    assert type(facts.n_features) is int
    assert facts.n_features >= 1
    shape = (facts.n_features, problem.n_arms, size) if facts.per_arm else (facts.n_features, size)
    for t, action in enumerate(any_actions(env, size=size), start=1):
        context = env.observe(t)
        assert type(context) is np.ndarray
        assert context.dtype == np.float64
        assert context.shape == shape
        assert context.flags.c_contiguous
        assert np.isfinite(context).all()
        if facts.features is not None:
            assert facts.features.shape in {shape, (*shape[:-1], 1)}
            assert (context == facts.features).all()
        if facts.feature_norm is not None:
            assert (np.sqrt((context**2).sum(axis=0)) <= facts.feature_norm * (1 + 1e-12)).all()
        if facts.feature_range is not None:
            low, high = facts.feature_range
            assert ((low <= context) & (context <= high)).all()
        before = context.copy()
        env.step(t, action)
        assert (context == before).all(), "a context holds until the next round"


@pytest.mark.parametrize("spec", [s for s in EXAMPLES if has_context(s)], ids=lambda s: s.label)
@pytest.mark.parametrize(("first", "size"), [(0, 2), (1, 3), (7, 2)])
def test_any_window_of_replications_gives_the_same_contexts(spec: Spec, first: int, size: int):
    whole, part = build(spec), build(spec, size, first)
    for t in range(1, HORIZON + 1):
        expected = np.ascontiguousarray(whole.observe(t)[..., first : first + size])
        assert part.observe(t).tobytes() == expected.tobytes()


@pytest.mark.parametrize("spec", [s for s in EXAMPLES if build(s).bound() is not None], ids=lambda s: s.label)
def test_its_bound_is_a_curve_that_starts_at_0_and_never_falls(spec: Spec):
    env = build(spec)
    bound = env.bound()
    assert isinstance(bound, Bound)
    assert bound.name
    rounds = np.array([1, 2, 10, 19, 20, 21, 100, 10**6])
    values = bound.at(rounds)
    assert values.shape in {(rounds.size,), (rounds.size, SIZE)}
    assert np.isfinite(values).all()
    assert (values[0] == 0).all()
    assert (np.diff(values, axis=0) >= 0).all()


# --- the same bits


@every_example
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(spec: Spec):
    actions = any_actions(build(spec))
    a, b, other = (play(build(spec, seed=seed), actions) for seed in (SEED, SEED, SEED + 2**32))
    assert a.tobytes() == b.tobytes()
    assert a.tobytes() != other.tobytes()


@every_example
@pytest.mark.parametrize(("first", "size"), [(0, 2), (1, 3), (7, 2), (3, 6)])
def test_any_window_of_replications_gives_the_same_bits(spec: Spec, first: int, size: int):
    actions = any_actions(build(spec))
    window = np.s_[..., first : first + size]
    whole, part = play(build(spec), actions), play(build(spec, size, first), actions[window])
    assert part.tobytes() == np.ascontiguousarray(whole[window]).tobytes()


@every_example
def test_replications_are_not_copies_of_each_other(spec: Spec):
    env = build(spec)
    reward, _ = play(env, np.zeros((HORIZON, *shape_of(env)), dtype=np.int64))
    assert len({column.tobytes() for column in reward.T.copy()}) == SIZE


@every_example
@pytest.mark.parametrize("batch", [1, 2, 7, None])
def test_a_job_does_not_depend_on_its_batches(spec: Spec, batch: int | None):
    player = agent("uniform" if build(spec).problem.n_learners is None else "isolated_ucb")
    cell = Cell(spec, player, SEED, tuple(range(1, HORIZON + 1)), 20, ("pulls",))
    assert SimulationJob(cell, batch).run(0, 20).combine_chunks().equals(SimulationJob(cell, 20).run(0, 20))


@every_example
def test_what_one_replication_plays_changes_nothing_in_another(spec: Spec):
    n_arms = build(spec).problem.n_arms
    actions = any_actions(build(spec))
    changed = actions.copy()
    changed[..., 4] = (actions[..., 4] + 1) % n_arms
    before, after = play(build(spec), actions), play(build(spec), changed)
    others = np.arange(SIZE) != 4
    assert (before[..., others] == after[..., others]).all()
    assert n_arms == 1 or (before[1, ..., 4] != after[1, ..., 4]).any()


@every_example
def test_it_survives_pickling_in_the_middle_of_a_run(spec: Spec):
    env = build(spec)
    actions = any_actions(env)
    play(env, actions[:17])
    copy = pickle.loads(pickle.dumps(env))
    rest, same = play(env, actions[17:], 18), play(copy, actions[17:], 18)
    assert rest.tobytes() == same.tobytes()
    assert rest.tobytes() == np.ascontiguousarray(play(build(spec), actions)[:, 17:]).tobytes()


@every_example
def test_step_leaves_the_action_as_it_was(spec: Spec):
    env = build(spec)
    for t, action in enumerate(any_actions(env), start=1):
        before = action.copy()
        env.observe(t)
        env.step(t, action)
        assert (action == before).all()


@every_example
def test_it_leaves_global_randomness_alone(spec: Spec):
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is checked
    env = build(spec)
    play(env, any_actions(env))
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002 - the global state is what is checked
