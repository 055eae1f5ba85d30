"""The eight trade-by-trade factors, and what the monitor takes from the same pass over the trades.

Trades sharing an order ID are aggregated into one parent order. An order is big where the logarithm of
its executed amount exceeds mean + multiple * std over all orders of that stock and day, buy and
sell pooled.

Source: Huatai 2023-12-08 (series 72), chart 25. The reports state no threshold; Haitong's
earlier series uses the log amount and one standard deviation.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_assets.factors.kernels.cache import kernel
from mg_assets.factors.kernels.clock import CONTINUOUS, EARLY, EARLY_MINUTES, MINUTES
from mg_assets.factors.kernels.columns import StockRows
from mg_assets.factors.kernels.logarithm import logs_in_place
from mg_assets.factors.kernels.minute import minute_returns
from mg_assets.factors.kernels.moments import LEAST_PAIRS, REORDER, corr, ratio, sum_of_squares
from mg_assets.factors.kernels.parent_orders import order_slots, scratch_size
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

BIG_ORDER_STD = 1.0
BIG_ORDER_MARGIN = 1e-9  # keeps orders of one and the same amount from being big by rounding
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


@dataclass(frozen=True)
class DayTrades:
    """What the kernel finds of each trade and parent order of one stock, for its explanation.

    Attributes
    ----------
    minute : ndarray of int (n,)
        Bar of each row in the order of ``seq``, -1 outside the session.
    continuous : ndarray of bool (n,)
        Rows of the continuous session.
    amount, last_price : ndarray (n,)
        Yuan, 0 for a row that does not count; price of the row or of the last one that counts.
    buy_slot, sell_slot : ndarray of int (n,)
        Index of the row's parent orders in the amounts, 0 for none.
    buy_amount, sell_amount : ndarray
        Amount of each parent order, yuan.
    marks : ndarray of int8 (n,)
        1 for a big buy order, 2 for a big sell order, 3 for both.
    threshold, mean, std : float
        Of ln A.
    net, returns : ndarray (240,)
        Net active amount (yuan) and return of each bar.
    """

    minute: np.ndarray
    continuous: np.ndarray
    amount: np.ndarray
    last_price: np.ndarray
    buy_slot: np.ndarray
    sell_slot: np.ndarray
    buy_amount: np.ndarray
    sell_amount: np.ndarray
    marks: np.ndarray
    threshold: float
    mean: float
    std: float
    net: np.ndarray
    returns: np.ndarray


def day_trades(trades: pd.DataFrame, big_order_std: float) -> DayTrades:
    """One stock's trades as :func:`trade_factors` sees them."""
    rows, n = trade_rows(trades), len(trades)
    amount, last_price, minutes = np.empty(n), np.empty(n), np.empty((len(MINUTE_ARRAYS), MINUTES))
    run_end, run_minute, run_phase = np.empty(n, np.int64), np.empty(n, np.int16), np.empty(n, np.int8)
    runs = session_minutes(
        rows.times(), rows.floats("price"), rows.numbers("volume"), rows.signs("side"), minutes, amount, last_price,
        run_end, run_minute, run_phase,
    )  # fmt: skip
    lengths = np.diff(run_end[:runs], prepend=0)
    slots = np.empty(n, np.uint32), np.empty(n, np.uint32)
    logs = np.empty(n + 1), np.empty(n + 1)
    big = np.empty(n + 1, np.bool_), np.empty(n + 1, np.bool_)
    scratch = np.empty(scratch_size(n), np.uint64), np.empty(scratch_size(n), np.uint32)
    marks = np.empty(n, np.int8)
    buys, sells, _, _, threshold, mean, std = parent_orders(
        rows.integers("buy_order"), rows.integers("sell_order"), amount, float(big_order_std), *slots, *logs, *big,
        *scratch, marks,
    )  # fmt: skip
    amounts = np.empty(buys), np.empty(sells)
    for slot, values in zip(slots, amounts, strict=True):
        amounts_by_slot(slot, amount, n, len(values), values)
    returns = np.empty(MINUTES)
    minute_returns(minutes[OPEN], minutes[CLOSE], minutes[TRADES] > 0.0, np.nan, returns)
    return DayTrades(
        np.repeat(run_minute[:runs], lengths),
        np.isin(np.repeat(run_phase[:runs], lengths), (CONTINUOUS, EARLY)),
        amount, last_price, *slots, *amounts, marks, threshold, mean, std,
        minutes[ACTIVE_BUY] - minutes[ACTIVE_SELL], returns,
    )  # fmt: skip


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


