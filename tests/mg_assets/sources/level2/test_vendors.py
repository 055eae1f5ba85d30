# ruff: noqa: E501 (tables of column names)
"""Every vendor's tick format: real first rows against an independent reading, and whole simulated days.

Formats of which no sample is at hand (Huatai's Shenzhen files, the exchanges' own files, the forms before 2016) are
made from a simulated day's Tonglian files, column by column as their public descriptions have them
(docs/sources.md), and must give the same tables.
"""

import csv
import datetime as dt
import io
import itertools
import zipfile

import exported as files
import numpy as np
import pandas as pd
import py7zr
import pytest
from vendor_files import as_text, huatai_shanghai, huatai_shenzhen, shenzhen_files

from mg_assets.assets import raw
from mg_assets.errors import MgError, SourceError
from mg_assets.sources import build_source
from mg_assets.sources.base import TICKS, ticks_of
from mg_assets.sources.io import archives
from mg_assets.sources.level2.stream_formats import DIALECTS

DAY, MERGED, OLD = dt.date(2023, 2, 1), dt.date(2023, 11, 27), dt.date(2016, 5, 6)


# ------------------------------------------------------------- real first rows


def read_csv(path):
    """The rows of a CSV file as dicts of text, with nothing but the csv module."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def clock(text, day):
    """A vendor's clock as a timestamp of the day."""
    hour, minute, second = text.rsplit("T", 1)[-1].split(":")
    milli = int(hour) * 3_600_000 + int(minute) * 60_000 + int(second.replace(".", ""))
    return pd.Timestamp(day) + pd.Timedelta(milliseconds=milli)


TRADE_HEADS = [
    ("tonglian", "tonglian_sh_Transaction", dt.date(2023, 2, 1), dict(
        time="TradTime", seq="BizIndex", price="TradPrice", volume="TradVolume", buy_order="TradeBuyNo",
        sell_order="TradeSellNo", side="TradeBSFlag"), {"B": 1, "S": -1, "N": 0}),
    ("huatai", "huatai_insight_sh_trans", dt.date(2023, 7, 11), dict(
        time="MDTime", seq="ApplSeqNum", price="TradePrice", volume="TradeQty", buy_order="TradeBuyNo",
        sell_order="TradeSellNo", side="TradeBSFlag"), {"1": 1, "2": -1, "0": 0}),
    ("exchange", "sse_exchdata_Tick", dt.date(2021, 1, 4), dict(
        time="TradeTime", seq="BizIndex", price="TradePrice", volume="TradeQty", buy_order="BuyNo",
        sell_order="SellNo", side="TradeBSFlag"), {"B": 1, "S": -1, "N": 0}),
]  # fmt: skip
ORDER_HEADS = [
    ("tonglian", {"sh_orders": "tonglian_mdl_4_19_0_entrust", "sh_trades": "tonglian_sh_Transaction"}, dt.date(2023, 2, 1), dict(
        time="OrderTime", seq="BizIndex", price="OrderPrice", volume="Balance", order_id="OrderNO", side="OrderBSFlag",
        kind="OrderType"), {"B": 1, "S": -1}, {"A": "limit", "D": "cancel"}, ("TradeBuyNo", "TradeSellNo", "BizIndex", "TradeBSFlag")),
    ("huatai", {"sh_orders": "huatai_insight_sh_orders", "sh_trades": "huatai_insight_sh_trans"}, dt.date(2023, 7, 11), dict(
        time="MDTime", seq="ApplSeqNum", price="OrderPrice", volume="OrderQty", order_id="OrderNO", side="OrderBSFlag",
        kind="OrderType"), {"1": 1, "2": -1}, {"2": "limit", "10": "cancel"}, ("TradeBuyNo", "TradeSellNo", "ApplSeqNum", "TradeBSFlag")),
]  # fmt: skip


def placed(root, kind, heads, day, shared_data):
    """The heads under a layout of the source, each named by its stream and day."""
    for stream, name in heads.items():
        (root / f"{stream}_{day:%Y%m%d}.csv").write_bytes(
            (shared_data / "vendor_csv_heads" / f"{name}.csv").read_bytes()
        )
    return build_source(kind, {"root": root, "files": {s: f"{s}_{{date}}.csv" for s in heads}})


