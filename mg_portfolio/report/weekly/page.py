"""The weekly report: one self-contained HTML file, in Chinese or English.

1. `tables` turns the series into rows, with the published number that belongs beside each.
2. `charts` draws two figures a factor and five a portfolio, inlined as SVG; the monitor's have its numbers, 1 to 36.
3. `weekly/page.html` lays them out. Nothing is fetched when the file is opened.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts import figures as charts
from mg_portfolio.charts.portfolio import placebo_chart, weekday_paths_chart
from mg_portfolio.charts.style import svg
from mg_portfolio.metrics import DAYS_PER_YEAR
from mg_portfolio.optimization.shadow_prices import STEPS, annual_basis_points
from mg_portfolio.report.templates import template
from mg_portfolio.report.weekly.inputs import (
    DEEP,
    EXPECTED,
    EXPECTED_PORTFOLIOS,
    FULL_BAND,
    HANDMADE,
    EvaluationRow,
    FactorSeries,
    NoTrade,
    PortfolioSeries,
    QualityRow,
    Training,
    WeeklyReport,
)
from mg_portfolio.report.weekly.names import (
    check_name,
    industry_name,
    limit_name,
    name_of,
    portfolio_name,
    reason_name,
    style_name,
    weekday_name,
)
from mg_portfolio.report.weekly.periods import period_return, report_periods
from mg_portfolio.report.weekly.tables import (
    EVALUATION_METRICS,
    PERIODS,
    ComparedValue,
    FactorRow,
    PlaceboRow,
    PortfolioRow,
    Won,
    decay_rows,
    evaluation_cells,
    factor_rows,
    placebo_paths,
    placebo_rows,
    portfolio_rows,
)
from mg_portfolio.report.weekly.texts import TEXTS, period_names

__all__ = [
    "DEEP",
    "EXPECTED",
    "FULL_BAND",
    "HANDMADE",
    "EvaluationRow",
    "FactorSeries",
    "PortfolioSeries",
    "QualityRow",
    "Training",
    "WeeklyReport",
    "overview",
    "render_weekly_report",
]

BINDING_SHOWN = 12  # costliest limits; an index-enhanced portfolio may meet dozens of limits
TOP_WEIGHTS = 20
PAGE_WIDTH = 9.6  # inches of a full-width chart: its 8-point words then come out at the size of the page's small print
_RATIOS = {"rank_ic_ir", "top_information_ratio"}
_CAPTIONS = ("long_short", "drawdown", "portfolio", "benchmark", "relative", "industry", "style", "overweight",
             "underweight", "weekdays", "spread", "placebos", "placebo_mean")  # fmt: skip
RED, GREEN = "#c0392b", "#1e8449"
FIGURES = {name: 2 * at + 1 for at, name in enumerate((*HANDMADE, *DEEP, *EXPECTED_PORTFOLIOS))}
"""Number of the monitor's first figure of each factor and portfolio; the second follows it."""


def render_weekly_report(report: WeeklyReport, lang: str = "zh") -> str:
    """The report as one HTML document.

    Parameters
    ----------
    report : WeeklyReport
    lang : {"zh", "en"}

    Returns
    -------
    str
        Self-contained: style sheet and charts are inside, nothing is fetched.

    Raises
    ------
    EvaluationError
        Another language.

    Notes
    -----
    Source: Haitong weekly 2023-12-15, tables 1 and 2 and the charts of sections 1 to 17.
    """
    if lang not in TEXTS:
        raise EvaluationError(f"lang was {lang!r}, expected one of {sorted(TEXTS)}")
    texts = TEXTS[lang]
    words = _Formatter(lang, report)
    factors = factor_rows(report, lang, texts["not_supplied"])
    portfolios = portfolio_rows(report, lang, texts["not_in_settings"])
    week = report_periods(report.as_of)["week"]
    groups = [(key, [row for row in factors if row.group == key]) for key in ("handmade", "deep", "full_band")]
    return template("weekly/page.html").render(
        t=texts,
        lang=lang,
        report=report,
        words=words,
        week=texts["week_of"].format(start=week.start, end=week.end),
        periods=PERIODS,
        period_names=words.periods,
        groups=[(texts[key], rows) for key, rows in groups if rows],
        factors=factors,
        portfolios=portfolios,
        lead=_lead(factors, words),
        factor_cards=[_factor_card(row, words) for row in factors],
        portfolio_cards=[_portfolio_card(row, report, words) for row in portfolios],
        published=any(cell.published is not None for row in factors for cell in _cells_of(row)),
        evaluations=[(row, evaluation_cells(row)) for row in report.evaluations],
        evaluation_metrics=EVALUATION_METRICS,
        decays=decay_rows(report),
        quality=_quality(report, words),
    )


