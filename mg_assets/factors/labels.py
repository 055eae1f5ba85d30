"""Forward returns that the models learn, and who may be bought on the day they begin.

Source: Huatai 2023-08-22 and 2023-12-08, Haitong 2023 (series 88): returns from the day after the
signal; stocks that cannot be bought then have no label.
"""

from collections.abc import Sequence

import numpy as np

from mg_assets.errors import DataError
from mg_axes import FLAGS, PANEL, Layout, align, aligned, labelled_result

HORIZONS = (5, 10, 20)
HALF_TICK = 0.005


def labels(
    price: np.ndarray,
    eligible: np.ndarray,
    horizons: Sequence[int] = HORIZONS,
    jumps: np.ndarray | None = None,
) -> np.ndarray:
    """Return from the day after the signal, ``price[T + 1 + h] / price[T + 1] - 1``.

    Row T looks at days up to ``T + 1 + h``: a label is observed at the close of that day, and
    the last ``h + 1`` rows are NaN.

    Parameters
    ----------
    price : ndarray of float (D, S), or labelled
        Adjusted execution price (vwap by default) of consecutive trading days; NaN where a stock
        has none. A labelled price (pandas, Polars, Arrow, xarray; see :mod:`mg_axes`) gives the axes.
    eligible : ndarray of bool (D, S), or labelled
        Whether the stock can be bought on that very day (:func:`eligible_entry`).
    horizons : sequence of int
        Holding periods h in trading days, each >= 1.
    jumps : ndarray of bool (D, S), or labelled, optional
        Days whose return since the day before is none (:func:`mg_assets.market.jumps.price_jumps`); none by default.

    Returns
    -------
    ndarray of float64 (D, S, H), or DataFrame
        Of a labelled price: rows (date, symbol), a column for each horizon. NaN where the stock is not eligible on T +
        1, has no price > 0 on T + 1 or T + 1 + h, or has a jump after T + 1 and up to T + 1 + h.

    Raises
    ------
    DataError
        Shapes differ or a horizon is below 1.
    """
    layouts = {"price": PANEL, "eligible": FLAGS, "jumps": FLAGS}
    given = {"price": price, "eligible": eligible, **({} if jumps is None else {"jumps": jumps})}
    found, axes = align(DataError, layouts, given, by=("price",))
    if axes:
        return labelled_result(labels(**found, horizons=horizons), "dsf", {**axes, "f": np.array(horizons)})
    price = np.asarray(price, np.float64)
    if price.ndim != 2 or np.shape(eligible) != price.shape:
        raise DataError(f"price was {price.shape}, eligible {np.shape(eligible)}; both must be (days, stocks)")
    if jumps is not None and np.shape(jumps) != price.shape:
        raise DataError(f"price was {price.shape}, jumps {np.shape(jumps)}; both must be (days, stocks)")
    if any(h < 1 for h in horizons):
        raise DataError(f"horizons were {tuple(horizons)}; a holding period is at least 1 trading day")
    usable = np.where(np.isfinite(price) & (price > 0), price, np.nan)
    entry = np.where(np.asarray(eligible, bool), usable, np.nan)
    out = np.full((*price.shape, len(horizons)), np.nan)
    met = None if jumps is None else np.cumsum(np.asarray(jumps, bool), axis=0)
    for k, h in enumerate(horizons):
        rows = len(price) - h - 1
        if rows > 0:
            out[:rows, :, k] = usable[h + 1 :] / entry[1 : rows + 1] - 1.0
            if met is not None:
                out[:rows, :, k][met[h + 1 :] > met[1 : rows + 1]] = np.nan
    return out


@aligned(
    DataError,
    by=("close",),
    result="ds",
    suspended=Layout("ds", True, wider=True),
    st=FLAGS,
    open=PANEL,
    high=PANEL,
    low=PANEL,
    close=PANEL,
    up_limit=PANEL,
    down_limit=PANEL,
)
def eligible_entry(
    suspended: np.ndarray,
    st: np.ndarray,
    open: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    up_limit: np.ndarray,
    down_limit: np.ndarray,
) -> np.ndarray:
    """Whether a stock can be bought on the day itself: listed, not ST, not suspended, not locked.

    Locked at a one-word price limit: open, high, low and close are one price, and that is the up
    or the down limit (within half a tick). All inputs ``(D, S)``, raw prices in yuan; a limit that
    is NaN locks nobody; a close that is NaN is a stock without a price. Labelled inputs (:mod:`mg_axes`)
    are aligned on the dates and symbols of ``close``, and the result has them.

    Returns
    -------
    ndarray of bool (D, S)
        For the day itself: :func:`labels` and :func:`tradable_next` look one day ahead.
    """
    one_price = (np.abs(high - low) < HALF_TICK) & (np.abs(open - close) < HALF_TICK)
    at_limit = (np.abs(close - up_limit) < HALF_TICK) | (np.abs(close - down_limit) < HALF_TICK)
    return np.isfinite(close) & ~np.asarray(suspended, bool) & ~np.asarray(st, bool) & ~(one_price & at_limit)


@aligned(DataError, result="ds", eligible=FLAGS)
def tradable_next(eligible: np.ndarray) -> np.ndarray:
    """``eligible`` of the next day on each day ``(D, S)``; the last day is False."""
    out = np.zeros(np.shape(eligible), bool)
    out[:-1] = np.asarray(eligible, bool)[1:]
    return out
