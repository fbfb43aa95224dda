"""Tsallis-INF for costs of unknown scale, one copy for each bin of a scalar context (Khodak et al., 2024).

The interval [low, high] of contexts is cut into ``bins``, with centres ``low + (high - low) (i + 1/2) / bins``; a
context belongs to the nearest centre, the lower of equals, and every bin has a learner of its own. With one bin this
is the variant of Tsallis-INF of [1], which needs no context. With ``loss = best possible reward - reward``, so that
the least is 0 (iterations - 1 for a solver), a learner in its round t plays p:

    p[k] = 4 / (eta_t (loss_sum[k] / scale - x))^2,    x such that sum p = 1,    eta_t = 2 / sqrt(t)

    scale = mean of the losses it has seen (1 before the first),    loss_sum[a] += loss / p[a]

Unlike in `tsallis_inf`, losses need not lie in [0, 1]: their mean becomes the unit.

The code of [1] finds x by exactly 20 Newton steps, the first ones from x = -1, and draws uniformly where the result
is no distribution, with p still the weight. ``newton="code"`` does so, starting from the x of the learner's round
before: started from -1 in every round, as one may also read it, the steps diverge for most rounds and play is
uniform. ``newton="exact"`` solves to the last digits.

References:
    [1] Khodak, Chow, Balcan and Talwalkar, "Learning to Relax: Setting Solver Parameters Across a Sequence of Linear
        System Instances", ICLR 2024, and its code.
    [2] Zimmert and Seldin, "Tsallis-INF: An Optimal Algorithm for Stochastic and Adversarial Bandits", JMLR 22
        (2021), Algorithm 1.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from bandits.errors import UnsupportedProblem
from bandits.kernels import kernel
from bandits.protocol import Feedback, FloatArray, IntArray, Problem
from bandits.registry import register_agent
from bandits.streams import Streams

from ._adversarial import draw
from ._context import scalar_context
from .tsallis_inf import solve

__all__ = ["TsallisINFBinned"]

_CODE_STEPS = 20
_SUM_TOLERANCE = 1e-8  # how far a sum may be from 1 to pass for a distribution


@kernel
def nearest(context: FloatArray, centres: FloatArray, out: IntArray) -> None:
    """Index of the nearest centre, the lower of equals: context (B,), centres (m,), out (B,)."""
    for b in range(context.size):
        best, chosen = abs(context[b] - centres[0]), 0
        for i in range(1, centres.size):
            distance = abs(context[b] - centres[i])
            if distance < best:
                best, chosen = distance, i
        out[b] = chosen


@kernel
def gather(loss_sum: FloatArray, rounds: FloatArray, total: FloatArray, place: IntArray, out: FloatArray) -> None:
    """``eta loss_sum / scale`` of each lane's learner: loss_sum (m, K, B), rounds and total (m, B), out (K, B)."""
    for b in range(place.size):
        i = place[b]
        scale = total[i, b] / rounds[i, b] if total[i, b] > 0.0 else 1.0
        factor = 2.0 / np.sqrt(rounds[i, b] + 1.0) / scale
        for k in range(out.shape[0]):
            out[k, b] = factor * loss_sum[i, k, b]


@kernel
def newton_as_code(scaled: FloatArray, rounds: FloatArray, place: IntArray, x: FloatArray, p: FloatArray) -> None:
    """Twenty steps from the learner's last x (m, B), for scaled losses (K, B); where p is no distribution, so be it."""
    for b in range(place.size):
        i = place[b]
        eta = 2.0 / np.sqrt(rounds[i, b] + 1.0)
        for _ in range(_CODE_STEPS):
            total, slope = 0.0, 0.0
            for k in range(p.shape[0]):
                root = 2.0 / (scaled[k, b] - eta * x[i, b])
                p[k, b] = root * root
                total += p[k, b]
                slope += p[k, b] * abs(root)
            x[i, b] -= (total - 1.0) / (eta * slope)


