"""Bootstrapped linear regressions (Eckles and Kaptein, 2014): Thompson sampling with an ensemble for a posterior.

J ridge regressions see the same rounds, each with weights of its own: an online bootstrap. A round draws one of the J
at random and plays the arm that it predicts to be the best. An observation counts in each regression, independently, a
random number of times of mean 1:

    double_or_nothing    0 or 2, with probability 1/2 each
    poisson              a Poisson number of mean 1

Each regression is drawn towards a random parameter N(0, prior_sd^2 I), so that they differ before there is anything to
resample ([2]; with ``prior_sd=0`` all begin at 0). No regret bound is known for it here.

References:
    [1] Eckles and Kaptein, "Thompson Sampling with the Online Bootstrap", arXiv 1410.4009 (2014).
    [2] Osband, Aslanides and Cassirer, "Randomized Prior Functions for Deep Reinforcement Learning", NeurIPS 2018.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from bandits.kernels import inner_products, kernel
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._index import Tie
from ._linear import LinearPolicy
from ._packed import take

__all__ = ["BootstrappedLinear"]

# A count is at least n where the uniform is no less than the distribution function at n - 1; 1 / e is 0.3679.
DOUBLE_OR_NOTHING = np.array([0.5, 0.5])
POISSON = np.array([0.36787944117144233 * sum(1 / math.factorial(i) for i in range(n)) for n in range(1, 17)])


@kernel
def resample(uniform: FloatArray, thresholds: FloatArray, weight: FloatArray) -> None:
    """How many thresholds lie at or below the uniform: uniform and weight are (B,)."""
    for b in range(uniform.size):
        weight[b] = 0.0
    for i in range(thresholds.size):
        for b in range(uniform.size):
            weight[b] += 1.0 if uniform[b] >= thresholds[i] else 0.0


@register_agent("bootstrapped_linear", source="Eckles and Kaptein (2014)")
class BootstrappedLinear(LinearPolicy):
    """Greedy play on one of J bootstrapped regressions, drawn in every round.

    Args:
        problem: What the agent may know.
        streams: Random streams of the batch; it draws from ``agent``.
        replicates: J, the number of regressions.
        weights: How often an observation counts: "double_or_nothing" or "poisson".
        prior_sd: Standard deviation of the random parameter towards which a regression is drawn.
        ridge: Lambda, the weight of the prior.
        disjoint: One parameter per arm; null for where all arms have the same features.
        tie: Among equal predictions play the "first" arm, or a "random" one.
    """

    def __init__(
        self,
        problem: Problem,
        streams: Streams,
        *,
        replicates: int = 10,
        weights: Literal["double_or_nothing", "poisson"] = "double_or_nothing",
        prior_sd: float = 1.0,
        ridge: float = 1.0,
        disjoint: bool | None = None,
        tie: Tie = "first",
    ) -> None:
        if replicates < 1:
            raise ValueError(f"replicates must be at least 1, got {replicates}: it is the number of regressions")
        if not 0 <= prior_sd < math.inf:
            raise ValueError(f"prior_sd must be at least 0 and finite, got {prior_sd}")
        super().__init__(problem, streams, ridge=ridge, disjoint=disjoint, tie=tie, copies=replicates)
        self.replicates = replicates
        d, n = self.models.theta.shape[:2]
        self._per_replicate = n // replicates  # one model, or one for each arm
        self.models.theta[:] = prior_sd * streams.agent.normals(0, d * n).reshape(d, n, streams.size)
        self.models.moment[:] = ridge * self.models.theta
        self._thresholds = POISSON if weights == "poisson" else DOUBLE_OR_NOTHING
        self._stream = streams.agent
        self._theta = np.empty((self._per_replicate, d, streams.size))
        self._counts, self._weight = np.empty((replicates, streams.size)), np.empty(streams.size)

    def score(self, t: int, x: FloatArray, out: FloatArray) -> None:
        """Write the prediction of every arm by the regression drawn for this round."""
        first = self._per_replicate * self._stream.integers(t, self.replicates)
        for m, theta in enumerate(self._theta):
            take(self.models.theta, first + m, theta)
        inner_products(x, np.ascontiguousarray(self._theta.swapaxes(0, 1)), out)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round, in every regression as often as it drew."""
        take(self._x, action, self._chosen)
        own = action if self._per_replicate > 1 else np.zeros_like(action)
        self._stream.uniforms(t, self.replicates, self._counts)
        for j in range(self.replicates):
            resample(self._counts[j], self._thresholds, self._weight)
            self.models.absorb(own + j * self._per_replicate, self._chosen, feedback.reward, self._weight)
        self.models.refresh(t)
