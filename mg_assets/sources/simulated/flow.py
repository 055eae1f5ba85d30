"""One stock's order flow through the book, from the first auction order to the closing print.

The day, in order (:func:`simulate_stock`):

1. 09:15-09:25 opening call auction: orders around the opening target, cancels until 09:20, then the balancing orders
   that make the target the price of largest volume; the print (:func:`call_auction`);
2. 09:30-11:30 and 13:00-14:57 continuous session: per minute, as many orders as the course asks for, sized so that the
   traded volume follows its curve (:func:`continuous_session`);
3. 14:57-15:00 closing call auction on top of the resting book, no cancels, balanced at the closing target.

Each continuous event (:func:`next_order`) is an order whose side answers to where the book stands against the fair
price and to the parent order being worked (persistent trade signs), trades on arrival or rests near the fair price, and
is followed now and then by a cancel.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from mg_assets.sources.simulated.auction import uncross
from mg_assets.sources.simulated.book import (
    ASKS,
    BEST_ASK,
    BEST_BID,
    BIDS,
    BUY,
    CANCEL,
    DEPTH,
    EMPTY,
    FILLS,
    LEFT,
    LIMIT,
    MARKET,
    ORDERS,
    OWN_BEST,
    SELL,
    SIDE,
    TICK,
    enter,
    reset,
    withdraw,
)
from mg_assets.sources.simulated.generator import exponential, normal, uniform, whole
from mg_assets.sources.simulated.path import MINUTES, QUARTERS

OPEN_AUCTION, NO_CANCEL, OPEN_PRINT = 33_300_000, 33_600_000, 33_900_000  # 09:15, 09:20, 09:25 in ms
MORNING, AFTERNOON = 34_200_000, 46_800_000  # 09:30, 13:00
CLOSE_AUCTION, CLOSE_PRINT = 53_820_000, 54_000_000  # 14:57, 15:00
MINUTE = 60_000

TIME, SEQ, ID, O_SIDE, O_TICK, VOLUME, KIND, STOCK = 0, 1, 2, 3, 4, 5, 6, 7  # columns of ``Tape.orders``
T_TICK, BUY_ID, SELL_ID, T_SIDE = 2, 3, 4, 6  # of ``Tape.trades``, beside TIME, SEQ, VOLUME and STOCK

# Slots of ``Desk.clock``: next sequence number, next Shanghai order number, rows of orders, rows of trades, fills
# written, orders in ``Desk.live``, shares traded, numbering (1 Shanghai, 0 others).
C_SEQ, C_ID, C_ORDERS, C_TRADES, C_FILLS, C_LIVE, C_TRADED, C_SHANGHAI = 0, 1, 2, 3, 4, 5, 6, 7


class Tape(NamedTuple):
    """Rows written, (rows, 8) int64 each.

    ``orders``: time (ms of the day), seq, order id, side (+1, -1), tick (``EMPTY`` without a price), volume, kind,
    stock. ``trades``: time, seq, tick, buy id, sell id, volume, side, stock.
    """

    orders: np.ndarray
    trades: np.ndarray


class Desk(NamedTuple):
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
    """One stock's plan in ticks above the lower limit."""

    index: int
    ticks: int  # price levels
    base: int  # tick of the lower limit, from zero yuan
    previous: int  # may lie outside the limits
    open: int
    close: int
    volume: int
    orders: int  # continuous orders to enter
    lot: int  # 100, on STAR 200
    locked: int  # +1 or -1: a one-word day at the upper or lower limit


class FlowParameters(NamedTuple):
    """Typical behaviour of the order flow.

    Attributes
    ----------
    aggressive : float
        Share of continuous orders meant to trade on arrival.
    cancel : float
        Chance that an order is followed by a cancel.
    market, own_best : float
        Shares of market orders among aggressive, of own-best orders among resting ones.
    size_deviation : float
        Deviation of the log order size.
    large, large_size : float
        Share of institutional orders, and their size relative to the others.
    open_share, close_share : float
        Shares of the day's volume in the opening and the closing auction.
    open_orders, close_orders : float
        Orders of each auction relative to the continuous ones.
    resting_gap : float
        Half the spread that quotes keep from the fair price, in ticks.
    near : float
        Chance that a resting order joins the inside, else it stands deeper.
    parent_length : float
        Tail exponent of a parent order's length.
    """

    aggressive: float = 0.36
    cancel: float = 0.48
    market: float = 0.05
    own_best: float = 0.03
    size_deviation: float = 0.9
    large: float = 0.045
    large_size: float = 5.0
    open_share: float = 0.018
    close_share: float = 0.012
    open_orders: float = 0.10
    close_orders: float = 0.03
    resting_gap: float = 0.45
    near: float = 0.42
    parent_length: float = 1.7


