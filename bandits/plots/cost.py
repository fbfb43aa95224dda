"""Mean cost against time, where a reward is minus a cost: agents that tune a solver, beside their comparators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import Curve, Log
from ..errors import NotLogged, RunFolderError
from .panels import Grid
from .style import line_style, plain_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COMPARATORS", "draw_cost"]

# Log columns in which an environment totals the cost of a comparator, what the legend calls it, and its dashes.
COMPARATORS = {
    "optimal_iterations": ("omega of least spectral radius", ":"),
    "golden_iterations": ("golden-section search", ":"),
    "plain_iterations": ("without preconditioner", "-."),
}


def draw_cost(opened: Log, *, agents: Sequence[str] | None = None, environments: Sequence[str] | None = None) -> Figure:
    """Mean cost of the first t rounds against t with 95 % intervals, comparators in black, both axes logarithmic.

    Raises:
        NotLogged: No environment of the run logs the costs of comparators.
        RunFolderError: No replication is finished yet.
    """
    cells = [
        facts
        for facts in opened.select(agents, environments).cells
        if any(opened.logs(facts, column) for column in COMPARATORS)
    ]
    if not cells:
        raise NotLogged("rewards are costs only where an environment tunes a solver")
    curves = {facts.cell: opened.curve(facts, "reward") for facts in cells}
    cells = [facts for facts in cells if curves[facts.cell].replications]
    if not cells:
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    labels = list(dict.fromkeys(facts.agent for facts in cells))
    names = [*labels, *(name for name, _ in COMPARATORS.values())]
    grid = Grid.of(list(dict.fromkeys(facts.environment for facts in cells)), names)
    for environment, panel in grid.panels.items():
        here = [facts for facts in cells if facts.environment == environment]
        drawn = [
            _draw(panel, curves[facts.cell], -1.0, facts.agent, line_style(labels.index(facts.agent))) for facts in here
        ]
        for column, (name, dashes) in COMPARATORS.items():
            if opened.logs(here[0], column):
                drawn.append(
                    _draw(panel, opened.curve(here[0], column), 1.0, name, {"color": "black", "linestyle": dashes})
                )
        _scale(panel, np.concatenate(drawn))
        grid.head(environment)
    most = max(curves[facts.cell].replications for facts in cells)
    return grid.finish(f"Mean cost of the first t rounds; bands: 95 % intervals over {most:,} replications")


def _draw(panel: Any, curve: Curve, sign: float, name: str, style: dict[str, Any]) -> Any:
    """Draw a total cost over t and return it."""
    mean = sign * curve.mean / curve.t
    panel.plot(curve.t, mean, linewidth=1.6, label=plain_text(name), **style)
    if curve.replications > 1:
        half = curve.half_width / curve.t
        panel.fill_between(curve.t, mean - half, mean + half, color=style["color"], alpha=0.15, linewidth=0)
    return mean


def _scale(panel: Any, means: Any) -> None:
    """Logarithmic axes with plain numbers, cut at the means: bands of few replications reach below 0."""
    panel.set(xlabel="round t", ylabel="mean cost of the first t rounds", xscale="log", yscale="log")
    panel.set_ylim(0.7 * means.min(), 1.4 * means.max())
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter("{x:,g}")
    panel.yaxis.set_minor_formatter(lambda y, _: f"{y:,g}" if f"{y:.0e}"[0] in "25" else "")
