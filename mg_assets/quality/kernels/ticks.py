"""One-pass scans of trades and orders.

Rows come by symbol, then sequence. ``found``: :mod:`mg_assets.quality.kernels.marks`. Twins in plain Python:
``tests/mg_assets/quality/test_kernels.py``.
"""

import numpy as np

from mg_assets.quality.kernels.marks import (
    AFTER_HOURS,
    AFTERNOON,
    AUCTION,
    CLOSE,
    CLOSED,
    HALF_DAY,
    MINUTE,
    NOON,
    OPEN,
    kernel,
    mark,
    off_tick,
    outside,
)

TRADE_RULES = ("bad_price", "bad_volume", "bad_side", "out_of_session", "time_backwards", "seq_backwards",
               "off_tick", "outside_limits", "auction_side")  # fmt: skip
ORDER_RULES = ("bad_price", "bad_volume", "bad_side", "bad_kind", "no_price", "out_of_session", "time_backwards",
               "seq_backwards", "off_tick", "outside_limits", "odd_lots")  # fmt: skip
NUMBER_RULES = ("number_unknown", "number_side", "overfilled", "wrong_aggressor", "no_aggressor")
CANCEL_RULES = ("duplicate_ids", "cancel_unknown", "cancel_side", "cancel_volume")


@kernel()
def scan_trades(codes, time, seq, price, volume, side, up, down, closing, found):
    """Rules of single trades.

    Parameters
    ----------
    codes : int32 (N,)
        Symbol of each row.
    time : int64 (N,)
        Milliseconds since the day's midnight.
    seq, volume : int64 (N,)
    price : float64 (N,)
    side : int8 (N,)
    up, down : float64 (S,)
        The day's limits by symbol; NaN where unknown.
    closing : bool (S,)
        Whether the symbol's day ends in a call auction, whose trades have no active side.
    found : int64 (9, 1 + E)
        Filled in; rules as ``TRADE_RULES``.
    """
    for i in range(len(codes)):
        s = codes[i]
        p, t = price[i], time[i]
        if p <= 0:
            mark(found, 0, i)
        if volume[i] <= 0:
            mark(found, 1, i)
        if side[i] < -1 or side[i] > 1:
            mark(found, 2, i)
        if not (AUCTION <= t < NOON or AFTERNOON <= t < AFTER_HOURS):
            mark(found, 3, i)
        if i > 0 and codes[i - 1] == s:
            if t < time[i - 1]:
                mark(found, 4, i)
            if seq[i] <= seq[i - 1]:
                mark(found, 5, i)
        if p > 0:
            if off_tick(p):
                mark(found, 6, i)
            if s >= 0 and outside(p, up[s], down[s]):
                mark(found, 7, i)
        if side[i] != 0 and (t < OPEN or (s >= 0 and closing[s] and CLOSE <= t < CLOSED)):
            mark(found, 8, i)


@kernel()
def scan_orders(codes, time, seq, price, volume, side, kind, up, down, lots, found):
    """Rules of single orders; arguments as in :func:`scan_trades`.

    ``kind`` is 0 limit, 1 market, 2 own_best, 3 cancel, -1 unknown; ``lots (S,)`` is 0 where buys come
    in hundreds, else the least volume of a buy. Rules as ``ORDER_RULES``.
    """
    for i in range(len(codes)):
        s = codes[i]
        p, t, k = price[i], time[i], kind[i]
        if p <= 0:
            mark(found, 0, i)
        if volume[i] <= 0:
            mark(found, 1, i)
        if side[i] != 1 and side[i] != -1:
            mark(found, 2, i)
        if k < 0:
            mark(found, 3, i)
        if k == 0 and np.isnan(p):
            mark(found, 4, i)
        if not (AUCTION <= t < AFTER_HOURS):  # Shenzhen takes orders through the noon break
            mark(found, 5, i)
        if i > 0 and codes[i - 1] == s:
            if t < time[i - 1]:
                mark(found, 6, i)
            if seq[i] <= seq[i - 1]:
                mark(found, 7, i)
        if k == 0 and p > 0:
            if off_tick(p):
                mark(found, 8, i)
            if s >= 0 and outside(p, up[s], down[s]):
                mark(found, 9, i)
        if side[i] == 1 and k != 3 and s >= 0:
            odd = volume[i] % 100 != 0 if lots[s] == 0 else volume[i] < lots[s]
            if odd:
                mark(found, 10, i)


@kernel()
def scan_session(codes, time, exchange, first, last, rows, stocks):
    """Where in the session rows are, in place.

    Parameters
    ----------
    codes : int32 (N,)
    time : int64 (N,)
        Milliseconds since the day's midnight.
    exchange : int64 (S,)
        Index of each symbol's exchange.
    first, last : int64 (S,)
        Of the rows before 15:05; of a symbol without such a row they stay as they are.
    rows, stocks : int64 (E, 240)
        Rows of each exchange and minute of the two sessions, and stocks that have any; added to.
    """
    before, begins, ends, minute = -1, 0, 0, -1  # the minute of the row before: most rows are in the same one
    for i in range(len(codes)):
        s, t = codes[i], time[i]
        if s < 0 or t >= CLOSED:
            continue
        first[s] = min(first[s], t)
        last[s] = max(last[s], t)
        new = s != before or not begins <= t < ends
        if new:
            begins = t - t % MINUTE
            ends, minute, before = begins + MINUTE, -1, s
            if OPEN <= t < OPEN + HALF_DAY * MINUTE:
                minute = (t - OPEN) // MINUTE
            elif AFTERNOON <= t < CLOSE:
                minute = HALF_DAY + (t - AFTERNOON) // MINUTE
        if minute >= 0:
            rows[exchange[s], minute] += 1
            stocks[exchange[s], minute] += new


