"""What the kinds of figures share: one panel for each environment, legend, title or caption, logarithmic axes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import BadParameter
from .style import current, plain_text, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Grid", "log_axes", "plain_logarithms"]

_MOST_VERTICES = 40_000  # of bands: beyond, a picture of them is smaller than their outlines, in SVG and PDF


@dataclass(frozen=True)
class Grid:
    """A figure with one panel for each environment.

    Attributes:
        figure: The figure.
        panels: Axes of each environment, by its label.
        columns: Panels beside each other.
        names: Legend entries, in order.
        said: What the caption says of a lone panel that has no heading.
    """

    figure: Figure
    panels: dict[str, Any]
    columns: int
    names: list[str]
    said: list[str] = field(default_factory=list)

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
            size: Width and height of a panel in inches; by default smaller as there are more. In print the style says
                how wide the figure is.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        many, style = len(environments), current()
        columns = columns or (1 if many == 1 else 2 if many <= 4 else 3 if many <= 9 else 4)
        if style.width is not None:
            columns = min(columns, max(1, int(style.width / 2.2)))
        columns = -(-many // -(-many // columns))  # no emptier last row than need be
        wide, high = size or {1: (7.2, 4.1), 2: (5.8, 3.9), 3: (4.7, 3.4), 4: (4.3, 3.1)}[columns]
        if style.width is not None:
            high = min(high, 0.5 + 0.55 * style.width / columns) if size is None else 0.7 * high
        rows = -(-many // columns)
        names = list(dict.fromkeys(names))
        width = style.width or max(wide * columns, 7.2)
        legend_rows = -(-len(names) // _legend_columns(names, width))
        legend = 0.22 * style.sizes["legend"] / 9 * legend_rows
        figure = Figure(figsize=(width, high * rows + legend + (0.6 if style.titled else 0.2)), layout="constrained")
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
        """Write the environment, and a remark such as its constant, above its panel; in print, a lone one's below."""
        line = f"{environment}  ({remark})" if remark else environment
        if not current().titled and len(self.panels) == 1:
            self.said.append(" ".join(line.split()))
            return
        size = current().sizes["head"]
        width = int(current().letters(10, "head") * self.figure.get_figwidth() / self.columns - 8)
        text = wrapped(line, width) if len(line) <= width else wrapped(environment, width)
        if remark and len(line) > width:
            text += "\n" + wrapped(remark, width)
        self.panels[environment].set_title(text, fontsize=size, linespacing=current().spacing)

    def finish(self, title: str, notes: Sequence[str] = ()) -> Figure:
        """Add the legend and the title, with notes below it, and return the figure.

        All that the title says is also the figure's label, its caption; in print it stands only there.
        """
        style, width = current(), self.figure.get_figwidth()
        found = {h.get_label(): h for panel in self.panels.values() for h in panel.get_legend_handles_labels()[0]}
        entries = [plain_text(name) for name in self.names if plain_text(name) in found]
        if entries:
            self.figure.legend(
                [found[entry] for entry in entries],
                entries,
                loc="outside lower center",
                ncols=_legend_columns(entries, width),
                frameon=False,
                fontsize=style.sizes["legend"],
                handlelength=3.0,
                labelspacing=0.5 * style.spacing / 1.2,
            )
        self.figure.set_label(". ".join(text.rstrip(".") for text in (title, *self.said, *notes)) + ".")
        if style.titled:
            size = style.sizes["title"]
            lines = [line for text in (title, *notes) for line in _wrapped_title(text, int(11 * width))]
            self.figure.suptitle(plain_text("\n".join(lines)), fontsize=size)
        self._lighten()
        return self.figure

    def _lighten(self) -> None:
        """Let vector files hold the bands of a panel as a picture where their outlines would be larger."""
        bands = [band for panel in self.panels.values() for band in panel.collections]
        if sum(len(path.vertices) for band in bands for path in band.get_paths()) > _MOST_VERTICES:
            for panel in self.panels.values():
                panel.set_rasterization_zorder(1.5)  # bands have 1, lines 2


def _wrapped_title(text: str, width: int) -> list[str]:
    """Lines of at most this many letters, if need be each clause on its own."""
    clauses = [text] if len(text) <= width else text.split("; ")
    return [line for clause in clauses for line in textwrap.wrap(clause, width)]


def _legend_columns(names: Sequence[str], width: float) -> int:
    """As many columns as fit: about 12 letters of 9 points to the inch, and room for the handles."""
    letters = current().letters(9, "legend") * width
    if current().width is None:
        return max(1, min(6, len(names), int(letters / (max(map(len, names), default=1) + 9))))
    fitting = [n for n in range(2, min(6, len(names)) + 1) if _letters_of(names, n) <= letters]
    return max(fitting, default=1)


def _letters_of(names: Sequence[str], columns: int) -> int:
    """Width of a legend that fills one column after the other, the first ones fuller, in letters."""
    lengths, rest = [len(name) + 9 for name in names], len(names) % columns
    sizes = [len(names) // columns + (k < rest) for k in range(columns)]
    return sum(max(lengths[sum(sizes[:k]) : sum(sizes[: k + 1])]) for k in range(columns))


def plain_logarithms(axis: Any, low: float, high: float) -> None:
    """Label a logarithmic axis with plain numbers, on a short one also at 2 and 5."""
    if high < 1e6 and low >= 1e-3:
        axis.set_major_formatter("{x:,g}")
        short = high < 1000 * low
        axis.set_minor_formatter(lambda x, _: f"{x:,g}" if short and f"{x:.0e}"[0] in "25" else "")


def log_axes(log: str, auto: str, impossible: Mapping[str, str] | None = None) -> tuple[bool, bool]:
    """Whether x and y are logarithmic.

    Args:
        log: "auto", "x", "y", "xy" or "none".
        auto: What "auto" means here.
        impossible: Why an axis cannot be, by its name.

    Raises:
        BadParameter: ``log`` is none of these, or asks for what cannot be.
    """
    if log not in ("auto", "x", "y", "xy", "none"):
        raise BadParameter(f"log must be auto, x, y, xy or none, got '{log}'")
    for axis, reason in (impossible or {}).items():
        if axis in log.replace("auto", ""):
            raise BadParameter(f"log {log}: the {axis} axis of this figure cannot be logarithmic, {reason}")
    chosen = auto if log == "auto" else log.replace("none", "")
    return "x" in chosen, "y" in chosen
