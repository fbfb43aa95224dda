"""How to run a run again: a command where the declaration is at hand by name, and Python for any."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ..errors import BanditsError
from ..experiment import Experiment
from ..neural.trials import NeuralExperiment
from ..registry import entries, lookup

__all__ = ["commands"]

_OPTIONS_OF_EXTRAS = {"pulls": "--pulls", "learners": "--per-learner"}


def commands(facts: Mapping[str, Any], place: str) -> list[tuple[str, str]]:
    """What to do, and the lines that do it.

    Args:
        facts: What run.json holds.
        place: Run folder.
    """
    found = []
    if facts.get("commit"):
        found.append(("The code that ran", f"git checkout {facts['commit']}"))
    if command := _by_name(facts["experiment"]):
        found.append(("The same numbers again", command))
    plugins = [plugin["path"] for plugin in facts["plugins"]]
    found.append(("The same numbers from the declaration below, saved as declaration.json", _from_file(plugins)))
    options = "".join(f" --plugin {shlex.quote(path)}" for path in plugins)
    found.append(("Replay a sample and compare every bit", f"bandits verify {shlex.quote(place)}{options}"))
    return found


def _by_name(declaration: Mapping[str, Any]) -> str | None:
    """The command that runs a registered experiment, if it declares just this, sizes aside."""
    name = declaration["name"]
    if name not in {entry.name for entry in entries("experiment")}:
        return None
    declared = lookup("experiment", name).target
    if declaration.get("kind") == "neural":
        return _neural_by_name(declared, declaration)
    sizes = {size: declaration[size] for size in ("horizon", "replications", "seed")}
    try:
        assert isinstance(declared, Experiment)
        now = declared.replace(**sizes, extras=tuple(declaration["extras"])).as_json()
    except (BanditsError, ValueError):
        return None
    if any(now[part] != declaration[part] for part in ("environments", "agents", "checkpoints")):
        return None
    options = [f"--{size} {value}" for size, value in sizes.items()]
    options += [_OPTIONS_OF_EXTRAS[extra] for extra in declaration["extras"]]
    return f"bandits run {name} {' '.join(options)}"


def _neural_by_name(declared: Any, declaration: Mapping[str, Any]) -> str | None:
    """The command of a neural experiment, at full size or at its smoke size."""
    if not isinstance(declared, NeuralExperiment):
        return None
    sizes = {size: declaration[size] for size in ("replications", "seed")}
    used = next((spec["parameters"] for spec in declaration["trials"] if spec["parameters"].get("weights")), None)
    given = ""
    if declared.pretrained is not None and used is not None:
        declared = declared.pretrained.on(used["model"], used["weights"])
        given = f" --model {shlex.quote(used['model'])}"
    for option, version in (("--full", declared), ("--smoke", declared.smoked())):
        if version.replace(**sizes).as_json()["trials"] == declaration["trials"]:
            return f"bandits run {declared.name}{given} {option} " + " ".join(
                f"--{s} {value}" for s, value in sizes.items()
            )
    return None


def _from_file(plugins: list[str]) -> str:
    """Python that plays a declaration."""
    lines = [
        "import json",
        "from pathlib import Path",
        "from bandits.declarations import read_declaration",
        "from bandits.runs import start",
    ]
    if plugins:
        lines += ["from bandits.registry import load_plugin", *(f"load_plugin({path!r})" for path in plugins)]
    lines += ["declaration = json.loads(Path('declaration.json').read_text())", "if __name__ == '__main__':"]
    return "\n".join([*lines, "    start(read_declaration(declaration), 'again')"])
