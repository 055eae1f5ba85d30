"""Suites as asset checks: single partitions, ranges, no partition; who is stopped and who is warned."""

import datetime as dt

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from mg_assets.lake.store import Lake
from mg_assets.orchestration.checks import NEWEST, build_checks, checked_tables
from mg_assets.orchestration.failures import unreadable
from mg_assets.orchestration.metadata import markdown
from mg_assets.orchestration.resources import LakeResource
from mg_assets.quality import SUITES, suite_for

DAYS = [f"2020-01-{d:02d}" for d in (2, 3, 6, 7, 8, 9, 10, 13)]
DAILY = dg.DailyPartitionsDefinition("2020-01-02", end_date="2020-01-14", exclusions=["0 0 * * 6", "0 0 * * 0"])
SYMBOLS = [f"{i:06d}.SZ" for i in range(1, 31)]
RANGE = {"dagster/asset_partition_range_start": DAYS[0], "dagster/asset_partition_range_end": DAYS[6]}


def labels(key: str, rows: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(int(key[-2:]))
    returns = {f"ret_{h}": rng.normal(0, 0.03, rows) for h in (5, 10, 20)}
    return pd.DataFrame({"symbol": SYMBOLS[:rows], **returns})


def graph(broken: dict[str, pd.DataFrame], seen: list[str]):
    """An asset that writes labels, its checks, and an asset downstream of it."""

    @dg.asset(name="labels", partitions_def=DAILY, backfill_policy=dg.BackfillPolicy.single_run())
    def table(context: dg.AssetExecutionContext, lake: LakeResource) -> None:
        for key in context.partition_keys:
            lake.open().write("labels", key, broken.get(key, labels(key)))

    @dg.asset(partitions_def=DAILY, deps=["labels"], backfill_policy=dg.BackfillPolicy.single_run())
    def after(context: dg.AssetExecutionContext) -> None:
        seen.extend(context.partition_keys)

    return [table, after, *build_checks(["labels"])]


def run(root, broken, **how):
    seen: list[str] = []
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            graph(broken, seen), instance=instance, resources={"lake": LakeResource(root=str(root))},
            raise_on_error=False, **how,
        )  # fmt: skip
    return result, {e.check_name: e for e in result.get_asset_check_evaluations()}, seen


def infinite(key: str) -> pd.DataFrame:
    return labels(key).assign(ret_5=np.inf)


def test_a_sound_partition_passes_and_the_downstream_runs(tmp_path):
    result, found, seen = run(tmp_path, {}, partition_key=DAYS[2])
    assert result.success
    assert seen == [DAYS[2]]
    assert set(found) == {c.name for c in SUITES["labels"].checks}
    assert all(e.passed for e in found.values())
    assert found["schema"].metadata["partitions"].value == 1
    assert "bad" not in found["schema"].metadata


def test_a_blocking_failure_stops_the_downstream(tmp_path):
    result, found, seen = run(tmp_path, {DAYS[2]: infinite(DAYS[2])}, partition_key=DAYS[2])
    assert not result.success
    assert seen == []
    assert not found["ranges"].passed
    assert found["ranges"].blocking
    assert found["ranges"].severity == dg.AssetCheckSeverity.ERROR
    assert found["schema"].passed


def test_a_warning_stops_nothing(tmp_path):
    run(tmp_path, {}, tags=RANGE)
    result, found, seen = run(tmp_path, {DAYS[7]: labels(DAYS[7], rows=6)}, partition_key=DAYS[7])
    assert result.success
    assert seen == [DAYS[7]]
    assert not found["size_band"].passed
    assert found["size_band"].severity == dg.AssetCheckSeverity.WARN
    assert "median_of_past" in found["size_band"].metadata["bad"].records[0].data


def test_a_range_is_checked_as_one_and_names_its_bad_partitions(tmp_path):
    broken = {DAYS[1]: infinite(DAYS[1]), DAYS[4]: infinite(DAYS[4])}
    result, found, seen = run(tmp_path, broken, tags=RANGE)
    assert not result.success
    assert seen == []
    shown = found["ranges"].metadata
    assert shown["partitions"].value == 7
    assert shown["bad_partitions"].value == f"{DAYS[1]}, {DAYS[4]}"
    table = shown["bad"]
    assert [c.name for c in table.schema.columns][:5] == ["partition", "measure", "observed", "row", "symbol"]
    assert len(table.records) == 10  # five examples of each partition
    assert found["symbols"].passed
    assert len(found) == len(SUITES["labels"].checks)


def test_a_sound_range_passes(tmp_path):
    result, found, seen = run(tmp_path, {}, tags=RANGE)
    assert result.success
    assert seen == DAYS[:7]
    assert all(e.passed for e in found.values())
    assert found["schema"].metadata["partitions"].value == 7


def test_an_unpartitioned_run_checks_the_newest(tmp_path):
    lake = Lake(tmp_path)
    days = [str(dt.date(2020, 2, 1) + dt.timedelta(d)) for d in range(NEWEST + 6)]
    for day in days:
        lake.write("labels", day, labels(day).assign(ret_5=np.inf if day == days[0] else 0.0))
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            build_checks(["labels"]), instance=instance, resources={"lake": LakeResource(root=str(tmp_path))},
            selection=dg.AssetSelection.all_asset_checks(),
        )  # fmt: skip
    found = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert found["ranges"].passed  # the bad partition is older
    assert found["ranges"].metadata["partitions"].value == NEWEST


