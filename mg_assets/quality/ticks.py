"""Suites of the tick tables: trades and orders."""

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.lake.table_view import PartitionReader, View, encode, fits_schema, numbers
from mg_assets.market.schema import ORDER_KINDS, SCHEMAS
from mg_assets.market.sessions import closing_auction, larger_is_active, lot_rule
from mg_assets.quality import shared_checks
from mg_assets.quality.kernels import marks
from mg_assets.quality.kernels import ticks as kernels
from mg_assets.quality.replay import REPLAY, measure_replay
from mg_assets.quality.scans import day_limits, keep_marks, since_midnight, unsorted_symbols
from mg_assets.quality.session import SESSION, SessionRows, measure_session
from mg_assets.quality.suite import Check, Limit, Measures, Suite

LOST_SHARE = 0.001  # rows of a stream whose counterparts the vendor lost
NUMBERS = ("number_unknown", "number_side", "overfilled")
SIDES = ("wrong_aggressor", "no_aggressor", "auction_side")
IDS = ("duplicate_ids", "cancel_unknown", "cancel_side", "cancel_volume")
SEQUENCE = Check(
    "sequence",
    "Rows by symbol and sequence number, each number once; times inside the sessions and never backwards",
    (Limit("unsorted"), Limit("seq_backwards"), Limit("time_backwards"), Limit("out_of_session")),
)
PRICES = Check(
    "price_limits",
    "Prices on the 0.01 tick and inside the day's limits",
    (Limit("off_tick"), Limit("outside_limits")),
)
TRADE_CHECKS = (
    shared_checks.SCHEMA,
    Check(
        "values",
        "Price and volume above 0, side one of -1, 0, 1",
        (Limit("bad_price"), Limit("bad_volume"), Limit("bad_side")),
    ),
    SEQUENCE,
    PRICES,
    Check(
        "order_numbers",
        "Every trade's buy and sell number is a new order of that side the same day, and no order trades more than "
        f"its volume, but for one trade or {LOST_SHARE:.1%} of them (stocks without any order that day are left out)",
        shared_checks.share_limits(*NUMBERS, share=LOST_SHARE),
    ),
    Check(
        "aggressor",
        "The active side is the larger order number in the continuous session, and no auction trade has one, but for "
        f"one trade or {LOST_SHARE:.1%} of them",
        shared_checks.share_limits(*SIDES, share=LOST_SHARE),
    ),
    Check(
        "odd_trades",
        "No trade at all has an unknown order or another side than its orders",
        tuple(map(Limit, (*NUMBERS, *SIDES))),
        blocking=False,
    ),
    SESSION,
    shared_checks.COVERAGE,
    shared_checks.SIZE_BAND,
    shared_checks.QUARANTINE_SHARE,
)
ORDER_CHECKS = (
    shared_checks.SCHEMA,
    Check(
        "values",
        "Volume above 0, side -1 or 1, a valid kind, limit orders with a price, prices above 0",
        (Limit("bad_price"), Limit("bad_volume"), Limit("bad_side"), Limit("bad_kind"), Limit("no_price")),
    ),
    SEQUENCE,
    PRICES,
    Check(
        "order_ids",
        "An order's number occurs once, and a cancel withdraws at most the volume of an existing order of its side, "
        f"but for one order or {LOST_SHARE:.1%} of them",
        shared_checks.share_limits(*IDS, share=LOST_SHARE),
    ),
    Check(
        "odd_orders",
        "No number at all occurs twice, and no cancel has an unknown order",
        tuple(map(Limit, IDS)),
        blocking=False,
    ),
    Check("lots", "Buy orders are multiples of 100 shares (STAR: at least 200)", (Limit("odd_lots"),), blocking=False),
    REPLAY,
    SESSION,
    shared_checks.COVERAGE,
    shared_checks.SIZE_BAND,
    shared_checks.QUARANTINE_SHARE,
)
ORDER_COLUMNS = ("symbol", "order_id", "side", "volume", "kind")


def measure_trades(view: View, measures: Measures) -> None:
    """Measures of a day's trades."""
    with PartitionReader(view.lake, view.table, view.key) as rows:
        if not shared_checks.measure_schema(measures, rows.schema, SCHEMAS["trades"], rows.count):
            return
        there = view.has("orders") and fits_schema(view.lake, "orders", view.key)
        orders = PartitionReader(view.lake, "orders", view.key, ("symbol", "kind")) if there else None
        if orders is None or not orders.count:
            measures.notes.append("order numbers: no orders that day")
        present: list[np.ndarray] = []
        session = SessionRows()
        try:
            for offset, part in rows.batches(SCHEMAS["trades"].names):
                last = present[-1][-1] if present else None
                present.append(_trade_batch(view, measures, part, offset, orders, last))
                session.add_ticks(part["symbol"], since_midnight(view, part))
        finally:
            if orders is not None:
                orders.__exit__()
    shared_checks.measure_shares(measures, (*NUMBERS, *SIDES), rows.count)
    measure_session(view, measures, session)
    met = np.unique(np.concatenate(present).astype(str)) if present else np.array([], str)
    shared_checks.measure_coverage(view, measures, met)
    shared_checks.measure_size_band(view, measures, rows.count, len(met))
    shared_checks.measure_quarantine_share(view, measures, rows.count)


