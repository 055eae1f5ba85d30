"""Agreement of a day's replayed orders and trades with the vendor's snapshots.

1. Candidates for a snapshot are the states that were in effect at some moment of its window and have its number of
   trades (its volume where it has no number). Traded numbers only grow, so these are the states between two trades.
2. Of those, the one that agrees in most fields is compared, all fields with the same state; the earliest of several
   that agree in all. No such state: the snapshot disagrees in everything.
3. The agreement at a fixed moment after the stamp, without any choice, is reported too: a lower bound, since a stamp
   in whole seconds does not say which state of a busy second was taken.

The window is one snapshot's interval before the stamp and one second after it: stamps are cut to the second, and in
call auctions the same state may be sent again under the next stamp. What is compared in an auction is the indicative
price and volume that the exchange computes from the book.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import DataError
from mg_assets.lake.store import Lake
from mg_assets.lake.table_view import PartitionReader, encode, numbers
from mg_assets.market.schema import SCHEMAS
from mg_assets.replay.book import FAULTS, LEVELS
from mg_assets.replay.stock import (
    COUNTED,
    NAMES,
    ORDERS,
    PHASES,
    TRADES,
    UNIT,
    Alignment,
    StockReplay,
    bits_of,
    no_snapshots,
    replay_one,
    ticks,
)
from mg_assets.replay.walk import BOOK, FIELDS, replay_stock

GROUPS: dict[str, int] = {
    **{n: bits_of([n]) for n in NAMES if n.endswith("_1")},
    "level_1": bits_of([n for n in NAMES if n.endswith("_1")]),
    "levels_2_10": BOOK & ~bits_of([n for n in NAMES if n.endswith("_1") or n.startswith("total")]),
    "total_volumes": bits_of(["total_bid_volume", "total_ask_volume"]),
    **{n: bits_of([n]) for n in ("last", "volume", "amount", "num_trades")},
    "everything": (1 << FIELDS) - 1,
}
"""Groups of fields that agreement is counted for: all of a group must be equal."""


@dataclass
class DayReplay:
    """The replayed stocks of a day.

    Attributes
    ----------
    stocks : list of StockReplay
    without_orders : list of str
        Stocks that have snapshots with trades and no orders in the tables.
    """

    stocks: list[StockReplay] = field(default_factory=list)
    without_orders: list[str] = field(default_factory=list)

    def agreement(self) -> pd.DataFrame:
        """Shares that agree, a row for each phase (and ``day``: ``COUNTED``) and group of fields.

        Returns
        -------
        DataFrame
            phase, field, compared (snapshots), differ, share (at the aligned state), fixed_share.
        """
        counts = np.zeros((len(PHASES), len(GROUPS), 3), np.int64)  # compared, agree aligned, agree fixed
        for stock in self.stocks:
            for g, bits in enumerate(GROUPS.values()):
                has, same = stock.agrees(bits)
                _, at_moment = stock.agrees(bits, fixed=True)
                for k, mask in enumerate((has, has & same, has & at_moment)):
                    counts[:, g, k] += np.bincount(stock.phase[mask & (stock.phase >= 0)], minlength=len(PHASES))
        day = counts[[PHASES.index(p) for p in COUNTED]].sum(axis=0)
        rows = []
        for phase, table in (("day", day), *zip(PHASES, counts, strict=True)):
            for name, (compared, same, at_moment) in zip(GROUPS, table, strict=True):
                if compared:
                    rows.append((phase, name, compared, compared - same, same / compared, at_moment / compared))
        return pd.DataFrame(rows, columns=["phase", "field", "compared", "differ", "share", "fixed_share"])

    def share(self, name: str = "level_1", phase: str = "day") -> float:
        """One share of :meth:`agreement`; NaN where nothing is compared."""
        table = self.agreement()
        found = table[(table["phase"] == phase) & (table["field"] == name)]["share"]
        return float(found.iloc[0]) if len(found) else np.nan

    def by_stock(self) -> pd.DataFrame:
        """A row a stock: events, snapshots compared, shares, states to choose from, steps back, faults."""
        counted = [PHASES.index(p) for p in COUNTED]
        rows = []
        for s in self.stocks:
            day = np.isin(s.phase, counted)
            row: dict[str, object] = {"symbol": s.symbol, "events": s.events, "snapshots": int(day.sum())}
            for name in ("level_1", "everything"):
                has, same = s.agrees(GROUPS[name])
                _, at_moment = s.agrees(GROUPS[name], fixed=True)
                has &= day
                row[name] = same[has].mean() if has.any() else np.nan
                row[f"{name}_fixed"] = at_moment[has].mean() if has.any() else np.nan
            row["no_state"] = int(np.sum(day & (s.event < 0)))
            row["states_median"] = float(np.median(s.offered[day])) if day.any() else np.nan
            row["backwards"] = s.backwards
            rows.append({**row, **dict(zip(FAULTS, s.faults.tolist(), strict=True))})
        return pd.DataFrame(rows)

    def disagreements(self, snapshots: int = 20) -> pd.DataFrame:
        """The first snapshots of each stock that differ, a row a field.

        Returns
        -------
        DataFrame
            symbol, time, phase, event (-1: no state has the snapshot's number of trades), field, ours, theirs (yuan and
            shares; ours is null for what is no level).
        """
        rows = []
        for stock in self.stocks:
            has, same = stock.agrees(GROUPS["everything"])
            for s in np.flatnonzero(has & ~same & (stock.phase >= 0))[:snapshots]:
                ours = np.r_[stock.found[s].ravel(), np.full(FIELDS - 4 * LEVELS, -1)]
                for k in np.flatnonzero((stock.keep[s] & ~stock.aligned[s]) >> np.arange(FIELDS) & 1):
                    scale = UNIT if "price" in NAMES[k] or NAMES[k] in ("last", "amount") else 1.0
                    rows.append(
                        (
                            stock.symbol, stock.time[s], PHASES[stock.phase[s]], int(stock.event[s]), NAMES[k],
                            np.nan if ours[k] < 0 else ours[k] / scale, stock.shown[s, k] / scale,
                        )
                    )  # fmt: skip
        return pd.DataFrame(rows, columns=["symbol", "time", "phase", "event", "field", "ours", "theirs"])


def replay(
    orders: pd.DataFrame | pa.Table,
    trades: pd.DataFrame | pa.Table,
    snapshots: pd.DataFrame | pa.Table | None = None,
    previous_close: Mapping[str, float] | None = None,
    alignment: Alignment | None = None,
) -> DayReplay:
    """Replay a day's stocks and compare them with their snapshots.

    Parameters
    ----------
    orders, trades, snapshots : DataFrame or Table
        One day of the lake's tables. With snapshots only their stocks are replayed, without them all.
    previous_close : mapping of str to float, optional
        Yuan by symbol: decides ties of Shenzhen's opening auction.
    alignment : Alignment, optional
        Where a snapshot's state is searched.

    Returns
    -------
    DayReplay

    Raises
    ------
    DataError
        Rows are not by symbol and sequence number, or a price is beyond what a stock can cost.
    """
    alignment = Alignment() if alignment is None else alignment
    orders, trades = _columns(orders, "orders"), _columns(trades, "trades")
    of_orders, of_trades = _stocks(orders, "orders"), _stocks(trades, "trades")
    of_shown: dict[str, slice] = {}
    if snapshots is not None:
        snapshots = _columns(snapshots, "snapshots")
        of_shown = _stocks(snapshots, "snapshots")
    out = DayReplay()
    nothing = slice(0, 0)
    for symbol in of_shown if snapshots is not None else sorted({*of_orders, *of_trades}):
        rows = None if snapshots is None else snapshots[of_shown[symbol]]
        if symbol not in of_orders:
            if rows is None or np.nanmax(numbers(rows["volume"], 0), initial=0) > 0:
                out.without_orders.append(symbol)
            continue
        part = orders[of_orders[symbol]], trades[of_trades.get(symbol, nothing)]
        out.stocks.append(replay_one(symbol, *part, rows, (previous_close or {}).get(symbol, 0.0), alignment))
    return out


def replay_day(
    lake: Lake, key: str, symbols: Sequence[str] | None = None, alignment: Alignment | None = None
) -> DayReplay:
    """Replay a day of the lake, row group by row group: at most one of each table is in memory.

    Parameters
    ----------
    lake : Lake
        With ``orders`` and ``trades`` of the day; ``snapshots`` and ``reference`` are read if present.
    key : str
        The day's partition, as ``2023-02-01``.
    symbols : sequence of str, optional
        Stocks to replay; by default those with snapshots, without a table of snapshots all.
    alignment : Alignment, optional
        Where a snapshot's state is searched.

    Returns
    -------
    DayReplay
        A replay and its agreement with the snapshots for each stock.

    Raises
    ------
    MissingPartitionError
        The lake has no orders or trades that day.
    """
    lake.metadata("trades", key)
    closes = {}
    if key in lake.keys("reference"):
        reference = lake.day("reference", key, ["symbol", "prev_close"])
        closes = dict(zip(reference["symbol"], reference["prev_close"].fillna(0.0), strict=True))
    out = DayReplay()
    for shown, orders, trades in _parts(lake, key, symbols):
        part = replay(orders, trades, shown, closes, alignment)
        out.stocks += part.stocks
        out.without_orders += part.without_orders
    return out


def _parts(lake: Lake, key: str, symbols: Sequence[str] | None) -> Iterator[tuple[pa.Table | None, pa.Table, pa.Table]]:
    """Snapshots (None: the day has none), orders and trades of some stocks at a time."""
    compared = key in lake.keys("snapshots")
    with (
        PartitionReader(lake, "orders", key, ("symbol", "kind")) as orders,
        PartitionReader(lake, "trades", key) as trades,
        PartitionReader(lake, "snapshots" if compared else "orders", key) as leading,
    ):
        _, words = encode(leading.file.read(["symbol"])["symbol"])
        wanted = sorted(set(words.astype(str)) & set(words.astype(str) if symbols is None else symbols))
        for names in _by_row_group(orders, wanted):
            tables = [(orders, ORDERS), (trades, TRADES)]
            o, t = (_only(rows.between(names[0], names[-1], columns), names) for rows, columns in tables)
            shown = leading.between(names[0], names[-1], SCHEMAS["snapshots"].names) if compared else None
            yield shown if shown is None else _only(shown, names), o, t


def _by_row_group(rows: PartitionReader, symbols: list[str]) -> Iterator[list[str]]:
    """The symbols, ascending, that begin in one row group; all together where the file has no statistics."""
    at = rows.schema.names.index("symbol")
    ends = []
    for number in range(rows.file.parquet.num_row_groups):
        stats = rows.file.parquet.row_group(number).column(at).statistics
        ends.append(stats.max if stats is not None and stats.has_min_max else "~")
    groups = np.searchsorted(np.array(ends, dtype=str), np.array(symbols, dtype=str))
    for group in np.unique(groups):
        yield [s for s, g in zip(symbols, groups, strict=True) if g == group]


def _only(part: pa.Table, symbols: Sequence[str]) -> pa.Table:
    codes, words = encode(part["symbol"])
    kept = np.isin(words.astype(str), list(symbols))
    return part if kept.all() else part.filter(pa.array(kept[codes]))


def around(orders: pd.DataFrame, trades: pd.DataFrame, symbol: str, event: int, rows: int = 5) -> pd.DataFrame:
    """The rows of both tables around a state, in the replay's order.

    Parameters
    ----------
    orders, trades : DataFrame
        One day of the lake's tables.
    symbol : str
        ``600519.SH``.
    event : int
        Number of the state, as in :meth:`DayReplay.disagreements`.
    rows : int
        Before and after.

    Returns
    -------
    DataFrame
        event (number in the day), table, and the columns of both tables.
    """
    o, t = (f[f["symbol"] == symbol].assign(table=n) for f, n in ((orders, "orders"), (trades, "trades")))
    merged = pd.concat([o, t], ignore_index=True).sort_values("seq", kind="stable", ignore_index=True)
    merged.insert(0, "event", np.arange(1, len(merged) + 1))
    return merged.iloc[max(event - rows, 0) : event + rows]


def order_book(
    orders: pd.DataFrame | pa.Table, trades: pd.DataFrame | pa.Table, symbol: str, time: dt.time | str
) -> pd.DataFrame:
    """One stock's ten best levels just before a moment: level, bid_price, bid_volume, ask_price, ask_volume."""
    at = dt.time.fromisoformat(time) if isinstance(time, str) else time
    until = ((at.hour * 60 + at.minute) * 60 + at.second) * 1000 + at.microsecond // 1000
    orders, trades = _columns(orders, "orders"), _columns(trades, "trades")
    of_orders, of_trades = _stocks(orders, "orders"), _stocks(trades, "trades")
    if symbol not in of_orders:
        raise DataError(f"{symbol} has no orders in these tables; give a symbol that has, as 600519.SH")
    arrays = ticks(symbol, orders[of_orders[symbol]], trades[of_trades.get(symbol, slice(0, 0))])
    *_, ladder = replay_stock(*arrays, *no_snapshots(), True, 0, 10, until)
    prices = np.where(ladder[[0, 2]] > 0, ladder[[0, 2]] / UNIT, np.nan)
    return pd.DataFrame(
        {
            "level": np.arange(1, LEVELS + 1), "bid_price": prices[0], "bid_volume": ladder[1],
            "ask_price": prices[1], "ask_volume": ladder[3],
        }
    )  # fmt: skip


