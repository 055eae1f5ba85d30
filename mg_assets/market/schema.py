"""Column schemas of the lake's raw tables and bars.

Symbols are ``600000.SH``, ``000001.SZ``, ``830799.BJ``. Prices in yuan, volume in shares,
amount in yuan, fractions as fractions. Times are exchange-local, naive, in milliseconds.
The date is the partition's, never a column of the file.
"""

import pyarrow as pa

TRADES = pa.schema(
    [
        ("symbol", pa.string()),
        ("time", pa.timestamp("ms")),
        ("seq", pa.int64()),
        ("price", pa.float64()),
        ("volume", pa.int64()),
        ("buy_order", pa.int64()),
        ("sell_order", pa.int64()),
        ("side", pa.int8()),  # +1 buyer-, -1 seller-initiated, 0 auction or unknown
    ]
)

ORDERS = pa.schema(
    [
        ("symbol", pa.string()),
        ("time", pa.timestamp("ms")),
        ("seq", pa.int64()),
        ("order_id", pa.int64()),
        ("side", pa.int8()),  # +1 buy, -1 sell
        ("price", pa.float64()),  # null for market orders
        ("volume", pa.int64()),  # of a cancel: the volume withdrawn
        ("kind", pa.string()),  # one of ORDER_KINDS
    ]
)
ORDER_KINDS = ("limit", "market", "own_best", "cancel")

SNAPSHOT_LEVELS = 10
SNAPSHOTS = pa.schema(
    [
        ("symbol", pa.string()),
        ("time", pa.timestamp("ms")),  # the vendor's stamp
        ("last", pa.float64()),  # null before the first trade
        ("volume", pa.int64()),  # of the day so far, like amount and num_trades
        ("amount", pa.float64()),
        ("num_trades", pa.int64()),
        *((f"bid_price_{n}", pa.float64()) for n in range(1, SNAPSHOT_LEVELS + 1)),  # null: no such level
        *((f"bid_volume_{n}", pa.int64()) for n in range(1, SNAPSHOT_LEVELS + 1)),
        *((f"ask_price_{n}", pa.float64()) for n in range(1, SNAPSHOT_LEVELS + 1)),
        *((f"ask_volume_{n}", pa.int64()) for n in range(1, SNAPSHOT_LEVELS + 1)),
        ("total_bid_volume", pa.int64()),  # of all levels; null where the vendor has none
        ("total_ask_volume", pa.int64()),
    ]
)
"""Vendors' 3-second snapshots, an optional table that the replayed book is compared with."""

MINUTE_BARS = pa.schema(
    [
        ("symbol", pa.string()),
        ("minute", pa.int16()),  # 0..239
        ("open", pa.float64()),
        ("high", pa.float64()),
        ("low", pa.float64()),
        ("close", pa.float64()),
        ("volume", pa.int64()),
        ("amount", pa.float64()),
        ("num_trades", pa.int32()),  # null where the source has bars without trade counts
    ]
)

PERIOD_BARS = pa.schema(
    [
        ("symbol", pa.string()),
        ("open", pa.float64()),
        ("high", pa.float64()),
        ("low", pa.float64()),
        ("close", pa.float64()),
        ("vwap", pa.float64()),
        ("volume", pa.int64()),
        ("amount", pa.float64()),
        ("num_trades", pa.int64()),
        ("prev_close", pa.float64()),  # the exchange's reference price, after ex-rights
        ("adj_factor", pa.float64()),  # adjusted price = raw price * adj_factor
        ("up_limit", pa.float64()),
        ("down_limit", pa.float64()),
        ("suspended", pa.bool_()),
        ("st", pa.bool_()),
        ("float_shares", pa.float64()),
    ]
)
"""``daily_bars`` hold raw prices beside ``adj_factor``; ``weekly_bars`` and ``monthly_bars``
hold adjusted prices (``adj_factor`` is then 1) and adjusted volume (raw volume / factor)."""

REFERENCE = pa.schema(
    [
        ("symbol", pa.string()),
        ("list_date", pa.date32()),
        ("delist_date", pa.date32()),
        ("industry", pa.string()),
        ("prev_close", pa.float64()),
        ("adj_factor", pa.float64()),
        ("up_limit", pa.float64()),
        ("down_limit", pa.float64()),
        ("suspended", pa.bool_()),
        ("st", pa.bool_()),
        ("float_shares", pa.float64()),
        ("csi300_member", pa.bool_()),
        ("csi500_member", pa.bool_()),
        ("csi1000_member", pa.bool_()),
        ("csi300_weight", pa.float64()),  # fraction; 0 outside the index, null where unknown
        ("csi500_weight", pa.float64()),
        ("csi1000_weight", pa.float64()),
        ("pb", pa.float64()),
        ("pe_ttm", pa.float64()),
        ("pcf_ttm", pa.float64()),
        ("dividend_yield_12m", pa.float64()),
        ("eps_fy1", pa.float64()),
        ("roe_fy1", pa.float64()),
        ("np_fy1", pa.float64()),
        ("total_shares", pa.float64()),  # null where the source has the free float alone
    ]
)

PLANTED_SIGNAL = pa.schema([("symbol", pa.string()), ("signal", pa.float64())])

QUARANTINE = pa.schema(
    [
        ("table", pa.string()),
        ("symbol", pa.string()),  # null where it could not be read
        ("file", pa.string()),
        ("row", pa.int64()),  # line of that file, the first being 1; row from 1 where it is no text
        ("reason", pa.string()),
        ("content", pa.string()),  # the row as JSON
    ]
)

SCHEMAS: dict[str, pa.Schema] = {
    "trades": TRADES,
    "orders": ORDERS,
    "snapshots": SNAPSHOTS,
    "reference": REFERENCE,
    "planted_signal": PLANTED_SIGNAL,
    "minute_bars": MINUTE_BARS,
    "daily_bars": PERIOD_BARS,
    "weekly_bars": PERIOD_BARS,
    "monthly_bars": PERIOD_BARS,
    "quarantine": QUARANTINE,
}

INDICES = ("csi300", "csi500", "csi1000")
