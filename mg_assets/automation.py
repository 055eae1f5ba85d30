"""Jobs, schedules and sensors: after each close, each week and each half-year, at night for the files, and on failure.

All run on the exchange's clock (Asia/Shanghai), and all but the verification of files only after trading days. They are
off until switched on in the UI, since a lake should be backfilled first; a cluster's sensor of lost runs alone is on.
"""

import datetime as dt
import os
from collections.abc import Callable, Iterable
from typing import Any

import dagster as dg
import numpy as np

from mg_assets.assets import TABLES, daily_tables, half_yearly_tables, monthly_tables, weekly_tables, whole_tables
from mg_assets.assets.labels import HORIZONS
from mg_assets.assets.what_if import what_if_job
from mg_assets.market.calendar import half_year_name, half_year_start, is_trading_day, shift, trading_days, week_of
from mg_assets.orchestration.digest import HOUR, look
from mg_assets.orchestration.lost_starts import end_lost_starts
from mg_assets.orchestration.partitions import DAILY, HALF_YEARLY, MONTHLY, TIMEZONE, WEEKLY
from mg_assets.orchestration.resources import LakeResource
from mg_assets.orchestration.training_runs import gpu_tags
from mg_assets.orchestration.verification import file_check_keys
from mg_assets.orchestration.webhook import post
from mg_assets.settings import settings

MAX_RETRAIN_ATTEMPTS = 3

FILES = dg.AssetSelection.checks(*file_check_keys(list(TABLES)))


def _tables(names: Iterable[str]) -> dg.AssetSelection:
    """Tables and the checks of what a run makes of them; their files are verified by a job of its own."""
    return dg.AssetSelection.assets(*names) - FILES


daily_job = dg.define_asset_job(
    "daily_after_close",
    selection=_tables(t for t in daily_tables() if t != "labels"),
    description="One trading day from raw tables to predictions and signals",
)
labels_job = dg.define_asset_job(
    "labels_when_known", selection=_tables(["labels"]), description="Labels whose exit price became available"
)
weekly_job = dg.define_asset_job(
    "weekly_after_close",
    selection=_tables(weekly_tables()),
    description="The week's bars, portfolio weights and report",
)
monthly_job = dg.define_asset_job(
    "monthly_after_close", selection=_tables(monthly_tables()), description="The month's bars"
)
retrain_job = dg.define_asset_job(
    "half_yearly_retrain",
    selection=_tables(half_yearly_tables()),
    description="Train every model for the half-year",
    tags=gpu_tags(),
)
study_job = dg.define_asset_job(
    "evaluation_and_backtests",
    selection=_tables(whole_tables()),
    description="Evaluation of all factors and signals; backtests",
)
verify_job = dg.define_asset_job(
    "verify_lake",
    selection=FILES,
    description="Read what was written in the last days, and a share of everything else, and name damaged files",
)
_TRAINING = bool(half_yearly_tables())  # a selection of no asset cannot be a job
JOBS: list[Any] = [
    *(daily_job, labels_job, weekly_job, monthly_job),
    *([retrain_job] if _TRAINING else []),
    *(study_job, verify_job, what_if_job),
]


def job_of(table: str) -> str:
    """Name of the job that builds a table."""
    if table == "labels":
        return labels_job.name
    jobs: dict[dg.PartitionsDefinition | None, Any]
    jobs = {DAILY: daily_job, WEEKLY: weekly_job, MONTHLY: monthly_job, HALF_YEARLY: retrain_job, None: study_job}
    return jobs[TABLES[table].definition].name


Requests = Callable[[dt.date], list[dg.RunRequest] | str]
"""The run requests of a trading day, or why there are none."""


def _after_sessions(job: Any, cron: str, description: str) -> Callable[[Requests], dg.ScheduleDefinition]:
    """Turn a function of a trading day into a schedule."""

    def decorate(requests: Requests) -> dg.ScheduleDefinition:
        @dg.schedule(
            name=requests.__name__,
            job=job,
            cron_schedule=cron,
            execution_timezone=TIMEZONE,
            description=description,
        )
        def schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
            day = context.scheduled_execution_time.date()
            found = _not_a_partition(day) or requests(day)
            return dg.SkipReason(found) if isinstance(found, str) else found

        return schedule

    return decorate


@_after_sessions(daily_job, "30 17 * * 1-5", "17:30 Shanghai on trading days: the day from raw tables to predictions")
def after_close(day: dt.date) -> list[dg.RunRequest]:
    """Request the day that has just closed."""
    return [dg.RunRequest(run_key=day.isoformat(), partition_key=day.isoformat())]


@_after_sessions(labels_job, "0 19 * * 1-5", "19:00 Shanghai on trading days: the labels whose exit price is today's")
def labels_after_close(day: dt.date) -> list[dg.RunRequest]:
    """Request the days whose 5-, 10- or 20-day return is complete since today's close."""
    dated = [(h, str(shift(day, -(h + 1)))) for h in HORIZONS]
    return [dg.RunRequest(run_key=f"{day}/{h}", partition_key=d) for h, d in dated if DAILY.has_partition_key(d)]


