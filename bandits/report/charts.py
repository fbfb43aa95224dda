"""The numbers of the page's curves, as plain data that the script reads."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..analysis import Curve, Log
from ..cells import CellFacts
from ..plots.bands import thinned
from ..plots.style import line_style
from ..plots.theory import all_bounds, bound_name, stationary
from ..protocol import FloatArray, IntArray

__all__ = ["MOST_POINTS", "chart_data"]

MOST_POINTS = 200  # of a curve: as many as a screen shows


def chart_data(opened: Log) -> dict[str, Any]:
    """Curves of every environment.

    Returns:
        ``agents``: name, colour and dashes (in line widths) of each, in order. ``environments``: for each,
        its name, the rounds ``t``, ``curves`` (``agent`` as index, ``n`` replications, ``mean`` and ``half``, the
        half-width of the 95 % interval), ``bounds`` (name and value at each round), whether the ratio to the first
        bound makes sense, and which time axis shows most.
    """
    agents = list(dict.fromkeys(facts.agent for facts in opened.cells))
    environments: dict[str, list[CellFacts]] = {}
    for facts in opened.cells:
        environments.setdefault(facts.environment, []).append(facts)
    return {
        "agents": [{"name": agent, **_style(i)} for i, agent in enumerate(agents)],
        "environments": [_environment(opened, name, cells, agents) for name, cells in environments.items()],
    }


def _environment(opened: Log, name: str, cells: list[CellFacts], agents: list[str]) -> dict[str, Any]:
    checkpoints, bound = cells[0].checkpoints, cells[0].bound
    kept = thinned(checkpoints.size, MOST_POINTS)
    t = checkpoints[kept]
    curves = {agents.index(facts.agent): opened.curve(facts) for facts in cells}
    bounds = all_bounds(cells[0])
    return {
        "name": name,
        "t": t.tolist(),
        "regret": "cumulative regret" if cells[0].n_learners is None else "cumulative regret of all learners",
        "log_t": stationary(bound),
        "ratio": bound is not None and bool(bound.at(checkpoints[-1:])[0] > 0),
        "curves": [_curve(i, curve, kept) for i, curve in curves.items() if curve.replications],
        "bounds": [{"name": bound_name(one, k), "value": compact(one.at(t))} for k, one in enumerate(bounds)],
    }


def _curve(agent: int, curve: Curve, kept: IntArray) -> dict[str, Any]:
    half = curve.half_width[kept]
    return {"agent": agent, "n": curve.replications, "mean": compact(curve.mean[kept]), "half": compact(half, 3)}


def _style(i: int) -> dict[str, Any]:
    style = line_style(i)
    dashes = [] if style["linestyle"] == "-" else list(style["linestyle"][1])
    return {"color": style["color"], "dash": dashes}


def compact(values: FloatArray | Iterable[float], digits: int = 5) -> list[float | int | None]:
    """Numbers with so many significant digits, in few letters; None for what is no finite number."""
    short = (float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values)
    return [int(value) if value is not None and value.is_integer() else value for value in short]
