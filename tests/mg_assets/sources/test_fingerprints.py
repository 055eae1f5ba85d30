"""Fingerprints of every kind of source: content decides, not where and when files were written."""

import datetime as dt
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mg_assets.sources import digest_cache, fingerprint
from mg_assets.sources.base import Source
from mg_assets.sources.composite import CompositeSource
from mg_assets.sources.daily.qlib import QlibSource
from mg_assets.sources.digest_cache import DigestCache
from mg_assets.sources.level2.snapshots import SnapshotSource
from mg_assets.sources.level2.tonglian import TonglianSource
from mg_assets.sources.mapped.source import MappedSource

DAY = dt.date(2023, 2, 1)
NEXT = dt.date(2023, 2, 2)


@dataclass
class Kind:
    """A kind of source: how its files are written, how it is made, and what of its options decides values.

    Attributes
    ----------
    write : callable
        Writes the files below a folder; gives the one to change, and the text in it that a restatement replaces by
        another of the same length.
    make : callable
        ``make(folder, **options)``.
    elsewhere : dict
        Options that find the same files after they were moved to the folder ``elsewhere``.
    """

    write: Callable[[Path], tuple[str, bytes, bytes]]
    make: Callable[..., Source]
    tables: tuple[str, ...]
    other: dict
    elsewhere: dict = field(default_factory=dict)


def _tonglian(folder):
    (folder / "20230201").mkdir(parents=True)
    (folder / "20230201" / "mdl_4_19_0.csv").write_text("orders\n")
    (folder / "20230201" / "Transaction.csv").write_text("time,price\n0930,10.01\n")
    return "20230201/Transaction.csv", b"10.01", b"10.02"


def _snapshots(folder):
    (folder / "20230201").mkdir(parents=True)
    (folder / "20230201" / "MarketData.csv").write_text("time,price\n0930,10.01\n")
    return "20230201/MarketData.csv", b"10.01", b"10.02"


def _daily(folder):
    rows = [f"{day},{code},10.01,10.05,10.00,10.03,100" for day in (20230201, 20230202) for code in ("SH600000", "A")]
    rows += ["20230201,SZ000001,20.01,20.05,20.00,19.03,100"]  # below its low: set aside
    (folder / "daily").mkdir(parents=True)
    (folder / "daily" / "all.csv").write_text("\n".join(["day,code,o,h,l,c,v", *rows, ""]))
    return "daily/all.csv", b"10.03,100\n20230201,A", b"10.04,100\n20230201,A"


def _minutes(folder):
    (folder / "minutes").mkdir(parents=True)
    for day in ("20230201", "20230202"):
        text = f"code,time,o,h,l,c,v\nSH600000,{day} 09:31:00,10,10,10,10.0,100\n"
        (folder / "minutes" / f"{day}.csv").write_text(text)
    return "minutes/20230201.csv", b"10.0,", b"9.99,"


def _minutes_of_stocks(folder):
    (folder / "minutes").mkdir(parents=True)
    rows = [f"{day} 09:31:00,10,10,10,10.0,{volume}" for day, volume in (("20230201", 100), ("20230202", 200))]
    (folder / "minutes" / "600000.SH.csv").write_text("\n".join(["time,o,h,l,c,v", *rows, ""]))
    return "minutes/600000.SH.csv", b"10.0,100", b"10.0,300"


def _qlib(folder):
    (folder / "calendars").mkdir(parents=True)
    (folder / "instruments").mkdir()
    (folder / "calendars" / "day.txt").write_text("2023-02-01\n2023-02-02\n")
    (folder / "instruments" / "csi300.txt").write_text("SH600000\t2020-01-01\t2029-12-31\n")
    (folder / "instruments" / "other.txt").write_text("SH600001\t2020-01-01\t2029-12-31\n")
    for name in ("sh600000", "sh600001"):
        stock = folder / "features" / name
        stock.mkdir(parents=True)
        for column, value in {
            **dict.fromkeys(("open", "high", "low", "close"), 10),
            "volume": 300,
            "factor": 1,
        }.items():
            np.array([0, value, value], "<f4").tofile(stock / f"{column}.day.bin")
    stored = [np.array([0, value, 300], "<f4").tobytes() for value in (300, 400)]
    return "features/sh600000/volume.day.bin", *stored


OHLCV = dict(open="o", high="h", low="l", close="c", volume="v")


