"""The lower bounds of a cell as figures name and draw them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cells import CellFacts
from ..protocol import Bound

__all__ = ["BOUND_DASHES", "all_bounds", "bound_name", "constants", "no_ratio", "stationary"]

BOUND_DASHES = ["--", ":", "-."]


def all_bounds(facts: CellFacts) -> list[Bound]:
    """The environment's bound, and those beside it."""
    return [*([] if facts.bound is None else [facts.bound]), *facts.more_bounds]


def stationary(bound: Bound | None) -> bool:
    """Whether a bound is known and one constant times ln t."""
    return bound is not None and len(bound.starts) == 1


def bound_name(bound: Bound, k: int = 0) -> str:
    """Legend entry of an environment's k-th bound; the constant of the first is called C, of the second C′."""
    return f"{bound.name}, C{'′' * k} ln t" if stationary(bound) else bound.name


def constants(bounds: Sequence[Bound]) -> str:
    """The constants that the legend has letters for."""
    known = [(f"C{'′' * k}", bound.constant) for k, bound in enumerate(bounds) if not np.isnan(bound.constant)]
    parts = [
        f"{letter} = {constant:.4g}" if constant else f"{letter} = 0: o(ln t) can be had" for letter, constant in known
    ]
    return ", ".join(parts)


def no_ratio(facts: CellFacts) -> str:
    """Why regret has no ratio to the bound, or nothing."""
    if facts.bound is None:
        return "no bound is known"
    late = facts.checkpoints[facts.checkpoints >= min(10, facts.horizon)]
    return "" if (facts.bound.at(late) > 0).all() else "the bound is 0"
