"""From what was typed on the command line to an experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .errors import BadParameter, UsageError, did_you_mean
from .experiment import Experiment
from .neural.trials import NeuralExperiment
from .registry import load_plugin, lookup
from .specs import agent

__all__ = ["adjust", "choose_agents", "choose_trials", "find_experiment", "load_plugins", "parse_assignment"]


def load_plugins(paths: list[Path]) -> None:
    """Load the files of ``--plugin``."""
    for path in paths:
        load_plugin(path)


def find_experiment(name: str) -> Experiment | NeuralExperiment:
    """A registered experiment, or the one that a file declares.

    Raises:
        UsageError: There is none, or the file declares several.
    """
    if not name.endswith(".py"):
        found: Experiment | NeuralExperiment = lookup("experiment", name).target
        return found
    module = load_plugin(name)
    declared = {id(v): v for v in vars(module).values() if isinstance(v, Experiment | NeuralExperiment)}
    if len(declared) != 1:
        names = ", ".join(sorted(e.name for e in declared.values())) or "none"
        raise UsageError(
            f"{name} declares {len(declared)} experiments ({names}), expected one; register several with "
            "register_experiment, pass the file with --plugin, and run one by name"
        )
    return next(iter(declared.values()))


def adjust(experiment: Experiment, **changes: int | None) -> Experiment:
    """Replace the fields that were given on the command line.

    An experiment that lists the rounds to record keeps those within a shorter horizon, or, if there are none, records
    as many rounds as one that lists none.
    """
    if changes.get("every") is not None and changes.get("checkpoints") is not None:
        raise BadParameter("--every and --checkpoints both say which rounds to record: give one of them")
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    listed = experiment.checkpoints
    if "horizon" in given and "checkpoints" not in given and not isinstance(listed, int):
        within = tuple(t for t in listed if t <= given["horizon"])
        given["checkpoints"] = within or Experiment.checkpoints
    return experiment.replace(**given)


def choose_agents(experiment: Experiment, add: list[str], only: list[str]) -> Experiment:
    """Add agents by name, or keep only some."""
    agents = [*experiment.agents, *(agent(name) for name in add)]
    names = {spec.name for spec in agents}
    for name in only:
        if name not in names:
            raise BadParameter(f"no agent of this experiment is called '{name}'.{did_you_mean(name, names)}")
    return experiment.replace(agents=[spec for spec in agents if not only or spec.name in only])


def choose_trials(experiment: NeuralExperiment, only: list[str]) -> NeuralExperiment:
    """Keep only the trials of these names."""
    names = {spec.name for spec in experiment.trials}
    for name in only:
        if name not in names:
            raise BadParameter(f"no trial of this experiment is called '{name}'.{did_you_mean(name, names)}")
    return experiment.replace(trials=[spec for spec in experiment.trials if not only or spec.name in only])


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split ``name.param=value``; the value is JSON where it can be, else a word."""
    target, equals, value = text.partition("=")
    if not equals:
        raise BadParameter(f"--set {text}: expected NAME.PARAM=VALUE, such as ucb1.c=2.0")
    try:
        return target, json.loads(value)
    except (ValueError, RecursionError):
        return target, value
