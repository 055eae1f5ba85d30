"""The intraday factors against their naive twin."""

from concurrent.futures import ThreadPoolExecutor

import factors_twin as twin
import numpy as np
import pandas as pd
import pytest
import random_ticks
from hypothesis import given, settings
from hypothesis import strategies as st

from mg_assets.errors import DataError
from mg_assets.factors import (
    ALL34,
    FACTORS,
    HF27,
    MINUTE,
    MONITOR,
    ORDER,
    TRADE,
    bars_from_trades,
    intraday_factors,
    minute_factors,
    monitor_factors,
    order_factors,
    trade_factors,
)


def shuffled(frame, seed=0):
    """Stocks interleaved at random; rows of equal seq keep their order."""
    at = np.random.default_rng(seed).permutation(len(frame))
    for _, rows in frame.groupby(["symbol", "seq"]).indices.items():
        where = np.flatnonzero(np.isin(at, rows))
        at[where] = np.sort(at[where])
    return frame.iloc[at]


@pytest.mark.parametrize("seed", range(12))
def test_random_days_agree_with_the_twin(seed):
    trades, orders = random_ticks.random_day(seed)
    prev = {"600000.SH": 9.9, "600001.SH": float("nan")}
    bars = bars_from_trades(trades, prev)
    twin.agree(intraday_factors(trades, orders, bars), twin.all_factors(ALL34, trades, orders, bars))


def test_a_heavy_day_agrees_with_the_twin():
    trades, orders = random_ticks.random_day(4, stocks=1, most=6000)
    assert trades["buy_order"].nunique() > 3000  # the order tables double more than once
    bars = bars_from_trades(trades)
    twin.agree(intraday_factors(trades, orders, bars), twin.all_factors(ALL34, trades, orders, bars))


def test_order_ids_of_any_size_are_distinguished():
    trades, _ = random_ticks.random_day(7)
    expected = trade_factors(trades)
    for stride in (2**20, 2**30 + 1):
        far = trades.assign(**{c: trades[c] * stride for c in ("buy_order", "sell_order")})
        pd.testing.assert_frame_equal(trade_factors(far), expected)


def test_days_in_threads_give_the_same_bits_as_one_after_another():
    days = [random_ticks.random_day(seed) for seed in range(8)]

    def run(day):
        return intraday_factors(*day, bars_from_trades(day[0]))

    expected = [run(day) for day in days]
    with ThreadPoolExecutor(4) as pool:
        for found, alone in zip(pool.map(run, days * 3), expected * 3, strict=True):
            pd.testing.assert_frame_equal(found, alone)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    multiple=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    absent=st.sets(st.sampled_from(["trades", "orders", "bars"])),
)
def test_any_day_with_any_table_absent_agrees_with_the_twin(seed, multiple, absent):
    trades, orders = random_ticks.random_day(seed, stocks=2, most=120)
    bars = bars_from_trades(trades)
    tables = {"trades": trades, "orders": orders, "bars": bars}
    kept = {k: v for k, v in tables.items() if k not in absent}
    found = intraday_factors(kept.get("trades"), kept.get("orders"), kept.get("bars"), big_order_std=multiple)
    twin.agree(found, twin.all_factors(ALL34, **kept, multiple=multiple))
    assert found.attrs["big_order_std"] == multiple


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_minute_bars_agree_with_the_twin(data):
    """Bars of hypothesis' own making: missing minutes, zero prices, no counts, a previous close or none."""
    n = data.draw(st.integers(0, 60))
    minutes = data.draw(st.lists(st.integers(0, 239), min_size=n, max_size=n, unique=True))
    cents = st.integers(1000, 1010)
    rows = []
    for m in minutes:
        a, b = data.draw(cents), data.draw(cents)
        volume = data.draw(st.sampled_from([0, 100, 100, 200, 300]))
        count = data.draw(st.sampled_from([1, 2, 3])) if volume else 0
        open_ = data.draw(st.sampled_from([min(a, b)] * 9 + [0])) / 100
        rows.append(("A", m, open_, max(a, b) / 100, min(a, b) / 100, b / 100, volume, volume * b / 100, count))
    bars = pd.DataFrame(
        rows, columns=["symbol", "minute", "open", "high", "low", "close", "volume", "amount", "num_trades"]
    )
    if data.draw(st.booleans()):
        bars["prev_close"] = data.draw(st.sampled_from([10.0, 0.0, float("nan")]))
    if data.draw(st.booleans()):
        bars["num_trades"] = float("nan")
    names = (*MINUTE, "intraday_skew", "improved_reversal", "tail_volume_share")
    found = minute_factors(bars).join(monitor_factors(bars, None, None)[list(names[15:])])
    twin.agree(found[list(names)], twin.all_factors(names, bars=bars))


def test_single_families_are_the_columns_of_all():
    trades, orders = random_ticks.random_day(3)
    bars = bars_from_trades(trades)
    every = intraday_factors(trades, orders, bars)
    pd.testing.assert_frame_equal(minute_factors(bars), every.loc[minute_factors(bars).index, list(MINUTE)])
    pd.testing.assert_frame_equal(trade_factors(trades), every.loc[trade_factors(trades).index, list(TRADE)])
    pd.testing.assert_frame_equal(monitor_factors(bars, trades, orders), every[list(MONITOR)])
    traded = bars["symbol"].unique()
    pd.testing.assert_frame_equal(order_factors(orders).loc[traded], every.loc[traded, list(ORDER)])


