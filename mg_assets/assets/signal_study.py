"""The signal study: every signal beside the published numbers, and how signals correlate."""

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.assets.evaluation import evaluation_universe
from mg_assets.assets.models import SIGNALS
from mg_assets.evaluation import universe_masks
from mg_assets.lake.market_data import MarketData, market_data
from mg_assets.lake.pages import page_link
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.orchestration.lake_asset import lake_asset
from mg_assets.orchestration.metadata import markdown_table
from mg_assets.orchestration.partition_build import Build, Built
from mg_assets.settings import settings
from mg_portfolio.evaluation.signal_correlation import correlation_sums
from mg_portfolio.report.published import published_digest
from mg_portfolio.report.signal_study.layouts import (
    COMMON_FACTORS,
    CONDITIONS,
    FIGURE_UNIVERSES,
    PERIODS,
    SIGNAL_FIGURES,
    SIGNAL_TABLES,
    UNIVERSE_SUBJECTS,
)
from mg_portfolio.report.signal_study.measures import MIN_DAYS, SignalFigures, measure_signals
from mg_portfolio.report.signal_study.tables import CURVE_COLUMNS, STUDY_COLUMNS, study_cells, study_curves

PLANTED = "planted_signal"
BUDGET = 1 << 30  # bytes of signals in memory at once
CHUNK = 16  # days of all signals in memory at once: 65 signals of 5,000 stocks are 42 MB
INPUTS = [
    *SIGNALS,
    PLANTED,
    "daily_bars",
    "reference",
]


def _span(lake: Lake) -> tuple[list[str], list[str]]:
    """Days with bars from the first signal's first to the last's last, and the signals with enough of them."""
    bars = lake.keys("daily_bars")
    with_bars = set(bars)
    days = {s: [k for k in lake.keys(s) if k in with_bars] for s in SIGNALS}
    days = {s: keys for s, keys in days.items() if len(keys) >= MIN_DAYS}
    if not days:
        return [], []
    first, last = min(keys[0] for keys in days.values()), max(keys[-1] for keys in days.values())
    planted = [PLANTED] if sum(first <= k <= last for k in lake.keys(PLANTED)) >= MIN_DAYS else []
    return [k for k in bars if first <= k <= last], [*days, *planted]


def _read(lake: Lake, name: str, keys: list[str], symbols: np.ndarray) -> np.ndarray:
    """A signal or common factor ``(D, S)``; NaN where it has no partition or no value."""
    table = "common_factors" if name in COMMON_FACTORS else name
    column = name if name in COMMON_FACTORS else "signal" if name == PLANTED else "score"
    return lake.panel(table, keys, [column], symbols, missing="empty")[column]


def _prices(lake: Lake, market: MarketData) -> dict[str, np.ndarray]:
    """Adjusted execution prices, NaN where the stock did not trade."""
    bars = lake.panel("daily_bars", market.keys, ["open", "adj_factor"], market.symbols)
    traded = ~market.suspended
    return {
        "vwap": market.vwap,
        "close": np.where(traded, market.close, np.nan),
        "open": np.where(traded, bars["open"] * bars["adj_factor"], np.nan),
    }


