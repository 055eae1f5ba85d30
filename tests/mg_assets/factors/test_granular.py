"""Multi-granularity features against a plain twin, on awkward days, simulated days and a real one."""

import numpy as np
import pandas as pd
import pytest
from granular_twin import agree, twin

from mg_assets.errors import DataError
from mg_assets.factors.granular import (
    ARRAYS,
    FEATURES,
    FROM_TRADES,
    GRANULARITIES,
    column_names,
    granular_features,
    minutes_of_bars,
    usual_levels,
)
from mg_assets.factors.kernels.intraday import intraday_factors

STEPS = {"features_240m": 1, "features_60m": 4, "features_30m": 8}


def check(minutes, prev_close, usual_volume, usual_per_trade):
    """Hold the kernel to the twin; returns the kernel's result."""
    found = granular_features(minutes, prev_close, usual_volume, usual_per_trade)
    for s in range(len(minutes)):
        expected = twin(minutes[s], prev_close[s], usual_volume[s], usual_per_trade[s])
        for n, bars in ((240, found.bars_240), (60, found.bars_60), (30, found.bars_30)):
            agree(bars[s], [[step[f] for f in FEATURES] for step in expected[n]])
    return found


def carried(day, prev_close):
    """Give minutes without trades the close before."""
    last = prev_close
    for m in range(240):
        if not day[4, m] > 0:
            day[:4, m] = last
            day[4:, m] = 0
        last = day[3, m]
    return day


def awkward(seed=0, stocks=30):
    """Days with sparse, locked, empty and one-trade stocks, with and without a previous close, trades and counts."""
    rng = np.random.default_rng(seed)
    out = np.zeros((stocks, 10, 240))
    prev = rng.uniform(3, 300, stocks)
    prev[::3] = np.nan
    for s in range(stocks):
        close = rng.uniform(3, 300) * np.exp(np.cumsum(rng.standard_t(4, 240) * 1e-3))
        open_ = close * np.exp(rng.normal(0, 5e-4, 240))
        volume = np.round(rng.lognormal(8, 1.5, 240)) + 1
        amount = volume * close
        count = rng.integers(1, 90, 240).astype(float)
        buy, sell = amount * rng.random(240) * 0.5, amount * rng.random(240) * 0.5
        day = np.stack(
            [open_, np.maximum(open_, close) * 1.0005, np.minimum(open_, close) * 0.9995, close, volume, amount, count,
             buy, sell, amount * rng.uniform(-1, 1, 240)]
        )  # fmt: skip
        share = (1.0, 0.5, 0.05, 0.02)[s % 4]
        day[4, rng.random(240) > share] = 0
        if s == 5:
            day[4] = 0  # suspended
        if s == 6:
            day[4, 1:], day[4, 0] = 0, 100  # the opening auction alone
        if s == 7:
            day[:4] = 11.0  # locked
        if s == 8:
            day[4, :130] = 0  # resumes in the afternoon
        if s == 9:
            day[7:] = np.nan  # minute bars alone
        if s == 10:
            day[6, np.flatnonzero(day[4] > 0)[0]] = np.nan  # a bar without a count
        if s == 11:
            day[7:9] = 0  # no known side
        out[s] = carried(day, prev[s])
        if s == 9:
            out[s, 7:] = np.nan
    return out, prev, rng.lognormal(13, 1, stocks), rng.uniform(1e3, 1e5, stocks)


@pytest.mark.parametrize("seed", range(3))
def test_features_agree_with_the_twin(seed):
    found = check(*awkward(seed))
    assert np.isnan(found.bars_30[5]).all()
    assert [f for f, x in zip(FEATURES, found.bars_60[9].T, strict=True) if np.isnan(x).all()] == list(FROM_TRADES)
    per_trade = FEATURES.index("amt_per_trade")
    assert np.isnan(found.bars_30[10, :, per_trade]).all()
    assert np.isnan(found.bars_240[10, 0, per_trade])


