"""Files of TongDaXin, vnpy, QUANTAXIS, tushare, JoinQuant and RiceQuant: recognised by their content, read to the lake.

Each kind holds the same stocks and days (:mod:`program_files`), so each has the same bars but for what it does not say.
"""

import datetime as dt
import json
import pickle
import sqlite3
import struct
import sys

import numpy as np
import pandas as pd
import program_files as files
import pytest

from mg_assets.errors import DataError, MgError, SourceError
from mg_assets.ingest import discover_files, ingest_days, open_sources
from mg_assets.lake.store import Lake
from mg_assets.sources import build_source
from mg_assets.sources.mapped.source import MappedSource

BARS = files.daily_bars()
MINUTES = pd.concat([
    files.minute_bars("600000.SH", "2023-01-03", 10.0), files.minute_bars("600000.SH", "2023-01-04", 10.2),
    files.minute_bars("000001.SZ", "2023-01-04", 13.0),
])  # fmt: skip
PRICES = ["open", "high", "low", "close"]


def ingested(folder, tmp_path):
    """The lake of an ingested folder, and the report."""
    report, found = discover_files(folder)
    lake = Lake(tmp_path / "lake")
    notes = {}

    def write(source, table, key, loaded):
        lake.write(table, key, loaded.data, {})
        notes[table, key] = loaded.notes
        assert not len(loaded.quarantine)

    ingest_days(report, found, open_sources(report), write)
    assert not report.failed, [f.error for f in report.failed]
    assert not report.unwritten
    return lake, report, notes


def named(options):
    """Names of the stocks, from the source that the options of an ingest give."""
    return build_source(options["kind"], {k: v for k, v in options.items() if k != "kind"}).stock_names()


def history(lake):
    days = {key: lake.day("daily_bars", key) for key in lake.keys("daily_bars")}
    return pd.concat([d.assign(date=key) for key, d in days.items()]).set_index(["symbol", "date"]).sort_index()


def require_bars(lake, amount_digits=2):
    """The bars of program_files, each in yuan and shares, and a suspended day in between."""
    assert lake.keys("daily_bars") == files.DAYS
    have, want = history(lake), BARS.set_index(["symbol", "date"]).sort_index()
    halted = have.drop(want.index)
    assert list(halted.index) == [files.SUSPENDED]
    assert halted[["close", "volume", "suspended"]].values.tolist() == [[13.10, 0, True]]
    have = have.loc[want.index]
    assert not have["suspended"].any()
    assert have[PRICES].equals(want[PRICES])
    assert (have["volume"] == want["volume"]).all()
    assert np.allclose(have["amount"], want["amount"], rtol=10.0**-amount_digits, atol=0)
    return have


def require_st(have):
    st = have["st"].unstack("symbol")["000001.SZ"].dropna()
    assert st[st.astype(bool)].index.tolist() == ["2023-01-06", "2023-01-09", "2023-01-10"]
    assert have["st"].sum() == 3


def require_factor_and_limits(have):
    want = BARS.set_index(["symbol", "date"]).sort_index()
    assert np.allclose(have["adj_factor"], want["adj_factor"])
    assert have.loc[("600000.SH", "2023-01-06"), "prev_close"] == 10.00
    known = want["up_limit"].notna()
    for limit in ("up_limit", "down_limit"):
        assert have.loc[known, limit].equals(want.loc[known, limit]), limit
    assert have.loc[("300750.SZ", "2023-01-04"), ["close", "up_limit"]].tolist() == [120.0, 120.0]


def require_weights(lake):
    """Weights and members of the two dates; none of an index that is not in the files."""
    before, after = (lake.day("reference", d).set_index("symbol") for d in ("2023-01-06", "2023-01-09"))
    weights = before["csi300_weight"].round(12).to_dict(), after["csi300_weight"].round(12).to_dict()
    assert weights[0] == {"600000.SH": 0.6, "000001.SZ": 0.4, "300750.SZ": 0, "688981.SH": 0}
    assert weights[1] == {"600000.SH": 0.3, "000001.SZ": 0, "300750.SZ": 0.7, "688981.SH": 0}
    assert after.index[after["csi300_member"]].tolist() == ["300750.SZ", "600000.SH"]
    assert after.index[after["csi500_member"]].tolist() == ["688981.SH"]
    assert after["csi1000_weight"].isna().all()
    assert not after["csi1000_member"].any()


