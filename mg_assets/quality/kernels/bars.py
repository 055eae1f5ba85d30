"""One-pass scans of minute bars, and the totals of trades and minute bars that are compared with them."""

import numpy as np

from mg_assets.quality.kernels.marks import AUCTION, CLOSED, TOLERANCE, kernel, mark, off_tick

MINUTES = 240
CENT = 0.01 + 1e-9  # vendors round amounts to yuan: a lot's average price moves by half a cent

BAR_RULES = ("bad_grid", "bad_ohlc", "negative", "bad_empty", "no_price", "bad_vwap", "off_tick", "outside_limits")


@kernel()
def _bad_ohlc(o, high, low, c, priced):
    """Whether a bar's prices contradict each other, or only some of them are there."""
    if priced:
        return low > min(o, c) + TOLERANCE or high < max(o, c) - TOLERANCE or low <= 0
    return np.isfinite(o) or np.isfinite(high) or np.isfinite(low) or np.isfinite(c)


@kernel()
def _bad_empty(o, high, low, c, priced, last, amount, trades, off):
    """Whether a bar without volume does not repeat the last close, or has more amount than ``off`` rounded shares."""
    flat = not priced or (o == high and high == low and low == c)
    carried = not np.isfinite(last) or c == last
    unseen = off > 0 and priced and amount <= off * (high + CENT)
    return not flat or not carried or (not unseen and (amount > 0 or trades > 0))


@kernel()
def scan_bars(codes, minute, open_, high_, low_, close, volume, amount, trades, up, down, step, found):
    """Rules of minute bars.

    The average price is that of some volume within ``step / 2`` of the stated one: a vendor that rounds volumes to
    lots states the amount of all shares. In bars 0 and 239, where an auction's row was added, within ``step``.

    Parameters
    ----------
    codes : int32 (N,)
        Symbol of each row; rows by symbol, then minute.
    minute : int16 (N,)
    open_, high_, low_, close, amount : float64 (N,)
    volume : int64 (N,)
    trades : int32 (N,)
        -1 where the source has no count.
    up, down : float64 (S,)
    step : int
        Volumes are rounded to multiples of so many shares; 1 where they are exact.
    found : int64 (8, 1 + E)
        Filled in; rules as ``BAR_RULES``.
    """
    at = 0  # the minute that the row should have
    rounding = 0.5 * step if step > 1 else 0.0
    for i in range(len(codes)):
        s = codes[i]
        new = i == 0 or codes[i - 1] != s
        if new and i > 0 and at != MINUTES - 1:
            mark(found, 0, i - 1)  # the symbol before ended too soon or too late
        at = 0 if new else at + 1
        if minute[i] != at:
            mark(found, 0, i)
        o, high, low, c = open_[i], high_[i], low_[i], close[i]
        priced = np.isfinite(o) and np.isfinite(high) and np.isfinite(low) and np.isfinite(c)
        if _bad_ohlc(o, high, low, c, priced):
            mark(found, 1, i)
        if volume[i] < 0 or amount[i] < 0 or trades[i] < -1:
            mark(found, 2, i)
        off = 2.0 * rounding if at == 0 or at == MINUTES - 1 else rounding
        if volume[i] == 0:
            last = np.nan if new else close[i - 1]
            if _bad_empty(o, high, low, c, priced, last, amount[i], trades[i], off):
                mark(found, 3, i)
        elif not priced or trades[i] == 0:
            mark(found, 4, i)
        else:
            if amount[i] < (low - CENT) * (volume[i] - off) or amount[i] > (high + CENT) * (volume[i] + off):
                mark(found, 5, i)
            if off_tick(o) or off_tick(high) or off_tick(low) or off_tick(c):
                mark(found, 6, i)
            if s >= 0 and (high > up[s] + TOLERANCE or low < down[s] - TOLERANCE):
                mark(found, 7, i)
    if len(codes) and at != MINUTES - 1:
        mark(found, 0, len(codes) - 1)


@kernel()
def trade_totals(codes, time, price, volume, symbols):
    """Volume, amount and number of the trades that belong to a day's bars (after hours left out), by symbol."""
    total = np.zeros(symbols, np.int64)
    amount = np.zeros(symbols, np.float64)
    count = np.zeros(symbols, np.int64)
    for i in range(len(codes)):
        s = codes[i]
        if s < 0 or not AUCTION <= time[i] < CLOSED or price[i] <= 0 or volume[i] <= 0:
            continue
        total[s] += volume[i]
        amount[s] += price[i] * volume[i]
        count[s] += 1
    return total, amount, count


@kernel()
def day_totals(codes, open_, high_, low_, close, volume, amount, symbols):
    """A day's bar of each symbol from its minute bars with trades.

    Returns
    -------
    float64 (symbols, 6)
        Open, high, low, close, volume, amount; NaN prices and 0 where a symbol has no trades.
    """
    out = np.full((symbols, 6), np.nan)
    out[:, 4:] = 0.0
    for i in range(len(codes)):
        s = codes[i]
        if s < 0 or volume[i] <= 0:
            continue
        if out[s, 4] == 0.0:
            out[s, 0], out[s, 1], out[s, 2] = open_[i], high_[i], low_[i]
        out[s, 1] = max(out[s, 1], high_[i])
        out[s, 2] = min(out[s, 2], low_[i])
        out[s, 3] = close[i]
        out[s, 4] += volume[i]
        out[s, 5] += amount[i]
    return out
