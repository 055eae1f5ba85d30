"""Checks on the panels that evaluation takes, with errors that name the argument and the remedy.

What has labels is aligned before (:mod:`mg_axes`); here it is refused, so that no label is ever dropped.
"""

import numpy as np

from mg_axes import as_days, bare
from mg_portfolio.errors import EvaluationError

__all__ = ["EvaluationError", "ascending_days", "dense", "flags"]


def dense(name: str, values: np.ndarray, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Contiguous float64 ``(D, S)`` array, or an error that names the argument."""
    values = np.ascontiguousarray(bare(name, values, EvaluationError), np.float64)
    if values.ndim != 2 or (shape is not None and values.shape != shape):
        expected = "(day, stock)" if shape is None else f"{shape}, that of the signal"
        raise EvaluationError(
            f"{name} had shape {values.shape}, expected {expected}; align the panels on one axis first"
        )
    return values


def flags(name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Contiguous bool array of ``shape``, or an error that names the argument."""
    values = np.asarray(bare(name, values, EvaluationError))
    if values.dtype != np.bool_:
        raise EvaluationError(f"{name} had dtype {values.dtype}, expected bool; a NaN would otherwise count as true")
    if values.shape != shape:
        raise EvaluationError(f"{name} had shape {values.shape}, expected {shape}; align the panels on one axis first")
    return np.ascontiguousarray(values)


def ascending_days(days: np.ndarray | None, count: int) -> np.ndarray:
    """Days as ``datetime64[D] (count,)``, or an error that names the first one out of order."""
    if days is None:
        raise EvaluationError("days was not given: give the trading days, or panels that have dates")
    try:
        days = as_days(days)
    except ValueError as wrong:
        raise EvaluationError(str(wrong)) from None
    if days.shape != (count,):
        raise EvaluationError(f"days had shape {days.shape}, expected ({count},), one a row of the signal")
    if (days[1:] <= days[:-1]).any():
        at = int(np.flatnonzero(days[1:] <= days[:-1])[0])
        raise EvaluationError(f"days were not ascending: {days[at + 1]} follows {days[at]}")
    return days
