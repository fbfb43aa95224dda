"""Statistics of replications: pure functions of arrays whose first axis is the replication.

Intervals for a mean (`mean_interval`), quantile bands (`quantiles`, `quantile_interval`), who is best (`share_best`,
`chance_of_least_mean`), growth in ln t (`log_slopes`) and trade-offs (`efficient`); `bandits.significance` has tests.

Resampling is seeded: the same numbers give the same interval. The studentised bootstrap is written here because
scipy.stats lacks it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .errors import BadParameter
from .protocol import FloatArray, IntArray

__all__ = [
    "Interval",
    "Method",
    "bootstrap_counts",
    "chance_of_least_mean",
    "check_level",
    "efficient",
    "half_width",
    "log_slopes",
    "mean_interval",
    "quantile_interval",
    "quantiles",
    "share_best",
]

Method = Literal["t", "normal", "bootstrap"]

RESAMPLES = 1999  # (resamples + 1) * 2.5 % is whole, so both ends of a 95 % interval are order statistics
_CHUNK = 4_000_000  # resampled indices in memory at a time


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; numbers, or arrays of one shape.

    Attributes:
        mean, low, high: Sample mean and the ends of the interval; NaN ends from fewer than two replications.
        level: Two-sided confidence level.
        method: "t" (Student), "normal", or "bootstrap" (studentised).
        replications: Number of replications.
    """

    mean: FloatArray
    low: FloatArray
    high: FloatArray
    level: float
    method: Method
    replications: int