def require_minutes(lake):
    assert lake.keys("minute_bars") == ["2023-01-03", "2023-01-04"]
    want = MINUTES.assign(minute=np.tile(np.arange(240), 3)).set_index(["symbol", "minute"])
    for key in lake.keys("minute_bars"):
        have = lake.day("minute_bars", key).set_index(["symbol", "minute"])
        mine = want[want["time"].dt.strftime("%Y-%m-%d") == key].sort_index()
        assert have[PRICES].equals(mine[PRICES])
        assert (have["volume"] == mine["volume"]).all()
        assert np.allclose(have["amount"], mine["amount"], rtol=1e-6)


# ---------------------------------------------------------------- TongDaXin


def vipdoc(folder):
    index = BARS[BARS["symbol"] == "600000.SH"].assign(symbol="000001.SH")
    files.tdx_days(folder / "vipdoc", pd.concat([BARS, index]))
    files.tdx_minutes(folder / "vipdoc", MINUTES)
    return folder


def test_tdx_days_and_minutes_reach_the_lake(tmp_path):
    lake, report, notes = ingested(vipdoc(tmp_path / "tdx"), tmp_path)
    require_bars(lake, amount_digits=6)  # single precision
    require_minutes(lake)
    what = {p.name: (f.what, f.rows, f.others) for p, f in report.files.items()}
    assert what["sh600000.day"] == ("tdx daily", 6, 0)
    assert what["sh000001.day"] == ("tdx daily", 6, 6), "an index is no stock"
    assert what["sh600000.lc1"] == ("minute_tdx minute", 480, 0)
    assert "000001.SH" not in set(history(lake).index.get_level_values("symbol"))
    absent = set(notes["daily_bars", "2023-01-06"]["absent_columns"])
    assert {"adj_factor", "st", "float_shares", "num_trades"} <= absent
    assert history(lake).loc[("600000.SH", "2023-01-06"), "adj_factor"] == 1.0


def test_tdx_days_far_apart_are_read_alone(tmp_path, monkeypatch):
    folder = vipdoc(tmp_path / "tdx")
    source = MappedSource("minute_tdx", folder)
    rows = source._minute_rows(dt.date(2023, 1, 3))
    assert len(rows.date) == 240, "the other day's rows are not in memory"
    before = (
        source.fingerprint("minute_bars", dt.date(2023, 1, 3)),
        source.fingerprint("minute_bars", dt.date(2023, 1, 4)),
    )
    path = folder / "vipdoc" / "sz" / "minline" / "sz000001.lc1"
    raw = path.read_bytes()
    path.write_bytes(raw + raw[-32:])
    again = MappedSource("minute_tdx", folder)
    after = again.fingerprint("minute_bars", dt.date(2023, 1, 3)), again.fingerprint("minute_bars", dt.date(2023, 1, 4))
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert again.load("minute_bars", dt.date(2023, 1, 4)).quarantine["reason"].tolist() == [
        "the stock has this minute twice"
    ]


def test_a_tdx_record_without_a_date_is_set_aside(tmp_path):
    folder = vipdoc(tmp_path / "tdx")
    path = folder / "vipdoc" / "sh" / "minline" / "sh600000.lc1"
    odd = [(19 * 2048 + 230, 600), (19 * 2048 + 104, 60_000)]  # the 30th of February, and after midnight
    records = [struct.pack("<HHfffffII", *stamp, *[10.0] * 4, 1e3, 100, 0) for stamp in odd]
    path.write_bytes(path.read_bytes() + b"".join(records))
    source = MappedSource("minute_tdx", folder)
    aside = source.load("minute_bars", dt.date(2023, 1, 3)).quarantine
    assert aside[["row", "reason"]].values.tolist() == [
        [481, "time is no time of a trading minute"], [482, "time is no time of a trading minute"],
    ]  # fmt: skip
    assert not len(source.load("minute_bars", dt.date(2023, 1, 4)).quarantine)


def test_five_minute_and_cut_tdx_files_are_refused(tmp_path):
    folder = tmp_path / "tdx"
    files.tdx_days(folder, BARS)
    files.tdx_minutes(folder, MINUTES, "lc5")
    (folder / "ds" / "lday").mkdir(parents=True)
    (folder / "ds" / "lday" / "47#IF300.day").write_bytes(b"\0" * 32)
    cut = folder / "sz" / "lday" / "sz300750.day"
    cut.write_bytes(cut.read_bytes()[:-5])
    report, _ = discover_files(folder)
    errors = {p.name: f.error for p, f in report.files.items() if f.error}
    assert "bars of 5 minutes" in errors.pop("sh600000.lc5")
    assert "bars of 5 minutes" in errors.pop("sz000001.lc5")
    assert "no whole records of 32" in errors.pop("sz300750.day")
    assert not errors
    assert report.files[folder / "ds" / "lday" / "47#IF300.day"].skipped


