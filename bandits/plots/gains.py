"""Dots and intervals: how much better than the reference each arm of a neural run is, by metric and task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..comparison import Comparison, Gain, gains_over, reference_of
from ..errors import NotLogged
from ..neural.log import NeuralLog
from .style import line_style, plain_text, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_gains"]

_ROW, _LINE = 0.24, 0.11  # inches of an arm, and of each further line of its label
_LETTERS = 44  # of a line of a label
_FAR = 6  # an arm this many times as far from the reference as half of them are stands at the edge


def draw_gains(opened: NeuralLog) -> Figure:
    """Paired difference of each arm to the reference of its task, with its 95 % interval; right of 0 is better.

    A row of panels for each metric of which it is known which way is better, a column for each task. Controls are grey
    squares; where an arm lies far outside, an arrow at the edge says where. Hollow dots are not separated from the
    reference at 5 %, corrected by Holm.

    Raises:
        NotLogged: The run has no reference.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    arms = opened.arms()
    controls = {(arm.task, arm.label) for arm in arms if arm.first.control}
    panels: dict[tuple[str, str], tuple[str, dict[str, Gain]]] = {}
    groups: dict[str, list[Comparison]] = {}
    for one in opened.comparisons():
        groups.setdefault(one.environment, []).append(one)
    for name, pairs in groups.items():
        reference = reference_of(pairs)
        if reference is not None and pairs[0].judged:
            metric = pairs[0].column
            task = name.removeprefix(metric).removeprefix(", ")
            panels[metric, task] = (reference, gains_over(pairs, reference))
    if not panels:
        raise NotLogged("there is no arm that others are compared with")
    metrics, tasks = (list(dict.fromkeys(key[i] for key in panels)) for i in (0, 1))
    most = max(len(gains) for _, gains in panels.values())
    lines = max(wrapped(name, _LETTERS).count("\n") for _, gains in panels.values() for name in gains)
    height = (_ROW + _LINE * lines) * most + 1.0
    figure = Figure(figsize=(6.2 * len(tasks), height * len(metrics)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(metrics), len(tasks), squeeze=False)
    for i, metric in enumerate(metrics):
        for j, task in enumerate(tasks):
            if (metric, task) not in panels:
                axes[i, j].set_axis_off()
                continue
            reference, gains = panels[metric, task]
            order = [arm.label for arm in arms if arm.task == task and arm.label in gains]
            _draw(axes[i, j], [(one, gains[one], (task, one) in controls) for one in order])
            axes[i, j].set_title(plain_text(task) if task else "", fontsize=9)
            axes[i, j].set_xlabel(wrapped(f"{metric}: better than {reference} by", 56), fontsize=8)
    return figure


def _draw(axis: Any, rows: Sequence[tuple[str, Gain, bool]]) -> None:
    """One panel, the first arm on top."""
    left, right = _limits([gain for _, gain, control in rows if not control] or [gain for _, gain, _ in rows])
    axis.axvline(0, color="black", linewidth=0.8)
    colour = line_style(0)["color"]
    for y, (_, gain, control) in enumerate(rows):
        style: dict[str, Any] = {"color": "#7F7F7F" if control else colour}
        if not left <= gain.mean <= right:
            edge, side = (right, "right") if gain.mean > right else (left, "left")
            axis.plot([edge], [y], marker=">" if side == "right" else "<", **style, clip_on=False)
            place: dict[str, Any] = {
                "xytext": (-8 if side == "right" else 8, 0),
                "textcoords": "offset points",
                "va": "center",
            }
            axis.annotate(f"{gain.mean:+.3g}", (edge, y), **place, ha=side, fontsize=7, color=style["color"])
            continue
        if not math.isnan(gain.low):
            axis.plot([gain.low, gain.high], [y, y], **style, linewidth=1.4, solid_capstyle="butt")
        fill = style["color"] if gain.separated else "white"
        axis.plot([gain.mean], [y], marker="s" if control else "o", markersize=5, markerfacecolor=fill, **style)
    axis.set(xlim=(left, right), ylim=(len(rows) - 0.4, -0.6), yticks=range(len(rows)))
    axis.set_yticklabels([wrapped(name, _LETTERS) for name, _, _ in rows], fontsize=7)
    axis.tick_params(axis="x", labelsize=7)
    axis.grid(axis="x", linewidth=0.3)


def _limits(gains: Sequence[Gain]) -> tuple[float, float]:
    """Range of the intervals and 0, with a margin; arms far outside do not stretch it."""
    far = _FAR * sorted(abs(one.mean) for one in gains)[len(gains) // 2]
    gains = [one for one in gains if abs(one.mean) <= far] or gains
    ends = [0.0, *(end for one in gains for end in (one.mean, one.low, one.high) if not math.isnan(end))]
    margin = 0.08 * (max(ends) - min(ends)) or 1.0
    return min(ends) - margin, max(ends) + margin