def measured_signals(lake: Lake, workers: int = 1) -> dict[str, SignalFigures]:
    """Figures of every signal with enough days, and of the planted one, under its report's conditions."""
    keys, names = _span(lake)
    if not keys:
        return {}
    market = market_data(lake, keys)
    tradable, prices = evaluation_universe(market), _prices(lake, market)
    universes = universe_masks(lake, market, FIGURE_UNIVERSES)[0] if set(names) & set(UNIVERSE_SUBJECTS) else {}
    calendar = trading_days(min(period[:10] for period in PERIODS.values()), keys[-1])
    size = max(1, BUDGET // max(len(keys) * len(market.symbols) * 8, 1))
    out: dict[str, SignalFigures] = {}
    for start in range(0, len(names), size):
        signals = {n: _read(lake, n, keys, market.symbols) for n in names[start : start + size]}
        out |= measure_signals(signals, prices, tradable, market.days, workers, universes, calendar)
    return out


def mean_correlations(lake: Lake, workers: int = 1) -> tuple[list[str], np.ndarray, int]:
    """Mean daily Spearman correlations of the signals with one another and with the common factors.

    Returns
    -------
    names : list of str (N,)
        Signals, then common factors; empty where no signal has enough days.
    matrix : ndarray of float (N, N)
    days : int
        Most days behind one of them.
    """
    keys, signals = _span(lake)
    if not keys:
        return [], np.empty((0, 0)), 0
    names = [*signals, *(COMMON_FACTORS if lake.keys("common_factors") else ())]
    market = market_data(lake, keys)
    tradable = evaluation_universe(market)

    def part(start: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(start, start + CHUNK)
        stack = np.stack([_read(lake, n, keys[rows], market.symbols) for n in names])
        return correlation_sums(stack, tradable[rows])

    total, used = np.zeros((len(names), len(names))), np.zeros((len(names), len(names)), np.int64)
    with ThreadPoolExecutor(workers) as pool:
        for sums, counts in pool.map(part, range(0, len(keys), CHUNK)):
            total += sums
            used += counts
    seen = np.flatnonzero(used.diagonal())  # partitions without values, in a signal's first weeks, are no days
    total, used = total[np.ix_(seen, seen)], used[np.ix_(seen, seen)]
    mean = np.where(used > 0, total / np.maximum(used, 1), np.nan)
    return [names[i] for i in seen], mean, int(used.max(initial=0))


@lake_asset(
    "signal_correlations",
    group="evaluation",
    partitions=None,
    needs=[*INPUTS, "common_factors"],
    kinds={"numba"},
    columns={"name": "signal or common factor", "...": "mean correlation with the one of the column's name"},
)
def signal_correlations(build: Build) -> Iterator[Built]:
    """Mean daily Spearman correlations of the signals with one another and with the five common factors.

    Over the evaluation's universe, on the days that a pair shares at least 30 stocks.
    """
    from mg_portfolio.charts import figures as charts
    from mg_portfolio.charts.signal_study import correlation_chart

    names, matrix, days = mean_correlations(build.lake, build.workers)
    frame = pd.DataFrame(matrix, columns=names)
    frame.insert(0, "name", pd.Series(names, dtype="str"))
    if not names:
        yield Built(WHOLE, frame, {"absent": f"no signal has {MIN_DAYS} days"})
        return
    chart = correlation_chart(names, matrix, sum(n in COMMON_FACTORS for n in names))
    shown = {"correlations": dg.MetadataValue.md(charts.markdown_image(chart)), "table": markdown_table(frame)}
    yield Built(WHOLE, frame, {**shown, "days": days}, stored={"days": days})


_TABLES = ("signal_study", "signal_study_curves")


@lake_asset(
    _TABLES,
    group="evaluation",
    partitions=None,
    needs=[*INPUTS, "signal_correlations"],
    config=(CONDITIONS, SIGNAL_TABLES, SIGNAL_FIGURES, published_digest()),
    kinds={"numba"},
    version="2",
    columns=dict(zip(_TABLES, (STUDY_COLUMNS, CURVE_COLUMNS), strict=True)),
    description={
        _TABLES[0]: "Every signal beside the published numbers: RankIC, IC_IR, top excess, and the reports' tables and "
        "charts of models.\n\nEach under its report's conditions, over the published days where the lake has them. "
        "Series 72 charts 45, 47, 48, 52, 54, 55, 57, 59, 60; series 88 tables 1 to 7 and figures 4 to 13, 15, 16; "
        "series 69 charts 10, 12, 13, 16 to 18, 22, 25, 27, 34, 36. One self-contained page per language beside the "
        "table. A model that is not in the deployment's catalog is named as not trained.",
        _TABLES[
            1
        ]: "Daily RankIC, its running sum, and the relative NAV of the top portfolios of every signal: the lines "
        "of the study's charts.",
    },
)
def signal_study(build: Build) -> Iterator[Built]:
    """Lay every signal beside the published numbers, and write the pages."""
    from mg_portfolio.charts import figures as charts
    from mg_portfolio.charts.signal_study import published_comparison_chart
    from mg_portfolio.report.signal_study.page import (
        SignalStudy,
        overview_markdown,
        render_signal_study,
        signal_table_markdown,
    )

    lake = build.lake
    found = measured_signals(lake, build.workers)
    cells = study_cells(found, (*SIGNALS, *(n for n in found if n == PLANTED)))
    curves = study_curves(found)
    matrix = lake.day("signal_correlations", WHOLE)
    names = tuple(matrix["name"])
    study = SignalStudy(
        cells=cells,
        curves=curves,
        names=names,
        correlations=matrix[list(names)].to_numpy(float).reshape(len(names), len(names)),
        correlation_days=lake.metadata("signal_correlations", WHOLE).get("days", 0),
        source=build.source.name,
        lake=lake.root.rpartition("/")[2],
        simulated=settings().source.kind == "simulated",
        generated=dt.datetime.now(),
    )
    pages = {
        lang: lake.write_file(
            "signal_study", WHOLE, f"signal_study_{lang}.html", render_signal_study(study, lang).encode()
        )
        for lang in ("en", "zh")
    }
    rank_ic = cells[(cells["table"] == "signals") & (cells["metric"] == "rank_ic_mean") & cells["ours"].notna()]
    chart = published_comparison_chart(
        list(rank_ic["subject"]), rank_ic["ours"].to_numpy(), rank_ic["published"].to_numpy()
    )
    have, lacking = study.trained
    yield Built(
        WHOLE,
        cells,
        {
            "models of the reports' tables": f"{have} of {have + len(lacking)}",
            "RankIC": dg.MetadataValue.md(charts.markdown_image(chart)),
            "signals": dg.MetadataValue.md(overview_markdown(cells)),
            **{x.key: dg.MetadataValue.md(signal_table_markdown(cells, x)) for x in SIGNAL_TABLES},
            **{f"page, {lang}": dg.MetadataValue.path(file) for lang, file in pages.items()},
            "open": dg.MetadataValue.url(page_link(lake, pages["en"])),
            **({"absent": f"no signal has {MIN_DAYS} days"} if not found else {}),
        },
        table=_TABLES[0],
    )
    yield Built(WHOLE, curves, {"signals": len(found)}, table=_TABLES[1])


ASSETS = [signal_correlations, signal_study]
