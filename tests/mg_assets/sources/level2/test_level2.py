# ruff: noqa: E501 (rows of vendor files)
"""Level-2 readers: restoration rules on written fixtures, and on real days where they are present."""

import datetime as dt
import gzip
import io
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest

from mg_assets.errors import SourceError
from mg_assets.market.schema import ORDERS, TRADES
from mg_assets.sources import build_source
from mg_assets.sources.level2.tonglian import TonglianSource

DAY = dt.date(2023, 2, 1)
LATER = dt.date(2023, 11, 27)

SH_ORDERS = """DataStatus,OrderIndex,OrderChannel,SecurityID,OrderTime,OrderType,OrderNO,OrderPrice,Balance,OrderBSFlag,BizIndex,LocalTime,SeqNo
0,1,6,600519,09:15:00.020,A,90,1745,500,S,10,09:25:26.145,1
0,2,6,600519,09:30:01.000,A,200,1846.00999999999999,300,S,20,09:25:26.145,2
0,3,6,600519,09:30:02.000,A,210,1847,100,B,24,09:25:26.145,3
0,4,6,600519,09:31:00.000,D,210,1847,100,B,30,09:25:26.145,4
0,5,1,510300,09:31:00.000,A,7,4.1,100,B,31,09:25:26.145,5
"""
SH_TRADES = """DataStatus,TradeIndex,TradeChan,SecurityID,TradTime,TradPrice,TradVolume,TradeMoney,TradeBuyNo,TradeSellNo,TradeBSFlag,BizIndex,LocalTime,SeqNo
0,1,6,600519,09:25:00.940,1745,50,87250,80,90,N,15,09:25:08.075,1
0,2,6,600519,09:30:02.000,1846.01,150,276901.5,210,200,B,22,09:25:08.075,2
0,3,6,600519,09:30:02.000,1846.5,50,92325,210,90,B,23,09:25:08.075,3
0,4,6,600519,09:32:00.000,1846.01,40,73840.4,300,200,B,40,09:25:08.075,4
0,5,6,600519,09:32:00.000,1846.50,60,110790,300,90,B,41,09:25:08.075,5
"""
SH_MERGED = """BizIndex,Channel,SecurityID,TickTime,Type,BuyOrderNO,SellOrderNO,Price,Qty,TradeMoney,TickBSFlag,LocalTime,SeqNo
1,6,600519,09:14:00.000,S,0,0,0,0,0,OCALL,09:25:26.145,1
10,6,600519,09:15:00.020,A,0,90,1745,500,0,S,09:25:26.145,1
15,6,600519,09:25:00.940,T,80,90,1745,50,87250,N,09:25:08.075,1
20,6,600519,09:30:01.000,A,0,200,1846.01,300,0,S,09:25:26.145,2
22,6,600519,09:30:02.000,T,210,200,1846.01,150,276901.5,B,09:25:08.075,2
23,6,600519,09:30:02.000,T,210,90,1846.5,50,92325,B,09:25:08.075,3
24,6,600519,09:30:02.000,A,210,0,1847,100,0,B,09:25:26.145,3
30,6,600519,09:31:00.000,D,210,0,1847,100,0,B,09:25:26.145,4
40,6,600519,09:32:00.000,T,300,200,1846.01,40,73840.4,B,09:25:08.075,4
41,6,600519,09:32:00.000,T,300,90,1846.5,60,110790,B,09:25:08.075,5
"""
SZ_ORDERS = """ChannelNo,ApplSeqNum,MDStreamID,SecurityID,SecurityIDSource,Price,OrderQty,Side,TransactTime,OrdType,LocalTime,SeqNo
2013,1,11,1,102,10.00,1000,49,20230201091500000,50,09:15:00.072,1
2013,2,11,1,102,10.01,500,50,20230201091500010,50,09:15:00.072,2
2013,5,11,1,102,0,300,49,20230201093000000,49,09:15:00.072,3
2013,6,11,1,102,0,200,50,20230201093000500,85,09:15:00.072,4
2014,3,11,300001,102,20.5,700,50,20230201093000500,50,09:15:00.072,5
"""
SZ_TRADES = """ChannelNo,ApplSeqNum,MDStreamID,BidApplSeqNum,OfferApplSeqNum,SecurityID,SecurityIDSource,LastPx,LastQty,ExecType,TransactTime,LocalTime,SeqNo
2013,3,11,1,2,1,102,10.005,100,70,20230201092500000,09:15:00.072,1,
2013,7,11,5,2,1,102,10.01,300,70,20230201093000000,09:15:00.072,2,
2013,8,11,1,6,1,102,10.00,200,70,20230201093000500,09:15:00.072,3,
2013,9,11,1,0,1,102,0,600,52,20230201093100000,09:15:00.072,4,
2013,11,11,0,2,1,102,0,50,52,20230201093100010,09:15:00.072,5,
2013,12,11,1,2,1,102,10.01,50,70,20230201150000000,09:15:00.072,6,
"""


