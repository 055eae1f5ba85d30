# ruff: noqa: E501 (rows of vendor files)
"""Damaged files: what is one bad row goes to quarantine, what is a bad file raises and says what to do."""

import datetime as dt
import gzip
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from mg_assets.errors import DataError, MgError, SourceError
from mg_assets.market.schema import QUARANTINE
from mg_assets.sources.daily.qlib import QlibSource
from mg_assets.sources.level2.tonglian import TonglianSource
from mg_assets.sources.mapped.source import MappedSource

DAY = dt.date(2023, 2, 1)
SH_HEAD = "DataStatus,TradeIndex,TradeChan,SecurityID,TradTime,TradPrice,TradVolume,TradeMoney,TradeBuyNo,TradeSellNo,TradeBSFlag,BizIndex,LocalTime,SeqNo"
GOOD = [
    f"0,{i},6,600519,09:30:{i:02d}.000,1850.5,100,185050,{200 + i},{100 + i},B,{1000 + i},09:30:01.000,{i}"
    for i in range(1, 41)
]
SZ_HEAD = "ChannelNo,ApplSeqNum,MDStreamID,BidApplSeqNum,OfferApplSeqNum,SecurityID,SecurityIDSource,LastPx,LastQty,ExecType,TransactTime,LocalTime,SeqNo"
SZ_GOOD = [
    f"2013,{1000 + i},11,{200 + i},{100 + i},000001,102,14.5,100,70,09:30:{i:02d}.000,09:30:00.1,{i}"
    for i in range(1, 41)
]


def level2(tmp_path, lines, head=SH_HEAD, name="Transaction.csv", encoding="utf-8", end="\n"):
    folder = tmp_path / "20230201"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(("\n".join([head, *lines]) + end).encode(encoding))
    return TonglianSource(tmp_path)


def with_row(at, **changes):
    """The good rows, one of them with some fields changed."""
    names = SH_HEAD.split(",")
    fields = GOOD[at].split(",")
    for name, value in changes.items():
        fields[names.index(name)] = value
    return [*GOOD[:at], ",".join(fields), *GOOD[at + 1 :]]


ROWS = {
    "impossible time": (dict(TradTime="25:61:00.000"), "TradTime is no time"),
    "night": (dict(TradTime="03:00:00.000"), "TradTime is outside 09:15-15:30"),
    "other day": (dict(TradTime="2023-02-02 09:30:00.000"), "TradTime is on another day"),
    "empty time": (dict(TradTime=""), "TradTime is no time"),
    "negative volume": (dict(TradVolume="-100"), "TradVolume is not positive"),
    "zero volume": (dict(TradVolume="0"), "TradVolume is not positive"),
    "empty volume": (dict(TradVolume=""), "TradVolume is empty"),
    "text volume": (dict(TradVolume="many"), "TradVolume is no number"),
    "fraction of a share": (dict(TradVolume="100.5"), "TradVolume is no number"),
    "zero price": (dict(TradPrice="0"), "TradPrice is not positive"),
    "negative price": (dict(TradPrice="-1"), "TradPrice is not positive"),
    "infinite price": (dict(TradPrice="inf"), "TradPrice is no"),
    "text price": (dict(TradPrice="12,5".replace(",", ";")), "TradPrice is no number"),
    "unknown flag": (dict(TradeBSFlag="X"), "TradeBSFlag is an unknown code"),
    "empty flag": (dict(TradeBSFlag=""), "TradeBSFlag is an unknown code"),
    "no sequence": (dict(BizIndex=""), "BizIndex is empty"),
    "negative order": (dict(TradeBuyNo="-5"), "TradeBuyNo is outside"),
    "huge order": (dict(TradeBuyNo=str(1 << 50)), "TradeBuyNo is outside"),
    "duplicate": (dict(BizIndex="1002"), "BizIndex occurs twice"),
}  # fmt: skip


@pytest.mark.parametrize("case", ROWS, ids=lambda c: c.replace(" ", "_"))
def test_one_bad_row_is_set_aside(tmp_path, case):
    changes, reason = ROWS[case]
    loaded = level2(tmp_path, with_row(7, **changes)).load("trades", DAY)
    assert len(loaded.frame) == 39
    assert list(loaded.quarantine.columns) == QUARANTINE.names
    row = loaded.quarantine.iloc[0]
    assert len(loaded.quarantine) == 1
    assert row.reason.startswith(reason)
    assert row.row == 9
    assert row.table == "trades"
    assert row.symbol == "600519.SH"
    assert row.file.endswith("Transaction.csv")
    assert isinstance(json.loads(row.content), dict)
    assert loaded.notes["quarantined"] == 1


