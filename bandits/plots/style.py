"""How figures look: two styles with their colours, dashes, markers, hatches and sizes; and text as matplotlib shows it.

`line_style`, `bar_style`, `marker` and `current` belong to the style in force, which `using` sets::

    with using("publication", "one-column"):
        figure = draw_regret(log)
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import BadParameter, did_you_mean

__all__ = ["STYLES", "Style", "bar_style", "current", "line_style", "marker", "plain_text", "using", "wrapped"]

# Okabe and Ito's palette, with grey, three of Tol's colours and a brown: told apart by the colour-blind. Black is kept
# for the theory.
_COLOURS: tuple[str, ...] = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
_COLOURS += ("#882255", "#332288", "#999933", "#6B3E1E")
# For print without colours: lightness L* = 22, 71, 46, 35 and 58, so five greys, which the colour-blind tell apart
# by lightness alone.
_GREY_SAFE = ("#332288", "#E69F00", "#0072B2", "#8E2C5C", "#009E73")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (4, 1.5, 1, 1.5)))
_HATCHES = ("", "////", "----", "xxxx", "\\\\\\\\")  # no dots: a hundred times as long in SVG
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Colours and dashes, or hatches, have numbers without a common factor: 44 agents look different (in print 20 lines, and
# 140 with their markers), and neighbours differ in print without colours.


@dataclass(frozen=True)
class Style:
    """What a style decides.

    Attributes:
        name: What ``style`` calls it.
        colours, dashes, hatches: Taken in turn by the agents.
        marked: Whether curves carry markers.
        titled: Whether figures carry a title; if not, what it would say is the caption alone.
        line: Width of a curve, in points.
        narrow: Letters of this style in the width of one letter of the default one.
        spacing: From line to line, in the font's height.
        sizes: Points of text: title, head (of a panel), legend, note, small.
        width: Inches of a figure; None where it is as wide as its panels ask.
        rc: Settings of matplotlib.
    """

    name: str
    colours: tuple[str, ...]
    dashes: tuple[Any, ...] = _DASHES
    hatches: tuple[str, ...] = _HATCHES
    marked: bool = False
    titled: bool = True
    line: float = 1.6
    narrow: float = 1.0
    spacing: float = 1.2
    sizes: dict[str, float] = field(default_factory=dict)
    width: float | None = None
    rc: Any = field(default_factory=dict)

    def letters(self, size: float, what: str) -> float:
        """Letters to the inch in text of some kind, where 12 letters of this size of the default style take an inch."""
        return 12 * size / self.sizes[what] * self.narrow


_FIXED = {"svg.hashsalt": "bandits"}  # without it, names inside an SVG file are drawn at random
_FONTS = ["STIXGeneral", "DejaVu Sans"]  # like Times; both come with matplotlib, the second has what the first lacks
STYLES = {
    "default": Style(
        "default", _COLOURS, sizes={"title": 11, "head": 10, "legend": 9, "note": 8, "small": 7}, rc=_FIXED
    ),
    "publication": Style(
        "publication",
        _GREY_SAFE,
        hatches=(*_HATCHES, "||||"),
        marked=True,
        titled=False,
        line=1.1,
        narrow=1.25,
        spacing=0.95,
        sizes={"title": 9, "head": 8, "legend": 7.5, "note": 7, "small": 6},
        width=3.5,
        rc=_FIXED
        | {"font.family": _FONTS, "mathtext.fontset": "stix", "font.size": 8, "axes.labelsize": 8}
        | {"xtick.labelsize": 7.5, "ytick.labelsize": 7.5, "axes.linewidth": 0.6, "hatch.linewidth": 0.6}
        | {"xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.minor.width": 0.4, "ytick.minor.width": 0.4}
        | {"pdf.fonttype": 42, "ps.fonttype": 42},  # TrueType, embedded: journals refuse Type 3
    ),
}
_WIDTHS = {"one-column": 3.5, "two-column": 7.2}  # inches
_UNITS = {"in": 1.0, "mm": 1 / 25.4, "cm": 1 / 2.54, "pt": 1 / 72.27}
_current: ContextVar[Style] = ContextVar("style", default=STYLES["default"])


def current() -> Style:
    """The style in force."""
    return _current.get()


@contextmanager
def using(name: str = "default", width: str | None = None) -> Iterator[Style]:
    """Draw and save in a style.

    Args:
        name: "default" or "publication".
        width: Of publications: "one-column" (3.5 inches), "two-column" (7.2), or a length such as "120mm".

    Raises:
        BadParameter: There is no such style, or the width is none.
    """
    from matplotlib import rc_context

    if name not in STYLES:
        raise BadParameter(f"style must be {' or '.join(STYLES)}, got '{name}'.{did_you_mean(name, STYLES)}")
    style = STYLES[name]
    if width is not None:
        if style.width is None:
            raise BadParameter("width is of figures for print: it goes with style publication")
        style = replace(style, width=_inches(width))
    token = _current.set(style)
    try:
        with rc_context(style.rc):
            yield style
    finally:
        _current.reset(token)


def _inches(width: str) -> float:
    length = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(in|mm|cm|pt)", width)
    inches = _WIDTHS.get(width) or (float(length[1]) * _UNITS[length[2]] if length else 0.0)
    if not 2 <= inches <= 20:
        raise BadParameter(
            f"width must be one-column (3.5 in), two-column (7.2 in) or a length of 2 to 20 inches such as 120mm, "
            f"got '{width}'"
        )
    return inches


def line_style(i: int) -> dict[str, Any]:
    """Colour and dashes of the i-th agent."""
    style = current()
    return {"color": style.colours[i % len(style.colours)], "linestyle": style.dashes[i % len(style.dashes)]}


def bar_style(i: int) -> dict[str, Any]:
    """Colour and hatch of the i-th agent."""
    style = current()
    return {"facecolor": style.colours[i % len(style.colours)], "hatch": style.hatches[i % len(style.hatches)]}


def marker(i: int) -> dict[str, Any]:
    """Marker of the i-th agent; in print every other seven are hollow."""
    style = current()
    hollow = style.marked and i // len(_MARKERS) % 2 == 1
    small = {"markersize": 3.2, "markeredgewidth": 0.7} if style.marked else {}
    return {"marker": _MARKERS[i % len(_MARKERS)], **small, **({"markerfacecolor": "white"} if hollow else {})}


def wrapped(text: str, width: int) -> str:
    """Text on lines of at most this many letters."""
    return plain_text("\n".join(textwrap.wrap(text, width)))


def plain_text(text: str) -> str:
    """Text that matplotlib shows as it is: no mathematics, and no hiding of labels that begin with an underscore."""
    return text.replace("$", r"\$") if not text.startswith("_") else "\u200b" + text.replace("$", r"\$")
