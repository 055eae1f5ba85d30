"""The tables daily_factors and common_factors: built from a lake, one day or many, and held to their suites."""

import numpy as np
import pandas as pd
import pytest

from mg_assets.assets import make
from mg_assets.factors.daily import BARS, DAILY42, FUNDAMENTALS, DailySeries, daily_factors
from mg_assets.factors.registry import COMMON as COMMON_PASSPORTS
from mg_assets.factors.registry import DAILY as DAILY_PASSPORTS
from mg_assets.factors.registry import PASSPORTS
from mg_assets.factors.style_factors import COMMON, common_factors
from mg_assets.lake.store import Lake
from mg_assets.quality import run_suite
from mg_assets.quality.daily_factors import TABLES, columns_of, daily_bounds
from mg_assets.sources.simulated.exchange import SimulatedExchange
from mg_assets.sources.simulated.settings import SimulationSettings

SETTINGS = SimulationSettings(seed=3, stocks=80, end="2013-12-31", tick_start="2013-12-31")
MADE = 90  # days whose factors are made


def build(lake: Lake, keys: list[str], workers: int = 1) -> list:
    return list(make("daily_factors", keys, lake, workers=workers))


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("daily") / "lake")
    source = SimulatedExchange(SETTINGS)
    days = [pd.Timestamp(d).date() for d in source.days()[:-1]]
    for day in days:
        for table in ("daily_bars", "reference"):
            lake.write(table, str(day), source.load(table, day).frame)
    for made in build(lake, lake.keys("daily_bars")[-MADE:], workers=2):
        lake.write(made.table, made.key, made.frame)
    return lake


def test_tables_hold_what_the_library_computes(lake):
    days = lake.keys("daily_bars")
    assert lake.keys("daily_factors") == lake.keys("common_factors") == days[-MADE:]
    bars = lake.panel("daily_bars", days, BARS)
    facts = lake.panel("reference", days, FUNDAMENTALS, bars.symbols)
    series = DailySeries(bars.values | facts.values)
    for table, names, values in (
        ("daily_factors", DAILY42, daily_factors(series, MADE)),
        ("common_factors", COMMON, common_factors(series, MADE)),
    ):
        found = lake.panel(table, days[-MADE:], names, bars.symbols)
        np.testing.assert_array_equal(found.stack(names), values)
        assert list(lake.day(table, days[-1])["symbol"]) == list(lake.day("daily_bars", days[-1])["symbol"])


def test_one_day_at_a_time_gives_the_bytes_of_the_range(lake):
    for key in lake.keys("daily_factors")[:: MADE // 3]:
        for made in build(lake, [key]):
            pd.testing.assert_frame_equal(made.frame, lake.day(made.table, key), check_exact=True)


def test_days_without_bars_do_not_stop_the_others(lake, tmp_path):
    other = Lake(tmp_path / "lake")
    days = lake.keys("daily_bars")
    for day in days[-30:]:
        if day != days[-10]:
            for table in ("daily_bars", "reference"):
                other.write(table, day, lake.table(table, day))
    made = {(b.table, b.key): b for b in build(other, [days[-11], days[-9]])}
    short = made["daily_factors", days[-9]]
    assert "con_eps_g" in short.metadata["null everywhere"]  # 63 days are not there
    assert np.isfinite(short.frame["std_ret_10d"]).mean() > 0.9


def test_suites_pass_and_see_a_wrong_unit(lake, tmp_path):
    for table in ("daily_factors", "common_factors"):
        outcomes = run_suite(table, lake, lake.keys(table)[-20:])
        assert [o.name for o in outcomes if not o.passed] == []
    other = Lake(tmp_path / "lake")
    for table in ("daily_factors", "reference"):
        for key in lake.keys("daily_factors"):
            other.write(table, key, lake.table(table, key))
    last = lake.keys("daily_factors")[-1]
    frame = lake.day("daily_factors", last)
    frame[list(DAILY42[7:33])] = 0.5  # 26 of 42 stand still
    frame["corr_ret_vol"] = 1.5
    frame["bp_lf"] = np.nan
    other.write("daily_factors", last, frame)
    outcomes = {o.name: o for o in run_suite("daily_factors", other, [last])}
    assert {n for n, o in outcomes.items() if not o.passed} == {"ranges", "nulls", "drift"}
    assert {row["column"] for row in outcomes["ranges"].bad if "column" in row} == {"corr_ret_vol"}


def test_passports_and_tables_name_the_same_factors():
    assert DAILY_PASSPORTS == DAILY42
    assert COMMON_PASSPORTS == COMMON
    for table in TABLES:
        for name in columns_of(table):
            low, high = daily_bounds(table, name)
            assert low < high
            if table == "features_day" and name in ("volume", "amount", "num_trades"):
                continue  # totals, no factors
            base = name.rpartition("_")[0] if name not in PASSPORTS else name
            if PASSPORTS[base].units == "correlation":
                assert (low, high) == (-1, 1)


def test_values_stay_within_their_bounds(lake):
    for table in ("daily_factors", "common_factors"):
        frame = lake.read(table, lake.keys(table))
        for name in columns_of(table):
            low, high = daily_bounds(table, name)
            assert frame[name].dropna().between(low, high).all(), name
