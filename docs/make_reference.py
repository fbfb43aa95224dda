"""Write docs/reference/ from docstrings: `make docs`, or ``python docs/make_reference.py``.

One page for each kind of thing that is registered, one for the Python interface, one for the command line. The pages
are committed so that they can be read where the code is; a test says when they are out of date.
"""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from docstrings import anchor, described, inline, items, parts, prose, shown, signature

from bandits.neural.trials import NeuralExperiment
from bandits.registry import Entry, entries
from bandits.specs import Spec

REFERENCE = Path(__file__).parent / "reference"

MODULES: Mapping[str, Sequence[str] | None] = {  # what the page on Python shows of each: its names, or all in __all__
    "bandits": None,
    "bandits.specs": ("Spec",),
    "bandits.protocol": None,
    "bandits.streams": None,
    "bandits.scalar": None,
    "bandits.kernels": None,
    "bandits.network": None,
    "bandits.runs": None,
    "bandits.scheduler": ("Settings",),
    "bandits.until_separated": None,
    "bandits.analysis": None,
    "bandits.cells": ("CellFacts",),
    "bandits.neural.trials": None,
    "bandits.neural.batch": None,
    "bandits.neural.log": None,
    "bandits.comparison": ("Comparison",),
    "bandits.statistics": None,
    "bandits.plots": None,
    "bandits.report": None,
    "bandits.information_lp": None,
    "bandits.errors": None,
}


def pages() -> dict[str, str]:
    """Every page of the reference by its file name."""
    made = {
        "agents.md": registered_page("agent", "Agents"),
        "environments.md": registered_page("environment", "Environments"),
        "experiments.md": experiments_page(),
        "trials.md": registered_page("trial", "Trials"),
        "python.md": python_page(),
        "command-line.md": command_line_page(),
    }
    made["README.md"] = index_page(made)
    return {name: re.sub(r"\n{3,}", "\n\n", text).strip() + "\n" for name, text in made.items()}


def index_page(made: Iterable[str]) -> str:
    """What there is."""
    listed = "\n".join(f"- [{name.removesuffix('.md').replace('-', ' ').capitalize()}]({name})" for name in made)
    return f"# Reference\n\n{listed}\n\nWritten by `make docs` from the docstrings in the code: change those."


# --- what is registered


def registered_page(kind: Any, title: str) -> str:
    """Agents, environments or trials: for each file its text, for each name its parameters."""
    by_file: dict[str, list[Entry]] = {}
    for entry in built_in(kind):
        by_file.setdefault(entry.target.__module__, []).append(entry)
    blocks = []
    for module, together in by_file.items():
        blocks += [f"## {', '.join(entry.name for entry in together)}", *module_text(module), code_link(module)]
        for entry in together:
            blocks += [f"### {entry.name}" if len(together) > 1 else "", *registered(entry)]
    return "\n\n".join([f"# {title}", contents(entry.name for entry in built_in(kind)), *blocks])


def built_in(kind: Any) -> list[Entry]:
    """What is registered by the package itself."""
    return [entry for entry in entries(kind) if entry.origin.startswith("bandits.")]


def contents(headings: Iterable[str]) -> str:
    """Links to the headings of a page."""
    return ", ".join(f"[`{heading}`](#{anchor(heading)})" for heading in headings)


def code_link(module: str) -> str:
    """Where a file lies."""
    path = f"{module.removeprefix('bandits.').replace('.', '/')}.py"
    return f"Code: [`{path}`](../../{path})"


def module_text(module: str) -> Iterator[str]:
    """What a file says of itself."""
    yield from described(importlib.import_module(module).__doc__ or "")


def registered(entry: Entry) -> Iterator[str]:
    """Summary, source, parameters and examples of one name."""
    sections = parts(inspect.getdoc(entry.target) or "")
    yield prose(sections[""]) + (f" Source: {inline(entry.source)}." if entry.source else "")
    yield parameters(entry.target, items(sections.get("Args", "")))
    if examples := getattr(entry.target, "examples", ()):
        yield "For example:\n\n" + "\n".join(f"    {declaration(entry.name, given)}" for given in examples)
    if (log := getattr(entry.target, "log", None)) is not None:
        yield f"Adds to the log: {inline(' '.join(parts(inspect.getdoc(log) or '')[''].split()))}"