def write_day(root, day, **files):
    folder = root / f"{day:%Y%m%d}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return TonglianSource(root)


@pytest.fixture
def separate(tmp_path):
    return write_day(
        tmp_path, DAY, mdl_4_19_0=SH_ORDERS, Transaction=SH_TRADES, mdl_6_33_0=SZ_ORDERS, mdl_6_36_0=SZ_TRADES
    )


def rows(frame, *columns):
    return list(frame[list(columns)].itertuples(index=False, name=None))


def test_shanghai_orders_are_restored(separate):
    day = separate.load("orders", DAY)
    frame = day.frame[day.frame.symbol == "600519.SH"]
    assert rows(frame, "seq", "order_id", "side", "volume", "kind") == [
        (10, 90, -1, 500, "limit"),
        (20, 200, -1, 300, "limit"),
        (22, 210, 1, 300, "limit"),  # 100 published + 150 + 50 traded on arrival, at its first trade
        (30, 210, 1, 100, "cancel"),
        (40, 300, 1, 100, "market"),  # never published: what it traded, and no price
    ]
    assert frame.price.isna().tolist() == [False, False, False, False, True]
    assert frame.price.iloc[1] == 1846.01
    assert frame.time.iloc[2] == pd.Timestamp("2023-02-01 09:30:02")
    assert day.notes["sh_orders_with_fills_added"] == 1
    assert day.notes["sh_orders_never_published"] == 1
    assert day.notes["streams"]["sh_orders"]["rows_of_other_securities"] == 1


def test_merged_stream_gives_what_the_separate_ones_give(tmp_path):
    apart = write_day(tmp_path / "a", DAY, mdl_4_19_0=SH_ORDERS, Transaction=SH_TRADES)
    merged = write_day(tmp_path / "b", LATER, mdl_4_24_0=SH_MERGED)
    for table in ("orders", "trades"):
        expected = apart.load(table, DAY).frame.assign(
            time=lambda f: f.time + (pd.Timestamp(LATER) - pd.Timestamp(DAY))
        )
        pd.testing.assert_frame_equal(expected, merged.load(table, LATER).frame)
    assert len(merged.load("trades", LATER).quarantine) == 0  # status rows are no bad rows


def test_cut_over_decides_where_both_forms_are_there(tmp_path):
    only_first = "\n".join(SH_MERGED.splitlines()[:4]) + "\n"
    for day, trades in ((DAY, 5), (LATER, 1)):
        source = write_day(tmp_path, day, mdl_4_19_0=SH_ORDERS, Transaction=SH_TRADES, mdl_4_24_0=only_first)
        assert len(source.load("trades", day).frame) == trades


def test_shenzhen_cancels_become_orders(separate):
    frame = separate.load("orders", DAY).frame
    frame = frame[frame.symbol == "000001.SZ"]
    assert rows(frame, "seq", "order_id", "side", "volume", "kind") == [
        (1, 1, 1, 1000, "limit"),
        (2, 2, -1, 500, "limit"),
        (5, 5, 1, 300, "market"),
        (6, 6, -1, 200, "own_best"),
        (9, 1, 1, 600, "cancel"),
        (11, 2, -1, 50, "cancel"),
    ]
    np.testing.assert_array_equal(frame.price, [10.0, 10.01, np.nan, np.nan, 10.0, 10.01])


