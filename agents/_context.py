"""What agents that need a context ask of the problem."""

from __future__ import annotations

from bandits.errors import UnsupportedProblem
from bandits.protocol import Context, Problem

__all__ = ["known_context", "scalar_context"]


def known_context(problem: Problem) -> Context:
    """What is known of the contexts.

    Raises:
        UnsupportedProblem: The environment shows none.
    """
    if problem.context is None:
        raise UnsupportedProblem("needs a context, and the environment shows none: play it on linear or classification")
    return problem.context


def scalar_context(problem: Problem) -> tuple[float, float]:
    """The interval of a context that is one number, shared by the arms.

    Raises:
        UnsupportedProblem: There is no context, it is no such number, or its interval is unknown.
    """
    context = known_context(problem)
    if context.n_features != 1 or context.per_arm or context.feature_range is None:
        raise UnsupportedProblem(
            "needs a context that is one number in a known interval, for all arms: play it on relaxation"
        )
    low, high = context.feature_range
    if not low < high:
        raise UnsupportedProblem(f"needs an interval of contexts with an inside, got [{low:g}, {high:g}]")
    return low, high
