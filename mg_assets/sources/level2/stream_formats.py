"""The vendors' tick streams: column names, codes, default file names, and the days on which each form exists.

A stream (``sh_orders``, ``sz_trades``, ...) comes in one or several forms, one after the other. Codes are
translated to ours: side +1 buy, -1 sell, 0 neither; what a row is, in :data:`ADD` ... :data:`STATUS`.
Vendors write a code as a character, as its ASCII number, or as a number of their own.

docs/sources.md lists the public descriptions of each format.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mg_assets.sources.io.read_file import WantedColumn

ADD, CANCEL, FILL, STATUS = 1, 2, 3, 4
LIMIT, MARKET, OWN_BEST = 1, 2, 3

SH, SZ = "SH", "SZ"

ENDS = (".parquet", ".csv", ".csv.gz", ".csv.zip", ".zip", ".7z", ".csv.7z")
TEXT_ENDS = (".parquet", ".txt", ".TXT", ".csv", ".txt.gz", ".csv.gz", ".txt.zip", ".zip", ".7z", ".7z.001")

DAY = dt.timedelta(days=1)
SZ_RENEWED = dt.date(2016, 5, 9)
"""First day of Shenzhen's present trading system: other columns, one sequence for orders and trades."""
SH_BIZ_INDEX = dt.date(2021, 4, 26)
"""First day on which Tonglian's Shanghai trades have a BizIndex."""
SH_ORDERS = dt.date(2021, 6, 7)
"""First day of Tonglian's Shanghai order stream."""
MERGED_FROM = dt.date(2023, 11, 27)
"""First day of Shanghai's merged stream."""
SH_APART_UNTIL = dt.date(2023, 12, 3)
"""The exchange's own history files keep the separate streams a week beside the merged one."""


@dataclass(frozen=True)
class StreamFormat:
    """One form of a stream: a file kind of one vendor.

    Attributes
    ----------
    exchange : str
        ``SH`` or ``SZ``.
    columns : mapping of str to WantedColumn
        Our name to the vendor's.
    codes : mapping of str to (mapping of str to int)
        Per coded column, the vendor's text to our number.
    patterns : tuple of str
        Default file names below the source's folder.
    since, until : date
        First and last day on which the vendor has this form.
    header : tuple of str
        Names of the columns in the file's order, where files have no header line.
    parts : tuple of str
        Beginnings of file names that make a day only together.
    one_sequence : bool
        Whether orders and trades of the exchange are numbered together.
    market : str
        Column that names the exchange, of a table of both.
    """

    exchange: str
    columns: Mapping[str, WantedColumn]
    codes: Mapping[str, Mapping[str, int]]
    patterns: tuple[str, ...]
    since: dt.date = dt.date.min
    until: dt.date = dt.date.max
    header: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    one_sequence: bool = True
    market: str = ""

    def covers(self, day: dt.date) -> bool:
        """Whether the vendor has this form on the day."""
        return self.since <= day <= self.until

    @property
    def period(self) -> str:
        """``2021-06-07..2023-11-26``, an open end left out."""
        since = "" if self.since == dt.date.min else str(self.since)
        return f"{since}..{'' if self.until == dt.date.max else self.until}"


def _columns(**named: tuple[str, ...] | str) -> dict[str, WantedColumn]:
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
        out[ours] = WantedColumn(tuple_of, kinds.get(ours, "code"), required=ours != "channel")
    return out


def _files(*stems: str, folders: tuple[str, ...] = ("{date}",), ends: tuple[str, ...] = ENDS) -> tuple[str, ...]:
    return tuple(f"{folder}/{stem}{end}" for folder in folders for stem in stems for end in ends)


def _ascii(**codes: int) -> dict[str, int]:
    """Codes as a character and as its ASCII number."""
    return {form: value for char, value in codes.items() for form in (char.lstrip("_"), str(ord(char.lstrip("_"))))}


_SH_SIDE = _ascii(B=1, S=-1)
_SH_FLAG = _ascii(B=1, S=-1, N=0)
_SZ_SIDE = _ascii(_1=1, _2=-1)
_SZ_KIND = _ascii(_1=MARKET, _2=LIMIT, U=OWN_BEST)
_SZ_EXEC = _ascii(F=FILL, _4=CANCEL)

Forms = tuple[StreamFormat, ...]
"""A stream's forms, ascending by date."""

