"""Tables of trials: short labels that lose nothing, in the width of a terminal."""

from __future__ import annotations

import pandas as pd
import pytest

from bandits.labels import split, tell_apart, wrapped
from bandits.neural.trials import NeuralExperiment
from bandits.registry import entries
from bandits.tables import print_metrics

EXPERIMENTS = [entry.target for entry in entries("experiment") if isinstance(entry.target, NeuralExperiment)]
BOTH_SIZES = [one for declared in EXPERIMENTS for one in (declared, declared.smoked())]


def test_what_all_share_stands_once_and_what_differs_stays():
    labels = ["a(k=1, n=2, options={'gamma': 0.1, 'loss': 'sq'})", "a(k=1, n=3, options={})", "a(k=1, n=3, m=[1, 2])"]
    short = ["n=2, gamma=0.1, loss=sq", "n=3", "n=3, m=[1, 2]"]
    assert tell_apart(labels) == (short, ["All are a(k=1)."])


def test_names_that_differ_stay():
    labels = ["a(k=1, n=2)", "a(k=1, n=3)", "b(k=1)", "b(n=2)", "c"]
    short = ["a(n=2)", "a(n=3)", "b(k=1)", "b(n=2)", "c"]
    assert tell_apart(labels) == (short, ["All of a: k=1."])


@pytest.mark.parametrize(
    ("labels", "short", "shared"),
    [
        (["a(k=1)"], ["a(k=1)"], []),
        (["a(k=1)", "a"], ["k=1", "a"], ["All are a."]),
        (["long title", "another: title (of 3)"], ["long title", "another: title (of 3)"], []),
        (["a(x=None)", "a(y=None)"], ["a(x=None)", "a(y=None)"], []),  # they would not be told apart
        ([], [], []),
    ],
)
def test_labels_at_the_edge(labels, short, shared):
    assert tell_apart(labels) == (short, shared)


def test_a_label_is_broken_between_its_parameters_only():
    label = "method=psld, shots=[20, 50, 100], gamma=0.1"
    assert wrapped(label, 30).split("\n") == ["method=psld,", "  shots=[20, 50, 100],", "  gamma=0.1"]
    assert wrapped(label, 35).split("\n") == ["method=psld, shots=[20, 50, 100],", "  gamma=0.1"]
    assert wrapped(label, 80) == label
    assert wrapped("a(k=1, n=2)", 6).split("\n") == ["a(k=1,", "  n=2)"]
    assert wrapped("a(k=1, n=2)", 80) == "a(k=1, n=2)"


def test_names_between_commas_keep_their_brackets():
    assert split("lin_ts(ridge=1, sd=0.5), ucb1") == ["lin_ts(ridge=1, sd=0.5)", "ucb1"]


@pytest.mark.parametrize(
    "experiment", BOTH_SIZES, ids=lambda experiment: f"{experiment.name}-{experiment.replications}"
)
def test_tables_of_every_experiment_fit_and_tell_trials_apart(experiment, capsys):
    labels = [cell.label for cell in experiment.cells()]
    rows = [
        {"trial": label, "metric": "test_error", "mean": -1234.5, "low": -1300.25, "high": -1250.75, "median": -1234.5}
        | {"step": step, "replications": 600, "seconds": 1.5e-4, "task": "operator=random", "count": False}
        | {"items": 200, "networks": 3, "shared": True}
        for step, label in enumerate(labels, start=1000)
    ]
    print_metrics(pd.DataFrame(rows))
    lines = capsys.readouterr().out.splitlines()
    table = [line for line in lines if not line.startswith(("All ", "Intervals "))]
    assert max(map(len, table)) <= 120
    assert "replications 600" in table[0]
    short, _ = tell_apart(labels)
    assert len(set(short)) == len(labels)
    assert len(table) <= 5 + 3 * len(labels), "no label takes more than three lines"
