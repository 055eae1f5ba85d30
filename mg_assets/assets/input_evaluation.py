"""RankIC of every raw model input, so that its passport has a figure of the user's own lake."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mg_assets.assets.evaluation import MIN_DAYS, judged_universe, markdown_table
from mg_assets.factors.registry import COMMON, DAILY, GRANULAR
from mg_assets.freshness import Needs
from mg_assets.lake import Build, Built, lake_asset
from mg_assets.market_data import MarketData, market_data
from mg_assets.store import WHOLE, Lake
from mg_portfolio.evaluation import forward_returns, rank_ic_by_day
from mg_portfolio.layers import MIN_STOCKS

INPUTS = {"daily_factors": DAILY, "common_factors": COMMON, "features_240m": GRANULAR}
EVERY = 5
CHUNK = 60  # days read at once: 42 columns of 5,000 stocks are 101 MB
COLUMNS = {
    "name": "column of the input table",
    "table": "input table",
    "rank_ic_mean": "mean over days of the Spearman correlation with the return T+1..T+6 (vwap), no sign applied",
    "rank_ic_ir": "mean / std over days",
    "rank_ic_positive_ratio": "share of days with a positive one",
    "coverage": "share of the universe with a value",
    "first_day": "first day with a correlation",
    "last_day": "last day with a correlation",
}


@lake_asset(
    "input_evaluation",
    group="evaluation",
    partitions=None,
    needs=[*(Needs(t) for t in INPUTS), Needs("daily_bars"), Needs("reference")],
    kinds={"numba"},
    columns=COLUMNS,
)
def input_evaluation(build: Build) -> Iterator[Built]:
    """RankIC of the daily and common factors and the whole day's features as they are stored: raw, neutral to nothing.

    The universe and the return are factor_evaluation's. The sources publish no RankIC of them and no sign.
    """
    frame = evaluated_inputs(build.lake)
    if frame.empty:
        yield Built(WHOLE, frame, {"absent": f"fewer than {MIN_DAYS} days of any of them"})
    else:
        yield Built(WHOLE, frame, {"table": markdown_table(frame)})


def evaluated_inputs(lake: Lake) -> pd.DataFrame:
    """One row an input, columns :data:`COLUMNS`; without rows where no table has enough days."""
    bars = lake.keys("daily_bars")
    days = {table: sorted(set(lake.keys(table)) & set(bars)) for table in INPUTS}
    days = {table: keys for table, keys in days.items() if len(keys) >= MIN_DAYS}
    rows: list[dict] = []
    if days:
        first, last = min(keys[0] for keys in days.values()), max(keys[-1] for keys in days.values())
        market = market_data(lake, [k for k in bars if first <= k <= last])
        for table, keys in days.items():
            rows += _evaluated(lake, table, keys, market)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"name": "str", "table": "str"})


def _evaluated(lake: Lake, table: str, keys: list[str], market: MarketData) -> Iterator[dict]:
    names = INPUTS[table]
    inside, returns = judged_universe(market), forward_returns(market.vwap, EVERY)
    at = np.searchsorted(market.days, np.array(keys, "datetime64[D]"))
    rank_ic = np.full((len(names), len(keys)), np.nan)
    known = np.zeros(len(names))
    for start in range(0, len(keys), CHUNK):
        part = slice(start, start + CHUNK)
        panel = lake.panel(table, keys[part], list(names), market.symbols)
        for i, name in enumerate(names):
            rank_ic[i, part] = rank_ic_by_day(panel[name], returns[at[part]], inside[at[part]], MIN_STOCKS)
            known[i] += (np.isfinite(panel[name]) & inside[at[part]]).sum()
    for i, name in enumerate(names):
        has = np.flatnonzero(np.isfinite(rank_ic[i]))
        if len(has) < MIN_DAYS:
            continue
        values = rank_ic[i, has]
        yield {
            "name": name,
            "table": table,
            "rank_ic_mean": values.mean(),
            "rank_ic_ir": values.mean() / values.std(ddof=1) if values.std() > 0 else np.nan,
            "rank_ic_positive_ratio": (values > 0).mean(),
            "coverage": known[i] / inside[at].sum(),
            "first_day": keys[has[0]],
            "last_day": keys[has[-1]],
        }


ASSETS = [input_evaluation]
