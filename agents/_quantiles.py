"""Upper quantiles of Beta and standard normal distributions, from IEEE arithmetic alone: same bits on any machine.

A tail probability is given by its *level*, ``-log(probability)``: what Bayes-UCB compares is log t.

References:
    [1] DiDonato and Morris, "Significant digit computation of the incomplete beta function ratios", ACM TOMS 18
        (1992).
    [2] Abramowitz and Stegun, "Handbook of Mathematical Functions" (1964), 26.5.22.
    [3] Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 37 (1988).
"""

from __future__ import annotations

import numpy as np

from bandits.kernels import exp, inline, kernel, log

__all__ = ["beta_tail", "beta_upper_quantile", "log_beta", "log_gamma", "normal_upper_quantile"]

_TINY = 1e-300


@inline
def log_gamma(x: float) -> float:
    """Logarithm of the gamma function for x >= 1: Stirling's series at x + 8, brought back by the recurrence."""
    product = x * (x + 1.0) * (x + 2.0) * (x + 3.0) * (x + 4.0) * (x + 5.0) * (x + 6.0) * (x + 7.0)
    y = x + 8.0
    r = 1.0 / (y * y)
    series = 1.0 / 12 + r * (
        -1.0 / 360 + r * (1.0 / 1260 + r * (-1.0 / 1680 + r * (1.0 / 1188 - r * (691.0 / 360360))))
    )
    return (y - 0.5) * log(y) - y + 0.91893853320467274178 + series / y - log(product)


@inline
def log_beta(a: float, b: float) -> float:
    """Logarithm of the beta function for a, b >= 1."""
    return log_gamma(a) + log_gamma(b) - log_gamma(a + b)


@kernel
def beta_tail(x: float, a: float, b: float, norm: float) -> tuple[float, float]:
    """Log of the tail probability P(X > x) of X ~ Beta(a, b), and the hazard: density over tail probability.

    The tail is ``x^a y^b / (B(a, b) F)`` with y = 1 - x and the continued fraction F of [1], equation (9), evaluated by
    Lentz's method.

    Args:
        x: Point in (0, 1), above the mean for fast convergence.
        a: First parameter, at least 1.
        b: Second parameter, at least 1.
        norm: ``log_beta(a, b)``.
    """
    y = 1.0 - x
    lower = 1.0 / (b + 1.0)
    fraction = b * (b - (a + b) * y + 1.0) * lower
    fraction = fraction if fraction > _TINY or fraction < -_TINY else _TINY
    c, d = fraction, 0.0
    for m in range(1, 100_000):
        before, lower = lower, 1.0 / (b + 2.0 * m + 1.0)
        numerator = (b + m - 1.0) * (a + b + m - 1.0) * m * (a - m) * y * y * before * before
        denominator = m + m * (a - m) * y * before + (b + m) * (b - (a + b) * y + 1.0 + m * (2.0 - y)) * lower
        d = denominator + numerator * d
        d = 1.0 / (d if d > _TINY or d < -_TINY else _TINY)
        c = denominator + numerator / c
        c = c if c > _TINY or c < -_TINY else _TINY
        fraction *= c * d
        if -1e-15 < c * d - 1.0 < 1e-15:
            break
    return a * log(x) + b * log(y) - norm - log(fraction), fraction / (x * y)


@kernel
def beta_upper_quantile(a: float, b: float, norm: float, level: float, normal: float) -> tuple[float, float, float]:
    """The x with P(X > x) = exp(-level) for X ~ Beta(a, b), and a line that bounds it at higher levels.

    Halley's method on the logarithm of the tail, which is concave, from the approximation [2].

    Args:
        a: First parameter, at least 1.
        b: Second parameter, at least 1.
        norm: ``log_beta(a, b)``.
        level: Minus the logarithm of the tail probability, at least 0.
        normal: ``normal_upper_quantile(level)``.

    Returns:
        The quantile x, and ``anchor`` and ``slope`` such that the quantile of any level is at most
        ``anchor + slope * level``: a tangent of a concave function lies above it.
    """
    rate_a, rate_b = 1.0 / (2.0 * a - 1.0), 1.0 / (2.0 * b - 1.0)
    h, lam = 2.0 / (rate_a + rate_b), (normal * normal - 3.0) / 6.0
    root = lam + h
    w = -normal * np.sqrt(root if root > 0.0 else 0.0) / h - (rate_b - rate_a) * (lam + 5.0 / 6.0 - 2.0 / (3.0 * h))
    x = a / (a + b * exp(2.0 * w))
    anchor, slope = 0.0, 0.0
    for _ in range(100):
        x = x if x > 1e-15 else 1e-15
        x = x if x < 1.0 - 1e-15 else 1.0 - 1e-15
        log_tail, hazard = beta_tail(x, a, b, norm)
        slope = 1.0 / hazard
        anchor = x + log_tail * slope
        newton = (log_tail + level) * slope
        bend = hazard + (a - 1.0) / x - (b - 1.0) / (1.0 - x)  # derivative of log(hazard), not negative
        factor = 1.0 + 0.5 * newton * bend
        step = newton / (factor if factor > 0.5 else 0.5)
        last = x
        x = x + step
        x = x if x < 1.0 else 0.5 * (1.0 + last)
        x = x if x > 0.0 else 0.5 * last
        if -1e-5 * last * (1.0 - last) < step < 1e-5 * last * (1.0 - last):
            break
    return x, anchor, slope


@inline
def _ratio(
    x: float,
    a7: float, a6: float, a5: float, a4: float, a3: float, a2: float, a1: float, a0: float,
    b7: float, b6: float, b5: float, b4: float, b3: float, b2: float, b1: float,
) -> float:  # fmt: skip  # coefficients and arguments in rows that can be compared
    """Ratio of two polynomials of degree 7; the second one ends in 1."""
    above = ((((((a7 * x + a6) * x + a5) * x + a4) * x + a3) * x + a2) * x + a1) * x + a0
    below = ((((((b7 * x + b6) * x + b5) * x + b4) * x + b3) * x + b2) * x + b1) * x + 1.0
    return above / below


@kernel
def normal_upper_quantile(level: float) -> float:
    """The z with P(Z > z) = exp(-level) for standard normal Z and a level above 0, by [3]; relative error 1e-15."""
    q = 0.5 - exp(-level)
    if -0.425 <= q <= 0.425:
        return q * _ratio(
            0.180625 - q * q,
            2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
            1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0,
            5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
            5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1,
        )  # fmt: skip  # coefficients and arguments in rows that can be compared
    r = np.sqrt(level if q > 0.0 else -log(1.0 - exp(-level)))
    if r <= 5.0:
        z = _ratio(
            r - 1.6,
            7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
            3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0,
            1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
            1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0,
        )  # fmt: skip  # coefficients and arguments in rows that can be compared
    else:
        z = _ratio(
            r - 5.0,
            2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
            2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0,
            6.65790464350110377720e0, 2.04426310338993978564e-15, 1.42151175831644588870e-7,
            1.84631831751005468180e-5, 7.86869131145613259100e-4, 1.48753612908506148525e-2,
            1.36929880922735805310e-1, 5.99832206555887937690e-1,
        )  # fmt: skip  # coefficients and arguments in rows that can be compared
    return z if q > 0.0 else -z
