"""How long a signal lasts: its RankIC with the return of each single day that follows."""

from collections.abc import Iterable

import numpy as np
from numba import njit

from mg_portfolio.arguments import EvaluationError, dense, flags
from mg_portfolio.evaluation.quantile_portfolios import MIN_STOCKS, forward_returns
from mg_portfolio.evaluation.rank_ic import Sorted, _correlation, _tied_ranks, sort_rows

LAGS = tuple(range(1, 21))


@njit(nogil=True, cache=True)
def _by_shift(signal, order, counts, later, later_order, later_counts, shifts, minimum):
    days, stocks = signal.shape
    out = np.full((len(shifts), days), np.nan)
    x = np.empty(stocks)
    y = np.empty(stocks)
    rx = np.empty(stocks)
    ry = np.empty(stocks)
    rank = np.empty(stocks)
    place = np.full(stocks, -1, np.int64)
    ranked = np.empty(stocks, np.int64)
    for d in range(days):
        for i in range(len(shifts)):
            e = d + shifts[i]
            if e >= days:
                continue
            n = 0
            for k in range(counts[d]):
                s = order[d, k]
                if np.isfinite(later[e, s]):
                    place[s] = n
                    x[n] = signal[d, s]
                    n += 1
                else:
                    place[s] = -1
            if n < minimum:
                continue
            m = 0
            for k in range(later_counts[e]):
                s = later_order[e, k]
                if place[s] >= 0:
                    ranked[m] = place[s]
                    y[m] = later[e, s]
                    m += 1
            _tied_ranks(x, n, rx)
            _tied_ranks(y, n, rank)
            for k in range(n):
                ry[ranked[k]] = rank[k]
            out[i, d] = _correlation(rx, ry, n)
        for k in range(counts[d]):
            place[order[d, k]] = -1
    return out


def rank_ic_by_lag(
    signal: np.ndarray,
    ordered: Sorted,
    one_day: np.ndarray,
    one_day_ordered: Sorted,
    lags: Iterable[int] = LAGS,
    delay: int = 1,
    min_stocks: int = MIN_STOCKS,
) -> np.ndarray:
    """RankIC by day of a signal with the return of the single day that comes ``lag`` days later.

    Parameters
    ----------
    signal : ndarray of float64 (D, S)
    ordered : tuple
        `mg_portfolio.evaluation.rank_ic.sort_rows` of the signal over the universe.
    one_day : ndarray of float64 (D, S)
        ``forward_returns(price, 1, 0)``: from the day's execution price to the next day's.
    one_day_ordered : tuple
        `sort_rows` of it over all stocks, shared by all signals.
    lags : iterable of int
        From 1: the return from the execution price at ``T + delay`` to the same price the day after.
    delay, min_stocks : int

    Returns
    -------
    ndarray of float64 (L, D)
        NaN where a day has too few stocks with both.
    """
    wanted = np.array(list(lags), np.int64)
    if (wanted < 1).any():
        raise EvaluationError(f"lag was {wanted.min()}, expected 1 or more")
    return _by_shift(signal, *ordered, one_day, *one_day_ordered, wanted + delay - 1, max(min_stocks, 1))


def ic_decay(
    signal: np.ndarray,
    price: np.ndarray,
    universe: np.ndarray,
    lags: Iterable[int] = LAGS,
    delay: int = 1,
    min_stocks: int = MIN_STOCKS,
) -> dict[int, float]:
    """Mean RankIC of a signal with the return of the single day that comes ``lag`` days later.

    ``lag`` 1 is the return from the execution price at ``T + delay`` to the same price the day after.

    Parameters
    ----------
    signal, price : ndarray of float (D, S)
    universe : ndarray of bool (D, S)
    lags : iterable of int
        From 1.
    delay, min_stocks : int

    Returns
    -------
    dict of int to float
        NaN where no day has both.
    """
    signal = dense("signal", signal)
    universe = flags("universe", universe, signal.shape)
    one_day = forward_returns(dense("price", price, signal.shape), 1, 0)
    wanted = [int(lag) for lag in lags]
    everywhere = sort_rows(one_day, np.ones(one_day.shape, bool))
    found = rank_ic_by_lag(signal, sort_rows(signal, universe), one_day, everywhere, wanted, delay, min_stocks)
    known = np.isfinite(found)
    total = np.where(known, found, 0.0).sum(axis=1)
    means = np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)
    return dict(zip(wanted, map(float, means), strict=True))