# --------------------------------------------------------------------- vnpy


INDEX = ("000001", "SSE", "2023-01-03 00:00:00", "d", 1e6, 1e9, 0.0, 3100.0, 3110.0, 3090.0, 3100.0)


def test_vnpy_database_gives_both_intervals(tmp_path):
    rows = files.vnpy_rows(BARS, "d") + files.vnpy_rows(MINUTES, "1m") + [INDEX]
    files.vnpy_database(tmp_path / "vnpy" / "database.db", rows)
    lake, report, notes = ingested(tmp_path / "vnpy", tmp_path)
    require_bars(lake)
    require_minutes(lake)
    assert notes["daily_bars", "2023-01-06"]["rows_of_other_securities"] == 1, "the index is not 000001.SZ"
    (entry,) = report.files.values()
    assert set(entry.what.split()[1].split("+")) == {"daily", "minute"}


def test_vnpy_csv_is_daily_or_minute_by_its_clock(tmp_path):
    for kind, bars in (("d", BARS), ("1m", MINUTES)):
        for symbol, rows in bars.groupby("symbol"):
            name = f"{symbol[:6]}_{files.EXCHANGES[symbol[7:]]}.csv"
            files.vnpy_csv(tmp_path / "vnpy" / kind / name, rows, kind)
    lake, report, _ = ingested(tmp_path / "vnpy", tmp_path)
    require_bars(lake)
    require_minutes(lake)
    assert {f.what for f in report.files.values()} == {"vnpy daily", "minute_vnpy minute"}


@pytest.mark.parametrize("form", ["epoch", "zone"])
def test_stamps_in_any_form_are_days_or_minutes(tmp_path, form):
    for kind, bars in (("d", BARS), ("1m", MINUTES)):
        path = tmp_path / "vnpy" / kind / "bars.csv"
        files.vnpy_csv(path, bars, kind)
        frame = pd.read_csv(path, dtype={"symbol": str})
        stamps = pd.to_datetime(frame["datetime"]).dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC")
        frame["datetime"] = stamps.dt.as_unit("ms").astype("int64") if form == "epoch" else stamps.astype(str)
        frame.to_csv(path, index=False)
    lake, report, _ = ingested(tmp_path / "vnpy", tmp_path)
    require_bars(lake)
    require_minutes(lake)
    assert {f.what for f in report.files.values()} == {"vnpy daily", "minute_vnpy minute"}


def test_odd_rows_of_a_database_are_set_aside(tmp_path):
    path = tmp_path / "vnpy" / "database.db"
    odd = [
        ("600000", "SSE", "2023-02-30 09:30:00", "1m", 100.0, 1e3, 0.0, 10.0, 10.0, 10.0, 10.0),
        ("600000", "SSE", "2023-01-04 20:30:00", "1m", 100.0, 1e3, 0.0, 10.0, 10.0, 10.0, 10.0),
        ("300750", "SZSE", "2023-01-04 09:30:00", "1m", "many", 1e3, 0.0, 100.0, 100.0, 100.0, 100.0),
    ]
    files.vnpy_database(path, files.vnpy_rows(MINUTES, "1m") + odd)
    source = build_source("mapped", {"config": "minute_vnpy", "root": path.parent})
    first, second = (source.load("minute_bars", d).quarantine for d in source.days().tolist())
    assert len(first) == 1
    assert "2023-02-30" in first["content"][0]
    assert sorted(second["reason"]) == ["time is no time of a trading minute", "volume is no number"]
    assert json.loads(second.set_index("reason")["content"]["volume is no number"])["volume"] == "many"


def test_a_database_of_something_else_is_skipped(tmp_path):
    with sqlite3.connect(tmp_path / "notes.db") as database:
        database.execute("CREATE TABLE notes (text)")
    database.close()
    (tmp_path / "broken.sqlite").write_bytes(b"SQLite format 3\0" + b"\1" * 500)
    report, _ = discover_files(tmp_path)
    assert report.files[tmp_path / "notes.db"].skipped
    assert "cannot be read as an SQLite database" in report.files[tmp_path / "broken.sqlite"].error


# ------------------------------------------------------ QUANTAXIS and services


def test_quantaxis_lots_and_shares_reach_the_lake(tmp_path):
    files.quantaxis(tmp_path / "qa", BARS, MINUTES)
    lake, _, notes = ingested(tmp_path / "qa", tmp_path)
    have = require_bars(lake)
    require_minutes(lake)
    want = BARS.set_index(["symbol", "date"]).sort_index()
    assert np.allclose(have["adj_factor"], want["adj_factor"])
    assert notes["minute_bars", "2023-01-03"]["rows_of_other_kinds"] == len(MINUTES) // 5, "5min bars are left out"
    report, _ = discover_files(tmp_path / "qa", "minute_quantaxis")
    assert report.options["files"] == {"minute": "stock_min.csv"}


