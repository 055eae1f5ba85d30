"""Days of the lake's daily bars whose return is none: beyond the limit, or of a factor that was corrected."""

import numpy as np

from mg_assets.lake.dense_panel import DensePanel
from mg_assets.lake.store import Lake
from mg_assets.lake.universe import listed_days
from mg_assets.market.jumps import price_jumps

JUMP_COLUMNS = ("close", "vwap", "adj_factor", "suspended", "st")
CORRECTED = "adj_factor_corrected_stocks"
"""Note of a day's bars: stocks whose factor stepped where the price did not, and was corrected."""


def stored_jumps(lake: Lake, bars: DensePanel) -> np.ndarray:
    """Stocks and days that no return may cross.

    Parameters
    ----------
    lake : Lake
    bars : DensePanel
        :data:`JUMP_COLUMNS` of the daily bars of consecutive trading days, absent ones too.

    Returns
    -------
    ndarray of bool (D, S)
        Of :func:`mg_assets.market.jumps.price_jumps`, and the days on which the source's adjustment factor was
        corrected, whose stand-in is no return that anybody has stated.
    """
    keys = [str(day) for day in bars.days]
    dates = lake.panel("reference", keys, ["list_date"], bars.symbols, missing="empty")
    session = listed_days(keys, dates["list_date"])
    traded = bars.present & np.isfinite(bars["vwap"]) & ~(bars["suspended"] == 1)
    days, factor = np.array(keys, "datetime64[D]"), bars["adj_factor"]
    out = price_jumps(bars.symbols, days, bars["close"], factor, traded, bars["st"] == 1, session)
    place = {key: row for row, key in enumerate(keys)}
    for key, info in lake.info("daily_bars", keys).items():
        out[place[key]] |= np.isin(bars.symbols, info.metadata.get(CORRECTED, []))
    return out
