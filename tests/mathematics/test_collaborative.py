"""Populations: the project's reference numbers, bounds, the log, and bad input.

Reference means and their standard errors are those of the project's specification, 2.6 (instance of `collaborative`,
alpha = 4, beta = 3, T = 64 000, regret per learner).
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from bandits import Experiment, Streams, agent, environment, load, simulate
from bandits.agents import GosineContextUnaware
from bandits.analysis import Log
from bandits.errors import BadParameter, NotLogged, UnsupportedProblem
from bandits.jobs import SimulationJob
from bandits.network import Design
from bandits.plots import draw_messages, draw_regret, draw_spreading, kinds_for
from bandits.registry import lookup
from bandits.runs import start, verify
from bandits.scheduler import Settings

HORIZON, REPLICATIONS = 64_000, 16

HOMOGENEOUS = [0.95, 0.85, *(0.85 * (40 - k) / 39 for k in range(2, 40))]
ENVIRONMENTS = {
    "24 on 4": (24, environment("collaborative")),
    "24 on 4, ring": (24, environment("collaborative", network="ring")),
    "40 on 8": (40, environment("collaborative", n_learners=40, n_bandits=8)),
    "20 on 2": (20, environment("collaborative", n_learners=20, n_bandits=2)),
    "15 on 1": (15, environment("collaborative", n_learners=15, means=[HOMOGENEOUS])),
    "15 on 1, ring": (15, environment("collaborative", n_learners=15, means=[HOMOGENEOUS], network="ring")),
}
SINGLE, UNAWARE, GOSINE = agent("isolated_ucb"), agent("gosine_context_unaware"), agent("gosine")
CENTRAL = agent("centralised_ucb", stagger=True)


def aware(r: int):
    return agent("gosine_context_aware", r=r)


REFERENCE = [
    ("24 on 4", SINGLE, 3563.6, 5.0),
    ("24 on 4", UNAWARE, 1610.6, 57),
    ("24 on 4", agent("same_bandit_gosine"), 871.0, 2.3),
    ("24 on 4, ring", UNAWARE, 9425, 76),
    ("24 on 4", aware(1), 1606.3, 50),
    ("24 on 4", aware(2), 1186.3, 30),
    ("24 on 4", aware(3), 1002.8, 4.4),
    ("24 on 4", aware(6), 966.4, 2.6),
    ("24 on 4, ring", aware(6), 959.8, 2.6),
    ("24 on 4", CENTRAL, 664.2, 1.6),
    ("40 on 8", SINGLE, 3618.0, 3.5),
    ("40 on 8", UNAWARE, 3224, 100),
    ("40 on 8", aware(5), 1119.2, 3.6),
    ("20 on 2", SINGLE, 3486.9, 4.5),
    ("20 on 2", UNAWARE, 612.8, 12.5),
    ("15 on 1", SINGLE, 3808.3, 3.7),
    ("15 on 1", GOSINE, 574.1, 4.1),
    ("15 on 1, ring", GOSINE, 660.1, 9.9),
    ("15 on 1", CENTRAL, 301.4, 1.1),
]


@cache
def regret(where: str, spec_label: str) -> tuple[float, float]:
    """Mean regret per learner at the horizon and its standard error, over the replications."""
    n_learners, env = ENVIRONMENTS[where]
    (spec,) = {s.label: s for w, s, *_ in REFERENCE if s.label == spec_label}.values()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*no path of gossip")  # the ring that violates connectivity
        log = simulate(env, spec, horizon=HORIZON, replications=REPLICATIONS, checkpoints=[HORIZON], seed=2023)
    values = log.to_pandas().regret / n_learners
    return float(values.mean()), float(values.std() / math.sqrt(REPLICATIONS))


@pytest.mark.parametrize(("where", "spec", "mean", "error"), REFERENCE, ids=lambda x: str(getattr(x, "label", x)))
def test_regret_is_the_reference_s_within_4_combined_standard_errors(where, spec, mean, error):
    measured, own = regret(where, spec.label)
    assert abs(measured - mean) <= 4 * math.hypot(own, error)


def test_the_more_is_shared_the_less_is_lost():
    """Each difference beyond 2 standard errors, except that larger groups may only not be worse."""
    order = [CENTRAL, aware(6), aware(3), aware(2), UNAWARE, SINGLE]
    means = [regret("24 on 4", spec.label) for spec in order]
    for (better, e), (worse, f) in pairwise(means[2:]):
        assert better + 2 * math.hypot(e, f) < worse
    assert means[0][0] < means[1][0] - 2 * math.hypot(means[0][1], means[1][1])
    assert means[1][0] <= means[2][0] + 2 * math.hypot(means[1][1], means[2][1])
    contexts, _ = regret("24 on 4", "same_bandit_gosine")
    assert contexts < regret("24 on 4", UNAWARE.label)[0]
    assert (
        regret("20 on 2", UNAWARE.label)[0] < regret("24 on 4", UNAWARE.label)[0] < regret("40 on 8", UNAWARE.label)[0]
    )


# --- bounds


# a table of cases, which the formatter would spread over a line each
@pytest.mark.parametrize(("where", "sharing", "numbers"), [("24 on 4", 86.755062, 42.732939),
                                                           ("40 on 8", 175.751084, 162.135869),
                                                           ("20 on 2", 42.706739, 13.882888),
                                                           ("15 on 1", 22.970410, 0.0)])  # fmt: skip
def test_bounds_are_the_reference_s(where, sharing, numbers):
    env = ENVIRONMENTS[where][1].build(Streams(0, 2))
    assert env.bound().constants == pytest.approx([sharing], abs=5e-7)
    assert [b.constants[0] for b in env.more_bounds()] == pytest.approx([numbers], abs=5e-7)


def test_gaussian_bounds_by_hand():
    """Two bandits, gaps 0.5 and 0.4 and 0.2: 2 sd^2 / gap each; best arms 0 and 1, three learners."""
    env = environment("collaborative", n_learners=3, means=[[0.9, 0.4], [0.1, 0.5]], rewards="gaussian", sd=0.5)
    built = env.build(Streams(0, 2))
    assert built.bound().constants == pytest.approx([0.5 / 0.5 + 0.5 / 0.4])
    assert built.more_bounds()[0].constants == pytest.approx([2 * 0.5 / 0.5 + 0.5 / 0.4])


def test_the_reference_instance_has_the_means_it_says():
    means = ENVIRONMENTS["24 on 4"][1].build(Streams(0, 2)).means
    assert means[0, :2].tolist() == [0.95, 0.85]
    assert means[0, 2:6] == pytest.approx([0.68328157, 0.37770876, 0.07213595, 0.56656315], abs=1e-8)
    assert means[1, :4] == pytest.approx([0.18885438, 0.37770876, 0.56656315, 0.75541753], abs=1e-8)
    assert means[1, 10:12].tolist() == [0.95, 0.85]


@pytest.mark.parametrize(("where", "leading"), [("24 on 4", 4248.56), ("40 on 8", 6139.22), ("20 on 2", 2261.80)])
def test_regret_stays_below_the_leading_term_of_the_guarantee(where, leading):
    """Sum of 4 alpha / gap over sticky arms and best arms, times ln T: the project's specification, 2.6."""
    n_learners, spec = ENVIRONMENTS[where]
    env = spec.build(Streams(0, 2))
    player = GosineContextUnaware(env.problem, Streams(0, 2))
    total = 0.0
    for i in range(n_learners):
        arms = set(player.arms[i, : player.n_sticky, 0].tolist()) | set(env.best.tolist())
        gaps = [env.means[env.bandit[i]].max() - env.means[env.bandit[i], k] for k in arms]
        total += sum(16 / gap for gap in gaps if gap > 0) * math.log(HORIZON)
    assert total / n_learners == pytest.approx(leading, abs=0.005)
    assert regret(where, UNAWARE.label)[0] < leading