def _mapped(section, content):
    def make(folder, **changes):
        options = dict(changes)
        sections = {section: {**content, **{k: options.pop(k) for k in list(options) if k in content or k == "units"}}}
        path = folder.parent / f"{folder.name}{len(list(folder.parent.iterdir()))}.yaml"
        path.write_text(yaml.safe_dump({"name": "mine", **sections, **options}))
        return MappedSource(path, folder)

    return make


DAILY = {"files": "daily/all.csv", "columns": {"date": "day", "symbol": "code", **OHLCV}}
MINUTES = {"files": "minutes/{date}.csv", "label": "end", "columns": {"symbol": "code", "time": "time", **OHLCV}}
STOCKS = {"files": "minutes/{code}.csv", "label": "end", "columns": {"time": "time", **OHLCV}}

KINDS = {
    "tonglian": Kind(
        _tonglian, TonglianSource, ("trades", "orders"), {"price_unit": 0.001},
        {"files": {"sh_orders": "elsewhere/{date}/mdl_4_19_0.csv", "sh_trades": "elsewhere/{date}/Transaction.csv"}},
    ),
    "snapshots": Kind(
        _snapshots, SnapshotSource, ("snapshots",), {"every": 7},
        {"files": {"SH": "elsewhere/{date}/MarketData.csv", "SZ": "elsewhere/{date}/none.csv"}},
    ),
    "daily": Kind(
        _daily, _mapped("daily", DAILY), ("daily_bars",), {"units": {"volume": 100}},
        {"files": "elsewhere/daily/all.csv", "caveats": ["moved"], "description": "moved", "name": "moved"},
    ),
    "minutes": Kind(
        _minutes, _mapped("minute", MINUTES), ("minute_bars",), {"label": "start"},
        {"files": "elsewhere/minutes/{date}.csv", "caveats": ["moved"], "description": "moved", "name": "moved"},
    ),
    "minutes_of_stocks": Kind(
        _minutes_of_stocks, _mapped("minute", STOCKS), ("minute_bars",), {"label": "start"},
        {"files": "elsewhere/minutes/{code}.csv", "name": "moved"},
    ),
    "qlib": Kind(_qlib, QlibSource, ("daily_bars", "reference"), {"indices": {"csi300": "other.txt"}}),
    "composite": Kind(
        _daily, lambda folder, **o: CompositeSource([_mapped("daily", DAILY)(folder, **o)]), ("daily_bars",),
        {"units": {"price": 0.1}},
        {"files": "elsewhere/daily/all.csv", "name": "moved"},
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> DigestCache:
    """An empty cache that takes the digests of files of just now too."""
    monkeypatch.setattr(fingerprint, "CLOCK_RESOLUTION", 0.0)
    return another_process(monkeypatch, tmp_path / "cache")


def another_process(monkeypatch, folder):
    digest_cache.CACHE.close()
    monkeypatch.setattr(digest_cache, "CACHE", DigestCache(folder))
    return digest_cache.CACHE


@pytest.fixture(params=KINDS)
def case(request, tmp_path):
    kind = KINDS[request.param]
    changed = kind.write(tmp_path / "data")
    time.sleep(0.02)  # a tick of the file system's clock
    return kind, tmp_path / "data", changed


def prints(kind, folder, day=DAY, **options):
    source = kind.make(folder, **options)
    return [source.fingerprint(t, day) for t in kind.tables if source.has(t, day)]


def replace(path, old, new, keep_time=True):
    before = path.stat()
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_touched_files_are_the_same(case):
    kind, folder, _ = case
    before = prints(kind, folder)
    assert len(before) == len(kind.tables)
    for path in folder.rglob("*"):
        os.utime(path, (1e9, 1e9))
    assert prints(kind, folder) == before


def test_a_copy_elsewhere_is_the_same(case, tmp_path):
    kind, folder, _ = case
    before = prints(kind, folder)
    shutil.copytree(folder, tmp_path / "other" / "copy")
    assert prints(kind, tmp_path / "other" / "copy") == before
    if kind.elsewhere:
        folder.rename(tmp_path / "elsewhere")
        assert prints(kind, tmp_path, **kind.elsewhere) == before


def test_one_byte_is_noticed_at_equal_size_and_time(case):
    kind, folder, (name, old, new) = case
    before = prints(kind, folder)
    replace(folder / name, old, new)
    assert prints(kind, folder)[0] != before[0]
    replace(folder / name, new, old)
    assert prints(kind, folder) == before


def test_a_setting_that_decides_values_is_noticed(case):
    kind, folder, _ = case
    before, after = prints(kind, folder), prints(kind, folder, **kind.other)
    assert before[-1] != after[-1]


def test_unchanged_files_are_read_by_one_process(case, tmp_path, monkeypatch):
    kind, folder, _ = case
    before = prints(kind, folder)
    another_process(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(fingerprint, "_digest", lambda path: pytest.fail(f"{path} was read again"))
    assert prints(kind, folder) == before


def test_trades_do_not_depend_on_the_order_files(tmp_path):
    kind = KINDS["tonglian"]
    kind.write(tmp_path)
    before = prints(kind, tmp_path)
    (tmp_path / "20230201" / "mdl_4_19_0.csv").write_text("other orders\n")
    after = prints(kind, tmp_path)
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)


def test_all_volumes_of_an_archive_count(tmp_path):
    for number in (1, 2, 3):
        (tmp_path / f"day.7z.{number:03d}").write_text(f"volume {number}")
    before = fingerprint.file_digests([tmp_path / "day.7z.001"])
    (tmp_path / "day.7z.003").write_text("volume III")
    assert fingerprint.file_digests([tmp_path / "day.7z.001"]) != before


@pytest.mark.parametrize("files", ["minutes", "minutes_of_stocks"])
def test_minutes_depend_on_the_reference_price(tmp_path, files):
    kind = KINDS[files]
    kind.write(tmp_path / "data")
    _daily(tmp_path / "data")
    daily = {**DAILY, "columns": {**DAILY["columns"], "prev_close": "o"}}
    before = [prints(kind, tmp_path / "data", d, daily=daily) for d in (DAY, NEXT)]
    path = tmp_path / "data" / "daily" / "all.csv"
    path.write_text(path.read_text().replace("20230201,SH600000,10.01", "20230201,SH600000,10.02"))
    after = [prints(kind, tmp_path / "data", d, daily=daily) for d in (DAY, NEXT)]
    assert [b == a for b, a in zip(before, after, strict=True)] == [False, True]


def test_only_the_restated_day_of_a_stocks_file_is_another(tmp_path):
    kind = KINDS["minutes_of_stocks"]
    name, old, new = kind.write(tmp_path / "data")
    before = [prints(kind, tmp_path / "data", d) for d in (DAY, NEXT)]
    replace(tmp_path / "data" / name, old, new, keep_time=False)
    after = [prints(kind, tmp_path / "data", d) for d in (DAY, NEXT)]
    assert [b == a for b, a in zip(before, after, strict=True)] == [False, True]
    assert KINDS["minutes_of_stocks"].make(tmp_path / "data").days().tolist() == [DAY, NEXT]


def test_a_restated_invalid_row_is_noticed(tmp_path):
    kind = KINDS["daily"]
    kind.write(tmp_path / "data")
    before = [prints(kind, tmp_path / "data", d) for d in (DAY, NEXT)]
    replace(tmp_path / "data" / "daily" / "all.csv", b"19.03,100", b"18.03,100")
    after = [prints(kind, tmp_path / "data", d) for d in (DAY, NEXT)]
    assert [b == a for b, a in zip(before, after, strict=True)] == [False, True]


def test_rows_of_a_history_are_those_of_its_marks(tmp_path):
    """The marks of each day are made from the whole panel at once; the frames of each day from its slice."""
    kind = KINDS["qlib"]
    kind.write(tmp_path / "data")
    before = kind.make(tmp_path / "data")
    prints = {(t, d): before.fingerprint(t, d) for t in kind.tables for d in (DAY, NEXT)}
    frame = before.load("reference", DAY).frame
    assert len(set(prints.values())) == 4
    (tmp_path / "data" / "instruments" / "csi300.txt").write_text("SH600000\t2020-01-01\t2023-02-01\n")
    ended = kind.make(tmp_path / "data")
    pd.testing.assert_frame_equal(ended.load("reference", DAY).frame, frame)
    assert not ended.load("reference", NEXT).frame["csi300_member"].any()
    changed = [key for key, mark in prints.items() if ended.fingerprint(*key) != mark]
    assert changed == [("reference", NEXT)]


def test_a_file_that_cannot_be_read_has_no_digest(tmp_path, cache):
    found = fingerprint.file_digests([tmp_path, tmp_path / "absent"])
    assert found == ["unreadable: Is a directory", "unreadable: No such file or directory"]
    assert cache.digests([digest_cache.FileState.of(tmp_path)]) == [None]
