"""Mapped tables: every rule on written fixtures, every preset on its real files where present."""

import datetime as dt
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import yaml

from mg_assets.errors import SourceError
from mg_assets.lake.frames import conform
from mg_assets.market.schema import MINUTE_BARS, PERIOD_BARS, REFERENCE
from mg_assets.sources.compute_once import compute_once
from mg_assets.sources.io.symbols import is_a_share, to_symbol
from mg_assets.sources.mapped.source import MappedSource
from mg_assets.sources.presets import preset_names

D = [np.datetime64(d) for d in ("2023-02-01", "2023-02-02", "2023-02-03", "2023-02-06")]


def mapping(tmp_path, **sections):
    path = tmp_path / "mapping.yaml"
    path.write_text(yaml.safe_dump({"name": "mine", **sections}))
    return MappedSource(path, tmp_path)


MINUTE = {
    "files": "x",
    "label": "end",
    "columns": {n: n for n in ("symbol", "time", "open", "high", "low", "close", "volume")},
}


@pytest.fixture
def plain(tmp_path):
    """Two stocks, four days: one is suspended on the second, with an ex-day on the third."""
    frame = pd.DataFrame(
        {
            "day": [20230201, 20230202, 20230203, 20230206] * 2,
            "code": ["SH600000"] * 4 + ["sz.300001"] * 4,
            "o": [10000, 10500, 5000, 5100, 20000, 20100, 20200, 20300],
            "h": [10600, 10500, 5300, 5200, 20500, 20500, 20500, 20500],
            "l": [9900, 10500, 5000, 5000, 19900, 19900, 19900, 19900],
            "c": [10500, 10500, 5200, 5100, 20100, 20200, 20300, 20400],
            "lots": [100, 0, 220, 150, 50, 50, 50, 50],
            "f": [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0],
        }
    )
    frame.to_csv(tmp_path / "all.csv", index=False)
    columns = dict(date="day", symbol="code", open="o", high="h", low="l", close="c", volume="lots", adj_factor="f")
    return mapping(tmp_path, daily={"files": "all.csv", "columns": columns, "units": {"price": 0.001, "volume": 100}})


def row(source, day, symbol, table="daily_bars"):
    frame = source.load(table, day).frame
    return frame[frame.symbol == symbol].iloc[0]


def test_units_reference_price_limits_and_suspension(plain):
    np.testing.assert_array_equal(plain.days(), D)
    first = row(plain, D[0], "600000.SH")
    assert (first.open, first.close, first.volume) == (10.0, 10.5, 10_000)
    assert np.isnan(first.prev_close)
    assert np.isnan(first.up_limit)
    assert first.vwap == pytest.approx((10.6 + 9.9 + 10.5) / 3)
    assert np.isnan(first["amount"])  # the file has none: the vwap is a stand-in, the amount stays unknown
    halted = row(plain, D[1], "600000.SH")
    assert halted.suspended
    assert (halted.open, halted.high, halted.close, halted.volume, halted.amount) == (10.5, 10.5, 10.5, 0, 0)
    assert np.isnan(halted.vwap)
    ex = row(plain, D[2], "600000.SH")
    assert ex.prev_close == 5.25  # 10.5 of the last traded day x 1 / 2
    assert (ex.up_limit, ex.down_limit) == (5.78, 4.73)  # 5.775 and 4.725, half up
    assert row(plain, D[1], "300001.SZ").up_limit == 24.12  # ChiNext: 20%
    notes = plain.load("daily_bars", D[0]).notes
    assert {"vwap_rule", "prev_close_rule", "st_rule", "limit_rule"} <= set(notes)
    assert {"amount", "vwap", "st", "float_shares", "num_trades"} <= set(notes["absent_columns"])


def test_frames_fit_the_lake(plain):
    for day in D:
        assert conform("daily_bars", plain.load("daily_bars", day).frame).schema.equals(PERIOD_BARS)
        assert conform("reference", plain.load("reference", day).frame).schema.equals(REFERENCE)
    assert list(plain.load("reference", D[0]).frame.columns) == REFERENCE.names


