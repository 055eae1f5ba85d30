"""The tradable universe on which signals are evaluated, and the reason why a stock is not in it."""

import numpy as np

from mg_axes import BY_STOCK, DAYS, FLAGS, PANEL, Layout, aligned, as_days, bare
from mg_portfolio.arguments import EvaluationError

_BY_LISTED_DAYS = aligned(
    EvaluationError,
    by=("listed_days",),
    result="ds",
    listed_days=PANEL,
    st=FLAGS,
    suspended=Layout("ds", True, wider=True),
    up_limit_locked=FLAGS,
    member=FLAGS,
)

MIN_LISTED_DAYS = 63

EXCLUSION_REASONS = (
    "",
    "not listed",
    "not a member",
    "ST",
    "listed under 63 sessions",
    "next session not known",
    "suspended on the next session",
    "locked at the upper limit on the next session",
)
"""Why a stock is not in the universe, by the codes of `exclusion_codes`; code 0 is in it."""


@_BY_LISTED_DAYS
def tradable_next_day(
    listed_days: np.ndarray,
    st: np.ndarray,
    suspended: np.ndarray,
    up_limit_locked: np.ndarray,
    member: np.ndarray | None = None,
    min_listed_days: int = MIN_LISTED_DAYS,
) -> np.ndarray:
    """Stocks that a decision on T's close could buy on T+1.

    All shares minus ST, minus those listed under 63 trading days, minus those suspended or locked at the upper limit on
    T+1. This looks one day ahead on purpose, as the reports do: it belongs to the evaluation of a signal, never to its
    computation.

    Parameters
    ----------
    listed_days : ndarray of float or int (D, S), or labelled
        The axes, on which labelled flags (:mod:`mg_axes`) are aligned: a stock that they lack is suspended, and has no
        other flag. Trading days since listing, the first being 1 (see `days_listed`); NaN, 0 or below where it is not
        listed.
    st : ndarray of bool (D, S), or labelled
        Under special treatment on T.
    suspended, up_limit_locked : ndarray of bool (D, S), or labelled
        That day's own flags; T's row of the result reads T+1's.
    member : ndarray of bool (D, S), or labelled, optional
        Index or bucket membership on T, for a narrower universe.
    min_listed_days : int
        Trading days since listing that a stock needs.

    Returns
    -------
    ndarray of bool (D, S), or DataFrame
        With the labels of labelled ``listed_days``. The last row is all False: its next day is not in the data.

    Raises
    ------
    EvaluationError
        A flag is not bool or of another shape.

    Notes
    -----
    Source: Huatai 2023-12-08, test conditions under chart 6.
    """
    return exclusion_codes(listed_days, st, suspended, up_limit_locked, member, min_listed_days) == 0


@_BY_LISTED_DAYS
def exclusion_codes(
    listed_days: np.ndarray,
    st: np.ndarray,
    suspended: np.ndarray,
    up_limit_locked: np.ndarray,
    member: np.ndarray | None = None,
    min_listed_days: int = MIN_LISTED_DAYS,
) -> np.ndarray:
    """Why each stock is not in `tradable_next_day` on each day.

    Parameters
    ----------
    listed_days, st, suspended, up_limit_locked, member, min_listed_days
        See `tradable_next_day`.

    Returns
    -------
    ndarray of uint8 (D, S), or DataFrame
        0 where the stock is in the universe; else the index in `EXCLUSION_REASONS` of the first reason that applies.

    Raises
    ------
    EvaluationError
        A flag is not bool or of another shape.
    """
    shape = np.shape(listed_days)
    for name, flag in (("st", st), ("suspended", suspended), ("up_limit_locked", up_limit_locked), ("member", member)):
        if flag is None:
            continue
        if np.asarray(bare(name, flag, EvaluationError)).dtype != np.bool_ or np.shape(flag) != shape:
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


@aligned(EvaluationError, by=("list_date",), result="ds", days=DAYS, list_date=BY_STOCK, delist_date=BY_STOCK)
def days_listed(days: np.ndarray, list_date: np.ndarray, delist_date: np.ndarray | None = None) -> np.ndarray:
    """Trading days since listing, the first being 1.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
        Trading days, ascending.
    list_date, delist_date : ndarray of datetime64[D] (S,), or labelled by symbol
        Labelled ones (:mod:`mg_axes`) are aligned on the symbols of ``list_date``. First day of trading, and the first
        day without it; NaT where there is none (never listed, never delisted).

    Returns
    -------
    ndarray of float64 (D, S), or DataFrame
        With the labels of a labelled ``list_date``. NaN where not listed. Trading days before ``days[0]`` are counted
        as weekdays less 4% of holidays, close enough for a threshold of 63 days and exact within ``days``.
    """
    days = as_days(days)
    list_date = np.asarray(list_date, "datetime64[D]")
    has_date = ~np.isnat(list_date)
    first = np.searchsorted(days, np.where(has_date, list_date, days[-1] + 1))
    before = np.zeros(len(list_date))
    early = has_date & (list_date < days[0])
    before[early] = np.floor(0.96 * np.busday_count(list_date[early], days[0]))
    out = np.arange(len(days))[:, None] - first[None, :] + 1.0 + before[None, :]
    out[out < 1] = np.nan
    out[:, ~has_date] = np.nan
    if delist_date is not None:
        gone = np.asarray(delist_date, "datetime64[D]")
        out[days[:, None] >= np.where(np.isnat(gone), days[-1] + 1, gone)[None, :]] = np.nan
    return out
