"""Which stocks a signal is judged on: the tradable universe and the calendar of rebalances."""

import numpy as np
import pandas as pd

from mg_portfolio.arguments import EvaluationError

MIN_LISTED_DAYS = 63

LEFT_OUT = (
    "",
    "not listed",
    "not a member",
    "ST",
    "listed under 63 sessions",
    "next session not known",
    "suspended on the next session",
    "locked at the upper limit on the next session",
)
"""Why a stock is not in the universe, by the codes of `universe_reasons`; 0 is in it."""


def universe(
    listed_days: np.ndarray,
    st: np.ndarray,
    suspended: np.ndarray,
    up_limit_locked: np.ndarray,
    member: np.ndarray | None = None,
    min_listed_days: int = MIN_LISTED_DAYS,
) -> np.ndarray:
    """Stocks that a decision on T's close could buy on T+1.

    All shares minus ST, minus those listed under 63 trading days, minus those suspended or locked at the upper limit on
    T+1. This looks one day ahead on purpose, as the reports do: it belongs to judging a signal, never to making one.

    Parameters
    ----------
    listed_days : ndarray of float or int (D, S)
        Trading days since listing, the first being 1 (see `days_listed`); NaN, 0 or below where it is not listed.
    st : ndarray of bool (D, S)
        Under special treatment on T.
    suspended, up_limit_locked : ndarray of bool (D, S)
        That day's own flags; T's row of the result reads T+1's.
    member : ndarray of bool (D, S), optional
        Index or bucket membership on T, for a narrower universe.
    min_listed_days : int

    Returns
    -------
    ndarray of bool (D, S)
        The last row is all False: its next day is not known.

    Notes
    -----
    Source: Huatai 2023-12-08, test conditions under chart 6.
    """
    return universe_reasons(listed_days, st, suspended, up_limit_locked, member, min_listed_days) == 0


def universe_reasons(
    listed_days: np.ndarray,
    st: np.ndarray,
    suspended: np.ndarray,
    up_limit_locked: np.ndarray,
    member: np.ndarray | None = None,
    min_listed_days: int = MIN_LISTED_DAYS,
) -> np.ndarray:
    """Why each stock is not in `universe` on each day.

    Parameters
    ----------
    listed_days, st, suspended, up_limit_locked, member, min_listed_days
        See `universe`.

    Returns
    -------
    ndarray of uint8 (D, S)
        0 where the stock belongs to the universe; else the place in `LEFT_OUT` of the first reason that applies.

    Raises
    ------
    EvaluationError
        A flag is not bool or of another shape.
    """
    shape = np.shape(listed_days)
    for name, flag in (("st", st), ("suspended", suspended), ("up_limit_locked", up_limit_locked), ("member", member)):
        if flag is None:
            continue
        if np.asarray(flag).dtype != np.bool_ or np.shape(flag) != shape:
            raise EvaluationError(
                f"{name} had dtype {np.asarray(flag).dtype} and shape {np.shape(flag)}, expected bool and {shape}; "
                "fill what is missing before the call"
            )
    listed = np.nan_to_num(np.asarray(listed_days, np.float64), nan=0.0)
    later = {}
    for name, flag in (("suspended", suspended), ("up_limit_locked", up_limit_locked)):
        later[name] = np.zeros(shape, bool)
        later[name][:-1] = np.asarray(flag)[1:]
    last_day = np.zeros(shape, bool)
    last_day[-1:] = True
    tests = (
        listed < 1,
        np.zeros(shape, bool) if member is None else ~np.asarray(member),
        np.asarray(st),
        listed < min_listed_days,
        last_day,
        later["suspended"],
        later["up_limit_locked"],
    )
    out = np.zeros(shape, np.uint8)
    for code in range(len(tests), 0, -1):  # the first reason is written last
        out[tests[code - 1]] = code
    return out


def days_listed(days: np.ndarray, list_date: np.ndarray, delist_date: np.ndarray | None = None) -> np.ndarray:
    """Trading days since listing, the first being 1.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
        Trading days, ascending.
    list_date, delist_date : ndarray of datetime64[D] (S,)
        First day of trading, and the first day without it; NaT where unknown (never listed, never delisted).

    Returns
    -------
    ndarray of float64 (D, S)
        NaN where not listed. Trading days before ``days[0]`` are counted as weekdays less 4% of holidays, close enough
        for a threshold of 63 days and exact within ``days``.
    """
    days = np.asarray(days, "datetime64[D]")
    list_date = np.asarray(list_date, "datetime64[D]")
    known = ~np.isnat(list_date)
    first = np.searchsorted(days, np.where(known, list_date, days[-1] + 1))
    before = np.zeros(len(list_date))
    early = known & (list_date < days[0])
    before[early] = np.floor(0.96 * np.busday_count(list_date[early], days[0]))
    out = np.arange(len(days))[:, None] - first[None, :] + 1.0 + before[None, :]
    out[out < 1] = np.nan
    out[:, ~known] = np.nan
    if delist_date is not None:
        gone = np.asarray(delist_date, "datetime64[D]")
        out[days[:, None] >= np.where(np.isnat(gone), days[-1] + 1, gone)[None, :]] = np.nan
    return out


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
    """
    days = np.asarray(days, "datetime64[D]")
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
