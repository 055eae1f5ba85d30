"""Weekly and monthly bars from adjusted daily bars: completed ones, and the one to date.

The frame form (:func:`period_bars`) makes the lake's tables; the dense form serves the models.
Both follow one rule: open of the first day with trades, extremes over the days with trades, close
of the last one, vwap weighted by volume, volume summed. A period without any trade has volume 0
and its last close, adjusted, as every price.
"""

import numpy as np
import pandas as pd

from mg_assets.errors import DataError
from mg_assets.factors.kernels.cache import kernel
from mg_assets.market.schema import PERIOD_BARS
from mg_axes import as_days, bare

FIELDS = ("open", "high", "low", "close", "vwap", "volume")


def period_bars(daily: pd.DataFrame) -> pd.DataFrame:
    """One adjusted bar a stock from the daily bars of one week or month.

    Parameters
    ----------
    daily : DataFrame
        ``daily_bars`` of the period's days (raw prices beside ``adj_factor``) with a column ``date``,
        in any order.

    Returns
    -------
    DataFrame
        Columns of ``weekly_bars``, sorted by symbol. Prices are raw * adj_factor, ``volume`` is the
        sum of raw / adj_factor rounded to whole shares, ``float_shares`` the last day's / adj_factor,
        ``adj_factor`` 1, ``prev_close`` the first day's, adjusted; a period has no price limits (NaN).
        ``vwap`` = sum(amount) / sum(adjusted volume); on a day whose amount is null its vwap * volume,
        else close * volume is used instead, and ``attrs["vwap_without_amount"]`` lists those symbols.
        ``suspended`` where no day had trades; ``st`` is the last day's. A null ``adj_factor`` makes
        that day's prices null.

    Raises
    ------
    DataError
        A column is missing, or a stock has a date twice.
    """
    lacking = [c for c in ("date", *PERIOD_BARS.names) if c not in daily.columns]
    if lacking:
        raise DataError(f"daily bars lack the columns {lacking}; give them 'date' and the lake's daily_bars columns")
    dates = as_days(daily["date"], "date")
    codes, symbols = pd.factorize(daily["symbol"], sort=True)
    order = np.lexsort((dates, codes))
    codes, dates = codes[order], dates[order]
    if not len(codes):
        return daily[PERIOD_BARS.names].iloc[:0].copy()
    again = (codes[1:] == codes[:-1]) & (dates[1:] == dates[:-1])
    if again.any():
        row = int(np.flatnonzero(again)[0])
        raise DataError(f"daily bars have {symbols[codes[row]]} twice on {dates[row]}; a day has one row a symbol")

    def column(name: str) -> np.ndarray:
        return daily[name].to_numpy(np.float64, na_value=np.nan)[order]

    first = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    last = np.append(first[1:], len(codes)) - 1
    factor, raw_volume, amount, close = column("adj_factor"), column("volume"), column("amount"), column("close")
    adjusted = np.stack([column(n) * factor for n in ("open", "high", "low", "close", "vwap")])
    traded = (raw_volume > 0) & np.isfinite(adjusted[3])
    no_amount = traded & ~np.isfinite(amount)
    vwap = column("vwap")
    value = np.where(no_amount, np.where(np.isfinite(vwap), vwap, close) * raw_volume, amount)
    volume = np.where(traded, raw_volume / factor, 0.0)

    at = np.arange(len(codes))
    first_traded = np.minimum.reduceat(np.where(traded, at, len(codes)), first)
    last_traded = np.maximum.reduceat(np.where(traded, at, -1), first)
    last_priced = np.maximum.reduceat(np.where(np.isfinite(adjusted[3]), at, -1), first)
    empty = last_traded < 0
    carried = np.where(last_priced >= 0, adjusted[3][last_priced], np.nan)
    total = np.add.reduceat(volume, first)
    with np.errstate(invalid="ignore", divide="ignore"):
        bars = {
            "open": adjusted[0][np.minimum(first_traded, len(codes) - 1)],
            "high": np.maximum.reduceat(np.where(traded, adjusted[1], -np.inf), first),
            "low": np.minimum.reduceat(np.where(traded, adjusted[2], np.inf), first),
            "close": adjusted[3][last_traded],
            "vwap": np.add.reduceat(np.where(traded, value, 0.0), first) / total,
        }
    trades = column("num_trades")
    frame = pd.DataFrame(
        {
            "symbol": np.asarray(symbols, dtype=object),
            **{name: np.where(empty, carried, bar) for name, bar in bars.items()},
            "volume": np.rint(total).astype(np.int64),
            "amount": np.add.reduceat(np.where(traded, amount, 0.0), first),
            "num_trades": pd.array(np.add.reduceat(np.where(traded, trades, 0.0), first), "Float64").astype("Int64"),
            "prev_close": (column("prev_close") * factor)[first],
            "adj_factor": 1.0,
            "up_limit": np.nan,
            "down_limit": np.nan,
            "suspended": empty,
            "st": daily["st"].astype("boolean").fillna(False).to_numpy(bool)[order][last],
            "float_shares": (column("float_shares") / factor)[last],
        }
    )
    frame["symbol"] = frame["symbol"].astype("str")
    frame.attrs["vwap_without_amount"] = [str(symbols[c]) for c in np.unique(codes[no_amount])]
    return frame[PERIOD_BARS.names]


