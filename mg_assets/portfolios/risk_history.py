"""Daily bars behind the risk models of a portfolio with a risk aversion."""

from dataclasses import replace

import numpy as np

from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_portfolio.backtest.rebalance import DecisionPanel
from mg_portfolio.backtest.risk_history import HISTORY, RiskHistory
from mg_portfolio.catalog import PortfolioSpec

WEEKS = 170
"""Calendar weeks that hold the sessions of one model, holidays included."""


def risk_history(lake: Lake, first: str, last: str, symbols: np.ndarray) -> RiskHistory:
    """Prices of all sessions that the models of decisions from ``first`` to ``last`` read.

    Parameters
    ----------
    lake : Lake
    first, last : str
        Days of decisions.
    symbols : ndarray of object (S,)

    Returns
    -------
    RiskHistory
        A session that the lake does not have is empty.
    """
    days = trading_days(end=last)
    days = days[max(int(np.searchsorted(days, np.datetime64(first))) + 1 - HISTORY, 0) :]
    columns = ["close", "vwap", "amount", "adj_factor", "suspended"]
    bars = lake.panel("daily_bars", [str(d) for d in days], columns, symbols, missing="empty")
    traded = bars.present & np.isfinite(bars["vwap"]) & ~bars["suspended"].astype(bool)
    return RiskHistory(days, np.where(traded, bars["close"] * bars["adj_factor"], np.nan), bars["amount"])


def with_risk_history(panel: DecisionPanel, lake: Lake, spec: PortfolioSpec, first: str) -> DecisionPanel:
    """The panel with the history behind the models from ``first`` on; as it is where the portfolio takes no model.

    Returns
    -------
    DecisionPanel
    """
    if not spec.risk_aversion > 0.0:
        return panel
    return replace(panel, history=risk_history(lake, first, str(panel.market.days[-1]), panel.market.symbols))
