"""Paired difference of regret from a reference agent, against the round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import Band, Log, band_of
from ..cells import CellFacts, choose
from ..errors import BadParameter, NotLogged, RunFolderError
from ..significance import gaps
from .bands import check_band, draw_band, explained
from .heights import limit_height
from .panels import Grid, log_axes
from .style import wrapped
from .theory import stationary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_difference"]


def draw_difference(
    opened: Log,
    *,
    agents: Sequence[str] | None = None,
    environments: Sequence[str] | None = None,
    log: str = "auto",
    band: str = "t",
    reference: str | None = None,
) -> Figure:
    """Regret of each agent minus that of a reference in the same replication, against the round, with its band.

    Agents share the noise of a replication, so the band is that of the paired difference, often a fraction of either
    agent's own: where it leaves 0 out, the two differ at that round.

    By default the reference is the agent of least mean regret at the end, on each environment; one that is named need
    not be among ``agents``. `draw` explains the choices; ``log`` is "auto", "x" or "none".

    Raises:
        BadParameter: There is no such agent or it stands for several, agents do not share their noise, or ``log`` or
            ``band`` is wrong.
        NotLogged: No environment has two agents.
        RunFolderError: No replication is finished by two agents.
    """
    log_axes(log, "", {"y": "differences have both signs"})
    check_band(band)
    everybody = opened.select(None, environments)
    shown = {facts.cell for facts in everybody.select(agents).cells}
    found: dict[str, tuple[CellFacts, list[tuple[CellFacts, Band]]]] = {}
    missing = []
    for environment in dict.fromkeys(facts.environment for facts in everybody.cells):
        cells = [facts for facts in everybody.cells if facts.environment == environment]
        other = _reference(opened, cells, reference, shown)
        if other is None:
            missing.append(f"{environment} ({reference} did not play)")
            continue
        rest = [facts for facts in cells if facts.cell in shown and facts.cell != other.cell]
        if rest:
            found[environment] = other, [(facts, _difference(opened, facts, other, band)) for facts in rest]
    if not found:
        raise NotLogged("there is no difference to draw: no environment has two of the agents")
    if not (most := max(b.replications for _, pairs in found.values() for _, b in pairs)):
        raise RunFolderError("there is nothing to draw: no replication is finished by two agents yet")
    labels = list(dict.fromkeys(facts.agent for facts in opened.cells))
    grid = Grid.of(list(found), labels)
    for environment, panel in grid.panels.items():
        other, pairs = found[environment]
        _draw_panel(panel, other, [(f, b) for f, b in pairs if b.replications], labels, log)
        grid.head(environment)
    notes = [] if reference else ["Reference: the agent of least mean regret at the end"]
    notes += [f"Not shown: {'; '.join(missing)}"] if missing else []
    return grid.finish(explained("paired difference of regret", band, most), notes)


def _reference(opened: Log, cells: list[CellFacts], name: str | None, shown: set[str]) -> CellFacts | None:
    """The agent to compare with on one environment; None where it did not play."""
    if name is None:
        means = {facts.cell: float(opened.curve(facts).mean[-1]) for facts in cells if facts.cell in shown}
        known = [facts for facts in cells if not np.isnan(means.get(facts.cell, np.nan))]
        return min(known, key=lambda facts: means[facts.cell], default=None) or cells[0]
    choose(opened.cells, [name])  # says what there is
    found = [facts for facts in cells if facts.agent == name] or _called(cells, name)
    if len(found) > 1:
        raise BadParameter(f"reference {name} stands for {', '.join(facts.agent for facts in found)}: name one of them")
    return found[0] if found else None


def _called(cells: list[CellFacts], name: str) -> list[CellFacts]:
    try:
        return choose(cells, [name])
    except BadParameter:
        return []


def _difference(opened: Log, facts: CellFacts, other: CellFacts, kind: str) -> Band:
    """Band of the differences in the replications and at the rounds that both have."""
    if facts.noise != other.noise:
        raise BadParameter(
            f"{facts.agent} and {other.agent} were played with different seeds: their replications are no pairs"
        )
    mine, values = opened.values(facts)
    theirs, others = opened.values(other)
    _, i, j = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    t, k, m = np.intersect1d(facts.checkpoints, other.checkpoints, assume_unique=True, return_indices=True)
    apart = gaps(others[np.ix_(j, m)], values[np.ix_(i, k)])
    found = band_of(t, apart, "t" if kind == "none" else kind)  # type: ignore[arg-type]  # a kind with an interval
    nothing = np.full(t.size, np.nan)
    return Band(t, found.middle, nothing, nothing, "t", 0.95, len(apart)) if kind == "none" else found


def _draw_panel(panel: Any, other: CellFacts, pairs: list[tuple[CellFacts, Band]], labels: list[str], log: str) -> None:
    panel.axhline(0.0, color="black", linewidth=0.9)
    for facts, band in pairs:
        draw_band(panel, band, labels.index(facts.agent), facts.agent)
    log_t, _ = log_axes(log, "x" if stationary(other.bound) else "")
    if log_t:
        panel.set_xscale("log")
    if len(other.checkpoints) > 1:
        panel.set_xlim(other.checkpoints[0], other.checkpoints[-1])
    panel.set_xlabel("round t")
    panel.set_ylabel(wrapped(f"regret minus that of {other.agent}", 40) + "\n(above 0: worse; below: better)")
    least = min([0.0, *(float(np.nanmin(np.fmin(band.low, band.middle))) for _, band in pairs)])  # 0 stays in view
    limit_height(
        panel, {facts.agent: band.middle for facts, band in pairs}, least=0.1 * -least, lowest=1.08 * least, wide=0.6
    )
