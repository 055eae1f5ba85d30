"""Boards and price limits."""

import numpy as np
import pytest

from mg_assets.market.rules import board_codes, board_of, limit_percent, price_limits, round_to_tick


def test_boards():
    symbols = np.array(["600000.SH", "688001.SH", "000001.SZ", "300001.SZ", "830799.BJ"], dtype=object)
    assert board_of(symbols).tolist() == ["sse_main", "star", "szse_main", "chinext", "bse"]
    with pytest.raises(ValueError, match=r"write it as 600000\.SH"):
        board_codes(np.array(["600000"], dtype=object))


@pytest.mark.parametrize(
    ("symbol", "day", "st", "session", "listed", "expected"),
    [
        ("600000.SH", "2015-01-05", False, 0, None, (10, 10)),
        ("600000.SH", "2015-01-05", True, 0, None, (5, 5)),
        ("300001.SZ", "2020-08-21", True, 0, None, (5, 5)),
        ("300001.SZ", "2020-08-24", True, 0, None, (20, 20)),
        ("688001.SH", "2023-01-05", False, 0, None, (20, 20)),
        ("830799.BJ", "2023-01-05", False, 0, None, (30, 30)),
        ("603001.SH", "2015-01-05", False, 1, "2015-01-05", (44, 36)),
        ("603001.SH", "2015-01-06", False, 2, "2015-01-05", (10, 10)),
        ("300001.SZ", "2019-01-07", False, 1, "2019-01-07", (44, 36)),
        ("301001.SZ", "2021-01-08", False, 5, "2021-01-04", (np.nan, np.nan)),
        ("301001.SZ", "2021-01-11", False, 6, "2021-01-04", (20, 20)),
        ("688001.SH", "2023-01-05", False, 3, "2023-01-03", (np.nan, np.nan)),
        ("601061.SH", "2023-04-10", False, 1, "2023-04-10", (np.nan, np.nan)),
        ("601061.SH", "2023-04-17", False, 6, "2023-04-10", (10, 10)),
        ("830799.BJ", "2023-01-06", False, 2, "2023-01-05", (30, 30)),
    ],
)
def test_limit_percent(symbol, day, st, session, listed, expected):
    up, down = limit_percent(
        board_codes(np.array([symbol], dtype=object)),
        np.datetime64(day),
        np.array([st]),
        np.array([session]),
        np.array([listed or "NaT"], "datetime64[D]"),
    )
    np.testing.assert_array_equal([up[0], down[0]], expected)


def test_limit_prices_round_half_up_and_move_a_tick():
    close = np.array([10.0, 5.25, 7.35, 0.04, 0.01, 1855.01, np.nan, 10.0])
    percent = np.array([10.0, 10, 10, 10, 5, 10, 10, np.nan])
    up, down = price_limits(close, percent, percent)
    np.testing.assert_array_equal(up, [11, 5.78, 8.09, 0.05, 0.02, 2040.51, np.nan, np.nan])
    np.testing.assert_array_equal(down, [9, 4.73, 6.62, 0.03, 0.01, 1669.51, np.nan, np.nan])
    np.testing.assert_array_equal(round_to_tick(np.array([1.005, 2.675, 9.1125, np.nan])), [1.01, 2.68, 9.11, np.nan])