@pytest.mark.parametrize(("kind", "name", "day", "names", "sides"), TRADE_HEADS, ids=[h[1] for h in TRADE_HEADS])
def test_real_trade_rows_value_by_value(shared_data, tmp_path, kind, name, day, names, sides):
    loaded = placed(tmp_path, kind, {"sh_trades": name}, day, shared_data).load("trades", day)
    rows = read_csv(shared_data / "vendor_csv_heads" / f"{name}.csv")
    assert len(rows) >= 290
    assert loaded.quarantine.empty
    expected = sorted(
        (
            r["SecurityID"][:6] + ".SH",
            int(r[names["seq"]]),
            clock(r[names["time"]], day),
            round(float(r[names["price"]]), 4),
            int(r[names["volume"]]),
            int(r[names["buy_order"]]),
            int(r[names["sell_order"]]),
            sides[r[names["side"]]],
        )
        for r in rows
    )
    columns = ["symbol", "seq", "time", "price", "volume", "buy_order", "sell_order", "side"]
    assert list(loaded.frame[columns].itertuples(index=False, name=None)) == expected


@pytest.mark.parametrize(
    ("kind", "heads", "day", "names", "sides", "kinds", "trade"), ORDER_HEADS, ids=[h[0] for h in ORDER_HEADS]
)
def test_real_order_rows_value_by_value(shared_data, tmp_path, kind, heads, day, names, sides, kinds, trade):
    """Published orders of the heads; the first rows are the auction's, which no fill precedes."""
    loaded = placed(tmp_path, kind, heads, day, shared_data).load("orders", day)
    published = read_csv(shared_data / "vendor_csv_heads" / f"{heads['sh_orders']}.csv")
    buy, sell, seq, flag = trade
    hits = read_csv(shared_data / "vendor_csv_heads" / f"{heads['sh_trades']}.csv")
    active = {(r[buy] if sides.get(r[flag]) == 1 else r[sell], int(r[seq])) for r in hits if sides.get(r[flag], 0)}
    early = {n for n, at in active if any(n == o[names["order_id"]] and at < int(o[names["seq"]]) for o in published)}
    expected = sorted(
        (
            r["SecurityID"][:6] + ".SH",
            int(r[names["seq"]]),
            clock(r[names["time"]], day),
            int(r[names["order_id"]]),
            sides[r[names["side"]]],
            round(float(r[names["price"]]), 4),
            int(r[names["volume"]]),
            kinds[r[names["kind"]]],
        )
        for r in published
        if r[names["order_id"]] not in early
    )
    frame = loaded.frame[loaded.frame["kind"] != "market"]
    columns = ["symbol", "seq", "time", "order_id", "side", "price", "volume", "kind"]
    found = list(frame[columns].itertuples(index=False, name=None))
    assert loaded.quarantine.empty
    assert len(expected) >= 290
    assert set(expected) <= set(found)
    assert len(found) == len(published)


# ------------------------------------------- simulated days in other vendors' forms


@pytest.fixture(scope="module")
def tonglian(tmp_path_factory):
    """A simulated day's files by stem, and what the Tonglian reader makes of them."""
    root = tmp_path_factory.mktemp("tonglian")
    paths = files.exported(DAY, root)
    merged = files.exported(MERGED, root)
    source = build_source("tonglian", {"root": root})
    frames = {stem: pd.read_csv(p, index_col=False) for stem, p in paths.items()}
    frames["mdl_4_24_0"] = pd.read_csv(merged["mdl_4_24_0"], index_col=False)
    return frames, {d: {t: source.load(t, d).frame for t in ("trades", "orders")} for d in (DAY, MERGED)}


def same(source, day, expected, exchange):
    """Both tables of a day equal the expected ones of an exchange, and the quarantine is empty."""
    for table in ("trades", "orders"):
        loaded = source.load(table, day)
        assert loaded.quarantine.empty, loaded.quarantine
        theirs = expected[table]
        theirs = theirs[theirs["symbol"].str.endswith(exchange)].reset_index(drop=True)
        ours = loaded.frame[loaded.frame["symbol"].str.endswith(exchange)].reset_index(drop=True)
        assert len(ours) > 50
        pd.testing.assert_frame_equal(ours, theirs)