_SZ_OLD_ORDERS = StreamFormat(
    SZ,
    _columns(
        code="SecurityID", channel=("SetNo", "ChannelNo"), seq=("RecNo", "ApplSeqNum"), price="Price",
        volume="OrderQty", side=("FunctionCode", "Side"), time=("OrderEntryTime", "TransactTime"),
        kind=("OrderKind", "OrderType", "OrdType"),
    ),
    {"side": _SZ_SIDE | _SH_SIDE, "kind": _SZ_KIND},
    _files("Order", "{date}_Order"),
    until=SZ_RENEWED - DAY,
    one_sequence=False,
)  # fmt: skip
_SZ_OLD_TRADES = StreamFormat(
    SZ,
    _columns(
        code="SecurityID", channel=("SetNo", "ChannelNo"), seq=("RecNo", "ApplSeqNum"),
        buy_order=("BuyOrderRecNo", "BidApplSeqNum"), sell_order=("SellOrderRecNo", "OfferApplSeqNum"), price="Price",
        volume="TradeQty", kind=("FunctionCode", "ExecType"), time="TradeTime",
    ),
    {"kind": _ascii(_0=FILL, F=FILL, C=CANCEL, _4=CANCEL)},
    _files("Trade", "{date}_Trade"),
    until=SZ_RENEWED - DAY,
    one_sequence=False,
)  # fmt: skip

_TL_SH_TRADES = StreamFormat(
    SH,
    _columns(
        code="SecurityID", channel="TradeChan", seq="BizIndex", buy_order="TradeBuyNo", sell_order="TradeSellNo",
        price="TradPrice", volume="TradVolume", side="TradeBSFlag", time="TradTime",
    ),
    {"side": _SH_FLAG},
    _files("Transaction", "{date}_Transaction"),
    since=SH_BIZ_INDEX,
    until=MERGED_FROM - DAY,
)  # fmt: skip
_MERGED_COLUMNS = _columns(
    code="SecurityID", channel=("Channel", "ChannelNo"), seq="BizIndex", buy_order="BuyOrderNO",
    sell_order="SellOrderNO", price="Price", volume="Qty", side="TickBSFlag", time="TickTime", kind="Type",
)  # fmt: skip
_MERGED_CODES = {"side": _SH_FLAG, "kind": _ascii(A=ADD, D=CANCEL, T=FILL, S=STATUS)}

TONGLIAN: dict[str, Forms] = {
    "sz_orders": (
        _SZ_OLD_ORDERS,
        StreamFormat(
            SZ,
            _columns(
                code="SecurityID", channel="ChannelNo", seq="ApplSeqNum", price=("Price", "OrderPrice"),
                volume="OrderQty", side="Side", time=("TransactTime", "OrderTime"), kind=("OrdType", "OrderType"),
            ),
            {"side": _SZ_SIDE, "kind": _SZ_KIND},
            _files("mdl_6_33_0", "{date}_mdl_6_33_0"),
            since=SZ_RENEWED,
        ),
    ),
    "sz_trades": (
        _SZ_OLD_TRADES,
        StreamFormat(
            SZ,
            _columns(
                code="SecurityID", channel="ChannelNo", seq="ApplSeqNum", buy_order="BidApplSeqNum",
                sell_order="OfferApplSeqNum", price=("LastPx", "TradePrice"), volume=("LastQty", "TradeQty"),
                kind="ExecType", time=("TransactTime", "TradeTime"),
            ),
            {"kind": _SZ_EXEC},
            _files("mdl_6_36_0", "{date}_mdl_6_36_0"),
            since=SZ_RENEWED,
        ),
    ),
    "sh_orders": (
        StreamFormat(
            SH,
            _columns(
                code="SecurityID", channel="OrderChannel", seq="BizIndex", order_id="OrderNO", price="OrderPrice",
                volume="Balance", side="OrderBSFlag", time="OrderTime", kind="OrderType",
            ),
            {"side": _SH_SIDE, "kind": _ascii(A=ADD, D=CANCEL)},
            _files("mdl_4_19_0", "{date}_mdl_4_19_0"),
            since=SH_ORDERS,
            until=MERGED_FROM - DAY,
        ),
    ),
    "sh_trades": (
        replace(
            _TL_SH_TRADES,
            columns={**_TL_SH_TRADES.columns, **_columns(seq=("BizIndex", "TradeIndex"))},
            since=dt.date.min,
            until=SH_BIZ_INDEX - DAY,
        ),
        _TL_SH_TRADES,
    ),
    "sh_merged": (
        StreamFormat(
            SH, _MERGED_COLUMNS, _MERGED_CODES, _files("mdl_4_24_0", "{date}_mdl_4_24_0"), since=MERGED_FROM
        ),
    ),
}  # fmt: skip

