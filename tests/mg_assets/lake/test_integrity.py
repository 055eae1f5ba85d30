"""Damaged, foreign and exchanged partitions: refused when they are read, named, absent for the next run."""

import json
import os
import shutil
import threading
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mg_assets.errors import DamagedPartitionError
from mg_assets.factors import day_pass
from mg_assets.lake.as_of import AsOfLake
from mg_assets.lake.integrity import PartitionFile
from mg_assets.lake.parquet_layout import write_parquet
from mg_assets.lake.storage import mark_damaged
from mg_assets.lake.store import Lake
from mg_assets.lake.table_view import PartitionReader
from mg_assets.lake.verify import verify_partition

DAYS = ["2023-02-01", "2023-02-02"]


def scores(day: int) -> pd.DataFrame:
    symbols = [f"{600000 + i}.SH" for i in range(500)]
    return pd.DataFrame({"symbol": symbols, "score": np.random.default_rng(day).standard_normal(500)})


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(tmp_path / "lake")
    for number, day in enumerate(DAYS):
        lake.write("fused", day, scores(number), {"recipe": "abc"})
    return lake


def file_of(lake: Lake) -> Path:
    return Path(lake.path("fused", DAYS[0]))


def put(path: Path, content: bytes) -> None:
    """Other bytes in the same file, its time kept."""
    times = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def rewritten(path: Path, change) -> None:
    """The table with a change, as another program that keeps all texts of the footer writes it."""
    table = change(pq.ParquetFile(path).read())
    pq.write_table(table, path, write_page_checksum=True)


def scaled(table: pa.Table) -> pa.Table:
    return table.set_column(1, "score", pa.array(table["score"].to_numpy() * 1.0037))


