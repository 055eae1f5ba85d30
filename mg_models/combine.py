"""Signals without training: equal weight, ICIR weight, and the fusion of signals.

Source: Huatai series 72, charts 45 and 57.
"""

from collections.abc import Sequence

import numpy as np

from mg_axes import CUBE, PANEL, Layout, align, aligned, as_days, labelled_result
from mg_models.data.day_statistics import zscore_stocks
from mg_models.errors import InputError, LeakageError

_BY_FACTOR = Layout("df")


@aligned(InputError, by=("scores",), result="ds", scores=CUBE, directions=Layout("f", None))
def equal_weight(scores: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Mean of direction-signed factors.

    Parameters
    ----------
    scores : ndarray (D, S, F), or labelled
        Preprocessed factors. Missing factors are left out of a stock's mean. Labelled: a table with a column for each;
        see :mod:`mg_axes`.
    directions : ndarray (F,), or labelled by factor
        +1 or -1: the sign of each factor's expected RankIC.

    Returns
    -------
    ndarray of float64 (D, S), or DataFrame
        With the labels of labelled scores. NaN where a stock has no factor.

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
    rank_ic : ndarray (O, F), or labelled by date and factor
        Weekly observations in time order.
    available : ndarray of datetime64[D] (O,), or labelled by date
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
    ndarray of float64 (T, F), or DataFrame
        Signed as the RankIC is. NaN rows where too few observations are available.

    Raises
    ------
    LeakageError
        ``available`` does not ascend, so that the trailing window would not be the latest.
    InputError
        ``available`` is not one day per observation.
    """
    layouts = {"rank_ic": _BY_FACTOR, "available": Layout("d", None)}
    found, axes = align(InputError, layouts, {"rank_ic": rank_ic, "available": available}, by=("rank_ic",))
    rank_ic, available, asof = (
        found["rank_ic"],
        as_days(found["available"], "available", gaps=True),
        as_days(asof, "asof"),
    )
    if axes:
        weights = icir_weights(rank_ic, available, asof, window, min_observations)
        return labelled_result(weights, "df", {**axes, "d": asof})
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


@aligned(InputError, by=("scores",), result="ds", scores=CUBE, weights=_BY_FACTOR)
def icir_weight(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of factors, by each day's :func:`icir_weights`.

    Parameters
    ----------
    scores : ndarray (D, S, F), or labelled
        Preprocessed factors; a table with a column for each.
    weights : ndarray (D, F), or labelled by date and factor
        Signed; NaN on days without. Labelled ones (:mod:`mg_axes`) are aligned on those of the scores.

    Returns
    -------
    ndarray of float64 (D, S), or DataFrame
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
    parts : sequence of (ndarray (D, S) or labelled, float)
        Signals and their weights, ``[(hf_gru, 1), (lf_multitask, 3)]``. Labelled signals (pandas, Polars, Arrow,
        xarray; see :mod:`mg_axes`) are aligned on the dates and symbols of all of them.

    Returns
    -------
    ndarray of float64 (D, S), or DataFrame
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
    names = [f"signal {k}" for k in range(len(parts))]
    given = {name: signal for name, (signal, _) in zip(names, parts, strict=True)}
    found, axes = align(InputError, dict.fromkeys(names, PANEL), given, together=True)
    if axes:
        whole = fuse([(found[name], weight) for name, (_, weight) in zip(names, parts, strict=True)])
        return labelled_result(whole, "ds", axes)
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
