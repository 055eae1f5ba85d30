"""Evaluation of every factor and every signal, beside the published figures."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.assets.models import SIGNALS
from mg_assets.assets.own_factors import OWN
from mg_assets.evaluation import (
    COMMON,
    EvaluationResult,
    SignalColumn,
    by_case,
    configured_cases,
    evaluate_signals,
    pair_correlations,
    summary_rows,
)
from mg_assets.factors.own import SCORES
from mg_assets.factors.passport_pages import rank_ic_comparison
from mg_assets.factors.registry import ALL34, FACTORS, passports
from mg_assets.lake.market_data import MarketData
from mg_assets.lake.pages import page_link
from mg_assets.lake.partition_keys import WHOLE
from mg_assets.orchestration.lake_asset import lake_asset
from mg_assets.orchestration.metadata import markdown_table
from mg_assets.orchestration.partition_build import Build, Built
from mg_assets.settings import settings
from mg_portfolio.evaluation.cases import Case
from mg_portfolio.evaluation.evaluate import tradable_next_day
from mg_portfolio.evaluation.exclusions import EXCLUSION_COLUMNS
from mg_portfolio.report.published import published_digest, published_value

if TYPE_CHECKING:
    from mg_portfolio.report.gallery.page import Gallery

PLOTTED = 2
PLOTTED_OWN = 5
FIRST = (
    "name",
    "rank_ic_mean",
    "published_rank_ic",
    "rank_ic_ir",
    "rank_ic_positive_ratio",
    "top_excess_annual",
    "top_information_ratio",
    "top_turnover_two_way",
)
SHOWN = (*FIRST, "rank_ic_mean_t", "rank_ic_mean_low", "rank_ic_mean_high", "rank_ic_track_std", "top10pct_excess_net")
COLUMNS = {
    "name": "factor or signal",
    "rank_ic_mean": "mean Spearman correlation with the return to the next rebalance, mean over tracks",
    "published_rank_ic": "the mean RankIC that its report prints",
    "rank_ic_ir": "mean / std of the RankIC of the decisions",
    "rank_ic_mean_t": "Newey-West t of all days' RankIC",
    "rank_ic_mean_low": "lower end of the 95% interval of rank_ic_mean, stationary bootstrap of all days",
    "rank_ic_mean_high": "upper end of the 95% interval of rank_ic_mean",
    "rank_ic_track_std": "standard deviation of rank_ic_mean over the tracks",
    "top_excess_annual": "excess a year of the highest layer over the equal-weight universe, geometric",
    "top_information_ratio": "excess a year of the highest layer over its tracking error",
    "top10pct_excess_net": "excess a year of the top tenth, net of 0.3% two-sided cost",
    "top100_excess_net": "excess a year of the top 100, net of 0.3% two-sided cost; null with fewer than 200 stocks",
    "rank_ic_lag_1": "RankIC with the return of the first single day after the purchase; further lags to 20",
    "orthogonal_long_short_annual": "return a year of the top tenth less the bottom tenth of what is orthogonal to "
    "industry and common factors",
}
DETAIL = {
    "name": "factor or signal",
    "universe": "universe of the case",
    "execution": "execution price of the case",
    "every": "trading days between the case's rebalances",
    "period": "whole, or a calendar year (of the main case)",
    "track": "mean over tracks, std over tracks, or the starting offset",
    "...": "every metric, named as published",
}
LAYERS = {
    "name": "factor or signal",
    "date": "trading day",
    "track": "mean over tracks, or the starting offset of the one that the report tests, from its first day on",
    "rank_ic": "RankIC of the day; of one track, of its days of decision",
    "...": "layer1 (highest values) to the lowest: NAV relative to the equal-weight universe, 1 at the first purchase",
}
PUBLISHED = {
    "name": "factor or signal",
    "first_day": "first day of ours",
    "last_day": "last day of ours",
    "track": "starting offset of the report's track among the days evaluated; -1 where there is none",
    "table": "table of the report (series 72), as printed",
    "metric": "as in the published numbers",
    "period": "period of the published number",
    "published": "as the report prints it",
    "one_track": "ours on the report's own track: decisions every fifth session from its period's first day",
    "mean": "ours, mean over the five tracks",
    "std": "ours, standard deviation over the five tracks",
    "rebalances": "decisions of the one track",
}
CORRELATIONS = {"name": "factor", "...": "mean daily Spearman correlation with the one of the column's name"}
INPUTS = [
    "daily_bars",
    "reference",
    "common_factors",
    "daily_factors",
]


def evaluation_universe(market: MarketData) -> np.ndarray:
    """All stocks minus ST, listed under 63 sessions, suspended or locked at the upper limit on T+1."""
    return tradable_next_day(market.listed_days, market.st, market.suspended, market.up_locked)


def _table(result: EvaluationResult) -> pd.DataFrame:
    table = pd.DataFrame(summary_rows(result))
    if table.empty:
        return pd.DataFrame(columns=list(SHOWN))
    published = [published_value(name, "rank_ic_mean") for name in table["name"]]
    table["published_rank_ic"] = np.array([np.nan if v is None else v for v in published])
    return table[[*FIRST, *(c for c in table.columns if c not in FIRST)]]


def _plots(result: EvaluationResult, layers: pd.DataFrame, names: Sequence[str]) -> dict[str, dg.MarkdownMetadataValue]:
    """A panel for every name, and of the first few decay and years."""
    from mg_portfolio.charts import evaluation as charts
    from mg_portfolio.charts.figures import markdown_image
    from mg_portfolio.report.gallery.page import cumulated, layer_nav, series_of

    rows = {name: (own["date"].to_numpy("datetime64[D]"), own) for name, own in series_of(layers).items()}
    drawn = {
        "layers of all": charts.layers_grid({n: (days, layer_nav(own)) for n, (days, own) in rows.items()}),
        "cumulative RankIC of all": charts.cumulative_grid(
            {n: (days, cumulated(own)) for n, (days, own) in rows.items()}
        ),
    }
    for name in names:
        decay = np.array([v for k, v in result.more[name].items() if k.startswith("rank_ic_lag_")])
        drawn[f"decay: {name}"] = charts.decay_chart(decay)
        drawn[f"years: {name}"] = charts.years_chart(result.main[name].by_year_and_track)
    dpi = {name: 64 if name.endswith("of all") else 110 for name in drawn}  # a few hundred kB in the event log
    return {name: dg.MetadataValue.md(markdown_image(figure, dpi[name])) for name, figure in drawn.items()}


def _pages(build: Build, content: "Gallery", table: str) -> dict[str, dg.MetadataValue]:
    """Write the page in both languages beside the table; its charts are drawn once."""
    from mg_portfolio.report.gallery.page import draw_charts, render_gallery

    charts = draw_charts(content.layers)
    files = {
        lang: build.lake.write_file(
            table, WHOLE, f"{table}_{lang}.html", render_gallery(content, lang, charts).encode()
        )
        for lang in ("en", "zh")
    }
    shown: dict[str, dg.MetadataValue] = {f"page, {lang}": dg.MetadataValue.path(file) for lang, file in files.items()}
    return shown | {"open": dg.MetadataValue.url(page_link(build.lake, files["en"]))}


def _gallery(
    build: Build,
    result: EvaluationResult,
    frames: Mapping[str, pd.DataFrame],
    kind: str,
    names: Sequence[str],
    correlations: pd.DataFrame | None = None,
) -> "Gallery":
    """Content of the page; ``frames`` are the evaluation's tables by the last word of their names."""
    from mg_portfolio.report.gallery.page import Gallery

    known = passports()
    return Gallery(
        kind=kind,
        names=names,
        summary=frames["evaluation"],
        layers=frames["layers"],
        published=frames["published"],
        correlations=pd.DataFrame() if correlations is None else correlations,
        absent=_not_evaluated(result, frames["exclusions"]),
        meanings={n: known[n].meaning for n in names if n in known},
        source=build.source.name,
        simulated=settings().source.kind == "simulated",
        generated=dt.datetime.now(),
    )


