"""Measures that most suites share: schema, symbol order, coverage, and size against the past."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mg_assets.lake.table_view import View, same_type, size
from mg_assets.market.schema import SCHEMAS
from mg_assets.quality.kernels.marks import TOLERANCE
from mg_assets.quality.suite import Check, Limit, Measures

TRAILING = 20  # partitions of the row and symbol bands
ENOUGH = 5  # past partitions that a band needs
PRESENT_SHARE = 0.05  # stocks that should trade and have no rows

SCHEMA = Check(
    "schema",
    "Columns and types are the table's, and columns that may not be null have no nulls",
    (Limit("schema_faults"), Limit("nulls")),
)
SYMBOLS = Check(
    "symbols",
    "One row per symbol, ascending, each a Shanghai, Shenzhen or Beijing code",
    (Limit("repeated"), Limit("unsorted"), Limit("bad_symbol")),
)
SIZE_BAND = Check(
    "size_band",
    f"Rows within a third and three times, symbols within 10% of the median of the last {TRAILING} partitions",
    (Limit("rows_ratio", 1 / 3, 3.0), Limit("symbols_ratio", 0.9, 1.1)),
    blocking=False,
)
COVERAGE = Check(
    "coverage",
    f"At most {PRESENT_SHARE:.0%} of the stocks that should trade have no rows, and every symbol is in the reference",
    (Limit("no_data_share", None, PRESENT_SHARE), Limit("unknown_symbols")),
    blocking=False,
)
QUARANTINE_SHARE = Check(
    "set_aside",
    "At most 1% of the source's rows were moved to the quarantine table",
    (Limit("set_aside_share", None, 0.01),),
    blocking=False,
)
SYMBOL = r"^\d{6}\.(SH|SZ|BJ)$"
ODD_SHARE = 0.01
"""Rows of a day that may contradict a rule before the day is rejected: more are the file's, fewer a stock's."""


def measure_schema(measures: Measures, found: pa.Schema, expected: pa.Schema, rows: int) -> bool:
    """Measure ``schema_faults``; a partition with any cannot be measured further.

    Text may be stored plain, large or as a dictionary. A partition without rows has columns but, in a table
    without a fixed schema, no types.

    Returns
    -------
    bool
        Whether the columns and types are as expected.
    """
    measures.put("schema_faults", 0)
    for name in expected.names:
        if name not in found.names:
            measures.add("schema_faults", 1)
            measures.examples.setdefault("schema_faults", []).append({"column": name, "fault": "missing"})
        elif rows and not same_type(found.field(name).type, expected.field(name).type):
            measures.add("schema_faults", 1)
            fault = f"is {found.field(name).type}, should be {expected.field(name).type}"
            measures.examples.setdefault("schema_faults", []).append({"column": name, "fault": fault})
    for name in found.names:
        if name not in expected.names:
            measures.add("schema_faults", 1)
            measures.examples.setdefault("schema_faults", []).append({"column": name, "fault": "not in the schema"})
    return measures.values["schema_faults"] == 0


def measure_nulls(measures: Measures, part: pa.Table, nullable: Sequence[str] = (), offset: int = 0) -> None:
    """Count nulls (a float's NaN too) in the columns that may not have any."""
    measures.add("nulls", 0)
    for name in part.column_names:
        column = part[name]
        if name in nullable:
            continue
        if pa.types.is_floating(column.type):
            bad = pc.is_null(column, nan_is_null=True)
        elif column.null_count:
            bad = pc.is_null(column)
        else:
            continue
        mask = bad.to_numpy()
        if mask.any():
            symbol = part["symbol"] if "symbol" in part.column_names else np.full(len(part), None, object)
            measures.rows("nulls", mask, offset, symbol=symbol, column=np.full(len(part), name, object))


def read_checked(
    view: View, measures: Measures, nullable: Sequence[str] = (), expected: pa.Schema | None = None
) -> pd.DataFrame | None:
    """Measure schema and nulls of a small partition and return it as a frame; None where the schema is broken."""
    part = view.lake.table(view.table, view.key)
    if not measure_schema(measures, part.schema, SCHEMAS[view.table] if expected is None else expected, len(part)):
        return None
    measure_nulls(measures, part, nullable)
    return part.to_pandas()


def float_schema(columns: Sequence[str]) -> pa.Schema:
    """Schema of a derived table: symbol and float columns."""
    return pa.schema([("symbol", pa.string()), *((c, pa.float64()) for c in columns)])


def measure_symbols(measures: Measures, frame: pd.DataFrame) -> None:
    """Measures of one row per symbol, ascending, with a valid code."""
    symbol = frame["symbol"].fillna("")
    text = symbol.to_numpy(dtype=object)
    measures.rows("repeated", symbol.duplicated().to_numpy(), symbol=text)
    down = np.zeros(len(text), bool)
    down[1:] = text[1:] < text[:-1]
    measures.rows("unsorted", down, symbol=text)
    valid = pc.match_substring_regex(pa.array(text, pa.string()), SYMBOL)
    measures.rows("bad_symbol", ~valid.to_numpy(zero_copy_only=False), symbol=text)


def measure_crossed_limits(measures: Measures, frame: pd.DataFrame) -> None:
    """Stocks whose limits are not around their reference price."""
    columns = ("up_limit", "down_limit", "prev_close")
    up, down, before = (frame[c].to_numpy(np.float64) for c in columns)
    crossed = (up < down) | (up < before - TOLERANCE) | (down > before + TOLERANCE)
    measures.rows("limits_crossed", crossed, symbol=frame["symbol"].to_numpy(dtype=object),
                  up_limit=up, down_limit=down, prev_close=before)  # fmt: skip


def share_limits(*names: str, share: float = ODD_SHARE) -> tuple[Limit, ...]:
    """Limits on the measures of :func:`measure_shares`."""
    return tuple(Limit(f"{name}_share", None, share) for name in names)


def measure_shares(measures: Measures, names: Sequence[str], of: float | np.integer) -> None:
    """Measure which share of ``of`` rows breaks each of some rules, one row left out: it may be odd in any table.

    One stock's oddity is no reason to do without the market's day: the counts ``names`` warn, the shares block.
    """
    for name in names:
        count = measures.values.get(name, 0.0)
        measures.put(f"{name}_share", max(count - 1.0, 0.0) / max(float(of), 1.0))
        if count > 1:
            measures.examples[f"{name}_share"] = measures.examples.get(name, [])


def measure_size_band(view: View, measures: Measures, rows: int, found: int) -> None:
    """Rows and symbols against the median of the last partitions."""
    run = view.run
    run.cached(("size", view.key), lambda: (rows, found))
    past = view.trailing(TRAILING, size, "size")
    if len(past) < ENOUGH:
        return
    for name, now, was in (
        ("rows_ratio", rows, np.median([p[0] for p in past])),
        ("symbols_ratio", found, np.median([p[1] for p in past])),
    ):
        if was > 0:
            measures.put(name, now / was, now=now, median_of_past=was)


def expected_symbols(reference: pd.DataFrame, day: dt.date) -> np.ndarray:
    """Symbols listed and not suspended on a day ``(S,)``, by the `LISTING` columns of its reference."""
    since, until = (reference[c].to_numpy("datetime64[D]") for c in ("list_date", "delist_date"))
    listed = np.isnat(since) | (since <= np.datetime64(day))
    gone = until <= np.datetime64(day)  # never true of NaT
    halted = reference["suspended"].fillna(False).to_numpy(bool)
    return reference["symbol"].to_numpy(object)[listed & ~gone & ~halted]


def measure_coverage(view: View, measures: Measures, present: np.ndarray) -> None:
    """Share of the stocks that should trade and have no rows, and symbols that are not in the reference."""
    if not len(present):
        measures.notes.append(f"{view.table} is empty that day: the source has none")
        return
    reference = view.reference()
    if reference is None:
        measures.notes.append("coverage: no reference that day")
        return
    should = expected_symbols(reference, view.day)
    missing = should[~pd.Index(should).isin(present)]
    if len(should):
        measures.put("no_data_share", len(missing) / len(should), missing=", ".join(missing[:10]), of=len(should))
    unknown = ~pd.Index(present).isin(reference["symbol"])
    measures.rows("unknown_symbols", unknown, symbol=present)


def measure_quarantine_share(view: View, measures: Measures, rows: int) -> None:
    """Share of the source's rows that were moved to the quarantine table."""
    own, shared = f"quarantine_{view.table}", "quarantine"
    bad = view.other(own)
    if bad is None:
        every = view.other(shared)
        bad = None if every is None else every[every["table"] == view.table]
    count = 0 if bad is None else len(bad)
    if not rows + count:
        return
    why = "" if bad is None else "; ".join(f"{r}: {n}" for r, n in bad["reason"].value_counts().head(5).items())
    measures.put("set_aside_share", count / (rows + count), rows=rows, set_aside=count, reasons=why)
