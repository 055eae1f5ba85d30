"""The reader of 3-second snapshots: vendors' columns, selection, malformed rows."""

import datetime as dt
import gzip

import numpy as np
import pandas as pd
import pytest

from mg_assets.errors import DataError, SourceError
from mg_assets.market.schema import SNAPSHOTS
from mg_assets.sources import build_source
from mg_assets.sources.level2.snapshots import SnapshotSource

DAY = dt.date(2023, 2, 1)
SH = ("TradNumber", "TradVolume", "TotalBidVol", "TotalAskVol")
SZ = ("TurnNum", "Volume", "TotalBidQty", "TotalOfferQty")


def tonglian(codes, names, rows=4, **changed):
    """A vendor's table: every code at 09:30:00, 09:30:03, ..., three levels a side, the other seven empty."""
    number, volume, bids, asks = names
    out = []
    for k, code in enumerate(codes):
        for i in range(rows):
            row = {
                "UpdateTime": f"09:30:{3 * i:02d}.000", "SecurityID": code, "LastPrice": 10.01999999999999,
                "Turnover": 1002.0 * i, number: i, volume: 100 * i, bids: 900 + k, asks: 1200,
            }  # fmt: skip
            for n in range(1, 11):
                there = n <= 3
                row |= {
                    f"BidPrice{n}": round(10.02 - n / 100, 2) if there else 0, f"BidVolume{n}": 100 * n * there,
                    f"AskPrice{n}": round(10.01 + n / 100, 2) if there else "",
                    f"AskVolume{n}": 200 * n if there else "",
                }  # fmt: skip
            out.append(row)
    return pd.DataFrame(out).assign(**changed)


def folder(tmp_path, **files):
    (tmp_path / "20230201").mkdir(parents=True, exist_ok=True)
    for name, frame in files.items():
        frame.to_csv(tmp_path / "20230201" / f"{name}.csv", index=False)
    return tmp_path


def test_both_exchanges_files(tmp_path):
    root = folder(tmp_path, MarketData=tonglian([600519, 600000, 510300], SH), mdl_6_28_0=tonglian([1, 300750], SZ))
    source = build_source("snapshots", {"root": str(root)})
    assert source.days().tolist() == [DAY]
    assert source.has("snapshots", DAY)
    assert not source.has("trades", DAY)
    day = source.load("snapshots", DAY)
    frame = day.frame
    assert list(frame.columns) == SNAPSHOTS.names
    assert frame["symbol"].unique().tolist() == ["000001.SZ", "300750.SZ", "600000.SH", "600519.SH"]
    assert len(frame) == 16  # the fund is left out
    row = frame.iloc[5]
    assert (row["time"], row["last"], row["volume"], row["num_trades"]) == (
        pd.Timestamp("2023-02-01 09:30:03"),
        10.02,
        100,
        1,
    )
    assert row[[f"bid_price_{n}" for n in (1, 2, 3)]].tolist() == [10.01, 10.0, 9.99]
    assert row[[f"ask_volume_{n}" for n in range(1, 6)]].tolist() == [200, 400, 600, 0, 0]
    assert np.isnan(row["bid_price_4"])
    assert np.isnan(row["ask_price_4"])
    assert row["total_ask_volume"] == 1200
    assert len(day.quarantine) == 0
    with pytest.raises(SourceError, match="no snapshots on 2023-02-02"):
        source.load("snapshots", dt.date(2023, 2, 2))


def test_forms_and_selection_give_the_same_rows(tmp_path):
    table = tonglian([600000 + i for i in range(20)], SH)
    plain = SnapshotSource(folder(tmp_path / "a", MarketData=table))
    expected = plain.load("snapshots", DAY).frame
    packed = tmp_path / "b" / "20230201"
    packed.mkdir(parents=True)
    with gzip.open(packed / "MarketData.csv.gz", "wt") as out:
        table.to_csv(out, index=False)
    pd.testing.assert_frame_equal(SnapshotSource(tmp_path / "b").load("snapshots", DAY).frame, expected)
    columns = tmp_path / "c" / "20230201"
    columns.mkdir(parents=True)
    table.replace("", np.nan).to_parquet(columns / "MarketData.parquet")
    pd.testing.assert_frame_equal(SnapshotSource(tmp_path / "c").load("snapshots", DAY).frame, expected)
    some = SnapshotSource(tmp_path / "a", symbols=["600003.SH", "000003.SZ"])
    assert some.load("snapshots", DAY).frame["symbol"].unique().tolist() == ["600003.SH"]
    every = SnapshotSource(tmp_path / "a", every=7)
    kept = [s for s in expected["symbol"].unique() if int(s[:6]) % 7 == 0]
    assert every.load("snapshots", DAY).frame["symbol"].unique().tolist() == kept
    prints = {s.fingerprint("snapshots", DAY) for s in (plain, some, every)}
    assert len(prints) == 3


