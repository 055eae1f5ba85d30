"""A card of the weekly report for each factor and each portfolio: figures, facts and lists."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from mg_portfolio.charts import figures as charts
from mg_portfolio.charts.portfolio import placebo_chart, weekday_paths_chart
from mg_portfolio.charts.style import svg
from mg_portfolio.metrics import DAYS_PER_YEAR
from mg_portfolio.optimization.shadow_prices import annual_basis_points
from mg_portfolio.report.weekly.inputs import (
    DEEP,
    EXPECTED_PORTFOLIOS,
    HANDMADE,
    NoTrade,
    PortfolioSeries,
    WeeklyReport,
)
from mg_portfolio.report.weekly.names import industry_name, limit_name, reason_name, style_name, weekday_name
from mg_portfolio.report.weekly.periods import period_return, report_periods
from mg_portfolio.report.weekly.tables import PERIODS, FactorRow, PortfolioRow, placebo_paths, placebo_rows
from mg_portfolio.report.weekly.words import Formatter

BINDING_SHOWN = 12  # costliest limits; an index-enhanced portfolio may meet dozens of limits
TOP_WEIGHTS = 20
PAGE_WIDTH = 9.6  # inches of a full-width chart: its 8-point words then come out at the size of the page's small print
FIGURES = {name: 2 * at + 1 for at, name in enumerate((*HANDMADE, *DEEP, *EXPECTED_PORTFOLIOS))}
"""Number of the monitor's first figure of each factor and portfolio; the second follows it."""


def factor_card(row: FactorRow, words: Formatter) -> dict[str, Any]:
    """What a factor's card shows; an absent one keeps the ids of its figures."""
    texts, name, series, number = words.texts, words.name(row.name), row.series, FIGURES.get(row.name)
    ids = (f"figure-{number}", f"figure-{number + 1}") if number else (f"line-{row.name}", f"bars-{row.name}")
    card: dict[str, Any] = {"row": row, "name": name, "ids": ids, "series": series}
    if series is None:
        return card
    held = np.isfinite(np.asarray(series.long_short, float))
    start = np.asarray(series.days, "datetime64[D]")[held][0]
    bars = {
        texts[metric]: {words.periods[period]: cells[period].value for period in PERIODS}
        for metric, cells in (("long_short", row.long_short), ("long_excess", row.long_excess))
    }
    strength = series.relative if len(series.relative) else series.long_short
    line = charts.long_short_chart(series.days, strength, labels=words.chart, height=2.5, width=7.1)
    captions = (
        words.figure(number, "alt_long_short", name),
        words.figure(number and number + 1, "alt_bars", name),
    )
    return card | {
        "since": texts["since"].format(start=start),
        "trained": [words.trained(one) for one in series.trained if one.best],
        "captions": captions,
        "line": Markup(svg(line, captions[0])),
        "bars": Markup(svg(charts.bars_chart(bars, height=2.5, width=4.0), captions[1])),
    }


def portfolio_card(row: PortfolioRow, report: WeeklyReport, words: Formatter) -> dict[str, Any]:
    """What a portfolio's card shows; an absent one keeps the ids of its figures."""
    texts, series, name, number = words.texts, row.series, words.portfolio(row), FIGURES.get(row.name)
    ids = (f"figure-{number}", f"figure-{number + 1}") if number else (f"nav-{row.name}", f"excess-{row.name}")
    card: dict[str, Any] = {"row": row, "name": name, "series": series, "ids": ids}
    if series is None:
        return card
    captions = words.figure(number, "alt_nav", name), words.figure(number and number + 1, "alt_excess", name)
    nav = charts.nav_chart(series.days, series.nav, series.benchmark_nav, words.chart, 3.9, 7.1)
    excess = {texts["excess"]: {words.periods[period]: row.excess[period].value for period in PERIODS}}
    bars = charts.bars_chart(excess, 3.9, 4.0, (words.gain, words.loss))
    return card | {
        "captions": captions,
        "facts": _portfolio_facts(row, series, report, words),
        "nav": Markup(svg(nav, captions[0])),
        "bars": Markup(svg(bars, captions[1])),
        "lists": _portfolio_lists(series, words),
        "beside": [words.placebos(line) for line in placebo_rows(series)],
        **_portfolio_charts(series, name, words),
    }


def _portfolio_facts(
    row: PortfolioRow, series: PortfolioSeries, report: WeeklyReport, words: Formatter
) -> list[tuple[str, str]]:
    texts = words.texts
    relative = np.asarray(series.nav, float) / np.asarray(series.benchmark_nav, float)
    drawdown = 1.0 - relative / np.maximum.accumulate(relative)
    facts = [
        (texts["last_rebalance"], str(series.rebalance_date or texts["unknown"])),
        (texts["holdings"], str(sum(w > 0 for w in series.weights.values())) if series.weights else texts["unknown"]),
        (texts["index_weights"], dated_weights(series, texts)),
        (texts["turnover_planned"], words.pct(series.turnover_planned, 1)),
        (texts["turnover_realised"], words.pct(series.turnover_realised, 1)),
        (texts["turnover_mean"], words.pct(series.turnover_mean, 1)),
        (texts["drawdown_now"], words.pct(float(drawdown[-1]))),
        (texts["drawdown_max"], words.pct(float(drawdown.max()))),
    ]
    if series.no_trade is not None:
        facts.append((texts["no_trade"], _no_trade(series.no_trade, texts)))
    if series.forecast_error is not None:
        realised = float(np.std(np.diff(np.log(relative)), ddof=1)) * math.sqrt(DAYS_PER_YEAR)
        both = texts["forecast_beside"].format(forecast=words.pct(series.forecast_error), realised=words.pct(realised))
        facts.append((texts["forecast_error"], both))
    year = report_periods(report.as_of)["year"]
    earned = [
        period_return(series.days[1:], np.asarray(path[1:], float) / path[:-1] - 1.0, year).value
        for path in series.weekdays.values()
    ]
    if earned and np.isfinite(earned).all():
        spread = texts["weekday_range"].format(low=words.pct(min(earned)), high=words.pct(max(earned)))
        stored = np.isfinite(np.stack([np.asarray(path, float) for path in series.weekdays.values()])).all(axis=0)
        start = np.asarray(series.days, "datetime64[D]")[stored][0]
        since = f"{texts['comma']}{texts['since'].format(start=start)}" if start > year.start else ""
        facts.append((texts["weekday_year"], spread + since))
    return facts


