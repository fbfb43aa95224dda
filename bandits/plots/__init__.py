"""Figures from logs, one module for each kind.

    from bandits.plots import draw_ratio, save
    save("results/run", kind="ratio")            # results/run/figures/ratio.png
    draw_ratio(load("results/run"))              # a matplotlib figure

A kind is a function ``draw(log, *, agents, environments) -> Figure`` that raises `NotLogged` where the run does not
hold what it draws; `KINDS` lists them. `panels` has what they share: which cells, one panel for each environment, the
legend.
"""

from __future__ import annotations

from .allocation import draw_allocation
from .cost import draw_cost
from .files import KINDS, as_svg, draw, kinds_for, save, save_regret
from .messages import draw_messages
from .ratio import draw_ratio
from .regret import draw_regret
from .spreading import draw_spreading

__all__ = [
    "KINDS",
    "as_svg",
    "draw",
    "draw_allocation",
    "draw_cost",
    "draw_messages",
    "draw_ratio",
    "draw_regret",
    "draw_spreading",
    "kinds_for",
    "save",
    "save_regret",
]
