"""The experiments of solver parameters as a user runs them: declared, played, drawn."""

from __future__ import annotations

import numpy as np
import pytest

from bandits import load
from bandits.errors import BadParameter
from bandits.experiments import save_cost


@pytest.mark.parametrize(
    ("name", "comparators"),
    [
        ("learning_to_relax", ["optimal_iterations"]),
        ("heat_equation", ["golden_iterations", "plain_iterations"]),
    ],
)
def test_a_small_run_is_logged_and_drawn(bandits, tmp_path, name, comparators):
    size = ("--agent", "chebcb", "--horizon", 30, "--replications", 2, "--backend", "serial")
    ran = bandits("run", name, "--smoke", "--out", "RUN", *size)
    assert ran.code == 0, ran.err
    last = load("RUN").to_pandas(at=30)
    for column in (*comparators, "unsolved"):
        assert np.isfinite(last[column]).all()
    drawn = save_cost("RUN", comparators=comparators)
    assert drawn == tmp_path.joinpath("RUN/figures/cost.png").relative_to(tmp_path)
    assert drawn.stat().st_size > 20_000
    assert save_cost("RUN", "cost.svg", comparators).read_text().count("<path") > 20
    with pytest.raises(BadParameter, match="no column 'nobody'"):
        save_cost("RUN", comparators=["nobody"])
    with pytest.raises(BadParameter, match="a figure ends in"):
        save_cost("RUN", "cost.txt")


def test_the_quick_size_of_the_misspecified_experiment_plays(bandits):
    size = ("--agent", "net_elimination", "--replications", 2, "--backend", "serial")
    ran = bandits("run", "misspecified_linear", "--smoke", "--out", "RUN", *size)
    assert ran.code == 0, ran.err
    assert "net_elimination" in ran.out


def test_an_omega_outside_its_range_is_one_line_and_exit_status_2(bandits):
    answer = bandits("run", "learning_to_relax", "--smoke", "--set", "fixed_omega.omega=2.5")
    assert answer.code == 2
    assert "omega must lie in [0, 2), got 2.5" in " ".join(answer.err.split())
    assert "Traceback" not in answer.err
