"""The feature tables: from raw trades to 30-minute steps against plain Python, in the lake and on real days."""

import math

import factors_twin
import granular_twin as plain
import numpy as np
import pandas as pd
import pytest
import real_ticks

from mg_assets.assets import TABLES, make
from mg_assets.errors import DataError
from mg_assets.factors import bars_from_trades, day_pass, intraday_factors
from mg_assets.factors.granular import (
    ARRAYS,
    FEATURES,
    FROM_TRADES,
    GRANULARITIES,
    column_names,
    granular_features,
    minutes_of_bars,
)
from mg_assets.lake.store import Lake
from mg_assets.quality import run_suite
from mg_assets.sources.simulated.exchange import SimulatedExchange
from mg_assets.sources.simulated.settings import SimulationSettings

SETTINGS = SimulationSettings(seed=11, stocks=24, end="2013-02-28", tick_start="2013-02-04", orders_per_stock=400)


def arrays_from_trades(rows, prev_close):
    """One stock's ten minute arrays from its session trades (dicts), after the definitions."""
    day = np.array([[bar[n] for bar in factors_twin.stock_bars(rows, prev_close)] for n in ARRAYS[:7]], float)
    sums = {"buy_order": {}, "sell_order": {}}
    for t in rows:
        for key, total in sums.items():
            if t[key] > 0:
                total[t[key]] = total.get(t[key], 0.0) + t["a"]
    logs = [math.log(a) for total in sums.values() for a in total.values()]
    threshold = np.mean(logs) + np.std(logs) + 1e-9 if logs else math.inf
    big = {key: {k for k, a in total.items() if math.log(a) > threshold} for key, total in sums.items()}
    flows = np.zeros((3, 240))
    for t in rows:
        if t["side"]:
            flows[0 if t["side"] == 1 else 1, t["m"]] += t["a"]
        flows[2, t["m"]] += t["a"] * ((t["buy_order"] in big["buy_order"]) - (t["sell_order"] in big["sell_order"]))
    return np.vstack([day, flows])


def expected_features(trades, prev_close, usual_volume, usual_per_trade):
    """``{symbol: {minutes of a bar: (steps, 14)}}`` of a day's trades."""
    out = {}
    for symbol, rows in factors_twin.session_trades(trades).items():
        if rows:
            levels = (x.get(symbol, np.nan) for x in (prev_close, usual_volume, usual_per_trade))
            prev, volume, per_trade = (np.nan if x is None else x for x in levels)
            steps = plain.twin(arrays_from_trades(rows, prev), prev, volume, per_trade)
            out[symbol] = {n: np.array([[s[f] for f in FEATURES] for s in steps[n]]) for n in steps}
    return out


def build(lake: Lake, table: str, keys: list[str], workers: int = 1) -> list:
    return list(make(table, keys, lake, workers=workers))


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """Forty days, the last of them with ticks."""
    lake = Lake(tmp_path_factory.mktemp("features") / "lake")
    source = SimulatedExchange(SETTINGS)
    for day in [pd.Timestamp(d).date() for d in source.days()]:
        raw = [t for t in ("reference", "daily_bars", "trades", "orders") if source.has(t, day)]
        for table in raw:
            lake.write(table, str(day), source.load(table, day).frame)
    for table in ("minute_bars", "daily_bars"):
        for made in build_from(lake, source, table):
            lake.write(table, made.key, made.frame)
    for table in ("intraday_factors", "features_240m"):
        for made in build(lake, table, lake.keys("trades"), workers=2):
            lake.write(made.table, made.key, made.frame)
    return lake


def build_from(lake, source, table):
    return make(table, lake.keys("trades"), lake, source)


def levels(lake, key):
    """Reference price, usual volume and usual amount per trade by symbol, with pandas."""
    days = [d for d in lake.keys("daily_bars") if d <= key][-20:]
    bars = lake.read("daily_bars", days)
    bars = bars[bars["volume"] > 0]
    today = lake.day("daily_bars", key).set_index("symbol")
    shares = (bars["volume"] / bars["adj_factor"]).groupby(bars["symbol"]).agg(["mean", "count"])
    per_trade = (bars["amount"] / bars["num_trades"]).groupby(bars["symbol"]).agg(["mean", "count"])
    usual = (shares["mean"] * today["adj_factor"]).where(shares["count"] >= 10)
    return today["prev_close"].to_dict(), usual.to_dict(), per_trade["mean"].where(per_trade["count"] >= 10).to_dict()


def test_tables_agree_with_plain_python_from_the_raw_trades(lake):
    for key in (lake.keys("trades")[0], lake.keys("trades")[-1]):
        expected = expected_features(lake.day("trades", key), *levels(lake, key))
        for table, n in GRANULARITIES.items():
            frame = lake.day(table, key).set_index("symbol")
            assert list(frame.index) == sorted(expected)
            assert tuple(frame.columns) == column_names(table)
            whole = np.array([expected[s][n].T.ravel() for s in frame.index])
            plain.agree(frame.to_numpy(), whole)
    assert frame.notna().mean().min() > 0.8