def new_desk(orders: int) -> Desk:
    """Work arrays for a stock of at most `orders` orders."""
    return Desk(
        clock=np.zeros(8, np.int64),
        ids=np.zeros(orders, np.int64),
        shown=np.zeros(orders, np.int64),
        live=np.zeros(orders, np.int64),
        times=np.zeros(orders, np.int64),
        parent=np.zeros(2, np.int64),
    )


@njit(nogil=True)
def submit(book, desk, tape, stock, rng, time, side, kind, tick, volume, matching):
    """Enter an order and write its rows: the order, its fills, and the cancel of what was killed."""
    clock = desk.clock
    slot = book.state[ORDERS]
    clock[C_SEQ] += 1 + np.int64(3.0 * exponential(rng))  # the channel carries other stocks too
    if clock[C_SHANGHAI] == 1:
        clock[C_ID] += 1 + np.int64(2.0 * exponential(rng))
        number = clock[C_ID]
    else:
        number = clock[C_SEQ]
    desk.ids[slot] = number
    desk.shown[slot] = tick if kind == LIMIT else EMPTY
    write_order(desk, tape, stock, time, number, side, desk.shown[slot], volume, kind)
    killed = enter(book, side, kind, tick, volume, matching)
    write_fills(book, desk, tape, stock, time)
    if clock[C_SHANGHAI] == 1:
        clock[C_SEQ] += 1  # the number under which Shanghai would publish the remainder, after the fills
    if killed > 0:
        clock[C_SEQ] += 1
        write_order(desk, tape, stock, time, number, side, np.int64(EMPTY), killed, np.int64(CANCEL))
    elif book.orders[slot, LEFT] > 0:
        desk.live[clock[C_LIVE]] = slot
        clock[C_LIVE] += 1


@njit(nogil=True)
def write_order(desk, tape, stock, time, number, side, tick, volume, kind):
    """Append one row of orders under the current sequence number."""
    row = desk.clock[C_ORDERS]
    desk.clock[C_ORDERS] = row + 1
    out = tape.orders
    out[row, TIME] = time
    out[row, SEQ] = desk.clock[C_SEQ]
    out[row, ID] = number
    out[row, O_SIDE] = 1 if side == BUY else -1
    out[row, O_TICK] = tick if tick == EMPTY else tick + stock.base
    out[row, VOLUME] = volume
    out[row, KIND] = kind
    out[row, STOCK] = stock.index


@njit(nogil=True)
def write_fills(book, desk, tape, stock, time):
    """Append the book's new fills as trades, each with its own sequence number."""
    clock = desk.clock
    out = tape.trades
    for fill in range(clock[C_FILLS], book.state[FILLS]):
        clock[C_SEQ] += 1
        row = clock[C_TRADES]
        clock[C_TRADES] = row + 1
        out[row, TIME] = time
        out[row, SEQ] = clock[C_SEQ]
        out[row, T_TICK] = book.fills[fill, 2] + stock.base
        out[row, BUY_ID] = desk.ids[book.fills[fill, 0]]
        out[row, SELL_ID] = desk.ids[book.fills[fill, 1]]
        out[row, VOLUME] = book.fills[fill, 3]
        out[row, T_SIDE] = book.fills[fill, 4]
        out[row, STOCK] = stock.index
        clock[C_TRADED] += book.fills[fill, 3]
    clock[C_FILLS] = book.state[FILLS]


