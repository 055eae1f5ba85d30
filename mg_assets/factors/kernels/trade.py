"""The eight trade-by-trade factors, and what the monitor takes from the same pass over the trades.

Source: Huatai 2023-12-08 (series 72), chart 25.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_assets.factors.kernels.big_orders import BIG_ORDER_STD, parent_orders
from mg_assets.factors.kernels.cache import kernel
from mg_assets.factors.kernels.clock import EARLY, EARLY_MINUTES, MINUTES
from mg_assets.factors.kernels.columns import StockRows
from mg_assets.factors.kernels.minute import minute_returns
from mg_assets.factors.kernels.moments import LEAST_PAIRS, corr, ratio
from mg_assets.factors.kernels.parent_orders import scratch_size
from mg_assets.factors.kernels.session import (
    ACTIVE_BUY,
    ACTIVE_SELL,
    AMOUNT,
    BIG_NET,
    CLOSE,
    MINUTE_ARRAYS,
    OPEN,
    TRADES,
    session_minutes,
)
from mg_assets.factors.registry import TRADE

_COLUMNS = ("time", "price", "volume", "buy_order", "sell_order", "side")


def trade_factors(trades: pd.DataFrame, big_order_std: float = BIG_ORDER_STD) -> pd.DataFrame:
    """Eight factors of each stock's day from its trades.

    Parameters
    ----------
    trades : DataFrame
        ``trades`` of one day (yuan, shares), in any order; taken in the order of ``seq``. Rows
        with price <= 0 or volume <= 0 and after-hours trades are left out; an auction's trade has
        no active side, whatever ``side`` says.
    big_order_std : float
        Multiple of the standard deviation in the big-order threshold; kept in ``attrs``.

    Returns
    -------
    DataFrame
        Index ``symbol`` ascending, columns :data:`mg_assets.factors.registry.TRADE`. All NaN for a
        stock without session trades.

    Raises
    ------
    DataError
        A column is missing or not of its kind, or a time or a symbol is null.
    """
    rows = trade_rows(trades)
    flow = trade_flow(rows, big_order_std)
    frame = pd.DataFrame(flow.factors, pd.Index(rows.symbols, name="symbol"), list(TRADE))
    frame.attrs["big_order_std"] = big_order_std
    return frame


def trade_rows(trades: pd.DataFrame) -> StockRows:
    """The trades grouped by stock, in sequence order."""
    return StockRows("trades", trades, _COLUMNS, by_seq=True)


@dataclass(frozen=True)
class TradeFlow:
    """One pass over a day's trades.

    Attributes
    ----------
    factors : ndarray (S, 8)
        Columns ``TRADE``.
    net : ndarray (S, 30)
        Buyer- minus seller-initiated amount per early bar, yuan.
    big_net : ndarray (S, 30)
        Amount of trades whose buy order is big minus that whose sell order is, per early bar.
    early_amount : ndarray (S,)
        Amount of all trades of the early session, yuan.
    traded : ndarray of bool (S,)
        Whether the stock has session trades.
    minutes : ndarray (S, 10, 240), or (0, 10, 240) where not asked for
        Rows :data:`mg_assets.factors.kernels.session.MINUTE_ARRAYS`; prices of bars without trades are NaN.
    """

    factors: np.ndarray
    net: np.ndarray
    big_net: np.ndarray
    early_amount: np.ndarray
    traded: np.ndarray
    minutes: np.ndarray


def trade_flow(rows: StockRows, big_order_std: float) -> TradeFlow:
    """Run the kernel over grouped trades."""
    return trade_arrays(
        rows.offsets,
        rows.times(),
        rows.floats("price"),
        rows.numbers("volume"),
        rows.integers("buy_order"),
        rows.integers("sell_order"),
        rows.signs("side"),
        big_order_std,
    )


def trade_arrays(
    offsets: np.ndarray,
    stamps: np.ndarray,
    price: np.ndarray,
    volume: np.ndarray,
    buy: np.ndarray,
    sell: np.ndarray,
    side: np.ndarray,
    big_order_std: float,
    minutes: bool = False,
) -> TradeFlow:
    """Run the kernel over rows of stock s in ``offsets[s]:offsets[s + 1]``, in sequence order."""
    stocks = len(offsets) - 1
    flow = TradeFlow(
        factors=np.full((stocks, len(TRADE)), np.nan),
        net=np.zeros((stocks, EARLY_MINUTES)),
        big_net=np.zeros((stocks, EARLY_MINUTES)),
        early_amount=np.zeros(stocks),
        traded=np.zeros(stocks, bool),
        minutes=np.empty((stocks if minutes else 0, len(MINUTE_ARRAYS), MINUTES)),
    )
    most = int(np.diff(offsets).max(initial=0))
    _kernel(
        offsets,
        stamps,
        price,
        volume,
        buy,
        sell,
        side,
        float(big_order_std),
        most,
        scratch_size(most),
        flow.factors,
        flow.net,
        flow.big_net,
        flow.early_amount,
        flow.traded,
        flow.minutes,
    )
    return flow


# Factors in place of selections: a branch on a mark could not be foretold.


@kernel(nogil=True, error_model="numpy")
def _big_net(amount, marks):
    """Amount whose buy order is big minus that whose sell order is."""
    total = 0.0
    for i in range(len(amount)):
        total += amount[i] * (np.float64(marks[i] & 1) - np.float64(marks[i] >> 1))
    return total


@kernel(nogil=True, error_model="numpy")
def _big_amounts(amount, marks):
    """Amount of all trades, of those whose buy order is big, and of those whose sell order is."""
    total = big_buy = big_sell = 0.0
    for i in range(len(amount)):
        total += amount[i]
        big_buy += amount[i] * np.float64(marks[i] & 1)
        big_sell += amount[i] * np.float64(marks[i] >> 1)
    return total, big_buy, big_sell


@kernel(nogil=True, error_model="numpy")
def _keep_active(marks, side):
    """Keep of the marks only those of a trade's active side."""
    for i in range(len(marks)):
        marks[i] &= np.int8(side[i] == 1) + 2 * np.int8(side[i] == -1)


