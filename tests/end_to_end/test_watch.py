"""``bandits watch``: a run seen from outside, while it goes on and when it is over."""

from __future__ import annotations

import io
import json
import shutil
import time

import numpy as np
import pytest
from rich.console import Console

from bandits import Experiment, agent, environment, watch
from bandits.runs import start
from bandits.scheduler import Settings
from bandits.terminal_plot import plot

STUDY = Experiment(
    name="study",
    environments=[
        environment("bernoulli", means=[0.2, 0.5]).named("[red]coins"),
        environment("gaussian", means=[0, 1]),
    ],
    agents=[agent("ucb1"), agent("uniform").named("[bold]at random")],
    horizon=200,
    replications=20,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "r"
    start(STUDY, folder, Settings("serial"))
    return folder


@pytest.fixture
def unfinished(finished, tmp_path):
    """The same run, when nothing but its first cell was finished: a folder, and a function that goes on to the end."""
    folder = tmp_path / "r"
    shutil.copytree(finished, folder)
    kept = watch.look(folder).log.cells[0].cell
    later = [part for part in (folder / "log").iterdir() if part.name != f"cell={kept}"]
    for part in later:
        shutil.move(part, tmp_path / part.name)
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(facts | {"status": "running"}))

    def go_on(_: float) -> None:
        for part in later:
            shutil.move(tmp_path / part.name, part)
        (folder / "run.json").write_text(json.dumps(facts))

    return folder, go_on


def test_a_finished_run_gets_its_table_at_once(bandits, finished):
    answer = bandits("watch", finished)
    assert answer.code == 0
    assert answer.out.startswith("complete: 80 of 80 replications in 4 cells\n")
    assert "mean regret" in answer.out


def test_plain_lines_follow_a_run_to_its_end(bandits, unfinished, monkeypatch):
    folder, go_on = unfinished
    monkeypatch.setattr(time, "sleep", go_on)
    lines = bandits("watch", folder).out.splitlines()
    assert lines[0] == "running: 20 of 80 replications in 4 cells"
    assert lines[1].startswith("  [red]coins: ucb1  ")
    assert "(20 of 20)" in lines[1]
    assert "at random" not in lines[1]
    assert lines[2] == "complete: 80 of 80 replications in 4 cells"


def test_leaving_is_quiet(bandits, unfinished, monkeypatch):
    def leave(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", leave)
    answer = bandits("watch", unfinished[0])
    assert (answer.code, answer.err) == (0, "")
    assert "mean regret" not in answer.out


def test_a_run_that_nobody_plays_any_more_is_said_so(bandits, unfinished, monkeypatch):
    monkeypatch.setattr(watch, "_STILL_S", -1.0)
    answer = bandits("watch", unfinished[0])
    assert answer.code == 0
    assert f"nobody plays this run any more: continue it with 'bandits resume {unfinished[0]}'" in answer.out


def test_a_terminal_shows_curves_and_names_as_they_are(unfinished, monkeypatch):
    text = io.StringIO()
    Console(file=text, width=90, color_system=None).print(watch.render(watch.look(unfinished[0]), 90, 60))
    lines = text.getvalue().splitlines()
    assert lines[0] == "running: 20 of 80 replications in 4 cells"
    assert lines[1] == "[red]coins"
    assert any("⣀" in line for line in lines)
    assert "━━ [bold]at random  no replication yet  (0 of 20)" in lines
    assert all(len(line) <= 90 for line in lines)


@pytest.mark.parametrize("height", [12, 24, 60])
def test_what_is_shown_fits_the_terminal_and_pages_show_all(finished, height):
    seen = set()
    for page in range(2):
        text = io.StringIO()
        Console(file=text, width=80, color_system=None).print(watch.render(watch.look(finished), 80, height, page))
        lines = text.getvalue().splitlines()
        assert len(lines) <= height
        seen |= {line for line in lines if line in ("[red]coins", "gaussian(means=[0, 1])")}
    assert len(seen) == 2


def test_a_straight_line_is_drawn_straight():
    t = np.arange(1, 9)
    drawn = plot({"a": (t, (t - 1) / 7)}, {"a": "red"}, top=1.0, width=18, height=2, log_t=False).plain.split("\n")
    # 16 dots in a row, 8 above each other: two dots side by side on every level, from the lower left to the upper right
    assert [line.split("│") for line in drawn[:2]] == [["     1.00", "    ⣀⠤⠒⠉"], ["        0", "⣀⠤⠒⠉    "]]
    assert drawn[3].split() == ["1", "8", "rounds"]