def test_shenzhen_aggressor_is_the_larger_order_number(separate):
    day = separate.load("trades", DAY)
    frame = day.frame[day.frame.symbol == "000001.SZ"]
    assert rows(frame, "seq", "side") == [(3, 0), (7, 1), (8, -1), (12, 0)]
    assert frame.price.iloc[0] == 10.005


def test_tables_follow_the_schema_and_its_order(separate):
    for table, schema in (("trades", TRADES), ("orders", ORDERS)):
        frame = separate.load(table, DAY).frame
        assert list(frame.columns) == schema.names
        assert frame.sort_values(["symbol", "seq"], kind="stable").index.tolist() == frame.index.tolist()
        assert frame.time.dtype == "datetime64[ms]"
    assert separate.load("orders", DAY).frame.symbol.unique().tolist() == ["000001.SZ", "300001.SZ", "600519.SH"]


def test_days_has_and_absence(tmp_path, separate):
    assert separate.days().tolist() == [DAY]
    assert separate.has("trades", DAY)
    assert separate.has("orders", np.datetime64("2023-02-01"))
    assert not separate.has("trades", LATER)
    assert not separate.has("reference", DAY)
    with pytest.raises(SourceError, match=r"no trades on 2023-11-27.*option 'files'"):
        separate.load("trades", LATER)
    alone = write_day(tmp_path / "alone", DAY, mdl_6_36_0=SZ_TRADES)
    assert not alone.has("orders", DAY)
    assert "2 cancels" in alone.load("trades", DAY).notes["sz_cancels_left_out"]
    mixed = write_day(tmp_path / "mixed", DAY, mdl_6_36_0=SZ_TRADES, mdl_4_19_0=SH_ORDERS, Transaction=SH_TRADES)
    loaded = mixed.load("orders", DAY)
    assert set(loaded.frame.symbol) == {"600519.SH"}
    assert "sz_orders" in loaded.notes["sz_orders_absent"]


def test_parquet_gz_and_zip_give_the_same(tmp_path, separate):
    folder = tmp_path / "20230201"
    expected = separate.load("orders", DAY).frame
    other = tmp_path / "other" / "20230201"
    other.mkdir(parents=True)
    pd.read_csv(folder / "mdl_4_19_0.csv").to_parquet(other / "mdl_4_19_0.parquet")
    with gzip.open(other / "Transaction.csv.gz", "wt") as out:
        out.write(SH_TRADES)
    with zipfile.ZipFile(other / "mdl_6_33_0.csv.zip", "w") as out:
        out.writestr("mdl_6_33_0.csv", SZ_ORDERS)
    (other / "mdl_6_36_0.csv").write_text(SZ_TRADES.replace(",70,", ",F,").replace(",52,", ",4,"))
    pd.testing.assert_frame_equal(TonglianSource(tmp_path / "other").load("orders", DAY).frame, expected)


def test_files_option_and_codes_in_names(tmp_path):
    folder = tmp_path / "sh600519"
    folder.mkdir()
    text = pd.read_csv(io.StringIO(SH_TRADES), dtype=str).drop(columns="SecurityID").to_csv(index=False)
    (folder / "2023-02-01.csv").write_text(text)
    source = build_source("tonglian", {"root": str(tmp_path), "files": {"sh_trades": "{code}/{date:%Y-%m-%d}.csv"}})
    assert source.days().tolist() == [DAY]
    assert source.load("trades", DAY).frame.symbol.unique().tolist() == ["600519.SH"]
    with pytest.raises(SourceError, match=r"streams \['sh_trade'\] are unknown"):
        TonglianSource(tmp_path, files={"sh_trade": "{date}.csv"})
    with pytest.raises(SourceError, match="year, month and day"):
        TonglianSource(tmp_path, files={"sh_trades": "{date:%Y}.csv"})


