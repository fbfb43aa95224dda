"""Declarations: checkpoints, keys, parameters."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandits import Experiment, agent, environment, register_agent
from bandits.errors import BadParameter, UnsupportedProblem
from bandits.experiment import log_spaced
from bandits.requests import adjust

ENVIRONMENT = environment("bernoulli", means=[0.9, 0.8])


def experiment(**changes):
    fields = {"name": "e", "environments": [ENVIRONMENT], "agents": [agent("ucb1")], "horizon": 100, "replications": 4}
    return Experiment(**(fields | changes))


@given(horizon=st.integers(1, 10**9), count=st.integers(1, 400))
def test_log_spaced_rounds_are_as_many_as_asked_distinct_and_end_at_the_horizon(horizon, count):
    rounds = log_spaced(horizon, count)
    assert len(rounds) == min(horizon, count)
    assert rounds[-1] == horizon
    assert rounds[0] >= 1
    assert all(a < b for a, b in pairwise(rounds))


def test_log_spaced_rounds_are_even_in_log_t_once_integers_allow():
    rounds = log_spaced(10**6, 50)
    ratios = [b / a for a, b in zip(rounds[-20:], rounds[-19:], strict=False)]
    assert max(ratios) / min(ratios) < 1.01


def test_the_key_is_what_a_cell_is():
    (cell,) = experiment().cells()
    same = [
        experiment(replications=9),
        experiment(name="other", summary="words"),
        experiment(agents=[agent("ucb1", c=2)]),
        experiment(agents=[agent("ucb1", c=2.0, tie="first")]),
        experiment(environments=[environment("bernoulli", means=(0.9, 0.8))]),
    ]
    assert {other.cells()[0].key for other in same} == {cell.key}
    different = [
        experiment(seed=1),
        experiment(horizon=101),
        experiment(agents=[agent("ucb1", c=2.5)]),
        experiment(environments=[environment("bernoulli", means=[0.8, 0.9])]),
        experiment(every=10),
    ]
    keys = {other.cells()[0].key for other in different}
    assert len(keys) == len(different)
    assert cell.key not in keys


def test_a_cell_declared_twice_is_refused():
    with pytest.raises(BadParameter, match="declared twice"):
        experiment(agents=[agent("ucb1"), agent("ucb1", c=2.0)]).cells()


def test_a_declaration_survives_json():
    declared = experiment(agents=[agent("ucb1", c=0.5), agent("ucb1_numpy")], extras=("pulls",), every=7)
    read = Experiment.from_json(json.loads(json.dumps(declared.as_json())))
    assert [cell.key for cell in read.cells()] == [cell.key for cell in declared.cells()]


def test_a_default_that_is_not_plain_data_is_refused():
    @register_agent("lambda_default")
    class LambdaDefault:
        """Takes a function."""

        def __init__(self, problem, streams, *, rule=lambda x: x):
            self.rule = rule

    with pytest.raises(BadParameter, match="parameters are numbers, words"):
        experiment(agents=[agent("lambda_default")]).cells()


def test_override_changes_the_named_parameter_only():
    changed = experiment(agents=[agent("ucb1"), agent("ucb1_numpy")]).override("ucb1.c", 0.5)
    assert [spec.parameters["c"] for spec in changed.agents] == [0.5, 2.0]


def test_sweeps_follow_one_another_to_every_combination():
    swept = experiment(
        environments=[environment("gaussian", best=1.0, gap=0.5, n_arms=3), ENVIRONMENT],
        agents=[agent("ucb1"), agent("uniform")],
    )
    swept = swept.sweep("gaussian.gap", [0.1, 0.2]).sweep("ucb1.c", (0.5, 1, 2))
    assert [spec.label for spec in swept.agents] == ["ucb1(c=0.5)", "ucb1(c=1)", "ucb1(c=2)", "uniform"]
    assert [spec.name for spec in swept.environments] == ["gaussian", "gaussian", "bernoulli"]
    cells = swept.cells()
    assert len(cells) == len({cell.key for cell in cells}) == 3 * 4
    from bandits.analysis import Log

    table = Log.in_memory(cells, {}).parameters()
    assert table["environment.gap"].tolist()[::4] == [0.1, 0.2, None]
    assert table["agent.c"].tolist()[:4] == [0.5, 1.0, 2.0, None]
    assert "agent.reward_range" not in table.columns
    assert table[["environment", "agent"]].drop_duplicates().shape[0] == 12


@pytest.mark.parametrize(
    ("target", "values", "said"),
    [
        ("ucb1.c", [], "give a list of values"),
        ("ucb1.c", 2.0, "give a list of values, got 2.0"),
        ("ucb1.c", "abc", "give a list of values, got 'abc'"),
        ("ucb1", [1], "not of the form name.parameter"),
        ("ucb2.c", [1], "no agent or environment of this experiment is called 'ucb2'"),
        ("ucb1.d", [1], "has no parameter 'd'"),
        ("ucb1.c", [1, 1.0], "declared twice"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(target, values, said):
    with pytest.raises(BadParameter, match=said):
        experiment().sweep(target, values).cells()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"horizon": 0}, "horizon must be"),
        ({"horizon": 2.5}, "horizon must be"),
        ({"horizon": True}, "horizon must be"),
        ({"replications": -1}, "replications must be"),
        ({"seed": 2**64}, "seed must be"),
        ({"seed": 1.5}, "seed must be"),
        ({"agents": []}, "has no agents"),
        ({"environments": []}, "has no environments"),
        ({"agents": ["ucb1"]}, "must be declared with agent"),
        ({"agents": [ENVIRONMENT]}, "must be declared with agent"),
        ({"every": 0}, "every must be"),
        ({"extras": ("pull",)}, "extras may contain"),
    ],
)
def test_a_wrong_declaration_is_refused(changes, said):
    with pytest.raises(BadParameter, match=said):
        experiment(**changes)


@pytest.mark.parametrize("rounds", [(), (0, 5), (5, 101)])
def test_checkpoints_outside_the_horizon_are_refused(rounds):
    with pytest.raises(BadParameter, match="checkpoints"):
        experiment(checkpoints=rounds).cells()


def test_a_shorter_horizon_keeps_the_listed_rounds_within_it():
    listed = experiment(checkpoints=(20, 40, 60))
    assert adjust(listed, horizon=45).recorded_rounds == (20, 40, 45)
    assert adjust(listed, horizon=10).recorded_rounds == tuple(range(1, 11)), "as if none were listed"
    assert adjust(listed, horizon=45, checkpoints=2).recorded_rounds == (1, 45)
    assert adjust(listed, horizon=80).recorded_rounds == (20, 40, 60, 80)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "describe the instance in one way"),
        ({"means": [0.5], "prior": "uniform", "n_arms": 3}, "describe the instance in one way"),
        ({"means": [0.5, 0.2], "n_arms": 3}, "n_arms is 3 but means has 2"),
        ({"prior": "unifrom", "n_arms": 3}, "prior must be one of"),
        ({"prior": "uniform"}, "n_arms must be at least 1"),
        ({"best": 0.5, "n_arms": 3}, "best and gap go together"),
        ({"best": 0.5, "gap": -0.1, "n_arms": 3}, "gap must be at least 0"),
        ({"best": 0.5, "gap": 0.6, "n_arms": 3}, "not a probability"),
        ({"means": [[0.5]]}, "means must be a list of numbers or null"),
        ({"means": "high"}, "means must be"),
    ],
)
def test_a_wrong_instance_is_refused(parameters, said):
    with pytest.raises(BadParameter, match=said):
        experiment(environments=[environment("bernoulli", **parameters)]).cells()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"means": [[0.5, 0.4]], "starts": [2]}, "starts must be"),
        ({"means": [[0.5, 0.4], [0.4, 0.5]], "starts": [1]}, "starts must be"),
        ({"means": [[0.5, 0.4], [0.4, 0.5]], "starts": [1, 1]}, "starts must be"),
        ({"means": [[0.5, 0.4], [0.4]], "starts": [1, 5]}, "same number of arms"),
        ({"means": [[0.5, float("nan")]], "starts": [1]}, "finite"),
        ({"means": [[0.5, 2.0]], "starts": [1]}, "not a probability"),
        ({"means": [[0.5]], "starts": [1], "rewards": "poisson"}, "one of 'bernoulli', 'gaussian'"),
        ({"means": [[0.5]]}, "needs the parameter 'starts'"),
    ],
)
def test_a_wrong_piecewise_instance_is_refused(parameters, said):
    with pytest.raises(BadParameter, match=said):
        experiment(environments=[environment("piecewise", **parameters)]).cells()


def test_an_experiment_that_no_agent_can_play_is_refused():
    gaussian = environment("gaussian", means=[0.5, 0.2])
    with pytest.raises(UnsupportedProblem, match="no agent of 'e' can play"):
        experiment(environments=[gaussian], agents=[agent("thompson_beta")]).cells()


def test_a_title_is_what_people_read_and_no_part_of_the_key():
    plain, named = experiment(), experiment(environments=[ENVIRONMENT.named("E12: hub & $spokes$")])
    assert [c.key for c in named.cells()] == [c.key for c in plain.cells()]
    assert named.cells()[0].label.endswith(" on E12: hub & $spokes$")
    read = Experiment.from_json(json.loads(json.dumps(named.as_json())))
    assert read.environments[0].label == "E12: hub & $spokes$"
    assert "title" not in plain.as_json()["environments"][0]


def test_a_title_says_that_a_parameter_was_changed_after_it_was_given():
    changed = experiment(agents=[agent("ucb1").named("classic")]).override("ucb1.c", 4.0)
    assert changed.agents[0].label == "classic(c=4)"


@pytest.mark.parametrize("title", ["", "  ", "two\nlines", None])
def test_a_title_is_one_line_of_text(title):
    with pytest.raises(BadParameter, match="a title is one line of text"):
        ENVIRONMENT.named(title)


def test_two_things_cannot_have_one_title():
    with pytest.raises(BadParameter, match="two agents of 'e' are called 'ucb1': give each its own title"):
        experiment(agents=[agent("ucb1"), agent("moss").named("ucb1")])
