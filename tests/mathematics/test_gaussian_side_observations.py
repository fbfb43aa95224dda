"""The environment with side observations: the law of its noise, and the instances that it accepts."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path

import networkx
import numpy as np
import pandas as pd
import pytest

from bandits import Experiment, Streams, agent, environment, simulate
from bandits.environments import GaussianSideObservations
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
    "negative arm": ({"graph": [[0, -1]]}, "graph names the arm -1"),
    "directed triple": ({"graph": [[0, 1, 2]], "directed": True}, "each entry is a pair"),
    "directed by name": ({"graph": "star", "directed": True}, "directed says that a list of pairs"),
    "directed matrix": ({"sigma": SIGMA, "directed": True}, "directed says that a list of pairs"),
    "another number of arms": ({"graph": "full", "n_arms": 4}, "n_arms is 4, but means or sigma have 3 entries"),
    "interval of a fixed graph": ({"graph": "full", "sigma": [0.5, 2]}, "sigma is a list of 2 numbers"),
    "row of levels": ({"sigma": [1, 2, 3]}, "sigma is a list of 3 numbers"),
    "nothing drawn": ({"graph": "full", "draw": 1}, "draw=1 numbers what is drawn"),
    "density of a fixed graph": ({"graph": "full", "density": 0.5}, "graph='random' and density"),
    "no density": ({"graph": "random"}, "graph='random' and density"),
    "density": ({"graph": "random", "density": 1.5}, r"density must lie in \[0, 1\], got 1.5"),
    "draw": ({"graph": "random", "density": 0.5, "draw": -1}, "draw must lie in 0..4294967294, got -1"),
    "interval upside down": ({"graph": "random", "density": 0.5, "sigma": [2, 1]}, r"0 < low <= high.*\[2, 1\]"),
    "interval from 0": ({"graph": "random", "density": 0.5, "sigma": [0, 1]}, "0 < low <= high"),
    "interval without end": ({"graph": "random", "density": 0.5, "sigma": [1, INF]}, "0 < low <= high"),
    "three numbers": ({"graph": "random", "density": 0.5, "sigma": [1, 2, 3]}, "sigma is a list of 3 numbers"),
    "matrix and random": ({"graph": "random", "density": 0.5, "sigma": SIGMA}, "graph goes with one number"),
    "no arms": ({"means": None, "graph": "full"}, "give means, or n_arms"),
    "0 arms": ({"means": None, "graph": "full", "n_arms": 0}, "n_arms must lie in 1..4096, got 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_matrix_is_refused_by_the_entry(case):
    parameters, message = REFUSED[case]
    with pytest.raises(BadParameter, match=message) as refused:
        build(**parameters)
    assert "\n" not in str(refused.value)


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


def test_the_bound_counts_every_best_arm_as_free():
    """Arms 0 and 1 are best: only arm 2 asks for 2 / 0.4 plays; if all are best nothing is asked, nor lost."""

    def of(*means):
        return environment("gaussian_side_observations", means=means, graph="standard")

    assert of(0.9, 0.9, 0.5).build(Streams(0, 2)).bound().constants == pytest.approx([5.0])
    assert of(0.5, 0.5, 0.5).build(Streams(0, 2)).bound().constants == [0.0]
    log = simulate(of(0.5, 0.5, 0.5), agent("pooled_ucb"), horizon=30, replications=3)
    assert log.to_pandas()["regret"].eq(0).all()


def test_degenerate_instances_have_their_bound():
    """One arm; no noise; duplicate arms; a best arm seen only by another; levels from 1e-6 to 1e6."""

    def constant(means, sigma):
        return (
            environment("gaussian_side_observations", means=means, sigma=sigma).build(Streams(0, 2)).bound().constants
        )

    assert constant([0.3], [[1.0]]) == [0.0]
    assert constant([0.5, 0.3], [[0, 0], [0, 0]]) == [0.0]
    assert constant([0.5, 0.3, 0.3], [[1, INF, INF], [INF, 1, 1], [INF, 1, 1]]) == pytest.approx([10.0])
    assert constant([1.0, 0.6], [[INF, 1], [1, INF]]) == pytest.approx([5.0])
    wide = [[1.0, INF, INF], [INF, 1e-6, 1e6], [INF, 1e6, 1e6]]
    assert constant([1.0, 0.5, 0.5], wide) == pytest.approx([0.5 * 8e12])  # both see arm 2 equally badly


# Files


def declared(**parameters):
    return environment("gaussian_side_observations", means=MEANS, **parameters)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_matrix(file: str, rows) -> None:
    table = pd.DataFrame(rows, columns=list("abc"))
    if file.endswith(".csv"):
        table.to_csv(file, index=False, header=False)
    else:
        table.to_parquet(file)


@pytest.mark.parametrize("file", ["noise.csv", "noise.parquet", "noise.txt"])
def test_a_file_is_the_matrix_in_it(folder, file):
    rows = "1,0.5,inf\n2,1,0\n,0.7, 1.5\n\n"
    if file == "noise.parquet":
        write_matrix(file, [[1, 0.5, INF], [2, 1, 0], [None, 0.7, 1.5]])
    else:
        Path(file).write_text(rows)
    spec = declared(sigma=file)
    assert spec.build(Streams(0, 2)).sigma.tolist() == SIGMA
    assert spec.parameters == declared(sigma=SIGMA).parameters == declared(sigma=Path(file)).parameters
    assert spec.label == declared(sigma=SIGMA).label


def test_words_and_a_stored_index_of_a_parquet_file_are_understood(folder):
    table = pd.DataFrame({"x": ["1", "inf"], "y": ["", "2"]}, index=["first", "second"])
    table.to_parquet("noise.parquet")
    spec = environment("gaussian_side_observations", means=[0, 1], sigma="noise.parquet")
    assert spec.build(Streams(0, 2)).sigma.tolist() == [[1, INF], [INF, 2]]


def test_a_declaration_outlives_its_file(folder):
    """Its key, its copy in a worker and its JSON are those of the numbers; what the file holds later is not asked."""
    write_matrix("noise.csv", SIGMA)
    experiment = Experiment(
        name="trial",
        environments=[declared(sigma="noise.csv")],
        agents=[agent("pooled_ucb")],
        horizon=9,
        replications=2,
    )
    same = experiment.replace(environments=[declared(sigma=SIGMA)])
    Path("noise.csv").write_text("another,thing\n")
    assert experiment.cells()[0].key == same.cells()[0].key
    read = Experiment.from_json(json.loads(json.dumps(experiment.as_json(), allow_nan=False)))
    assert read.cells()[0].key == same.cells()[0].key
    copy = pickle.loads(pickle.dumps(experiment.environments[0]))
    assert copy.build(Streams(0, 2)).sigma.tolist() == SIGMA
    assert experiment.override("gaussian_side_observations.means", [1, 2, 3]).cells()[0].key != same.cells()[0].key


def test_a_missing_file_matters_only_to_who_asks(folder):
    """And a file that appears before that is read then, for the key and the JSON alike."""
    spec = declared(sigma="noise.csv")
    assert spec.label.endswith("sigma=noise.csv)")
    with pytest.raises(BadParameter, match=r"cannot read noise\.csv"):
        _ = spec.parameters
    write_matrix("noise.csv", SIGMA)
    assert spec.parameters == declared(sigma=SIGMA).parameters
    assert spec.given["sigma"] == SIGMA


def test_an_override_may_name_a_file(folder):
    write_matrix("noise.csv", SIGMA)
    experiment = Experiment(
        name="trial",
        environments=[declared(sigma=np.ones((3, 3)))],
        agents=[agent("greedy")],
        horizon=9,
        replications=2,
    )
    changed = experiment.override("gaussian_side_observations.sigma", "noise.csv")
    assert changed.environments[0].parameters["sigma"] == declared(sigma=SIGMA).parameters["sigma"]


BAD_FILES = {
    "missing": (None, "cannot read noise.csv: No such file or directory"),
    "text": ("1,1,1\n\n1,one,1\n1,1,1\n", "noise.csv: row 3, column 2: 'one' is no number"),
    "header": ("a,b,c\n1,1,1\n1,1,1\n1,1,1\n", "row 1, column 1: 'a' is no number; .* without a header"),
    "not square": ("1,1,1\n1,1,1\n", "noise.csv: row 1 of 2 has 3 entries, expected K rows of K"),
    "ragged": ("1,1,1\n1,1\n1,1,1\n", "noise.csv: row 2 of 3 has 2 entries, expected K rows of K"),
    "empty": ("\n", "noise.csv holds no numbers"),
    "two arms": ("1,1\n1,1\n", "sigma has 2 rows, expected 3"),
    "nan": ("1,1,1\n1,nan,1\n1,1,1\n", r"sigma\[1\]\[1\] = nan"),
    "negative": ("1,1,1\n1,1,1\n1,-2,1\n", r"sigma\[2\]\[1\] = -2"),
    "not text": (b"\xff\xfe\x00", "cannot read noise.csv: UnicodeDecodeError"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_in_one_line(folder, case):
    content, message = BAD_FILES[case]
    if content is not None:
        Path("noise.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadParameter, match=message) as refused:
        declared(sigma="noise.csv").build(Streams(0, 2))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_parquet_and_a_number_that_is_none_are_refused(folder):
    Path("noise.parquet").write_text("1,1,1")
    with pytest.raises(BadParameter, match=r"cannot read noise\.parquet: ArrowInvalid"):
        _ = declared(sigma="noise.parquet").parameters
    pd.DataFrame({"a": pd.to_datetime(["2026-01-01"])}).to_parquet("noise.parquet")
    with pytest.raises(BadParameter, match=r"row 1, column 1: .*2026-01-01.* is no number"):
        _ = declared(sigma="noise.parquet").parameters


# Graphs


def test_directed_pairs_show_the_second_arm_to_the_first_alone():
    env = build(2, means=[0.0] * 4, graph=[[0, 1], [1, 2], [2, 1]], directed=True)
    assert np.isfinite(env.sigma).astype(int).tolist() == [[1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]


def shared(graph, **parameters):
    return environment("gaussian_side_observations", means=[0.0] * 4, graph=graph, **parameters)


def test_a_networkx_graph_is_its_edges():
    graph = networkx.Graph([(3, 1), (0, 1), (2, 2), (1, 3)])
    assert shared(graph).parameters == shared([[0, 1], [1, 3]]).parameters
    graph.add_edge(0, 3)
    assert shared(graph).parameters["graph"] == [[0, 1], [0, 3], [1, 3]]
    assert shared(networkx.MultiGraph([(0, 1), (1, 0), (2, 3)])).parameters["graph"] == [[0, 1], [2, 3]]
    cycle = shared(networkx.cycle_graph(4)).build(Streams(0, 2))
    assert (cycle.sigma == shared("cycle").build(Streams(0, 2)).sigma).all()


def test_what_is_declared_of_a_graph_stays_when_the_graph_changes():
    graph = networkx.path_graph(4)
    spec = shared(graph)
    graph.add_edge(0, 3)
    assert spec.parameters["graph"] == [[0, 1], [1, 2], [2, 3]]
    assert "networkx" not in json.dumps(spec.as_json())


def test_a_directed_networkx_graph_is_directed():
    spec = shared(networkx.DiGraph([(1, 0), (2, 3), (0, 1), (3, 1)]))
    assert spec.parameters == shared([[0, 1], [1, 0], [2, 3], [3, 1]], directed=True).parameters
    assert spec.with_parameters(sigma=2.0).parameters["directed"] is True


def nodes(*names):
    graph = networkx.Graph()
    graph.add_nodes_from(names)
    return graph


@pytest.mark.parametrize(
    ("graph", "how", "said"),
    [
        (networkx.path_graph(5), {}, "the graph has 5 nodes, but there are 4 arms"),
        (nodes("a", "b", "c", "d"), {}, r"must be the arms 0\.\.3; networkx.convert_node_labels_to_integers"),
        (nodes(1, 2, 3, 4), {}, r"must be the arms 0\.\.3"),
        (networkx.DiGraph([(0, 1), (2, 3)]), {"directed": False}, "the graph is directed, but directed=False"),
        (networkx.path_graph(4), {"directed": True}, "the graph is undirected, but directed=True"),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(graph, how, said):
    with pytest.raises(BadParameter, match=said):
        _ = shared(graph, **how).parameters


# The random family


def family(draw, **changes):
    parameters = {"graph": "random", "n_arms": 10, "density": 0.3, "sigma": [0.5, 2.0], "draw": draw, **changes}
    return environment("gaussian_side_observations", **parameters)


def test_a_draw_is_one_instance_whatever_the_seed_the_batch_and_the_replication():
    one, other = (family(3).build(Streams(*how)) for how in [(0, 2, 0), (9, 50, 77)])
    assert (one.means == other.means).all()
    assert (one.sigma == other.sigma).all()
    assert (family(4).build(Streams(0, 2)).means != one.means).all()


def test_a_draw_is_never_drawn_anew():
    """The first numbers of the first instance: a change here changes every logged run of the family."""
    env = family(0).build(Streams(0, 2))
    assert env.means[:3].tolist() == [0.9403089922801048, 0.9486187931414615, 0.22385259484889686]
    assert env.sigma[0].tolist() == [1.0, INF, INF, INF, INF, 0.9809673102064758, INF, INF, 0.5626473612211262, INF]


def test_the_family_has_the_law_that_it_declares():
    """4,000 instances of 10 arms: means uniform on [0, 1], levels on [0.5, 2], three pairs of ten; all 4.5 sd wide."""
    built = [
        GaussianSideObservations(Streams(0, 2), graph="random", n_arms=10, density=0.3, sigma=[0.5, 2], draw=d)
        for d in range(4_000)
    ]
    means, sigma = np.array([env.means for env in built]), np.array([env.sigma for env in built])
    assert (np.diagonal(sigma, axis1=1, axis2=2) == 1.0).all()
    between = sigma[:, ~np.eye(10, dtype=bool)]
    seen = np.isfinite(between)
    assert abs(seen.mean() - 0.3) < 4.5 * math.sqrt(0.21 / seen.size)
    for values, low, high in ((means.ravel(), 0.0, 1.0), (between[seen], 0.5, 2.0)):
        assert ((values > low) & (values < high)).all()
        unit = np.sort((values - low) / (high - low))
        distance = np.abs(unit - (np.arange(unit.size) + 0.5) / unit.size).max()
        assert distance < 2.3 / math.sqrt(unit.size)  # Kolmogorov and Smirnov, 5e-5
    table = np.column_stack([means, np.where(np.isfinite(between), 1.0, 0.0)])
    assert np.abs(np.corrcoef(table.T) - np.eye(100)).max() < 5.0 / math.sqrt(4_000)


def test_density_0_is_standard_and_1_is_full_and_one_number_is_one_level():
    assert (family(1, density=0.0).build(Streams(0, 2)).sigma[0, 1:] == INF).all()
    assert np.isfinite(family(1, density=1.0).build(Streams(0, 2)).sigma).all()
    assert set(family(1, sigma=0.7).build(Streams(0, 2)).sigma.ravel()) == {0.7, INF}
    assert family(1, sigma=[2.0, 8.0]).build(Streams(0, 2)).sigma[0, 0] == 4.0


def test_means_alone_or_the_graph_alone_may_be_drawn():
    drawn = family(5).build(Streams(0, 2))
    on_a_cycle = environment("gaussian_side_observations", graph="cycle", n_arms=10, draw=5).build(Streams(0, 2))
    on_a_matrix = environment("gaussian_side_observations", sigma=np.ones((10, 10)), draw=5).build(Streams(0, 2))
    assert (on_a_cycle.means == drawn.means).all()
    assert (on_a_matrix.means == drawn.means).all()
    fixed = family(5, means=[0.1] * 9 + [0.2]).build(Streams(0, 2))
    assert (fixed.sigma == drawn.sigma).all()
    assert fixed.means[9] == 0.2


def test_labels_tell_instances_apart_and_stay_short():
    assert family(7).label == (
        "gaussian_side_observations(graph=random, n_arms=10, density=0.3, sigma=[0.5, 2], draw=7)"
    )
    matrix = environment("gaussian_side_observations", means=[0.1, 0.2, 0.3, 0.4, 0.5], sigma=np.ones((5, 5)))
    assert matrix.label == "gaussian_side_observations(means=[0.1, 0.2, ..., 0.5], sigma=[5 x 5])"
    assert "sigma=[[1, 0.5, inf], [2, 1, 0], [inf, 0.7, 1.5]]" in declared(sigma=SIGMA).label


def test_twenty_draws_are_twenty_cells():
    experiment = Experiment(
        name="family", environments=[family(d) for d in range(20)], agents=[agent("greedy")], horizon=5, replications=2
    )
    assert len({cell.key for cell in experiment.cells()}) == 20
