"""The continuous session's order flow of one stock.

Each event (:func:`next_order`) is an order whose side answers to where the book is against the fair price and to
the parent order being worked (persistent trade signs), trades on arrival or rests near the fair price, and is followed
now and then by a cancel (:func:`cancel_one`). Per minute as many orders come as the course asks for, sized so that the
traded volume follows its curve (:func:`continuous_session`).
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from mg_assets.sources.simulated.kernel_random import exponential, normal, stochastic_round, uniform
from mg_assets.sources.simulated.matching_book import (
    ASKS,
    BEST_ASK,
    BEST_BID,
    BIDS,
    BUY,
    DEPTH,
    EMPTY,
    LEFT,
    LIMIT,
    MARKET,
    OWN_BEST,
    SELL,
    SIDE,
    TICK,
)
from mg_assets.sources.simulated.price_path import MINUTES, QUARTERS
from mg_assets.sources.simulated.tape import C_LIVE, C_SHANGHAI, C_TRADED, submit, withdraw_order

MORNING, AFTERNOON = 34_200_000, 46_800_000  # 09:30, 13:00 in ms of the day
MINUTE = 60_000


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
        Chance that a resting order joins the inside; else it rests deeper.
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


@njit(nogil=True)
def cancel_one(book, flow_state, tape, stock, rng, time, fair):
    """Cancel a resting order, a stale one where one of three picks is stale; nothing where the book is thin.

    `fair` is the fair price in ticks, NaN where nothing is stale. A one-word day keeps a queue longer than its volume.
    """
    clock = flow_state.clock
    chosen = np.int64(EMPTY)
    for _ in range(3):
        while clock[C_LIVE] > 0:
            at = np.int64(uniform(rng) * clock[C_LIVE])
            slot = flow_state.live[at]
            if book.orders[slot, LEFT] > 0:
                break
            clock[C_LIVE] -= 1
            flow_state.live[at] = flow_state.live[clock[C_LIVE]]  # filled or gone: forget it
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
    withdraw_order(book, flow_state, tape, stock, rng, time, chosen)


@njit(nogil=True)
def order_size(rng, mean, side, deviation, large, large_size, tail, lot, cap):
    """Draw an order's shares: heavy-tailed about `mean`, clustered on round lots.

    Returns
    -------
    int
        Shares: buys in whole lots (STAR: 200 shares or more, then by the share), sells now and then odd.
    """
    x = mean * np.exp(deviation * normal(rng) - 0.5 * deviation * deviation)
    if uniform(rng) < large:
        x *= large_size * min((1.0 - uniform(rng)) ** (-tail), 12.0)
    x = min(x, cap)
    lots = max(stochastic_round(rng, 0.01 * x), 1)
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
def next_order(book, flow_state, tape, stock, rng, flow, tilt, time, fair, unit, mean, early, bias):
    """Enter one continuous order: choose its side and size, then trade on arrival (:func:`take_order`) or rest.

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
    bid, ask = book.state[BEST_BID], book.state[BEST_ASK]
    top = stock.ticks - 1
    middle = 0.5 * (bid + ask) if bid >= 0 and ask <= top else fair
    pressure = (fair - middle) / max(0.8, 0.35 * unit)
    pressure = min(max(pressure, -4.0), 4.0)
    aggressive, sign = choose_side(book, flow_state, stock, rng, flow, fair, pressure, bias)
    side = BUY if sign > 0 else SELL
    law = size_law(stock, flow, tilt, aggressive, sign, mean, early)
    reach = np.int64(EMPTY)  # limit price of an order that trades at once
    if aggressive and side == BUY and ask <= top:
        reach = min(max(ask, np.int64(np.floor(fair))), top)
        if uniform(rng) < 0.3:
            reach = min(reach + np.int64(exponential(rng)), top)
    elif aggressive and side == SELL and bid >= 0:
        reach = max(min(bid, np.int64(np.ceil(fair))), np.int64(0))
        if uniform(rng) < 0.3:
            reach = max(reach - np.int64(exponential(rng)), np.int64(0))
    if reach != EMPTY:
        take_order(book, flow_state, tape, stock, rng, flow, time, side, reach, mean, law)
    else:
        rest_order(book, flow_state, tape, stock, rng, flow, tilt, time, side, fair, unit, mean, law)


# The four parts of an order are inlined: passing the named tuples to each cost 40% of a simulated day's time.
@njit(nogil=True, inline="always")
def choose_side(book, flow_state, stock, rng, flow, fair, pressure, bias):
    """Draw the next order's side.

    An aggressive order belongs to the parent order being worked, whose side answers to the fair price; a resting one
    answers to the balance of the book. While the stock is locked at a limit only the other side finds a counterparty.

    Returns
    -------
    aggressive : bool
        Whether the order is meant to trade on arrival.
    sign : int
        +1 buy, -1 sell.
    """
    state = book.state
    top = stock.ticks - 1
    if flow_state.parent[1] <= 0 or flow_state.parent[0] * pressure < -1.3:
        odds = 1.0 / (1.0 + np.exp(-(1.1 * pressure + bias)))
        flow_state.parent[0] = 1 if uniform(rng) < odds else -1
        flow_state.parent[1] = np.int64(min((1.0 - uniform(rng)) ** (-1.0 / flow.parent_length), 60.0))
    aggressive = uniform(rng) < flow.aggressive + 0.08 * (abs(pressure) - 0.7)
    if stock.locked != 0:
        aggressive = uniform(rng) < 0.35
        flow_state.parent[0] = -stock.locked
    if aggressive:
        sign = flow_state.parent[0]
        flow_state.parent[1] -= 1
    elif stock.locked != 0:
        sign = np.int64(stock.locked)
    else:
        thin = (state[ASKS] - state[BIDS]) / (state[ASKS] + state[BIDS] + 1.0)
        odds = 0.5 + 0.35 * thin + 0.06 * pressure + 0.05 * bias
        if fair >= top + 0.5 or fair <= -0.5:  # locked: one side queues, the other has no price left
            odds = 0.9 if fair > 0.0 else 0.1
        sign = np.int64(1) if uniform(rng) < odds else np.int64(-1)
    return aggressive, sign


