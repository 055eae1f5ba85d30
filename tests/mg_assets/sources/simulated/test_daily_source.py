"""The simulated exchange as a source: settings, tables, fingerprints, one simulation a day."""

import datetime as dt
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mg_assets.errors import SourceError
from mg_assets.lake.frames import conform
from mg_assets.market.calendar import trading_days
from mg_assets.market.schema import INDICES, SCHEMAS
from mg_assets.sources.simulated import SimulatedExchange, SimulationSettings, daily_market, plan_day
from mg_assets.sources.simulated.exchange import recent_days

SETTINGS = SimulationSettings(
    stocks=60, start="2020-01-02", end="2020-12-31", tick_start="2020-09-01", orders_per_stock=120
)
BEFORE, AFTER = dt.date(2020, 6, 15), dt.date(2020, 9, 2)


@pytest.fixture(scope="module")
def source():
    return SimulatedExchange(SETTINGS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stocks": 9}, "stocks was 9"),
        ({"stocks": 50.0}, "stocks was 50.0"),
        ({"seed": -1}, "seed was -1"),
        ({"alpha_strength": 4}, "alpha_strength was 4"),
        ({"alpha_strength": float("nan")}, "alpha_strength was nan"),
        ({"orders_per_stock": True}, "orders_per_stock was True"),
        ({"start": "2013/01/04"}, "write a date as 2013-01-04"),
        ({"end": None}, "end was None"),
        ({"end": "2012-01-04"}, "before start"),
        ({"start": "2020-01-25", "end": "2020-01-27"}, "no trading day"),
        ({"start": "1994-01-04"}, "trading calendar has"),
        ({"end": "2099-01-04"}, "trading calendar has"),
        ({"index_sizes": (100, 100, 100)}, "index_sizes was"),
        ({"index_sizes": (0, 5, 5)}, "index_sizes was"),
    ],
)
def test_bad_settings_are_named(change, message):
    with pytest.raises(SourceError, match=message):
        SimulationSettings(**change)


def test_settings_are_hashable_values():
    a = SimulationSettings(start="2013-01-04", index_sizes=[10, 20, 30])
    assert a == SimulationSettings(start=dt.date(2013, 1, 4), index_sizes=(10, 20, 30))
    assert hash(a) == hash(replace(a))
    assert SimulationSettings(stocks=5000).members == (300, 500, 1000)
    assert SimulationSettings(stocks=200).members == (24, 44, 67)


def test_source_says_what_it_has(source):
    np.testing.assert_array_equal(source.days(), trading_days("2020-01-02", "2020-12-31"))
    table_days = {
        "trades": (False, True),
        "orders": (False, True),
        "daily_bars": (True, False),
        "minute_bars": (False, False),
        "reference": (True, True),
        "planted_signal": (True, True),
    }
    for table, (before, after) in table_days.items():
        assert source.has(table, BEFORE) is before
        assert source.has(table, AFTER) is after
        assert not source.has(table, dt.date(2020, 6, 14))  # a Sunday
        assert not source.has(table, dt.date(2019, 12, 31))
    everyday = SimulatedExchange(replace(SETTINGS, tick_start=None))
    assert everyday.has("trades", BEFORE)
    assert not everyday.has("daily_bars", BEFORE)


def test_what_it_has_not_is_refused(source):
    with pytest.raises(SourceError, match=r"no 'trades' on 2020-06-15.*from 2020-09-01"):
        source.load("trades", BEFORE)


@pytest.mark.parametrize("table", ["reference", "planted_signal", "daily_bars"])
def test_tables_fit_their_schema(source, table):
    day = source.load(table, BEFORE)
    data = conform(table, day.frame)
    assert data.column_names == SCHEMAS[table].names == list(day.frame.columns)
    assert day.frame["symbol"].is_monotonic_increasing
    assert len(day.quarantine) == 0
    assert day.notes["rows"] == len(day.frame) > 40


def test_reference_agrees_with_the_market(source):
    market = daily_market(SETTINGS)
    frame = source.load("reference", BEFORE).frame.set_index("symbol")
    d = market.row(BEFORE)
    here = market.listed[d]
    np.testing.assert_array_equal(frame.index, market.symbols[here])
    np.testing.assert_array_equal(frame["prev_close"], market.prev_close[d, here])
    for index in INDICES:
        np.testing.assert_array_equal(frame[f"{index}_member"], market.members(index)[d, here])
        np.testing.assert_allclose(frame[f"{index}_weight"], market.weights(index)[d, here], rtol=1e-12)
        assert frame[f"{index}_weight"].sum() == pytest.approx(1, abs=1e-12)
    covered = frame["roe_fy1"].notna()
    assert 0.6 < covered.mean() < 0.95
    np.testing.assert_array_equal(covered, frame["np_fy1"].notna())
    assert frame[["pb", "pe_ttm", "pcf_ttm", "dividend_yield_12m"]].notna().all(axis=None)
    assert (frame["pb"] > 0).all()
    assert frame["dividend_yield_12m"].between(0, 0.3).all()


def test_reference_knows_nothing_of_later_days():
    """A market that ends on the day has the same rows of it as one that goes on for a year."""
    whole = SimulatedExchange(SimulationSettings(stocks=120, start="2018-01-02", end="2019-12-31"))
    for day in (dt.date(2018, 4, 25), dt.date(2018, 6, 11), dt.date(2018, 12, 10), dt.date(2019, 5, 6)):
        cut = SimulatedExchange(replace(whole.settings, end=day))
        for table in ("reference", "planted_signal"):
            pd.testing.assert_frame_equal(cut.load(table, day).frame, whole.load(table, day).frame)


