"""Fourteen features of a day seen in bars of 240, 60 and 30 minutes: sequences of 1, 4 and 8 steps.

Source: Haitong 2023 (series 88) names the granularities, not the features; ours are in docs/factors.md.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mg_assets.errors import DataError
from mg_assets.factors.cross_section import trailing_mean
from mg_assets.factors.kernels.cache import kernel
from mg_assets.factors.kernels.clock import MINUTES
from mg_assets.factors.kernels.minute import bar_rows, minute_returns
from mg_assets.factors.kernels.moments import LEAST_PAIRS, LEAST_PAIRS_SESSION, corr, ratio, skew
from mg_assets.factors.kernels.session import MINUTE_ARRAYS as ARRAYS
from mg_axes import bare

FEATURES = (
    "ret", "amplitude", "vwap_dev", "log_amount", "volume_share", "realized_vol", "skew", "down_vol_share",
    "corr_volume_ret", "amt_per_trade", "active_buy_share", "big_net_buy_share", "path_efficiency", "max_minute_share",
)  # fmt: skip
FROM_TRADES = ("active_buy_share", "big_net_buy_share")
GRANULARITIES = {"features_240m": 240, "features_60m": 60, "features_30m": 30}
"""Table -> minutes of a bar."""
HISTORY_DAYS = 20  # of the daily bar's usual volume and amount per trade, today included
_OPEN, _HIGH, _LOW, _CLOSE, _VOLUME, _AMOUNT, _TRADES, _BUY, _SELL, _BIG = range(len(ARRAYS))
_PER_TRADE = FEATURES.index("amt_per_trade")


@dataclass(frozen=True)
class Granular:
    """A day's features at three granularities.

    Attributes
    ----------
    bars_240, bars_60, bars_30 : ndarray of float64 (S, 1, 14), (S, 4, 14), (S, 8, 14)
        Last axis :data:`FEATURES`.
    """

    bars_240: np.ndarray
    bars_60: np.ndarray
    bars_30: np.ndarray

    def table(self, name: str) -> np.ndarray:
        """A table's values ``(S, steps * 14)``, columns :func:`column_names`."""
        bars = {240: self.bars_240, 60: self.bars_60, 30: self.bars_30}[GRANULARITIES[name]]
        # feature by feature, so that the steps of a feature are neighbouring columns
        return bars.transpose(0, 2, 1).reshape(len(bars), bars.shape[1] * bars.shape[2])  # -1 needs a stock


def column_names(table: str) -> tuple[str, ...]:
    """Columns of a feature table: ``ret`` .. for the daily bar, else ``ret_1``, ``ret_2``, .. by step."""
    steps = MINUTES // GRANULARITIES[table]
    return FEATURES if steps == 1 else tuple(f"{f}_{k}" for f in FEATURES for k in range(1, steps + 1))


