"""A day of the lake's orders and trades as level-2 files of the Tonglian (DataYes) kind, publication rules applied.

What the exchanges leave out is left out here too, so that a reader of such files can be tested on whole days:

- Shanghai publishes an order once its first fills are done, with volume = what then rests; an order that executes
  wholly on arrival is never published. Orders and cancels are in ``mdl_4_19_0.csv``, trades in ``Transaction.csv``;
  from 2023-11-27 on both come as one stream, ``mdl_4_24_0.csv``.
- Shenzhen publishes every order as entered (``mdl_6_33_0.csv``, no price unless a limit order) and puts cancels into
  the trade stream (``mdl_6_36_0.csv``: ExecType 52, price 0, the other side's number 0), without an aggressor flag.
  Its codes are ASCII numbers and its trade rows end in a stray comma.

Each stock has a channel of its own, so that sequence numbers are unique within a channel.
"""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from mg_assets.errors import DataError

MERGED_FROM = dt.date(2023, 11, 27)
PHASES = pd.DataFrame(
    [
        ("START", "09:10:00.000", -2),
        ("OCALL", "09:15:00.000", -1),
        ("CLOSE", "15:00:01.000", 1),
        ("ENDTR", "15:30:00.000", 2),
    ],
    columns=["TickBSFlag", "TickTime", "offset"],
)
"""Status rows around a stock's day in the merged stream; ``offset`` counts from its first or last number."""


def export_tonglian(
    orders: pd.DataFrame, trades: pd.DataFrame, date: dt.date, folder: str | Path, merged: bool | None = None
) -> list[Path]:
    """Write one day as level-2 CSV files.

    Parameters
    ----------
    orders, trades : DataFrame
        The lake's columns, one day, Shanghai (``.SH``) and Shenzhen (``.SZ``) symbols; within a symbol, seq numbers
        leave a gap after a Shanghai order's first fills, as :func:`simulate_day` makes them.
    date : date
        The day; files go to ``folder/yyyymmdd/``.
    folder : str or Path
    merged : bool, optional
        Shanghai as one merged stream; None: from 2023-11-27 on, as the exchange did.

    Returns
    -------
    list of Path
        Files written: those of the exchanges that have rows.

    Raises
    ------
    DataError
        A symbol of another exchange.
    """
    day = Path(folder) / f"{date:%Y%m%d}"
    day.mkdir(parents=True, exist_ok=True)
    symbols = pd.Index(orders["symbol"].unique()).union(trades["symbol"].unique())
    strange = [s for s in symbols if not s.endswith((".SH", ".SZ"))]
    if strange:
        raise DataError(f"{date}: no level-2 format is known for {strange[:3]}; leave out all but .SH and .SZ symbols")
    channels = pd.Series(np.arange(1, len(symbols) + 1), symbols)
    parts = {}
    for exchange in ("SH", "SZ"):
        parts[exchange] = [_with_codes(f[f["symbol"].str.endswith(exchange)], channels) for f in (orders, trades)]
    written = []
    if len(parts["SH"][0]) or len(parts["SH"][1]):
        published = published_in_shanghai(*parts["SH"])
        if merged if merged is not None else date >= MERGED_FROM:
            written.append(_write(_shanghai_merged(published, parts["SH"][1]), day / "mdl_4_24_0.csv"))
        else:
            written.append(_write(_shanghai_orders(published), day / "mdl_4_19_0.csv"))
            written.append(_write(_shanghai_trades(parts["SH"][1]), day / "Transaction.csv"))
    if len(parts["SZ"][0]) or len(parts["SZ"][1]):
        written.append(_write(_shenzhen_orders(parts["SZ"][0]), day / "mdl_6_33_0.csv"))
        written.append(_write(_shenzhen_trades(*parts["SZ"]), day / "mdl_6_36_0.csv", stray_comma=True))
    return written