@njit(nogil=True)
def cancel_one(book, desk, tape, stock, rng, time, fair):
    """Cancel a resting order, a stale one where one of three picks is stale; nothing where the book is thin.

    `fair` is the fair price in ticks, NaN where nothing is stale. A one-word day keeps a queue longer than its volume.
    """
    clock = desk.clock
    chosen = np.int64(EMPTY)
    for _ in range(3):
        while clock[C_LIVE] > 0:
            at = np.int64(uniform(rng) * clock[C_LIVE])
            slot = desk.live[at]
            if book.orders[slot, LEFT] > 0:
                break
            clock[C_LIVE] -= 1
            desk.live[at] = desk.live[clock[C_LIVE]]  # filled or gone: forget it
        if clock[C_LIVE] == 0:
            return
        tick, side = book.orders[slot, TICK], book.orders[slot, SIDE]
        stale = tick > fair if side == BUY else tick < fair
        if chosen == EMPTY or stale:
            chosen = slot
        if stale:
            break
    side, volume = book.orders[chosen, SIDE], book.orders[chosen, LEFT]
    if book.state[BIDS + side] < 6:
        return
    if stock.locked != 0:
        queue = book.levels[BUY if stock.locked > 0 else SELL, stock.open, DEPTH]
        if queue - volume < 2 * stock.volume:
            return
    withdraw(book, chosen)
    clock[C_SEQ] += 1 + np.int64(3.0 * exponential(rng))
    write_order(desk, tape, stock, time, desk.ids[chosen], side, desk.shown[chosen], volume, np.int64(CANCEL))


@njit(nogil=True)
def order_size(rng, mean, side, deviation, large, large_size, tail, lot, cap):
    """Draw an order's shares: heavy-tailed about `mean`, clustered on round lots.

    Buys are whole lots (STAR: 200 shares or more, then by the share), sells now and then odd.
    """
    x = mean * np.exp(deviation * normal(rng) - 0.5 * deviation * deviation)
    if uniform(rng) < large:
        x *= large_size * min((1.0 - uniform(rng)) ** (-tail), 12.0)
    x = min(x, cap)
    lots = max(whole(rng, 0.01 * x), 1)
    u = uniform(rng)
    if u < 0.55:  # people think in tens, fifties and hundreds of lots
        if lots > 300:
            lots = (lots + 50) // 100 * 100
        elif lots > 60:
            lots = (lots + 5) // 10 * 10
        elif lots > 7:
            lots = (lots + 2) // 5 * 5
    volume = 100 * lots
    if lot > 100:
        volume = max(volume, lot)
        if u > 0.8:
            volume += np.int64(uniform(rng) * 100.0)
    if side == SELL and u > 0.96:
        volume += np.int64(uniform(rng) * 99.0) + 1
    return volume


