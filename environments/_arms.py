"""What environments of K independent arms share: the instance, the gaps and the feedback."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bandits.arrays import empty
from bandits.kernels import kernel, place
from bandits.protocol import Bound, Feedback, FloatArray, IntArray
from bandits.streams import Stream, Streams

__all__ = ["Arms", "instance", "lai_robbins_bound"]

Prior = Callable[[Stream, int], FloatArray]


def instance(
    streams: Streams,
    priors: dict[str, Prior],
    *,
    means: Sequence[float] | None,
    n_arms: int | None,
    best: float | None,
    gap: float | None,
    prior: str | None,
) -> FloatArray:
    """Means of an instance given in one of three ways: a list, ``best`` and ``gap`` for K arms, or a named prior.

    Returns:
        Shape (K, 1) where all replications play the same instance, (K, B) where each draws its own.

    Raises:
        ValueError: Not exactly one way was used, or it is incomplete.
    """
    ways = [means is not None, best is not None or gap is not None, prior is not None]
    if sum(ways) != 1:
        raise ValueError(
            "describe the instance in one way: means=[...], or best=, gap= and n_arms=, or prior= and n_arms="
        )
    if means is not None:
        if n_arms is not None and n_arms != len(means):
            raise ValueError(f"n_arms is {n_arms} but means has {len(means)} entries: leave n_arms out")
        return _finite(np.asarray(means, dtype=np.float64)[:, None])
    if n_arms is None or n_arms < 1:
        raise ValueError(f"n_arms must be at least 1, got {n_arms}")
    if prior is not None:
        if prior not in priors:
            raise ValueError(f"prior must be one of {', '.join(sorted(priors))}, got '{prior}'")
        return priors[prior](streams.instance, n_arms)
    if best is None or gap is None:
        raise ValueError("best and gap go together: best=0.5, gap=0.1, n_arms=10")
    if gap < 0:
        raise ValueError(f"gap must be at least 0, got {gap:g}: the other arms have mean best - gap")
    return _finite(np.append(best, np.full(n_arms - 1, best - gap))[:, None])


def lai_robbins_bound(terms: FloatArray, means: FloatArray) -> Bound:
    """Bound of Lai and Robbins (1985, Theorem 1), whose arms share nothing: ``1 / KL`` plays per log T of each.

    Args:
        terms: ``gap / KL`` of each arm, 0 for the best, shape (K, 1) or (K, B).
        means: Same shape.
    """
    constants = np.cumsum(terms, axis=0)[-1]
    if means.shape[1] > 1:
        return Bound("Lai-Robbins bound", constants[None])
    gaps = (means.max(axis=0) - means)[:, 0]
    with np.errstate(over="ignore"):
        allocation = np.divide(terms[:, 0], gaps, out=np.full(gaps.shape, np.nan), where=gaps > 0)
    return Bound("Lai-Robbins bound", constants, allocation=allocation)


def _finite(means: FloatArray) -> FloatArray:
    if means.shape[0] == 0:
        raise ValueError("means is empty: an instance has at least one arm")
    bad = np.flatnonzero(~np.isfinite(means[:, 0]))
    if bad.size:
        raise ValueError(f"means[{bad[0]}] = {means[bad[0], 0]:g} is not a finite number")
    return means


@kernel
def gaussian_round(
    means: FloatArray,
    gaps: FloatArray,
    sd: FloatArray,
    action: IntArray,
    noise: FloatArray,
    reward: FloatArray,
    regret: FloatArray,
) -> None:
    """Reward ``mean + sd * noise`` and gap of each lane's action; means and gaps are (K, 1) or (K, B)."""
    per_lane = 0 if means.shape[1] == 1 else 1
    for b in range(action.size):
        a = place(action[b])
        reward[b] = means[a, b * per_lane] + sd[a] * noise[b]
        regret[b] = gaps[a, b * per_lane]


@kernel
def bernoulli_round(
    means: FloatArray,
    gaps: FloatArray,
    action: IntArray,
    uniform: FloatArray,
    reward: FloatArray,
    regret: FloatArray,
) -> None:
    """Reward 1 where the uniform lies below the action's mean, else 0; means and gaps are (K, 1) or (K, B)."""
    per_lane = 0 if means.shape[1] == 1 else 1
    for b in range(action.size):
        a = place(action[b])
        reward[b] = 1.0 if uniform[b] < means[a, b * per_lane] else 0.0
        regret[b] = gaps[a, b * per_lane]


class Arms:
    """K independent arms, known means: draws Gaussian or Bernoulli rewards and returns pseudo-regret.

    The noise of round t is one number per replication, whichever arm is played: agents that play the same arm in the
    same round get the same reward, and Bernoulli rewards are monotone in the mean.

    Args:
        streams: Streams of the batch; noise comes from ``streams.reward``.
        means: Shape (K, 1) or (K, B).
        sd: Noise level of each arm, shape (K,); None for Bernoulli arms.
    """

    def __init__(self, streams: Streams, means: FloatArray, sd: FloatArray | None) -> None:
        self._noise = streams.reward
        self._feedback = Feedback(empty(streams.size), empty(streams.size))
        self.sd = sd
        self.set_means(means)

    def set_means(self, means: FloatArray) -> None:
        """Play from now on with these means."""
        self.means = np.ascontiguousarray(means)
        self.gaps = self.means.max(axis=0) - self.means
        best = np.argmax(self.means, axis=0).astype(np.int64)
        self._best = np.ascontiguousarray(np.broadcast_to(best, self._feedback.reward.shape))

    def best_action(self) -> IntArray:
        """Arm with the largest mean, the lowest of equals, shape (B,)."""
        return self._best

    def step(self, t: int, action: IntArray) -> Feedback:
        """Play one round: reward and regret are float64 of shape (B,)."""
        out = self._feedback
        if self.sd is None:
            bernoulli_round(self.means, self.gaps, action, self._noise.uniform(t), out.reward, out.regret)
        else:
            gaussian_round(self.means, self.gaps, self.sd, action, self._noise.normal(t), out.reward, out.regret)
        return out