def test_suspended_stock_keeps_its_reference_price_over_ex_day(tmp_path):
    frame = pd.DataFrame(
        {
            "date": ["2023-02-01", "2023-02-02", "2023-02-03"],
            "symbol": "600000.SH",
            **{n: [10.0, 10.0, 5.1] for n in ("open", "high", "low", "close")},
            "volume": [100.0, np.nan, 100.0],
            "factor": [1.0, 2.0, 2.0],
        }
    )
    frame.to_parquet(tmp_path / "d.parquet")
    columns = {n: n for n in frame.columns if n != "factor"} | {"adj_factor": "factor"}
    source = mapping(tmp_path, daily={"files": "d.parquet", "columns": columns})
    assert row(source, D[1], "600000.SH").close == 5.0
    assert row(source, D[2], "600000.SH").prev_close == 5.0


def test_adjustment_is_chained_from_reference_prices(tmp_path):
    frame = pd.DataFrame(
        {
            "date": ["2023-02-01", "2023-02-02", "2023-02-03"],
            "symbol": 1,  # an int that lost its leading zeros
            **{n: [10.0, 5.0, 5.5] for n in ("open", "high", "low", "close")},
            "pre": [9.9, 5.0, 5.0],
            "volume": 100,
        }
    )
    frame.to_parquet(tmp_path / "d.parquet")
    columns = {n: n for n in ("date", "symbol", "open", "high", "low", "close", "volume")} | {"prev_close": "pre"}
    source = mapping(tmp_path, daily={"files": "d.parquet", "columns": columns})
    factors = [row(source, d, "000001.SZ").adj_factor for d in D[:3]]
    np.testing.assert_allclose(factors, [1, 2, 2])


def test_limits_that_trading_contradicts_are_left_null(plain, tmp_path):
    """A restructuring or a lacking factor: the limits derived from the reference price cannot have held."""
    text = (tmp_path / "all.csv").read_text().replace("20230206,SH600000,5100,5200", "20230206,SH600000,5100,9000")
    (tmp_path / "all.csv").write_text(text)
    last = row(plain, D[3], "600000.SH")
    assert last.high == 9.0
    assert np.isnan(last.up_limit)
    assert np.isnan(last.down_limit)
    assert row(plain, D[2], "600000.SH").up_limit == 5.78
    assert "1 rows" in plain.load("daily_bars", D[3]).notes["limits_unknown"]


def test_membership_weights_industry_listing_and_st(tmp_path, plain):
    spans = {"s": ["600000.SSE", "300001.SZE"], "a": ["2023-02-02", "2020-01-01"], "b": ["2023-02-03", "2023-02-01"]}
    pd.DataFrame(spans).to_csv(tmp_path / "members.csv", index=False)
    pd.DataFrame({"s": ["600000"], "a": ["2019-01-01"], "b": ["2023-02-02"]}).to_csv(tmp_path / "old.csv", index=False)
    pd.DataFrame(
        {"d": ["2023-01-31"] * 2 + ["2023-02-03"] * 2, "s": ["600000.SH", "300001.SZ"] * 2, "w": [60.0, 40, 30, 70]}
    ).to_csv(tmp_path / "weights.csv", index=False)
    pd.DataFrame({"s": [600000, 300001], "i": [40.0, np.nan]}).to_csv(tmp_path / "industry.csv", index=False)
    spans = {"s": ["SH600000", "SZ300001"], "a": ["1999-11-10", "2023-02-02"], "b": ["2023-02-06", "2023-02-03"]}
    pd.DataFrame(spans).to_csv(tmp_path / "listing.csv", index=False)
    pd.DataFrame({"s": ["SH600000"], "a": ["2023-02-03"], "b": ["2023-02-03"]}).to_csv(tmp_path / "st.csv", index=False)
    ranges = {"symbol": "s", "start": "a", "end": "b"}
    content = yaml.safe_load((tmp_path / "mapping.yaml").read_text())
    content["daily"]["drop_before_listing"] = True
    weighed = {"date": "d", "symbol": "s", "weight": "w"}
    dated = {"symbol": "s", "list_date": "a", "delist_date": "b"}
    source = mapping(
        tmp_path,
        daily=content["daily"],
        membership={n: {"files": f"{f}.csv", "columns": ranges} for n, f in (("csi300", "members"), ("csi500", "old"))},
        weights={"csi300": {"files": "weights.csv", "columns": weighed, "units": {"weight": 0.01}}},
        industry={"files": "industry.csv", "columns": {"symbol": "s", "industry": "i"}, "prefix": "CITIC-"},
        listing={"files": "listing.csv", "columns": dated, "open_end": True},
        st_ranges={"files": "st.csv", "columns": ranges},
    )  # fmt: skip
    members = [row(source, d, "600000.SH", "reference").csi300_member for d in D]
    assert members == [False, True, True, False]
    assert [row(source, d, "600000.SH", "reference").csi500_member for d in D] == [True, False, False, False]
    assert "stocks_listed_in_two_indices" in source.load("reference", D[1]).notes
    assert [row(source, d, "600000.SH", "reference").csi300_weight for d in D] == pytest.approx([1.0, 0.6, 0.3, 0.3])
    assert source.load("reference", D[0]).frame.symbol.tolist() == ["600000.SH"]  # the other is not listed yet
    assert source.load("reference", D[0]).notes["csi300_weight_of_missing_stocks"] == pytest.approx(0.4)
    assert source.load("daily_bars", D[0]).notes["rows_before_listing_left_out"] == 1
    reference = row(source, D[2], "600000.SH", "reference")
    assert reference.industry == "CITIC-40"
    assert pd.isna(reference.delist_date)  # the table's last day means "still listed"
    assert row(source, D[2], "300001.SZ", "reference").delist_date == pd.Timestamp("2023-02-03")
    assert pd.isna(row(source, D[2], "300001.SZ", "reference").industry)
    assert [row(source, d, "600000.SH").st for d in D] == [False, False, True, False]
    assert row(source, D[2], "600000.SH").up_limit == 5.51  # ST: 5%
    assert np.isnan(row(source, D[2], "300001.SZ").up_limit)  # second day on ChiNext: none


