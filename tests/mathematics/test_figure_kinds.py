"""Distribution, paired difference, regret against a parameter, bands and the style for print: NumPy and SciPy agree."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from scipy import stats

from bandits import Experiment, Log, agent, environment
from bandits.errors import BadParameter, NotLogged
from bandits.jobs import SimulationJob
from bandits.plots import draw, kinds_for, using
from bandits.plots.bands import BANDS
from bandits.plots.style import STYLES, bar_style, line_style, marker

GAPS, CONSTANTS = [0.02, 0.1, 0.8], [0.5, 1.0, 2.0]
HORIZON, REPLICATIONS = 400, 30


def play(experiment: Experiment) -> Log:
    cells = experiment.cells()
    return Log.in_memory(cells, {cell.key: SimulationJob(cell).run(0, cell.replications) for cell in cells})


@pytest.fixture(scope="module")
def log() -> Log:
    return play(
        Experiment(
            name="kinds",
            environments=[environment("gaussian", best=1.0, gap=0.5, n_arms=3)],
            agents=[agent("ucb1"), agent("thompson_gaussian"), agent("uniform").named("no thought")],
            horizon=HORIZON,
            replications=REPLICATIONS,
            seed=9,
        )
        .sweep("gaussian.gap", GAPS)
        .sweep("ucb1.c", CONSTANTS)
    )


def regret(log: Log, agent: str, environment: str) -> np.ndarray:
    """Regret of every replication, (R, C), as the log's rows have it."""
    rows = log.to_pandas()
    rows = rows[(rows.agent == agent) & (rows.environment == environment)]
    return rows.pivot(index="replication", columns="t", values="regret").to_numpy()


def interval(values) -> tuple[float, float]:
    return stats.t.interval(0.95, len(values) - 1, np.mean(values, axis=0), stats.sem(values, axis=0))


def line(axes, label):
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return found


def bars(axes) -> dict:
    """Error bars by label: the points, and the lower and upper end of each bar."""
    found = {}
    for container in axes.containers:
        points, _, (segments,) = container.lines
        ends = np.array([segment[:, 1] for segment in segments.get_segments()])
        found[container.get_label()] = points.get_xydata(), ends
    return found


NARROW, MIDDLE, WIDE = (f"gaussian(best=1, gap={gap}, n_arms=3)" for gap in GAPS)


# Distribution


def test_rows_of_the_distribution_are_quantiles_mean_and_interval_the_best_on_top(log):
    (axes,) = draw(log, "distribution", environments=[WIDE]).axes
    rows = [text.get_text() for text in axes.get_yticklabels()]
    values = {name: regret(log, name, WIDE)[:, -1] for name in rows}
    assert rows == sorted(values, key=lambda name: values[name].mean())
    assert rows[-1] == "no thought"
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first row is on top"
    for i, name in enumerate(rows):
        spans = [
            line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == i + 0.1
        ]
        for (low, high), ends in zip(spans, ((0, 1), (0.05, 0.95), (0.25, 0.75)), strict=True):
            assert (low, high) == pytest.approx(tuple(np.quantile(values[name], ends)))
        (median,) = [ln.get_xdata()[0] for ln in axes.lines if ln.get_marker() == "|" and ln.get_ydata() == [i + 0.1]]
        assert median == pytest.approx(np.median(values[name]))
        points, _, (segments,) = axes.containers[i].lines
        assert points.get_xdata()[0] == pytest.approx(values[name].mean())
        assert segments.get_segments()[0][:, 0] == pytest.approx(interval(values[name]))


