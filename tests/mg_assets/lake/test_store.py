"""The lake: whole partitions or none, readable by anybody, dense panels."""

import os
import pickle
import subprocess
import sys
import time

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from mg_assets.errors import DataError, MissingPartitionError
from mg_assets.lake.store import Lake


def frame(n: int, value: float = 1.0) -> pd.DataFrame:
    return pd.DataFrame({"symbol": [f"{600000 + i}.SH" for i in range(n)], "v": np.full(n, value), "on": [True] * n})


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(tmp_path / "lake")


def test_round_trip_and_metadata(lake):
    lake.write("scores", "2023-02-01", frame(3), {"recipe": "abc"})
    pd.testing.assert_frame_equal(lake.day("scores", "2023-02-01"), frame(3), check_dtype=False)
    assert lake.metadata("scores", "2023-02-01") == {"recipe": "abc"}
    assert lake.keys("scores") == ["2023-02-01"]
    assert lake.path("scores", "2023-02-01").endswith("scores/date=2023-02-01/part.parquet")


@pytest.mark.parametrize(
    ("table", "key", "folder"),
    [
        ("weekly_bars", "2023-01-30", "week=2023-01-30"),
        ("weights_csi500", "2023-01-30", "week=2023-01-30"),
        ("monthly_bars", "2023-02-01", "month=2023-02-01"),
        ("hf_gru_model", "2023H1", "period=2023H1"),
        ("factor_evaluation", "all", "factor_evaluation"),
    ],
)
def test_partition_folders(lake, table, key, folder):
    assert lake.folder(table, key).endswith(folder)


def test_a_range_reads_as_one_dataset_with_its_key(lake):
    for i, key in enumerate(["2023-02-01", "2023-02-02", "2023-02-03"]):
        lake.write("scores", key, frame(2, i))
    read = lake.read("scores", ["2023-02-01", "2023-02-02", "2023-02-03"])
    assert list(read.columns) == ["date", "symbol", "v", "on"]
    assert read.groupby("date")["v"].first().tolist() == [0.0, 1.0, 2.0]
    assert lake.read("scores", ["2023-02-02"])["date"].tolist() == ["2023-02-02"] * 2


def test_other_engines_read_the_files_as_they_are(lake):
    for i, key in enumerate(["2023-02-01", "2023-02-02"]):
        lake.write("scores", key, frame(2, i))
    files = f"{lake.root}/scores/*/part.parquet"
    assert (
        duckdb.sql(f"select date, sum(v) s from read_parquet('{files}') group by 1 order by 1").fetchall()[1][1] == 2.0
    )
    assert pl.scan_parquet(files, hive_partitioning=True).collect()["v"].sum() == 2.0
    assert pd.read_parquet(f"{lake.root}/scores")["v"].sum() == 2.0


def test_panel_places_symbols_and_marks_absence(lake):
    lake.write("scores", "2023-02-01", frame(2, 1.0))
    lake.write("scores", "2023-02-03", frame(3, 3.0))
    panel = lake.panel("scores", ["2023-02-01", "2023-02-02", "2023-02-03"], ["v", "on"], missing="empty")
    assert panel.symbols.tolist() == ["600000.SH", "600001.SH", "600002.SH"]
    np.testing.assert_array_equal(panel["v"], [[1, 1, np.nan], [np.nan] * 3, [3, 3, 3]])
    assert panel["on"].dtype == bool
    assert not panel["on"][1].any()
    assert panel.present.sum() == 5


def test_panel_on_given_symbols_drops_others(lake):
    lake.write("scores", "2023-02-01", frame(3))
    panel = lake.panel("scores", ["2023-02-01"], ["v"], symbols=["600001.SH", "999999.SH"])
    np.testing.assert_array_equal(panel["v"], [[1.0, np.nan]])


def test_a_missing_partition_names_itself_and_the_remedy(lake):
    lake.write("scores", "2023-02-01", frame(1))
    with pytest.raises(MissingPartitionError, match=r"2023-02-02.*materialise"):
        lake.read("scores", ["2023-02-01", "2023-02-02"])
    with pytest.raises(MissingPartitionError, match="2023-02-02"):
        lake.day("scores", "2023-02-02")


def test_schema_is_enforced_and_the_old_partition_kept(lake):
    good = pd.DataFrame({"symbol": ["600000.SH"], "signal": [1.0]})
    lake.write("planted_signal", "2023-02-01", good)
    with pytest.raises(DataError, match="signal"):
        lake.write("planted_signal", "2023-02-01", good.rename(columns={"signal": "other"}))
    with pytest.raises(DataError, match="planted_signal"):
        lake.write("planted_signal", "2023-02-01", good.assign(signal="x"))
    assert lake.day("planted_signal", "2023-02-01")["signal"].tolist() == [1.0]


def test_an_error_while_writing_keeps_the_old_partition(lake, monkeypatch):
    lake.write("scores", "2023-02-01", frame(2, 1.0))

    def broken(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("mg_assets.lake.parquet_layout.pq.ParquetWriter.write_table", broken)
    with pytest.raises(OSError, match="disk full"):
        lake.write("scores", "2023-02-01", frame(2, 2.0))
    assert lake.day("scores", "2023-02-01")["v"].tolist() == [1.0, 1.0]
    assert os.listdir(lake.folder("scores", "2023-02-01")) == ["part.parquet"]


def test_another_process_reads_the_same_lake_by_itself(lake):
    lake.write("scores", "2023-02-01", frame(2))
    assert list(lake.info("scores")) == ["2023-02-01"]
    other = pickle.loads(pickle.dumps(lake))
    Lake(lake.root).write("scores", "2023-02-02", frame(3))
    assert (other.root, other.keys("scores")) == (lake.root, ["2023-02-01", "2023-02-02"])
    assert len(other.day("scores", "2023-02-02")) == 3


WRITER = """
import sys, numpy as np, pandas as pd
from mg_assets.lake.store import Lake
lake, n = Lake(sys.argv[1]), 0
symbols = [f"{600000 + i}.SH" for i in range(20_000)]
while True:
    n += 1
    lake.write("scores", f"2023-02-{1 + n % 3:02d}", pd.DataFrame({"symbol": symbols, "v": np.full(20_000, float(n))}))
"""


def test_a_killed_writer_leaves_every_partition_whole(lake):
    """SIGKILL at random moments: whatever is there reads completely, with one value throughout."""
    rng = np.random.default_rng(7)
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, lake.root])
        deadline = time.monotonic() + 60
        while not lake.keys("scores") and time.monotonic() < deadline and writer.poll() is None:
            time.sleep(0.05)
        time.sleep(0.2 + rng.random() / 5)
        writer.kill()
        writer.wait()
        keys = lake.keys("scores")
        assert keys
        for key in keys:
            read = lake.day("scores", key)
            assert len(read) == 20_000
            assert read["v"].nunique() == 1


def test_object_store_urls_work(tmp_path):
    lake = Lake("memory://lake-test")
    lake.write("scores", "2023-02-01", frame(2), {"a": 1})
    assert lake.keys("scores") == ["2023-02-01"]
    assert lake.day("scores", "2023-02-01")["v"].sum() == 2
    assert lake.metadata("scores", "2023-02-01") == {"a": 1}
    assert lake.modified("scores", "2023-02-01") is not None
