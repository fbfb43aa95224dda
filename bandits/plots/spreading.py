"""How a bandit's best arm spreads among the learners of a population."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..analysis import Log
from ..errors import NotLogged, RunFolderError
from .bands import check_band, draw_band, explained, over_time, scaled
from .panels import Grid, log_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_spreading"]


def draw_spreading(
    opened: Log,
    *,
    agents: Sequence[str] | None = None,
    environments: Sequence[str] | None = None,
    log: str = "auto",
    band: str = "t",
) -> Figure:
    """Mean share of learners who may play their bandit's best arm, against the round, with 95 % intervals.

    `draw` explains the choices; the time axis is logarithmic unless ``log`` is "none".

    Raises:
        BadParameter: ``log`` or ``band`` is wrong, or there is no such agent or environment.
        NotLogged: No population was played by an agent that says which arms its learners hold.
        RunFolderError: No replication is finished yet.
    """
    log_t, _ = log_axes(log, "x", {"y": "shares begin at 0"})
    check_band(band)
    cells = [facts for facts in opened.select(agents, environments).cells if facts.n_learners is not None]
    if not cells:
        raise NotLogged("no arm spreads where one learner plays alone")
    cells = [facts for facts in cells if opened.logs(facts, "holders")]
    bands = {facts.cell: over_time(opened, facts, band, "holders") for facts in cells}
    cells = [facts for facts in cells if bands[facts.cell].replications]
    if not cells:
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    labels = list(dict.fromkeys(facts.agent for facts in cells))
    grid = Grid.of(list(dict.fromkeys(facts.environment for facts in cells)), labels)
    for facts in cells:
        panel, share = grid.panels[facts.environment], scaled(bands[facts.cell], 1 / (facts.n_learners or 1))
        draw_band(panel, share, labels.index(facts.agent), facts.agent)
        if log_t:
            panel.set_xscale("log")
        panel.set_ylim(0, 1.03)
        panel.set_xlabel("round t")
        panel.set_ylabel("share that holds the best arm")
        if len(share.t) > 1:
            panel.set_xlim(share.t[0], share.t[-1])
    for environment in grid.panels:
        grid.head(environment)
    replications = max(found.replications for found in bands.values())
    return grid.finish(explained("share of learners who hold their bandit's best arm", band, replications))
