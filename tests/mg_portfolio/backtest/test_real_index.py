"""A year of real CSI 300 weeks: score, optimise, trade, attribute."""

import numpy as np
import pandas as pd
import pytest

from mg_portfolio import optimize
from mg_portfolio.backtest.attribution import attribute
from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.backtest.simulate import drift_to, simulate
from mg_portfolio.catalog import PORTFOLIOS
from mg_portfolio.costs import Costs
from mg_portfolio.metrics import metrics_by_year
from mg_portfolio.optimization.build_problem import build_problem, on_axis

SPEC = PORTFOLIOS["csi300_turnover30"]


def lake_code(code: str) -> str:
    """600519.SSE or SH600519 or 600519.SH as 600519.SH."""
    if "." in code:
        number, exchange = code.split(".")
        return f"{number}.{exchange[:2].replace('SS', 'SH')}"
    return f"{code[2:]}.{code[:2]}"


@pytest.fixture(scope="module")
def year(shared_data):
    """Panels of 2019-07..2020-07 over every stock ever in the CSI 300 then."""
    weights = pd.read_parquet(shared_data / "index_weights_csi300" / "csi300_weights.parquet")
    weights["date"] = pd.to_datetime(weights["date"])
    weights = weights[weights["date"].between("2019-06-01", "2020-07-31")]
    table = weights.pivot_table(index="date", columns="con_code", values="weight")
    daily = pd.read_parquet(
        shared_data / "daily_csi800_ever_2013_2023" / "daily.parquet",
        filters=[("date", ">=", pd.Timestamp("2019-05-01").date()), ("date", "<=", pd.Timestamp("2020-07-31").date())],
    )
    daily["symbol"] = daily["symbol"].map(lake_code)
    daily = daily[daily["symbol"].isin(table.columns)]
    wide = daily.pivot_table(
        index="date", columns="symbol", values=["open_milli", "high_milli", "low_milli", "close_milli"]
    )
    volume = daily.pivot_table(index="date", columns="symbol", values="volume").fillna(0.0)
    factor = daily.pivot_table(index="date", columns="symbol", values="factor").ffill()
    symbols = volume.columns.to_numpy()
    raw = {
        name: wide[f"{name}_milli"].reindex(columns=symbols).to_numpy() / 1000
        for name in ("open", "high", "low", "close")
    }
    halted = volume.to_numpy() == 0
    adjust = factor.to_numpy()
    typical = (raw["open"] + raw["high"] + raw["low"] + raw["close"]) / 4  # no amount in this data, hence no vwap
    before = np.vstack([raw["close"][:1], raw["close"][:-1]])
    line = (raw["high"] == raw["low"]) & ~halted  # one price all day
    market = MarketPanel(
        days=np.asarray(volume.index, dtype="datetime64[D]"),
        symbols=symbols,
        trade_price=np.where(halted, np.nan, typical * adjust),
        close=np.where(halted, np.nan, raw["close"] * adjust),
        suspended=halted,
        limit_up=line & (raw["close"] > before * 1.09),
        limit_down=line & (raw["close"] < before * 0.91),
    )
    codes = pd.read_parquet(shared_data / "industry_citic_2019" / "stock_industry.parquet")
    industry = pd.Series(codes["ZXF"].to_numpy(), index=codes["SecurityID"].map(lake_code))
    industry = industry[~industry.index.duplicated()].reindex(symbols).fillna(-1).astype(int).to_numpy()
    amount = np.log1p(pd.DataFrame(volume.to_numpy() * raw["close"]).rolling(20, min_periods=5).mean().to_numpy())
    return market, table.reindex(columns=symbols), industry, amount


