"""Types of arguments that several commands take."""

import argparse
import datetime as dt


def day(text: str) -> dt.date:
    """A date as 2023-02-01; anything else is an error of the command line."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; give one as 2023-02-01") from error
