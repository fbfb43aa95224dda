"""The environment with side observations: the law of its noise, and the instances that it accepts."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from bandits import Experiment, Streams, agent, environment, simulate
from bandits.errors import BadParameter

INF = math.inf
MEANS = [0.5, 0.2, -0.1]
SIGMA = [[1.0, 0.5, INF], [2.0, 1.0, 0.0], [INF, 0.7, 1.5]]


def build(size: int = 2, seed: int = 1, means=MEANS, **parameters):
    return environment("gaussian_side_observations", means=means, **(parameters or {"sigma": SIGMA})).build(
        Streams(seed, size)
    )


def seen(env, t: int, arm: int, size: int) -> np.ndarray:
    """Observations (K, B) of round t where every lane plays the arm."""
    return env.step(t, np.full(size, arm)).observations.copy()


@pytest.mark.parametrize("arm", [0, 1, 2])
def test_an_observation_has_the_mean_of_the_arm_seen_and_the_noise_level_of_the_pair(arm):
    """100 000 replications; mean within 4.5 sd / sqrt(n), standard deviation within 4.5 sd / sqrt(2 n)."""
    size = 100_000
    values = seen(build(size), 5, arm, size)
    for k, sd in enumerate(SIGMA[arm]):
        if sd == INF:
            assert (values[k] == 0).all()
        else:
            assert abs(values[k].mean() - MEANS[k]) <= 4.5 * sd / math.sqrt(size)
            assert abs(values[k].std() - sd) <= 4.5 * sd / math.sqrt(2 * size)


def test_noise_is_independent_over_arms_rounds_and_replications():
    """Correlations of 5 arms, two rounds and neighbouring lanes, of 100 000 numbers each: below 4.5 / sqrt(n)."""
    size = 100_000
    env = build(size, means=[0.0] * 5, graph="full")
    rows = np.concatenate([seen(env, 8, 0, size), seen(env, 9, 0, size)])
    rows = np.concatenate([rows, np.roll(rows, 1, axis=1)])
    off_diagonal = np.corrcoef(rows) - np.eye(len(rows))
    assert np.abs(off_diagonal).max() < 4.5 / math.sqrt(size)
    assert len(np.unique(rows[:10])) == 10 * size


def test_whoever_sees_an_arm_in_a_round_sees_the_same_noise():
    """X[t, j] = means[j] + sigma[i][j] z[t, j], whichever arm i is played."""
    env = build(50)
    z = (seen(env, 3, 1, 50)[:2] - [[0.5], [0.2]]) / [[2.0], [1.0]]
    assert seen(env, 3, 0, 50)[:2] == pytest.approx(np.array([[0.5], [0.2]]) + [[1.0], [0.5]] * z)


def test_the_reward_is_the_own_observation_and_regret_the_gap():
    env = build(3)
    feedback = env.step(1, np.array([0, 1, 2]))
    assert (feedback.reward == feedback.observations[[0, 1, 2], [0, 1, 2]]).all()
    assert feedback.regret == pytest.approx([0.0, 0.3, 0.6])


def test_a_blind_arm_costs_regret_but_shows_no_reward():
    env = build(2, means=[1.0, 0.7], sigma=[[None, 1.0], [1.0, 1.0]])
    feedback = env.step(1, np.array([0, 1]))
    assert feedback.reward[0] == 0.0
    assert feedback.reward[1] != 0.0
    assert feedback.regret == pytest.approx([0.0, 0.3])
    assert env.problem.unseen_rewards.tolist() == [0]
    assert env.problem.noise_sd is None


def test_no_noise_shows_the_mean_itself():
    env = build(4, sigma=0.0, graph="full")
    assert (seen(env, 1, 2, 4) == np.array(MEANS)[:, None]).all()


def test_infinity_may_be_spelled_in_four_ways():
    for spelling in (INF, "inf", "Infinity", None):
        env = build(2, sigma=[[1, spelling, spelling], [spelling, 1, spelling], [1, 1, 1]])
        assert env.sigma.tolist() == [[1, INF, INF], [INF, 1, INF], [1, 1, 1]]


def test_infinity_and_its_word_are_one_cell_in_plain_json():
    """json.dumps alone writes Infinity, which other readers refuse."""
    spellings = [[[1, x], [x, 1]] for x in (INF, "inf", np.inf)] + [np.array([[1.0, INF], [INF, 1.0]])]
    experiments = [
        Experiment(
            name="trial",
            environments=[environment("gaussian_side_observations", means=[0, 1], sigma=sigma)],
            agents=[agent("pooled_ucb")],
            horizon=10,
            replications=2,
        )
        for sigma in spellings
    ]
    assert len({experiment.cells()[0].key for experiment in experiments}) == 1
    for experiment in experiments:
        declared = json.loads(json.dumps(experiment.as_json(), allow_nan=False))
        assert Experiment.from_json(declared).cells()[0].key == experiment.cells()[0].key


GRAPHS = {
    "standard": ["1000", "0100", "0010", "0001"],
    "full": ["1111", "1111", "1111", "1111"],
    "cycle": ["1101", "1110", "0111", "1011"],
    "star": ["1111", "1100", "1010", "1001"],
    "revealing": ["1111", "0100", "0010", "0001"],
    ((0, 2), (1, 3)): ["1010", "0101", "1010", "0101"],
    ((0, 1), (1, 2), (2, 3)): ["1100", "1110", "0111", "0011"],
    ((1, 2, 3),): ["1000", "0111", "0111", "0111"],
}


@pytest.mark.parametrize(("graph", "rows"), GRAPHS.items(), ids=str)
def test_a_graph_says_who_sees_whom(graph, rows):
    env = build(2, means=[0.0] * 4, sigma=2.0, graph=graph if isinstance(graph, str) else [list(g) for g in graph])
    assert env.sigma.tolist() == [[2.0 if c == "1" else INF for c in row] for row in rows]


@pytest.mark.parametrize("graph", ["standard", "full", "cycle", "star", "revealing"])
def test_one_arm_has_regret_0(graph):
    assert (
        simulate(
            environment("gaussian_side_observations", means=[0.3], graph=graph),
            agent("pooled_ucb"),
            horizon=20,
            replications=3,
        )
        .to_pandas()["regret"]
        .eq(0)
        .all()
    )


REFUSED = {
    "nan": ({"sigma": [[1, 1, 1], [1, math.nan, 1], [1, 1, 1]]}, r"sigma\[1\]\[1\] = nan"),
    "negative": ({"sigma": [[1, 1, 1], [1, 1, 1], [1, -2, 1]]}, r"sigma\[2\]\[1\] = -2"),
    "a word": ({"sigma": [[1, "one", 1], [1, 1, 1], [1, 1, 1]]}, r"sigma\[0\]\[1\] = 'one'"),
    "a list": ({"sigma": [[1, [1], 1], [1, 1, 1], [1, 1, 1]]}, "sigma must be"),
    "too few rows": ({"sigma": [[1, 1, 1]]}, "sigma has 1 rows, expected 3"),
    "a short row": ({"sigma": [[1, 1, 1], [1, 1], [1, 1, 1]]}, r"sigma\[1\] has 2 entries, expected 3"),
    "no graph": ({"sigma": 1.0}, "graph="),
    "both": ({"sigma": SIGMA, "graph": "full"}, "graph goes with one number"),
    "infinite level": ({"sigma": INF, "graph": "full"}, "sigma must be at least 0 and finite"),
    "negative level": ({"sigma": -1.0, "graph": "full"}, "sigma must be at least 0 and finite"),
    "no such graph": ({"graph": "wheel"}, "graph must be"),
    "no such arm": ({"graph": [[0, 3]]}, "graph names the arm 3"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_matrix_is_refused_by_the_entry(case):
    parameters, message = REFUSED[case]
    with pytest.raises(BadParameter, match=message):
        build(**parameters)


@pytest.mark.parametrize("means", [[], [0.1, INF]])
def test_bad_means_are_refused(means):
    with pytest.raises(BadParameter, match="means"):
        build(means=means, graph="full")


def test_an_arm_that_nobody_sees_is_warned_of_and_never_preferred():
    """Column 1 is infinite: agents play what they can learn about."""
    world = environment(
        "gaussian_side_observations", means=[0.1, 0.9, 0.2], sigma=[[1, None, 1], [1, None, 1], [1, None, 1]]
    )
    for name in ("pooled_ucb", "pooled_thompson", "ucb_n", "ucb_max_n", "greedy", "ucb_lp"):
        with pytest.warns(UserWarning, match="no arm sees arm 1"):
            log = simulate(world, agent(name), horizon=50, replications=5, extras=["pulls"])
        pulls = np.array(log.to_pandas(at=50)["pulls"].to_list())
        assert (pulls[:, 1] == 0).all(), name


@pytest.mark.parametrize(
    ("means", "sigma", "constant"),
    [
        ([0.9, 0.7, 0.5, 0.3], "standard", 18.33333333),
        ([0.9, 0.7, 0.5, 0.3], "full", 0.0),
        ([1.0, 0.8, 0.5, 0.6, 0.3, 0.7], "cycle", 5.0),
        ([1.0, 0.7, 0.5], [[INF, INF, INF], [1, 1, 1], [1, 1, 1]], 13.33333333),  # the best arm does not see itself
    ],
)
def test_its_bound_is_the_graves_lai_constant(means, sigma, constant):
    how = {"graph": sigma, "sigma": 1.0} if isinstance(sigma, str) else {"sigma": sigma}
    bound = environment("gaussian_side_observations", means=means, **how).build(Streams(0, 2)).bound()
    assert bound.constants == pytest.approx([constant], abs=1e-7)


def test_it_has_no_bound_where_nobody_sees_an_arm():
    with pytest.warns(UserWarning, match="no arm sees arm 1"):
        world = environment("gaussian_side_observations", means=[0.5, 0.9], sigma=[[1, INF], [1, INF]]).build(
            Streams(0, 2)
        )
    assert world.bound() is None
