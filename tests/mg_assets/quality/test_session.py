"""A day that does not reach its close is incomplete, unless the calendar says that it ended early."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mg_assets import factors
from mg_assets.lake.store import Lake
from mg_assets.market.sessions import SHORT_SESSIONS, session_end
from mg_assets.quality import run_suite
from mg_assets.quality.session import measure_session
from mg_assets.quality.suite import Measures
from mg_assets.sources.mapped.source import MappedSource

MINUTE = 60_000
OPEN, CLOSE = 565 * MINUTE, 900 * MINUTE  # 09:25, 15:00
CASES = Path(__file__).parents[4] / "shared" / "cases"


def session_of(lake: Lake, table: str, day: str):
    return next(o for o in run_suite(table, lake, [day]) if o.name == "session")


def measured(last, exchange="SH", first=OPEN, day=dt.date(2023, 2, 1)):
    """Measures of stocks of one exchange with the given last times."""
    measures = Measures()
    symbols = np.array([f"{600000 + i}.{exchange}" for i in range(len(last))])
    measure_session(measures, day, symbols, np.full(len(last), first), np.asarray(last))
    return measures


@pytest.mark.parametrize(("table", "cut"), [("trades", "11:00"), ("orders", "11:00"), ("trades", "14:50")])
def test_a_day_cut_before_the_close_is_blocked(clean, tmp_path, table, cut):
    lake, day = Lake(tmp_path), clean.keys("trades")[0]
    frame = clean.day(table, day)
    lake.write(table, day, frame)
    assert session_of(lake, table, day).passed
    lake.write(table, day, frame[frame["time"] < f"{day} {cut}"])
    found = session_of(lake, table, day)
    assert found.blocking
    assert not found.passed
    assert {row["exchange"] for row in found.bad} == {"SH", "SZ"}
    assert all(row["last"] < cut and row["expected"].endswith("14:57:00") for row in found.bad)


def test_minute_bars_without_the_afternoon_are_blocked(clean, tmp_path):
    lake, day = Lake(tmp_path), clean.keys("trades")[0]
    trades = clean.day("trades", day)
    lake.write("minute_bars", day, factors.bars_from_trades(trades))
    assert session_of(lake, "minute_bars", day).passed
    lake.write("minute_bars", day, factors.bars_from_trades(trades[trades["time"].dt.hour < 13]))
    found = session_of(lake, "minute_bars", day)
    assert not found.passed
    assert [row["measure"] for row in found.bad] == ["short_exchanges", "short_exchanges"]


def test_a_stock_suspended_during_the_session_is_no_error(clean, tmp_path):
    lake, day = Lake(tmp_path), clean.keys("trades")[0]
    trades = clean.day("trades", day)
    suspended = (trades["symbol"] == "600003.SH") & (trades["time"].dt.hour >= 10)
    lake.write("trades", day, trades[~suspended])
    assert session_of(lake, "trades", day).passed


def test_share_of_stocks_that_end_early_has_a_limit():
    for early, share in ((10, 0.4), (15, 0.6)):
        found = measured([CLOSE] * (25 - early) + [870 * MINUTE] * early)
        assert found.values["unclosed_share"] == pytest.approx(share)
        assert found.values["short_exchanges"] == 0
        assert found.examples["unclosed_share"][0]["ended_early"] == f"{share:.1%}"
    assert "unclosed_share" not in measured([CLOSE] * 19).values


def test_a_market_that_opens_late_is_found():
    assert measured([CLOSE] * 3, first=780 * MINUTE).values["late_exchanges"] == 1
    assert measured([CLOSE] * 3, first=570 * MINUTE).values["late_exchanges"] == 0


def test_exchanges_with_one_stock_each_are_measured_together():
    symbols = np.array(["000001.SZ", "600000.SH"])
    found = Measures()
    measure_session(found, dt.date(2023, 2, 1), symbols, np.full(2, OPEN), np.array([660 * MINUTE, CLOSE]))
    assert found.values["short_exchanges"] == 0
    measure_session(found, dt.date(2023, 2, 1), symbols, np.full(2, OPEN), np.full(2, 660 * MINUTE))
    assert found.values["short_exchanges"] == 1
    assert found.examples["short_exchanges"][0]["exchange"] == "SH+SZ"


@pytest.mark.parametrize("day", sorted(SHORT_SESSIONS), ids=str)
def test_circuit_breaker_days_end_when_the_exchange_closed(day):
    end = session_end(day)
    ended = (end.hour * 60 + end.minute) * MINUTE
    assert measured([ended - 20_000] * 30, day=day).values["short_exchanges"] == 0
    assert measured([ended - 10 * MINUTE] * 30, day=day).values["short_exchanges"] == 1
    assert measured([ended - 20_000] * 30, day=day + dt.timedelta(1)).values["short_exchanges"] == 1
    assert session_end(day + dt.timedelta(1)) == dt.time(15, 0)


def test_minute_bars_of_the_circuit_breaker_day_pass(tmp_path):
    if not CASES.is_dir():
        pytest.skip(f"cases absent: {CASES}")
    source = MappedSource("minute_tushare", CASES / "circuit_breaker_20160107", files={"minute": "stk_mins.csv"})
    lake, bars = Lake(tmp_path), source.load("minute_bars", dt.date(2016, 1, 7)).frame
    for day, passes in (("2016-01-07", True), ("2016-01-08", False)):
        lake.write("minute_bars", day, pd.DataFrame(bars))
        assert session_of(lake, "minute_bars", day).passed == passes
