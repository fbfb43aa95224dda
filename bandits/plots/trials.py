"""Figures of neural runs: metrics against steps, and the tensors that trials kept, as images or as series."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..errors import NotLogged
from ..neural.log import NeuralLog, TrialFacts
from ..statistics import mean_interval
from .style import line_style, plain_text, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_kept", "draw_steps"]

MOST_ROWS = 40  # pictures are for looking at; the tensors are all in the run folder
MOST_COLUMNS = 8
PHOTOGRAPH = 64  # pixels on a side from which an image is drawn larger
DASHES = {"solid": "-", "dashed": "--", "dotted": ":", "dash-dotted": "-."}


def draw_steps(opened: NeuralLog) -> Figure:
    """Mean of each metric that was logged at several steps, with its pointwise 95 % interval, against the step.

    Raises:
        NotLogged: Every metric was logged once.
    """
    curves: dict[str, list[tuple[str, NDArray[Any], Any]]] = {}
    labels = opened.short_labels()[0]
    for facts in opened.trials:
        for metric, (steps, values) in _series(opened, facts).items():
            curves.setdefault(metric, []).append((labels[facts.cell], steps, mean_interval(values)))
    if not curves:
        raise NotLogged("every metric was logged at one step only: there is no curve to draw")
    names = list(labels.values())
    figure, axes = _panels(len(curves), 1, (7.2, 3.2))
    for axis, (metric, found) in zip(axes[:, 0], curves.items(), strict=True):
        for trial, steps, interval in found:
            style = line_style(names.index(trial))
            axis.plot(steps, interval.mean, label=plain_text(trial), **style)
            axis.fill_between(steps, interval.low, interval.high, color=style["color"], alpha=0.2, linewidth=0)
        axis.set(xlabel="step", ylabel=plain_text(metric))
        axis.legend(fontsize=8)
    return figure


def _series(opened: NeuralLog, facts: TrialFacts) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Of each metric with several steps, which all finished replications share: the steps (S,) and values (R, S)."""
    rows, found = opened.rows(facts), {}
    for metric in opened.metrics(facts):
        mine = rows.filter(pc.equal(rows["metric"], metric))
        steps, count = np.unique(mine["step"].to_numpy(), return_counts=True)
        if len(steps) > 1 and (count == count[0]).all():
            order = np.lexsort((mine["step"].to_numpy(), mine["replication"].to_numpy()))
            found[metric] = (steps, mine["value"].to_numpy()[order].reshape(-1, len(steps)))
    return found


def draw_kept(opened: NeuralLog) -> Figure:
    """The tensors that trials kept: a row for each trial and tensor, a column for each replication.

    (1, H, W) and (3, H, W) are images of values in [-1, 1]; others are series, (L,) or (L, C). A tensor that several
    trials have in common, such as the truth, has one row. What is left out is said at the foot.

    Raises:
        NotLogged: No trial kept any.
    """
    found = kept_rows(opened)
    if not found:
        raise NotLogged("no trial kept a tensor")
    rows = found[:MOST_ROWS]
    columns = min(MOST_COLUMNS, max(len(kept) for _, kept in rows))
    drawn = [_image(tensor) for _, kept in rows for tensor in kept.values()]
    side = 1.0 if all(image is None or len(image) < PHOTOGRAPH for image in drawn) else 2.0
    images = all(image is not None for image in drawn)
    figure, axes = _panels(len(rows), columns, (side, side) if images else (2.0, 1.2))
    for line, (label, kept) in zip(axes, rows, strict=True):
        _draw_row(line, kept)
        line[0].set_ylabel(wrapped(label + _dashes_in_words(kept), 28), rotation=0, ha="right", va="center", fontsize=7)
    if len(found) > len(rows):
        figure.supxlabel(f"{len(rows)} of {len(found)} rows; the run folder has them all", fontsize=7)
    return figure


def kept_rows(opened: NeuralLog) -> list[tuple[str, dict[int, NDArray[np.float64]]]]:
    """Different tensors that trials kept, with whose they are; of a trial, those that it shares come first."""
    labels, found = opened.short_labels()[0], dict[Any, tuple[str, list[int], dict[int, NDArray[np.float64]]]]()
    for number, facts in enumerate(opened.trials):
        for name, kept in opened.kept(facts).items():
            same = (name, *((r, tensor.shape, sha256(tensor.tobytes()).digest()) for r, tensor in sorted(kept.items())))
            found.setdefault(same, (name, [], kept))[1].append(number)
    rows = []
    for name, whose, kept in sorted(found.values(), key=lambda row: (row[1][0], -len(row[1]))):
        first = labels[opened.trials[whose[0]].cell]
        more = f" and {len(whose) - 1} more" if len(whose) > 1 else ""
        everyone = len(whose) == len(opened.trials) > 1
        rows.append((f"{name} (every trial)" if everyone else f"{name}: {first}{more}", kept))
    return rows


def _draw_row(line: Any, kept: Mapping[int, NDArray[np.float64]]) -> None:
    for axis in line:
        axis.set(xticks=[], yticks=[], frame_on=False)
    for axis, (replication, tensor) in zip(line, sorted(kept.items()), strict=False):
        if (image := _image(tensor)) is not None:
            axis.imshow(image, cmap="gray", vmin=0.0, vmax=1.0)
        else:
            _draw_series(axis, tensor.reshape(len(tensor), -1) if tensor.ndim else tensor.reshape(1, 1))
        axis.set_title(f"replication {replication}", fontsize=7)


def _draw_series(axis: Any, series: NDArray[np.float64]) -> None:
    """Draw (L, C) with its scale; where there are few, each has dashes of its own, in their order."""
    from matplotlib.ticker import MaxNLocator

    dashes = tuple(DASHES.values()) if 1 < series.shape[1] <= len(DASHES) else ("-",) * series.shape[1]
    for values, dash in zip(series.T, dashes, strict=False):
        axis.plot(values, dash, linewidth=0.8)
    axis.set_xticks([0, max(1, len(series) - 1)])
    axis.yaxis.set_major_locator(MaxNLocator(2))
    axis.tick_params(labelsize=6, length=2)


def _dashes_in_words(kept: Mapping[int, NDArray[np.float64]]) -> str:
    """Which line is which, where a panel has a few: " (solid, dashed)"."""
    tensor = next(iter(kept.values()))
    several = tensor.ndim == 2 and 1 < tensor.shape[1] <= len(DASHES)
    return f" ({', '.join(list(DASHES)[: tensor.shape[1]])})" if several else ""


def _image(tensor: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Values in [0, 1], (H, W) or (H, W, 3); None for what is no image."""
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        return None
    tensor = tensor[0] if tensor.shape[0] == 1 else np.moveaxis(tensor, 0, -1)
    return np.clip((tensor + 1) / 2, 0.0, 1.0)


def _panels(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] * columns + 1.5, size[1] * rows + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)
