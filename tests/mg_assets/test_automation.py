"""Schedules follow the exchange's calendar; the retrain sensor asks once, and again after a failure."""

import datetime as dt
import os
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from mg_assets import automation
from mg_assets.assets import half_yearly_tables
from mg_assets.definitions import defs
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import half_year_name, trading_days
from mg_assets.orchestration.partitions import HALF_YEARLY
from mg_assets.orchestration.resources import LakeResource

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(day: str, hour: int = 17) -> dg.ScheduleEvaluationContext:
    moment = dt.datetime.fromisoformat(day).replace(hour=hour, minute=30, tzinfo=SHANGHAI)
    return dg.build_schedule_context(scheduled_execution_time=moment, repository_def=defs.get_repository_def())


def requests(schedule: dg.ScheduleDefinition, day: str) -> list:
    data = schedule.evaluate_tick(at(day))
    return list(data.run_requests) or data.skip_message


def test_the_day_that_closed_is_requested():
    (request,) = requests(automation.after_close, "2023-02-03")
    assert request.partition_key == "2023-02-03"
    assert request.run_key == "2023-02-03"


def test_closed_days_are_skipped_with_a_reason():
    assert "not a trading day" in requests(automation.after_close, "2023-01-23")


def test_days_outside_the_partitions_are_skipped_with_the_remedy():
    assert "end_date" in requests(automation.after_close, "2024-01-03")


def test_labels_follow_when_their_exit_is_known():
    keys = [r.partition_key for r in requests(automation.labels_after_close, "2023-03-31")]
    sessions = [str(d) for d in trading_days("2023-01-01", "2023-03-31")]
    assert keys == [sessions[-1 - 6], sessions[-1 - 11], sessions[-1 - 21]]


def test_the_week_is_requested_after_its_last_session():
    assert "not the last session" in requests(automation.after_week, "2023-02-02")
    (request,) = requests(automation.after_week, "2023-02-03")
    assert request.partition_key == "2023-01-30"
    (short,) = requests(automation.after_week, "2023-01-20")  # the Spring Festival follows
    assert short.partition_key == "2023-01-16"


def test_the_month_is_requested_after_its_last_session():
    assert "not the last session" in requests(automation.after_month, "2023-02-27")
    (request,) = requests(automation.after_month, "2023-02-28")
    assert request.partition_key == "2023-02-01"


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(tmp_path / "lake")


def half_year_before(key: str) -> list[str]:
    start = dt.date.fromisoformat(key)
    before = dt.date(start.year - (start.month == 1), 7 if start.month == 1 else 1, 1)
    return [str(d) for d in trading_days(before, start - dt.timedelta(days=1))]


def fill(lake: Lake, days: list[str]) -> None:
    for day in days:
        for table in automation.daily_inputs(half_yearly_tables()):
            path = lake.path(table, day)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "w").close()  # the sensor looks at keys alone


def tick(lake: Lake, instance: dg.DagsterInstance) -> tuple[list, str | None]:
    resources = {"lake": LakeResource(root=lake.root)}
    with dg.build_sensor_context(instance=instance, resources=resources, definitions=defs) as context:
        data = automation.retrain.evaluate_tick(context)
    return list(data.run_requests), data.skip_message


def test_a_retrain_waits_for_what_its_models_read():
    assert automation.daily_inputs(["lf_multitask_model"]) == ["daily_bars"]  # a deployment without ticks
    assert automation.daily_inputs(["hf_gru_model", "lf_multitask_model"]) == ["daily_bars", "factor_inputs"]


def test_a_retrain_waits_for_the_last_day_of_the_half_year(lake):
    key = HALF_YEARLY.get_partition_keys()[0]
    days = half_year_before(key)
    with dg.DagsterInstance.ephemeral() as instance:
        fill(lake, days[:-1])
        asked, reason = tick(lake, instance)
        assert asked == []
        assert days[-1] in reason
        fill(lake, days[-1:])
        (request,), _ = tick(lake, instance)
        assert request.partition_key == key
        # asked again before the run has ended, the run key is the same: Dagster launches it once
        (again,), _ = tick(lake, instance)
        assert again.run_key == request.run_key


def test_a_failed_retrain_is_retried_and_a_finished_one_never(lake):
    key = HALF_YEARLY.get_partition_keys()[0]
    fill(lake, half_year_before(key))
    with dg.DagsterInstance.ephemeral() as instance:
        (first,), _ = tick(lake, instance)
        for _ in range(automation.MAX_RETRAIN_ATTEMPTS):
            instance.add_run(
                dg.DagsterRun(
                    job_name=automation.retrain_job.name,
                    status=dg.DagsterRunStatus.FAILURE,
                    tags={"dagster/partition": key},
                )
            )
            asked, reason = tick(lake, instance)
            if asked:
                assert asked[0].run_key != first.run_key
        assert asked == []
        assert "failed 3 times" in reason
    with dg.DagsterInstance.ephemeral() as instance:
        for table in half_yearly_tables():
            lake.write(table, half_year_name(key), pd.DataFrame({"seed": [0]}))
        asked, _ = tick(lake, instance)
        assert asked == []