def published_in_shanghai(orders: pd.DataFrame, trades: pd.DataFrame) -> pd.DataFrame:
    """Orders and cancels as Shanghai publishes them: remainders after the first fills, and their number.

    Parameters
    ----------
    orders, trades : DataFrame
        The lake's rows of Shanghai stocks.

    Returns
    -------
    DataFrame
        The rows of ``orders`` that are published; ``volume`` is the remainder, ``seq`` follows the order's last
        fill on arrival. Market orders never rest, so neither they nor the cancel of their remainder appear.
    """
    hit = trades[trades["side"] != 0]
    aggressor = hit["buy_order"].where(hit["side"] > 0, hit["sell_order"])
    first_fills = (
        pd.DataFrame({"symbol": hit["symbol"], "order_id": aggressor, "filled": hit["volume"], "last": hit["seq"]})
        .groupby(["symbol", "order_id"], as_index=False)
        .agg({"filled": "sum", "last": "max"})
    )
    out = orders.merge(first_fills, on=["symbol", "order_id"], how="left")
    new = out["kind"] != "cancel"
    filled = out["filled"].fillna(0).astype(np.int64).where(new, 0)
    out["seq"] = out["seq"].where(filled == 0, out["last"].fillna(0).astype(np.int64) + 1)
    out["volume"] = out["volume"] - filled
    resting = (out["volume"] > 0) & (out["kind"] != "market") & out["price"].notna()
    return out[resting].drop(columns=["filled", "last"])


def _with_codes(frame: pd.DataFrame, channels: pd.Series) -> pd.DataFrame:
    return frame.assign(
        code=frame["symbol"].str[:6].astype(np.int64), channel=frame["symbol"].map(channels).astype(np.int64)
    )


def _clock(times: pd.Series) -> np.ndarray:
    return pc.strftime(pa.array(times.to_numpy("datetime64[ms]")), "%H:%M:%S").to_numpy(zero_copy_only=False)


def _letters(side: pd.Series) -> np.ndarray:
    return np.array(["S", "N", "B"], object)[side.to_numpy() + 1]


def _shanghai_orders(orders: pd.DataFrame) -> pd.DataFrame:
    times = _clock(orders["time"])
    return pd.DataFrame(
        {
            "DataStatus": 0,
            "OrderIndex": orders["seq"].to_numpy(),
            "OrderChannel": orders["channel"].to_numpy(),
            "SecurityID": orders["code"].to_numpy(),
            "OrderTime": times,
            "OrderType": np.where(orders["kind"] == "cancel", "D", "A"),
            "OrderNO": orders["order_id"].to_numpy(),
            "OrderPrice": orders["price"].to_numpy(),
            "Balance": orders["volume"].to_numpy(),
            "OrderBSFlag": _letters(orders["side"]),
            "BizIndex": orders["seq"].to_numpy(),
            "LocalTime": times,
        }
    )


def _shanghai_trades(trades: pd.DataFrame) -> pd.DataFrame:
    times = _clock(trades["time"])
    return pd.DataFrame(
        {
            "DataStatus": 0,
            "TradeIndex": trades["seq"].to_numpy(),
            "TradeChan": trades["channel"].to_numpy(),
            "SecurityID": trades["code"].to_numpy(),
            "TradTime": times,
            "TradPrice": trades["price"].to_numpy(),
            "TradVolume": trades["volume"].to_numpy(),
            "TradeMoney": (trades["price"] * trades["volume"]).round(3).to_numpy(),
            "TradeBuyNo": trades["buy_order"].to_numpy(),
            "TradeSellNo": trades["sell_order"].to_numpy(),
            "TradeBSFlag": _letters(trades["side"]),
            "BizIndex": trades["seq"].to_numpy(),
            "LocalTime": times,
        }
    )