def test_clouds_count_every_replication(log):
    (axes,) = draw(log, "distribution", environments=[WIDE], agents=["thompson_gaussian"]).axes
    (cloud,) = axes.collections[-1].get_paths()
    values = regret(log, "thompson_gaussian", WIDE)[:, -1]
    low, high = axes.get_xlim()
    edges = np.linspace(low, high, 121)
    counts = np.histogram(values, edges)[0]
    assert counts.sum() == REPLICATIONS
    heights = -0.06 - cloud.vertices[:, 1]
    assert heights.max() == pytest.approx(0.5), "the fullest bin is half a row high"
    fullest = cloud.vertices[np.isclose(heights, 0.5), 0]
    assert edges[counts.argmax()] == pytest.approx(fullest.min())
    assert (low, high) < (values.min(), np.inf)
    assert high > values.max()


def test_the_distribution_at_a_round_is_of_that_round(log):
    at = int(log.cells[0].checkpoints[50])
    figure = draw(log, "distribution", environments=[WIDE], at=at)
    assert f"t = {at}" in figure.get_suptitle()
    (axes,) = figure.axes
    values = regret(log, "no thought", WIDE)[:, 50]
    row = [text.get_text() for text in axes.get_yticklabels()].index("no thought")
    assert axes.containers[row].lines[0].get_xdata()[0] == pytest.approx(values.mean())
    with pytest.raises(BadParameter, match="round 7777 was not recorded"):
        draw(log, "distribution", at=7777)


def test_the_axis_of_a_distribution_is_logarithmic_where_medians_differ_tenfold():
    means = environment("gaussian", means=[10.0, 0.0, 9.0])
    names = [agent("thompson_gaussian"), agent("uniform")]
    wide = play(Experiment(name="e", environments=[means], agents=names, horizon=400, replications=9))
    medians = [np.median(wide.values(cell, "regret", 400)[1]) for cell in wide.cells]
    assert medians[1] > 10 * medians[0]
    assert draw(wide, "distribution").axes[0].get_xscale() == "log"
    assert draw(wide, "distribution", log="none").axes[0].get_xscale() == "linear"
    oracle = play(
        Experiment(name="e", environments=[means], agents=[*names, agent("oracle")], horizon=50, replications=9)
    )
    assert draw(oracle, "distribution").axes[0].get_xscale() == "linear"
    with pytest.raises(BadParameter, match="log x: oracle has replications without positive regret"):
        draw(oracle, "distribution", log="x")


# Paired difference


def test_the_difference_is_paired_and_its_band_is_that_of_the_pairs(log):
    (axes,) = draw(log, "difference", environments=[WIDE], reference="thompson_gaussian", log="none").axes
    apart = regret(log, "no thought", WIDE) - regret(log, "thompson_gaussian", WIDE)
    t, drawn = line(axes, "no thought").get_data()
    assert t.tolist() == log.cells[0].checkpoints.tolist()
    assert drawn == pytest.approx(apart.mean(axis=0))
    labels = [line.get_label() for line in axes.lines if not line.get_label().startswith("_")]
    band = axes.collections[labels.index("no thought")].get_paths()[0].vertices
    low, high = interval(apart[:, -1])
    last = band[band[:, 0] == HORIZON, 1]
    assert (last.min(), last.max()) == pytest.approx((low, high))
    assert "thompson_gaussian" not in labels
    assert axes.get_ylabel() == "regret minus that of thompson_gaussian\n(above 0: worse; below: better)"


def test_the_reference_is_the_best_unless_it_is_named(log):
    figure = draw(log, "difference")
    assert "least mean regret at the end" in figure.get_suptitle()
    panels = [axes for axes in figure.axes if axes.get_visible()]
    for axes, name in zip(panels, (NARROW, MIDDLE, WIDE), strict=True):
        final = {cell.agent: log.curve(cell).mean[-1] for cell in log.cells if cell.environment == name}
        best = min(final, key=final.get)
        assert f"minus that of {best}\n" in axes.get_ylabel()
        drawn = {line.get_label(): line.get_ydata()[-1] for line in axes.lines if not line.get_label().startswith("_")}
        assert drawn == {other: pytest.approx(v - final[best]) for other, v in final.items() if other != best}