def test_bad_rows_are_set_aside_with_their_reason(tmp_path):
    table = tonglian([600519], SH, rows=18).astype(object)
    table.loc[1, "UpdateTime"] = "noon"
    table.loc[2, "SecurityID"] = "Moutai"
    table.loc[3, "BidVolume2"] = -5
    table.loc[4, "LastPrice"] = "x"
    table.loc[5, ["TradNumber", "TradVolume"]] = ""
    day = SnapshotSource(folder(tmp_path, MarketData=table)).load("snapshots", DAY)
    assert dict(zip(day.quarantine["row"], day.quarantine["reason"], strict=True)) == {
        3: "the time is none",
        4: "the code is no number",
        5: "a price, volume or count is negative",
        6: "last is no number",
        7: "neither volume nor number of trades",
    }
    assert set(day.quarantine["table"]) == {"snapshots"}
    assert len(day.frame) == 13


def test_unknown_files_and_options_are_named(tmp_path):
    table = tonglian([600519], SH)
    with pytest.raises(DataError, match=r"no known kind of snapshots.*BidPrice1"):
        SnapshotSource(folder(tmp_path, MarketData=table.drop(columns="BidPrice1"))).load("snapshots", DAY)
    with pytest.raises(DataError, match=r"rows are bad on 2023-02-01, most often 'the time is none'"):
        SnapshotSource(folder(tmp_path, MarketData=tonglian([600519], SH, 15, UpdateTime="?"))).load("snapshots", DAY)
    with pytest.raises(SourceError, match=r"name \['BJ'\]"):
        SnapshotSource(tmp_path, files={"BJ": "{date}.csv"})
    with pytest.raises(SourceError, match="every was 0"):
        SnapshotSource(tmp_path, every=0)
    own = {"columns": {"code": ["code"], "time": ["t"], "last": ["p"], "volume": ["v"], "amount": ["a"],
                       "num_trades": ["n"]},
           "levels": {s: f"{s}[{{n}}]" for s in ("bid_price", "bid_volume", "ask_price", "ask_volume")}, "first": 0,
           "volume": 100.0}  # fmt: skip
    row = {"code": 600519, "t": "93003", "p": 10.0, "v": 3, "a": 3000.0, "n": 2}
    row |= {f"{s}[0]": v for s, v in (("bid_price", 9.99), ("bid_volume", 4), ("ask_price", 10.0), ("ask_volume", 5))}
    root = folder(tmp_path, MarketData=pd.DataFrame([row]))
    frame = SnapshotSource(root, layouts={"mine": own}).load("snapshots", DAY).frame
    assert frame[["time", "volume", "bid_volume_1", "ask_price_1"]].iloc[0].tolist() == [
        pd.Timestamp("2023-02-01 09:30:03"), 300, 400, 10.0
    ]  # fmt: skip
    assert frame[["bid_volume_2", "ask_volume_10", "total_bid_volume"]].iloc[0].isna().all()  # columns the file lacks


def test_the_vendors_own_head_rows(tmp_path, shared_data):
    target = tmp_path / "20230201" / "MarketData.csv"
    target.parent.mkdir()
    target.write_bytes((shared_data / "vendor_csv_heads" / "tonglian_sh_MarketData.csv").read_bytes())
    head = SnapshotSource(tmp_path).load("snapshots", DAY)
    source = build_source("snapshots", {"root": str(shared_data), "files": "snapshots_by_stock"})
    day = source.load("snapshots", DAY).frame
    assert len(head.quarantine) == 0
    both = head.frame.merge(day, on=list(head.frame.columns))
    assert len(both) == len(head.frame) > 50  # the day's file holds the same rows, byte for byte in value
    assert source.days().tolist() == [DAY, dt.date(2023, 2, 7)]
    other = source.load("snapshots", dt.date(2023, 2, 7)).frame
    assert other.iloc[-1][["num_trades", "volume", "last"]].tolist() == [18685, 2432171, 1797.0]


@pytest.mark.parametrize(
    ("column", "factor", "words"),
    [
        ("LastPrice", 10_000, "last prices are 100,200 in the middle, which no A share has cost in yuan.*'layouts'"),
        ("TradVolume", 0.01, "amount over volume is 100 times the last price.*'volume' \\(100 for lots\\)"),
        ("Turnover", 0.001, "amount over volume is 0.001 times the last price"),
    ],
)
def test_a_column_in_another_unit_is_refused(tmp_path, column, factor, words):
    frame = tonglian([600519], SH)
    frame[column] = (frame[column] * factor).round(3)
    with pytest.raises(DataError, match=words):
        SnapshotSource(folder(tmp_path, MarketData=frame)).load("snapshots", DAY)
