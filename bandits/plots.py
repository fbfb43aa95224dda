"""Figures from logs: mean regret with confidence bands and the lower bound, one panel per environment."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .analysis import CellFacts, Curve, Log, load
from .errors import BadParameter, RunFolderError, UsageError, did_you_mean
from .tables import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_regret", "save_regret"]

# Okabe and Ito's palette: told apart by the colour-blind; line styles tell it apart in print.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F"]
STYLES: list[Any] = ["-", (0, (5, 2)), (0, (1, 1.2)), (0, (4, 1.5, 1, 1.5))]

Axes = Literal["auto", "x", "y", "xy", "none"]


def save_regret(
    place: str | Path, out: Path | None = None, *, agents: Sequence[str] | None = None, log: str = "auto"
) -> Path:
    """Draw a run's regret into a file and return its path.

    Args:
        place: Run folder.
        out: PNG, SVG or PDF; by default ``figures/regret.png`` in the run folder.
        agents: Labels or names of agents to draw; by default all.
        log: Logarithmic axes: "auto", "x", "y", "xy" or "none".
    """
    opened = load(place)
    if out is None:
        if opened.folder is None or not opened.folder.is_local:
            raise UsageError(f"{place} is not on this machine: say where the figure goes with --out")
        root = opened.folder.path if "://" in str(place) else Path(place)
        out = root / "figures" / "regret.png"
    out = Path(out)
    if out.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise BadParameter(f"a figure ends in .png, .svg or .pdf, got {out}")
    figure = draw_regret(opened, agents=agents, log=log)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, dpi=150)
    except OSError as error:
        raise RunFolderError(f"cannot write {out}: {error.strerror}. Choose another --out.") from error
    return out


def draw_regret(opened: Log, *, agents: Sequence[str] | None = None, log: str = "auto") -> Figure:
    """Mean cumulative regret against the round, a pointwise 95 % interval for the mean, and the bound.

    "auto" takes a logarithmic time axis where a stationary lower bound is known: there, regret that is optimal to
    first order is a straight line as steep as the bound.
    """
    if log not in ("auto", "x", "y", "xy", "none"):
        raise BadParameter(f"log must be auto, x, y, xy or none, got '{log}'")
    cells = _chosen(opened, agents)
    curves = {facts.cell: opened.curve(facts) for facts in cells}
    if not any(curve.replications for curve in curves.values()):
        raise RunFolderError("there is nothing to draw: no replication is finished yet")
    environments = list(dict.fromkeys(facts.environment for facts in cells))
    labels = list(dict.fromkeys(facts.agent for facts in cells))

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(len(environments), 2)
    rows = -(-len(environments) // columns)
    width = 5.6 * columns + (2.0 if columns == 1 else 0.4)
    names = [*labels, *(facts.bound.name for facts in cells if facts.bound is not None)]
    legend_columns = max(1, min(4, int(12 * width / (max(map(len, names)) + 7))))  # about 12 letters to the inch
    legend_rows = -(-(len(labels) + 1) // legend_columns)
    figure = Figure(figsize=(width, 3.9 * rows + 0.24 * legend_rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(environments) :]:
        panel.set_visible(False)
    for panel, environment in zip(panels, environments, strict=False):
        here = [facts for facts in cells if facts.environment == environment]
        _draw_panel(panel, here, curves, labels, log)
        panel.set_title(_wrapped(environment), fontsize=10)
    handles = {h.get_label(): h for panel in panels for h in panel.get_legend_handles_labels()[0]}
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=legend_columns, frameon=False, fontsize=9
    )
    replications = max(curve.replications for curve in curves.values())
    figure.suptitle(f"Mean regret; bands: 95 % intervals for the mean over {replications:,} replications", fontsize=11)
    return figure


def _draw_panel(panel: Any, cells: Sequence[CellFacts], curves: dict[str, Curve], labels: list[str], log: str) -> None:
    last = {facts.agent: float(curves[facts.cell].mean[-1]) for facts in cells if curves[facts.cell].replications}
    top = _top(list(last.values()))
    for facts in cells:
        curve = curves[facts.cell]
        if not curve.replications:
            continue
        i = labels.index(facts.agent)
        style = {"color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i // len(COLOURS) % len(STYLES)]}
        panel.plot(curve.t, curve.mean, label=_plain_text(facts.agent), linewidth=1.6, **style)
        if curve.replications > 1:
            low, high = curve.mean - curve.half_width, curve.mean + curve.half_width
            panel.fill_between(curve.t, low, high, color=style["color"], alpha=0.18, linewidth=0)
    bound = next((facts.bound for facts in cells if facts.bound is not None), None)
    if bound is not None:
        t = cells[0].checkpoints
        panel.plot(t, bound.at(t), color="black", linestyle="--", linewidth=1.2, label=bound.name)
    stationary = bound is not None and len(bound.starts) == 1
    if "x" in log or (log == "auto" and stationary):
        panel.set_xscale("log")
    if "y" in log.replace("auto", "") and top > 0 and any(value > 0 for value in last.values()):
        panel.set_yscale("log")
    else:
        panel.set_ylim(0, top)
        leaving = [f"{agent} {number(value, 3)}" for agent, value in last.items() if value > top]
        if leaving:
            text = "leaving the panel: " + ", ".join(leaving)
            panel.text(0.02, 0.98, textwrap.fill(text, 46), transform=panel.transAxes, va="top", fontsize=8)
    if len(cells[0].checkpoints) > 1:
        panel.set_xlim(cells[0].checkpoints[0], cells[0].checkpoints[-1])
    panel.set_xlabel("round t")
    panel.set_ylabel("cumulative regret")
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def _top(last: list[float]) -> float:
    """Upper end of the axis: the worst final regret, unless it dwarfs the others (four times the median)."""
    near = [value for value in last if value <= 4.0 * statistics.median(last)] or last
    return 1.08 * max(near, default=0.0) or 1.0


def _chosen(opened: Log, agents: Sequence[str] | None) -> list[CellFacts]:
    if agents is None:
        return opened.cells
    labels = {facts.agent for facts in opened.cells}
    known = labels | {label.partition("(")[0] for label in labels}
    for name in agents:
        if name not in known:
            raise BadParameter(f"no agent of this run is called '{name}'.{did_you_mean(name, known)}")
    return [f for f in opened.cells if f.agent in agents or f.agent.partition("(")[0] in agents]


def _wrapped(title: str, width: int = 64) -> str:
    return _plain_text("\n".join(textwrap.wrap(title, width)))


def _plain_text(text: str) -> str:
    """Text that matplotlib shows as it is: no mathematics, and no hiding of labels that begin with an underscore."""
    return text.replace("$", r"\$") if not text.startswith("_") else "\u200b" + text.replace("$", r"\$")
