"""Full-market days for the benchmarks: one simulated set of stocks, repeated under new symbols.

1. A few hundred stocks are simulated once (about 20,000 trades and orders a stock: 100 million for 5,000 stocks).
2. Their order and sequence numbers are spread as an exchange spreads them. A channel numbers all of its stocks
   together, so a stock's numbers are far apart: on the real days at hand one stock's 40 to 138 thousand orders lie in
   a range of 9 to 35 million. The numbers' order within a stock stays, so no factor changes.
3. The set is repeated under new symbols until the rows are there. Arrow shares the repeated columns, so that a day of
   100 million rows needs little more memory than its symbols.
"""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.factors import bars_from_trades
from mg_assets.market.schema import MINUTE_BARS, ORDERS, TRADES
from mg_assets.sources.simulated.exchange import SimulatedExchange
from mg_assets.sources.simulated.settings import SimulationSettings

DAY = dt.date(2023, 2, 1)
SET_ROWS = 5_000_000
ROWS_PER_STOCK = 20_000
ORDERS_PER_STOCK = 14_600
CHANNEL_NUMBERS = 20_000_000
"""Numbers that a channel gives out on a day: Shenzhen's and Shanghai's busy ones count to 10..35 million."""


def one_set(
    rows: int = SET_ROWS, orders_per_stock: int = ORDERS_PER_STOCK, day: dt.date = DAY
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trades and orders of enough simulated stocks for ``rows`` rows together, sorted by symbol and seq."""
    per_stock = ROWS_PER_STOCK * orders_per_stock / ORDERS_PER_STOCK
    settings = SimulationSettings(
        stocks=max(20, int(1.3 * rows / per_stock)), start="2023-01-03", end=day, orders_per_stock=orders_per_stock,
        listed_at_start=1.0,
    )  # fmt: skip
    exchange = SimulatedExchange(settings)
    trades, orders = exchange.load("trades", day).frame, exchange.load("orders", day).frame
    sizes = trades.groupby("symbol").size().add(orders.groupby("symbol").size(), fill_value=0)
    # both exchanges in the set: stocks in the order of a fixed draw until the rows are there
    drawn = sizes.sample(frac=1.0, random_state=1)
    kept = drawn.index[: int(np.searchsorted(drawn.cumsum().to_numpy(), rows)) + 1]
    trades, orders = (f[f["symbol"].isin(kept)].reset_index(drop=True) for f in (trades, orders))
    return spread_numbers(trades, orders)


def spread_numbers(trades: pd.DataFrame, orders: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Number each exchange's rows as one channel, by time, with the gaps that other stocks' rows leave.

    Shenzhen's orders carry their sequence number as order number; Shanghai's have a count of their own.
    """
    rng = np.random.default_rng(7)
    trades, orders = trades.copy(), orders.copy()
    for exchange in ("SZ", "SH"):
        t, o = (np.flatnonzero(f["symbol"].str.endswith(exchange)) for f in (trades, orders))
        names = pd.Index(sorted(set(trades["symbol"].iloc[t]) | set(orders["symbol"].iloc[o])))
        t_stock, o_stock = (names.get_indexer(f["symbol"].iloc[at]) for f, at in ((trades, t), (orders, o)))
        stock = np.concatenate([t_stock, o_stock])
        seq = np.concatenate([trades["seq"].to_numpy()[t], orders["seq"].to_numpy()[o]])
        time = np.concatenate([trades["time"].to_numpy()[t], orders["time"].to_numpy()[o]]).astype(np.int64)
        # a stock's rows keep their sequence even where a stamp runs back
        within = np.lexsort((seq, stock))
        rising = pd.Series(time[within]).groupby(stock[within]).cummax().to_numpy()
        by_time = within[np.lexsort((seq[within], stock[within], rising))]
        number = np.empty(len(by_time), np.int64)
        number[by_time] = _spaced(len(by_time), rng)
        entered = (orders["kind"].iloc[o] != "cancel").to_numpy()
        old = orders["order_id"].to_numpy()[o]
        if exchange == "SZ":
            new_id = number[len(t) :][entered]
        else:
            new_id = np.empty(int(entered.sum()), np.int64)
            new_id[np.argsort(number[len(t) :][entered])] = _spaced(len(new_id), rng)
        # numbers below 0 do not occur, and 0 (none) has no entry
        width = np.int64(1) << 32
        known = o_stock[entered] * width + old[entered]
        order = np.argsort(known)

        def renumbered(at_stock, ids, known=known[order], new_id=new_id[order], width=width):
            at = np.searchsorted(known, at_stock * width + ids)
            found = known[np.minimum(at, len(known) - 1)] == at_stock * width + ids
            if not (found | (ids == 0)).all():
                raise ValueError(f"{int((~found & (ids != 0)).sum())} order numbers were never entered")
            return np.where(found, new_id[np.minimum(at, len(known) - 1)], 0)

        trades.iloc[t, trades.columns.get_loc("seq")] = number[: len(t)]
        orders.iloc[o, orders.columns.get_loc("seq")] = number[len(t) :]
        orders.iloc[o, orders.columns.get_loc("order_id")] = renumbered(o_stock, old)
        for side in ("buy_order", "sell_order"):
            ids = trades[side].to_numpy()[t]
            trades.iloc[t, trades.columns.get_loc(side)] = renumbered(t_stock, ids)
    return trades, orders


def _spaced(count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` rising numbers over a channel's range; each leaves the next number free."""
    stride = max(3, CHANNEL_NUMBERS // max(count, 1))
    return 1_000 + stride * np.arange(count, dtype=np.int64) + rng.integers(0, stride - 1, count)


def repeated(
    trades: pd.DataFrame, orders: pd.DataFrame, copies: int, bars: bool = True
) -> tuple[dict[str, pa.Table], int]:
    """The lake's tables of ``copies`` times the set under new symbols, sorted, and how many stocks that is."""
    frames = {"trades": (trades, TRADES), "orders": (orders, ORDERS)}
    if bars:
        frames["minute_bars"] = bars_from_trades(trades), MINUTE_BARS
    every = sorted(set(trades["symbol"]) | set(orders["symbol"]))
    parts: dict[str, list[pa.Table]] = {name: [] for name in frames}
    for exchange, base in (("SZ", 1), ("SH", 600_000)):
        of_exchange = [s for s in every if s.endswith(exchange)]
        place = pd.Index(of_exchange)
        for name, (frame, schema) in frames.items():
            mine = frame[frame["symbol"].str.endswith(exchange)]
            table = pa.Table.from_pandas(mine, preserve_index=False).select(schema.names)
            table = table.replace_schema_metadata(None).cast(schema).combine_chunks()
            codes = pa.array(place.get_indexer(mine["symbol"]).astype(np.int32))
            for copy in range(copies):
                first = base + copy * len(of_exchange)
                new = pa.array([f"{first + i:06d}.{exchange}" for i in range(len(of_exchange))], pa.string())
                symbol = pa.DictionaryArray.from_arrays(codes, new).cast(pa.string())
                parts[name].append(table.set_column(0, "symbol", symbol))
    return {name: pa.concat_tables(p) for name, p in parts.items()}, copies * len(every)
