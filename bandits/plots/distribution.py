"""How regret at one round is distributed over replications: a row for each agent, the best mean on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import Log
from ..cells import CellFacts
from ..errors import BadParameter, RunFolderError
from ..protocol import FloatArray
from ..words import count
from .bands import at_round, check_band
from .panels import Grid, log_axes, plain_logarithms
from .style import current, line_style, wrapped
from .theory import all_bounds, bound_name, constants

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_distribution"]

BINS = {1: 120, 2: 120, 3: 60}  # of a cloud, over the whole axis, by panels beside each other
WIDE = 10.0  # largest over smallest median of a panel from which on the axes are logarithmic
_BAND = {
    "t": "mean with 95 % interval",
    "normal": "mean with normal 95 % interval",
    "bootstrap": "mean with 95 % bootstrap-t interval",
    "none": "mean",
}
_INK = "0.25"


def draw_distribution(
    opened: Log,
    *,
    agents: Sequence[str] | None = None,
    environments: Sequence[str] | None = None,
    log: str = "auto",
    band: str = "t",
    at: int | None = None,
) -> Figure:
    """Regret of every replication at a round: a cloud, quantiles, the median, and the mean with its interval.

    The height of a cloud is the share of replications, in bins of one width on the axis; all clouds have one height.
    "auto" takes a logarithmic axis where all regrets are positive and medians differ tenfold.

    `draw` explains the choices; ``log`` is "auto", "x" or "none", ``band`` an interval of the mean or "none".

    Raises:
        BadParameter: The round was not recorded, or ``log`` or ``band`` is wrong or has no meaning here.
        RunFolderError: No replication is finished yet.
    """
    log_axes(log, "", {"y": "its rows are agents"})
    check_band(band)
    if band not in _BAND:
        raise BadParameter(f"band {band}: the figure shows median and quantiles anyway; choose from {', '.join(_BAND)}")
    cells = opened.select(agents, environments).cells
    values = {facts.cell: opened.values(facts, "regret", facts.checkpoint(at))[1] for facts in cells}
    cells = [facts for facts in cells if len(values[facts.cell])]
    if not cells:
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    labels = list(dict.fromkeys(facts.agent for facts in cells))
    shown = list(dict.fromkeys(facts.environment for facts in cells))
    rows = max(sum(facts.environment == environment for facts in cells) for environment in shown)
    bounds = [bound_name(bound, k).replace("ln t", "ln T") for f in cells for k, bound in enumerate(all_bounds(f)[:1])]
    columns = 1 if len(shown) == 1 else 2 if len(shown) <= 4 else 3
    size = ({1: 7.2, 2: 6.2, 3: 5.2}[columns], 0.9 + 0.36 * rows)
    grid = Grid.of(shown, [*_MARKS, _BAND[band], *bounds], columns, size)
    log_x, _ = log_axes(log, "x" if _wide(cells, values) else "")
    if log_x and (poor := [facts.agent for facts in cells if values[facts.cell].min() <= 0]):
        raise BadParameter(f"log x: {poor[0]} has replications without positive regret; choose others with --agents")
    rounds = set()
    for environment, panel in grid.panels.items():
        here = sorted((f for f in cells if f.environment == environment), key=lambda f: float(values[f.cell].mean()))
        _draw_panel(panel, here, values, labels, log_x, band, at, BINS[columns])
        rounds.add(here[0].checkpoint(at))
        grid.head(environment, constants(all_bounds(here[0])[:1]))
    when = f" at {'T' if at is None else 't'} = {max(rounds):,}" if len(rounds) == 1 else ""
    most = max(map(len, values.values()))
    return grid.finish(f"Regret{when} of {'each of ' if most > 1 else ''}{count(most, 'replication')}")


def _wide(cells: list[CellFacts], values: dict[str, FloatArray]) -> bool:
    """Whether all regrets are positive, and medians on some environment so different that small ones would be lost."""
    medians: dict[str, list[float]] = {}
    for facts in cells:
        medians.setdefault(facts.environment, []).append(float(np.median(values[facts.cell])))
    positive = all(values[facts.cell].min() > 0 for facts in cells)
    return positive and any(max(found) >= WIDE * min(found) for found in medians.values())


_MARKS = ["all replications", "middle 90 %", "middle 50 %", "median"]


def _draw_panel(
    panel: Any,
    cells: list[CellFacts],
    values: dict[str, FloatArray],
    labels: list[str],
    log_x: bool,
    band: str,
    at: int | None,
    bins: int,
) -> None:
    everything = np.concatenate([values[facts.cell] for facts in cells])
    for row, facts in enumerate(cells):
        _draw_row(panel, row, values[facts.cell], line_style(labels.index(facts.agent))["color"], band)
    low, high = _ends(everything, log_x)
    edges = np.geomspace(low, high, bins + 1) if log_x else np.linspace(low, high, bins + 1)
    for row, facts in enumerate(cells):
        _draw_cloud(panel, row, values[facts.cell], edges, line_style(labels.index(facts.agent))["color"])
    for bound in all_bounds(cells[0])[:1]:
        level = float(bound.at(np.array([cells[0].checkpoint(at)]))[0])
        if low < level < high:
            name = bound_name(bound).replace("ln t", "ln T")
            panel.axvline(level, color="black", linestyle="--", linewidth=0.75 * current().line, label=name, zorder=1.5)
    if log_x:
        panel.set_xscale("log")
        plain_logarithms(panel.xaxis, low, high)
    panel.set_xlim(low, high)
    panel.set_ylim(len(cells) - 0.6, -0.62)
    panel.set_yticks(range(len(cells)), [wrapped(facts.agent, 28) for facts in cells])
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="y", visible=False)
    panel.spines["left"].set_visible(False)
    panel.set_xlabel("cumulative regret" if cells[0].n_learners is None else "cumulative regret of all learners")


def _ends(values: FloatArray, log_x: bool) -> tuple[float, float]:
    """An axis with a little room beyond all replications."""
    low, high = float(values.min()), float(values.max())
    if log_x:
        room = max((high / low) ** 0.02, 1.01)
        return low / room, high * room
    room = 0.02 * (high - low) or 0.5
    return min(0.0, low - room) if low < 0.3 * high else low - room, high + room


def _draw_row(panel: Any, row: int, values: FloatArray, colour: str, band: str) -> None:
    """Quantiles as lines of three widths; median as a tick, mean as a diamond with its interval below."""
    ends = np.quantile(values, (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0))
    thick = current().line / 1.6
    first = row == 0
    for name, i, width in zip(_MARKS, (0, 1, 2), (0.7, 2.0, 5.5), strict=False):
        panel.plot(
            [ends[i], ends[-1 - i]], [row + 0.1] * 2, color=colour, linewidth=width * thick, solid_capstyle="butt"
        )
        if first:
            panel.plot([], [], color=_INK, linewidth=width * thick, label=name)
    tick = {"linestyle": "none", "marker": "|", "markersize": 9 * thick, "markeredgewidth": 1.6 * thick}
    panel.plot([ends[3]], [row + 0.1], color="black", label=_MARKS[3] if first else None, **tick)
    mean, low, high = (float(found) for found in at_round(values, band))
    error = None if np.isnan(low) else [[mean - low], [high - mean]]
    look = {"fmt": "D", "color": _INK, "markersize": 3.4 * thick, "markerfacecolor": "white", "capsize": 2 * thick}
    panel.errorbar(
        [mean],
        [row + 0.3],
        xerr=error,
        elinewidth=1.0,
        markeredgewidth=0.9,
        label=_BAND[band] if first else None,
        **look,
    )


def _draw_cloud(panel: Any, row: int, values: FloatArray, edges: FloatArray, colour: str) -> None:
    """Share of replications in each bin, upwards from the row; the fullest bin is half a row high."""
    counts, _ = np.histogram(values, edges)
    filled = np.flatnonzero(counts)
    first, last = filled[0], filled[-1] + 1
    height = np.append(counts[first:last], counts[last - 1]) / counts.max()
    panel.fill_between(
        edges[first : last + 1],
        row - 0.06,
        row - 0.06 - 0.5 * height,
        step="post",
        color=colour,
        alpha=0.45,
        linewidth=0,
    )
