"""A stock's limit order book as arrays, and how orders, cancels and trades change it.

Orders and trades share one sequence number a stock, and where an order and a trade have the same one the order came
first. The events change the book as follows (:mod:`walk` merges them in order):

1. A new limit order rests at its price with its whole volume, unless the next event is a trade of it. Then it is
   incoming: its trades follow one after the other, and its remainder rests after the last of them. So a volume "as
   entered" never shows in the book if it traded on arrival.
2. A trade takes its volume off both of its orders, resting or incoming. Nothing is matched here, the exchange has
   done it, hence depths are enough and no queue is kept.
3. A cancel takes its volume off its order.
4. What a market order's trades leave, and no cancel takes away at once, rests at the price of its last trade
   (Shenzhen's "best of the other side"). An own-best order rests at the best price of its own side.
"""

import numpy as np
from numba import njit

LEVELS = 10
BID_PRICE, BID_VOLUME, ASK_PRICE, ASK_VOLUME = 0, 1, 2, 3  # rows of a ladder (4, LEVELS)
LIMIT, MARKET, OWN_BEST, CANCEL = 0, 1, 2, 3  # as in ORDER_KINDS
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
"""Faults that a complete and right pair of tables has none of; a state is crossed where a bid is at or above an ask
in the continuous session."""

NONE = -1
KEY, LEFT, RANK, SIDE = 0, 1, 2, 3  # columns of ``orders``
PRICE = 2  # row of ``levels``, after those of bids and asks
BEST_BID, BEST_ASK, DONE, TRADED, TURNOVER, LAST_PRICE, TOTAL_BID, TOTAL_ASK = range(8)  # slots of ``state``
SLOT, INCOMING_NUMBER, REST_AT, OWN_PRICE, FAULT = range(8, 13)
"""A book is three int64 arrays. They are handed on one by one and the small kernels are inlined: that gives 6.9 million
events/s (``benchmarks/replay.py``, the walk alone); without inlining it was 4.9, with eight arrays in a tuple 3.4.

levels (3, P)
    Shares resting at each price of the day, bids and asks, and the prices, ascending, in thousandths of a yuan. A rank
    is an index into them.
orders (C, 4)
    An open-addressing table: order number (0 where free), shares left, rank where they rest (``NONE`` for none), side
    (0 buy).
state (12 + len(FAULTS),)
    Best bid and ask as ranks (-1 and P where there are none), trades, shares and thousandths of a yuan traded so far,
    the last price, resting shares of both sides; then the incoming order: its index in ``orders`` (``NONE`` for
    none), its number, the rank at which its remainder will rest, and whether that is its own price; then the counts of
    ``FAULTS``.
"""


@njit(nogil=True, inline="always")
def slot_of(orders, number):
    """Index of an order number in the table, or of the free slot where it would go."""
    mask = orders.shape[0] - 1
    # Fibonacci hashing: consecutive numbers spread over the table
    at = np.int64((np.uint64(number) * np.uint64(11400714819323198485)) >> np.uint64(20)) & mask
    while orders[at, KEY] != 0 and orders[at, KEY] != number:
        at = (at + 1) & mask
    return at


@njit(nogil=True, inline="always")
def change_depth(levels, state, side, rank, volume):
    """Add shares (negative: take them) at a price and move the side's best price."""
    before = levels[side, rank]
    after = before + volume
    levels[side, rank] = after
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
                while rank >= 0 and levels[0, rank] <= 0:
                    rank -= 1
                state[BEST_BID] = rank
        elif rank == state[BEST_ASK]:
            ranks = levels.shape[1]
            while rank < ranks and levels[1, rank] <= 0:
                rank += 1
            state[BEST_ASK] = rank