def parameters(target: Any, meanings: Mapping[str, str]) -> str:
    """Table of the keyword-only parameters of a constructor."""
    accepted = [p for p in inspect.signature(target).parameters.values() if p.kind is p.KEYWORD_ONLY]
    hints = typing.get_type_hints(target.__init__)
    rows = []
    for p in accepted:
        equals = "needed" if p.default is p.empty else f"`{shown(p.default)}`"
        row = (f"`{p.name}`", f"`{kind_of(p, hints)}`", equals, inline(meaning_of(p.name, meanings)))
        rows.append("| " + " | ".join(escaped(cell) for cell in row) + " |")
    head = ["| parameter | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join(head + rows) if rows else "It has no parameters."


def kind_of(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> str:
    """Type as the code has it; of a choice between words, the words."""
    hint = hints.get(parameter.name)
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(f'"{word}"' for word in typing.get_args(hint))
    return str(parameter.annotation)


def meaning_of(name: str, meanings: Mapping[str, str]) -> str:
    """Meaning of a parameter, also where several share one entry."""
    return next((text for names, text in meanings.items() if name in re.split(r",\s*", names)), "")


def escaped(text: str) -> str:
    """Text for a table's cell."""
    return text.replace("|", "\\|")


def declaration(name: str, given: Mapping[str, Any]) -> str:
    """How an example is written."""
    return f'environment("{name}"{"".join(f", {key}={value!r}" for key, value in given.items())})'


def experiments_page() -> str:
    """Experiments with their sizes."""
    found = built_in("experiment")
    blocks = ["# Experiments", contents(entry.name for entry in found)]
    for entry in found:
        text = "\n\n".join(module_text(entry.origin))
        summary = "" if text.startswith(inline(entry.summary)) else inline(entry.summary)
        blocks += [f"## {entry.name}", summary, text, code_link(entry.origin)]
        blocks.append(sizes(entry.target))
    return "\n\n".join(blocks)


def sizes(experiment: Any) -> str:
    """Table of what an experiment plays, and of its small version."""
    small = experiment.smoked()
    rows = [
        ("replications R", f"{experiment.replications:,}", f"{small.replications:,}"),
        ("seed", str(experiment.seed), str(small.seed)),
    ]
    if isinstance(experiment, NeuralExperiment):
        rows.append(("trials", labels(experiment.trials), labels(small.trials)))
    else:
        rows.insert(0, ("rounds T", f"{experiment.horizon:,}", f"{small.horizon:,}"))
        rows.append(("environments", labels(experiment.environments), labels(small.environments)))
        rows.append(("agents", labels(experiment.agents), labels(small.agents)))
    same = [(name, full, "the same" if full == little else little) for name, full, little in rows]
    lines = [f"| {name} | {full} | {little} |" for name, full, little in same]
    return "\n".join(["| | full | `--smoke` |", "|---|---|---|", *lines])


MANY = 12  # labels that a cell of a table may hold


def labels(specs: Sequence[Spec]) -> str:
    """Labels of agents, environments or trials; of many, the values that each name's parameters take."""
    if len(specs) <= MANY:
        return f"{len(specs)}: " + ", ".join(f"`{escaped(spec.label)}`" for spec in specs)
    names = dict.fromkeys(spec.name for spec in specs)
    return f"{len(specs)}: " + "; ".join(taken(name, [s for s in specs if s.name == name]) for name in names)


def taken(name: str, specs: Sequence[Spec]) -> str:
    """Of so many specs of one name, the values that each parameter takes, in order of appearance."""
    found: dict[str, dict[str, None]] = {}
    for spec in specs:
        for parameter, value in spec.parameters.items():
            found.setdefault(parameter, {})[parameter_text(value)] = None
    inside = "; ".join(f"{parameter} {', '.join(values)}" for parameter, values in found.items())
    return f"{len(specs)} of `{name}` with {escaped(inside)}" if inside else f"{len(specs)} of `{name}`"


def parameter_text(value: Any) -> str:
    """A parameter's value as a table shows it: a mapping as ``omega=1.0 gamma=0.1``."""
    if isinstance(value, Mapping):
        return " ".join(f"{name}={inner}" for name, inner in value.items())
    return str(value)


# --- Python


def python_page() -> str:
    """Public names of the modules in `MODULES`, each where it is met first."""
    blocks = ["# Python", contents(MODULES)]
    seen: set[int] = set()
    for name, chosen in MODULES.items():
        module = importlib.import_module(name)
        blocks += [f"## {name}", *(module_text(name) if chosen is None else ())]
        for public in chosen or module.__all__:
            thing = getattr(module, public)
            if (inspect.isclass(thing) or callable(thing)) and id(thing) not in seen and documented(module, thing):
                seen.add(id(thing))
                blocks += thing_text(public, thing)
    return "\n\n".join(blocks)


def documented(module: ModuleType, thing: Any) -> bool:
    """Whether a thing is one of ours, with a docstring: not an alias of a type."""
    return str(getattr(plain(thing), "__module__", "")).startswith("bandits") and bool(plain(thing).__doc__)


def plain(thing: Any) -> Any:
    """The Python function of a compiled one."""
    return getattr(thing, "py_func", thing)


def thing_text(name: str, thing: Any, level: str = "###") -> Iterator[str]:
    """A class with its methods, or a function."""
    yield f"{level} {name}"
    thing = plain(thing)
    is_error = inspect.isclass(thing) and issubclass(thing, Exception)
    if not is_error and not getattr(thing, "_is_protocol", False):
        yield f"    {signature(name, thing)}"
    yield from described(inspect.getdoc(thing) or "")
    if inspect.isclass(thing) and not is_error:
        for inner, member in vars(thing).items():
            if not inner.startswith("_") and (text := member_text(f"{name}.{inner}", member)):
                yield text


def member_text(name: str, member: Any) -> str:
    """A method or property of a class; nothing for what has no text of its own."""
    if isinstance(member, property):
        return "\n\n".join([f"#### {name}", *described(inspect.getdoc(member) or "")])
    function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
    if not inspect.isfunction(function) or not function.__doc__:
        return ""
    return "\n\n".join(thing_text(name, function, "####"))


# --- the command line


def command_line_page() -> str:
    """Every command with its options."""
    import typer

    from bandits.cli import app

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # it is a group: it has subcommands
    blocks = [
        "# Command line",
        inline((importlib.import_module("bandits.cli").__doc__ or "").strip().split("\n\n")[-1]),
    ]
    for name, command in commands.items():
        text, _, example = inspect.cleandoc(command.help).partition("Example: ")
        blocks += [f"## bandits {name}", inline(" ".join(text.split())), f"    {' '.join(example.split())}"]
        rows = [f"| {option} | {meaning} |" for option, meaning in options(command.params)]
        blocks.append("\n".join(["| argument or option | meaning |", "|---|---|", *rows]) if rows else "")
    return "\n\n".join(blocks)


def options(params: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Arguments and options with what their help says, and their defaults."""
    for param in params:
        is_option = param.param_type_name == "option"
        word = "" if getattr(param, "is_flag", False) else param.metavar or param.name.rstrip("_").upper()
        what = f"{param.opts[-1]} {word}".strip() if is_option else word
        meaning = inline(param.help.rstrip(".") + ".")
        if is_option and param.required:
            meaning += " Needed."
        elif param.default not in (None, False, [], ()) and "default:" not in param.help:
            chosen = param.default if isinstance(param.default, list) else [param.default]
            meaning += f" Default: `{' '.join(str(value) for value in chosen)}`."
        yield f"`{escaped(what)}`", escaped(meaning)


def main() -> None:
    """Write the pages, and remove those that are no longer made."""
    made = pages()
    REFERENCE.mkdir(exist_ok=True)
    for old in REFERENCE.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (REFERENCE / name).write_text(text)


if __name__ == "__main__":
    main()
