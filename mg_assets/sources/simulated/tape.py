"""What a stock's flow writes: rows of orders and trades under one sequence, and the counters.

Everything that reaches the book passes :func:`submit` or :func:`withdraw_order`, so that no row is written without its
event and no event happens without its row.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from mg_assets.sources.simulated.kernel_random import exponential
from mg_assets.sources.simulated.matching_book import (
    BUY,
    CANCEL,
    EMPTY,
    FILLS,
    LEFT,
    LIMIT,
    ORDERS,
    SIDE,
    enter,
    withdraw,
)

TIME, SEQ, ID, O_SIDE, O_TICK, VOLUME, KIND, STOCK = 0, 1, 2, 3, 4, 5, 6, 7  # columns of ``Tape.orders``
T_TICK, BUY_ID, SELL_ID, T_SIDE = 2, 3, 4, 6  # of ``Tape.trades``, beside TIME, SEQ, VOLUME and STOCK

# Slots of ``OrderFlowState.clock``: next sequence number, next Shanghai order number, rows of orders, rows of trades,
# fills written, orders in ``OrderFlowState.live``, shares traded, numbering (1 Shanghai, 0 others).
C_SEQ, C_ID, C_ORDERS, C_TRADES, C_FILLS, C_LIVE, C_TRADED, C_SHANGHAI = 0, 1, 2, 3, 4, 5, 6, 7


class Tape(NamedTuple):
    """Rows written, (rows, 8) int64 each.

    ``orders``: time (ms of the day), seq, order id, side (+1, -1), tick (``EMPTY`` without a price), volume, kind,
    stock. ``trades``: time, seq, tick, buy id, sell id, volume, side, stock.
    """

    orders: np.ndarray
    trades: np.ndarray


class OrderFlowState(NamedTuple):
    """Work arrays of one stock's flow.

    ``clock`` (8,) counters; ``ids`` and ``shown`` (orders,) the published number and the price tick (``EMPTY`` without
    one) of each slot; ``live`` (orders,) slots that may still rest; ``times`` (orders,) arrival times of a session;
    ``parent`` (2,) side and remaining orders of the parent order being worked.
    """

    clock: np.ndarray
    ids: np.ndarray
    shown: np.ndarray
    live: np.ndarray
    times: np.ndarray
    parent: np.ndarray


class Stock(NamedTuple):
    """One stock's plan in ticks above the lower limit; ``plan_row`` is its row in the day's plan."""

    plan_row: int
    ticks: int  # price levels
    base: int  # tick of the lower limit, from zero yuan
    previous: int  # may lie outside the limits
    open: int
    close: int
    volume: int
    orders: int  # continuous orders to enter
    lot: int  # 100, on STAR 200
    locked: int  # +1 or -1: a one-word day at the upper or lower limit


def new_flow_state(orders: int) -> OrderFlowState:
    """Work arrays for a stock of at most `orders` orders."""
    return OrderFlowState(
        clock=np.zeros(8, np.int64),
        ids=np.zeros(orders, np.int64),
        shown=np.zeros(orders, np.int64),
        live=np.zeros(orders, np.int64),
        times=np.zeros(orders, np.int64),
        parent=np.zeros(2, np.int64),
    )


@njit(nogil=True)
def submit(book, flow_state, tape, stock, rng, time, side, kind, tick, volume, matching):
    """Enter an order and write its rows: the order, its fills, and the cancel of what was killed."""
    clock = flow_state.clock
    slot = book.state[ORDERS]
    clock[C_SEQ] += 1 + np.int64(3.0 * exponential(rng))  # the channel carries other stocks too
    if clock[C_SHANGHAI] == 1:
        clock[C_ID] += 1 + np.int64(2.0 * exponential(rng))
        number = clock[C_ID]
    else:
        number = clock[C_SEQ]
    flow_state.ids[slot] = number
    flow_state.shown[slot] = tick if kind == LIMIT else EMPTY
    write_order(flow_state, tape, stock, time, number, side, flow_state.shown[slot], volume, kind)
    killed = enter(book, side, kind, tick, volume, matching)
    write_fills(book, flow_state, tape, stock, time)
    if clock[C_SHANGHAI] == 1:
        clock[C_SEQ] += 1  # the number under which Shanghai would publish the remainder, after the fills
    if killed > 0:
        clock[C_SEQ] += 1
        write_order(flow_state, tape, stock, time, number, side, np.int64(EMPTY), killed, np.int64(CANCEL))
    elif book.orders[slot, LEFT] > 0:
        flow_state.live[clock[C_LIVE]] = slot
        clock[C_LIVE] += 1


@njit(nogil=True)
def write_order(flow_state, tape, stock, time, number, side, tick, volume, kind):
    """Append one row of orders under the current sequence number."""
    row = flow_state.clock[C_ORDERS]
    flow_state.clock[C_ORDERS] = row + 1
    out = tape.orders
    out[row, TIME] = time
    out[row, SEQ] = flow_state.clock[C_SEQ]
    out[row, ID] = number
    out[row, O_SIDE] = 1 if side == BUY else -1
    out[row, O_TICK] = tick if tick == EMPTY else tick + stock.base
    out[row, VOLUME] = volume
    out[row, KIND] = kind
    out[row, STOCK] = stock.plan_row


@njit(nogil=True)
def write_fills(book, flow_state, tape, stock, time):
    """Append the book's new fills as trades, each with its own sequence number."""
    clock = flow_state.clock
    out = tape.trades
    for fill in range(clock[C_FILLS], book.state[FILLS]):
        clock[C_SEQ] += 1
        row = clock[C_TRADES]
        clock[C_TRADES] = row + 1
        out[row, TIME] = time
        out[row, SEQ] = clock[C_SEQ]
        out[row, T_TICK] = book.fills[fill, 2] + stock.base
        out[row, BUY_ID] = flow_state.ids[book.fills[fill, 0]]
        out[row, SELL_ID] = flow_state.ids[book.fills[fill, 1]]
        out[row, VOLUME] = book.fills[fill, 3]
        out[row, T_SIDE] = book.fills[fill, 4]
        out[row, STOCK] = stock.plan_row
        clock[C_TRADED] += book.fills[fill, 3]
    clock[C_FILLS] = book.state[FILLS]


@njit(nogil=True)
def withdraw_order(book, flow_state, tape, stock, rng, time, slot):
    """Cancel a resting order and write its row."""
    volume = withdraw(book, slot)
    flow_state.clock[C_SEQ] += 1 + np.int64(3.0 * exponential(rng))
    side = book.orders[slot, SIDE]
    write_order(
        flow_state, tape, stock, time, flow_state.ids[slot], side, flow_state.shown[slot], volume, np.int64(CANCEL)
    )
