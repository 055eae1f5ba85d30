"""All intraday factors of a day from its Parquet files: one pass over trades, orders and bars.

1. :mod:`mg_assets.factors.kernels.row_groups` streams row groups, several at a time, as blocks of whole stocks.
2. The kernels of ``trade``, ``order`` and ``minute`` process a block while it is in the CPU cache.
3. A block leaves per stock its factors, 30 early bars, and minute arrays if they are asked for.
4. :func:`mg_assets.factors.kernels.intraday.combined` joins the tables by symbol.

Memory holds ``2 * threads`` row groups and the result, however long the day is.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import DataError
from mg_assets.factors.kernels.big_orders import BIG_ORDER_STD
from mg_assets.factors.kernels.build_bars import bar_columns
from mg_assets.factors.kernels.clock import MINUTES
from mg_assets.factors.kernels.intraday import combined
from mg_assets.factors.kernels.minute import BAR_COLUMNS, bar_arrays
from mg_assets.factors.kernels.order import OrderFlow, order_arrays
from mg_assets.factors.kernels.row_groups import Block, Partition, TableFile
from mg_assets.factors.kernels.session import MINUTE_ARRAYS
from mg_assets.factors.kernels.trade import TradeFlow, trade_arrays
from mg_assets.market.schema import MINUTE_BARS

_TIME = pa.timestamp("ms")
_NUMBERS = dict.fromkeys(("volume", "buy_order", "sell_order"), pa.int64())
_TRADES = {"time": _TIME, "price": pa.float64(), **_NUMBERS, "side": pa.int8()}
_ORDERS = {"time": _TIME, "side": pa.int8(), "price": pa.float64(), "volume": pa.int64(), "kind": pa.string()}
_BARS = {name: pa.int64() if name == "minute" else pa.float64() for name in BAR_COLUMNS}


@dataclass(frozen=True)
class DayPass:
    """Result of one pass over a day.

    Parameters
    ----------
    factors : DataFrame
        As :func:`mg_assets.factors.intraday_factors` returns it: index ``symbol`` ascending, 34 columns.
    symbols : ndarray of object (S,)
        Stocks of the trades, ascending: the axis of ``minutes``. Empty where these were not asked for.
    minutes : ndarray (S, 10, 240)
        Per stock the arrays :data:`MINUTE_ARRAYS` of its session trades: prices (yuan; NaN in bars without
        trades), volume (shares), amount, number of trades, buyer- and seller-initiated amount, and amount of
        trades whose buy order is big minus that whose sell order is (yuan; 0 in bars without trades).
    rows : dict of str to int
        Rows read of each table.
    """

    factors: pd.DataFrame
    symbols: np.ndarray
    minutes: np.ndarray
    rows: dict[str, int]

    def minute(self, name: str) -> np.ndarray:
        """One of :data:`MINUTE_ARRAYS`, ``(S, 240)``."""
        return self.minutes[:, MINUTE_ARRAYS.index(name)]

    def minute_bars(self, prev_close: pd.Series | Mapping[str, float] | None = None) -> pa.Table:
        """The day's ``minute_bars`` of every stock with trades, as :func:`mg_assets.factors.bars_from_trades`."""
        symbol, columns = bar_columns(self.symbols, self.minutes.copy(), prev_close)
        return pa.table({"symbol": symbol, **columns}).cast(MINUTE_BARS)