def test_delisting_dates_appear_when_they_are_announced():
    settings = SimulationSettings()
    market, source = daily_market(settings), SimulatedExchange(settings)
    gone = np.flatnonzero(market.announced < len(market.days))
    for s in gone[:4]:
        d, symbol = int(market.announced[s]), market.symbols[s]
        eve = source.load("reference", market.days[d - 1].item()).frame.set_index("symbol")
        news = source.load("reference", market.days[d].item()).frame.set_index("symbol")
        assert pd.isna(eve.loc[symbol, "delist_date"])
        assert news.loc[symbol, "delist_date"] == pd.Timestamp(market.delist_date[s])
        assert news.loc[symbol, "st"]


def test_figures_are_slow_and_change_only_on_report_days():
    market = daily_market(SimulationSettings(stocks=120, start="2018-01-02", end="2019-12-31"))
    whole = market.close * market.float_shares  # a split leaves it as it is; unlocked shares are rare
    book = whole / market.fundamentals["pb"]
    with np.errstate(invalid="ignore"):
        step = np.abs(book[1:] / book[:-1] - 1)
    month = market.days.astype("datetime64[M]").astype(int)[1:] % 12 + 1
    quiet = ~np.isin(month, (4, 5, 6, 7, 8, 9, 10, 11))
    moved = np.nan_to_num(step) > 2e-3
    assert moved[quiet].mean() < 0.002
    assert moved[np.isin(month, (4, 8, 10))].mean() > 0.02
    forecast = market.fundamentals["roe_fy1"][:, np.isfinite(market.fundamentals["roe_fy1"]).all(axis=0)]
    revised = forecast[1:] != forecast[:-1]
    assert 0.02 < revised.mean() < 0.06
    growth = np.abs(market.fundamentals["np_fy1"][63:] / market.fundamentals["np_fy1"][:-63] - 1)
    assert 0.01 < np.nanmedian(growth) < 0.5


def test_daily_bars_are_the_markets(source):
    market = daily_market(SETTINGS)
    d = market.row(BEFORE)
    frame = source.load("daily_bars", BEFORE).frame
    here = market.listed[d]
    for name in ("open", "high", "low", "close", "vwap", "prev_close", "up_limit", "down_limit", "amount", "volume"):
        np.testing.assert_array_equal(frame[name], getattr(market, name)[d, here])


def test_ticks_realise_the_plan(source):
    """Open, close and volume of the ticks are the daily layer's; trade counts do not jump at tick_start."""
    trades = source.load("trades", AFTER).frame
    orders = source.load("orders", AFTER).frame
    conform("trades", trades)
    conform("orders", orders)
    market = daily_market(SETTINGS)
    plan = plan_day(market, AFTER)
    by = trades.groupby("symbol")
    assert sorted(by.groups) == plan.symbols[~plan.suspended].tolist()
    live = ~plan.suspended
    np.testing.assert_array_equal(by["price"].last(), plan.close[live])
    np.testing.assert_array_equal(by["price"].first(), plan.open[live])
    ratio = by["volume"].sum().to_numpy() / plan.volume[live]
    assert 0.8 < np.median(ratio) < 1.25
    count = by.size().to_numpy() / market.num_trades[market.row(AFTER), market.listed[market.row(AFTER)]][live]
    assert 0.6 < np.median(count) < 1.6


def test_a_pickled_source_is_the_same(source):
    twin = pickle.loads(pickle.dumps(source))
    assert twin == source
    assert twin.name == "simulated"
    pd.testing.assert_frame_equal(twin.load("reference", BEFORE).frame, source.load("reference", BEFORE).frame)


def test_fingerprint_moves_with_what_reaches_the_table_alone(source):
    def prints(**change):
        other = SimulatedExchange(replace(SETTINGS, **change))
        return [other.fingerprint(t, AFTER) == source.fingerprint(t, AFTER) for t in ("trades", "reference")]

    assert prints() == [True, True]
    assert prints(end="2021-06-30") == [True, True]
    assert prints(tick_start=None) == [True, True]
    assert prints(orders_per_stock=130) == [False, True]
    assert prints(alpha_strength=0.5) == [False, False]
    assert prints(seed=7) == [False, False]
    assert source.fingerprint("trades", AFTER) != source.fingerprint("orders", AFTER)
    assert source.fingerprint("trades", AFTER) != source.fingerprint("trades", dt.date(2020, 9, 3))


def frame(rows):
    return {"trades": pd.DataFrame({"x": range(rows)}), "orders": pd.DataFrame({"x": range(rows)})}


def test_a_day_is_simulated_once_for_all_threads():
    recent, made, gate = recent_days(), [], threading.Barrier(8)

    def make(key):
        made.append(key)
        return frame(10)

    def ask(k):
        gate.wait()
        return recent((k % 2,), lambda: make(k % 2))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert sorted(made) == [0, 1]


def test_only_the_last_days_are_kept_and_a_failure_is_not():
    recent, made = recent_days(days=2, rows=100), []
    for key in (1, 2, 3, 3, 2, 1):
        recent((key,), lambda key=key: made.append(key) or frame(10))
    assert made == [1, 2, 3, 1]
    recent(("large",), lambda: frame(1000))
    recent((1,), lambda: made.append("again") or frame(10))
    assert made[-1] == "again"

    def fail():
        raise SourceError("first try")

    with pytest.raises(SourceError, match="first try"):
        recent((9,), fail)
    assert len(recent((9,), lambda: frame(1))["trades"]) == 1
