"""The vendors' tick streams: column names, codes and default file names.

A stream is one file kind of one vendor. Codes are translated to ours: side +1 buy, -1 sell,
0 neither; what a row is, in :data:`ADD` ... :data:`STATUS`. Vendors write a code as a character,
as its ASCII number, or as a number of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mg_assets.sources.files import Column

ADD, CANCEL, FILL, STATUS = 1, 2, 3, 4
LIMIT, MARKET, OWN_BEST = 1, 2, 3

SH, SZ = "SH", "SZ"


@dataclass(frozen=True)
class Stream:
    """One file kind of one vendor.

    Attributes
    ----------
    exchange : str
        ``SH`` or ``SZ``.
    columns : mapping of str to Column
        Our name to the vendor's.
    codes : mapping of str to (mapping of str to int)
        Per coded column, the vendor's text to our number.
    patterns : tuple of str
        Default file names below the source's folder.
    """

    exchange: str
    columns: Mapping[str, Column]
    codes: Mapping[str, Mapping[str, int]]
    patterns: tuple[str, ...]


def _columns(**named: tuple[str, ...] | str) -> dict[str, Column]:
    kinds = {
        "code": "int",
        "channel": "int",
        "seq": "int",
        "order_id": "int",
        "buy_order": "int",
        "sell_order": "int",
        "volume": "int",
        "price": "float",
        "time": "text",
    }
    out = {}
    for ours, names in named.items():
        tuple_of = (names,) if isinstance(names, str) else names
        out[ours] = Column(tuple_of, kinds.get(ours, "code"), required=ours != "channel")
    return out


def _files(*stems: str) -> tuple[str, ...]:
    return tuple(
        f"{{date}}/{stem}{end}" for stem in stems for end in (".parquet", ".csv", ".csv.gz", ".csv.zip", ".zip")
    )


def _ascii(**codes: int) -> dict[str, int]:
    """Codes as a character and as its ASCII number."""
    return {form: value for char, value in codes.items() for form in (char.lstrip("_"), str(ord(char.lstrip("_"))))}


_SH_SIDE = _ascii(B=1, S=-1)
_SH_FLAG = _ascii(B=1, S=-1, N=0)
_SZ_SIDE = _ascii(_1=1, _2=-1)
_SZ_KIND = _ascii(_1=MARKET, _2=LIMIT, U=OWN_BEST)
_SZ_EXEC = _ascii(F=FILL, _4=CANCEL)

TONGLIAN: dict[str, Stream] = {
    "sz_orders": Stream(
        SZ,
        _columns(
            code="SecurityID", channel="ChannelNo", seq="ApplSeqNum", price=("Price", "OrderPrice"), volume="OrderQty",
            side="Side", time=("TransactTime", "OrderTime"), kind=("OrdType", "OrderType"),
        ),
        {"side": _SZ_SIDE, "kind": _SZ_KIND},
        _files("mdl_6_33_0"),
    ),
    "sz_trades": Stream(
        SZ,
        _columns(
            code="SecurityID", channel="ChannelNo", seq="ApplSeqNum", buy_order="BidApplSeqNum",
            sell_order="OfferApplSeqNum", price=("LastPx", "TradePrice"), volume=("LastQty", "TradeQty"),
            kind="ExecType", time=("TransactTime", "TradeTime"),
        ),
        {"kind": _SZ_EXEC},
        _files("mdl_6_36_0"),
    ),
    "sh_orders": Stream(
        SH,
        _columns(
            code="SecurityID", channel="OrderChannel", seq="BizIndex", order_id="OrderNO", price="OrderPrice",
            volume="Balance", side="OrderBSFlag", time="OrderTime", kind="OrderType",
        ),
        {"side": _SH_SIDE, "kind": _ascii(A=ADD, D=CANCEL)},
        _files("mdl_4_19_0"),
    ),
    "sh_trades": Stream(
        SH,
        _columns(
            code="SecurityID", channel="TradeChan", seq="BizIndex", buy_order="TradeBuyNo", sell_order="TradeSellNo",
            price="TradPrice", volume="TradVolume", side="TradeBSFlag", time="TradTime",
        ),
        {"side": _SH_FLAG},
        _files("Transaction"),
    ),
    "sh_merged": Stream(
        SH,
        _columns(
            code="SecurityID", channel=("Channel", "ChannelNo"), seq="BizIndex", buy_order="BuyOrderNO",
            sell_order="SellOrderNO", price="Price", volume="Qty", side="TickBSFlag", time="TickTime", kind="Type",
        ),
        {"side": _SH_FLAG, "kind": _ascii(A=ADD, D=CANCEL, T=FILL, S=STATUS)},
        _files("mdl_4_24_0"),
    ),
}  # fmt: skip

HUATAI: dict[str, Stream] = {
    "sh_orders": Stream(
        SH,
        _columns(
            code="SecurityID", channel="ChannelNo", seq="ApplSeqNum", order_id="OrderNO", price="OrderPrice",
            volume="OrderQty", side="OrderBSFlag", time="MDTime", kind="OrderType",
        ),
        {"side": {"1": 1, "2": -1}, "kind": {"2": ADD, "10": CANCEL}},
        _files("sh_orders"),
    ),
    "sh_trades": Stream(
        SH,
        _columns(
            code="SecurityID", channel="ChannelNo", seq="ApplSeqNum", buy_order="TradeBuyNo", sell_order="TradeSellNo",
            price="TradePrice", volume="TradeQty", side="TradeBSFlag", time="MDTime",
        ),
        {"side": {"1": 1, "2": -1, "0": 0}},
        _files("sh_trans"),
    ),
}  # fmt: skip

EXCHANGE: dict[str, Stream] = {
    "sh_orders": Stream(
        SH,
        _columns(
            code="SecurityID", channel=("ChannelNo", "OrderChannel"), seq="BizIndex", order_id=("OrderNo", "OrderNO"),
            price=("OrderPrice", "Price"), volume=("Balance", "OrderQty"), side="OrderBSFlag",
            time=("OrderTime", "TransactTime"), kind="OrderType",
        ),
        {"side": _SH_SIDE, "kind": _ascii(A=ADD, D=CANCEL)},
        _files("Entrust"),
    ),
    "sh_trades": Stream(
        SH,
        _columns(
            code="SecurityID", channel="ChannelNo", seq="BizIndex", buy_order="BuyNo", sell_order="SellNo",
            price="TradePrice", volume="TradeQty", side="TradeBSFlag", time="TradeTime",
        ),
        {"side": _SH_FLAG},
        _files("Tick"),
    ),
}  # fmt: skip

DIALECTS: dict[str, dict[str, Stream]] = {"tonglian": TONGLIAN, "huatai": HUATAI, "exchange": EXCHANGE}
"""Vendors whose tick files are known: DataYes level 2, Huatai Insight, the Shanghai exchange's history files."""
