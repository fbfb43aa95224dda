"""One value for every round: the relaxation parameter, or any other number that an arm stands for, never changes.

The best of these in hindsight is what learners without a context compete with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.protocol import Feedback, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

__all__ = ["FixedOmega"]


@register_agent("fixed_omega", source="Young (1954)")
class FixedOmega:
    """Plays the arm that stands for one value, round after round.

    Args:
        problem: Must have ``arm_values``.
        streams: Random streams of the batch; not used.
        omega: The value, one of the arms'.
    """

    examples = ({"omega": 1.3},)

    def __init__(self, problem: Problem, streams: Streams, *, omega: float) -> None:
        if not 0.0 <= omega < 2.0:
            raise ValueError(f"omega must lie in [0, 2), got {omega:g}: no solver converges elsewhere")
        if problem.arm_values is None:
            raise UnsupportedProblem("needs arms that stand for numbers, got arms without: play it on relaxation")
        distance = np.abs(problem.arm_values - omega)
        arm = int(distance.argmin())
        if distance[arm] > 1e-9:
            raise UnsupportedProblem(
                f"omega = {omega:g} is none of the {problem.n_arms} values; the nearest is {problem.arm_values[arm]:g}"
            )
        self._action = np.full(streams.size, arm, dtype=np.int64)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose the arm: int64, shape (B,)."""
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Nothing to learn."""
