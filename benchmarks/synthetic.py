"""Synthetic panels whose future return is a known function of what the models read.

A stock's return over the next h days is, at day T,

    y_T = 0.03 * (c * s_T + sqrt(1 - c^2) * (e_{T+2} + ... + e_{T+1+h}) / sqrt(h))

with e the standard normal daily shocks of the stock and s the planted signal, z-scored over the stocks of each day:
the best possible prediction is s itself, and its RankIC with y is about c (:data:`STRENGTH`). Returns of neighbouring
days share shocks, as real ones do. Bars move by the same shocks (20% a year of market and 32% of the stock's own), so
that y is the return that the bars show plus the planted part; the planted part is left out of the bars' prices, else
the signal would feed on itself.

The signals, every term scaled to variance 1 over stocks and days before it is weighted (L_k: k days earlier; a factor
x is a first-order autoregression over days with a half-life of its own, 1 to 20 days, variance 1):

``factors`` (27 factors, models of series 72)
    0.5 tanh(2 x0) + 0.5 x1 tanh(x2) + 0.5 L_3 tanh(2 x3) + 0.4 mean of x4 over 10 days + 0.3 |x5|
``bars``
    0.7 R (1 + tanh V) + 0.5 M + 0.3 A, with R minus the log return of 5 days, V the log of the volume against 10 days
    earlier, M minus the log return from 60 to 5 days ago, A the low volatility: minus the mean of log(high / low)
    over 20 days
``granular`` (14 features of each half-hour, models of series 88 and of the weekly)
    0.6 tanh(2 d0) + 0.5 d1 tanh(d2) + 0.5 L_3 d3 + 0.5 (b4 - a4), with d the mean of a feature over the day's
    half-hours, a4 and b4 feature 4 in the first and the second half of the day; a coarser granularity holds the means
    of the finer
``daily`` (42 factors, models of series 69)
    0.6 tanh(2 x0) + 0.6 x1 tanh(x2) + 0.3 |x5|, and 0.5 L_3 tanh(2 x3) for models that read 21 days
"""

from dataclasses import dataclass

import numpy as np

from mg_models.data.bar_panels import HIGH, LOW, VOLUME, bar_inputs, completed_bars, month_of, week_of
from mg_models.data.day_statistics import zscore_stocks
from mg_models.data.panel import Panel, PeriodPanel
from mg_models.data.price_volume import price_volume_panel

STRENGTH = 0.125
SCALE = 0.03
MISSING = 0.02
"""Share of (day, stock) rows without a value."""


@dataclass(frozen=True)
class Synthetic:
    """Inputs, planted signal and shocks on one axis of days and stocks.

    Attributes
    ----------
    inputs : dict of str to Panel or PeriodPanel
    signal : ndarray of float64 (D, S)
        Mean 0 and variance 1 over the stocks of each day.
    shocks : ndarray of float64 (D, S)
        Standard normal, independent.
    """

    inputs: dict[str, Panel | PeriodPanel]
    signal: np.ndarray
    shocks: np.ndarray

    @property
    def days(self) -> np.ndarray:
        """Trading days, ``datetime64[D]`` (D,)."""
        return next(iter(self.inputs.values())).days

    def returns(self, horizons: tuple[int, ...], strength: float = STRENGTH) -> np.ndarray:
        """Returns from T+1 to T+1+h, ``(D, S, horizons)`` float64, NaN where the shocks end before."""
        days, stocks = self.signal.shape
        total = np.zeros((days + 1, stocks))
        np.cumsum(self.shocks, axis=0, out=total[1:])
        out = np.full((days, stocks, len(horizons)), np.nan)
        for k, h in enumerate(horizons):
            last = days - h - 1
            noise = (total[h + 2 :] - total[2 : last + 2]) / np.sqrt(h)  # (last, S)
            out[:last, :, k] = SCALE * (strength * self.signal[:last] + np.sqrt(1 - strength**2) * noise)
        return out


