"""CPU time of rebalancing a portfolio: decide, trade, drift, week after week, and its backtest.

Run: ``python benchmarks/rebalance.py --sizes 1000 5000 --weeks 50`` (one thread). Prices, signal and index are
random; a hundredth of the stocks is suspended, another locked at the upper limit. Prints CPU milliseconds a week of the
decisions (optimiser, check and shadow prices included), and of the backtest with the attribution of its excess.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from mg_portfolio.backtest.attribution import attribute
from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.backtest.rebalance import DecisionPanel, rebalance, simulate_decisions
from mg_portfolio.backtest.weekday_paths import weekday_decisions
from mg_portfolio.catalog import PORTFOLIOS

SPEC = PORTFOLIOS["csi500_turnover30"]


def panel(stocks: int, weeks: int, seed: int = 0) -> DecisionPanel:
    r = np.random.default_rng(seed)
    shape = (5 * weeks, stocks)
    close = 10 * np.exp(np.cumsum(0.02 * r.standard_normal(shape), axis=0))
    trade = close * np.exp(0.005 * r.standard_normal(shape))
    suspended = r.random(shape) < 0.01
    trade[suspended] = np.nan
    locked = (r.random(shape) < 0.01) & ~suspended
    days = np.busday_offset("2020-01-06", np.arange(shape[0]))
    symbols = np.array([f"{i:06d}.SZ" for i in range(stocks)], dtype=object)
    market = MarketPanel(days, symbols, trade, close, suspended, locked, np.zeros(shape, bool))
    score = np.cumsum(r.standard_normal(shape), axis=0)
    weight = np.where(np.arange(stocks) < 500, r.lognormal(0, 0.3, stocks), 0.0) * np.ones(shape)
    return DecisionPanel(
        market,
        score / score.std(axis=1, keepdims=True),
        weight,
        weight > 0,
        np.tile(np.arange(stocks) % 30, (shape[0], 1)),
        {i: str(i) for i in range(30)},
        {"size": np.tile(r.standard_normal(stocks), (shape[0], 1))},
        np.ones(shape, bool),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--weeks", type=int, default=50)
    options = parser.parse_args()
    print("| stocks | weeks | rebalancing, ms a week | backtest and attribution, ms a week |\n|---|---|---|---|")
    for stocks in options.sizes:
        given = panel(stocks, options.weeks)
        days = weekday_decisions(given.market.days)["fri"]
        _ = given.market.mark, given.market.tradable
        list(rebalance(given, SPEC, days[:2]))  # imports and caches
        began = time.process_time()
        decisions = list(rebalance(given, SPEC, days))
        middle = time.process_time()
        path = simulate_decisions(given, SPEC, decisions)
        attribute(path.result, given.market, path.benchmark, given.industry, given.styles)
        ended = time.process_time()
        rebalancing, rest = (1e3 * x / len(days) for x in (middle - began, ended - middle))
        print(f"| {stocks} | {len(days)} | {rebalancing:.1f} | {rest:.1f} |", flush=True)


if __name__ == "__main__":
    main()