@kernel(nogil=True, error_model="numpy")
def amounts_by_slot(slots, amount, n, count, total):
    """Sum the trades' amounts by slot; returns the sum of squares. Slot 0 is no order and stays 0."""
    total[:count] = 0.0
    for i in range(n):
        total[slots[i]] += amount[i]
    total[0] = 0.0
    return sum_of_squares(total[:count])


@kernel(nogil=True, error_model="numpy", fastmath=REORDER)
def _sum_above(values):
    """Sum and number of the values that are not -inf."""
    n = 0
    total = 0.0
    for x in values:
        finite = x > -1e300
        n += finite
        total += x if finite else 0.0
    return n, total


@kernel(nogil=True, error_model="numpy", fastmath=REORDER)
def _squared_distance(values, mean):
    total = 0.0
    for x in values:
        total += (x - mean) ** 2 if x > -1e300 else 0.0
    return total


@kernel(nogil=True, error_model="numpy")
def big_threshold(buy_log, sell_log, multiple):
    """Mean + multiple * std + margin of the pooled logs (-inf: no order), mean and std; infinite without orders."""
    n_buy, sum_buy = _sum_above(buy_log)
    n_sell, sum_sell = _sum_above(sell_log)
    n = n_buy + n_sell
    if n == 0:
        return np.inf, np.nan, np.nan
    mean = (sum_buy + sum_sell) / n
    m2 = _squared_distance(buy_log, mean) + _squared_distance(sell_log, mean)
    std = math.sqrt(m2 / n)
    return mean + multiple * std + BIG_ORDER_MARGIN, mean, std


@kernel(nogil=True, error_model="numpy")
def _mark_big(logs, count, threshold, big):
    """Mark the slots whose order is big."""
    for k in range(count):
        big[k] = logs[k] > threshold


@kernel(nogil=True, error_model="numpy")
def _mark_trades(buy_slot, sell_slot, buy_big, sell_big, marks):
    """Mark every trade: 1 where its buy order is big, 2 where its sell order is, 3 where both are."""
    for i in range(len(buy_slot)):
        marks[i] = np.int8(buy_big[buy_slot[i]]) + 2 * np.int8(sell_big[sell_slot[i]])


@kernel(nogil=True, error_model="numpy")
def parent_orders(
    buy, sell, amount, multiple, buy_slot, sell_slot, buy_log, sell_log, buy_big, sell_big, words, counts, marks
):  # fmt: skip
    """Aggregate one stock's trades into parent orders and mark the trades whose orders are big.

    Parameters
    ----------
    buy, sell : ndarray of int (n,)
        Order IDs; <= 0 is no order.
    amount : ndarray (>= n,)
        Yuan, 0 for rows that do not count.
    multiple : float
        Of the deviation in the threshold.
    buy_slot, sell_slot : ndarray of uint32 (>= n,)
        Filled: slot of each row's order.
    buy_log, sell_log : ndarray (> n,)
        Filled: ln of each order's amount by slot; -inf without one.
    buy_big, sell_big : ndarray of bool (> n,)
        Filled: big orders by slot.
    words, counts : ndarray of uint64, uint32 (scratch_size(n),)
        Scratch.
    marks : ndarray of int8 (>= n,)
        Filled: 1 for a big buy order, 2 for a big sell order, 3 for both.

    Returns
    -------
    tuple of 2 int and 5 float
        Slots of both sides, sums of the squared amounts of both sides, threshold, mean and std of ln A.
    """
    n = len(buy)
    buys = order_slots(buy, buy_slot, words, counts)
    sells = order_slots(sell, sell_slot, words, counts)
    buy_squares = amounts_by_slot(buy_slot, amount, n, buys, buy_log)
    sell_squares = amounts_by_slot(sell_slot, amount, n, sells, sell_log)
    logs_in_place(buy_log[:buys])
    logs_in_place(sell_log[:sells])
    threshold, mean, std = big_threshold(buy_log[:buys], sell_log[:sells], multiple)
    _mark_big(buy_log, buys, threshold, buy_big)
    _mark_big(sell_log, sells, threshold, sell_big)
    _mark_trades(buy_slot[:n], sell_slot[:n], buy_big, sell_big, marks)
    return buys, sells, buy_squares, sell_squares, threshold, mean, std


# Factors in place of selections, which would keep the loops from being vectorised.


@kernel(nogil=True, error_model="numpy", fastmath=REORDER)
def _big_net(amount, marks):
    """Amount whose buy order is big minus that whose sell order is."""
    total = 0.0
    for i in range(len(amount)):
        total += amount[i] * (np.float64(marks[i] & 1) - np.float64(marks[i] >> 1))
    return total


@kernel(nogil=True, error_model="numpy", fastmath=REORDER)
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


@kernel(nogil=True, error_model="numpy", fastmath=REORDER)
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