def test_rows_in_any_order_and_string_type_give_the_same_bits():
    trades, orders = random_ticks.random_day(5)
    bars = bars_from_trades(trades)
    expected = intraday_factors(trades, orders, bars)
    for kind in ("object", "category", "string[pyarrow]", "string[python]"):
        mixed = [shuffled(trades).astype({"symbol": kind}), shuffled(orders).astype({"symbol": kind, "kind": kind})]
        found = intraday_factors(*mixed, bars.sample(frac=1, random_state=1).astype({"symbol": kind}))
        pd.testing.assert_index_equal(found.index.astype("str"), expected.index.astype("str"))
        # Moments of orders add up in the rows' order, the rest is bit for bit the same.
        flow = [n for n in ALL34 if n not in ORDER and "intent" not in n]
        np.testing.assert_array_equal(found[flow].to_numpy(), expected[flow].to_numpy())
        twin.agree(found.set_axis(expected.index), expected)


def test_time_units_and_nullable_columns_do_not_matter():
    trades, orders = random_ticks.random_day(6)
    bars = bars_from_trades(trades)
    expected = intraday_factors(trades, orders, bars)
    nullable = trades.assign(time=trades["time"].astype("datetime64[ns]")).convert_dtypes()
    arrow = orders.assign(time=orders["time"].astype("timestamp[ms][pyarrow]")).astype(
        {"price": "double[pyarrow]", "volume": "int64[pyarrow]", "side": "int8[pyarrow]"}
    )
    pd.testing.assert_frame_equal(intraday_factors(nullable, arrow, bars), expected)


def test_one_stock_alone_equals_the_stock_among_others():
    trades, orders = random_ticks.random_day(1, stocks=5)
    bars = bars_from_trades(trades)
    every = intraday_factors(trades, orders, bars)
    for symbol in every.index:
        alone = intraday_factors(*(t[t["symbol"] == symbol] for t in (trades, orders, bars)))
        pd.testing.assert_frame_equal(alone, every.loc[[symbol]])


def test_a_suspended_stock_is_nan_throughout_with_its_orders():
    trades, orders = (t[t["symbol"] == "600000.SH"] for t in random_ticks.random_day(7))
    only_orders = orders.assign(symbol="000001.SZ")
    aside = trades.head(1).assign(symbol="000002.SZ", volume=0)
    found = intraday_factors(pd.concat([trades, aside]), pd.concat([orders, only_orders]), bars_from_trades(trades))
    assert list(found.index) == ["000001.SZ", "000002.SZ", "600000.SH"]
    assert found.loc[["000001.SZ", "000002.SZ"]].isna().all(axis=None)
    assert found.loc["600000.SH", list(ORDER)].notna().all()


def test_no_rows_and_no_tables():
    trades, orders = (t.iloc[:0] for t in random_ticks.random_day(0))
    empty = intraday_factors(trades, orders, bars_from_trades(trades))
    assert empty.shape == (0, len(ALL34))
    assert intraday_factors(None, None, None).shape == (0, len(ALL34))
    assert list(trade_factors(trades).columns) == list(TRADE)


def test_names_order_and_directions():
    assert (len(MINUTE), len(TRADE), len(ORDER), len(MONITOR)) == (15, 8, 4, 7)
    assert HF27 == MINUTE + TRADE + ORDER
    assert ALL34 == HF27 + MONITOR == tuple(FACTORS)
    positive = {n for n, f in FACTORS.items() if f.direction == 1}
    assert positive == {
        "down_vol_perc", "corr_close_nextopen", *(f"volume_perc{k}" for k in range(2, 8)), "early_corr_volume_ret",
        "down_single_amt_perc", "bigorder_amt_perc", "early_bigorder_buy_perc", "early_active_bigorder_ret",
        "early_active_buy_perc", "open_buy_intent_share", "open_buy_intent_strength", "open_big_net_buy_share",
        "open_big_net_buy_strength",
    }  # fmt: skip
    assert all(f.direction in (1, -1) and f.needs and f.formula and f.source for f in FACTORS.values())


@pytest.mark.parametrize("name", ALL34)
def test_a_factor_needs_the_tables_that_its_spec_names(name):
    trades, orders = random_ticks.random_day(4)
    given_tables = {"trades": trades, "orders": orders, "minute_bars": bars_from_trades(trades)}
    for table in given_tables:
        found = intraday_factors(**given_tables | {table: None})[name]
        assert found.isna().all() == (table in FACTORS[name].needs)


def test_errors_name_the_table_the_place_and_the_remedy():
    trades, orders = random_ticks.random_day(4)
    bars = bars_from_trades(trades)
    with pytest.raises(DataError, match=r"'trades' lacks the columns \['side'\]"):
        trade_factors(trades.drop(columns="side"))
    with pytest.raises(DataError, match=r"600001.SH has minute 5 twice"):
        minute_factors(pd.concat([bars, bars[(bars["symbol"] == "600001.SH") & (bars["minute"] == 5)]]))
    with pytest.raises(DataError, match=r"minute 240"):
        minute_factors(bars.assign(minute=bars["minute"] + 1))
    with pytest.raises(DataError, match=r"order kind was 'iceberg' in row 1"):
        order_factors(orders.assign(kind="iceberg"))
    with pytest.raises(DataError, match=r"order kind was 'iceberg' in row 1"):
        order_factors(orders.assign(kind=pd.Categorical(["iceberg"] * len(orders))))
    with pytest.raises(DataError, match=r"rows have no time"):
        trade_factors(trades.assign(time=pd.NaT).astype({"time": "datetime64[ms]"}))
    with pytest.raises(DataError, match=r"rows have no symbol"):
        order_factors(orders.assign(symbol=None))
    with pytest.raises(DataError, match=r"'time' was .*UTC"):
        trade_factors(trades.assign(time=trades["time"].dt.tz_localize("UTC")))
    with pytest.raises(DataError, match=r"column 'price' was"):
        trade_factors(trades.assign(price="ten"))
