"""The call auctions' order flow: orders around a target price, and the balancing orders that make it print."""

import numpy as np
from numba import njit

from mg_assets.sources.simulated.auction import uncross
from mg_assets.sources.simulated.continuous_flow import cancel_one, order_size, whole_lots
from mg_assets.sources.simulated.kernel_random import exponential, uniform
from mg_assets.sources.simulated.matching_book import BUY, DEPTH, EMPTY, LIMIT, SELL
from mg_assets.sources.simulated.tape import C_SEQ, submit, write_fills

OPEN_AUCTION, NO_CANCEL, OPEN_PRINT = 33_300_000, 33_600_000, 33_900_000  # 09:15, 09:20, 09:25 in ms of the day
CLOSE_AUCTION, CLOSE_PRINT = 53_820_000, 54_000_000  # 14:57, 15:00


@njit(nogil=True)
def call_auction(book, flow_state, tape, stock, rng, flow, times, cancel_until, print_time, target, volume, unit):
    """Run one call auction that prints at `target`: its orders, the orders that balance it, the print.

    Parameters
    ----------
    times : (N,) int64
        Arrival times, ascending.
    cancel_until : int
        Cancels may follow orders before this time.
    target : int
        Price to print, in ticks above the lower limit.
    volume : float
        Shares meant to trade.
    unit : float
        Typical distance of orders from the target, in ticks.
    """
    mean = max(volume / (0.30 * times.size + 3.0), 100.0)
    cap = max(0.5 * volume, 300.0)
    enter_around(book, flow_state, tape, stock, rng, flow, times, cancel_until, target, mean, cap, unit)
    time = times[times.size - 1] if times.size else print_time - 20_000
    opening = cancel_until > 0
    balance(book, flow_state, tape, stock, rng, time, print_time, target, volume, mean, cap, opening)
    flow_state.clock[C_SEQ] += 1 + np.int64(20.0 * exponential(rng))
    reference = stock.previous
    uncross(book, reference)
    write_fills(book, flow_state, tape, stock, print_time + np.int64(600.0 * uniform(rng)))
    flow_state.clock[C_SEQ] += 1


@njit(nogil=True)
def enter_around(book, flow_state, tape, stock, rng, flow, times, cancel_until, target, mean, cap, unit):
    """Enter an order around the target at each of the times, some of them followed by a cancel."""
    top = stock.ticks - 1
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
        submit(book, flow_state, tape, stock, rng, times[i], side, np.int64(LIMIT), tick, size, False)
        if times[i] < cancel_until and uniform(rng) < 0.2:
            end = times[i + 1] if i + 1 < times.size else cancel_until
            cancelled = min(times[i] + (end - times[i]) // 2, cancel_until - 1)
            cancel_one(book, flow_state, tape, stock, rng, cancelled, np.nan)


@njit(nogil=True)
def balance(book, flow_state, tape, stock, rng, time, print_time, target, volume, mean, cap, opening):
    """Enter orders at the target until it alone trades most.

    With ``D`` and ``S`` the book's demand and supply, buy and sell orders at the target are added until ``min(D, S)``
    there exceeds both ``D`` one tick above and ``S`` one tick below, which bound the volume of every other price. In
    the opening auction of a one-word day the queue at the limit is made to outlast the day.
    """
    above, below = np.int64(0), np.int64(0)
    for tick in range(target + 1, stock.ticks):
        above += book.levels[BUY, tick, DEPTH]
    for tick in range(target):
        below += book.levels[SELL, tick, DEPTH]
    clear = max(max(above, below), np.int64(volume)) + stock.lot
    short = np.zeros(2, np.int64)
    short[BUY] = clear - above - book.levels[BUY, target, DEPTH]
    short[SELL] = clear - below - book.levels[SELL, target, DEPTH]
    if stock.locked > 0 and opening:
        short[BUY] = max(short[BUY], 4 * stock.volume)
    elif stock.locked < 0 and opening:
        short[SELL] = max(short[SELL], 4 * stock.volume)
    while short[BUY] > 0 or short[SELL] > 0:
        side = BUY if uniform(rng) * (max(short[BUY], 0) + max(short[SELL], 0)) < short[BUY] else SELL
        size = order_size(rng, 2.0 * mean, side, 0.6, 0.0, 1.0, 0.0, stock.lot, cap)
        size = max(size, whole_lots(short[side] // 6, stock.lot))
        if size > short[side]:
            size = whole_lots(short[side], stock.lot)
        time += np.int64((print_time - 10 - time) * 0.15 * uniform(rng))
        submit(book, flow_state, tape, stock, rng, time, side, np.int64(LIMIT), target, size, False)
        short[side] -= size


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
def closing_times(rng, times):
    """Fill `times` with ascending arrivals 14:57:00-14:59:50."""
    for i in range(times.size):
        times[i] = CLOSE_AUCTION + np.int64(uniform(rng) * 170_000.0)
    times.sort()
