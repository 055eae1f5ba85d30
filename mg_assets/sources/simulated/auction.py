"""Call auctions: the price that trades most, and the fills at it.

The price (:func:`auction_price`) is chosen among the ticks at which every better-priced order fills completely, as
both exchanges demand:

1. the largest executable volume ``V(p) = min(D(p), S(p))``, ``D`` bids at or above p, ``S`` asks at or below;
2. then the smallest imbalance ``|D(p) - S(p)|``;
3. then the nearest to the reference price;
4. then the higher one.
"""

from pathlib import Path

import numpy as np
from numba import njit

from mg_assets.sources.simulated.matching_book import (
    ASKS,
    BEST_ASK,
    BEST_BID,
    BIDS,
    BUY,
    CANCEL,
    DEPTH,
    EMPTY,
    FILLS,
    HEAD,
    LEFT,
    LIMIT,
    SELL,
    UNCROSS,
    enter,
    record_fill,
    unlink,
    withdraw,
)
from mg_models.kernel_cache import cached_njit

kernel = cached_njit(Path(__file__).parent)


@njit(nogil=True)
def auction_price(book, reference):
    """Price tick of a call auction, ``EMPTY`` where no bid reaches an ask.

    Parameters
    ----------
    book : MatchingBook
        May be crossed.
    reference : int
        Tick of the reference price (the previous close, or the last trade); may lie outside the limits.

    Returns
    -------
    int
    """
    low, high = book.state[BEST_ASK], book.state[BEST_BID]
    if book.state[BIDS] == 0 or book.state[ASKS] == 0 or low > high:
        return EMPTY
    demand = np.int64(0)
    for tick in range(low, high + 1):
        demand += book.levels[BUY, tick, DEPTH]  # D(low): every bid that can trade
    supply = np.int64(0)
    best = np.int64(EMPTY)
    best_volume, best_imbalance = np.int64(0), np.int64(0)
    for tick in range(low, high + 1):
        bids_here, asks_here = book.levels[BUY, tick, DEPTH], book.levels[SELL, tick, DEPTH]
        asks_below = supply
        supply += asks_here
        volume = min(demand, supply)
        imbalance = abs(demand - supply)
        fills_better = demand - bids_here <= volume and asks_below <= volume
        demand -= bids_here
        if not fills_better or volume < best_volume:
            continue
        if volume == best_volume:
            if imbalance > best_imbalance:
                continue
            if imbalance == best_imbalance and abs(tick - reference) > abs(best - reference):
                continue
        best, best_volume, best_imbalance = np.int64(tick), volume, imbalance
    return best


@njit(nogil=True)
def uncross(book, reference):
    """Clear a call auction at :func:`auction_price`: bids and asks fill in price-time order with side 0.

    Returns
    -------
    int
        The tick of the price; ``EMPTY`` where nothing trades.
    """
    price = auction_price(book, reference)
    if price == EMPTY:
        return price
    while book.state[BEST_BID] >= price and 0 <= book.state[BEST_ASK] <= price:
        bid, ask = book.state[BEST_BID], book.state[BEST_ASK]
        buy, sell = book.levels[BUY, bid, HEAD], book.levels[SELL, ask, HEAD]
        volume = min(book.orders[buy, LEFT], book.orders[sell, LEFT])
        record_fill(book, buy, sell, price, volume, 0)
        book.orders[buy, LEFT] -= volume
        book.orders[sell, LEFT] -= volume
        book.levels[BUY, bid, DEPTH] -= volume
        book.levels[SELL, ask, DEPTH] -= volume
        if book.orders[buy, LEFT] == 0:
            unlink(book, buy)
        if book.orders[sell, LEFT] == 0:
            unlink(book, sell)
    return price


@kernel(nogil=True)
def process_events(book, kind, side, tick, volume, matching, killed, fills_after):
    """Run a list of events through the book, in order.

    Parameters
    ----------
    book : MatchingBook
        Empty, with room for all the orders.
    kind : (N,) int8
        ``LIMIT``, ``MARKET``, ``OWN_BEST``, ``CANCEL`` or ``UNCROSS``.
    side : (N,) int8
        ``BUY`` or ``SELL``.
    tick : (N,) int64
        Limit price; of an ``UNCROSS`` the reference price; of a ``CANCEL`` the slot of the order (new orders take
        slots 0, 1, 2, ... in order of entry).
    volume : (N,) int64
        Shares of a new order.
    matching : (N,) bool
        Whether a new order may trade at once.
    killed : (N,) int64
        Written: shares killed on entry, or withdrawn by a cancel.
    fills_after : (N,) int64
        Written: fills in the log after the event.
    """
    for event in range(kind.size):
        if kind[event] == CANCEL:
            killed[event] = withdraw(book, tick[event])
        elif kind[event] == UNCROSS:
            killed[event] = 0
            uncross(book, tick[event])
        else:
            killed[event] = enter(
                book,
                np.int64(side[event]),
                np.int64(kind[event]),
                np.int64(tick[event]) if kind[event] == LIMIT else np.int64(EMPTY),
                volume[event],
                matching[event],
            )
        fills_after[event] = book.state[FILLS]
