"""Partition keys, and the mappings between them, as Dagster itself resolves them."""

import datetime as dt
import importlib.util
import os
import subprocess
import sys
from zoneinfo import ZoneInfo

import dagster as dg
import numpy as np
import pytest
from dagster._core.definitions.partitions.context import PartitionLoadingContext
from dagster._core.definitions.temporal_context import TemporalContext

from mg_assets.assets import TABLES
from mg_assets.lake.window import UpstreamWindow
from mg_assets.market.calendar import half_year_of, trading_days, week_of
from mg_assets.modelling.training_inputs import EVERY_HALF_YEAR
from mg_assets.orchestration import partitions
from mg_assets.orchestration.partitions import (
    CADENCES,
    DAILY,
    HALF_YEARLY,
    MONTHLY,
    WEEKLY,
    freshness,
    lake_key,
    mapping,
)
from mg_assets.settings import settings


def upstream(down: dg.PartitionsDefinition, up: dg.PartitionsDefinition, key: str, **offsets: int) -> list[str]:
    found = mapping(down, up, **offsets).get_upstream_mapped_partitions_result_for_partitions(
        down.subset_with_partition_keys([key]), down, up
    )
    assert found.required_but_nonexistent_subset.is_empty  # or Dagster refuses the run
    return sorted(found.partitions_subset.get_partition_keys())


def test_keys_are_all_periods_from_the_first_day_to_the_end():
    """Every session to the demonstration's last day, every week and month that has one, no period before or after."""
    sessions = trading_days("2013-01-04", "2023-12-29")
    assert DAILY.get_partition_keys() == sessions.astype(str).tolist()
    weeks = np.unique(sessions - (sessions.astype(int) + 3) % 7)
    assert "2013-02-11" not in weeks.astype(str)  # Spring Festival
    assert WEEKLY.get_partition_keys() == weeks.astype(str).tolist()
    assert WEEKLY.get_partition_keys()[-1] == "2023-12-25"
    assert MONTHLY.get_partition_keys() == [f"{y}-{m:02d}-01" for y in range(2013, 2024) for m in range(1, 13)]
    # from the setting first_model on, and that after the end too: its model is trained on the eve
    assert HALF_YEARLY.get_partition_keys() == ["2023-01-01", "2023-07-01", "2024-01-01"]


@pytest.fixture
def loaded(monkeypatch):
    """The module, loaded a second time with other settings."""

    def load(**changed: str):
        config = settings().model_copy(update=changed)
        monkeypatch.setattr("mg_assets.settings.settings", lambda: config)
        spec = importlib.util.spec_from_file_location("partitions_of_other_settings", partitions.__file__)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_closed_days_are_left_out_up_to_the_last():
    """The exchange was closed from Friday 2020-01-24, and for the whole week of the 27th."""
    monday = dt.date(2020, 1, 27)
    days, weeks = partitions._closed_weekdays(monday), partitions._closed_weeks(monday)
    assert days[-2:] == [dt.datetime(2020, 1, 24), dt.datetime(2020, 1, 27)]
    assert all(day.weekday() < 5 for day in days)
    assert weeks[-2:] == [dt.datetime(2019, 2, 4), dt.datetime(2020, 1, 27)]


def test_a_graph_that_follows_the_clock_ends_with_today(loaded):
    """Today's session, and the week, the month and the half-year that hold today."""
    now = loaded(end_date="today", first_day="2026-01-05", first_model="2026H1")
    today = dt.datetime.now(ZoneInfo("Asia/Shanghai")).date()
    days = trading_days("2026-01-05", today + dt.timedelta(days=6 - today.weekday()))
    monday = np.datetime64(today - dt.timedelta(days=today.weekday()))
    assert now.DAILY.get_partition_keys()[-1] == str(days[days <= np.datetime64(today)][-1])
    assert now.WEEKLY.get_partition_keys()[-1] == str(min(week_of(days[-1:])[0], monday))
    assert now.MONTHLY.get_partition_keys()[-1] == str(today.replace(day=1))
    assert now.HALF_YEARLY.get_partition_keys()[-1] == str(half_year_of(np.array([today]))[0])


