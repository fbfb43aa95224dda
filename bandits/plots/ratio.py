"""Mean regret over the lower bound, against the logarithm of the round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import Band, Log
from ..cells import CellFacts
from ..errors import BadParameter, NotLogged, RunFolderError
from .against import draw_against
from .bands import check_band, draw_band, explained, over_time, scaled
from .heights import limit_height
from .panels import Grid, log_axes
from .style import current
from .theory import no_ratio

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_ratio"]

ONE = "the bound: ratio 1"


def draw_ratio(
    opened: Log,
    *,
    agents: Sequence[str] | None = None,
    environments: Sequence[str] | None = None,
    log: str = "auto",
    band: str = "t",
    against: str | None = None,
    at: int | None = None,
) -> Figure:
    """``R_t / (C ln t)`` against ln t, a pointwise 95 % interval for it, and the line at 1; see `Log.ratio`.

    An optimal policy comes down to 1 as t grows; lower-order terms keep the ratio above or below for long.

    With ``against``, the ratio at one round is drawn against a parameter instead: see `draw_against`. `draw` explains
    the choices.

    Raises:
        BadParameter: ``log`` or ``band`` is wrong, or the run has no such agent, environment or parameter.
        NotLogged: No environment has a bound that is known and positive.
        RunFolderError: No replication is finished yet.
    """
    if against is not None:
        chosen = {"agents": agents, "environments": environments}
        return draw_against(opened, against, ratio=True, log=log, band=band, at=at, **chosen)
    if at is not None:
        raise BadParameter("at goes with against: the ratio over the rounds shows them all")
    log_t, log_y = log_axes(log, "x")
    check_band(band)
    cells = opened.select(agents, environments).cells
    bands: dict[str, Band] = {}
    missing: dict[str, str] = {}
    for facts in cells:
        if reason := no_ratio(facts):
            missing[facts.environment] = reason
        elif (found := over_time(opened, facts, band)).replications:
            bands[facts.cell] = _over_bound(found, facts)
    listed = "; ".join(f"{environment} ({reason})" for environment, reason in missing.items())
    if not bands:
        if missing:
            raise NotLogged(f"there is no ratio to draw without a positive lower bound: {listed}")
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    drawn = [facts for facts in cells if facts.cell in bands]
    labels = list(dict.fromkeys(facts.agent for facts in cells))
    grid = Grid.of(list(dict.fromkeys(facts.environment for facts in drawn)), [*labels, ONE])
    for environment, panel in grid.panels.items():
        here = [facts for facts in drawn if facts.environment == environment]
        _draw_panel(panel, {facts.agent: bands[facts.cell] for facts in here}, labels, log_t, log_y)
        bound = here[0].bound
        assert bound is not None
        grid.head(environment, "" if bound.constant != bound.constant else f"C = {bound.constant:.4g}")
    replications = max(found.replications for found in bands.values())
    title = explained("regret over the lower bound", band, replications)
    return grid.finish(title, [f"Not shown: {listed}"] if listed else [])


def _over_bound(band: Band, facts: CellFacts) -> Band:
    """From round 10 on: earlier, ln t is so small that the ratio says nothing."""
    late = band.t >= min(10, facts.horizon)
    assert facts.bound is not None
    cut = replace(band, t=band.t[late], middle=band.middle[late], low=band.low[late], high=band.high[late])
    with np.errstate(divide="ignore", invalid="ignore"):
        return scaled(cut, 1.0 / facts.bound.at(cut.t))


def _draw_panel(panel: Any, bands: dict[str, Band], labels: list[str], log_t: bool, log_y: bool) -> None:
    for agent, band in bands.items():
        draw_band(panel, band, labels.index(agent), agent)
    panel.axhline(1.0, color="black", linestyle="--", linewidth=0.75 * current().line, label=ONE)
    t = next(iter(bands.values())).t
    if log_t:
        panel.set_xscale("log")
    if len(t) > 1:
        panel.set_xlim(t[0], t[-1])
    panel.set_xlabel("round t")
    panel.set_ylabel("regret / bound")
    if log_y:
        panel.set_yscale("log")
    else:
        limit_height(panel, {agent: band.middle for agent, band in bands.items()}, least=1.2)
