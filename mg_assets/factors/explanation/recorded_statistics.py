"""Moments, correlations and ratios of shown rows as recorded steps, and the reason where the factor has no value.

The steps are exact sums over the rows shown; the factor's value itself is always the kernel's.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from mg_assets.factors.explanation.factor_path import Trail
from mg_assets.factors.kernels.moments import FLAT, LEAST_OBSERVATIONS, LEAST_PAIRS


def total(values: Iterable[float]) -> float:
    """Sum without rounding of the partial sums."""
    return math.fsum(values)


def spread(x: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Mean and population standard deviation."""
    mean = total(x) / len(x)
    return mean, math.sqrt(total((v - mean) ** 2 for v in x) / len(x))


def _is_flat(x: np.ndarray, std: float) -> bool:
    return std <= FLAT * float(np.abs(x).max())


def record_moments(trail: Trail, values: Iterable[float], power: int, of: str = "") -> None:
    """Count, mean, second and ``power``-th central moment of the finite values."""
    x = np.asarray(values, np.float64)
    x = x[np.isfinite(x)]
    trail.add(f"n{of}", len(x), "finite values")
    if len(x) < LEAST_OBSERVATIONS:
        trail.no_value(f"{len(x)} finite values{of}, at least {LEAST_OBSERVATIONS} are needed")
        return
    mean, std = spread(x)
    trail.add(f"mean{of}", mean)
    if _is_flat(x, std):
        trail.no_value(f"all values{of} are the same")
        return
    m2 = float(trail.add(f"m2{of}", total((x - mean) ** 2) / len(x), "mean of (x - mean)^2"))
    m = float(trail.add(f"m{power}{of}", total((x - mean) ** power) / len(x), f"mean of (x - mean)^{power}"))
    if power == 3:
        trail.add(f"skew{of}", m / m2**1.5, "m3 / m2^1.5")
    else:
        trail.add(f"kurt{of}", m / m2**2 - 3, "m4 / m2^2 - 3")


def record_pairs(trail: Trail, first: Iterable[float], second: Iterable[float], least: int = LEAST_PAIRS) -> None:
    """Count, means, deviations and covariance of the pairs with both sides finite."""
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    trail.add("pairs", len(x), "both sides finite")
    if len(x) < least:
        trail.no_value(f"{len(x)} pairs, at least {least} are needed")
        return
    (mean_x, std_x), (mean_y, std_y) = spread(x), spread(y)
    for name, value in (("mean x", mean_x), ("std x", std_x), ("mean y", mean_y), ("std y", std_y)):
        trail.add(name, value)
    for side, values, std in (("x", x, std_x), ("y", y, std_y)):
        if _is_flat(values, std):
            trail.no_value(f"all values of {side} are the same")
            return
    trail.add("covariance", total((x - mean_x) * (y - mean_y)) / len(x))


def record_mean_and_std(trail: Trail, values: Iterable[float]) -> None:
    """Mean and population standard deviation of bars."""
    x = np.asarray(values, np.float64)
    mean, std = spread(x)
    trail.add("mean", mean, f"of {len(x)} bars")
    trail.add("std", std, "population")
    if _is_flat(x, std):
        trail.no_value(f"all {len(x)} bars are the same")


def check_denominator(trail: Trail, value: float, name: str = "the denominator") -> None:
    """A ratio over 0 has no value."""
    if value == 0:
        trail.no_value(f"{name} is 0")