def test_rows_of_the_wrong_width_are_set_aside_with_their_number(tmp_path):
    lines = [*GOOD[:3], "0,1,6,600519", *GOOD[3:10], GOOD[10] + ",surplus", *GOOD[11:]]
    loaded = level2(tmp_path, lines).load("trades", DAY)
    assert len(loaded.frame) == 39
    assert loaded.quarantine.row.tolist() == [5, 13]
    assert loaded.quarantine.reason.str.contains("fields where the header has 14").all()


@pytest.mark.parametrize("stray", [range(40), range(0, 40, 3), [5]])
def test_stray_commas_are_taken_off(tmp_path, stray):
    lines = [line + "," if i in stray else line for i, line in enumerate(GOOD)]
    loaded = level2(tmp_path, lines).load("trades", DAY)
    assert len(loaded.quarantine) == 0
    assert loaded.frame.seq.tolist() == list(range(1001, 1041))


def test_shuffled_columns_quotes_blanks_and_bom(tmp_path):
    good = level2(tmp_path, GOOD).load("trades", DAY).frame
    names = SH_HEAD.split(",")
    order = np.random.default_rng(3).permutation(len(names))
    lines = [",".join(f'"{line.split(",")[i]}"' for i in order) for line in GOOD]
    head = ",".join(names[i] for i in order)
    pd.testing.assert_frame_equal(level2(tmp_path, lines, head=head).load("trades", DAY).frame, good)
    pd.testing.assert_frame_equal(level2(tmp_path, GOOD, encoding="utf-8-sig").load("trades", DAY).frame, good)
    pd.testing.assert_frame_equal(level2(tmp_path, GOOD, end="").load("trades", DAY).frame, good)
    reverse = level2(tmp_path, GOOD[::-1], head=SH_HEAD.replace(",", " , ")).load("trades", DAY).frame
    pd.testing.assert_frame_equal(reverse, good)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ("truncated", SourceError, "ends inside a row.*fetch it again"),
        ("empty", DataError, "empty"),
        ("header only", DataError, "a header and no rows"),
        ("missing column", DataError, r"columns lacking: \['TradPrice'\]; the file has"),
        ("no header", DataError, "columns lacking"),
        ("utf-16", DataError, "UTF-16"),
        ("doubled column", DataError, "occurs more than once"),
        ("two channels", DataError, "channels 6 and 7"),
        ("other stream", DataError, "columns lacking"),
        ("all bad", DataError, "40 of 40 rows are bad"),
        ("cut gzip", SourceError, "damaged or truncated"),
        ("binary", MgError, "UTF-16|header|lacking"),
    ],
)
def test_a_bad_file_raises_and_names_the_file(tmp_path, change, error, words):
    names = SH_HEAD.split(",")
    if change == "truncated":
        source = level2(tmp_path, [*GOOD[:20], GOOD[20][:30]], end="")
    elif change == "empty":
        source = level2(tmp_path, [], head="", end="")
    elif change == "header only":
        source = level2(tmp_path, [])
    elif change == "missing column":
        keep = [i for i, n in enumerate(names) if n != "TradPrice"]
        source = level2(
            tmp_path, [",".join(x.split(",")[i] for i in keep) for x in GOOD], head=",".join(names[i] for i in keep)
        )
    elif change == "no header":
        source = level2(tmp_path, GOOD[1:], head=GOOD[0])
    elif change == "utf-16":
        source = level2(tmp_path, GOOD, encoding="utf-16")
    elif change == "doubled column":
        source = level2(tmp_path, [x + ",1" for x in GOOD], head=SH_HEAD + ",BizIndex")
    elif change == "two channels":
        source = level2(tmp_path, with_row(9, TradeChan="7"))
    elif change == "other stream":
        source = level2(tmp_path, SZ_GOOD, head=SZ_HEAD)
    elif change == "all bad":
        source = level2(tmp_path, [x.replace(",09:30:", ",03:30:", 1) for x in GOOD])
    elif change == "cut gzip":
        source = level2(tmp_path, GOOD)
        path = tmp_path / "20230201" / "Transaction.csv"
        (path.parent / "Transaction.csv.gz").write_bytes(gzip.compress(path.read_bytes())[:-200])
        path.unlink()
    else:
        source = level2(tmp_path, GOOD)
        (tmp_path / "20230201" / "Transaction.csv").write_bytes(bytes(range(256)) * 50)
    with pytest.raises(error, match=words) as caught:
        source.load("trades", DAY)
    assert "Transaction" in str(caught.value)


