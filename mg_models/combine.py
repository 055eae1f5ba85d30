"""Signals without training: equal weight, ICIR weight, and the fusion of signals.

Source: Huatai series 72, charts 45 and 57.
"""

from collections.abc import Sequence

import numpy as np

from mg_models.data.day_statistics import zscore_stocks
from mg_models.errors import InputError, LeakageError


def equal_weight(scores: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Mean of direction-signed factors.

    Parameters
    ----------
    scores : ndarray (D, S, F)
        Preprocessed factors. Missing factors are left out of a stock's mean.
    directions : ndarray (F,)
        +1 or -1: the sign of each factor's expected RankIC.

    Returns
    -------
    ndarray of float64 (D, S)
        NaN where a stock has no factor.

    Raises
    ------
    InputError
        ``directions`` are not ``F`` signs.
    """
    directions = np.asarray(directions, np.float64)
    if scores.shape[-1:] != directions.shape or not np.isin(directions, (-1.0, 1.0)).all():
        raise InputError(f"directions must be {scores.shape[-1]} values of +1 or -1, was {directions!r}")
    return _weighted(scores, np.broadcast_to(directions, (len(scores), len(directions))))


def icir_weights(
    rank_ic: np.ndarray, available: np.ndarray, asof: np.ndarray, window: int = 52, min_observations: int = 26
) -> np.ndarray:
    """Each factor's trailing RankIC mean over std, scaled to absolute weights that sum to 1.

    Parameters
    ----------
    rank_ic : ndarray (O, F)
        Weekly observations in time order.
    available : ndarray of datetime64[D] (O,)
        The day at whose close each observation is available: for a return of h days dated d, the trading day h + 1
        after d. NaT where it is not yet.
    asof : ndarray of datetime64[D] (T,)
        Days that need weights; only observations available by then are used.
    window : int
        Observations looked back over, 52 being a year of weeks.
    min_observations : int
        Fewer give NaN.

    Returns
    -------
    ndarray of float64 (T, F)
        Signed as the RankIC is. NaN rows where too few observations are available.

    Raises
    ------
    LeakageError
        ``available`` does not ascend, so that the trailing window would not be the latest.
    InputError
        ``available`` is not one day per observation.
    """
    available = np.asarray(available, "datetime64[D]")
    asof = np.asarray(asof, "datetime64[D]")
    if len(available) != len(rank_ic):
        raise InputError(f"available must have one day per observation, {len(rank_ic)}, was {len(available)}")
    seen = ~np.isnat(available)
    if np.any(np.diff(available[seen]).astype(np.int64) < 0) or np.any(np.diff(seen.astype(int)) > 0):
        raise LeakageError("available must ascend with the observations, NaT last; sort both by date")
    counts = np.searchsorted(available[seen], asof, side="right")  # (T,)
    out = np.full((len(asof), rank_ic.shape[1]), np.nan)
    for count in np.unique(counts):
        past = rank_ic[max(count - window, 0) : count]  # (O', F)
        finite = np.isfinite(past)
        observed = finite.sum(0)
        enough = observed >= max(min_observations, 2)
        mean = np.where(finite, past, 0.0).sum(0) / np.maximum(observed, 1)
        spread = np.where(finite, past - mean, 0.0)
        std = np.sqrt((spread * spread).sum(0) / np.maximum(observed - 1, 1))
        ratio = np.divide(mean, std, out=np.zeros_like(mean), where=enough & (std > 0))
        total = np.abs(ratio).sum()
        if total > 0:
            out[counts == count] = ratio / total
    return out


def icir_weight(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of factors, by each day's :func:`icir_weights`.

    Parameters
    ----------
    scores : ndarray (D, S, F)
        Preprocessed factors.
    weights : ndarray (D, F)
        Signed; NaN on days without.

    Returns
    -------
    ndarray of float64 (D, S)
        NaN where a stock has no factor or the day no weights.

    Raises
    ------
    InputError
        Shapes differ.
    """
    if weights.shape != (scores.shape[0], scores.shape[2]):
        raise InputError(f"weights must be {(scores.shape[0], scores.shape[2])}, was {weights.shape}")
    return _weighted(scores, weights)


def fuse(parts: Sequence[tuple[np.ndarray, float]]) -> np.ndarray:
    """Weighted mean of signals, each z-scored per day.

    Parameters
    ----------
    parts : sequence of (ndarray (D, S), float)
        Signals and their weights, ``[(hf_gru, 1), (lf_multitask, 3)]``.

    Returns
    -------
    ndarray of float64 (D, S)
        NaN where a stock lacks any of the signals: a mean over the others would not be on the same scale.

    Raises
    ------
    InputError
        No signal, weights that do not add up to more than 0, or shapes that differ.
    """
    if not parts:
        raise InputError("no signal to fuse was given")
    total = sum(weight for _, weight in parts)
    if not total > 0:
        raise InputError(f"weights must add up to more than 0, was {[w for _, w in parts]}")
    shapes = {np.shape(signal) for signal, _ in parts}
    if len(shapes) > 1:
        raise InputError(f"signals must share one (day, stock) shape, was {sorted(shapes)}")
    return np.sum([weight * zscore_stocks(np.asarray(signal, np.float64)) for signal, weight in parts], axis=0) / total


def _weighted(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum of weight x score over sum of absolute weights, over the factors that a stock has."""
    out = np.full(scores.shape[:2], np.nan)
    for d, (score, weight) in enumerate(zip(scores, weights, strict=True)):  # score (S, F)
        if not np.isfinite(weight).all():
            continue
        score = np.ascontiguousarray(score, np.float64)
        finite = np.isfinite(score)
        total = (finite * np.abs(weight)).sum(axis=1)  # (S,); a matrix product's bits depend on the other stocks
        value = (np.where(finite, score, 0.0) * weight).sum(axis=1)
        np.divide(value, total, out=out[d], where=total > 0)
    return out
