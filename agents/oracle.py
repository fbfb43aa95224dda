"""Oracle: plays the best action of every round. A baseline that looks at the means; its regret is 0."""

from __future__ import annotations

from typing import Any

from bandits.errors import UnsupportedProblem
from bandits.protocol import Feedback, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

__all__ = ["Oracle"]


@register_agent("oracle")
class Oracle:
    """Plays what the environment says is best.

    Args:
        problem: Must have ``best_action``, which the engine gives to agents that declare ``is_oracle``.
        streams: Random streams of the batch; not used.
    """

    is_oracle = True
    needs_reward = False

    def __init__(self, problem: Problem, streams: Streams) -> None:
        if problem.best_action is None:
            raise UnsupportedProblem(
                "needs an environment that knows its best action, got one without: give it a method best_action(t)"
            )
        self._best_action = problem.best_action

    def act(self, t: int, context: Any = None) -> IntArray:
        """Best arm of round t: int64, shape (B,)."""
        return self._best_action(t)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Nothing to learn."""