# --- sticky sets


# a table of cases, which the formatter would spread over a line each
@pytest.mark.parametrize(("n_arms", "n", "m", "gamma", "size", "miss"), [(40, 24, 4, 0.05, 30, 9.766e-4),
                                                                         (100, 50, 5, 0.01, 63, 2.404e-4),
                                                                         (10, 20, 2, 0.1, 3, 0.0564951)])  # fmt: skip
def test_random_sticky_sets_are_large_enough_and_say_how_often_they_fail(n_arms, n, m, gamma, size, miss):
    env = environment("collaborative", n_learners=n, n_bandits=m, n_arms=n_arms).build(Streams(0, 500))
    player = GosineContextUnaware(env.problem, Streams(0, 500), sticky="random", gamma=gamma)
    assert player.n_sticky == size
    said = float(player.remarks[0].rpartition(" ")[2])
    assert said == pytest.approx(miss, rel=1e-3)
    held = (player.arms[:, :size] == env.best[env.bandit][:, None, None]).any(axis=1)
    missed = 1.0 - np.array([held[env.bandit == b].any(axis=0) for b in range(m)]).all(axis=0).mean()
    assert missed <= miss + 4.5 * math.sqrt(miss / 500)


def test_oracle_sticky_sets_cover_every_arm_of_every_bandit_and_global_ones_need_not():
    env = environment("collaborative", n_learners=10, n_bandits=3, n_arms=17).build(Streams(0, 2))
    player = GosineContextUnaware(env.problem, Streams(0, 2))
    for m in range(3):
        assert set(player.arms[env.bandit == m][:, : player.n_sticky].ravel()) == set(range(17))
    control = GosineContextUnaware(env.problem, Streams(0, 2), sticky="global")
    assert any(len(set(control.arms[env.bandit == m][:, : control.n_sticky].ravel())) < 17 for m in range(3))


