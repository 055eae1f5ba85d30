"""Dates and times in any form stand on Shanghai's clock, never a day early."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mg_assets.sources.io.dates import dates_of, to_date
from mg_assets.sources.io.times import UNREADABLE, days_and_milliseconds, milliseconds_of_day

DAY = np.datetime64("2024-03-04")
MIDNIGHT = int(pd.Timestamp("2024-03-04", tz="Asia/Shanghai").timestamp())
OPENED = int(pd.Timestamp("2024-03-04 09:31", tz="Asia/Shanghai").timestamp())
MINUTE = (9 * 60 + 31) * 60_000


@pytest.mark.parametrize(
    "word",
    [
        "2024-03-04", "2024.03.04", "20240304", "20240304.0", 20240304, 20240304.0, "2024/3/4", "2024年3月4日",
        "2024-03-04 00:00:00+08:00", "2024-03-03 16:00:00+00:00", "2024-03-03T16:00:00Z", "2024-03-03T11:00:00-0500",
        "2024-03-04 15:00", "2024-03-04 00:00:00 Asia/Shanghai", "202403040931", "20240304093100", "20240304093100000",
        "2024-03-04 00:00:00+08:06",
        dt.date(2024, 3, 4), dt.datetime(2024, 3, 3, 16, tzinfo=dt.UTC), pd.Timestamp("2024-03-04", tz="Asia/Shanghai"),
        MIDNIGHT, str(MIDNIGHT * 1000), float(MIDNIGHT * 1000), MIDNIGHT * 10**6, MIDNIGHT * 10**9, f"{MIDNIGHT}.0",
    ],
)  # fmt: skip
def test_a_date_in_any_form_is_shanghais(word):
    assert to_date(word) == DAY


@pytest.mark.parametrize("word", ["04/03/2024", "2024-13-04", "2024-03-04 noon", "20240304.5", "1.70948E+12", "", None])
def test_what_is_no_date_is_none(word):
    assert np.isnat(to_date(word))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "UTC", "America/New_York"])
def test_zoned_arrow_stamps_are_shanghais(unit, zone):
    stamps = pd.DatetimeIndex(["2024-03-04", "2024-03-05"], tz="Asia/Shanghai").tz_convert(zone).as_unit(unit)
    column = pa.chunked_array([pa.array(stamps), pa.nulls(1, pa.timestamp(unit, zone))])
    days = dates_of(column)
    assert days[:2].tolist() == [dt.date(2024, 3, 4), dt.date(2024, 3, 5)]
    assert np.isnat(days[2])
    dates, clock = days_and_milliseconds(column)
    assert (dates[:2].tolist(), clock.tolist()) == ([20240304, 20240305], [0, 0, UNREADABLE])


def test_midnight_of_a_summer_time_day_keeps_its_date():
    """Shanghai's clocks went an hour ahead in the summer of 1991."""
    assert dates_of(pa.chunked_array([pd.DatetimeIndex(["1991-06-03"], tz="Asia/Shanghai")])).tolist() == [
        dt.date(1991, 6, 3)
    ]


@pytest.mark.parametrize(
    ("word", "date"),
    [
        ("09:31:00", 0), ("93100000", 0), ("93100", 0), ("93100.0", 0), ("931", 0), ("93100.000", 0),
        ("2024-03-04 09:31:00", 20240304), ("2024/3/4 9:31", 20240304), ("2024年3月4日 9:31:00", 20240304),
        ("20240304 093100", 20240304), ("20240304T093100", 20240304), ("202403040931", 20240304),
        ("2024-03-04T01:31:00Z", 20240304), ("2024-03-03 20:31:00-05:00", 20240304),
        ("2024-03-04 09:31:00+08:06", 20240304), ("2024-03-04 09:31:00 +08:00", 20240304),
        ("2024-03-04 09:31:00.000+0800", 20240304),
        (str(OPENED), 20240304), (f"{OPENED}.0", 20240304), (str(OPENED * 10**3), 20240304),
        (str(OPENED * 10**6), 20240304), (str(OPENED * 10**9), 20240304),
    ],
)  # fmt: skip
def test_a_time_in_any_form_is_shanghais(word, date):
    dates, clock = days_and_milliseconds(pa.chunked_array([pa.array([None, word])]))
    assert (dates.tolist(), clock.tolist()) == ([0, date], [UNREADABLE, MINUTE])


@pytest.mark.parametrize(
    ("word", "date"),
    [("2024-02-28 20:00:00-08:00", 20240229), ("2024-03-01 00:30:00+10:00", 20240229), ("2023-12-31 17:00Z", 20240101)],
)
def test_a_zone_may_change_the_month(word, date):
    assert days_and_milliseconds(pa.chunked_array([pa.array([word])]))[0].tolist() == [date]


@pytest.mark.parametrize("word", ["3/4/2024 9:31", "2024-03-04 09:31 AM", "noon", "09:31:00+99:00", "1.7095E+12"])
def test_what_is_no_time_is_unreadable(word):
    dates, clock = days_and_milliseconds(pa.chunked_array([pa.array([word])]))
    assert (dates.tolist(), clock.tolist()) == ([0], [UNREADABLE])


def test_counts_of_a_table_that_lost_its_zone_stand_as_they_are():
    naive = pd.date_range("2024-03-04 09:31", periods=3, freq="min").as_unit("ms").astype("int64")
    for column in (pa.array(naive), pa.array(naive.astype(str)), pa.array(naive.astype("float64"))):
        dates, clock = days_and_milliseconds(pa.chunked_array([column]))
        assert clock.tolist() == [MINUTE, MINUTE + 60_000, MINUTE + 120_000]
        assert set(dates.tolist()) == {20240304}


def test_a_tick_on_another_shanghai_day_is_marked():
    column = pa.chunked_array([pa.array(["2024-03-03T16:31:00Z", "2024-03-04T16:31:00Z"])])
    assert milliseconds_of_day(column, dt.date(2024, 3, 4)).tolist() == [31 * 60_000, -2]
