"""Every data line of a file is read, set aside, or left out by name: stray quotes, cut ends, words for numbers."""

import datetime as dt
import json
import tempfile
from pathlib import Path

import exported as files
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mutated_files import daily_files, data_lines, minute_files, qlib_files, snapshot_files

from mg_assets.errors import DataError, MgError, SourceError
from mg_assets.sources.daily.qlib import QlibSource
from mg_assets.sources.io import delimited
from mg_assets.sources.io.columns import FileData, WantedColumn
from mg_assets.sources.io.read_file import read_blocks, read_columns
from mg_assets.sources.io.row_count import require_all_rows
from mg_assets.sources.level2.snapshots import SnapshotSource
from mg_assets.sources.level2.tonglian import TonglianSource
from mg_assets.sources.mapped.source import MappedSource

DAY = dt.date(2023, 2, 1)
WANTED = {"a": WantedColumn(("a",), "int"), "b": WantedColumn(("b",), "text")}


def put(root, contents):
    for name, data in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def changed(contents, name, edit):
    """The files, one of them with its lines edited."""
    lines = contents[name].decode().splitlines()
    return {**contents, name: ("\n".join(edit(lines)) + "\n").encode()}


def with_cell(row, column, value):
    def edit(lines):
        cells = lines[row + 1].split(",")
        cells[lines[0].split(",").index(column)] = value
        return [*lines[: row + 1], ",".join(cells), *lines[row + 2 :]]

    return edit


@pytest.fixture(scope="module")
def level2(tmp_path_factory):
    root = tmp_path_factory.mktemp("level2")
    paths = files.exported(DAY, root)
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in paths.values()}


@pytest.mark.parametrize("column", ["SeqNo", "LocalTime", "MDStreamID", "DataStatus"])
def test_a_stray_quote_in_an_unneeded_field_loses_no_row(tmp_path, level2, column):
    """In the last column it takes in all rows that follow, and theirs is a row of the right width."""
    streams = ("Transaction", "mdl_6_36")
    name = next(n for s in streams for n, d in level2.items() if s in n and column in d.decode().splitlines()[0])
    clean = TonglianSource(put(tmp_path / "clean", level2)).load("trades", DAY)
    lines = level2[name].decode().splitlines()
    cells = lines[101].split(",")
    value = f'"{cells[lines[0].split(",").index(column)]}'
    damaged = changed(level2, name, with_cell(100, column, value))
    loaded = TonglianSource(put(tmp_path / "damaged", damaged)).load("trades", DAY)
    pd.testing.assert_frame_equal(loaded.frame, clean.frame)
    assert len(loaded.quarantine) == 0


def test_a_stray_quote_in_a_needed_field_sets_one_row_aside(tmp_path, level2):
    damaged = changed(level2, "20230201/Transaction.csv", with_cell(100, "TradVolume", '"100'))
    clean = TonglianSource(put(tmp_path / "clean", level2)).load("trades", DAY)
    loaded = TonglianSource(put(tmp_path / "damaged", damaged)).load("trades", DAY)
    assert len(loaded.frame) == len(clean.frame) - 1
    assert loaded.quarantine[["row", "reason"]].to_numpy().tolist() == [[102, "TradVolume is no number"]]


@pytest.mark.parametrize("read_bytes", [64, 1000, 1 << 23])
def test_quotes_around_fields_are_read_fast(tmp_path, monkeypatch, read_bytes):
    monkeypatch.setattr(delimited, "_read_text", None)
    monkeypatch.setattr(delimited, "READ_BYTES", read_bytes)
    path = put(tmp_path, {"x.csv": b"a,b\n" + b'"1","x,y"\n' * 500}) / "x.csv"
    parts = list(read_blocks(path, WANTED))
    assert sum(len(p.table) for p in parts) == 500
    assert {v for p in parts for v in p.table["b"].to_pylist()} == {"x,y"}