def test_a_learner_alone_on_its_bandit_keeps_all_arms():
    design = environment("collaborative", n_learners=4, assignment=[0, 1, 1, 1], n_bandits=2, n_arms=9)
    player = GosineContextUnaware(design.build(Streams(0, 2)).problem, Streams(0, 2))
    assert player.n_sticky == 9
    assert not player.has_dynamic


# --- the log


def small(**changes):
    return Experiment(
        name="small",
        environments=[environment("collaborative", n_learners=6, n_bandits=2, n_arms=12)],
        agents=[UNAWARE, aware(2), agent("full_sharing")],
        horizon=200,
        replications=5,
        checkpoints=8,
        **changes,
    )


def test_learners_kept_apart_add_up_to_the_group(tmp_path):
    start(small(extras=("pulls",)), tmp_path / "group", Settings("serial"))
    start(small(extras=("pulls", "learners")), tmp_path / "apart", Settings("serial"))
    group, apart = load(tmp_path / "group").to_pandas(), load(tmp_path / "apart").to_pandas()
    assert len(apart) == 6 * len(group)
    assert apart.learner.tolist() == list(range(6)) * len(group)
    keys = ["agent", "replication", "t"]
    summed = apart.groupby(keys, sort=False)[["regret", "reward", "messages", "bits", "holders"]].sum()
    expected = group.set_index(keys)[["regret", "reward", "messages", "bits", "holders"]]
    assert summed.to_numpy() == pytest.approx(expected.to_numpy())
    pulls = np.stack(apart.pulls.to_list()).reshape(len(group), 6, 12)
    assert (pulls.sum(axis=1) == np.stack(group.pulls.to_list())).all()
    assert (pulls.sum(axis=2) == group.t.to_numpy()[:, None]).all(), "every learner plays once a round"
    for one, other in zip(load(tmp_path / "group").cells, load(tmp_path / "apart").cells, strict=True):
        assert (load(tmp_path / "group").pulls(one) == load(tmp_path / "apart").pulls(other)).all()
    a, b = (load(tmp_path / name).summary() for name in ("group", "apart"))
    assert a.regret.tolist() == pytest.approx(b.regret.tolist())
    assert a.high.tolist() == pytest.approx(b.high.tolist())
    assert all(finding.ok for finding in verify(tmp_path / "apart"))


def test_the_log_counts_messages_bits_and_who_holds_the_best_arm():
    log = simulate(small().environments[0], UNAWARE, horizon=200, replications=4, checkpoints=[7, 8, 200], seed=1)
    rows = log.to_pandas().groupby("t")
    assert rows.messages.unique().map(list).to_dict() == {7: [6], 8: [12], 200: [30]}  # phases end in 1, 8, 27, 64, 125
    assert rows.bits.unique().map(list).to_dict() == {7: [24], 8: [48], 200: [120]}
    assert (rows.holders.min() >= 2).all(), "the sticky sets cover both bandits"
    assert rows.holders.mean()[200] > rows.holders.mean()[7]


def test_the_log_holds_both_bounds(tmp_path):
    start(small(), tmp_path / "run", Settings("serial"))
    facts = load(tmp_path / "run").cells[0]
    env = small().environments[0].build(Streams(0, 2))
    assert facts.bound.constants == env.bound().constants
    assert [b.name for b in facts.more_bounds] == [b.name for b in env.more_bounds()]
    assert facts.more_bounds[0].constants == env.more_bounds()[0].constants