def factors(days: int, stocks: int, count: int = 27, seed: int = 0) -> Synthetic:
    """``count`` factors as the input ``hf``."""
    rng = np.random.default_rng([seed, 1])
    x = autoregressive(rng, days, stocks, count)
    mean = np.mean([_lag(x[..., 4], k) for k in range(10)], axis=0)
    signal = (
        0.5 * _unit(np.tanh(2 * x[..., 0]))
        + 0.5 * _unit(x[..., 1] * np.tanh(x[..., 2]))
        + 0.5 * _unit(_lag(np.tanh(2 * x[..., 3]), 3))
        + 0.4 * _unit(mean)
        + 0.3 * _unit(np.abs(x[..., 5]))
    )
    return Synthetic({"hf": _panel(x, rng, "factor")}, zscore_stocks(signal), _shocks(days, stocks, seed))


def bars(days: int, stocks: int, seed: int = 0) -> Synthetic:
    """Daily, weekly and monthly bars of 1% of suspended days."""
    rng = np.random.default_rng([seed, 2])
    shocks = _shocks(days, stocks, seed)
    market = 0.0126 * rng.standard_normal((days, 1))  # 20% a year
    close = 10 * np.exp(np.cumsum(0.02 * shocks + market, axis=0))
    opened = close * np.exp(0.008 * rng.standard_normal(close.shape))
    calm = np.exp(0.3 * autoregressive(rng, days, stocks, 1, half_life=40.0)[..., 0])  # of the day's range
    high = np.maximum(opened, close) * (1 + 0.01 * calm * rng.random(close.shape))
    low = np.minimum(opened, close) * (1 - 0.01 * calm * rng.random(close.shape))
    busy = autoregressive(rng, days, stocks, 1, half_life=10.0)[..., 0]
    volume = 1e6 * np.exp(0.5 * busy + 0.3 * rng.standard_normal(close.shape))
    daily = np.stack([opened, high, low, close, (high + low + close) / 3, volume], axis=-1)

    price = np.log(close)
    risen = np.log(volume) - _lag(np.log(volume), 10)
    reversal = _unit(_lag(price, 5) - price) * (1 + np.tanh(risen))
    long = _lag(price, 60) - _lag(price, 5)
    quiet = -np.mean([_lag(np.log(daily[..., HIGH] / daily[..., LOW]), k) for k in range(20)], axis=0)
    signal = 0.7 * _unit(reversal) + 0.5 * _unit(long) + 0.3 * _unit(quiet)

    idle = rng.random(close.shape) < 0.01
    daily[idle, :3] = daily[idle, 3:4]
    daily[idle, 4] = np.nan
    daily[idle, VOLUME] = 0.0
    axis = weekdays(days)
    weeks, weekly = completed_bars(daily, week_of(axis))
    months, monthly = completed_bars(daily, month_of(axis))
    inputs = bar_inputs(axis, _names(stocks), daily, weeks, weekly, months, monthly)
    return Synthetic(inputs, zscore_stocks(signal), shocks)


def price_volume(days: int, stocks: int, seed: int = 0) -> Synthetic:
    """The price-volume features of the bars, and the bars' signal."""
    made = bars(days, stocks, seed)
    panel = made.inputs["daily"]
    features = price_volume_panel(panel.days, panel.symbols, panel.values)
    return Synthetic({"price_volume": features}, made.signal, made.shocks)


def factors_and_bars(days: int, stocks: int, seed: int = 0) -> Synthetic:
    """Both inputs; the signal is the sum of theirs."""
    one, two = factors(days, stocks, seed=seed), bars(days, stocks, seed)
    return Synthetic(one.inputs | two.inputs, zscore_stocks(one.signal + two.signal), one.shocks)


