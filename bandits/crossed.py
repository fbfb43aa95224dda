"""Intervals for a mean over items that several networks were tried on, such as images and models of different seeds.

Two answers for one image are alike, and so are two answers of one network: the replications of such a study are not
independent, and an interval that takes them for it is too short. Items and networks are crossed here, every network on
every item, and both are samples of more. The *pigeonhole bootstrap* (Owen 2007) draws items and networks, each with
replacement and independently of each other; a cell counts as often as its item was drawn times its network was.

With few networks, three as a rule, quantiles of that bootstrap are too close: three draws out of three hardly show how
networks spread. So the bootstrap gives the interval its shape, how much longer it is on one side, and Student's t its
length: the variance is the sum of that between items and that between networks, each with n - 1, and the degrees of
freedom are Satterthwaite's (1946). What the two share is counted twice, which errs on the long side.

Coverage of 95 % intervals with 200 items, 3 networks and 3 draws of each (2000 simulated studies, item effects
exponential with sd 1, draws with sd 0.5): 95.4 % where networks do not differ, 95.6 % where they do with sd 0.1, 94.0 %
with sd 1; 98.3 % where there is noise alone. Quantiles of the bootstrap cover 79 % in the third case. Two networks
cover 89 % there.

    [1] Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1 (2007), Section 3.
    [2] Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2 (1946).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .protocol import FloatArray, IntArray
from .statistics import RESAMPLES, bootstrap_counts, check_level

__all__ = ["CrossedMean", "crossed_mean"]


@dataclass(frozen=True)
class CrossedMean:
    """A mean over items and networks.

    Attributes:
        mean: Over all values.
        low, high: Interval; NaN where there are fewer than two items.
        p: Two-sided p-value of mean 0, by Student's t.
        sd: Standard deviation of the items' means.
        items, networks, values: How many there are of each. With one network the interval says nothing of others.
    """

    mean: float
    low: float
    high: float
    p: float
    sd: float
    items: int
    networks: int
    values: int


def crossed_mean(
    values: FloatArray,
    items: IntArray,
    networks: IntArray,
    level: float = 0.95,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> CrossedMean:
    """Mean of values, each of an item and a network, with its interval.

    An item's values of one network, such as several draws of noise, enter as their sum, so an item that has more of
    them counts more.

    Args:
        values: (N,).
        items: Which item each is of, (N,).
        networks: Which network each is of, (N,).
        level: Two-sided confidence level.
        seed: Seed of the resampling.
        resamples: Number of bootstrap samples.
    """
    check_level(level)
    sums, counts = _table(values, items, networks)
    n_items, n_networks = counts.shape
    n = len(values)
    mean = float(values.mean()) if n else math.nan
    if n_items < 2 or math.isnan(mean):
        return CrossedMean(mean, math.nan, math.nan, math.nan, math.nan, n_items, n_networks, n)
    off = sums - mean * counts  # (items, networks); sums to 0
    of_items, of_networks = _variance(off.sum(axis=1) / n), _variance(off.sum(axis=0) / n)
    sd = float((off.sum(axis=1) / counts.sum(axis=1)).std(ddof=1))
    variance = of_items + of_networks
    if variance <= (1e-9 * np.abs(values).max()) ** 2 / n:  # values are all equal
        same = 1.0 if mean == 0 else 2.0 ** (1 - n_items)
        return CrossedMean(mean, mean, mean, same, 0.0, n_items, n_networks, n)
    from scipy.special import stdtr, stdtrit

    freedom = variance**2 / (of_items**2 / (n_items - 1) + (of_networks**2 / (n_networks - 1) if n_networks > 1 else 0))
    error = math.sqrt(variance)
    half = float(stdtrit(freedom, (1 + level) / 2)) * error
    below, above = _ends(off, counts, level, seed, resamples)
    stretch = 2 * half / (above - below)
    p = float(2 * stdtr(freedom, -abs(mean) / error))
    return CrossedMean(mean, mean + stretch * below, mean + stretch * above, p, sd, n_items, n_networks, n)


def _table(values: FloatArray, items: IntArray, networks: IntArray) -> tuple[FloatArray, FloatArray]:
    """Sum and number of the values of each item (rows) and network (columns)."""
    rows, row = np.unique(items, return_inverse=True)
    columns, column = np.unique(networks, return_inverse=True)
    shape, at = (len(rows), len(columns)), row * len(columns) + column
    size = shape[0] * shape[1]
    sums = np.bincount(at, weights=values.astype(np.float64), minlength=size).astype(np.float64)
    counts = np.bincount(at, minlength=size).astype(np.float64)
    return sums.reshape(shape), counts.reshape(shape)


def _variance(parts: FloatArray) -> float:
    """Variance of a sum of n independent parts that add up to 0; that of a single part is not known, and left out."""
    n = len(parts)
    return float(n / (n - 1) * (parts @ parts)) if n > 1 else 0.0


def _ends(off: FloatArray, counts: FloatArray, level: float, seed: int, resamples: int) -> tuple[float, float]:
    """Quantiles of the bootstrapped mean, less the mean."""
    n_items, n_networks = counts.shape
    of_items, of_networks = _draws(n_items, resamples, seed), _draws(n_networks, resamples, seed + 1)
    total = ((of_items @ counts) * of_networks).sum(axis=1)
    shift = ((of_items @ off) * of_networks).sum(axis=1)
    drawn = total > 0  # with cells that are missing a draw may hit none
    below, above = np.quantile(shift[drawn] / total[drawn], [(1 - level) / 2, (1 + level) / 2], method="weibull")
    return float(below), float(above)


@lru_cache(maxsize=4)
def _draws(n: int, resamples: int, seed: int) -> FloatArray:
    """How often each of n is drawn, (resamples, n)."""
    return np.concatenate(list(bootstrap_counts(n, resamples, seed)))