def test_fingerprint_follows_the_files_and_pickles(tmp_path, separate):
    before = separate.fingerprint("trades", DAY)
    assert pickle.loads(pickle.dumps(separate)).fingerprint("trades", DAY) == before
    (tmp_path / "20230201" / "Transaction.csv").write_text(SH_TRADES.replace(",150,", ",160,"))
    assert TonglianSource(tmp_path).fingerprint("trades", DAY) == separate.fingerprint("trades", DAY)
    extra = SH_TRADES + "0,6,6,600519,09:33:00.000,1846.50,60,110790,301,90,B,42,09:25:08.075,5\n"
    (tmp_path / "20230201" / "Transaction.csv").write_text(extra)
    assert separate.fingerprint("trades", DAY) != before


def test_huatai_dialect(tmp_path):
    folder = tmp_path / "20230711"
    folder.mkdir()
    (folder / "sh_orders.csv").write_text(
        "MDDate,MDTime,OrderType,OrderPrice,OrderQty,OrderBSFlag,ChannelNo,ApplSeqNum,OrderNO,SecurityID\n"
        "2023.07.11,09:15:00.280,2,15.929999999999999,300,2,1,10,90,605580.SH\n"
        "2023.07.11,09:16:00.280,10,15.929999999999999,100,2,1,12,90,605580.SH\n"
    )
    (folder / "sh_trans.csv").write_text(
        "MDDate,MDTime,TradeBuyNo,TradeSellNo,TradeBSFlag,TradePrice,TradeQty,ChannelNo,ApplSeqNum,SecurityID\n"
        "2023.07.11,09:25:00.180,95,90,0,14.56,200,1,20,605580.SH\n"
        "2023.07.11,09:31:00.180,99,90,1,14.56,100,1,21,605580.SH\n"
    )
    source = build_source("huatai", {"root": tmp_path})
    orders = source.load("orders", dt.date(2023, 7, 11)).frame
    assert rows(orders, "order_id", "kind", "volume") == [(90, "limit", 300), (90, "cancel", 100), (99, "market", 100)]
    assert orders.price.iloc[0] == 15.93
    assert source.load("trades", dt.date(2023, 7, 11)).frame.side.tolist() == [0, 1]


# ------------------------------------------------------------------ real days


@pytest.fixture(scope="module")
def real(shared_data):
    return TonglianSource(shared_data, files="level2_by_stock")


@pytest.mark.parametrize(
    ("symbol", "day"), [("600519.SH", "2023-02-01"), ("600519.SH", "2023-02-07"), ("000001.SZ", "2023-02-01")]
)
def test_real_trades_equal_the_days_bar(real, shared_data, symbol, day):
    loaded = real.load("trades", dt.date.fromisoformat(day))
    trades = loaded.frame[loaded.frame.symbol == symbol]
    name = f"{symbol[7:]}{symbol[:6]}"
    path = shared_data / "daily_csi800_ever_2013_2023" / "daily.parquet"
    bar = pd.read_parquet(path, filters=[("date", "=", pd.Timestamp(day)), ("symbol", "=", name)]).iloc[0]
    assert np.float32(trades.volume.sum()) == np.float32(bar.volume)  # the bars hold single-precision volumes
    milli = np.rint(trades.price * 1000).astype(int)
    assert (milli.iloc[0], milli.max(), milli.min(), milli.iloc[-1]) == (
        bar.open_milli,
        bar.high_milli,
        bar.low_milli,
        bar.close_milli,
    )
    assert len(loaded.quarantine) == 0
    assert trades.seq.is_monotonic_increasing
    assert trades.time.is_monotonic_increasing


