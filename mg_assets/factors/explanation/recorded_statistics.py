"""Moments, correlations and ratios with every figure on the way recorded: exact sums, two passes."""

import math
from collections.abc import Iterable, Sequence

from mg_assets.factors.explanation.factor_path import Trail

FLAT = 1e-12


def total(values: Iterable[float]) -> float:
    """Sum without rounding on the way."""
    return math.fsum(values)


def finite(values: Iterable[float]) -> list[float]:
    """The finite ones."""
    return [float(v) for v in values if v is not None and math.isfinite(v)]


def spread(x: Sequence[float]) -> tuple[float, float]:
    """Mean and population standard deviation."""
    mean = total(x) / len(x)
    return mean, math.sqrt(total((v - mean) ** 2 for v in x) / len(x))


def is_flat(x: Sequence[float], std: float) -> bool:
    """Whether the deviation is rounding alone."""
    return std <= FLAT * max(abs(v) for v in x)


def _moments(values: Iterable[float], power: int, trail: Trail, of: str) -> tuple[float, float] | None:
    """Second and ``power``-th central moment; None with a reason where there are none."""
    x = finite(values)
    trail.add(f"n{of}", len(x), "finite values")
    if len(x) < 5:
        trail.none(f"{len(x)} finite values{of}, at least 5 are needed")
        return None
    mean, std = spread(x)
    trail.add(f"mean{of}", mean)
    if is_flat(x, std):
        trail.none(f"all values{of} are the same")
        return None
    second = trail.add(f"m2{of}", total((v - mean) ** 2 for v in x) / len(x), "mean of (x - mean)^2")
    other = trail.add(f"m{power}{of}", total((v - mean) ** power for v in x) / len(x), f"mean of (x - mean)^{power}")
    return float(second), float(other)


def skew(values: Iterable[float], trail: Trail, of: str = "") -> float:
    """``m3 / m2^1.5``; NaN below 5 finite values or where flat."""
    moments = _moments(values, 3, trail, of)
    if moments is None:
        return math.nan
    return float(trail.add(f"skew{of}", moments[1] / moments[0] ** 1.5, "m3 / m2^1.5"))


def kurt(values: Iterable[float], trail: Trail, of: str = "") -> float:
    """``m4 / m2^2 - 3``; NaN below 5 finite values or where flat."""
    moments = _moments(values, 4, trail, of)
    if moments is None:
        return math.nan
    return float(trail.add(f"kurt{of}", moments[1] / moments[0] ** 2 - 3, "m4 / m2^2 - 3"))


def corr(first: Iterable[float], second: Iterable[float], trail: Trail, least: int = 10) -> float:
    """Pearson correlation of the pairs with both sides finite; NaN below ``least`` pairs or where a side is flat."""
    pairs = [(float(a), float(b)) for a, b in zip(first, second, strict=True) if math.isfinite(a) and math.isfinite(b)]
    trail.add("pairs", len(pairs), "both sides finite")
    if len(pairs) < least:
        return trail.none(f"{len(pairs)} pairs, at least {least} are needed")
    x, y = [p[0] for p in pairs], [p[1] for p in pairs]
    (mean_x, std_x), (mean_y, std_y) = spread(x), spread(y)
    for name, value in (("mean x", mean_x), ("std x", std_x), ("mean y", mean_y), ("std y", std_y)):
        trail.add(name, value)
    for side, values, std in (("x", x, std_x), ("y", y, std_y)):
        if is_flat(values, std):
            return trail.none(f"all values of {side} are the same")
    covariance = trail.add("covariance", total((a - mean_x) * (b - mean_y) for a, b in pairs) / len(pairs))
    return max(-1.0, min(1.0, covariance / (std_x * std_y)))


def ratio(a: float, b: float, trail: Trail, what: str = "the denominator") -> float:
    """``a / b``; NaN where b is 0."""
    return trail.none(f"{what} is 0") if b == 0 else a / b


def mean_over_std(values: Sequence[float], trail: Trail) -> float:
    """Mean over population standard deviation; NaN where flat."""
    mean, std = spread(values)
    trail.add("mean", mean, f"of {len(values)} bars")
    trail.add("std", std, "population")
    return trail.none(f"all {len(values)} bars are the same") if is_flat(values, std) else mean / std
