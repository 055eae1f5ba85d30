"""The exchanges' dated rules: what changed on which day, and the page that shows them."""

import datetime as dt
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mg_portfolio.costs import chinese_costs
from mg_portfolio.exchange_rules import (
    BOARDS,
    KNOWN_UNTIL,
    NAMES,
    RULES,
    board_codes,
    history,
    in_force,
    in_force_each,
    markdown,
    unknown_since,
)

PAGE = Path(__file__).parents[2] / "docs" / "market_rules.md"
CLOSING, AFTER = ("14:57", "15:00"), ("15:05", "15:30")


@pytest.mark.parametrize(
    ("rule", "symbol", "day", "before", "since"),
    [
        ("price_limit_st", "600000.SH", "2026-07-06", 5.0, 10.0),
        ("price_limit_st", "000001.SZ", "2026-07-06", 5.0, 10.0),
        ("price_limit", "300001.SZ", "2020-08-24", 10.0, 20.0),
        ("price_limit_st", "300001.SZ", "2020-08-24", 5.0, 20.0),
        ("free_sessions", "600000.SH", "2013-12-13", 1, 0),
        ("free_sessions", "000001.SZ", "2014-06-13", 1, 0),
        ("free_sessions", "300001.SZ", "2014-06-13", 1, 0),
        ("free_sessions", "300001.SZ", "2020-08-24", 0, 5),
        ("free_sessions", "600000.SH", "2023-04-10", 0, 5),
        ("free_sessions", "000001.SZ", "2023-04-10", 0, 5),
        ("first_day_limit", "600000.SH", "2013-12-13", None, (44.0, 36.0)),
        ("first_day_limit", "000001.SZ", "2014-06-13", None, (44.0, 36.0)),
        ("first_day_limit", "300001.SZ", "2020-08-24", (44.0, 36.0), None),
        ("first_day_limit", "000001.SZ", "2023-04-10", (44.0, 36.0), None),
        ("delisting_free_sessions", "688001.SH", "2020-12-31", 0, 1),
        ("delisting_free_sessions", "600000.SH", "2020-12-31", 0, 1),
        ("closing_auction", "600000.SH", "2018-08-20", None, CLOSING),
        ("after_close", "300001.SZ", "2020-08-24", None, AFTER),
        ("after_close", "600000.SH", "2026-07-06", None, AFTER),
        ("after_close", "000001.SZ", "2026-07-06", None, AFTER),
        ("circuit_breaker", "600000.SH", "2016-01-01", None, (5.0, 7.0)),
        ("circuit_breaker", "300001.SZ", "2016-01-08", (5.0, 7.0), None),
        ("stamp_tax", "600000.SH", "2023-08-28", 0.001, 0.0005),
        ("transfer_fee", "000001.SZ", "2022-04-29", 0.00002, 0.00001),
    ],
)
def test_each_change(rule, symbol, day, before, since):
    (board,) = board_codes([symbol])
    assert in_force(rule, board, np.datetime64(day) - 1) == before
    assert in_force(rule, board, dt.date.fromisoformat(day)) == since


@pytest.mark.parametrize(
    ("rule", "symbol", "value"),
    [
        ("price_limit", "688001.SH", 20.0),
        ("price_limit_st", "920799.BJ", 30.0),
        ("free_sessions", "920799.BJ", 1),
        ("free_sessions", "689009.SH", 5),
        ("after_close", "920799.BJ", None),
        ("after_close", "688001.SH", AFTER),
        ("buy_lot", "302132.SZ", (100, 100)),
        ("buy_lot", "688001.SH", (200, 1)),
        ("buy_lot", "830799.BJ", (100, 1)),
        ("opening_auction", "600000.SH", ("09:15", "09:25")),
        ("tick", "000001.SZ", 0.01),
        ("holding_days", "300001.SZ", 1),
    ],
)
def test_what_holds_today(rule, symbol, value):
    assert in_force(rule, board_codes([symbol])[0], KNOWN_UNTIL) == value


def test_the_table_is_ascending_and_within_its_date():
    for name in NAMES:
        for board in range(len(BOARDS)):
            if any(rule.name == name and BOARDS[board] in rule.boards for rule in RULES):
                days, _ = history(name, board)
                assert all(a < b for a, b in pairwise(days)), (name, BOARDS[board])
                assert days[-1] <= np.datetime64(KNOWN_UNTIL)
    assert {rule.name for rule in RULES} == set(NAMES)
    with pytest.raises(KeyError, match="no rule 'opens' of sse_main"):
        in_force("opens", 0, "2020-01-01")


def test_a_zoned_time_is_of_shanghais_day():
    midnight = pd.Timestamp("2023-08-28", tz="Asia/Shanghai")
    assert in_force("stamp_tax", 0, midnight) == 0.0005
    assert chinese_costs().on(midnight).stamp_tax == 0.0005
    assert chinese_costs().on(midnight - pd.Timedelta(1, "s")).stamp_tax == 0.001


def test_many_lookups_equal_single_ones():
    symbols = ["600000.SH", "000001.SZ", "300001.SZ", "688001.SH", "830799.BJ"] * 3
    days = np.repeat(np.array(["2013-01-04", "2020-08-24", "2026-11-29"], "datetime64[D]"), 5)
    boards = board_codes(symbols)
    for name in ("price_limit", "price_limit_st", "free_sessions", "stamp_tax"):
        single = [in_force(name, b, d) for b, d in zip(boards, days, strict=True)]
        np.testing.assert_array_equal(in_force_each(name, boards, days), single)
    assert np.isnan(in_force_each("first_day_limit", boards[:1], days[-1:], 0)).all()


def test_days_behind_the_table_are_said_to_be_unknown():
    assert unknown_since(KNOWN_UNTIL) == ""
    assert unknown_since(KNOWN_UNTIL + dt.timedelta(1)).startswith(
        f"the exchanges' rules are known until {KNOWN_UNTIL}"
    )


def test_the_page_shows_the_table():
    assert PAGE.read_text().endswith(markdown() + "\n")