def _columns(table: pd.DataFrame | pa.Table, what: str) -> pa.Table:
    """A table's columns in the lake's types."""
    schema = SCHEMAS[what]
    have = table.columns if isinstance(table, pd.DataFrame) else table.column_names
    lacking = [n for n in schema.names if n not in have]
    if lacking:
        raise DataError(f"{what} lack the columns {lacking}; the lake's schema has {schema.names}")
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table[schema.names], preserve_index=False)
    table = table.select(schema.names)
    for at, (field_, column) in enumerate(zip(schema, table.columns, strict=True)):
        if not pa.types.is_dictionary(column.type) and column.type != field_.type:
            try:
                table = table.set_column(at, field_.name, column.cast(field_.type))
            except pa.ArrowInvalid as error:
                raise DataError(f"{what}: column {field_.name!r} is no {field_.type} ({error})") from error
    return table


def _stocks(table: pa.Table, what: str) -> dict[str, slice]:
    """Each symbol's rows."""
    codes, words = encode(table["symbol"])
    if not len(codes):
        return {}
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    met = [str(words[c]) for c in codes[starts]]
    if len(set(met)) < len(met):
        raise DataError(f"{what}: the rows of a symbol are not contiguous; sort the table by symbol, then seq or time")
    return {s: slice(int(a), int(b)) for s, a, b in zip(met, starts, np.r_[starts[1:], len(codes)], strict=True)}
