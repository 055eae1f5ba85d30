"""A stock's day replayed into its limit order book, and held against snapshots on the way: one pass, plain loops.

How the events make the book (:func:`replay_stock`); orders and trades share one sequence number a stock, and where an
order and a trade bear the same one the order came first:

1. A new limit order rests at its price with its whole volume, unless the next event is a trade of it. Then it is on
   its way in: its trades come one after the other, and what they leave rests after the last of them. So a volume "as
   entered" never shows in the book where it traded on arrival.
2. A trade takes its volume off both of its orders, wherever they are: resting, or on the way in. Nothing is matched
   here, the exchange has done it, hence depths are enough and no queue is kept.
3. A cancel takes its volume off its order.
4. A market order rests nowhere; what its trades leave, and no cancel follows at once, rests at the price of its first
   trade (Shenzhen's "best of the other side"). An own-best order rests at the best price of its own side.

The state between the trades of one incoming order is none that an exchange shows, and is no candidate for a snapshot.
All kernels of the package stand in this one file, so that numba's cache follows every edit of them.
"""

import numpy as np
from numba import njit

LEVELS = 10
BID_PRICE, BID_VOLUME, ASK_PRICE, ASK_VOLUME = 0, 1, 2, 3  # rows of a ladder (4, LEVELS)
BOOK_FIELDS = 4 * LEVELS
LAST, VOLUME, AMOUNT, NUM_TRADES, BID_TOTAL, ASK_TOTAL = range(BOOK_FIELDS, BOOK_FIELDS + 6)
FIELDS = BOOK_FIELDS + 6
"""Columns of a snapshot: ten bid prices, bid volumes, ask prices, ask volumes, then the six above."""

LIMIT, MARKET, OWN_BEST, CANCEL = 0, 1, 2, 3  # places in ORDER_KINDS
UNPUBLISHED = -1
UNKNOWN_CANCEL, EXCESS_CANCEL, UNKNOWN_TRADE, EXCESS_TRADE, REPEATED, CROSSED, LEFT_OUT = range(7)
FAULTS = (
    "cancels_of_unknown_orders",
    "cancels_beyond_the_rest",
    "trades_of_unknown_orders",
    "trades_beyond_the_rest",
    "order_numbers_repeated",
    "crossed_states",
    "orders_without_a_price",
)
"""What a complete and right pair of tables has none of (the last: nothing to rest at, for a market or own-best
order)."""

MINUTE = 60_000
OPEN, NOON, AFTERNOON, CLOSING_CALL = 570 * MINUTE, 690 * MINUTE, 780 * MINUTE, 897 * MINUTE
LAST_EVENT = 901 * MINUTE  # after it only fixed-price trades, which bypass the book
FOREVER = np.int64(1) << 60
LEFT, RANK, SIDE = 0, 1, 2  # columns of the order store
BEST_BID, BEST_ASK, DONE, TRADED, TURNOVER, LAST_PRICE, TOTAL_BID, TOTAL_ASK = range(8)  # slots of the state


@njit(nogil=True, cache=True)
def slot_of(keys, number):
    """Place of an order number in the open-addressing table, or of the free slot (0) where it would go."""
    mask = keys.size - 1
    # Fibonacci hashing: consecutive numbers spread over the table
    at = np.int64((np.uint64(number) * np.uint64(11400714819323198485)) >> np.uint64(20)) & mask
    while keys[at] != 0 and keys[at] != number:
        at = (at + 1) & mask
    return at


@njit(nogil=True, cache=True)
def change_depth(depth, state, side, rank, volume):
    """Add shares (negative: take them) at a price and move the side's best price."""
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


@njit(nogil=True, cache=True)
def read_ladder(depth, state, prices, ladder):
    """The ten best levels of both sides into ``ladder (4, LEVELS)``; 0 where a side has fewer."""
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


