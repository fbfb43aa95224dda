"""Files of figures: the same bytes every time, fonts for print, sweeps by command, small files of big runs."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bandits import Experiment, agent, environment
from bandits.jobs import SimulationJob
from bandits.plots import as_svg, draw
from bandits.plots.bands import MOST_POINTS
from bandits.runs import start
from bandits.scheduler import Settings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run with a sweep, from the command line's point of view."""
    folder = tmp_path_factory.mktemp("runs") / "swept"
    experiment = Experiment(
        name="swept",
        environments=[environment("gaussian", best=1.0, gap=0.5, n_arms=3)],
        agents=[agent("ucb1"), agent("thompson_gaussian")],
        horizon=200,
        replications=10,
        seed=2,
    )
    start(experiment.sweep("gaussian.gap", [0.1, 0.5, 1.0]), folder, Settings("serial"))
    return folder


@pytest.mark.parametrize("kind", ["regret", "distribution", "--against"])
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
@pytest.mark.parametrize("style", ["default", "publication"])
def test_the_same_log_gives_the_same_bytes(bandits, place, tmp_path, kind, suffix, style):
    asked = ("--against", "environment.gap") if kind == "--against" else ("--kind", kind)
    files = [tmp_path / f"{n}.{suffix}" for n in (1, 2)]
    for file in files:
        drawn = bandits("plot", place, *asked, "--style", style, "--out", file)
        assert drawn.code == 0, drawn.err
    assert files[0].read_bytes() == files[1].read_bytes()
    if suffix != "png":
        text = files[0].read_bytes()
        assert b"/CreationDate" not in text
        assert b"<dc:date>" not in text


def test_print_embeds_true_type_fonts_and_prints_the_caption(bandits, place, tmp_path):
    drawn = bandits("plot", place, "--style", "publication", "--width", "two-column", "--out", tmp_path / "f.pdf")
    assert drawn.err.startswith("caption: Mean regret; bands: 95 % intervals for the mean over 10 replications.")
    pdf = (tmp_path / "f.pdf").read_bytes()
    assert b"/CIDFontType2" in pdf
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    (width,) = {float(box) for box in re.findall(rb"/MediaBox \[ 0 0 ([\d.]+)", pdf)}
    assert width == pytest.approx(7.2 * 72, abs=0.1)


def test_a_sweep_is_drawn_against_its_parameter_into_a_file_of_its_name(bandits, place):
    both = bandits("plot", place, "--kind", "regret", "--kind", "ratio", "--against", "environment.gap")
    assert both.code == 0, both.err
    names = [line.rpartition("/")[2] for line in both.out.split()]
    assert names == ["regret-against-environment.gap.png", "ratio-against-environment.gap.png"]
    text = bandits("plot", place, "--against", "gaussian.gap", "--log", "xy", "--out", "f.svg")
    assert text.code == 0, text.err


def test_choices_go_to_the_kinds_that_take_them(bandits, place, tmp_path):
    every = bandits("plot", place, "--kind", "all", "--reference", "ucb1", "--band", "none", "--out", tmp_path / "all")
    assert every.code == 0, every.err
    names = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert names == ["difference.png", "distribution.png", "ratio.png", "regret.png"]
    assert every.err.startswith("left out: allocation: the run did not record")


def test_no_curve_has_more_points_than_can_be_seen():
    experiment = Experiment(
        name="long",
        environments=[environment("gaussian", means=[1.0, 0.0])],
        agents=[agent("ucb1")],
        horizon=3000,
        replications=3,
        every=1,
    )
    (cell,) = experiment.cells()
    from bandits import Log

    log = Log.in_memory([cell], {cell.key: SimulationJob(cell).run(0, 3)})
    curve = log.curve(log.cells[0])
    t, drawn = next(line for line in draw(log).axes[0].lines if line.get_label() == "ucb1").get_data()
    assert 300 < len(t) <= MOST_POINTS
    assert (t[0], t[-1]) == (1, 3000)
    assert drawn == pytest.approx(curve.mean[np.searchsorted(curve.t, t)])


def test_bands_of_a_big_run_are_pictures_in_vector_files():
    names = [f"E{i}" for i in range(12)]
    experiment = Experiment(
        name="big",
        environments=[environment("gaussian", means=[1.0, 0.5 + 0.01 * i]).named(name) for i, name in enumerate(names)],
        agents=[agent("ucb1", c=1 + i / 10) for i in range(10)],
        horizon=400,
        replications=3,
    )
    cells = experiment.cells()
    from bandits import Log

    log = Log.in_memory(cells, {cell.key: SimulationJob(cell).run(0, 3) for cell in cells})
    big, small = as_svg(draw(log)), as_svg(draw(log, environments=names[:1]))
    assert big.count("<image") == 12
    assert "<image" not in small
    assert len(big) < 0.8 * 12 * len(small)