def period_to_date(
    open: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    vwap: np.ndarray,
    volume: np.ndarray,
    period_of_day: np.ndarray,
    dtype: type = np.float64,
) -> np.ndarray:
    """The week's or month's bar to date at each day's close.

    Parameters
    ----------
    open, high, low, close, vwap, volume : ndarray of float (D, S)
        Adjusted daily bars; volume 0 on a day without trades, close NaN where a stock is absent.
        A day with trades and a NaN vwap counts with its close.
    period_of_day : ndarray (D,)
        Non-decreasing key of each day's period (a Monday, a month, a number).
    dtype : type
        Of the result.

    Returns
    -------
    ndarray (D, S, 6)
        Fields ``FIELDS``; row T uses days up to T only. NaN on a day on which the stock is absent.

    Raises
    ------
    DataError
        Shapes differ, or the periods are not in order.
    """
    arrays, period = _checked((open, high, low, close, vwap, volume), period_of_day)
    out = np.full((*arrays[0].shape, len(FIELDS)), np.nan, dtype)
    _running_kernel(arrays, period, True, out)
    return out


def completed_periods(
    open: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    vwap: np.ndarray,
    volume: np.ndarray,
    period_of_day: np.ndarray,
    dtype: type = np.float64,
) -> np.ndarray:
    """One bar a period and stock.

    Parameters
    ----------
    open, high, low, close, vwap, volume : ndarray of float (D, S)
        Adjusted daily bars, as for :func:`period_to_date`.
    period_of_day : ndarray (D,)
        Non-decreasing key of each day's period.
    dtype : type
        Of the result.

    Returns
    -------
    ndarray (P, S, 6)
        Fields ``FIELDS``, periods ascending, the last as complete as the days given. NaN where a stock has no day in
        the period.
    """
    arrays, period = _checked((open, high, low, close, vwap, volume), period_of_day)
    count = int(period[-1]) + 1 if len(period) else 0
    out: np.ndarray = np.full((count, arrays[0].shape[1], len(FIELDS)), np.nan, dtype)
    _running_kernel(arrays, period, False, out)
    return out


def _checked(arrays: tuple[np.ndarray, ...], period_of_day: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    shape = np.shape(arrays[0])
    for values in arrays:
        bare("a bar's field", values, DataError)
    key = np.asarray(period_of_day)
    if len(shape) != 2 or any(np.shape(a) != shape for a in arrays) or key.shape != shape[:1]:
        raise DataError(
            f"shapes were {[np.shape(a) for a in arrays]} and {key.shape}; expected six (days, stocks) and one (days,)"
        )
    if (key[1:] < key[:-1]).any():
        at = int(np.flatnonzero(key[1:] < key[:-1])[0])
        raise DataError(f"period {key[at + 1]} follows {key[at]} at day {at + 1}; sort the days first")
    period = np.zeros(len(key), np.int64)
    period[1:] = np.cumsum(key[1:] != key[:-1])
    views = [np.ascontiguousarray(a, np.float64).view() for a in arrays]
    for view in views:
        view.flags.writeable = False
    return tuple(views), period


@kernel(nogil=True, error_model="numpy")
def _running_kernel(arrays, period, daily, out):
    """Write the running bar to ``out[day]`` (daily) or to ``out[period]``, the last day's staying."""
    open_, high, low, close, vwap, volume = arrays
    days, stocks = close.shape
    state = np.zeros((stocks, 6))  # open, high, low, close, value, volume of the period so far
    for d in range(days):
        if d > 0 and period[d] != period[d - 1]:
            state[:] = 0.0
        row = d if daily else period[d]
        for s in range(stocks):
            c = close[d, s]
            if not np.isfinite(c):
                continue
            bar = state[s]
            v = volume[d, s]
            if v > 0.0:
                if bar[5] == 0.0:
                    bar[0] = open_[d, s]
                    bar[1] = high[d, s]
                    bar[2] = low[d, s]
                else:
                    bar[1] = max(bar[1], high[d, s])
                    bar[2] = min(bar[2], low[d, s])
                bar[3] = c
                bar[4] += (vwap[d, s] if np.isfinite(vwap[d, s]) else c) * v
                bar[5] += v
            cell = out[row, s]
            if bar[5] > 0.0:
                cell[0] = bar[0]
                cell[1] = bar[1]
                cell[2] = bar[2]
                cell[3] = bar[3]
                cell[4] = bar[4] / bar[5]
                cell[5] = bar[5]
            else:
                cell[:5] = c
                cell[5] = 0.0
