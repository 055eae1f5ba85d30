"""Journeys with minute bars: alone, an odd bar among them, a day that the exchange cut short, bars of 15 minutes."""

import numpy as np
import pandas as pd
import pytest
import vendor_exports

from mg_assets.factors.registry import FACTORS, MINUTE, ORDER, TRADE

pytestmark = pytest.mark.slow


def test_minute_bars_alone_give_factors_and_features(journey):
    made = vendor_exports.market("2023-01-04", "2023-03-31", 32)
    vendor_exports.minutes(made, journey.folder)
    printed = journey.ingest()
    assert "minute bars of 58 days 2023-01-04..2023-03-31, daily bars made of them" in printed
    assert "need level-2 ticks" in printed
    done = journey.follow(printed)
    assert "ticks, bars and factors: 58 of 58" in done
    last = journey.lake.keys("intraday_factors")[-1]
    factors = journey.lake.day("intraday_factors", last)
    made_of_bars = [n for n in MINUTE if "minute_bars.num_trades" not in FACTORS[n].inputs]  # which tushare has not
    assert f"{len(made_of_bars) + 3} intraday factors" in printed
    assert factors[made_of_bars].notna().mean().min() > 0.9
    assert factors[[*TRADE, *ORDER]].isna().all(axis=None)
    spread = journey.lake.day("factor_scores", last)[made_of_bars].std()
    assert (spread.drop("corr_close_nextopen") > 0.5).all()  # each made bar opens where the last one closed
    assert journey.lake.rows("features_30m", last) == len(made.symbols)
    closes = journey.lake.day("daily_bars", last).set_index("symbol")["close"]
    assert np.allclose(closes, made.close[-1])
    evaluated = journey.lake.day("factor_evaluation", "all").set_index("name")
    assert set(made_of_bars) - {"corr_close_nextopen"} <= set(evaluated.index)
    assert evaluated["rank_ic_mean"].notna().sum() >= len(made_of_bars) - 1


def test_an_odd_average_price_warns_and_blocks_no_day(journey):
    """One bar's amount over volume lies 1.5 cents below its low, on the middle of three days."""
    made = vendor_exports.market("2018-01-08", "2018-01-10", 2)
    vendor_exports.minutes(made, journey.folder)
    path = journey.folder / "20180109.csv"
    bars = pd.read_csv(path)
    at = bars.index[bars["vol"] > 0][100]
    bars.loc[at, "amount"] = (bars.loc[at, "low"] - 0.015) * bars.loc[at, "vol"] - 0.01 * bars.loc[at, "vol"]
    bars.to_csv(path, index=False)
    printed = journey.ingest()
    assert "warning minute_bars.odd_bars: 1 of 3 days, first 2018-01-09" in printed
    journey.follow(printed)
    assert journey.lake.keys("intraday_factors") == ["2018-01-08", "2018-01-09", "2018-01-10"]


def test_a_day_that_the_circuit_breaker_ended_is_built(journey):
    """2016-01-07: trading ended at 09:59; minute and daily bars of both exchanges."""
    made = vendor_exports.market("2016-01-07", "2016-01-07", 4)
    vendor_exports.minutes(made, journey.folder / "minutes")
    path = journey.folder / "minutes" / "20160107.csv"
    bars = pd.read_csv(path)
    bars = bars[bars["trade_time"] <= "2016-01-07 09:59:00"]
    bars.to_csv(path, index=False)
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "vol": "sum", "amount": "sum"}
    day = bars.groupby("ts_code").agg(how)
    day = day.assign(trade_date="20160107", pre_close=made.prev_close[0], vol=day["vol"] / 100)
    day = day.assign(amount=(day["amount"] / 1000).round(3)).reset_index()
    (journey.folder / "daily").mkdir()
    day.to_csv(journey.folder / "daily" / "daily.csv", index=False)
    done = journey.follow(journey.ingest())
    assert "rejects" not in done
    factors = journey.lake.day("intraday_factors", "2016-01-07").set_index("symbol")
    assert len(factors) == 4
    assert factors["late_skew_ret"].isna().all()
    assert factors[list(MINUTE)].notna().any(axis=None)
    carried = journey.lake.day("minute_bars", "2016-01-07")
    late = carried[carried["minute"] > 60]
    assert (late["volume"] == 0).all()
    assert late["close"].notna().all()


def test_bars_of_15_minutes_are_refused_as_such(journey):
    vendor_exports.minutes(vendor_exports.market("2023-01-04", "2023-01-05", 3), journey.folder, spacing=15)
    printed = journey.ingest(code=1)
    assert "15-minute bars" in printed
    assert "continue with" not in printed
    assert not (journey.lake_folder / "settings.yaml").exists()
    vendor_exports.minutes(vendor_exports.market("2023-01-04", "2023-01-05", 3), journey.folder)
    assert "continue with" in journey.ingest()