_HT_ORDERS = _columns(
    code="SecurityID", channel="ChannelNo", seq=("ApplSeqNum", "OrderIndex"), order_id="OrderNO", price="OrderPrice",
    volume="OrderQty", side="OrderBSFlag", time="MDTime", kind="OrderType",
)  # fmt: skip
_HT_TRADES = _columns(
    code="SecurityID", channel="ChannelNo", seq=("ApplSeqNum", "TradeIndex"), buy_order="TradeBuyNo",
    sell_order="TradeSellNo", price="TradePrice", volume="TradeQty", side="TradeBSFlag", time="MDTime",
    kind="TradeType",
)  # fmt: skip
_HT_SIDE = {"1": 1, "2": -1}

HUATAI: dict[str, Forms] = {
    "sz_orders": (
        StreamFormat(
            SZ,
            {k: v for k, v in _HT_ORDERS.items() if k != "order_id"},
            {"side": _HT_SIDE, "kind": {"1": MARKET, "2": LIMIT, "3": OWN_BEST}},
            _files("sz_orders"),
            since=SZ_RENEWED,
        ),
    ),
    "sz_trades": (
        StreamFormat(
            SZ,
            {k: v for k, v in _HT_TRADES.items() if k != "side"},  # Shenzhen publishes none
            {"kind": {"0": FILL, "1": CANCEL}},
            _files("sz_trans"),
            since=SZ_RENEWED,
        ),
    ),
    "sh_orders": (
        StreamFormat(
            SH,
            _HT_ORDERS,
            {"side": {**_HT_SIDE, "0": 0}, "kind": {"2": ADD, "10": CANCEL, "11": STATUS}},
            _files("sh_orders"),
        ),
    ),
    "sh_trades": (
        StreamFormat(
            SH,
            {k: v for k, v in _HT_TRADES.items() if k != "kind"},
            {"side": {**_HT_SIDE, "0": 0}},
            _files("sh_trans"),
        ),
    ),
}

_SH_FOLDERS = ("{date}", "SH/{date}", "SH/*/{date}")
_SZ_FOLDERS = ("{date}", "SZ/{date}", "SZ/{date:%Y/%m%d}")

EXCHANGE: dict[str, Forms] = {
    "sz_orders": (
        replace(_SZ_OLD_ORDERS, patterns=_files("SZL2_ORDER_{date}", folders=_SZ_FOLDERS, ends=TEXT_ENDS)),
        StreamFormat(
            SZ,
            _columns(
                code="SecurityID", channel="ChannelNo", seq="ApplSeqNum", price="Price", volume="OrderQty",
                side="Side", time="TransactTime", kind=("OrderType", "OrdType"),
            ),
            {"side": _SZ_SIDE, "kind": _SZ_KIND},
            _files("?m_hq_order_spot", folders=_SZ_FOLDERS, ends=TEXT_ENDS),
            since=SZ_RENEWED,
            header=(
                "TradeDate", "OrigTime", "SendTime", "RecvTime", "DbTime", "ChannelNo", "MDStreamID", "ApplSeqNum",
                "SecurityID", "SecurityIDSource", "Price", "OrderQty", "TransactTime", "Side", "OrderType",
                "ConfirmID", "Contactor", "ContactInfo", "ExpirationDays", "ExpirationType",
            ),
            parts=("am_", "pm_"),
        ),
    ),
    "sz_trades": (
        replace(_SZ_OLD_TRADES, patterns=_files("SZL2_TRADE_{date}", folders=_SZ_FOLDERS, ends=TEXT_ENDS)),
        StreamFormat(
            SZ,
            _columns(
                code="SecurityID", channel="ChannelNo", seq="ApplSeqNum", buy_order="BidApplSeqNum",
                sell_order="OfferApplSeqNum", price="Price", volume="TradeQty", kind="ExecType",
                time=("TradeTime", "TransactTime"),
            ),
            {"kind": _SZ_EXEC},
            _files("?m_hq_trade_spot", folders=_SZ_FOLDERS, ends=TEXT_ENDS),
            since=SZ_RENEWED,
            header=(
                "TradeDate", "OrigTime", "SendTime", "RecvTime", "DbTime", "ChannelNo", "MDStreamID", "ApplSeqNum",
                "SecurityID", "SecurityIDSource", "BidApplSeqNum", "OfferApplSeqNum", "Price", "TradeQty", "ExecType",
                "TradeTime",
            ),
            parts=("am_", "pm_"),
        ),
    ),
    "sh_orders": (
        StreamFormat(
            SH,
            _columns(
                code="SecurityID", channel=("ChannelNo", "OrderChannel"), seq="BizIndex",
                order_id=("OrderNo", "OrderNO"), price=("OrderPrice", "Price"), volume=("Balance", "OrderQty"),
                side="OrderBSFlag", time=("OrderTime", "TransactTime"), kind=("OrderType", "OrdType"),
            ),
            {"side": _SH_SIDE, "kind": _ascii(A=ADD, D=CANCEL)},
            _files("Entrust", folders=_SH_FOLDERS),
            until=SH_APART_UNTIL,
        ),
    ),
    "sh_trades": (
        StreamFormat(
            SH,
            _columns(
                code="SecurityID", channel="ChannelNo", seq=("BizIndex", "TradeIndex"), buy_order="BuyNo",
                sell_order="SellNo", price="TradePrice", volume="TradeQty", side="TradeBSFlag", time="TradeTime",
            ),
            {"side": _SH_FLAG},
            _files("Tick", folders=_SH_FOLDERS),
            until=SH_APART_UNTIL,
        ),
    ),
    "sh_merged": (
        StreamFormat(SH, _MERGED_COLUMNS, _MERGED_CODES, _files("StockTick", folders=_SH_FOLDERS), since=MERGED_FROM),
    ),
}  # fmt: skip