def dated_weights(series: PortfolioSeries, texts: Mapping[str, str]) -> str:
    """Date of a portfolio's index weights, and how old they were at the decision."""
    if series.equal_members:
        return texts["equal_members"]
    if series.index_weights is None:
        return texts["unknown"]
    of, age = series.index_weights
    if age == 0:
        return of
    return texts["dated_one" if age == 1 else "dated"].format(of=of, age=age)


def _no_trade(found: NoTrade, texts: Mapping[str, str]) -> str:
    cost = texts["cost_a_side"].format(cost=f"{found.cost * 1e4:.3g}")
    if found.days is None:
        return f"{cost}{texts['comma']}{texts['cost_unused']}"
    inside = texts["unknown"] if found.inside is None else found.inside
    return texts["stayed_inside"].format(cost=cost, days=f"{found.days:.1f}", inside=inside, held=found.held)


def _portfolio_lists(series: PortfolioSeries, words: Formatter) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """What limits cost, relaxed and void limits, orders not executed: title, what is said of none, lines."""
    texts, lang, at_step = words.texts, words.lang, series.binding
    slope, shown = series.return_per_score, "points"
    if slope is None:
        values, shown = {name: f"{value:.3g}" for name, value in at_step.items()}, "score"
    else:
        points = annual_basis_points(at_step, slope, DAYS_PER_YEAR / series.every)
        values = {name: f"{value:.1f}" for name, value in points.items()}
    binding = [
        (
            f"{limit_name(name, lang)}{texts['comma']}{texts['step_of'].format(step=words.step(name))}",
            texts[shown].format(value=values[name]),
        )
        for name in sorted(at_step, key=lambda name: -abs(at_step[name]))
    ]
    if len(binding) > BINDING_SHOWN:
        least = binding[BINDING_SHOWN - 1][1]
        binding[BINDING_SHOWN:] = [(texts["binding_others"].format(n=len(binding) - BINDING_SHOWN), f"≤ {least}")]
    relaxed = [(limit_name(name, lang), words.amount(name, value)) for name, value in series.relaxed.items()]
    unknown = [
        (limit_name(name, lang), texts["void" if stocks == of else "unknown_of"].format(stocks=stocks, of=of))
        for name, (stocks, of) in series.unknown_inputs.items()
    ]
    untraded = [(reason_name(reason, lang), str(count)) for reason, count in series.untraded.items()]
    return [
        (texts["binding"], texts["none_binding"], binding),
        (texts["relaxed"], texts["none_relaxed"], relaxed),
        (texts["unknown_inputs"], texts["none_unknown"], unknown),
        (texts["untraded"], texts["none_untraded"], untraded),
    ]


def _portfolio_charts(series: PortfolioSeries, name: str, words: Formatter) -> dict[str, Markup | None]:
    """Exposures, active weights, weekday paths and placebos, each None where nothing is recorded."""
    texts, lang = words.texts, words.lang
    out: dict[str, Markup | None] = dict.fromkeys(("exposures", "weights", "weekdays", "placebos"))
    if series.industry or series.styles:
        figure = charts.exposures_chart(
            {industry_name(k, lang): v for k, v in series.industry.items()},
            {style_name(k, lang): v for k, v in series.styles.items()},
            series.industry_limit,
            {style_name(k, lang): v for k, v in series.style_limits.items()},
            labels=words.chart,
            width=PAGE_WIDTH,
        )
        out["exposures"] = Markup(svg(figure, texts["alt_exposures"].format(name=name)))
    active = series.active_weights()
    if active:
        figure = charts.weights_chart(
            {_stock(s, series): w for s, w in active[:TOP_WEIGHTS] if w > 0},
            {_stock(s, series): w for s, w in active[::-1][:TOP_WEIGHTS] if w < 0},
            labels=words.chart,
            width=PAGE_WIDTH,
        )
        out["weights"] = Markup(svg(figure, texts["alt_weights"].format(name=name)))
    if series.weekdays:
        held = np.isfinite(np.stack([np.asarray(path, float) for path in series.weekdays.values()])).all(axis=0)
        if held.sum() > 1:
            paths = {weekday_name(day, lang): np.asarray(p, float)[held] for day, p in series.weekdays.items()}
            own = weekday_name("fri", lang)
            figure = weekday_paths_chart(np.asarray(series.days)[held], paths, own, PAGE_WIDTH, words.chart)
            out["weekdays"] = Markup(svg(figure, texts["alt_weekdays"].format(name=name)))
    days, relative, placebos = placebo_paths(series)
    if len(days) > 1:
        figure = placebo_chart(days, relative, placebos, PAGE_WIDTH, words.chart)
        out["placebos"] = Markup(svg(figure, texts["alt_placebos"].format(name=name)))
    return out


def _stock(symbol: str, series: PortfolioSeries) -> str:
    return f"{symbol} {series.stock_names.get(symbol, '')}".strip()
