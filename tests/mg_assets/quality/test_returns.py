"""Returns that no rule allows, in the suite of daily bars; and trading after the close."""

import numpy as np
import pandas as pd
import pytest

from mg_assets.lake.store import Lake
from mg_assets.market.schema import MINUTE_BARS, PERIOD_BARS, REFERENCE
from mg_assets.quality import run_suite

STOCKS = [f"{600000 + i}.SH" for i in range(300)]
ODD = "600299.SH"


def bars(symbols, close, factor=1.0, **more):
    count = len(symbols)
    close = np.broadcast_to(close, count)
    numbers = {n: close for n in ("open", "high", "low", "close", "vwap", "prev_close")}
    frame = pd.DataFrame({"symbol": symbols, **numbers, "volume": 1000, "amount": close * 1000, "adj_factor": factor})
    frame = frame.assign(up_limit=np.nan, down_limit=np.nan, num_trades=pd.NA, float_shares=1e6, **more)
    frame["num_trades"] = frame["num_trades"].astype("Int64")
    return frame.assign(suspended=False, st=False)[PERIOD_BARS.names]


def lake_of(folder, days, *frames, notes=None):
    lake = Lake(folder)
    for day, frame in zip(days, frames, strict=True):
        lake.write("daily_bars", day, frame, notes if day == days[-1] else None)
    return lake


def outcome(lake, days, name):
    return {o.name: o for o in run_suite("daily_bars", lake, days)}[name]


@pytest.mark.parametrize(
    ("day", "price", "factor", "named"),
    [
        ("2024-03-05", 6.0, 1.0, True),  # an ex-day without a factor
        ("2024-03-05", 6.0, 1.6667, False),
        ("2024-03-05", 10.0, 0.159, True),  # a factor without an ex-day
        ("2024-03-05", 11.0, 1.0, False),
        ("2024-03-05", 11.2, 1.0, True),
    ],
)
def test_one_stock_of_300_is_named(tmp_path, day, price, factor, named):
    days = ["2024-03-04", day]
    prices, factors = np.full(300, 10.0), np.ones(300)
    prices[-1], factors[-1] = price, factor
    lake = lake_of(tmp_path, days, bars(STOCKS, 10.0), bars(STOCKS, prices, factors))
    found = outcome(lake, days, "returns")
    assert (found.passed, found.blocking) == (not named, False)
    assert [(row["partition"], row["symbol"]) for row in found.bad] == ([(day, ODD)] if named else [])
    if named:
        assert found.bad[0]["returned"] == pytest.approx(price * factor / 10 - 1)


@pytest.mark.parametrize(("listed", "named"), [("2024-03-01", False), ("2024-02-01", True), (None, True)])
def test_the_first_sessions_have_no_limit(tmp_path, listed, named):
    days = ["2024-03-04", "2024-03-05"]
    prices = np.full(300, 10.0)
    prices[-1] = 15.0
    lake = lake_of(tmp_path, days, bars(STOCKS, 10.0), bars(STOCKS, prices))
    facts = pd.DataFrame({"symbol": STOCKS})
    for name in REFERENCE.names[1:]:
        facts[name] = {"bool": False, "double": np.nan}.get(str(REFERENCE.field(name).type))
    facts["list_date"] = pd.to_datetime([None] * 299 + [listed])
    facts["delist_date"] = pd.to_datetime([None] * 300)
    for day in days:
        lake.write("reference", day, facts)
    assert bool(outcome(lake, days, "returns").bad) == named


def test_a_corrected_factor_is_flagged(tmp_path):
    days, said = ["2024-03-04", "2024-03-05"], f"{ODD} 2024-03-05 -83.9% (reference +0.9%, limit 10%)"
    frame = bars(STOCKS, 10.0)
    lake = lake_of(tmp_path, days, frame, frame, notes={"adj_factor_corrected_today": [said]})
    (row,) = outcome(lake, days, "returns").bad
    assert (row["partition"], row["what"]) == (days[1], said)


@pytest.mark.parametrize(
    ("symbol", "day", "allowed"),
    [
        ("600000.SH", "2026-07-03", False),
        ("600000.SH", "2026-07-06", True),
        ("000001.SZ", "2026-07-03", False),
        ("000001.SZ", "2026-07-06", True),
        ("300001.SZ", "2020-08-21", False),
        ("300001.SZ", "2020-08-24", True),
        ("688001.SH", "2019-07-22", True),
        ("920799.BJ", "2026-07-07", False),
    ],
)
def test_volume_after_the_close_is_in_no_minute_bar(tmp_path, symbol, day, allowed):
    lake = Lake(tmp_path)
    frame = bars([symbol], 10.0)
    frame["volume"], frame["amount"] = 2300, 23000.0
    lake.write("daily_bars", day, frame)
    minutes = pd.DataFrame({"symbol": symbol, "minute": np.arange(240, dtype=np.int16)})
    for name in ("open", "high", "low", "close"):
        minutes[name] = 10.0
    minutes["volume"] = np.where(np.arange(240) < 10, 100, 0)
    minutes["amount"] = minutes["volume"] * 10.0
    minutes["num_trades"] = pd.array([pd.NA] * 240, dtype="Int32")
    lake.write("minute_bars", day, minutes[MINUTE_BARS.names])
    found = outcome(lake, [day], "odd_stocks")
    assert found.observed["measures"]["volume_differs"][1] == (0 if allowed else 1)
