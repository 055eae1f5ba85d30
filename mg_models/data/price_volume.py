r"""Features of a stock's past daily bars: shape, trend, range, volume, liquidity and market risk.

An input of the variants (``catalog/variants.py``), from daily bars alone. A window holds the last w trading
days and today; a day without a trade is no observation, and a feature needs 60% of its window. Every feature is
a ratio or a logarithm, so that the level of the adjustment factor does not matter.

With o, h, l, c, v (vwap) and V adjusted, C today's close, r = c / last close - 1 (a last close is used for 20
trading days), a = ln(v V), m = the day's mean r over stocks, u = ln(1 + V / last V), t = 1..w, means over the window:

=============  ====================================================================================
today          ``kmid`` c/o - 1, ``klen`` (h-l)/o, ``kmid2`` (c-o)/(h-l), ``kup2`` (h-max(o,c))/(h-l),
               ``klow2`` (min(o,c)-l)/(h-l), ``ksft`` (2c-h-l)/o, ``vwap`` v/c, ``ret`` r, ``gap`` o/last c - 1;
               0 over (h-l) where high = low
trend w        ``roc`` c of w days ago / C, ``ma`` mean c / C, ``std`` std c / C, ``slope``, ``rsqr`` and ``resi`` of c
               on t (slope and today's residual over C), ``max`` max h / C, ``min`` min l / C, ``rsv`` the position of C
               between those two
volume w       ``corr`` of c and ln V, ``cord`` of r and u, ``vma`` mean V / V, ``vstd`` std V / V, ``vsum`` share of
               rises in the sum of \|change of V\|
gains w        ``sum`` the share of rises in the sum of \|r\|
market w       of r on m: ``beta``, ``idio`` std of the residual, ``alpha``
liquidity      ``amount_w`` mean a, ``amount_std_w`` its std, ``amount_5_60`` and ``amount_20_240`` differences of two
               means, ``illiq`` ln of the mean of \|r\| / (v V)
past year      ``mom`` C / c of w days ago - 1, ``mom_240_20`` the same without the last month, ``high`` C / max h,
               ``vol`` std r
overnight      of n = o / last c - 1: ``night_w`` mean n, ``night_abs_20`` mean \|n\|
days apart     x's mean over the quarter of the window's days on which y was highest less that over the quarter on which
               it was lowest (the later of equal days counts as higher): ``range_by_close`` of h/l - 1 by c,
               ``ret_by_range`` of r by h/l, ``ret_by_volume`` and ``range_by_volume`` by V, ``volume_by_close`` of V
               over its mean by c
common w       the last w days' sum of the part of r - m (r within 11%) that the 20 strongest principal components of
               the past 240 days explain: what the stocks that move with this one earned
=============  ====================================================================================

Standard deviations and regressions are the population's. The principal components are those of the returns'
correlations between the stocks that trade today and have 60% of the window (a missing return counts as m); a tenth
of their number, at most 20; from 120 days on.

Source: ours. The first four groups are those of Qlib's Alpha158 less what repeats itself, the rest common daily risk
and liquidity factors; days apart in the manner of brokers' notes on amplitude and reversal, common returns after
Avellaneda and Lee, Statistical arbitrage in the US equities market (2010).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import fsum

import numpy as np
from numba import njit

from mg_axes import bare
from mg_models.data.bar_panels import on_bar_axes
from mg_models.data.panel import Panel
from mg_models.errors import InputError

WINDOWS = (5, 20, 60)
MARKET_WINDOWS = (20, 60, 120)
TODAY = ("kmid", "klen", "kmid2", "kup2", "klow2", "ksft", "vwap", "ret", "gap")
ROLLING = (
    "roc", "ma", "std", "slope", "rsqr", "resi", "max", "min", "rsv", "corr", "cord", "vma", "vstd", "vsum", "sum",
)  # fmt: skip
MARKET = ("beta", "idio", "alpha")
LIQUIDITY = ("amount_20", "amount_120", "amount_std_20", "amount_5_60", "amount_20_240", "illiq_20", "illiq_60")
YEAR = ("mom_120", "mom_240", "mom_240_20", "high_120", "high_240", "vol_120", "vol_240")
NIGHT = ("night_5", "night_20", "night_60", "night_abs_20")
APART = ("range_by_close", "ret_by_range", "ret_by_volume", "range_by_volume", "volume_by_close")
APART_WINDOWS = (20, 60)
COMMON_WINDOWS = (5, 20, 60, 120)
FEATURES = (
    *TODAY,
    *(f"{name}_{w}" for w in WINDOWS for name in ROLLING),
    *(f"{name}_{w}" for w in MARKET_WINDOWS for name in MARKET),
    *LIQUIDITY,
    *YEAR,
    *NIGHT,
    *(f"{name}_{w}" for w in APART_WINDOWS for name in APART),
    "ret_by_range_120",
    *(f"common_{w}" for w in COMMON_WINDOWS),
)
STALE_AFTER = 20  # trading days after which a last close is not used: a return over a suspension is no day's return
LOOK_BACK = 240 + STALE_AFTER
"""Days before the day itself that its features read."""
SHARE = 0.6
COMMON_DAYS, COMMON_LEAST, COMPONENTS, MOVE = 240, 120, 20, 0.11
OPEN, HIGH, LOW, CLOSE, VWAP, VOLUME = range(6)
RETURN, LOG_VOLUME, GROWN, LOG_AMOUNT, ILLIQUIDITY, RANGE, NIGHT_RETURN = range(7)


def price_volume_panel(
    days: np.ndarray,
    symbols: np.ndarray,
    daily: np.ndarray,
    rows: np.ndarray | None = None,
    workers: int = 1,
    on_day: Callable[[int, int], None] | None = None,
) -> Panel:
    """The features of :data:`FEATURES`, each less its median over the stocks that traded that day, missing 0.

    Nothing is divided: how far the stocks are apart on a day, in a feature's own unit, is information
    (``docs/real_panel.md``). Networks scale by constants of their training days (:mod:`mg_models.networks.mlp`).

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
        Trading days, ascending.
    symbols : ndarray (S,)
        Stocks.
    daily : ndarray (D, S, 6), or labelled
        Adjusted open, high, low, close, vwap (yuan) and volume (shares); volume 0 or NaN without a trade. Labelled bars
        (:mod:`mg_axes`) are aligned on the days, the symbols and these six names.
    rows : ndarray of int (n,), optional
        Days that are wanted, by index; the others stay NaN. By default all.
    workers : int
        Threads; their number changes no value.
    on_day : callable, optional
        Takes the days that are made and their total, after each.

    Returns
    -------
    Panel
        NaN where a stock did not trade that day.

    Raises
    ------
    InputError
        Shapes that do not fit.
    """
    wanted = np.arange(len(days)) if rows is None else np.asarray(rows, np.int64)
    daily = on_bar_axes("daily", daily, days, symbols)
    values = np.full((len(days), len(symbols), len(FEATURES)), np.nan, np.float32)
    series = _series(daily)

    def make(at: int) -> None:  # day by day: the raw features are never held beside the panel
        values[at] = _centred(_features(*series, np.array([at]))[0])

    with ThreadPoolExecutor(workers) as pool:
        for done, _ in enumerate(pool.map(make, wanted), 1):
            if on_day is not None:
                on_day(done, len(wanted))
    return Panel(days, symbols, values, FEATURES)


def price_volume_features(daily: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The raw features of some days.

    Parameters
    ----------
    daily : ndarray (D, S, 6)
        As in :func:`price_volume_panel`.
    rows : ndarray of int (n,)
        Days, by index.

    Returns
    -------
    ndarray of float32 (n, S, F)
        NaN where a feature is undefined.
    """
    return _features(*_series(daily), np.asarray(rows, np.int64))