def test_figures_of_populations_show_the_log(tmp_path):
    start(small(), tmp_path / "run", Settings("serial"))
    opened = load(tmp_path / "run")
    rows = opened.to_pandas()
    last = rows[rows.t == 200].groupby("agent", sort=False)
    (panel,) = draw_messages(opened).axes
    points = {c.get_label(): c.lines[0].get_xydata()[0].tolist() for c in panel.containers}
    assert points == {name: pytest.approx([group.messages.mean(), group.regret.mean()]) for name, group in last}
    (panel,) = draw_spreading(opened).axes
    for line in panel.get_lines():
        shares = rows[rows.agent == line.get_label()].groupby("t").holders.mean() / 6
        assert line.get_xydata()[:, 1] == pytest.approx(shares.to_numpy())
    (panel,) = draw_regret(opened).axes
    drawn = [line.get_ydata()[-1] for line in panel.get_lines() if line.get_color() == "black"]
    names = [line.get_label() for line in panel.get_lines() if line.get_color() == "black"]
    assert [name.rpartition(", ")[2] for name in names] == ["C ln t", "C′ ln t"], "two bounds, two constants"
    env = small().environments[0].build(Streams(0, 2))
    assert drawn == pytest.approx([b.at(np.array([200]))[0] for b in (env.bound(), *env.more_bounds())])
    constants = ", ".join(f"{c} = {b.constant:.4g}" for c, b in (("C", env.bound()), ("C′", env.more_bounds()[0])))
    assert panel.get_title().replace("\n", " ").endswith(f"({constants})")


def test_what_is_shared_outside_the_network_is_not_drawn_as_free_of_messages():
    env = small().environments[0]
    log = simulate(env, agent("centralised_ucb"), horizon=100, replications=4)
    (panel,) = draw_messages(log).axes
    (level,) = panel.lines
    assert level.get_label() == "centralised_ucb (shares outside the network: no messages to count)"
    assert level.get_ydata() == pytest.approx([log.curve(log.cells[0]).mean[-1]] * 2)
    assert not panel.containers
    alone = simulate(env, agent("isolated_ucb"), horizon=100, replications=4)
    (point,) = draw_messages(alone).axes[0].containers
    assert point.lines[0].get_xdata() == [0], "these learners do without messages"


def test_what_is_shared_outside_the_network_beats_nobody_in_messages():
    env, agents = small().environments[0], [agent("isolated_ucb"), agent("centralised_ucb")]
    experiment = Experiment(name="shared", environments=[env], agents=agents, horizon=200, replications=4)
    cells = experiment.cells()
    log = Log.in_memory(cells, {cell.key: SimulationJob(cell).run(0, 4) for cell in cells})
    costs = log.pareto("messages", "regret").set_index("agent")
    assert costs["regret"]["centralised_ucb"] < costs["regret"]["isolated_ucb"], "it would win if it sent 0 messages"
    assert costs["messages"].tolist() == pytest.approx([0, np.nan], nan_ok=True)
    assert costs["efficient"].tolist() == [True, False]
    assert log.pareto("seconds", "regret")["regret"].notna().all(), "its regret stays what it is"


@pytest.mark.parametrize(
    ("recorded", "registered", "label"),
    [
        (True, True, "centralised_ucb (shares outside the network: no messages to count)"),
        (True, False, "centralised_ucb (shares outside the network: no messages to count)"),
        (None, True, "centralised_ucb (shares outside the network: no messages to count)"),
        (None, False, "centralised_ucb (unknown whether it shares outside the network: load its plug-in)"),
    ],
)
def test_a_run_says_itself_what_is_shared_outside_the_network(monkeypatch, recorded, registered, label):
    """An agent of a plug-in is not registered where its run is read, and an older run does not say."""
    log = simulate(small().environments[0], agent("centralised_ucb"), horizon=100, replications=4)
    assert log.cells[0].shares_outside_network is True
    log.cells[0] = dataclasses.replace(log.cells[0], shares_outside_network=recorded)
    if not registered:
        monkeypatch.setattr("bandits.answers.lookup", lambda kind, name: lookup(kind, "unheard_of"))
    (panel,) = draw_messages(log).axes
    assert [line.get_label() for line in panel.lines] == [label]
    assert not panel.containers
    assert np.isnan(log.pareto("messages", "regret")["messages"][0])