def test_partitions_begin_with_the_setting_first_day(loaded):
    """A graph from 2002-09-10, as series 69 trains from."""
    early = loaded(first_day="2002-09-10", first_model="1999H1", end_date="2011-12-28")
    keys = early.DAILY.get_partition_keys()
    assert (keys[0], keys[-1]) == ("2002-09-10", "2011-12-28")  # a Wednesday
    assert keys == [str(d) for d in trading_days("2002-09-10", "2011-12-28")]
    ends = {d: (d.get_partition_keys()[0], d.get_partition_keys()[-1]) for d in early.CADENCES if d is not None}
    assert ends[early.WEEKLY] == ("2002-09-09", "2011-12-26")
    assert ends[early.MONTHLY] == ("2002-09-01", "2011-12-01")
    assert ends[early.HALF_YEARLY] == ("2002-07-01", "2012-01-01")
    before = mapping(early.HALF_YEARLY, early.DAILY, back=EVERY_HALF_YEAR, ahead=-1)
    found = before.get_upstream_mapped_partitions_result_for_partitions(
        early.HALF_YEARLY.subset_with_partition_keys(["2011-01-01"]), early.HALF_YEARLY, early.DAILY
    ).partitions_subset
    assert len(found) == len(trading_days("2002-09-10", "2010-12-31")) == 252 * (6 + 2)  # the report's first dates


@pytest.mark.parametrize("definition", [DAILY, WEEKLY, MONTHLY, HALF_YEARLY], ids=CADENCES.get)
def test_the_newest_partitions_end_where_the_lake_ends(definition):
    """What Dagster's pages plot: they list from the newest on, which passes over a definition's end."""
    now = TemporalContext(effective_dt=dt.datetime.now(dt.UTC), last_event_id=None)
    context = PartitionLoadingContext(temporal_context=now, dynamic_partitions_store=None)
    newest = definition.get_paginated_partition_keys(context, limit=120, ascending=False)
    assert newest.results == definition.get_partition_keys()[::-1][:120]


def test_only_a_lake_that_follows_the_clock_grows_stale():
    assert freshness(DAILY) is None  # the demonstration ends in 2023
    assert freshness(None) is None
    code = (
        "from mg_assets.orchestration.partitions import DAILY, WEEKLY, freshness\n"
        "for d in (DAILY, WEEKLY): print(freshness(d).fail_window.to_timedelta().days)"
    )
    env = os.environ | {"MG_END_DATE": "today"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    daily, weekly = map(int, done.stdout.split())
    assert daily == 12  # 2020-01-23 to 2020-02-03, and a day
    assert weekly == daily + 7


def test_windows_count_sessions():
    assert len(upstream(DAILY, DAILY, "2017-03-01", back=39)) == 40
    ahead = upstream(DAILY, DAILY, "2013-02-08", ahead=11)
    assert ahead[1] == "2013-02-18"  # the session after the Spring Festival
    assert len(ahead) == 12


def test_the_calendar_edges_truncate():
    assert upstream(DAILY, DAILY, "2013-01-07", back=39) == ["2013-01-04", "2013-01-07"]


def test_a_week_maps_to_its_sessions_and_a_month_to_its():
    assert upstream(WEEKLY, DAILY, "2013-01-07") == [f"2013-01-{d:02d}" for d in range(7, 12)]
    assert len(upstream(MONTHLY, DAILY, "2013-01-01")) == 20


def test_a_day_maps_to_the_model_of_its_half_year():
    first = HALF_YEARLY.get_partition_keys()[0]
    assert upstream(DAILY, HALF_YEARLY, f"{first[:4]}-03-01") == [first]
    assert upstream(DAILY, HALF_YEARLY, "2013-03-01") == []
    assert lake_key(first, HALF_YEARLY) == f"{first[:4]}H1"


def test_a_model_reads_only_what_is_before_its_half_year():
    key = HALF_YEARLY.get_partition_keys()[0]
    days = upstream(HALF_YEARLY, DAILY, key, back=40, ahead=-1)
    assert days[0] == "2013-01-04"
    assert days[-1] < key


@pytest.mark.parametrize("table", ["factor_scores", "labels", "intraday_factors", "weekly_bars", "monthly_bars"])
def test_staleness_looks_at_the_days_that_dagster_maps_to(table):
    """Our own window holds every upstream partition that Dagster's mapping names."""
    entry = TABLES[table]
    key = {WEEKLY: "2017-03-06", MONTHLY: "2017-03-01"}.get(entry.definition, "2017-03-08")
    for need in entry.needs:
        up = TABLES[need.table].definition
        every = np.array(up.get_partition_keys(), dtype=object)
        ours = set(TABLES.window(need, table, key, every))
        theirs = set(upstream(entry.definition, up, key, back=need.back, ahead=need.ahead))
        assert theirs <= ours, (table, need)


def test_needs_of_a_table_without_partitions_is_everything():
    available = np.array(["2017-03-08", "2017-03-09"], dtype=object)
    assert TABLES.window(UpstreamWindow("daily_bars"), "signal_study", "all", available).tolist() == available.tolist()
