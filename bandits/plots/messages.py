"""What messages buy: regret of a population at the horizon against the messages that its learners exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..analysis import Log
from ..errors import NotLogged, RunFolderError
from .panels import Grid
from .style import line_style, plain_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_messages"]

_MARKERS = ["o", "s", "^", "D", "v", "P", "X"]


def draw_messages(
    opened: Log, *, agents: Sequence[str] | None = None, environments: Sequence[str] | None = None
) -> Figure:
    """Mean group regret by the horizon, with a 95 % interval, against the mean number of messages: a point per agent.

    The axis of messages is logarithmic above 10, so that agents without messages have a place.

    Raises:
        NotLogged: The run has no population.
        RunFolderError: No replication is finished yet.
    """
    cells = [facts for facts in opened.select(agents, environments).cells if facts.n_learners is not None]
    cells = [facts for facts in cells if opened.logs(facts, "messages")]
    if not cells:
        raise NotLogged("nobody exchanges messages where one learner plays alone")
    labels = list(dict.fromkeys(facts.agent for facts in cells))
    grid = Grid.of(list(dict.fromkeys(facts.environment for facts in cells)), labels)
    most = 0
    for facts in cells:
        regret, messages = opened.curve(facts), opened.curve(facts, "messages")
        if not regret.replications:
            continue
        most = max(most, regret.replications)
        i = labels.index(facts.agent)
        half = regret.half_width[-1:] if regret.replications > 1 else None
        grid.panels[facts.environment].errorbar(
            messages.mean[-1:],
            regret.mean[-1:],
            yerr=half,
            color=line_style(i)["color"],
            marker=_MARKERS[i % len(_MARKERS)],
            linestyle="none",
            capsize=3,
            label=plain_text(facts.agent),
        )
    if not most:
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    for environment, panel in grid.panels.items():
        panel.set_xscale("symlog", linthresh=10)
        panel.set_xlim(left=-1)
        panel.set_ylim(bottom=0)
        panel.set_xlabel("messages of all learners")
        panel.set_ylabel("regret of all learners")
        grid.head(environment)
    horizon = max(facts.horizon for facts in cells)
    title = f"Regret at T = {horizon:,} against messages; bars: 95 % over {most:,} replications"
    return grid.finish(title, ["What agents share outside the network, as centralised ones do, is not counted."])
