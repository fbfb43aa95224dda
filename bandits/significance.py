"""Tests of equal means: paired and independent t tests, Holm's correction, and how many replications would do.

scipy has the tests and the distributions; Holm's correction is written here because it lacks it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .protocol import FloatArray

__all__ = ["TestResult", "gaps", "holm", "independent_test", "paired_test", "power", "replications_needed", "t_tests"]

MOST_REPLICATIONS = 10**12  # more than this is called infinite
ROUNDING = 1e-11  # relative difference of two sums of the same numbers in another order


@dataclass(frozen=True)
class TestResult:
    """A comparison of two means.

    Attributes:
        difference, low, high: Second mean minus first, with its interval.
        effect_size: The difference in standard deviations: of the paired differences (Cohen's d_z), or pooled.
        p: Two-sided p-value of equal means.
        sd: Standard deviation of a paired difference; of one side against the other, pooled as sqrt(s1^2 + s2^2).
        replications: Pairs; the smaller sample if there are none.
    """

    __test__ = False  # not a class of tests

    difference: float
    low: float
    high: float
    effect_size: float
    p: float
    sd: float
    replications: int


def gaps(first: FloatArray, second: FloatArray) -> FloatArray:
    """Second minus first; 0 where they differ by no more than the rounding of their sums."""
    gap = second - first
    gap[np.abs(gap) <= ROUNDING * np.maximum(np.abs(first), np.abs(second))] = 0.0
    return gap


def paired_test(first: FloatArray, second: FloatArray, level: float = 0.95) -> TestResult:
    """Paired t test of two agents on the same replications, (R,) each.

    Fewer than two replications, and values that are not finite, give NaN.
    """
    n = len(first)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return _unknown(math.nan, n)
    gap = gaps(first, second)
    if n < 2:
        return _unknown(float(gap.mean()) if n else math.nan, n)
    difference, low, high, p = (float(found[0]) for found in t_tests(gap[:, None], 1 - level))
    sd = float(gap.std(ddof=1)) if low < high else 0.0
    effect = difference / sd if sd else math.copysign(math.inf, difference) if difference else 0.0
    return TestResult(difference, low, high, effect, p, sd, n)


def t_tests(differences: FloatArray, alpha: float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """T tests of mean 0 for the columns of differences (R, m) with R >= 2: mean, its 1 - alpha interval, p, each (m,).

    Differences that are all equal leave nothing to estimate a spread from: where they are 0 the p-value is 1, else it
    is that of the sign test, 2^(1 - R). Differences with a NaN among them give NaN throughout.
    """
    from scipy.special import stdtr, stdtrit  # what scipy.stats.ttest_1samp calls, without its 5 ms a test

    mean, sd = differences.mean(axis=0), differences.std(axis=0, ddof=1)
    low, high = mean.copy(), mean.copy()
    p = np.where(mean == 0, 1.0, 2.0 ** (1 - len(differences)))
    p[np.isnan(mean)] = np.nan
    spread = sd > 1e-9 * np.abs(differences).max(axis=0)
    if spread.any():
        df, error = len(differences) - 1, sd[spread] / math.sqrt(len(differences))
        half = stdtrit(df, 1 - alpha / 2) * error
        low[spread], high[spread] = mean[spread] - half, mean[spread] + half
        p[spread] = 2 * stdtr(df, -np.abs(mean[spread] / error))
    return mean, low, high, p


def independent_test(first: FloatArray, second: FloatArray, level: float = 0.95) -> TestResult:
    """Welch's t test of two agents whose replications share nothing, such as runs with different seeds.

    Where neither varies, the p-value is that of the permutation test. Values that are not finite give NaN.
    """
    from scipy import stats

    n = min(len(first), len(second))
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return _unknown(math.nan, n)
    difference = float(second.mean() - first.mean()) if n else math.nan
    if n < 2:
        return _unknown(difference, n)
    spread = math.sqrt(float(first.var(ddof=1) + second.var(ddof=1)))
    if spread == 0:
        effect = math.copysign(math.inf, difference) if difference else 0.0
        p = min(1.0, 2 / math.comb(len(first) + len(second), len(first))) if difference else 1.0
        return TestResult(difference, difference, difference, effect, p, 0.0, n)
    found = stats.ttest_ind(second, first, equal_var=False)
    low, high = found.confidence_interval(level)
    effect = difference / (spread / math.sqrt(2))
    return TestResult(difference, float(low), float(high), effect, float(found.pvalue), spread, n)


def _unknown(difference: float, n: int) -> TestResult:
    """Too few replications, or not all finite, for anything but a difference."""
    nan = math.nan
    return TestResult(difference, nan, nan, nan, nan, nan, n)


def holm(p: FloatArray) -> FloatArray:
    """Holm's (1979) adjusted p-values: rejecting those at most alpha errs anywhere with probability at most alpha.

    Whatever the dependence of the tests. NaN stays NaN and is no member of the family.
    """
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = np.arange(order.size, 0, -1) * p[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if order.size else steps
    return adjusted


def power(effect_size: float, replications: int, alpha: float) -> float:
    """Probability that a two-sided paired t test at level alpha rejects, if the effect size is the true one."""
    from scipy import stats

    shift, threshold = abs(effect_size) * math.sqrt(replications), stats.t.isf(alpha / 2, replications - 1)
    return float(stats.nct.sf(threshold, replications - 1, shift) + stats.nct.cdf(-threshold, replications - 1, shift))


def replications_needed(effect_size: float, alpha: float, power: float) -> float:
    """Pairs with which a two-sided t test at level alpha separates with this power; inf for no effect.

    Normal quantiles with Guenther's (1981) correction for Student's t, ``((z_a + z_b) / d)^2 + z_a^2 / 2``.
    """
    from scipy.special import ndtri

    if math.isnan(effect_size) or effect_size == 0:
        return math.inf
    if math.isinf(effect_size):
        return 2.0
    z_a, z_b = -float(ndtri(alpha / 2)), float(ndtri(power))
    needed = math.ceil(((z_a + z_b) / effect_size) ** 2 + z_a**2 / 2)
    return float(max(2, needed)) if needed <= MOST_REPLICATIONS else math.inf
