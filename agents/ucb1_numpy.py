"""UCB1 in plain NumPy: where an agent of your own starts, and the control for the compiled one.

The same index as `bandits.agents.UCB1`, written on arrays of shape (K, B) and nothing else; the same rewards give
the same actions, to the bit.

References:
    Auer, Cesa-Bianchi and Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem", Machine Learning 47 (2002).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bandits.kernels import log
from bandits.protocol import Feedback, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from .ucb1 import reward_scale

__all__ = ["UCB1NumPy"]


@register_agent("ucb1_numpy", source="Auer et al. (2002), Fig. 1")
class UCB1NumPy:
    """UCB1 on NumPy arrays.

    Args:
        problem: What the agent may know: the number of arms, and the scale of the rewards.
        streams: Random streams of the batch.
        c: Exploration constant.
        scale: Standard deviation, or width of the rewards' interval; None takes what the environment tells.
    """

    def __init__(self, problem: Problem, streams: Streams, *, c: float = 2.0, scale: float | None = None) -> None:
        if not 0 < c < math.inf:
            raise ValueError(f"c must be positive and finite, got {c}: with c <= 0 UCB1 never explores")
        self.c, self.scale = c, reward_scale(problem, scale)
        shape = (problem.n_arms, streams.size)
        self.pulls, self.reward_sum = np.zeros(shape), np.zeros(shape)
        self.mean = np.full(shape, np.inf)  # an arm that was never played comes first
        self.width = np.zeros(shape)  # 1 / sqrt(pulls)
        self.lane = np.arange(streams.size)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        factor = self.scale * math.sqrt(self.c * log(t))
        index = self.mean + factor[:, None] * self.width
        action: IntArray = index.argmax(axis=0)
        return action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        played = (action, self.lane)
        pulls = self.pulls[played] + 1.0
        total = self.reward_sum[played] + feedback.reward
        self.pulls[played] = pulls
        self.reward_sum[played] = total
        self.mean[played] = total / pulls
        self.width[played] = 1.0 / np.sqrt(pulls)