def test_intraday_factors_are_those_of_the_frames(lake):
    key = lake.keys("trades")[3]
    frames = [lake.day(t, key) for t in ("trades", "orders", "minute_bars")]
    expected = intraday_factors(*frames).reset_index()
    pd.testing.assert_frame_equal(lake.day("intraday_factors", key), expected, check_exact=False, rtol=1e-9)


def test_one_day_at_a_time_gives_the_bytes_of_the_range(lake):
    key = lake.keys("trades")[-2]
    for made in [m for t in ("intraday_factors", "features_240m") for m in build(lake, t, [key], workers=2)]:
        pd.testing.assert_frame_equal(made.frame, lake.day(made.table, key), check_exact=True)


def test_only_the_daily_bar_waits_for_other_days():
    for table in ("intraday_factors", "features_day", "features_60m", "features_30m"):
        assert all(need.back == need.ahead == 0 for need in TABLES[table].needs)
    assert max(need.back for need in TABLES["features_240m"].needs) == 19


def test_a_day_of_minute_bars_alone_lacks_only_tick_factors(lake, tmp_path):
    key = lake.keys("trades")[-1]
    other = Lake(tmp_path / "lake")
    for day in lake.keys("daily_bars"):
        other.write("daily_bars", day, lake.table("daily_bars", day))
    other.write("minute_bars", key, lake.table("minute_bars", key))
    for table in ("trades", "orders"):
        other.write(table, key, lake.table(table, key).slice(0, 0))
    made_of_it = build(other, "intraday_factors", [key])
    for made in made_of_it:
        other.write(made.table, key, made.frame)
    for made in made_of_it + build(other, "features_240m", [key]):
        if made.table == "intraday_factors":
            assert made.frame["bigorder_amt_perc"].isna().all()
            continue
        found, whole = made.frame.set_index("symbol"), lake.day(made.table, key).set_index("symbol")
        lacking = [c for c in found if c.startswith(FROM_TRADES)]
        assert found[lacking].isna().all().all()
        pd.testing.assert_frame_equal(found.drop(columns=lacking), whole.drop(columns=lacking), rtol=1e-9, atol=1e-12)


def test_suites_pass_on_the_tables(lake):
    for table in ("features_day", *GRANULARITIES):
        outcomes = run_suite(table, lake, lake.keys(table))
        # of 19 stocks two more without enough trades in a half-hour already warn
        assert [(o.name, o.bad[:2]) for o in outcomes if not o.passed and o.name != "nulls"] == []


def test_minutes_of_bars_hold_the_bars_of_the_trades(lake):
    key = lake.keys("trades")[2]
    found = day_pass(lake.file("trades", key), minutes=True)
    bars = lake.day("minute_bars", key)
    symbols, minutes, stated = minutes_of_bars(bars.sample(frac=1, random_state=0))
    assert list(symbols) == list(found.symbols)
    traded = found.minute("volume") > 0
    assert (traded == (minutes[:, 4] > 0)).all()
    for k in range(7):
        plain.agree(minutes[:, k][traded], found.minutes[:, k][traded])
    assert np.isnan(minutes[:, 7:]).all()
    late = ~traded[:, 0]
    np.testing.assert_array_equal(stated[late], levels_of(lake, key, symbols[late]))
    with pytest.raises(DataError, match="twice or outside"):
        minutes_of_bars(pd.concat([bars, bars.tail(1)]))
    with pytest.raises(DataError, match="minute 240"):
        minutes_of_bars(bars.assign(minute=bars["minute"].where(bars["minute"] < 239, 240)))


def levels_of(lake, key, symbols):
    return lake.day("reference", key).set_index("symbol").loc[symbols, "prev_close"].to_numpy()


@pytest.mark.parametrize("day", ["20230201", "20230207"])
def test_a_real_shanghai_day(shared_data, tmp_path, day):
    folder = shared_data / f"l2_sse_600519_{day}"
    if not folder.is_dir():
        pytest.skip(f"{folder} absent")
    trades, _ = real_ticks.shanghai(folder, f"{day[:4]}-{day[4:6]}-{day[6:]}")
    lake = Lake(tmp_path / "lake")
    key = "2023-02-01"
    lake.write("trades", key, trades.sort_values("seq"))
    found = day_pass(lake.file("trades", key), minutes=True)
    prev, usual, per_trade = {"600519.SH": 1845.0}, {"600519.SH": 2.5e6}, {"600519.SH": 9e4}
    values = granular_features(found.minutes, *(np.array(list(x.values())) for x in (prev, usual, per_trade)))
    expected = expected_features(trades, prev, usual, per_trade)["600519.SH"]
    for table, n in GRANULARITIES.items():
        plain.agree(values.table(table)[0], expected[n].T.ravel())
    factors = intraday_factors(trades, None, bars_from_trades(trades)).iloc[0]
    steps = dict(zip(column_names("features_30m"), values.table("features_30m")[0], strict=True))
    plain.agree(steps["active_buy_share_1"], factors["early_active_buy_perc"])
    plain.agree(steps["skew_8"], factors["late_skew_ret"])
