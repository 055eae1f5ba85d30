"""Weekly and monthly bars: the frame form, the dense form, and a plain loop."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mg_assets.errors import DataError
from mg_assets.factors import completed_periods, period_bars, period_to_date
from mg_assets.lake.frames import conform
from mg_assets.market.calendar import month_of, trading_days, week_of
from mg_assets.market.schema import PERIOD_BARS

FIELDS = ["open", "high", "low", "close", "vwap", "volume"]


def daily_history(seed, days=45, stocks=5):
    """Raw daily bars with suspensions, splits, late listings and a delisting; long frame with a date column."""
    rng = np.random.default_rng(seed)
    dates = trading_days("2023-01-03")[:days]
    rows = []
    for s in range(stocks):
        listed = (
            int(rng.integers(0, days // 2)) if rng.random() < 0.5 else 0,
            days if rng.random() < 0.7 else days - 12,
        )
        close, factor, halted = 10.0, float(rng.choice([1.0, 3.7])), False
        for d in range(*listed):
            split = 1.0 if rng.random() < 0.9 else 0.5
            factor /= split
            prev = close * split
            halted = rng.random() < (0.8 if halted else 0.15)
            o, close = prev * (1 + rng.normal(0, 0.02)), prev * (1 + rng.normal(0, 0.02))
            h, low = max(o, close) * 1.01, min(o, close) * 0.99
            volume, vwap = int(rng.integers(1, 10**6)), (o + close) / 2
            if halted:
                o = h = low = close = prev
                volume, vwap = 0, np.nan
            rows.append(
                (dates[d], f"60000{s}.SH", o, h, low, close, vwap, volume, 0.0 if halted else vwap * volume,
                 int(not halted), prev, factor, prev * 1.1, prev * 0.9, halted, bool(rng.random() < 0.1), 1e8 / factor)
            )  # fmt: skip
    return pd.DataFrame(rows, columns=["date", *PERIOD_BARS.names])


def dense(daily):
    """Adjusted (D, S) arrays, days and symbols."""
    adjusted = daily.copy()
    adjusted[FIELDS[:5]] = daily[FIELDS[:5]].mul(daily["adj_factor"], axis=0)
    adjusted["volume"] = daily["volume"] / daily["adj_factor"]
    wide = adjusted.pivot(index="date", columns="symbol", values=FIELDS)
    return [wide[f].to_numpy() for f in FIELDS], wide.index.to_numpy("datetime64[D]"), list(wide["close"].columns)


def by_hand(rows):
    """One stock's bar of one period from its daily rows in order."""
    traded = [r for r in rows if r["volume"] > 0]
    if not traded:
        return [rows[-1]["close"] * rows[-1]["adj_factor"]] * 5 + [0.0]
    volume = sum(r["volume"] / r["adj_factor"] for r in traded)
    return [
        traded[0]["open"] * traded[0]["adj_factor"],
        max(r["high"] * r["adj_factor"] for r in traded),
        min(r["low"] * r["adj_factor"] for r in traded),
        traded[-1]["close"] * traded[-1]["adj_factor"],
        sum(r["amount"] for r in traded) / volume,
        volume,
    ]


@pytest.mark.parametrize("period_of", [week_of, month_of])
@pytest.mark.parametrize("seed", range(4))
def test_frame_dense_and_loop_agree(seed, period_of):
    daily = daily_history(seed)
    arrays, days, symbols = dense(daily)
    period = period_of(days)
    completed = completed_periods(*arrays, period)
    to_date = period_to_date(*arrays, period)
    assert completed.shape == (len(np.unique(period)), len(symbols), 6)
    for p, key in enumerate(np.unique(period)):
        part = daily[np.isin(daily["date"].to_numpy("datetime64[D]"), days[period == key])]
        frame = period_bars(part.sample(frac=1, random_state=seed)).set_index("symbol")
        assert conform("weekly_bars", frame.reset_index()).schema == PERIOD_BARS
        for s, symbol in enumerate(symbols):
            rows = part[part["symbol"] == symbol].sort_values("date").to_dict("records")
            if not rows:
                assert symbol not in frame.index
                assert np.isnan(completed[p, s]).all()
                continue
            expected = by_hand(rows)
            np.testing.assert_allclose(completed[p, s], expected, rtol=1e-12)
            np.testing.assert_allclose(frame.loc[symbol, FIELDS[:5]].astype(float), expected[:5], rtol=1e-12)
            assert frame.loc[symbol, "volume"] == round(expected[5])
            assert frame.loc[symbol, "suspended"] == (expected[5] == 0)
            assert frame.loc[symbol, "prev_close"] == pytest.approx(rows[0]["prev_close"] * rows[0]["adj_factor"])
            for k, day in enumerate(r["date"] for r in rows):
                at = np.searchsorted(days, np.datetime64(day, "D"))
                np.testing.assert_allclose(to_date[at, s], by_hand(rows[: k + 1]), rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 44))
