"""Cells that differ in one parameter, as ``Experiment.sweep`` makes them: panels, curves and places on an axis."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..analysis import Log
from ..cells import CellFacts, varied
from ..errors import BadParameter, did_you_mean

__all__ = ["Families", "Place", "families", "shown_value"]


@dataclass(frozen=True)
class Place:
    """Where a cell belongs: its panel, its curve there, and its parameter's value; None if that does not vary."""

    panel: str
    curve: str
    value: Any
    facts: CellFacts

    def family(self, kind: str) -> str:
        """What varies: an environment's panel, or an agent's curve."""
        return self.panel if kind == "environment" else self.curve


@dataclass(frozen=True)
class Families:
    """Cells by panel and curve.

    Attributes:
        parameter: Name of the parameter alone.
        kind: "environment" or "agent".
        owner: Registered name of what has it, where that is one; else empty.
        places: One for each cell.
        values: The values that it takes, in order.
    """

    parameter: str
    kind: str
    owner: str
    places: list[Place]
    values: list[Any]

    @property
    def numeric(self) -> bool:
        """Whether all values are numbers."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)


def families(opened: Log, target: str) -> Families:
    """Sort the cells of a log by a parameter.

    Args:
        opened: The log.
        target: ``environment.gap`` or ``agent.c``, or with a registered name in front, as for ``Experiment.sweep``.

    Raises:
        BadParameter: There is no such parameter, or it takes one value only.
    """
    kind, owner, parameter = _meant(opened.cells, target)
    places = [_place(facts, opened.cells, kind, owner, parameter) for facts in opened.cells]
    of_family = _of_family(places, kind)
    if max(map(len, of_family.values()), default=0) < 2:
        only = sorted(set().union(*of_family.values())) if of_family else []
        raise BadParameter(_not_varied(opened.cells, target, kind, parameter, only))
    fixed = {family for family, found in of_family.items() if len(found) < 2}
    places = [p if p.family(kind) not in fixed else Place(*_names(p.facts), None, p.facts) for p in places]
    values = {json.dumps(place.value): place.value for place in places if place.value is not None}
    owners = {_name(place.facts, kind) for place in places if place.value is not None}
    found = Families(parameter, kind, owners.pop() if len(owners) == 1 else "", places, list(values.values()))
    if found.numeric:
        found.values.sort()
    return found


def shown_value(value: Any) -> str:
    """A parameter's value as a label shows it."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 24 else text[:20] + " ..."


def _of_family(places: Sequence[Place], kind: str) -> dict[str, set[str]]:
    """The values of a parameter, as JSON, within each family: it varies where one has two."""
    found: dict[str, set[str]] = {}
    for place in places:
        if place.value is not None:
            found.setdefault(place.family(kind), set()).add(json.dumps(place.value))
    return found


def _axes(cells: Sequence[CellFacts]) -> list[str]:
    """The parameters that make an axis, such as ``agent.c``: those that only differ from agent to agent do not."""
    found = []
    for target in varied(cells):
        kind, _, parameter = target.partition(".")
        places = [_place(facts, cells, kind, "", parameter) for facts in cells]
        if any(len(values) > 1 for values in _of_family(places, kind).values()):
            found.append(target)
    return found


def _name(facts: CellFacts, kind: str) -> str:
    name: str = getattr(facts, f"{kind}_name")
    return name


def _parameters(facts: CellFacts, kind: str) -> Mapping[str, Any]:
    given: Mapping[str, Any] = getattr(facts, f"{kind}_parameters")
    return given


def _names(facts: CellFacts) -> tuple[str, str]:
    return facts.environment, facts.agent


def _meant(cells: Sequence[CellFacts], target: str) -> tuple[str, str, str]:
    """Kind, registered name (or nothing) and name of the parameter that is meant.

    Raises:
        BadParameter: There is none.
    """
    known = [f"{kind}.{name}" for kind in ("environment", "agent") for f in cells for name in _parameters(f, kind)]
    owned = [f"{_name(f, kind)}.{n}" for kind in ("environment", "agent") for f in cells for n in _parameters(f, kind)]
    if target not in known and target not in owned:
        axes = _axes(cells)
        raise BadParameter(
            f"no environment or agent of this run has the parameter '{target}'."
            f"{did_you_mean(target, [*axes, *known, *owned])} Those that vary: {', '.join(axes) or 'none'}."
        )
    first, _, parameter = target.partition(".")
    if target in known:
        return first, "", parameter
    return "environment" if any(_name(facts, "environment") == first for facts in cells) else "agent", first, parameter


def _place(facts: CellFacts, cells: Sequence[CellFacts], kind: str, owner: str, parameter: str) -> Place:
    given = _parameters(facts, kind)
    value = given.get(parameter) if not owner or owner == _name(facts, kind) else None
    if value is None:
        return Place(*_names(facts), None, facts)
    alike = [other for other in cells if _name(other, kind) == _name(facts, kind)]
    label = _label(facts, alike, kind, parameter)
    return (
        Place(label, facts.agent, value, facts)
        if kind == "environment"
        else Place(facts.environment, label, value, facts)
    )


def _label(facts: CellFacts, alike: Sequence[CellFacts], kind: str, parameter: str) -> str:
    """The registered name, and whatever else than the parameter tells cells of that name apart."""
    given = {**_parameters(facts, kind), "seed": facts.seed, "T": facts.horizon}
    others = [{**_parameters(other, kind), "seed": other.seed, "T": other.horizon} for other in alike]
    differing = [n for n in given if n != parameter and len({json.dumps(other.get(n)) for other in others}) > 1]
    inside = ", ".join(f"{name}={shown_value(given[name])}" for name in differing)
    return f"{_name(facts, kind)}({inside})" if inside else _name(facts, kind)


def _not_varied(cells: Sequence[CellFacts], target: str, kind: str, parameter: str, values: Sequence[str]) -> str:
    """Why there is no curve, and what to do."""
    elsewhere = [name for name in _axes(cells) if name != f"{kind}.{parameter}"]
    name = next(_name(facts, kind) for facts in cells if parameter in _parameters(facts, kind))
    vary = f"; what varies: {', '.join(elsewhere)}" if elsewhere else ""
    much = f"is {values[0]} throughout" if len(values) == 1 else f"takes one value for each {kind}"
    much = much if values else "is null throughout"
    return f"{target} {much}: run with --sweep '{name}.{parameter}=[...]' to vary it{vary}"