def write(folder, tables, **how):
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables:
        frame.to_csv(folder / f"{name}.csv", index=False, **how)


def test_huatai_has_both_exchanges(tonglian, tmp_path):
    frames, expected = tonglian
    write(tmp_path / "20230201", [*huatai_shenzhen(frames), *huatai_shanghai(frames)])
    source = build_source("huatai", {"root": tmp_path})
    same(source, DAY, expected[DAY], ".SZ")
    same(source, DAY, expected[DAY], ".SH")


def test_huatai_in_one_file_and_in_integers(tonglian, tmp_path):
    """Both exchanges under one name, and prices and times as the programming interface gives them."""
    frames, expected = tonglian
    parts = dict(huatai_shenzhen(frames)), dict(huatai_shanghai(frames))
    merged = {}
    for name, sz, sh in (("orders", "sz_orders", "sh_orders"), ("trans", "sz_trans", "sh_trans")):
        both = pd.concat([parts[0][sz], parts[1][sh]], ignore_index=True)
        price = "OrderPrice" if name == "orders" else "TradePrice"
        both[price] = (both[price] * 10_000).round().astype(int)
        both["MDTime"] = both["MDTime"].str.replace("[:.]", "", regex=True).astype(int)
        for column in ("OrderNO", "TradeType"):
            if column in both:
                both[column] = both[column].fillna(0).astype(int)
        merged[name] = both
    status = (
        merged["orders"].iloc[:1].assign(OrderType=11, OrderBSFlag=0, OrderPrice=0, OrderQty=0, SecurityID="600000.SH")
    )
    write(tmp_path / "2023-02-01", [("orders", pd.concat([merged["orders"], status])), ("trans", merged["trans"])])
    layout = {s: f"{{date:%Y-%m-%d}}/{'orders' if s.endswith('orders') else 'trans'}.csv" for s in DIALECTS["huatai"]}
    source = build_source("huatai", {"root": tmp_path, "files": layout, "price_unit": 0.0001})
    same(source, DAY, expected[DAY], ".SZ")
    same(source, DAY, expected[DAY], ".SH")
    notes = source.load("trades", DAY).notes["streams"]["sz_trades"]
    assert notes["rows_of_the_other_exchange"] == len(parts[1]["sh_trans"])
    assert "rows_of_other_securities" not in notes


@pytest.mark.parametrize("layout", ["20230201", "SZ/20230201", "SZ/2023/0201"])
def test_shenzhens_own_files(tonglian, tmp_path, layout):
    frames, expected = tonglian
    folder = tmp_path / layout
    folder.mkdir(parents=True)
    for name, frame in shenzhen_files(frames):
        (folder / f"{name}.txt").write_bytes(as_text(frame))
    source = build_source("exchange", {"root": tmp_path})
    assert source.days().tolist() == [DAY]
    same(source, DAY, expected[DAY], ".SZ")


def test_shenzhens_own_files_packed_in_volumes(tonglian, tmp_path):
    """Orders as the exchange hands them out, 7z in volumes; trades in zip archives."""
    frames, expected = tonglian
    folder = tmp_path / "20230201"
    folder.mkdir()
    for name, frame in shenzhen_files(frames):
        data = as_text(frame)
        if "trade" in name:
            with zipfile.ZipFile(folder / f"{name}.zip", "w") as out:
                out.writestr(f"{name}.txt", data)
            continue
        packed = io.BytesIO()
        with py7zr.SevenZipFile(packed, "w") as out:
            out.writestr(data, f"{name}.txt")
        raw = packed.getvalue()
        size = len(raw) // 3 + 1
        for k in range(3):
            (folder / f"{name}.7z.{k + 1:03d}").write_bytes(raw[k * size : (k + 1) * size])
    source = build_source("exchange", {"root": tmp_path})
    same(source, DAY, expected[DAY], ".SZ")
    (folder / "pm_hq_order_spot.7z.002").unlink()
    with pytest.raises(SourceError, match=r"7z\.001 cannot be unpacked.*lacks a volume"):
        source.load("orders", DAY)