@pytest.mark.parametrize(("table", "bar", "least"), [("bars_30", 30, 5), ("bars_60", 60, 10), ("bars_240", 240, 10)])
def test_a_correlation_needs_its_least_pairs_and_no_more(table, bar, least):
    minutes, prev, usual, per_trade = (x[:2].copy() for x in awkward(1))
    prev[:] = np.nan  # no return before the first trade
    for s, pairs in enumerate((least, least - 1)):
        minutes[s, 4, : bar - pairs] = 0
        minutes[s, 4, bar - pairs :] = 100 + np.arange(240 - bar + pairs)
        minutes[s] = carried(minutes[s], np.nan)
    found = getattr(check(minutes, prev, usual, per_trade), table)[:, 0, FEATURES.index("corr_volume_ret")]
    assert np.isfinite(found).tolist() == [True, False]


def test_a_day_without_stocks_has_all_columns():
    found = granular_features(*(values[:0] for values in awkward(7)))
    shapes = {table: found.table(table).shape for table in STEPS}
    assert shapes == {table: (0, len(column_names(table))) for table in shapes}


def test_permuting_stocks_permutes_and_a_stock_stands_alone():
    data = awkward(4)
    whole = granular_features(*data)
    at = np.random.default_rng(0).permutation(len(data[0]))
    moved = granular_features(*(x[at] for x in data))
    alone = granular_features(*(x[12:13] for x in data))
    for name in GRANULARITIES:
        np.testing.assert_array_equal(moved.table(name), whole.table(name)[at])
        np.testing.assert_array_equal(alone.table(name), whole.table(name)[12:13])


def test_steps_add_up():
    minutes, prev, usual, per_trade = awkward(5)
    found = granular_features(minutes, prev, usual, per_trade)
    at = {f: i for i, f in enumerate(FEATURES)}
    traded = np.isfinite(found.bars_240[:, 0, at["log_amount"]])
    for bars in (found.bars_60, found.bars_30):
        agree(bars[traded][..., at["volume_share"]].sum(axis=1), np.ones(traded.sum()))
        total = np.expm1(bars[traded][..., at["log_amount"]]).sum(axis=1)
        agree(np.log1p(total), found.bars_240[traded, 0, at["log_amount"]])
        squares = np.nansum(bars[traded][..., at["realized_vol"]] ** 2, axis=1)
        agree(np.sqrt(squares), found.bars_240[traded, 0, at["realized_vol"]])


def test_later_rows_change_no_earlier_step_but_shares_of_the_day():
    minutes, prev, usual, per_trade = awkward(6)
    later = minutes.copy()
    later[:, :4, 120:] *= 1.05
    later[:, 4:, 120:] *= 3
    before, after = granular_features(minutes, prev, usual, per_trade), granular_features(later, prev, usual, per_trade)
    own = [i for i, f in enumerate(FEATURES) if f not in ("volume_share", "amt_per_trade")]
    np.testing.assert_array_equal(before.bars_60[:, :2, own], after.bars_60[:, :2, own])
    np.testing.assert_array_equal(before.bars_30[:, :4, own], after.bars_30[:, :4, own])


def test_columns_are_by_feature_and_step():
    assert column_names("features_240m") == FEATURES
    for name, steps in STEPS.items():
        names = column_names(name)
        assert len(names) == len(set(names)) == 14 * steps
    assert column_names("features_60m")[:5] == ("ret_1", "ret_2", "ret_3", "ret_4", "amplitude_1")
    found = granular_features(*awkward(7))
    table = dict(zip(column_names("features_30m"), found.table("features_30m").T, strict=True))
    np.testing.assert_array_equal(table["skew_8"], found.bars_30[:, 7, FEATURES.index("skew")])