def test_shenzhen_bad_rows_go_to_the_table_they_were_for(tmp_path):
    lines = [*SZ_GOOD]
    lines[3] = lines[3].replace(",70,", ",99,")  # unknown ExecType
    lines[5] = lines[5].replace(",70,", ",52,")  # a cancel that names two orders
    lines[6] = lines[6].replace(",14.5,", ",0,")
    level2(tmp_path, lines, head=SZ_HEAD, name="mdl_6_36_0.csv")
    orders = "ChannelNo,ApplSeqNum,MDStreamID,SecurityID,SecurityIDSource,Price,OrderQty,Side,TransactTime,OrdType,LocalTime,SeqNo"
    rows = [
        f"2013,{100 + i},11,1,102,{-1 if i == 2 else 14.5},100,{51 if i == 4 else 49},09:29:59.000,50,x,{i}".replace(
            "09:29:59", "09:20:59"
        )
        for i in range(40)
    ]
    source = level2(tmp_path, rows, head=orders, name="mdl_6_33_0.csv")
    trades, placed = source.load("trades", DAY), source.load("orders", DAY)
    assert trades.quarantine.reason.tolist() == ["ExecType is an unknown code", "LastPx is not positive"]
    assert placed.quarantine.reason.tolist() == [
        "Price is not positive",
        "Side is an unknown code",
        "a cancel names not exactly one order",
    ]
    assert len(trades.frame) == 37
    assert len(placed.frame) == 38


def test_damaged_parquet(tmp_path):
    level2(tmp_path, GOOD)
    folder = tmp_path / "20230201"
    frame = pd.read_csv(folder / "Transaction.csv")
    frame.to_parquet(folder / "Transaction.parquet")
    whole = (folder / "Transaction.parquet").read_bytes()
    (folder / "Transaction.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"Transaction.parquet is no whole Parquet file.*truncated"):
        TonglianSource(tmp_path).load("trades", DAY)
    frame["TradPrice"] = frame["TradPrice"].astype(str)
    frame.loc[4, "TradPrice"] = "free"
    frame.to_parquet(folder / "Transaction.parquet")
    loaded = TonglianSource(tmp_path).load("trades", DAY)
    assert loaded.quarantine.reason.tolist() == ["TradPrice is no number"]
    assert loaded.quarantine.row.tolist() == [5]


# ------------------------------------------------------------------ tables on disk

DAILY = "date,code,open,high,low,close,preclose,volume,amount,turn,tradestatus,isST,peTTM,pbMRQ,pcfNcfTTM"


def baostock(tmp_path, lines, head=DAILY, encoding="utf-8", end="\n"):
    (tmp_path / "daily.csv").write_bytes(("\n".join([head, *lines]) + end).encode(encoding))
    return MappedSource("baostock", tmp_path)


def bars(**changes):
    """Twenty days of one stock; the fifth row changed."""
    out = []
    for i in range(20):
        row = dict(
            zip(
                DAILY.split(","),
                [
                    f"2020-01-{i + 2:02d}",
                    "sh.600000",
                    "10",
                    "11",
                    "9",
                    "10.5",
                    "10.5",
                    "1000",
                    "10250",
                    "0.1",
                    "1",
                    "0",
                    "5",
                    "1",
                    "7",
                ],
                strict=True,
            )
        )
        out.append({**row, **changes} if i == 4 else row)
    return [",".join(r.values()) for r in out]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"volume": "-5"}, "volume is negative"),
        ({"open": "0"}, "a price is not positive"),
        ({"open": ""}, "a price is missing"),
        ({"close": "abc"}, "close is no number"),
        ({"high": "9.5"}, "high or low do not enclose"),
        ({"low": "10.2"}, "high or low do not enclose"),
        ({"amount": "-1"}, "amount is negative"),
        ({"date": "2020-13-45"}, "date is not readable"),
        ({"date": ""}, "date is not readable"),
        ({"date": "2020-01-05"}, "the stock has this day twice"),
        ({"code": "what"}, "symbol is not readable"),
        ({"code": ""}, "symbol is not readable"),
    ],
)
def test_one_bad_daily_row_is_set_aside(tmp_path, changes, reason):
    source = baostock(tmp_path, bars(**changes))
    every = pd.concat([source.load("daily_bars", d).quarantine for d in source.days().tolist()])
    assert every.reason.str.startswith(reason).tolist() == [True]
    assert every.row.tolist() == [6]
    assert sum(len(source.load("daily_bars", d).frame) for d in source.days().tolist()) == 19


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("truncated", "ends inside a row"),
        ("empty", "empty"),
        ("missing column", r"columns lacking: \['close'\]"),
        ("utf-16", "UTF-16"),
        ("units", "high or low|rows are bad"),
        ("no symbols", "no symbol is readable"),
        ("no file", "no file matches"),
        ("no root", "does not exist"),
    ],
)
def test_a_bad_daily_file_raises(tmp_path, change, words):
    lines = bars()
    if change == "truncated":
        source = baostock(tmp_path, [*lines[:9], lines[9][:25]], end="")
    elif change == "empty":
        source = baostock(tmp_path, [], head="", end="")
    elif change == "missing column":
        source = baostock(tmp_path, lines, head=DAILY.replace(",close", ",last"))
    elif change == "utf-16":
        source = baostock(tmp_path, lines, encoding="utf-16")
    elif change == "units":
        source = baostock(tmp_path, [x.replace(",11,", ",1.1,") for x in lines])
    elif change == "no symbols":
        source = baostock(tmp_path, [x.replace("sh.600000", "Pudong") for x in lines])
    else:
        source = MappedSource("baostock", tmp_path if change == "no file" else tmp_path / "nowhere")
    with pytest.raises(MgError, match=words) as caught:
        source.days()
    assert str(tmp_path) in str(caught.value)


