"""How good every factor and every signal is, beside the published figures."""

from collections.abc import Iterator, Sequence

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.assets.models import SIGNALS
from mg_assets.factors.passport import comparison
from mg_assets.factors.registry import ALL34, FACTORS
from mg_assets.freshness import Needs
from mg_assets.lake import Build, Built, lake_asset
from mg_assets.market_data import MarketData, market_data
from mg_assets.store import WHOLE, Lake
from mg_portfolio.evaluation import Evaluation, correlations, evaluate, universe
from mg_portfolio.report.published import published_value

SHOWN = (
    "rank_ic_mean",
    "rank_ic_ir",
    "rank_ic_positive_ratio",
    "top_excess_annual",
    "top_information_ratio",
    "top_turnover_two_way",
)
_COLUMNS = {
    "name": "factor or signal",
    "rank_ic_mean": "mean Spearman correlation with the next week's return, five tracks",
    "published_rank_ic": "the report's figure",
    "rank_ic_ir": "mean / std",
    "top_excess_annual": "of the highest layer over the equal-weight universe, geometric",
    "top_information_ratio": "annualised excess over tracking error",
}
MIN_DAYS = 30


def judged_universe(market: MarketData) -> np.ndarray:
    """All stocks minus ST, listed under 63 sessions, suspended or locked at the upper limit on T+1."""
    return universe(market.listed_days, market.st, market.suspended, market.up_locked)


def _judge(
    lake: Lake, tables: dict[str, tuple[str, str, int]], groups: int
) -> tuple[dict[str, Evaluation], dict[str, np.ndarray], MarketData | None]:
    """Evaluate ``name -> (table, column, direction)`` on the days that have the table."""
    found: dict[str, Evaluation] = {}
    signals: dict[str, np.ndarray] = {}
    bars = lake.keys("daily_bars")
    days = {t: [k for k in lake.keys(t) if k in set(bars)] for t in {t for t, _, _ in tables.values()}}
    every = sorted({k for keys in days.values() for k in keys})
    if len(every) < MIN_DAYS:
        return {}, {}, None
    span = [k for k in bars if every[0] <= k <= every[-1]]
    market = market_data(lake, span)
    inside = judged_universe(market)
    panels = {
        t: lake.panel(t, span, sorted({c for u, c, _ in tables.values() if u == t}), market.symbols, missing="empty")
        for t in days
    }
    for name, (table, column, direction) in tables.items():
        signal = panels[table][column]
        has = np.flatnonzero(np.isfinite(signal).any(axis=1))
        if len(has) < MIN_DAYS:
            continue
        rows = slice(has[0], len(span))
        signals[name] = signal * direction
        found[name] = evaluate(
            signal[rows], market.vwap[rows], inside[rows], market.days[rows], direction, every=5, groups=groups
        )
    return found, signals, market


def _table(found: dict[str, Evaluation]) -> pd.DataFrame:
    rows = []
    for name, result in found.items():
        shown = {m: result.summary[m] for m in SHOWN}
        published = published_value(name, "rank_ic_mean")
        rows.append(
            {
                "name": name,
                "rank_ic_mean": shown.pop("rank_ic_mean"),
                "published_rank_ic": np.nan if published is None else published,
                **shown,
                "first_day": str(result.days[0]),
                "last_day": str(result.days[-1]),
                "skipped_rebalances": len(result.ledger),
            }
        )
    columns = ["name", "rank_ic_mean", "published_rank_ic", *SHOWN[1:], "first_day", "last_day", "skipped_rebalances"]
    return pd.DataFrame(rows, columns=columns)


def markdown_table(frame: pd.DataFrame) -> dg.MarkdownMetadataValue:
    """A table for an asset's page, floats with four digits."""
    text = frame.copy()
    for column in text.columns:
        if text[column].dtype.kind == "f":
            text[column] = text[column].map(lambda v: "" if pd.isna(v) else f"{v:.4f}")
    lines = ["| " + " | ".join(text.columns) + " |", "|" + "---|" * len(text.columns)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in text.itertuples(index=False)]
    return dg.MetadataValue.md("\n".join(lines))


def _plots(found: dict[str, Evaluation], names: Sequence[str]) -> dict[str, dg.MarkdownMetadataValue]:
    from mg_portfolio.report import charts

    out = {}
    for name in names:
        result = found[name]
        out[f"RankIC: {name}"] = dg.MetadataValue.md(
            charts.markdown_image(charts.ic_chart(result.days, result.rank_ic, every=5))
        )
        out[f"layers: {name}"] = dg.MetadataValue.md(
            charts.markdown_image(charts.layers_chart(result.days, result.layer_nav))
        )
    return out


def _built(found: dict[str, Evaluation], plotted: int, extra: dict) -> Built:
    frame = _table(found)
    if frame.empty:
        return Built(WHOLE, frame, {"absent": f"fewer than {MIN_DAYS} days of any of them"})
    best = frame.set_index("name")["rank_ic_mean"].abs().sort_values(ascending=False).index[:plotted]
    return Built(WHOLE, frame, {"table": markdown_table(frame), **_plots(found, list(best)), **extra})


@lake_asset(
    "factor_evaluation",
    group="evaluation",
    partitions=None,
    needs=[Needs("factor_scores"), Needs("daily_bars"), Needs("reference")],
    kinds={"numba"},
    columns=_COLUMNS,
)
def factor_evaluation(build: Build) -> Iterator[Built]:
    """RankIC, five layers, top excess and information ratio of each of the 34 factors, weekly, T+1 vwap, five tracks.

    Definitions: evaluation.md. The published RankIC stands beside ours.
    """
    tables = {n: ("factor_scores", n, FACTORS[n].direction) for n in ALL34}
    found, _, _ = _judge(build.lake, tables, groups=5)
    beside = dg.MetadataValue.md(comparison(_table(found)))
    yield _built(found, 4, {"published and measured": beside})


@lake_asset(
    "signal_evaluation",
    group="evaluation",
    partitions=None,
    needs=[*(Needs(s) for s in SIGNALS), Needs("planted_signal"), Needs("daily_bars"), Needs("reference")],
    kinds={"numba"},
    columns=_COLUMNS,
)
def signal_evaluation(build: Build) -> Iterator[Built]:
    """RankIC, ten layers, top excess and information ratio of each model signal, and of a planted signal where one is.

    Weekly, T+1 vwap, five tracks, over the days from the first prediction on.
    """
    lake = build.lake
    tables = {s: (s, "score", 1) for s in SIGNALS}
    first = min((k[0] for k in (lake.keys(s) for s in SIGNALS) if k), default=None)
    found, signals, market = _judge(lake, tables, groups=10)
    extra = {}
    if market is not None and first is not None:
        planted = lake.panel("planted_signal", market.keys, ["signal"], market.symbols, missing="empty")["signal"]
        if np.isfinite(planted).any():
            inside = judged_universe(market)
            found["planted_signal"] = evaluate(planted, market.vwap, inside, market.days, every=5, groups=10)
            signals["planted_signal"] = planted
        names = list(signals)
        if len(names) > 1:
            matrix = correlations(np.stack([signals[n] for n in names]), judged_universe(market))
            frame = pd.DataFrame(matrix, columns=names)
            frame.insert(0, "name", names)
            extra["correlations"] = markdown_table(frame)
    yield _built(found, 3, extra)


ASSETS = [factor_evaluation, signal_evaluation]
