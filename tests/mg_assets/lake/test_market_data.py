"""Market data of a lake whose halted stocks have no bars."""

import numpy as np
import pandas as pd
import pytest

from mg_assets.lake.market_data import absence, market_data
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.market.schema import PERIOD_BARS, REFERENCE
from mg_assets.market.sessions import HALT_SESSIONS
from mg_assets.portfolios.decision_panel import panel_of
from mg_portfolio.backtest.simulate import simulate
from mg_portfolio.costs import Costs

NEVER = np.datetime64("NaT", "D")
ALL = trading_days("2024-03-04", "2024-07-31")
OTHER, HELD = "600000.SH", "600519.SH"


def lake_of(folder, halted, count=20, back=6.0, delist=None):
    """A lake of two stocks, the second without rows on the halted days, back at another price."""
    lake = Lake(folder)
    for at, day in enumerate(ALL[:count]):
        symbols = [OTHER] if at in halted else [OTHER, HELD]
        price = [10.0, 10.0 if at < min(halted) else back][: len(symbols)]
        numbers = {n: price for n in ("open", "high", "low", "close", "vwap", "prev_close")}
        frame = pd.DataFrame({"symbol": symbols, **numbers, "volume": 1000, "amount": 1e4, "adj_factor": 1.0})
        for name in PERIOD_BARS.names:
            if name not in frame:
                frame[name] = False if name in ("suspended", "st") else np.nan
        lake.write("daily_bars", str(day), frame[PERIOD_BARS.names])
        facts = pd.DataFrame({"symbol": symbols})
        for name in REFERENCE.names[1:]:
            kind = str(REFERENCE.field(name).type)
            facts[name] = {"bool": False, "double": np.nan}.get(kind)
        dates = {OTHER: pd.NaT, HELD: pd.NaT if delist is None else pd.Timestamp(delist)}
        facts["delist_date"] = pd.to_datetime([dates[s] for s in symbols])
        facts["list_date"] = pd.to_datetime(["2000-01-04"] * len(symbols))
        lake.write("reference", str(day), facts[REFERENCE.names])
    return lake, [str(d) for d in ALL[:count]]


def sale(lake, keys, at):
    """A portfolio of both stocks that sells the second one after the day ``at``."""
    market = panel_of(market_data(lake, keys))
    done = simulate(market, {at: np.array([1.0, 0.0])}, start_holdings=np.array([0.5, 0.5]), cost=Costs.none())
    return done, done.trades.set_index("symbol")


def test_a_halted_holding_stays_and_its_loss_is_booked(tmp_path):
    lake, keys = lake_of(tmp_path, range(4, 12))
    done, trades = sale(lake, keys, 6)
    assert (trades.loc[HELD, "reason"], trades.loc[HELD, "filled"]) == ("suspended", 0.0)
    np.testing.assert_allclose(done.nav, [1.0] * 12 + [0.8] * 8)
    market = market_data(lake, keys)
    assert market.listed.all()
    assert market.suspended[:, 1].tolist() == [4 <= d < 12 for d in range(20)]
    assert (np.diff(market.listed_days[:, 1]) == 1).all()


@pytest.mark.parametrize(("delist", "reason"), [(None, "absent"), (ALL[6], "delisted")])
def test_the_payout_says_why_the_stock_is_gone(monkeypatch, tmp_path, delist, reason):
    monkeypatch.setattr("mg_assets.lake.market_data.HALT_SESSIONS", 10)
    lake, keys = lake_of(tmp_path, range(4, 18), 18, delist=delist)
    first = 13 if delist is None else 5
    done, trades = sale(lake, keys, first)
    assert trades.loc[HELD, ["side", "reason"]].tolist() == ["payout", reason]
    _, earlier = sale(lake, keys, first - 1)
    assert earlier.loc[HELD, ["side", "reason"]].tolist() == ["sell", "suspended"]
    assert done.nav[-1] == 1.0


def test_absence():
    present = np.zeros((100, 4), bool)
    present[10:20, 0] = present[90, 0] = True  # a gap
    present[5:30, 1] = True
    present[5:30, 2] = True
    days = ALL[:100]
    listed, absent = absence(present, days, np.array([NEVER, NEVER, days[40], NEVER]))
    assert np.flatnonzero(listed[:, 0]).tolist() == list(range(10, 100))
    assert np.flatnonzero(listed[:, 1]).tolist() == list(range(5, 30 + HALT_SESSIONS))
    assert np.flatnonzero(absent[:, 1]).tolist() == list(range(30 + HALT_SESSIONS, 100))
    assert np.flatnonzero(listed[:, 2]).tolist() == list(range(5, 40))
    assert not absent[:, [0, 2, 3]].any()
    assert not listed[:, 3].any()
