"""Real level-2 days of the shared data as the tables that the factors take."""

import numpy as np
import pandas as pd
import pytest

DAYS = [
    ("l2_sse_600519_20230201", "SH600519", "2023-02-01", 1845.76),
    ("l2_sse_600519_20230207", "SH600519", "2023-02-07", 1795.0),
    ("l2_szse_000001_20230201", "SZ000001", "2023-02-01", 14.99),
]


def shanghai(folder, date):
    def stamps(column):
        return pd.to_datetime(date + " " + column).astype("datetime64[ms]")

    t = pd.read_parquet(folder / "trade.parquet")
    trades = pd.DataFrame(
        {
            "symbol": "600519.SH",
            "time": stamps(t["TradTime"]),
            "seq": t["BizIndex"],
            "price": t["TradPrice"],
            "volume": t["TradVolume"],
            "buy_order": t["TradeBuyNo"],
            "sell_order": t["TradeSellNo"],
            "side": t["TradeBSFlag"].map({"B": 1, "S": -1}).fillna(0).astype("int8"),
        }
    )
    o = pd.read_parquet(folder / "entrust.parquet")
    orders = pd.DataFrame(
        {
            "symbol": "600519.SH",
            "time": stamps(o["OrderTime"]),
            "seq": o["BizIndex"],
            "order_id": o["OrderNO"],
            "side": o["OrderBSFlag"].map({"B": 1, "S": -1}).astype("int8"),
            "price": o["OrderPrice"],
            "volume": o["Balance"],
            "kind": o["OrderType"].map({"A": "limit", "D": "cancel"}),
        }
    )
    return trades, orders


def shenzhen(folder):
    t = pd.read_parquet(folder / "trades_and_cancels.parquet")
    time = pd.to_datetime(t["TradeTime"].str.replace(".", "-", n=2, regex=False)).astype("datetime64[ms]")
    continuous = time.dt.strftime("%H:%M").between("09:30", "14:57", inclusive="left")
    side = np.sign(t["BidApplSeqNum"] - t["OfferApplSeqNum"]).where(continuous, 0).astype("int8")
    # Cancels stay in: they have price 0, and the factors set such rows aside.
    return pd.DataFrame(
        {
            "symbol": "000001.SZ",
            "time": time,
            "seq": t["ApplSeqNum"],
            "price": t["TradePrice"],
            "volume": t["TradeQty"],
            "buy_order": t["BidApplSeqNum"],
            "sell_order": t["OfferApplSeqNum"],
            "side": side,
        }
    )


def tables(shared_data, folder, date):
    path = shared_data / folder
    if not path.is_dir():
        pytest.skip(f"real day absent: {path}")
    return (shenzhen(path), None) if "szse" in folder else shanghai(path, date)
