"""Sticky sets: the arms that each learner keeps for good, handed out by the designer of a population.

- "oracle": the learners of a bandit, ranked q = 0, 1, .., get consecutive blocks of ``S = ceil(K / N_m)`` arms, N_m
  learners in the smallest group: every arm is with some learner of every bandit, for certain.
- "random": independent uniform subsets of ``S = ceil(K / N_m * log(M / gamma))`` arms: some bandit's best arm is with
  nobody of the bandit with probability at most ``sum over m of (1 - S / K)^N_m``, which is at most gamma.
- "global": blocks of ``S = ceil(K / N)`` arms over all learners, whatever they learn. Right for one bandit; with
  several, most best arms are with a learner of another bandit, so it is a control that should fail.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from bandits.network import Design
from bandits.protocol import IntArray
from bandits.streams import Streams

__all__ = ["Sticky", "active_lists", "miss_probability", "sticky_size"]

Sticky = Literal["oracle", "random", "global"]


def sticky_size(design: Design, n_arms: int, sticky: Sticky, gamma: float) -> int:
    """Arms in each sticky set, S."""
    if not 0 < gamma < 1:
        raise ValueError(f"gamma must lie in (0, 1), got {gamma}: it is a probability of failure")
    share = n_arms / (design.rank.size if sticky == "global" else int(design.group_size.min()))
    if sticky == "random":
        share = max(share * math.log(design.n_bandits / gamma), 1.0)
    return min(n_arms, math.ceil(share))


def miss_probability(design: Design, n_arms: int, size: int) -> float:
    """Bound on the probability that random sets of ``size`` miss some bandit's best arm: union over bandits."""
    return float(((1.0 - size / n_arms) ** design.group_size / design.group_size).sum())


def active_lists(
    design: Design, streams: Streams, n_arms: int, sticky: Sticky, size: int | None, gamma: float, dynamic: int
) -> tuple[IntArray, int]:
    """First lists of active arms: a sticky set, then ``dynamic`` arms that follow its block, those present skipped.

    Returns:
        The lists, shape (N, S + dynamic), or (N, S + dynamic, B) where they differ by replication, and S. Where they
        would have more than K arms: all arms in order, all of them sticky.
    """
    wanted = sticky_size(design, n_arms, sticky, gamma)
    if size is not None:
        if not 1 <= size <= n_arms:
            raise ValueError(f"sticky_size must lie in 1..{n_arms}, got {size}")
        wanted = size
    n_learners = design.rank.size
    if wanted + dynamic > n_arms:
        return np.broadcast_to(np.arange(n_arms, dtype=np.int64), (n_learners, n_arms)), n_arms
    rank = np.arange(n_learners) if sticky == "global" else design.rank
    start = rank * wanted
    if sticky != "random":
        block = (start[:, None] + np.arange(wanted + dynamic)) % n_arms
        return block.astype(np.int64), wanted
    lists = np.empty((n_learners, wanted + dynamic, streams.size), dtype=np.int64)
    for i in range(n_learners):
        lists[i, :wanted] = np.sort(streams.agent.permutation(i, n_arms)[:wanted], axis=0)
        for b in range(streams.size):
            candidates = (start[i] + wanted + np.arange(n_arms)) % n_arms
            lists[i, wanted:, b] = candidates[~np.isin(candidates, lists[i, :wanted, b])][:dynamic]
    return lists, wanted
