"""A limit order book with price-time priority, as arrays that numba kernels walk without the interpreter.

A price is a tick index inside the day's limits: index 0 is the lower limit, ``ticks - 1`` the upper. A level is an
intrusive doubly linked list of orders, so that entering, filling and
cancelling an order cost O(1), and finding the next occupied level a short walk over adjacent depths.

How a continuous order is matched (:func:`enter`):

1. a market order may trade anywhere inside the limits, a limit order no worse than its price, an own-best order takes
   the best price of its own side and so never trades on arrival;
2. while the best opposite level is acceptable, its oldest order fills first, at its own price;
3. what is left of a limit or own-best order joins the end of its level's queue, what is left of a market order is
   killed, and so is an own-best order whose side is empty.

Before a call auction's :func:`~mg_assets.sources.simulated.auction.uncross`, orders enter with ``matching=False`` and
the book may be crossed.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from mg_assets.errors import DataError

BUY, SELL = 0, 1  # rows of the side axis; the lake's +1 and -1
LIMIT, MARKET, OWN_BEST, CANCEL, UNCROSS = 0, 1, 2, 3, 4  # event kinds
BEST_BID, BEST_ASK, ORDERS, FILLS, BIDS, ASKS, TICKS = 0, 1, 2, 3, 4, 5, 6  # slots of ``MatchingBook.state``
HEAD, TAIL, DEPTH = 0, 1, 2  # columns of ``MatchingBook.levels``
SIDE, TICK, LEFT, OLDER, NEWER = 0, 1, 2, 3, 4  # columns of ``MatchingBook.orders``
EMPTY = -1


class MatchingBook(NamedTuple):
    """One stock's book and its log of fills, all int64, so that kernels may change it.

    Four arrays with one row a thing (an order is one cache line): passing fourteen separate columns to each kernel
    cost more than the matching itself (2 against 6 million events/s).

    Attributes
    ----------
    state : (8,)
        Best bid (``EMPTY`` where there is none), best ask (``ticks`` where there is none), orders entered, fills so
        far, resting bids, resting asks, ticks in use.
    levels : (2, ticks, 3)
        Of each side and tick: oldest order, newest order (``EMPTY`` where none rests), shares resting.
    orders : (orders, 5)
        Side; limit tick (``EMPTY`` for market and killed orders); shares still resting (0 once filled, cancelled or
        killed); the older and the newer neighbour in the level's queue.
    fills : (orders, 5)
        Buy order, sell order, tick, shares, and +1 where the buyer arrived last, -1 the seller, 0 in an auction.
        Each fill completes at least one order, so fills never outnumber orders.
    """

    state: np.ndarray
    levels: np.ndarray
    orders: np.ndarray
    fills: np.ndarray


def new_matching_book(orders: int, ticks: int) -> MatchingBook:
    """Make an empty book.

    Parameters
    ----------
    orders : int
        Most orders that will be entered between two resets.
    ticks : int
        Price levels from the lower to the upper limit, both included.

    Returns
    -------
    MatchingBook

    Raises
    ------
    DataError
        Where either count is below 1.
    """
    if orders < 1 or ticks < 1:
        raise DataError(f"A book needs at least 1 order and 1 tick; orders={orders}, ticks={ticks}. Widen the limits.")
    book = MatchingBook(
        state=np.zeros(8, np.int64),
        levels=np.zeros((2, ticks, 3), np.int64),
        orders=np.zeros((orders, 5), np.int64),
        fills=np.zeros((orders, 5), np.int64),
    )
    reset(book, ticks)
    return book


@njit(nogil=True)
def reset(book, ticks):
    """Empty the book for a day of `ticks` price levels (no more than it was made with)."""
    book.levels[:, :ticks, :2] = EMPTY
    book.levels[:, :ticks, DEPTH] = 0
    book.state[:] = 0
    book.state[BEST_BID] = EMPTY
    book.state[BEST_ASK] = ticks
    book.state[TICKS] = ticks


@njit(nogil=True)
def rest(book, order):
    """Put an order at the end of its level's queue."""
    side = book.orders[order, SIDE]
    tick = book.orders[order, TICK]
    last = book.levels[side, tick, TAIL]
    book.orders[order, OLDER] = last
    book.orders[order, NEWER] = EMPTY
    if last == EMPTY:
        book.levels[side, tick, HEAD] = order
    else:
        book.orders[last, NEWER] = order
    book.levels[side, tick, TAIL] = order
    book.levels[side, tick, DEPTH] += book.orders[order, LEFT]
    book.state[BIDS + side] += 1
    if side == BUY:
        if tick > book.state[BEST_BID]:
            book.state[BEST_BID] = tick
    elif tick < book.state[BEST_ASK]:
        book.state[BEST_ASK] = tick


