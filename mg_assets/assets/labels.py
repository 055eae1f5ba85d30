"""Labels: the returns that models learn."""

from collections.abc import Iterator

import numpy as np

from mg_assets import factors
from mg_assets.assets.factors import by_symbol
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import shift, trading_days
from mg_assets.orchestration.lake_asset import lake_asset
from mg_assets.orchestration.lineage import all_from
from mg_assets.orchestration.partition_build import Build, Built

HORIZONS = (5, 10, 20)
AHEAD = max(HORIZONS) + 1
BARS = ("vwap", "open", "high", "low", "close", "adj_factor", "up_limit", "down_limit", "suspended", "st")


@lake_asset(
    "labels",
    group="labels",
    needs=[UpstreamWindow("daily_bars", ahead=AHEAD)],
    anchor="daily_bars",
    lineage={"symbol": ("daily_bars.symbol",)} | all_from([f"ret_{h}" for h in HORIZONS], {"daily_bars": BARS}),
    columns={f"ret_{h}": f"vwap(T+1+{h}) / vwap(T+1) - 1, adjusted" for h in HORIZONS},
)
def labels(build: Build) -> Iterator[Built]:
    """Returns from T+1's vwap to the vwap 5, 10 and 20 sessions later, adjusted.

    Null where the stock is ST, suspended or at a one-word limit on T+1, or has no price at the exit, and
    where the exit is not yet in the lake: a partition is complete 21 sessions later.
    """
    lake = build.lake
    have = lake.keys("daily_bars")
    exit_day = str(shift(build.keys[-1], AHEAD))
    days = [str(d) for d in trading_days(build.keys[0], min(exit_day, max([*have[-1:], build.keys[-1]])))]
    bars = lake.panel("daily_bars", days, BARS, missing="empty")
    entry = factors.eligible_entry(*(bars[c] for c in ("suspended", "st", *BARS[1:5], "up_limit", "down_limit")))
    values = factors.labels(bars["vwap"] * bars["adj_factor"], entry & bars.present, HORIZONS)
    in_lake = np.isin(days, have)
    for key in build.keys:
        d = days.index(key)
        here = bars.present[d]
        frame = by_symbol(bars.symbols[here], values[d][here], [f"ret_{h}" for h in HORIZONS])
        seen = int(in_lake[d + 1 : d + 1 + AHEAD].sum())
        yield Built(key, frame, {"sessions_known": seen, "complete": seen == AHEAD})


ASSETS = [labels]
