"""What messages buy: regret of a population at one round against the messages that its learners exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import Log
from ..answers import why_uncounted
from ..errors import NotLogged, RunFolderError
from .bands import at_round, check_band, explained
from .panels import Grid, log_axes
from .style import current, line_style, marker, plain_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_messages"]


def draw_messages(
    opened: Log,
    *,
    agents: Sequence[str] | None = None,
    environments: Sequence[str] | None = None,
    log: str = "auto",
    band: str = "t",
    at: int | None = None,
) -> Figure:
    """Mean group regret by a round, with a 95 % interval, against the mean number of messages: a point per agent.

    The axis of messages is logarithmic above 10, so that agents without messages have a place. An agent that declares
    ``shares_outside_network`` moves information that the network does not count: its regret is a level line. So is that
    of an agent without messages of which nothing is known, for the run is old and its plug-in not loaded.

    `draw` explains the choices.

    Raises:
        BadParameter: The round was not recorded, or ``log`` or ``band`` is wrong.
        NotLogged: The run has no population.
        RunFolderError: No replication is finished yet.
    """
    log_x, log_y = log_axes(log, "x")
    check_band(band)
    cells = [facts for facts in opened.select(agents, environments).cells if facts.n_learners is not None]
    cells = [facts for facts in cells if opened.logs(facts, "messages")]
    if not cells:
        raise NotLogged("nobody exchanges messages where one learner plays alone")
    labels = list(dict.fromkeys(facts.agent for facts in cells))
    messages = {facts.cell: opened.values(facts, "messages", facts.checkpoint(at))[1] for facts in cells}
    uncounted = {facts.cell: why_uncounted(facts, messages[facts.cell]) for facts in cells}
    names = {
        facts.agent: f"{facts.agent} ({why})" if (why := uncounted[facts.cell]) else facts.agent for facts in cells
    }
    grid = Grid.of(list(dict.fromkeys(facts.environment for facts in cells)), names.values())
    most, farthest = 0, 1.0
    for facts in cells:
        _, regret = opened.values(facts, "regret", facts.checkpoint(at))
        if not len(regret):
            continue
        most = max(most, len(regret))
        place = None if uncounted[facts.cell] else float(messages[facts.cell].mean())
        farthest = max(farthest, place or 0.0)
        _draw(grid.panels[facts.environment], labels.index(facts.agent), names[facts.agent], place, regret, band)
    if not most:
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    for environment, panel in grid.panels.items():
        if log_x:
            panel.set_xscale("symlog", linthresh=10)
        panel.set_xlim((-1, 1.5 * farthest) if log_x else (-0.04 * farthest, 1.06 * farthest))
        panel.set_yscale("log" if log_y else "linear")
        if not log_y:
            panel.set_ylim(bottom=0)
        panel.set_xlabel("messages of all learners")
        panel.set_ylabel("regret of all learners")
        grid.head(environment)
    rounds = {facts.checkpoint(at) for facts in cells}
    when = f" at {'T' if at is None else 't'} = {max(rounds):,}" if len(rounds) == 1 else ""
    return grid.finish(explained(f"regret{when} against messages", band, most, "bars"))


def _draw(panel: Any, i: int, name: str, messages: float | None, regret: Any, band: str) -> None:
    """A point with its bar, or a level line."""
    middle, low, high = (float(found) for found in at_round(regret, band))
    style = line_style(i)
    if messages is None:
        panel.axhline(middle, label=plain_text(name), linewidth=current().line, **style)
        if not np.isnan(low):
            panel.axhspan(low, high, color=style["color"], alpha=0.15, linewidth=0)
        return
    error = None if np.isnan(low) else [[middle - low], [high - middle]]
    look = {"markersize": 6} | marker(i) | {"color": style["color"], "linestyle": "none", "capsize": 3}
    panel.errorbar([messages], [middle], yerr=error, label=plain_text(name), **look)
