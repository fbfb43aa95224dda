"""The pictures of neural runs: what is the same is drawn once, what differs is named, what is left out is said."""

from __future__ import annotations

import numpy as np
import pytest

from bandits import NeuralExperiment, load, trial
from bandits.plots import trials
from bandits.registry import load_plugin
from bandits.runs import start

PAINTERS = """
from bandits import register_trial

@register_trial("painter")
class Painter:
    '''Keeps pictures: the truth that all share, a view that hangs on the task, an answer of its own.'''

    def __init__(self, *, task: int = 0, options: dict | None = None, size: int = 4) -> None:
        self.task, self.weight, self.size = task, (options or {}).get("weight", 0.0), size

    def run(self, batch) -> None:
        import torch

        truth = batch.noise("truth").normal(1, self.size, self.size)
        batch.log(1, "x", float(self.task))
        batch.keep("answer", truth + self.weight + 10 * self.task)
        batch.keep("truth", truth)
        batch.keep("view", truth * (self.task + 2))
"""


@pytest.fixture
def painted(plugin, tmp_path):
    load_plugin(plugin(PAINTERS, "painters.py"))
    cells = [(task, weight) for task in (0, 1) for weight in (0.5, 0.7)]
    declared = [trial("painter", task=task, options={"weight": weight}) for task, weight in cells]
    start(NeuralExperiment(name="painters", trials=declared, replications=3), tmp_path / "run")
    return load(tmp_path / "run")


def test_what_trials_share_has_one_row(painted):
    labels = [label for label, _ in trials.kept_rows(painted)]
    assert labels == [
        "truth (every trial)",
        "view: task=0, weight=0.5 and 1 more",
        "answer: task=0, weight=0.5",
        "answer: task=0, weight=0.7",
        "view: task=1, weight=0.5 and 1 more",
        "answer: task=1, weight=0.5",
        "answer: task=1, weight=0.7",
    ]
    kept = dict(trials.kept_rows(painted))
    np.testing.assert_allclose(kept["answer: task=1, weight=0.7"][2] - kept["truth (every trial)"][2], 10.7, atol=1e-5)


def test_rows_that_are_left_out_are_counted(painted, monkeypatch):
    whole = trials.draw_kept(painted)
    assert whole.get_supxlabel() == ""
    assert [axis.get_title() for axis in whole.axes[:3]] == ["replication 0", "replication 1", "replication 2"]
    monkeypatch.setattr(trials, "MOST_ROWS", 4)
    assert trials.draw_kept(painted).get_supxlabel() == "4 of 7 rows; the run folder has them all"


def test_labels_say_what_differs_and_what_is_shared(painted):
    labels, shared = painted.short_labels()
    assert next(iter(labels.values())) == "task=0, weight=0.5"
    assert shared == ["painter: size=4"]
    alone = painted.select([painted.trials[0].trial])
    assert alone.short_labels() == ({alone.trials[0].cell: "painter(task=0, options={'weight': 0.5})"}, [])


def test_two_series_of_one_panel_differ_by_their_dashes():
    _, axes = trials._panels(1, 1, (2.0, 1.2))
    trials._draw_row(axes[0], {0: np.arange(6.0).reshape(3, 2)})
    assert [line.get_linestyle() for line in axes[0, 0].lines] == ["-", "--"]
    assert len(axes[0, 0].get_yticks()) > 0
    assert trials._dashes_in_words({0: np.zeros((3, 2))}) == " (solid, dashed)"
    assert trials._dashes_in_words({0: np.zeros((1, 4, 4))}) == trials._dashes_in_words({0: np.zeros((3, 9))}) == ""
