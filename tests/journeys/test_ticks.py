"""Journeys with level-2 files: one day, days with gaps, and another vendor's daily bars beside them."""

import datetime as dt
from dataclasses import replace

import exported
import pandas as pd
import pytest
import vendor_exports

from mg_assets.factors.registry import ALL34, ORDER

pytestmark = pytest.mark.slow
DAY = dt.date(2023, 2, 1)


def test_one_day_of_trades_alone_gives_bars_and_factors(journey):
    """No orders, no reference, two stocks of Shanghai."""
    made = exported.exported(DAY, journey.folder)
    for stem, path in made.items():
        if stem != "Transaction":
            path.unlink()
    printed = journey.ingest()
    assert "6 of the 34 intraday factors are null: need the order stream" in printed
    assert "reference price, limits, ST, float shares and adjustment factor are null" in printed
    assert "evaluation: needs 30 days and 30 stocks" in printed
    journey.follow(printed)
    factors = journey.lake.day("intraday_factors", str(DAY))
    assert factors["symbol"].tolist() == ["600000.SH", "688001.SH"]
    assert factors[list(ORDER)].isna().all(axis=None)
    assert factors[[n for n in ALL34 if n not in ORDER]].notna().any().sum() > 20
    daily = journey.lake.day("daily_bars", str(DAY))
    assert (daily["volume"] > 0).all()
    assert daily[["prev_close", "up_limit", "float_shares"]].isna().all(axis=None)


def test_gaps_in_the_days_are_gaps(journey):
    days = ("2023-02-01", "2023-02-02", "2023-02-06", "2023-02-10")
    for day in days:
        exported.exported(dt.date.fromisoformat(day), journey.folder, 40)
    printed = journey.ingest()
    assert "means of factors over 20 days: the days with ticks or minute bars are too few" in printed
    journey.follow(printed)
    for table in ("intraday_factors", "daily_bars", "daily_factors", "labels"):
        assert journey.lake.keys(table) == list(days), table
    assert journey.lake.day("intraday_factors", days[2])["symbol"].tolist() == sorted(exported.SYMBOLS)


def test_daily_volumes_in_lots_match_the_ticks(journey):
    """akshare's daily bars of the traded stocks, volumes rounded to lots and amounts to yuan."""
    exported.exported(DAY, journey.folder / "level2")
    _, trades = exported.simulated(DAY)
    daily = trades[trades["price"] > 0].assign(amount=lambda f: f["price"] * f["volume"])
    for symbol, rows in daily.groupby("symbol"):
        bar = {
            "日期": [str(DAY)], "股票代码": [symbol[:6]], "开盘": rows["price"].iloc[0], "收盘": rows["price"].iloc[-1],
            "最高": rows["price"].max(), "最低": rows["price"].min(), "成交量": round(rows["volume"].sum() / 100),
            "成交额": round(rows["amount"].sum()), "换手率": 1.0,
        }  # fmt: skip
        folder = journey.folder / "daily"
        folder.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(bar).to_csv(folder / f"{symbol[:6]}.csv", index=False)
    printed = journey.follow(journey.ingest())
    assert "rejects" not in printed
    assert "matches_minutes" not in printed
    stated = journey.lake.day("daily_bars", str(DAY)).set_index("symbol")["volume"]
    true = daily.groupby("symbol")["volume"].sum()
    assert (stated % 100 == 0).all()
    assert (stated - true).abs().max() <= 50
    assert journey.lake.rows("intraday_factors", str(DAY)) == len(exported.SYMBOLS)


def test_level_2_and_daily_bars_of_other_stocks_go_together(journey):
    """A folder of few stocks' ticks and another vendor's daily bars of 30 others."""
    exported.exported(DAY, journey.folder / "level2", 40)
    made = vendor_exports.market("2023-01-30", "2023-02-03", 30)
    made = replace(made, symbols=tuple(f"{600100 + i}.SH" for i in range(30)))
    vendor_exports.tushare(made, journey.folder / "tushare")
    journey.follow(journey.ingest())
    assert journey.lake.rows("daily_bars", str(DAY)) == 30
    assert journey.lake.rows("intraday_factors", str(DAY)) == len(exported.SYMBOLS)
    assert len(journey.lake.keys("daily_bars")) == len(made.days)
