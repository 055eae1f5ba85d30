"""The index of footers is a cache: whatever happens to it, the files decide."""

import json
import os
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from mg_assets.lake.as_of import AsOfLake
from mg_assets.lake.look import TableLooks
from mg_assets.lake.store import Lake

DAYS = [f"2023-02-{d:02d}" for d in range(1, 29)]


def frame(value: float) -> pd.DataFrame:
    return pd.DataFrame({"symbol": ["600000.SH"], "score": [value]})


@pytest.fixture(params=["folder", "memory"])
def lake(request, tmp_path) -> Lake:
    root = tmp_path / "lake" if request.param == "folder" else f"memory://{tmp_path.name}/lake"
    lake = Lake(root)
    for number, day in enumerate(DAYS):
        lake.write("fused", day, frame(number), {"recipe": number})
    return lake


def opened(lake: Lake, monkeypatch) -> list[str]:
    """Keys of the partitions whose file is opened from now on."""
    keys: list[str] = []
    really = Lake._opened

    def counted(self, table, key, dictionary):
        keys.append(key)
        return really(self, table, key, dictionary)

    monkeypatch.setattr(Lake, "_opened", counted)
    return keys


def test_only_changed_files_are_opened(lake, monkeypatch):
    first = lake.info("fused")
    assert list(first) == DAYS
    assert first[DAYS[3]].metadata == {"recipe": 3}
    assert first[DAYS[3]].rows == 1
    keys = opened(lake, monkeypatch)
    again = Lake(lake.root)
    assert again.info("fused") == first
    assert keys == []
    lake.write("fused", DAYS[5], frame(99.0), {"recipe": 5})
    lake.remove("fused", DAYS[6])
    changed = again.info("fused")
    assert keys == [DAYS[5]]
    assert changed[DAYS[5]].digest != first[DAYS[5]].digest
    assert DAYS[6] not in changed
    assert again.info("fused", [DAYS[5], DAYS[6], "2023-03-01"]).keys() == {DAYS[5]}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 99}', b'{"format": 1, "partitions": [{}]}'])
def test_an_unreadable_index_is_built_again(lake, content):
    first = lake.info("fused")
    lake.write_file("fused", "all", "_index.json", content)
    assert Lake(lake.root).info("fused") == first


def test_the_same_content_again_has_the_same_digest(lake):
    before = lake.info("fused")[DAYS[0]]
    lake.write("fused", DAYS[0], frame(0), {"recipe": "another"})
    after = lake.info("fused")[DAYS[0]]
    assert (after.digest, after.columns) == (before.digest, before.columns)
    assert after.metadata == {"recipe": "another"}


def test_the_lake_as_of_a_day_shows_its_days_and_keeps_the_index(lake):
    lake.info("fused")
    assert list(AsOfLake(lake, DAYS[3]).info("fused")) == DAYS[:4]
    assert list(Lake(lake.root).info("fused")) == DAYS


def test_the_index_is_not_taken_for_a_partition(lake):
    lake.info("fused")
    assert lake.keys("fused") == DAYS
    if not lake.storage.remote:
        assert (Path(lake.root) / "fused" / "_index.json").exists()
        assert pd.read_parquet(f"{lake.root}/fused")["score"].sum() == sum(range(28))


def test_an_object_store_lists_a_table_once(tmp_path, monkeypatch):
    lake = Lake(f"memory://{tmp_path.name}/lake")
    for day in DAYS:
        lake.write("fused", day, frame(1.0))
    lake.info("fused")
    fs = fsspec.filesystem("memory")
    asked = []
    for name in ("info", "exists", "find", "open"):
        really = getattr(type(fs), name)

        def counted(self, *args, _name=name, _really=really, **kwargs):
            asked.append(_name)
            return _really(self, *args, **kwargs)

        monkeypatch.setattr(type(fs), name, counted)
    Lake(lake.root).info("fused")
    assert asked.count("find") == 1
    assert len(asked) < 5
    saved = f"{lake.root}/fused/_index.json"
    fs.pipe_file(saved, b"not saved again where nothing changed")
    lake.info("fused")
    assert fs.cat_file(saved) == b"not saved again where nothing changed"


def test_a_partition_that_goes_while_it_is_read_is_absent(lake, monkeypatch):
    assert DAYS[0] in lake.info("fused")
    lake.write("fused", DAYS[0], frame(9.0))
    really = TableLooks._entry
    monkeypatch.setattr(TableLooks, "_entry", lambda *given: None if given[2] == DAYS[0] else really(*given))
    assert list(Lake(lake.root).info("fused")) == DAYS[1:]


def test_a_change_in_place_with_its_time_kept_is_seen(tmp_path):
    lake = Lake(tmp_path)
    for day in DAYS:
        lake.write("fused", day, frame(1.0))
    lake.info("fused")
    path = Path(lake.path("fused", DAYS[0]))
    times, content = path.stat(), bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(bytes(content))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert Lake(tmp_path).info("fused")[DAYS[0]].damaged


def test_a_whole_table_has_one_entry(tmp_path):
    lake = Lake(tmp_path)
    lake.write("factor_evaluation", "all", frame(1.0), {"x": 1})
    assert lake.info("factor_evaluation")["all"].metadata == {"x": 1}
    assert json.loads(json.dumps(lake.info("factor_evaluation")["all"].columns)).keys() == {"symbol", "score"}
    assert "part.parquet" in os.listdir(tmp_path / "factor_evaluation")
    (tmp_path / "factor_evaluation" / "date=2023-01-03").mkdir()
    (tmp_path / "factor_evaluation" / "date=2023-01-03" / "part.parquet").write_bytes(b"left by another program")
    assert lake.keys("factor_evaluation") == ["all"]
    assert lake.written_since("factor_evaluation", 0.0) == {"all"}