def _series(daily: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Bars ``(D, S, 6)``, NaN without a trade; what windows run over ``(D, S, 7)``; the last close; the market."""
    bare("daily", daily, InputError)
    if daily.ndim != 3 or daily.shape[-1] != 6:
        raise InputError(f"daily must be (days, stocks, 6): open, high, low, close, vwap, volume; was {daily.shape}")
    bars = np.array(daily, np.float64)
    traded = np.logical_and.reduce(np.isfinite(bars) & (bars > 0), axis=-1)
    bars[~traded] = np.nan
    before = np.full(traded.shape, np.nan)  # each stock's last close before the day
    age = np.full(traded.shape[1], STALE_AFTER)  # trading days since then
    for d in range(1, len(bars)):
        age = np.where(traded[d - 1], 1, age + 1)
        kept = np.where(age <= STALE_AFTER, before[d - 1], np.nan)
        before[d] = np.where(traded[d - 1], bars[d - 1, :, CLOSE], kept)
    returns = bars[..., CLOSE] / before - 1
    seen = np.isfinite(returns)
    # fsum: the exact sum, whatever stocks without a return lie between
    market = np.array([fsum(r[s]) / max(s.sum(), 1) for r, s in zip(returns, seen, strict=True)])  # (D,)
    amount = bars[..., VWAP] * bars[..., VOLUME]
    grown = np.full(traded.shape, np.nan)
    grown[1:] = np.log1p(bars[1:, :, VOLUME] / bars[:-1, :, VOLUME])
    ranges, night = bars[..., HIGH] / bars[..., LOW] - 1, bars[..., OPEN] / before - 1
    log_volume, illiquidity = np.log(bars[..., VOLUME]), np.abs(returns) / amount
    series = np.stack([returns, log_volume, grown, np.log(amount), illiquidity, ranges, night], axis=-1)
    return bars, series, before, market


def _features(
    bars: np.ndarray, series: np.ndarray, before: np.ndarray, market: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    out = np.full((len(rows), bars.shape[1], len(FEATURES)), np.nan, np.float32)
    _fill(bars, series, before, market, rows, out)
    for d, day in zip(rows, out, strict=True):
        if d >= COMMON_LEAST:
            past = slice(max(d + 1 - COMMON_DAYS, 1), d + 1)
            _common(series[past, :, RETURN], market[past], day[:, -len(COMMON_WINDOWS) :])
    return out


def _common(returns: np.ndarray, market: np.ndarray, out: np.ndarray) -> None:
    """Fill ``out (S, COMMON_WINDOWS)`` from the window's ``returns (days, S)`` and ``market (days,)``."""
    seen = np.isfinite(returns)
    here = np.flatnonzero(seen[-1] & (seen.sum(0) >= SHARE * len(returns)))
    own = np.where(seen[:, here], np.clip(returns[:, here], -MOVE, MOVE) - market[:, None], 0.0)
    spread = own.std(0)
    here, own, spread = here[spread > 0], own[:, spread > 0], spread[spread > 0]
    count = min(COMPONENTS, len(here) // 10)
    if not count:
        return
    scaled = (own - own.mean(0)) / spread
    # eigenvectors over days, of the correlations between stocks: a matrix of days, however many stocks there are
    strongest = np.linalg.eigh(scaled @ scaled.T)[1][:, -count:]  # (days, count)
    explained = strongest.T @ own  # (count, stocks)
    for k, w in enumerate(COMMON_WINDOWS):
        out[here, k] = strongest[-w:].sum(0) @ explained


def _centred(features: np.ndarray) -> np.ndarray:
    """One day's features ``(S, F)`` less their medians, missing 0; NaN for stocks without any."""
    here = np.isfinite(features).any(1)
    values = np.where(np.isfinite(features[here]), features[here], np.nan)
    some = np.isfinite(values).any(0)
    values[:, some] -= np.nanmedian(values[:, some], axis=0)
    out = np.full(features.shape, np.nan, np.float32)
    out[here] = np.nan_to_num(values, nan=0.0)
    return out


# numbagg's moving mean, std and correlation (31 of the 96 features) take 5 to 9 ns a value, these 165 ns on average.
# But its running sums depend on where the history begins: 8 of 10 values differ in the last bits (1e-14) between a
# history of 300 and of 1,000 days. A day alone, 12 ms here for 500 stocks, would not give the bits of a range.
@njit(cache=True, error_model="numpy", nogil=True)
def _fill(bars, series, before, market, rows, out):
    """Each wanted day's features in the order of FEATURES."""
    for s in range(bars.shape[1]):
        for k in range(len(rows)):
            d, f = rows[k], out[k, s]
            if np.isnan(bars[d, s, CLOSE]):
                continue
            close = bars[d, s, CLOSE]
            _today(bars[d, s], before[d, s], f)
            at = 9
            for w in (5, 20, 60):
                if d >= w:
                    part = slice(d + 1 - w, d + 1)
                    f[at] = bars[d - w, s, CLOSE] / close
                    _rolling(bars[part, s], series[part, s], f[at + 1 : at + 15])
                at += 15
            for w in (20, 60, 120):
                if d >= w:
                    _market(series[d + 1 - w : d + 1, s, RETURN], market[d + 1 - w : d + 1], f[at : at + 3])
                at += 3
            amount, illiquidity = series[: d + 1, s, LOG_AMOUNT], series[: d + 1, s, ILLIQUIDITY]
            mean_20, std_20 = _moments(amount, 20)
            f[at], f[at + 1], f[at + 2] = mean_20, _moments(amount, 120)[0], std_20
            f[at + 3] = _moments(amount, 5)[0] - _moments(amount, 60)[0]
            f[at + 4] = mean_20 - _moments(amount, 240)[0]
            f[at + 5] = np.log(_moments(illiquidity, 20)[0])
            f[at + 6] = np.log(_moments(illiquidity, 60)[0])
            at += 7
            if d >= 120:
                f[at] = close / bars[d - 120, s, CLOSE] - 1
            if d >= 240:
                f[at + 1] = close / bars[d - 240, s, CLOSE] - 1
                f[at + 2] = bars[d - 20, s, CLOSE] / bars[d - 240, s, CLOSE] - 1
            f[at + 3] = close / _highest(bars[: d + 1, s, HIGH], 120)
            f[at + 4] = close / _highest(bars[: d + 1, s, HIGH], 240)
            f[at + 5] = _moments(series[: d + 1, s, RETURN], 120)[1]
            f[at + 6] = _moments(series[: d + 1, s, RETURN], 240)[1]
            at += 7
            night = series[: d + 1, s, NIGHT_RETURN]
            for k, w in enumerate((5, 20, 60)):
                f[at + k] = _moments(night, w)[0]
            f[at + 3] = _moments(np.abs(night[max(d - 19, 0) :]), 20)[0]
            at += 4
            for w in (20, 60):
                if d >= w:
                    part = slice(d + 1 - w, d + 1)
                    _apart(bars[part, s], series[part, s], f[at : at + 5])
                at += 5
            if d >= 120:
                f[at] = _difference(series[d - 119 : d + 1, s, RETURN], series[d - 119 : d + 1, s, RANGE])


@njit(cache=True, error_model="numpy")
def _today(bar, before, f):
    open_, high, low, close = bar[OPEN], bar[HIGH], bar[LOW], bar[CLOSE]
    spread = high - low
    f[0] = close / open_ - 1
    f[1] = spread / open_
    flat = spread <= 1e-9 * close
    f[2] = 0.0 if flat else (close - open_) / spread
    f[3] = 0.0 if flat else (high - max(open_, close)) / spread
    f[4] = 0.0 if flat else (min(open_, close) - low) / spread
    f[5] = (2 * close - high - low) / open_
    f[6] = bar[VWAP] / close
    f[7] = close / before - 1
    f[8] = open_ / before - 1


@njit(cache=True, error_model="numpy")
def _rolling(bars, series, f):
    """Trend, volume and gains of one window that ends today: ROLLING but its first."""
    w = len(bars)
    close, today = bars[w - 1, CLOSE], bars[w - 1, VOLUME]
    count, time, price, volume = 0, 0.0, 0.0, 0.0
    high, low = -np.inf, np.inf
    for i in range(w):
        if np.isnan(bars[i, CLOSE]):
            continue
        count += 1
        time += i
        price += bars[i, CLOSE]
        volume += bars[i, VOLUME]
        high, low = max(high, bars[i, HIGH]), min(low, bars[i, LOW])
    if count < SHARE * w:
        return
    time, price, volume = time / count, price / count, volume / count
    times, prices, both, volumes = 0.0, 0.0, 0.0, 0.0
    gain, gross, more, moved, last = 0.0, 0.0, 0.0, 0.0, np.nan
    for i in range(w):
        if np.isnan(bars[i, CLOSE]):
            continue
        times += (i - time) ** 2
        prices += (bars[i, CLOSE] - price) ** 2
        both += (i - time) * (bars[i, CLOSE] - price)
        volumes += (bars[i, VOLUME] - volume) ** 2
        r = series[i, RETURN]
        if not np.isnan(r):
            gain += max(r, 0.0)
            gross += abs(r)
        step = bars[i, VOLUME] - last
        if not np.isnan(step):
            more += max(step, 0.0)
            moved += abs(step)
        last = bars[i, VOLUME]
    slope = both / times
    f[0] = price / close
    f[1] = np.sqrt(prices / count) / close
    f[2] = slope / close
    f[3] = both * both / (times * prices) if prices > 1e-18 * price * price else 0.0
    f[4] = (close - price - slope * (w - 1 - time)) / close
    f[5] = high / close
    f[6] = low / close
    f[7] = (close - low) / (high - low)
    f[8] = _correlation(bars[:, CLOSE], series[:, LOG_VOLUME])
    f[9] = _correlation(series[:, RETURN], series[:, GROWN])
    f[10] = volume / today
    f[11] = np.sqrt(volumes / count) / today
    f[12] = more / moved
    f[13] = gain / gross


@njit(cache=True, error_model="numpy")
def _market(returns, market, f):
    """Regression of a stock's returns on the market's: slope, residual's std, intercept."""
    count, x, y = 0, 0.0, 0.0
    for i in range(len(returns)):
        if not np.isnan(returns[i]):
            count += 1
            x += market[i]
            y += returns[i]
    if count < SHARE * len(returns):
        return
    x, y = x / count, y / count
    xx, xy, yy = 0.0, 0.0, 0.0
    for i in range(len(returns)):
        if not np.isnan(returns[i]):
            xx += (market[i] - x) ** 2
            xy += (market[i] - x) * (returns[i] - y)
            yy += (returns[i] - y) ** 2
    beta = xy / xx
    f[0] = beta
    f[1] = np.sqrt(max(yy - beta * xy, 0.0) / count)
    f[2] = y - beta * x


@njit(cache=True, error_model="numpy")
def _apart(bars, series, f):
    """The window's APART."""
    f[0] = _difference(series[:, RANGE], bars[:, CLOSE])
    f[1] = _difference(series[:, RETURN], series[:, RANGE])
    f[2] = _difference(series[:, RETURN], bars[:, VOLUME])
    f[3] = _difference(series[:, RANGE], bars[:, VOLUME])
    f[4] = _difference(bars[:, VOLUME], bars[:, CLOSE]) / _moments(bars[:, VOLUME], len(bars))[0]


@njit(cache=True, error_model="numpy")
def _difference(values, keys):
    """Mean of the values over the quarter with the highest keys less that over the quarter with the lowest."""
    both = np.flatnonzero(~np.isnan(values) & ~np.isnan(keys))
    if len(both) < SHARE * len(values):
        return np.nan
    order = both[np.argsort(keys[both], kind="mergesort")]
    part = max(len(order) // 4, 1)
    return values[order[len(order) - part :]].mean() - values[order[:part]].mean()


@njit(cache=True, error_model="numpy")
def _moments(values, w):
    """Mean and std of the last ``w``; NaN where fewer than :data:`SHARE` of them are finite."""
    if len(values) < w:
        return np.nan, np.nan
    count, mean, squares = 0, 0.0, 0.0
    for x in values[len(values) - w :]:
        if not np.isnan(x):
            count += 1
            mean += x
    if count < SHARE * w:
        return np.nan, np.nan
    mean /= count
    for x in values[len(values) - w :]:
        if not np.isnan(x):
            squares += (x - mean) ** 2
    return mean, np.sqrt(squares / count)


@njit(cache=True, error_model="numpy")
def _highest(values, w):
    count, highest = 0, -np.inf
    for x in values[max(len(values) - w, 0) :]:
        if not np.isnan(x):
            count += 1
            highest = max(highest, x)
    return highest if count >= SHARE * w else np.nan


@njit(cache=True, error_model="numpy")
def _correlation(a, b):
    """Pearson's correlation of the pairs that are finite; NaN with fewer than three, or where one is flat."""
    count, x, y = 0, 0.0, 0.0
    for i in range(len(a)):
        if not np.isnan(a[i]) and not np.isnan(b[i]):
            count += 1
            x += a[i]
            y += b[i]
    if count < 3:
        return np.nan
    x, y = x / count, y / count
    xx, xy, yy = 0.0, 0.0, 0.0
    for i in range(len(a)):
        if not np.isnan(a[i]) and not np.isnan(b[i]):
            xx += (a[i] - x) ** 2
            xy += (a[i] - x) * (b[i] - y)
            yy += (b[i] - y) ** 2
    flat = xx <= 1e-18 * count * x * x or yy <= 1e-18 * count * y * y
    return np.nan if flat else xy / np.sqrt(xx * yy)
