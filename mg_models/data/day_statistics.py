"""Z-scores, ranks and rank correlations over the stocks of a day."""

import numpy as np


def zscore_stocks(values: np.ndarray) -> np.ndarray:
    """Mean 0 and population std 1 along the last axis, the stocks; NaN stays NaN, no variance gives 0."""
    mean = _nanmean(values)
    centred = values - mean
    std = np.sqrt(_nanmean(centred * centred))
    flat = ~(std > 1e-12 * np.maximum(np.abs(mean), 1.0))
    return np.where(flat & np.isfinite(centred), 0.0, centred / np.where(flat, 1.0, std))


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 of finite values, ties at their average, float64."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def rank_ic(prediction: np.ndarray, label: np.ndarray) -> float:
    """Spearman's correlation of a day's predictions and labels, over the stocks that have both.

    Parameters
    ----------
    prediction, label : ndarray (S,)
        NaN where a stock has none.

    Returns
    -------
    float
        NaN with fewer than three stocks; 0 where one of the two does not vary.
    """
    both = np.isfinite(prediction) & np.isfinite(label)
    if both.sum() < 3:
        return float("nan")
    a, b = ranks(prediction[both]), ranks(label[both])
    a -= a.mean()
    b -= b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else 0.0


def daily_rank_ic(prediction: np.ndarray, label: np.ndarray) -> np.ndarray:
    """:func:`rank_ic` of each row of two ``(D, S)`` panels, ``(D,)``."""
    return np.array([rank_ic(p, y) for p, y in zip(prediction, label, strict=True)])


def _nanmean(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    count = np.maximum(finite.sum(-1, keepdims=True), 1)
    return np.where(finite, values, 0.0).sum(-1, keepdims=True) / count
