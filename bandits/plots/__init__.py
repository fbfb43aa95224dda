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
from .files import KINDS, as_svg, draw, save, save_regret
from .ratio import draw_ratio
from .regret import draw_regret

__all__ = ["KINDS", "as_svg", "draw", "draw_allocation", "draw_ratio", "draw_regret", "save", "save_regret"]
