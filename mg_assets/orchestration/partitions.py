"""Partitions of the graph, and the mappings between them.

- daily: trading days from the setting ``first_day`` on, so that offsets count sessions;
- weekly: the Monday of each week with a session; monthly: the first of the month;
- half-yearly: the first day of the half-year that a model predicts.

Every daily asset shares ONE definition: a run may then hold them all. Only Dagster's own mapping
classes are used, since others do not reach the web server and the daemon.
"""

import datetime as dt

import dagster as dg
import numpy as np
import pandas as pd

from mg_assets.market.calendar import half_year_name, half_year_start, trading_days, week_of
from mg_assets.orchestration.time_windows import speed_up
from mg_assets.settings import Settings, settings

speed_up()

TIMEZONE = "Asia/Shanghai"
FIRST_DAY = dt.date.fromisoformat(settings().first_day)
FIRST_WEEK: dt.date = week_of(np.array([FIRST_DAY], "datetime64[D]"))[0].item()


def last_day(config: Settings) -> dt.date | None:
    """Last trading-day partition; None where it moves with the clock (``end_date: today``)."""
    if config.end_date == "today":
        return None
    if config.end_date:
        return dt.date.fromisoformat(config.end_date)
    from mg_assets.sources import build_source

    days = build_source(config.source.kind, config.source.options).days()
    return min(dt.date.fromisoformat(str(days[-1])), dt.date.today())


def _midnights(days: np.ndarray) -> list[dt.datetime]:
    return [dt.datetime.combine(d, dt.time()) for d in days.tolist()]


def _closed_weekdays(until: dt.date) -> list[dt.datetime]:
    every = np.arange(np.datetime64(FIRST_DAY), np.datetime64(until) + 1)
    weekday = (every.astype("int64") + 3) % 7 < 5
    return _midnights(every[weekday & ~np.isin(every, trading_days(FIRST_DAY, until))])


def _closed_weeks(until: dt.date) -> list[dt.datetime]:
    mondays = np.arange(np.datetime64(FIRST_WEEK), np.datetime64(until) + 1, 7)
    opened = np.unique((lambda d: d - (d.astype("int64") + 3) % 7)(trading_days(FIRST_DAY, until)))
    return _midnights(mondays[~np.isin(mondays, opened)])


def _after(end: dt.date | None, every: str) -> list[dt.datetime]:
    """Starts of the windows from ``end`` to a year from now, to be excluded."""
    # Dagster's pages that list partitions from the newest on pass over the end of a definition: they would show, and
    # plot, the windows between a lake's end and today
    if end is None:
        return []
    return pd.date_range(end, dt.date.today() + dt.timedelta(days=366), freq=every).to_pydatetime().tolist()


def _half_year_end(day: dt.date) -> str:
    """First day after the half-year that follows ``day``'s: its model is trained on the eve."""
    start = half_year_start(half_year_name(day))
    return dt.date(start.year + 1, start.month, 1).isoformat()


END = last_day(settings())
_known = END or dt.date.fromisoformat(str(trading_days()[-1]))
_end_of_days = END + dt.timedelta(days=1) if END else None
_end_of_weeks = END + dt.timedelta(days=7 - END.weekday()) if END else None
_end_of_half_years = _half_year_end(END) if END else None
_next_month = (_known.replace(day=1) + dt.timedelta(days=32)).replace(day=1)

DAILY = dg.DailyPartitionsDefinition(
    start_date=FIRST_DAY.isoformat(),
    end_date=_end_of_days.isoformat() if _end_of_days else None,
    end_offset=1,  # the day itself is a key from its midnight on: it is requested at its close
    timezone=TIMEZONE,
    exclusions=["0 0 * * 6", "0 0 * * 0", *_closed_weekdays(_known), *_after(_end_of_days, "B")],
)
WEEKLY = dg.WeeklyPartitionsDefinition(
    start_date=FIRST_WEEK.isoformat(),
    # the current week and month are keys: their bar to date is of use
    end_date=_end_of_weeks.isoformat() if _end_of_weeks else None,
    end_offset=1,
    day_offset=1,
    timezone=TIMEZONE,
    exclusions=[*_closed_weeks(_known), *_after(_end_of_weeks, "W-MON")] or None,
)
MONTHLY = dg.MonthlyPartitionsDefinition(
    start_date=FIRST_DAY.replace(day=1).isoformat(),
    end_date=_next_month.isoformat() if END else None,
    end_offset=1,
    timezone=TIMEZONE,
    exclusions=_after(_next_month if END else None, "MS") or None,
)
HALF_YEARLY = dg.TimeWindowPartitionsDefinition(
    start=max(half_year_start(settings().first_model), half_year_start(half_year_name(FIRST_DAY))).isoformat(),
    end=_end_of_half_years,
    end_offset=1,
    cron_schedule="0 0 1 1,7 *",
    fmt="%Y-%m-%d",
    timezone=TIMEZONE,
    exclusions=_after(dt.date.fromisoformat(_end_of_half_years), "6MS") or None if _end_of_half_years else None,
)


CADENCES: dict[dg.PartitionsDefinition | None, str] = {
    DAILY: "daily",
    WEEKLY: "weekly",
    MONTHLY: "monthly",
    HALF_YEARLY: "half-yearly",
    None: "whole",
}
"""How often a table gets a partition: the tag ``cadence`` of its asset."""


def freshness(definition: dg.PartitionsDefinition | None) -> dg.FreshnessPolicy | None:
    """Within which time a table of a lake that follows the clock gets its next partition; None for any other."""
    # the longest break between two sessions, a day, and a period's length: closed days never make a table late
    length: dict[dg.PartitionsDefinition, int] = {DAILY: 0, WEEKLY: 7, MONTHLY: 31, HALF_YEARLY: 184}
    if END is not None or definition is None:
        return None
    longest = int(np.diff(trading_days(FIRST_DAY)).max().astype(int)) + 1
    return dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(days=longest + length[definition]))


def lake_key(partition_key: str, definition: dg.PartitionsDefinition) -> str:
    """The lake's name of a partition: ``2017H1`` for a half-year, else the key itself."""
    return half_year_name(partition_key) if definition == HALF_YEARLY else partition_key


def mapping(
    definition: dg.PartitionsDefinition, upstream: dg.PartitionsDefinition, back: int = 0, ahead: int = 0
) -> dg.TimeWindowPartitionMapping:
    """Mapping of a partition to the upstream partitions in a window around it.

    Edges of the calendar truncate; the computation itself checks that its window is long enough.

    Parameters
    ----------
    definition, upstream : PartitionsDefinition
        Of the downstream and the upstream table.
    back, ahead : int
        Partitions of ``definition``: sessions for daily assets.

    Returns
    -------
    TimeWindowPartitionMapping
    """
    if definition == upstream and not back and not ahead:
        return dg.TimeWindowPartitionMapping()
    return dg.TimeWindowPartitionMapping(
        start_offset=-back, end_offset=ahead, allow_nonexistent_upstream_partitions=True
    )
