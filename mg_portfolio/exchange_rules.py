"""Rules of the mainland's exchanges as one dated table: price limits, sessions, lots, taxes and fees by board.

:data:`RULES` says what held on which board from which day, and which document says so. All code that needs a rule asks
:func:`in_force`; the table is current to :data:`KNOWN_UNTIL`. A day after it is unknown, not assumed: the last rule is
what there is, and :func:`unknown_since` says that it may no longer hold.

A rule holds until the next one of its name and board; the first of them counts also for the days before it.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

Date = str | dt.date | np.datetime64

KNOWN_UNTIL = dt.date(2026, 11, 29)
"""Day up to which the table was compared with what the exchanges published."""

BOARDS = ("sse_main", "szse_main", "chinext", "star", "bse")
SSE_MAIN, SZSE_MAIN, CHINEXT, STAR, BSE = range(len(BOARDS))
MAIN = ("sse_main", "szse_main")

SSE_2006 = "SSE Trading Rules (2006-05-15)"
SZSE_2006 = "SZSE Trading Rules (2006-05-15)"
BOTH_2026 = "SSE and SZSE Trading Rules, 2026 revisions, SZSE No. 551 of 2026 (2026-04-24)"
BOTH_2023 = "SSE and SZSE Trading Rules, 2023 revisions, SSE No. 32 and SZSE No. 98 of 2023 (2023-02-17)"
CHINEXT_2020 = "SZSE Special Rules for Trading on ChiNext (2020-06-12)"
STAR_2019 = "SSE Special Rules for Trading on STAR, No. 23 of 2019 (2019-03-01)"
BSE_2021 = "BSE Trading Rules (trial), announcement 15 of 2021 (2021-11-01)"
DELISTING_2020 = "SSE No. 101 and 103 of 2020, SZSE delisting reform (2020-12-31)"
CSRC_1996 = "CSRC notice on price limits of 10% (1996-12-13)"


@dataclass(frozen=True)
class Rule:
    """What holds on some boards from a day on.

    Attributes
    ----------
    name : str
    boards : tuple of str
        Of :data:`BOARDS`.
    since : str
        First day, ISO.
    value : object
        In the unit that :data:`NAMES` states.
    source : str
        Document and its date.
    """

    name: str
    boards: tuple[str, ...]
    since: str
    value: Any
    source: str


NAMES = {
    "opens": "First trading day of the board",
    "price_limit": "Percent that a price may move from the reference price, up and down",
    "price_limit_st": "The same of a stock under special treatment (ST, *ST)",
    "free_sessions": "Sessions from the listing on without a limit, of a stock listed in that time",
    "first_day_limit": "Percent up and down from the issue price on the listing day, of a stock listed in that time",
    "delisting_free_sessions": "Sessions at the start of the delisting period without a limit; `price_limit` follows",
    "resumption_free": "No limit on the first day back of a stock whose listing had been suspended",
    "opening_auction": "Call auction before the open, from and to",
    "closing_auction": "Call auction at the close, from and to; none where trading is continuous to 15:00",
    "after_close": "Fixed-price trading at the closing price, from and to: in a daily bar, in no minute bar",
    "circuit_breaker": "Moves of the CSI 300, percent, that halt both exchanges for 15 minutes and to the close",
    "buy_lot": "Least shares of a buy order, and the step above them",
    "tick": "Price step, yuan",
    "holding_days": "Trading days from a purchase to the first sale",
    "stamp_tax": "Fraction of the value that the seller pays",
    "transfer_fee": "Fraction of the value that each side pays to the clearing house",
}
"""What each rule says, and its unit."""

RULES = (
    Rule("opens", ("chinext",), "2009-10-30", True, "SZSE news: the first 28 companies of ChiNext (2009-11-02)"),
    Rule("opens", ("star",), "2019-07-22", True, STAR_2019),
    Rule("opens", ("bse",), "2021-11-15", True, "BSE announcement of its opening (2021-11-12)"),
    Rule("price_limit", MAIN, "1996-12-16", 10.0, CSRC_1996),
    Rule("price_limit", ("chinext",), "2009-10-30", 10.0, "SZSE notice on ChiNext's first listings (2009-09-24)"),
    Rule("price_limit", ("chinext",), "2020-08-24", 20.0, CHINEXT_2020),
    Rule("price_limit", ("star",), "2019-07-22", 20.0, STAR_2019),
    Rule("price_limit", ("bse",), "2021-11-15", 30.0, BSE_2021),
    Rule("price_limit_st", MAIN, "1998-04-22", 5.0, "SSE and SZSE, special treatment of stocks (1998-04-22)"),
    Rule("price_limit_st", MAIN, "2026-07-06", 10.0, BOTH_2026),
    Rule("price_limit_st", ("chinext",), "2009-10-30", 5.0, "SZSE No. 620 of 2020 states it (2020-07-10)"),
    Rule("price_limit_st", ("chinext",), "2020-08-24", 20.0, "SZSE No. 620 of 2020 (2020-07-10)"),
    Rule("price_limit_st", ("star",), "2019-07-22", 20.0, STAR_2019),
    Rule("price_limit_st", ("bse",), "2021-11-15", 30.0, BSE_2021),
    Rule("free_sessions", (*MAIN, "chinext"), "1996-12-16", 1, CSRC_1996),
    Rule("free_sessions", ("sse_main",), "2013-12-13", 0, "SSE No. 47 of 2013 (2013-12-13)"),
    Rule("free_sessions", ("szse_main", "chinext"), "2014-06-13", 0, "SZSE No. 54 of 2014 (2014-06-13)"),
    Rule("free_sessions", ("chinext",), "2020-08-24", 5, CHINEXT_2020),
    Rule("free_sessions", MAIN, "2023-04-10", 5, BOTH_2023),
    Rule("free_sessions", ("star",), "2019-07-22", 5, STAR_2019),
    Rule("free_sessions", ("bse",), "2021-11-15", 1, BSE_2021),
    Rule("first_day_limit", (*MAIN, "chinext"), "1996-12-16", None, CSRC_1996),
    Rule("first_day_limit", ("sse_main",), "2013-12-13", (44.0, 36.0), "SSE No. 47 of 2013 (2013-12-13)"),
    Rule("first_day_limit", ("szse_main", "chinext"), "2014-06-13", (44.0, 36.0), "SZSE No. 54 of 2014 (2014-06-13)"),
    Rule("first_day_limit", ("chinext",), "2020-08-24", None, CHINEXT_2020),
    Rule("first_day_limit", MAIN, "2023-04-10", None, BOTH_2023),
    Rule("first_day_limit", ("star",), "2019-07-22", None, STAR_2019),
    Rule("first_day_limit", ("bse",), "2021-11-15", None, BSE_2021),
    Rule("delisting_free_sessions", ("sse_main",), "2013-01-01", 0, "SSE risk-warning board measures (2012-12-16)"),
    Rule("delisting_free_sessions", ("szse_main", "chinext"), "2012-12-17", 0, "SZSE Trading Rules (2012-11-30)"),
    Rule("delisting_free_sessions", ("star",), "2019-07-22", 0, STAR_2019),
    Rule("delisting_free_sessions", (*MAIN, "chinext", "star"), "2020-12-31", 1, DELISTING_2020),
    Rule("delisting_free_sessions", ("bse",), "2021-11-15", 1, BSE_2021),
    Rule("resumption_free", MAIN, "2006-07-01", True, f"{SSE_2006}, {SZSE_2006}"),
    Rule("opening_auction", BOARDS, "2006-07-01", ("09:15", "09:25"), f"{SSE_2006}, {SZSE_2006}, {BSE_2021}"),
    Rule("closing_auction", ("sse_main",), "2006-07-01", None, SSE_2006),
    Rule("closing_auction", ("sse_main",), "2018-08-20", ("14:57", "15:00"), "SSE on its closing call (2018-08-06)"),
    Rule("closing_auction", ("szse_main", "chinext"), "2006-07-01", ("14:57", "15:00"), SZSE_2006),
    Rule("closing_auction", ("star",), "2019-07-22", ("14:57", "15:00"), STAR_2019),
    Rule("closing_auction", ("bse",), "2021-11-15", ("14:57", "15:00"), BSE_2021),
    Rule("after_close", MAIN, "2006-07-01", None, f"{SSE_2006}, {SZSE_2006}"),
    Rule("after_close", MAIN, "2026-07-06", ("15:05", "15:30"), BOTH_2026),
    Rule("after_close", ("chinext",), "2009-10-30", None, SZSE_2006),
    Rule("after_close", ("chinext",), "2020-08-24", ("15:05", "15:30"), CHINEXT_2020),
    Rule("after_close", ("star",), "2019-07-22", ("15:05", "15:30"), STAR_2019),
    Rule("after_close", ("bse",), "2021-11-15", None, BSE_2021),
    Rule("circuit_breaker", (*MAIN, "chinext"), "2006-07-01", None, f"{SSE_2006}, {SZSE_2006}"),
    Rule("circuit_breaker", (*MAIN, "chinext"), "2016-01-01", (5.0, 7.0), "SSE, SZSE and CFFEX (2015-12-04)"),
    Rule("circuit_breaker", (*MAIN, "chinext"), "2016-01-08", None, "SSE and SZSE suspend it (2016-01-07)"),
    Rule("circuit_breaker", ("star", "bse"), "2019-07-22", None, f"{STAR_2019}, {BSE_2021}"),
    Rule("buy_lot", (*MAIN, "chinext"), "2006-07-01", (100, 100), f"{SSE_2006}, {SZSE_2006}"),
    Rule("buy_lot", ("star",), "2019-07-22", (200, 1), STAR_2019),
    Rule("buy_lot", ("bse",), "2021-11-15", (100, 1), BSE_2021),
    Rule("tick", BOARDS, "2006-07-01", 0.01, f"{SSE_2006}, {SZSE_2006}, {BSE_2021}"),
    Rule("holding_days", BOARDS, "1995-01-01", 1, "SZSE chronicle of 1995 (1995-12-31)"),
    Rule("stamp_tax", BOARDS, "2008-09-19", 0.001, "Ministry of Finance: the seller alone pays (2008-09-19)"),
    Rule("stamp_tax", BOARDS, "2023-08-28", 0.0005, "Ministry of Finance, announcement 39 of 2023 (2023-08-27)"),
    Rule("transfer_fee", BOARDS, "2015-08-01", 0.00002, "ChinaClear notice on the transfer fee (2015-07-09)"),
    Rule("transfer_fee", BOARDS, "2022-04-29", 0.00001, "ChinaClear notice on the transfer fee (2022-04-28)"),
)  # fmt: skip
"""The table, by name; of one name and board ascending."""


def board_codes(symbols: np.ndarray | Iterable[object]) -> np.ndarray:
    """Find the board of each symbol.

    Parameters
    ----------
    symbols : iterable of str (S,)
        As ``688001.SH``.

    Returns
    -------
    ndarray of int8 (S,)
        Index into :data:`BOARDS`.

    Raises
    ------
    ValueError
        A symbol names no exchange.
    """
    return np.array([_board(str(s)) for s in symbols], np.int8)


def _board(symbol: str) -> int:
    code, _, exchange = symbol.partition(".")
    if exchange == "SH":
        return STAR if code.startswith("68") else SSE_MAIN
    if exchange == "SZ":
        return CHINEXT if code.startswith("30") else SZSE_MAIN
    if exchange == "BJ":
        return BSE
    raise ValueError(f"symbol was {symbol!r}; write it as 600000.SH, 000001.SZ or 830799.BJ")


def one_day(day: Date) -> np.datetime64:
    """Read a date or a time as a day; one with a time zone is of the day that it is in Shanghai.

    Parameters
    ----------
    day : str, date or datetime64

    Returns
    -------
    datetime64[D]

    Raises
    ------
    LabelError
        A ValueError: it is no date.
    """
    if isinstance(day, np.datetime64):
        return day.astype("datetime64[D]")
    from mg_axes import as_days  # brings pandas along, which settings need not

    return as_days([day], "day")[0]


@cache
def history(name: str, board: int) -> tuple[np.ndarray, tuple[Any, ...]]:
    """List the days on which a rule of a board changed, and its values from each of them on.

    Parameters
    ----------
    name : str
        Of :data:`NAMES`.
    board : int
        Index into :data:`BOARDS`.

    Returns
    -------
    days : ndarray of datetime64[D] (n,)
    values : tuple (n,)

    Raises
    ------
    KeyError
        The table has no such rule of the board.
    """
    found = [(rule.since, rule.value) for rule in RULES if rule.name == name and BOARDS[board] in rule.boards]
    if not found:
        raise KeyError(f"no rule {name!r} of {BOARDS[board]}")
    return np.array([since for since, _ in found], "datetime64[D]"), tuple(value for _, value in found)


def in_force(name: str, board: int | np.integer, day: Date) -> Any:
    """Look up what held on a board on a day.

    Parameters
    ----------
    name : str
        Of :data:`NAMES`.
    board : int
        Index into :data:`BOARDS`.
    day : str, date or datetime64

    Returns
    -------
    object
        The value of the last rule up to the day; of the first one before it.
    """
    days, values = history(name, int(board))
    return values[max(int(np.searchsorted(days, one_day(day), side="right")) - 1, 0)]


def in_force_each(name: str, boards: np.ndarray, days: np.ndarray, part: int | None = None) -> np.ndarray:
    """Look up a number of many boards and days.

    Parameters
    ----------
    name : str
        Of :data:`NAMES`.
    boards : ndarray of int (n,)
        Indices into :data:`BOARDS`.
    days : ndarray of datetime64[D] (n,) or scalar
    part : int, optional
        Which number of a value that is a tuple.

    Returns
    -------
    ndarray of float64 (n,)
        NaN where the rule is that there is none.
    """
    boards = np.asarray(boards)
    days = np.broadcast_to(np.asarray(days, "datetime64[D]"), boards.shape)
    out = np.full(boards.shape, np.nan)
    for board in np.unique(boards):
        since, values = history(name, int(board))
        numbers = np.array([np.nan if v is None else float(v if part is None else v[part]) for v in values])
        here = boards == board
        out[here] = numbers[np.maximum(np.searchsorted(since, days[here], side="right") - 1, 0)]
    return out


def unknown_since(last: Date) -> str:
    """Say which rules a day cannot know, for a note beside what was computed from them.

    Parameters
    ----------
    last : str, date or datetime64
        Last day that rules were applied to.

    Returns
    -------
    str
        Empty for a day that the table covers.
    """
    if one_day(last) <= np.datetime64(KNOWN_UNTIL):
        return ""
    return (
        f"the exchanges' rules are known until {KNOWN_UNTIL} (docs/market_rules.md): days after it follow the rules "
        "of that day, and a later change is not in them"
    )


def markdown() -> str:
    """Lay the table out as docs/market_rules.md has it, a section for each rule.

    Returns
    -------
    str
    """
    lines = []
    for name, what in NAMES.items():
        lines += [f"### {name}", "", f"{what}.", "", "| boards | from | value | source |", "|---|---|---|---|"]
        lines += [
            f"| {', '.join(rule.boards)} | {rule.since} | {_shown(rule.value)} | {rule.source} |"
            for rule in RULES
            if rule.name == name
        ]
        lines.append("")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    if value is None or value is True:
        return "none" if value is None else "yes"
    return np.format_float_positional(value, trim="-") if isinstance(value, float) else str(value)


if __name__ == "__main__":
    print(markdown())
