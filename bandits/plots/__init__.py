"""Figures from logs, one module for each kind.

    from bandits.plots import draw, save
    save("results/run", kind="ratio", out="ratio.pdf", style="publication")
    draw(load("results/run"), "difference", reference="kl_ucb")      # a matplotlib figure

A kind is a function ``draw(log, *, agents, environments, ...) -> Figure`` that raises `NotLogged` where the run does
not hold what it draws; its other keyword arguments are the choices that it takes. `kinds` lists them. `panels` has what
they share (one panel for each environment, the legend), `bands` lines with bands, `heights` where an axis ends, `style`
how it all looks.
"""

from __future__ import annotations

from .against import draw_against
from .allocation import draw_allocation
from .cost import draw_cost
from .difference import draw_difference
from .distribution import draw_distribution
from .files import as_svg, save, save_regret
from .kinds import KINDS, draw, kinds_for
from .messages import draw_messages
from .ratio import draw_ratio
from .regret import draw_regret
from .spreading import draw_spreading
from .style import using

__all__ = [
    "KINDS",
    "as_svg",
    "draw",
    "draw_against",
    "draw_allocation",
    "draw_cost",
    "draw_difference",
    "draw_distribution",
    "draw_messages",
    "draw_ratio",
    "draw_regret",
    "draw_spreading",
    "kinds_for",
    "save",
    "save_regret",
    "using",
]