@njit(nogil=True, cache=True)
def read_auction(depth, state, prices, middle, reference, tick, ladder):
    """What an exchange shows in a call auction: the price that would trade most, and the shares left over there.

    Level 1 of both sides is that price and the volume; level 2 has no price, and on one side what stays unmatched of
    the orders that reach the price. All 0 where no bid reaches an ask.

    1. The largest volume ``min(D, S)``, ``D`` bids at or above the price, ``S`` asks at or below, among the prices at
       which every better bid and ask trades completely;
    2. then the smallest imbalance ``|D - S|``;
    3. among prices that tie: Shanghai (``middle``) takes the middle of the outermost ones at which orders stand, on
       the tick; Shenzhen the nearest to the reference price.

    Source: the exchanges' trading rules, SSE 3.6.2, SZSE 3.6.2.
    """
    ladder[:] = 0
    low, high = state[BEST_ASK], state[BEST_BID]
    if low > high or low >= prices.size or high < 0:
        return
    demand = np.int64(0)
    for rank in range(low, high + 1):
        demand += max(depth[0, rank], 0)
    supply = np.int64(0)
    most, imbalance = np.int64(0), np.int64(0)
    first, last = np.int64(0), np.int64(0)  # outermost prices that tie
    rest = np.int64(0)  # D - S there
    for rank in range(low, high + 1):
        if depth[0, rank] <= 0 and depth[1, rank] <= 0:
            continue
        bids, asks = max(depth[0, rank], 0), max(depth[1, rank], 0)
        supply += asks
        volume = min(demand, supply)
        gap = abs(demand - supply)
        if demand - bids > volume or supply - asks > volume:
            pass
        elif volume > most or (volume == most and gap < imbalance):
            most, imbalance, rest = volume, gap, demand - supply
            first = last = prices[rank]
        elif volume == most and gap == imbalance:
            last = prices[rank]
        demand -= bids
    price = first
    if middle:
        price = (first + last + tick) // (2 * tick) * tick  # half a tick goes up
    elif reference > 0:
        price = min(max(reference, first), last)
    ladder[BID_PRICE, 0] = ladder[ASK_PRICE, 0] = price
    ladder[BID_VOLUME, 0] = ladder[ASK_VOLUME, 0] = most
    ladder[BID_VOLUME if rest > 0 else ASK_VOLUME, 1] = imbalance


@njit(nogil=True, cache=True)
def agreeing(ladder, state, shown, call):
    """Bits of the fields of a snapshot (``shown``, FIELDS) that the book has just so; a call auction has two levels."""
    bits = np.int64(0)
    for row in range(4):
        for level in range(2 if call else LEVELS):
            if ladder[row, level] == shown[row * LEVELS + level]:
                bits |= np.int64(1) << (row * LEVELS + level)
    if state[LAST_PRICE] == shown[LAST]:
        bits |= np.int64(1) << LAST
    if state[TRADED] == shown[VOLUME]:
        bits |= np.int64(1) << VOLUME
    if state[TURNOVER] == shown[AMOUNT]:
        bits |= np.int64(1) << AMOUNT
    if state[DONE] == shown[NUM_TRADES]:
        bits |= np.int64(1) << NUM_TRADES
    if state[TOTAL_BID] == shown[BID_TOTAL]:
        bits |= np.int64(1) << BID_TOTAL
    if state[TOTAL_ASK] == shown[ASK_TOTAL]:
        bits |= np.int64(1) << ASK_TOTAL
    return bits


@njit(nogil=True, cache=True)
def count_bits(bits):
    """Number of set bits."""
    count = 0
    while bits != 0:
        bits &= bits - 1
        count += 1
    return count


@njit(nogil=True, cache=True)
def price_axis(orders_price, trades_price):
    """Ranks of the day's prices: lowest price, rank of each price above it, price of each rank."""
    low, high = FOREVER, np.int64(0)
    for prices in (orders_price, trades_price):
        for price in prices:
            if price > 0:
                low = min(low, price)
                high = max(high, price)
    if high == 0:
        return np.int64(0), np.zeros(1, np.int32), np.zeros(0, np.int64)
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
    return low, rank, prices