def test_one_day_and_one_stock_a_file_give_what_one_file_gives(tmp_path, plain):
    frame = pd.read_csv(tmp_path / "all.csv")
    content = yaml.safe_load((tmp_path / "mapping.yaml").read_text())["daily"]
    (tmp_path / "by_day").mkdir()
    (tmp_path / "by_stock").mkdir()
    for day, part in frame.groupby("day"):
        part.drop(columns="day").to_parquet(tmp_path / "by_day" / f"{day}.parquet")
    for code, part in frame.groupby("code"):
        part.drop(columns="code").to_csv(tmp_path / "by_stock" / f"{code}.csv", index=False)
    for files, without in (("by_day/{date}.parquet", "date"), ("by_stock/{code}.csv", "symbol")):
        columns = {k: v for k, v in content["columns"].items() if k != without}
        other = mapping(tmp_path, daily={**content, "files": files, "columns": columns})
        for day in D:
            pd.testing.assert_frame_equal(other.load("daily_bars", day).frame, plain.load("daily_bars", day).frame)


def test_changing_the_future_changes_nothing_before_it(tmp_path, plain):
    before = [plain.load("daily_bars", d).frame for d in D[:3]]
    prints = [plain.fingerprint("daily_bars", d) for d in D]
    frame = pd.read_csv(tmp_path / "all.csv")
    frame.loc[frame.day == 20230206, ["o", "h", "l", "c", "lots", "f"]] = [6000, 6500, 5900, 6100, 999, 9.0]
    frame.to_csv(tmp_path / "all.csv", index=False)
    again = MappedSource(tmp_path / "mapping.yaml", tmp_path)
    for day, expected in zip(D[:3], before, strict=True):
        pd.testing.assert_frame_equal(again.load("daily_bars", day).frame, expected)
    same = [again.fingerprint("daily_bars", d) == p for d, p in zip(D, prints, strict=True)]
    assert same == [True, True, True, False]