def test_one_check_can_run_alone(tmp_path):
    Lake(tmp_path).write("labels", DAYS[0], labels(DAYS[0]))
    key = dg.AssetCheckKey(dg.AssetKey("labels"), "ranges")
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            build_checks(["labels"]), instance=instance, resources={"lake": LakeResource(root=str(tmp_path))},
            selection=dg.AssetSelection.checks(key),
        )  # fmt: skip
    assert [e.check_name for e in result.get_asset_check_evaluations()] == ["ranges"]


def test_an_absent_partition_is_not_applicable(tmp_path):
    @dg.asset(name="trades", partitions_def=DAILY)
    def trades() -> None: ...

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [trades, *build_checks(["trades"])], instance=instance, partition_key=DAYS[0],
            resources={"lake": LakeResource(root=str(tmp_path))},
        )  # fmt: skip
    found = result.get_asset_check_evaluations()
    assert result.success
    assert all(e.passed and e.metadata["note"].value == "not applicable" for e in found)
    assert found[0].metadata["absent_partitions"].value == DAYS[0]


def test_checks_wait_for_the_tables_that_they_read(tmp_path):
    """Trades are held against orders: in one run the checks of trades come after both."""

    def table(name: str):
        @dg.asset(name=name, partitions_def=DAILY)
        def body() -> None: ...

        return body

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [*map(table, ("trades", "reference", "orders")), *build_checks(["trades"])], instance=instance,
            partition_key=DAYS[0], resources={"lake": LakeResource(root=str(tmp_path))},
        )  # fmt: skip
    order = [e.step_key for e in result.all_events if e.event_type_value == "STEP_SUCCESS"]
    assert len(order) == 4
    assert order[-1] == "trades_quality"


def test_every_table_has_checks_that_block_as_its_suite_says():
    checks = build_checks()
    tables = checked_tables()
    assert len(checks) == len(tables)
    assert "weights_csi500_turnover30" in checked_tables(["csi500_turnover30"])
    for table, definition in zip(tables, checks, strict=True):
        specs = list(definition.check_specs)
        assert {s.asset_key.to_user_string() for s in specs} == {table}
        assert {s.name: s.blocking for s in specs} == {c.name: c.blocking for c in suite_for(table).checks}


def test_markdown_of_unlike_rows():
    text = markdown([{"a": 1, "b": 0.123456789}, {"a": "x|y", "c": None}])
    assert text.splitlines() == ["| a | b | c |", "| --- | --- | --- |", "| 1 | 0.123457 | - |", "| x\\|y | - | - |"]
    with pytest.raises(TypeError):
        markdown(None)


def test_a_rejected_partition_stays_so_until_it_is_rebuilt(tmp_path):
    lake = Lake(tmp_path)
    run(tmp_path, {DAYS[2]: infinite(DAYS[2])}, tags=RANGE)
    assert [k for k in DAYS if lake.rejected("labels", k)] == [DAYS[2]]
    assert lake.rejected("labels", DAYS[2]) == ["ranges"]
    lake.write("labels", DAYS[2], labels(DAYS[2]))
    assert lake.rejected("labels", DAYS[2]) == []
    run(tmp_path, {}, tags=RANGE)
    assert not [k for k in DAYS if lake.rejected("labels", k)]
    assert len(lake.read("labels", DAYS[:7])) == 7 * 30  # a check result beside the data disturbs no reader


def test_a_rejected_partition_is_stale_and_nothing_may_read_it(tmp_path):
    from mg_assets.assets import TABLES

    lake = Lake(tmp_path)
    for key in DAYS:
        lake.write("labels", key, labels(key), TABLES.provenance(lake, "labels", key))
    assert TABLES.stale(lake, None, "labels", DAYS) == []
    lake.record_check_failures("labels", DAYS[3], ["ranges"])
    assert TABLES.stale(lake, None, "labels", DAYS) == [DAYS[3]]
    refused = unreadable(TABLES, lake, "lf_multitask_model", ["2019H2", "2020H2"])
    assert list(refused) == ["2020H2"]
    assert f"labels {DAYS[3]}, which the blocking check ranges rejected" in str(refused["2020H2"])
    lake.record_check_failures("labels", DAYS[3], [])
    assert TABLES.stale(lake, None, "labels", DAYS) == []


@pytest.mark.parametrize("given", [DAYS[2], f"{DAYS[1]}..{DAYS[2]}", f"{DAYS[2]} .. {DAYS[3]}"])
def test_an_accepted_partition_warns(tmp_path, monkeypatch, given):
    from mg_assets.orchestration import checks
    from mg_assets.settings import Settings

    accepted = Settings(accepted={"labels": {"ranges": (given,)}})
    monkeypatch.setattr(checks, "settings", lambda: accepted)
    broken = {DAYS[2]: infinite(DAYS[2])}
    result, found, seen = run(tmp_path, broken, tags=RANGE)
    assert result.success
    assert seen == DAYS[:7]
    assert not found["ranges"].passed
    assert found["ranges"].severity == dg.AssetCheckSeverity.WARN
    assert not Lake(tmp_path).rejected("labels", DAYS[2])
    result, found, seen = run(tmp_path, {**broken, DAYS[4]: infinite(DAYS[4])}, tags=RANGE)
    assert not result.success  # another day was not accepted
    assert seen == []
    assert Lake(tmp_path).rejected("labels", DAYS[4])
    assert not Lake(tmp_path).rejected("labels", DAYS[2])