def test_figures_of_populations_need_one():
    log = simulate(environment("bernoulli", means=[0.5, 0.4]), agent("ucb1"), horizon=9, replications=2)
    assert kinds_for(log) == ["regret", "ratio", "distribution", "allocation"]
    for draw in (draw_messages, draw_spreading):
        with pytest.raises(NotLogged, match="where one learner plays alone"):
            draw(log)


def test_full_sharing_plays_as_centralised_and_pays_for_it():
    env = small().environments[0]
    a, b = (
        simulate(env, agent(n), horizon=100, replications=4, seed=1).to_pandas()
        for n in ("full_sharing", "centralised_ucb")
    )
    assert (a.regret == b.regret).all()
    assert (a.messages == 6 * 2 * a.t).all(), "each of six learners hears from the two others of its bandit"
    assert (a.bits == 5 * a.messages).all()
    assert (b.messages == 0).all()


def test_playing_in_turn_sees_the_rewards_of_the_round():
    """With two arms and two learners of one bandit in round 1: the second plays the other arm."""
    env = environment("collaborative", n_learners=2, means=[[0.5, 0.5]])
    for stagger, arms in ((False, [0, 0]), (True, [0, 1])):
        log = simulate(
            env, agent("centralised_ucb", stagger=stagger), horizon=1, replications=9, extras=("pulls", "learners")
        )
        assert np.stack(log.to_pandas().pulls.to_list()).argmax(axis=1).tolist() == arms * 9


def test_a_learner_that_plays_in_turn_must_stand_by_its_arm():
    env = environment("collaborative", n_learners=2, means=[[0.5, 0.5]]).build(Streams(0, 3))
    zeros, ones = np.zeros((1, 3), dtype=np.int64), np.ones((2, 3), dtype=np.int64)
    first, second = np.array([0]), np.array([1])
    reward = env.play_in_turn(1, second, zeros).copy()
    with pytest.raises(ValueError, match=r"one of the learners \[1\] has played"):
        env.play_in_turn(1, second, zeros)
    assert (env.step(1, np.zeros((2, 3), dtype=np.int64)).reward[1] == reward).all()
    env.play_in_turn(2, first, zeros)
    with pytest.raises(ValueError, match="a learner played in turn"):
        env.step(2, ones)


def test_rewards_of_two_learners_of_one_bandit_are_independent():
    env = environment("collaborative", n_learners=4, means=[[0.5]]).build(Streams(0, 4000))
    rewards = np.array([env.step(t, np.zeros((4, 4000), dtype=np.int64)).reward.copy() for t in (1, 2, 3)])
    rows = rewards.reshape(12, -1)
    correlation = np.corrcoef(rows) - np.eye(12)
    assert np.abs(correlation).max() <= 4.5 / math.sqrt(4000)


# --- networks


def test_named_networks_are_uniform_over_neighbours():
    def gossip(network, n=6, **more):
        return (
            environment("collaborative", n_learners=n, n_bandits=2, network=network, **more).build(Streams(4, 2)).gossip
        )

    assert gossip("complete")[0].tolist() == [0, 0.2, 0.2, 0.2, 0.2, 0.2]
    assert gossip("ring")[0].tolist() == [0, 0.5, 0, 0, 0, 0.5]
    assert gossip("star")[1:, 0].tolist() == [1.0] * 5
    assert gossip("star")[0].tolist() == [0] + [0.2] * 5
    assert gossip("grid")[0].tolist() == [0, 0.5, 0.5, 0, 0, 0], "three rows of two"
    assert gossip("same_bandit")[0].tolist() == [0, 0, 0.5, 0, 0.5, 0]
    random = gossip("erdos_renyi", 24, edge_probability=0.4)
    edges = random > 0
    assert (edges == edges.T).all()
    assert random.sum(axis=1) == pytest.approx(np.ones(24))
    assert 0.25 < edges.mean() < 0.55
    assert (gossip("erdos_renyi", 24, edge_probability=0.4) == random).all(), "one graph for all batches"