def mean_interval(
    values: FloatArray, level: float = 0.95, method: Method = "t", *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Confidence interval for the mean over replications.

    "t" and "normal" take the mean as normal; "bootstrap" is the studentised bootstrap (bootstrap-t; Efron and
    Tibshirani 1993, Sect. 12.5), which follows the skewness of the data: regret is often skewed to the right.

    Args:
        values: One number per replication, (R,), or several, (R, C): the interval is pointwise.
        level: Two-sided confidence level.
        method: How; see above.
        seed: Seed of the resampling.
        resamples: Number of bootstrap samples.

    Raises:
        BadParameter: The level or the method is wrong.
    """
    check_level(level)
    if method not in ("t", "normal", "bootstrap"):
        raise BadParameter(f"method must be t, normal or bootstrap, got '{method}'")
    n = len(values)
    if n < 2:
        nothing = np.full(values.shape[1:], np.nan)
        return Interval(values.mean(axis=0) if n else nothing, nothing, nothing, level, method, n)
    mean, sd = values.mean(axis=0), values.std(axis=0, ddof=1)
    if method == "bootstrap":
        below, above = _studentised(values, mean, level, seed, resamples)
        error = sd / math.sqrt(n)
        return Interval(mean, mean - above * error, mean - below * error, level, method, n)
    half = half_width(sd, n, level, method)
    return Interval(mean, mean - half, mean + half, level, method, n)


def half_width(sd: FloatArray, n: int, level: float = 0.95, method: Literal["t", "normal"] = "t") -> FloatArray:
    """Half-width of the confidence interval for the mean of n numbers with this standard deviation; NaN below two."""
    from scipy.special import ndtri, stdtrit  # a quarter of the time to import scipy.stats

    if n < 2:
        return np.full(np.shape(sd), np.nan)
    quantile = stdtrit(n - 1, (1 + level) / 2) if method == "t" else ndtri((1 + level) / 2)
    half: FloatArray = quantile * sd / math.sqrt(n)
    return half


def _studentised(
    values: FloatArray, mean: FloatArray, level: float, seed: int, resamples: int
) -> tuple[FloatArray, FloatArray]:
    """Lower and upper quantile of (mean* - mean) / error* over bootstrap samples."""
    n = len(values)
    centred = (values - mean).reshape(n, -1)
    found = []
    for counts in bootstrap_counts(n, resamples, seed):
        shift = counts @ centred / n
        variance = np.maximum(counts @ centred**2 / n - shift**2, 0.0) / (n - 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append(np.where(variance > 0, shift / np.sqrt(variance), np.nan))
    ratios = np.concatenate(found)
    ratios[:, np.isnan(ratios).all(axis=0)] = 0.0  # all replications are equal
    ends = np.nanquantile(ratios, [(1 - level) / 2, (1 + level) / 2], axis=0, method="weibull")
    low, high = ends.reshape(2, *values.shape[1:])
    return low, high


def bootstrap_counts(n: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """How often each of n replications is drawn, for each bootstrap sample: blocks of shape (some, n)."""
    rng = np.random.default_rng(seed)
    size = max(1, _CHUNK // n)
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        drawn = rng.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def quantiles(values: FloatArray, at: tuple[float, ...] = (0.05, 0.5, 0.95)) -> FloatArray:
    """Quantiles over replications, (Q, ...): how single replications spread, not how well the mean is known."""
    if len(values) == 0:
        return np.full((len(at), *values.shape[1:]), np.nan)
    found: FloatArray = np.quantile(values, at, axis=0)
    return found


def quantile_interval(values: FloatArray, at: float = 0.5, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Distribution-free confidence interval for a quantile, by default the median.

    The ends are order statistics whose ranks are quantiles of the binomial law of how many values fall below; the
    level is at least the one asked for. An end that no sample of this size can give is infinite.

    Args:
        values: (R,) or (R, C).
        at: Which quantile.
        level: Two-sided confidence level.
    """
    from scipy import stats

    check_level(level)
    n, tail = len(values), (1 - level) / 2
    rank = np.sort(values, axis=0)
    below = int(stats.binom.ppf(tail, n, at)) - 1 if n else -1  # P(fewer than below + 1 values lie below) <= tail
    above = int(stats.binom.isf(tail, n, at)) if n else n
    end = np.full(values.shape[1:], np.inf)
    return (rank[below] if below >= 0 else -end), (rank[above] if above < n else end)


def share_best(values: FloatArray) -> FloatArray:
    """Share of replications in which each agent has the least value, ties shared out evenly: (A,) from (R, A).

    It says who wins a single play, not whose mean is least: see `chance_of_least_mean`. NaN where one is not finite.
    """
    if len(values) == 0 or not np.isfinite(values).all():
        return np.full(values.shape[1], np.nan)
    least = values == values.min(axis=1, keepdims=True)
    share: FloatArray = (least / least.sum(axis=1, keepdims=True)).mean(axis=0)
    return share


def chance_of_least_mean(values: FloatArray, *, seed: int = 0, resamples: int = RESAMPLES) -> FloatArray:
    """Bootstrap probability that each agent's mean is the least, ties shared out: (A,) from (R, A).

    Replications are drawn whole, so what agents share in one stays shared. NaN where a value is not finite.
    """
    n = len(values)
    if n < 2 or not np.isfinite(values).all():
        return np.full(values.shape[1], np.nan)
    centred = values - values.mean()
    wins = [share_best(counts @ centred) * len(counts) for counts in bootstrap_counts(n, resamples, seed)]
    chance: FloatArray = np.sum(wins, axis=0) / resamples
    return chance


def log_slopes(t: IntArray, values: FloatArray) -> FloatArray:
    """Least-squares slope against ln t of each replication, (R,) from (R, C); their mean is the slope of the mean.

    Replications are independent, so an interval for the mean of these slopes holds however a curve's points depend on
    each other. NaN where there are fewer than two rounds.
    """
    x = np.log(t)
    x = x - x.mean() if x.size else x
    if x.size < 2:
        return np.full(len(values), np.nan)
    slopes: FloatArray = values @ (x / (x @ x))
    return slopes


def efficient(points: FloatArray) -> NDArray[np.bool_]:
    """Which points (N, 2) no other one beats: none is as good in both and better in one, where less is better."""
    no_worse = np.all(points[None, :, :] <= points[:, None, :], axis=2)
    better = np.any(points[None, :, :] < points[:, None, :], axis=2)
    beaten = np.any(no_worse & better, axis=1)
    found: NDArray[np.bool_] = ~(beaten | np.isnan(points).any(axis=1))
    return found


def check_level(level: float, name: str = "level") -> float:
    """Refuse a probability that is not strictly between 0 and 1."""
    if not isinstance(level, int | float) or not 0 < level < 1:
        raise BadParameter(f"{name} must lie strictly between 0 and 1, got {level!r}")
    return float(level)
