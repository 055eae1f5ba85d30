"""The weekly report: one self-contained HTML file, in Chinese or English.

1. `tables` turns the series into rows, with the published number that belongs beside each.
2. `charts` draws one figure a factor and three a portfolio, inlined as SVG.
3. `weekly.html` lays them out. Nothing is fetched when the file is opened.
"""

import math
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts import figures as charts
from mg_portfolio.charts.style import svg
from mg_portfolio.report.templates import template
from mg_portfolio.report.weekly.inputs import (
    DEEP,
    EXPECTED,
    FULL_BAND,
    HANDMADE,
    EvaluationRow,
    FactorSeries,
    PortfolioSeries,
    QualityRow,
    WeeklyReport,
)
from mg_portfolio.report.weekly.periods import report_periods
from mg_portfolio.report.weekly.tables import (
    EVALUATION_METRICS,
    PERIODS,
    ComparedValue,
    FactorRow,
    PortfolioRow,
    Won,
    evaluation_cells,
    factor_rows,
    portfolio_rows,
)
from mg_portfolio.report.weekly.texts import TEXTS, name_of, period_names, portfolio_name

__all__ = [
    "DEEP",
    "EXPECTED",
    "FULL_BAND",
    "HANDMADE",
    "EvaluationRow",
    "FactorSeries",
    "PortfolioSeries",
    "QualityRow",
    "WeeklyReport",
    "render_weekly_report",
]

TOP_WEIGHTS = 20
PAGE_WIDTH = 9.6  # inches of a full-width chart: its 8-point words then come out at the size of the page's small print
_RATIOS = {"rank_ic_ir", "top_information_ratio"}
_ENGLISH_CAPTIONS = ("long_short", "drawdown", "portfolio", "benchmark", "relative", "industry", "style", "overweight",
                     "underweight")  # fmt: skip


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
    portfolios = portfolio_rows(report, lang, texts["no_portfolio"])
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
        factor_cards=[_factor_card(row, row.series, words) for row in factors if row.series is not None],
        absent=[row for row in factors if row.series is None],
        portfolio_cards=[_portfolio_card(row, words) for row in portfolios],
        evaluations=[(row, evaluation_cells(row)) for row in report.evaluations],
        evaluation_metrics=EVALUATION_METRICS,
        quality=_quality(report, texts),
    )


class _Formatter:
    """Formats numbers and names in one language."""

    def __init__(self, lang: str, report: WeeklyReport) -> None:
        self.lang, self.texts = lang, TEXTS[lang]
        self.periods = period_names(lang, report.as_of.year, report.as_of.month)
        self._labels = {factor.name: factor.label for factor in report.factors}
        self.chart = {key: self.texts[f"chart_{key}"] for key in _ENGLISH_CAPTIONS}

    def name(self, subject: str) -> str:
        return name_of(subject, self.lang, self._labels.get(subject))

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

    def metric(self, name: str, cell: ComparedValue) -> Markup:
        def write(value: float) -> str:
            return f"{value:.2f}" if name in _RATIOS else self.pct(value)

        text = self.texts["no_data"] if cell.missing else write(cell.value)
        return escape(text) + self._beside(None if cell.published is None else write(cell.published))

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


def _factor_card(row: FactorRow, series: FactorSeries, words: _Formatter) -> dict[str, Any]:
    texts, name = words.texts, words.name(row.name)
    held = np.isfinite(np.asarray(series.long_short, float))
    start = np.asarray(series.days, "datetime64[D]")[held][0]
    bars = {
        texts[metric]: {words.periods[period]: cells[period].value for period in PERIODS}
        for metric, cells in (("long_short", row.long_short), ("long_excess", row.long_excess))
    }
    line = charts.long_short_chart(series.days, series.long_short, labels=words.chart, height=2.5, width=7.1)
    return {
        "row": row,
        "name": name,
        "since": texts["since"].format(start=start),
        "line": Markup(svg(line, texts["alt_long_short"].format(name=name))),
        "bars": Markup(svg(charts.bars_chart(bars, height=2.5, width=4.0), texts["alt_bars"].format(name=name))),
    }


def _portfolio_card(row: PortfolioRow, words: _Formatter) -> dict[str, Any]:
    texts, series, name = words.texts, row.series, words.portfolio(row)
    card: dict[str, Any] = {"row": row, "name": name, "series": series}
    if series is None:
        return card
    relative = np.asarray(series.nav, float) / np.asarray(series.benchmark_nav, float)
    drawdown = 1.0 - relative / np.maximum.accumulate(relative)
    active = series.active_weights()
    card["facts"] = [
        (texts["last_rebalance"], str(series.rebalance_date or texts["unknown"])),
        (texts["holdings"], str(sum(w > 0 for w in series.weights.values())) if series.weights else texts["unknown"]),
        (texts["turnover_planned"], words.pct(series.turnover_planned, 1)),
        (texts["turnover_realised"], words.pct(series.turnover_realised, 1)),
        (texts["turnover_mean"], words.pct(series.turnover_mean, 1)),
        (texts["drawdown_now"], words.pct(float(drawdown[-1]))),
        (texts["drawdown_max"], words.pct(float(drawdown.max()))),
    ]
    nav = charts.nav_chart(series.days, series.nav, series.benchmark_nav, words.chart, 4.2, PAGE_WIDTH)
    card["nav"] = Markup(svg(nav, texts["alt_nav"].format(name=name)))
    card["exposures"] = card["weights"] = None
    if series.industry or series.styles:
        figure = charts.exposures_chart(
            {words.name(k): v for k, v in series.industry.items()},
            {words.name(k): v for k, v in series.styles.items()},
            series.industry_limit,
            {words.name(k): v for k, v in series.style_limits.items()},
            labels=words.chart,
            width=PAGE_WIDTH,
        )
        card["exposures"] = Markup(svg(figure, texts["alt_exposures"].format(name=name)))
    if active:
        figure = charts.weights_chart(
            {_stock(s, series): w for s, w in active[:TOP_WEIGHTS] if w > 0},
            {_stock(s, series): w for s, w in active[::-1][:TOP_WEIGHTS] if w < 0},
            labels=words.chart,
            width=PAGE_WIDTH,
        )
        card["weights"] = Markup(svg(figure, texts["alt_weights"].format(name=name)))
    return card


def _stock(symbol: str, series: PortfolioSeries) -> str:
    return f"{symbol} {series.stock_names.get(symbol, '')}".strip()


def _quality(report: WeeklyReport, texts: dict[str, str]) -> dict[str, Any]:
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
        "rows": sorted(report.quality, key=lambda row: (order[row.severity], row.table, row.check)),
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
