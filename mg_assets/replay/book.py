"""A stock's order book as arrays, and what orders, cancels and trades do to it.

Orders and trades share one sequence number a stock, and where an order and a trade bear the same one the order came
first. The events make the book so (:mod:`walk` brings them in order):

1. A new limit order rests at its price with its whole volume, unless the next event is a trade of it. Then it is on
   its way in: its trades come one after the other, and what they leave rests after the last of them. So a volume "as
   entered" never shows in the book where it traded on arrival.
2. A trade takes its volume off both of its orders, wherever they are: resting, or on the way in. Nothing is matched
   here, the exchange has done it, hence depths are enough and no queue is kept.
3. A cancel takes its volume off its order.
4. What a market order's trades leave, and no cancel takes away at once, rests at the price of its last trade
   (Shenzhen's "best of the other side"). An own-best order rests at the best price of its own side.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

LEVELS = 10
BID_PRICE, BID_VOLUME, ASK_PRICE, ASK_VOLUME = 0, 1, 2, 3  # rows of a ladder (4, LEVELS)
LIMIT, MARKET, OWN_BEST, CANCEL = 0, 1, 2, 3  # places in ORDER_KINDS
UNKNOWN_CANCEL, EXCESS_CANCEL, UNKNOWN_TRADE, EXCESS_TRADE, REPEATED, UNPRICED, CROSSED = range(7)
FAULTS = (
    "cancels_of_unknown_orders",
    "cancels_beyond_the_rest",
    "trades_of_unknown_orders",
    "trades_beyond_the_rest",
    "order_numbers_repeated",
    "orders_without_a_price",
    "crossed_states",
)
"""What a complete and right pair of tables has none of; states are crossed where a bid stands at or above an ask in
the continuous session."""

NONE = -1
LEFT, RANK, SIDE = 0, 1, 2  # columns of ``Book.orders``
BEST_BID, BEST_ASK, DONE, TRADED, TURNOVER, LAST_PRICE, TOTAL_BID, TOTAL_ASK = range(8)  # slots of ``Book.state``
SLOT, INCOMING_NUMBER, REST_AT, OWN_PRICE = 0, 1, 2, 3  # slots of ``Book.incoming``


class Book(NamedTuple):
    """One stock's resting shares, all int64 but the ranks, so that kernels may change it.

    Attributes
    ----------
    prices : (P,)
        Every price of the day in thousandths of a yuan, ascending; a rank is a place in it.
    ranks : (high - low + 1,) int32
        Rank of the price ``low + place``.
    depth : (2, P)
        Shares resting at each price, bids and asks.
    keys : (C,)
        Order numbers in an open-addressing table, 0 where free.
    orders : (C, 3)
        In the same places: shares left, rank where they rest (``NONE`` for none), side (0 buy).
    state : (8,)
        Best bid and ask as ranks (-1 and P where there are none), trades, shares and thousandths of a yuan traded so
        far, the last price, resting shares of both sides.
    incoming : (4,)
        The order on its way in: place (``NONE`` for none), number, rank at which its rest will stand, and whether that
        is its own price.
    faults : (7,)
        Counts, as ``FAULTS``.
    """

    prices: np.ndarray
    ranks: np.ndarray
    depth: np.ndarray
    keys: np.ndarray
    orders: np.ndarray
    state: np.ndarray
    incoming: np.ndarray
    faults: np.ndarray


@njit(nogil=True)
def slot_of(keys, number):
    """Place of an order number in the open-addressing table, or of the free slot (0) where it would go."""
    mask = keys.size - 1
    # Fibonacci hashing: consecutive numbers spread over the table
    at = np.int64((np.uint64(number) * np.uint64(11400714819323198485)) >> np.uint64(20)) & mask
    while keys[at] != 0 and keys[at] != number:
        at = (at + 1) & mask
    return at


@njit(nogil=True)
def change_depth(book, side, rank, volume):
    """Add shares (negative: take them) at a price and move the side's best price."""
    depth, state = book.depth, book.state
    before = depth[side, rank]
    after = before + volume
    depth[side, rank] = after
    state[TOTAL_BID + side] += volume
    if after > 0:
        if side == 0:
            if rank > state[BEST_BID]:
                state[BEST_BID] = rank
        elif rank < state[BEST_ASK]:
            state[BEST_ASK] = rank
    elif before > 0:
        if side == 0:
            if rank == state[BEST_BID]:
                while rank >= 0 and depth[0, rank] <= 0:
                    rank -= 1
                state[BEST_BID] = rank
        elif rank == state[BEST_ASK]:
            ranks = depth.shape[1]
            while rank < ranks and depth[1, rank] <= 0:
                rank += 1
            state[BEST_ASK] = rank


