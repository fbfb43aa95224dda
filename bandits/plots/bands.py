"""Lines with bands, and points with bars: what ``band`` chooses, from the log, and in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..analysis import Band, Log, band_of
from ..cells import CellFacts
from ..errors import BadParameter, did_you_mean
from ..protocol import FloatArray, IntArray
from ..words import count
from .style import current, line_style, marker, plain_text

__all__ = ["BANDS", "MOST_POINTS", "at_round", "check_band", "draw_band", "explained", "over_time", "scaled", "thinned"]

# What a band is called, the line or point inside it, and what it spans.
BANDS = {
    "t": ("Mean", "95 % intervals for the mean over {n}"),
    "normal": ("Mean", "normal 95 % intervals for the mean over {n}"),
    "bootstrap": ("Mean", "95 % bootstrap-t intervals for the mean over {n}"),
    "median": ("Median", "95 % intervals for the median over {n}"),
    "quantiles": ("Median", "the middle 95 % of {n}"),
    "none": ("Mean", ""),
}
MOST_POINTS = 400  # of a curve: more than a panel can show


def check_band(kind: str) -> None:
    """Refuse what is no band.

    Raises:
        BadParameter: It is none of `BANDS`.
    """
    if kind not in BANDS:
        raise BadParameter(f"band must be {', '.join(BANDS)}, got '{kind}'.{did_you_mean(kind, BANDS)}")


def explained(what: str, kind: str, n: int, marks: str = "bands") -> str:
    """What a figure shows, and what its bands mean, for its title: "Mean regret; bands: 95 % intervals ...".

    Args:
        what: The quantity, such as "regret".
        kind: One of `BANDS`.
        n: Replications.
        marks: What the bands are called.
    """
    middle, span = BANDS[kind]
    over = count(n, "replication")
    return f"{middle} {what}; {marks}: {span.format(n=over)}" if span else f"{middle} {what} over {over}"


def over_time(opened: Log, facts: CellFacts, kind: str, column: str = "regret") -> Band:
    """A column over the rounds with its band; without ends where there is none."""
    if kind not in ("t", "none"):
        return opened.band(facts, kind, column)  # type: ignore[arg-type]  # a kind with an interval
    curve = opened.curve(facts, column)  # one pass over the parts, without holding them
    half = curve.half_width if kind == "t" else np.full_like(curve.mean, np.nan)
    return Band(curve.t, curve.mean, curve.mean - half, curve.mean + half, "t", 0.95, curve.replications)


def scaled(band: Band, factor: FloatArray | float) -> Band:
    """The same in another unit; a negative factor turns it over."""
    low, high = band.low * factor, band.high * factor
    return replace(band, middle=band.middle * factor, low=np.minimum(low, high), high=np.maximum(low, high))


def at_round(values: FloatArray, kind: str) -> tuple[Any, Any, Any]:
    """Middle, lower and upper end of values over replications, (R,) or (R, G); NaN where there is no end."""
    found = band_of(np.arange(values.shape[-1]), values, "t" if kind == "none" else kind)  # type: ignore[arg-type]  # a kind with an interval
    nothing = np.full_like(found.middle, np.nan)
    ends = [np.where(np.isfinite(end), end, np.nan) for end in (found.low, found.high)]
    return found.middle, *([nothing, nothing] if kind == "none" else ends)


def draw_band(panel: Any, band: Band, i: int, label: str) -> None:
    """Line and band of the i-th agent, with no more points than can be seen; at a single round a point with its bar."""
    style, kept = line_style(i), thinned(band.t.size)
    if band.t.size == 1:
        ends = np.abs(np.array([band.low, band.high]) - band.middle)
        look = {"color": style["color"], "linestyle": "none", "capsize": 3, "elinewidth": 1.0} | marker(i)
        error = ends if np.isfinite(ends).all() else None
        panel.errorbar(band.t, band.middle, yerr=error, label=plain_text(label), **look)
        return
    spread = {}
    if current().marked:  # along the curve, each agent's at other places
        spread = marker(i) | {"markevery": (0.14 * (0.1 + 0.618 * i % 1), 0.14)}
    t = band.t[kept]
    panel.plot(t, band.middle[kept], label=plain_text(label), linewidth=current().line, **style, **spread)
    low, high = band.low[kept], band.high[kept]
    if (within := np.isfinite(low) & np.isfinite(high)).any():
        panel.fill_between(t, low, high, where=within, color=style["color"], alpha=0.18, linewidth=0)


def thinned(n: int, most: int = MOST_POINTS) -> IntArray:
    """At most so many of n checkpoints, first and last among them, good on a linear and on a logarithmic axis."""
    if n <= most:
        return np.arange(n)
    half = most // 2
    evenly, ever_wider = np.linspace(0, n - 1, half), np.geomspace(1, n, half) - 1
    return np.unique(np.concatenate([evenly, ever_wider]).round().astype(np.int64))