@njit(nogil=True)
def whole_lots(volume, lot):
    """Round up to an order that the exchange accepts from a buyer."""
    return max((volume + 99) // 100 * 100, lot)


@njit(nogil=True)
def next_order(book, desk, tape, stock, rng, flow, tilt, time, fair, unit, mean, early, bias):
    """Enter one continuous order.

    Parameters
    ----------
    fair : float
        Fair price in ticks above the lower limit; beyond the limits while the stock is locked.
    unit : float
        A minute's return deviation in ticks.
    mean : float
        Mean order size in shares.
    early : bool
        Before 10:00, when informed traders hurry.
    bias : float
        Log odds of a buyer-initiated order.
    """
    state = book.state
    bid, ask = state[BEST_BID], state[BEST_ASK]
    top = stock.ticks - 1
    middle = 0.5 * (bid + ask) if bid >= 0 and ask <= top else fair
    pressure = (fair - middle) / max(0.8, 0.35 * unit)
    pressure = min(max(pressure, -4.0), 4.0)

    if desk.parent[1] <= 0 or desk.parent[0] * pressure < -1.3:
        odds = 1.0 / (1.0 + np.exp(-(1.1 * pressure + bias)))
        desk.parent[0] = 1 if uniform(rng) < odds else -1
        desk.parent[1] = np.int64(min((1.0 - uniform(rng)) ** (-1.0 / flow.parent_length), 60.0))
    aggressive = uniform(rng) < flow.aggressive + 0.08 * (abs(pressure) - 0.7)
    if stock.locked != 0:
        aggressive = uniform(rng) < 0.35
        desk.parent[0] = -stock.locked  # only the other side finds a counterparty
    if aggressive:
        sign = desk.parent[0]
        desk.parent[1] -= 1
    elif stock.locked != 0:
        sign = np.int64(stock.locked)
    else:
        thin = (state[ASKS] - state[BIDS]) / (state[ASKS] + state[BIDS] + 1.0)
        odds = 0.5 + 0.35 * thin + 0.06 * pressure + 0.05 * bias
        if fair >= top + 0.5 or fair <= -0.5:  # locked: one side queues, the other has no price left
            odds = 0.9 if fair > 0.0 else 0.1
        sign = np.int64(1) if uniform(rng) < odds else np.int64(-1)
    side = BUY if sign > 0 else SELL

    deviation, large, large_size = flow.size_deviation, flow.large, flow.large_size
    large += tilt.bulk
    cap = max(0.08 * stock.volume, 300.0)
    tail = 0.4
    if early:
        large = max(large + tilt.early_big * sign, 0.005)
        cap = min(cap, max(14.0 * mean * np.exp(-tilt.early_even), 300.0))  # many even orders, not one giant
    else:
        fatter = tilt.buy_tail if sign > 0 else tilt.sell_tail
        if aggressive:
            large -= tilt.patience * sign
        large = max(large, 0.005)
        tail = min(max(tail + fatter, 0.0), 1.0)
        deviation = max(deviation + 0.5 * fatter, 0.3)

    reach = np.int64(EMPTY)  # limit price of an order that trades at once
    if aggressive and side == BUY and ask <= top:
        reach = min(max(ask, np.int64(np.floor(fair))), top)
        if uniform(rng) < 0.3:
            reach = min(reach + np.int64(exponential(rng)), top)
    elif aggressive and side == SELL and bid >= 0:
        reach = max(min(bid, np.int64(np.ceil(fair))), 0)
        if uniform(rng) < 0.3:
            reach = max(reach - np.int64(exponential(rng)), 0)
    if reach != EMPTY:
        volume = order_size(rng, mean, side, deviation, large, large_size, tail, stock.lot, cap)
        depth = book.levels[1 - side, ask if side == BUY else bid, DEPTH]
        if stock.locked != 0 and volume > depth // 2:
            return  # the queue of a one-word day outlasts it
        kind = np.int64(LIMIT)
        if volume <= 2 * depth and uniform(rng) < flow.market:
            kind = np.int64(MARKET)
        submit(book, desk, tape, stock, rng, time, side, kind, reach, volume, True)
        return

    u = uniform(rng)
    away = 0.0
    if u > flow.near:
        away = exponential(rng) * max(2.0, 1.3 * unit)
        if u > 0.9:
            away *= 6.0
    if stock.locked != 0:
        tick = np.int64(stock.open)
    elif side == BUY:
        tick = np.int64(np.floor(min(fair, top + 0.99) - flow.resting_gap * uniform(rng) - away))
        tick = min(max(tick, 0), min(ask - 1, top))
    else:
        tick = np.int64(np.ceil(max(fair, -0.99) + flow.resting_gap * uniform(rng) + away))
        tick = max(min(tick, top), max(bid + 1, 0))
    if tick < 0 or tick > top:
        return  # no price left on this side of a locked book
    deep = tilt.deep_size * (min(away / max(2.0, 1.3 * unit), 3.0) - 0.7) if side == BUY else 0.0
    volume = order_size(rng, 1.1 * mean * np.exp(deep), side, deviation, large, large_size, tail, stock.lot, cap)
    kind = np.int64(LIMIT)
    if away == 0.0 and stock.locked == 0 and state[BIDS + side] > 0 and uniform(rng) < flow.own_best / flow.near:
        if desk.clock[C_SHANGHAI] == 1:
            tick = state[BEST_BID + side]  # Shanghai shows it as the limit order that it becomes
        else:
            kind = np.int64(OWN_BEST)
    submit(book, desk, tape, stock, rng, time, side, kind, tick, volume, True)


@njit(nogil=True)
def continuous_session(book, desk, tape, stock, rng, flow, tilt, course, target):
    """Run the continuous session so that about `target` shares trade along the course's volume curve."""
    clock = desk.clock
    begin = clock[C_TRADED]
    price = stock.base + stock.open
    due = 0.0
    yielded = 0.42 * flow.aggressive / 0.36  # shares traded per share entered, as observed so far
    typical = target / (yielded * stock.orders)
    last_fair = np.float64(stock.open)
    for m in range(MINUTES):
        behind = begin + due - clock[C_TRADED]
        wanted = course.volume[m] * target
        due += wanted
        count = whole(rng, course.count[m] * stock.orders)
        if count == 0:
            continue
        wanted = min(max(wanted + 0.25 * behind, 0.3 * wanted), 3.0 * wanted)
        mean = wanted / (count * yielded)
        mean = min(max(mean, 0.1 * typical), 12.0 * typical)
        start = (MORNING if m < 120 else AFTERNOON) + MINUTE * (m if m < 120 else m - 120)
        total = 0.0
        for i in range(count):
            total += exponential(rng)
            desk.times[i] = np.int64(1e6 * total)
        total += exponential(rng)
        stretch = MINUTE / (1e6 * total)
        unit = max(course.scale[m] * price, 0.05)
        now_fair = price * np.exp(course.fair[QUARTERS * m]) - stock.base
        bias = -tilt.contrarian * min(max((now_fair - last_fair) / unit, -3.0), 3.0)
        last_fair = now_fair
        if m < 30:
            bias += tilt.early_buy
        before = clock[C_TRADED]
        for i in range(count):
            time = start + np.int64(desk.times[i] * stretch)
            step = min(QUARTERS * (desk.times[i] * stretch) / MINUTE, QUARTERS - 1e-9)
            whole_step = np.int64(step)
            log_fair = course.fair[QUARTERS * m + whole_step]
            log_fair += (step - whole_step) * (course.fair[QUARTERS * m + whole_step + 1] - log_fair)
            fair = price * np.exp(log_fair) - stock.base
            next_order(book, desk, tape, stock, rng, flow, tilt, time, fair, unit, mean, m < 30, bias)
            if uniform(rng) < flow.cancel:
                end = start + (MINUTE - 1 if i == count - 1 else np.int64(desk.times[i + 1] * stretch))
                cancel_one(book, desk, tape, stock, rng, time + np.int64(uniform(rng) * (end - time)), fair)
        got = (clock[C_TRADED] - before) / (mean * count)
        yielded = min(max(0.97 * yielded + 0.03 * got, 0.08), 1.0)


@njit(nogil=True)
def call_auction(book, desk, tape, stock, rng, flow, times, cancel_until, print_time, target, volume, unit):
    """Run one call auction that prints at `target`.

    Orders arrive at the given times (ascending) around the target. Then, with ``D`` and ``S`` the book's demand and
    supply, buy and sell orders at the target are added until ``min(D, S)`` there exceeds both ``D`` one tick above and
    ``S`` one tick below, which bound the volume of every other price: the target then trades most, alone.

    Parameters
    ----------
    times : (N,) int64
        Arrival times.
    cancel_until : int
        Cancels may follow orders before this time.
    target : int
        Price to print, in ticks above the lower limit.
    volume : float
        Shares meant to trade.
    unit : float
        Typical distance of orders from the target, in ticks.
    """
    top = stock.ticks - 1
    mean = max(volume / (0.30 * times.size + 3.0), 100.0)
    cap = max(0.5 * volume, 300.0)
    queue_side = EMPTY
    if target == top or target == 0:
        queue_side = BUY if target == top else SELL  # a queue forms at a limit
    for i in range(times.size):
        if queue_side != EMPTY:
            side = queue_side if uniform(rng) < 0.75 else 1 - queue_side
        else:
            side = BUY if uniform(rng) < 0.5 else SELL
        crossing = uniform(rng) < 0.35
        away = np.int64(exponential(rng) * unit * (0.5 if crossing else 1.2)) + 1
        if (side == BUY) == crossing:
            tick = target + away
        else:
            tick = target - away
        if side == queue_side or (queue_side != EMPTY and stock.locked != 0):
            tick = target
        tick = min(max(tick, 0), top)
        size = mean * (8.0 if side == queue_side and stock.locked == 0 else 1.0)
        size = order_size(rng, size, side, flow.size_deviation, flow.large, flow.large_size, 0.4, stock.lot, 8.0 * cap)
        submit(book, desk, tape, stock, rng, times[i], side, np.int64(LIMIT), tick, size, False)
        if times[i] < cancel_until and uniform(rng) < 0.2:
            end = times[i + 1] if i + 1 < times.size else cancel_until
            cancel_one(book, desk, tape, stock, rng, min(times[i] + (end - times[i]) // 2, cancel_until - 1), np.nan)

    above, below = np.int64(0), np.int64(0)
    for tick in range(target + 1, stock.ticks):
        above += book.levels[BUY, tick, DEPTH]
    for tick in range(target):
        below += book.levels[SELL, tick, DEPTH]
    clear = max(max(above, below), np.int64(volume)) + stock.lot
    short = np.zeros(2, np.int64)
    short[BUY] = clear - above - book.levels[BUY, target, DEPTH]
    short[SELL] = clear - below - book.levels[SELL, target, DEPTH]
    if stock.locked > 0 and cancel_until > 0:
        short[BUY] = max(short[BUY], 4 * stock.volume)
    elif stock.locked < 0 and cancel_until > 0:
        short[SELL] = max(short[SELL], 4 * stock.volume)
    time = times[times.size - 1] if times.size else print_time - 20_000
    while short[BUY] > 0 or short[SELL] > 0:
        side = BUY if uniform(rng) * (max(short[BUY], 0) + max(short[SELL], 0)) < short[BUY] else SELL
        size = order_size(rng, 2.0 * mean, side, 0.6, 0.0, 1.0, 0.0, stock.lot, cap)
        size = max(size, whole_lots(short[side] // 6, stock.lot))
        if size > short[side]:
            size = whole_lots(short[side], stock.lot)
        time += np.int64((print_time - 10 - time) * 0.15 * uniform(rng))
        submit(book, desk, tape, stock, rng, time, side, np.int64(LIMIT), target, size, False)
        short[side] -= size
    desk.clock[C_SEQ] += 1 + np.int64(20.0 * exponential(rng))
    reference = stock.previous
    uncross(book, reference)
    write_fills(book, desk, tape, stock, print_time + np.int64(600.0 * uniform(rng)))
    desk.clock[C_SEQ] += 1


@njit(nogil=True)
def opening_times(rng, times):
    """Fill `times` with ascending arrivals 09:15:00-09:24:40: a rush at the start, another before the print."""
    for i in range(times.size):
        u = uniform(rng)
        if u < 0.25:
            times[i] = OPEN_AUCTION + np.int64(min(exponential(rng) * 8_000.0, 250_000.0))
        elif u < 0.6:
            times[i] = OPEN_AUCTION + np.int64(uniform(rng) * 580_000.0)
        else:
            times[i] = OPEN_PRINT - 20_000 - np.int64(min(exponential(rng) * 60_000.0, 500_000.0))
    times.sort()


@njit(nogil=True)
def simulate_stock(book, desk, tape, course, stock, rng, flow, tilt, volatility, shanghai):
    """Simulate one stock's day; rows are appended to the tape at the clock's row counters.

    Parameters
    ----------
    book, desk, course
        Work arrays; `course` holds the drawn path and volume curve.
    tape : Tape
        Written.
    stock : Stock
    rng : (1,) uint64
    flow : FlowParameters
    tilt : Tilt
    volatility : float
        The day's return deviation.
    shanghai : bool
        Orders bear numbers of their own; elsewhere an order's number is its sequence number.
    """
    reset(book, stock.ticks)
    clock = desk.clock
    clock[C_SEQ] = 10 + np.int64(uniform(rng) * 900_000.0)
    clock[C_ID] = np.int64(uniform(rng) * 400.0)
    clock[C_FILLS], clock[C_LIVE], clock[C_TRADED] = 0, 0, 0
    clock[C_SHANGHAI] = 1 if shanghai else 0
    desk.parent[:] = 0
    unit = max(0.22 * volatility * (stock.base + stock.open), 1.0)

    at_limit = stock.open == 0 or stock.open == stock.ticks - 1
    share = flow.open_share * np.exp(0.35 * normal(rng)) * (8.0 if stock.locked != 0 else 3.0 if at_limit else 1.0)
    opening = desk.times[: max(20, np.int64(flow.open_orders * stock.orders))]
    opening_times(rng, opening)
    call_auction(
        book, desk, tape, stock, rng, flow, opening, NO_CANCEL, OPEN_PRINT, stock.open, share * stock.volume, unit
    )

    last_share = flow.close_share * np.exp(0.35 * normal(rng) + tilt.last_volume)
    target = max(stock.volume * (1.0 - last_share) - clock[C_TRADED], 0.2 * stock.volume)
    continuous_session(book, desk, tape, stock, rng, flow, tilt, course, target)

    closing = desk.times[: max(8, np.int64(flow.close_orders * stock.orders))]
    for i in range(closing.size):
        closing[i] = CLOSE_AUCTION + np.int64(uniform(rng) * 170_000.0)
    closing.sort()
    call_auction(
        book,
        desk,
        tape,
        stock,
        rng,
        flow,
        closing,
        0,
        CLOSE_PRINT,
        stock.close,
        last_share * stock.volume,
        0.4 * unit,
    )
