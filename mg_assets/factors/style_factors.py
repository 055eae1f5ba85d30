"""The five common (style) factors that signals are compared with and risk is measured by.

``reversal`` = return of 21 days; ``cap`` = ln(free-float market value); ``amount`` = ln(mean amount of 21 days);
``turnover`` = mean turnover of 21 days; ``beta`` = slope on the cap-weighted market over 252 days.

Definitions: docs/factors.md.
"""

import numpy as np

from mg_assets.errors import DataError
from mg_assets.factors.cross_section import FIVE_MAD, mad_winsorise, zscore
from mg_assets.factors.daily import DailySeries, by_stock
from mg_assets.factors.kernels.threads import shared_out
from mg_assets.factors.kernels.windows import common_windows
from mg_axes import STOCK_FLAGS, Layout, aligned

COMMON = ("reversal", "cap", "amount", "turnover", "beta")
LOOK_BACK = 252  # days before the day itself: the first of 252 returns needs the close before it


def common_factors(series: DailySeries, last: int | None = None, threads: int = 1) -> np.ndarray:
    """Five common factors of every stock on the last days of the panel, raw.

    Parameters
    ----------
    series : DailySeries
        ``(D, S)``, with :data:`LOOK_BACK` days before the first one to compute.
    last : int, optional
        Number of days to compute, counted from the end; all by default.
    threads : int
        Stocks are shared out among so many threads; the values do not depend on it.

    Returns
    -------
    ndarray of float64 (last, S, 5), or DataFrame
        Of a labelled series: rows (date, symbol). Columns :data:`COMMON`. NaN on a day without trades, in a window with
        fewer than 60% finite observations (beta: fewer than 120), and where the source lacks free-float shares or
        amounts.

    Raises
    ------
    DataError
        ``last`` is not within the panel.
    """
    days, stocks = series.shape
    first = series.first_of(last)
    count = days - first
    amount = np.where(series.traded, series["amount"], np.nan)
    arrays = by_stock(series.returns), by_stock(series.turnover), by_stock(amount), by_stock(series.close)
    windows = np.empty((count, stocks, 4))

    def run(lo: int, hi: int) -> None:
        common_windows(lo, hi, first, *arrays, series.market, windows)

    shared_out(run, stocks, threads)
    with np.errstate(divide="ignore", invalid="ignore"):
        cap, mean_amount = np.log(series.cap[first:]), np.log(windows[:, :, 1])
    out = np.stack([windows[:, :, 0], cap, mean_amount, windows[:, :, 2], windows[:, :, 3]], axis=-1)
    out[~series.traded[first:] | ~np.isfinite(out).any(axis=-1)] = np.nan
    out[~np.isfinite(out)] = np.nan
    return series.labelled(out, COMMON)


@aligned(DataError, by=("values",), result="sf", values=Layout("sf"), universe=STOCK_FLAGS)
def style_exposures(values: np.ndarray, universe: np.ndarray) -> np.ndarray:
    """A day's style exposures: winsorised at five MAD and z-scored.

    Parameters
    ----------
    values : ndarray of float (S, F), or labelled by symbol
        Raw common factors of one day.
    universe : ndarray of bool (S,), or labelled by symbol
        Stocks that take part.

    Returns
    -------
    ndarray of float64 (S, F)
        NaN where missing and outside the universe.
    """
    return zscore(mad_winsorise(values, universe, FIVE_MAD), universe)
