"""Minute bars from trades and daily bars from minute bars."""

import factors_twin as twin
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import random_ticks

from mg_assets.errors import DataError
from mg_assets.factors import bars_from_trades, daily_from_minutes
from mg_assets.lake.frames import conform
from mg_assets.market.schema import MINUTE_BARS, PERIOD_BARS

FIELDS = ["open", "high", "low", "close", "volume", "amount", "num_trades"]


def reference_of(symbols, **columns):
    frame = pd.DataFrame(
        {
            "symbol": symbols,
            "prev_close": 10.0,
            "adj_factor": 2.0,
            "up_limit": 11.0,
            "down_limit": 9.0,
            "suspended": False,
            "st": False,
            "float_shares": 1e8,
        }
    )
    return frame.assign(**columns)


@pytest.mark.parametrize("seed", range(10))
def test_bars_agree_with_the_twin(seed):
    trades, _ = random_ticks.random_day(seed)
    prev = {"600000.SH": 9.5 if seed % 2 else 0.85, "600001.SH": np.nan, "600002.SH": 0.0}
    found = bars_from_trades(trades, prev)
    session = {s: rows for s, rows in twin.session_trades(trades).items() if rows}
    assert list(found["symbol"].unique()) == list(session)
    for symbol, rows in session.items():
        expected = pd.DataFrame(twin.stock_bars(rows, prev.get(symbol)))[FIELDS].astype(float)
        np.testing.assert_allclose(
            found.loc[found["symbol"] == symbol, FIELDS].to_numpy(float), expected.to_numpy(), rtol=1e-12, atol=0
        )
    assert conform("minute_bars", found).schema == MINUTE_BARS


def test_prev_close_may_be_a_series_and_symbols_categories():
    trades, _ = random_ticks.random_day(4)
    prev = {"600000.SH": 9.5, "600002.SH": 9.6}
    expected = bars_from_trades(trades, prev)
    found = bars_from_trades(trades.sample(frac=1, random_state=0).sort_values("seq", kind="stable"), pd.Series(prev))
    assert found["volume"].sum() == expected["volume"].sum()
    categories = bars_from_trades(trades.astype({"symbol": "category"}), pd.Series(prev))
    pd.testing.assert_frame_equal(categories, expected)


@pytest.mark.parametrize(
    ("time", "minute"),
    [
        ("09:15:00.000", 0), ("09:25:00.000", 0), ("09:30:00.000", 0), ("09:30:59.999", 0), ("09:31:00.000", 1),
        ("11:29:59.999", 119), ("11:30:00.000", 119), ("12:59:59.999", 119), ("13:00:00.000", 120),
        ("14:59:59.999", 239), ("15:00:00.000", 239), ("15:04:59.999", 239),
    ],
)  # fmt: skip
def test_clock(time, minute):
    bars = bars_from_trades(random_ticks.trades_frame([("A", time, 1, 10.0, 100, 1, 2, 0)]))
    assert bars.loc[bars["volume"] > 0, "minute"].tolist() == [minute]


def test_carried_prices():
    rows = [("A", "09:31:00.000", 1, 10.0, 100, 1, 2, 0), ("A", "09:33:00.000", 2, 11.0, 100, 1, 2, 0)]
    bars = bars_from_trades(random_ticks.trades_frame(rows), {"A": 9.0})
    assert bars["close"].tolist() == [9.0, 10.0, 10.0] + [11.0] * 237
    empty = bars[bars["volume"] == 0]
    assert len(empty) == 238
    assert empty[["open", "high", "low"]].eq(empty["close"], axis=0).all(axis=None)
    unknown = bars_from_trades(random_ticks.trades_frame(rows))
    assert unknown["close"].isna().tolist() == [True] + [False] * 239
    assert len(bars_from_trades(random_ticks.trades_frame([("A", "15:30:00.000", 1, 10.0, 100, 1, 2, 0)]))) == 0


