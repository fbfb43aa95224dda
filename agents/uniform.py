"""Uniform play: every arm with the same probability in every round. The control; its regret is the mean gap times T."""

from __future__ import annotations

from typing import Any

from bandits.protocol import Feedback, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

__all__ = ["Uniform"]


@register_agent("uniform")
class Uniform:
    """Plays an arm at random.

    Args:
        problem: What the agent may know; here only the number of arms.
        streams: Random streams of the batch; it draws from ``agent``.
    """

    needs_reward = False

    def __init__(self, problem: Problem, streams: Streams) -> None:
        self._n_arms, self._stream = problem.n_arms, streams.agent

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        return self._stream.integers(t, self._n_arms)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Nothing to learn."""
