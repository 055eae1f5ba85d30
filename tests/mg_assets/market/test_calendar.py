"""Trading days, weeks, months and half-years of the Shanghai exchange."""

import datetime as dt

import numpy as np
import pytest

from mg_assets.market import calendar


def test_sessions_of_the_study_period():
    days = calendar.trading_days("2013-01-04", "2023-12-29")
    assert len(days) == 2672
    assert str(days[0]) == "2013-01-04"
    assert str(days[-1]) == "2023-12-29"
    assert not calendar.is_trading_day("2023-10-02")  # National Day
    assert calendar.is_trading_day("2023-10-09")


def test_shift_counts_sessions_also_from_closed_days():
    assert str(calendar.shift("2023-02-03", 1)) == "2023-02-06"
    assert str(calendar.shift("2023-02-04", 1)) == "2023-02-06"
    assert str(calendar.shift("2023-02-04", -1)) == "2023-02-03"
    assert str(calendar.shift("2023-01-30", -1)) == "2023-01-20"  # over the Spring Festival
    assert str(calendar.shift("2023-02-03", 0)) == "2023-02-03"
    assert str(calendar.shift("2023-02-04", 0)) == "2023-02-06"  # a closed day counts as the next session
    first, second, *_, last = calendar.trading_days()
    assert (calendar.shift(second, -1), calendar.shift(last, 0)) == (first, last)
    for day, sessions in (("2013-01-04", -100_000), (first, -1), (last, 1)):
        with pytest.raises(ValueError, match="outside the calendar"):
            calendar.shift(day, sessions)


def test_periods():
    days = np.array(["2023-01-01", "2023-02-01", "2023-02-05", "2023-07-31"], "datetime64[D]")
    assert calendar.week_of(days).astype(str).tolist() == ["2022-12-26", "2023-01-30", "2023-01-30", "2023-07-31"]
    assert calendar.month_of(days).astype(str).tolist() == ["2023-01-01", "2023-02-01", "2023-02-01", "2023-07-01"]
    assert calendar.half_year_of(days).astype(str).tolist() == ["2023-01-01"] * 3 + ["2023-07-01"]


@pytest.mark.parametrize("name", ["2017H1", "2022H2"])
def test_half_year_names_round_trip(name):
    assert calendar.half_year_name(calendar.half_year_start(name)) == name


def test_half_year_start():
    assert calendar.half_year_start("2022H2") == dt.date(2022, 7, 1)
    with pytest.raises(ValueError, match="2017H1"):
        calendar.half_year_start("2017-H1")


def test_look_backs_from_the_first_partition_are_in_the_calendar():
    assert str(calendar.shift("2013-01-04", -300)) > "2011-01-01"  # the widest window is 272 sessions
