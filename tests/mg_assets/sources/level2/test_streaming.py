"""A day read in pieces is the day read at once: rows, quarantine, notes and the lake's files."""

import datetime as dt
import gzip
import json
from pathlib import Path

import exported as exporter
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from mg_assets.assets import raw
from mg_assets.errors import DataError, MgError, SourceError
from mg_assets.ingest import discover_files, ingest_days, open_sources
from mg_assets.lake.parquet_layout import stocks_of
from mg_assets.lake.store import Lake
from mg_assets.market.schema import TRADES
from mg_assets.sources.base import TICKS, SourceDay
from mg_assets.sources.composite import CompositeSource
from mg_assets.sources.io import delimited, read_file
from mg_assets.sources.level2 import external_sort, tonglian
from mg_assets.sources.level2.external_sort import ExternalSort, ranges
from mg_assets.sources.level2.tonglian import TonglianSource

DAY, MERGED = dt.date(2023, 2, 1), dt.date(2023, 11, 27)


@pytest.fixture
def in_pieces(monkeypatch):
    """Blocks of a few lines, runs of a few rows, one or two stocks at a time."""

    def small():
        monkeypatch.setattr(delimited, "READ_BYTES", 3_000)
        monkeypatch.setattr(read_file, "BLOCK_ROWS", 50)
        monkeypatch.setattr(external_sort, "RUN_ROWS", 40)
        monkeypatch.setattr(tonglian, "BATCH_ROWS", 150)

    return small


def with_row(path: Path, at: int, **changes: object) -> None:
    """Change fields of a data row."""
    lines = path.read_text().splitlines()
    names, fields = lines[0].split(","), lines[at + 1].split(",")
    for name, value in changes.items():
        fields[names.index(name)] = str(value)
    lines[at + 1] = ",".join(fields)
    path.write_text("\n".join(lines) + "\n")


def damage(files_of: dict[str, Path]) -> None:
    """Something for every branch: bad values, broken lines, other securities, a number far from its double."""
    if "Transaction" in files_of:
        trades = files_of["Transaction"]
        with_row(trades, 31, TradVolume=-5)
        with_row(trades, 57, TradPrice="abc")
        with_row(trades, 80, SecurityID=510050)
        lines = trades.read_text().splitlines()
        trades.write_text("\n".join([*lines[:70], "1,2,3", *lines[70:], lines[5]]) + "\n")
        with_row(files_of["mdl_4_19_0"], 90, OrderTime="99:00:00")
    else:
        with_row(files_of["mdl_4_24_0"], 44, Qty=0)
    with_row(files_of["mdl_6_36_0"], 66, ExecType=99)
    with_row(files_of["mdl_6_33_0"], 12, OrderQty="x")
    orders = files_of["mdl_6_33_0"]
    lines = orders.read_text().splitlines()
    orders.write_text("\n".join([*lines[:20], lines[20] + ",", *lines[21:], lines[3]]) + "\n")


def parquet(files_of: dict[str, Path]) -> None:
    """The vendor's files as Parquet."""
    for path in files_of.values():
        names = path.read_text().splitlines()[0].split(",")
        table = pacsv.read_csv(path, pacsv.ReadOptions(column_names=[*names, "stray"][: len(names) + 1], skip_rows=1)
                               if "6_36" in path.name else None)  # fmt: skip
        pq.write_table(table.select(names), path.with_suffix(".parquet"), row_group_size=70)
        path.unlink()


def quarantine_of(day) -> pd.DataFrame:
    """Quarantine by file and row, its content as text: a block without a broken line is not read as text."""
    said = [{k: str(v) for k, v in json.loads(c).items()} for c in day.quarantine["content"]]
    frame = day.quarantine.drop(columns="content").assign(code=[c.get("code") for c in said])
    return frame.sort_values(["file", "row", "reason"], ignore_index=True)