def test_a_year_of_weeks_on_real_data(year):
    market, table, industry, amount = year
    price = market.mark
    first = market.index(np.datetime64("2019-07-01"))
    weeks = list(range(first, len(market.days) - 5, 5))
    holdings, decisions, index_weights, statuses = np.zeros(len(market.symbols)), {}, {}, []
    for day in weeks:
        latest = table[table.index <= pd.Timestamp(market.days[day])].iloc[-1]
        past = price[day] / np.where(price[day - 20] > 0, price[day - 20], np.nan) - 1
        score = -(past - np.nanmean(past)) / np.nanstd(past)  # one-month reversal
        size = (amount[day] - np.nanmean(amount[day])) / np.nanstd(amount[day])
        problem = build_problem(
            SPEC,
            score,
            latest.to_numpy(dtype=float),
            holdings,
            industry,
            {"size": size},
            suspended=market.suspended[day],
            limit_up=market.limit_up[day],
            limit_down=market.limit_down[day],
            symbols=market.symbols,
        )
        solution = optimize(problem)
        statuses.append(solution.status)
        assert solution.status in ("optimal", "relaxed"), solution.message
        assert solution.largest_violation <= 1e-6
        decisions[day] = on_axis(problem, solution.weights, len(market.symbols))
        index_weights[day] = on_axis(problem, problem.benchmark, len(market.symbols))
        holdings = drift_to(market, holdings, decisions[day], day, day + 5, SPEC.costs)[0]
    assert statuses[0] == "relaxed"
    assert statuses.count("optimal") > 0.8 * len(weeks)

    result = simulate(market, decisions, cost=SPEC.costs, benchmark=index_weights)
    assert result.holdings[weeks[-1] + 5 - weeks[0]] == pytest.approx(holdings, abs=1e-12)  # the two ways agree
    later = result.rebalances[~result.rebalances["initial"]]
    usual = np.array(statuses[1:]) == "optimal"
    assert (later["planned_two_way"].to_numpy()[usual] <= 0.30 + 1e-6).all()
    assert later["realised_two_way"].mean() == pytest.approx(0.30, abs=0.05)
    parts = attribute(result, market, index_weights, industry, {"size": amount})
    compounded = result.nav[-1] / result.nav[0] - result.benchmark_nav[-1] / result.benchmark_nav[0]
    assert parts.table()["excess"] == pytest.approx(compounded, abs=1e-12)
    assert parts.factor_table()["excess"] == pytest.approx(compounded, abs=1e-12)
    assert -0.06 < parts.table()["cost"] < -0.03  # fifteen times the portfolio bought and sold a year, at 0.2% each
    figures = metrics_by_year(result.nav, result.benchmark_nav, result.days, result.turnover).loc["whole"]
    assert 0.01 < figures["tracking_error"] < 0.08  # published for 0.8% bands: 6% to 7%
    assert 0.1 < figures["annual_volatility"] < 0.4
    assert figures["turnover_two_way_annual"] == pytest.approx(0.30 * 252 / 5, rel=0.1)


def test_holding_the_real_index_for_free_tracks_it(year):
    """The weights of mid-2019 held for a year: with every halt and missing price that the year had."""
    market, table, industry, amount = year
    start = market.index(np.datetime64("2019-07-01"))
    weights = table[table.index <= pd.Timestamp(market.days[start])].iloc[-1].to_numpy(dtype=float)
    weights = np.where(market.mark[start] > 0.0, np.nan_to_num(weights), 0.0)
    weights /= weights.sum()
    days = market.select(start, len(market.days), np.arange(len(market.symbols)))
    assert (weights > 0).sum() > 280
    assert days.suspended[:, weights > 0].any()
    held = simulate(days, {}, start_holdings=weights, cost=Costs.none(), benchmark={0: weights})
    np.testing.assert_allclose(held.relative_nav, 1.0, rtol=0, atol=1e-13)
    np.testing.assert_allclose(held.nav, (held.units * days.mark).sum(axis=1) + held.cash, rtol=0, atol=1e-13)
    parts = attribute(held, days, {0: weights}, industry, {"size": amount[start:]})
    assert np.abs(parts.excess).max() < 1e-13
    assert parts.table().abs().max() < 1e-12
    assert parts.factor_table().abs().max() < 1e-12
