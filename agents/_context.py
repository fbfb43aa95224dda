"""What agents that need a context ask of the problem."""

from __future__ import annotations

from bandits.errors import UnsupportedProblem
from bandits.protocol import Context, Problem

__all__ = ["known_context"]


def known_context(problem: Problem) -> Context:
    """What is known of the contexts.

    Raises:
        UnsupportedProblem: The environment shows none.
    """
    if problem.context is None:
        raise UnsupportedProblem("needs a context, and the environment shows none: play it on linear or classification")
    return problem.context
