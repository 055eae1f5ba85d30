"""Numbers of the weekly report: rows of its tables, each with the published number of the same period."""

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mg_portfolio.evaluation.placebo_comparison import compare_with_placebos
from mg_portfolio.metrics import DAYS_PER_YEAR
from mg_portfolio.report.published import period_bounds, published_rows, published_value
from mg_portfolio.report.weekly.inputs import (
    DEEP,
    EXPECTED,
    EXPECTED_PORTFOLIOS,
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
    """Table 2: the monitor's two portfolios, absent where they are not given, then the others."""
    given = {portfolio.name: portfolio for portfolio in report.portfolios}
    return [
        _portfolio_row(report, given[name], lang)
        if name in given
        else PortfolioRow(name, EXPECTED_PORTFOLIOS[name], None, not_supplied, {}, None)
        for name in dict.fromkeys((*EXPECTED_PORTFOLIOS, *given))
    ]


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


@dataclass(frozen=True)
class PlaceboRow:
    """A portfolio beside its placebos over one period, as in :func:`~mg_portfolio.evaluation.placebo_comparison`.

    Attributes
    ----------
    period : str
        "whole", or a year.
    excess, mean, over, low, high : float
        Of the portfolio, the placebos' mean, and the one over the other with its interval.
    rank, placebos, weeks : int
        Among ``placebos + 1``, 1 for the highest excess; calendar weeks.
    """

    period: str
    excess: float
    mean: float
    over: float
    low: float
    high: float
    rank: int
    placebos: int
    weeks: int


def placebo_paths(series: PortfolioSeries) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days on which the portfolio and its placebos are stored, its relative NAV and theirs ``(N, D)``."""
    placebos = np.asarray(series.placebos, float)
    if not len(placebos):
        return np.array([], "datetime64[D]"), np.array([]), placebos
    stored = np.isfinite(placebos).all(axis=0)
    relative = np.asarray(series.nav, float) / np.asarray(series.benchmark_nav, float)
    return np.asarray(series.days, "datetime64[D]")[stored], relative[stored], placebos[:, stored]


def placebo_rows(series: PortfolioSeries) -> list[PlaceboRow]:
    """A portfolio beside its placebos: the whole period, then its years; none where nothing is stored of them."""
    days, relative, placebos = placebo_paths(series)
    if len(days) < 2:
        return []
    found = compare_with_placebos(days, relative, placebos)
    order = ["excess", "placebo_mean", "over_placebos", "low", "high", "rank", "placebos", "weeks"]
    rows = zip(found.index, found[order].itertuples(index=False), strict=True)
    return [PlaceboRow(str(period), *map(float, v[:5]), *map(int, v[5:])) for period, v in rows]  # type: ignore


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


@dataclass(frozen=True)
class DecayRow:
    """A line of table 4: a factor up to the end of what was published of it, and after.

    Attributes
    ----------
    name : str
    until : date
        Last day of the longest period that a report prints a figure of.
    days : tuple of int
        Days with a return up to it, and after it.
    rank_ic, annual : tuple of float
        Mean RankIC and annual long-short return, up to it and after it; NaN without days.
    """

    name: str
    until: datetime.date
    days: tuple[int, int]
    rank_ic: tuple[float, float]
    annual: tuple[float, float]


def decay_rows(report: WeeklyReport) -> list[DecayRow]:
    """Table 4: factors of which something was published, those with days after it."""
    out = []
    for factor in report.factors:
        printed = published_rows(factor.name)["period"].unique()
        if factor.absent is not None or not len(printed):
            continue
        dated = [period for period in printed if "/" in period]  # a year of figures need not be a whole one
        until = max(period_bounds(period)[1] for period in dated or printed)
        days = np.asarray(factor.days, "datetime64[D]")
        parts = (days <= until, days > until)
        held = [np.asarray(factor.long_short, float)[part] for part in parts]
        counts = [int(np.isfinite(values).sum()) for values in held]
        if not counts[1]:
            continue
        ranks = [np.asarray(factor.rank_ic, float)[part] if len(factor.rank_ic) else np.array([]) for part in parts]
        out.append(
            DecayRow(
                factor.name,
                until.astype(object),
                (counts[0], counts[1]),
                (_mean(ranks[0]), _mean(ranks[1])),
                (_annual(held[0]), _annual(held[1])),
            )
        )
    return out


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan


def _annual(returns: np.ndarray) -> float:
    return float(np.expm1(DAYS_PER_YEAR * _mean(np.log1p(returns))))