@njit(nogil=True)
def read_ladder(book, ladder):
    """The ten best levels of both sides into ``ladder (4, LEVELS)``; 0 where a side has fewer."""
    depth, state, prices = book.depth, book.state, book.prices
    ladder[:] = 0
    level, rank = 0, state[BEST_BID]
    while rank >= 0 and level < LEVELS:
        if depth[0, rank] > 0:
            ladder[BID_PRICE, level] = prices[rank]
            ladder[BID_VOLUME, level] = depth[0, rank]
            level += 1
        rank -= 1
    level, rank = 0, state[BEST_ASK]
    while rank < prices.size and level < LEVELS:
        if depth[1, rank] > 0:
            ladder[ASK_PRICE, level] = prices[rank]
            ladder[ASK_VOLUME, level] = depth[1, rank]
            level += 1
        rank += 1


@njit(nogil=True)
def read_auction(book, middle, reference, tick, ladder):
    """What an exchange shows in a call auction: the price that would trade most, and the shares left over there.

    Level 1 of both sides is that price and the volume; level 2 has no price, and on one side what stays unmatched of
    the orders that reach the price. All 0 where no bid reaches an ask.

    1. The largest volume ``min(D, S)``, ``D`` bids at or above the price, ``S`` asks at or below, among the prices at
       which every better bid and ask trades completely;
    2. then the smallest imbalance ``|D - S|``;
    3. among prices that tie: Shanghai (``middle``) takes the middle of the outermost ones at which orders stand, on
       the tick; Shenzhen the one nearest to the last price, before the first trade to ``reference`` (the previous
       close; the lowest where it is 0).

    Source: the exchanges' trading rules, SSE 3.6.2, SZSE 3.6.2.
    """
    depth, state, prices = book.depth, book.state, book.prices
    ladder[:] = 0
    low, high = state[BEST_ASK], state[BEST_BID]
    if low > high or low >= prices.size or high < 0:
        return
    demand = np.int64(0)
    for rank in range(low, high + 1):
        demand += depth[0, rank]
    supply = np.int64(0)
    most, imbalance = np.int64(0), np.int64(0)
    first, last = np.int64(0), np.int64(0)  # outermost prices that tie
    for rank in range(low, high + 1):
        bids, asks = depth[0, rank], depth[1, rank]
        if bids == 0 and asks == 0:
            continue
        supply += asks
        volume = min(demand, supply)
        gap = abs(demand - supply)
        if demand - bids > volume or supply - asks > volume:
            pass
        elif volume > most or (volume == most and gap < imbalance):
            most, imbalance = volume, gap
            first = last = prices[rank]
        elif volume == most and gap == imbalance:
            last = prices[rank]
        demand -= bids
    price = first
    if middle:
        price = (first + last + tick) // (2 * tick) * tick  # half a tick goes up
    else:
        target = state[LAST_PRICE] if state[LAST_PRICE] > 0 else reference
        price = min(max(target, first), last)
    rest = np.int64(0)  # D - S at the price, which may lie between those of the orders
    for rank in range(low, high + 1):
        if prices[rank] >= price:
            rest += depth[0, rank]
        if prices[rank] <= price:
            rest -= depth[1, rank]
    ladder[BID_PRICE, 0] = ladder[ASK_PRICE, 0] = price
    ladder[BID_VOLUME, 0] = ladder[ASK_VOLUME, 0] = most
    ladder[BID_VOLUME if rest > 0 else ASK_VOLUME, 1] = abs(rest)


@njit(nogil=True)
def price_axis(orders_price, trades_price):
    """Every price of the day, ascending, and the rank of each thousandth of a yuan from the lowest on."""
    low, high = np.int64(1) << 60, np.int64(0)
    for prices in (orders_price, trades_price):
        for price in prices:
            if price > 0:
                low = min(low, price)
                high = max(high, price)
    if high == 0:
        return np.zeros(0, np.int64), np.zeros(1, np.int32)
    rank = np.zeros(high - low + 1, np.int32)
    for prices in (orders_price, trades_price):
        for price in prices:
            if price > 0:
                rank[price - low] = 1
    count = 0
    for at in range(rank.size):
        if rank[at] != 0:
            rank[at] = count
            count += 1
    prices = np.empty(count, np.int64)
    for some in (orders_price, trades_price):
        for price in some:
            if price > 0:
                prices[rank[price - low]] = price
    return prices, rank