def test_tushare_tables_of_a_folder_are_one_source(tmp_path):
    files.tushare(tmp_path / "tushare", BARS)
    lake, report, notes = ingested(tmp_path / "tushare", tmp_path)
    have = require_bars(lake)
    require_factor_and_limits(have)
    require_st(have)
    require_weights(lake)
    assert set(report.options["files"]) == {
        "daily", "more.0", "more.2", "suspensions", "st_ranges", "listing",
        "weights.csi300", "weights.csi500", "weights.csi1000",
    }  # fmt: skip
    assert named(report.options) == files.NAMES
    listed = lake.day("reference", "2023-01-06").set_index("symbol")["list_date"]
    assert listed.astype("str").to_dict() == files.LISTED
    assert notes["daily_bars", "2023-01-06"]["suspended_days_added"] == 1
    absent = set(notes["reference", "2023-01-06"]["absent_columns"])
    assert {"csi1000_weight", "float_shares", "industry", "delist_date"} <= absent
    assert not {"csi300_weight", "csi300_member", "st", "up_limit", "adj_factor", "list_date"} & absent


def test_tables_by_day_and_by_index_are_one_source(tmp_path):
    whole, split = tmp_path / "whole", tmp_path / "split"
    files.tushare(whole, BARS)
    for name in ("daily", "adj_factor", "stk_limit", "suspend_d", "index_weight"):
        frame = pd.read_csv(whole / f"{name}.csv", dtype=str)
        for key, rows in frame.groupby("index_code" if name == "index_weight" else "trade_date"):
            (split / name).mkdir(parents=True, exist_ok=True)
            rows.to_csv(split / name / f"{key}.csv", index=False)
    for name in ("namechange", "stock_basic"):
        (whole / f"{name}.csv").rename(split / f"{name}.csv")
    lake, report, _ = ingested(split, tmp_path)
    have = require_bars(lake)
    require_factor_and_limits(have)
    require_st(have)
    require_weights(lake)
    (split / "stock_basic.csv").rename(split / "basic.csv")
    moved = MappedSource("tushare", split, {"listing": "basic.csv"})
    assert moved.stock_names() == files.NAMES, "names are in the listing's file, wherever that lies"
    assert report.options["files"]["suspensions"] == "suspend_d/{date}.csv"
    assert report.options["files"]["weights.csi500"] == "index_weight/000905.SH.csv"


def test_an_index_in_two_forms_of_its_code_counts_once(tmp_path):
    files.tushare(tmp_path, BARS)
    weights = pd.read_csv(tmp_path / "index_weight.csv", dtype=str)
    again = weights[weights["index_code"] == "000300.SH"].assign(index_code="399300.SZ")
    pd.concat([weights, again]).to_csv(tmp_path / "index_weight.csv", index=False)
    reference = MappedSource("tushare", tmp_path).load("reference", dt.date(2023, 1, 9)).frame
    assert reference["csi300_weight"].sum() == pytest.approx(1)


def test_joinquant_tables_of_a_folder_are_one_source(tmp_path):
    files.joinquant(tmp_path / "jq", BARS)
    lake, report, notes = ingested(tmp_path / "jq", tmp_path)
    have = require_bars(lake)
    require_factor_and_limits(have)
    require_st(have)
    require_weights(lake)
    assert named(report.options) == files.NAMES
    assert report.files[tmp_path / "jq" / "extras_is_st.csv"].rows == len(files.DAYS) * len(files.CLOSES)
    assert {"float_shares", "industry"} <= set(notes["reference", "2023-01-06"]["absent_columns"])


@pytest.mark.parametrize("asked", ["fq=None", "fq=post"])
def test_a_joinquant_factor_in_the_bars_counts_unless_1(tmp_path, asked):
    files.joinquant(tmp_path, BARS)
    bars = pd.read_csv(tmp_path / "daily.csv")
    factor = pd.read_csv(tmp_path / "factor.csv")["factor"]
    bars.assign(factor=1.0 if asked == "fq=None" else factor.to_numpy()).to_csv(tmp_path / "daily.csv", index=False)
    (tmp_path / "factor.csv").unlink()
    loaded = MappedSource("joinquant", tmp_path).load("daily_bars", dt.date(2023, 1, 9))
    known = asked == "fq=post"
    assert ("adj_factor" in loaded.notes["absent_columns"]) == (not known)
    assert loaded.frame.set_index("symbol").loc["600000.SH", "adj_factor"] == (files.STEP if known else 1)


