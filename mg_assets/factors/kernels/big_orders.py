"""Big orders: parent orders whose executed amount is large for their stock and day, and their trades.

Trades sharing an order ID are aggregated into one parent order. An order is big where the logarithm of
its executed amount exceeds mean + multiple * std over all orders of that stock and day, buy and
sell pooled.

Source: Huatai 2023-12-08 (series 72), chart 25. The reports state no threshold; Haitong's
earlier series uses the log amount and one standard deviation.
"""

import math

import numpy as np

from mg_assets.factors.kernels.cache import kernel
from mg_assets.factors.kernels.logarithm import logs_in_place
from mg_assets.factors.kernels.moments import sum_of_squares
from mg_assets.factors.kernels.parent_orders import order_slots

BIG_ORDER_STD = 1.0
BIG_ORDER_MARGIN = 1e-9  # keeps orders of one and the same amount from being big by rounding


@kernel(nogil=True, error_model="numpy")
def amounts_by_slot(slots, amount, n, count, total):
    """Sum the trades' amounts by slot; returns the sum of squares. Slot 0 is no order and stays 0."""
    total[:count] = 0.0
    for i in range(n):
        total[slots[i]] += amount[i]
    total[0] = 0.0
    return sum_of_squares(total[:count])


@kernel(nogil=True, error_model="numpy")
def _sum_above(values):
    """Sum and number of the values that are not -inf."""
    n = 0
    total = 0.0
    for x in values:
        finite = x > -1e300
        n += finite
        total += x if finite else 0.0
    return n, total


@kernel(nogil=True, error_model="numpy")
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
