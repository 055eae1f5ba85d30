"""``mg ingest``: what each file is, what was read, set aside and refused, and what the lake then holds."""

import datetime as dt
import gzip
import os
import subprocess
import sys
from pathlib import Path

import exported as files
import numpy as np
import pandas as pd
import pytest
import vendor_exports
import yaml

from mg_assets.cli import ingest
from mg_assets.cli.main import main
from mg_assets.errors import DataError, SourceError
from mg_assets.ingest import IngestReport, discover_files, ingest_days, open_sources
from mg_assets.ingest.recognise import UnknownFileError, pattern_of, recognise
from mg_assets.lake.store import Lake
from mg_assets.sources import build_source

DAY, NEXT, MERGED = dt.date(2023, 2, 1), dt.date(2023, 2, 2), dt.date(2023, 11, 27)
CHECKOUT = Path(__file__).parents[3]
BAOSTOCK = "date,code,open,high,low,close,preclose,volume,amount,turn,tradestatus,isST,peTTM,pbMRQ,pcfNcfTTM"


@pytest.fixture
def folder(tmp_path):
    """Two days of ticks, daily bars, an archive, things that are no data."""
    root = tmp_path / "vendor"
    for day in (DAY, NEXT, MERGED):
        files.exported(day, root / "level2")
    packed = root / "level2" / "20230202" / "mdl_6_36_0.csv"
    packed.with_suffix(".csv.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    rows = [
        f"{day:%Y-%m-%d},{code},10,10.5,9.5,10.2,10,10000,102000,0.1,1,0,5,1,7"
        for code in ("sh.600000", "sz.000001")
        for day in (DAY, NEXT)
    ]
    (root / "daily").mkdir()
    (root / "daily" / "all.csv").write_text("\n".join([BAOSTOCK, *rows]) + "\n")
    (root / "notes.md").write_text("bought in spring")
    (root / "weather.csv").write_text("city,temperature\nShanghai,20\n")
    return root


def test_every_file_is_recognised_and_read(folder):
    report, found = discover_files(folder)
    what = {p.relative_to(folder).as_posix(): f.what for p, f in report.files.items()}
    assert what["level2/20230201/mdl_4_19_0.csv"] == "tonglian sh_orders 2023-02-01"
    assert what["level2/20230202/mdl_6_36_0.csv.gz"] == "tonglian sz_trades 2023-02-02"
    assert what["level2/20231127/mdl_4_24_0.csv"] == "tonglian sh_merged 2023-11-27"
    assert what["daily/all.csv"] == "baostock daily"
    assert {p.name for p, f in report.files.items() if f.skipped} == {"notes.md", "weather.csv"}
    assert report.options["kind"] == "composite"

    seen = []
    ingest_days(report, found, open_sources(report), on_progress=lambda done, total, file: seen.append(file))
    for path, file in report.files.items():
        if file.skipped:
            continue
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt") as lines:
            assert file.rows == len(lines.readlines()) - 1, path
        assert not file.error
        assert file.set_aside == 0
        assert file in seen
    assert report.written == {}
    assert not report.failed


def test_what_is_written_is_what_the_source_gives(folder):
    report, found = discover_files(folder)
    kept = {}
    ingest_days(report, found, open_sources(report), lambda source, table, key, day: kept.update({(table, key): day}))
    source = build_source("composite", report.options["sources"])
    assert {k for t, k in kept if t == "trades"} == {str(DAY), str(NEXT), str(MERGED)}
    assert {k for t, k in kept if t == "daily_bars"} == {str(DAY), str(NEXT)}
    for (table, key), day in kept.items():
        pd.testing.assert_frame_equal(day.frame, source.load(table, dt.date.fromisoformat(key)).frame)
    assert report.rows["trades"] == sum(len(d.frame) for (t, _), d in kept.items() if t == "trades")


def test_days_and_kinds_can_be_chosen(folder):
    report, found = discover_files(folder)
    ingest_days(report, found, open_sources(report), since=NEXT, until=NEXT)
    read = {p.parent.name for p, f in report.files.items() if f.rows >= 0 and "level2" in p.parts}
    assert read == {"20230202"}
    only, _ = discover_files(folder, "baostock")
    assert not only.failed  # files of other kinds are skipped
    assert only.options == {
        "kind": "mapped",
        "config": "baostock",
        "root": str(folder),
        "files": {"daily": "daily/all.csv"},
    }
    ingest_days(report, found, open_sources(report), partition_keys={str(DAY)})
    assert report.left_out == [NEXT, MERGED]


