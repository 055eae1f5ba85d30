"""Conformance of a source."""

import datetime as dt
import functools
import pickle
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mg_assets.errors import MgError
from mg_assets.sources import own_kinds
from mg_assets.sources.base import RAW_TABLES, Source
from mg_assets.sources.own import KEYS, OwnSource, as_dates, conformed
from mg_assets.testing.subjects import errors_as_failures, module_of

DAYS = 3
CHECKS = (
    "columns and rows",
    "pickling",
    "one day at a time equals all",
    "no look-ahead",
    "permutation of rows",
    "restatement noticed",
)
TEXT = (".csv", ".txt", ".tsv")
SETTINGS = (".yaml", ".yml", ".json", ".toml", ".py")


def check_source(
    source: Source | type[OwnSource] | str | Path, options: Mapping[str, Any] | None = None, days: int = DAYS
) -> tuple[str, ...]:
    """Check that a source obeys the rules of the graph.

    1. Days are dates, and each of its tables has the columns that it must have, valid and unique rows, sorted.
    2. It can be pickled, and the copy reads the same.
    3. A new object that reads one day alone, and days in another order, give the same rows and fingerprints.
    4. A day is the same without the files, or the lines of text files, of later days.
    5. A day is the same whatever the order of the lines in its text files.
    6. Its fingerprint is another where its files are.

    The last three copy the folders and files that the options name; where none is a file, folder or text, they are not
    checked, and not in the result.

    Parameters
    ----------
    source : Source, type or path
        An object, a class, or the file that defines one.
    options : mapping, optional
        Of the class, as in the settings.
    days : int
        Last days to look at.

    Returns
    -------
    tuple of str
        What was checked.

    Raises
    ------
    AssertionError
        A rule is broken; one line.
    """
    make = functools.partial(_made, source, dict(options or {}))
    one = make()
    with errors_as_failures():
        found = as_dates(one.days(), one.name)
    if len(found) < 2:
        raise AssertionError(f"source {one.name!r} has {len(found)} days; 2 are needed")
    last = found[-days:]
    asked = [(table, day) for day in last for table in RAW_TABLES if one.has(table, day)]
    if not asked:
        raise AssertionError(f"source {one.name!r} has no table on {last[0]}..{last[-1]}, days that it names")
    plain = {at: _rows(one, *at) for at in asked}
    for (table, day), frame in plain.items():
        _check_rows(one.name, table, day, frame)
    _same(one.name, plain, pickle.loads(pickle.dumps(make())), CHECKS[1], "of its pickled copy")
    _same(one.name, dict(reversed(plain.items())), make(), CHECKS[2], "from the last day on")
    for at in (asked[0], asked[-1]):
        _same(one.name, {at: plain[at]}, make(), CHECKS[2], "by itself")
    marks = {at: one.fingerprint(*at) for at in asked}
    other = make()
    for at, mark in marks.items():
        if other.fingerprint(*at) != mark:
            raise AssertionError(f"source {one.name!r}: the fingerprint of {at[0]} on {at[1]} is another each time")
    return CHECKS[:3] + _check_files(source, dict(options or {}), found, plain, marks)


def _made(source: Any, options: dict[str, Any]) -> Source:
    """A new source, or the given one where it is an object."""
    if isinstance(source, str | Path):
        kinds = own_kinds([module_of(source)])
        if len(kinds) != 1:
            raise AssertionError(f"{source} defines {len(kinds)} sources: {', '.join(kinds)}; give the class")
        source = next(iter(kinds.values()))
    if not isinstance(source, type):
        return source
    with errors_as_failures():
        made: Source = source(**options)
    return made


def _rows(source: Source, table: str, day: dt.date) -> pd.DataFrame:
    with errors_as_failures():
        return source.load(table, day).frame


def _check_rows(name: str, table: str, day: dt.date, frame: pd.DataFrame) -> None:
    """The rows pass through the reader of own sources as they are."""
    with errors_as_failures():
        again = conformed(frame, table, day, name)
    if len(again.quarantine):
        row = again.quarantine.iloc[0]
        raise AssertionError(f"source {name!r}: {table} on {day}: row {row['row']}, {row['symbol']}: {row['reason']}")
    order = frame[list(KEYS.get(table, ("symbol",)))].reset_index(drop=True)
    if not order.equals(order.sort_values(list(order.columns), kind="stable").reset_index(drop=True)):
        raise AssertionError(f"source {name!r}: {table} on {day}: rows are not sorted by {', '.join(order.columns)}")


def _same(name: str, plain: dict, other: Source, rule: str, when: str, halted: bool = True) -> None:
    """Compare rows; without ``halted`` not those of suspended stocks, which a later row may have added."""
    for (table, day), frame in plain.items():
        frames = [frame, _rows(other, table, day)]
        if not halted and "suspended" in frame:
            frames = [f[~f["suspended"].astype(bool)].reset_index(drop=True) for f in frames]
        problem = _difference(*frames)
        if problem:
            raise AssertionError(f"source {name!r}: {table} on {day}: {rule} is broken: {problem} {when}")


