"""Codes that a stock had before: one stock has one history, under its present code.

Every code that a source of daily or minute bars reads goes through :func:`present_code`. The changes are those of
:data:`KNOWN` and of the setting ``code_changes``: a CSV file with the columns ``old``, ``new`` and, if known, ``from``
(as is tushare's ``bse_mapping``, with ``o_code`` and ``n_code``), or a list of such rows. No exchange has given a code
to another stock afterwards, and vendors write an old code for some time after the change, so a change counts on every
day; its date says when it was.

In a lake of 2020 a stock has thus a code that it got in 2025: a code is a name, and says nothing that was not known.
"""

import csv
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from mg_assets.errors import SourceError
from mg_assets.settings import settings

KNOWN = (
    ("601313.SH", "601360.SH", "2018-02-28"),
    ("000022.SZ", "001872.SZ", "2018-12-26"),
    ("000043.SZ", "001914.SZ", "2019-12-16"),
    ("300114.SZ", "302132.SZ", "2025-02-17"),
    # the Beijing exchange: its pilot, and what vendors print of its table of 248 codes; the last three digits stay
    # where no other stock has them, so the rest of the table cannot be computed
    ("430489.BJ", "920489.BJ", "2025-05-06"),
    ("830799.BJ", "920799.BJ", "2025-05-06"),
    ("831445.BJ", "920445.BJ", "2025-05-06"),
    ("833819.BJ", "920819.BJ", "2025-05-06"),
    ("834682.BJ", "920682.BJ", "2025-05-06"),
    ("839167.BJ", "920167.BJ", "2025-05-06"),
    ("430017.BJ", "920017.BJ", "2025-10-09"),
    ("430139.BJ", "920139.BJ", "2025-10-09"),
    ("430300.BJ", "920300.BJ", "2025-10-09"),
    ("430425.BJ", "920425.BJ", "2025-10-09"),
    ("430476.BJ", "920476.BJ", "2025-10-09"),
    ("836433.BJ", "920433.BJ", "2025-10-09"),
    ("837242.BJ", "920242.BJ", "2025-10-09"),
    ("838163.BJ", "920163.BJ", "2025-10-09"),
    ("839729.BJ", "920729.BJ", "2025-10-09"),
)
"""Old code, new code, and the first day of the new one."""

BEIJING = "920"
HEADERS = {"old": ("old", "o_code"), "new": ("new", "n_code"), "from": ("from",)}
_CODE = re.compile(r"\d{6}\.(SH|SZ|BJ)")
_DAY = re.compile(r"\d{4}-?\d{2}-?\d{2}|")


def present_code(symbol: str) -> str:
    """The code that a stock has today, ``920799.BJ`` for ``830799.BJ``."""
    return code_changes().get(symbol, symbol)


def code_changes() -> Mapping[str, str]:
    """Present code of each old one.

    Returns
    -------
    dict of str to str

    Raises
    ------
    SourceError
        The table of the setting ``code_changes`` cannot be read, or a row of it is no change.
    """
    return _tables(*_given())[0]


def changes_digest() -> str:
    """Hash of the changes that the settings give; empty without any."""
    return _tables(*_given())[1]


def _given() -> tuple[str | tuple[Sequence[str], ...], tuple[int, int]]:
    """The setting, and for a file what shows that it changed."""
    given = settings().code_changes
    if not isinstance(given, str):
        return tuple(map(tuple, given)), (0, 0)
    try:
        state = os.stat(given)
    except OSError as error:
        raise SourceError(f"code_changes: {given} cannot be read ({error.strerror}); name a CSV file") from error
    return given, (state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _tables(given: str | tuple[Sequence[str], ...], state: tuple[int, int]) -> tuple[dict[str, str], str]:
    if isinstance(given, str):
        rows = _rows_of(Path(given))
    else:
        rows = [(f"code_changes[{i}]", row) for i, row in enumerate(given)]
    direct = {old: new for old, new, _ in KNOWN}
    own = dict(_checked(where, row) for where, row in rows)
    direct |= own
    found = {}
    for old in direct:
        chain = [old]
        while chain[-1] in direct:
            chain.append(direct[chain[-1]])
            if chain[-1] in chain[:-1]:
                raise SourceError(f"code_changes: {' -> '.join(chain)} goes in a circle; leave one of them out")
        found[old] = chain[-1]
    return found, hashlib.sha256(repr(sorted(own.items())).encode()).hexdigest()[:16] if own else ""


def _rows_of(path: Path) -> list[tuple[str, Sequence[str]]]:
    """Old code, new code and day of each line, with where it stands."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    names = {ours: next((t for t in theirs if lines and t in lines[0]), None) for ours, theirs in HEADERS.items()}
    if names["old"] is None or names["new"] is None:
        raise SourceError(f"code_changes: {path} has no rows with columns old and new (or o_code and n_code)")
    return [
        (f"code_changes: {path} line {i}", [line[name] or "" for name in names.values() if name is not None])
        for i, line in enumerate(lines, 2)
    ]


def _checked(where: str, row: Sequence[str]) -> tuple[str, str]:
    codes, day = [str(c).strip() for c in row[:2]], str(row[2]).strip() if len(row) > 2 else ""
    if len(codes) < 2 or not all(map(_CODE.fullmatch, codes)) or codes[0] == codes[1] or not _DAY.fullmatch(day):
        raise SourceError(f"{where} was {', '.join(map(str, row))}; two codes and a day were expected: "
                          "830799.BJ, 920799.BJ, 2025-05-06")  # fmt: skip
    return codes[0], codes[1]


def refuse_two_stocks(
    axis: np.ndarray, symbol: np.ndarray, date: np.ndarray, close: np.ndarray, twice: np.ndarray
) -> None:
    """Refuse a change of codes by which two stocks became one.

    Parameters
    ----------
    axis : ndarray of object (S,)
        Present codes.
    symbol, date, close : ndarray (n,)
        Rows sorted by symbol, then date.
    twice : ndarray of bool (n,)
        Rows of a stock and day that the row before has too.

    Raises
    ------
    SourceError
        Rows of a day differ in their close.
    """
    at = np.flatnonzero(twice)
    at = at[np.abs(close[at] - close[at - 1]) > 1e-6]
    changes = code_changes()
    for i in at:
        name = str(axis[symbol[i]])
        if olds := [old for old, new in changes.items() if new == name]:
            raise SourceError(
                f"{' and '.join([*olds, name])} count as one stock (code_changes), and close at {close[i - 1]:g} and "
                f"{close[i]:g} on {date[i]}: take the change out, or the rows of one of them"
            )


def likely_changes(axis: np.ndarray, symbol: np.ndarray, date: np.ndarray) -> list[str]:
    """Pairs of Beijing codes that look like one stock: the new one begins after the old one's end, same last digits.

    Parameters
    ----------
    axis : ndarray of object (S,)
    symbol : ndarray of int (n,)
        Ascending.
    date : ndarray of datetime64[D] (n,)

    Returns
    -------
    list of str
        Each as a row for ``code_changes``.
    """
    names = {str(name): i for i, name in enumerate(axis) if str(name).endswith(".BJ")}
    found = []
    for old, new in _pairs(names):
        ends, begins = (date[slice(*np.searchsorted(symbol, [names[n], names[n] + 1]))] for n in (old, new))
        if len(ends) and len(begins) and ends.max() < begins.min():
            found.append(f"{old}, {new}, {begins.min()}")
    return found


def _pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    ours = set(names)
    olds = (n for n in sorted(ours) if not n.startswith(BEIJING))
    return [(old, new) for old in olds if (new := BEIJING + old[3:]) in ours]
