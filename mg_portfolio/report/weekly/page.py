"""The weekly report: one self-contained HTML file, in Chinese or English.

1. `tables` turns the series into rows, with the published number that belongs beside each.
2. `charts` draws two figures a factor and five a portfolio, inlined as SVG; the monitor's have its numbers, 1 to 36.
3. `weekly/page.html` lays them out. Nothing is fetched when the file is opened.
"""

from collections.abc import Mapping
from typing import Any

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts import figures as charts
from mg_portfolio.report.templates import template
from mg_portfolio.report.weekly.cards import factor_card, portfolio_card
from mg_portfolio.report.weekly.inputs import (
    DEEP,
    EXPECTED,
    FULL_BAND,
    HANDMADE,
    EvaluationRow,
    FactorSeries,
    PortfolioSeries,
    QualityRow,
    Training,
    WeeklyReport,
)
from mg_portfolio.report.weekly.names import (
    check_name,
)
from mg_portfolio.report.weekly.periods import report_periods
from mg_portfolio.report.weekly.tables import (
    EVALUATION_METRICS,
    PERIODS,
    ComparedValue,
    FactorRow,
    Won,
    decay_rows,
    evaluation_cells,
    factor_rows,
    placebo_rows,
    portfolio_rows,
)
from mg_portfolio.report.weekly.texts import TEXTS
from mg_portfolio.report.weekly.words import Formatter

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
    words = Formatter(lang, report)
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
        factor_cards=[factor_card(row, words) for row in factors],
        portfolio_cards=[portfolio_card(row, report, words) for row in portfolios],
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
    words = Formatter(lang, report)
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


def _lead(rows: list[FactorRow], words: Formatter) -> str:
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


def _quality(report: WeeklyReport, words: Formatter) -> dict[str, Any]:
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
            *_grouped(report.days_late, texts["late_row"], texts),
            *_grouped(report.stocks_missing, texts["missing_row"], texts),
        ],
    }


def _grouped(counts: Mapping[str, int], line: str, texts: Mapping[str, str]) -> list[str]:
    """One line a count, largest first, with the tables that have it."""
    return [
        line.format(count=count, tables=texts["list"].join(sorted(t for t, n in counts.items() if n == count)))
        for count in sorted({n for n in counts.values() if n}, reverse=True)
    ]
