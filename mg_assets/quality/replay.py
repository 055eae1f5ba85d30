"""Checks of the vendor's snapshots, and of orders and trades by replaying them and comparing with the snapshots.

The replay is a check of ``orders`` that applies only where the lake has snapshots of the day: a missing, duplicated or
misplaced order, cancel or trade makes the replayed book differ from the one that the exchange published.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.lake.table_view import PartitionReader, View, encode, fits_schema, numbers
from mg_assets.market.schema import SCHEMAS, SNAPSHOT_LEVELS
from mg_assets.quality import shared_checks
from mg_assets.quality.suite import EXAMPLES, Check, Limit, Measures, Suite

REPLAY = Check(
    "replay",
    "The book replayed from orders and trades equals the vendor's snapshots: best prices and volumes in at least 99% "
    "of them, all published fields in at least 98%; no cancel or trade refers to an unknown order or exceeds it; at "
    "most 1% of the stocks with snapshots have no orders (only where there are snapshots)",
    (
        Limit("replayed_level_1", 0.99, None),
        Limit("replayed_all_fields", 0.98, None),
        Limit("replay_faults"),
        Limit("not_replayed_share", None, 0.01),
    ),
    blocking=False,
)
NULLABLE = ("last", "total_bid_volume", "total_ask_volume", "amount", "volume", "num_trades",
            *(n for n in SCHEMAS["snapshots"].names if "_price_" in n))  # fmt: skip
LEGITIMATE = ("crossed_states", "orders_without_a_price")  # a trade behind its order's successor; an empty own side
SNAPSHOT_CHECKS = (
    shared_checks.SCHEMA,
    Check(
        "sequence",
        "Rows by symbol and time; volume, amount and number of trades of a stock never fall",
        (Limit("unsorted"), Limit("falling")),
        blocking=False,
    ),
    Check(
        "levels",
        "Prices, volumes and counts not negative; bids descend, asks ascend, no price behind an empty level",
        (Limit("negative"), Limit("level_order")),
        blocking=False,
    ),
    shared_checks.SIZE_BAND,
    shared_checks.QUARANTINE_SHARE,
)


def measure_replay(view: View, measures: Measures) -> None:
    """Measures of the replay of a day's orders and trades; none where it has no snapshots."""
    for table in ("snapshots", "trades"):
        if not view.has(table) or not fits_schema(view.lake, table, view.key):
            return
        with PartitionReader(view.lake, table, view.key, ()) as rows:
            if not rows.count:
                return
    from mg_assets.errors import DataError
    from mg_assets.replay.agreement import replay_day  # compiles kernels: only where there is something to replay
    from mg_assets.replay.book import FAULTS

    try:
        day = replay_day(view.lake, view.key)
    except DataError as error:  # unsorted tables: their own checks report where
        measures.put("replayed_level_1", 0.0, error=str(error))
        return
    agreement = day.agreement()
    whole = agreement[agreement["phase"] == "day"].set_index("field")
    lost = len(day.without_orders)
    measures.put("not_replayed_share", lost / max(lost + len(day.stocks), 1), symbols=", ".join(day.without_orders[:5]))
    stocks = day.by_stock()
    found = stocks[[f for f in FAULTS if f not in LEGITIMATE]]
    measures.put("replay_faults", found.to_numpy().sum())
    measures.examples["replay_faults"] = [
        {"symbol": stocks["symbol"].iloc[i], **found.iloc[i][found.iloc[i] > 0].astype(int).to_dict()}
        for i in np.flatnonzero(found.sum(axis=1))[:EXAMPLES]
    ]
    if not len(whole):
        return
    for name, field in (("replayed_level_1", "level_1"), ("replayed_all_fields", "everything")):
        measures.put(name, whole.loc[field, "share"])
        first = day.disagreements(1)
        measures.examples[name] = first.head(EXAMPLES).astype({"time": str}).to_dict("records")
    measures.notes.append(
        f"{view.key}: {len(day.stocks)} stocks replayed, {int(whole.loc['level_1', 'compared'])} snapshots, level 1 of "
        f"{whole.loc['level_1', 'share']:.3%} agrees"
    )


def measure_snapshots(view: View, measures: Measures) -> None:
    """Measures of a day's snapshots."""
    expected = SCHEMAS["snapshots"]
    with PartitionReader(view.lake, view.table, view.key) as rows:
        if not shared_checks.measure_schema(measures, rows.schema, expected, rows.count):
            return
        last, met = None, set[str]()
        for offset, part in rows.batches(expected.names):
            shared_checks.measure_nulls(measures, part, NULLABLE, offset)
            met.update(encode(part["symbol"])[1])
            last = _batch(measures, part, offset, last)
    shared_checks.measure_size_band(view, measures, rows.count, len(met))
    shared_checks.measure_quarantine_share(view, measures, rows.count)


def _batch(measures: Measures, part: pa.Table, offset: int, last: str | None) -> str:
    codes, words = encode(part["symbol"])
    symbol = words[codes] if len(codes) else np.zeros(0, object)
    time = numbers(part["time"])
    shown = {"symbol": symbol, "time": pd.to_datetime(time, unit="ms").astype(str)}
    before = np.r_[[last if last is not None else ""], symbol[:-1]] if len(symbol) else symbol
    same = symbol == before
    down = np.zeros(len(symbol), bool)
    down[1:] = same[1:] & (np.diff(time) < 0)
    measures.rows("unsorted", down | (symbol < before), offset, **shown)
    falling = np.zeros(len(symbol), bool)
    for column in ("volume", "amount", "num_trades"):
        values = numbers(part[column], 0).astype(np.float64)
        falling[1:] |= same[1:] & (np.diff(values) < 0)
    measures.rows("falling", falling, offset, **shown)
    negative, wrong = np.zeros(len(symbol), bool), np.zeros(len(symbol), bool)
    for column in part.column_names:
        if column not in shown:
            negative |= numbers(part[column], 0) < 0
    for side, sign in (("bid", -1.0), ("ask", 1.0)):
        prices = np.stack([numbers(part[f"{side}_price_{n}"]) for n in range(1, SNAPSHOT_LEVELS + 1)])
        wrong |= (sign * np.diff(prices, axis=0) <= 0).any(axis=0)  # NaN: no level
        wrong |= (np.isnan(prices[:-1]) & ~np.isnan(prices[1:])).any(axis=0)
    measures.rows("negative", negative, offset, **shown)
    measures.rows("level_order", wrong, offset, **shown)
    return str(symbol[-1]) if len(symbol) else last or ""


SNAPSHOTS = Suite("snapshots", SNAPSHOT_CHECKS, measure_snapshots)
