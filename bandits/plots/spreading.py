"""How a bandit's best arm spreads among the learners of a population."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..analysis import Curve, Log
from ..errors import NotLogged, RunFolderError
from .panels import Grid, draw_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_spreading"]


def draw_spreading(
    opened: Log, *, agents: Sequence[str] | None = None, environments: Sequence[str] | None = None
) -> Figure:
    """Mean share of learners who may play their bandit's best arm, against the round, with 95 % intervals.

    Raises:
        NotLogged: No population was played by an agent that says which arms its learners hold.
        RunFolderError: No replication is finished yet.
    """
    cells = [facts for facts in opened.select(agents, environments).cells if facts.n_learners is not None]
    if not cells:
        raise NotLogged("no arm spreads where one learner plays alone")
    cells = [facts for facts in cells if opened.logs(facts, "holders")]
    curves = {facts.cell: opened.curve(facts, "holders") for facts in cells}
    curves = {cell: curve for cell, curve in curves.items() if curve.replications}
    if not curves:
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    cells = [facts for facts in cells if facts.cell in curves]
    labels = list(dict.fromkeys(facts.agent for facts in cells))
    grid = Grid.of(list(dict.fromkeys(facts.environment for facts in cells)), labels)
    for facts in cells:
        panel, curve, n = grid.panels[facts.environment], curves[facts.cell], facts.n_learners or 1
        share = Curve(curve.t, curve.mean / n, curve.half_width / n, curve.sd / n, curve.replications)
        draw_curve(panel, share, labels.index(facts.agent), facts.agent)
        panel.set_xscale("log")
        panel.set_ylim(0, 1.03)
        panel.set_xlabel("round t")
        panel.set_ylabel("share that holds the best arm")
        if len(curve.t) > 1:
            panel.set_xlim(curve.t[0], curve.t[-1])
    for environment in grid.panels:
        grid.head(environment)
    replications = max(curve.replications for curve in curves.values())
    return grid.finish(f"Learners who hold their bandit's best arm; bands: 95 % over {replications:,} replications")