@kernel()
def _find(ids, first, last, wanted):
    """Row of ``wanted`` in the ascending ``ids[first:last]``, or -1."""
    low, high = first, last
    while low < high:
        middle = (low + high) >> 1
        if ids[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < last and ids[low] == wanted else -1


@kernel()
def new_orders(codes, order_id, side, volume, cancel, symbols):
    """New orders by symbol and order number.

    Parameters
    ----------
    codes : int32 (N,)
        Symbol of each row of the order table.
    order_id, volume : int64 (N,)
    side : int8 (N,)
    cancel : bool (N,)
        Rows to leave out.
    symbols : int
        Number of codes.

    Returns
    -------
    starts : int64 (symbols + 1,)
    ids, sides, volumes, rows : arrays of the new orders, ascending in number within a symbol
    timely : bool (symbols,)
        Whether numbers rise with the sequence, so that the larger one is the later order.
    """
    starts = np.zeros(symbols + 1, np.int64)
    total = 0
    for i in range(len(codes)):
        if not cancel[i] and codes[i] >= 0:
            starts[codes[i] + 1] += 1
            total += 1
    for s in range(symbols):
        starts[s + 1] += starts[s]
    ids, volumes, rows = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    sides = np.empty(total, np.int8)
    timely = np.ones(symbols, np.bool_)
    at = starts[:-1].copy()
    for i in range(len(codes)):
        s = codes[i]
        if cancel[i] or s < 0:
            continue
        k = at[s]
        ids[k], sides[k], volumes[k], rows[k] = order_id[i], side[i], volume[i], i
        if k > starts[s] and ids[k] < ids[k - 1]:
            timely[s] = False
        at[s] = k + 1
    for s in range(symbols):
        if not timely[s]:  # sorting only where needed: real and simulated numbers mostly rise already
            a, b = starts[s], starts[s + 1]
            order = np.argsort(ids[a:b], kind="mergesort") + a
            ids[a:b], sides[a:b], volumes[a:b], rows[a:b] = ids[order], sides[order], volumes[order], rows[order]
    return starts, ids, sides, volumes, rows, timely


@kernel()
def scan_cancels(codes, order_id, side, volume, cancel, starts, ids, sides, volumes, rows, found):
    """Rules of order numbers within the order table; rules as ``CANCEL_RULES``."""
    for s in range(len(starts) - 1):
        for k in range(starts[s] + 1, starts[s + 1]):
            if ids[k] == ids[k - 1]:
                mark(found, 0, rows[k])
    for i in range(len(codes)):
        s = codes[i]
        if not cancel[i] or s < 0:
            continue
        k = _find(ids, starts[s], starts[s + 1], order_id[i])
        if k < 0:
            mark(found, 1, i)
            continue
        if sides[k] != side[i]:
            mark(found, 2, i)
        if volume[i] > volumes[k]:
            mark(found, 3, i)


@kernel()
def scan_numbers(codes, time, volume, buy, sell, side, larger, to_orders, starts, ids, sides, volumes, found):
    """Rules of the order numbers of trades.

    Parameters
    ----------
    codes : int32 (N,)
    time, volume, buy, sell : int64 (N,)
    side : int8 (N,)
    larger : int8 (S,)
        1 where the larger number is the active side, 2 where besides every continuous trade has one, 0 unknown.
    to_orders : int32 (S,)
        The symbol's index into ``starts``; -1 where it has no orders that day.
    starts, ids, sides, volumes
        Of :func:`new_orders`.
    found : int64 (5, 1 + E)
        Filled in; rules as ``NUMBER_RULES``.
    """
    filled = np.zeros(len(ids), np.int64)
    for i in range(len(codes)):
        s = codes[i]
        if s < 0:
            continue
        o = to_orders[s]
        if o >= 0:
            for leg in range(2):
                number = buy[i] if leg == 0 else sell[i]
                k = _find(ids, starts[o], starts[o + 1], number)
                if k < 0:
                    mark(found, 0, i)
                    continue
                if sides[k] != (1 if leg == 0 else -1):
                    mark(found, 1, i)
                before = filled[k]
                filled[k] = before + volume[i]
                if before <= volumes[k] < filled[k]:  # once an order, at the trade that fills too much
                    mark(found, 2, i)
        if larger[s] > 0 and OPEN <= time[i] < CLOSE and buy[i] > 0 and sell[i] > 0:
            if side[i] == 0:
                if larger[s] == 2:
                    mark(found, 4, i)
            elif (side[i] > 0) != (buy[i] > sell[i]):
                mark(found, 3, i)
