"""The eight trade-by-trade factors, and what the monitor takes from the same pass over the trades.

Trades that bear one order number are one restored order. An order is big where the logarithm of
its executed amount exceeds mean + multiple * std over all orders of that stock and day, buy and
sell pooled.

Source: Huatai 2023-12-08 (series 72), chart 25. The reports state no threshold; Haitong's
earlier series uses the log amount and one standard deviation.
"""

import math
from dataclasses import dataclass

import numba as nb
import numpy as np
import pandas as pd

from mg_assets.factors.clock import (
    EARLY_MINUTES,
    MINUTES,
    MORNING,
    MS_PER_MINUTE,
    is_continuous,
    is_early,
    time_of_day,
    trade_minute,
)
from mg_assets.factors.columns import StockRows
from mg_assets.factors.minute import minute_returns
from mg_assets.factors.moments import LEAST_PAIRS, corr, ratio
from mg_assets.factors.registry import TRADE

BIG_ORDER_STD = 1.0
BIG_ORDER_MARGIN = 1e-9  # keeps orders of one and the same amount from being big by rounding
FIRST_BITS = 10  # order tables begin with 1,024 slots and double when half full
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
    """

    factors: np.ndarray
    net: np.ndarray
    big_net: np.ndarray
    early_amount: np.ndarray
    traded: np.ndarray


def trade_flow(rows: StockRows, big_order_std: float) -> TradeFlow:
    """Run the kernel over grouped trades."""
    stocks = len(rows)
    flow = TradeFlow(
        factors=np.full((stocks, len(TRADE)), np.nan),
        net=np.zeros((stocks, EARLY_MINUTES)),
        big_net=np.zeros((stocks, EARLY_MINUTES)),
        early_amount=np.zeros(stocks),
        traded=np.zeros(stocks, bool),
    )
    _kernel(
        rows.offsets,
        rows.times(),
        rows.floats("price"),
        rows.floats("volume"),
        rows.integers("buy_order"),
        rows.integers("sell_order"),
        rows.integers("side"),
        float(big_order_std),
        flow.factors,
        flow.net,
        flow.big_net,
        flow.early_amount,
        flow.traded,
    )
    return flow


@nb.njit(cache=True, nogil=True, inline="always")
def is_valid_trade(price, volume):
    """Whether a trade row counts: rows with price <= 0 or volume <= 0 (or null) are set aside."""
    return price > 0.0 and volume > 0.0 and math.isfinite(price) and math.isfinite(volume)


@nb.njit(cache=True, nogil=True, inline="always")
def _slot(number, bits):
    """Home slot of a number in a table of 2^bits slots (Fibonacci hashing)."""
    return np.int64((np.uint64(number) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits))


@nb.njit(cache=True, nogil=True, inline="always")
def _order_of(number, count, bits, table, numbers):
    """Position of an order number among the stock's first ``count`` orders; ``count`` where it is new.

    ``table`` holds positions + 1 (0: free) and ``numbers`` the orders in order of appearance, so
    that what is looked up is small and mostly recent: on a real day of 134 thousand trades the kernel
    takes half the time that it takes with a table of keys sized by the number of trades.
    """
    mask = (1 << bits) - 1
    slot = _slot(number, bits)
    while table[slot] != 0:
        if numbers[table[slot] - 1] == number:
            return table[slot] - 1
        slot = (slot + 1) & mask
    numbers[count] = number
    table[slot] = count + 1
    return count


@nb.njit(cache=True, nogil=True)
def _grown(count, bits, table, numbers):
    """Double a table that is half full; returns its bits."""
    if 2 * count < (1 << bits):
        return bits
    bits += 1
    mask = (1 << bits) - 1
    table[: 1 << bits] = 0
    for k in range(count):
        slot = _slot(numbers[k], bits)
        while table[slot] != 0:
            slot = (slot + 1) & mask
        table[slot] = k + 1
    return bits


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _big_threshold(buy_log, sell_log, multiple):
    """Mean + multiple * std + margin of the pooled log amounts; infinite without orders."""
    n = len(buy_log) + len(sell_log)
    if n == 0:
        return np.inf
    total = 0.0
    for x in buy_log:
        total += x
    for x in sell_log:
        total += x
    mean = total / n
    m2 = 0.0
    for x in buy_log:
        m2 += (x - mean) ** 2
    for x in sell_log:
        m2 += (x - mean) ** 2
    return mean + multiple * math.sqrt(m2 / n) + BIG_ORDER_MARGIN


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _kernel(
    offsets,
    stamps,
    price,
    volume,
    buy,
    sell,
    side,
    multiple,
    factors,
    early_net,
    early_big,
    early_all,
    any_trades,
):
    most = 0
    for s in range(len(offsets) - 1):
        most = max(most, offsets[s + 1] - offsets[s])
    # One set of scratch arrays for all stocks; entries 0..n-1 and 0..orders-1 are a stock's own.
    amount = np.empty(most)
    px = np.empty(most)
    ms = np.empty(most, np.int64)
    active = np.empty(most, np.int8)
    buy_of = np.empty(most, np.int32)  # dense order index, -1 for none
    sell_of = np.empty(most, np.int32)
    buy_amount = np.empty(most)
    sell_amount = np.empty(most)
    buy_log = np.empty(most)
    sell_log = np.empty(most)
    buy_number = np.empty(most, np.int64)
    sell_number = np.empty(most, np.int64)
    buy_table = np.empty(max(1 << FIRST_BITS, 8 * most), np.int32)
    sell_table = np.empty(max(1 << FIRST_BITS, 8 * most), np.int32)
    open_ = np.empty(MINUTES)
    close = np.empty(MINUTES)
    traded = np.empty(MINUTES, np.bool_)
    r = np.empty(MINUTES)
    net = np.empty(MINUTES)

    for s in range(len(offsets) - 1):
        lo, hi = offsets[s], offsets[s + 1]
        buy_bits = sell_bits = FIRST_BITS
        buy_table[: 1 << FIRST_BITS] = 0
        sell_table[: 1 << FIRST_BITS] = 0
        traded[:] = False
        net[:] = 0.0
        n = buys = sells = 0
        last_buy = last_sell = np.int64(0)
        day_amount = early_amount = early_buy = early_known = 0.0
        for i in range(lo, hi):
            if not is_valid_trade(price[i], volume[i]):
                continue
            t = time_of_day(stamps[i])
            m = trade_minute(t)
            if m < 0:
                continue
            p = price[i]
            a = p * volume[i]
            if not traded[m]:
                traded[m] = True
                open_[m] = p
            close[m] = p
            day_amount += a
            direction = 0
            if is_continuous(t) and (side[i] == 1 or side[i] == -1):
                direction = side[i]
                net[m] += direction * a
            if is_early(t):
                early_amount += a
                if direction != 0:
                    early_known += a
                    if direction == 1:
                        early_buy += a
            b = c = np.int64(-1)
            if buy[i] > 0:
                if n > 0 and buy[i] == last_buy:  # an active order trades with many in a row
                    b = np.int64(buy_of[n - 1])
                else:
                    b = np.int64(_order_of(buy[i], buys, buy_bits, buy_table, buy_number))
                    if b == buys:
                        buy_amount[b] = 0.0
                        buys += 1
                        buy_bits = _grown(buys, buy_bits, buy_table, buy_number)
                buy_amount[b] += a
            if sell[i] > 0:
                if n > 0 and sell[i] == last_sell:
                    c = np.int64(sell_of[n - 1])
                else:
                    c = np.int64(_order_of(sell[i], sells, sell_bits, sell_table, sell_number))
                    if c == sells:
                        sell_amount[c] = 0.0
                        sells += 1
                        sell_bits = _grown(sells, sell_bits, sell_table, sell_number)
                sell_amount[c] += a
            last_buy = buy[i]
            last_sell = sell[i]
            amount[n] = a
            px[n] = p
            ms[n] = t
            active[n] = direction
            buy_of[n] = b
            sell_of[n] = c
            n += 1
        if n == 0:
            continue
        any_trades[s] = True

        buy_squares = sell_squares = big_orders = 0.0
        for k in range(buys):
            buy_log[k] = math.log(buy_amount[k])
            buy_squares += buy_amount[k] * buy_amount[k]
        for k in range(sells):
            sell_log[k] = math.log(sell_amount[k])
            sell_squares += sell_amount[k] * sell_amount[k]
        threshold = _big_threshold(buy_log[:buys], sell_log[:sells], multiple)
        for k in range(buys):
            if buy_log[k] > threshold:
                big_orders += buy_amount[k]
        for k in range(sells):
            if sell_log[k] > threshold:
                big_orders += sell_amount[k]

        early_big_buy = early_big_sell = big_return = early_active_return = 0.0
        for j in range(n):
            big_buy = buy_of[j] >= 0 and buy_log[buy_of[j]] > threshold
            big_sell = sell_of[j] >= 0 and sell_log[sell_of[j]] > threshold
            if not (big_buy or big_sell):
                continue
            g = 0.0
            if j > 0 and px[j] != px[j - 1]:
                g = math.log(px[j] / px[j - 1])
            big_return += g
            if is_early(ms[j]):
                m = (ms[j] - MORNING) // MS_PER_MINUTE
                if big_buy:
                    early_big_buy += amount[j]
                    early_big[s, m] += amount[j]
                if big_sell:
                    early_big_sell += amount[j]
                    early_big[s, m] -= amount[j]
                if (active[j] == 1 and big_buy) or (active[j] == -1 and big_sell):
                    early_active_return += g

        minute_returns(open_, close, traded, np.nan, r)
        early_all[s] = early_amount
        early_net[s] = net[:EARLY_MINUTES]
        row = factors[s]
        row[0] = big_orders / (2.0 * day_amount)
        row[1] = ratio(early_big_buy, early_big_buy + early_big_sell)
        row[2] = big_return
        row[3] = early_active_return
        row[4] = (buy_squares - sell_squares) / (day_amount * day_amount)
        row[5] = ratio(early_buy, early_known)
        row[6] = corr(net[1:], r[:-1], LEAST_PAIRS)
        row[7] = corr(net[:-1], r[1:], LEAST_PAIRS)