def granular(days: int, stocks: int, seed: int = 0) -> Synthetic:
    """14 features of a day, of its hours and of its half-hours."""
    rng = np.random.default_rng([seed, 3])
    day = autoregressive(rng, days, stocks, 14)
    half = (day[:, :, None] + rng.standard_normal((days, stocks, 8, 14))) / np.sqrt(2)  # (D, S, 8, 14)
    d = half.mean(2) / half.mean(2).std((0, 1))
    tilt = half[:, :, 4:, 4].mean(2) - half[:, :, :4, 4].mean(2)
    signal = (
        0.6 * _unit(np.tanh(2 * d[..., 0]))
        + 0.5 * _unit(d[..., 1] * np.tanh(d[..., 2]))
        + 0.5 * _unit(_lag(d[..., 3], 3))
        + 0.5 * _unit(tilt)
    )
    inputs: dict[str, Panel | PeriodPanel] = {}
    for minutes, each in ((240, 8), (60, 2), (30, 1)):
        values = half.reshape(days, stocks, 8 // each, each, 14).mean(3)
        values /= values.std((0, 1, 2))
        inputs[f"features_{minutes}m"] = _panel(values.reshape(days, stocks, -1), rng, "feature")
    return Synthetic(inputs, zscore_stocks(signal), _shocks(days, stocks, seed))


def daily(days: int, stocks: int, lagged: bool, seed: int = 0) -> Synthetic:
    """42 factors as the input ``daily_factors``, every stock in the ``liquid`` universe."""
    rng = np.random.default_rng([seed, 4])
    x = autoregressive(rng, days, stocks, 42)
    signal = (
        0.6 * _unit(np.tanh(2 * x[..., 0]))
        + 0.6 * _unit(x[..., 1] * np.tanh(x[..., 2]))
        + 0.3 * _unit(np.abs(x[..., 5]))
    )
    if lagged:
        signal += 0.5 * _unit(_lag(np.tanh(2 * x[..., 3]), 3))
    everyone = Panel(weekdays(days), _names(stocks), np.ones((days, stocks, 1), np.float32), ("member",))
    inputs = {"daily_factors": _panel(x, rng, "factor"), "liquid": everyone}
    return Synthetic(inputs, zscore_stocks(signal), _shocks(days, stocks, seed))


def autoregressive(
    rng: np.random.Generator, days: int, stocks: int, count: int, half_life: float | None = None
) -> np.ndarray:
    """Independent series of variance 1, ``(D, S, count)`` float32; half-lives run from 1 to 20 days by default."""
    lives = np.geomspace(1.0, 20.0, count) if half_life is None else np.full(count, half_life)
    # interleaved, so that the factors of the signal are of different persistence
    keep = (0.5 ** (1.0 / lives[np.argsort(np.arange(count) * 7 % max(count, 1), kind="stable")])).astype(np.float32)
    out = rng.standard_normal((days, stocks, count), dtype=np.float32)
    fresh = np.sqrt(1 - keep * keep)
    for d in range(1, days):
        out[d] = keep * out[d - 1] + fresh * out[d]
    return out


def weekdays(count: int, start: str = "2013-01-04") -> np.ndarray:
    """``count`` Mondays to Fridays from ``start`` on."""
    days = np.arange(start, np.datetime64(start) + 2 * count, dtype="datetime64[D]")
    return days[(days.astype(np.int64) + 3) % 7 < 5][:count]


def _panel(values: np.ndarray, rng: np.random.Generator, what: str) -> Panel:
    values = np.array(values, np.float32)
    values[rng.random(values.shape[:2]) < MISSING] = np.nan
    names = tuple(f"{what}_{i}" for i in range(values.shape[2]))
    return Panel(weekdays(len(values)), _names(values.shape[1]), values, names)


def _names(stocks: int) -> np.ndarray:
    return np.array([f"{600000 + i}.SH" for i in range(stocks)], dtype=object)


def _shocks(days: int, stocks: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, 0]).standard_normal((days, stocks))


def _lag(values: np.ndarray, days: int) -> np.ndarray:
    """``days`` days earlier; the first value before the first day."""
    return values[np.maximum(np.arange(len(values)) - days, 0)]


def _unit(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()