def test_pickles_and_threads_share_one_reading(plain):
    plain.days()  # one that was used
    copy = pickle.loads(pickle.dumps(plain))
    assert copy.days().tolist() == plain.days().tolist()
    pd.testing.assert_frame_equal(copy.load("daily_bars", D[0]).frame, plain.load("daily_bars", D[0]).frame)
    shared, made = compute_once(2), []
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda i: shared(i % 2, lambda: made.append(i) or object()), range(64)))
    assert len(made) == 2
    assert len(set(map(id, got))) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(daaily={}), r"keys \['daaily'\] are unknown; valid keys"),
        (dict(daily={"files": "x"}), "'columns' is lacking"),
        (dict(daily={"files": "x", "columns": {"oopen": "o"}}), r"keys \['oopen'\] are unknown"),
        (dict(daily={"files": "x", "columns": {"open": "o"}}), r"\['date', 'symbol', 'high'.*are lacking"),
        (dict(daily={"files": "{day}.csv", "columns": {}}), r"use \{date\}, \{code\}"),
        (dict(), "neither 'daily' nor 'minute'"),
        (dict(minute=MINUTE, membership={"csi100": {}}), r"\['csi100'\] are unknown"),
    ],
)
def test_a_wrong_mapping_says_where(tmp_path, change, words):
    with pytest.raises(SourceError, match=words) as caught:
        mapping(tmp_path, **change)
    assert "mapping.yaml" in str(caught.value) or "{day}" in str(caught.value)


def test_wrong_units_and_flags_say_where(tmp_path, plain):
    daily = yaml.safe_load((tmp_path / "mapping.yaml").read_text())["daily"]
    with pytest.raises(SourceError, match=r"units\.price was 0"):
        mapping(tmp_path, daily={**daily, "units": {"price": 0}})
    with pytest.raises(SourceError, match="column: name"):
        mapping(tmp_path, daily={**daily, "st": {"column": "isST"}})
    with pytest.raises(SourceError, match="neither a YAML file nor one of the shipped"):
        MappedSource("nothing", tmp_path)
    assert {"csi800_ever", "alla", "baostock", "tushare", "minute_dolphindb", "minute_akshare"} <= set(preset_names())


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("SH600000", "600000.SH"),
        ("sh.600000", "600000.SH"),
        ("600000.SSE", "600000.SH"),
        ("600000.XSHG", "600000.SH"),
        ("000001.SZE", "000001.SZ"),
        ("1", "000001.SZ"),
        (600519, "600519.SH"),
        ("833533.BJ", "833533.BJ"),
        ("830799.BJ", "920799.BJ"),
        ("920002", "920002.BJ"),
        ("0.000001", "000001.SZ"),
        ("SZ399300", "399300.SZ"),
        ("Pudong", None),
        ("", None),
        ("600000.NY", None),
        ("1234567", None),
    ],
)
def test_symbols(text, symbol):
    assert to_symbol(text) == symbol


def test_only_stocks_are_a_shares():
    stocks = ["600000.SH", "688001.SH", "000001.SZ", "300750.SZ", "301001.SZ", "833533.BJ", "920002.BJ"]
    assert all(map(is_a_share, stocks))
    assert not any(map(is_a_share, ["510300.SH", "000300.SH", "399300.SZ", "900901.SH", "200002.SZ", "113001.SH"]))


# --------------------------------------------------------------- minute bars


def minutes(tmp_path, rows, label="end", **more):
    frame = pd.DataFrame(rows, columns=["t", "open", "high", "low", "close", "volume"])
    frame.to_csv(tmp_path / "600519.csv", index=False)
    columns = {"time": "t", **{n: n for n in ("open", "high", "low", "close", "volume")}}
    return mapping(tmp_path, minute={"files": "{code}.csv", "columns": columns, "label": label, **more})


def test_end_labels_join_the_auction_and_fill_opens(tmp_path):
    source = minutes(
        tmp_path,
        [
            ("2023-02-01 09:30:00", 0.0, 10, 10, 10, 2),
            ("2023-02-01 09:31:00", 0.0, 11, 10.5, 10.8, 3),
            ("2023-02-01 09:32:00", 0.0, 10.7, 10.6, 10.7, 1),
            ("2023-02-01 11:30:00", 10.7, 10.7, 10.7, 10.7, 1),
            ("2023-02-01 13:01:00", 10.9, 10.9, 10.9, 10.9, 1),
            ("2023-02-01 15:00:00", 12, 12, 12, 12, 9),
            ("2023-02-01 15:05:00", 12, 12, 12, 12, 5),
            ("2023-02-01 17:00:00", 12, 12, 12, 12, 5),
        ],
        units={"volume": 100},
    )
    loaded = source.load("minute_bars", D[0])
    frame = loaded.frame
    assert conform("minute_bars", frame).schema.equals(MINUTE_BARS)
    assert len(frame) == 240
    assert frame.minute.tolist() == list(range(240))
    assert frame.iloc[0][["open", "high", "low", "close", "volume"]].tolist() == [10, 11, 10, 10.8, 500]
    assert frame.iloc[1].open == 10.7  # previous close 10.8, held inside 10.6..10.7
    assert frame.iloc[2][["open", "close", "volume"]].tolist() == [10.7, 10.7, 0]
    assert frame.volume.iloc[[119, 120, 239]].tolist() == [100, 100, 900]
    assert loaded.notes["opens_of_zero_filled"] == 1
    assert loaded.notes["rows_after_hours_left_out"] == 1
    assert loaded.quarantine.reason.tolist() == ["time is no time of a trading minute"]
    assert frame.num_trades.isna().all()