def test_the_reference_need_not_be_among_the_agents_drawn(log):
    (axes,) = draw(log, "difference", environments=[WIDE], agents=["no thought"], reference="thompson_gaussian").axes
    assert [line.get_label() for line in axes.lines if not line.get_label().startswith("_")] == ["no thought"]


def test_a_difference_needs_two_agents_that_share_their_noise(log):
    with pytest.raises(BadParameter, match="reference ucb1 stands for ucb1"):
        draw(log, "difference", reference="ucb1")
    with pytest.raises(BadParameter, match="no agent of this run is called 'ucb7'"):
        draw(log, "difference", reference="ucb7")
    with pytest.raises(NotLogged, match="no environment has two of the agents"):
        draw(log, "difference", agents=["thompson_gaussian"])
    assert "difference" in kinds_for(log)
    assert "difference" not in kinds_for(log.select(["thompson_gaussian"]))


# Against a parameter


def test_regret_against_a_parameter_of_environments_has_the_bound_at_every_value(log):
    (axes,) = draw(log, "regret", against="environment.gap").axes
    assert axes.get_xscale() == "log", "0.02 to 0.8 are 1.6 decades"
    assert axes.get_xlabel() == "gap of gaussian"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.02", "0.1", "0.8"]
    points, ends = bars(axes)["no thought"]
    values = [regret(log, "no thought", name)[:, -1] for name in (NARROW, MIDDLE, WIDE)]
    assert points[:, 0].tolist() == GAPS
    assert points[:, 1] == pytest.approx([v.mean() for v in values])
    assert ends == pytest.approx(np.array([interval(v) for v in values]))
    x, bound = line(axes, "Lai-Robbins bound, C ln T").get_data()
    assert list(x) == GAPS
    assert bound == pytest.approx([2 * 2 / gap * np.log(HORIZON) for gap in GAPS])  # two arms, 2 sd^2 / gap each
    assert len(bars(axes)) == 5


def test_regret_against_a_parameter_of_an_agent_has_a_panel_per_environment_and_level_lines(log):
    figure = draw(log, "regret", against="agent.c", at=int(log.cells[0].checkpoints[80]))
    assert [axes.get_title() for axes in figure.axes if axes.get_visible()] == [NARROW, MIDDLE, WIDE]
    axes = figure.axes[2]
    points, _ = bars(axes)["ucb1"]
    assert points[:, 0].tolist() == CONSTANTS
    means = [regret(log, f"ucb1(c={c:g})", WIDE)[:, 80].mean() for c in CONSTANTS]
    assert points[:, 1] == pytest.approx(means)
    level = line(axes, "thompson_gaussian").get_ydata()
    assert list(level) == pytest.approx([regret(log, "thompson_gaussian", WIDE)[:, 80].mean()] * 2)
    assert axes.get_xlabel() == "c of ucb1"
    same = draw(log, "regret", against="ucb1.c", at=int(log.cells[0].checkpoints[80])).axes[2]
    assert bars(same)["ucb1"][0] == pytest.approx(points)


def test_the_ratio_against_a_parameter_is_regret_over_the_bound(log):
    (axes,) = draw(log, "ratio", against="gaussian.gap", log="none").axes
    points, _ = bars(axes)["thompson_gaussian"]
    means = [regret(log, "thompson_gaussian", name)[:, -1].mean() for name in (NARROW, MIDDLE, WIDE)]
    assert points[:, 1] == pytest.approx([m * gap / (4 * np.log(HORIZON)) for m, gap in zip(means, GAPS, strict=True)])
    assert list(line(axes, "the bound: ratio 1").get_ydata()) == [1, 1]