@pytest.mark.parametrize("seed", range(6))
def test_daily_bars_add_up(seed):
    trades, _ = random_ticks.random_day(seed)
    bars = bars_from_trades(trades, {"600000.SH": 9.5})
    reference = reference_of(["600002.SH", "600000.SH", "600001.SH", "000001.SZ"])
    daily = daily_from_minutes(bars.sample(frac=1, random_state=seed), reference)
    assert conform("daily_bars", daily).schema == PERIOD_BARS
    assert list(daily["symbol"]) == ["000001.SZ", "600000.SH", "600001.SH", "600002.SH"]
    session = twin.session_trades(trades)
    for row in daily.to_dict("records"):
        rows = session.get(row["symbol"], [])
        if not rows:
            assert (row["open"], row["high"], row["low"], row["close"]) == (10.0,) * 4
            assert (row["volume"], row["amount"], row["num_trades"]) == (0, 0, 0)
            assert np.isnan(row["vwap"])
            continue
        prices = [t["price"] for t in rows]
        by_minute = {}
        for t in rows:
            by_minute.setdefault(t["m"], []).append(t["price"])
        assert row["open"] == by_minute[min(by_minute)][0]
        assert row["close"] == by_minute[max(by_minute)][-1]
        assert (row["high"], row["low"]) == (max(prices), min(prices))
        assert row["volume"] == sum(t["volume"] for t in rows)
        assert row["num_trades"] == len(rows)
        assert row["amount"] == pytest.approx(sum(t["a"] for t in rows))
        assert row["vwap"] == pytest.approx(row["amount"] / row["volume"])
    assert (daily["adj_factor"] == 2).all()


def test_daily_bars_take_the_rest_from_the_reference():
    trades = random_ticks.trades_frame(
        [("A", "09:31:00.000", 1, 10.0, 100, 1, 2, 0), ("X", "09:31:00.000", 1, 1.0, 100, 1, 2, 0)]
    )
    reference = reference_of(
        ["A", "B", "C"], suspended=[None, None, True], st=[None, True, False], prev_close=[9.0, 8.0, None]
    )
    daily = daily_from_minutes(bars_from_trades(trades), reference).set_index("symbol")
    assert daily["suspended"].tolist() == [False, True, True]
    assert daily["st"].tolist() == [False, True, False]
    assert daily["close"].tolist()[:2] == [10.0, 8.0]
    assert np.isnan(daily.loc["C", "close"])
    assert daily.attrs["without_reference"] == ["X"]
    nobody = daily_from_minutes(bars_from_trades(trades.iloc[:0]), reference)
    assert nobody["volume"].tolist() == [0, 0, 0]


def test_daily_bars_without_a_reference():
    trades = random_ticks.trades_frame(
        [("600001.SH", "09:31:00.000", 1, 10.0, 100, 1, 2, 0), ("000001.SZ", "09:31:00.000", 1, 1.0, 100, 1, 2, 0)]
    )
    minutes = bars_from_trades(trades)
    for reference in (None, reference_of(["A"]).iloc[:0]):
        daily = daily_from_minutes(minutes, reference)
        assert daily["symbol"].tolist() == ["000001.SZ", "600001.SH"]
        assert daily["close"].tolist() == [1.0, 10.0]
        assert daily["adj_factor"].tolist() == [1.0, 1.0]
        assert not daily[["suspended", "st"]].any(axis=None)
        assert daily[["prev_close", "up_limit", "down_limit", "float_shares"]].isna().all(axis=None)
        assert conform("daily_bars", daily).schema == PERIOD_BARS


def test_daily_bars_without_counts_have_null_counts():
    trades = random_ticks.trades_frame([("A", "09:31:00.000", 1, 10.0, 100, 1, 2, 0)])
    bars = bars_from_trades(trades).assign(num_trades=pd.array([None] * 240, "Int32"))
    daily = daily_from_minutes(bars, reference_of(["A", "B"]))
    assert daily["num_trades"].isna().tolist() == [True, False]
    assert pa.types.is_int64(conform("daily_bars", daily)["num_trades"].type)


def test_errors():
    bars = bars_from_trades(random_ticks.trades_frame([("A", "09:31:00.000", 1, 10.0, 100, 1, 2, 0)]))
    with pytest.raises(DataError, match="'reference' has A twice"):
        daily_from_minutes(bars, reference_of(["A", "A"]))
    with pytest.raises(DataError, match=r"'reference' lacks the columns \['st'\]"):
        daily_from_minutes(bars, reference_of(["A"]).drop(columns="st"))
    with pytest.raises(DataError, match="A has minute 0 twice"):
        daily_from_minutes(pd.concat([bars, bars.head(1)]), reference_of(["A"]))