def test_shenzhens_own_files_with_a_header(tonglian, tmp_path):
    frames, expected = tonglian
    (tmp_path / "20230201").mkdir()
    for name, frame in shenzhen_files(frames):
        header = DIALECTS["exchange"][f"sz_{name[6:11]}s"][-1].header
        text = as_text(frame.set_axis([h.lower() for h in header], axis=1).iloc[:, ::-1], ",", header=True)
        (tmp_path / "20230201" / f"{name}.csv").write_bytes(text)
    same(build_source("exchange", {"root": tmp_path}), DAY, expected[DAY], ".SZ")


def test_half_a_day_is_refused(tonglian, tmp_path):
    (tmp_path / "20230201").mkdir()
    for name, frame in shenzhen_files(tonglian[0]):
        if not name.startswith("pm_hq_trade"):
            (tmp_path / "20230201" / f"{name}.txt").write_bytes(as_text(frame))
    source = build_source("exchange", {"root": tmp_path})
    with pytest.raises(SourceError, match=r"am_hq_trade_spot\.txt: sz_trades of 2023-02-01 has no file pm_"):
        source.load("trades", DAY)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: b"\n".join(x.rsplit(b"\t", 1)[0] for x in d.splitlines()) + b"\n", "no header, and its first line has 15 fields"),
        (lambda d: d[:-20], "ends inside a row"),
        (lambda d: b"", "is empty"),
        (lambda d: d.replace(b"\t", b""), "no header, and its first line has"),
    ],
)  # fmt: skip
def test_a_file_without_header_must_have_its_columns(tonglian, tmp_path, damage, words):
    (tmp_path / "20230201").mkdir()
    for name, frame in shenzhen_files(tonglian[0]):
        data = as_text(frame)
        (tmp_path / "20230201" / f"{name}.txt").write_bytes(damage(data) if name == "am_hq_trade_spot" else data)
    with pytest.raises(MgError, match=words) as caught:
        build_source("exchange", {"root": tmp_path}).load("trades", DAY)
    assert "am_hq_trade_spot" in str(caught.value)


@pytest.mark.parametrize("layout", ["20230201", "SH/20230201", "SH/2023/20230201"])
def test_shanghais_own_separate_files(tonglian, tmp_path, layout):
    frames, expected = tonglian
    orders, trades = frames["mdl_4_19_0"], frames["Transaction"]
    digits = lambda t: "20230201" + t.str.replace("[:.]", "", regex=True)  # noqa: E731
    entrust = pd.DataFrame(
        {
            "SecurityID": orders["SecurityID"],
            "TransactTime": digits(orders["OrderTime"]),
            "OrderNo": orders["OrderNO"],
            "Price": orders["OrderPrice"],
            "Balance": orders["Balance"],
            "OrderBSFlag": orders["OrderBSFlag"],
            "OrdType": orders["OrderType"],
            "OrderIndex": orders["OrderIndex"],
            "ChannelNo": orders["OrderChannel"],
            "BizIndex": orders["BizIndex"],
        }
    )
    tick = pd.DataFrame(
        {
            "SecurityID": trades["SecurityID"],
            "TradeTime": digits(trades["TradTime"]),
            "TradePrice": trades["TradPrice"],
            "TradeQty": trades["TradVolume"],
            "TradeAmount": trades["TradeMoney"],
            "BuyNo": trades["TradeBuyNo"],
            "SellNo": trades["TradeSellNo"],
            "TradeIndex": trades["TradeIndex"],
            "ChannelNo": trades["TradeChan"],
            "TradeBSFlag": trades["TradeBSFlag"],
            "BizIndex": trades["BizIndex"],
        }
    )
    write(tmp_path / layout, [("Entrust", entrust), ("Tick", tick)])
    source = build_source("exchange", {"root": tmp_path})
    assert source.days().tolist() == [DAY]
    same(source, DAY, expected[DAY], ".SH")


