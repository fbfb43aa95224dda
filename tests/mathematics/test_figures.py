"""The ratio to the bound and plays beside its allocation, against pandas and SciPy; figures against these numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import stats

from bandits import Bound, Experiment, Log, Streams, agent, environment, load, register_environment, simulate
from bandits.errors import BadParameter, NotLogged
from bandits.jobs import SimulationJob
from bandits.plots import draw_allocation, draw_difference, draw_ratio, draw_regret
from bandits.plots.style import bar_style, line_style
from bandits.runs import start
from bandits.scheduler import Settings

MIXED = [[1, None, None, None, 2], [None, 1, 2, 1, None], [None, 0.5, 1, None, 1]]
MIXED += [[1, None, 0.8, 0.5, None], [None, 1.5, None, 1, 1]]
E10 = environment("gaussian_side_observations", means=[1, 0.8, 0.7, 0.5, 0.6], sigma=MIXED).named("E10")
FREE = environment("gaussian_side_observations", means=[0.9, 0.7, 0.5], graph="full").named("free")
HORIZON, REPLICATIONS = 300, 12
E10_CONSTANT, E10_ALLOCATION = 6.72916667, [np.nan, 0, 19.09722222, 2, 0]  # specification, section 1.5


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("figures") / "run"
    agents = [agent("pooled_ucb"), agent("ucb1").named("alone")]
    sizes = {"horizon": HORIZON, "replications": REPLICATIONS, "seed": 4, "extras": ("pulls",)}
    start(Experiment(name="e", environments=[E10, FREE], agents=agents, **sizes), place, Settings("serial"))
    return place


@pytest.fixture
def log(place) -> Log:
    return load(place)


def rows(place, cell) -> pd.DataFrame:
    """The log of a cell as pandas reads it from the folder."""
    return pd.read_parquet(place / "log" / f"cell={cell.cell}")


def interval(values) -> tuple[float, float]:
    return stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))


def test_the_ratio_is_mean_regret_over_c_log_t_from_round_10_on(place, log):
    cell = log.cells[0]
    ratio = log.ratio(cell)
    groups = rows(place, cell).query("t >= 10").groupby("t")["regret"]
    assert ratio.t.tolist() == sorted(groups.groups)
    for t, mean, half in zip(ratio.t, ratio.mean, ratio.half_width, strict=True):
        regret = groups.get_group(t).to_numpy()
        bound = E10_CONSTANT * np.log(t)
        low, high = interval(regret)
        assert mean == pytest.approx(regret.mean() / bound, rel=1e-7)
        assert (mean - half, mean + half) == (pytest.approx(low / bound), pytest.approx(high / bound))


def test_there_is_no_ratio_to_a_bound_of_0_or_none(log):
    free = next(cell for cell in log.cells if cell.environment == "free")
    assert free.bound.constant == 0
    assert log.ratio(free) is None
    unknown = simulate(environment("bernoulli", prior="uniform", n_arms=3), agent("ucb1"), horizon=20, replications=2)
    assert unknown.ratio(unknown.cells[0]) is None


def test_the_allocation_is_mean_plays_beside_c_log_T(place, log):
    table = log.allocation()
    for cell in log.cells:
        plays = np.stack(rows(place, cell).query("t == @HORIZON")["pulls"])
        assert plays.shape == (REPLICATIONS, 5 if cell.environment == "E10" else 3)
        here = table[table["cell"] == cell.cell]
        assert here["arm"].tolist() == list(range(plays.shape[1]))
        assert here["plays"].to_numpy() == pytest.approx(plays.mean(axis=0))
        assert here["plays"].sum() == pytest.approx(HORIZON)
        for k, low, high in zip(here["arm"], here["low"], here["high"], strict=True):
            if plays[:, k].std() > 0:
                assert (low, high) == pytest.approx(interval(plays[:, k]))
    asked = table[(table["environment"] == "E10") & (table["agent"] == "alone")]["bound"].to_numpy()
    assert asked == pytest.approx(np.array(E10_ALLOCATION) * np.log(HORIZON), nan_ok=True)


def test_plays_are_counted_up_to_a_checkpoint(log):
    at = int(log.cells[0].checkpoints[40])
    assert log.allocation(at).groupby("cell")["plays"].sum().to_numpy() == pytest.approx(at)


def test_lai_robbins_asks_for_1_over_kl_plays_of_each_arm():
    """Bernoulli: 1 / kl(0.5, 0.9) and 1 / kl(0.8, 0.9); Gaussian: 2 sd^2 / gap^2."""
    bernoulli = environment("bernoulli", means=[0.5, 0.9, 0.8]).build(Streams(0, 2)).bound()
    kl = [p * np.log(p / 0.9) + (1 - p) * np.log((1 - p) / 0.1) for p in (0.5, 0.8)]
    assert bernoulli.allocation == pytest.approx([1 / kl[0], np.nan, 1 / kl[1]], nan_ok=True)
    gaussian = environment("gaussian", means=[1.0, 0.5, 1.0, 0.0], sd=[1.0, 2.0, 1.0, 0.5]).build(Streams(0, 2)).bound()
    assert gaussian.allocation == pytest.approx([np.nan, 2 * 4 / 0.25, np.nan, 2 * 0.25 / 1.0], nan_ok=True)


def test_arms_that_are_best_but_for_rounding_are_free():
    env = environment("gaussian_side_observations", means=[0.3, 0.1 + 0.2, 0.1], graph="standard").build(Streams(0, 2))
    assert np.isnan(env.bound().allocation).tolist() == [True, True, False]


def test_an_allocation_of_the_wrong_length_is_refused():
    @register_environment("wrong_allocation")
    class WrongAllocation(type(environment("bernoulli", means=[0.5]).build(Streams(0, 2)))):
        def bound(self) -> Bound:
            return Bound("b", np.ones(1), allocation=np.ones(3))

    with pytest.raises(BadParameter, match=r"allocation has shape \(3,\), expected \(2,\)"):
        simulate(environment("wrong_allocation", means=[0.1, 0.2]), agent("ucb1"), horizon=5, replications=2)


def panel(figure, environment):
    (found,) = [axes for axes in figure.axes if axes.get_title().startswith(environment)]
    return found


def line(axes, label):
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return found


def test_the_regret_figure_draws_c_log_t_on_a_logarithmic_axis(log):
    figure = draw_regret(log)
    axes = panel(figure, "E10")
    t, bound = line(axes, "Graves-Lai bound, C ln t").get_data()
    assert axes.get_xscale() == "log"
    assert bound == pytest.approx(E10_CONSTANT * np.log(t))
    assert "C = 6.729" in axes.get_title()
    assert line(axes, "alone").get_ydata() == pytest.approx(log.curve(log.cells[1]).mean)


def test_a_bound_of_0_is_drawn_as_0_and_said(log):
    axes = panel(draw_regret(log), "free")
    assert not line(axes, "Graves-Lai bound, C ln t").get_ydata().any()
    assert "C = 0" in axes.get_title()
    assert axes.get_ylim()[0] == 0


def test_the_ratio_figure_shows_the_ratio_the_line_at_1_and_what_it_leaves_out(log):
    figure = draw_ratio(log)
    assert [axes.get_title() for axes in figure.axes] == ["E10  (C = 6.729)"]
    assert line(figure.axes[0], "the bound: ratio 1").get_ydata() == [1, 1]
    assert line(figure.axes[0], "pooled_ucb").get_ydata() == pytest.approx(log.ratio(log.cells[0]).mean)
    assert "Not shown: free (the bound is 0)" in figure.get_suptitle()


def bars(axes) -> dict[str, list[float]]:
    return {
        group.get_label(): [bar.get_height() for bar in group] for group in axes.containers if hasattr(group, "patches")
    }


def test_the_allocation_figure_has_a_bar_for_each_suboptimal_arm(log):
    axes = panel(draw_allocation(log), "E10")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["arm 1", "arm 2", "arm 3", "arm 4"]
    heights = bars(axes)
    assert heights["lower bound, c ln T"] == pytest.approx(np.array(E10_ALLOCATION[1:]) * np.log(HORIZON))
    assert heights["alone"] == pytest.approx(log.pulls(log.cells[1])[:, 1:].mean(axis=0))
    assert axes.get_ylabel() == "plays"


def test_minor_arms_among_many_are_added_up():
    hub = environment("gaussian_side_observations", means=[0.5, 1.0] + [0.8] * 30, graph="revealing").named("hub")
    log = simulate(hub, agent("pooled_ucb"), horizon=200, replications=5, extras=("pulls",))
    axes = panel(draw_allocation(log), "hub")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["arm 0", "30 others,\ntogether"]
    heights, plays = bars(axes), log.pulls(log.cells[0]).mean(axis=0)
    assert heights["pooled_ucb"] == pytest.approx([plays[0], plays[2:].sum()])
    assert heights["lower bound, c ln T"] == pytest.approx([50 * np.log(200), 0])


def test_without_pulls_the_line_says_how_to_get_them():
    log = simulate(E10, agent("pooled_ucb"), horizon=20, replications=2)
    for ask in (log.allocation, lambda: draw_allocation(log)):
        with pytest.raises(NotLogged, match="run it again with --pulls"):
            ask()


def test_without_a_bound_the_line_names_the_environments():
    log = simulate(
        environment("bernoulli", prior="uniform", n_arms=3).named("random"),
        agent("ucb1"),
        horizon=20,
        replications=2,
        extras=("pulls",),
    )
    for draw in (draw_ratio, draw_allocation):
        with pytest.raises(NotLogged, match=r"random \(no bound is known\)"):
            draw(log)


def test_an_older_folder_without_the_allocation_still_loads(place, tmp_path):
    import shutil

    old = shutil.copytree(place, tmp_path / "old")
    cells = pq.read_table(old / "cells.parquet").drop_columns(["bound_allocation"])
    pq.write_table(cells, old / "cells.parquet")
    log = load(old)
    assert log.summary()["regret"].tolist() == load(place).summary()["regret"].tolist()
    assert log.cells[0].bound.constant == pytest.approx(E10_CONSTANT)
    assert log.allocation()["bound"].isna().all()
    draw_ratio(log)
    with pytest.raises(NotLogged, match="not stored by an older version"):
        draw_allocation(log)


def notes(axes) -> str:
    return " ".join(text.get_text() for text in axes.texts).replace("\n", " ")


def test_curves_that_dwarf_the_others_leave_the_panel_and_are_named():
    means = environment("gaussian", means=[10.0, 0.0]).named("wide")
    agents = [agent("ucb1"), agent("thompson_gaussian"), agent("kl_ucb"), agent("uniform")]
    experiment = Experiment(name="e", environments=[means], agents=agents, horizon=500, replications=4)
    from bandits.jobs import SimulationJob

    cells = experiment.cells()
    log = Log.in_memory(cells, {cell.key: SimulationJob(cell).run(0, 4) for cell in cells})
    axes = panel(draw_regret(log), "wide")
    final = {cell.agent: log.curve(cell).mean[-1] for cell in log.cells}
    assert final["uniform"] > axes.get_ylim()[1] > max(v for name, v in final.items() if name != "uniform")
    assert "leaves the panel: uniform" in notes(axes)


def test_curves_that_hide_each_other_are_named():
    blind = environment("gaussian_side_observations", means=[0.9, 0.5], graph="standard").named("alone")
    agents = [agent("pooled_ucb"), agent("ucb1").named("control"), agent("greedy")]
    experiment = Experiment(name="e", environments=[blind], agents=agents, horizon=100, replications=4)
    from bandits.jobs import SimulationJob

    cells = experiment.cells()
    log = Log.in_memory(cells, {cell.key: SimulationJob(cell).run(0, 4) for cell in cells})
    assert "same curve: pooled_ucb, control" in notes(panel(draw_regret(log), "alone"))


def test_at_a_single_round_there_are_points_with_bars_and_a_mark_for_the_bound():
    agents = [agent("ucb1"), agent("uniform")]
    easy = environment("bernoulli", means=[0.9, 0.2])
    experiment = Experiment(
        name="end", environments=[easy], agents=agents, horizon=200, replications=8, checkpoints=[200]
    )
    cells = experiment.cells()
    log = Log.in_memory(cells, {cell.key: SimulationJob(cell).run(0, 8) for cell in cells})
    (panel,) = draw_regret(log).axes
    for container, facts in zip(panel.containers, log.cells, strict=True):
        point, _, (bar,) = container.lines
        _, values = log.values(facts)
        assert point.get_ydata() == pytest.approx(values.mean(axis=0))
        assert bar.get_segments()[0][:, 1] == pytest.approx(interval(values[:, 0]))
    (bound,) = [line for line in panel.lines if line.get_color() == "black"]
    assert bound.get_marker() == "_", "a line of one point would not be seen"
    (panel,) = draw_difference(log).axes
    assert panel.get_ylim()[0] <= 0, "the line of no difference is in view"


def test_44_agents_look_different_and_neighbours_do_without_colours():
    for style, plain in ((line_style, "linestyle"), (bar_style, "hatch")):
        looks = [tuple(map(str, style(i).values())) for i in range(44)]
        assert len(set(looks)) == 44
        assert all(style(i)[plain] != style(i + 1)[plain] for i in range(44))
