"""Arms whose means change at given rounds: the piecewise-stationary setting of Garivier and Moulines (2011).

Regret is measured against the best arm of each round, not against the best fixed arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from bandits.protocol import Bound, Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_environment
from bandits.streams import Streams

from ._arms import Arms
from .bernoulli import bernoulli_lai_robbins, probabilities
from .gaussian import gaussian_lai_robbins, noise_levels

__all__ = ["Piecewise"]


@register_environment("piecewise", source="Garivier and Moulines (2011), Section 2")
class Piecewise:
    """Bernoulli or Gaussian arms whose means change at given rounds.

    Args:
        streams: Random streams of the batch.
        means: Means of each segment, S lists of K numbers.
        starts: First round of each segment, increasing; the first one is 1.
        rewards: "bernoulli", or "gaussian" with standard deviation ``sd``.
        sd: Standard deviation of Gaussian noise, one number or one per arm.
    """

    examples = (
        {"means": [[0.9, 0.1], [0.1, 0.9]], "starts": [1, 20]},
        {"means": [[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]], "starts": [1, 7], "rewards": "gaussian", "sd": 0.5},
    )

    def __init__(
        self,
        streams: Streams,
        *,
        means: Sequence[Sequence[float]],
        starts: Sequence[int],
        rewards: Literal["bernoulli", "gaussian"] = "bernoulli",
        sd: float | Sequence[float] = 1.0,
    ) -> None:
        self._segments = [_segment(row, s, rewards) for s, row in enumerate(means)]
        if len({segment.shape for segment in self._segments}) != 1:
            raise ValueError("means must have the same number of arms in every segment, and at least one segment")
        starts = tuple(starts)
        if len(starts) != len(means) or starts[0] != 1 or any(b <= a for a, b in pairwise(starts)):
            raise ValueError(f"starts must be {len(means)} increasing rounds, the first one 1, got {list(starts)}")
        n_arms = len(means[0])
        self._starts = starts
        self._sd = noise_levels(sd, n_arms) if rewards == "gaussian" else None
        self._arms = Arms(streams, self._segments[0], self._sd)
        self._current = 0
        self.problem = Problem(
            n_arms=n_arms,
            noise_sd=None if self._sd is None else self._sd.copy(),
            reward_range=(0.0, 1.0) if rewards == "bernoulli" else None,
        )

    def observe(self, t: int) -> None:
        """There is no context."""

    def step(self, t: int, action: IntArray) -> Feedback:
        """Play one round; regret is against the best arm of round t."""
        self._enter_segment(t)
        return self._arms.step(t, action)

    def best_action(self, t: int) -> IntArray:
        """For the oracle: best arm of round t, the lowest of equals, shape (B,)."""
        self._enter_segment(t)
        return self._arms.best_action()

    def bound(self) -> Bound:
        """Lai-Robbins within each segment, started afresh at every change.

        It is what a policy pays that is told the change points and is consistent on every segment; a policy
        that exploits knowledge of the sequence may pay less.
        """
        if self._sd is None:
            terms = [bernoulli_lai_robbins(segment) for segment in self._segments]
        else:
            terms = [gaussian_lai_robbins(segment, self._sd) for segment in self._segments]
        return Bound("Lai-Robbins, per segment", np.array([np.cumsum(term)[-1] for term in terms]), self._starts)

    def _enter_segment(self, t: int) -> None:
        """Make the means those of the segment that holds round t."""
        current = self._current
        while current + 1 < len(self._starts) and t >= self._starts[current + 1]:
            current += 1
        while t < self._starts[current]:
            current -= 1
        if current != self._current:
            self._current = current
            self._arms.set_means(self._segments[current])


def _segment(row: Sequence[float], number: int, rewards: str) -> FloatArray:
    values = np.asarray(row, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"means[{number}] must be a list of finite numbers, one per arm, got {row}")
    return probabilities(values[:, None]) if rewards == "bernoulli" else values[:, None]