def _shanghai_merged(orders: pd.DataFrame, trades: pd.DataFrame) -> pd.DataFrame:
    buys = orders["side"] > 0
    entered = pd.DataFrame(
        {
            "BizIndex": orders["seq"],
            "Channel": orders["channel"],
            "SecurityID": orders["code"],
            "TickTime": _clock(orders["time"]),
            "Type": np.where(orders["kind"] == "cancel", "D", "A"),
            "BuyOrderNO": orders["order_id"].where(buys, 0),
            "SellOrderNO": orders["order_id"].where(~buys, 0),
            "Price": orders["price"],
            "Qty": orders["volume"],
            "TradeMoney": 0.0,
            "TickBSFlag": _letters(orders["side"]),
        }
    )
    traded = pd.DataFrame(
        {
            "BizIndex": trades["seq"],
            "Channel": trades["channel"],
            "SecurityID": trades["code"],
            "TickTime": _clock(trades["time"]),
            "Type": "T",
            "BuyOrderNO": trades["buy_order"],
            "SellOrderNO": trades["sell_order"],
            "Price": trades["price"],
            "Qty": trades["volume"],
            "TradeMoney": (trades["price"] * trades["volume"]).round(3),
            "TickBSFlag": _letters(trades["side"]),
        }
    )
    rows = pd.concat([entered, traded], ignore_index=True)
    ends = rows.groupby("SecurityID").agg(
        Channel=("Channel", "first"), low=("BizIndex", "min"), high=("BizIndex", "max")
    )
    phases = ends.reset_index().merge(PHASES, how="cross")
    phases["BizIndex"] = phases["offset"] + phases["low"].where(phases["offset"] < 0, phases["high"])
    zero = dict.fromkeys(("BuyOrderNO", "SellOrderNO", "Qty"), 0)
    phases = phases.assign(Type="S", Price=0.0, TradeMoney=0.0, **zero)
    return pd.concat([rows, phases[rows.columns]], ignore_index=True).assign(LocalTime=lambda f: f["TickTime"])


def _shenzhen_orders(orders: pd.DataFrame) -> pd.DataFrame:
    orders = orders[orders["kind"] != "cancel"]
    times = _clock(orders["time"])
    kinds = {"market": ord("1"), "limit": ord("2"), "own_best": ord("U")}
    return pd.DataFrame(
        {
            "ChannelNo": orders["channel"].to_numpy() + 2000,
            "ApplSeqNum": orders["seq"].to_numpy(),
            "MDStreamID": 11,
            "SecurityID": orders["code"].to_numpy(),
            "SecurityIDSource": 102,
            "Price": orders["price"].fillna(0.0).to_numpy(),
            "OrderQty": orders["volume"].to_numpy(),
            "Side": np.where(orders["side"] > 0, ord("1"), ord("2")),
            "TransactTime": times,
            "OrdType": orders["kind"].map(kinds).astype(np.int64).to_numpy(),
            "LocalTime": times,
        }
    )


def _shenzhen_trades(orders: pd.DataFrame, trades: pd.DataFrame) -> pd.DataFrame:
    cancels = orders[orders["kind"] == "cancel"]
    buys = cancels["side"] > 0
    gone = pd.DataFrame(
        {
            "symbol": cancels["symbol"],
            "channel": cancels["channel"],
            "code": cancels["code"],
            "time": cancels["time"],
            "seq": cancels["seq"],
            "price": 0.0,
            "volume": cancels["volume"],
            "buy_order": cancels["order_id"].where(buys, 0),
            "sell_order": cancels["order_id"].where(~buys, 0),
            "exec": ord("4"),
        }
    )
    rows = pd.concat([trades.assign(exec=ord("F")), gone], ignore_index=True).sort_values(["symbol", "seq"])
    times = _clock(rows["time"])
    return pd.DataFrame(
        {
            "ChannelNo": rows["channel"].to_numpy() + 2000,
            "ApplSeqNum": rows["seq"].to_numpy(),
            "MDStreamID": 11,
            "BidApplSeqNum": rows["buy_order"].to_numpy(),
            "OfferApplSeqNum": rows["sell_order"].to_numpy(),
            "SecurityID": rows["code"].to_numpy(),
            "SecurityIDSource": 102,
            "LastPx": rows["price"].to_numpy(),
            "LastQty": rows["volume"].to_numpy(),
            "ExecType": rows["exec"].to_numpy(),
            "TransactTime": times,
            "LocalTime": times,
        }
    )


def _write(frame: pd.DataFrame, path: Path, stray_comma: bool = False) -> Path:
    """Write rows in order of arrival (time, then each stock's own sequence) under a running SeqNo."""
    frame = frame.sort_values("LocalTime", kind="stable").reset_index(drop=True)
    frame["SeqNo"] = np.arange(1, len(frame) + 1)
    header = ",".join(frame.columns)
    if stray_comma:
        frame[""] = ""
    with path.open("wb") as out:
        out.write(f"{header}\n".encode())
        table = pa.Table.from_pandas(frame, preserve_index=False)
        csv.write_csv(table, out, csv.WriteOptions(include_header=False, quoting_style="none"))
    return path
