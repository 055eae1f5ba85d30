"""The four order-by-order factors, and the value of limit orders entered and withdrawn in the early bars.

Source: Huatai 2023-12-08 (series 72), chart 36; Haitong weekly, 2023-12-15.
"""

import math
from dataclasses import dataclass

import numba as nb
import numpy as np
import pandas as pd

from mg_assets.factors.clock import (
    AUCTION_OPEN,
    EARLY_MINUTES,
    MORNING,
    MS_PER_MINUTE,
    ORDERS_END,
    is_early,
    time_of_day,
)
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
    flow = OrderFlow(np.full((len(rows), len(ORDER)), np.nan), np.zeros((len(rows), EARLY_MINUTES)))
    _kernel(
        rows.offsets,
        rows.times(),
        rows.integers("side"),
        rows.floats("price"),
        rows.floats("volume"),
        rows.kinds(),
        flow.factors,
        flow.book,
    )
    return flow


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _kernel(offsets, stamps, side, price, volume, kind, factors, book):
    most = 0
    for s in range(len(offsets) - 1):
        most = max(most, offsets[s + 1] - offsets[s])
    buys = np.empty(most)
    sells = np.empty(most)
    early = np.empty(most)
    limit_volume = np.empty(most)
    limit_price = np.empty(most)
    for s in range(len(offsets) - 1):
        n_buy = n_sell = n_early = n_limit = 0
        for i in range(offsets[s], offsets[s + 1]):
            p = price[i]
            v = volume[i]
            if p <= 0.0 or not v > 0.0:
                continue
            t = time_of_day(stamps[i])
            if t < AUCTION_OPEN or t > ORDERS_END:
                continue
            priced = math.isfinite(p)
            if is_early(t) and priced and (side[i] == 1 or side[i] == -1):
                m = (t - MORNING) // MS_PER_MINUTE
                if kind[i] == LIMIT:
                    book[s, m] += side[i] * (p * v)
                elif kind[i] == CANCEL:
                    book[s, m] -= side[i] * (p * v)
            if kind[i] == CANCEL:
                continue
            if is_early(t):
                early[n_early] = v
                n_early += 1
            if side[i] == 1:
                buys[n_buy] = v
                n_buy += 1
                if kind[i] == LIMIT and priced:
                    limit_volume[n_limit] = v
                    limit_price[n_limit] = p
                    n_limit += 1
            elif side[i] == -1:
                sells[n_sell] = v
                n_sell += 1
        row = factors[s]
        buy_skew, buy_kurt = skew_kurt(buys[:n_buy])
        sell_skew, sell_kurt = skew_kurt(sells[:n_sell])
        row[0] = buy_skew - sell_skew
        row[1] = buy_kurt - sell_kurt
        row[2] = kurt(early[:n_early])
        row[3] = corr(limit_volume[:n_limit], limit_price[:n_limit], LEAST_PAIRS)