@njit(nogil=True)
def read_ladder(levels, state, ladder):
    """The ten best levels of both sides into ``ladder (4, LEVELS)``; 0 where a side has fewer."""
    ladder[:] = 0
    level, rank = 0, state[BEST_BID]
    while rank >= 0 and level < LEVELS:
        if levels[0, rank] > 0:
            ladder[BID_PRICE, level] = levels[PRICE, rank]
            ladder[BID_VOLUME, level] = levels[0, rank]
            level += 1
        rank -= 1
    level, rank = 0, state[BEST_ASK]
    while rank < levels.shape[1] and level < LEVELS:
        if levels[1, rank] > 0:
            ladder[ASK_PRICE, level] = levels[PRICE, rank]
            ladder[ASK_VOLUME, level] = levels[1, rank]
            level += 1
        rank += 1


@njit(nogil=True)
def read_auction(levels, state, middle, reference, tick, ladder):
    """What an exchange shows in a call auction: the price that would trade most, and the shares left over there.

    Level 1 of both sides is that price and the volume; level 2 has no price, and on one side what stays unmatched of
    the orders that reach the price. All 0 where no bid reaches an ask.

    1. The largest volume ``min(D, S)``, ``D`` bids at or above the price, ``S`` asks at or below, among the prices at
       which every better bid and ask trades completely;
    2. then the smallest imbalance ``|D - S|``;
    3. among prices that tie: Shanghai (``middle``) takes the middle of the outermost ones that have orders, on
       the tick; Shenzhen the one nearest to the last price, before the first trade to ``reference`` (the previous
       close; the lowest where it is 0).

    Source: the exchanges' trading rules, SSE 3.6.2, SZSE 3.6.2.
    """
    ladder[:] = 0
    low, high = state[BEST_ASK], state[BEST_BID]
    if low > high or low >= levels.shape[1] or high < 0:
        return
    demand = np.int64(0)
    for rank in range(low, high + 1):
        demand += levels[0, rank]
    supply = np.int64(0)
    most, imbalance = np.int64(0), np.int64(0)
    first, last = np.int64(0), np.int64(0)  # outermost prices that tie
    for rank in range(low, high + 1):
        bids, asks = levels[0, rank], levels[1, rank]
        if bids == 0 and asks == 0:
            continue
        supply += asks
        volume = min(demand, supply)
        gap = abs(demand - supply)
        if demand - bids > volume or supply - asks > volume:
            pass
        elif volume > most or (volume == most and gap < imbalance):
            most, imbalance = volume, gap
            first = last = levels[PRICE, rank]
        elif volume == most and gap == imbalance:
            last = levels[PRICE, rank]
        demand -= bids
    price = first
    if middle:
        price = (first + last + tick) // (2 * tick) * tick  # half a tick goes up
    else:
        target = state[LAST_PRICE] if state[LAST_PRICE] > 0 else reference
        price = min(max(target, first), last)
    rest = np.int64(0)  # D - S at the price, which may be between those of the orders
    for rank in range(low, high + 1):
        if levels[PRICE, rank] >= price:
            rest += levels[0, rank]
        if levels[PRICE, rank] <= price:
            rest -= levels[1, rank]
    ladder[BID_PRICE, 0] = ladder[ASK_PRICE, 0] = price
    ladder[BID_VOLUME, 0] = ladder[ASK_VOLUME, 0] = most
    ladder[BID_VOLUME if rest > 0 else ASK_VOLUME, 1] = abs(rest)


@njit(nogil=True)
def rank_prices(orders_price, trades_price):
    """Every price of the day, ascending, and the ranks of the orders' and the trades' prices (``NONE`` for price 0)."""
    low, high = np.int64(1) << 60, np.int64(0)
    for prices in (orders_price, trades_price):
        for price in prices:
            if price > 0:
                low = min(low, price)
                high = max(high, price)
    ranks = np.zeros(max(high - low + 1, 0), np.int32)  # type: ignore[call-overload]  # in numba, an int64
    for prices in (orders_price, trades_price):
        for price in prices:
            if price > 0:
                ranks[price - low] = 1
    axis = np.flatnonzero(ranks) + low
    ranks[axis - low] = np.arange(axis.size)
    of_orders, of_trades = np.full(orders_price.size, NONE, np.int64), np.full(trades_price.size, NONE, np.int64)
    for prices, out in ((orders_price, of_orders), (trades_price, of_trades)):
        for i in range(prices.size):
            if prices[i] > 0:
                out[i] = ranks[prices[i] - low]
    return axis, of_orders, of_trades


