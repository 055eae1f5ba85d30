"""``mg verify``: every damaged file is named with the remedy, and marked for the next run."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mg_assets.cli.main import main
from mg_assets.lake.store import Lake

CHECKOUT = Path(__file__).parents[3]
DAYS = ["2023-02-01", "2023-02-02", "2023-02-03"]


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(tmp_path / "lake")
    for day in DAYS:
        lake.write("fused", day, pd.DataFrame({"symbol": ["600000.SH", "600001.SH"], "score": [1.0, 2.0]}))
    lake.write_file("hf_gru_model", "2023H1", "seed0.safetensors", b"weights")
    lake.write("hf_gru_model", "2023H1", pd.DataFrame({"seed": [0]}))
    return lake


def verify(lake: Lake, *arguments: str) -> int:
    return main(["verify", "--lake", lake.root, *arguments])


def test_a_sound_lake_exits_with_0(lake, capsys):
    assert verify(lake) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split() for line in out[-3:-1]] == [
        ["fused", "3", "3", "6", "0", "0"],
        ["hf_gru_model", "1", "2", "1", "0", "0"],
    ]
    assert out[-1] == "0 damaged files"


def test_every_damaged_file_is_one_line_with_the_remedy(lake, capsys):
    Path(lake.path("fused", DAYS[0])).write_bytes(b"")
    os.replace(lake.path("fused", DAYS[2]), lake.path("fused", DAYS[1]))
    weights = Path(lake.folder("hf_gru_model", "2023H1")) / "seed0.safetensors"
    weights.write_bytes(b"weightz")
    assert verify(lake) == 1
    out = capsys.readouterr().out
    for file, what in (
        (lake.path("fused", DAYS[0]), "empty"),
        (lake.path("fused", DAYS[1]), DAYS[2]),
        (weights, "seed0"),
    ):
        assert (
            len([x for x in out.splitlines() if str(file) in x and what in x and "run again: it is rebuilt" in x]) == 1
        )
    assert out.splitlines()[-1] == "3 damaged files: mg run rebuilds them"
    assert {k for t in ("fused", "hf_gru_model") for k, i in lake.info(t).items() if i.damaged} == {*DAYS[:2], "2023H1"}


def test_an_inverted_range_is_an_error(tmp_path, capsys):
    for command in (["verify"], ["diff"], ["ingest", str(tmp_path)]):
        assert main([*command, "--from", "2023-03-01", "--to", "2023-02-01"]) == 2
        assert capsys.readouterr().err.startswith("mg: --from 2023-03-01 is after --to 2023-02-01")


def test_an_empty_lake_is_an_error(tmp_path, capsys):
    none = tmp_path / "none"
    assert main(["verify", "--lake", str(none)]) == 2
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER"))}
    command = [sys.executable, "-m", "mg_assets.cli.main", "diff"]
    diff = subprocess.run(
        command, env=kept | {"MG_LAKE": str(none)}, cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert diff.returncode == 2
    for err in (capsys.readouterr().err, diff.stderr):
        assert f"the lake {none} is empty or absent; fill it with mg run" in err
        assert err.count("\n") == 1


def test_tables_and_a_range_can_be_chosen(lake, capsys):
    Path(lake.path("fused", DAYS[0])).write_bytes(b"")
    assert verify(lake, "hf_gru_model") == 0
    assert verify(lake, "--from", DAYS[1], "--to", DAYS[1]) == 0
    assert capsys.readouterr().out.splitlines()[-3].split()[:2] == ["fused", "1"]
    assert verify(lake, "fused", "--to", DAYS[0]) == 1
    assert verify(lake, "scores") == 2
    assert "no table scores" in capsys.readouterr().err


def test_an_old_lake_is_sealed_once_every_partition_has_a_digest(lake, capsys):
    marker = Path(lake.root) / "_lake.json"
    marker.unlink()
    old = pd.DataFrame({"symbol": ["600000.SH"], "score": [1.0]})
    old.to_parquet(lake.path("fused", DAYS[0]))
    assert verify(lake) == 0
    assert "of an older version, or of another program" in capsys.readouterr().out
    assert not marker.exists()
    lake.write("fused", DAYS[0], old)
    assert verify(lake, "fused") == 0
    assert not marker.exists()
    assert verify(lake) == 0
    assert marker.exists()
    assert "without one counts as damaged" in capsys.readouterr().out


def test_what_killed_writes_left_is_named_and_removed_by_a_run(lake, capsys):
    left = Path(lake.root) / "fused" / ".writing" / ".part.parquet.elsewhere.1.2.aa.tmp"
    live = left.with_name(".part.parquet.elsewhere.1.2.bb.tmp")
    for path, time in ((left, 0), (live, None)):
        path.parent.mkdir(exist_ok=True)
        path.touch()
        if time is not None:
            os.utime(path, (time, time))
    assert verify(lake) == 0
    assert str(left) in capsys.readouterr().out
    assert lake.remove_abandoned() == [str(left)]
    assert live.exists()
