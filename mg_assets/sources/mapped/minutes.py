"""A vendor's minute rows as the lake's 240 bars.

1. The row's time and the vendor's labelling (the minute's end or its start) give the bar (:mod:`bar_times`). The
   opening auction's row (09:30 end-labelled, before 09:30 start-labelled) belongs to bar 0, the
   closing auction's (15:00 start-labelled) to bar 239; rows after hours are left out (counted).
2. An open of 0 (seen in real files) is the auction's price in bar 0, else the previous bar's close,
   held between low and high.
3. A bar without trades, or without a row, carries the previous close; before a stock's first trade
   the day's reference price where known, else NaN.

Formats: docs/sources.md.
"""

from dataclasses import dataclass

import numba
import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import DataError
from mg_assets.market.schema import MINUTE_BARS
from mg_assets.sources.base import SourceDay
from mg_assets.sources.daily.mapped_table import MappedTable
from mg_assets.sources.fingerprint import RowsDigest, word_digests
from mg_assets.sources.io.dates import to_date
from mg_assets.sources.io.row_count import require_all_rows
from mg_assets.sources.io.times import day_number
from mg_assets.sources.mapped.bar_times import AFTER_HOURS, BARS, COARSE, OTHER_DAY, OUTSIDE, QUIET, days_of_rows
from mg_assets.sources.quarantine import first_reason, merge_quarantines, quarantine_frame

LARGEST = 2.0**53  # float64 holds each share below
LARGEST_COUNTS = (("amount", np.inf), ("num_trades", 2.0**31))
FIELDS = ("open", "high", "low", "close", "volume", "amount", "num_trades")


@dataclass(frozen=True)
class MinuteRows:
    """Rows of minute files with their date and bar.

    Attributes
    ----------
    date : ndarray of int64 (n,)
        20230201; of a row whose date is unreadable or none of the files' days, the first of these.
    bar : ndarray of int16 (n,)
        0..239, or one of the marks of :mod:`bar_times` below 0.
    part : ndarray of int8 (n,)
        -1 opening auction's row, 0 the bar's own, +1 closing auction's row.
    """

    table: MappedTable
    date: np.ndarray
    bar: np.ndarray
    part: np.ndarray

    def marks(self) -> dict[str, str]:
        """A digest of each day's rows, invalid ones included, by day."""
        table = self.table
        names = np.append(word_digests(table.axis), np.arange(2, dtype=np.uint64))  # -2 and -1 are no stocks
        order = np.argsort(self.date, kind="stable")
        columns = {"symbol": names[table.symbol[order]], "bar": self.bar[order], "part": self.part[order]}
        columns |= {n: v[order] for n, v in table.numbers.items()}
        columns |= {f"{n} is no number": v[order] for n, v in table.unparsed.items()}
        numbers, starts = np.unique(self.date[order], return_index=True)
        marks = {}
        for number, rows in zip(numbers.tolist(), np.split(np.arange(len(order)), starts[1:]), strict=True):
            day = to_date(number)
            if not number or np.isnat(day):
                continue
            digest = RowsDigest(str(day))
            for name, values in columns.items():
                digest.add(name, values[rows[0] : rows[-1] + 1])
            marks[str(day)] = digest.result()
        return marks


def assign_bars(table: MappedTable, days: np.ndarray | None = None) -> MinuteRows:
    """Which bar of which day each row is.

    Parameters
    ----------
    table : MappedTable
        As :func:`~mg_assets.sources.mapped.bar_times.place_bars` left it.
    days : ndarray of datetime64[D], optional
        The days that the files' names state; by default any.

    Returns
    -------
    MinuteRows

    Raises
    ------
    DataError
        No row has a date, or one of the files' days.
    """
    dates, bar = table.placed["day"], table.placed["bar"].copy()
    date = days_of_rows(table, dates)
    none = [number for number in pd.unique(date).tolist() if np.isnat(to_date(number))]  # 0, and the 82nd month
    strange = np.isin(date, none) | ((dates != 0) & (dates != date))
    if days is not None:
        strange |= ~np.isin(date, day_number(days))
    if len(date) and strange.all():
        raise DataError(
            f"{table.paths[0]}: none of its {len(date)} rows has a readable date of the file's days; the first time is "
            f"{table.text['time'][0]}"
        )
    date = np.where(strange, date[~strange].min(initial=date.max(initial=0)), date)
    bar[strange & (bar != OUTSIDE)] = OTHER_DAY
    return MinuteRows(table, date, bar, table.placed["part"])


