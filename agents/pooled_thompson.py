"""Thompson sampling for side observations (TS-SO): posteriors that use every observation.

Once every arm was seen it plays the arm with the largest sample of its posterior under a flat prior,

    sample[j] ~ N(mean[j], 1 / information[j])

where mean is the precision-weighted mean of all observations of arm j, and information the sum of their precisions.
Without side information it is Gaussian Thompson sampling [1], whose regret matches the Lai-Robbins bound to first
order. With it, it is a natural baseline and not the algorithm of a paper; no arm is played for what it shows of others.

Not handled: an arm that does not see itself is played whenever its sample is the largest, which teaches nothing about
it. If the other arms that are played do not see it either, its error is not repaired, and the regret may be linear.

References:
    [1] Honda and Takemura, "Optimality of Thompson Sampling for Gaussian Bandits Depends on Priors", AISTATS 2014.
"""

from __future__ import annotations

import numpy as np

from bandits.protocol import IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from . import thompson_gaussian
from ._pooled import PooledPolicy

__all__ = ["PooledThompson"]


@register_agent("pooled_thompson", source="this project; without side information Honda and Takemura (2014)")
class PooledThompson(PooledPolicy):
    """Thompson sampling with Gaussian posteriors of all observations.

    There is no rule for ties: samples are continuous, and equal ones have probability zero.

    Args:
        problem: What the agent may know: who sees whom, how well.
        streams: Random streams of the batch.
    """

    def __init__(self, problem: Problem, streams: Streams) -> None:
        super().__init__(problem, streams)
        self._key, self._normals = streams.agent.key, np.empty((2, streams.size))

    def choose(self, t: int) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        thompson_gaussian.choose(self._key, t, self.mean, self.width, self._normals, self._action, self._best)
        return self._action