def test_an_unreadable_file_stops_its_own_day_only(folder):
    cut = folder / "level2" / "20230201" / "mdl_6_33_0.csv"
    cut.write_bytes(cut.read_bytes()[:-20])
    bad = folder / "level2" / "20230202" / "Transaction.csv"
    lines = bad.read_text().splitlines()
    lines[3] = (
        lines[3].replace(",100,", ",-100,")
        if ",100," in lines[3]
        else lines[3].replace("B,", "X,").replace("S,", "X,").replace("N,", "X,")
    )
    bad.write_text("\n".join([*lines, lines[5]]) + "\n")
    (folder / "level2" / "20230202" / "empty.csv").write_text("")
    report, found = discover_files(folder)
    written = []
    ingest_days(report, found, open_sources(report), lambda source, table, key, day: written.append((table, key)))
    assert {f.path.name for f in report.failed} == {"mdl_6_33_0.csv", "empty.csv"}
    assert "ends inside a row" in report.files[cut].error
    assert ("trades", str(DAY)) in written  # the broken stream is not needed for trades
    assert ("orders", str(DAY)) not in written
    assert "mdl_6_33_0.csv" in report.unwritten["orders", str(DAY)]
    assert {("orders", str(NEXT)), ("trades", str(NEXT)), ("daily_bars", str(DAY))} <= set(written)
    damaged = report.files[bad]
    assert damaged.reasons["BizIndex occurs twice"] == 1
    assert damaged.set_aside == 2
    table = report.by_kind().set_index("what")
    assert table.loc["tonglian sh_trades", "set_aside"] == 2
    assert table["unread"].sum() == 2


def test_a_broken_stock_file_leaves_the_other_stocks(tmp_path):
    for code in ("sh.600000", "sz.000001", "sz.000002"):
        row = f"2023-02-01,{code},10,10.5,9.5,10.2,10,10000,102000,0.1,1,0,5,1,7"
        (tmp_path / f"{code}.csv").write_text(f"{BAOSTOCK}\n{row}\n")
    (tmp_path / "sz.000002.csv").write_text(f"{BAOSTOCK}\n2023-02-01,sz.000002,10,10.5")
    report, found = discover_files(tmp_path)
    assert report.options["files"] == {"daily": "{code}.csv"}
    kept = {}
    ingest_days(report, found, open_sources(report), lambda source, table, key, day: kept.update({table: day.frame}))
    assert kept["daily_bars"]["symbol"].tolist() == ["000001.SZ", "600000.SH"]
    assert [f.path.name for f in report.failed] == ["sz.000002.csv"]


def test_a_presets_own_path_counts_before_copies(shared_data):
    report, _ = discover_files(shared_data, "csi800_ever")
    assert report.options["files"] == {"daily": "daily_csi800_ever_2013_2023/daily.parquet"}
    copies = sorted(shared_data.glob("daily_all*/daily.parquet"))
    assert copies
    assert sorted(f.path for f in report.failed) == copies


def test_wrong_dates_and_halves_are_the_files_errors(tmp_path):
    paths = files.exported(DAY, tmp_path)
    late = tmp_path / "20231201"
    late.mkdir()
    paths["Transaction"].rename(late / "Transaction.csv")
    (tmp_path / "20230201" / "am_hq_trade_spot.txt").write_text(
        "20230201\t1\t1\t1\t1\t2011\t011\t1\t000001\t102\t1\t2\t10\t100\tF\t20230201093000000\n"
    )
    report, found = discover_files(tmp_path)
    ingest_days(report, found, open_sources(report))
    assert "no sh_trades of this form on that day" in report.files[late / "Transaction.csv"].error
    assert "has no file pm_" in report.files[tmp_path / "20230201" / "am_hq_trade_spot.txt"].error