def test_words_are_places_on_the_axis_and_other_parameters_make_panels():
    experiment = Experiment(
        name="e",
        environments=[environment("gaussian", prior="normal", n_arms=3)],
        agents=[agent("thompson_gaussian"), agent("uniform")],
        horizon=50,
        replications=4,
    )
    log = play(experiment.sweep("gaussian.prior", ["uniform", "normal"]).sweep("gaussian.n_arms", [2, 5]))
    figure = draw(log, against="environment.prior")
    assert [axes.get_title() for axes in figure.axes] == ["gaussian(n_arms=2)", "gaussian(n_arms=5)"]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["uniform", "normal"]
    points, _ = bars(figure.axes[1])["uniform"]
    final = {c.environment: log.curve(c).mean[-1] for c in log.cells if c.agent == "uniform"}
    assert points.tolist() == [
        [0, pytest.approx(final["gaussian(prior=uniform, n_arms=5)"])],
        [1, pytest.approx(final["gaussian(prior=normal, n_arms=5)"])],
    ]
    with pytest.raises(NotLogged, match="no ratio to draw without a positive lower bound"):
        draw(log, "ratio", against="environment.prior")


@pytest.mark.parametrize(
    ("against", "said"),
    [
        ("environment.gapp", r"has the parameter 'environment.gapp'. Did you mean 'environment.gap'\? Those that vary"),
        ("gap", r"has the parameter 'gap'.* Those that vary: environment.gap, agent.c"),
        ("environment.n_arms", r"is 3 throughout: run with --sweep 'gaussian.n_arms=\[...\]' to vary it; what varies"),
        ("environment.prior", "environment.prior is null throughout"),
        ("uniform.c", "no environment or agent of this run has the parameter 'uniform.c'"),
    ],
)
def test_a_parameter_that_is_no_axis_is_refused_with_what_varies(log, against, said):
    with pytest.raises(BadParameter, match=said):
        draw(log, against=against)


def test_a_parameter_of_several_agents_at_one_value_each_does_not_vary():
    env = environment("gaussian", means=[1.0, 0.0])
    agents = [agent("epsilon_greedy", epsilon=0.1), agent("ucb1", c=1.0), agent("ucb_alpha", alpha=2.0)]
    log = play(Experiment(name="e", environments=[env], agents=agents, horizon=20, replications=3))
    with pytest.raises(BadParameter, match=r"agent\.c takes one value for each agent: run with --sweep"):
        draw(log, against="agent.c")
    with pytest.raises(BadParameter, match="Those that vary: none"):
        draw(log, against="agent.cc")


# Bands, axes and choices


@pytest.mark.parametrize("band", BANDS)
def test_every_band_of_the_regret_figure_is_that_of_the_log(log, band):
    figure = draw(log, environments=[WIDE], agents=["thompson_gaussian"], band=band)
    (axes,) = figure.axes
    (cell,) = log.select(["thompson_gaussian"], [WIDE]).cells
    wanted = log.band(cell, "t" if band == "none" else band)
    assert line(axes, "thompson_gaussian").get_ydata() == pytest.approx(wanted.middle)
    assert ("Median" if band in ("median", "quantiles") else "Mean") in figure.get_suptitle()
    if band == "none":
        assert not axes.collections
        assert "bands" not in figure.get_suptitle()
        return
    vertices = axes.collections[0].get_paths()[0].vertices
    last = vertices[vertices[:, 0] == HORIZON, 1]
    assert (last.min(), last.max()) == pytest.approx((wanted.low[-1], wanted.high[-1]))