def granular_features(
    minutes: np.ndarray,
    prev_close: np.ndarray,
    usual_volume: np.ndarray,
    usual_amount_per_trade: np.ndarray,
) -> Granular:
    """The 14 features of every stock of one day at 240, 60 and 30 minutes.

    Parameters
    ----------
    minutes : ndarray of float (S, 10, 240)
        Rows :data:`ARRAYS`, as :func:`mg_assets.factors.day_pass` or :func:`minutes_of_bars` give them: prices in
        yuan, volume in shares, amounts in yuan; of bars without trades (volume 0) nothing is read.
        ``active_buy`` and ``active_sell`` are buyer- and seller-initiated amounts, ``big_net`` the amount of
        trades whose buy order is big minus that whose sell order is; NaN where only minute bars exist.
    prev_close : ndarray of float (S,)
        The exchange's reference price, NaN where unknown.
    usual_volume, usual_amount_per_trade : ndarray of float (S,)
        Means of the trailing 20 days, from :func:`usual_levels`.

    Returns
    -------
    Granular
        ``ret`` = close / open - 1, of the day's first bar close / previous close - 1; a bar opens with its first
        trade. ``volume_share`` and ``amt_per_trade`` are relative to the day's, and in the daily bar to the
        trailing 20 days' mean (the day included, at least 10 finite). ``active_buy_share`` = buyer-initiated /
        amount with an active side; ``big_net_buy_share`` = big_net / the bar's amount.

        A bar without trades keeps the last price: its return, amplitude, amount, volume share and volatility
        are 0, its other features NaN; before the first trade of a day without a previous close, what needs a
        price is NaN. ``corr_volume_ret`` needs 10 pairs, in 30-minute bars 5. Stocks without trades are NaN
        throughout.

    Raises
    ------
    DataError
        Shapes do not fit.
    """
    stocks = len(minutes)
    if np.shape(minutes) != (stocks, len(ARRAYS), MINUTES):
        raise DataError(f"minutes was {np.shape(minutes)}, expected (stocks, {len(ARRAYS)}, {MINUTES})")
    series = (prev_close, usual_volume, usual_amount_per_trade)
    if any(np.shape(x) != (stocks,) for x in series):
        raise DataError(f"previous closes and usual levels were {[np.shape(x) for x in series]}, expected ({stocks},)")
    found = Granular(*(np.empty((stocks, MINUTES // n, len(FEATURES))) for n in GRANULARITIES.values()))
    _day(
        _plain(minutes), _plain(prev_close), _plain(usual_volume), _plain(usual_amount_per_trade),
        found.bars_240, found.bars_60, found.bars_30,
    )  # fmt: skip
    return found


def usual_levels(
    volume: np.ndarray, amount: np.ndarray, num_trades: np.ndarray, adj_factor: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean volume and mean amount per trade of the trailing 20 days, today included, ``(D, S)`` each.

    Parameters
    ----------
    volume, amount, num_trades, adj_factor : ndarray of float (D, S)
        Columns of ``daily_bars``. A day without trades is no observation.

    Returns
    -------
    tuple of ndarray
        Volume in shares of the day (earlier days' are adjusted for splits) and yuan per trade; NaN with fewer
        than 10 finite days.
    """
    for name, values in (
        ("volume", volume),
        ("amount", amount),
        ("num_trades", num_trades),
        ("adj_factor", adj_factor),
    ):
        bare(name, values, DataError)
    with np.errstate(divide="ignore", invalid="ignore"):
        traded = volume > 0
        shares = trailing_mean(np.where(traded, volume / adj_factor, np.nan), HISTORY_DAYS) * adj_factor
        return shares, trailing_mean(np.where(traded, amount / num_trades, np.nan), HISTORY_DAYS)


def _plain(values: np.ndarray) -> np.ndarray:
    view = np.ascontiguousarray(bare("an argument", values, DataError), np.float64).view()
    view.flags.writeable = False  # one compiled form, whether the caller's array is writable or not
    return view


@kernel(nogil=True, error_model="numpy")
def _day(minutes, prev_close, usual_volume, usual_per_trade, out_240, out_60, out_30):
    r = np.empty(MINUTES)
    traded = np.empty(MINUTES, np.bool_)
    for s in range(len(minutes)):
        stock_features(
            minutes[s], prev_close[s], usual_volume[s], usual_per_trade[s], r, traded, out_240[s], out_60[s], out_30[s]
        )


@kernel(nogil=True, error_model="numpy")
def stock_features(day, prev_close, usual_volume, usual_per_trade, r, traded, out_240, out_60, out_30):
    """Fill ``out_240 (1, 14)``, ``out_60 (4, 14)`` and ``out_30 (8, 14)`` from one stock's ``day (10, 240)``.

    ``r`` and ``traded`` ``(240,)`` are scratch.
    """
    counted = True  # every bar with trades has its number of trades
    for m in range(MINUTES):
        traded[m] = day[_VOLUME, m] > 0.0
        if traded[m] and not day[_TRADES, m] > 0.0:
            counted = False
    first = minute_returns(day[_OPEN], day[_CLOSE], traded, prev_close, r)
    if first == MINUTES:
        out_240[:] = np.nan
        out_60[:] = np.nan
        out_30[:] = np.nan
        return
    volume = amount = trades = 0.0
    for m in range(MINUTES):
        if traded[m]:
            volume += day[_VOLUME, m]
            amount += day[_AMOUNT, m]
            trades += day[_TRADES, m]
    per_trade = amount / trades if counted else np.nan
    before = prev_close if prev_close > 0.0 else np.nan
    _bar(day, r, traded, 0, MINUTES, before, usual_volume, usual_per_trade, LEAST_PAIRS, out_240[0])
    if not counted:
        out_240[0, _PER_TRADE] = np.nan
    last = before
    for k in range(4):
        last = _bar(day, r, traded, 60 * k, 60 * k + 60, last, volume, per_trade, LEAST_PAIRS, out_60[k])
    last = before
    for k in range(8):  # the first and the last are the early and the late session
        last = _bar(day, r, traded, 30 * k, 30 * k + 30, last, volume, per_trade, LEAST_PAIRS_SESSION, out_30[k])


@kernel(nogil=True, error_model="numpy")
def _bar(day, r, traded, begin, end, before, whole_volume, whole_per_trade, least, row):
    """Fill one bar's features and return its close; ``before`` is the last price, ``whole_*`` the denominators."""
    open_ = high = low = close = before  # of a bar without trades
    volume = amount = trades = largest = 0.0
    bought = sold = big = 0.0
    squares = down = path = 0.0
    returns = 0
    for m in range(begin, end):
        if math.isfinite(r[m]):
            returns += 1
            squares += r[m] * r[m]
            path += abs(r[m])
            if r[m] < 0.0:
                down += r[m] * r[m]
        if not traded[m]:
            continue
        if volume == 0.0:
            open_ = day[_OPEN, m]
            high = day[_HIGH, m]
            low = day[_LOW, m]
        else:
            high = max(high, day[_HIGH, m])
            low = min(low, day[_LOW, m])
        close = day[_CLOSE, m]
        volume += day[_VOLUME, m]
        amount += day[_AMOUNT, m]
        trades += day[_TRADES, m]
        largest = max(largest, day[_VOLUME, m])
        bought += day[_BUY, m]
        sold += day[_SELL, m]
        big += day[_BIG, m]
    row[0] = close / (before if begin == 0 else open_) - 1.0
    row[1] = high / low - 1.0
    row[2] = close * volume / amount - 1.0 if volume > 0.0 else np.nan
    row[3] = math.log1p(amount)
    row[4] = ratio(volume, whole_volume)
    row[5] = math.sqrt(squares) if returns > 0 else np.nan
    row[6] = skew(r[begin:end])
    row[7] = ratio(down, squares)
    row[8] = corr(day[_VOLUME, begin:end], r[begin:end], least)
    row[9] = ratio(ratio(amount, trades), whole_per_trade)
    row[10] = ratio(bought, bought + sold)
    row[11] = ratio(big, amount)
    row[12] = ratio(abs(close / open_ - 1.0), path)
    row[13] = ratio(largest, volume)
    for k in range(len(row)):
        if not math.isfinite(row[k]):
            row[k] = np.nan
    return close


def minutes_of_bars(bars: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minute arrays of a day that has minute bars and no trades.

    Parameters
    ----------
    bars : DataFrame
        ``minute_bars`` of one day, bars without trades present or not.

    Returns
    -------
    symbols : ndarray of object (S,)
        Ascending.
    minutes : ndarray (S, 10, 240)
        Rows :data:`ARRAYS`; what only trades have is NaN. A bar without a volume or without a price above 0 is
        one without trades.
    prev_close : ndarray (S,)
        Price stated by the bars before the first trade, NaN where there are none.

    Raises
    ------
    DataError
        A column is missing, or a minute is outside 0..239 or occurs twice in a stock's day.
    """
    rows = bar_rows(bars)
    stocks = len(rows)
    minute = rows.integers("minute")
    stock = np.repeat(np.arange(stocks), np.diff(rows.offsets))
    outside = (minute < 0) | (minute >= MINUTES)
    cell = stock * MINUTES + np.where(outside, 0, minute)
    wrong = outside | (np.bincount(cell[~outside], minlength=stocks * MINUTES)[cell] > 1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise rows.wrong_minute(row, int(minute[row]))
    minutes = np.full((stocks, len(ARRAYS), MINUTES), np.nan)
    for k, name in enumerate(ARRAYS[: _TRADES + 1]):
        minutes[stock, k, minute] = rows.floats(name)
    priced = (minutes[:, : _CLOSE + 1] > 0).all(axis=1) & np.isfinite(minutes[:, : _CLOSE + 1]).all(axis=1)
    traded = (minutes[:, _VOLUME] > 0) & priced
    minutes[:, _VOLUME][~traded] = 0.0
    first = traded.argmax(axis=1)  # 0 where none was
    stated = np.where((np.arange(MINUTES) < first[:, None]) & (minutes[:, _CLOSE] > 0), minutes[:, _CLOSE], np.nan)
    known = np.isfinite(stated)
    prev_close = np.where(known.any(axis=1), stated[np.arange(stocks), known.argmax(axis=1)], np.nan)
    return rows.symbols, minutes, prev_close