def test_shanghais_own_merged_file(tonglian, tmp_path):
    frames, expected = tonglian
    write(
        tmp_path / "SH" / "2023" / "20231127",
        [("StockTick", frames["mdl_4_24_0"].drop(columns=["LocalTime", "SeqNo"]))],
    )
    same(build_source("exchange", {"root": tmp_path}), MERGED, expected[MERGED], ".SH")


def test_hundredths_of_a_second(tonglian, tmp_path):
    """Shanghai's early history stamps 2015112309163002: two digits after the second."""
    trades = tonglian[0]["Transaction"]
    tick = pd.DataFrame(
        {
            "SecurityID": trades["SecurityID"], "TradePrice": trades["TradPrice"], "TradeQty": trades["TradVolume"],
            "TradeTime": "20150105" + trades["TradTime"].str.replace("[:.]", "", regex=True).str[:8],
            "BuyNo": trades["TradeBuyNo"], "SellNo": trades["TradeSellNo"], "TradeIndex": trades["TradeIndex"],
            "ChannelNo": trades["TradeChan"], "TradeBSFlag": trades["TradeBSFlag"],
        }
    )  # fmt: skip
    write(tmp_path / "20150105", [("Tick", tick)])
    loaded = build_source("exchange", {"root": tmp_path}).load("trades", dt.date(2015, 1, 5))
    assert loaded.quarantine.empty
    expected = tonglian[1][DAY]["trades"]
    expected = expected[expected["symbol"].str.endswith(".SH")]
    shift = pd.Timestamp(DAY) - pd.Timestamp("2015-01-05")
    assert (loaded.frame["time"].to_numpy() == (expected["time"] - shift).dt.floor("10ms").to_numpy()).all()
    assert (loaded.frame["seq"].to_numpy() == expected["seq"].to_numpy()).all()  # TradeIndex counts instead


def before_2016(frames):
    """Tonglian's Order.csv and Trade.csv: orders and trades numbered apart, B and S, 0 and C."""
    orders, trades = frames["mdl_6_33_0"].copy(), frames["mdl_6_36_0"].copy()
    number = {}
    for code, part in orders.groupby("SecurityID"):
        number |= {(code, n): i + 1 for i, n in enumerate(sorted(part["ApplSeqNum"]))}
    recno = lambda f, c: [number.get((s, n), 0) for s, n in zip(f["SecurityID"], f[c], strict=True)]  # noqa: E731
    yield "Order", pd.DataFrame(
        {
            "SetNo": orders["ChannelNo"], "RecNo": recno(orders, "ApplSeqNum"), "SecurityID": orders["SecurityID"],
            "Price": orders["Price"], "OrderQty": orders["OrderQty"], "OrderKind": orders["OrdType"].map(chr),
            "FunctionCode": orders["Side"].map({49: "B", 50: "S"}), "OrderEntryTime": orders["TransactTime"],
            "LocalTime": orders["LocalTime"], "SeqNo": orders["SeqNo"],
        }
    )  # fmt: skip
    yield "Trade", pd.DataFrame(
        {
            "SetNo": trades["ChannelNo"], "RecNo": trades.groupby("SecurityID")["ApplSeqNum"].rank().astype(int),
            "BuyOrderRecNo": recno(trades, "BidApplSeqNum"), "SellOrderRecNo": recno(trades, "OfferApplSeqNum"),
            "SecurityID": trades["SecurityID"], "Price": trades["LastPx"], "TradeQty": trades["LastQty"],
            "OrderKind": 0, "FunctionCode": trades["ExecType"].map({70: "0", 52: "C"}),
            "TradeTime": trades["TransactTime"], "LocalTime": trades["LocalTime"], "SeqNo": trades["SeqNo"],
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "names"), [("tonglian", ("Order", "Trade")), ("exchange", ("SZL2_ORDER_20160506", "SZL2_TRADE_20160506"))]
)
def test_shenzhen_before_2016(tonglian, tmp_path, kind, names):
    """The same orders, cancels and trades as the present form gives; only the numbers are others."""
    frames, expected = tonglian
    write(tmp_path / "20160506", zip(names, (f for _, f in before_2016(frames)), strict=True))
    source = build_source(kind, {"root": tmp_path})
    shift = pd.Timestamp(DAY) - pd.Timestamp(OLD)
    for table, keys in (
        ("trades", ["symbol", "time", "price", "volume", "side"]),
        ("orders", ["symbol", "time", "price", "volume", "side", "kind"]),
    ):
        loaded = source.load(table, OLD)
        assert loaded.quarantine.empty
        theirs = expected[DAY][table]
        theirs = theirs[theirs["symbol"].str.endswith(".SZ")].assign(time=lambda f: f["time"] - shift)
        ours = loaded.frame
        pd.testing.assert_frame_equal(
            ours[keys].sort_values(keys, ignore_index=True), theirs[keys].sort_values(keys, ignore_index=True)
        )
        assert not ours.duplicated(["symbol", "seq"]).any()
        assert (ours.groupby("symbol")["time"].diff().dropna() >= pd.Timedelta(0)).all()
    orders, trades = source.load("orders", OLD).frame, source.load("trades", OLD).frame
    new = orders[orders["kind"] != "cancel"].set_index(["symbol", "order_id"])
    assert new.index.is_unique
    assert set(zip(trades["symbol"], trades["buy_order"], strict=True)) <= set(new.index)
    cancels = orders[orders["kind"] == "cancel"]
    mine = new["side"].reindex(pd.MultiIndex.from_frame(cancels[["symbol", "order_id"]]))
    assert (mine.to_numpy() == cancels["side"].to_numpy()).all()


