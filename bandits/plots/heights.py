"""Where the axis of a panel ends, so that poor agents do not flatten the others, and what is then said in the panel."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..protocol import FloatArray
from ..tables import number
from .style import current, plain_text

__all__ = ["height_of", "limit_height"]


def limit_height(
    panel: Any,
    curves: Mapping[str, FloatArray],
    theory: Mapping[str, float] | None = None,
    least: float = 0.0,
    lowest: float = 0.0,
    wide: float = 1.0,
) -> None:
    """End the axis as `height_of` says, and name what leaves it and what coincides.

    Args:
        panel: Axes with a linear scale.
        curves: What is drawn, by name.
        theory: Where the line of a bound ends, by its name.
        least: The axis reaches at least this.
        lowest: Where the axis begins.
        wide: Share of the panel's width that notes may take.
    """
    top, leaving = height_of(curves, theory, least)
    panel.set_ylim(lowest, top)
    notes = ["leaves the panel: " + ", ".join(leaving)] if leaving else []
    _annotate(
        panel,
        [*notes, *("same curve: " + ", ".join(names) for names in _coinciding(curves))],
        wide,
        below=-lowest > top,
    )


def height_of(
    curves: Mapping[str, FloatArray], theory: Mapping[str, float] | None = None, least: float = 0.0
) -> tuple[float, list[str]]:
    """Where an axis ends above every curve but those that dwarf the others, and which leave it, with their last values.

    It ends above five times the lower quartile: with several poor agents a median would be one of them. The theory is
    in view unless it doubles the height. The report's script does the same (a test compares them).
    """
    theory = theory or {}
    last = {name: float(curve[-1]) for name, curve in curves.items()}
    bound = max(theory.values(), default=0.0)
    near = max(5.0 * float(np.quantile(list(last.values()), 0.25)), 2.0 * bound)
    inside = max(float(np.nanmax(curve)) for name, curve in curves.items() if last[name] <= near)
    top = max(1.08 * (max(inside, bound) if bound <= 2.0 * inside else inside), least)
    leaving = [f"{name}\u00a0{number(value, 3)}" for name, value in (last | dict(theory)).items() if value > top > 0]
    return (top if top > 0 else 1.0), leaving


def _coinciding(curves: Mapping[str, FloatArray]) -> list[list[str]]:
    """Names of curves that hide each other, in groups of two and more."""
    groups: dict[bytes, list[str]] = {}
    for name, curve in curves.items():
        groups.setdefault(curve.tobytes(), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _annotate(panel: Any, notes: Sequence[str], wide: float, below: bool) -> None:
    """Write notes into the upper left corner, where curves of regret are low, or into the lower one."""
    if not notes:
        return
    size = current().sizes["note"]
    inches = panel.figure.get_figwidth() / panel.get_subplotspec().get_gridspec().ncols
    width = int((9.5 * 8 / size * current().narrow * inches - 4) * wide)
    text = plain_text(
        "\n".join(textwrap.fill(note, width, break_long_words=False, break_on_hyphens=False) for note in notes)
    )
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5}
    look = {"fontsize": size, "bbox": box, "linespacing": current().spacing}
    height, side = (0.02, "bottom") if below else (0.98, "top")
    panel.text(0.02, height, text, transform=panel.transAxes, va=side, zorder=5, **look)
