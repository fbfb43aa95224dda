"""What linear agents share: features of the arms, one regression for all arms or one for each, and greedy play.

An agent is little more than how it scores the arms:

    class LinUCB(LinearPolicy):
        def score(self, t, x, out): means + alpha * widths

"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bandits.arrays import empty
from bandits.errors import UnsupportedProblem
from bandits.kernels import argmax, argmax_random, inner_products, kernel
from bandits.protocol import Context, Feedback, FloatArray, IntArray, Problem
from bandits.streams import Streams

from ._context import known_context
from ._index import Tie
from ._packed import take
from ._ridge import Ridge

__all__ = ["LinearPolicy", "features_of_arms", "models_of", "parameter_length"]


@kernel
def add_widths(squares: FloatArray, factor: FloatArray, scores: FloatArray) -> None:
    """Add ``factor * sqrt(square)`` to the scores: squares and scores are (K, B), factor (B,)."""
    for a in range(scores.shape[0]):
        for b in range(scores.shape[1]):
            scores[a, b] += factor[b] * np.sqrt(squares[a, b])


def models_of(problem: Problem, disjoint: bool | None) -> tuple[Context, int]:
    """What is known of the contexts, and the number of models: one for all arms, or one for each.

    Args:
        problem: What the agent may know.
        disjoint: One model for each arm; None for where all arms have the same features.

    Raises:
        UnsupportedProblem: There is no context, or one model would not tell the arms apart.
    """
    context = known_context(problem)
    if disjoint is None:
        disjoint = not context.per_arm
    if not disjoint and not context.per_arm:
        raise UnsupportedProblem(
            "needs features for each arm, and here one vector goes with all: play an agent with one model per arm, "
            "such as linucb_disjoint"
        )
    return context, problem.n_arms if disjoint else 1


def features_of_arms(context: FloatArray) -> FloatArray:
    """Context as (d, K, B), or as (d, 1, B) where one vector goes with all arms."""
    return context if context.ndim == 3 else context[:, None]


def parameter_length(context: Context, given: float | None) -> float:
    """S, the length of a parameter: as given, else as known, else 1."""
    if given is not None and not 0 <= given < math.inf:
        raise ValueError(f"parameter_norm must be at least 0 and finite, got {given}: it bounds the parameter's length")
    known = context.parameter_norm if given is None else given
    return 1.0 if known is None else known


class LinearPolicy:
    """Play the arm with the largest score, and regress rewards on features.

    Args:
        problem: What the agent may know.
        streams: Random streams of the batch.
        ridge: Lambda, the weight of the prior.
        disjoint: One parameter per arm; None for where all arms have the same features.
        tie: Among equal scores play the "first" arm, or a "random" one.
        copies: Keep so many of each regression.

    Attributes:
        models: The regressions, one for all arms or one for each.
        context: What is known of the contexts.
    """

    regression: type[Ridge] = Ridge

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        ridge: float,
        disjoint: bool | None = None,
        tie: Tie = "first",
        copies: int = 1,
    ) -> None:
        self.context, n_models = models_of(problem, disjoint)
        self.n_arms, size, d = problem.n_arms, streams.size, self.context.n_features
        self.models = self.regression(copies * n_models, d, size, ridge)
        self._tie = streams.ties if tie == "random" else None
        self._x = empty((d, 1, size))
        self._chosen, self._ones = empty((d, size)), np.ones(size)
        self._scores, self._squares = empty((self.n_arms, size)), empty((self.n_arms, size))
        self._action, self._best = empty(size, np.int64), empty(size)

    def score(self, t: int, x: FloatArray, out: FloatArray) -> None:
        """Write the predicted mean of every arm: x is (d, K, B) or (d, 1, B), out (K, B)."""
        inner_products(x, self.models.theta, out)

    def optimistic(self, x: FloatArray, factor: FloatArray, out: FloatArray) -> None:
        """Write ``x' theta + factor * sqrt(x' V^-1 x)`` for every arm: factor is (B,)."""
        inner_products(x, self.models.theta, out)
        self.models.squares(x, self._squares)
        add_widths(self._squares, factor, out)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        self._x = features_of_arms(context)
        self.score(t, self._x, self._scores)
        return self.largest(t, self._scores)

    def largest(self, t: int, scores: FloatArray) -> IntArray:
        """Arm with the largest score, ties broken as configured."""
        if self._tie is None:
            argmax(scores, self._action, self._best)
        else:
            argmax_random(scores, self._tie.uniforms(t, self.n_arms), self._action, self._best)
        if np.isnan(self._best).any():
            raise FloatingPointError("a score is not a number: features or rewards are NaN, infinite or too large")
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        take(self._x, action, self._chosen)
        self.models.absorb(action, self._chosen, feedback.reward, self._ones)
        self.models.refresh(t)
