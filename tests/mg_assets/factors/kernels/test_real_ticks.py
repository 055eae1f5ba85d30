"""Bars and factors of real level 2 days: bars meet the exchange's daily bar exactly."""

import factors_twin as twin
import numpy as np
import pandas as pd
import pytest
from real_ticks import DAYS, tables

from mg_assets.factors import ALL34, ORDER, bars_from_trades, daily_from_minutes, intraday_factors


@pytest.mark.parametrize(("folder", "symbol", "date", "prev_close"), DAYS)
def test_bars_from_trades_are_the_days_bar(shared_data, folder, symbol, date, prev_close):
    trades, _ = tables(shared_data, folder, date)
    panel = shared_data / "daily_allmarket_202207_202306" / "daily.parquet"
    if not panel.is_file():
        pytest.skip(f"daily panel absent: {panel}")
    row = pd.read_parquet(panel, filters=[("symbol", "==", symbol), ("date", "==", pd.Timestamp(date))]).iloc[0]
    name = trades["symbol"].iloc[0]
    reference = pd.DataFrame(
        {
            "symbol": [name], "prev_close": prev_close, "adj_factor": 1.0, "up_limit": np.nan, "down_limit": np.nan,
            "suspended": False, "st": False, "float_shares": np.nan,
        }
    )  # fmt: skip
    bar = daily_from_minutes(bars_from_trades(trades, {name: prev_close}), reference).iloc[0]
    assert np.float32(bar["volume"]) == np.float32(row["volume"])  # the panel keeps float32
    for field in ("open", "high", "low", "close"):
        assert round(bar[field] * 1000) == row[f"{field}_milli"]
    counted = trades[(trades["price"] > 0) & (trades["volume"] > 0)]
    assert bar["num_trades"] == len(counted)
    assert bar["amount"] == pytest.approx((counted["price"] * counted["volume"]).sum(), rel=1e-12)
    assert bar["low"] < bar["vwap"] < bar["high"]


@pytest.mark.parametrize(("folder", "symbol", "date", "prev_close"), DAYS)
def test_factors_of_a_real_day_are_finite_and_sane(shared_data, folder, symbol, date, prev_close):
    trades, orders = tables(shared_data, folder, date)
    bars = bars_from_trades(trades, {trades["symbol"].iloc[0]: prev_close})
    found = intraday_factors(trades, orders, bars).iloc[0]
    absent = () if orders is not None else (*ORDER, "open_buy_intent_share", "open_buy_intent_strength")
    assert found[list(absent)].isna().all()
    assert np.isfinite(found.drop(list(absent)).astype(float)).all()
    for name in ALL34:
        if name in absent:
            continue
        if name.startswith(("corr_", "early_corr_")):
            assert -1 <= found[name] <= 1, name
        if name.startswith("volume_perc") or name in ("down_vol_perc", "bigorder_amt_perc", "early_active_buy_perc"):
            assert 0 < found[name] < 1, name
    shares = [f"volume_perc{k}" for k in range(2, 8)]
    first = bars.loc[bars["minute"] < 30, "volume"].sum() / bars["volume"].sum()
    assert found[shares].sum() + found["tail_volume_share"] + first == pytest.approx(1)
    assert found["corr_close_nextopen"] > 0.9
    assert found["corr_volume_item"] > 0.5
    assert 0.5 < found["down_single_amt_perc"] < 2
    assert abs(found["concentration_diff"]) < 0.05
    assert 0.2 < found["bigorder_amt_perc"] < 0.9
    assert all(abs(found[n]) < 0.2 for n in ("bigorder_ret", "improved_reversal", "early_active_bigorder_ret"))


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "symbol", "date", "prev_close"), DAYS)
def test_factors_of_a_real_day_agree_with_the_twin(shared_data, folder, symbol, date, prev_close):
    trades, orders = tables(shared_data, folder, date)
    bars = bars_from_trades(trades, {trades["symbol"].iloc[0]: prev_close})
    twin.agree(intraday_factors(trades, orders, bars), twin.all_factors(ALL34, trades, orders, bars))
