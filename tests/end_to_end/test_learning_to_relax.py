"""The experiments of solver parameters as a user runs them: declared, played, drawn."""

from __future__ import annotations

import numpy as np
import pytest

from bandits import agent, load
from bandits.errors import BadParameter
from bandits.experiments import save_cost
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
        ("learning_to_relax", ["optimal_iterations"]),
        ("heat_equation", ["golden_iterations", "plain_iterations"]),
    ],
)
def test_a_small_run_is_logged_and_drawn(tmp_path, monkeypatch, name, comparators):
    monkeypatch.chdir(tmp_path)
    play(name, "chebcb", horizon=30)
    last = load("RUN").to_pandas(at=30)
    for column in (*comparators, "unsolved"):
        assert np.isfinite(last[column]).all()
    drawn = save_cost("RUN", comparators=comparators)
    assert drawn.resolve() == tmp_path / "RUN" / "figures" / "cost.png"
    assert drawn.stat().st_size > 20_000
    assert save_cost("RUN", "cost.svg", comparators).read_text().count("<path") > 20
    with pytest.raises(BadParameter, match="no column 'nobody'"):
        save_cost("RUN", comparators=["nobody"])
    with pytest.raises(BadParameter, match="a figure ends in"):
        save_cost("RUN", "cost.txt")


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
