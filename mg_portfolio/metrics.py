"""Performance figures under the names of the published tables.

With ``n`` daily returns, 252 days a year, ``R`` the portfolio's and ``B`` the benchmark's value:

- ``annual_return`` = ``(R_end / R_start) ** (252 / n) - 1``; ``annual_volatility`` = std of daily returns * sqrt(252);
  ``sharpe`` their ratio (risk-free rate 0); ``max_drawdown`` the largest fall from a peak, positive; ``calmar``
  return over drawdown.
- ``excess_annual``, ``excess_max_drawdown``: the same of the relative value ``R / B``; ``tracking_error`` = std of
  daily ``r - r_b`` * sqrt(252); ``information_ratio`` = excess over tracking error; ``calmar_excess`` (series 72, 88)
  or ``excess_calmar`` (series 69) = excess over its drawdown.
- ``monthly_win_rate``, ``weekly_win_rate``: share of calendar months or weeks in which the portfolio's return beat the
  benchmark's. A period counts when the close before it is in the series, so the one in which the series begins does
  not; this gives the 82 months that series 72 counts from 2017-01-04 to 2023-11-30.
- ``turnover_two_way_per_rebalance``: mean of ``sum|w - w_before|``; ``turnover_two_way_annual``: their sum per 252
  days.

Note: excess is by the relative value here, in the backtests and in the weekly report. The printed figures of series 69
and 72 compound daily differences, ``prod(1 + r - r_b)``, instead: 17.19% against -2.08% a year would be 19.7% of
relative value, printed is 19.46%; in all 26 rows what is left of return over excess is the index's mean return, as
differences leave it (``tests/mg_portfolio/test_published_metrics.py``). ``excess="difference"`` computes that, and the
tables of those two reports use it. Series 88 prints no return beside its excess, so its
figures cannot show which it takes.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from mg_axes import BY_DAY, DAYS, aligned, as_days
from mg_portfolio.errors import ProblemError

DAYS_PER_YEAR = 252
MONTH, WEEK = "M", "W-SUN"

NAMES = (
    "annual_return",
    "annual_volatility",
    "sharpe",
    "max_drawdown",
    "calmar",
    "benchmark_annual",
    "excess_annual",
    "tracking_error",
    "information_ratio",
    "excess_max_drawdown",
    "calmar_excess",
    "excess_calmar",
    "monthly_win_rate",
    "weekly_win_rate",
    "turnover_two_way_per_rebalance",
    "turnover_two_way_annual",
)
"""Keys of :func:`performance_metrics`, in the order of the published tables."""

Excess = Literal["relative", "difference"]

_BY_NAV = aligned(ProblemError, by=("nav",), nav=BY_DAY, benchmark_nav=BY_DAY, days=DAYS)
_BOTH = aligned(ProblemError, by=("nav",), nav=BY_DAY, benchmark_nav=BY_DAY)


@_BY_NAV
def performance_metrics(
    nav: Sequence[float] | np.ndarray,
    benchmark_nav: Sequence[float] | np.ndarray | None = None,
    days: Sequence | np.ndarray | None = None,
    turnover: Sequence[float] | np.ndarray | pd.Series | None = None,
    excess: Excess = "relative",
) -> dict[str, float]:
    """Compute the performance figures of a whole period.

    Parameters
    ----------
    nav, benchmark_nav : (T,) float, or labelled by date
        Values at the close, the first of them the base before the first return. Any scale. Labelled ones
        (:mod:`mg_axes`) are sorted, and the benchmark aligned on the dates of ``nav``.
    days : (T,) dates, optional
        Needed for the win rates; by default the dates of ``nav``.
    turnover : (R,) float, optional
        Two-way turnover of each rebalance, a fraction of the portfolio.
    excess : "relative" or "difference"
        How excess is compounded: ``prod((1 + r) / (1 + r_b))``, or ``prod(1 + r - r_b)`` as series 69 and 72 have it.

    Returns
    -------
    dict
        Every name in ``NAMES``; NaN where its input is absent or a ratio has nothing to divide by.

    Raises
    ------
    ProblemError
        Values that are not above zero or of different lengths, or fewer than two of them.
    """
    value = _values("nav", nav)
    out = dict.fromkeys(NAMES, float("nan"))
    growth = value[1:] / value[:-1] - 1.0
    years = len(growth) / DAYS_PER_YEAR
    out["annual_return"] = _annual(value, years)
    out["annual_volatility"] = _yearly_std(growth)
    out["sharpe"] = _ratio(out["annual_return"], out["annual_volatility"])
    out["max_drawdown"] = max_drawdown(value)
    out["calmar"] = _ratio(out["annual_return"], out["max_drawdown"])
    if turnover is not None and len(turnover):
        out["turnover_two_way_per_rebalance"] = float(np.mean(turnover))
        out["turnover_two_way_annual"] = float(np.sum(turnover)) / years
    if benchmark_nav is None or np.isnan(np.asarray(benchmark_nav, dtype=np.float64)).all():  # bare by now
        return out

    index = _values("benchmark_nav", benchmark_nav, len(value))
    index_growth = index[1:] / index[:-1] - 1.0
    relative = excess_nav(value, index, excess)
    out["benchmark_annual"] = _annual(index, years)
    out["excess_annual"] = _annual(relative, years)
    out["tracking_error"] = _yearly_std(growth - index_growth)
    out["information_ratio"] = _ratio(out["excess_annual"], out["tracking_error"])
    out["excess_max_drawdown"] = max_drawdown(relative)
    out["calmar_excess"] = out["excess_calmar"] = _ratio(out["excess_annual"], out["excess_max_drawdown"])
    if days is not None:
        out["monthly_win_rate"] = win_rate(value, index, days, MONTH)
        out["weekly_win_rate"] = win_rate(value, index, days, WEEK)
    return out


@_BY_NAV
def metrics_by_year(
    nav: Sequence[float] | np.ndarray,
    benchmark_nav: Sequence[float] | np.ndarray | None = None,
    days: Sequence | np.ndarray | None = None,
    turnover: pd.Series | None = None,
    excess: Excess = "relative",
) -> pd.DataFrame:
    """Compute the performance figures of the whole period and of each calendar year.

    A year starts from the last close of the year before. As in the published tables, a year's ``annual_return``,
    ``benchmark_annual`` and ``excess_annual`` are what was earned in it, not scaled to 252 days, while its ratios use
    the annualised figures (series 88, table 13: 17.2% in seven months at 6.5% tracking error is an information ratio
    of 5.09).

    Parameters
    ----------
    nav : (T,) float, or labelled by date
        Values at the close, of any scale.
    benchmark_nav : (T,) float, or labelled by date, optional
        Of the benchmark; a labelled one is aligned on the dates of ``nav``.
    days : (T,) dates, optional
        Of the closes; by default the dates of ``nav``.
    turnover : Series, optional
        Two-way turnover of each rebalance, indexed by its trading day.
    excess : "relative" or "difference"
        As in :func:`performance_metrics`.

    Returns
    -------
    DataFrame
        Index ``period``: "whole", then years as "2017"; columns ``NAMES`` and ``days`` (number of returns).

    Raises
    ------
    ProblemError
        Bare values without days.
    """
    if days is None:
        raise ProblemError("days was not given: give the dates of the closes, or values that have dates")
    value = np.asarray(nav, dtype=np.float64)
    index = np.full(len(value), np.nan) if benchmark_nav is None else np.asarray(benchmark_nav, dtype=np.float64)
    date = pd.DatetimeIndex(as_days(days))
    lines = {"whole": {**performance_metrics(value, index, date, turnover, excess), "days": len(value) - 1}}
    for year in date.year.unique():
        inside = np.flatnonzero(date.year == year)
        first = max(int(inside[0]) - 1, 0)
        part = slice(first, int(inside[-1]) + 1)
        if part.stop - part.start < 2:
            continue
        own = None if turnover is None else turnover[pd.DatetimeIndex(turnover.index).year == year]
        line = performance_metrics(value[part], index[part], date[part], own, excess)
        years = (part.stop - part.start - 1) / DAYS_PER_YEAR
        for name in ("annual_return", "benchmark_annual", "excess_annual"):
            line[name] = (1.0 + line[name]) ** years - 1.0
        lines[str(year)] = {**line, "days": part.stop - part.start - 1}
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("period")


@_BOTH
def excess_nav(nav: np.ndarray, benchmark_nav: np.ndarray, excess: Excess = "relative") -> np.ndarray:
    """Value of one unit of excess, 1 on the first day.

    Parameters
    ----------
    nav, benchmark_nav : (T,) float, or labelled by date
        Values at the close, of any scale.
    excess : "relative" or "difference"
        ``prod((1 + r) / (1 + r_b))``, or ``prod(1 + r - r_b)`` as series 69 and 72 have it.

    Returns
    -------
    (T,) float
        Compounded excess.

    Raises
    ------
    ProblemError
        ``excess`` is neither.
    """
    growth, index_growth = nav[1:] / nav[:-1], benchmark_nav[1:] / benchmark_nav[:-1]
    if excess == "relative":
        step = growth / index_growth
    elif excess == "difference":
        step = 1.0 + growth - index_growth
    else:
        raise ProblemError(f"excess was {excess!r}, expected 'relative' or 'difference'")
    return np.concatenate([[1.0], np.cumprod(step)])


@aligned(ProblemError, nav=BY_DAY)
def max_drawdown(nav: np.ndarray) -> float:
    """Largest fall from an earlier peak, as a positive fraction of the peak."""
    return float(np.max(1.0 - nav / np.maximum.accumulate(nav)))


@_BY_NAV
def win_rate(nav: np.ndarray, benchmark_nav: np.ndarray, days: Sequence | np.ndarray, every: str = MONTH) -> float:
    """Share of calendar periods in which the portfolio beat its benchmark; NaN where none has a close before it."""
    date = pd.DatetimeIndex(as_days(days))
    if len(date) != len(nav):
        raise ProblemError(f"days had {len(date)} entries, expected {len(nav)} like nav")
    period = date.to_period(every).asi8
    ends = np.append(np.flatnonzero(np.diff(period)), len(date) - 1)  # last day of each period
    if len(ends) < 2:
        return float("nan")
    value, index = np.asarray(nav)[ends], np.asarray(benchmark_nav)[ends]
    return float(np.mean(value[1:] / value[:-1] > index[1:] / index[:-1]))


def _values(name: str, nav: Sequence[float] | np.ndarray, length: int | None = None) -> np.ndarray:
    value = np.asarray(nav, dtype=np.float64)
    if value.ndim != 1 or len(value) < 2:
        raise ProblemError(f"{name} had shape {value.shape}, expected at least two daily values")
    if length is not None and len(value) != length:
        raise ProblemError(f"{name} had {len(value)} values, expected {length} like nav")
    bad = np.flatnonzero(~(np.isfinite(value) & (value > 0.0)))
    if len(bad):
        raise ProblemError(f"{name} was {value[bad[0]]!r} at day {bad[0]}, expected a value above 0 on every day")
    return value


def _annual(value: np.ndarray, years: float) -> float:
    return float((value[-1] / value[0]) ** (1.0 / years) - 1.0)


def _yearly_std(daily: np.ndarray) -> float:
    return float(np.std(daily, ddof=1) * np.sqrt(DAYS_PER_YEAR)) if len(daily) > 1 else float("nan")


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom > 1e-14 else float("nan")
