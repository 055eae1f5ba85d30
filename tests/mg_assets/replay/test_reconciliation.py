"""Trades = minute bars = daily bar, stock by stock and in both directions."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
import replay_twin as twin

from mg_assets import factors
from mg_assets.lake.store import Lake
from mg_assets.quality import run_suite

KEY = "2023-02-01"
NAMES = {"000001.SZ": "000001.SZ", "000002.SZ": "300750.SZ", "600000.SH": "600000.SH", "600001.SH": "688001.SH"}


@pytest.fixture(scope="module")
def tables():
    _, trades = twin.simulated_day(dt.date.fromisoformat(KEY), orders=200)
    trades["symbol"] = trades["symbol"].map(NAMES)
    symbols = sorted(NAMES.values())
    reference = pd.DataFrame({"symbol": symbols, "prev_close": 10.0, "adj_factor": 1.0, "up_limit": 11.0,
                              "down_limit": 9.0, "suspended": False, "st": False, "float_shares": 1e9})  # fmt: skip
    minutes = factors.bars_from_trades(trades, reference.set_index("symbol")["prev_close"])
    return {"trades": trades, "minute_bars": minutes, "daily_bars": factors.daily_from_minutes(minutes, reference)}


def broken(tmp_path, tables, table, frame):
    lake = Lake(str(tmp_path))
    for name, whole in {**tables, table: frame}.items():
        lake.write(name, KEY, whole)
    found = set()
    for name, check in (("minute_bars", "matches_trades"), ("daily_bars", "odd_stocks")):
        outcome = next(o for o in run_suite(name, lake, [KEY]) if o.name == check)
        found |= {(name, row["symbol"]) for row in outcome.bad}
    return found


def test_a_sound_day_reconciles(tmp_path, tables):
    assert broken(tmp_path, tables, "trades", tables["trades"]) == set()


@pytest.mark.parametrize("symbol", NAMES.values())
@pytest.mark.parametrize("table", ["trades", "minute_bars", "daily_bars"])
def test_a_stock_that_one_table_lacks_is_reported(tmp_path, tables, table, symbol):
    frame = tables[table]
    found = broken(tmp_path, tables, table, frame[frame["symbol"] != symbol])
    beside = {"trades": {"minute_bars"}, "minute_bars": {"minute_bars", "daily_bars"}, "daily_bars": {"daily_bars"}}
    assert found == {(name, symbol) for name in beside[table]}


@pytest.mark.parametrize("symbol", NAMES.values())
def test_one_trade_and_one_share_are_noticed(tmp_path, tables, symbol):
    trades = tables["trades"]
    at = np.flatnonzero(trades["symbol"] == symbol)[20]
    assert broken(tmp_path / "a", tables, "trades", trades.drop(trades.index[at])) == {("minute_bars", symbol)}
    more = trades.assign(volume=trades["volume"] + (np.arange(len(trades)) == at))
    assert broken(tmp_path / "b", tables, "trades", more) == {("minute_bars", symbol)}
    daily = tables["daily_bars"]
    less = daily.assign(volume=daily["volume"] - (daily["symbol"] == symbol) * 100)
    assert broken(tmp_path / "c", tables, "daily_bars", less) == {("daily_bars", symbol)}