def _cells_of(row: FactorRow) -> list[ComparedValue | Won]:
    won = [cell for cell in (row.long_short_won, row.long_excess_won) if cell is not None]
    return [*row.long_short.values(), *row.long_excess.values(), *won]


def overview(report: WeeklyReport, lang: str) -> dict[str, str]:
    """The report's tables 1 and 2 and its portfolios' figures in Markdown, for pages that show no HTML.

    Parameters
    ----------
    report : WeeklyReport
    lang : {"zh", "en"}

    Returns
    -------
    dict of str to str
        By title.
    """
    words = _Formatter(lang, report)
    texts = words.texts
    factors = factor_rows(report, lang, texts["not_supplied"])
    portfolios = portfolio_rows(report, lang, texts["not_in_settings"])

    def cells(values: Mapping[str, ComparedValue]) -> list[str]:
        return [words.pct(values[period].value) for period in PERIODS]

    def counted(won: Won | None) -> str:
        return "" if won is None else f"{won.won}/{won.total}"

    periods = [words.periods[period] for period in PERIODS]
    heads = [
        f"{texts[what]} {name}" for what in ("long_short", "long_excess") for name in (*periods, texts["months_won"])
    ]
    first = [
        [words.name(r.name), *cells(r.long_short), counted(r.long_short_won), *cells(r.long_excess),
         counted(r.long_excess_won)]
        for r in factors if r.series is not None
    ]  # fmt: skip
    second = [[words.portfolio(r), *cells(r.excess), counted(r.won)] for r in portfolios if r.series is not None]
    out = {
        texts["table1"]: _markdown([texts["factor"], *heads], first),
        texts["table2"]: _markdown([texts["portfolio"], *periods, texts["weeks_won"]], second),
    }
    beside = [[words.portfolio(r), *words.placebos(p)] for r in portfolios if r.series for p in placebo_rows(r.series)]
    if beside:
        out[texts["placebos"]] = _markdown([texts["portfolio"], *texts["placebo_heads"].split("|")], beside)
    for row in portfolios:
        if row.series is not None:
            drawn = charts.nav_chart(row.series.days, row.series.nav, row.series.benchmark_nav, words.chart)
            out[texts["alt_nav"].format(name=words.portfolio(row))] = charts.markdown_image(drawn)
    return out