def test_usual_levels_are_trailing_means_in_shares_of_today():
    rng = np.random.default_rng(0)
    shape = (60, 6)
    volume, trades = np.round(rng.lognormal(12, 1, shape)), rng.integers(1, 999, shape).astype(float)
    volume[rng.random(shape) < 0.3] = 0
    volume[:45, 1] = np.nan  # listed late: 15 days
    factor = np.where(np.arange(60)[:, None] < 50, 1.0, 2.0) * np.ones(shape)
    amount = volume * 10.0
    shares, per_trade = usual_levels(volume, amount, trades, factor)
    frame = pd.DataFrame(np.where(volume > 0, volume / factor, np.nan))
    agree(shares, frame.rolling(20, min_periods=10).mean().to_numpy() * factor)
    ratio_ = pd.DataFrame(np.where(volume > 0, amount / trades, np.nan))
    agree(per_trade, ratio_.rolling(20, min_periods=10).mean().to_numpy())
    assert np.isfinite(shares[-1]).any()


def test_a_bar_without_volume_or_price_is_one_without_trades():
    bars = pd.DataFrame(
        [
            ("A", 0, 9.5, 0.0),  # the close before, carried on
            ("A", 1, 10.0, 100.0),
            ("A", 2, np.nan, 50.0),
            ("A", 3, 0.0, 60.0),
            ("A", 4, 10.0, 0.0),
            ("B", 0, 7.0, 0.0),  # never traded
            ("C", 0, 8.0, 10.0),
        ],
        columns=["symbol", "minute", "close", "volume"],
    )
    for name in set(ARRAYS[:7]) - {"close", "volume"}:
        bars[name] = bars["close"]
    symbols, minutes, prev_close = minutes_of_bars(bars)
    assert symbols.tolist() == ["A", "B", "C"]
    volume = dict(zip(ARRAYS, minutes.transpose(1, 0, 2), strict=True))["volume"]
    assert volume[:, :6].tolist() == [[0, 100, 0, 0, 0, 0], [0] * 6, [10, 0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(prev_close, [9.5, np.nan, np.nan])
    assert np.isnan(minutes[:, 7:]).all()
    with pytest.raises(DataError, match=r"B.*minute 0|minute 0.*B"):
        minutes_of_bars(pd.concat([bars, bars[5:6]]))


def test_errors():
    minutes, prev, usual, per_trade = awkward(8, stocks=4)
    with pytest.raises(DataError, match=r"minutes was \(4, 9, 240\)"):
        granular_features(minutes[:, :9], prev, usual, per_trade)
    with pytest.raises(DataError, match=r"expected \(4,\)"):
        granular_features(minutes, prev[:3], usual, per_trade)


def arrays_of(bars):
    """One stock's minute bars as the ten arrays, flows NaN."""
    bars = bars.sort_values("minute")
    day = np.full((10, 240), np.nan)
    for i, name in enumerate(ARRAYS[:7]):
        day[i] = bars[name].to_numpy(float)
    return day


def test_features_of_real_minute_bars_equal_the_minute_factors(shared_data):
    path = shared_data / "min1_000001_201801" / "bars.parquet"
    if not path.exists():
        pytest.skip(f"{path} absent")
    raw = pd.read_parquet(path)
    raw["amount"] = raw["turnover"]
    checked = 0
    for _, part in raw.groupby("date"):
        if len(part) != 240:
            continue
        bars = pd.DataFrame({"symbol": "000001.SZ", "minute": np.arange(240)})
        for name in ("open", "high", "low", "close", "volume", "amount"):
            bars[name] = part[name].to_numpy(float)
        bars["num_trades"] = 1.0
        day = arrays_of(bars)[None]
        found = check(day, np.array([np.nan]), np.array([1e6]), np.array([1e4]))
        factors = intraday_factors(None, None, bars).iloc[0]
        steps = dict(zip(column_names("features_30m"), found.table("features_30m")[0], strict=True))
        whole = dict(zip(FEATURES, found.bars_240[0, 0], strict=True))
        agree(whole["skew"], factors["intraday_skew"])
        agree(whole["down_vol_share"], factors["down_vol_perc"])
        agree(steps["skew_8"], factors["late_skew_ret"])
        agree(steps["corr_volume_ret_1"], factors["early_corr_volume_ret"])
        agree([steps[f"volume_share_{k}"] for k in range(2, 8)], factors[[f"volume_perc{k}" for k in range(2, 8)]])
        checked += 1
    assert checked >= 15