def _difference(frame: pd.DataFrame, found: pd.DataFrame) -> str:
    if len(frame) != len(found):
        return f"{len(frame)} rows were {len(found)}"
    for column in frame.columns:
        a, b = frame[column].to_numpy(object), found[column].to_numpy(object)
        differ = ~((a == b) | (pd.isna(a) & pd.isna(b)))
        if differ.any():
            at = int(np.flatnonzero(differ)[0])
            return f"{column} of {frame['symbol'].iloc[at]} was {a[at]}, and {b[at]}"
    return ""


def _check_files(
    source: Any, options: dict[str, Any], days: list[dt.date], plain: dict, marks: dict
) -> tuple[str, ...]:
    """The rules about files, on copies of those that the options name."""
    named = {k: Path(v) for k, v in options.items() if isinstance(v, str | Path) and Path(v).exists()}
    if not named or not isinstance(source, type | str | Path):
        return ()
    middle = days[-2]
    kept = {at: frame for at, frame in plain.items() if at[1] <= middle}
    later = [d for d in days if d > middle]
    with tempfile.TemporaryDirectory(prefix="mg_source_") as folder:
        copies = _copied(named, Path(folder) / "future")
        changed = [_without(path, later) for path in _files(copies)]
        without = _made(source, options | copies)
        if any(changed):
            _same(without.name, kept, without, CHECKS[3], "without the files and lines of later days", halted=False)
        copies = _copied(named, Path(folder) / "order")
        shuffled = [_shuffle(path) for path in _files(copies)]
        if any(shuffled):
            _same(without.name, plain, _made(source, options | copies), CHECKS[4], "with the lines in another order")
        copies = _copied(named, Path(folder) / "restated")
        restated = [_restate(path) for path in _files(copies)]
        if any(restated):
            _check_restatement(_made(source, options | copies), marks)
    return tuple(rule for rule, made in zip(CHECKS[3:], (changed, shuffled, restated), strict=True) if any(made))


def _check_restatement(restated: Source, marks: Mapping[tuple[str, dt.date], str]) -> None:
    """Some day has another fingerprint than before."""
    same = [at for at, mark in marks.items() if _mark(restated, *at) == mark]
    if len(same) == len(marks):
        table, day = same[0]
        raise AssertionError(
            f"source {restated.name!r}: {CHECKS[5]} is broken: the fingerprint of {table} on {day} is the same with "
            "other numbers in the files"
        )


def _mark(source: Source, table: str, day: dt.date) -> str:
    """A fingerprint; of files that cannot be read any more the reason, which is another one."""
    try:
        return source.fingerprint(table, day)
    except MgError as error:
        return str(error)


def _copied(named: Mapping[str, Path], folder: Path) -> dict[str, str]:
    folder.mkdir(parents=True)
    copies = {}
    for option, path in named.items():
        copies[option] = str(folder / option / path.name)
        (folder / option).mkdir()
        (shutil.copytree if path.is_dir() else shutil.copy)(path, copies[option])
    return copies


def _files(copies: Mapping[str, str]) -> list[Path]:
    """Files of data below the copies."""
    found = [p for top in map(Path, copies.values()) for p in ([top] if top.is_file() else sorted(top.rglob("*.*")))]
    return [p for p in found if p.suffix.lower() not in SETTINGS and p.is_file()]


def _written(days: list[dt.date]) -> re.Pattern:
    """A day as files write it: 2023-02-01, 20230201, 2023/2/1."""
    forms = {f for d in days for f in (f"{d}", f"{d:%Y%m%d}", f"{d:%Y/%m/%d}", f"{d.year}/{d.month}/{d.day}")}
    return re.compile("|".join(rf"(?<!\d){re.escape(f)}(?!\d)" for f in sorted(forms)))


def _without(path: Path, later: list[dt.date]) -> bool:
    """Remove a file of later days, or its lines of them; whether there were any."""
    dated = _written(later)
    if dated.search(path.name):
        path.unlink()
        return True
    lines = _lines(path)
    kept = [line for line in lines if not dated.search(line)]
    if len(kept) == len(lines):
        return False
    path.write_text("".join(kept), encoding="utf-8")
    return True


def _lines(path: Path) -> list[str]:
    """Lines of a text file; none of another one."""
    if path.suffix.lower() not in TEXT:
        return []
    try:
        return path.read_text(encoding="utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        return []


def _shuffle(path: Path) -> bool:
    """Turn the lines of a text file round, but for the first."""
    lines = _lines(path)
    if len(lines) < 3:
        return False
    lines[-1] = lines[-1].rstrip("\n") + "\n"
    path.write_text("".join([lines[0], *reversed(lines[1:])]), encoding="utf-8")
    return True


def _restate(path: Path) -> bool:
    """Change a file: the last digit of each line of a text, else one byte more."""
    lines = _lines(path)
    if not lines:
        with path.open("ab") as file:
            file.write(b"\0")
        return True

    def other(line: str) -> str:
        return re.sub(r"\d(?=\D*$)", lambda m: str((int(m[0]) + 1) % 10), line)

    path.write_text("".join([lines[0], *map(other, lines[1:])]), encoding="utf-8")
    return True