@pytest.mark.parametrize("date", [DAY, MERGED])
@pytest.mark.parametrize("change", [lambda f: None, damage, parquet], ids=["clean", "damaged", "parquet"])
def test_pieces_give_what_the_whole_gives(tmp_path, in_pieces, date, change):
    change(exporter.exported(date, tmp_path / "raw", 300))
    source = TonglianSource(tmp_path / "raw")
    whole = source.load_day(date)
    assert set(whole) == set(TICKS)
    lakes = [Lake(tmp_path / n) for n in ("whole", "pieces", "frame")]
    for table, day in whole.items():
        assert len(list(day)) == 2  # one piece an exchange
        lakes[0].write(table, str(date), day.data, {"kept": 1})
        lakes[2].write(table, str(date), day.frame, {"kept": 1})
    in_pieces()
    for table, day in source.load_day(date).items():
        lakes[1].write(table, str(date), day.data, {"kept": 1})
        assert len(list(day)) >= 4
        pd.testing.assert_frame_equal(day.frame, whole[table].frame)
        pd.testing.assert_frame_equal(quarantine_of(day), quarantine_of(whole[table]))
        assert day.notes == whole[table].notes
        assert len(day) == day.rows == len(whole[table].frame)
        first, *others = (Path(lake.path(table, str(date))).read_bytes() for lake in lakes)
        assert [first == other for other in others] == [True, True]
    if change is damage and date == DAY:
        reasons = {t: sorted(whole[t].quarantine["reason"]) for t in TICKS}
        assert reasons["trades"][:3] == ["3 fields where the header has 14", "BizIndex occurs twice",
                                         "ExecType is an unknown code"]  # fmt: skip
        assert len(reasons["trades"]) == 5
        assert "ApplSeqNum occurs twice" in reasons["orders"]
        assert whole["orders"].notes["streams"]["sz_orders"]["rows_with_stray_commas"] == 1


def test_rows_set_aside_keep_their_place_in_the_file(tmp_path, in_pieces):
    path = exporter.exported(DAY, tmp_path, 300)["Transaction"]
    places = [3, 120, 230]
    for at in places:
        with_row(path, at, TradVolume=-1)
    in_pieces()
    assert path.stat().st_size > 5 * delimited.READ_BYTES
    assert TonglianSource(tmp_path).load("trades", DAY).quarantine["row"].tolist() == [at + 2 for at in places]


