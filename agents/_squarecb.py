"""SquareCB's probabilities (Foster and Rakhlin, 2020): inverse gap weighting of predicted losses.

With the best prediction at arm b, the lowest of equals,

    p[a] = 1 / (mu + gamma (loss[a] - loss[b])) for a != b,    p[b] = 1 - the sum of the others,

where ``mu = K``. Then ``p[b] >= 1 / K``, and ``gamma = 0`` is uniform play.

References:
    [1] Foster and Rakhlin, "Beyond UCB: Optimal and Efficient Contextual Bandits with Regression Oracles", ICML 2020,
        Algorithm 1.
"""

from __future__ import annotations

from bandits.kernels import kernel
from bandits.protocol import FloatArray, IntArray

__all__ = ["inverse_gap_weights"]


@kernel
def inverse_gap_weights(
    loss: FloatArray, gamma: FloatArray, best: IntArray, scratch: FloatArray, p: FloatArray
) -> None:
    """Write the probabilities p (K, B) of predicted losses (K, B): gamma is (B,), best and scratch receive (B,) each.

    Losses are finite and gamma lies in [0, oo); ``best`` is the arm of the least loss, the lowest of equals.
    """
    n_arms, size = loss.shape
    for b in range(size):
        scratch[b] = loss[0, b]
        best[b] = 0
    for k in range(1, n_arms):
        for b in range(size):
            better = loss[k, b] < scratch[b]
            scratch[b] = loss[k, b] if better else scratch[b]
            best[b] = k if better else best[b]
    for k in range(n_arms):
        for b in range(size):
            p[k, b] = 1.0 / (n_arms + gamma[b] * (loss[k, b] - scratch[b]))
    for b in range(size):
        p[best[b], b] = 0.0
        scratch[b] = 1.0
    for k in range(n_arms):
        for b in range(size):
            scratch[b] -= p[k, b]
    for b in range(size):
        p[best[b], b] = scratch[b]