@pytest.mark.parametrize("blank", [b"\n", b"\r\n\r\n", b"\xef\xbb\xbf\n"])
def test_blank_lines_before_the_header_are_passed_over(tmp_path, blank):
    path = put(tmp_path, {"x.csv": blank + b"a,b\n1,x\n\n2,y\n"}) / "x.csv"
    data = read_columns(path, WANTED)
    assert data.table["a"].to_pylist() == [1, 2]
    assert data.broken == []


def test_a_cut_last_field_is_set_aside_where_it_is_needed(tmp_path):
    columns = {"a": WANTED["a"], "c": WantedColumn(("c",), "int")}
    for end, kept in ((b"3,y,10\n", 2), (b"3,y,10", 1), (b"3,y,10,", 2)):
        path = put(tmp_path, {"x.csv": b"a,b,c\n1,x,1250\n" + end}) / "x.csv"
        data = read_columns(path, columns)
        assert len(data.table) == kept
        assert [(row, line) for row, line in zip(data.broken_rows[0], data.broken_rows[2], strict=True)] == (
            [(3, "3,y,10")] if kept == 1 else []
        )
        assert all("the value may be cut" in reason for _, reason, _ in data.broken)
    path = put(tmp_path, {"x.csv": b"a,b,c\n1,x,1250\n3,y,10"}) / "x.csv"
    assert len(read_columns(path, WANTED).table) == 2  # the cut field is not needed


def test_bytes_of_no_encoding_invalidate_their_cell_only(tmp_path):
    text = "a,b\n1,贵州\n2,".encode() + b"\xff\xfe" + "茅台\n3,平安\n".encode()
    data = read_columns(put(tmp_path, {"x.csv": text}) / "x.csv", WANTED)
    assert data.table["b"].to_pylist() == ["贵州", "\ufffd\ufffd茅台", "平安"]


def test_lines_that_are_not_accounted_for_raise_with_counts(tmp_path, monkeypatch):
    path = put(tmp_path, {"x.csv": b"a,b\n1,x\n2,y\n3,z\n"}) / "x.csv"
    monkeypatch.setattr(delimited, "_typed_table", lambda *_: None)
    monkeypatch.setattr(delimited, "count_lines", lambda block: 4)
    with pytest.raises(SourceError, match=r"x\.csv: of 4 lines 3 were read and 0 set aside"):
        read_columns(path, WANTED)
    require_all_rows("x.csv", 5, read=3, set_aside=1, other_securities=1)
    with pytest.raises(SourceError, match=r"x\.csv: 5 data lines, but 4 .* \(3 read, 1 set aside\)"):
        require_all_rows("x.csv", 5, read=3, set_aside=1)


ANY_LINE = st.text(alphabet='0123456789x,."\0\r;\t -', max_size=12)
ROW = st.builds(
    "{},{}".format, st.sampled_from([1, 20, "x", '"3"', '"4']), st.sampled_from(["x", '"x', 'x"', '"x,y"', '"', ""])
)
LINES = st.lists(st.one_of(ROW, ROW, ANY_LINE), max_size=30)


@settings(max_examples=300, deadline=None)
@example(["1,x", ',"\r,'], "\n", False, 40)  # a quote that takes in the CR which ends its line
@given(
    LINES,
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    st.booleans(),
    st.sampled_from([40, 200, 1 << 20]),
)
def test_every_line_of_any_text_is_read_or_set_aside(lines, end, ended, read_bytes):
    data = b"a,b\n" + end.join(lines).encode() + (end.encode() if ended else b"")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_bytes(data)
        before, delimited.READ_BYTES = delimited.READ_BYTES, read_bytes
        try:
            parts = list(read_blocks(path, WANTED))
        except MgError as error:
            refused = str(error)
        else:
            refused = ""
        finally:
            delimited.READ_BYTES = before
    if refused:
        assert str(path) in refused
        return
    numbers = [int(n) for p in parts for n in (*p.row_numbers(np.arange(len(p.table))), *p.broken_rows[0])]
    assert sorted(numbers) == [n for n, line in enumerate(data.splitlines(), 1) if line and n > 1]