@pytest.mark.parametrize(
    ("kind", "choices", "said"),
    [
        ("regret", {"band": "bootstap"}, "band must be .* got 'bootstap'. Did you mean 'bootstrap'"),
        ("regret", {"log": "z"}, "log must be auto, x, y, xy or none, got 'z'"),
        ("regret", {"at": 100}, "at goes with against"),
        ("difference", {"log": "y"}, "cannot be logarithmic, differences have both signs"),
        ("difference", {"at": 100}, "at has no meaning for a figure of kind 'difference': it is for regret, ratio, "),
        ("distribution", {"log": "xy"}, "cannot be logarithmic, its rows are agents"),
        ("distribution", {"band": "median"}, "the figure shows median and quantiles anyway"),
        ("distribution", {"against": "agent.c"}, "against has no meaning for .* it is for regret, ratio"),
        ("allocation", {"log": "x"}, "log has no meaning for a figure of kind 'allocation'"),
        ("regret", {"reference": "uniform"}, "reference has no meaning .* it is for difference"),
        ("regret", {"style": "publikation"}, "style must be default or publication, .* Did you mean 'publication'"),
        ("regret", {"width": "120mm"}, "width is of figures for print: it goes with style publication"),
        ("regret", {"style": "publication", "width": "3"}, "width must be one-column .* such as 120mm, got '3'"),
        ("regret", {"style": "publication", "width": "3mm"}, "width must be one-column"),
    ],
)
def test_a_choice_without_meaning_is_refused_in_one_line(log, kind, choices, said):
    with pytest.raises(BadParameter, match=said) as refused:
        draw(log, kind, **choices)
    assert "\n" not in str(refused.value)


# Print


def lightness(colour: str) -> float:
    """CIE L* of what a grey printer makes of a colour: 0 is black, 100 white."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 116 * float(np.dot([0.2126, 0.7152, 0.0722], linear)) ** (1 / 3) - 16


def test_in_print_lines_differ_without_colour():
    """20 agents by grey and dashes alone; any two of the same dashes by at least 10 of L*; none too light or black."""
    with using("publication"):
        looks = [(lightness(line_style(i)["color"]), str(line_style(i)["linestyle"])) for i in range(20)]
        marks = [(looks[i % 20], str(marker(i))) for i in range(140)]
        hatches = [(round(lightness(bar_style(i)["facecolor"])), bar_style(i)["hatch"]) for i in range(30)]
    assert all(15 < light < 75 for light, _ in looks)
    for i, (light, dashes) in enumerate(looks):
        for other, others_dashes in looks[:i]:
            assert dashes != others_dashes or abs(light - other) >= 10
    assert len(set(marks)) == 140
    assert len(set(hatches)) == 30


def test_a_publication_has_its_width_its_caption_and_no_title(log):
    default = draw(log, environments=[WIDE])
    figure = draw(log, environments=[WIDE], style="publication", width="88mm")
    assert figure.get_figwidth() == pytest.approx(88 / 25.4)
    assert figure.get_suptitle() == ""
    assert [axes.get_title() for axes in figure.axes] == [""]
    caption = figure.get_label()
    assert caption.startswith(default.get_suptitle())
    assert WIDE in caption
    assert "C = 5" in caption
    (axes,) = figure.axes
    assert line(axes, "thompson_gaussian").get_ydata() == pytest.approx(
        line(default.axes[0], "thompson_gaussian").get_ydata()
    )
    assert line(axes, "thompson_gaussian").get_marker() not in ("", "None")
    assert line(default.axes[0], "thompson_gaussian").get_marker() == "None"
    sizes = {text.get_fontsize() for text in figure.legends[0].get_texts()}
    assert sizes == {STYLES["publication"].sizes["legend"]}


def test_text_fits_into_a_column(log):
    """Nothing in the figure for one column sticks out of it, nor do two panels of two columns overlap."""
    for width in ("one-column", "two-column"):
        for kind in ("regret", "ratio", "distribution", "difference"):
            figure = draw(log, kind, style="publication", width=width)
            with using("publication", width):
                figure.draw_without_rendering()
                renderer = figure.canvas.get_renderer()
                boxes = [axes.get_tightbbox(renderer) for axes in figure.axes if axes.get_visible()]
                legend = figure.legends[0].get_tightbbox(renderer)
            page = figure.bbox
            for box in (*boxes, legend):
                assert box.x0 >= -2, (kind, width)
                assert box.x1 <= page.x1 + 2, (kind, width)
                assert box.y0 >= -2, (kind, width)
                assert box.y1 <= page.y1 + 2, (kind, width)
            for i, box in enumerate(boxes):
                assert not any(box.overlaps(other) for other in boxes[:i]), (kind, width)
                assert not box.overlaps(legend), (kind, width)