def test_parts_of_a_table_are_read_together(tmp_path):
    """Daily bars by industry and ticks by half of the day, under names of their own; a copy is no part."""
    row = "2023-02-01,{},10,10.5,9.5,10.2,10,10000,102000,0.1,1,0,5,1,7"
    (tmp_path / "daily").mkdir()
    for name, code in (("banks", "sh.600000"), ("property", "sz.000002")):
        (tmp_path / "daily" / f"{name}.csv").write_text(f"{BAOSTOCK}\n{row.format(code)}\n")
    made = files.exported(DAY, tmp_path / "level2")
    whole = made["Transaction"]
    header, *lines = whole.read_text().splitlines()
    half = len(lines) // 2
    for name, some in (("morning", lines[:half]), ("rest", lines[half:])):
        (whole.parent / f"{name}.trades.csv").write_text("\n".join([header, *some]) + "\n")
    whole.unlink()
    report, found = discover_files(tmp_path)
    assert [o["files"] for o in report.options["sources"]][1] == {"daily": "daily/*.csv"}
    assert report.options["sources"][0]["files"]["sh_trades"] == ["level2/{date}/*.trades.csv"]
    ingest_days(report, found, open_sources(report))
    assert not report.failed
    assert report.rows["daily_bars"] == 2
    read = {p.name: f.rows for p, f in report.files.items()}
    assert read["morning.trades.csv"] + read["rest.trades.csv"] == len(lines)

    (tmp_path / "daily" / "adjusted.csv").write_text(f"{BAOSTOCK}\n{row.format('sh.600000')}\n")
    (whole.parent / "odd").mkdir()
    (whole.parent / "rest.trades.csv").rename(whole.parent / "odd" / "rest.csv")
    report, _ = discover_files(tmp_path)
    assert {f.path.name for f in report.failed} == {"banks.csv", "property.csv", "rest.csv"}
    assert all("put the parts of a table alone into a folder" in f.error for f in report.failed)


def test_an_empty_file_is_of_no_kind(tmp_path):
    row = "2023-02-01,sh.600000,10,10.5,9.5,10.2,10,10000,102000,0.1,1,0,5,1,7"
    (tmp_path / "sh.600000.csv").write_text(f"{BAOSTOCK}\n{row}\n")
    (tmp_path / "sh.600001.csv").write_text("")
    report, found = discover_files(tmp_path)
    ingest_days(report, found, open_sources(report))
    (failed,) = report.failed
    line = ingest.describe(failed, tmp_path)
    assert line.startswith("sh.600001.csv  [not recognised]  NOT READ:")
    assert "is empty (0 bytes)" in line


def test_a_qlib_dataset_is_one_and_finds_its_switches(tmp_path):
    (tmp_path / "cn" / "calendars").mkdir(parents=True)
    stock = tmp_path / "cn" / "features" / "sh600000"
    stock.mkdir(parents=True)
    dates = pd.bdate_range("2020-01-01", periods=200)
    (tmp_path / "cn" / "calendars" / "day.txt").write_text("\n".join(f"{d:%Y-%m-%d}" for d in dates) + "\n")
    close = np.round(10 + np.random.default_rng(1).normal(0, 0.1, 200).cumsum(), 2)
    values = dict(open=close, high=close + 0.1, low=close - 0.1, close=close, volume=np.arange(200) * 100.0 + 1000)
    for name, raw in values.items():
        stored = raw if name == "volume" else raw * 2.345  # adjusted prices beside raw volumes
        np.append(np.float32(0), stored.astype("<f4")).astype("<f4").tofile(stock / f"{name}.day.bin")
    np.append(np.float32(0), np.full(200, 2.345)).astype("<f4").tofile(stock / "factor.day.bin")
    report, found = discover_files(tmp_path)
    assert report.options == {"kind": "qlib", "root": str(tmp_path / "cn"), "raw_volume": True}
    kept = []
    ingest_days(report, found, open_sources(report), lambda source, table, key, day: kept.append(table))
    assert kept.count("daily_bars") == 200
    assert not report.failed
    (stock / "low.day.bin").unlink()
    broken, _ = discover_files(tmp_path)
    assert "lacks low.day.bin" in broken.files[tmp_path / "cn"].error


def test_a_qlib_stock_that_lacks_a_file_is_left_out(tmp_path):
    vendor_exports.qlib(vendor_exports.market("2023-01-04", "2023-03-31", 4), tmp_path)
    (tmp_path / "features" / "sh600001" / "open.day.bin").unlink()
    report, found = discover_files(tmp_path)
    assert [f.path.name for f in report.failed] == ["sh600001"]
    assert "sh600001 lacks open.day.bin: the stock is left out" in report.failed[0].error
    kept = {}
    ingest_days(report, found, open_sources(report), lambda source, table, key, day: kept.update({table: day}))
    assert kept["daily_bars"].frame["symbol"].tolist() == ["000001.SZ", "000002.SZ", "600000.SH"]
    assert kept["daily_bars"].notes["folders_that_lack_a_file"] == "1: sh600001"


