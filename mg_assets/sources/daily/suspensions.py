"""Suspended days of a source that has no rows on them, from its table of suspensions."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.sources.daily.mapped_table import MappedTable, without_unreadable_rows
from mg_assets.sources.daily.members import axis_positions
from mg_assets.sources.quarantine import merge_quarantines


def with_suspended_days(table: MappedTable, halted: MappedTable) -> tuple[MappedTable, dict[str, object]]:
    """Add a row without volume for each suspended day on which a stock has none.

    A day with a row stays as it is: the stock was halted within the session. Left out are days that no other stock
    has, and those before a stock's first row, whose price is unknown.

    Parameters
    ----------
    table : MappedTable
        Daily bars.
    halted : MappedTable
        Symbol and date of each suspension.

    Returns
    -------
    table : MappedTable
        With the rows added at its end; their numbers are NaN and their volume 0.
    notes : dict
    """
    halted = without_unreadable_rows(halted, "daily_bars", ("date",))
    symbol, date = axis_positions(halted, table.axis), halted.date
    first = np.full(len(table.axis) + 1, np.datetime64("9999-12-31", "D"))
    known = (table.symbol >= 0) & ~np.isnat(table.date)
    np.minimum.at(first, table.symbol[known], table.date[known])
    keys = pd.MultiIndex.from_arrays([symbol, date])
    have = pd.MultiIndex.from_arrays([table.symbol, table.date])
    inside = (symbol >= 0) & np.isin(date, table.date[known]) & (date > first[symbol])
    new = inside & ~keys.isin(have) & ~keys.duplicated()
    at = np.flatnonzero(new)
    notes: dict[str, object] = {"suspended_days_added": len(at)}
    if outside := int(np.sum((symbol >= 0) & ~inside)):
        notes["suspended_days_left_out"] = f"{outside}: before the stock's first row, or on no day of the daily bars"
    return _extended(table, halted, symbol[at], at), notes


def _extended(table: MappedTable, halted: MappedTable, symbol: np.ndarray, at: np.ndarray) -> MappedTable:
    """The table with rows of these stocks on the dates of the given rows of ``halted``."""
    count = len(at)
    blank = {n: np.concatenate([v, np.full(count, np.nan)]) for n, v in table.numbers.items()}
    blank["volume"][len(table) :] = 0.0
    return replace(
        table,
        symbol=np.concatenate([table.symbol, symbol.astype(np.int32)]),
        date=np.concatenate([table.date, halted.date[at]]),
        numbers=blank,
        flags={n: np.concatenate([v, np.full(count, n == "suspended")]) for n, v in table.flags.items()},
        text={
            n: pa.chunked_array([*v.cast(pa.string()).chunks, pa.nulls(count, pa.string())], pa.string())
            for n, v in table.text.items()
        },
        file=np.concatenate([table.file, len(table.paths) + halted.file[at]]),
        row=np.concatenate([table.row, halted.row[at]]),
        unparsed={n: np.concatenate([v, np.zeros(count, bool)]) for n, v in table.unparsed.items()},
        words=table.words | halted.words,
        paths=(*table.paths, *halted.paths),
        quarantine=merge_quarantines([table.quarantine, halted.quarantine]),
    )
