"""``bandits plot`` and ``bandits report``: kinds of figures, titles, and one clear line for what cannot be drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

DECLARATION = """
from bandits import Experiment, agent, environment
EXPERIMENT = Experiment(
    name="mine",
    environments=[
        environment("gaussian_side_observations", means=[1.0, 0.7, 0.5], graph="star").named("star <b>& $hub$"),
        environment("gaussian_side_observations", means=[1.0, 0.7, 0.5], graph="cycle").named("free"),
        environment("gaussian_side_observations", means=[0.4, 1.0, 0.5], graph="revealing").named("R: revealing"),
    ],
    agents=[agent("pooled_ucb"), agent("ucb1").named("ucb1: alone")],
    horizon=60,
    replications=5,
)
"""


@pytest.fixture
def run(bandits, plugin):
    """A run in the folder r, with pulls unless told otherwise."""

    def call(*options):
        options = options or ("--pulls",)
        path = plugin(DECLARATION)
        ran = bandits("run", path, "--out", "r", "--backend", "serial", "--quiet", *[o for o in options if o])
        assert ran.code == 0, ran.err
        return ran

    return call


def test_each_kind_goes_into_its_own_file(bandits, run, tmp_path):
    run()
    for kind in ("regret", "ratio", "allocation"):
        assert bandits("plot", "r", "--kind", kind).out.strip() == str(Path(f"r/figures/{kind}.png"))
        assert (tmp_path / f"r/figures/{kind}.png").read_bytes().startswith(b"\x89PNG")
    both = bandits("plot", "r", "--kind", "ratio", "--kind", "regret", "--out", "folder")
    assert both.out.split() == [str(Path("folder/ratio.png")), str(Path("folder/regret.png"))]
    every = bandits("plot", "r", "--kind", "all", "--out", "folder/")
    assert (every.code, every.err) == (0, "")
    assert sorted(path.name for path in tmp_path.glob("folder/*")) == [
        f"{kind}.png" for kind in ("allocation", "difference", "distribution", "ratio", "regret")
    ]


def test_agents_and_environments_are_chosen_by_the_beginning_of_their_label(bandits, run, tmp_path):
    run()
    chosen = ("--agents", "ucb1", "--environment", "R", "--kind", "allocation", "--out", "f.svg")
    assert bandits("plot", "r", *chosen).code == 0
    text = (tmp_path / "f.svg").read_text()
    assert "R: revealing" in text
    assert "pooled_ucb" not in text
    assert "star" not in text


def test_a_title_reaches_tables_figures_and_report_and_survives_resume(bandits, run, tmp_path):
    ran = run()
    assert "star <b>& $hub$" in ran.out
    assert bandits("resume", "r", "--replications", 7, "--backend", "serial", "--quiet").code == 0
    assert "star <b>& $hub$" in bandits("show", "r").out
    assert {row["environment"] for row in bandits("show", "r", "--json").json} == {
        "star <b>& $hub$",
        "free",
        "R: revealing",
    }
    assert bandits("report", "r").code == 0
    page = (tmp_path / "r/report.html").read_text()
    assert "<h2>star &lt;b&gt;&amp; $hub$</h2>" in page
    assert "star <b>" not in page
    assert page.count("data:image/svg+xml") == 2
    assert sorted(path.name for path in tmp_path.glob("r/figures/*.svg")) == ["allocation.svg", "distribution.svg"]
    assert "ucb1: alone" in page


def test_a_run_without_pulls_says_how_to_get_them(bandits, run, tmp_path):
    run("")
    wanted = "did not record how often each arm was played: run it again with --pulls"
    refused = bandits("plot", "r", "--kind", "allocation")
    assert refused.code == 2
    assert wanted in refused.err
    assert len(refused.err.strip().splitlines()) == 1
    every = bandits("plot", "r", "--kind", "all")
    assert every.code == 0
    assert len(every.out.split()) == 4
    assert f"left out: allocation: the run {wanted}" in every.err
    assert bandits("report", "r").code == 0
    page = (tmp_path / "r/report.html").read_text()
    assert page.count("data:image/svg+xml") == 1, "the distribution"
    assert wanted in page


def test_a_run_without_a_bound_says_so(bandits, plugin):
    path = plugin(
        "from bandits import Experiment, agent, environment\n"
        "EXPERIMENT = Experiment(name='e', environments=[environment('bernoulli', prior='uniform', n_arms=3)],\n"
        "    agents=[agent('ucb1')], horizon=30, replications=3)\n"
    )
    bandits("run", path, "--out", "r", "--backend", "serial", "--quiet")
    refused = bandits("plot", "r", "--kind", "ratio")
    assert refused.code == 2
    assert "there is no ratio to draw without a positive lower bound: bernoulli(" in refused.err
    assert "no bound is known" in refused.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--kind", "ration"), "no kind of figure is called 'ration'. Did you mean 'ratio'?"),
        (("--kind", "ratio", "--kind", "regret", "--out", "f.png"), "2 figures do not go into the one file f.png"),
        (("--kind", "allocation", "--log", "x"), "log has no meaning for a figure of kind 'allocation': it is for"),
        (("--kind", "difference", "--log", "y"), "cannot be logarithmic, differences have both signs"),
        (("--kind", "all", "--reference", "ucb7"), "no agent of this run is called 'ucb7'. Did you mean 'ucb1'?"),
        (("--kind", "ratio", "--kind", "regret", "--reference", "ucb1"), "it is for difference"),
        (("--band", "quantile"), "got 'quantile'. Did you mean 'quantiles'?"),
        (("--kind", "distribution", "--at", "61"), "round 61 was not recorded; the nearest checkpoint is"),
        (("--against", "environment.grph"), "Did you mean 'environment.graph'?"),
        (("--against", "agent.c"), "agent.c takes one value for each agent: run with --sweep 'pooled_ucb.c=[...]'"),
        (("--kind", "cost", "--against", "agent.c"), "against has no meaning for a figure of kind 'cost'"),
        (("--style", "print"), "style must be default or publication, got 'print'"),
        (("--width", "one-column"), "it goes with style publication"),
        (("--environment", "freee"), "no environment of this run is called 'freee'. Did you mean 'free'?"),
        (("--agents", "ucb2"), "no agent of this run is called 'ucb2'. Did you mean 'ucb1'?"),
        (("--out", "f.gif"), "a figure ends in .png, .svg or .pdf, got f.gif"),
    ],
)
def test_a_wrong_request_gets_one_line(bandits, run, options, said):
    run()
    refused = bandits("plot", "r", *options)
    assert refused.code == 2
    assert said in refused.err
    assert len(refused.err.strip().splitlines()) == 1


CONSTANTS = {  # specification, section 1.5
    "E1": 18.33333333, "E3": 5, "E4": 16.66666667, "E5b": 44.42708333, "E9": 6.66666667, "E10": 6.72916667, "E12": 25,
}  # fmt: skip  # a table of cases


def test_the_experiment_plays_the_instances_of_the_specification():
    from bandits import Streams
    from bandits.registry import lookup

    long = lookup("experiment", "side_observations").target
    found = {spec.label.partition(":")[0]: spec.build(Streams(0, 2)).bound().constant for spec in long.environments}
    assert {name: found[name] for name in CONSTANTS} == pytest.approx(CONSTANTS, abs=1e-8)
    assert len(found) == len(CONSTANTS) + 20
    assert len({constant for name, constant in found.items() if name.startswith("random")}) == 20


def test_the_quick_experiment_runs_and_every_kind_of_figure_is_drawn(bandits):
    ran = bandits("run", "side_observations_quick", "--horizon", 40, "--replications", 3, "--out", "r", "--quiet")
    assert ran.code == 0, ran.err
    rows = bandits("show", "r", "--json").json
    assert {row["environment"].partition(":")[0] for row in rows} == {"E1", "E3", "E10", "E12"}
    assert len(bandits("plot", "r", "--kind", "all").out.split()) == 5
