"""The 15 minute-bar factors, and the monitor's three that need bars alone.

Source: Huatai 2023-12-08 (series 72), chart 6; Haitong weekly, 2023-12-15.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from mg_assets.factors.kernels.cache import kernel
from mg_assets.factors.kernels.clock import EARLY_MINUTES, LATE_MINUTE, MINUTES
from mg_assets.factors.kernels.columns import StockRows
from mg_assets.factors.kernels.moments import LEAST_PAIRS, LEAST_PAIRS_SESSION, corr, ratio, skew
from mg_assets.factors.registry import MINUTE

MONITOR_OF_BARS = ("intraday_skew", "improved_reversal", "tail_volume_share")
BAR_COLUMNS = ("minute", "open", "high", "low", "close", "volume", "amount", "num_trades")
BAR_ARRAYS = ("open", "close", "volume", "amount", "num_trades", "r", "amplitude")
"""Arrays of a stock's day that its factors are made of, 240 bars each."""


def minute_factors(bars: pd.DataFrame) -> pd.DataFrame:
    """Fifteen factors of each stock's day from its one-minute bars.

    Parameters
    ----------
    bars : DataFrame
        ``minute_bars`` of one day (prices in yuan, volume in shares, amount in yuan), in any
        order, bars without trades present or not. An optional column ``prev_close`` is the
        exchange's reference price; without it, the close of a bar before the first trade is.

    Returns
    -------
    DataFrame
        Index ``symbol`` ascending, columns :data:`mg_assets.factors.registry.MINUTE`. All NaN for
        a stock without trades; NaN in the factors that need ``num_trades`` (or ``amount``) where
        a bar with trades lacks it.

    Raises
    ------
    DataError
        A column is missing, a minute is outside 0..239 or occurs twice in a stock's day.
    """
    rows = bar_rows(bars)
    values, _ = bar_values(rows)
    return pd.DataFrame(values[:, : len(MINUTE)], pd.Index(rows.symbols, name="symbol"), list(MINUTE))


def bar_rows(bars: pd.DataFrame) -> StockRows:
    """The minute bars grouped by stock."""
    return StockRows("minute_bars", bars, BAR_COLUMNS)


def bar_values(rows: StockRows) -> tuple[np.ndarray, np.ndarray]:
    """Columns ``MINUTE`` and ``MONITOR_OF_BARS`` ``(S, 18)``, and which stocks have trades ``(S,)``."""
    named = [*BAR_COLUMNS[1:], *(["prev_close"] if rows.has("prev_close") else [])]
    columns = {"minute": rows.integers("minute"), **{name: rows.floats(name) for name in named}}
    values, traded, wrong = bar_arrays(rows.offsets, columns)
    if wrong >= 0:
        raise rows.wrong_minute(wrong, int(columns["minute"][wrong]))
    return values, traded