def test_gbk_headers_are_read(tmp_path):
    (tmp_path / "600519.csv").write_bytes(
        "时间,开盘,收盘,最高,最低,成交量,成交额\n2023-02-01 09:31:00,10,10.1,10.2,9.9,3,3030\n".encode("gb18030")
    )
    frame = MappedSource("minute_akshare", tmp_path).load("minute_bars", DAY).frame
    assert frame.volume.iloc[0] == 300
    assert frame.close.iloc[-1] == 10.1


# ------------------------------------------------------------------ Qlib


def qlib(root, days=200, start=0):
    (root / "calendars").mkdir(parents=True)
    stock = root / "features" / "sh600000"
    stock.mkdir(parents=True)
    dates = pd.bdate_range("2020-01-01", periods=days)
    (root / "calendars" / "day.txt").write_text("\n".join(d.strftime("%Y-%m-%d") for d in dates) + "\n")
    rng = np.random.default_rng(1)
    close = np.round(10 + np.cumsum(rng.normal(0, 0.1, days - start)), 2)
    values = dict(
        open=close, high=close + 0.1, low=close - 0.1, close=close, volume=rng.integers(1000, 10**6, days - start) * 1.0
    )
    for name, raw in values.items():
        stored = raw / 2.345 if name == "volume" else raw * 2.345
        np.append(np.float32(start), stored.astype("<f4")).astype("<f4").tofile(stock / f"{name}.day.bin")
    np.append(np.float32(start), np.full(days - start, 2.345)).astype("<f4").tofile(stock / "factor.day.bin")
    return stock, close, values["volume"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("no features", "no folder 'features'"),
        ("no calendar", "does not exist"),
        ("bad calendar", "ascending dates"),
        ("empty bin", "has 0 bytes"),
        ("odd bytes", "has 801 bytes"),
        ("lacks factor", "lacks factor.day.bin"),
        ("bad start", "start index was nan"),
        ("too long", "after the calendar's last day"),
        ("unequal", "differ in start index or length"),
        ("bad instruments", "symbol, first day, last day"),
        ("instruments date", "its date is none"),
        ("no stock", "no stock below"),
        ("raw prices", "set raw_prices=False"),
    ],
)
def test_a_bad_qlib_dataset_raises(tmp_path, change, words):
    stock, _, _ = qlib(tmp_path)
    close = stock / "close.day.bin"
    options = {}
    if change == "no features":
        shutil.rmtree(tmp_path / "features")
    elif change == "no calendar":
        (tmp_path / "calendars" / "day.txt").unlink()
    elif change == "bad calendar":
        (tmp_path / "calendars" / "day.txt").write_text("2020-01-02\n2020-01-01\n")
    elif change == "empty bin":
        close.write_bytes(b"")
    elif change == "odd bytes":
        close.write_bytes(close.read_bytes()[:-3])
    elif change == "lacks factor":
        (stock / "factor.day.bin").unlink()
    elif change == "bad start":
        close.write_bytes(np.float32(np.nan).tobytes() + close.read_bytes()[4:])
    elif change == "too long":
        lines = (tmp_path / "calendars" / "day.txt").read_text().splitlines()
        (tmp_path / "calendars" / "day.txt").write_text("\n".join(lines[:150]))
    elif change == "unequal":
        close.write_bytes(close.read_bytes()[:-40])
    elif change in ("bad instruments", "instruments date"):
        (tmp_path / "instruments").mkdir()
        text = "SH600000\t2020-01-01\n" if change == "bad instruments" else "SH600000\t2020-01-01\tnever\n"
        (tmp_path / "instruments" / "csi300.txt").write_text(text)
    elif change == "no stock":
        stock.rename(stock.parent / "weather")
    else:
        options = {"raw_prices": True, "raw_volume": False}
    with pytest.raises(MgError, match=words) as caught:
        QlibSource(tmp_path, **options).days()
    assert str(tmp_path) in str(caught.value)