@_after_sessions(
    weekly_job,
    "0 20 * * 1-5",
    "20:00 Shanghai after the week's last session: bars, portfolio weights and report",
)
def after_week(day: dt.date) -> list[dg.RunRequest] | str:
    """Request the week that has just ended."""
    week, next_week = (str(w) for w in week_of(np.array([day, shift(day, 1)])))
    if next_week == week:
        return f"{day} is not the last session of its week"
    return [dg.RunRequest(run_key=week, partition_key=week)]


@_after_sessions(monthly_job, "30 19 * * 1-5", "19:30 Shanghai after the month's last session: the month's bars")
def after_month(day: dt.date) -> list[dg.RunRequest] | str:
    """Request the month that has just ended."""
    if str(shift(day, 1))[:7] == str(day)[:7]:
        return f"{day} is not the last session of its month"
    return [dg.RunRequest(run_key=str(day)[:7], partition_key=f"{day:%Y-%m}-01")]


@dg.schedule(
    job=verify_job,
    cron_schedule="0 1 * * *",
    execution_timezone=TIMEZONE,
    description="01:00 Shanghai every night: the files of the last days and a sixtieth of the others",
)
def verify_at_night(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Request the night's share."""
    return dg.RunRequest(run_key=context.scheduled_execution_time.date().isoformat())


def _not_a_partition(day: dt.date) -> str | None:
    if not is_trading_day(day):
        return f"{day} is not a trading day of the Shanghai exchange"
    if not DAILY.has_partition_key(day.isoformat()):
        return f"{day} is outside the daily partitions; set end_date: today to follow the clock"
    return None


def missing_data(lake_keys: set[str], half_year: str) -> list[str]:
    """Trading days of the half-year before ``half_year`` that ``lake_keys`` lacks."""
    start = half_year_start(half_year)
    before = dt.date(start.year - (start.month == 1), 7 if start.month == 1 else 1, 1)
    days = trading_days(before, start - dt.timedelta(days=1)).astype(str)
    return [d for d in days if d not in lake_keys]


def daily_inputs(trained: list[str]) -> list[str]:
    """Daily tables that the trainings read, except the labels, whose last days are in the embargo."""
    read = {n.table for t in trained for n in TABLES[t].needs}
    return sorted(t for t in read - {"labels"} if TABLES[t].definition == DAILY)


@dg.sensor(
    job=retrain_job,
    minimum_interval_seconds=600,
    description="Requests a half-year's training once the data before it is complete; retries a failed one three times",
)
def retrain(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult | dg.SkipReason:
    """Request each half-year whose preceding data is complete and whose models are absent, exactly once."""
    store = lake.open()
    have = set.intersection(*(set(store.keys(t)) for t in daily_inputs(half_yearly_tables())))
    waiting, requested = [], []
    for key in HALF_YEARLY.get_partition_keys():
        name = half_year_name(key)
        if all(store.has(table, name) for table in half_yearly_tables()):
            continue
        lacking = missing_data(have, name)
        if lacking:
            waiting.append(f"{name} waits for {len(lacking)} days, first {lacking[0]}")
            continue
        failed = len(
            context.instance.get_runs(
                dg.RunsFilter(
                    job_name=retrain_job.name,
                    tags={"dagster/partition": key},
                    statuses=[dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
                )
            )
        )
        if failed >= MAX_RETRAIN_ATTEMPTS:
            waiting.append(f"{name} failed {failed} times; fix it and launch it by hand")
            continue
        requested.append(dg.RunRequest(run_key=f"{name}/{failed}", partition_key=key))
    if requested:
        return dg.SensorResult(run_requests=requested)
    return dg.SkipReason("; ".join(waiting[:3]) or "every half-year has its models")


@dg.sensor(
    minimum_interval_seconds=60,
    description="Writes each failed run to the log; posts a day's first failure to the webhook (MG_WEBHOOK) at once, "
    f"and at {HOUR}:00 Shanghai the day's failures, what its checks found and late tables as one message",
)
def failures(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Report failed runs to the log, and to the webhook without flooding it."""
    url = settings().webhook
    now = dt.datetime.now(dt.UTC)
    cursor = look(
        context.instance,
        list(TABLES),
        context.cursor,
        now,
        lambda notice: post(url, notice) if url else "",
        context.log.error,
    )
    context.update_cursor(cursor)
    return dg.SkipReason("failed runs are in the log" + ("" if url else "; no webhook is set"))


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Fails runs whose worker died before they began, so that they are begun again and hold no place",
)
def lost_starts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """End runs that never began."""
    ended = end_lost_starts(context.instance)
    return dg.SkipReason(f"failed: {', '.join(ended)}" if ended else "no worker died before its run began")


SCHEDULES = [after_close, labels_after_close, after_week, after_month, verify_at_night]
_DISTRIBUTED = {"MG_RAY", "KUBERNETES_SERVICE_HOST"} & set(os.environ)
SENSORS = [*([retrain] if _TRAINING else []), failures, *([lost_starts] if _DISTRIBUTED else [])]
