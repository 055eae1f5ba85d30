"""``deploy/cluster/cluster_faults.py``: the faults it draws, what it leaves out, what counts as computed twice."""

import os
import subprocess
import threading
from argparse import Namespace
from collections import Counter
from types import SimpleNamespace

import cluster_faults
import dagster as dg
import pytest


@pytest.fixture
def campaign(tmp_path, monkeypatch, capsys):
    """One that has no right to mount a file system; libfaketime is absent."""
    refused = SimpleNamespace(returncode=1, stderr="must be superuser")
    monkeypatch.setattr(cluster_faults.subprocess, "run", lambda *command, **options: refused)
    monkeypatch.setattr(cluster_faults, "_faketime", lambda: None)
    options = Namespace(faults=100, seed=1, days=1, stocks=10, kind=None, sound=None)
    made = cluster_faults.Campaign(tmp_path, options)
    made.printed = capsys.readouterr().out
    return made


def test_fifty_faults_are_of_all_kinds():
    assert sum(kind.weight for kind in cluster_faults.KINDS.values()) == 50


def test_what_cannot_be_struck_here_is_named_and_replaced(campaign):
    assert "no disk full: no file system of its own can be mounted here (must be superuser)" in campaign.printed
    assert "no clock ten minutes off: no libfaketime here: " in campaign.printed
    assert "no clock an hour off: no libfaketime here: " in campaign.printed
    assert len(campaign.left) == 100
    assert not {"disk full", *cluster_faults.CLOCKS} & set(campaign.left)


def test_a_round_changes_the_second_node_once(campaign):
    seen = Counter()
    while campaign.left:
        planned = campaign._plan()
        assert 0 < len(planned) <= cluster_faults.PER_ROUND
        assert sum(cluster_faults.KINDS[name].lasting for name in planned) <= 1
        for name in planned:
            campaign.left.remove(name)
            seen[name] += 1
    assert sum(seen.values()) == 100


def test_a_second_backfill_takes_all_tables_of_a_step(campaign, monkeypatch):
    made = {name: {"2023-01-03"} for name in cluster_faults.TABLES} | {"features_30m": set()}
    reads = SimpleNamespace(get_materialized_partitions=lambda key: made[key.to_user_string()])
    campaign.instance, campaign.cluster = reads, SimpleNamespace(env={})
    monkeypatch.setattr(cluster_faults, "differences", lambda *given: {})
    step = ("intraday_factors", "features_day", "features_60m", "features_30m")
    assert campaign._lacking(["2023-01-03"]) == ({name: [("2023-01-03", "2023-01-03")] for name in step}, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone mounts a file system")
def test_a_full_disk_stays_full_where_files_leave_it(campaign, monkeypatch):
    monkeypatch.undo()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={cluster_faults.DISK}", "mg-test", str(campaign.disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        leaving = campaign.disk / "leaving"
        leaving.write_bytes(bytes(1 << 20))
        free: list[int] = []
        threading.Timer(0.5, leaving.unlink).start()
        threading.Timer(1.5, lambda: free.append(os.statvfs(campaign.disk).f_bavail)).start()
        monkeypatch.setattr(campaign.draw, "uniform", lambda least, most: 2.0)
        monkeypatch.setattr(campaign, "workers", lambda *servers, **more: [(None, "0" * 36)])
        campaign.cluster = SimpleNamespace(node=None)
        assert cluster_faults._fill_disk(campaign, {}) == "of run 00000000, for 2 s"
        assert free == [0]
        assert os.statvfs(campaign.disk).f_bavail > 0
    finally:
        subprocess.run(["umount", "-l", str(campaign.disk)], check=True)


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["2023-01-03"]))
def fused():
    """A table."""


def test_a_second_computation_of_a_finished_step_is_named(campaign):
    tags = {"dagster/backfill": "one"}
    with dg.DagsterInstance.ephemeral() as campaign.instance:
        options = {"instance": campaign.instance, "partition_key": "2023-01-03"}
        dg.materialize([fused], tags=tags, **options)
        dg.materialize([fused], tags={"dagster/backfill": "another"}, **options)
        assert campaign._computed_twice(["one"]) == []
        dg.materialize([fused], tags=tags, **options)
        (line,) = campaign._computed_twice(["one"])
    assert line == "fused 2023-01-03: computed by 2 runs, after the step of one of them had succeeded"
