"""Colours, line styles and hatches, and text as matplotlib shows it."""

from __future__ import annotations

import textwrap
from typing import Any

__all__ = ["bar_style", "line_style", "plain_text", "wrapped"]

# Okabe and Ito's palette, with grey, three of Tol's colours and a brown: told apart by the colour-blind. Black is kept
# for the theory.
_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F"]
_COLOURS += ["#882255", "#332288", "#999933", "#6B3E1E"]
_DASHES: list[Any] = ["-", (0, (5, 2)), (0, (1, 1.2)), (0, (4, 1.5, 1, 1.5))]
_HATCHES = ["", "////", "....", "xxxx", "\\\\\\\\"]
# 11 colours with 4 dashes, or with 5 hatches: numbers without a common factor, so 44 agents look different, and
# neighbours differ in print without colours.


def line_style(i: int) -> dict[str, Any]:
    """Colour and dashes of the i-th agent."""
    return {"color": _COLOURS[i % len(_COLOURS)], "linestyle": _DASHES[i % len(_DASHES)]}


def bar_style(i: int) -> dict[str, Any]:
    """Colour and hatch of the i-th agent."""
    return {"facecolor": _COLOURS[i % len(_COLOURS)], "hatch": _HATCHES[i % len(_HATCHES)]}


def wrapped(text: str, width: int) -> str:
    """Text on lines of at most this many letters."""
    return plain_text("\n".join(textwrap.wrap(text, width)))


def plain_text(text: str) -> str:
    """Text that matplotlib shows as it is: no mathematics, and no hiding of labels that begin with an underscore."""
    return text.replace("$", r"\$") if not text.startswith("_") else "\u200b" + text.replace("$", r"\$")