def _not_evaluated(result: EvaluationResult, exclusions: pd.DataFrame) -> dict[str, str]:
    """Why a factor or signal has no row."""
    rows = exclusions[(exclusions["scope"] == "factor") & ~exclusions["name"].isin(list(result.main))]
    return dict(zip(rows["name"], rows["reason"], strict=True))


def _frames(result: EvaluationResult) -> dict[str, pd.DataFrame]:
    """The evaluation's tables, with their columns where there is no row."""
    layers = [*LAYERS][:-1]
    return {
        "evaluation": _table(result),
        "detail": pd.DataFrame(result.detail, columns=None if result.detail else list(DETAIL)[:-1]),
        "exclusions": pd.concat(result.exclusions, ignore_index=True),
        "published": pd.DataFrame(result.published, columns=list(PUBLISHED)),
        "layers": pd.concat(result.layers, ignore_index=True) if result.layers else pd.DataFrame(columns=layers),
    }


def _built(
    tables: tuple[str, ...], result: EvaluationResult, frames: Mapping[str, pd.DataFrame], extra: dict
) -> Iterator[Built]:
    """The table of signals and those beside it."""
    frame, exclusions, main = frames["evaluation"], frames["exclusions"], result.cases[0]
    counted = exclusions[
        exclusions["case"].isin([str(main), main.universe]) & exclusions["scope"].isin(["day", "factor"])
    ]
    left = counted.groupby(["scope", "reason"], as_index=False)["count"].sum()
    why = _not_evaluated(result, exclusions)
    reasons = pd.DataFrame({"name": [*why], "reason": [*why.values()]})
    if frame.empty:
        shown: dict = {"absent": "; ".join(dict.fromkeys(why.values())) or "none of them is in the lake"}
    else:
        best = frame.set_index("name")["rank_ic_mean"].abs().sort_values(ascending=False).index[:PLOTTED]
        own = [n for n in OWN if n in result.main and n not in best][:PLOTTED_OWN]
        shown = {
            "table": markdown_table(frame[list(SHOWN)]),
            "RankIC by case": markdown_table(by_case(result.detail)),
            **{f"absent: {what}": reason for what, reason in result.absent.items()},
            **({"not evaluated": markdown_table(reasons)} if why else {}),
            **_plots(result, frames["layers"], [*best, *own]),
        }
    published = frames["published"]
    beside: dict = {
        "table": markdown_table(published[["table", "name", "metric", "published", "one_track", "mean", "std"]])
    }
    if published.empty:
        beside = {"absent": f"series 72 prints none of them, or its case ({Case()}) is not among the evaluation's"}
    about: dict[str, dict] = {
        "detail": {"cases": ", ".join(map(str, result.cases))},
        "exclusions": {f"left out, {main}": markdown_table(left)},
        "published": beside,
        "layers": {} if len(frames["layers"]) else {"absent": "none was evaluated"},
    }
    yield Built(WHOLE, frame, {**shown, **extra}, table=tables[0])
    for table in tables[1:]:
        if (kind := table.rpartition("_")[2]) in about:
            yield Built(WHOLE, frames[kind], about[kind], table=table)