@njit(nogil=True, cache=True)
def replay_stock(orders, orders_kind, trades, trades_side, shown, windows, calls, middle, reference, tick, keep, until):
    """Replay one stock's day and find each snapshot's state on the way.

    Prices are whole thousandths of a yuan, 0 for none. Rows ascend by sequence number; snapshots by time.

    Parameters
    ----------
    orders : tuple of int64 (O,)
        time (ms of the day), seq, order number, side, price, volume.
    orders_kind : int8 (O,)
        ``LIMIT``, ``MARKET``, ``OWN_BEST`` or ``CANCEL``.
    trades : tuple of int64 (T,)
        time, seq, price, volume, buy number, sell number.
    trades_side : int8 (T,)
    shown : int64 (S, FIELDS)
        What the snapshots show; ``UNPUBLISHED`` where they do not.
    windows : int64 (S, 3)
        First moment (ms) at which the snapshot's state may have been in effect, the moment after the last, and the
        moment of the fixed alignment. All three columns ascend.
    calls : bool (S,)
        Whether the snapshot shows a call auction.
    middle, reference, tick
        Of :func:`read_auction`; ``reference`` 0: the last trade's price.
    keep : int64 (S,)
        Bits of the fields that are compared.
    until : int
        Events to replay at most; the state then is returned.

    Returns
    -------
    aligned, fixed : int64 (S,)
        Agreeing fields' bits at the best state in the window with the snapshot's number of trades, and at the state
        of the fixed moment. Bit 62 of ``aligned`` says that there was such a state.
    event : int64 (S,)
        Events (orders and trades together) before the best state; -1 where there was none.
    offered : int64 (S,)
        States that could be chosen from.
    found : int64 (S, 4, LEVELS)
        The best state's ladder; of the fixed state where there was none.
    faults : int64 (len(FAULTS),)
    ladder : int64 (4, LEVELS)
        The last state's.
    """
    o_time, o_seq, o_id, o_side, o_price, o_volume = orders
    t_time, t_seq, t_price, t_volume, t_buy, t_sell = trades
    count, most = o_seq.size, t_seq.size
    low, rank_of, prices = price_axis(o_price, t_price)
    depth = np.zeros((2, max(prices.size, 1)), np.int64)
    capacity = 64
    while capacity < 2 * count + 2:
        capacity *= 2
    keys = np.zeros(capacity, np.int64)
    store = np.zeros((capacity, 3), np.int64)
    state = np.zeros(8, np.int64)
    state[BEST_BID], state[BEST_ASK] = -1, prices.size
    faults = np.zeros(len(FAULTS), np.int64)

    snaps = shown.shape[0]
    aligned, fixed = np.zeros(snaps, np.int64), np.zeros(snaps, np.int64)
    event, offered = np.full(snaps, -1, np.int64), np.zeros(snaps, np.int64)
    score = np.full(snaps, -1, np.int64)
    found = np.zeros((snaps, 4, LEVELS), np.int64)
    ladder, auction = np.zeros((4, LEVELS), np.int64), np.zeros((4, LEVELS), np.int64)
    book_bits = (np.int64(1) << BOOK_FIELDS) - 1 | np.int64(1) << BID_TOTAL | np.int64(1) << ASK_TOTAL
    first_level = np.int64(0)
    for row in range(4):
        first_level |= np.int64(1) << (row * LEVELS)

    i, j, ahead, now = 0, 0, 0, np.int64(-1)
    incoming, incoming_key, entry_rank, priced = np.int64(-1), np.int64(0), np.int64(-1), True
    while True:
        order_next = i < count and (j >= most or o_seq[i] <= t_seq[j])
        following = FOREVER
        if i < count or j < most:
            following = o_time[i] if order_next else t_time[j]
            if following >= LAST_EVENT or i + j >= until:
                following = FOREVER
            else:
                following = max(following, now)

        # what is on show from `now` to `following`
        have_ladder = have_auction = False
        for s in range(ahead, snaps):
            if min(windows[s, 0], windows[s, 2]) > following:
                break
            if max(windows[s, 1], windows[s, 2] + 1) <= now:
                if s == ahead:
                    ahead += 1
                continue
            at_moment = now <= windows[s, 2] < following
            candidate = (
                incoming < 0
                and now < windows[s, 1]
                and following >= windows[s, 0]
                and shown[s, NUM_TRADES] == state[DONE]
                and score[s] < 2 * LEVELS * BOOK_FIELDS
            )
            if not (at_moment or candidate):
                continue
            if calls[s]:
                if not have_auction:
                    target = reference if reference > 0 else state[LAST_PRICE]
                    read_auction(depth, state, prices, middle, target, tick, auction)
                    have_auction = True
            elif not have_ladder:
                read_ladder(depth, state, prices, ladder)
                have_ladder = True
            view = auction if calls[s] else ladder
            bits = agreeing(view, state, shown[s], calls[s]) & keep[s]
            if at_moment:
                fixed[s] = bits
                if event[s] < 0:
                    found[s] = view
            if candidate:
                offered[s] += 1
                worth = count_bits(bits & book_bits)
                if bits & first_level == keep[s] & first_level:
                    worth += BOOK_FIELDS
                if bits & book_bits == keep[s] & book_bits:
                    worth = 2 * LEVELS * BOOK_FIELDS  # earliest full agreement: no later state is looked at
                if worth > score[s]:
                    score[s] = worth
                    aligned[s] = bits | np.int64(1) << 62
                    event[s] = i + j
                    found[s] = view
        if following == FOREVER:
            break
        now = following

        if order_next:
            number, side, volume = o_id[i], (0 if o_side[i] > 0 else 1), o_volume[i]
            at = slot_of(keys, number)
            if orders_kind[i] == CANCEL:
                if keys[at] == 0:
                    faults[UNKNOWN_CANCEL] += 1
                else:
                    if volume > store[at, LEFT]:
                        faults[EXCESS_CANCEL] += 1
                        volume = store[at, LEFT]
                    store[at, LEFT] -= volume
                    if store[at, RANK] >= 0 and volume > 0:
                        change_depth(depth, state, store[at, SIDE], store[at, RANK], -volume)
                i += 1
            else:
                if keys[at] != 0:
                    faults[REPEATED] += 1
                keys[at] = number
                store[at, LEFT], store[at, RANK], store[at, SIDE] = volume, -1, side
                entry_rank = np.int64(-1)
                if orders_kind[i] == LIMIT and o_price[i] > 0:
                    entry_rank = np.int64(rank_of[o_price[i] - low])
                elif orders_kind[i] == OWN_BEST:
                    best = state[BEST_BID + side]
                    entry_rank = best if 0 <= best < prices.size else np.int64(-1)
                incoming, incoming_key, priced = at, number, orders_kind[i] != MARKET
                i += 1
        else:
            for one in range(2):
                number = t_buy[j] if one == 0 else t_sell[j]
                at = slot_of(keys, number)
                volume = t_volume[j]
                if keys[at] == 0 or number == 0:
                    faults[UNKNOWN_TRADE] += 1
                    continue
                if volume > store[at, LEFT]:
                    faults[EXCESS_TRADE] += 1
                    volume = store[at, LEFT]
                store[at, LEFT] -= volume
                if store[at, RANK] >= 0 and volume > 0:
                    change_depth(depth, state, store[at, SIDE], store[at, RANK], -volume)
            if incoming >= 0 and entry_rank < 0:
                entry_rank = np.int64(rank_of[t_price[j] - low])
            state[DONE] += 1
            state[TRADED] += t_volume[j]
            state[TURNOVER] += t_volume[j] * t_price[j]
            state[LAST_PRICE] = t_price[j]
            j += 1

        if incoming >= 0:
            trade_next = j < most and (i >= count or t_seq[j] < o_seq[i])
            if trade_next and trades_side[j] != 0 and incoming_key == (t_buy[j] if trades_side[j] > 0 else t_sell[j]):
                continue  # still trading
            left = store[incoming, LEFT]
            # a market order's remainder is mostly withdrawn at once, and then never rested
            killed = not priced and not trade_next and i < count and orders_kind[i] == CANCEL
            if left > 0 and not (killed and o_id[i] == incoming_key and o_volume[i] >= left):
                if entry_rank < 0:
                    faults[LEFT_OUT] += 1
                else:
                    store[incoming, RANK] = entry_rank
                    change_depth(depth, state, store[incoming, SIDE], entry_rank, left)
            incoming = np.int64(-1)
        continuous = (OPEN <= now < NOON) or (AFTERNOON <= now < CLOSING_CALL)
        if continuous and state[BEST_BID] >= state[BEST_ASK]:
            faults[CROSSED] += 1
    read_ladder(depth, state, prices, ladder)
    return aligned, fixed, event, offered, found, faults, ladder
