"""Types of arguments that several commands take."""

import argparse
import datetime as dt
import re
from typing import TYPE_CHECKING

from mg_assets.errors import DataError

if TYPE_CHECKING:
    from mg_assets.lake.store import Lake


def day(text: str) -> dt.date:
    """A date as 2023-02-01; anything else is an error of the command line."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; give one as 2023-02-01") from error


def above_zero(text: str) -> float:
    """A number above 0; anything else is an error of the command line."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0; give one as 0.0001")
    return number


def count(text: str) -> int:
    """A whole number from 1 on; anything else is an error of the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows; give one from 1 on")
    return int(text)


def half_year(text: str) -> str:
    """A half-year as 2017H1; anything else is an error of the command line."""
    if not re.fullmatch(r"\d{4}H[12]", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no half-year; give one as 2017H1")
    return text


def add_tables_and_range(parser: argparse.ArgumentParser) -> None:
    """Add tables, ``--from`` and ``--to`` to a command that looks at a lake's partitions."""
    parser.add_argument("table", nargs="*", help="tables; all by default")
    parser.add_argument("--from", dest="first", type=day, help="first day, week or month: 2023-02-01")
    parser.add_argument("--to", dest="last", type=day, help="last one")


def in_range(key: str, first: dt.date | None, last: dt.date | None) -> bool:
    """Whether a key is in the range; keys that are no dates always are."""
    if len(key) == 6 and key[4] == "H":
        from mg_assets.market.calendar import half_year_start

        key = half_year_start(key).isoformat()
    if not key[:4].isdecimal():
        return True
    return (first is None or key >= first.isoformat()) and (last is None or key <= last.isoformat())


def require_order(first: dt.date | None, last: dt.date | None) -> None:
    """Raise a :class:`DataError` where a range ends before it begins."""
    if first is not None and last is not None and first > last:
        raise DataError(f"--from {first} is after --to {last}, so that no day is in the range; give the earlier first")


def require_tables(lake: "Lake", wanted: list[str]) -> list[str]:
    """The lake's tables; a :class:`DataError` where it has none, or lacks one of those that are wanted."""
    have = lake.storage.tables()
    if not have:
        raise DataError(
            f"the lake {lake.root} is empty or absent; fill it with mg run or mg ingest FOLDER, or name "
            "the settings of another in MG_SETTINGS"
        )
    absent = sorted(set(wanted) - set(have))
    if absent:
        from mg_assets.settings.values import known_names

        raise DataError(f"the lake {lake.root} has no table {', '.join(absent)}; {known_names(absent[0], have)}")
    return have
