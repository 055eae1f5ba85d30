"""Conformance of a factor."""

import datetime as dt
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mg_assets.factors.own import Factor
from mg_assets.factors.own_frames import FactorReader, Tables
from mg_assets.factors.registry import PUBLISHED_TABLES, check_tables
from mg_assets.market.schema import SCHEMAS
from mg_assets.testing.sample import Changed, tables_of
from mg_assets.testing.subjects import errors_as_failures, subject

DAYS = 3
TOLERANCE = 1e-9  # relative; the order of summation alone moves the last digits
OPEN_ONLY = ("symbol", "open", "prev_close", "adj_factor", "up_limit", "down_limit", "st", "suspended", "float_shares")
"""Columns of the day's bars that are known once it has opened."""
AXES = ("symbol", "date", "time", "minute", "seq", "order_id", "buy_order", "sell_order")
"""Columns that say which row it is."""
CHECKS = (
    "one number a stock",
    "equal frames give equal values",
    "one day at a time equals all",
    "no look-ahead",
    "permutation of stocks",
    "nulls and empty days",
    "restatement noticed",
)


def check_factor(
    factor: Factor | str | Path, data: Any = None, name: str | None = None, days: int = DAYS
) -> tuple[str, ...]:
    """Check that a factor obeys the rules of the graph.

    1. It gives one number for each stock, NaN where it has none, never an infinity; a value at all on some day.
    2. Equal frames give equal values: it keeps nothing in them, draws nothing at random.
    3. Days in another order give the same: it keeps nothing from one day to the next.
    4. Rows from ``known_at`` on change nothing (without it, the whole day is known); nor does a later day.
    5. Stocks in another order give the same.
    6. Nulls in a stock's columns, and a day without rows, raise nothing and give no infinity.
    7. Other numbers in its columns change the values: they are what it is made of.

    Parameters
    ----------
    factor : Factor or path
        Or the file that defines it.
    data : Lake, path of one, or mapping of str to DataFrame, optional
        A small simulated market by default; frames have a column ``date``.
    name : str, optional
        Where the file defines several.
    days : int
        Last days of the data to look at.

    Returns
    -------
    tuple of str
        What was checked.

    Raises
    ------
    AssertionError
        A rule is broken; one line.
    """
    one = subject(factor, Factor, name)
    with errors_as_failures():
        check_tables(one)
    tables = tables_of(data)
    keys = [k for k in tables.keys(one.tables[0])][-days:]
    if len(keys) < 2:
        raise AssertionError(f"factor {one.name}: the data have {len(keys)} days of {one.tables[0]}; 2 are needed")
    plain = {key: _values(one, tables, key) for key in keys}
    if not any(v.notna().any() for v in plain.values()):
        raise AssertionError(f"factor {one.name} has no value on any of {keys[0]}..{keys[-1]}")
    _same(one, plain, {key: _values(one, tables, key) for key in keys}, CHECKS[1], "a second time")
    _same(one, plain, {key: _values(one, tables, key) for key in reversed(keys)}, CHECKS[2], "from the last day on")
    _check_future(one, tables, keys, plain)
    rng = np.random.default_rng(0)
    shuffled = Changed(tables, lambda table, key, frame: _permuted(frame, rng))
    _same(one, plain, {key: _values(one, shuffled, key) for key in keys}, CHECKS[4], "with stocks in another order")
    _check_nulls(one, tables, keys[-1])
    _check_restatement(one, tables, keys[-1], plain[keys[-1]])
    return CHECKS


def _values(factor: Factor, tables: Tables, key: str) -> pd.Series:
    reader = FactorReader(tables, factor)
    with errors_as_failures():
        return factor.values(key, reader.tables(key), reader.symbols(key))


def _same(factor: Factor, plain: dict[str, pd.Series], other: dict[str, pd.Series], rule: str, when: str) -> None:
    for key, values in plain.items():
        found = other[key].reindex(values.index)
        differ = ~np.isclose(values, found, rtol=TOLERANCE, atol=1e-12, equal_nan=True)
        if differ.any():
            at = int(np.flatnonzero(differ)[0])
            raise AssertionError(
                f"factor {factor.name} on {key}: {rule} is broken: {values.index[at]} was {values.iloc[at]}, "
                f"and {found.iloc[at]} {when}"
            )


