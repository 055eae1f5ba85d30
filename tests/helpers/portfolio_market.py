"""A small simulated market with a noisy signal, which the tests of portfolios and of their studies share."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.sources import build_source
from mg_portfolio.catalog import OTHER_STYLES

TABLES = ("daily_bars", "reference", "fused", "common_factors")
FIRST, LAST = "2023-01-03", "2023-04-28"


def small_market(folder: Path, last: str = LAST) -> Lake:
    """Four months of a simulated market of 130 stocks, a noisy signal, and styles of noise."""
    lake = Lake(folder)
    source = build_source("simulated", {"stocks": 130, "tick_start": "2030-01-01"})
    r = np.random.default_rng(3)
    for day in (str(d) for d in trading_days(FIRST, last)):
        date = dt.date.fromisoformat(day)
        for table in ("daily_bars", "reference"):
            lake.write(table, day, source.load(table, date).data)
        planted = source.load("planted_signal", date).data
        n = len(planted)
        score = 0.6 * planted["signal"].to_numpy() + 0.8 * r.standard_normal(n)
        lake.write("fused", day, pd.DataFrame({"symbol": planted["symbol"], "score": score})[r.random(n) < 0.97])
        noise = pd.DataFrame(r.standard_normal((n, len(OTHER_STYLES))), columns=list(OTHER_STYLES))
        lake.write("common_factors", day, noise.assign(symbol=planted["symbol"].to_numpy()))
    return lake


def copy_of(market: Lake, folder: Path) -> Lake:
    """A lake that shares the market's tables, so that each test writes its own."""
    for table in TABLES:
        (folder / table).symlink_to(f"{market.root}/{table}", target_is_directory=True)
    return Lake(folder)
