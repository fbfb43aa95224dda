"""Tsallis-INF with alpha = 1/2 (Zimmert and Seldin, 2021).

Follows the regularised leader: the probabilities p of round t minimise ``<p, loss_sum> - 4 / eta_t * sum sqrt(p)``,
which gives

    p[k] = 4 / (eta_t (loss_sum[k] - x))^2,    x < min(loss_sum) such that sum p = 1.

With ``loss = 1 - reward``, the arm a that was played adds to the estimated cumulative losses

    importance weighting   eta_t = 2 / sqrt(t):   loss / p[a], for arm a
    reduced variance       eta_t = 4 / sqrt(t):   (loss - base[a]) / p[a], for arm a, and base[k], for every arm k,
                                                  where base[k] = 1/2 if p[k] >= eta_t^2, else 0.

Neither needs the horizon. With importance weighting the regret is at most ``4 sqrt(K T) + 1`` against any sequence
of losses in [0, 1] that does not react to the actions, and O(sum log(T) / gap) on stochastic arms ([1], Theorem 1).

For x, write ``g[k] = eta_t (loss_sum[k] - min) / 2 >= 0`` and ``x = min - 2 z / eta_t``: then
``p[k] = 1 / (g[k] + z)^2``, and z lies in [1, sqrt(K)] whatever the scale of the losses. Newton's method on
``sum p = 1`` starts at the z of the round before. The sum is convex and decreasing in z, so from anywhere in [1, oo)
the first step lands at or left of the root (raised to 1, if it went further), and the others rise to it. A lane
stops after a step below 1e-8, whose remaining error is about the square of that; lanes that have stopped wait,
untouched, for the others.

References:
    [1] Zimmert and Seldin, "Tsallis-INF: An Optimal Algorithm for Stochastic and Adversarial Bandits", JMLR 22
        (2021), Algorithms 1 and 2.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from bandits.kernels import kernel
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._adversarial import LossEstimator

__all__ = ["TsallisINF"]

_MOST_STEPS = 50


@kernel
def solve(loss_sum: FloatArray, eta: float, most_steps: int, z: FloatArray, scratch: FloatArray, p: FloatArray) -> None:
    """Write p and z from the z of the round before."""
    n_arms, size = loss_sum.shape
    least, total, slope, moving = scratch[0], scratch[1], scratch[2], scratch[3]
    for b in range(size):
        least[b] = loss_sum[0, b]
        moving[b] = 1.0
    for k in range(1, n_arms):
        for b in range(size):
            least[b] = loss_sum[k, b] if loss_sum[k, b] < least[b] else least[b]
    for k in range(n_arms):
        for b in range(size):
            p[k, b] = 0.5 * eta * (loss_sum[k, b] - least[b])  # g, for now
    for _ in range(most_steps):
        for b in range(size):
            total[b] = -1.0
            slope[b] = 0.0
        for k in range(n_arms):
            for b in range(size):
                root = 1.0 / (p[k, b] + z[b])
                total[b] += root * root
                slope[b] += root * root * root
        n_moving = 0
        for b in range(size):
            step = total[b] / (2.0 * slope[b]) * moving[b]
            z[b] = z[b] + step if z[b] + step > 1.0 else 1.0
            moving[b] = 1.0 if (step > 1e-8) | (step < -1e-8) else 0.0
            n_moving += moving[b] > 0.0
        if n_moving == 0:
            break
    for k in range(n_arms):
        for b in range(size):
            root = 1.0 / (p[k, b] + z[b])
            p[k, b] = root * root


@kernel
def add_reduced(loss_sum: FloatArray, p: FloatArray, floor: float, action: IntArray, reward: FloatArray) -> None:
    """Add the reduced-variance estimates; ``floor`` is eta^2."""
    for b in range(action.size):
        a = action[b]
        base = 0.5 if p[a, b] >= floor else 0.0
        loss_sum[a, b] += (1.0 - reward[b] - base) / p[a, b]
    for k in range(p.shape[0]):
        for b in range(p.shape[1]):
            loss_sum[k, b] += 0.5 if p[k, b] >= floor else 0.0


@register_agent("tsallis_inf", source="Zimmert and Seldin (2021), Alg. 1 and 2")
class TsallisINF(LossEstimator):
    """Follow the leader, regularised by Tsallis entropy: best of both worlds, for rewards in [0, 1].

    Args:
        problem: What the agent may know: the number of arms, and that rewards lie in [0, 1].
        streams: Random streams of the batch.
        estimator: "importance" weighting, or "reduced" variance.
    """

    def __init__(
        self, problem: Problem, streams: Streams, *, estimator: Literal["importance", "reduced"] = "importance"
    ) -> None:
        if estimator not in ("importance", "reduced"):
            raise ValueError(f"estimator must be 'importance' or 'reduced', got {estimator!r}")
        super().__init__(problem, streams)
        self.estimator = estimator
        self._z = np.full(streams.size, float(np.sqrt(problem.n_arms)))
        self._solver_scratch = np.empty((4, streams.size))

    def eta(self, t: int) -> float:
        """Learning rate of round t."""
        return (2.0 if self.estimator == "importance" else 4.0) / float(np.sqrt(t))

    def distribution(self, t: int) -> None:
        """Write the probabilities of round t into ``p``."""
        solve(self.loss_sum, self.eta(t), _MOST_STEPS, self._z, self._solver_scratch, self.p)

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        if self.estimator == "importance":
            super().update(t, action, feedback)
        else:
            add_reduced(self.loss_sum, self.p, self.eta(t) ** 2, action, feedback.reward)