def test_start_labels_join_the_closing_auction(tmp_path):
    source = minutes(
        tmp_path,
        [
            (20230201092500000, 10, 10, 10, 10, 2),
            (20230201093000000, 10.1, 10.2, 10.1, 10.2, 3),
            (20230201112900000, 10, 10, 10, 10, 1),
            (20230201130000000, 11, 11, 11, 11, 4),
            (20230201145900000, 11, 12, 11, 12, 5),
            (20230201150000000, 13, 13, 13, 13, 6),
        ],
        label="start",
    )
    frame = source.load("minute_bars", D[0]).frame
    assert frame.iloc[0][["open", "close", "volume"]].tolist() == [10, 10.2, 5]
    assert frame.volume.iloc[[119, 120]].tolist() == [1, 4]
    assert frame.iloc[239][["open", "high", "low", "close", "volume"]].tolist() == [11, 13, 11, 13, 11]


def test_bad_minute_rows_are_set_aside(tmp_path):
    good = [(f"2023-02-01 09:{m}:00", 10, 10, 10, 10, 1) for m in range(31, 59)]
    bad = [
        ("2023-02-01 10:01:00", 10, 10, 10, 10, -1),
        ("2023-02-01 10:02:00", 10, 9, 10, 10, 1),
        ("2023-02-01 10:03:00", 10, 10, 10, 0, 1),
        ("2023-02-01 09:40:00", 10, 10, 10, 10, 7),
        ("2023-02-01 10:04:00", 10, 10, 10, 10, np.nan),
    ]
    loaded = minutes(tmp_path, [*good, *bad]).load("minute_bars", D[0])
    assert loaded.quarantine.row.tolist() == [30, 31, 32, 33, 34]
    assert loaded.quarantine.reason.tolist() == [
        "volume is negative",
        "high or low do not enclose open and close",
        "a price is missing or not positive",
        "the stock has this minute twice",
        "volume is missing",
    ]
    assert loaded.frame.volume.sum() == 28
    assert set(loaded.quarantine.symbol) == {"600519.SH"}


# ------------------------------------------------------------------ real files


@pytest.fixture(scope="module")
def panel(shared_data):
    return MappedSource("csi800_ever", shared_data)


def test_real_panel_membership_weights_and_limits(panel):
    days = panel.days()
    assert (len(days), str(days[0]), str(days[-1])) == (2672, "2013-01-04", "2023-12-29")
    for day in days[::90]:
        bars, reference = panel.load("daily_bars", day), panel.load("reference", day)
        assert len(bars.quarantine) == 0
        frame, known = bars.frame, reference.frame
        assert frame.symbol.tolist() == known.symbol.tolist()
        assert frame.symbol.is_monotonic_increasing
        assert 280 <= known.csi300_member.sum() <= 300
        assert 450 <= known.csi500_member.sum() <= 500
        assert not (known.csi300_member & known.csi500_member).any()
        assert known.csi300_weight.sum() == pytest.approx(1, abs=1e-12)
        assert reference.notes.get("csi300_weight_of_missing_stocks", 0) < 0.07
        assert (known.csi300_weight[~known.csi300_member] < 0.01).all()
        traded = frame[~frame.suspended]
        over = (traded.high > traded.up_limit + 1e-9) | (traded.low < traded.down_limit - 1e-9)
        assert over.mean() < 0.003
        off_tick = (traded.close * 100 - (traded.close * 100).round()).abs() > 1e-6
        assert off_tick.mean() < 0.002
    assert "302132.SZ" in set(panel.load("daily_bars", days[0]).frame.symbol)  # listed in 2010, as 300114


