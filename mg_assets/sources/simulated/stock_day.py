"""One stock's day through the book, from the first auction order to the closing print.

In order (:func:`simulate_stock`):

1. 09:15-09:25 opening call auction: orders around the opening target, cancels until 09:20, then the balancing orders
   that make the target the price of largest volume; the print (:mod:`auction_flow`);
2. 09:30-11:30 and 13:00-14:57 continuous session (:mod:`continuous_flow`) along the course drawn beforehand
   (:mod:`price_path`);
3. 14:57-15:00 closing call auction on top of the resting book, no cancels, balanced at the closing target.
"""

import numpy as np
from numba import njit

from mg_assets.sources.simulated.auction_flow import (
    CLOSE_PRINT,
    NO_CANCEL,
    OPEN_PRINT,
    call_auction,
    closing_times,
    opening_times,
)
from mg_assets.sources.simulated.continuous_flow import continuous_session
from mg_assets.sources.simulated.kernel_random import normal, uniform
from mg_assets.sources.simulated.matching_book import reset
from mg_assets.sources.simulated.tape import C_FILLS, C_ID, C_LIVE, C_SEQ, C_SHANGHAI, C_TRADED


@njit(nogil=True)
def simulate_stock(book, flow_state, tape, course, stock, rng, flow, tilt, volatility, shanghai):
    """Simulate one stock's day; rows are appended to the tape at the clock's row counters.

    Parameters
    ----------
    book, flow_state, course
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
        Orders have numbers of their own; elsewhere an order's number is its sequence number.
    """
    reset(book, stock.ticks)
    clock = flow_state.clock
    clock[C_SEQ] = 10 + np.int64(uniform(rng) * 900_000.0)
    clock[C_ID] = np.int64(uniform(rng) * 400.0)
    clock[C_FILLS], clock[C_LIVE], clock[C_TRADED] = 0, 0, 0
    clock[C_SHANGHAI] = 1 if shanghai else 0
    flow_state.parent[:] = 0
    unit = max(0.22 * volatility * (stock.base + stock.open), 1.0)

    at_limit = stock.open == 0 or stock.open == stock.ticks - 1
    share = flow.open_share * np.exp(0.35 * normal(rng)) * (8.0 if stock.locked != 0 else 3.0 if at_limit else 1.0)
    opening = flow_state.times[: max(20, np.int64(flow.open_orders * stock.orders))]
    opening_times(rng, opening)
    call_auction(
        book, flow_state, tape, stock, rng, flow, opening, NO_CANCEL, OPEN_PRINT, stock.open, share * stock.volume, unit
    )

    last_share = flow.close_share * np.exp(0.35 * normal(rng) + tilt.last_volume)
    target = max(stock.volume * (1.0 - last_share) - clock[C_TRADED], 0.2 * stock.volume)
    continuous_session(book, flow_state, tape, stock, rng, flow, tilt, course, target)

    closing = flow_state.times[: max(8, np.int64(flow.close_orders * stock.orders))]
    closing_times(rng, closing)
    call_auction(
        book,
        flow_state,
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