def _markdown(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


class _Formatter:
    """Formats numbers and names in one language."""

    def __init__(self, lang: str, report: WeeklyReport) -> None:
        self.lang, self.texts = lang, TEXTS[lang]
        self.periods = period_names(lang, report.as_of.year, report.as_of.month)
        self._labels = {factor.name: factor.label for factor in report.factors}
        self.chart = {key: self.texts[f"chart_{key}"] for key in _CAPTIONS}
        gains_red = (report.gains or ("red" if lang == "zh" else "green")) == "red"
        self.gain, self.loss = (RED, GREEN) if gains_red else (GREEN, RED)

    def name(self, subject: str) -> str:
        return name_of(subject, self.lang, self._labels.get(subject))

    def source(self, name: str) -> str:
        return self.texts["simulated"] if name == "simulated" else name

    def portfolio(self, row: PortfolioRow) -> str:
        return portfolio_name(row.name, row.index, self.lang)

    def pct(self, value: float | None, digits: int = 2) -> str:
        if value is None:
            return self.texts["unknown"]
        # A rounded zero has no sign
        return self.texts["no_data"] if math.isnan(value) else f"{100 * value:.{digits}f}%".replace("-0.00%", "0.00%")

    def signed(self, cell: ComparedValue) -> Markup:
        """The number, coloured by its sign, with the published one beside it."""
        if cell.missing:
            text = Markup('<span class="none">{}</span>').format(self.texts["no_data"])
        else:
            side = "up" if cell.value > 0 else "down" if cell.value < 0 else "flat"
            mark = "" if cell.complete else "*"
            text = Markup('<span class="{}">{}{}</span>').format(side, self.pct(cell.value), mark)
        return text + self._beside(None if cell.published is None else self.pct(cell.published))

    def won(self, won: Won) -> Markup:
        beside = None if won.published is None else f"{won.published[0]}/{won.published[1]}"
        return escape(f"{won.won}/{won.total}") + self._beside(beside)

    def metric(self, name: str, cell: ComparedValue, spread: float | None = None) -> Markup:
        """A figure of table 3, its spread over the starting days, and the published one."""

        def write(value: float) -> str:
            return f"{value:.2f}" if name in _RATIOS else self.pct(value)

        text = self.texts["no_data"] if cell.missing else write(cell.value)
        over = Markup("") if spread is None else Markup('<small class="spread">± {}</small>').format(write(spread))
        return escape(text) + over + self._beside(None if cell.published is None else write(cell.published))

    def figure(self, number: int | None, key: str, name: str) -> str:
        """Caption of a figure, with the monitor's number where it has one."""
        text = self.texts[key].format(name=name)
        return text if number is None else self.texts["figure"].format(number=number, text=text)

    def trained(self, one: Training) -> str:
        """Half-year, seeds and validation RankIC of a training."""
        low, high = (f"{value:.3f}" for value in (min(one.best.values()), max(one.best.values())))
        values = low if len(one.best) == 1 else self.texts["between"].format(low=low, high=high)
        return self.texts["trained"].format(
            model=self.name(one.model), half=one.half_year, count=len(one.best), values=values
        )

    def placebos(self, row: PlaceboRow) -> list[str]:
        """Cells of a portfolio's line beside its placebos."""
        period = self.texts["whole_period"] if row.period == "whole" else row.period
        low, high = self.pct(row.low), self.pct(row.high)
        between = "–" if math.isnan(row.low) else self.texts["between"].format(low=low, high=high)
        values = (self.pct(value) for value in (row.excess, row.mean, row.over))
        return [period, *values, between, f"{row.rank}/{row.placebos + 1}", str(row.weeks)]

    def step(self, limit: str) -> str:
        """A usual move of a limit, with its unit."""
        kind = limit.partition("[")[0]
        return self.amount(limit, STEPS[kind])

    def amount(self, limit: str, value: float) -> str:
        """An amount of a limit: standard deviations of a style, else of weight."""
        if limit.startswith("style["):
            return self.texts["sigma"].format(value=f"{value:.2g}")
        return self.texts["of_weight"].format(value=f"{100 * value:.2g}%")

    def _beside(self, text: str | None) -> Markup:
        if text is None:
            return Markup("")
        return Markup('<small class="pub" title="{0}">{0} {1}</small>').format(self.texts["published"], text)

    def bullet(self, cells: dict[str, ComparedValue], key: str = "bullet") -> Markup:
        parts = {
            period: Markup('<b class="{}">{}</b>').format(
                "none" if cells[period].missing else "up" if cells[period].value > 0 else "down",
                self.pct(cells[period].value),
            )
            for period in PERIODS
        }
        names = {f"{period}_name": self.periods[period] for period in ("month", "year")}
        return Markup(self.texts[key]).format(**parts, **names)


def _lead(rows: list[FactorRow], words: _Formatter) -> str:
    texts = words.texts
    shown = [row for row in rows if row.series is not None and not row.long_short["week"].missing]
    absent = sum(row.series is None for row in rows)
    if not shown:
        lead = texts["lead_none"]
    else:
        shown.sort(key=lambda row: row.long_short["week"].value)
        best, worst = shown[-1], shown[0]
        lead = texts["lead"].format(
            count=len(shown),
            won=sum(row.long_short["week"].value > 0 for row in shown),
            best=words.name(best.name),
            best_value=words.pct(best.long_short["week"].value),
            worst=words.name(worst.name),
            worst_value=words.pct(worst.long_short["week"].value),
        )
    gap = "" if words.lang == "zh" else " "
    return lead + (gap + texts["lead_absent"].format(count=absent) if absent else "")


def _factor_card(row: FactorRow, words: _Formatter) -> dict[str, Any]:
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


def _portfolio_card(row: PortfolioRow, report: WeeklyReport, words: _Formatter) -> dict[str, Any]:
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
    row: PortfolioRow, series: PortfolioSeries, report: WeeklyReport, words: _Formatter
) -> list[tuple[str, str]]:
    texts = words.texts
    relative = np.asarray(series.nav, float) / np.asarray(series.benchmark_nav, float)
    drawdown = 1.0 - relative / np.maximum.accumulate(relative)
    facts = [
        (texts["last_rebalance"], str(series.rebalance_date or texts["unknown"])),
        (texts["holdings"], str(sum(w > 0 for w in series.weights.values())) if series.weights else texts["unknown"]),
        (texts["index_weights"], _dated_weights(series, texts)),
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


def _dated_weights(series: PortfolioSeries, texts: Mapping[str, str]) -> str:
    if series.equal_members:
        return texts["equal_members"]
    if series.index_weights is None:
        return texts["unknown"]
    of, age = series.index_weights
    return texts["dated"].format(of=of, age=age)


def _no_trade(found: NoTrade, texts: Mapping[str, str]) -> str:
    cost = texts["cost_a_side"].format(cost=f"{found.cost * 1e4:.3g}")
    if found.days is None:
        return f"{cost}{texts['comma']}{texts['cost_unused']}"
    inside = texts["unknown"] if found.inside is None else found.inside
    return texts["stayed_inside"].format(cost=cost, days=f"{found.days:.1f}", inside=inside, held=found.held)


def _portfolio_lists(series: PortfolioSeries, words: _Formatter) -> list[tuple[str, str, list[tuple[str, str]]]]:
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


def _portfolio_charts(series: PortfolioSeries, name: str, words: _Formatter) -> dict[str, Markup | None]:
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


def _quality(report: WeeklyReport, words: _Formatter) -> dict[str, Any]:
    texts = words.texts
    errors = sum(row.severity == "error" for row in report.quality)
    warns = sum(row.severity == "warn" for row in report.quality)
    summary = (
        texts["checks_unknown"]
        if report.checks_run is None
        else texts["checks_run"].format(count=report.checks_run, errors=errors, warns=warns)
    )
    order = {"error": 0, "warn": 1, "pass": 2}
    return {
        "summary": summary,
        "state": "unknown" if report.checks_run is None else "error" if errors else "warn" if warns else "pass",
        "rows": [
            (row, check_name(row.check, words.lang))
            for row in sorted(report.quality, key=lambda row: (order[row.severity], row.table, row.check))
        ],
        "clean": report.checks_run is not None and not errors and not warns,
        "arrivals": [
            *(
                texts["late_row"].format(table=table, count=days)
                for table, days in sorted(report.days_late.items())
                if days
            ),
            *(
                texts["missing_row"].format(table=table, count=stocks)
                for table, stocks in sorted(report.stocks_missing.items())
                if stocks
            ),
        ],
    }
