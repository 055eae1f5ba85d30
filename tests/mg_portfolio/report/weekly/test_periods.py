import datetime

import numpy as np
import pytest

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.report.weekly.periods import Period, period_return, periods_won, report_periods


def weekdays(start, end, holidays=()):
    days = np.arange(np.datetime64(start), np.datetime64(end) + 1)
    return days[np.is_busday(days, holidays=np.array(holidays, "datetime64[D]"))]


def test_the_periods_of_a_week():
    periods = report_periods("2023-12-15")
    assert {name: str(p) for name, p in periods.items()} == {
        "week": "2023-12-11/2023-12-15",
        "month": "2023-12-01/2023-12-15",
        "year": "2023-01-01/2023-12-15",
    }
    assert report_periods(datetime.date(2023, 1, 2))["week"] == Period(
        datetime.date(2023, 1, 2), datetime.date(2023, 1, 2)
    )


def test_returns_compound_inside_the_period_only():
    days = weekdays("2023-12-07", "2023-12-15")
    returns = np.array([0.5, 0.5, 0.01, -0.02, 0.03, 0.0, 0.01])
    found = period_return(days, returns, report_periods("2023-12-15")["week"])
    assert found.value == pytest.approx(1.01 * 0.98 * 1.03 * 1.01 - 1)
    assert (found.days, found.first, found.complete) == (5, datetime.date(2023, 12, 11), True)


def test_the_first_days_of_january_belong_to_the_new_year_alone():
    days = weekdays("2024-12-30", "2025-01-03")
    returns = np.array([0.10, 0.10, 0.01, 0.01, 0.01])
    periods = report_periods("2025-01-03")
    assert period_return(days, returns, periods["week"]).value == pytest.approx(1.1**2 * 1.01**3 - 1)
    assert period_return(days, returns, periods["year"]).value == pytest.approx(1.01**3 - 1)
    assert periods_won(days, returns, periods["year"], "week") == (1, 1)


def test_a_series_with_gaps_or_a_late_start_is_not_complete():
    days = weekdays("2023-06-01", "2023-12-15")
    returns = np.full(len(days), 0.001)
    year = report_periods("2023-12-15")["year"]
    assert not period_return(days, returns, year).complete
    returns[-3] = np.nan
    week = period_return(days, returns, report_periods("2023-12-15")["week"])
    assert (week.days, week.complete) == (4, False)
    assert not period_return(days[:-5], returns[:-5], report_periods("2023-12-15")["month"]).complete


def test_no_data_is_nan():
    days = weekdays("2023-01-03", "2023-01-10")
    found = period_return(days, np.full(len(days), 0.1), report_periods("2023-12-15")["week"])
    assert np.isnan(found.value)
    assert (found.days, found.first, found.complete) == (0, None, False)


def test_months_and_weeks_won():
    days = weekdays("2023-01-03", "2023-03-10")
    returns = np.where(
        days < np.datetime64("2023-02-01"), 0.001, np.where(days < np.datetime64("2023-03-01"), -0.001, 0.0)
    )
    year = report_periods("2023-03-10")["year"]
    assert periods_won(days, returns, year) == (1, 3)  # a flat month is not won
    returns[-1] = 0.001
    assert periods_won(days, returns, year) == (2, 3)


def test_weeks_of_2023_are_those_the_monitor_counts():
    # The monitor of 2023-12-15 counts 48 weeks: 50 less the Spring Festival's and the National Day's
    closed = [*weekdays("2023-01-23", "2023-01-27"), *weekdays("2023-10-02", "2023-10-06"), np.datetime64("2023-01-02")]
    days = weekdays("2023-01-01", "2023-12-15", closed)
    assert periods_won(days, np.full(len(days), 0.001), report_periods("2023-12-15")["year"], "week") == (48, 48)


def test_errors():
    with pytest.raises(EvaluationError, match="expected 'month' or 'week'"):
        periods_won(np.array([], "datetime64[D]"), np.array([]), report_periods("2023-12-15")["year"], "quarter")
    with pytest.raises(EvaluationError, match="expected one a day"):
        period_return(weekdays("2023-01-03", "2023-01-10"), np.ones(2), report_periods("2023-01-10")["week"])
