"""What the kinds of figures share: which cells they show, one panel for each environment, legend and title."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis import Curve
from ..tables import number
from .style import line_style, plain_text, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Grid", "draw_curve", "height_of", "limit_height"]


@dataclass(frozen=True)
class Grid:
    """A figure with one panel for each environment.

    Attributes:
        figure: The figure.
        panels: Axes of each environment, by its label.
        columns: Panels beside each other.
        names: Legend entries, in order.
    """

    figure: Figure
    panels: dict[str, Any]
    columns: int
    names: list[str]

    @classmethod
    def of(
        cls,
        environments: Sequence[str],
        names: Iterable[str],
        columns: int | None = None,
        size: tuple[float, float] | None = None,
    ) -> Grid:
        """Lay out the panels and leave room for the legend.

        Args:
            environments: Labels.
            names: Legend entries, in the order wanted.
            columns: Panels beside each other; by default more as there are more panels.
            size: Width and height of a panel in inches; by default smaller as there are more.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        many = len(environments)
        columns = columns or (1 if many == 1 else 2 if many <= 4 else 3 if many <= 9 else 4)
        columns = -(-many // -(-many // columns))  # no emptier last row than need be
        wide, high = size or {1: (7.2, 4.1), 2: (5.8, 3.9), 3: (4.7, 3.4), 4: (4.3, 3.1)}[columns]
        rows = -(-many // columns)
        names = list(dict.fromkeys(names))
        width = max(wide * columns, 7.2)
        legend_rows = -(-len(names) // _legend_columns(names, width))
        figure = Figure(figsize=(width, high * rows + 0.22 * legend_rows + 0.6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel in axes[many:]:
            panel.set_visible(False)
        panels = dict(zip(environments, axes, strict=False))
        for panel in panels.values():
            panel.grid(alpha=0.25, linewidth=0.6)
            panel.set_axisbelow(True)
            panel.spines[["top", "right"]].set_visible(False)
        return cls(figure, panels, columns, names)

    def head(self, environment: str, remark: str = "") -> None:
        """Write the environment, and a remark such as its constant, above its panel."""
        width = 12 * self.figure.get_figwidth() / self.columns - 8
        line = f"{environment}  ({remark})" if remark else environment
        text = wrapped(line, int(width)) if len(line) <= width else wrapped(environment, int(width))
        if remark and len(line) > width:
            text += "\n" + wrapped(remark, int(width))
        self.panels[environment].set_title(text, fontsize=10)

    def finish(self, title: str, notes: Sequence[str] = ()) -> Figure:
        """Add the legend and the title, with notes below it, and return the figure."""
        found = {h.get_label(): h for panel in self.panels.values() for h in panel.get_legend_handles_labels()[0]}
        entries = [plain_text(name) for name in self.names if plain_text(name) in found]
        width = self.figure.get_figwidth()
        self.figure.legend(
            [found[entry] for entry in entries],
            entries,
            loc="outside lower center",
            ncols=_legend_columns(entries, width),
            frameon=False,
            fontsize=9,
            handlelength=3.0,
        )
        lines = [line for text in (title, *notes) for line in textwrap.wrap(text, int(11 * width))]
        self.figure.suptitle(plain_text("\n".join(lines)), fontsize=11)
        return self.figure


def _legend_columns(names: Sequence[str], width: float) -> int:
    """As many columns as fit: about 12 letters to the inch, and room for the handles."""
    return max(1, min(6, len(names), int(12 * width / (max(map(len, names), default=1) + 9))))


def draw_curve(panel: Any, curve: Curve, i: int, label: str) -> None:
    """Mean and 95 % band of the i-th agent."""
    style = line_style(i)
    panel.plot(curve.t, curve.mean, label=plain_text(label), linewidth=1.6, **style)
    if curve.replications > 1:
        low, high = curve.mean - curve.half_width, curve.mean + curve.half_width
        panel.fill_between(curve.t, low, high, color=style["color"], alpha=0.18, linewidth=0)


def limit_height(
    panel: Any, curves: Mapping[str, Curve], theory: Mapping[str, float] | None = None, least: float = 0.0
) -> None:
    """End the axis as `height_of` says, and name what leaves it.

    Args:
        panel: Axes with a linear scale that begins at 0.
        curves: What is drawn, by name.
        theory: Where the line of a bound ends, by its name.
        least: The axis reaches at least this.
    """
    top, leaving = height_of(curves, theory, least)
    panel.set_ylim(0, top)
    notes = ["leaves the panel: " + ", ".join(leaving)] if leaving else []
    _annotate(panel, [*notes, *("same curve: " + ", ".join(names) for names in _coinciding(curves))])


def height_of(
    curves: Mapping[str, Curve], theory: Mapping[str, float] | None = None, least: float = 0.0
) -> tuple[float, list[str]]:
    """Where an axis ends above every curve but those that dwarf the others, and which leave it, with their last values.

    It ends above five times the lower quartile: with several poor agents a median would be one of them. The theory is
    in view unless it doubles the height. The report's script does the same.
    """
    theory = theory or {}
    last = {name: float(curve.mean[-1]) for name, curve in curves.items()}
    bound = max(theory.values(), default=0.0)
    near = max(5.0 * float(np.quantile(list(last.values()), 0.25)), 2.0 * bound)
    inside = max(float(np.nanmax(curve.mean)) for name, curve in curves.items() if last[name] <= near)
    top = max(1.08 * (max(inside, bound) if bound <= 2.0 * inside else inside), least)
    leaving = [f"{name} {number(value, 3)}" for name, value in (last | dict(theory)).items() if value > top > 0]
    return (top if top > 0 else 1.0), leaving


def _coinciding(curves: Mapping[str, Curve]) -> list[list[str]]:
    """Names of curves that hide each other, in groups of two and more."""
    groups: dict[bytes, list[str]] = {}
    for name, curve in curves.items():
        groups.setdefault(curve.mean.tobytes(), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _annotate(panel: Any, notes: Sequence[str]) -> None:
    """Write notes into the upper left corner, where curves of regret are low."""
    if not notes:
        return
    width = int(9.5 * panel.figure.get_figwidth() / panel.get_subplotspec().get_gridspec().ncols - 4)
    text = plain_text("\n".join(textwrap.fill(note, width) for note in notes))
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5}
    panel.text(0.02, 0.98, text, transform=panel.transAxes, va="top", fontsize=8, bbox=box, zorder=5)