def minute_bars_of_day(rows: MinuteRows, day: np.datetime64, prev_close: dict[str, float]) -> SourceDay:
    """One day's bars of the stocks that traded, sorted by symbol, then minute.

    Parameters
    ----------
    rows : MinuteRows
    day : datetime64[D]
    prev_close : dict of str to float
        Reference prices by symbol, as far as known, yuan.

    Returns
    -------
    SourceDay
        240 rows a stock.

    Raises
    ------
    DataError
        Most of the day's rows are invalid.
    """
    table, number = rows.table, int(day_number(np.array([day], "datetime64[D]"))[0])
    mine = np.flatnonzero(rows.date == number)
    values = {n: table.numbers[n][mine] for n in FIELDS if n in table.numbers}
    bar, part, symbol = rows.bar[mine], rows.part[mine], table.symbol[mine]
    good, set_aside, bad = _vetted(table, mine, values, bar, part, symbol)
    notes: dict[str, object] = {"rows_read": len(mine), "files": list(table.paths)[:20]}
    if empty := table.empty_files:
        notes["files_without_rows"] = empty[:20]
    if table.remarks:
        notes["remarks"] = list(table.remarks)
    others, valid = symbol == -2, ~set_aside & (symbol >= 0)
    left_out = {
        "rows_of_other_securities": int(np.sum(others)),
        "rows_after_hours_left_out": int(np.sum(valid & (bar == AFTER_HOURS))),
        "empty_rows_of_the_break": int(np.sum(valid & (bar == QUIET))),
    }
    if len(bad) * 2 > len(mine) - left_out["rows_of_other_securities"] and len(bad) > 10:
        top = bad["reason"].value_counts()
        raise DataError(
            f"{bad['file'].iloc[0]}: {len(bad)} of {len(mine)} minute rows are bad on {day}, most often "
            f"{top.index[0]!r} ({top.iloc[0]}); check the column mapping, its label and its units"
        )
    require_all_rows(table.paths[0], len(mine), read=int(np.sum(good)), set_aside=len(bad), **left_out)
    notes |= {name: count for name, count in left_out.items() if count}
    stocks = np.unique(symbol[good])
    shape = (len(stocks), BARS)
    dense = {n: np.full(shape, np.nan) for n in FIELDS}
    _fill(dense, values, good, np.searchsorted(stocks, symbol), bar, part)
    names = table.axis[stocks]
    before = np.array([prev_close.get(s, np.nan) for s in names], np.float64)
    filled = _carry(dense["open"], dense["high"], dense["low"], dense["close"], dense["volume"], before)
    if filled:
        notes["opens_of_zero_filled"] = int(filled)
    traded = dense["volume"].sum(axis=1) > 0
    if not traded.all():
        notes["stocks_without_trades_left_out"] = int(np.sum(~traded))
    if "amount" not in values:
        dense["amount"] = (dense["high"] + dense["low"] + dense["close"]) / 3 * dense["volume"]
        notes["amount_rule"] = "no amounts: (high + low + close) / 3 x volume"
    frame = _frame(names[traded], {n: v[traded] for n, v in dense.items()}, "num_trades" in values)
    return SourceDay(
        frame,
        merge_quarantines([table.quarantine, bad]),
        {**notes, "rows": len(frame), "quarantined": len(table.quarantine) + len(bad)},
    )


