"""Neural experiments are declared as data, and listed without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bandits.experiments.diffusion.gaussian_ddim import EXPERIMENT

import bandits.experiments
from bandits import NeuralExperiment, trial
from bandits.declarations import read_declaration
from bandits.errors import BadParameter, UnknownName


def test_listing_and_loading_need_no_torch():
    code = """
import sys
sys.modules["torch"] = None  # an import raises
import bandits, bandits.runs, bandits.scheduler, bandits.neural.jobs, bandits.neural.log
from bandits.registry import entries
assert "gaussian_ddim" in [e.name for e in entries("trial")]
(found,) = [e for e in entries("experiment") if e.name == "gaussian_ddim"]
print(len(found.target.cells()), found.summary)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.startswith("3 DDIM samples")


def test_a_declaration_survives_json():
    again = read_declaration(EXPERIMENT.as_json())
    assert isinstance(again, NeuralExperiment)
    assert [cell.key for cell in again.cells()] == [cell.key for cell in EXPERIMENT.cells()]


def test_a_key_is_what_the_trial_is():
    def key(seed=0, **parameters):
        (cell,) = NeuralExperiment(
            name="x", trials=[trial("gaussian_ddim", **parameters)], replications=3, seed=seed
        ).cells()
        return cell.key

    assert key() == key(steps=100)
    assert len({key(), key(steps=50), key(seed=1), key(eta=0.5)}) == 4


def test_the_small_version_changes_fields_and_parameters():
    small = EXPERIMENT.smoked()
    assert small.replications == 4
    assert {spec.parameters["samples"] for spec in small.trials} == {64}
    assert [spec.parameters["steps"] for spec in small.trials] == [10, 50, 250]


def test_sweep_gives_a_trial_for_each_value():
    swept = EXPERIMENT.replace(trials=[trial("gaussian_ddim")]).sweep("gaussian_ddim.eta", [0, 0.5, 1])
    assert [cell.label for cell in swept.cells()] == [f"gaussian_ddim(eta={e})" for e in ("0", "0.5", "1")]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda: trial("gaussian_dim").parameters, UnknownName, "no trial is registered as 'gaussian_dim'. Did you"),
        (lambda: trial("gaussian_ddim", step=3).parameters, BadParameter, "Did you mean 'steps'"),
        (lambda: trial("gaussian_ddim", steps="many").parameters, BadParameter, "steps must be a whole number"),
        (
            lambda: trial("gaussian_ddim", steps=0).build(),
            BadParameter,
            "steps must be a whole number from 1 to 1,000, got 0",
        ),
        (lambda: EXPERIMENT.replace(replications=0), BadParameter, "replications must be a whole number from 1"),
        (lambda: EXPERIMENT.replace(smoke={"horizon": 3}), BadParameter, "smoke may contain"),
        (lambda: EXPERIMENT.replace(trials=[]), BadParameter, "has no trials"),
        (lambda: EXPERIMENT.replace(trials=["gaussian_ddim"]), BadParameter, "declared with trial"),
        (lambda: EXPERIMENT.replace(trials=[trial("gaussian_ddim")] * 2).cells(), BadParameter, "declared twice"),
        (lambda: EXPERIMENT.override("psld.steps", 3), BadParameter, "no trial of this experiment is called 'psld'"),
        (lambda: EXPERIMENT.override("*.gamma", 3), BadParameter, "no trial of this experiment has the parameter"),
        (lambda: EXPERIMENT.override("steps", 3), BadParameter, "not of the form name.parameter"),
        (lambda: EXPERIMENT.sweep("gaussian_ddim.eta", []), BadParameter, "give a list of values"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(change, error, says):
    with pytest.raises(error, match=says) as found:
        change()
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("file", ["gaussian_ddim.py", "constrained_series.py", "psld_study.py"])
def test_a_file_of_the_package_runs_as_a_script_though_its_names_are_taken_by_itself(file):
    path = Path(bandits.experiments.__path__[0], "diffusion", file)
    done = subprocess.run(
        [sys.executable, str(path), "--help"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "") and "Run an experiment" in done.stdout


def test_trials_that_a_changed_parameter_makes_equal_are_run_once():
    two = EXPERIMENT.replace(trials=[trial("gaussian_ddim", steps=5), trial("gaussian_ddim", steps=9)])
    assert [spec.parameters["steps"] for spec in two.override("*.steps", 3).trials] == [3]
    assert [spec.parameters["steps"] for spec in two.sweep("gaussian_ddim.steps", [3, 4]).trials] == [3, 4]
    assert len(two.override("*.eta", 0.5).cells()) == 2
