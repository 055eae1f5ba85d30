"""What a run decides to build, and what it does about runs that were killed."""

import os
import signal
import subprocess
import sys

import dagster as dg
import pytest

from mg_assets.cli.plan import CHUNK, partition_ranges
from mg_assets.market.calendar import trading_days
from mg_assets.orchestration.orphaned_runs import end_orphaned_runs

DAYS = [str(d) for d in trading_days("2022-01-04", "2023-12-29")]
STEP = ("reference", "daily_bars", "trades", "orders", "minute_bars", "intraday_factors")


def stale(**missing):
    return {t: missing.get(t, []) for t in STEP}


def test_a_new_lake_is_built_in_chunks_of_all_tables():
    every = {t: DAYS for t in STEP}
    found = list(partition_ranges(every, DAYS))
    assert [(first, last) for _, first, last in found] == [
        (DAYS[i], DAYS[min(i + CHUNK, len(DAYS)) - 1]) for i in range(0, len(DAYS), CHUNK)
    ]
    assert all(set(STEP) <= set(tables) for tables, _, _ in found)


def test_what_is_finished_is_not_built_again():
    """Cut off while the second table was made: the first is not made again where it is."""
    found = list(partition_ranges(stale(minute_bars=DAYS[100:200], intraday_factors=DAYS[:200]), DAYS))
    assert [(first, last) for _, first, last in found] == [(DAYS[0], DAYS[99]), (DAYS[100], DAYS[199])]
    assert "minute_bars" not in found[0][0]
    assert "trades" not in found[1][0]
    assert {"intraday_factors", "features_day", "features_60m", "features_30m"} <= set(found[0][0])


def test_a_stale_table_is_built_with_those_of_its_pass_alone():
    """What reads it follows in a later pass, where the content has changed."""
    (found,) = partition_ranges(stale(trades=[DAYS[7]]), DAYS)
    assert set(found[0]) == {"trades", "orders"}
    assert found[1:] == (DAYS[7], DAYS[7])


@pytest.fixture
def instance(tmp_path):
    (tmp_path / "dagster.yaml").write_text("concurrency: {pools: {granularity: op, default_limit: 1}}\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as found:
        yield found


WAITING = """
import sys, time
import dagster as dg
from mg_assets.orchestration.orphaned_runs import end_orphaned_runs, process_tag

@dg.asset(pool="gpu")
def model():
    print("training", flush=True)
    time.sleep(600)

with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    dg.materialize([model], instance=instance, tags=process_tag())
"""


def test_a_killed_run_frees_its_concurrency_slot(instance, tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", WAITING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == "training\n"
        assert list(end_orphaned_runs(instance)) == []  # its process is alive
        os.kill(process.pid, signal.SIGKILL)
    log = instance.event_log_storage
    assert log.get_concurrency_info("gpu").active_slot_count == 1
    (ended,) = end_orphaned_runs(instance)
    assert instance.get_run_by_id(ended).status == dg.DagsterRunStatus.FAILURE
    assert log.get_concurrency_info("gpu").active_slot_count == 0
    assert list(end_orphaned_runs(instance)) == []
