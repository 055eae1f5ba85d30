"""Daily price-volume and fundamental factors, and the common factors."""

from collections.abc import Iterator

import numpy as np

from mg_assets.assets.factors import by_symbol
from mg_assets.factors.daily import (
    DAILY42,
    FUNDAMENTALS,
    LONG_COLUMNS,
    LOOK_BACK,
    SHORT_COLUMNS,
    SHORT_LOOK_BACK,
    DailySeries,
)
from mg_assets.factors.daily import daily_factors as values_of
from mg_assets.factors.registry import PASSPORTS
from mg_assets.factors.style_factors import COMMON, common_factors
from mg_assets.lake.dense_panel import DensePanel
from mg_assets.lake.store import Lake
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import shift, trading_days
from mg_assets.orchestration.lake_asset import lake_asset
from mg_assets.orchestration.partition_build import Build, Built


def daily_series(lake: Lake, keys: list[str]) -> tuple[DailySeries, DensePanel]:
    """The daily series of the keys and of the windows before them, and the panel that has their axes."""
    days = [str(d) for d in trading_days(shift(keys[0], -LOOK_BACK), keys[-1])]
    recent = [str(d) for d in trading_days(shift(keys[0], -SHORT_LOOK_BACK), keys[-1])]
    bars = lake.panel("daily_bars", days, LONG_COLUMNS, missing="empty")
    short = lake.panel("daily_bars", recent, SHORT_COLUMNS, bars.symbols, missing="empty")
    facts = lake.panel("reference", recent, FUNDAMENTALS, bars.symbols, missing="empty")
    columns = dict(bars.values)
    for panel in (short, facts):
        for name, values in panel.values.items():
            columns[name] = np.full(bars.present.shape, np.nan)
            columns[name][len(days) - len(recent) :] = values
    return DailySeries(columns), bars


@lake_asset(
    ("daily_factors", "common_factors"),
    group="factors",
    anchor="daily_bars",
    needs=[UpstreamWindow("daily_bars", back=LOOK_BACK), UpstreamWindow("reference", back=SHORT_LOOK_BACK)],
    kinds={"numba"},
    version="3",  # vstd_1m in shares, exp_wgt_return_3m decays over months; sums in the order of time
    columns={
        "daily_factors": {n: PASSPORTS[n].summary for n in DAILY42},
        "common_factors": {n: PASSPORTS[n].summary for n in COMMON},
    },
    lineage={
        table: {"symbol": ("daily_bars.symbol",), **{n: PASSPORTS[n].inputs for n in names}}
        for table, names in (("daily_factors", DAILY42), ("common_factors", COMMON))
    },
    description={
        "daily_factors": f"The {len(DAILY42)} daily factors (Huatai 2023-08-22, chart 9) on adjusted prices, raw: "
        "valuation, expectation, reversal, volatility, turnover and the shapes of bars. Null where the source lacks an "
        "input, on days without trades and in windows with fewer than 60% finite days.\n\n"
        + "\n".join(f"- `{n}`: {PASSPORTS[n].formula}" for n in DAILY42),
        "common_factors": f"The {len(COMMON)} common factors that signals are compared with and risk is measured by, "
        "raw.\n\n" + "\n".join(f"- `{n}`: {PASSPORTS[n].formula}" for n in COMMON),
    },
)
def daily_factors(build: Build) -> Iterator[Built]:
    """Both tables from one reading of the windows: 504 days of turnover, 252 of returns, 64 of the rest."""
    series, bars = daily_series(build.lake, build.keys)
    last = len(bars.days) - int(np.searchsorted(bars.days.astype(str), build.keys[0]))
    made = (
        ("daily_factors", DAILY42, values_of(series, last, build.workers)),
        ("common_factors", COMMON, common_factors(series, last, build.workers)),
    )
    days = list(bars.days[-last:])
    for key in build.keys:
        d = days.index(key)
        here = bars.present[len(bars.days) - last + d]
        for table, names, values in made:
            frame = by_symbol(bars.symbols[here], values[d][here], names)
            null = np.isnan(values[d][here]).mean(axis=0) if here.any() else np.ones(len(names))
            absent = [n for n, share in zip(names, null, strict=True) if share == 1]
            note = {"null everywhere": ", ".join(absent)} if absent else {}
            yield Built(
                key, frame, {"symbols": len(frame), "null_share": round(float(null.mean()), 4), **note}, table=table
            )


ASSETS = [daily_factors]