def _vetted(
    table: MappedTable,
    mine: np.ndarray,
    values: dict[str, np.ndarray],
    bar: np.ndarray,
    part: np.ndarray,
    symbol: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Which rows are valid bars, which are invalid, and the quarantine of these."""
    traded = values["volume"] > 0
    priced = np.ones(len(mine), bool)
    for name in ("high", "low", "close"):
        priced &= np.isfinite(values[name]) & (values[name] > 0)
    tolerance = 1e-6 * np.where(np.isfinite(values["high"]), values["high"], 0)
    orderly = (values["high"] + tolerance >= values["close"]) & (values["low"] - tolerance <= values["close"])
    opened = values["open"] > 0
    orderly &= ~opened | (
        (values["high"] + tolerance >= values["open"]) & (values["low"] - tolerance <= values["open"])
    )
    key = (symbol.astype(np.int64) * BARS + np.maximum(bar, 0)) * 3 + part
    usable = (bar >= 0) & (symbol >= 0)
    double = np.zeros(len(mine), bool)
    at = np.flatnonzero(usable)
    order = at[np.argsort(key[at], kind="stable")]
    double[order[1:]] = key[order[1:]] == key[order[:-1]]
    checks = [
        (symbol == -1, "symbol is not readable"),
        (bar == OTHER_DAY, "time is on another day"),
        (bar == OUTSIDE, "time is no time of a trading minute"),
        (bar == COARSE, "the stock's bars are longer than a minute this day"),
        *((words[mine], f"{name} is no number") for name, words in table.unparsed.items()),
        (values["volume"] < 0, "volume is negative"),
        (~(values["volume"] < LARGEST), "volume is missing"),
        *((values[c] < 0, f"{c} is negative") for c in ("amount", "num_trades") if c in values),
        *((values[c] >= most, f"{c} is too large") for c, most in LARGEST_COUNTS if c in values),
        (traded & ~priced, "a price is missing or not positive"),
        (traded & priced & ~orderly, "high or low do not enclose open and close"),
        (double, "the stock has this minute twice"),
    ]
    bad, which = first_reason(len(mine), checks)
    bad &= symbol != -2
    where = np.flatnonzero(bad)
    files = [table.paths[f] for f in table.file[mine[where]]]
    content = [
        {
            "time": table.text["time"][int(mine[i])].as_py(),
            **{k: float(v[i]) for k, v in values.items()},
            **table.words.get((file, int(table.row[mine[i]])), {}),
        }
        for i, file in zip(where, files, strict=True)
    ]
    symbols = [str(table.axis[symbol[i]]) if symbol[i] >= 0 else None for i in where]
    frame = quarantine_frame(
        "minute_bars", "", table.row[mine[where]], [checks[which[i]][1] for i in where], content, symbols
    )
    if len(where):
        frame["file"] = pd.Series(files, dtype="str")
    return usable & ~bad, bad, frame


def _fill(
    dense: dict[str, np.ndarray],
    values: dict[str, np.ndarray],
    good: np.ndarray,
    stock: np.ndarray,
    bar: np.ndarray,
    part: np.ndarray,
) -> None:
    """Write the bars' own rows, then join the auctions' rows to them, in place."""
    for name in FIELDS:
        if name in values:
            own = good & (part == 0)
            dense[name][stock[own], bar[own]] = values[name][own]
    for name in ("volume", "amount", "num_trades"):
        dense[name][np.isnan(dense[name])] = 0.0
    for which in (-1, 1):
        extra = np.flatnonzero(good & (part == which) & (values["volume"] > 0))
        i, m = stock[extra], bar[extra]
        row = {n: v[extra] for n, v in values.items()}
        opened = np.where(row["open"] > 0, row["open"], row["close"])
        empty = ~(dense["volume"][i, m] > 0)
        dense["open"][i, m] = np.where(empty | (which < 0), opened, dense["open"][i, m])
        dense["close"][i, m] = np.where(empty | (which > 0), row["close"], dense["close"][i, m])
        dense["high"][i, m] = np.where(empty, row["high"], np.fmax(dense["high"][i, m], row["high"]))
        dense["low"][i, m] = np.where(empty, row["low"], np.fmin(dense["low"][i, m], row["low"]))
        for name in ("volume", "amount", "num_trades"):
            if name in row:
                dense[name][i, m] += np.nan_to_num(row[name])


@numba.njit(cache=True)
def _carry(open_, high, low, close, volume, before):
    """Carry closes over bars without trades and fill opens of 0, in place; return how many were filled."""
    filled = 0
    for s in range(open_.shape[0]):
        last = before[s]
        for m in range(open_.shape[1]):
            if volume[s, m] > 0:
                if not open_[s, m] > 0:
                    guess = last if last == last else close[s, m]
                    open_[s, m] = min(max(guess, low[s, m]), high[s, m])
                    filled += 1
                last = close[s, m]
            else:
                open_[s, m] = high[s, m] = low[s, m] = close[s, m] = last
    return filled


def _frame(names: np.ndarray, dense: dict[str, np.ndarray], counted: bool) -> pd.DataFrame:
    count = len(names) * BARS
    columns = {
        "symbol": pa.DictionaryArray.from_arrays(
            pa.array(np.repeat(np.arange(len(names), dtype=np.int32), BARS)), pa.array(names.tolist(), pa.string())
        ).cast(pa.string()),
        "minute": pa.array(np.tile(np.arange(BARS, dtype=np.int16), len(names))),
        "volume": pa.array(np.rint(dense["volume"]).astype(np.int64).ravel()),
        "num_trades": pa.array(dense["num_trades"].astype(np.int32).ravel(), mask=np.full(count, not counted)),
    }
    for name in ("open", "high", "low", "close", "amount"):
        columns[name] = pa.array(dense[name].ravel(), from_pandas=True)
    return pa.table([columns[n] for n in MINUTE_BARS.names], schema=MINUTE_BARS).to_pandas()
