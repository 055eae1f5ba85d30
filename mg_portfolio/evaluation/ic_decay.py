"""IC decay: RankIC of a signal with the return of each single day after the purchase."""

from collections.abc import Iterable

import numpy as np

from mg_axes import FLAGS, PANEL, aligned
from mg_portfolio.arguments import EvaluationError, dense, flags
from mg_portfolio.evaluation.forward_returns import forward_returns
from mg_portfolio.evaluation.quantile_portfolios import MIN_STOCKS
from mg_portfolio.evaluation.rank_ic import Sorted, sort_rows
from mg_portfolio.evaluation.rank_kernels import rank_ic_by_shift

LAGS = tuple(range(1, 21))


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
    delay : int
        Trading days from the decision to its execution.
    min_stocks : int
        A day with fewer stocks that have both is NaN.

    Returns
    -------
    ndarray of float64 (L, D)

    Raises
    ------
    EvaluationError
        A lag below 1.
    """
    wanted = np.array(list(lags), np.int64)
    if (wanted < 1).any():
        raise EvaluationError(f"lag was {wanted.min()}, expected 1 or more")
    return rank_ic_by_shift(signal, *ordered, one_day, *one_day_ordered, wanted + delay - 1, max(min_stocks, 1))


@aligned(EvaluationError, by=("price",), signal=PANEL, price=PANEL, universe=FLAGS)
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
    signal : ndarray of float (D, S), or labelled
        As of the close of each day. Labelled panels (:mod:`mg_axes`) are aligned on those of ``price``.
    price : ndarray of float (D, S), or labelled
        Adjusted execution prices, yuan; NaN where the stock did not trade.
    universe : ndarray of bool (D, S), or labelled
    lags : iterable of int
        From 1.
    delay : int
        Trading days from the decision to its execution.
    min_stocks : int
        A day with fewer stocks is not in the mean.

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
    finite = np.isfinite(found)
    total = np.where(finite, found, 0.0).sum(axis=1)
    means = np.where(finite.any(axis=1), total / np.maximum(finite.sum(axis=1), 1), np.nan)
    return dict(zip(wanted, map(float, means), strict=True))