@njit(nogil=True)
def new_book(prices, orders):
    """An empty book, ``levels, orders, state``, for a day's prices and at most so many orders."""
    capacity = 64
    while capacity < 2 * orders + 2:
        capacity *= 2
    levels = np.zeros((3, prices.size), np.int64)
    levels[PRICE] = prices
    state = np.zeros(FAULT + len(FAULTS), np.int64)
    state[BEST_BID], state[BEST_ASK], state[SLOT] = -1, prices.size, NONE
    return levels, np.zeros((capacity, 4), np.int64), state


@njit(nogil=True, inline="always")
def reduce_order(levels, orders, state, number, volume, unknown, excess):
    """Take shares off an order, from its level where it rests; the order's index, ``NONE`` where it is unknown."""
    at = slot_of(orders, number)
    if number <= 0 or orders[at, KEY] == 0:
        state[FAULT + unknown] += 1
        return np.int64(NONE)
    if volume > orders[at, LEFT]:
        state[FAULT + excess] += 1
        volume = orders[at, LEFT]
    orders[at, LEFT] -= volume
    if orders[at, RANK] != NONE and volume > 0:
        change_depth(levels, state, orders[at, SIDE], orders[at, RANK], -volume)
    return np.int64(at)


@njit(nogil=True, inline="always")
def enter_order(levels, orders, state, number, side, rank, volume, kind):
    """Make a new order the incoming one; ``rank`` of its limit."""
    at = slot_of(orders, number)
    if number <= 0 or orders[at, KEY] != 0:
        state[FAULT + REPEATED] += 1
        return
    orders[at, KEY], orders[at, LEFT], orders[at, RANK], orders[at, SIDE] = number, volume, NONE, side
    rest_at = np.int64(NONE)
    if kind == LIMIT:
        rest_at = rank
    elif kind == OWN_BEST and 0 <= state[BEST_BID + side] < levels.shape[1]:
        rest_at = state[BEST_BID + side]
    if rest_at == NONE and kind != MARKET:
        state[FAULT + UNPRICED] += 1
    state[SLOT], state[INCOMING_NUMBER], state[REST_AT], state[OWN_PRICE] = at, number, rest_at, kind != MARKET


@njit(nogil=True, inline="always")
def apply_trade(levels, orders, state, rank, volume, buy, sell):
    """Take a trade off both of its orders and add it to the day's totals."""
    for number in (buy, sell):
        at = reduce_order(levels, orders, state, number, volume, UNKNOWN_TRADE, EXCESS_TRADE)
        # a market order whose trades did not follow it at once
        if at != NONE and state[SLOT] == NONE and orders[at, RANK] == NONE and orders[at, LEFT] > 0:
            state[SLOT], state[INCOMING_NUMBER], state[OWN_PRICE] = at, number, 0
    if state[SLOT] != NONE and state[OWN_PRICE] == 0:
        state[REST_AT] = rank
    price = levels[PRICE, rank]
    state[DONE] += 1
    state[TRADED] += volume
    state[TURNOVER] += volume * price
    state[LAST_PRICE] = price


@njit(nogil=True, inline="always")
def settle(levels, orders, state, withdrawn):
    """Rest the remainder of the incoming order in the book; ``withdrawn`` shares of it are cancelled next."""
    at = state[SLOT]
    left = orders[at, LEFT]
    killed = state[OWN_PRICE] == 0 and withdrawn >= left  # a market order's remainder, withdrawn at once, never rests
    if left > 0 and not killed and state[REST_AT] != NONE:
        orders[at, RANK] = state[REST_AT]
        change_depth(levels, state, orders[at, SIDE], state[REST_AT], left)
    state[SLOT] = NONE
