"""Journeys with daily bars: four vendors and Qlib to a signal; zoned dates, stocks halted without rows, a retry."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import vendor_exports

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("vendor", "first"), [("tushare", "2021-01-04"), *((v, "2021-07-01") for v in
                         ("akshare", "baostock", "joinquant", "qlib"))])  # fmt: skip
def test_daily_bars_of_30_stocks_end_in_a_report(journey, vendor, first):
    """Two and a half or three years: models that train, signals, their evaluation, the report."""
    made = vendor_exports.market(first, "2023-12-29", 30)
    vendor_exports.DAILY[vendor](made, journey.folder)
    printed = journey.ingest()
    assert "left out: portfolios: need weights" in printed
    done = journey.follow(printed)
    assert "failed" not in done
    assert "rejects" not in done
    signals = ["price_volume_mlp", "price_volume_ensemble", *(["lf_multitask"] if vendor == "tushare" else [])]
    for signal in signals:
        scores = journey.lake.day(signal, "2023-12-20")
        assert np.isfinite(scores["score"]).sum() >= 25, signal
    evaluated = journey.lake.day("signal_evaluation", "all").set_index("name")
    assert set(signals) <= set(evaluated.index)
    assert evaluated.loc["price_volume_ensemble", "rank_ic_mean"] > 0.02  # yesterday's reversal is planted
    (page,) = (journey.lake_folder / "weekly_report").rglob("report_en.html")
    assert "price_volume_ensemble" in page.read_text()
    assert not journey.lake.keys("trades")


def test_zoned_dates_stand_under_shanghais(journey):
    """Midnights of Shanghai, stored in UTC: a day before by their text."""
    made = vendor_exports.market("2024-03-04", "2024-03-08", 3)
    vendor_exports.tushare(made, journey.folder)
    (journey.folder / "adj_factor.csv").unlink()
    rows = pd.read_csv(journey.folder / "daily.csv", dtype={"trade_date": str})
    (journey.folder / "daily.csv").unlink()
    zone = ZoneInfo("Asia/Shanghai")
    rows["trade_date"] = [datetime.strptime(d, "%Y%m%d").replace(tzinfo=zone) for d in rows["trade_date"]]
    rows["trade_date"] = pd.to_datetime(rows["trade_date"]).dt.tz_convert("UTC")
    rows.to_parquet(journey.folder / "daily.parquet")
    journey.follow(journey.ingest())
    assert journey.lake.keys("daily_bars") == made.days.astype(str).tolist()
    monday = journey.lake.day("daily_bars", "2024-03-04").set_index("symbol")["close"]
    assert np.allclose(monday, made.close[0])


def test_a_stock_that_is_halted_without_rows_is_no_delisting(journey):
    """tushare has no rows while a stock is halted; it comes back 40% lower, and the holding has the loss."""
    from mg_assets.lake.market_data import market_data
    from mg_assets.portfolios.decision_panel import panel_of
    from mg_portfolio.backtest.simulate import simulate

    made = vendor_exports.market("2022-01-04", "2022-03-31", 4)
    halted, back = slice(20, 28), 28
    fallen = 0.6 * made.close[19, 0] / made.prev_close[back, 0]
    for name in ("open", "high", "low", "close", "prev_close"):
        getattr(made, name)[back:, 0] = np.round(getattr(made, name)[back:, 0] * fallen, 2)
    made.prev_close[back, 0] = made.close[19, 0]
    made.amount[back:, 0] = np.round(made.volume[back:, 0] * made.close[back:, 0], 2)
    made.factor[:] = 1.0
    vendor_exports.tushare(made, journey.folder)
    for name in ("daily", "adj_factor"):
        rows = pd.read_csv(journey.folder / f"{name}.csv", dtype={"trade_date": str})
        absent = {d.replace("-", "") for d in made.days[halted].astype(str)}
        gone = (rows["ts_code"] == made.symbols[0]) & rows["trade_date"].isin(absent)
        rows[~gone].to_csv(journey.folder / f"{name}.csv", index=False)
    journey.follow(journey.ingest())
    days = made.days.astype(str).tolist()
    market = market_data(journey.lake, days)
    result = simulate(panel_of(market), {made.days[10]: np.array([0.5, 0.5, 0.0, 0.0])})
    assert not (result.trades["reason"].astype(str) == "delisted").any()
    value = pd.Series(result.nav, result.days.astype(str))
    assert value[days[back]] / value[days[back - 1]] - 1 < -0.12  # half the money fell by 40%


def test_a_repaired_qlib_dataset_is_taken(journey):
    """A stock lacks a file: it is named and left out; with the file it is read into the same lake."""
    made = vendor_exports.market("2023-01-04", "2023-06-30", 6)
    vendor_exports.qlib(made, journey.folder)
    hidden = journey.folder / "features" / "sh600001" / "open.day.bin"
    kept = hidden.read_bytes()
    hidden.unlink()
    printed = journey.ingest(code=1)
    assert "sh600001 lacks open.day.bin: the stock is left out" in printed
    assert journey.lake.rows("daily_bars", "2023-06-30") == 5
    hidden.write_bytes(kept)
    printed = journey.ingest()
    assert journey.lake.rows("daily_bars", "2023-06-30") == 6
    journey.follow(printed)
    assert journey.lake.rows("daily_factors", "2023-06-30") == 6


def test_an_ingest_that_fails_leaves_nothing_that_refuses(journey):
    """Another reading of the same folder is taken, another folder is not."""
    made = vendor_exports.market("2023-01-04", "2023-01-31", 3)
    vendor_exports.tushare(made, journey.folder)
    (journey.folder / "daily.csv").write_text("ts_code,trade_date\n")
    journey.ingest(code=2)
    assert not (journey.lake_folder / "settings.yaml").exists()
    for path in journey.folder.iterdir():
        path.unlink()
    vendor_exports.baostock(made, journey.folder)
    journey.follow(journey.ingest())
    for path in journey.folder.iterdir():
        path.unlink()
    vendor_exports.tushare(made, journey.folder)
    assert "continue with" in journey.ingest()
    assert journey.lake.keys("daily_bars") == made.days.astype(str).tolist()
    other = journey.folder.with_name("other")
    vendor_exports.tushare(made, other)
    refused = journey.mg(f"mg ingest '{other}' --lake '{journey.lake_folder}'", code=2)
    assert "is filled from another source" in refused
