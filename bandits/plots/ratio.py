"""Mean regret over the lower bound, against the logarithm of the round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..analysis import Curve, Log
from ..cells import CellFacts
from ..errors import NotLogged, RunFolderError
from .panels import Grid, draw_curve, limit_height

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_ratio"]

ONE = "the bound: ratio 1"


def draw_ratio(
    opened: Log, *, agents: Sequence[str] | None = None, environments: Sequence[str] | None = None
) -> Figure:
    """``R_t / (C ln t)`` against ln t, a pointwise 95 % interval for it, and the line at 1; see `Log.ratio`.

    An optimal policy comes down to 1 as t grows; lower-order terms keep the ratio above or below for long.

    Raises:
        NotLogged: No environment has a bound that is known and positive.
        RunFolderError: No replication is finished yet.
    """
    cells = opened.select(agents, environments).cells
    curves: dict[str, Curve] = {}
    missing: dict[str, str] = {}
    for facts in cells:
        reason = _reason(facts)
        if reason:
            missing[facts.environment] = reason
        elif (curve := opened.ratio(facts)) is not None and curve.replications:
            curves[facts.cell] = curve
    listed = "; ".join(f"{environment} ({reason})" for environment, reason in missing.items())
    if not curves:
        if missing:
            raise NotLogged(f"there is no ratio to draw without a positive lower bound: {listed}")
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    drawn = [facts for facts in cells if facts.cell in curves]
    labels = list(dict.fromkeys(facts.agent for facts in cells))
    grid = Grid.of(list(dict.fromkeys(facts.environment for facts in drawn)), [*labels, ONE])
    for environment, panel in grid.panels.items():
        here = [facts for facts in drawn if facts.environment == environment]
        _draw_panel(panel, {facts.agent: curves[facts.cell] for facts in here}, labels)
        bound = here[0].bound
        assert bound is not None
        grid.head(environment, "" if bound.constant != bound.constant else f"C = {bound.constant:.4g}")
    replications = max(curve.replications for curve in curves.values())
    title = f"Mean regret over the lower bound; bands: 95 % intervals over {replications:,} replications"
    return grid.finish(title, [f"Not shown: {listed}"] if listed else [])


def _reason(facts: CellFacts) -> str:
    """Why there is no ratio, or nothing."""
    if facts.bound is None:
        return "no bound is known"
    return "" if facts.bound.at(facts.checkpoints[-1:])[0] > 0 else "the bound is 0"


def _draw_panel(panel: Any, curves: dict[str, Curve], labels: list[str]) -> None:
    for agent, curve in curves.items():
        draw_curve(panel, curve, labels.index(agent), agent)
    panel.axhline(1.0, color="black", linestyle="--", linewidth=1.2, label=ONE)
    t = next(iter(curves.values())).t
    panel.set_xscale("log")
    if len(t) > 1:
        panel.set_xlim(t[0], t[-1])
    panel.set_xlabel("round t")
    panel.set_ylabel("regret / bound")
    limit_height(panel, curves, least=1.2)