def _check_future(factor: Factor, tables: Tables, keys: list[str], plain: dict[str, pd.Series]) -> None:
    rng = np.random.default_rng(1)
    key = keys[-2]

    def change(table: str, day: str, frame: pd.DataFrame) -> pd.DataFrame:
        if day > key:
            return _disturbed(frame, rng)
        if factor.known_at is None or day < key or table == "reference":
            return frame
        if table == "daily_bars":
            return _disturbed(frame, rng, [c for c in frame.columns if c not in OPEN_ONLY])
        if table in PUBLISHED_TABLES or table not in SCHEMAS:
            return _disturbed(frame, rng)
        if "minute" not in frame and "time" not in frame:
            raise AssertionError(
                f"factor {factor.name}: known_at needs the column {'minute' if table == 'minute_bars' else 'time'} of "
                f"{table}, to know which rows are later"
            )
        late = _late(frame, factor.known_at)
        return pd.concat([frame[~late], _disturbed(frame[late], rng)]).sort_index()

    changed = _values(factor, Changed(tables, change), key)
    when = "with other rows " + ("on later days" if factor.known_at is None else f"from {factor.known_at:%H:%M} on")
    _same(factor, {key: plain[key]}, {key: changed}, CHECKS[3], when)


def _late(frame: pd.DataFrame, at: dt.time) -> pd.Series:
    """Rows of the day from a time on; a bar is later where it ends later."""
    if "minute" in frame:
        minutes = at.hour * 60 + at.minute
        ended = minutes - 570 if minutes <= 690 else max(120, minutes - 660)
        return frame["minute"] >= ended
    return frame["time"].dt.time >= at


def _disturbed(frame: pd.DataFrame, rng: np.random.Generator, columns: list[str] | None = None) -> pd.DataFrame:
    """Other numbers in the columns that do not say which row it is."""
    out = frame.copy()
    for column in columns or [c for c in frame.columns if c not in AXES]:
        values = out[column]
        if pd.api.types.is_bool_dtype(values):
            out[column] = ~values
        elif pd.api.types.is_float_dtype(values):
            out[column] = values * rng.uniform(0.5, 1.5, len(values))
        elif pd.api.types.is_integer_dtype(values) and column != "side":
            out[column] = values + rng.integers(1, 5000, len(values)).astype(values.dtype)
    return out


def _permuted(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Stocks in another order, the rows of each in theirs."""
    symbols = frame["symbol"].unique()
    place = pd.Series(rng.permutation(len(symbols)), symbols)
    return frame.iloc[np.argsort(frame["symbol"].map(place).to_numpy(), kind="stable")].reset_index(drop=True)


def _check_nulls(factor: Factor, tables: Tables, key: str) -> None:
    first = tables.table(factor.tables[0], key)["symbol"][0].as_py()

    def blank(table: str, day: str, frame: pd.DataFrame) -> pd.DataFrame:
        for column in (c for c in frame.columns if c not in AXES):
            if pd.api.types.is_float_dtype(frame[column]):
                frame.loc[frame["symbol"] == first, column] = np.nan
            elif pd.api.types.is_integer_dtype(frame[column]):
                frame.loc[frame["symbol"] == first, column] = 0
        return frame

    _values(factor, Changed(tables, blank), key)
    for empty in factor.tables[1:]:  # of the first, a day without rows asks nothing of the function
        _values(factor, Changed(tables, partial(_emptied, empty)), key)


def _emptied(empty: str, table: str, day: str, frame: pd.DataFrame) -> pd.DataFrame:
    return frame[:0] if table == empty else frame


def _check_restatement(factor: Factor, tables: Tables, key: str, plain: pd.Series) -> None:
    rng = np.random.default_rng(2)
    other = _values(factor, Changed(tables, lambda table, day, frame: _disturbed(frame, rng)), key)
    if np.array_equal(other.to_numpy(), plain.to_numpy(), equal_nan=True):
        raise AssertionError(
            f"factor {factor.name} on {key}: {CHECKS[6]} is broken: other numbers in {', '.join(factor.tables)} leave "
            "every value as it is"
        )
