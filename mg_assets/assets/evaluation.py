"""Evaluation of every factor and every signal, beside the published figures."""

from collections.abc import Iterator, Sequence

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.assets.models import SIGNALS
from mg_assets.assets.own_factors import OWN
from mg_assets.evaluation import (
    COMMON,
    MIN_DAYS,
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
from mg_assets.factors.registry import ALL34, FACTORS
from mg_assets.lake.market_data import MarketData
from mg_assets.lake.store import WHOLE
from mg_assets.orchestration.lake_asset import lake_asset
from mg_assets.orchestration.metadata import markdown_table
from mg_assets.orchestration.partition_build import Build, Built
from mg_portfolio.evaluation.evaluate import tradable_next_day
from mg_portfolio.evaluation.exclusions import EXCLUSION_COLUMNS
from mg_portfolio.report.published import published_digest, published_value

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
    "published_rank_ic": "the report's figure",
    "rank_ic_ir": "mean / std",
    "rank_ic_mean_t": "Newey-West t of all days' RankIC",
    "rank_ic_mean_low": "lower end of the 95% interval, stationary bootstrap",
    "rank_ic_mean_high": "upper end",
    "rank_ic_track_std": "std over tracks",
    "top_excess_annual": "of the highest layer over the equal-weight universe, geometric",
    "top_information_ratio": "annualised excess over tracking error",
    "top10pct_excess_net": "of the top tenth, net of 0.3% two-sided cost",
    "top100_excess_net": "of the top 100, net; empty with fewer than 200 stocks",
    "rank_ic_lag_1": "RankIC with the return of the first single day after the purchase; further lags to 20",
    "orthogonal_long_short_annual": "top tenth less bottom tenth of what is orthogonal to industry and common factors",
}
DETAIL = {
    "name": "factor or signal",
    "universe": "case: universe",
    "execution": "case: execution price",
    "every": "case: trading days between rebalances",
    "period": "whole, or a calendar year (of the main case)",
    "track": "mean over tracks, std over tracks, or the starting offset",
    "...": "every metric, named as published",
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


def _plots(result: EvaluationResult, names: Sequence[str]) -> dict[str, dg.MarkdownMetadataValue]:
    from mg_portfolio.charts import figures as charts
    from mg_portfolio.charts.evaluation import decay_chart, years_chart

    out = {}
    for name in names:
        found, lags = result.main[name], result.more[name]
        decay = np.array([v for k, v in lags.items() if k.startswith("rank_ic_lag_")])
        drawn = {
            "RankIC": charts.ic_chart(found.days, found.rank_ic, every=found.every),
            "layers": charts.layers_chart(found.days, found.layer_nav),
            "decay": decay_chart(decay),
            "years": years_chart(found.by_year_and_track),
        }
        for kind, figure in drawn.items():
            out[f"{kind}: {name}"] = dg.MetadataValue.md(charts.markdown_image(figure))
    return out


def _built(
    tables: tuple[str, ...], result: EvaluationResult, frame: pd.DataFrame, plotted: int, extra: dict
) -> Iterator[Built]:
    """The table of signals, its detail and its exclusions."""
    exclusions = pd.concat(result.exclusions, ignore_index=True)
    detail = pd.DataFrame(result.detail, columns=None if result.detail else list(DETAIL)[:-1])
    main = result.cases[0]
    counted = exclusions[
        exclusions["case"].isin([str(main), main.universe]) & exclusions["scope"].isin(["day", "factor"])
    ]
    left = counted.groupby(["scope", "reason"], as_index=False)["count"].sum()
    if frame.empty:
        shown: dict = {"absent": f"fewer than {MIN_DAYS} days of any of them"}
    else:
        best = frame.set_index("name")["rank_ic_mean"].abs().sort_values(ascending=False).index[:plotted]
        own = [n for n in OWN if n in result.main and n not in best][:PLOTTED_OWN]
        shown = {
            "table": markdown_table(frame[list(SHOWN)]),
            "RankIC by case": markdown_table(by_case(result.detail)),
            **{f"absent: {what}": why for what, why in result.absent.items()},
            **_plots(result, [*best, *own]),
        }
    yield Built(WHOLE, frame, {**shown, **extra}, table=tables[0])
    yield Built(WHOLE, detail, {"cases": ", ".join(map(str, result.cases))}, table=tables[1])
    yield Built(WHOLE, exclusions, {f"left out, {main}": markdown_table(left)}, table=tables[2])


_FACTOR_TABLES = (
    "factor_evaluation",
    "factor_evaluation_detail",
    "factor_evaluation_exclusions",
    "factor_correlations",
)
_SIGNAL_TABLES = ("signal_evaluation", "signal_evaluation_detail", "signal_evaluation_exclusions")
_SIDE = {
    "detail": "by universe, execution price, rebalance, track and calendar year: every metric.",
    "exclusions": "what was left out and why: days, stocks, factors and rebalances with reason and count.",
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
    version="2",
    config=(
        configured_cases(),
        [[name, FACTORS[name].direction] for name in ALL34] + [[name, one.sign] for name, one in OWN.items()],
        published_digest(),
    ),
    kinds={"numba"},
    columns=dict(zip(_FACTOR_TABLES, (COLUMNS, DETAIL, EXCLUSION_COLUMNS, CORRELATIONS), strict=True)),
    description=_descriptions(
        _FACTOR_TABLES,
        f"RankIC, five layers, top excess and information ratio of each of {_EVALUATED}, weekly, T+1 vwap, five "
        "tracks, with their spread, confidence, decay and orthogonal monthly long-short; other universes, prices and "
        "rebalances by the setting evaluation.\n\nDefinitions: docs/evaluation.md. The published RankIC is shown too.",
    ),
)
def factor_evaluation(build: Build) -> Iterator[Built]:
    """Evaluate the intraday factors, and the user's own, under every case of the settings."""
    columns = {n: SignalColumn("factor_scores", n, FACTORS[n].direction) for n in ALL34}
    columns |= {n: SignalColumn(SCORES, n, one.sign) for n, one in OWN.items()}
    result = evaluate_signals(build.lake, columns, groups=5, rebalance="monthly", workers=build.workers)
    frame = _table(result)
    extra: dict = {}
    about_pairs: dict = {"absent": "no factor was evaluated"}
    matrix = pair_correlations(build.lake, columns, result)
    if len(matrix):
        from mg_portfolio.charts import figures as charts
        from mg_portfolio.charts.signal_study import correlation_chart

        figure = correlation_chart(list(matrix.columns), matrix.to_numpy(), sum(n in COMMON for n in matrix.columns))
        about_pairs = {"correlations": dg.MetadataValue.md(charts.markdown_image(figure))}
        extra = {"published and measured": dg.MetadataValue.md(rank_ic_comparison(frame))}
    yield from _built(_FACTOR_TABLES, result, frame, 2, extra)
    yield Built(WHOLE, matrix.reset_index(), about_pairs, table=_FACTOR_TABLES[3])


@lake_asset(
    _SIGNAL_TABLES,
    group="evaluation",
    partitions=None,
    needs=[*SIGNALS, "planted_signal", *INPUTS],
    version="2",
    config=(configured_cases(), published_digest()),
    kinds={"numba"},
    columns=dict(zip(_SIGNAL_TABLES, (COLUMNS, DETAIL, EXCLUSION_COLUMNS), strict=True)),
    description=_descriptions(
        _SIGNAL_TABLES,
        "RankIC, ten layers, top excess and information ratio of each model signal, and of a planted signal where one "
        "is, weekly, T+1 vwap, five tracks, from the first prediction on; spread, confidence, decay and orthogonal "
        "weekly long-short; other universes, prices and rebalances by the setting evaluation.\n\nDefinitions: "
        "docs/evaluation.md.",
    ),
)
def signal_evaluation(build: Build) -> Iterator[Built]:
    """Evaluate every signal under every case of the settings."""
    columns = {s: SignalColumn(s, "score") for s in SIGNALS}
    first = min((k[0] for k in map(build.lake.keys, SIGNALS) if k), default=None)
    if first is not None:
        columns["planted_signal"] = SignalColumn("planted_signal", "signal")
    result = evaluate_signals(build.lake, columns, groups=10, rebalance="weekly", since=first, workers=build.workers)
    yield from _built(_SIGNAL_TABLES, result, _table(result), 2, {})


ASSETS = [factor_evaluation, signal_evaluation]
