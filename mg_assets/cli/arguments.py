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