@kernel
def uniform_where_broken(p: FloatArray, out: FloatArray) -> None:
    """Copy distributions, and put 1 for every arm where p is none: both (K, B)."""
    for b in range(p.shape[1]):
        total = 0.0
        for k in range(p.shape[0]):
            total += p[k, b]
        sound = abs(total - 1.0) <= _SUM_TOLERANCE
        for k in range(p.shape[0]):
            out[k, b] = p[k, b] if sound else 1.0


@kernel
def absorb(
    action: IntArray,
    loss: FloatArray,
    p: FloatArray,
    place: IntArray,
    loss_sum: FloatArray,
    rounds: FloatArray,
    total: FloatArray,
) -> None:
    """Add the round to each lane's learner; a weight that overflows counts as 1e300."""
    for b in range(action.size):
        i, a = place[b], action[b]
        estimate = loss_sum[i, a, b] + (loss[b] / p[a, b] if loss[b] > 0.0 else 0.0)
        loss_sum[i, a, b] = estimate if estimate < 1e300 else 1e300
        rounds[i, b] += 1.0
        total[i, b] += loss[b]


@register_agent("tsallis_inf_binned", source="Khodak, Chow, Balcan and Talwalkar (2024), Tsallis-INF-CB and its code")
class TsallisINFBinned:
    """Tsallis-INF that measures losses by their mean, one copy per bin of a scalar context.

    Args:
        problem: What the agent may know: the number of arms, the intervals of the rewards and of the context.
        streams: Random streams of the batch.
        bins: Number of learners m; 1 ignores the context.
        newton: "exact" solves for p to the last digits; "code" takes twenty Newton steps, as the authors' code does.
    """

    examples = ({"bins": 1}, {"bins": 5})

    def __init__(
        self, problem: Problem, streams: Streams, *, bins: int = 5, newton: Literal["exact", "code"] = "exact"
    ) -> None:
        if bins < 1:
            raise ValueError(f"bins must be at least 1, got {bins}")
        if newton not in ("exact", "code"):
            raise ValueError(f"newton must be 'exact' or 'code', got {newton!r}")
        if problem.reward_range is None:
            raise UnsupportedProblem("needs rewards in a known interval, got none: losses are measured from its end")
        self._top = problem.reward_range[1]
        low, high = scalar_context(problem) if bins > 1 else (0.0, 1.0)
        self.centres = low + (high - low) * (np.arange(bins) + 0.5) / bins
        n_arms, size = problem.n_arms, streams.size
        self._stream, self.newton = streams.agent, newton
        self.loss_sum = np.zeros((bins, n_arms, size))
        self.rounds, self.total = np.zeros((bins, size)), np.zeros((bins, size))
        self.x = np.full((bins, size), -1.0)
        self.p = np.empty((n_arms, size))
        self._scaled, self._weights = np.empty((n_arms, size)), np.empty((n_arms, size))
        self._solver_scratch, self._scratch = np.empty((4, size)), np.empty((2, size))
        self._start = np.empty(size)
        self._place, self._action = np.zeros(size, dtype=np.int64), np.empty(size, dtype=np.int64)

    def act(self, t: int, context: Any = None) -> IntArray:
        """Choose one arm per replication: int64, shape (B,)."""
        if self.centres.size > 1:
            nearest(context[0], self.centres, self._place)
        gather(self.loss_sum, self.rounds, self.total, self._place, self._scaled)
        if self.newton == "code":
            newton_as_code(self._scaled, self.rounds, self._place, self.x, self.p)
            uniform_where_broken(self.p, self._weights)
        else:
            self._start[:] = 1.0
            solve(self._scaled, 1.0, 50, self._start, self._solver_scratch, self.p)
            self._weights[:] = self.p
        draw(self._weights, self._stream.uniform(t), self._scratch, self._action)
        return self._action

    def update(self, t: int, action: IntArray, feedback: Feedback) -> None:
        """Absorb one round."""
        absorb(action, self._top - feedback.reward, self.p, self._place, self.loss_sum, self.rounds, self.total)
