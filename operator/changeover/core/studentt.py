"""Quantiles of Student's t, without a numerics library."""

from __future__ import annotations

import math
from functools import lru_cache

_ITERATIONS = 200
_TINY = 1e-300
_TOLERANCE = 1e-11


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """The value that Student's t with ``df`` degrees of freedom stays under with this probability (0.5 to 1).

    By bisection on the distribution function; relative error below 1e-7 up to 1 - 1e-9. Raises ValueError outside.
    """
    if not 0.5 <= probability < 1 or df <= 0:
        raise ValueError("probability must lie in [0.5, 1) and df must be positive")
    high = 1.0
    while t_cdf(high, df) < probability:
        high *= 2
    low = 0.0
    while high - low > _TOLERANCE * max(1.0, high):
        middle = (low + high) / 2
        if t_cdf(middle, df) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def t_cdf(t: float, df: float) -> float:
    """Distribution function for t >= 0: 1 - I(df/(df + t^2); df/2, 1/2)/2 (Abramowitz & Stegun 26.7.1)."""
    return 1 - incomplete_beta(df / (df + t * t), df / 2, 0.5) / 2


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function by its continued fraction (Abramowitz & Stegun 26.5.8, Lentz's method)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _ITERATIONS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + numerator * d)
            c = _away_from_zero(1 + numerator / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