def test_days_without_st_flags_are_said_to_be_unknown(tmp_path):
    files.joinquant(tmp_path, BARS)
    flags = pd.read_csv(tmp_path / "extras_is_st.csv", index_col=0)
    flags.iloc[2:].to_csv(tmp_path / "is_st.csv")
    (tmp_path / "extras_is_st.csv").unlink()
    loaded = MappedSource("joinquant", tmp_path).load("daily_bars", dt.date(2023, 1, 9))
    assert "rows of days that its table lacks" in loaded.notes["st_unknown"]
    assert loaded.frame.set_index("symbol")["st"].to_dict()["000001.SZ"]


# ---------------------------------------------------------------- RiceQuant


@pytest.mark.parametrize("whole_prices", [False, True])
def test_a_ricequant_bundle_reaches_the_lake(tmp_path, whole_prices):
    files.ricequant(tmp_path / "bundle", BARS, whole_prices)
    lake, report, notes = ingested(tmp_path / "bundle", tmp_path)
    have = require_bars(lake)
    require_factor_and_limits(have)
    require_st(have)
    first = history(lake).loc[("600000.SH", "2023-01-03")]
    assert np.isnan(first[["up_limit", "down_limit"]].astype(float)).all(), "0 is no limit"
    reference = lake.day("reference", "2023-01-06").set_index("symbol")
    assert reference["list_date"].astype("str").to_dict() == files.LISTED
    assert reference["industry"].dropna().to_dict() == {"600000.SH": "货币金融服务", "000001.SZ": "货币金融服务"}
    assert report.options == {"kind": "ricequant", "root": str(tmp_path / "bundle")}
    assert named(report.options) == files.NAMES
    noted = notes["reference", "2023-01-06"]
    assert noted["datasets_of_other_securities"] == "1: 510300.XSHG"
    assert {"csi300_member", "float_shares", "delist_date"} <= set(noted["absent_columns"])


def test_dividends_and_splits_stand_in_for_the_factor(tmp_path):
    files.ricequant(tmp_path, BARS)
    (tmp_path / "ex_cum_factor.h5").unlink()
    source = build_source("ricequant", {"root": tmp_path})
    bars = {d: source.load("daily_bars", d).frame.set_index("symbol") for d in source.days().tolist()}
    ex_day = bars[dt.date(2023, 1, 6)].loc["600000.SH"]
    assert ex_day["prev_close"] == 10.00
    assert ex_day["adj_factor"] == pytest.approx(files.STEP)
    assert bars[dt.date(2023, 1, 5)].loc["600000.SH", "adj_factor"] == 1


class Payload:
    def __reduce__(self):
        return print, ("loaded",)


def test_a_pickle_that_names_code_is_not_loaded(tmp_path, capsys):
    files.ricequant(tmp_path, BARS)
    (tmp_path / "instruments.pk").write_bytes(pickle.dumps([{"order_book_id": Payload()}], protocol=2))
    loaded = build_source("ricequant", {"root": tmp_path}).load("reference", dt.date(2023, 1, 6))
    assert "it names" in loaded.notes["instruments_left_out"]
    assert {"list_date", "industry"} <= set(loaded.notes["absent_columns"])
    assert capsys.readouterr().out == ""


def test_a_bundle_without_h5py_names_the_extra(tmp_path, monkeypatch):
    files.ricequant(tmp_path, BARS)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(SourceError, match=r"h5 is an HDF5 file; reading it needs h5py: pip install 'mg\[h5\]'"):
        build_source("ricequant", {"root": tmp_path}).load("daily_bars", dt.date(2023, 1, 3))


def test_a_broken_bundle_is_one_error(tmp_path):
    import h5py

    files.ricequant(tmp_path / "cut", BARS)
    path = tmp_path / "cut" / "stocks.h5"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(SourceError, match="cannot be read as an HDF5 file"):
        build_source("ricequant", {"root": tmp_path / "cut"}).days()
    (tmp_path / "other").mkdir()
    with h5py.File(tmp_path / "other" / "stocks.h5", "w") as file:
        file["600000.XSHG"] = np.arange(3)
    with pytest.raises(DataError, match=r"600000.XSHG has the fields \[\]"):
        build_source("ricequant", {"root": tmp_path / "other"}).days()
    report, _ = discover_files(tmp_path / "other")
    open_sources(report)
    assert [p for p, f in report.files.items() if f.error] == [tmp_path / "other"]
    with pytest.raises(MgError, match=r"has no stocks.h5"):
        build_source("ricequant", {"root": tmp_path}).days()
