"""When to stop: a group-sequential test of all pairs of agents, with a bound on the chance of any wrong claim.

After R, 2R, 4R, ... replications every pair of agents is looked at; a run stops once every pair is settled. Looking
often and claiming at the first chance errs far more often than one test does, so the looks share the error:

    look k may spend  alpha_k = alpha / (k (k + 1)),      alpha_1 + alpha_2 + ... <= alpha however many looks,
    and separates a pair if the p-value of its paired t test is at most alpha_k / (m - s),

with m pairs, s of them separated before (at earlier looks, or at this one with a smaller p-value).

Why the chance of separating any pair of equal means is at most alpha, however the pairs depend on each other: say m0
pairs are equal. When the first of them is separated, all s pairs before it were unequal, so m - s >= m0, and its
p-value was at most alpha_k / m0 at some look k. For one pair and look that has probability alpha_k / m0; summed over
m0 pairs and all looks, alpha. This is Holm's (1979) argument carried over the looks, as in Bartroff and Lai (2010),
and needs one thing: that p-values are valid, which for t tests of skewed differences is true in the limit, so the
first look has at least `LEAST_REPLICATIONS` replications. Which of two separated agents is better is read from the
sign, as usual with Holm's method.

AdaStop (Mathieu et al. 2024) has the same aim. It is another test: of equal distributions, by permutations of
independent samples, with a number of looks fixed in advance. Here agents share their noise, the claim is about means,
and a run may be continued as often as one likes.

With a margin, pairs also settle as equivalent once their interval lies within +- margin; each kind of claim then gets
half of alpha.

References:
    [1] Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979).
    [2] Bartroff and Lai, "Multistage Tests of Multiple Hypotheses", Communications in Statistics 39 (2010).
    [3] Mathieu et al., "AdaStop: adaptive statistical testing for sound comparisons of Deep RL agents", TMLR (2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .errors import BadParameter
from .protocol import FloatArray
from .significance import t_tests
from .statistics import check_level

__all__ = ["LEAST_REPLICATIONS", "Verdict", "judge", "look_share", "looks_up_to"]

LEAST_REPLICATIONS = 50  # at the first look


@dataclass(frozen=True)
class Verdict:
    """What the looks so far say about a pair.

    Attributes:
        state: "separated", "equivalent" (within the margin), "same" (equal in every replication so far), or "open".
        look: Number of the look that settled it, from 1; the last one for an open pair.
        replications: Replications at that look.
        difference: Mean difference at that look.
        low, high: Its interval there. All intervals of all pairs and looks hold together with probability 1 - alpha.
        p: P-value there, to be held against ``threshold``, not against alpha.
        threshold: What p had to reach.
    """

    state: Literal["separated", "equivalent", "same", "open"]
    look: int
    replications: int
    difference: float
    low: float
    high: float
    p: float
    threshold: float


def look_share(k: int) -> float:
    """Share of alpha that look k = 1, 2, ... spends; the shares of all looks sum to 1."""
    return 1.0 / (k * (k + 1))


def looks_up_to(first: int, most: int) -> list[int]:
    """Numbers of replications at which to look: first, 2 first, 4 first, ... as far as ``most`` allows.

    Raises:
        BadParameter: Not even the first one.
    """
    if most < first:
        raise BadParameter(f"the first look comes after {first} replications: the most allowed, {most}, is less")
    return [first * 2**k for k in range((most // first).bit_length())]


def judge(differences: FloatArray, looks: Sequence[int], alpha: float = 0.05, margin: float = 0.0) -> list[Verdict]:
    """Settle pairs, look by look.

    Args:
        differences: Difference of the two agents of each pair in each replication, (R, m), replication 0 first.
        looks: Increasing numbers of replications at which was looked; the last one is at most R.
        alpha: Bound on the probability of any wrong claim over all pairs and looks.
        margin: Half-width of what counts as equivalent; 0 for no such claim.

    Returns:
        A verdict for each pair; it depends on nothing but the arguments, so it can be read off a log again.
    """
    check_level(alpha, "alpha")
    if not margin >= 0:
        raise BadParameter(f"margin must not be negative, got {margin}")
    m = differences.shape[1]
    spent = alpha / 2 if margin > 0 else alpha
    settled: dict[int, Verdict] = {}
    latest: list[Verdict] = []
    for k, n in enumerate(looks, start=1):
        level = spent * look_share(k)
        numbers = np.column_stack(t_tests(differences[:n], level / m)).tolist()
        latest = [Verdict("open", k, n, d, low, high, p, level / m) for d, low, high, p in numbers]
        separated = sum(verdict.state == "separated" for verdict in settled.values())
        still_open = [j for j in sorted(range(m), key=lambda j: latest[j].p) if j not in settled]
        while still_open and latest[still_open[0]].p <= level / (m - separated):
            j = still_open.pop(0)
            settled[j] = replace(latest[j], state="separated", threshold=level / (m - separated))
            separated += 1
        for j in still_open:
            latest[j] = replace(latest[j], threshold=level / (m - separated))
            if margin > 0 and -margin <= latest[j].low and latest[j].high <= margin:
                settled[j] = replace(latest[j], state="equivalent")
            elif not differences[:n, j].any():
                latest[j] = replace(latest[j], state="same")
        if len(settled) == m:
            break
    return [settled.get(j, verdict) for j, verdict in enumerate(latest)]
