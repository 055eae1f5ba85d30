"""The four order-by-order factors, and the value of limit orders entered and withdrawn in the early bars.

Source: Huatai 2023-12-08 (series 72), chart 36; Haitong weekly, 2023-12-15.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_assets.factors.kernels.cache import kernel
from mg_assets.factors.kernels.clock import (
    AUCTION,
    AUCTION_OPEN,
    CONTINUOUS,
    EARLY,
    EARLY_END,
    EARLY_MINUTES,
    MORNING,
    MS_PER_DAY,
    MS_PER_MINUTE,
    ORDERS_END,
    order_phase,
)
from mg_assets.factors.kernels.columns import CANCEL, LIMIT, StockRows
from mg_assets.factors.kernels.moments import LEAST_PAIRS, corr, skew_kurt
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
        do not show a suspension: :func:`mg_assets.factors.intraday_factors` makes the stock's row NaN.

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
    _kernel(offsets, stamps, side, price, volume, kind, flow.factors, flow.book)
    return flow


@kernel(nogil=True, error_model="numpy")
def _kernel(offsets, stamps, side, price, volume, kind, factors, book):
    for s in range(len(offsets) - 1):
        lo, hi = offsets[s], offsets[s + 1]
        first, early, later, last = _session(stamps[lo:hi])
        if first >= 0:
            first, early, later, last = lo + first, lo + early, lo + later, lo + last
            _one_stock(
                early - first, later - first, stamps[first:last], side[first:last], price[first:last],
                volume[first:last], kind[first:last], factors[s], book[s],
            )  # fmt: skip
        else:
            rows, early, later = _by_phase(stamps[lo:hi])
            rows += lo
            _one_stock(
                early, later, stamps[rows], side[rows], price[rows], volume[rows], kind[rows], factors[s], book[s]
            )


@kernel(nogil=True)
def _session(stamps):
    """First row of the session, of its early part, of the rest and of what comes after; -1s where time runs back."""
    n = len(stamps)
    back = 0
    for i in range(n - 1):  # no exit: the loop is vectorised
        back += stamps[i + 1] < stamps[i]
    if n == 0 or back:
        return -1, -1, -1, -1
    midnight = stamps[0] - stamps[0] % MS_PER_DAY
    if stamps[n - 1] - midnight >= MS_PER_DAY:
        return -1, -1, -1, -1
    return (
        np.searchsorted(stamps, midnight + AUCTION_OPEN),
        np.searchsorted(stamps, midnight + MORNING),
        np.searchsorted(stamps, midnight + EARLY_END),
        np.searchsorted(stamps, midnight + ORDERS_END + 1),
    )


@kernel(nogil=True)
def _by_phase(stamps):
    """The session's rows, in turn the auction's, the early ones and the rest; where the early ones begin and end."""
    n = len(stamps)
    phases = np.empty(n, np.int8)
    for i in range(n):
        phases[i] = order_phase(stamps[i] % MS_PER_DAY)
    auction = np.flatnonzero(phases == AUCTION)
    early = np.flatnonzero(phases == EARLY)
    rest = np.flatnonzero(phases == CONTINUOUS)
    begin = len(auction)
    return np.concatenate((auction, early, rest)), begin, begin + len(early)


@kernel(nogil=True, error_model="numpy")
def _one_stock(early, later, stamps, side, price, volume, kind, row, book):
    """Factors and book of a stock's session rows, of which ``early:later`` are the early ones."""
    bought, sold, limit, paid = _entered(side, price, volume, kind)
    buy_skew, buy_kurt = skew_kurt(bought)
    sell_skew, sell_kurt = skew_kurt(sold)
    row[0] = buy_skew - sell_skew
    row[1] = buy_kurt - sell_kurt
    row[3] = corr(limit, paid, LEAST_PAIRS)
    price, volume, kind = price[early:later], volume[early:later], kind[early:later]
    row[2] = skew_kurt(_entered_volumes(price, volume, kind))[1]
    _add_to_book(stamps[early:later], side[early:later], price, volume, kind, book)


@kernel(nogil=True, inline="always")
def is_valid_order(price, volume):
    """Whether a row counts: volume > 0 and a price that is > 0 or null."""
    return (volume > 0.0) & (volume < np.inf) & (not price <= 0.0)


# No branches, as side and kind come in no order that could be foretold: what does not count is overwritten by the next.


@kernel(nogil=True, error_model="numpy")
def _entered(side, price, volume, kind):
    """Volumes of buy and of sell orders; volumes and prices of the priced buy limit orders."""
    n = len(side)
    bought, sold, limit, paid = np.empty(n + 1), np.empty(n + 1), np.empty(n + 1), np.empty(n + 1)
    n_bought = n_sold = n_limit = 0
    for i in range(n):
        p = price[i]
        v = np.float64(volume[i])
        entered = is_valid_order(p, v) & (kind[i] != CANCEL)
        buys = entered & (side[i] == 1)
        bought[n_bought] = v
        sold[n_sold] = v
        limit[n_limit] = v
        paid[n_limit] = p
        n_bought += buys
        n_sold += entered & (side[i] == -1)
        n_limit += buys & (kind[i] == LIMIT) & (p < np.inf)
    return bought[:n_bought], sold[:n_sold], limit[:n_limit], paid[:n_limit]


@kernel(nogil=True, error_model="numpy")
def _entered_volumes(price, volume, kind):
    """Volumes of the orders of any side."""
    n = 0
    entered = np.empty(len(price) + 1)
    for i in range(len(price)):
        v = np.float64(volume[i])
        entered[n] = v
        n += is_valid_order(price[i], v) & (kind[i] != CANCEL)
    return entered[:n]


@kernel(nogil=True, error_model="numpy")
def _add_to_book(stamps, side, price, volume, kind, book):
    """Add the value of limit orders entered, less what is withdrawn, buy less sell, to the early rows' minutes."""
    begin = 0
    while begin < len(stamps):
        ms = stamps[begin] % MS_PER_DAY
        first = stamps[begin] - ms % MS_PER_MINUTE
        end = begin + 1
        while end < len(stamps) and first <= stamps[end] < first + MS_PER_MINUTE:
            end += 1
        book[(ms - MORNING) // MS_PER_MINUTE] += _net_value(
            side[begin:end], price[begin:end], volume[begin:end], kind[begin:end]
        )
        begin = end


@kernel(nogil=True, error_model="numpy")
def _net_value(side, price, volume, kind):
    total = 0.0
    for i in range(len(side)):
        p = price[i]
        v = np.float64(volume[i])
        limit = kind[i] == LIMIT
        cancel = kind[i] == CANCEL
        sign = np.float64(side[i] == 1) - np.float64(side[i] == -1)
        value = p * v if is_valid_order(p, v) & (p < np.inf) else 0.0
        total += value * (sign * (np.float64(limit) - np.float64(cancel)))
    return total
