"""The experiment meta_lora: its trials through the command line, and what they refuse."""

from __future__ import annotations

import json

import pytest
from bandits.experiments.peft import digit_retraining
from bandits.experiments.peft.meta_lora import EXPERIMENT

from bandits import load, trial
from bandits.neural.jobs import TrialJob
from bandits.neural.trials import TrialCell

SMALL = """
from bandits import NeuralExperiment, register_experiment, trial

tiny = {"epochs": 20, "steps": 20}
EXPERIMENT = register_experiment(
    NeuralExperiment(
        name="small_meta_lora",
        trials=[
            *(trial("meta_lora_linear", method=m, d=4, outer=300, steps=200) for m in
              ("lora_ml", "standard_retraining", "least_squares")),
            *(trial("meta_lora_shallow", method=m, d=4, samples=20, new_samples=20, **tiny) for m in
              ("lora_ml", "standard_retraining", "random_base")),
            *(trial("meta_lora_digits", method=m, suite="pairs", outer=1, shots=[10], rank=1, **tiny) for m in
              ("lora_ml", "standard_retraining", "last_layer_ml", "reptile", "random_base")),
        ],
        replications=2,
    )
)
"""


def test_every_method_of_every_trial_plays_from_the_command_line(bandits, plugin):
    answer = bandits("run", plugin(SMALL), "--backend", "serial", "--device", "cpu", "--full", "--out", "run")
    assert answer.code == 0, answer.err
    table = load("run").to_pandas()
    assert table.groupby("metric").trial.nunique().to_dict() == {
        "accuracy_10": 5,
        "base_error": 2,
        "test_error": 3,
        "test_loss": 3,
    }
    assert bandits("verify", "run").code == 0
    step = table[table.metric == "test_error"].groupby("trial").step.agg(["min", "max"])
    assert step["max"].tolist() == [200, 200, 200]


def test_methods_share_tasks_start_and_fine_tuning_so_that_they_are_compared_in_pairs(monkeypatch):
    """Standard retraining that does nothing is the base that was not retrained, to the bit."""
    monkeypatch.setattr(digit_retraining, "standard_retraining", lambda base, tasks, epochs: base)
    rows = []
    for method in ("random_base", "standard_retraining"):
        spec = trial("meta_lora_digits", method=method, suite="pairs", epochs=1, steps=10, shots=[10], rank=1)
        rows.append(TrialJob(TrialCell(spec, 1, 2)).run(0, 2).rows)
    assert rows[0].equals(rows[1])
    assert len(set(rows[0]["value"].to_pylist())) > 5


def test_the_quick_size_plays_every_cell_of_the_full_one():
    full, quick = EXPERIMENT.cells(), EXPERIMENT.smoked().cells()
    assert len(full) == len(quick) == 34
    assert {cell.replications for cell in quick} == {3}
    methods = {json.dumps(sorted(cell.trial.parameters.items()), default=str) for cell in full}
    assert len(methods) == 34


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("linear", {"method": "lora"}, "method must be one of lora_ml, .*, got 'lora'. Did you mean 'lora_ml'?"),
        ("linear", {"k": 0}, "k must lie between 1 and 10"),
        ("linear", {"k": 4, "tasks": 2}, "the rank of the new task's adapter must lie between 1 and 10, .*, got 12"),
        ("linear", {"tasks": 0}, "tasks must be a whole number of at least 1"),
        ("linear", {"samples": 9}, "samples must be a whole number of at least 10, got 9"),
        ("linear", {"noise_std": -1}, "noise_std must be a number of at least 0"),
        ("linear", {"d": "ten"}, "d must be a whole number"),
        ("shallow", {"epochs": 0}, "epochs must be"),
        ("shallow", {"k": 11}, "k must lie between 1 and 10"),
        ("digits", {"suite": "letters"}, "suite must be one of conflicting, pairs"),
        ("digits", {"rank": 3}, "rank must lie between 1 and 2"),
        ("digits", {"shots": []}, "shots must list"),
        ("digits", {"shots": [5, 0]}, "shots must be a whole number from 1 to 1,200, got 0"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_line_that_names_it(name, parameters, message):
    with pytest.raises(ValueError, match=message) as caught:
        trial(f"meta_lora_{name}", **parameters).build()
    assert "\n" not in str(caught.value)