@njit(nogil=True)
def new_book(orders_price, trades_price):
    """An empty book for a day's orders and trades (their prices in thousandths of a yuan)."""
    prices, ranks = price_axis(orders_price, trades_price)
    capacity = 64
    while capacity < 2 * orders_price.size + 2:
        capacity *= 2
    state = np.zeros(8, np.int64)
    state[BEST_BID], state[BEST_ASK] = -1, prices.size
    incoming = np.zeros(4, np.int64)
    incoming[SLOT] = NONE
    return Book(
        prices,
        ranks,
        np.zeros((2, max(prices.size, 1)), np.int64),
        np.zeros(capacity, np.int64),
        np.zeros((capacity, 3), np.int64),
        state,
        incoming,
        np.zeros(len(FAULTS), np.int64),
    )


@njit(nogil=True)
def rank_at(book, price):
    """Rank of a price of the day."""
    return np.int64(book.ranks[price - book.prices[0]])


@njit(nogil=True)
def reduce_order(book, number, volume, unknown, excess):
    """Take shares off an order, from its level where it rests; the order's place, ``NONE`` where it is unknown."""
    at = slot_of(book.keys, number)
    if number <= 0 or book.keys[at] == 0:
        book.faults[unknown] += 1
        return np.int64(NONE)
    order = book.orders[at]
    if volume > order[LEFT]:
        book.faults[excess] += 1
        volume = order[LEFT]
    order[LEFT] -= volume
    if order[RANK] != NONE and volume > 0:
        change_depth(book, order[SIDE], order[RANK], -volume)
    return np.int64(at)


@njit(nogil=True)
def enter_order(book, number, side, price, volume, kind):
    """Put a new order on its way in."""
    at = slot_of(book.keys, number)
    if number <= 0 or book.keys[at] != 0:
        book.faults[REPEATED] += 1
        return
    book.keys[at] = number
    book.orders[at, LEFT], book.orders[at, RANK], book.orders[at, SIDE] = volume, NONE, side
    rest_at = np.int64(NONE)
    if kind == LIMIT and price > 0:
        rest_at = rank_at(book, price)
    elif kind == OWN_BEST:
        best = book.state[BEST_BID + side]
        if 0 <= best < book.prices.size:
            rest_at = best
    if rest_at == NONE and kind != MARKET:
        book.faults[UNPRICED] += 1
    incoming = book.incoming
    incoming[SLOT], incoming[INCOMING_NUMBER], incoming[REST_AT], incoming[OWN_PRICE] = (
        at,
        number,
        rest_at,
        kind != MARKET,
    )


@njit(nogil=True)
def apply_trade(book, price, volume, buy, sell):
    """Take a trade off both of its orders and add it to the day's totals."""
    incoming, state = book.incoming, book.state
    for number in (buy, sell):
        at = reduce_order(book, number, volume, UNKNOWN_TRADE, EXCESS_TRADE)
        # a market order whose trades did not follow it at once
        if at != NONE and incoming[SLOT] == NONE and book.orders[at, RANK] == NONE and book.orders[at, LEFT] > 0:
            incoming[SLOT], incoming[INCOMING_NUMBER], incoming[OWN_PRICE] = at, number, 0
    if incoming[SLOT] != NONE and incoming[OWN_PRICE] == 0:
        incoming[REST_AT] = rank_at(book, price)
    state[DONE] += 1
    state[TRADED] += volume
    state[TURNOVER] += volume * price
    state[LAST_PRICE] = price


@njit(nogil=True)
def settle(book, withdrawn):
    """Let the rest of the order on its way in stand; ``withdrawn`` shares of it are cancelled next."""
    incoming = book.incoming
    at = incoming[SLOT]
    left = book.orders[at, LEFT]
    killed = incoming[OWN_PRICE] == 0 and withdrawn >= left  # a market order's rest, withdrawn at once, never stood
    if left > 0 and not killed and incoming[REST_AT] != NONE:
        book.orders[at, RANK] = incoming[REST_AT]
        change_depth(book, book.orders[at, SIDE], incoming[REST_AT], left)
    incoming[SLOT] = NONE