DAMAGES = {
    "truncated": (lambda path: put(path, path.read_bytes()[:-100]), "truncated"),
    "half": (lambda path: put(path, path.read_bytes()[: path.stat().st_size // 2]), "truncated"),
    "empty": (lambda path: put(path, b""), r"empty \(0 bytes\)"),
    "garbage": (lambda path: put(path, np.random.default_rng(0).bytes(4000)), "not a Parquet file"),
    "another day": (lambda path: shutil.copy2(path.parent.parent / f"date={DAYS[1]}/part.parquet", path), DAYS[1]),
    "scaled column": (lambda path: rewritten(path, scaled), "another program"),
    "float32": (
        lambda path: rewritten(path, lambda t: t.set_column(1, "score", t["score"].cast(pa.float32()))),
        "another program",
    ),
    "one row gone": (lambda path: rewritten(path, lambda t: t.slice(1)), "another program"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_refused_named_and_absent_for_a_run(lake, name):
    change, what = DAMAGES[name]
    change(file_of(lake))
    with pytest.raises(DamagedPartitionError, match=f"{file_of(lake)} is damaged: .*{what}.*rebuilt"):
        lake.day("fused", DAYS[0])
    readings = (
        lambda: lake.metadata("fused", DAYS[0]),
        lambda: lake.rows("fused", DAYS[0]),
        lambda: lake.stock("fused", DAYS[0], "600000.SH"),
        lambda: lake.file("fused", DAYS[0]),
        lambda: lake.read("fused", DAYS),
        lambda: lake.panel("fused", DAYS, ["score"]),
        lambda: PartitionReader(lake, "fused", DAYS[0]),
        lambda: AsOfLake(lake, DAYS[1]).day("fused", DAYS[0]),
    )
    for reading in readings:
        with pytest.raises(DamagedPartitionError, match=what):
            reading()
    info = lake.info("fused")
    assert info[DAYS[0]].damaged is not None
    assert info[DAYS[0]].digest is None
    assert info[DAYS[1]].damaged is None


@pytest.mark.parametrize("where", ["data page", "footer"])
def test_a_flipped_bit_is_refused(lake, where):
    sound, rows = file_of(lake).read_bytes(), lake.table("fused", DAYS[0])
    length = int.from_bytes(sound[-8:-4], "little")
    wanted = (
        range(4, len(sound) - 8 - length, 97) if where == "data page" else range(len(sound) - 8 - length, len(sound))
    )
    silent = []
    for at in list(wanted)[:: 1 if where == "data page" else 7]:
        put(file_of(lake), sound[:at] + bytes([sound[at] ^ 4]) + sound[at + 1 :])
        try:
            if not lake.table("fused", DAYS[0]).equals(rows):  # a page's header holds bytes that nothing reads
                silent.append(at)
        except DamagedPartitionError:
            pass
    assert not silent


def test_a_damaged_page_is_found_by_a_read_and_by_the_next_run(lake):
    path = file_of(lake)
    content = bytearray(path.read_bytes())
    at = pq.ParquetFile(path).metadata.row_group(0).column(1).data_page_offset + 200
    content[at] ^= 1
    put(path, bytes(content))
    assert lake.info("fused")[DAYS[0]].damaged is None  # the footer is sound
    with pytest.raises(DamagedPartitionError, match="checksum"):
        lake.day("fused", DAYS[0])
    assert "checksum" in Lake(lake.root).info("fused")[DAYS[0]].damaged
    lake.write("fused", DAYS[0], scores(0))
    assert lake.info("fused")[DAYS[0]].damaged is None
    assert os.listdir(lake.folder("fused", DAYS[0])) == ["part.parquet"]


def test_a_mark_speaks_of_one_file_only(lake):
    lake.mark_damaged("fused", DAYS[0], "seen by a reader")
    mark = Path(lake.folder("fused", DAYS[0])) / "_damaged.json"
    kept = mark.read_bytes()
    lake.write("fused", DAYS[0], scores(0))
    mark.write_bytes(kept)  # a kill between the new file and the removal of the mark
    assert lake.info("fused")[DAYS[0]].damaged is None


def test_a_damaged_file_stays_so_when_it_is_touched(lake):
    lake.mark_damaged("fused", DAYS[0], "seen by a reader")
    os.utime(file_of(lake), (4e9, 4e9))
    os.chmod(file_of(lake), 0o640)
    assert lake.info("fused")[DAYS[0]].damaged == "seen by a reader"


@pytest.mark.parametrize("content", [b"", b"garbage", b"[]", b"{"])
def test_a_mark_that_cannot_be_read_releases_nothing(lake, content):
    lake.record_check_failures("fused", DAYS[0], ["predictions_finite"])
    lake.mark_damaged("fused", DAYS[1], "seen by a reader")
    for day, name in ((DAYS[0], "_failed_checks.json"), (DAYS[1], "_damaged.json")):
        (Path(lake.folder("fused", day)) / name).write_bytes(content)
    assert lake.rejected("fused", DAYS[0]) == ["_failed_checks.json, which cannot be read"]
    assert "_damaged.json cannot be read" in lake.info("fused")[DAYS[1]].damaged
    lake.write("fused", DAYS[1], scores(1))
    lake.unchecked("fused").write("run", {})
    (Path(lake.root) / "fused" / "_unchecked" / "run.json").write_bytes(content)
    assert lake.rejected("fused", DAYS[1]) == ["unchecked"]
    lake.unchecked("fused").remove(DAYS)
    assert lake.rejected("fused", DAYS[1]) == []


def test_a_new_lake_is_sealed_whatever_lies_in_it(tmp_path):
    """A run lists what it is about to write before it does."""
    lake = Lake(tmp_path / "lake")
    lake.unchecked("fused").write("run", {DAYS[0]: None})
    lake.write("fused", DAYS[0], scores(0))
    assert Lake(lake.root).sealed


def ticks(lake: Lake) -> Path:
    rng, n = np.random.default_rng(5), 4000
    frame = pd.DataFrame({
        "symbol": np.repeat([f"{600000 + i}.SH" for i in range(8)], n // 8),
        "time": pd.Timestamp("2023-02-01 09:30") + pd.to_timedelta(np.tile(np.arange(n // 8), 8), "s"),
        "seq": np.tile(np.arange(n // 8), 8),
        "price": rng.integers(900, 1100, n) / 100,
        "volume": rng.integers(1, 90, n) * 100,
        "buy_order": rng.integers(1, 10**6, n),
        "sell_order": rng.integers(1, 10**6, n),
        "side": rng.choice([-1, 1], n),
    })  # fmt: skip
    return Path(lake.write("trades", DAYS[0], frame))


def test_the_fused_pass_refuses_a_damaged_page_and_marks_it(lake):
    path = ticks(lake)
    day_pass(lake.file("trades", DAYS[0]), minutes=True)
    content = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(0).column(3)
    content[column.data_page_offset + 300] ^= 8
    put(path, bytes(content))
    with pytest.raises(DamagedPartitionError, match=r"trades.*part\.parquet.*checksum"):
        day_pass(lake.file("trades", DAYS[0]), minutes=True)
    assert lake.info("trades")[DAYS[0]].damaged


def test_the_fused_pass_refuses_another_table(lake, tmp_path):
    ticks(lake)
    with pytest.raises(DamagedPartitionError, match="fused 2023-02-01"):
        day_pass(lake.path("fused", DAYS[0]), minutes=True)


def test_a_file_of_the_user_is_never_marked(lake, tmp_path):
    path = ticks(lake)
    own = tmp_path / "own" / "trades.parquet"
    own.parent.mkdir()
    pq.write_table(lake.table("trades", DAYS[0]).replace_schema_metadata(None), own, write_page_checksum=True)
    content = bytearray(own.read_bytes())
    content[pq.ParquetFile(own).metadata.row_group(0).column(3).data_page_offset + 300] ^= 8
    own.write_bytes(bytes(content))
    with pytest.raises(DamagedPartitionError):
        day_pass(own, minutes=True)
    assert os.listdir(own.parent) == ["trades.parquet"]
    assert path.exists()


def test_only_the_callers_thread_touches_the_file(tmp_path):
    """A thread of Arrow's that holds a piece of a Python file while the process ends aborts it."""
    rng, readers = np.random.default_rng(0), set()

    class Watched:
        """A file that notes who reads it."""

        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def read(self, *size):
            readers.add(threading.get_native_id())
            return self.file.read(*size)

    table = pa.table({f"c{i}": rng.random(200_000) for i in range(12)})
    pq.write_table(table, tmp_path / "part.parquet", row_group_size=50_000)
    with PartitionFile(Watched((tmp_path / "part.parquet").open("rb")), "part.parquet") as file:
        assert file.read() == table
        assert file.read_row_groups([0, 2]).num_rows == 100_000
    assert readers == {threading.get_native_id()}


def test_verify_finds_values_behind_valid_checksums(lake):
    """A file as the lake would write it, but for one value: only its digest says so."""
    path = file_of(lake)
    stated = pq.read_metadata(path).metadata[b"mg.lake"].decode()
    other = lake.table("fused", DAYS[0])
    values = other["score"].to_numpy().copy()
    values[7] += 1e-9
    other = other.set_column(1, "score", pa.array(values))
    from mg_assets.lake.integrity import UNSEALED, seal

    with open(path, "w+b") as out:
        write_parquet("fused", [other], out, footer=lambda: {"mg.lake": stated, "mg.seal": UNSEALED})
        seal(out)
    assert lake.info("fused")[DAYS[0]].damaged is None
    found = verify_partition(lake, "fused", DAYS[0])
    assert [("score" in e.what, e.file) for e in found.damages] == [(True, str(path))]
    assert lake.info("fused")[DAYS[0]].damaged
    assert not verify_partition(lake, "fused", DAYS[1]).damages


def test_a_file_of_an_older_version_is_read_without_digest(lake):
    (Path(lake.root) / "_lake.json").unlink()
    lake = Lake(lake.root)
    table = pa.table({"symbol": ["600000.SH"], "score": [1.0]}).replace_schema_metadata(
        {"mg": json.dumps({"recipe": "x"})}
    )
    pq.write_table(table, file_of(lake))
    assert lake.day("fused", DAYS[0])["score"].tolist() == [1.0]
    assert lake.metadata("fused", DAYS[0]) == {"recipe": "x"}
    info = lake.info("fused")[DAYS[0]]
    assert (info.digest, info.damaged, info.rows) == (None, None, 1)
    assert not verify_partition(lake, "fused", DAYS[0]).complete


def test_a_file_of_another_program_is_refused_in_a_lake_of_ours(lake):
    pq.write_table(pa.table({"symbol": ["600000.SH"], "score": [1.0]}), file_of(lake))
    for reading in (lake.day, lake.file, lake.metadata):
        with pytest.raises(DamagedPartitionError, match="another program, put in the place of fused 2023-02-01"):
            reading("fused", DAYS[0])
    assert lake.info("fused")[DAYS[0]].damaged
    assert len(verify_partition(lake, "fused", DAYS[0]).damages) == 1


def test_files_beside_the_data_belong_to_the_partition(lake):
    lake.write_file("hf_gru_model", "2017H1", "seed0.json", b"{}")
    lake.write("hf_gru_model", "2017H1", pd.DataFrame({"seed": [0]}))
    assert lake.info("hf_gru_model")["2017H1"].damaged is None
    card = Path(lake.folder("hf_gru_model", "2017H1")) / "seed0.json"
    put(card, b"[]")
    assert "seed0.json" in Lake(lake.root).info("hf_gru_model")["2017H1"].damaged
    assert "seed0.json" in str(verify_partition(lake, "hf_gru_model", "2017H1").damages[0])
    card.unlink()
    assert "seed0.json is absent" in lake.info("hf_gru_model")["2017H1"].damaged


def test_an_unreachable_file_is_not_called_damaged(lake, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(lake.storage, "open", denied)
    with pytest.raises(PermissionError):
        lake.day("fused", DAYS[0])


def test_a_rejection_holds_for_the_content_whatever_the_times(lake):
    lake.record_check_failures("fused", DAYS[0], ["predictions_finite"])
    assert lake.rejected("fused", DAYS[0]) == ["predictions_finite"]
    os.utime(file_of(lake), (4e9, 4e9))  # touched
    assert lake.rejected("fused", DAYS[0]) == ["predictions_finite"]
    os.utime(file_of(lake), (1e9, 1e9))  # a backup with older times
    assert lake.info("fused")[DAYS[0]].rejected == ("predictions_finite",)
    lake.write("fused", DAYS[0], scores(0))  # the same content again
    assert lake.rejected("fused", DAYS[0]) == ["predictions_finite"]
    lake.write("fused", DAYS[0], scores(9))
    assert lake.rejected("fused", DAYS[0]) == []


def test_a_lake_can_be_moved(lake, tmp_path):
    before = {k: (i.digest, i.damaged) for k, i in lake.info("fused").items()}
    lake.mark_damaged("fused", DAYS[1], "seen before the move")
    moved = tmp_path / "elsewhere"
    os.rename(lake.root, moved)
    assert Lake(moved).day("fused", DAYS[0]).equals(scores(0).astype({"symbol": "str"}))
    assert {k: (i.digest, i.damaged) for k, i in Lake(moved).info("fused").items() if k == DAYS[0]} == {
        DAYS[0]: before[DAYS[0]]
    }
    shutil.copytree(moved, tmp_path / "copy")
    assert Lake(tmp_path / "copy").info("fused")[DAYS[0]].digest == before[DAYS[0]][0]


def test_damage_is_named_in_a_lake_that_may_only_be_read(lake, monkeypatch):
    put(file_of(lake), file_of(lake).read_bytes()[:-20])
    monkeypatch.setattr(os, "replace", mock.Mock(side_effect=PermissionError("read-only")))
    lake.mark_damaged("fused", DAYS[0], "seen by a reader")
    with pytest.raises(DamagedPartitionError):
        lake.day("fused", DAYS[0])


def test_a_mark_beside_a_partition_is_written_whole_or_not(lake, monkeypatch):
    path, written = file_of(lake), []

    def power_cut(beside, target):
        written.append((Path(beside).read_bytes(), Path(target).name))
        raise OSError("power cut")

    monkeypatch.setattr(os, "replace", power_cut)
    for mark in (lambda: mark_damaged(path, "page 3"), lambda: lake.write_file("fused", DAYS[0], "card.json", b"{}")):
        with pytest.raises(OSError, match="power cut"):
            mark()
    assert [(json.loads(text).get("what"), name) for text, name in written] == [
        ("page 3", "_damaged.json"),
        (None, "card.json"),
    ]
    assert os.listdir(path.parent) == ["part.parquet"]