@pytest.mark.parametrize("day", ["20230201", "20230207"])
def test_real_shanghai_orders_are_restored(real, shared_data, day):
    """Twin in plain dictionaries: remainder + the order's trades with a smaller BizIndex."""
    folder = shared_data / f"l2_sse_600519_{day}"
    entrust, trade = pd.read_parquet(folder / "entrust.parquet"), pd.read_parquet(folder / "trade.parquet")
    date = dt.datetime.strptime(day, "%Y%m%d").date()
    frame = real.load("orders", date).frame
    orders, cancels = frame[frame.kind != "cancel"], frame[frame.kind == "cancel"]
    assert orders.order_id.is_unique
    volume = dict(zip(orders.order_id, orders.volume, strict=True))
    executed, before = {}, {}
    published = {r.OrderNO: r for r in entrust[entrust.OrderType == "A"].itertuples()}
    for row in trade.itertuples():
        for number in (row.TradeBuyNo, row.TradeSellNo):
            executed[number] = executed.get(number, 0) + row.TradVolume
            if number in published and row.BizIndex < published[number].BizIndex:
                before[number] = before.get(number, 0) + row.TradVolume
    assert set(executed) <= set(volume)  # every trade's order is there
    assert all(volume[n] >= v for n, v in executed.items())
    assert all(volume[n] == r.Balance + before.get(n, 0) for n, r in published.items())
    assert all(volume[n] == executed[n] for n in set(volume) - set(published))
    withdrawn = cancels.groupby("order_id").volume.sum()
    assert all(v <= volume[n] - executed.get(n, 0) for n, v in withdrawn.items())  # no more than was resting
    assert orders[orders.kind == "market"].price.isna().all()
    assert orders[orders.kind == "limit"].price.notna().all()
    assert frame.time.is_monotonic_increasing
    assert frame.seq.is_monotonic_increasing


@pytest.mark.parametrize("day", ["2023-02-01", "2023-02-07"])
def test_real_aggressors_agree_with_order_numbers(real, day):
    trades = real.load("trades", dt.date.fromisoformat(day)).frame
    larger = np.sign(trades.buy_order - trades.sell_order)
    clock = trades.time - trades.time.dt.normalize()
    auction = (clock < pd.Timedelta("9:30:00")) | (clock >= pd.Timedelta("14:57:00"))
    assert (trades.side[auction] == 0).all()
    assert (trades.side[~auction] == larger[~auction]).all()
    assert (~auction).sum() > 10_000


def test_real_shenzhen_cancels_are_counted_and_left_out(real):
    loaded = real.load("trades", dt.date(2023, 2, 1))
    assert loaded.notes["sz_cancels_left_out"].startswith("32996 ")
    assert (loaded.frame.symbol == "000001.SZ").sum() == 133_815
    assert set(real.load("orders", dt.date(2023, 2, 1)).frame.symbol) == {"600519.SH"}


def test_real_vendor_heads_read(shared_data, tmp_path):
    heads = shared_data / "vendor_csv_heads"
    cases = [
        ("tonglian", dt.date(2023, 2, 1), {"sh_orders": "tonglian_mdl_4_19_0_entrust", "sh_trades": "tonglian_sh_Transaction"}, 299, 299),
        ("huatai", dt.date(2023, 7, 11), {"sh_orders": "huatai_insight_sh_orders", "sh_trades": "huatai_insight_sh_trans"}, 299, 299),
        ("exchange", dt.date(2021, 1, 4), {"sh_trades": "sse_exchdata_Tick"}, None, 299),
    ]  # fmt: skip
    for kind, day, files, orders, trades in cases:
        root = tmp_path / kind
        root.mkdir()
        for stream, name in files.items():
            (root / f"{stream}_{day:%Y%m%d}.csv").write_bytes((heads / f"{name}.csv").read_bytes())
        layout = {stream: f"{stream}_{{date}}.csv" for stream in files}
        source = build_source(kind, {"root": root, "files": layout})
        loaded = source.load("trades", day)
        assert len(loaded.frame) == trades, (kind, loaded.quarantine)
        assert (loaded.frame.price * 100 % 1 < 1e-6).sum() + (loaded.frame.price * 100 % 1 > 1 - 1e-6).sum() == trades
        if orders is not None:
            loaded = source.load("orders", day)
            assert loaded.notes["streams"]["sh_orders"]["rows"] == orders
            assert len(loaded.quarantine) == 0
