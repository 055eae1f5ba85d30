"""One stock's raw rows of a day, and the session and bar of each."""

import difflib
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mg_assets.errors import DataError, MissingPartitionError
from mg_assets.factors.kernels.clock import (
    AFTERNOON,
    AUCTION_OPEN,
    CLOSE,
    CLOSE_PRINT_END,
    EARLY_END,
    LATE_MINUTE,
    LUNCH,
    MORNING,
    MS_PER_MINUTE,
    trade_minute,
)
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days

TABLES = ("trades", "orders", "minute_bars")
# First millisecond of the day that belongs to the session; bars 0..239 begin at 09:30.
SESSIONS = (
    (0, "before 09:15"),
    (AUCTION_OPEN, "opening auction"),
    (MORNING, "early"),
    (EARLY_END, "morning"),
    (LUNCH, "lunch"),
    (AFTERNOON, "afternoon"),
    (AFTERNOON + (LATE_MINUTE - 120) * MS_PER_MINUTE, "late"),
    (CLOSE, "closing auction"),
    (CLOSE_PRINT_END, "after hours"),
)
REMEDY = (
    "build the day with mg run; where the source lacks it, put the day's files into the source's folder first "
    "(mg ingest FOLDER says what is in it)"
)
_STARTS = np.array([start for start, _ in SESSIONS])
_NAMES = np.array([name for _, name in SESSIONS], dtype=object)
_INTEGERS = ("seq", "order_id", "buy_order", "sell_order", "side", "minute", "volume")


@dataclass(frozen=True)
class StockDay:
    """A stock's rows of each table; None where the day has no such table or no row of any stock in it (``empty``)."""

    symbol: str
    day: str
    trades: pd.DataFrame | None
    orders: pd.DataFrame | None
    minute_bars: pd.DataFrame | None
    stored: pd.Series | None
    empty: tuple[str, ...] = ()


def read_stock(lake: Lake, symbol: str, day: str) -> StockDay:
    """Read a stock's rows of one day.

    Returns
    -------
    StockDay

    Raises
    ------
    MissingPartitionError
        None of the three tables has the day; the message names the days that the lake has, and the remedy.
    DataError
        The day is no date, the tables have no row of any stock, or the stock is in none of them: similar symbols are
        named.
    """
    try:
        day = pd.Timestamp(day).date().isoformat()
    except ValueError as error:
        raise DataError(f"day was {day!r}, expected a date, 2023-02-01") from error
    present = [t for t in TABLES if lake.has(t, day)]
    if not present:
        raise MissingPartitionError(f"no {', '.join(TABLES)} of {day} in {lake.root}: {_days(lake, day)}")
    empty = tuple(t for t in present if not lake.rows(t, day))
    if len(empty) == len(present):
        paths = ", ".join(lake.path(t, day) for t in empty)
        raise DataError(f"{', '.join(empty)} of {day} have no row of any stock ({paths}): {REMEDY}")
    tables: dict[str, pd.DataFrame | None] = dict.fromkeys(TABLES)
    for table in present:
        rows = lake.stock(table, day, symbol)
        # a table without any row is absent at the source
        tables[table] = None if table in empty else _frame(rows)
    if not any(frame is not None and len(frame) for frame in tables.values()):
        raise DataError(f"{symbol} is in none of {', '.join(present)} of {day}: {_symbols(lake, present, day, symbol)}")
    stored = None
    if lake.has("intraday_factors", day):
        found = lake.stock("intraday_factors", day, symbol).to_pandas()
        stored = found.iloc[0] if len(found) else None
    return StockDay(symbol, day, tables["trades"], tables["orders"], tables["minute_bars"], stored, empty)


def _days(lake: Lake, day: str) -> str:
    if not np.isin(np.datetime64(day, "D"), trading_days()):
        return f"{day} is no trading day"
    parts = []
    for table in TABLES:
        keys = lake.keys(table)
        if keys:
            near = sorted(sorted(keys, key=lambda k: abs(pd.Timestamp(k) - pd.Timestamp(day)))[:2])
            parts.append(f"{table} has {len(keys)} days, {keys[0]}..{keys[-1]}, nearest {' and '.join(near)}")
    return f"{'; '.join(parts) or 'the lake has no day of any of them'}; {REMEDY}"


def _symbols(lake: Lake, tables: list[str], day: str, symbol: str) -> str:
    symbols = sorted({s for t in tables for s in pc.unique(lake.table(t, day, ["symbol"])["symbol"]).to_pylist()})
    same = [s for s in symbols if s.startswith(f"{symbol.split('.')[0]}.")]
    near = same or difflib.get_close_matches(symbol, symbols, 3, 0.5) or symbols[:3]
    return f"they hold {len(symbols)} symbols, {symbols[0]}..{symbols[-1]}, such as {', '.join(near)}"


def _frame(rows: pa.Table) -> pd.DataFrame:
    """Numbers as the kernels take them from files, so that none is compiled again: null integers 0, other nulls NaN."""
    data = {}
    for name in rows.column_names:
        column = rows[name]
        if name in _INTEGERS:
            data[name] = pc.fill_null(column.cast(pa.int64()), 0).to_numpy()
        elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            data[name] = column.cast(pa.float64()).to_numpy()
        else:
            data[name] = column.to_pandas()
    return pd.DataFrame(data)


def milliseconds(times: pd.Series) -> np.ndarray:
    """Milliseconds since midnight."""
    return ((times - times.dt.normalize()) // pd.Timedelta(milliseconds=1)).to_numpy(np.int64)


def sessions(ms: np.ndarray) -> np.ndarray:
    """Name of the session of each stamp."""
    return _NAMES[np.searchsorted(_STARTS, ms, side="right") - 1]


def minutes_of(ms: np.ndarray) -> np.ndarray:
    """Bar of each stamp, -1 for none."""
    return np.array([trade_minute(t) for t in ms.tolist()], np.int64)


def clock(minute: int) -> str:
    """Start of a bar, ``09:30``."""
    at = 570 + minute + (90 if minute >= 120 else 0)
    return f"{at // 60:02d}:{at % 60:02d}"