def test_a_network_from_networkx_or_a_file(tmp_path):
    networkx = pytest.importorskip("networkx", reason="networkx is not installed: the extra dev has it")
    rows = [[0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [0, 0, 1, 0]]
    path = tmp_path / "net.csv"
    path.write_text("\n".join(",".join(str(x) for x in row) for row in rows))
    for network in (rows, path, str(path), networkx.path_graph(4)):
        spec = environment("collaborative", n_learners=4, n_bandits=2, network=network)
        assert spec.parameters["network"] == rows, "the declaration holds numbers, not names"
        assert spec.build(Streams(0, 2)).gossip.tolist() == rows
    weighted = networkx.DiGraph([(0, 1, {"weight": 3}), (0, 2), (1, 0), (2, 2)])
    spec = environment("collaborative", n_learners=3, n_bandits=1, network=weighted)
    assert spec.build(Streams(0, 2)).gossip.tolist() == [[0, 0.75, 0.25], [1, 0, 0], [0, 0, 0]]


def test_weights_of_a_graph_are_numbers_of_at_least_0_and_parallel_edges_add_up():
    networkx = pytest.importorskip("networkx", reason="networkx is not installed: the extra dev has it")
    double = networkx.MultiGraph([(0, 1, {"weight": 2}), (0, 1), (0, 2)])
    spec = environment("collaborative", n_learners=3, n_bandits=1, network=double)
    assert spec.build(Streams(0, 2)).gossip.tolist() == [[0, 0.75, 0.25], [1, 0, 0], [1, 0, 0]]
    for weight in (-1, "x", math.nan, math.inf):
        wrong = networkx.Graph([(0, 1, {"weight": weight})])
        with pytest.raises(BadParameter, match=r"edge \(0, 1\) of the network has the weight"):
            environment("collaborative", n_learners=2, n_bandits=1, network=wrong).build(Streams(0, 2))


def test_an_empty_cell_is_no_mean(tmp_path):
    (tmp_path / "means.csv").write_text("0.5,0.25\n0.125,\n")
    with pytest.raises(BadParameter, match="row 2, column 2 is empty, expected an arm's mean"):
        environment("collaborative", n_learners=3, means=str(tmp_path / "means.csv")).build(Streams(0, 2))


def test_means_from_a_file(tmp_path):
    (tmp_path / "means.csv").write_text("0.5,0.25\n0.125,1\n")
    spec = environment("collaborative", n_learners=3, means=str(tmp_path / "means.csv"))
    assert spec.build(Streams(0, 2)).means.tolist() == [[0.5, 0.25], [0.125, 1.0]]


def test_the_command_line_keeps_learners_apart_and_warns_in_one_line(bandits, plugin):
    path = plugin(
        "from bandits import *\n"
        "env = environment('collaborative', n_learners=8, n_bandits=4, n_arms=16, network='ring')\n"
        "X = Experiment(name='x', environments=[env], agents=[agent('gosine_context_unaware')], "
        "horizon=30, replications=3)"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        ran = bandits("run", path, "--per-learner", "--out", "run", "--backend", "serial", "--checkpoints", 5)
    assert ran.code == 0, ran.err
    (line,) = [line for line in ran.err.splitlines() if line.startswith("warning: ")]
    assert "bandit 0: learners 4 (no path of gossip)" in line
    log = load("run").to_pandas()
    assert len(log) == 3 * 5 * 8
    assert load("run").summary().regret[0] == pytest.approx(log[log.t == 30].regret.sum() / 3)


# --- bad input

BAD = [
    ({"n_learners": 3}, "n_learners is 3 for 4 bandits: every bandit needs a learner"),
    ({"n_learners": 2, "n_bandits": 2, "assignment": [0, 0]}, "nobody learns bandit 1"),
    ({"n_learners": 2, "n_bandits": 2, "assignment": [0, 2]}, r"assignment\[1\] = 2, expected a bandit 0..1"),
    ({"n_learners": 2, "n_bandits": 2, "assignment": [0]}, "assignment has 1 entries, expected 2"),
    ({"n_learners": 2, "n_bandits": 1, "network": [[0, 0.9], [1, 0]]}, "row 0 of network sums to 0.9, expected 1"),
    ({"n_learners": 2, "n_bandits": 1, "network": [[0, 1], [2, -1]]}, r"network\[1\]\[1\] = -1 is not a probability"),
    ({"n_learners": 2, "n_bandits": 1, "network": [[0, 1]]}, "network has 1 rows, expected 2"),
    ({"n_learners": 2, "n_bandits": 1, "network": [[0], [1]]}, r"network\[0\] has 1 entries, expected 2"),
    ({"network": "circle"}, "network must be complete, ring"),
    ({"network": "missing.csv"}, "cannot read missing.csv"),
    ({"network": "ring", "edge_probability": 0.5}, "edge_probability is of use with network='erdos_renyi' alone"),
    ({"network": "erdos_renyi", "edge_probability": 0.0}, r"edge_probability must lie in \(0, 1\]"),
    ({"network": "erdos_renyi", "edge_probability": 0.01}, "no random graph with edge_probability 0.01"),
    ({"n_learners": 2, "means": [[0.5, 1.5]]}, r"means\[0\]\[1\] = 1.5: the mean of a Bernoulli arm"),
    ({"n_learners": 2, "means": [[0.5, 0.5], [0.5]]}, r"means\[1\] has 1 entries, expected 2"),
    ({"n_learners": 2, "means": []}, "means must be M lists"),
    ({"n_learners": 2, "means": [[0.5]], "n_arms": 3}, "n_arms is 3 but means says 1"),
    ({"n_bandits": 5, "n_arms": 3}, r"n_arms \(3\) must be at least n_bandits \(5\)"),
    ({"loss": 1.5}, r"loss must lie in \[0, 1\]"),
    ({"delay": -1}, "delay must be at least 0"),
    ({"budget": -1}, "budget must be at least 0"),
    ({"away": [[24, 1, 2]]}, r"away lists \[learner, first round, last round\]"),
    ({"splits": [[5, 1, 2]]}, r"splits lists \[first round, last round, n\]"),
    ({"peers": 0}, "peers must be at least 1"),
]


@pytest.mark.parametrize(("parameters", "message"), BAD, ids=lambda x: x if isinstance(x, str) else "")
def test_bad_populations_are_refused_in_one_line(parameters, message):
    with pytest.raises(BadParameter, match=message) as refused:
        environment("collaborative", **parameters).build(Streams(0, 2))
    assert "\n" not in str(refused.value)


BAD_AGENTS = [
    (agent("gosine", beta=1.0), "beta must be above 1"),
    (agent("gosine_context_unaware", alpha=0.0), "alpha must be positive"),
    (agent("gosine_context_unaware", sticky_size=41), r"sticky_size must lie in 1..40"),
    (agent("gosine_context_unaware", sticky="random", gamma=0.0), r"gamma must lie in \(0, 1\)"),
    (agent("gosine_context_aware", r=0), "r must be at least 1"),
    (agent("gosine_async", slack=-0.1), "slack must be at least 0"),
]


@pytest.mark.parametrize(("spec", "message"), BAD_AGENTS, ids=lambda x: x if isinstance(x, str) else "")
def test_bad_agents_are_refused_in_one_line(spec, message):
    env = ENVIRONMENTS["24 on 4"][1].build(Streams(0, 2))
    with pytest.raises(BadParameter, match=message):
        spec.build(env.problem, Streams(0, 2))


def test_groups_larger_than_the_bandit_are_clipped_with_a_warning():
    env = ENVIRONMENTS["24 on 4"][1]
    with pytest.warns(UserWarning, match="no bandit has more than 6 learners"):
        a = simulate(env, aware(9), horizon=50, replications=3).to_pandas()
    assert (a.regret == simulate(env, aware(6), horizon=50, replications=3).to_pandas().regret).all()


def test_groups_larger_than_some_bandit_are_warned_of():
    uneven = environment("collaborative", n_learners=6, n_bandits=2, n_arms=8, assignment=[0, 0, 0, 0, 1, 1])
    with pytest.warns(UserWarning, match="a bandit has 2 learners, fewer than r = 3"):
        simulate(uneven, aware(3), horizon=5, replications=2)
    with pytest.raises(BadParameter, match="means must be a list of lists of numbers or null"):
        environment("collaborative", means=[0.1, 0.2]).build(Streams(0, 2))


def test_groups_larger_than_learners_know_are_declined():
    with pytest.raises(UnsupportedProblem, match="needs groups of 3, and learners here know groups of 2"):
        simulate(environment("collaborative", peers=2), aware(3), horizon=5)


def test_agents_for_one_learner_and_populations_decline_each_other():
    with pytest.raises(UnsupportedProblem, match="plays one learner, and here are 24"):
        simulate(ENVIRONMENTS["24 on 4"][1], agent("ucb1"), horizon=5)
    with pytest.raises(UnsupportedProblem, match="plays a population"):
        simulate(environment("bernoulli", means=[0.5, 0.4]), UNAWARE, horizon=5)


def test_a_design_ranks_learners_within_their_bandit():
    assert Design(np.array([1, 0, 1, 1])).group_size.tolist() == [3, 1, 3, 3]
