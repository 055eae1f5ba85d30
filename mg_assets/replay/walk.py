"""The walk over a stock's day: events update the book, snapshots are compared with the states between, in one pass.

No exchange publishes the state between two trades of one incoming order, so it is no candidate for a snapshot.
"""

from pathlib import Path

import numpy as np
from numba import njit

from mg_assets.replay.book import (
    BEST_ASK,
    BEST_BID,
    CANCEL,
    CROSSED,
    DONE,
    EXCESS_CANCEL,
    FAULT,
    INCOMING_NUMBER,
    LAST_PRICE,
    LEVELS,
    NONE,
    SLOT,
    TOTAL_ASK,
    TOTAL_BID,
    TRADED,
    TURNOVER,
    UNKNOWN_CANCEL,
    apply_trade,
    enter_order,
    new_book,
    rank_prices,
    read_auction,
    read_ladder,
    reduce_order,
    settle,
)
from mg_models.kernel_cache import cached_njit

BOOK_FIELDS = 4 * LEVELS
LAST, VOLUME, AMOUNT, NUM_TRADES, BID_TOTAL, ASK_TOTAL = range(BOOK_FIELDS, BOOK_FIELDS + 6)
FIELDS = BOOK_FIELDS + 6
"""Columns of a snapshot: ten bid prices, bid volumes, ask prices, ask volumes, then the six above."""

BOOK = (1 << BOOK_FIELDS) - 1 | 1 << BID_TOTAL | 1 << ASK_TOTAL
LEVEL_1 = 1 | 1 << LEVELS | 1 << 2 * LEVELS | 1 << 3 * LEVELS
FULL = 1000  # more than any count of fields
UNPUBLISHED = -1
HALF_YUAN = 500  # vendors may round amounts to the yuan; a trade left out weighs more

MINUTE = 60_000
OPEN, NOON, AFTERNOON, CLOSING_CALL = 570 * MINUTE, 690 * MINUTE, 780 * MINUTE, 897 * MINUTE
LAST_EVENT = 901 * MINUTE  # after it only fixed-price trades, which bypass the book
FOREVER = np.int64(1) << 60
STILL_TRADING = -1

kernel = cached_njit(*(Path(__file__).with_name(name) for name in ("book.py", "walk.py")))


@njit(nogil=True)
def agreeing(state, ladder, shown, call):
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
    if abs(state[TURNOVER] - shown[AMOUNT]) <= HALF_YUAN:
        bits |= np.int64(1) << AMOUNT
    if state[DONE] == shown[NUM_TRADES]:
        bits |= np.int64(1) << NUM_TRADES
    if state[TOTAL_BID] == shown[BID_TOTAL]:
        bits |= np.int64(1) << BID_TOTAL
    if state[TOTAL_ASK] == shown[ASK_TOTAL]:
        bits |= np.int64(1) << ASK_TOTAL
    return bits


@njit(nogil=True)
def count_bits(bits):
    """Number of set bits."""
    count = 0
    while bits != 0:
        bits &= bits - 1
        count += 1
    return count


@njit(nogil=True, inline="always")
def _withdrawn_next(state, i, j, o_seq, o_id, o_volume, orders_kind, t_seq, t_buy, t_sell, trades_side):
    """Shares of the incoming order that the next event cancels; ``STILL_TRADING`` if that is a trade of it."""
    withdrawn = np.int64(0)
    if j < t_seq.size and (i >= o_seq.size or t_seq[j] < o_seq[i]):
        active = t_buy[j] if trades_side[j] > 0 else t_sell[j]
        if trades_side[j] != 0 and active == state[INCOMING_NUMBER]:
            withdrawn = np.int64(STILL_TRADING)
    elif i < o_seq.size and orders_kind[i] == CANCEL and o_id[i] == state[INCOMING_NUMBER]:
        withdrawn = o_volume[i]
    return withdrawn