def _trade_batch(
    view: View, measures: Measures, part: pa.Table, offset: int, orders: PartitionReader | None, last: str | None
) -> np.ndarray:
    shared_checks.measure_nulls(measures, part, offset=offset)
    codes, words = encode(part["symbol"])
    met = unsorted_symbols(measures, codes, words, offset, last)
    up, down = day_limits(view, measures, words)
    time = since_midnight(view, part)
    volume, side = numbers(part["volume"], 1), numbers(part["side"])
    found = marks.no_marks(kernels.TRADE_RULES)
    kernels.scan_trades(
        codes, time, numbers(part["seq"]), numbers(part["price"]), volume, side,
        up, down, closing_auction(words, view.day), found,
    )  # fmt: skip
    keep_marks(measures, kernels.TRADE_RULES, found, part, offset)

    larger = larger_is_active(words)
    to_orders = np.full(len(words), -1, np.int32)
    starts, ids, sides, volumes = _no_orders()
    if orders is not None and len(met):
        lines = orders.between(str(min(met)), str(max(met)), ORDER_COLUMNS)
        if len(lines):
            order_codes, order_words = encode(lines["symbol"])
            cancel = _kinds(lines)[0] == ORDER_KINDS.index("cancel")
            starts, ids, sides, volumes, _, timely = kernels.new_orders(
                order_codes, numbers(lines["order_id"]), numbers(lines["side"]), numbers(lines["volume"]), cancel,
                len(order_words),
            )  # fmt: skip
            to_orders = pd.Index(order_words).get_indexer(words).astype(np.int32)
            to_orders[(to_orders >= 0) & (np.diff(starts)[to_orders] == 0)] = -1
            # elsewhere than in Shenzhen a larger number is a later order only where the numbers rise in time
            larger = np.where((larger == 0) & (to_orders >= 0) & timely[to_orders], 1, larger).astype(np.int8)
    found = marks.no_marks(kernels.NUMBER_RULES)
    kernels.scan_numbers(
        codes, time, volume, numbers(part["buy_order"]), numbers(part["sell_order"]), side,
        larger, to_orders, starts, ids, sides, volumes, found,
    )  # fmt: skip
    keep_marks(measures, kernels.NUMBER_RULES, found, part, offset)
    return met


def _no_orders() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    none = np.zeros(0, np.int64)
    return np.zeros(1, np.int64), none, np.zeros(0, np.int8), none


def _kinds(part: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Kind of each order as its index in ``ORDER_KINDS``, -1 where unknown, and the words found."""
    codes, words = encode(part["kind"])
    index = np.array([ORDER_KINDS.index(w) if w in ORDER_KINDS else -1 for w in words] + [-1], np.int8)
    return index[codes], words


def measure_orders(view: View, measures: Measures) -> None:
    """Measures of a day's orders."""
    with PartitionReader(view.lake, view.table, view.key, ("symbol", "kind")) as rows:
        if not shared_checks.measure_schema(measures, rows.schema, SCHEMAS["orders"], rows.count):
            return
        present: list[np.ndarray] = []
        session = SessionRows()
        for offset, part in rows.batches(SCHEMAS["orders"].names):
            last = present[-1][-1] if present else None
            present.append(_order_batch(view, measures, part, offset, last))
            session.add_ticks(part["symbol"], since_midnight(view, part))
    shared_checks.measure_shares(measures, IDS, rows.count)
    measure_session(view, measures, session, share=False)
    met = np.unique(np.concatenate(present).astype(str)) if present else np.array([], str)
    shared_checks.measure_coverage(view, measures, met)
    shared_checks.measure_size_band(view, measures, rows.count, len(met))
    shared_checks.measure_quarantine_share(view, measures, rows.count)
    measure_replay(view, measures)


def _order_batch(view: View, measures: Measures, part: pa.Table, offset: int, last: str | None) -> np.ndarray:
    shared_checks.measure_nulls(measures, part, ("price",), offset)
    codes, words = encode(part["symbol"])
    met = unsorted_symbols(measures, codes, words, offset, last)
    up, down = day_limits(view, measures, words)
    volume, side, order_id = numbers(part["volume"], 1), numbers(part["side"]), numbers(part["order_id"])
    kind, _ = _kinds(part)
    found = marks.no_marks(kernels.ORDER_RULES)
    kernels.scan_orders(
        codes, since_midnight(view, part), numbers(part["seq"]), numbers(part["price"]), volume, side, kind,
        up, down, lot_rule(words, view.day), found,
    )  # fmt: skip
    keep_marks(measures, kernels.ORDER_RULES, found, part, offset)

    cancel = kind == ORDER_KINDS.index("cancel")
    starts, ids, sides, volumes, at, _ = kernels.new_orders(codes, order_id, side, volume, cancel, len(words))
    found = marks.no_marks(kernels.CANCEL_RULES)
    kernels.scan_cancels(codes, order_id, side, volume, cancel, starts, ids, sides, volumes, at, found)
    keep_marks(measures, kernels.CANCEL_RULES, found, part, offset)
    return met


TRADES = Suite("trades", TRADE_CHECKS, measure_trades)
ORDERS = Suite("orders", ORDER_CHECKS, measure_orders)