def test_real_panel_agrees_with_the_second_vendor(panel, shared_data):
    """Reference prices and suspensions that the panel derives are the ones that baostock publishes."""
    path = shared_data / "daily_baostock_300_2020_2023" / "daily.parquet"
    other = MappedSource("baostock", path.parent)
    same = total = 0
    for day in other.days()[5::60]:
        ours, theirs = (s.load("daily_bars", day).frame.set_index("symbol") for s in (panel, other))
        both = ours.join(theirs.add_suffix("_b"), how="inner")
        both = both[both.prev_close.notna()]
        total += len(both)
        same += ((both.prev_close - both.prev_close_b).abs() < 0.0051).sum()
        pd.testing.assert_series_equal(both.suspended, both.suspended_b, check_names=False)
        traded = both[~both.suspended]
        np.testing.assert_allclose(traded.close, traded.close_b, atol=0.0011)
        # the stand-in for vwap is near the true one
        assert (traded.vwap / traded.vwap_b - 1).abs().median() < 0.005
    assert total > 3000
    assert same / total > 0.998


def test_real_baostock_flags_and_float_shares(shared_data):
    source = MappedSource("baostock", shared_data / "daily_baostock_300_2020_2023")
    frame = source.load("daily_bars", dt.date(2021, 6, 10)).frame.set_index("symbol")
    assert frame.suspended["600009.SH"]
    assert 1.5e9 < frame.float_shares["600000.SH"] < 4e10
    reference = source.load("reference", dt.date(2021, 6, 10)).frame
    assert reference.pb.notna().mean() > 0.99
    assert reference.st.dtype == bool


def test_real_vendor_heads(shared_data, tmp_path):
    heads = shared_data / "vendor_csv_heads"
    for name, target, table, day in (
        ("baostock_daily", "daily.csv", "daily_bars", "2020-06-01"),
        ("tushare_daily", "daily.csv", "daily_bars", "2008-01-03"),
        ("dolphindb_minute_bar", "20180102.csv", "minute_bars", "2018-01-02"),
        ("akshare_em_1min", "600519.csv", "minute_bars", "2026-03-23"),
    ):
        root = tmp_path / name
        root.mkdir()
        (root / target).write_bytes((heads / f"{name}.csv").read_bytes())
        preset = {"dolphindb_minute_bar": "minute_dolphindb", "akshare_em_1min": "minute_akshare"}.get(name, name[:-6])
        loaded = MappedSource(preset, root).load(table, dt.date.fromisoformat(day))
        assert len(loaded.quarantine) == 0, name
        conform(table, loaded.frame)
        assert len(loaded.frame) == {"baostock": 1, "tushare": 5}.get(preset, 240)
    tushare = MappedSource("tushare", tmp_path / "tushare_daily").load("daily_bars", dt.date(2008, 1, 3)).frame
    first = tushare.set_index("symbol").loc["600539.SH"]
    assert first.volume == 14_052_215
    assert first.low <= first.vwap <= first.high  # lots and thousands of yuan


@pytest.mark.parametrize(
    ("preset", "folder", "name", "day", "count"),
    [
        ("minute_dolphindb", "min1_000001_201801", "bars", "2018-01-15", 21),
        ("minute_akshare", "min1_600519_202603", "600519", "2026-03-24", 5),
    ],
)
def test_real_minute_bars(shared_data, tmp_path, preset, folder, name, day, count):
    (tmp_path / f"{name}.parquet").symlink_to(shared_data / folder / "bars.parquet")
    source = MappedSource(preset, tmp_path)
    assert len(source.days()) == count
    loaded = source.load("minute_bars", dt.date.fromisoformat(day))
    frame = loaded.frame
    assert len(loaded.quarantine) == 0
    assert len(frame) == 240
    assert (frame.open > 0).all()
    assert (frame.high >= frame[["open", "close", "low"]].max(axis=1)).all()
    assert (frame.low <= frame[["open", "close", "high"]].min(axis=1)).all()
    traded = frame[frame.volume > 0]
    vwap = traded.amount.sum() / traded.volume.sum()
    assert frame.low.min() < vwap < frame.high.max()