def day_pass(
    trades: Partition | None = None,
    orders: Partition | None = None,
    minute_bars: Partition | None = None,
    *,
    big_order_std: float = BIG_ORDER_STD,
    minutes: bool = False,
    threads: int | None = None,
) -> DayPass:
    """The 34 intraday factors of every stock of one day from Parquet files in one pass.

    Parameters
    ----------
    trades, orders, minute_bars : path, or callable that opens a binary file, or None
        The day's tables in the lake's columns, rows of a stock together; None where the source has no such
        table. Row groups that are cut at stock ends and say that they are sorted by symbol and seq (as
        ``Lake.write`` makes them) are read fastest; in others a stock may span row groups, and is sorted by seq.
    big_order_std : float
        Multiple of the standard deviation in the big-order threshold; kept in ``factors.attrs``.
    minutes : bool
        Whether to keep the minute arrays of the trades: 19 KB a stock.
    threads : int, optional
        Row groups read and worked on at a time; by default the number of processors.

    Returns
    -------
    DayPass
        Equal to :func:`mg_assets.factors.intraday_factors` on the same tables. A table without rows counts
        as None.

    Raises
    ------
    DataError
        A file lacks a column or has one of another kind, a stock's rows are not contiguous, a symbol, a
        time or an order's kind is null or unknown, or a minute occurs twice.
    """
    threads = threads or os.cpu_count() or 1
    files = {
        "trades": _opened("trades", trades, _TRADES, by_seq=True),
        "orders": _opened("orders", orders, _ORDERS),
        "minute_bars": _opened("minute_bars", minute_bars, _BARS, {"prev_close": pa.float64()}),
    }

    def of_trades(block: Block) -> tuple[list[str], TradeFlow]:
        c = block.columns
        flow = trade_arrays(
            block.offsets, c["time"], c["price"], c["volume"], c["buy_order"], c["sell_order"], c["side"],
            big_order_std, minutes,
        )  # fmt: skip
        return block.symbols, flow

    with ThreadPoolExecutor(threads) if threads > 1 else nullcontext() as pool:
        parts = {
            table: file.each(pool, 2 * threads, work)
            for (table, file), work in zip(files.items(), (of_trades, _of_orders, _bars_work(files)), strict=True)
            if file is not None
        }
    flow = _gathered(parts.get("trades"), TradeFlow)
    frame = combined(
        flow,
        _gathered(parts.get("orders"), OrderFlow),
        _gathered_bars(parts.get("minute_bars")),
        big_order_std,
    )
    kept = minutes and flow is not None
    return DayPass(
        frame,
        flow[0] if kept and flow else np.empty(0, object),
        flow[1].minutes if kept and flow else np.empty((0, len(MINUTE_ARRAYS), MINUTES)),
        {table: len(file) for table, file in files.items() if file is not None},
    )


def _opened(
    table: str,
    partition: Partition | None,
    columns: Mapping[str, pa.DataType],
    optional: Mapping[str, pa.DataType] | None = None,
    by_seq: bool = False,
) -> TableFile | None:
    if partition is None:
        return None
    file = TableFile(table, partition, columns, optional, by_seq)
    return file if len(file) else None


def _of_orders(block: Block) -> tuple[list[str], OrderFlow]:
    c = block.columns
    return block.symbols, order_arrays(block.offsets, c["time"], c["side"], c["price"], c["volume"], c["kind"])


def _bars_work(files):
    def of_bars(block: Block) -> tuple[list[str], np.ndarray, np.ndarray]:
        values, traded, wrong = bar_arrays(block.offsets, block.columns)
        if wrong >= 0:
            symbol = block.symbols[int(np.searchsorted(block.offsets, wrong, side="right")) - 1]
            raise DataError(
                f"{files['minute_bars']}: {symbol} has minute {block.columns['minute'][wrong]} twice or outside "
                "0..239; a day has one row for each of the minutes 0..239 (09:30-09:31 is 0)"
            )
        return block.symbols, values, traded

    return of_bars


def _axis(parts: Sequence[tuple]) -> tuple[np.ndarray, np.ndarray]:
    """Symbols of all parts ascending, and the order that makes them so."""
    symbols = np.array([s for part in parts for s in part[0]], dtype=object)
    order = np.argsort(symbols)
    return symbols[order], order


def _in(order: np.ndarray, arrays: list[np.ndarray]) -> np.ndarray:
    joined = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return joined if len(order) != len(joined) or (np.diff(order) == 1).all() else joined[order]


def _gathered(parts, kind):
    """Parts of (symbols, flow) as one, symbols ascending; None where there are none."""
    if not parts:
        return None
    symbols, order = _axis(parts)
    fields = kind.__dataclass_fields__
    return symbols, kind(**{name: _in(order, [getattr(flow, name) for _, flow in parts]) for name in fields})


def _gathered_bars(parts):
    if not parts:
        return None
    symbols, order = _axis(parts)
    return symbols, _in(order, [p[1] for p in parts]), _in(order, [p[2] for p in parts])