def day_bars(bars: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """One stock's day as its factors see it: arrays :data:`BAR_ARRAYS` ``(7, 240)``, bars with trades ``(240,)``."""
    rows = bar_rows(bars)
    arrays, traded = np.empty((len(BAR_ARRAYS), MINUTES)), np.empty(MINUTES, np.bool_)
    has_prev = rows.has("prev_close")
    minute = rows.integers("minute")
    named = (*BAR_COLUMNS[1:], "prev_close" if has_prev else "close")
    scratch = np.empty(MINUTES), np.empty(MINUTES, np.bool_)
    wrong = fill_bars(minute, *(rows.floats(name) for name in named), has_prev, arrays, traded, *scratch)
    if wrong >= 0:
        raise rows.wrong_minute(wrong, int(minute[wrong]))
    return arrays, traded


def bar_arrays(offsets: np.ndarray, columns: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, int]:
    """Run the kernel over grouped bars: values ``(S, 18)``, who traded ``(S,)``, a row whose minute is wrong or -1."""
    stocks = len(offsets) - 1
    out = np.full((stocks, len(MINUTE) + len(MONITOR_OF_BARS)), np.nan)
    traded = np.zeros(stocks, bool)
    has_prev = "prev_close" in columns
    wrong = _kernel(
        offsets,
        columns["minute"],
        columns["open"],
        columns["high"],
        columns["low"],
        columns["close"],
        columns["volume"],
        columns["amount"],
        columns["num_trades"],
        columns["prev_close" if has_prev else "close"],
        has_prev,
        out,
        traded,
    )
    return out, traded, wrong


@kernel(nogil=True, error_model="numpy")
def minute_returns(open_, close, traded, prev_close, r):
    """Fill ``r`` with the minute returns; prices of bars without trades need not be set.

    The first bar with trades has close / open - 1; bars before it have 0 if the previous close is given, else NaN.

    Returns
    -------
    int
        That first bar, or 240.
    """
    first = 0
    while first < MINUTES and not traded[first]:
        first += 1
    for m in range(first):
        r[m] = 0.0 if prev_close > 0.0 else np.nan
    if first == MINUTES:
        return first
    r[first] = close[first] / open_[first] - 1.0
    last = close[first]
    for m in range(first + 1, MINUTES):
        if traded[m]:
            r[m] = close[m] / last - 1.0
            last = close[m]
        else:
            r[m] = 0.0
    return first


@kernel(nogil=True, inline="always")
def _priced(x):
    return x > 0.0 and math.isfinite(x)


@kernel(nogil=True, error_model="numpy")
def _kernel(offsets, minute, open_, high, low, close, volume, amount, trades, prev_close, has_prev, out, any_trades):
    """Fill the stocks' factors and who traded; the row whose minute is wrong, or -1."""
    bars = np.empty((len(BAR_ARRAYS), MINUTES))
    stated = np.empty(MINUTES)
    seen = np.empty(MINUTES, np.bool_)
    traded = np.empty(MINUTES, np.bool_)
    top = np.empty(MINUTES, np.bool_)
    for s in range(len(offsets) - 1):
        rows = slice(offsets[s], offsets[s + 1])
        wrong = fill_bars(
            minute[rows], open_[rows], high[rows], low[rows], close[rows], volume[rows], amount[rows], trades[rows],
            prev_close[rows], has_prev, bars, traded, stated, seen,
        )  # fmt: skip
        if wrong >= 0:
            return offsets[s] + wrong
        if traded.any():
            any_trades[s] = True
            _factors(bars, traded, top, out[s])
    return -1


@kernel(nogil=True, error_model="numpy")
def fill_bars(
    minute, open_, high, low, close, volume, amount, trades, prev_close, has_prev, bars, traded, stated, seen
):  # fmt: skip
    """Lay one stock's rows out on the day's 240 bars; bars without trades carry the close before.

    Parameters
    ----------
    minute, open_, .., prev_close : ndarray (n,)
        The stock's rows; ``prev_close`` is read where ``has_prev``.
    bars : ndarray (7, 240)
        Filled, rows :data:`BAR_ARRAYS`. Without any trade only ``volume``, ``amount`` and ``trades`` are.
    traded : ndarray of bool (240,)
        Filled: bars with trades.
    stated, seen : ndarray (240,)
        Scratch.

    Returns
    -------
    int
        The row whose minute is outside the day or occurs twice, or -1.
    """
    o, c, v, a, n, r, amplitude = bars[0], bars[1], bars[2], bars[3], bars[4], bars[5], bars[6]
    v[:] = 0.0
    a[:] = 0.0
    n[:] = 0.0
    stated[:] = np.nan
    seen[:] = False
    traded[:] = False
    prev = np.nan
    for i in range(len(minute)):
        m = minute[i]
        if m < 0 or m >= MINUTES or seen[m]:
            return i
        seen[m] = True
        if has_prev and _priced(prev_close[i]):
            prev = prev_close[i]
        if not volume[i] > 0.0:
            stated[m] = close[i]
        elif _priced(open_[i]) and _priced(high[i]) and _priced(low[i]) and _priced(close[i]):
            traded[m] = True
            o[m] = open_[i]
            c[m] = close[i]
            v[m] = volume[i]
            a[m] = amount[i]
            n[m] = trades[i]
            amplitude[m] = high[i] / low[i] - 1.0
    m = 0
    while m < MINUTES and not traded[m]:
        if not _priced(prev) and _priced(stated[m]):
            prev = stated[m]
        m += 1
    if minute_returns(o, c, traded, prev, r) == MINUTES:
        return -1
    last = prev
    for m in range(MINUTES):
        if traded[m]:
            last = c[m]
        else:
            o[m] = last
            c[m] = last
            amplitude[m] = 0.0 if last > 0.0 else np.nan
    return -1


@kernel(nogil=True, error_model="numpy")
def _factors(bars, traded, top, row):
    """Fill one stock's factors from its bars; ``top`` is scratch."""
    o, c, v, a, n, r, amplitude = bars[0], bars[1], bars[2], bars[3], bars[4], bars[5], bars[6]
    row[0] = skew(r[LATE_MINUTE:])
    squares = down_squares = day_volume = 0.0
    day_amount = day_trades = down_amount = down_trades = 0.0
    counted = True  # every bar with trades has its number of trades and its amount
    half_hours = np.zeros(8)
    for m in range(MINUTES):
        if math.isfinite(r[m]):
            squares += r[m] * r[m]
            if r[m] < 0.0:
                down_squares += r[m] * r[m]
                down_amount += a[m]
                down_trades += n[m]
        day_volume += v[m]
        half_hours[m // 30] += v[m]
        day_amount += a[m]
        day_trades += n[m]
        if traded[m] and not (n[m] > 0.0 and math.isfinite(a[m])):
            counted = False
    row[1] = ratio(down_squares, squares)
    row[2] = corr(r[1:], r[:-1], LEAST_PAIRS)
    row[3] = corr(c[:-1], o[1:], LEAST_PAIRS)
    for k in range(1, 7):
        row[3 + k] = ratio(half_hours[k], day_volume)
    row[10] = corr(v, n, LEAST_PAIRS)
    row[11] = corr(v[:EARLY_MINUTES], r[:EARLY_MINUTES], LEAST_PAIRS_SESSION)
    if counted:
        top_bars(a, n, traded, top)
        product = 1.0
        for m in range(MINUTES):
            if top[m]:
                product *= 1.0 + r[m] if math.isfinite(r[m]) else 1.0
        row[12] = product - 1.0
        row[13] = ratio(ratio(down_amount, down_trades), ratio(day_amount, day_trades))
    row[14] = corr(v, amplitude, LEAST_PAIRS)
    row[15] = skew(r)
    row[16] = c[MINUTES - 1] / c[EARLY_MINUTES - 1] - 1.0
    row[17] = ratio(half_hours[7], day_volume)


@kernel(nogil=True, error_model="numpy")
def top_bars(amount, trades, traded, top):
    """Mark the 30% of the bars with trades that have the largest amount per trade."""
    cents = np.empty(MINUTES, np.int64)
    quotients = np.empty(MINUTES)
    count = 0
    for m in range(MINUTES):
        cents[m] = round(amount[m] * 100.0) if traded[m] else 0
        quotients[m] = cents[m] / trades[m] if traded[m] else -np.inf
        count += traded[m]
    keys = quotients.view(np.int64)
    for m in range(MINUTES):  # as integers in the order of the numbers
        keys[m] ^= (keys[m] >> 63) & np.int64(0x7FFFFFFFFFFFFFFF)
    wanted = (3 * count + 9) // 10
    limit, above = _limit(keys, wanted)
    for m in range(MINUTES):
        top[m] = keys[m] > limit or (keys[m] == limit and _equals_before(m, keys, cents, trades) < wanted - above)


@kernel(nogil=True)
def _limit(keys, wanted):
    """A key that at most ``wanted`` keys are above, and at least as many not below; how many are above."""
    # halving, with counts that are vectorised: a sort of the bars takes ten times as long
    low = high = keys[0]
    for m in range(1, MINUTES):
        low = min(low, keys[m])
        high = max(high, keys[m])
    above = 0  # keys above ``high``; below ``low`` there are none that count
    while low < high:
        middle = (low & high) + ((low ^ high) >> 1)  # the mean, rounded down, without an overflow
        count = 0
        for m in range(MINUTES):
            count += keys[m] > middle
        if count > wanted:
            low = middle + 1
        else:
            high, above = middle, count
            if count == wanted:
                break
    return high, above


@kernel(nogil=True)
def _equals_before(m, keys, cents, n):
    """How many bars of bar m's key rank before it: by the exact amount per trade, then the earlier."""
    # quotients are compared crosswise in integers, so that equal ones tie: whole cents times a number of trades stay
    # below 2^63 for any bar under 10^12 yuan
    count = 0
    for k in range(MINUTES):
        if keys[k] == keys[m]:
            x, y = cents[k] * np.int64(n[m]), cents[m] * np.int64(n[k])
            count += x > y or (x == y and k < m)
    return count
