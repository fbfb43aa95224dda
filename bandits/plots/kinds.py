"""The kinds of figures by name, and which choices each of them takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..analysis import Log
from ..answers import by_environment
from ..errors import BadParameter, did_you_mean
from .allocation import draw_allocation
from .cost import COMPARATORS, draw_cost
from .difference import draw_difference
from .distribution import draw_distribution
from .messages import draw_messages
from .ratio import draw_ratio
from .regret import draw_regret
from .spreading import draw_spreading
from .style import using

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["KINDS", "draw", "kinds_for", "taken"]

KINDS: dict[str, Callable[..., Figure]] = {
    "regret": draw_regret,
    "ratio": draw_ratio,
    "distribution": draw_distribution,
    "difference": draw_difference,
    "allocation": draw_allocation,
    "messages": draw_messages,
    "spreading": draw_spreading,
    "cost": draw_cost,
}
_OF_POPULATIONS = ("messages", "spreading")


def draw(
    opened: Log,
    kind: str = "regret",
    *,
    agents: Sequence[str] | None = None,
    environments: Sequence[str] | None = None,
    log: str = "auto",
    band: str | None = None,
    at: int | None = None,
    reference: str | None = None,
    against: str | None = None,
    style: str = "default",
    width: str | None = None,
) -> Figure:
    """Draw one kind of figure.

    Args:
        opened: Log, from `bandits.load` or `bandits.simulate`.
        kind: One of `KINDS`.
        agents: Labels or registered names of those to draw; by default all.
        environments: The same of environments.
        log: Logarithmic axes: "auto", "x", "y", "xy" or "none", as far as the kind can have them.
        band: "t" (the default), "normal", "bootstrap", "median", "quantiles" or "none": what the bands show.
        at: Round, of kinds that show one: distribution, allocation, messages, and those drawn against a parameter.
        reference: Of kind "difference": the agent to compare with.
        against: Of kinds "regret" and "ratio": a parameter that a sweep varied, such as ``environment.gap``.
        style: "default" or "publication". The fonts of a file are those of the style in force when it is written:
            `bandits.plots.save` sees to it.
        width: Of style "publication": "one-column", "two-column" or a length such as "120mm".

    Raises:
        BadParameter: There is no such kind, agent, environment or parameter, or a choice has no meaning for the kind.
        NotLogged: The run does not hold what the kind draws.
        RunFolderError: No replication is finished yet.
    """
    if kind not in KINDS:
        raise BadParameter(
            f"no kind of figure is called '{kind}'.{did_you_mean(kind, KINDS)} There are: {', '.join(KINDS)}."
        )
    given = {"log": None if log == "auto" else log, "band": band, "at": at, "reference": reference, "against": against}
    chosen = {name: value for name, value in given.items() if value is not None}
    for name in chosen:
        if kind not in (takers := taken(name)):
            raise BadParameter(f"{name} has no meaning for a figure of kind '{kind}': it is for {', '.join(takers)}")
    with using(style, width):
        return KINDS[kind](opened, agents=agents, environments=environments, **chosen)


def taken(choice: str) -> list[str]:
    """Kinds that take a choice such as ``band``."""
    return [kind for kind, function in KINDS.items() if choice in inspect.signature(function).parameters]


def kinds_for(opened: Log) -> list[str]:
    """Kinds that make sense for a run.

    Those of populations only where one played, costs only where some are logged, differences where two agents did.
    """
    special: dict[str, Any] = dict.fromkeys(
        _OF_POPULATIONS, any(facts.n_learners is not None for facts in opened.cells)
    )
    special["cost"] = any(opened.logs(facts, column) for facts in opened.cells for column in COMPARATORS)
    groups = by_environment(opened.cells).values()
    special["difference"] = any(len(g) > 1 for g in groups) and all(len({f.noise for f in g}) == 1 for g in groups)
    return [kind for kind in KINDS if special.get(kind, True)]
