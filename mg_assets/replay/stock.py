"""One stock's tables as the kernel's arrays, and the result of its replay."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mg_assets.errors import DataError
from mg_assets.lake.table_view import encode, numbers
from mg_assets.market.schema import ORDER_KINDS
from mg_assets.market.sessions import closing_auction
from mg_assets.replay.walk import FIELDS, FOREVER, LEVELS, MINUTE, NUM_TRADES, UNPUBLISHED, VOLUME, replay_stock

UNIT = 1000.0  # thousandths of a yuan
WIDEST = 50_000_000  # 50,000 yuan between a day's lowest and highest price: 200 MB of ranks
ORDERS = ("symbol", "time", "seq", "order_id", "side", "price", "volume", "kind")
TRADES = ("symbol", "time", "seq", "price", "volume", "buy_order", "sell_order", "side")
NAMES = tuple(
    [f"{side}_{n}" for side in ("bid_price", "bid_volume", "ask_price", "ask_volume") for n in range(1, LEVELS + 1)]
    + ["last", "volume", "amount", "num_trades", "total_bid_volume", "total_ask_volume"]
)
"""The compared columns of ``snapshots`` in the order of the fields' bits."""

PHASES = ("opening call", "before open", "continuous", "lunch", "closing call", "closed")
COUNTED = ("opening call", "continuous", "closing call")
"""Phases of the day's totals: in the others the same book is shown again and again."""


def bits_of(names: Iterable[str]) -> int:
    """The bits of some columns."""
    return sum(1 << NAMES.index(n) for n in names)


@dataclass(frozen=True)
class Alignment:
    """Time window in which a snapshot's state is searched, in milliseconds around its stamp.

    Attributes
    ----------
    before, after : int
        The window.
    fixed : int
        The moment after the stamp of the fixed alignment.
    """

    before: int = 3000
    after: int = 1000
    fixed: int = 500


