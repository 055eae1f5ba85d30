"""Distribution drift of many columns against the past, from small sketches of each day.

A day's sketch is 64 quantiles a column, so that 60 past days weigh 60 x 64 numbers a column
however many stocks there are. PSI = sum over ten bins of (p - q) ln(p / q), with q the pooled
past, whose deciles are the bins, and p the day.
"""

from dataclasses import dataclass

import numpy as np

POINTS = 64
BINS = 10
HALF = 0.5  # counted into every bin, so that an empty one weighs by the number of stocks


@dataclass(frozen=True)
class Sketch:
    """A cross-section in short: null share ``(F,)``, finite count ``(F,)`` and quantiles ``(POINTS, F)``."""

    null_share: np.ndarray
    count: np.ndarray
    quantiles: np.ndarray


def sketch(values: np.ndarray) -> Sketch:
    """Sketch of ``values (S, F)``; NaN rows are left out column by column, a column without any is NaN."""
    size, width = values.shape
    ordered = np.sort(np.where(np.isfinite(values), values, np.nan), axis=0)  # NaN last
    count = np.isfinite(ordered).sum(axis=0)
    levels = (np.arange(POINTS) + 0.5) / POINTS
    at = np.floor(levels[:, None] * count[None, :]).astype(np.int64)  # (POINTS, F), nearest rank
    quantiles = np.full((POINTS, width), np.nan)
    if size:
        quantiles = np.take_along_axis(ordered, np.minimum(at, size - 1), axis=0)
        quantiles[:, count == 0] = np.nan
    return Sketch(1 - count / size if size else np.full(width, np.nan), count, quantiles)


def psi(values: np.ndarray, past: list[Sketch], enough: int) -> np.ndarray:
    """PSI ``(F,)`` of a cross-section ``(S, F)`` against past days; NaN where fewer than ``enough`` days had values.

    A column whose past is flat (its deciles all equal) has no bins: NaN.

    Returns
    -------
    ndarray of float64 (F,)
    """
    width = values.shape[1]
    out = np.full(width, np.nan)
    pooled = np.concatenate([s.quantiles for s in past]) if past else np.zeros((0, width))
    days = np.sum([s.count > 0 for s in past], axis=0) if past else np.zeros(width, int)
    pooled = np.sort(pooled, axis=0)
    held = np.isfinite(pooled).sum(axis=0)
    for f in range(width):
        now = values[np.isfinite(values[:, f]), f]
        if days[f] < enough or not len(now):
            continue
        old = pooled[: held[f], f]
        edges = np.unique(old[(np.arange(1, BINS) * held[f]) // BINS])
        if len(edges) < 2:
            continue
        q = _shares(old, edges)
        p = _shares(np.sort(now), edges)
        out[f] = np.sum((p - q) * np.log(p / q))
    return out


def _shares(ordered: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Share of ascending values in each bin."""
    counts = np.diff(np.r_[0, np.searchsorted(ordered, edges, side="right"), len(ordered)]) + HALF
    return counts / counts.sum()
