"""Plays of each suboptimal arm at the horizon, beside those that the bound asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import Log
from ..cells import CellFacts
from ..errors import NotLogged, RunFolderError
from ..protocol import FloatArray, IntArray
from ..tables import number
from .bands import at_round, check_band, explained
from .panels import Grid
from .style import bar_style, current, plain_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_allocation"]

BOUND = "lower bound, c ln T"
MOST_ARMS = 10  # more than these are pooled
_BAR, _WIDTH, _HEIGHT = 0.05, 16.0, 2.9  # least width of a bar, widest figure, height of a panel, in inches


@dataclass(frozen=True)
class _Group:
    """Arms that share a place on the axis: one, or several whose plays are added up."""

    name: str
    arms: IntArray
    asked: float


def draw_allocation(
    opened: Log,
    *,
    agents: Sequence[str] | None = None,
    environments: Sequence[str] | None = None,
    band: str = "t",
    at: int | None = None,
) -> Figure:
    """Mean plays of each suboptimal arm by a round, with 95 % intervals, beside ``c ln T`` of the bound.

    Where there are many arms, those that the bound asks for most stand alone and the plays of the others are added up.

    `draw` explains the choices.

    Raises:
        BadParameter: The round was not recorded, ``band`` is wrong, or there is no such agent or environment.
        NotLogged: The run did not record pulls, or no environment's bound says which plays it asks for.
        RunFolderError: No replication is finished yet.
    """
    check_band(band)
    cells = opened.select(agents, environments).cells
    pulls = {facts.cell: opened.pulls(facts, at) for facts in cells}
    if not any(map(len, pulls.values())):
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    groups = {facts.environment: _groups(facts, at) for facts in cells}
    missing = {facts.environment: _reason(facts) for facts in cells if not groups[facts.environment]}
    listed = "; ".join(f"{environment} ({reason})" for environment, reason in missing.items())
    shown = [name for name, found in groups.items() if found]
    if not shown:
        raise NotLogged(f"there is no allocation to compare with: {listed}")
    labels = list(dict.fromkeys(facts.agent for facts in cells))
    bars = len(labels) + 1
    needed = max(3.6, 0.8 + max(len(groups[name]) for name in shown) * (bars + 2) * _BAR)
    columns = max(1, min(int(_WIDTH / needed), len(shown), 4))
    wide = max(needed, min(5.6, _WIDTH / columns))
    grid = Grid.of(shown, [BOUND, *labels], columns, (wide, _HEIGHT))
    for environment, panel in grid.panels.items():
        here = [facts for facts in cells if facts.environment == environment and len(pulls[facts.cell])]
        _draw_panel(panel, groups[environment], {facts.agent: pulls[facts.cell] for facts in here}, labels, band)
        grid.head(environment)
    rounds = {facts.checkpoint(at) for facts in cells}
    when = f" by {'T' if at is None else 't'} = {max(rounds):,}" if len(rounds) == 1 else ""
    title = explained(f"plays of suboptimal arms{when}", band, max(map(len, pulls.values())), "whiskers")
    return grid.finish(title, [f"Not shown: {listed}"] if listed else [])


def _groups(facts: CellFacts, at: int | None) -> list[_Group]:
    """Suboptimal arms in order; where there are many, the minor ones together at the end."""
    if facts.bound is None or facts.bound.allocation is None:
        return []
    asked = facts.bound.allocation * np.log(facts.checkpoint(at))
    arms = np.flatnonzero(~np.isnan(asked))
    alone = arms
    if arms.size > MOST_ARMS:
        major = arms[np.argsort(-asked[arms], kind="stable")][: MOST_ARMS - 1]
        alone = np.sort(major[asked[major] > 0])
    found = [_Group(f"arm {arm}", np.array([arm]), float(asked[arm])) for arm in alone]
    rest = np.setdiff1d(arms, alone)
    return [*found, _Group(f"{rest.size} others,\ntogether", rest, float(asked[rest].sum()))] if rest.size else found


def _reason(facts: CellFacts) -> str:
    """Why there is nothing to compare with."""
    if facts.bound is None:
        return "no bound is known"
    if facts.bound.allocation is None:
        return "the plays that its bound asks for are not known, or were not stored by an older version"
    return "every arm is optimal"


def _draw_panel(panel: Any, groups: list[_Group], pulls: dict[str, IntArray], labels: list[str], band: str) -> None:
    place, width = np.arange(len(groups), dtype=np.float64), 1.0 / (len(labels) + 3)
    left = place - 0.5 + 1.5 * width
    asked = np.array([group.asked for group in groups])
    panel.bar(left, asked, width, color="black", label=plain_text(BOUND))
    panel.hlines(asked, left + 0.5 * width, place + 0.5 - width, color="black", linewidth=0.8, linestyle=(0, (2, 2)))
    at: list[FloatArray] = []
    mean: list[FloatArray] = []
    ends: list[FloatArray] = []
    for agent, played in pulls.items():
        i = labels.index(agent)
        at.append(left + width * (1 + i))
        middle, low, high = at_round(_of_groups(played, groups).astype(np.float64), band)
        mean.append(middle)
        ends.append(np.stack([middle - low, high - middle]))
        panel.bar(at[-1], mean[-1], width, label=plain_text(agent), edgecolor="white", linewidth=0.0, **bar_style(i))
    places, means, arms = np.concatenate(at), np.concatenate(mean), np.concatenate(ends, axis=1)
    top = _top(asked, means, arms[1])
    panel.set_ylim(0, top)
    whole = means <= top
    cap = min(2.0, 30 * width)
    whiskers = np.nan_to_num(arms[:, whole])
    panel.errorbar(places[whole], means[whole], whiskers, fmt="none", ecolor="black", elinewidth=0.8, capsize=cap)
    _say_height(panel, np.append(places, left), np.append(means, asked), top)
    for x in left[asked == 0]:
        panel.text(x, 0, "0", ha="center", va="bottom", fontsize=current().sizes["small"])
    panel.set_xlim(-0.5, len(groups) - 0.5)
    panel.set_xticks(place, [group.name for group in groups])
    panel.tick_params(axis="x", length=0)
    panel.grid(axis="x", visible=False)
    panel.set_ylabel("plays")


def _of_groups(pulls: IntArray, groups: list[_Group]) -> IntArray:
    """Plays of each group, (R, G), of the plays of each arm, (R, K)."""
    return np.stack([pulls[:, group.arms].sum(axis=1) for group in groups], axis=1)


def _top(asked: FloatArray, mean: FloatArray, half: FloatArray) -> float:
    """Upper end of the axis: above all bars but those that dwarf the others, the bound's among them."""
    near = max(4.0 * float(np.median(mean)), min(3.0 * float(asked.max()), float(mean.max())))
    inside = float(mean[mean <= near].max(initial=0.0))
    whiskers = float((mean + np.nan_to_num(half))[mean <= near].max(initial=0.0))
    height = max(inside, min(whiskers, 1.3 * inside), float(asked[asked <= 2.0 * inside].max(initial=0.0)))
    return 1.08 * height or 1.08 * float(asked.max()) or 1.0


def _say_height(panel: Any, places: FloatArray, heights: FloatArray, top: float) -> None:
    """Write upon each bar that is cut how high it is."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.4}
    for x, height in zip(places, heights, strict=True):
        if height > top:
            text = number(height, 3)
            panel.text(
                x, 0.99 * top, text, rotation=90, ha="center", va="top", fontsize=current().sizes["small"] - 1, bbox=box
            )