AT_ONCE = 128
"""Price ratios multiplied before their logarithm is taken."""


@kernel(nogil=True, error_model="numpy")
def log_return(price, before, marks):
    """Sum of the marked trades' log price changes; ``before`` is the price before the first trade."""
    n = len(price)
    if n == 0:
        return 0.0
    total = 0.0
    product = price[0] / before if marks[0] else 1.0
    for begin in range(1, n, AT_ONCE):
        end = min(begin + AT_ONCE, n)
        ratio_ = _product(price[begin - 1 : end - 1], price[begin:end], marks[begin:end])
        if 1e-200 < ratio_ < 1e200:
            product *= ratio_
        else:  # beyond what a product can hold
            for i in range(begin, end):
                total += math.log(price[i] / price[i - 1]) if marks[i] else 0.0
        if not 1e-100 < product < 1e100:
            total += math.log(product)
            product = 1.0
    return total + math.log(product) if product != 1.0 else total


@kernel(nogil=True, error_model="numpy")
def _product(before, price, marks):
    product = 1.0
    for i in range(len(price)):
        product *= (price[i] if marks[i] else before[i]) / before[i]
    return product


@kernel(nogil=True, error_model="numpy")
def _kernel(
    offsets,
    stamps,
    price,
    volume,
    buy,
    sell,
    side,
    multiple,
    most,
    scratch,
    factors,
    early_net,
    early_big,
    early_all,
    any_trades,
    out_minutes,
):
    # One set of scratch arrays for all stocks, as long as the heaviest needs.
    amount = np.empty(most)
    run_end = np.empty(most, np.int64)
    run_minute = np.empty(most, np.int16)
    run_phase = np.empty(most, np.int8)
    last_price = np.empty(most)
    marks = np.empty(most, np.int8)
    buy_slot = np.empty(most, np.uint32)
    sell_slot = np.empty(most, np.uint32)
    buy_big = np.empty(most + 1, np.bool_)
    sell_big = np.empty(most + 1, np.bool_)
    buy_log = np.empty(most + 1)
    sell_log = np.empty(most + 1)
    words = np.empty(scratch, np.uint64)
    counts = np.empty(scratch, np.uint32)
    minutes = np.empty((len(MINUTE_ARRAYS), MINUTES))
    traded = np.empty(MINUTES, np.bool_)
    r = np.empty(MINUTES)
    net = np.empty(MINUTES)

    for s in range(len(offsets) - 1):
        lo, hi = offsets[s], offsets[s + 1]
        direction = side[lo:hi]
        runs = session_minutes(
            stamps[lo:hi], price[lo:hi], volume[lo:hi], direction, minutes, amount, last_price, run_end, run_minute,
            run_phase,
        )  # fmt: skip
        day_amount = 0.0
        for m in range(MINUTES):
            traded[m] = minutes[TRADES, m] > 0.0
            day_amount += minutes[AMOUNT, m]
        if len(out_minutes):
            out_minutes[s] = minutes
        if day_amount == 0.0:
            continue
        any_trades[s] = True

        _, _, buy_squares, sell_squares, _, _, _ = parent_orders(
            buy[lo:hi], sell[lo:hi], amount, multiple, buy_slot, sell_slot, buy_log, sell_log, buy_big, sell_big, words,
            counts, marks,
        )  # fmt: skip
        big_orders = big_return = early_active_return = 0.0
        early_amount = early_buy = early_known = early_big_buy = early_big_sell = 0.0
        begin = k = 0
        while k < runs:
            early = run_phase[k] == EARLY
            lo_run = begin
            while k < runs and (run_phase[k] == EARLY) == early:  # a stretch of runs, as long as it goes
                end = run_end[k]
                if early or len(out_minutes):
                    m = run_minute[k]
                    big_net = _big_net(amount[begin:end], marks[begin:end])
                    minutes[BIG_NET, m] += big_net
                    if early:
                        early_big[s, m] += big_net
                begin = end
                k += 1
            # the stretch's rows, and the price before each
            stretch, before = slice(lo_run, begin), max(lo_run - 1, 0)
            a, mark, p = amount[stretch], marks[stretch], last_price[stretch]
            total, big_buy, big_sell = _big_amounts(a, mark)
            big_orders += big_buy + big_sell
            big_return += log_return(p, last_price[before], mark)
            if early:
                early_amount += total
                early_big_buy += big_buy
                early_big_sell += big_sell
                _keep_active(mark, direction[stretch])
                early_active_return += log_return(p, last_price[before], mark)

        for m in range(MINUTES):
            net[m] = minutes[ACTIVE_BUY, m] - minutes[ACTIVE_SELL, m]
        for m in range(EARLY_MINUTES):
            early_net[s, m] = net[m]
            early_buy += minutes[ACTIVE_BUY, m]
            early_known += minutes[ACTIVE_BUY, m] + minutes[ACTIVE_SELL, m]
        minute_returns(minutes[OPEN], minutes[CLOSE], traded, np.nan, r)
        if len(out_minutes):
            out_minutes[s] = minutes
        early_all[s] = early_amount
        row = factors[s]
        row[0] = big_orders / (2.0 * day_amount)
        row[1] = ratio(early_big_buy, early_big_buy + early_big_sell)
        row[2] = big_return
        row[3] = early_active_return
        row[4] = (buy_squares - sell_squares) / (day_amount * day_amount)
        row[5] = ratio(early_buy, early_known)
        row[6] = corr(net[1:], r[:-1], LEAST_PAIRS)
        row[7] = corr(net[:-1], r[1:], LEAST_PAIRS)
