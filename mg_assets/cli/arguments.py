"""Types of arguments that several commands take."""

import argparse
import datetime as dt
import re


def day(text: str) -> dt.date:
    """A date as 2023-02-01; anything else is an error of the command line."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; give one as 2023-02-01") from error


def half_year(text: str) -> str:
    """A half-year as 2017H1; anything else is an error of the command line."""
    if not re.fullmatch(r"\d{4}H[12]", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no half-year; give one as 2017H1")
    return text


def in_range(key: str, first: dt.date | None, last: dt.date | None) -> bool:
    """Whether a key is in the range; keys that are no dates always are."""
    if len(key) == 6 and key[4] == "H":
        from mg_assets.market.calendar import half_year_start

        key = half_year_start(key).isoformat()
    if not key[:4].isdecimal():
        return True
    return (first is None or key >= first.isoformat()) and (last is None or key <= last.isoformat())