_FACTOR_TABLES = (
    "factor_evaluation",
    "factor_evaluation_detail",
    "factor_evaluation_exclusions",
    "factor_evaluation_published",
    "factor_layers",
    "factor_correlations",
)
_SIGNAL_TABLES = (
    "signal_evaluation",
    "signal_evaluation_detail",
    "signal_evaluation_exclusions",
    "signal_evaluation_published",
    "signal_layers",
)
_SIDE = {
    "detail": "by universe, execution price, rebalance, track and calendar year: every metric.",
    "exclusions": "what was left out and why: days, stocks, factors and rebalances with reason and count.",
    "published": "series 72's printed figures beside ours over the same period: its track, then mean and std of five.",
    "layers": "daily RankIC and relative NAV of the layers: what the charts of the page are drawn from.",
    "correlations": "mean daily Spearman correlations of the factors with one another and with the common factors.",
}


_EVALUATED = f"the {len(ALL34)} intraday factors" + (f" and of {len(OWN)} of your own" if OWN else "")


def _descriptions(tables: tuple[str, ...], main: str) -> dict[str, str]:
    about = f"Of {_EVALUATED if tables is _FACTOR_TABLES else 'the signals'}, "
    return {tables[0]: main} | {t: about + _SIDE[t.rpartition("_")[2]] for t in tables[1:]}


