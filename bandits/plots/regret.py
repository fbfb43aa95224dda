"""Mean cumulative regret against the round, with the lower bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import Curve, Log
from ..cells import CellFacts
from ..errors import BadParameter, RunFolderError
from ..protocol import Bound
from .panels import Grid, draw_curve, limit_height

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bound_name", "draw_regret"]

_BOUND_STYLES = ["--", ":", "-."]


def draw_regret(
    opened: Log,
    *,
    agents: Sequence[str] | None = None,
    environments: Sequence[str] | None = None,
    log: str = "auto",
) -> Figure:
    """Mean cumulative regret against the round, a pointwise 95 % interval for the mean, and the bound.

    "auto" takes a logarithmic time axis where a stationary lower bound is known: there, regret that is optimal to
    first order is a straight line as steep as the bound.

    Raises:
        BadParameter: ``log`` is none of "auto", "x", "y", "xy" and "none", or the run has no such agent or environment.
        RunFolderError: No replication is finished yet.
    """
    if log not in ("auto", "x", "y", "xy", "none"):
        raise BadParameter(f"log must be auto, x, y, xy or none, got '{log}'")
    cells = opened.select(agents, environments).cells
    curves = {facts.cell: opened.curve(facts) for facts in cells}
    if not any(curve.replications for curve in curves.values()):
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    labels = list(dict.fromkeys(facts.agent for facts in cells))
    bounds = [bound_name(bound) for facts in cells for bound in _bounds(facts)]
    grid = Grid.of(list(dict.fromkeys(facts.environment for facts in cells)), [*labels, *bounds])
    for environment, panel in grid.panels.items():
        here = [facts for facts in cells if facts.environment == environment]
        _draw_panel(panel, here, curves, labels, log)
        grid.head(environment, _remark(here[0].bound))
    replications = max(curve.replications for curve in curves.values())
    return grid.finish(f"Mean regret; bands: 95 % intervals for the mean over {replications:,} replications")


def _bounds(facts: CellFacts) -> list[Bound]:
    return [*([] if facts.bound is None else [facts.bound]), *facts.more_bounds]


def bound_name(bound: Bound) -> str:
    """Legend entry of a bound."""
    return f"{bound.name}, C ln t" if len(bound.starts) == 1 else bound.name


def _remark(bound: Bound | None) -> str:
    if bound is None or np.isnan(bound.constant):
        return ""
    return f"C = {bound.constant:.4g}" if bound.constant else "C = 0: o(ln t) can be had"


def _draw_panel(panel: Any, cells: Sequence[CellFacts], curves: dict[str, Curve], labels: list[str], log: str) -> None:
    shown: dict[str, Curve] = {}
    for facts in cells:
        if (curve := curves[facts.cell]).replications:
            draw_curve(panel, curve, labels.index(facts.agent), facts.agent)
            shown[facts.agent] = curve
    bound = cells[0].bound
    theory = {}
    for line, style in zip(_bounds(cells[0]), _BOUND_STYLES, strict=False):
        t, value = cells[0].checkpoints, line.at(cells[0].checkpoints)
        theory[line.name] = float(value[-1])
        panel.plot(t, value, color="black", linestyle=style, linewidth=1.2, label=bound_name(line))
    panel.set_xlabel("round t")
    panel.set_ylabel("cumulative regret" if cells[0].n_learners is None else "cumulative regret of all learners")
    if "x" in log or (log == "auto" and bound is not None and len(bound.starts) == 1):
        panel.set_xscale("log")
    if len(cells[0].checkpoints) > 1:
        panel.set_xlim(cells[0].checkpoints[0], cells[0].checkpoints[-1])
    if "y" in log.replace("auto", "") and any(curve.mean[-1] > 0 for curve in shown.values()):
        panel.set_yscale("log")
    elif shown:
        limit_height(panel, shown, theory)
