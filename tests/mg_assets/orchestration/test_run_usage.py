"""What runs used is in their tags, and mg runs adds it up."""

import math
import os
import re

import dagster as dg
import numpy as np
import pytest

from mg_assets.cli import runs
from mg_assets.cli.main import main
from mg_assets.lake.store import Lake
from mg_assets.orchestration.orphaned_runs import process_tag
from mg_assets.orchestration.resources import LakeResource
from mg_assets.orchestration.run_usage import (
    CPU,
    MEMORY,
    PARTITIONS,
    READ,
    RETRAIN,
    TAGS,
    WRITTEN,
    RunRow,
    Usage,
    metered,
    partitions_of,
    run_rows,
)

MIB = 1 << 20


@dg.asset
def busy(lake: LakeResource) -> None:
    held = np.ones(64 * MIB, np.uint8)
    for _ in range(40):
        held.sum()
    path = os.path.join(lake.open().root, "file")
    with open(path, "wb") as out:
        out.write(held[: 8 * MIB].tobytes())
    with open(path, "rb") as file:
        file.read(4 * MIB)


@dg.asset(deps=[busy])
def broken(lake: LakeResource) -> None:
    raise RuntimeError("broken")


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "lake").mkdir()
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


def test_each_run_is_tagged_with_what_it_used(home):
    resources = {"lake": LakeResource(root=str(home / "lake"))}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for assets, good in (([busy], True), ([busy, broken], False)):
            done = dg.materialize(assets, instance=instance, resources=resources, raise_on_error=False)
            assert done.success == good
            tags = {k: float(v.lstrip("<")) for k, v in instance.get_run_by_id(done.run_id).tags.items() if k in TAGS}
            assert set(tags) == set(TAGS)
            assert 0 < tags[CPU] < 60
            assert tags[MEMORY] > 64
            assert 8 <= tags[WRITTEN] < 60
            assert 4 <= tags[READ] < 200
    assert [row.status for row in run_rows(home)] == ["failure", "success"]


RANGE = {"dagster/asset_partition_range_start": "2023-01-01", "dagster/asset_partition_range_end": "2023-07-01"}


@pytest.mark.parametrize(
    ("job", "tables", "tags", "named"),
    [
        ("daily_after_close", None, RANGE, "2023-01-01..2023-07-01"),
        (RETRAIN, None, RANGE, "2023H1..2023H2"),
        (RETRAIN, None, {"dagster/partition": "2023-07-01"}, "2023H2"),
        ("__ASSET_JOB", ["hf_gru_model"], {"dagster/partition": "2023-01-01"}, "2023H1"),
        ("__ASSET_JOB", ["monthly_bars"], {"dagster/partition": "2023-01-01"}, "2023-01-01"),
        ("evaluation_and_backtests", None, {}, ""),
    ],
)
def test_partitions_are_named_as_a_person_names_them(job, tables, tags, named):
    selection = {dg.AssetKey(table) for table in tables} if tables else None
    assert partitions_of(dg.DagsterRun(job_name=job, tags=tags, asset_selection=selection)) == named


def test_a_run_is_tagged_with_its_partitions(home):
    with dg.DagsterInstance.from_config(str(home)) as instance:
        run = instance.add_run(dg.DagsterRun(job_name=RETRAIN, tags=RANGE))
        with metered(instance, run):
            assert instance.get_run_by_id(run.run_id).tags[PARTITIONS] == "2023H1..2023H2"


def test_the_tag_of_a_process_is_not_shown(home):
    from dagster._core.storage.tags import TagType, get_tag_type

    with dg.DagsterInstance.from_config(str(home)) as instance:
        run = dg.materialize([dg.asset(name="a")(lambda: None)], instance=instance, tags=process_tag())
        (tag,) = process_tag().items()
        assert tag in instance.get_run_by_id(run.run_id).tags.items()
    assert get_tag_type(tag[0]) == TagType.HIDDEN


def test_a_bound_is_given_where_an_earlier_run_needed_more():
    before = Usage(1.0, 100 * MIB, 0, 0)
    assert Usage(3.5, 300 * MIB, 2 * MIB, MIB).tags_since(before) == {
        CPU: "2.5", MEMORY: "300", READ: "2.0", WRITTEN: "1.0",
    }  # fmt: skip
    assert Usage(3.5, 100 * MIB, None, None).tags_since(before) == {CPU: "2.5", MEMORY: "<100"}


def test_a_sensor_that_opens_the_lake_tags_nothing(tmp_path):
    with dg.build_resources({"lake": LakeResource(root=str(tmp_path))}) as found:
        assert found.lake.open().root == Lake(tmp_path).root


def row(job: str, seconds: float, cpu: float, memory: float, status: str = "success") -> RunRow:
    return RunRow(job, status, "2023-02-03", ("trades",), 0.0, seconds, cpu, memory, 10.0, math.nan)


def test_totals_are_sums_by_job_and_of_all():
    rows = [row("a", 10, 4, 100), row("b", 7300, math.nan, math.nan, "failure"), row("a", 20, 5.5, 2048)]
    assert runs.totals(rows) == [
        ["b", "1", "1", "2.0 h", "-", "-", "10 MiB", "-"],
        ["a", "2", "0", "30.0 s", "9.5 s", "2.0 GiB", "20 MiB", "-"],
        ["all", "3", "1", "2.0 h", "9.5 s", "2.0 GiB", "30 MiB", "-"],
    ]


def test_mg_runs_prints_totals_and_the_newest_runs(home, capsys):
    assert main(["runs"]) == 0
    assert "no run yet" in capsys.readouterr().out
    with dg.DagsterInstance.from_config(str(home)) as instance:
        tags = {CPU: "12.5", MEMORY: "<2048", READ: "100.0", WRITTEN: "7.0"}
        for day in ("2023-02-03", "2023-02-06"):
            dated = {**tags, "dagster/partition": day}
            instance.add_run(
                dg.DagsterRun(job_name="daily_after_close", tags=dated, status=dg.DagsterRunStatus.SUCCESS)
            )
    assert main(["runs", "--last", "1"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^daily_after_close +2 +0 +0\.0 s +25\.0 s +2\.0 GiB +200 MiB +14 MiB$", out, re.MULTILINE)
    assert re.search(r"daily_after_close +2023-02-06 +success", out)
    assert "2023-02-03" not in out
