"""Numbers of the weekly report: rows of its tables, each with the published number of the same period."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mg_portfolio.report.published import published_value
from mg_portfolio.report.weekly.inputs import (
    DEEP,
    EXPECTED,
    EXPECTED_INDICES,
    HANDMADE,
    EvaluationRow,
    FactorSeries,
    PortfolioSeries,
    WeeklyReport,
)
from mg_portfolio.report.weekly.periods import period_return, periods_won, report_periods

PERIODS = ("week", "month", "year")
EVALUATION_METRICS = (
    "rank_ic_mean",
    "rank_ic_std",
    "rank_ic_ir",
    "rank_ic_positive_ratio",
    "top_excess_annual",
    "top_information_ratio",
    "top_monthly_win_rate",
    "top_turnover_two_way",
)


@dataclass(frozen=True)
class ComparedValue:
    """A return or metric of ours, whether its period is covered in full, and the published value."""

    value: float
    complete: bool
    published: float | None = None

    @property
    def missing(self) -> bool:
        """No day of data."""
        return math.isnan(self.value)


@dataclass(frozen=True)
class Won:
    """Months or weeks won of those so far, with the published pair where there is one."""

    won: int
    total: int
    published: tuple[int, int] | None = None


@dataclass(frozen=True)
class FactorRow:
    """A line of table 1; ``absent`` is the reason where there is no series."""

    name: str
    group: str
    series: FactorSeries | None
    absent: str | None
    long_short: dict[str, ComparedValue]
    long_excess: dict[str, ComparedValue]
    long_short_won: Won | None
    long_excess_won: Won | None


@dataclass(frozen=True)
class PortfolioRow:
    """A line of table 2."""

    name: str
    index: str
    series: PortfolioSeries | None
    absent: str | None
    excess: dict[str, ComparedValue]
    won: Won | None


def _in_language(reason: str | Mapping[str, str] | None, lang: str) -> str | None:
    return reason[lang] if isinstance(reason, Mapping) else reason


def factor_rows(report: WeeklyReport, lang: str, not_supplied: str) -> list[FactorRow]:
    """Table 1: the monitor's sixteen and the full-band signals in order, then any others given."""
    given = {factor.name: factor for factor in report.factors}
    names = [*EXPECTED, *(name for name in given if name not in EXPECTED)]
    return [_factor_row(report, name, given.get(name), lang, not_supplied) for name in names]


def _factor_row(
    report: WeeklyReport, name: str, factor: FactorSeries | None, lang: str, not_supplied: str
) -> FactorRow:
    group = "handmade" if name in HANDMADE else "deep" if name in DEEP else "full_band"
    if factor is None or factor.absent is not None:
        reason = not_supplied if factor is None else _in_language(factor.absent, lang)
        return FactorRow(name, group, None, reason, {}, {}, None, None)
    year = report_periods(report.as_of)["year"]

    def won(metric: str, values: np.ndarray) -> Won:
        return Won(
            *periods_won(factor.days, values, year), _published_won(report, name, f"{metric}_monthly_win_rate", 12)
        )

    return FactorRow(
        name,
        group,
        factor,
        None,
        _cells(report, name, "long_short", factor.days, factor.long_short),
        _cells(report, name, "long_excess", factor.days, factor.long_excess),
        won("long_short", factor.long_short),
        won("long_excess", factor.long_excess),
    )


def portfolio_rows(report: WeeklyReport, lang: str, not_supplied: str) -> list[PortfolioRow]:
    """Table 2: the portfolios given, and an absent line for an index without any."""
    rows = [_portfolio_row(report, portfolio, lang) for portfolio in report.portfolios]
    covered = {row.index for row in rows}
    for index in EXPECTED_INDICES:
        if index not in covered:
            rows.append(PortfolioRow(index, index, None, not_supplied, {}, None))
    return rows


def _portfolio_row(report: WeeklyReport, portfolio: PortfolioSeries, lang: str) -> PortfolioRow:
    if portfolio.absent is not None:
        return PortfolioRow(portfolio.name, portfolio.index, None, _in_language(portfolio.absent, lang), {}, None)
    year, returns = report_periods(report.as_of)["year"], portfolio.excess_returns
    won = Won(
        *periods_won(portfolio.days, returns, year, "week"),
        _published_won(report, portfolio.name, "weekly_win_rate", 48),
    )
    cells = _cells(report, portfolio.name, "excess", portfolio.days, returns)
    return PortfolioRow(portfolio.name, portfolio.index, portfolio, None, cells, won)


def _cells(
    report: WeeklyReport, name: str, metric: str, days: np.ndarray, returns: np.ndarray
) -> dict[str, ComparedValue]:
    out = {}
    for key, period in report_periods(report.as_of).items():
        found = period_return(days, returns, period)
        out[key] = ComparedValue(found.value, found.complete, published_value(name, metric, period=str(period)))
    return out


def _published_won(report: WeeklyReport, name: str, metric: str, total: int) -> tuple[int, int] | None:
    """The monitor's months (of 12) or weeks (of 48) won in 2023, printed on 2023-12-15 and valid for that day alone."""
    if str(report.as_of) != "2023-12-15":
        return None
    share = published_value(name, metric, period="2023")
    return None if share is None else (round(share * total), total)


def evaluation_cells(row: EvaluationRow) -> dict[str, ComparedValue]:
    """The metrics of the evaluation table, with the published number of the same period."""
    return {
        metric: ComparedValue(
            float(row.metrics.get(metric, math.nan)), True, published_value(row.subject, metric, period=row.period)
        )
        for metric in EVALUATION_METRICS
    }
