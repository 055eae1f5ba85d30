"""Days of a source as one table, for whoever wants its data without a lake."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from mg_assets.errors import DataError
from mg_assets.lake.frames import chosen_columns, in_library, joined
from mg_assets.sources.base import RAW_TABLES, Source
from mg_axes import as_days


def read_source(
    source: Source,
    table: str,
    start: str | dt.date,
    end: str | dt.date,
    columns: str | Sequence[str] | None = None,
    into: str = "pandas",
) -> Any:
    """Read a source's days between two dates as one table, the date in its first column.

    Parameters
    ----------
    source : Source
        From :func:`mg_assets.build_source`: a Qlib dataset, a vendor's files, ...
    table : str
        ``daily_bars``, ``reference``, ``minute_bars``, ...
    start, end : str or date
        First and last day, both included.
    columns : str or sequence of str, optional
        Columns to keep, by default all; ``date`` and ``symbol`` come with them.
    into : {"pandas", "polars", "arrow"}
        Library of the result. Polars is imported only when it is asked for.

    Returns
    -------
    pandas.DataFrame, polars.DataFrame or pyarrow.Table
        Rows ascend by date; prices in yuan, volumes in shares.

    Raises
    ------
    DataError
        No day in the range, another table, a column that it has not, or another library.
    """
    if table not in RAW_TABLES:
        raise DataError(f"table was {table!r}, expected one of {', '.join(RAW_TABLES)}")
    try:
        first, last = as_days([start, end], "start or end")
    except ValueError as wrong:
        raise DataError(str(wrong)) from None
    days = source.days()
    wanted = [day for day in days[(days >= first) & (days <= last)].tolist() if source.has(table, day)]
    if not wanted:
        span = f"its days are {days[0]} to {days[-1]}" if len(days) else "it has no day"
        raise DataError(f"source {source.name!r} has no {table} from {first} to {last}: {span}")
    parts = []
    for day in wanted:
        part = pa.Table.from_pandas(source.load(table, day).frame, preserve_index=False)
        chosen = chosen_columns(table, columns, part.column_names, "date")
        parts.append((str(day), part if chosen is None else part.select(chosen)))
    return in_library(joined(parts, "date", pa.date32()), into)