@lake_asset(
    _FACTOR_TABLES,
    group="evaluation",
    partitions=None,
    needs=["factor_scores", *([SCORES] if OWN else []), *INPUTS],
    version="4",
    config=(
        configured_cases(),
        [[name, FACTORS[name].direction] for name in ALL34] + [[name, one.sign] for name, one in OWN.items()],
        published_digest(),
    ),
    kinds={"numba"},
    columns=dict(
        zip(_FACTOR_TABLES, (COLUMNS, DETAIL, EXCLUSION_COLUMNS, PUBLISHED, LAYERS, CORRELATIONS), strict=True)
    ),
    description=_descriptions(
        _FACTOR_TABLES,
        f"RankIC, five layers, top excess and information ratio of each of {_EVALUATED}, weekly, T+1 vwap, five "
        "tracks, with their spread, confidence, decay and orthogonal monthly long-short; other universes, prices and "
        "rebalances by the setting evaluation.\n\nThe page beside the table has the "
        "published figures, the correlations and every factor's charts.",
    ),
)
def factor_evaluation(build: Build) -> Iterator[Built]:
    """Evaluate the intraday factors, and the user's own, under every case of the settings."""
    columns = {n: SignalColumn("factor_scores", n, FACTORS[n].direction) for n in ALL34}
    columns |= {n: SignalColumn(SCORES, n, one.sign) for n, one in OWN.items()}
    result = evaluate_signals(build.lake, columns, groups=5, rebalance="monthly", workers=build.workers)
    frames = _frames(result)
    matrix = pair_correlations(build.lake, columns, result)
    extra: dict = _pages(build, _gallery(build, result, frames, "factors", list(columns), matrix), _FACTOR_TABLES[0])
    about_pairs: dict = {"absent": "no factor was evaluated"}
    if len(matrix):
        from mg_portfolio.charts import figures as charts
        from mg_portfolio.charts.signal_study import correlation_chart

        figure = correlation_chart(list(matrix.columns), matrix.to_numpy(), sum(n in COMMON for n in matrix.columns))
        about_pairs = {"correlations": dg.MetadataValue.md(charts.markdown_image(figure))}
        extra["published and measured"] = dg.MetadataValue.md(rank_ic_comparison(frames["evaluation"]))
    yield from _built(_FACTOR_TABLES, result, frames, extra)
    yield Built(WHOLE, matrix.reset_index(), about_pairs, table=_FACTOR_TABLES[-1])


@lake_asset(
    _SIGNAL_TABLES,
    group="evaluation",
    partitions=None,
    needs=[*SIGNALS, "planted_signal", *INPUTS],
    version="4",
    config=(configured_cases(), published_digest()),
    kinds={"numba"},
    columns=dict(zip(_SIGNAL_TABLES, (COLUMNS, DETAIL, EXCLUSION_COLUMNS, PUBLISHED, LAYERS), strict=True)),
    description=_descriptions(
        _SIGNAL_TABLES,
        "RankIC, ten layers, top excess and information ratio of each model signal, and of a planted signal where one "
        "is, weekly, T+1 vwap, five tracks, from the first prediction on; spread, confidence, decay and orthogonal "
        "weekly long-short; other universes, prices and rebalances by the setting evaluation.\n\n"
        "The page beside the table has the published figures and every signal's charts.",
    ),
)
def signal_evaluation(build: Build) -> Iterator[Built]:
    """Evaluate every signal under every case of the settings."""
    columns = {s: SignalColumn(s, "score") for s in SIGNALS}
    first = min((k[0] for k in map(build.lake.keys, SIGNALS) if k), default=None)
    if first is not None:
        columns["planted_signal"] = SignalColumn("planted_signal", "signal")
    result = evaluate_signals(build.lake, columns, groups=10, rebalance="weekly", since=first, workers=build.workers)
    frames = _frames(result)
    extra = _pages(build, _gallery(build, result, frames, "signals", list(columns)), _SIGNAL_TABLES[0])
    yield from _built(_SIGNAL_TABLES, result, frames, extra)


ASSETS = [factor_evaluation, signal_evaluation]