@dataclass(frozen=True)
class StockReplay:
    """One stock's replay and its S snapshots.

    Attributes
    ----------
    symbol : str
    events : int
        Orders, cancels and trades.
    time : datetime64[ms] (S,)
        Stamps.
    phase : int8 (S,)
        Index into ``PHASES``; -1 before 09:15, when nothing is compared.
    shown : int64 (S, FIELDS)
        The snapshots, prices and amounts in thousandths of a yuan, -1 where not published.
    keep, aligned, fixed : int64 (S,)
        Bits (order of ``NAMES``) of the fields compared, and of those that agree at the best and at the fixed state.
    event, offered : int64 (S,)
        Events before the best state (-1: there was none), states to choose from.
    found : int64 (S, 4, LEVELS)
        The ladder that was compared.
    faults : int64 (len(FAULTS),)
    """

    symbol: str
    events: int
    time: np.ndarray
    phase: np.ndarray
    shown: np.ndarray
    keep: np.ndarray
    aligned: np.ndarray
    fixed: np.ndarray
    event: np.ndarray
    offered: np.ndarray
    found: np.ndarray
    faults: np.ndarray

    @property
    def backwards(self) -> int:
        """Snapshots whose state is before that of an earlier one: a right alignment has none."""
        found = self.event[(self.event >= 0) & (self.phase >= 0)]
        return int(np.sum(found[1:] < np.maximum.accumulate(found)[:-1])) if len(found) else 0

    def agrees(self, bits: int, fixed: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Which snapshots have any of the fields, and which agree in all of them that they have; ``bool (S,)``."""
        wanted = self.keep & bits
        return wanted != 0, ((self.fixed if fixed else self.aligned) & wanted) == wanted


def replay_one(
    symbol: str, orders: pa.Table, trades: pa.Table, shown: pa.Table | None, previous: float, alignment: Alignment
) -> StockReplay:
    """Replay one stock; ``previous`` is its previous close in yuan, 0 where unknown."""
    arrays = ticks(symbol, orders, trades)
    if shown is None:
        snapshots, windows, calls, keep = no_snapshots()
        time = phase = np.zeros(0, np.int64)
    else:
        time, snapshots = _fields(shown)
        phase = phases(symbol, time, snapshots, arrays[2][0])
        calls = (phase == PHASES.index("opening call")) | (phase == PHASES.index("closing call"))
        keep = _compared(snapshots, phase, calls)
        since = time - time.astype("datetime64[D]").astype("datetime64[ms]")
        stamp = since.astype(np.int64)
        windows = stamp[:, None] + np.array([-alignment.before, alignment.after, alignment.fixed])
    cents = not ((arrays[0][4] % 10).any() or (arrays[2][2] % 10).any())
    aligned, fixed, event, offered, found, faults, _ = replay_stock(
        *arrays, snapshots, windows, calls, keep, symbol.endswith("SH"),
        round(np.nan_to_num(previous) * UNIT), 10 if cents else 1, FOREVER,
    )  # fmt: skip
    events = len(orders) + len(trades)
    return StockReplay(symbol, events, time, phase, snapshots, keep, aligned, fixed, event, offered, found, faults)


def phases(symbol: str, time: np.ndarray, shown: np.ndarray, trade_time: np.ndarray) -> np.ndarray:
    """Phase of each snapshot, ``int8 (S,)``: by its stamp, and around an auction's print by its number of trades."""
    if not len(time):
        return np.zeros(0, np.int8)
    day = time[0].astype("datetime64[D]")
    ms = (time - day.astype("datetime64[ms]")).astype(np.int64)
    second, done = 1000, shown[:, NUM_TRADES]
    counted = bool((done >= 0).any())
    if not counted:
        done = np.where(shown[:, VOLUME] > 0, 1, 0)
    out = np.full(len(time), PHASES.index("continuous"), np.int8)
    out[ms < 570 * MINUTE] = PHASES.index("before open")
    out[(ms < 565 * MINUTE + second) & (done == 0)] = PHASES.index("opening call")
    out[ms < 555 * MINUTE] = -1
    out[(ms > 690 * MINUTE) & (ms < 780 * MINUTE)] = PHASES.index("lunch")
    out[ms >= 900 * MINUTE] = PHASES.index("closed")
    if closing_auction(np.array([symbol]), day.astype(dt.date))[0]:
        before = int(np.sum(trade_time < 900 * MINUTE))
        printed = done > before if counted else ms >= 900 * MINUTE
        out[(ms >= 897 * MINUTE) & (ms < 900 * MINUTE + second) & ~printed] = PHASES.index("closing call")
    return out


def _compared(shown: np.ndarray, phase: np.ndarray, calls: np.ndarray) -> np.ndarray:
    """Bits of the fields that count; in a call auction the first level and the shares left over at its price."""
    keep = ((shown != UNPUBLISHED).astype(np.int64) << np.arange(FIELDS)).sum(axis=1)
    auction = [n for n in NAMES if n.endswith("_1")] + ["bid_volume_2", "ask_volume_2"]
    keep[calls] &= bits_of([*auction, "last", "volume", "amount", "num_trades"])
    keep[phase < 0] = 0
    return keep


def ticks(symbol: str, orders: pa.Table, trades: pa.Table) -> tuple:
    """One stock's orders and trades as the kernel's first four arguments."""
    o = {c: numbers(orders[c]) for c in ORDERS if c not in ("symbol", "kind")}
    t = {c: numbers(trades[c]) for c in TRADES if c != "symbol"}
    for table, columns in (("orders", o), ("trades", t)):
        if np.any(np.diff(columns["seq"]) < 0):
            raise DataError(f"{table} of {symbol} do not ascend by seq; sort the table by symbol, then seq")
    codes, words = encode(orders["kind"])
    unknown = sorted(set(words.tolist()) - set(ORDER_KINDS))
    if unknown:
        raise DataError(f"orders of {symbol}: kinds {unknown} are unknown; one of {ORDER_KINDS} was expected")
    kind = np.array([ORDER_KINDS.index(w) for w in words], np.int8)[codes]
    prices = {"orders": _milli(o["price"]), "trades": _milli(t["price"])}
    there = np.concatenate([p[p > 0] for p in prices.values()])
    if len(there) and there.max() - there.min() > WIDEST:
        worst = max(prices, key=lambda n: prices[n].max(initial=0))
        raise DataError(
            f"{worst} of {symbol}: price {there.max() / UNIT} beside {there.min() / UNIT}; a day's prices must be "
            f"within {WIDEST / UNIT:.0f} yuan of each other: is the column in yuan?"
        )
    return (
        (_day_ms(o["time"]), o["seq"], o["order_id"], o["side"].astype(np.int64), prices["orders"], o["volume"]),
        kind,
        (_day_ms(t["time"]), t["seq"], prices["trades"], t["volume"], t["buy_order"], t["sell_order"]),
        t["side"].astype(np.int8),
    )


def _fields(shown: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Stamps and fields; a level without a price has 0, one without even a volume is not published."""
    time = numbers(shown["time"]).astype("datetime64[ms]")
    if np.any(np.diff(time.astype(np.int64)) < 0):
        raise DataError(f"snapshots of {shown['symbol'][0]} do not ascend by time; sort the table by symbol, then time")
    out = np.empty((len(time), FIELDS), np.int64)
    for k, name in enumerate(NAMES):
        column = shown[name]
        values = numbers(column, -1).astype(np.float64)
        unpublished = column.is_null().to_numpy()
        if "price" in name:
            unpublished = shown[name.replace("price", "volume")].is_null().to_numpy()
        if "price" in name or name in ("last", "amount"):
            values = values * UNIT
        out[:, k] = np.rint(np.nan_to_num(values))
        if name != "last":  # null before the first trade
            out[unpublished, k] = UNPUBLISHED
    return time, out


def no_snapshots() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The kernel's snapshots, windows, calls and fields to compare where there are no snapshots."""
    return np.zeros((0, FIELDS), np.int64), np.zeros((0, 3), np.int64), np.zeros(0, bool), np.zeros(0, np.int64)


def _milli(price: np.ndarray) -> np.ndarray:
    return np.rint(np.nan_to_num(price) * UNIT).astype(np.int64)


def _day_ms(time: np.ndarray) -> np.ndarray:
    return time % 86_400_000