_BOTH_TRADES = _columns(
    code="SecurityID", channel="ChannelNo", buy_order="BidApplSeqNum", sell_order="OfferApplSeqNum",
    price=("TradePrice", "TradPrice"), volume="TradeQty", time="TradeTime",
)  # fmt: skip
_BOTH_ORDERS = _columns(
    code="SecurityID", channel="ChannelNo", price="Price", volume="OrderQty", side="Side", kind="OrderType",
    time=("TradeTime", "OrderTime", "TransactTime"),
)  # fmt: skip
_BOTH_TRADE_FILES, _BOTH_ORDER_FILES = _files("trade", "trades"), _files("entrust", "order", "orders")


def _of_both(exchange: str, columns: dict[str, WantedColumn], codes: Mapping[str, Mapping[str, int]],
             patterns: tuple[str, ...], **more: Any) -> StreamFormat:  # fmt: skip
    return StreamFormat(exchange, columns, codes, patterns, market="Market", **more)


_SZ_BOTH_ORDERS = _of_both(
    SZ, {**_BOTH_ORDERS, **_columns(seq="ApplSeqNum")}, {"side": _SZ_SIDE | _SH_SIDE, "kind": _SZ_KIND},
    _BOTH_ORDER_FILES, since=SZ_RENEWED,
)  # fmt: skip
_SZ_BOTH_TRADES = _of_both(
    SZ, {**_BOTH_TRADES, **_columns(seq="ApplSeqNum", kind="ExecType")},
    {"kind": _ascii(_0=FILL, F=FILL, C=CANCEL, _4=CANCEL)}, _BOTH_TRADE_FILES, since=SZ_RENEWED,
)  # fmt: skip
_SH_BOTH_TRADES = _of_both(
    SH, {**_BOTH_TRADES, **_columns(seq="BizIndex", side="TradeBSFlag")}, {"side": _SH_FLAG}, _BOTH_TRADE_FILES,
    since=SH_BIZ_INDEX,
)  # fmt: skip

TONGLIAN_TABLES: dict[str, Forms] = {
    "sz_orders": (replace(_SZ_BOTH_ORDERS, since=dt.date.min, until=SZ_RENEWED - DAY, one_sequence=False),
                  _SZ_BOTH_ORDERS),
    "sz_trades": (replace(_SZ_BOTH_TRADES, since=dt.date.min, until=SZ_RENEWED - DAY, one_sequence=False),
                  _SZ_BOTH_TRADES),
    "sh_orders": (
        _of_both(
            SH, {**_BOTH_ORDERS, **_columns(seq="BizIndex", order_id="OrderNO")},
            {"side": {**_SH_SIDE, "N": 0, "78": 0}, "kind": _ascii(A=ADD, D=CANCEL, S=STATUS)}, _BOTH_ORDER_FILES,
            since=SH_ORDERS,
        ),
    ),
    "sh_trades": (
        replace(_SH_BOTH_TRADES, columns={**_SH_BOTH_TRADES.columns, **_columns(seq="ApplSeqNum")}, since=dt.date.min,
                until=SH_BIZ_INDEX - DAY),
        _SH_BOTH_TRADES,
    ),
}  # fmt: skip

DIALECTS: dict[str, dict[str, Forms]] = {
    "tonglian": TONGLIAN, "tonglian_tables": TONGLIAN_TABLES, "huatai": HUATAI, "exchange": EXCHANGE,
}  # fmt: skip
"""Vendors whose tick files are known: DataYes level 2 and its tables of both exchanges, Huatai Insight, the two
exchanges' own history files."""