def test_to_date_never_looks_ahead(seed, cut):
    arrays, days, _ = dense(daily_history(seed))
    period = month_of(days)
    cut = min(cut, len(days) - 1)
    changed = [np.where(np.arange(len(days))[:, None] < cut, a, a * 3 + 1) for a in arrays]
    np.testing.assert_array_equal(period_to_date(*arrays, period)[:cut], period_to_date(*changed, period)[:cut])
    np.testing.assert_array_equal(
        period_to_date(*arrays, period)[:cut], period_to_date(*(a[:cut] for a in arrays), period[:cut])
    )


def test_to_date_on_the_last_day_is_the_bar_and_absent_is_nan():
    arrays, days, _ = dense(daily_history(1))
    period = week_of(days)
    to_date, completed = period_to_date(*arrays, period), completed_periods(*arrays, period)
    last = np.flatnonzero(np.append(period[1:] != period[:-1], True))
    here = np.isfinite(arrays[3][last])
    np.testing.assert_array_equal(to_date[last][here], completed[here])
    assert (np.isnan(to_date).all(-1) == ~np.isfinite(arrays[3])).all()
    assert period_to_date(*arrays, period, dtype=np.float32).dtype == np.float32


def test_stocks_may_be_in_any_order():
    arrays, days, symbols = dense(daily_history(2))
    at = np.random.default_rng(0).permutation(len(symbols))
    np.testing.assert_array_equal(
        period_to_date(*(a[:, at] for a in arrays), week_of(days)), period_to_date(*arrays, week_of(days))[:, at]
    )


def test_vwap_without_amount_falls_back_and_says_so():
    blank = {"open": 10.0, "high": 14.0, "low": 10.0, "prev_close": 10.0, "up_limit": 99.0, "down_limit": 1.0}
    daily = pd.DataFrame(
        {
            "date": trading_days("2023-01-03")[:5],
            "symbol": "600000.SH",
            **blank,
            "close": [10.0, 11, 12, 13, 14],
            "vwap": np.nan,
            "volume": [100, 300, 100, 100, 100],
            "amount": np.nan,
            "num_trades": 1,
            "adj_factor": 1.0,
            "suspended": False,
            "st": False,
            "float_shares": 1e8,
        }
    )
    found = period_bars(daily)
    assert found["vwap"].item() == pytest.approx((10 * 100 + 11 * 300 + 12 * 100 + 13 * 100 + 14 * 100) / 700)
    assert found["amount"].isna().item()
    assert found.attrs["vwap_without_amount"] == ["600000.SH"]
    arrays, days, _ = dense(daily)
    assert completed_periods(*arrays, np.zeros(len(days)))[0, 0, 4] == pytest.approx(found["vwap"].item())
    assert period_bars(daily.assign(vwap=9.0))["vwap"].item() == pytest.approx(9.0)
    with_amount = period_bars(daily.assign(amount=daily["volume"] * 8.0))
    assert with_amount["vwap"].item() == pytest.approx(8.0)
    assert with_amount.attrs["vwap_without_amount"] == []


def test_text_dates_as_the_lake_gives_them():
    daily = daily_history(0, days=5)
    pd.testing.assert_frame_equal(period_bars(daily.assign(date=daily["date"].astype("str"))), period_bars(daily))
    assert len(period_bars(daily.iloc[:0])) == 0


def test_errors():
    daily = daily_history(0, days=5)
    with pytest.raises(DataError, match="twice on 2023-01-03"):  # the first of them
        period_bars(pd.concat([daily, daily]))
    with pytest.raises(DataError, match=r"lack the columns \['date'\]"):
        period_bars(daily.drop(columns="date"))
    arrays, days, _ = dense(daily)
    with pytest.raises(DataError, match="sort the days first"):
        period_to_date(*(a[::-1] for a in arrays), np.arange(len(days))[::-1])
    with pytest.raises(DataError, match="expected six"):
        completed_periods(*arrays[:5], arrays[5][:, :1], week_of(days))


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "UTC"])
def test_zoned_dates_are_days_of_shanghai(zone):
    daily = daily_history(2)
    zoned = pd.DatetimeIndex(daily["date"]).tz_localize("Asia/Shanghai").tz_convert(zone)
    pd.testing.assert_frame_equal(period_bars(daily.assign(date=zoned)), period_bars(daily))
