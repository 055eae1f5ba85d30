"""A year of daily bars of 60 simulated stocks, for the examples; put your own data in its place."""

from functools import cache

import pandas as pd

from mg_assets import build_source, read_source


@cache
def daily_bars() -> pd.DataFrame:
    """Rows of date and symbol: raw prices in yuan, volume in shares, adjustment factor."""
    market = {"stocks": 60, "start": "2022-01-04", "end": "2022-12-30", "tick_start": "2022-12-30"}
    return read_source(build_source("simulated", market), "daily_bars", "2022-01-01", "2022-12-29")


def adjusted(field: str) -> pd.DataFrame:
    """An adjusted price, or the adjusted volume, dates x symbols; NaN where a stock did not trade."""
    bars = daily_bars().set_index(["date", "symbol"])
    values = bars[field] / bars["adj_factor"] if field == "volume" else bars[field] * bars["adj_factor"]
    return values[bars["volume"] > 0].unstack()