def test_a_lake_keeps_what_its_user_set(tmp_path):
    """A unit of the source, and a setting that is not what the last ingest proposed."""
    found = {"kind": "tonglian", "root": "/data", "files": {"sh_trades": ["a"]}}
    held = {**found, "files": {"sh_trades": ["b"]}, "price_unit": 0.0001}
    assert ingest._with_options(found, held) == {**found, "price_unit": 0.0001}
    assert ingest._own({"catalog": ["hf_gru"], "models": {}}, {"catalog": [], "models": {}}) == {"catalog": ["hf_gru"]}
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({"source": held}))
    report = IngestReport(options={**found, "kind": "huatai"})
    assert ingest._held(file, report) == held  # another reading of the same folder
    report.options = {**found, "root": "/other"}
    with pytest.raises(DataError, match="is filled from another source, /data"):
        ingest._held(file, report)


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("20230201/mdl_4_19_0.csv.gz", "{date}/mdl_4_19_0.csv.gz"),
        ("2023/20230201/20230201_Transaction.csv", "*/{date}/{date}_Transaction.csv"),
        ("a/2023-02-01/trade.parquet", "a/{date:%Y-%m-%d}/trade.parquet"),
        ("SZ/2016/0509/am_hq_order_spot.txt", "SZ/{date:%Y/%m%d}/am_hq_order_spot.txt"),
        ("l2_sse_600519_20230201/trade.parquet", "l2_sse_{code}_{date}/trade.parquet"),
        ("daily/sh600000.csv", "daily/{code}.csv"),
        ("daily/600000.SH.csv", "daily/{code}.csv"),
        ("minute/202302.csv", "minute/*.csv"),
        ("600519_1min.csv", "{code}_1min.csv"),
    ],
)
def test_paths_become_patterns(tmp_path, path, pattern):
    assert pattern_of(tmp_path / path, tmp_path) == pattern


def test_a_table_near_to_a_kind_names_what_it_lacks(tmp_path):
    (tmp_path / "daily.csv").write_text(BAOSTOCK.replace(",close", "") + "\n")
    with pytest.raises(SourceError, match=r"Nearest is baostock \(daily\), of which it lacks \['close'\]"):
        recognise(tmp_path / "daily.csv", tmp_path)
    (tmp_path / "weather.csv").write_text("city,temperature\n")
    with pytest.raises(UnknownFileError, match="of no known kind"):
        recognise(tmp_path / "weather.csv", tmp_path)
    report, _ = discover_files(tmp_path)
    assert [f.path.name for f in report.failed] == ["daily.csv"]


def test_ticks_without_a_date_are_refused(tmp_path):
    paths = files.exported(DAY, tmp_path / "x")
    paths["Transaction"].rename(tmp_path / "Transaction.csv")
    report, _ = discover_files(tmp_path)
    assert "its path has no date" in report.files[tmp_path / "Transaction.csv"].error


def test_real_files_are_recognised(shared_data):
    heads = shared_data / "vendor_csv_heads"
    expected = {
        "huatai_insight_sh_orders": ("huatai", "sh_orders"), "huatai_insight_sh_trans": ("huatai", "sh_trades"),
        "sse_exchdata_Tick": ("exchange", "sh_trades"), "tonglian_sh_Transaction": ("tonglian", "sh_trades"),
        "tonglian_mdl_4_19_0_entrust": ("tonglian", "sh_orders"), "tushare_daily": ("tushare", "daily"),
        "baostock_daily": ("baostock", "daily"), "dolphindb_minute_bar": ("minute_dolphindb", "minute"),
    }  # fmt: skip
    for name, answer in expected.items():
        found = recognise(heads / f"{name}.csv", heads)
        assert [(f.kind, f.table) for f in found] == [answer], name
    day = shared_data / "l2_szse_000001_20230201" / "trades_and_cancels.parquet"
    assert [(f.kind, f.table) for f in recognise(day, shared_data)] == [("tonglian", "sz_trades")]