@njit(nogil=True, inline="always")
def size_law(stock, flow, tilt, aggressive, sign, mean, early):
    """Parameters of :func:`order_size`, tilted by informed traders: deviation, share of large orders, tail, cap."""
    deviation, large = flow.size_deviation, flow.large
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
    return deviation, large, tail, cap


@njit(nogil=True, inline="always")
def take_order(book, flow_state, tape, stock, rng, flow, time, side, reach, mean, law):
    """Enter an order that trades on arrival, at `reach` or better."""
    deviation, large, tail, cap = law
    volume = order_size(rng, mean, side, deviation, large, flow.large_size, tail, stock.lot, cap)
    best = book.state[BEST_ASK] if side == BUY else book.state[BEST_BID]
    depth = book.levels[1 - side, best, DEPTH]
    if stock.locked != 0 and volume > depth // 2:
        return  # the queue of a one-word day outlasts it
    kind = np.int64(LIMIT)
    if volume <= 2 * depth and uniform(rng) < flow.market:
        kind = np.int64(MARKET)
    submit(book, flow_state, tape, stock, rng, time, side, kind, reach, volume, True)


@njit(nogil=True, inline="always")
def rest_order(book, flow_state, tape, stock, rng, flow, tilt, time, side, fair, unit, mean, law):
    """Enter an order that rests near the fair price or deeper, now and then at its own side's best price."""
    deviation, large, tail, cap = law
    bid, ask = book.state[BEST_BID], book.state[BEST_ASK]
    top = stock.ticks - 1
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
        tick = min(max(tick, np.int64(0)), min(ask - 1, top))
    else:
        tick = np.int64(np.ceil(max(fair, -0.99) + flow.resting_gap * uniform(rng) + away))
        tick = max(min(tick, top), max(bid + 1, np.int64(0)))
    if tick < 0 or tick > top:
        return  # no price left on this side of a locked book
    deep = tilt.deep_size * (min(away / max(2.0, 1.3 * unit), 3.0) - 0.7) if side == BUY else 0.0
    size = 1.1 * mean * np.exp(deep)
    volume = order_size(rng, size, side, deviation, large, flow.large_size, tail, stock.lot, cap)
    kind = np.int64(LIMIT)
    joins = away == 0.0 and stock.locked == 0 and book.state[BIDS + side] > 0
    if joins and uniform(rng) < flow.own_best / flow.near:
        if flow_state.clock[C_SHANGHAI] == 1:
            tick = book.state[BEST_BID + side]  # Shanghai shows it as the limit order that it becomes
        else:
            kind = np.int64(OWN_BEST)
    submit(book, flow_state, tape, stock, rng, time, side, kind, tick, volume, True)


@njit(nogil=True)
def continuous_session(book, flow_state, tape, stock, rng, flow, tilt, course, target):
    """Run the continuous session so that about `target` shares trade along the course's volume curve."""
    clock = flow_state.clock
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
        count = stochastic_round(rng, course.arrivals[m] * stock.orders)
        if count == 0:
            continue
        wanted = min(max(wanted + 0.25 * behind, 0.3 * wanted), 3.0 * wanted)
        mean = wanted / (count * yielded)
        mean = min(max(mean, 0.1 * typical), 12.0 * typical)
        start = (MORNING if m < 120 else AFTERNOON) + MINUTE * (m if m < 120 else m - 120)
        total = 0.0
        for i in range(count):
            total += exponential(rng)
            flow_state.times[i] = np.int64(1e6 * total)
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
            time = start + np.int64(flow_state.times[i] * stretch)
            step = min(QUARTERS * (flow_state.times[i] * stretch) / MINUTE, QUARTERS - 1e-9)
            whole_step = np.int64(step)
            log_fair = course.fair[QUARTERS * m + whole_step]
            log_fair += (step - whole_step) * (course.fair[QUARTERS * m + whole_step + 1] - log_fair)
            fair = price * np.exp(log_fair) - stock.base
            next_order(book, flow_state, tape, stock, rng, flow, tilt, time, fair, unit, mean, m < 30, bias)
            if uniform(rng) < flow.cancel:
                end = start + (MINUTE - 1 if i == count - 1 else np.int64(flow_state.times[i + 1] * stretch))
                cancel_one(book, flow_state, tape, stock, rng, time + np.int64(uniform(rng) * (end - time)), fair)
        got = (clock[C_TRADED] - before) / (mean * count)
        yielded = min(max(0.97 * yielded + 0.03 * got, 0.08), 1.0)