@njit(nogil=True)
def unlink(book, order):
    """Take an order out of its level's queue and move the best price on where the level is empty."""
    side = book.orders[order, SIDE]
    tick = book.orders[order, TICK]
    before, after = book.orders[order, OLDER], book.orders[order, NEWER]
    if before == EMPTY:
        book.levels[side, tick, HEAD] = after
    else:
        book.orders[before, NEWER] = after
    if after == EMPTY:
        book.levels[side, tick, TAIL] = before
    else:
        book.orders[after, OLDER] = before
    book.state[BIDS + side] -= 1
    if book.levels[side, tick, HEAD] != EMPTY:
        return
    if side == BUY:
        if tick == book.state[BEST_BID]:
            if book.state[BIDS] == 0:
                tick = 0
            tick -= 1
            while tick >= 0 and book.levels[BUY, tick, HEAD] == EMPTY:
                tick -= 1
            book.state[BEST_BID] = tick
    elif tick == book.state[BEST_ASK]:
        ticks = book.state[TICKS]
        if book.state[ASKS] == 0:
            tick = ticks - 1
        tick += 1
        while tick < ticks and book.levels[SELL, tick, HEAD] == EMPTY:
            tick += 1
        book.state[BEST_ASK] = tick


@njit(nogil=True)
def record_fill(book, buy, sell, tick, volume, side):
    """Append one fill to the log."""
    fill = book.state[FILLS]
    book.fills[fill, 0] = buy
    book.fills[fill, 1] = sell
    book.fills[fill, 2] = tick
    book.fills[fill, 3] = volume
    book.fills[fill, 4] = side
    book.state[FILLS] = fill + 1


@njit(nogil=True)
def take(book, order, side, worst, volume):
    """Fill `volume` against the opposite side, no worse than tick `worst`; return what is left."""
    other = 1 - side
    while volume > 0:
        best = book.state[BEST_BID + other]
        if side == BUY:
            if best > worst or best >= book.state[TICKS]:
                break
        elif best < worst or best < 0:
            break
        maker = book.levels[other, best, HEAD]
        traded = min(volume, book.orders[maker, LEFT])
        if side == BUY:
            record_fill(book, order, maker, best, traded, 1)
        else:
            record_fill(book, maker, order, best, traded, -1)
        volume -= traded
        book.orders[maker, LEFT] -= traded
        book.levels[other, best, DEPTH] -= traded
        if book.orders[maker, LEFT] == 0:
            unlink(book, maker)
    return volume


@njit(nogil=True)
def enter(book, side, kind, tick, volume, matching):
    """Enter one order.

    Parameters
    ----------
    book : MatchingBook
    side : int
        ``BUY`` or ``SELL``.
    kind : int
        ``LIMIT``, ``MARKET`` or ``OWN_BEST``; the last two are killed while ``matching`` is False.
    tick : int
        Limit price, 0 to ticks - 1; ignored unless ``LIMIT``. Outside the limits the order is killed.
    volume : int
        Shares, positive.
    matching : bool
        Whether the order may trade at once (continuous session).

    Returns
    -------
    int
        Shares killed: the remainder of a market order, or all of an order that was not accepted. The order's slot
        is ``state[ORDERS] - 1``.
    """
    order = book.state[ORDERS]
    book.state[ORDERS] = order + 1
    ticks = book.state[TICKS]
    book.orders[order, SIDE] = side
    book.orders[order, TICK] = EMPTY
    book.orders[order, LEFT] = 0
    if kind == MARKET:
        if not matching:
            return volume
        return take(book, order, side, ticks - 1 if side == BUY else 0, volume)
    if kind == OWN_BEST:
        tick = book.state[BEST_BID + side]
        if not matching:
            return volume
    if tick < 0 or tick >= ticks:
        return volume
    book.orders[order, TICK] = tick
    if matching and kind == LIMIT:
        volume = take(book, order, side, tick, volume)
    if volume > 0:
        book.orders[order, LEFT] = volume
        rest(book, order)
    return np.int64(0)


@njit(nogil=True)
def withdraw(book, order):
    """Cancel an order; return the shares withdrawn, 0 where it no longer rests."""
    volume = book.orders[order, LEFT]
    if volume > 0:
        book.levels[book.orders[order, SIDE], book.orders[order, TICK], DEPTH] -= volume
        unlink(book, order)
        book.orders[order, LEFT] = 0
    return volume
