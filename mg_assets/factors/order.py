"""The four order-by-order factors, and the value of limit orders entered and withdrawn in the early bars.

Source: Huatai 2023-12-08 (series 72), chart 36; Haitong weekly, 2023-12-15.
"""

import math
from dataclasses import dataclass

import numba as nb
import numpy as np
import pandas as pd

from mg_assets.factors.clock import EARLY, EARLY_MINUTES, MS_PER_DAY, OUTSIDE, order_piece
from mg_assets.factors.columns import CANCEL, LIMIT, StockRows
from mg_assets.factors.moments import LEAST_PAIRS, corr, kurt, skew_kurt
from mg_assets.factors.registry import ORDER

_COLUMNS = ("time", "side", "price", "volume", "kind")


def order_factors(orders: pd.DataFrame) -> pd.DataFrame:
    """Four factors of each stock's day from the orders entered.

    Parameters
    ----------
    orders : DataFrame
        ``orders`` of one day, in any order, with the volume as entered (shares). Counted are new
        orders from 09:15:00.000 to 15:00:00.999 with volume > 0 and a price that is > 0 or null.

    Returns
    -------
    DataFrame
        Index ``symbol`` ascending, columns :data:`mg_assets.factors.registry.ORDER`. Orders alone
        do not tell a suspended stock: :func:`mg_assets.factors.intraday_factors` makes its row NaN.

    Raises
    ------
    DataError
        A column is missing or not of its kind, a kind is unknown, or a time or a symbol is null.
    """
    rows = order_rows(orders)
    return pd.DataFrame(order_flow(rows).factors, pd.Index(rows.symbols, name="symbol"), list(ORDER))


def order_rows(orders: pd.DataFrame) -> StockRows:
    """The orders grouped by stock."""
    return StockRows("orders", orders, _COLUMNS)


@dataclass(frozen=True)
class OrderFlow:
    """One pass over a day's orders.

    Attributes
    ----------
    factors : ndarray (S, 4)
        Columns ``ORDER``.
    book : ndarray (S, 30)
        Per early bar, value of buy limit orders entered minus withdrawn, minus the same of sell
        orders, yuan.
    """

    factors: np.ndarray
    book: np.ndarray


def order_flow(rows: StockRows) -> OrderFlow:
    """Run the kernel over grouped orders."""
    return order_arrays(
        rows.offsets, rows.times(), rows.signs("side"), rows.floats("price"), rows.numbers("volume"), rows.kinds()
    )


def order_arrays(
    offsets: np.ndarray,
    stamps: np.ndarray,
    side: np.ndarray,
    price: np.ndarray,
    volume: np.ndarray,
    kind: np.ndarray,
) -> OrderFlow:
    """Run the kernel over rows of stock s in ``offsets[s]:offsets[s + 1]``."""
    stocks = len(offsets) - 1
    flow = OrderFlow(np.full((stocks, len(ORDER)), np.nan), np.zeros((stocks, EARLY_MINUTES)))
    most = int(np.diff(offsets).max(initial=0))
    _kernel(offsets, stamps, side, price, volume, kind, most, flow.factors, flow.book)
    return flow


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _kernel(offsets, stamps, side, price, volume, kind, most, factors, book):
    # One longer than needed: a row that does not belong is stored and then overwritten, without a branch,
    # as side and kind come in no order that could be foretold.
    buys = np.empty(most + 1)
    sells = np.empty(most + 1)
    early = np.empty(most + 1)
    limit_volume = np.empty(most + 1)
    limit_price = np.empty(most + 1)
    for s in range(len(offsets) - 1):
        n_buy = n_sell = n_early = n_limit = 0
        m, phase, first, end = order_piece(0)
        begin = beyond = np.int64(0)
        for i in range(offsets[s], offsets[s + 1]):
            t = stamps[i]
            if not begin <= t < beyond:
                ms = t % MS_PER_DAY
                m, phase, first, end = order_piece(ms)
                begin = t - ms + first
                beyond = t - ms + end
            p = price[i]
            v = np.float64(volume[i])
            if phase == OUTSIDE or p <= 0.0 or not v > 0.0:
                continue
            priced = math.isfinite(p)
            limit = kind[i] == LIMIT
            cancel = kind[i] == CANCEL
            bought = side[i] == 1
            sold = side[i] == -1
            if phase == EARLY:
                sign = (np.int64(bought) - np.int64(sold)) * (np.int64(limit) - np.int64(cancel))
                book[s, m] += sign * (p * v) if priced else 0.0
                early[n_early] = v
                n_early += not cancel
            buys[n_buy] = v
            n_buy += bought and not cancel
            sells[n_sell] = v
            n_sell += sold and not cancel
            limit_volume[n_limit] = v
            limit_price[n_limit] = p
            n_limit += bought and limit and priced
        row = factors[s]
        buy_skew, buy_kurt = skew_kurt(buys[:n_buy])
        sell_skew, sell_kurt = skew_kurt(sells[:n_sell])
        row[0] = buy_skew - sell_skew
        row[1] = buy_kurt - sell_kurt
        row[2] = kurt(early[:n_early])
        row[3] = corr(limit_volume[:n_limit], limit_price[:n_limit], LEAST_PAIRS)
