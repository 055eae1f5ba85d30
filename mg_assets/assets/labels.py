"""Labels: the returns that models learn."""

from collections.abc import Iterator

import numpy as np

from mg_assets import factors
from mg_assets.assets.factors import by_symbol
from mg_assets.lake.price_jumps import stored_jumps
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import shift, trading_days
from mg_assets.orchestration.lake_asset import lake_asset
from mg_assets.orchestration.lineage import all_from
from mg_assets.orchestration.partition_build import Build, Built

HORIZONS = (5, 10, 20)
AHEAD = max(HORIZONS) + 1
NAMED = 20
BARS = ("vwap", "open", "high", "low", "close", "adj_factor", "up_limit", "down_limit", "suspended", "st")


@lake_asset(
    "labels",
    group="labels",
    needs=[
        UpstreamWindow("daily_bars", ahead=AHEAD),
        UpstreamWindow("reference", ahead=AHEAD, columns=(("symbol", 0), ("list_date", 0))),
    ],
    anchor="daily_bars",
    version="2",  # without returns across price jumps
    lineage={"symbol": ("daily_bars.symbol",)}
    | all_from([f"ret_{h}" for h in HORIZONS], {"daily_bars": BARS, "reference": ["list_date"]}),
    columns={f"ret_{h}": f"vwap(T+1+{h}) / vwap(T+1) - 1, adjusted" for h in HORIZONS},
)
def labels(build: Build) -> Iterator[Built]:
    """Returns from T+1's vwap to the vwap 5, 10 and 20 sessions later, adjusted.

    Null where the stock is ST, suspended or at a one-word limit on T+1, or has no price at the exit, and
    where the exit is not yet in the lake: a partition is complete 21 sessions later. Null too where the adjusted price
    jumps on the way: a return beyond the limit that no rule explains, or an adjustment factor that was corrected.
    """
    lake = build.lake
    have = lake.keys("daily_bars")
    exit_day = str(shift(build.keys[-1], AHEAD))
    days = [str(d) for d in trading_days(build.keys[0], min(exit_day, max([*have[-1:], build.keys[-1]])))]
    bars = lake.panel("daily_bars", days, BARS, missing="empty")
    entry = factors.eligible_entry(*(bars[c] for c in ("suspended", "st", *BARS[1:5], "up_limit", "down_limit")))
    price, entry = bars["vwap"] * bars["adj_factor"], entry & bars.present
    values = factors.labels(price, entry, HORIZONS, stored_jumps(lake, bars))
    lost = (np.isfinite(factors.labels(price, entry, HORIZONS)) & np.isnan(values)).any(axis=2)
    in_lake = np.isin(days, have)
    for key in build.keys:
        d = days.index(key)
        here = bars.present[d]
        frame = by_symbol(bars.symbols[here], values[d][here], [f"ret_{h}" for h in HORIZONS])
        seen = int(in_lake[d + 1 : d + 1 + AHEAD].sum())
        left_out = [str(s) for s in bars.symbols[lost[d]]]
        known = {"sessions_known": seen, "complete": seen == AHEAD, "left_out_for_price_jumps": len(left_out)}
        named = {"stocks_with_price_jumps": ", ".join(left_out[:NAMED])} if left_out else {}
        stored = {"left_out_for_price_jumps": left_out} if left_out else {}
        yield Built(key, frame, known | named, stored=stored)


ASSETS = [labels]
