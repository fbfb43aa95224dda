"""Instance-optimal oracle: plays what is best by the round's context, as theory has it.

The oracle of `oracle` knows the outcome of the round; this one knows only what the context tells, and the theory of the
environment. For `relaxation` that is the omega of the grid with the least spectral radius for the round's matrix
(Young's omega*, as near as the grid allows), whatever the right-hand side. Where an environment makes no such
difference the two oracles are one.
"""

from __future__ import annotations

from typing import Any

from bandits.errors import UnsupportedProblem
from bandits.protocol import Feedback, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

__all__ = ["InstanceOptimal"]


@register_agent("instance_optimal", source="Young (1954); Khodak, Chow, Balcan and Talwalkar (2024)")
class InstanceOptimal:
    """Plays what theory says is best for the round's context, without knowing the outcome.

    Args:
        problem: Must have ``informed_action`` or ``best_action``, which the engine gives to agents that declare
            ``is_oracle``.
        streams: Random streams of the batch; not used.
    """

    is_oracle = True
    needs_reward = False

    def __init__(self, problem: Problem, streams: Streams) -> None:
        action = problem.informed_action or problem.best_action
        if action is None:
            raise UnsupportedProblem(
                "needs an environment that knows its best action, got one without: give it a method best_action(t)"
            )
        self._action_of = action

    def act(self, t: int, context: Any = None) -> IntArray:
        """Best arm of round t by its context: int64, shape (B,)."""
        return self._action_of(t)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Nothing to learn."""
