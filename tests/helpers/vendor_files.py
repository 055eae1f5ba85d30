"""A simulated day's Tonglian files in other vendors' forms, column by column as docs/sources.md describes them.

``frames``: the columns of the Tonglian files of 2023-02-01, by stem.
"""

from collections.abc import Iterator

import pandas as pd

Tables = Iterator[tuple[str, pd.DataFrame]]


def huatai_shenzhen(frames: dict[str, pd.DataFrame]) -> Tables:
    """``sz_orders`` and ``sz_trans`` of Huatai Insight."""
    orders, trades = frames["mdl_6_33_0"], frames["mdl_6_36_0"]
    yield (
        "sz_orders",
        pd.DataFrame(
            {
                "MDDate": "2023.02.01",
                "MDTime": orders["TransactTime"],
                "SecurityIDSource": 102,
                "OrderIndex": orders["ApplSeqNum"],
                "OrderType": orders["OrdType"].map({49: 1, 50: 2, 85: 3}),
                "OrderPrice": orders["Price"],
                "OrderQty": orders["OrderQty"],
                "OrderBSFlag": orders["Side"].map({49: 1, 50: 2}),
                "ChannelNo": orders["ChannelNo"],
                "ApplSeqNum": orders["ApplSeqNum"],
                "OrderNO": 0,
                "SecurityID": orders["SecurityID"].map("{:06d}.SZ".format),
            }
        ),
    )
    yield (
        "sz_trans",
        pd.DataFrame(
            {
                "MDDate": "2023.02.01",
                "MDTime": trades["TransactTime"],
                "TradeIndex": trades["ApplSeqNum"],
                "TradeBuyNo": trades["BidApplSeqNum"],
                "TradeSellNo": trades["OfferApplSeqNum"],
                "TradeType": trades["ExecType"].map({70: 0, 52: 1}),
                "TradeBSFlag": 0,
                "TradePrice": trades["LastPx"],
                "TradeQty": trades["LastQty"],
                "ChannelNo": trades["ChannelNo"],
                "ApplSeqNum": trades["ApplSeqNum"],
                "SecurityID": trades["SecurityID"].map("{:06d}.SZ".format),
            }
        ),
    )


def huatai_shanghai(frames: dict[str, pd.DataFrame]) -> Tables:
    """``sh_orders`` and ``sh_trans``."""
    orders, trades = frames["mdl_4_19_0"], frames["Transaction"]
    yield (
        "sh_orders",
        pd.DataFrame(
            {
                "MDTime": orders["OrderTime"],
                "OrderType": orders["OrderType"].map({"A": 2, "D": 10}),
                "OrderPrice": orders["OrderPrice"],
                "OrderQty": orders["Balance"],
                "OrderBSFlag": orders["OrderBSFlag"].map({"B": 1, "S": 2}),
                "ChannelNo": orders["OrderChannel"],
                "ApplSeqNum": orders["BizIndex"],
                "OrderNO": orders["OrderNO"],
                "SecurityID": orders["SecurityID"].map("{:06d}.SH".format),
            }
        ),
    )
    yield (
        "sh_trans",
        pd.DataFrame(
            {
                "MDTime": trades["TradTime"],
                "TradeBuyNo": trades["TradeBuyNo"],
                "TradeSellNo": trades["TradeSellNo"],
                "TradeBSFlag": trades["TradeBSFlag"].map({"B": 1, "S": 2, "N": 0}),
                "TradePrice": trades["TradPrice"],
                "TradeQty": trades["TradVolume"],
                "ChannelNo": trades["TradeChan"],
                "ApplSeqNum": trades["BizIndex"],
                "SecurityID": trades["SecurityID"].map("{:06d}.SH".format),
            }
        ),
    )


def shenzhen_files(frames: dict[str, pd.DataFrame]) -> Tables:
    """``am_``/``pm_hq_order_spot`` and ``..._trade_spot``: no header, tabs, the day's date in every time."""
    stamp = lambda t: "20230201" + t.str.replace("[:.]", "", regex=True)  # noqa: E731
    orders, trades = frames["mdl_6_33_0"], frames["mdl_6_36_0"]
    common = lambda f: [  # noqa: E731
        pd.Series("20230201", f.index), stamp(f["TransactTime"]), stamp(f["TransactTime"]), stamp(f["TransactTime"]),
        stamp(f["TransactTime"]), f["ChannelNo"], "011", f["ApplSeqNum"], f["SecurityID"].map("{:06d}".format), "102",
    ]  # fmt: skip
    order = [*common(orders), orders["Price"].map("{:.3f}".format), orders["OrderQty"], stamp(orders["TransactTime"]),
             orders["Side"].map(chr), orders["OrdType"].map(chr), "NULL", "NULL", "NULL", "NULL", "NULL"]  # fmt: skip
    trade = [*common(trades), trades["BidApplSeqNum"], trades["OfferApplSeqNum"], trades["LastPx"].map("{:.3f}".format),
             trades["LastQty"], trades["ExecType"].map(chr), stamp(trades["TransactTime"])]  # fmt: skip
    for name, columns, frame in (("order", order, orders), ("trade", trade, trades)):
        table = pd.DataFrame({i: c for i, c in enumerate(columns)}, index=frame.index)
        noon = frame["TransactTime"] < "12:00"
        for half, part in (("am", table[noon]), ("pm", table[~noon])):
            yield f"{half}_hq_{name}_spot", part


def as_text(frame: pd.DataFrame, sep: str = "\t", header: bool = False) -> bytes:
    """A table as the exchange writes it."""
    return frame.to_csv(sep=sep, header=header, index=False).encode()
