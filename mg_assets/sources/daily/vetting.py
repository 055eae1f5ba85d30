"""Daily rows as a source has them: which are good, which go to the quarantine and why."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import DataError
from mg_assets.sources.aliases import likely_changes, refuse_two_stocks
from mg_assets.sources.base import no_quarantine
from mg_assets.sources.io.row_count import require_all_rows
from mg_assets.sources.quarantine import date_as_written, first_reason, quarantine_frame

OHLC = ("open", "high", "low", "close")
FUNDAMENTALS = ("pb", "pe_ttm", "pcf_ttm", "dividend_yield_12m", "eps_fy1", "roe_fy1", "np_fy1",
                "total_shares")  # fmt: skip
LARGEST = 2.0**53  # float64 holds each share below
NUMBERS = (*OHLC, "volume", "amount", "vwap", "num_trades", "prev_close", "adj_factor", "up_limit", "down_limit",
           "float_shares", "turnover", *FUNDAMENTALS)  # fmt: skip
"""Numeric columns that a source of daily bars may have (``turnover``: volume over float shares)."""


@dataclass(frozen=True)
class DailyRows:
    """Daily rows as a source has them, in any order.

    Attributes
    ----------
    axis : ndarray of object (S,)
        Symbols, ascending.
    symbol : ndarray of int32 (n,)
        Position on the axis; negative where it could not be read.
    date : ndarray of datetime64[D] (n,)
        NaT where it could not be read.
    columns : dict of str to ndarray (n,)
        Of :data:`NUMBERS` (float64, NaN where null) and ``suspended``, ``st`` (bool).
    file : ndarray of object (n,) or str
        For the quarantine.
    row : ndarray of int64 (n,)
        For the quarantine: line or row in the file, from 1.
    unparsed : dict of str to ndarray of bool (n,)
        Per column, the rows with a text where a number belongs.
    words : dict of (str, int) to dict
        Those texts by column, by file and row.
    date_text : ChunkedArray (n,) or None
        The dates as they stand in the file, where some are none.
    """

    axis: np.ndarray
    symbol: np.ndarray
    date: np.ndarray
    columns: dict[str, np.ndarray]
    file: np.ndarray | str = ""
    row: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    quarantine: pd.DataFrame = field(default_factory=no_quarantine)
    notes: dict[str, object] = field(default_factory=dict)
    unparsed: dict[str, np.ndarray] = field(default_factory=dict)
    words: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    date_text: pa.ChunkedArray | None = None


def vetted(
    rows: DailyRows, listed: np.ndarray | None, drop_before_listing: bool
) -> tuple[np.ndarray, pd.DataFrame, dict[str, object]]:
    """Good rows sorted by symbol, then date; the others."""
    count = len(rows.symbol)
    foreign = rows.symbol == -2
    checks = _row_checks(rows)
    bad, which = first_reason(count, checks)
    bad &= ~foreign
    why = [checks[i][1] for i in which[bad]]
    _refuse_wrong_mapping(rows, bad, foreign, pd.Series(why, dtype="str").value_counts())
    early = np.zeros(count, bool)
    if listed is not None and drop_before_listing and len(listed):
        start = np.append(listed, np.datetime64("NaT", "D"))[rows.symbol]
        early = (rows.date < start) & ~bad & ~foreign
    keep = np.flatnonzero(~bad & ~foreign & ~early)
    keep = keep[np.lexsort((rows.date[keep], rows.symbol[keep]))]
    same = np.zeros(len(keep), bool)
    same[1:] = (np.diff(rows.symbol[keep]) == 0) & (rows.date[keep][1:] == rows.date[keep][:-1])
    frames = [rows.quarantine, _aside(rows, np.flatnonzero(bad), why)]
    if same.any():
        refuse_two_stocks(rows.axis, rows.symbol[keep], rows.date[keep], rows.columns["close"][keep], same)
        frames.append(_aside(rows, keep[same], ["the stock has this day twice"] * int(same.sum())))
    notes: dict[str, object] = {"rows_read": count}
    if foreign.any():
        notes["rows_of_other_securities"] = int(foreign.sum())
    if changes := likely_changes(rows.axis, rows.symbol[keep], rows.date[keep]):
        notes["likely_code_changes"] = f"give these as code_changes if they are one stock each: {'; '.join(changes)}"
    if early.any():
        names = sorted({str(rows.axis[i]) for i in rows.symbol[early]})
        notes["rows_before_listing_left_out"] = int(early.sum())
        notes["stocks_with_rows_before_listing"] = names[:20]
    if words := {n: int(bad.sum()) for n, bad in rows.unparsed.items() if n in FUNDAMENTALS}:
        notes["values_that_are_no_number"] = words
    require_all_rows(
        _file(rows, 0) if count else "daily rows", count, read=len(keep) - int(same.sum()),
        set_aside=int(bad.sum() + same.sum()), other_securities=int(foreign.sum()), before_listing=int(early.sum()),
    )  # fmt: skip
    filled = [f for f in frames if len(f)]
    frame = pd.concat(filled, ignore_index=True) if filled else no_quarantine()
    if "date" not in frame:
        frame = frame.assign(date=np.full(len(frame), np.datetime64("NaT", "s")))
    return keep[~same], frame, notes


def _row_checks(rows: DailyRows) -> list[tuple[np.ndarray, str]]:
    """Rows that fail each check, and its reason, in the order in which reasons are given."""
    c = rows.columns
    quiet = quiet_days(c)
    open_, high, low, close = (c[n] for n in OHLC)
    priced = np.isfinite(open_) & np.isfinite(high) & np.isfinite(low) & np.isfinite(close)
    positive = (open_ > 0) & (high > 0) & (low > 0) & (close > 0)
    tolerance = 1e-6 * np.where(np.isfinite(high), high, 0)
    ordered = (high + tolerance >= np.maximum(open_, close)) & (low - tolerance <= np.minimum(open_, close))
    checks = [
        (rows.symbol == -1, "symbol is not readable"),
        (np.isnat(rows.date), "date is not readable"),
        *((bad, f"{name} is no number") for name, bad in rows.unparsed.items() if name not in FUNDAMENTALS),
        (c["volume"] < 0, "volume is negative"),
        (~(np.abs(np.nan_to_num(c["volume"])) < LARGEST), "volume is not finite"),
        (~priced & ~quiet, "a price is missing on a day with volume"),
        (priced & ~positive & ~quiet, "a price is not positive"),
        (priced & positive & ~ordered & ~quiet, "high or low do not enclose open and close"),
    ]
    if "amount" in c:
        checks.append((c["amount"] < 0, "amount is negative"))
        checks.append((np.isinf(c["amount"]), "amount is not finite"))
    return checks


def _refuse_wrong_mapping(rows: DailyRows, bad: np.ndarray, foreign: np.ndarray, reasons: pd.Series) -> None:
    """Raise where most rows are bad, or none is valid: the columns or their units are mapped wrongly."""
    count = len(bad)
    if bad.sum() * 2 > count - foreign.sum() and bad.sum() > 10:
        raise DataError(
            f"{_file(rows, int(np.flatnonzero(bad)[0]))}: {int(bad.sum())} of {count} daily rows are bad, most often "
            f"{reasons.index[0]!r}; check the column mapping and its units"
        )
    if not np.any(~bad & ~foreign):
        why = ", ".join(f"{reason} {number}" for reason, number in reasons.head(3).items())
        raise DataError(
            f"{_file(rows, 0) if count else 'daily rows'}: none of {count} daily rows is valid: "
            f"{int(foreign.sum())} are of other securities{f', {why}' if why else ''}; check the column mapping"
        )


def _aside(rows: DailyRows, at: np.ndarray, reasons: list[str]) -> pd.DataFrame:
    if not len(at):
        return no_quarantine()
    files = [_file(rows, int(i)) for i in at]
    numbers = rows.row[at] if len(rows.row) else at + 1
    content = [
        {
            "date": date_as_written(rows.date[i], rows.date_text, int(i)),
            **{k: (None if v[i] != v[i] else v[i].item()) for k, v in rows.columns.items()},
            **rows.words.get((file, int(number)), {}),
        }
        for i, file, number in zip(at, files, numbers, strict=True)
    ]
    symbols = [str(rows.axis[rows.symbol[i]]) if rows.symbol[i] >= 0 else None for i in at]
    frame = quarantine_frame("daily_bars", "", numbers, reasons, content, symbols)
    frame["file"] = pd.Series(files, dtype="str")
    return frame.assign(date=rows.date[at].astype("datetime64[s]"))


def _file(rows: DailyRows, at: int) -> str:
    return rows.file if isinstance(rows.file, str) else str(rows.file[at])


def quiet_days(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Days without trading: volume null or 0, or the source says suspended."""
    quiet = ~(columns["volume"] > 0)
    return quiet | columns["suspended"] if "suspended" in columns else quiet