def test_a_header_alone_is_an_error_that_names_the_file(tmp_path, level2):
    tables = {"trades": (level2, "20230201/Transaction.csv", lambda r: TonglianSource(r).load("trades", DAY)),
              "daily": (daily_files(), "daily.csv", lambda r: MappedSource("tushare", r).days()),
              "minute": (minute_files(), "stk_mins.csv", lambda r: MappedSource("minute_tushare", r).days()),
              "snapshots": (snapshot_files(), "20230201/MarketData.csv",
                            lambda r: SnapshotSource(r).load("snapshots", DAY))}  # fmt: skip
    for kind, (contents, name, read) in tables.items():
        root = put(tmp_path / kind, changed(contents, name, lambda lines: lines[:1]))
        with pytest.raises(DataError, match=f"(?s){Path(name).name}.*a header and no rows"):
            read(root)


@pytest.mark.parametrize("column", ["vol", "open", "pre_close", "amount"])
def test_a_word_for_a_daily_number_sets_its_row_aside(tmp_path, column):
    source = MappedSource("tushare", put(tmp_path, changed(daily_files(), "daily.csv", with_cell(7, column, "many"))))
    loaded = [source.load("daily_bars", d) for d in source.days()]
    bad = pd.concat([d.quarantine for d in loaded])
    assert bad["row"].tolist() == [9]
    assert bad["reason"].str.endswith("is no number").all()
    named = bad["reason"].iloc[0].split()[0]
    assert json.loads(bad["content"].iloc[0])[named] == "many"
    assert sum(len(d.frame) for d in loaded) == 47


def test_words_are_kept_of_each_block_of_a_file():
    """A large file is read in blocks, which keep no text together."""
    number = pa.table({"close": pa.array([1.0, None])})
    text = pa.table({"close": pa.array(["1", "n/a"])})
    parts = [FileData("f", number, unparsed={"close": np.array([False, True])}, text=text, first=at) for at in (2, 4)]
    assert delimited.joined(parts).words == {3: {"close": "n/a"}, 5: {"close": "n/a"}}


@pytest.mark.parametrize(("before", "between", "line"), [(0, 0, 9), (2, 0, 11), (0, 1, 10), (1, 3, 13)])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("block", [400, 1 << 20])
def test_a_row_set_aside_has_its_line_and_its_text(tmp_path, monkeypatch, before, between, line, end, block):
    monkeypatch.setattr(delimited, "WHOLE_BYTES", block)
    contents = changed(daily_files(), "daily.csv", with_cell(7, "trade_date", "soon"))
    head, *rows = contents["daily.csv"].decode().splitlines()
    lines = [*[""] * before, head, *rows[:4], *[""] * between, *rows[4:], ""]
    source = MappedSource("tushare", put(tmp_path, {**contents, "daily.csv": end.join(lines).encode()}))
    (bad,) = pd.concat([source.load("daily_bars", d).quarantine for d in source.days()]).to_dict("records")
    assert (bad["row"], bad["reason"], json.loads(bad["content"])["date"]) == (line, "date is not readable", "soon")
    assert lines[line - 1].split(",")[1] == "soon"


def test_words_in_a_table_beside_the_daily_bars_are_named(tmp_path):
    contents = changed(daily_files(), "adj_factor.csv", with_cell(3, "adj_factor", "many"))
    contents = changed(contents, "adj_factor.csv", with_cell(5, "trade_date", "soon"))
    source = MappedSource("tushare", put(tmp_path, contents))
    bad = pd.concat([source.load("daily_bars", d).quarantine for d in source.days()])
    assert sorted(zip(bad["row"], bad["reason"], strict=True)) == [
        (5, "adj_factor is no number"), (7, "date is not readable")
    ]  # fmt: skip
    assert bad["file"].str.endswith("adj_factor.csv").all()
    assert json.loads(bad.set_index("row")["content"][7])["date"] == "soon"
    assert json.loads(bad.set_index("row")["content"][5])["adj_factor"] == "many"