def test_a_damaged_end_is_met_before_anything_is_written(tmp_path, in_pieces):
    path = exporter.exported(DAY, tmp_path, 300)["Transaction"]
    packed = gzip.compress(path.read_bytes())
    path.unlink()
    path.with_suffix(".csv.gz").write_bytes(packed[: len(packed) * 3 // 4])
    in_pieces()
    with pytest.raises(SourceError, match=r"Transaction.csv.gz.*truncated"):
        TonglianSource(tmp_path).load("trades", DAY)


def test_a_stock_of_two_channels_leaves_the_old_partition(tmp_path, in_pieces):
    path = exporter.exported(DAY, tmp_path / "raw", 300)["Transaction"]
    lake, source = Lake(tmp_path / "lake"), TonglianSource(tmp_path / "raw")
    lake.write("trades", str(DAY), source.load("trades", DAY).data)
    before = lake.day("trades", str(DAY))
    with_row(path, 200, TradeChan=77)
    with pytest.raises(DataError, match=r"Transaction.csv.*channels .*77.*split the file"):
        source.load("trades", DAY)
    in_pieces()
    streamed = source.load("trades", DAY)  # the stock is looked at when its turn comes
    with pytest.raises(DataError, match=r"Transaction.csv.*channels .*77.*split the file"):
        lake.write("trades", str(DAY), streamed.data)
    pd.testing.assert_frame_equal(lake.day("trades", str(DAY)), before)


def test_a_full_disk_says_what_to_do(tmp_path, in_pieces, monkeypatch):
    exporter.exported(DAY, tmp_path, 300)
    in_pieces()

    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(external_sort.tempfile, "TemporaryFile", full)
    with pytest.raises(SourceError, match=r"No space left.*TMPDIR"):
        TonglianSource(tmp_path).load("trades", DAY)


def test_no_more_than_a_few_runs_are_in_memory(tmp_path, in_pieces):
    exporter.exported(DAY, tmp_path, 300)
    source = TonglianSource(tmp_path)
    day = source.load("trades", DAY)
    in_pieces()
    held = source.load("trades", DAY)
    assert max(len(p) for p in held) < len(day) / 2
    streams = {}
    source._parts("orders", DAY, streams)
    for stream in streams.values():
        assert stream.rows.on_disk
        assert all(c.values is None for run in stream.rows._runs for c in run.columns.values())
        assert max(int(run.offsets[-1]) for run in stream.rows._runs) < 40 + 60  # a run, and the block that filled it


def test_runs_are_a_stable_sort_by_stock(monkeypatch):
    rng = np.random.default_rng(1)
    code = rng.integers(1, 30, 5_000).astype(np.int32)
    columns = {
        "code": code,
        "seq": np.arange(5_000),
        "price": rng.random(5_000),
        "side": rng.integers(-1, 2, 5_000).astype(np.int8),
        "wide": rng.integers(-(1 << 40), 1 << 40, 5_000),
    }
    twin = pd.DataFrame(columns).sort_values("code", kind="stable")
    store = ExternalSort(run_rows=700)
    for first in range(0, 5_000, 333):
        store.add({k: v[first : first + 333] for k, v in columns.items()})
    store.close()
    codes, counts = store.stocks()
    assert dict(zip(codes.tolist(), counts.tolist(), strict=True)) == twin.groupby("code").size().to_dict()
    seen = []
    for low, high in ranges(codes, counts, 900):
        got = pd.DataFrame(store.between(low, high)).sort_values("code", kind="stable")
        assert len(got) <= 900
        seen.append(got)
    assert len(seen) > 4
    pd.testing.assert_frame_equal(pd.concat(seen, ignore_index=True), twin.reset_index(drop=True))
    assert len(store.between(100, 200)["price"]) == 0


def test_ranges_are_whole_stocks():
    codes, counts = np.array([1, 5, 6, 9]), np.array([10, 50, 3, 3])
    assert list(ranges(codes, counts, 13)) == [(1, 5), (5, 6), (6, 10)]
    assert list(ranges(codes, counts, 1_000)) == [(1, 10)]
    assert list(ranges(codes[:0], counts[:0], 10)) == []


def ticks(symbols: list[str], seq: list[int], null: int | None = None) -> pa.Table:
    n = len(symbols)
    frame = pd.DataFrame(
        {"symbol": symbols, "time": pd.Timestamp("2023-02-01 09:30"), "seq": seq, "price": 10.0, "volume": 100,
         "buy_order": 1, "sell_order": 2, "side": 1}
    )  # fmt: skip
    table = pa.Table.from_pandas(frame, preserve_index=False).cast(TRADES)
    mask = pa.array(np.arange(n) == (-1 if null is None else null))
    return table.set_column(3, "price", pa.array(frame["price"], mask=mask.to_numpy(zero_copy_only=False)))


@pytest.mark.parametrize(
    "late",
    [
        ticks(["600002.SH"] * 3, [1, 2, 3]),
        ticks(["600001.SH", "600002.SH"], [9, 1]),
        ticks(["600002.SH"] * 3, [1, 2, 3], null=1),
        ticks(["600002.SH"] * 3, [3, 2, 1]),
        ticks(["000001.SZ"] * 2, [1, 2]),
        ticks(["600001.SH"], [2], null=0),
        ticks([], []),
    ],
    ids=["in order", "goes on", "null", "numbers fall", "stocks fall", "both", "none"],
)
def test_a_file_written_in_pieces_has_the_bytes_of_the_whole(tmp_path, monkeypatch, late):
    monkeypatch.setattr("mg_assets.lake.parquet_layout.ROW_GROUP", 4)
    first = ticks(["600000.SH"] * 3 + ["600001.SH"] * 4, [1, 2, 3, 1, 2, 3, 4])
    parts = [first, late, ticks(["600003.SH"] * 2, [1, 2])]
    at_once, streamed = Lake(tmp_path / "whole"), Lake(tmp_path / "parts")
    at_once.write("trades", "2023-02-01", pa.concat_tables(parts), {"a": 1})
    streamed.write("trades", "2023-02-01", iter(parts), {"a": 1})
    whole, pieces = (Path(lake.path("trades", "2023-02-01")) for lake in (at_once, streamed))
    assert whole.read_bytes() == pieces.read_bytes()
    assert streamed.metadata("trades", "2023-02-01")["a"] == 1
    rows = [*first.to_pylist(), *late.to_pylist()]
    keys = [(r["symbol"], r["seq"]) for r in rows]
    assert (stocks_of(pq.read_metadata(pieces)) is not None) == (keys == sorted(keys))
    nulls = any(r["price"] is None for r in rows)
    assert pq.read_schema(pieces).field("price").nullable == nulls


def test_no_piece_at_all_is_refused(tmp_path):
    with pytest.raises(DataError, match="no rows and no columns"):
        Lake(tmp_path).write("trades", "2023-02-01", iter([]))
    assert not Lake(tmp_path).has("trades", "2023-02-01")


def test_an_error_between_pieces_leaves_nothing(tmp_path):
    def broken():
        yield ticks(["600000.SH"], [1])
        raise DataError("the second piece")

    with pytest.raises(DataError, match="second piece"):
        Lake(tmp_path).write("trades", "2023-02-01", broken())
    assert list(tmp_path.rglob("*.*arquet*")) == []


def test_pieces_go_to_an_object_store(tmp_path):
    parts = [ticks(["600000.SH"] * 2, [1, 2]), ticks(["600001.SH"], [1], null=0)]
    here, there = Lake(tmp_path / "here"), Lake(f"memory://{tmp_path.name}")
    for lake in (here, there):
        lake.write("trades", "2023-02-01", iter(parts))
    assert here.table("trades", "2023-02-01").equals(there.table("trades", "2023-02-01"))


def test_asset_reports_rows_and_quarantine_after_writing(tmp_path, in_pieces):
    damage(exporter.exported(DAY, tmp_path / "raw", 300))
    source = TonglianSource(tmp_path / "raw")
    expected = source.load_day(DAY)
    in_pieces()
    lake = Lake(tmp_path / "lake")
    for built in raw._load(CompositeSource([source]), TICKS, str(DAY)):
        assert not built.metadata
        lake.write(built.table, built.key, built.frame)
        ended = built.ended()
        assert ended.metadata["set_aside"] == len(ended.quarantine) == len(expected[built.table].quarantine) > 0
        assert ended.metadata["note: rows"] == str(len(ended.frame)) == str(lake.rows(built.table, built.key))
        pd.testing.assert_frame_equal(lake.day(built.table, built.key), expected[built.table].frame)


def test_ingest_reports_a_day_in_pieces_alike(tmp_path, in_pieces):
    damage(exporter.exported(DAY, tmp_path / "raw", 300))
    reports, kept = [], []
    for small in (False, True):
        if small:
            in_pieces()
        report, found = discover_files(tmp_path / "raw")
        lake = Lake(tmp_path / f"lake{small}")
        kept.append(lake)
        reports.append(
            ingest_days(report, found, open_sources(report), lambda s, t, k, d, lake=lake: lake.write(t, k, d.data))
        )
    assert reports[0].written == reports[1].written == {t: [str(DAY)] for t in TICKS}
    assert reports[0].rows == reports[1].rows
    for path, entry in reports[0].files.items():
        other = reports[1].files[path]
        assert (entry.rows, entry.others, entry.reasons) == (other.rows, other.others, other.reasons)
    for table in TICKS:
        first, other = (Path(lake.path(table, str(DAY))).read_bytes() for lake in kept)
        assert first == other


def test_a_frame_and_a_stream_offer_the_same(tmp_path):
    exporter.exported(DAY, tmp_path)
    streamed = TonglianSource(tmp_path).load("trades", DAY)
    day = SourceDay(streamed.frame, streamed.quarantine, streamed.notes)
    assert day.rows == streamed.rows
    assert day.data is day.frame
    assert streamed.data is streamed


def test_every_bad_row_of_a_bad_file_counts(tmp_path, in_pieces):
    path = exporter.exported(DAY, tmp_path, 300)["Transaction"]
    lines = path.read_text().splitlines()
    half = len(lines) // 2 + 5
    bad = [line.replace(",600", ",x600") for line in lines[1:half]]
    path.write_text("\n".join([lines[0], *(b.replace(",688", ",x688") for b in bad), *lines[half:]]) + "\n")
    with pytest.raises(DataError) as whole:
        TonglianSource(tmp_path).load("trades", DAY)
    in_pieces()
    with pytest.raises(MgError) as pieces:
        TonglianSource(tmp_path).load("trades", DAY)
    assert str(whole.value) == str(pieces.value)
    assert f"{half - 1} of {len(lines) - 1} rows are bad" in str(pieces.value)
