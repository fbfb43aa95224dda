"""Curves made of letters: Braille dots, two by four of them to a letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .protocol import FloatArray, IntArray
from .tables import number

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["COLOURS", "plot"]

COLOURS = ["bright_blue", "bright_red", "green", "magenta", "yellow", "cyan", "white", "bright_magenta", "bright_green"]
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # Unicode's Braille patterns, row by column
_LABEL = 9  # letters left of the axis


def plot(
    curves: Mapping[str, tuple[IntArray, FloatArray]],
    colours: Mapping[str, str],
    *,
    top: float,
    width: int,
    height: int,
    log_t: bool,
) -> Text:
    """Draw curves over time from 0 to ``top``; what lies above is cut off.

    Args:
        curves: Rounds and values by name; the later ones are drawn over the earlier.
        colours: A colour of rich for each name.
        top: Upper end of the axis.
        width: Letters in a line, axis included.
        height: Lines of curves; two more hold the axis of time.
        log_t: Whether that axis is logarithmic.
    """
    from rich.text import Text

    columns = max(8, width - _LABEL - 1)
    dots, colour = np.zeros((height, columns), dtype=np.int64), np.full((height, columns), "", dtype=object)
    first, last = min(t[0] for t, _ in curves.values()), max(t[-1] for t, _ in curves.values())
    for name, (t, values) in curves.items():
        x, y = _path(t, values, first, last, columns, log_t)
        level = np.round((1 - y / top) * (4 * height - 1)).astype(np.int64)
        for i, from_, to in zip(x, level, np.append(level[1:], level[-1:]), strict=True):
            for j in range(*((from_, to) if from_ < to else (to + 1, from_ + 1) if from_ > to else (from_, from_ + 1))):
                if 0 <= j < 4 * height:
                    dots[j // 4, i // 2] |= _DOTS[j % 4, i % 2]
                    colour[j // 4, i // 2] = colours[name]
    text = Text(no_wrap=True)
    for row in range(height):
        label = number(top, 3) if row == 0 else "0" if row == height - 1 else ""
        text.append(f"{label:>{_LABEL}}│", style="dim")
        for letter, style in zip(dots[row], colour[row], strict=True):
            text.append(chr(0x2800 + letter) if letter else " ", style=style)
        text.append("\n")
    text.append(" " * _LABEL + "└" + "─" * columns + "\n", style="dim")
    ends = f"{first:,}", f"{last:,} rounds{', log' if log_t else ''}"
    text.append(" " * (_LABEL + 1) + ends[0] + " " + ends[1].rjust(columns - len(ends[0]) - 1), style="dim")
    return text


def _path(
    t: IntArray, values: FloatArray, first: int, last: int, columns: int, log_t: bool
) -> tuple[IntArray, FloatArray]:
    """Columns of dots that a curve crosses, and its value at each, on straight lines between its points."""
    at = np.log(t) if log_t else t.astype(np.float64)
    low, high = (np.log(first), np.log(last)) if log_t else (float(first), float(last))
    x = np.arange(2 * columns)
    where = low + (high - low) * x / max(1, x[-1])
    inside = (where >= at[0] - 1e-9) & (where <= at[-1] + 1e-9)
    return x[inside], np.interp(where[inside], at, values)
