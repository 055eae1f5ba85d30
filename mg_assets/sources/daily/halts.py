"""Halted days of a source that has no rows on them: absence is a halt while the stock may come back.

A stock without a row is halted from its last row on

- until its next one, however long;
- until its delisting day, where a listing table has one;
- to the end of the data, where a listing table with delisting days has none of it;
- for :data:`~mg_assets.market.sessions.HALT_SESSIONS` sessions, where nothing says whether it was delisted; behind
  them it counts as gone.

A halted day carries what was last known and no volume. What a day holds follows, but for the last rule's rare comeback,
from the days up to it: a history that grows by a day leaves the days before it as they are.
"""

import numpy as np

from mg_assets.market.sessions import HALT_SESSIONS

LEAST_SHARE = 1 / 3
"""Of the stocks that have rows or would be halted: with fewer rows a day is incomplete, not a market that is halted (on
the worst day of July 2015 half of it was)."""

CARRIED = ("adj_factor", "float_shares", "st", "pb", "pe_ttm", "pcf_ttm", "dividend_yield_12m", "eps_fy1", "roe_fy1",
           "np_fy1", "total_shares")  # fmt: skip


def with_halts(
    symbol: np.ndarray,
    date: np.ndarray,
    columns: dict[str, np.ndarray],
    delisted: np.ndarray | None = None,
    set_aside: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Add the halted days to rows sorted by symbol, then date.

    Parameters
    ----------
    symbol : ndarray of int (n,)
    date : ndarray of datetime64[D] (n,)
    columns : dict of str to ndarray (n,)
    delisted : ndarray of datetime64[D] (S,), optional
        First day behind the listing of each symbol, NaT where unknown or still listed.
    set_aside : tuple of ndarray (k,), optional
        Symbols and dates of invalid rows: the stock had a row on the day, so the day is unknown and none is added.

    Returns
    -------
    symbol, date, columns
        With the added rows in their places: volume 0, :data:`CARRIED` as on the stock's last row, the others NaN.
    added : ndarray of bool (m,)
    """
    days, at = np.unique(date, return_inverse=True)
    last = np.append(symbol[1:] != symbol[:-1], True)[: len(symbol)]
    stop = np.where(last, _end(symbol, at, days, delisted), np.append(at[1:], 0)[: len(at)])
    count = np.maximum(stop - at - 1, 0)
    rows = np.repeat(np.arange(len(symbol)), count + 1)
    step = np.arange(len(rows)) - np.repeat(np.cumsum(count + 1) - count - 1, count + 1)
    place, added = at[rows] + step, step > 0
    whole = np.bincount(at, minlength=len(days))
    halted = np.bincount(place[added], minlength=len(days))
    kept = ~added | (whole >= LEAST_SHARE * (whole + halted))[place]
    if set_aside is not None and len(set_aside[0]):
        codes, dates = set_aside
        on_axis = np.isin(dates, days)
        unknown = codes[on_axis].astype(np.int64) * len(days) + np.searchsorted(days, dates[on_axis])
        kept &= ~added | ~np.isin(symbol[rows].astype(np.int64) * len(days) + place, unknown)
    rows, place, added = rows[kept], place[kept], added[kept]
    return symbol[rows], days[place], {n: _carried(n, v[rows], added) for n, v in columns.items()}, added


def _end(symbol: np.ndarray, at: np.ndarray, days: np.ndarray, delisted: np.ndarray | None) -> np.ndarray:
    """Number of the day before which the halt behind each row ends, if no row of the stock follows."""
    patient = np.minimum(at + 1 + HALT_SESSIONS, len(days))
    if delisted is None or np.isnat(delisted).all():
        return patient
    gone = delisted[symbol]
    return np.where(np.isnat(gone), len(days), np.maximum(np.searchsorted(days, gone), at + 1))


def _carried(name: str, values: np.ndarray, added: np.ndarray) -> np.ndarray:
    if name in CARRIED or not added.any():
        return values
    if values.dtype.kind == "b":
        return values | added if name == "suspended" else values
    return np.where(added, 0.0 if name == "volume" else np.nan, values)