def test_made_up_dates_are_read_without_check_dates(tonglian, tmp_path):
    write(tmp_path / "20300102", [("Transaction", tonglian[0]["Transaction"])])
    day = dt.date(2030, 1, 2)
    with pytest.raises(SourceError, match="check_dates=False"):
        build_source("tonglian", {"root": tmp_path}).load("trades", day)
    assert len(build_source("tonglian", {"root": tmp_path, "check_dates": False}).load("trades", day).frame) > 50


def test_forms_of_a_stream_leave_no_day_and_no_day_twice():
    for dialect, streams in DIALECTS.items():
        for name, forms in streams.items():
            for earlier, later in itertools.pairwise(forms):
                assert later.since == earlier.until + dt.timedelta(days=1), (dialect, name)


def test_a_day_is_read_once_for_both_tables(tonglian, tmp_path, monkeypatch):
    from mg_assets.sources.level2 import ticks

    frames, expected = tonglian
    write(tmp_path / "20230201", [(n, frames[n]) for n in ("mdl_4_19_0", "Transaction", "mdl_6_33_0", "mdl_6_36_0")])
    reads = []
    original = ticks.read_blocks
    monkeypatch.setattr(ticks, "read_blocks", lambda path, *a, **k: reads.append(path.name) or original(path, *a, **k))
    source = build_source("composite", [{"kind": "huatai", "root": tmp_path}, {"kind": "tonglian", "root": tmp_path}])
    loaded = ticks_of(source, DAY)
    assert sorted(reads) == sorted(f"{n}.csv" for n in ("mdl_4_19_0", "Transaction", "mdl_6_33_0", "mdl_6_36_0"))
    built = {b.table: b for b in raw._load(source, TICKS, str(DAY))}  # what the asset writes
    for table, day in loaded.items():
        pd.testing.assert_frame_equal(day.frame, expected[DAY][table])
        pd.testing.assert_frame_equal(built[table].frame.frame, expected[DAY][table])
    (tmp_path / "20230201" / "mdl_6_33_0.csv").write_text("")
    broken = ticks_of(source, DAY)
    assert isinstance(broken["orders"], MgError)
    pd.testing.assert_frame_equal(broken["trades"].frame, expected[DAY]["trades"])
    with pytest.raises(MgError, match="is empty"):
        raw._load(source, TICKS, str(DAY))


def test_bombs_are_bounded_by_ratio_and_by_size(monkeypatch):
    assert archives.unpack_limit(10) == archives.FREE_BYTES
    assert archives.unpack_limit(1 << 20) == archives.MAX_RATIO << 20
    assert archives.unpack_limit(1 << 40) == archives.MAX_BYTES
    assert np.isfinite(archives.MAX_BYTES)