def command(folder, lake, *more):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER"))}
    return subprocess.run(
        [sys.executable, "-m", "mg_assets.cli.main", "ingest", str(folder), "--lake", str(lake), *more],
        env=environment | {"OMP_NUM_THREADS": "1"}, cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_lakes_of_two_addresses_have_two_settings_files(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "CHECKOUT", tmp_path)
    names = {
        "s3://a/b": "s3/a/b", "s3://a/b/": "s3/a/b", "s3://a_b": "s3/a_b", "gs://a/b": "gs/a/b",
        "s3://a/b c": "s3/a/b%20c", "s3://a/../b": "s3/a/%2E%2E/b",
    }  # fmt: skip
    found = {lake: str(ingest._settings_file(lake).relative_to(tmp_path / "lake").parent) for lake in names}
    assert found == names


def test_the_command_fills_a_lake_that_mg_run_finds_fresh(folder, tmp_path):
    lake = tmp_path / "lake"
    dry = command(folder, lake, "--dry-run")
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert "nothing written (dry run)" in dry.stdout
    assert not lake.exists()

    bad = folder / "level2" / "20230202" / "Transaction.csv"
    lines = bad.read_text().splitlines()
    bad.write_text("\n".join([*lines, lines[5]]) + "\n")
    (folder / "level2" / "20231127" / "mdl_6_33_0.csv").write_text("")
    done = command(folder, lake)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 set aside (BizIndex occurs twice 1)" in done.stdout
    assert "NOT READ" in done.stdout
    assert "not written: orders 2023-11-27" in done.stdout
    assert f"MG_SETTINGS={lake / 'settings.yaml'} mg run" in done.stdout

    store = Lake(lake)
    assert store.keys("trades") == [str(DAY), str(NEXT), str(MERGED)]
    assert store.keys("orders") == [str(DAY), str(NEXT)]
    assert store.day("quarantine_trades", str(NEXT))["reason"].tolist() == ["BizIndex occurs twice"]
    held = yaml.safe_load((lake / "settings.yaml").read_text())
    assert held["run"]["tick_days"] == [str(DAY), str(NEXT), str(MERGED)]
    code = (
        "from mg_assets.assets import TABLES;"
        "from mg_assets.settings import settings;"
        "from mg_assets.sources import build_source; from mg_assets.lake.store import Lake; s = settings();"
        "source = build_source(s.source.kind, s.source.options); lake = Lake(s.lake_url);"
        "print({t: TABLES.stale(lake, source, t, lake.keys(t)) for t in ('trades', 'reference')});"
        "import dagster as dg; from mg_assets.cli.home import prepare_home; prepare_home(s);"
        "key = dg.AssetCheckKey(dg.AssetKey('trades'), 'schema');"
        "storage = dg.DagsterInstance.get().event_log_storage;"
        "print('schema', storage.get_latest_asset_check_execution_by_key([key])[key].status.value);"
        "print(len(dg.DagsterInstance.get().get_materialized_partitions(dg.AssetKey('trades'))))"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MG_", "DAGSTER"))}
    fresh = subprocess.run(
        [sys.executable, "-c", code], env=environment | {"MG_SETTINGS": str(lake / "settings.yaml")},
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "'reference': []" in fresh
    assert "schema SUCCEEDED" in fresh
    assert fresh.strip().endswith("3")

    other = tmp_path / "other"
    (other / "20230203").mkdir(parents=True)
    (other / "20230203" / "Transaction.csv").write_text("\n".join(lines) + "\n")
    refused = command(other, lake)
    assert refused.returncode == 2
    assert "filled from another source" in refused.stderr
    assert command(tmp_path / "nowhere", lake).returncode == 2


@pytest.mark.parametrize(("stocks", "code"), [(["sh.600001"], 0), ([], 1)], ids=["beside another", "alone"])
def test_a_file_with_a_header_alone_is_named(stocks, code, tmp_path, capsys):
    (tmp_path / "sh.600000.csv").write_text(f"{BAOSTOCK}\n")
    for stock in stocks:
        row = f"2023-02-01,{stock},10,10.5,9.5,10.2,10,10000,102000,0.1,1,0,5,1,7"
        (tmp_path / f"{stock}.csv").write_text(f"{BAOSTOCK}\n{row}\n")
    assert main(["ingest", str(tmp_path), "--dry-run"]) == code
    printed = capsys.readouterr().out
    assert f"NO ROWS below the header: {tmp_path / 'sh.600000.csv'}; fetch again" in printed
    assert f": {1 + len(stocks)} file{'s' * len(stocks)}, " in printed