# One function: with the comparison of the snapshots inlined from another, the walk alone falls from 7.7 to 4.0 million
# events/s (benchmarks/replay.py).
@kernel(nogil=True)
def replay_stock(  # noqa: C901
    orders, orders_kind, trades, trades_side, shown, windows, calls, keep, middle, reference, tick, until
):  # fmt: skip
    """Replay one stock's day and find each snapshot's state in the same pass.

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
    keep : int64 (S,)
        Bits of the fields that are compared.
    middle, reference, tick
        Of :func:`read_auction`.
    until : int
        Replay events before this moment (ms) only.

    Returns
    -------
    aligned, fixed : int64 (S,)
        Agreeing fields' bits at the best state in the window with the snapshot's number of trades (its volume where
        it has no number), and at the state of the fixed moment.
    event : int64 (S,)
        Events (orders and trades together) before the best state; -1 where there was none. The earliest of several
        that agree in everything.
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
    prices, o_rank, t_rank = rank_prices(o_price, t_price)
    levels, book_orders, state = new_book(prices, o_seq.size)
    snaps = shown.shape[0]
    aligned, fixed = np.zeros(snaps, np.int64), np.zeros(snaps, np.int64)
    event, offered = np.full(snaps, -1, np.int64), np.zeros(snaps, np.int64)
    score = np.full(snaps, -1, np.int64)
    found = np.zeros((snaps, 4, LEVELS), np.int64)
    ladder, auction = np.zeros((4, LEVELS), np.int64), np.zeros((4, LEVELS), np.int64)

    i, j, ahead, now = 0, 0, 0, np.int64(-1)
    while True:
        order_next = i < o_seq.size and (j >= t_seq.size or o_seq[i] <= t_seq[j])
        following = FOREVER
        if order_next or j < t_seq.size:
            following = o_time[i] if order_next else t_time[j]
            following = max(following, now) if following < min(LAST_EVENT, until) else FOREVER

        have_ladder = have_auction = False
        for s in range(ahead, snaps):  # those whose window this state, in effect from `now` to `following`, is in
            if min(windows[s, 0], windows[s, 2]) > following:
                break
            if max(windows[s, 1], windows[s, 2] + 1) <= now:
                ahead += s == ahead
                continue
            counted = shown[s, NUM_TRADES] == state[DONE]
            if shown[s, NUM_TRADES] == UNPUBLISHED:
                counted = shown[s, VOLUME] == state[TRADED]
            candidate = counted and state[SLOT] == NONE and now < windows[s, 1] and following >= windows[s, 0]
            at_moment = now <= windows[s, 2] < following
            offered[s] += candidate
            if not (at_moment or (candidate and score[s] < FULL)):
                continue
            if calls[s] and not have_auction:
                read_auction(levels, state, middle, reference, tick, auction)
                have_auction = True
            elif not calls[s] and not have_ladder:
                read_ladder(levels, state, ladder)
                have_ladder = True
            view = auction if calls[s] else ladder
            bits = agreeing(state, view, shown[s], calls[s]) & keep[s]
            if at_moment:
                fixed[s] = bits
                if event[s] < 0:
                    found[s] = view
            if candidate:
                worth = count_bits(bits & BOOK) + BOOK_FIELDS * (bits & LEVEL_1 == keep[s] & LEVEL_1)
                if bits & BOOK == keep[s] & BOOK:
                    worth = FULL
                if worth > score[s]:
                    score[s] = worth
                    aligned[s] = bits
                    event[s] = i + j
                    found[s] = view
        if following == FOREVER:
            break
        now = following

        if not order_next:
            apply_trade(levels, book_orders, state, t_rank[j], t_volume[j], t_buy[j], t_sell[j])
            j += 1
        elif orders_kind[i] == CANCEL:
            reduce_order(levels, book_orders, state, o_id[i], o_volume[i], UNKNOWN_CANCEL, EXCESS_CANCEL)
            i += 1
        else:
            side = 0 if o_side[i] > 0 else 1
            enter_order(levels, book_orders, state, o_id[i], side, o_rank[i], o_volume[i], orders_kind[i])
            i += 1

        if state[SLOT] != NONE:
            withdrawn = _withdrawn_next(
                state, i, j, o_seq, o_id, o_volume, orders_kind, t_seq, t_buy, t_sell, trades_side
            )
            if withdrawn == STILL_TRADING:
                continue
            settle(levels, book_orders, state, withdrawn)
        if state[BEST_BID] >= state[BEST_ASK] and ((OPEN <= now < NOON) or (AFTERNOON <= now < CLOSING_CALL)):
            state[FAULT + CROSSED] += 1
    read_ladder(levels, state, ladder)
    return aligned, fixed, event, offered, found, state[FAULT:], ladder
