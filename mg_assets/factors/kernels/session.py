"""One stock's session trades in one pass: minute arrays, amounts, and runs of rows of one minute.

Rows in time order change the minute rarely: a run is a stretch of rows of one minute and phase
(auction, early, continuous), whose sums stay in registers.
"""

import math

import numpy as np

from mg_assets.factors.kernels.cache import kernel
from mg_assets.factors.kernels.clock import AUCTION, MINUTES, MS_PER_DAY, OUTSIDE, trade_piece

MINUTE_ARRAYS = (
    "open", "high", "low", "close", "volume", "amount", "num_trades", "active_buy", "active_sell", "big_net",
)  # fmt: skip
OPEN, HIGH, LOW, CLOSE, VOLUME, AMOUNT, TRADES, ACTIVE_BUY, ACTIVE_SELL, BIG_NET = range(len(MINUTE_ARRAYS))


@kernel(nogil=True, inline="always")
def is_valid_trade(price, volume):
    """Whether a trade row counts: rows with price <= 0 or volume <= 0 (or null) do not."""
    return price > 0.0 and volume > 0.0 and math.isfinite(price) and math.isfinite(volume)


@kernel(nogil=True, error_model="numpy")
def session_minutes(stamps, price, volume, side, minutes, amount, last_price, run_end, run_minute, run_phase):
    """Fill the minute arrays, rows' amounts (0: does not count) and last prices, and the runs of one stock.

    Parameters
    ----------
    stamps, price, volume, side : ndarray (n,)
        One stock's rows in sequence order.
    minutes : ndarray (10, 240)
        Rows :data:`MINUTE_ARRAYS`; all but ``big_net`` are filled. Prices of bars without trades are NaN.
    amount : ndarray (>= n,)
    last_price : ndarray (>= n,)
        Price of the row or, where it does not count, of the trade before; before the first trade, the first trade's.
    run_end, run_minute, run_phase : ndarray (>= n,)
        Row after a run's last, its bar and its phase; rows outside the session are runs, too.

    Returns
    -------
    int
        Number of runs.
    """
    n = len(stamps)
    for k in range(VOLUME):
        minutes[k] = np.nan
    for k in range(VOLUME, len(MINUTE_ARRAYS)):
        minutes[k] = 0.0
    runs = 0
    i = 0
    last = 0.0
    first_trade = -1
    while i < n:
        ms = stamps[i] % MS_PER_DAY
        m, phase, first, end = trade_piece(ms)
        midnight = stamps[i] - ms
        begin = midnight + first
        beyond = midnight + end
        if phase == OUTSIDE:
            while i < n and begin <= stamps[i] < beyond:
                amount[i] = 0.0
                last_price[i] = last
                i += 1
        else:
            count = minutes[TRADES, m]
            high = minutes[HIGH, m] if count > 0.0 else -np.inf
            low = minutes[LOW, m] if count > 0.0 else np.inf
            open_ = minutes[OPEN, m]
            close = minutes[CLOSE, m]
            shares = minutes[VOLUME, m]
            total = minutes[AMOUNT, m]
            bought = minutes[ACTIVE_BUY, m]
            sold = minutes[ACTIVE_SELL, m]
            start = i
            while i < n and begin <= stamps[i] < beyond:
                p = price[i]
                v = np.float64(volume[i])
                a = 0.0
                if is_valid_trade(p, v):
                    a = p * v
                    if count == 0.0:
                        open_ = p
                    close = last = p
                    high = max(high, p)
                    low = min(low, p)
                    shares += v
                    total += a
                    count += 1.0
                    bought += a if side[i] == 1 else 0.0
                    sold += a if side[i] == -1 else 0.0
                amount[i] = a
                last_price[i] = last
                i += 1
            if first_trade < 0 and last > 0.0:
                first_trade = start
                while amount[first_trade] == 0.0:
                    first_trade += 1
            if count > 0.0:
                minutes[OPEN, m] = open_
                minutes[HIGH, m] = high
                minutes[LOW, m] = low
                minutes[CLOSE, m] = close
                minutes[VOLUME, m] = shares
                minutes[AMOUNT, m] = total
                minutes[TRADES, m] = count
                if phase != AUCTION:
                    minutes[ACTIVE_BUY, m] = bought
                    minutes[ACTIVE_SELL, m] = sold
        run_end[runs] = i
        run_minute[runs] = m
        run_phase[runs] = phase
        runs += 1
    if first_trade > 0:
        last_price[:first_trade] = last_price[first_trade]
    return runs


@kernel(nogil=True, error_model="numpy")
def carry_closes(day, prev_close, traded):
    """Give the bars without trades of ``day (S, 10, 240)`` the close before as their prices; mark who traded."""
    for s in range(len(day)):
        minutes = day[s]
        last = prev_close[s]
        for m in range(MINUTES):
            if minutes[TRADES, m] == 0.0:
                for k in range(VOLUME):
                    minutes[k, m] = last
            else:
                last = minutes[CLOSE, m]
                traded[s] = True
