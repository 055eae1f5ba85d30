"""From raw A-share ticks to index-enhancement weights: the lake, the factors and the tools around them.

Everything here is an ordinary function or class over arrays, frames and Parquet files; nothing needs Dagster. The
asset graph that calls it is :mod:`mg_assets.definitions`, the command line is ``mg``.

Data
    `Lake` (`Lake.read_range`: a table between two dates), `build_source`, `read_source`
Factors of a day from frames
    `bars_from_trades`, `daily_from_minutes`, `minute_factors`, `trade_factors`, `order_factors`, `monitor_factors`,
    `intraday_factors` (all 34)
Factors of a day from Parquet files
    `day_pass`, `DayPass`
Factors over many days
    `DailySeries`, `daily_factors`, `common_factors`, `trailing_mean`, `preprocess`, `labels`
Checks
    `explain` a stock's factors from its raw rows, `replay_day` its orders into a limit order book
Portfolios
    `what_if` a constraint were different
Qlib
    `qlib_prediction`, `save_qlib_prediction`: a signal for pyqlib's own analysis

Prices are in yuan, volumes in shares, amounts in yuan, times exchange-local; a missing value is NaN.

Examples
--------
A simulated day, written to a lake; its factors in one pass over the files, and one of them explained:

>>> import datetime as dt
>>> import tempfile
>>> from mg_assets import Lake, bars_from_trades, build_source, day_pass, explain
>>> source = build_source("simulated", {"stocks": 10, "tick_start": "2023-02-01", "orders_per_stock": 200})
>>> lake, day = Lake(tempfile.mkdtemp()), "2023-02-01"
>>> frames = {table: source.load(table, dt.date.fromisoformat(day)).frame for table in ("trades", "orders")}
>>> frames["minute_bars"] = bars_from_trades(frames["trades"])
>>> paths = [lake.write(table, day, frame) for table, frame in frames.items()]
>>> factors = day_pass(*paths).factors
>>> factors.shape[1]
34
>>> stored = lake.write("intraday_factors", day, factors.reset_index())
>>> path = explain(lake, factors.index[0], day)["volume_perc2"]
>>> path.agrees
True
>>> list(path.table()["step"])
['volume of half-hour 2', 'volume of the day']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mg_assets.factors import (
        DailySeries,
        DayPass,
        bars_from_trades,
        common_factors,
        daily_factors,
        daily_from_minutes,
        day_pass,
        explain,
        intraday_factors,
        labels,
        minute_factors,
        monitor_factors,
        order_factors,
        preprocess,
        trade_factors,
        trailing_mean,
    )
    from mg_assets.lake.store import Lake
    from mg_assets.modelling.qlib_prediction import qlib_prediction, save_qlib_prediction
    from mg_assets.portfolios.what_if import what_if
    from mg_assets.replay.agreement import replay_day
    from mg_assets.sources import build_source
    from mg_assets.sources.read_range import read_source

__all__ = [
    "DailySeries",
    "DayPass",
    "Lake",
    "bars_from_trades",
    "build_source",
    "common_factors",
    "daily_factors",
    "daily_from_minutes",
    "day_pass",
    "explain",
    "intraday_factors",
    "labels",
    "minute_factors",
    "monitor_factors",
    "order_factors",
    "preprocess",
    "qlib_prediction",
    "read_source",
    "replay_day",
    "save_qlib_prediction",
    "trade_factors",
    "trailing_mean",
    "what_if",
]

_MODULES = {
    "Lake": "mg_assets.lake.store",
    "build_source": "mg_assets.sources",
    "qlib_prediction": "mg_assets.modelling.qlib_prediction",
    "read_source": "mg_assets.sources.read_range",
    "save_qlib_prediction": "mg_assets.modelling.qlib_prediction",
    "replay_day": "mg_assets.replay.agreement",
    "what_if": "mg_assets.portfolios.what_if",
}
"""Where a name is defined; all others are from ``mg_assets.factors``."""


def __getattr__(name: str) -> Any:
    """Import a public name on first use: the kernels take a second, the optimiser another."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "mg_assets.factors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
