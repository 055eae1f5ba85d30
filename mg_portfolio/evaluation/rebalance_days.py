"""Decision days: those of a track, and the last trading day of each calendar week or month."""

import numpy as np
import pandas as pd

from mg_axes import as_days
from mg_portfolio.arguments import EvaluationError


def track_schedule(count: int, every: int, offset: int) -> np.ndarray:
    """Decision days of one track: ``offset``, ``offset + every``, ... of ``count`` days, as a bool array."""
    out = np.zeros(count, bool)
    out[offset::every] = True
    return out


def period_schedule(days: np.ndarray, period: str) -> np.ndarray:
    """Last trading day of each calendar week or month, as a bool array.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
        Trading days, ascending.
    period : {"weekly", "monthly"}

    Returns
    -------
    ndarray of bool (D,)
        The last day is True only where its period is over by the calendar (no weekday of it remains), so that an
        unfinished month is not mistaken for a finished one.

    Raises
    ------
    EvaluationError
        Another period.
    """
    days = as_days(days)
    if period not in ("weekly", "monthly"):
        raise EvaluationError(f"period was {period!r}, expected 'weekly' or 'monthly'")
    freq = "W-SUN" if period == "weekly" else "M"
    label = pd.DatetimeIndex(days).to_period(freq)
    out = np.ones(len(days), bool)
    out[:-1] = label.asi8[1:] != label.asi8[:-1]
    if len(days):
        next_weekday = np.busday_offset(days[-1], 1, roll="backward")
        out[-1] = pd.Period(next_weekday.astype(object), freq) != label[-1]
    return out
