"""Edges of the published streams: orders without a price, withdrawn remainders, status rows, sessions' last trades."""

import datetime as dt

import numpy as np
import pytest

from mg_assets.sources.level2.tonglian import TonglianSource

DAY = dt.date(2025, 3, 4)
SZ_ORDERS = "ChannelNo,ApplSeqNum,SecurityID,Price,OrderQty,Side,TransactTime,OrdType"
SZ_TRADES = "ChannelNo,ApplSeqNum,BidApplSeqNum,OfferApplSeqNum,SecurityID,LastPx,LastQty,ExecType,TransactTime"
SH_MERGED = "BizIndex,Channel,SecurityID,TickTime,Type,BuyOrderNO,SellOrderNO,Price,Qty,TickBSFlag"
SH_TRADES = "TradeIndex,TradeChan,SecurityID,TradTime,TradPrice,TradVolume,TradeBuyNo,TradeSellNo,TradeBSFlag"
SZ_STOCK_ORDERS = (
    "1,{0},10.00,500,50,09:15:01.000,50", "2,{0},10.00,300,49,09:15:02.000,50",
    "4,{0},0.0000,100,49,09:31:00.010,49",  # at the market
    "6,{0},-1.0000,300,49,09:32:00.010,49",  # the same, as some days have it
    "9,{0},0.0000,200,49,09:33:00.000,85",  # at the own side's best price
)  # fmt: skip
SZ_STOCK_TRADES = (
    "3,2,1,{0},10.00,300,70,09:25:00.000", "5,4,1,{0},10.00,100,70,09:31:00.010", "7,6,1,{0},10.00,100,70,09:32:00.010",
    "8,6,0,{0},0.000,200,52,09:32:00.010",  # a market order's remainder, withdrawn
    "10,9,0,{0},0.0000,200,52,09:40:00.000",
)  # fmt: skip
SH_STOCK = (
    "1,3,{0},09:15:00.000,S,0,0,0.000,0,START", "3,3,{0},09:15:00.100,A,11,0,10.00,300,B",
    "4,3,{0},09:15:00.200,A,0,12,10.00,500,S", "5,3,{0},09:25:00.000,T,11,12,10.00,300,N",
    "7,3,{0},09:30:01.000,T,13,12,10.00,200,B", "8,3,{0},09:30:01.000,A,13,0,10.00,100,B",
    "9,3,{0},09:31:00.000,D,13,0,10.00,100,B", "10,3,{0},10:00:00.000,S,0,0,0.000,0,SUSP",
    "67,3,{0},15:05:02.000,T,31,32,10.02,200,N",  # fixed-price trading after the close
)  # fmt: skip


def day_of(root, day, **streams):
    folder = root / f"{day:%Y%m%d}"
    folder.mkdir()
    for name, (header, lines) in streams.items():
        (folder / f"{name}.csv").write_text("\n".join([header, *lines]) + "\n")
    return TonglianSource(root)


def rows_of(lines, *codes, channel=""):
    return [channel + line.format(code) for code in codes for line in lines]


def table(frame, symbol, *columns):
    own = frame[frame.symbol == symbol]
    return list(own[list(columns)].replace({np.nan: None}).itertuples(index=False, name=None))


def test_shenzhen_orders_without_a_price(tmp_path):
    """302132 is a stock of ChiNext, 159915 a fund, 123107 a convertible bond."""
    codes = "000001", "302132", "159915", "123107"
    source = day_of(
        tmp_path, DAY,
        mdl_6_33_0=(SZ_ORDERS, rows_of(SZ_STOCK_ORDERS, *codes, channel="2011,")),
        mdl_6_36_0=(SZ_TRADES, rows_of(SZ_STOCK_TRADES, *codes, channel="2011,")),
    )  # fmt: skip
    orders, trades = source.load("orders", DAY), source.load("trades", DAY)
    assert orders.quarantine.empty
    assert trades.quarantine.empty
    assert orders.frame.symbol.unique().tolist() == ["000001.SZ", "302132.SZ"]
    assert trades.notes["streams"]["sz_trades"]["rows_of_other_securities"] == 10
    for symbol in ("000001.SZ", "302132.SZ"):
        assert table(orders.frame, symbol, "seq", "side", "kind", "price", "volume") == [
            (1, -1, "limit", 10.0, 500), (2, 1, "limit", 10.0, 300), (4, 1, "market", None, 100),
            (6, 1, "market", None, 300), (8, 1, "cancel", None, 200), (9, 1, "own_best", None, 200),
            (10, 1, "cancel", None, 200),
        ]  # fmt: skip
        assert table(trades.frame, symbol, "seq", "side", "volume") == [(3, 0, 300), (5, 1, 100), (7, 1, 100)]


def test_shanghai_status_rows_and_trades_after_hours(tmp_path):
    """688001 is a stock of the STAR market, 689009 a depositary receipt there, 510300 a fund."""
    codes = "600000", "688001", "689009", "510300"
    source = day_of(tmp_path, DAY, mdl_4_24_0=(SH_MERGED, rows_of(SH_STOCK, *codes)))
    orders, trades = source.load("orders", DAY), source.load("trades", DAY)
    assert orders.quarantine.empty
    assert trades.quarantine.empty
    stream = trades.notes["streams"]["sh_merged"]
    assert (stream["rows_of_other_securities"], stream["status_rows"]) == (9, 6)
    for symbol in ("600000.SH", "688001.SH", "689009.SH"):
        # the 100 that rested of an order of 300 are published behind its trade of 200: it arrived with that
        assert table(orders.frame, symbol, "seq", "side", "kind", "price", "volume") == [
            (3, 1, "limit", 10.0, 300), (4, -1, "limit", 10.0, 500), (7, 1, "limit", 10.0, 300),
            (9, 1, "cancel", 10.0, 100),
        ]  # fmt: skip
        assert table(trades.frame, symbol, "side", "volume") == [(0, 300), (1, 200), (0, 200)]
        assert trades.frame[trades.frame.symbol == symbol].time.iloc[-1].hour == 15


@pytest.mark.parametrize(
    ("day", "last", "sides"),
    [
        (dt.date(2018, 8, 17), ["14:57:10.000,10.02,200,302,301,B", "14:59:59.900,10.02,200,306,305,S"], [0, 1, 1, -1]),
        (dt.date(2018, 8, 20), ["15:00:00.000,10.02,600,302,301,N"], [0, 1, 0]),
    ],
)
def test_shanghais_last_minutes_are_an_auction_since_2018(tmp_path, day, last, sides):
    lines = ["09:25:00.010,10.0,300,1,2,N", "09:31:01.000,10.01,100,12,11,B", *last]
    rows = [f"{i + 1},1,600000,{line}" for i, line in enumerate(lines)]
    loaded = day_of(tmp_path, day, Transaction=(SH_TRADES, rows)).load("trades", day)
    assert loaded.quarantine.empty
    assert loaded.frame.side.tolist() == sides
