"""Optimise one's own scores week by week and backtest the portfolio: python examples/optimise_and_backtest.py."""

from sample_market import adjusted

from mg_portfolio import (
    DecisionPanel,
    MarketPanel,
    PortfolioSpec,
    metrics_by_year,
    rebalance,
    simulate_decisions,
    weekday_decisions,
)

close = adjusted("close")
scores = (1 - close / close.shift(20)).rank(axis=1, pct=True) - 0.5
index = close.notna().div(close.notna().sum(axis=1), axis=0)  # the benchmark: equal weight
mine = PortfolioSpec("mine", "reversal", "equal weight", None, stock_limit=0.02, industry_limit=1.0, turnover_limit=0.2)

panel = DecisionPanel.from_frames(MarketPanel.from_frames(close, adjusted("vwap")), scores, index)
decisions = rebalance(panel, mine, weekday_decisions(panel.market.days)["fri"][4:])  # each Friday, after 20 days
path = simulate_decisions(panel, mine, decisions)

assert path is not None  # something was decided
print(metrics_by_year(path.result.nav, path.result.benchmark_nav, path.result.days, path.result.turnover).T.round(3))
print(path.result.rebalances[["decided", "traded", "realised_two_way", "cost", "unfilled"]].tail())
