"""Mean cumulative regret against the round, with the lower bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..analysis import Band, Log
from ..cells import CellFacts
from ..errors import BadParameter, RunFolderError
from .against import draw_against
from .bands import check_band, draw_band, explained, over_time
from .heights import limit_height
from .panels import Grid, log_axes
from .style import current
from .theory import BOUND_DASHES, all_bounds, bound_name, constants, stationary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_regret"]


def draw_regret(
    opened: Log,
    *,
    agents: Sequence[str] | None = None,
    environments: Sequence[str] | None = None,
    log: str = "auto",
    band: str = "t",
    against: str | None = None,
    at: int | None = None,
) -> Figure:
    """Mean cumulative regret against the round, a pointwise 95 % interval for the mean, and the bound.

    "auto" takes a logarithmic time axis where a stationary lower bound is known: there, regret that is optimal to
    first order is a straight line as steep as the bound.

    With ``against``, regret at one round is drawn against a parameter instead: see `draw_against`. `draw` explains
    the choices.

    Raises:
        BadParameter: ``log`` or ``band`` is wrong, or the run has no such agent, environment or parameter.
        RunFolderError: No replication is finished yet.
    """
    if against is not None:
        chosen = {"agents": agents, "environments": environments}
        return draw_against(opened, against, ratio=False, log=log, band=band, at=at, **chosen)
    if at is not None:
        raise BadParameter("at goes with against: regret over the rounds shows them all")
    log_axes(log, "")
    check_band(band)
    cells = opened.select(agents, environments).cells
    bands = {facts.cell: over_time(opened, facts, band) for facts in cells}
    if not any(found.replications for found in bands.values()):
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    labels = list(dict.fromkeys(facts.agent for facts in cells))
    bounds = [bound_name(bound, k) for facts in cells for k, bound in enumerate(all_bounds(facts))]
    grid = Grid.of(list(dict.fromkeys(facts.environment for facts in cells)), [*labels, *bounds])
    for environment, panel in grid.panels.items():
        here = [facts for facts in cells if facts.environment == environment]
        _draw_panel(panel, here, bands, labels, log)
        grid.head(environment, constants(all_bounds(here[0])))
    replications = max(found.replications for found in bands.values())
    return grid.finish(explained("regret", band, replications))


def _draw_panel(panel: Any, cells: Sequence[CellFacts], bands: dict[str, Band], labels: list[str], log: str) -> None:
    shown = {}
    for facts in cells:
        if (band := bands[facts.cell]).replications:
            draw_band(panel, band, labels.index(facts.agent), facts.agent)
            shown[facts.agent] = band.middle
    theory = {}
    for k, line in enumerate(all_bounds(cells[0])):
        t, value = cells[0].checkpoints, line.at(cells[0].checkpoints)
        theory[line.name] = float(value[-1])
        dashes = BOUND_DASHES[k % len(BOUND_DASHES)]
        panel.plot(
            t,
            value,
            color="black",
            linestyle=dashes,
            linewidth=0.75 * current().line,
            marker="_" if t.size == 1 else None,  # a line needs two rounds
            label=bound_name(line, k),
        )
    panel.set_xlabel("round t")
    panel.set_ylabel("cumulative regret" if cells[0].n_learners is None else "cumulative regret of all learners")
    log_t, log_y = log_axes(log, "x" if stationary(cells[0].bound) else "")
    if log_t:
        panel.set_xscale("log")
    if len(cells[0].checkpoints) > 1:
        panel.set_xlim(cells[0].checkpoints[0], cells[0].checkpoints[-1])
    if log_y and any(middle[-1] > 0 for middle in shown.values()):
        panel.set_yscale("log")
    elif shown:
        limit_height(panel, shown, theory)
