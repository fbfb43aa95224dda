"""The experiments of solver parameters as a user runs them: declared, played, drawn."""

from __future__ import annotations

import numpy as np
import pytest

from bandits import agent, load
from bandits.plots import draw, kinds_for
from bandits.registry import lookup
from bandits.runs import start


def play(name: str, player: str, **changes):
    """The experiment's quick size with one agent, into the folder RUN."""
    quick = lookup("experiment", name).target.smoked()
    run = start(quick.replace(agents=[agent(player)], replications=2, **changes), "RUN")
    assert not run.failures


@pytest.mark.parametrize(
    ("name", "comparators"),
    [
        ("learning_to_relax", {"optimal_iterations": "omega of least spectral radius"}),
        (
            "heat_equation",
            {"golden_iterations": "golden-section search", "plain_iterations": "without preconditioner"},
        ),
    ],
)
def test_a_small_run_is_logged_and_drawn(tmp_path, monkeypatch, name, comparators):
    """The curves are total cost over t; bands that reach below 0 do not spoil the logarithmic axis."""
    monkeypatch.chdir(tmp_path)
    play(name, "chebcb", horizon=30)
    log = load("RUN")
    means = log.to_pandas().groupby(["environment", "t"]).mean(numeric_only=True)
    figure = draw(log, "cost")
    panels = [panel for panel in figure.axes if panel.get_visible()]
    environments = list(dict.fromkeys(facts.environment for facts in log.cells))
    for panel, world in zip(panels, environments, strict=True):
        expected = {"chebcb": -means.loc[world]["reward"]}
        expected |= {title: means.loc[world][column] for column, title in comparators.items()}
        assert np.isfinite(means.loc[world]["unsolved"]).all()
        lines = {line.get_label(): line.get_ydata() for line in panel.lines}
        assert lines.keys() == expected.keys()
        for title, total in expected.items():
            assert lines[title] == pytest.approx((total / total.index).to_numpy())
        smallest, largest = (end(y for line in lines.values() for y in line) for end in (min, max))
        assert panel.get_ylim() == pytest.approx((0.7 * smallest, 1.4 * largest))
    assert "cost" in kinds_for(log)


def test_costs_are_drawn_where_some_are_logged_only(bandits):
    assert bandits("run", "quickstart", "--smoke", "--horizon", 50, "--out", "RUN", "--quiet").code == 0
    answer = bandits("plot", "RUN", "--kind", "cost")
    assert (answer.code, "tunes a solver" in answer.err) == (2, True)
    assert "cost" not in bandits("plot", "RUN", "--kind", "all").out


@pytest.mark.parametrize("player", ["net_elimination", "g_optimal"])
def test_the_quick_size_of_the_misspecified_experiment_plays(tmp_path, monkeypatch, player):
    monkeypatch.chdir(tmp_path)
    environments = lookup("experiment", "misspecified_linear").target.environments[:1]
    play("misspecified_linear", player, environments=environments)
    log = load("RUN").to_pandas()
    before, last = np.sort(log.t.unique())[-2:]
    gained = log[log.t == last].regret.to_numpy() - log[log.t == before].regret.to_numpy()
    assert (gained <= (last - before) * 2 * 0.05 * (1 + np.sqrt(1.01 * 8))).all()


def test_an_omega_outside_its_range_is_one_line_and_exit_status_2(bandits):
    answer = bandits("run", "learning_to_relax", "--smoke", "--set", "fixed_omega.omega=2.5")
    assert answer.code == 2
    assert "omega must lie in [0, 2), got 2.5" in " ".join(answer.err.split())
    assert "Traceback" not in answer.err
