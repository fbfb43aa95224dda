"""Mean cost against time, where a reward is minus a cost: agents that tune a solver, beside their comparators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import Band, Log
from ..errors import NotLogged, RunFolderError
from ..protocol import FloatArray
from .bands import BANDS, check_band, draw_band, explained, over_time, scaled
from .panels import Grid, log_axes
from .style import plain_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COMPARATORS", "draw_cost"]

# Log columns in which an environment totals the cost of a comparator, what the legend calls it, and its dashes.
COMPARATORS = {
    "optimal_iterations": ("omega of least spectral radius", ":"),
    "golden_iterations": ("golden-section search", ":"),
    "plain_iterations": ("without preconditioner", "-."),
}


def draw_cost(
    opened: Log,
    *,
    agents: Sequence[str] | None = None,
    environments: Sequence[str] | None = None,
    log: str = "auto",
    band: str = "t",
) -> Figure:
    """Mean cost of the first t rounds against t with 95 % intervals, comparators in black.

    `draw` explains the choices; "auto" makes both axes logarithmic.

    Raises:
        BadParameter: ``log`` or ``band`` is wrong, or there is no such agent or environment.
        NotLogged: No environment of the run logs the costs of comparators.
        RunFolderError: No replication is finished yet.
    """
    log_t, log_y = log_axes(log, "xy")
    check_band(band)
    cells = [
        facts
        for facts in opened.select(agents, environments).cells
        if any(opened.logs(facts, column) for column in COMPARATORS)
    ]
    if not cells:
        raise NotLogged("rewards are costs only where an environment tunes a solver")
    bands = {facts.cell: over_time(opened, facts, band, "reward") for facts in cells}
    cells = [facts for facts in cells if bands[facts.cell].replications]
    if not cells:
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    labels = list(dict.fromkeys(facts.agent for facts in cells))
    names = [*labels, *(name for name, _ in COMPARATORS.values())]
    grid = Grid.of(list(dict.fromkeys(facts.environment for facts in cells)), names)
    for environment, panel in grid.panels.items():
        here = [facts for facts in cells if facts.environment == environment]
        drawn = [_per_round(bands[facts.cell], -1.0) for facts in here]
        for facts, cost in zip(here, drawn, strict=True):
            draw_band(panel, cost, labels.index(facts.agent), facts.agent)
        for column, (name, dashes) in COMPARATORS.items():
            if opened.logs(here[0], column):
                drawn.append(_per_round(over_time(opened, here[0], band, column), 1.0))
                look = {"color": "black", "linestyle": dashes, "linewidth": 1.6}
                panel.plot(drawn[-1].t, drawn[-1].middle, label=plain_text(name), **look)
        panel.set(xlabel="round t", ylabel=f"{BANDS[band][0].lower()} cost of the first t rounds")
        _scale(panel, np.concatenate([cost.middle for cost in drawn]), log_t, log_y)
        grid.head(environment)
    most = max(bands[facts.cell].replications for facts in cells)
    return grid.finish(explained("cost of the first t rounds", band, most))


def _per_round(band: Band, sign: float) -> Band:
    """A total over the rounds as a cost per round."""
    return scaled(band, sign / band.t)


def _scale(panel: Any, middles: FloatArray, log_t: bool, log_y: bool) -> None:
    """Axes with plain numbers, cut at the curves: bands of few replications reach below 0."""
    panel.set(xscale="log" if log_t else "linear", yscale="log" if log_y else "linear")
    panel.set_ylim(0.7 * middles.min() if log_y else 0.0, 1.4 * middles.max() if log_y else 1.08 * middles.max())
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter("{x:,g}")
    if log_y:
        panel.yaxis.set_minor_formatter(lambda y, _: f"{y:,g}" if f"{y:.0e}"[0] in "25" else "")
