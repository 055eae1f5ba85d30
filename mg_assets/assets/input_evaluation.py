"""RankIC of every raw model input, so that its passport has a figure of the user's own lake."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from mg_assets.assets.evaluation import evaluation_universe
from mg_assets.evaluation import MIN_DAYS
from mg_assets.factors.granular import GRANULARITIES, column_names
from mg_assets.factors.registry import COMMON, DAILY, GRANULAR
from mg_assets.lake.market_data import MarketData, market_data
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.orchestration.lake_asset import lake_asset
from mg_assets.orchestration.metadata import markdown_table
from mg_assets.orchestration.partition_build import Build, Built
from mg_portfolio.evaluation.confidence_intervals import automatic_lags, newey_west
from mg_portfolio.evaluation.forward_returns import forward_returns
from mg_portfolio.evaluation.quantile_portfolios import MIN_STOCKS
from mg_portfolio.evaluation.rank_ic import daily_statistics, sort_rows

INPUTS = {"daily_factors": DAILY, "common_factors": COMMON, "features_240m": GRANULAR}
STEPPED = tuple(table for table in GRANULARITIES if table not in INPUTS)
EVERY = 5
VALUES = 1 << 24  # read at once: 134 MB
COLUMNS = {
    "name": "column of the input table",
    "table": "table that the column is of",
    "rank_ic_mean": "mean over days of the Spearman correlation with the return T+1..T+6 (vwap), no sign applied",
    "rank_ic_ir": "mean / std of the daily RankIC",
    "rank_ic_positive_ratio": "share of days with a positive RankIC",
    "rank_ic_t": "Newey-West t of the daily RankIC",
    "coverage": "share of the universe with a value",
    "first_day": "first day with a correlation",
    "last_day": "last day with a correlation",
}


STEPS = {
    "name": "column: feature and step of the day",
    "feature": "which of the 14 features",
    "step": "bar of the day, 1 the first",
    **{n: text for n, text in COLUMNS.items() if n != "name"},
}
_TABLES = ("input_evaluation", "input_evaluation_steps")


@lake_asset(
    _TABLES,
    group="evaluation",
    partitions=None,
    needs=[
        *(*INPUTS, *STEPPED),
        "daily_bars",
        "reference",
    ],
    version="2",
    kinds={"numba"},
    columns=dict(zip(_TABLES, (COLUMNS, STEPS), strict=True)),
    description={
        "input_evaluation": "RankIC of the daily and common factors and the whole day's features as they are stored: "
        "raw, neutral to nothing.\n\nThe universe and the return are factor_evaluation's. The sources publish no "
        "RankIC of them and no sign.",
        "input_evaluation_steps": "The same of every column of the 60- and 30-minute features, on every fifth day of "
        "150 or more; the page shows each feature's mean over its steps, and its best step.",
    },
)
def input_evaluation(build: Build) -> Iterator[Built]:
    """Evaluate every raw input of the models."""
    market = _market(build.lake, _days(build.lake, (*INPUTS, *STEPPED)))
    frame, steps = evaluated_inputs(build.lake, market), evaluated_steps(build.lake, market)
    absent = {"absent": f"fewer than {MIN_DAYS} days of any of them"}
    yield Built(WHOLE, frame, {"table": markdown_table(frame)} if len(frame) else absent, table=_TABLES[0])
    yield Built(WHOLE, steps, {"table": markdown_table(by_feature(steps))} if len(steps) else absent, table=_TABLES[1])


def evaluated_inputs(lake: Lake, market: MarketData | None = None) -> pd.DataFrame:
    """RankIC of every raw daily input.

    Parameters
    ----------
    lake : Lake
    market : MarketData, optional
        Of the tables' days or more; read from the lake by default.

    Returns
    -------
    DataFrame
        One row an input, columns :data:`COLUMNS`; no rows where no table has enough days.
    """
    return _frame(_rows(lake, INPUTS, market), COLUMNS)


def evaluated_steps(lake: Lake, market: MarketData | None = None) -> pd.DataFrame:
    """RankIC of every column of the features by step of the day.

    Of every fifth day where there are 150 or more, whose returns do not overlap: 168 columns of every day took half
    the time of all evaluation.

    Parameters
    ----------
    lake : Lake
    market : MarketData, optional
        Of the tables' days or more; read from the lake by default.

    Returns
    -------
    DataFrame
        One row a column, columns :data:`STEPS`.
    """
    rows = _rows(lake, {table: column_names(table) for table in STEPPED}, market, EVERY)
    for row in rows:
        feature, _, step = row["name"].rpartition("_")
        row |= {"feature": feature, "step": int(step)}
    return _frame(rows, STEPS).astype({"feature": "str", "step": "int64"})


def by_feature(steps: pd.DataFrame) -> pd.DataFrame:
    """Each feature's mean RankIC over the steps of its day, and the step with the largest.

    Parameters
    ----------
    steps : DataFrame
        From `evaluated_steps`.

    Returns
    -------
    DataFrame
        Columns table, feature, steps, rank_ic_mean and coverage (means over steps), best_step, best_rank_ic, best_t.
    """
    rows = []
    for (table, feature), part in steps.groupby(["table", "feature"], sort=False):
        best = part.loc[part["rank_ic_mean"].abs().idxmax()]
        rows.append(
            {
                "table": table,
                "feature": feature,
                "steps": len(part),
                "rank_ic_mean": part["rank_ic_mean"].mean(),
                "coverage": part["coverage"].mean(),
                "best_step": best["step"],
                "best_rank_ic": best["rank_ic_mean"],
                "best_t": best["rank_ic_t"],
            }
        )
    return pd.DataFrame(rows)


def _frame(rows: list[dict], columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype({"name": "str", "table": "str"})


def _days(lake: Lake, tables: Iterable[str]) -> dict[str, list[str]]:
    """Days with bars of the tables that have enough of them."""
    bars = set(lake.keys("daily_bars"))
    days = {table: [k for k in lake.keys(table) if k in bars] for table in tables}
    return {table: keys for table, keys in days.items() if len(keys) >= MIN_DAYS}


def _market(lake: Lake, days: dict[str, list[str]]) -> MarketData | None:
    if not days:
        return None
    first, last = min(keys[0] for keys in days.values()), max(keys[-1] for keys in days.values())
    return market_data(lake, [k for k in lake.keys("daily_bars") if first <= k <= last])


def _rows(lake: Lake, tables: dict[str, tuple[str, ...]], market: MarketData | None, stride: int = 1) -> list[dict]:
    days = _days(lake, tables)
    market = _market(lake, days) if market is None else market
    if not days or market is None:
        return []
    taken = {table: stride if len(keys) >= stride * MIN_DAYS else 1 for table, keys in days.items()}
    return [
        row
        for table, keys in days.items()
        for row in _evaluated(lake, table, tables[table], keys[:: taken[table]], market, EVERY - taken[table])
    ]


def _evaluated(
    lake: Lake, table: str, names: tuple[str, ...], keys: list[str], market: MarketData, overlap: int
) -> Iterator[dict]:
    inside, returns = evaluation_universe(market), forward_returns(market.vwap, EVERY)
    at = np.searchsorted(market.days, np.array(keys, "datetime64[D]"))
    rank_ic = np.full((len(names), len(keys)), np.nan)
    present = np.zeros(len(names))
    chunk = max(1, VALUES // max(len(names) * len(market.symbols), 1))
    for start in range(0, len(keys), chunk):
        part = slice(start, start + chunk)
        panel = lake.panel(table, keys[part], list(names), market.symbols)
        later, tradable = returns[at[part]], inside[at[part]]
        later_ordered = sort_rows(later, tradable)
        for i, name in enumerate(names):
            ordered = sort_rows(panel[name], tradable)
            rank_ic[i, part] = daily_statistics(panel[name], later, ordered, later_ordered, MIN_STOCKS)[:, 1]
            present[i] += ordered[1].sum()
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
            "rank_ic_t": newey_west(values, automatic_lags(len(values), overlap))[1],
            "coverage": present[i] / inside[at].sum(),
            "first_day": keys[has[0]],
            "last_day": keys[has[-1]],
        }


ASSETS = [input_evaluation]
