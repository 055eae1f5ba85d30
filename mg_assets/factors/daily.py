"""The 42 daily price-volume and fundamental factors, over a dense panel of days and stocks.

1. :class:`DailySeries` adjusts the raw columns once: returns, turnover, adjusted prices and volume.
2. Windows end on the day itself and are summed afresh for every day (`windows.py`), so that a value
   depends on its window alone: one day at a time gives the bits of the whole history.
3. What needs one day alone (valuation, shape of the bar) is plain array arithmetic.

A day without trades has no observation: no return, turnover, volume or price of its own, and no factor.

Source: Huatai 2023-08-22 (series 69), chart 9.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mg_assets.errors import DataError
from mg_assets.factors.kernels.threads import shared_out
from mg_assets.factors.kernels.windows import MONTH, window_factors
from mg_axes import DAYS, PANEL, SYMBOLS, align, labelled_result

VALUATION = ("bp_lf", "ep_ttm", "ocfp_ttm", "dyr12")
EXPECTATION = ("con_eps_g", "con_roe_g", "con_np_g")
WINDOWED = (
    "ret_5d", "ret_1m", "exp_wgt_return_3m",
    "std_1m", "vstd_1m", "ivr_ff3factor_1m",
    "turn_1m", "std_turn_1m", "bias_turn_1m",
    "std_ret_10d", "std_vol_10d", "std_turn_10d",
    *(f"corr_ret_{x}" for x in ("close", "open", "high", "low", "vwap", "vol", "turn")),
    *(f"corr_vol_{x}" for x in ("close", "open", "high", "low", "vwap")),
)  # fmt: skip
WITHIN_DAY = ("low2high", "vwap2close", "kmid", "klen", "kmid2", "kup", "kup2", "klow", "klow2", "ksft", "ksft2")
DAILY42 = VALUATION + EXPECTATION + WINDOWED + WITHIN_DAY

BARS = ("open", "high", "low", "close", "vwap", "volume", "amount", "adj_factor", "float_shares")
FUNDAMENTALS = ("pb", "pe_ttm", "pcf_ttm", "dividend_yield_12m", "eps_fy1", "roe_fy1", "np_fy1")
REQUIRED = ("open", "high", "low", "close", "volume", "adj_factor")

LONG_COLUMNS = ("close", "volume", "adj_factor", "float_shares")
SHORT_COLUMNS = tuple(c for c in BARS if c not in LONG_COLUMNS)
CONSENSUS_DAYS = 63
LOOK_BACK = 503  # days before the day itself that its longest window, 504 days of turnover, holds
SHORT_LOOK_BACK = 63  # the same for all but LONG_COLUMNS
STYLE_SHARE = 0.3


@dataclass(frozen=True)
class DailySeries:
    """Daily columns on dense axes, ``float64 (D, S)`` each, consecutive trading days.

    Parameters
    ----------
    columns : mapping of str to ndarray (D, S), or labelled
        Labelled panels (pandas, Polars, Arrow, xarray; see :mod:`mg_axes`) are aligned on the dates and symbols of
        ``close``. :data:`BARS` as in ``daily_bars`` (raw prices in yuan, volume in shares, amount in yuan) and
        :data:`FUNDAMENTALS` as in ``reference``. What is not given is NaN throughout, and so are the
        factors that need it; :data:`REQUIRED` must be there.
    days, symbols : ndarray, optional
        Labels of the axes; by default those of labelled columns. With them the factors are labelled too.

    Raises
    ------
    DataError
        A required column is lacking, or shapes differ.
    """

    columns: Mapping[str, np.ndarray]
    days: np.ndarray | None = None
    symbols: np.ndarray | None = None

    def __post_init__(self) -> None:
        lacking = [c for c in REQUIRED if c not in self.columns]
        if lacking:
            raise DataError(
                f"daily columns lack {lacking}; they have {sorted(self.columns)}: read them from daily_bars"
            )
        layouts = dict.fromkeys(self.columns, PANEL) | {"days": DAYS, "symbols": SYMBOLS}
        given = dict(self.columns) | {"days": self.days, "symbols": self.symbols}
        found, axes = align(DataError, layouts, given, by=("close",))
        if axes:
            for name in ("days", "symbols"):
                object.__setattr__(self, name, found.pop(name))
            object.__setattr__(self, "columns", found)
        shapes = {c: np.shape(self.columns[c]) for c in self.columns}
        if len(set(shapes.values())) != 1 or len(shapes["close"]) != 2:
            raise DataError(f"daily columns had the shapes {shapes}, expected one (days, stocks) for all")

    @property
    def shape(self) -> tuple[int, int]:
        """Days and stocks."""
        days, stocks = np.shape(self.columns["close"])
        return days, stocks

    def labelled(self, values: np.ndarray, names: Sequence[str]) -> Any:
        """Label the values of the last days where the axes have labels, and return them as they are where not.

        Parameters
        ----------
        values : ndarray (last, S, F)
            On the series' stocks.
        names : sequence of str (F,)
            Of the columns.

        Returns
        -------
        ndarray or DataFrame
            Rows (date, symbol), a column for each name.
        """
        if self.days is None or self.symbols is None:
            return values
        days = np.asarray(self.days)[len(self.days) - len(values) :]
        return labelled_result(values, "dsf", {"d": days, "s": self.symbols, "f": np.array(names, dtype=object)})

    def first_of(self, last: int | None) -> int:
        """Index of the first of the ``last`` days (None: of all); DataError where there are not so many."""
        days, _ = self.shape
        if last is not None and not 0 <= last <= days:
            raise DataError(f"last was {last}, expected 0..{days}: the panel has {days} days")
        return 0 if last is None else days - last

    def __getitem__(self, column: str) -> np.ndarray:
        if column not in self.columns:
            return np.full(self.shape, np.nan)
        return np.asarray(self.columns[column], np.float64)

    @cached_property
    def traded(self) -> np.ndarray:
        """Whether the stock had trades, bool ``(D, S)``."""
        return (self["volume"] > 0) & (self["close"] > 0) & np.isfinite(self["close"])

    @cached_property
    def close(self) -> np.ndarray:
        """Adjusted close, also of days without trades (their bar carries the reference price)."""
        return self["close"] * self["adj_factor"]

    @cached_property
    def returns(self) -> np.ndarray:
        """``close / close_{-1} - 1`` on days with trades."""
        out = np.full(self.shape, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            out[1:] = self.close[1:] / self.close[:-1] - 1
        return _finite(out, self.traded)

    @cached_property
    def turnover(self) -> np.ndarray:
        """Volume over free-float shares on days with trades."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return _finite(self["volume"] / self["float_shares"], self.traded)

    @cached_property
    def cap(self) -> np.ndarray:
        """Free-float market value in yuan: raw close times free-float shares."""
        with np.errstate(invalid="ignore"):
            value = self["close"] * self["float_shares"]
        return _finite(value, value > 0)

    def adjusted(self, column: str, begin: int = 0) -> np.ndarray:
        """An adjusted price, or adjusted volume (raw / factor), on days with trades from day ``begin`` on."""
        raw, factor = self[column][begin:], self["adj_factor"][begin:]
        with np.errstate(divide="ignore", invalid="ignore"):
            value = raw / factor if column == "volume" else raw * factor
        return _finite(value, self.traded[begin:])

    @cached_property
    def market(self) -> np.ndarray:
        """Return of the whole market, ``(D,)``: weights are the free-float values of the day before."""
        out = np.full(self.shape[0], np.nan)
        for d in range(1, len(out)):
            returns, cap, _ = self._section(d)
            out[d] = _weighted(returns, cap)
        return out

    def style_returns(self, first: int = 1) -> np.ndarray:
        """Compute the returns of the market, of small minus big and of high minus low BP.

        Weights are the free-float values of the day before, over the stocks that traded on the day; small is
        at or below the median value of the day before, high and low BP the upper and the lower 30%. NaN where
        no stock has what is needed. Source: Huatai 2023-08-22 names the factors; portfolios after Fama and French
        (1993).

        Parameters
        ----------
        first : int
            Index of the first day computed.

        Returns
        -------
        ndarray of float64 (D, 3)
            NaN before day ``first``.
        """
        out = np.full((self.shape[0], 3), np.nan)
        for d in range(max(first, 1), len(out)):
            returns, cap, bp = self._section(d)
            if len(returns):
                small = cap <= np.median(cap)
                size = _weighted(returns[small], cap[small]) - _weighted(returns[~small], cap[~small])
                out[d] = _weighted(returns, cap), size, _high_minus_low(returns, cap, bp)
        return out

    def _section(self, day: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns of a day, market value and BP of the day before, of the stocks that have the first two."""
        # only they, so that the bits of a sum do not depend on who else is on the axis
        here = np.isfinite(self.returns[day]) & np.isfinite(self.cap[day - 1])
        with np.errstate(divide="ignore"):
            bp = 1 / self["pb"][day - 1][here]
        return self.returns[day][here], self.cap[day - 1][here], bp


def daily_factors(series: DailySeries, last: int | None = None, threads: int = 1) -> np.ndarray:
    """Forty-two factors of every stock on the last days of the panel.

    Parameters
    ----------
    series : DailySeries
        ``(D, S)``. A value needs its whole window before it: :data:`LOOK_BACK` days for ``bias_turn_1m``,
        :data:`SHORT_LOOK_BACK` for the others.
    last : int, optional
        Number of days to compute, counted from the end; all by default.
    threads : int
        Stocks are shared out among so many threads; the values do not depend on it.

    Returns
    -------
    ndarray of float64 (last, S, 42), or DataFrame
        Of a labelled series: rows (date, symbol). Columns :data:`DAILY42`: fractions, correlations in [-1, 1],
        ``vstd_1m`` and ``std_vol_10d`` in shares of the day (volume is adjusted for splits). NaN on a day without
        trades, in a window with fewer than 60% finite observations, and where the source lacks an input.

        ``std`` is the population's. ``con_*_g`` = (x_t - x_{t-63}) / abs(x_{t-63}), EPS adjusted for splits.
        ``exp_wgt_return_3m`` weighs a return by turnover * exp(-age / 3 / 4). A correlation is NaN where a side
        is flat.

    Raises
    ------
    DataError
        ``last`` is not within the panel.
    """
    days, stocks = series.shape
    first = series.first_of(last)
    count = days - first
    out = np.empty((count, stocks, len(DAILY42)))
    at = len(VALUATION) + len(EXPECTATION)
    _valuation(series, first, out[:, :, : len(VALUATION)])
    _expectation(series, first, out[:, :, len(VALUATION) : at])
    _windowed(series, first, threads, out[:, :, at : at + len(WINDOWED)])
    _within_day(series, first, out[:, :, at + len(WINDOWED) :])
    out[~series.traded[first:] | ~np.isfinite(series.close[first:])] = np.nan
    out[~np.isfinite(out)] = np.nan
    return series.labelled(out, DAILY42)


def by_stock(values: np.ndarray) -> np.ndarray:
    """A panel ``(D, S)`` as the contiguous, read-only ``(S, D)`` that the window kernels run over."""
    view = np.ascontiguousarray(values.T)
    view.flags.writeable = False
    return view


def _windowed(series: DailySeries, first: int, threads: int, out: np.ndarray) -> None:
    begin = max(0, first - SHORT_LOOK_BACK)  # only turnover is read from earlier days
    prices = tuple(by_stock(series.adjusted(c, begin)) for c in ("close", "open", "high", "low", "vwap"))
    arrays = (
        by_stock(series.returns[begin:]), by_stock(series.turnover), by_stock(series.adjusted("volume", begin)),
        by_stock(series.close[begin:]), by_stock(series["adj_factor"][begin:]),
    )  # fmt: skip
    styles = series.style_returns(first + 1 - MONTH)[begin:]
    styles.flags.writeable = False

    def run(lo: int, hi: int) -> None:
        window_factors(lo, hi, first - begin, begin, *arrays, prices, styles, out)

    shared_out(run, series.shape[1], threads)


def _valuation(series: DailySeries, first: int, out: np.ndarray) -> None:
    with np.errstate(divide="ignore"):
        for i, column in enumerate(("pb", "pe_ttm", "pcf_ttm")):
            out[:, :, i] = 1 / series[column][first:]
    out[:, :, 3] = series["dividend_yield_12m"][first:]


def _expectation(series: DailySeries, first: int, out: np.ndarray) -> None:
    out[...] = np.nan
    start = max(first, CONSENSUS_DAYS)
    if start >= series.shape[0]:
        return
    # a figure per share falls with a split as the price does
    figures = (series["eps_fy1"] * series["adj_factor"], series["roe_fy1"], series["np_fy1"])
    for i, figure in enumerate(figures):
        now, then = figure[start:], figure[start - CONSENSUS_DAYS : len(figure) - CONSENSUS_DAYS]
        with np.errstate(divide="ignore", invalid="ignore"):
            out[start - first :, :, i] = (now - then) / np.abs(then)


def _within_day(series: DailySeries, first: int, out: np.ndarray) -> None:
    o, h, low, c, vwap = (series[name][first:] for name in ("open", "high", "low", "close", "vwap"))
    with np.errstate(divide="ignore", invalid="ignore"):
        span = np.where(h == low, np.inf, h - low)  # the "2" forms of a bar without a span are 0
        top, bottom = h - np.maximum(o, c), np.minimum(o, c) - low
        shift = 2 * c - h - low
        shapes = (low / h, vwap / c, (c - o) / o, (h - low) / o, (c - o) / span, top / o, top / span,
                  bottom / o, bottom / span, shift / o, shift / span)  # fmt: skip
    for i, shape in enumerate(shapes):
        out[:, :, i] = shape


def _high_minus_low(returns: np.ndarray, cap: np.ndarray, bp: np.ndarray) -> float:
    known = np.isfinite(bp)
    if not known.any():
        return np.nan
    low, high = np.quantile(bp[known], (STYLE_SHARE, 1 - STYLE_SHARE))
    high_side, low_side = known & (bp >= high), known & (bp <= low)
    return _weighted(returns[high_side], cap[high_side]) - _weighted(returns[low_side], cap[low_side])


def _weighted(returns: np.ndarray, cap: np.ndarray) -> float:
    return float((returns * cap).sum() / cap.sum()) if len(cap) else np.nan


def _finite(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.where(where & np.isfinite(values), values, np.nan)
