"""Bars to date, completed periods, and what a day must not see of its own week."""

import numpy as np
import pytest

from mg_models.data.bar_panels import bar_inputs, completed_bars, month_of, to_date_bars, week_of
from mg_models.errors import InputError


def naive_bar(daily: np.ndarray) -> np.ndarray:
    """One stock's bar of some days (n, 6); NaN where none was traded."""
    traded = daily[np.isfinite(daily).all(1) & (daily[:, 5] > 0)]
    if not len(traded):
        return np.full(6, np.nan)
    volume = traded[:, 5].sum()
    vwap = (traded[:, 4] * traded[:, 5]).sum() / volume
    return np.array([traded[0, 0], traded[:, 1].max(), traded[:, 2].min(), traded[-1, 3], vwap, volume])


def test_bars_to_date_equal_the_naive_ones(make):
    days, daily = make.weekdays(70), make.daily_bars(70, 6, suspended=0.3)
    week = week_of(days)
    got = to_date_bars(daily, week)
    for d in range(70):
        for s in range(6):
            days_so_far = (week == week[d]) & (np.arange(70) <= d)
            np.testing.assert_allclose(got[d, s], naive_bar(daily[days_so_far, s]), rtol=1e-6)


def test_completed_bars_are_the_last_to_date(make):
    days, daily = make.weekdays(70), make.daily_bars(70, 3)
    starts, bars = completed_bars(daily, month_of(days))
    assert starts.tolist() == sorted(set(month_of(days).tolist()))
    first = month_of(days) == starts[0]
    np.testing.assert_allclose(bars[0, 1], naive_bar(daily[first, 1]), rtol=1e-6)


def test_an_unfinished_week_is_seen_only_to_date(make):
    """Whatever a table says of the current week, a day inside it sees its own days alone."""
    days, daily = make.weekdays(60), make.daily_bars(60, 5)
    weeks, weekly = completed_bars(daily, week_of(days))
    months, monthly = completed_bars(daily, month_of(days))
    day = 42
    inputs = bar_inputs(days, make.names(5), daily, weeks, weekly, months, monthly)
    changed_daily, changed_weekly, changed_monthly = daily.copy(), weekly.copy(), monthly.copy()
    changed_daily[day + 1 :] *= 3
    changed_weekly[weeks >= week_of(days)[day]] *= 5
    changed_monthly[months >= month_of(days)[day]] *= 7
    changed = bar_inputs(days, make.names(5), changed_daily, weeks, changed_weekly, months, changed_monthly)
    for name in ("weekly", "monthly"):
        seen = inputs[name].period_of_day[day]
        assert seen == changed[name].period_of_day[day]
        np.testing.assert_array_equal(inputs[name].completed[:seen], changed[name].completed[:seen])
        np.testing.assert_array_equal(inputs[name].to_date[: day + 1], changed[name].to_date[: day + 1])


def test_the_week_just_over_is_seen_on_the_next_monday(make):
    days = make.weekdays(20, "2023-01-02")  # a Monday
    panel = make.bars_of(days, make.daily_bars(20, 2))["weekly"]
    assert panel.period_of_day.tolist() == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5


def test_the_current_week_need_not_be_in_the_table(make):
    days, daily = make.weekdays(33), make.daily_bars(33, 2)
    weeks, weekly = completed_bars(daily, week_of(days))
    months, monthly = completed_bars(daily, month_of(days))
    whole = bar_inputs(days, make.names(2), daily, weeks, weekly, months, monthly)["weekly"]
    short = bar_inputs(days, make.names(2), daily, weeks[:-1], weekly[:-1], months, monthly)["weekly"]
    np.testing.assert_array_equal(whole.period_of_day, short.period_of_day)
    np.testing.assert_array_equal(whole.to_date, short.to_date)


def test_a_lacking_week_is_named(make):
    days, daily = make.weekdays(33), make.daily_bars(33, 2)
    weeks, weekly = completed_bars(daily, week_of(days))
    months, monthly = completed_bars(daily, month_of(days))
    kept = np.arange(len(weeks)) != 2
    with pytest.raises(InputError, match=f"weekly: 1 periods .* first {weeks[2]}"):
        bar_inputs(days, make.names(2), daily, weeks[kept], weekly[kept], months, monthly)


def test_a_suspended_day_keeps_its_close_as_vwap(make):
    days, daily = make.weekdays(33), make.daily_bars(33, 2, suspended=0.0)
    daily[10, 1, 4:] = np.nan, 0.0
    panel = make.bars_of(days, daily)["daily"]
    assert panel.values[10, 1, 4] == np.float32(daily[10, 1, 3])
    assert panel.values[10, 1, 5] == 0