def test_unusable_rows_of_reference_tables_are_named(tmp_path):
    contents = daily_files() | {"hs300.csv": b"code,from,to\n600000.SH,20230101,\nx,20230101,\n000001.SZ,soon,\n"}
    config = tmp_path / "mine.yaml"
    config.write_text(
        "name: mine\ndaily:\n  files: daily.csv\n  columns: {date: trade_date, symbol: ts_code, open: open, high: high,"
        " low: low, close: close, volume: vol}\nmembership:\n  csi300: {files: hs300.csv, columns: {symbol: code,"
        " start: from, end: to}}\n"
    )
    source = MappedSource(config, put(tmp_path, contents))
    bad = source.load("reference", source.days()[0]).quarantine
    assert bad[["row", "reason"]].to_numpy().tolist() == [[3, "symbol is not readable"], [4, "start is no date"]]
    assert len(source.load("daily_bars", source.days()[0]).quarantine) == 0


def test_minute_rows_of_another_day_are_set_aside(tmp_path):
    contents = changed(minute_files(), "stk_mins.csv", with_cell(9, "trade_time", "2023-02-07 09:31:00"))
    root = put(tmp_path / "file", {"20230201.csv": contents["stk_mins.csv"]})
    with pytest.raises(DataError, match=r"20230201\.csv: 483 of 1446 minute rows are bad .* 'time is on another day'"):
        MappedSource("minute_tushare", root).load("minute_bars", DAY)
    first_day = changed(contents, "stk_mins.csv", lambda lines: [x for x in lines if "2023-02-02" not in x])
    day = MappedSource("minute_tushare", put(tmp_path / "day", {"20230201.csv": first_day["stk_mins.csv"]}))
    loaded = day.load("minute_bars", DAY)
    assert loaded.quarantine[["row", "reason"]].to_numpy().tolist() == [[11, "time is on another day"]]
    assert loaded.notes["rows_of_other_securities"] == 241


def test_a_qlib_day_with_volume_and_no_close_is_set_aside(tmp_path):
    contents = qlib_files()
    name = "features/sh600000/close.day.bin"
    values = np.frombuffer(contents[name], "<f4").copy()
    values[[1, -1]] = np.nan  # the first and the last day: no gap inside
    source = QlibSource(put(tmp_path, {**contents, name: values.tobytes(), "features/csi300/close.day.bin": b""}))
    bad = pd.concat([source.load("daily_bars", d).quarantine for d in source.days()])
    assert bad["row"].tolist() == [1, 40]
    assert bad["reason"].eq("a price is missing on a day with volume").all()
    notes = source.load("daily_bars", source.days()[0]).notes
    assert notes["folders_that_are_no_symbol"] == "1: csi300"


def test_status_rows_and_other_securities_are_counted(tmp_path):
    paths = files.exported(dt.date(2023, 11, 27), tmp_path)
    path = paths["mdl_4_24_0"]
    status = int((pd.read_csv(path)["Type"] == "S").sum())
    stream = TonglianSource(tmp_path).load("trades", dt.date(2023, 11, 27)).notes["streams"]["sh_merged"]
    assert stream["status_rows"] == status > 0
    assert stream["rows"] == data_lines(path.read_bytes())


@pytest.mark.parametrize("date", ["2023-82-02", "2023-02-30", "2023-00-02", "0000-02-02"])
def test_a_minute_of_a_day_that_there_is_not_is_set_aside(tmp_path, date):
    edit = with_cell(300, "trade_time", f"{date} 13:20:00")
    source = MappedSource("minute_tushare", put(tmp_path, changed(minute_files(), "stk_mins.csv", edit)))
    loaded = [source.load("minute_bars", d) for d in source.days().tolist()]
    aside = pd.concat([d.quarantine for d in loaded])
    assert aside["reason"].tolist() == ["time is on another day"]
    assert date in aside["content"].iloc[0]
    assert sum(d.notes["rows_read"] for d in loaded) == data_lines(minute_files()["stk_mins.csv"])
