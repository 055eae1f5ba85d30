"""The scheduled verification of a lake's files: whose turn it is, what its checks show, and which runs leave it out."""

import datetime as dt
import os
import shutil
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from mg_assets import automation
from mg_assets.definitions import defs
from mg_assets.lake.store import Lake
from mg_assets.orchestration.resources import LakeResource
from mg_assets.orchestration.verification import due, file_checks

DAYS = [str(d)[:10] for d in pd.bdate_range("2020-01-02", periods=60)]
NOW = dt.datetime(2024, 5, 6, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Lake:
    lake, rng = Lake(tmp_path_factory.mktemp("written") / "lake"), np.random.default_rng(0)
    for table, days in (("labels", DAYS), ("fused", DAYS[:9]), ("quarantine_trades", DAYS[:1])):
        for day in days:
            part = pd.DataFrame({"symbol": ["600000.SH"], "score": rng.standard_normal(1)})
            if table == "quarantine_trades":
                part = pd.DataFrame(
                    {
                        "table": ["trades"],
                        "symbol": "600000.SH",
                        "file": "x.csv",
                        "row": [1],
                        "reason": "bad",
                        "content": "{}",
                    }
                )
            os.utime(lake.write(table, day, part), (1e9, 1e9))
    return lake


@pytest.fixture
def lake(written, tmp_path) -> Lake:
    return Lake(shutil.copytree(written.root, tmp_path / "lake"))


def damage(lake: Lake, table: str, key: str) -> str:
    path = Path(lake.path(table, key))
    times, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 3] ^= 64
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return str(path)


def verified(lake: Lake, days: int = 1, **how):
    """A run of the checks; by table, the evaluation."""
    config = {"ops": {"verify_files": {"config": {"recent_days": 3, "rotation_days": days}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [file_checks(["labels", "fused"])], instance=instance, raise_on_error=False, run_config=config,
            resources={"lake": LakeResource(root=lake.root)}, selection=dg.AssetSelection.all_asset_checks(), **how,
        )  # fmt: skip
    return result, {e.asset_key.to_user_string(): e for e in result.get_asset_check_evaluations()}


def test_every_partition_has_its_turn_once(lake):
    nights = [due(lake, "labels", NOW + dt.timedelta(n), 3, 10) for n in range(10)]
    assert sorted(k for night in nights for k in night) == DAYS
    assert max(map(len, nights)) < 20
    assert due(lake, "labels", NOW + dt.timedelta(10), 3, 10) == nights[0]
    assert due(lake, "labels", NOW, 3, 1) == DAYS


def test_what_was_written_in_the_last_days_is_read_every_night(lake):
    os.utime(lake.path("labels", DAYS[50]), (NOW.timestamp() - 2 * 86_400,) * 2)
    os.utime(lake.path("labels", DAYS[51]), (NOW.timestamp() - 4 * 86_400,) * 2)
    for night in range(2, 4):  # neither has its turn then
        share = due(lake, "labels", NOW + dt.timedelta(night), 0, 60)
        assert not {DAYS[50], DAYS[51]} & set(share)
    found = [set(due(lake, "labels", NOW, recent, 10**6)) for recent in (1, 3, 5)]
    assert found == [set(), {DAYS[50]}, {DAYS[50], DAYS[51]}]


def test_a_sound_lake_passes(lake):
    result, found = verified(lake)
    assert result.success
    assert {t: e.passed for t, e in found.items()} == {"labels": True, "fused": True}
    metadata = {k: v.value for k, v in found["labels"].metadata.items()}
    assert metadata == {"partitions_read": 60, "partitions": 60, "files": 60, "rows": 60, "without_digest": 0}


def test_a_damaged_file_is_named_on_its_table_and_fails_the_run(lake):
    path = damage(lake, "labels", DAYS[4])
    result, found = verified(lake)
    assert not result.success
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert path in failure.step_failure_data.user_failure_data.description
    assert {t: e.passed for t, e in found.items()} == {"labels": False, "fused": True}
    assert path in found["labels"].metadata["damaged"].value
    assert found["labels"].severity == dg.AssetCheckSeverity.ERROR
    assert lake.info("labels")[DAYS[4]].damaged  # the next mg run rebuilds it


def test_a_table_that_is_no_asset_is_read_too(lake):
    path = damage(lake, "quarantine_trades", DAYS[0])
    result, found = verified(lake)
    assert not result.success
    assert all(e.passed for e in found.values())
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert path in failure.step_failure_data.user_failure_data.description


def test_a_run_of_partitions_reads_back_the_newest(lake):
    damage(lake, "labels", DAYS[0])
    ends = {"dagster/asset_partition_range_start": DAYS[0], "dagster/asset_partition_range_end": DAYS[8]}
    days = dg.StaticPartitionsDefinition(DAYS)

    @dg.asset(name="labels", partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run())
    def labels() -> None: ...

    for tags, passed in ((ends, True), (ends | {"dagster/asset_partition_range_end": DAYS[1]}, False)):
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [labels, file_checks(["labels"])], instance=instance, tags=tags, raise_on_error=False,
                resources={"lake": LakeResource(root=lake.root)},
            )  # fmt: skip
        (found,) = result.get_asset_check_evaluations()
        assert found.passed == passed
        assert found.metadata["partitions_read"].value == (5 if passed else 2)
        assert result.success


def test_the_job_runs_over_the_definitions(lake):
    path = damage(lake, "fused", DAYS[3])
    job = defs.resolve_job_def("verify_lake")
    config = {"ops": {"verify_files": {"config": {"rotation_days": 1}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance, run_config=config, raise_on_error=False,
            resources={"lake": LakeResource(root=lake.root)},
        )  # fmt: skip
    found = {e.asset_key.to_user_string(): e for e in result.get_asset_check_evaluations()}
    assert not result.success
    assert len(found) > 40
    assert [t for t, e in found.items() if not e.passed] == ["fused"]
    assert path in found["fused"].metadata["damaged"].value


def test_runs_that_make_partitions_do_not_verify_the_lake():
    jobs = defs.get_repository_def().get_all_jobs()
    steps = {job.name: {node.name for node in job.nodes} for job in jobs}
    assert {name for name, nodes in steps.items() if "verify_files" in nodes} == {"verify_lake", "__ASSET_JOB"}
    assert "trades_quality" in steps["daily_after_close"]


def test_the_night_is_requested_and_off_until_switched_on():
    schedule = defs.get_repository_def().get_schedule_def("verify_at_night")
    context = dg.build_schedule_context(scheduled_execution_time=NOW, repository_def=defs.get_repository_def())
    assert [r.run_key for r in schedule.evaluate_tick(context).run_requests] == ["2024-05-06"]
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert schedule.job_name == automation.verify_job.name
