"""Regret at one round, or its ratio to the lower bound, against a parameter that a sweep varied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import Log
from ..errors import BadParameter, NotLogged, RunFolderError
from ..protocol import FloatArray
from .bands import at_round, check_band, explained
from .families import Families, Place, families, shown_value
from .heights import limit_height
from .panels import Grid, log_axes, plain_logarithms
from .style import current, line_style, marker, plain_text
from .theory import BOUND_DASHES, all_bounds, bound_name, no_ratio

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_against"]

MOST_PANELS = 16
DECADES = 1.5  # a logarithmic axis from this span on
ONE = "the bound: ratio 1"


def draw_against(
    opened: Log,
    parameter: str,
    *,
    ratio: bool = False,
    agents: Sequence[str] | None = None,
    environments: Sequence[str] | None = None,
    log: str = "auto",
    band: str = "t",
    at: int | None = None,
) -> Figure:
    """Mean regret at a round, or its ratio to the bound, against a parameter: a curve per agent, with the bound.

    Against a parameter of environments there is a panel for each combination of their other parameters; against one of
    agents, a panel for each environment, a curve for each combination of the agent's other parameters, and a level line
    for an agent for which it does not vary. "auto" takes logarithmic axes for positive numbers that span 1.5 decades.

    The parameter is ``environment.gap`` or ``agent.c``; ``gaussian.gap`` and ``ucb1.c`` mean those of one name. `draw`
    explains the other choices.

    Raises:
        BadParameter: There is no such parameter, it does not vary, so many others vary that panels are too many, the
            round was not recorded, or ``log`` or ``band`` is wrong.
        NotLogged: The ratio is asked for and no bound is known and positive.
        RunFolderError: No replication is finished yet.
    """
    log_axes(log, "")
    check_band(band)
    chosen = opened.select(agents, environments)
    found = families(chosen, parameter)
    lacking = list(dict.fromkeys(p.facts.environment for p in found.places if p.value is None))
    places = [p for p in found.places if found.kind == "agent" or p.value is not None]
    missing = [f"{name} ({found.parameter} does not vary)" for name in lacking] if found.kind == "environment" else []
    if ratio:
        refused = {p.facts.environment: no_ratio(p.facts) for p in places if no_ratio(p.facts)}
        missing += [f"{environment} ({reason})" for environment, reason in refused.items()]
        places = [p for p in places if p.facts.environment not in refused]
        if not places:
            raise NotLogged(f"there is no ratio to draw without a positive lower bound: {'; '.join(missing)}")
    points = {p.facts.cell: chosen.values(p.facts, "regret", p.facts.checkpoint(at))[1] for p in places}
    if not any(map(len, points.values())):
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    panels = list(dict.fromkeys(p.panel for p in places))
    if len(panels) > MOST_PANELS:
        raise BadParameter(
            f"other parameters vary beside {parameter} and would make {len(panels)} panels, more than {MOST_PANELS}: "
            "choose environments with --environment"
        )
    curves = list(dict.fromkeys(p.curve for p in places))
    bounds = [bound_name(b, k).replace("ln t", "ln T") for p in places for k, b in enumerate(all_bounds(p.facts))]
    grid = Grid.of(panels, [*curves, *([ONE] if ratio else bounds)])
    rounds = {p.facts.checkpoint(at) for p in places}
    when = f"at {'T' if at is None else 't'} = {max(rounds):,}" if len(rounds) == 1 else "at the horizon"
    drawn = {}
    for name, panel in grid.panels.items():
        drawn[name] = _Panel(panel, found, [p for p in places if p.panel == name], points, ratio, at)
        drawn[name].draw(curves, band)
    wide = any(_spans(panel.heights()) for panel in drawn.values())
    auto = ("x" if found.numeric and _spans(np.array(found.values, dtype=np.float64)) else "") + ("y" if wide else "")
    log_x, log_y = log_axes(log, auto)
    for name, panel in grid.panels.items():
        drawn[name].scale(log_x, log_y)
        panel.set_ylabel(f"regret / bound {when}" if ratio else f"regret {when}")
        panel.set_xlabel(f"{found.parameter} of {found.owner or f'the {found.kind}'}")
        if len(panels) > 1 or found.kind == "agent":
            grid.head(name)
    what = f"regret{' over the lower bound' if ratio else ''} {when} against {found.parameter}"
    title = explained(what, band, max(map(len, points.values())), "bars")
    return grid.finish(title, [f"Not shown: {'; '.join(missing)}"] if missing else [])


class _Panel:
    """One panel: the cells of its curves."""

    def __init__(
        self,
        panel: Any,
        found: Families,
        places: list[Place],
        points: dict[str, FloatArray],
        ratio: bool,
        at: int | None,
    ) -> None:
        self.panel, self.found, self.ratio, self.at, self.points = panel, found, ratio, at, points
        self.places = [p for p in places if len(points[p.facts.cell])]
        self.curves: dict[str, FloatArray] = {}
        self.theory: dict[str, float] = {}
        self._levels: list[float] = []

    def x(self, place: Place) -> float:
        """Where a value lies: itself, or its number among the words."""
        return float(place.value) if self.found.numeric else float(self.found.values.index(place.value))

    def draw(self, curves: list[str], band: str) -> None:
        """Draw curves, level lines and bounds."""
        for i, name in enumerate(curves):
            if own := [p for p in self.places if p.curve == name]:
                self.curves[name] = np.sort(self._curve(i, name, own, band))
        if self.ratio:
            self.panel.axhline(1.0, color="black", linestyle="--", linewidth=0.75 * current().line, label=ONE)
        self.theory = {ONE: 1.0} if self.ratio else self._bounds()

    def heights(self) -> FloatArray:
        """Every value that is drawn, of the bounds the positive ones."""
        theory = [value for value in [*self.theory.values(), *self._levels] if value > 0]
        return np.concatenate([*self.curves.values(), np.array(theory, dtype=np.float64)])

    def scale(self, log_x: bool, log_y: bool) -> None:
        """Set the axes."""
        if log_y and self.curves and self.heights().max() > 0:
            self.panel.set_yscale("log")
            plain_logarithms(self.panel.yaxis, *self.panel.get_ylim())
        elif self.curves:
            limit_height(self.panel, self.curves, self.theory, least=1.2 if self.ratio else 0.0)
        self._x_axis(log_x)

    def _curve(self, i: int, name: str, own: list[Place], band: str) -> FloatArray:
        """Draw the i-th curve with its bars, or a level line for an agent without the parameter; its middle values."""
        style = line_style(i) | {"linewidth": current().line}
        if own[0].value is None:
            middle, low, high = at_round(self._values(own[0]), band)
            self.panel.axhline(float(middle), label=plain_text(name), **style)
            if np.isfinite(low):
                self.panel.axhspan(float(low), float(high), color=style["color"], alpha=0.15, linewidth=0)
            return np.array([float(middle)])
        own = sorted(own, key=self.x)
        found = np.array([at_round(self._values(p), band) for p in own], dtype=np.float64)
        inner: FloatArray = found[:, 0]
        error = None if np.isnan(found[:, 1:]).all() else np.abs(found[:, 1:].T - inner)
        look = {"capsize": 2, "elinewidth": 1.0} | {"markersize": 4} | marker(i) | style
        self.panel.errorbar([self.x(p) for p in own], inner, yerr=error, label=plain_text(name), **look)
        return inner

    def _values(self, place: Place) -> FloatArray:
        values = self.points[place.facts.cell]
        if not self.ratio:
            return values
        assert place.facts.bound is not None
        ratio: FloatArray = values / place.facts.bound.at(np.array([place.facts.checkpoint(self.at)]))
        return ratio

    def _bounds(self) -> dict[str, float]:
        """Draw every bound, and return where it is highest."""
        theory: dict[str, float] = {}
        for k, dashes in enumerate(BOUND_DASHES):
            known = [(p, all_bounds(p.facts)[k]) for p in self.places if len(all_bounds(p.facts)) > k]
            if not known:
                break
            name = bound_name(known[0][1], k).replace("ln t", "ln T")
            level = {
                (None if p.value is None else self.x(p)): float(b.at(np.array([p.facts.checkpoint(self.at)]))[0])
                for p, b in known
            }
            look: dict[str, Any] = {
                "color": "black",
                "linestyle": dashes,
                "linewidth": 0.75 * current().line,
                "label": name,
            }
            if self.found.kind == "agent":
                self.panel.axhline(max(level.values()), **look)
            else:
                at = sorted(x for x in level if x is not None)
                self.panel.plot(at, [level[x] for x in at], **look)
            theory[known[0][1].name] = max(level.values())
            self._levels += level.values()
        return theory

    def _x_axis(self, log_x: bool) -> None:
        """Ticks at the values where they have room."""
        panel, values = self.panel, self.found.values
        if not self.found.numeric:
            panel.set_xlim(-0.4, len(values) - 0.6)
            panel.set_xticks(range(len(values)), [plain_text(shown_value(value)) for value in values])
            return
        at = np.array(values, dtype=np.float64)
        if log_x and (at <= 0).any():
            raise BadParameter(f"log x: {self.found.parameter} is not positive throughout")
        if log_x:
            panel.set_xscale("log")
        place = np.log(at) if log_x else at
        if np.diff(place).min() >= 0.09 * (place[-1] - place[0]):
            panel.set_xticks(at, [f"{value:,g}" for value in at])
            panel.set_xticks([], minor=True)


def _spans(values: FloatArray) -> bool:
    """Whether numbers are positive and span so much that small ones would be lost on a linear axis."""
    return bool(values.size and values.min() > 0 and values.max() >= 10**DECADES * values.min())
