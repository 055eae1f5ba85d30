"""Returns that no rule allows, in the suite of daily bars; and trading after the close."""

import numpy as np
import pandas as pd
import pytest

from mg_assets.assets import make
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.market.schema import MINUTE_BARS, PERIOD_BARS, REFERENCE
from mg_assets.quality import run_suite
from mg_assets.sources.mapped.source import MappedSource

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


def lake_of(folder, days, *frames):
    lake = Lake(folder)
    for day, frame in zip(days, frames, strict=True):
        lake.write("daily_bars", day, frame)
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
    days = [str(d) for d in trading_days("2024-03-04", "2024-03-15")]
    rows = [f"{s[:6]}.SH,{d.replace('-', '')}" for d in days for s in STOCKS[:4]]
    daily = [
        "ts_code,trade_date,open,high,low,close,pre_close,vol,amount",
        *(f"{r},10,10,10,10,10,10,10" for r in rows),
    ]
    hole = (f"{STOCKS[3]},{days[5]}".replace("-", ""), f"{STOCKS[3]},{days[6]}".replace("-", ""))
    factor = ["ts_code,trade_date,adj_factor", *(f"{r},{1.0 if r in hole else 6.285}" for r in rows)]
    for name, lines in (("daily", daily), ("adj_factor", factor)):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    lake, source = Lake(tmp_path / "lake"), MappedSource("tushare", tmp_path)
    for built in make("daily_bars", days, lake, source):
        lake.write("daily_bars", built.key, built.frame, built.stored)
    named = [(row["partition"], row["what"].split(" (")[0]) for row in outcome(lake, days, "returns").bad]
    assert named == [(days[5], f"{STOCKS[3]} {days[5]} -84.1%"), (days[7], f"{STOCKS[3]} {days[7]} +528.5%")]


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
