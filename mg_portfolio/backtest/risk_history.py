"""The risk model of each decision, from the daily bars up to it.

A model is estimated on the stocks that its day offers, those with a score or an index weight, and on the last
``HISTORY`` sessions alone. So it is the same to the bit whatever else a panel holds: weeks solved one by one have the
models of all in one call, and what-if has them again from a stored week.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.backtest.result import BacktestResult
from mg_portfolio.errors import BacktestError, ProblemError
from mg_portfolio.risk.exposures import BAR_STYLES, bar_styles
from mg_portfolio.risk.model import RiskModel, risk_model
from mg_portfolio.risk.settings import RiskSettings

SETTINGS = RiskSettings()
HISTORY = SETTINGS.days + 252 + 1  # sessions: those of the model, those of its styles, and a price before the first
SEASONED = 120  # days with a return before a stock is in the regressions
LARGEST_RETURN = 0.31  # a day's; beyond every price limit, so of a first day or a fault of the source
KEPT = 520  # models, the last ten years' weeks; placebos take each of them again


@dataclass(frozen=True, eq=False)
class RiskHistory:
    """Daily prices behind the risk models of decisions: H sessions, S stocks.

    Attributes
    ----------
    days : (H,) datetime64[D]
        Ascending, up to the last decision and beyond; what is after a decision is not read.
    price : (H, S) float
        Adjusted closes; NaN on a day without trades.
    amount : (H, S) float
        Traded value, any unit.
    """

    days: np.ndarray
    price: np.ndarray
    amount: np.ndarray
    _models: "OrderedDict[tuple, tuple[RiskModel, csr_array]]" = field(default_factory=OrderedDict, repr=False)

    @classmethod
    def of(cls, market: MarketPanel) -> "RiskHistory":
        """The days of a backtest's own market, for a panel without earlier ones."""
        price = np.where(market.tradable & np.isfinite(market.close), market.close, np.nan)
        amount = np.full(price.shape, np.nan) if market.amount is None else market.amount
        return cls(market.days, price, amount)

    def fields(
        self, date: np.datetime64, offered: np.ndarray, industry: np.ndarray, positions: np.ndarray, horizon: int
    ) -> dict[str, Any]:
        """The risk fields of a problem decided at the close of ``date``.

        Parameters
        ----------
        date : datetime64[D]
            A day of the history.
        offered : (S,) bool
            Stocks that the model is estimated on.
        industry : (S,) int
            Codes of the day, taken for the days before as well.
        positions : (N,) int
            Stocks of the problem. One that is only held has its industry, mean styles and the median specific variance.
        horizon : int
            Trading days of the covariance.

        Returns
        -------
        dict
            ``factor_loadings``, ``factor_cov`` and ``specific_var`` of :class:`~mg_portfolio.EnhancementProblem`.

        Raises
        ------
        BacktestError
            The date is not a day of the history, or there are too few days before it.
        """
        stocks = np.flatnonzero(offered)
        model, industries = self._model(date, stocks, industry[stocks], horizon), np.unique(industry[stocks])
        at = np.full(len(offered), -1)
        at[stocks] = np.arange(len(stocks))
        found = at[positions]
        loadings, specific = model.factor_loadings[found], model.specific_var[found]
        for row in np.flatnonzero(found < 0):
            loadings[row] = 0.0
            loadings[row, 0] = 1.0
            loadings[row, 1 : 1 + len(industries)] = industries == industry[positions[row]]
            specific[row] = np.median(model.specific_var)
        return {"factor_loadings": loadings, "factor_cov": model.factor_cov, "specific_var": specific}

    def _model(self, date: np.datetime64, stocks: np.ndarray, industry: np.ndarray, horizon: int) -> RiskModel:
        key = (date, horizon, stocks.tobytes())
        if key not in self._models:
            model = self._estimated(date, stocks, industry, horizon)
            # loadings are zeros for the most part: twelve of forty in a row are not
            self._models[key] = replace(model, factor_loadings=np.empty(0)), csr_array(model.factor_loadings)
            if len(self._models) > KEPT:
                self._models.popitem(last=False)
        model, loadings = self._models[key]
        return replace(model, factor_loadings=loadings.toarray())

    def _estimated(self, date: np.datetime64, stocks: np.ndarray, industry: np.ndarray, horizon: int) -> RiskModel:
        stop = int(np.searchsorted(self.days, date, side="right"))
        if stop == 0 or self.days[stop - 1] != date:
            raise BacktestError(f"the risk model of {date} has no prices of that day: give the history up to it")
        rows = slice(max(stop - HISTORY, 0), stop)
        price, amount = self.price[rows][:, stocks], self.amount[rows][:, stocks]
        first = int(np.isfinite(price).any(axis=1).argmax())  # before it the source has nothing
        price, amount = price[first:], amount[first:]
        returns = daily_returns(price)
        seen = np.isfinite(returns).cumsum(axis=0)
        universe = seen >= np.minimum(SEASONED, np.arange(1, len(returns) + 1) // 2)[:, None]
        inputs = {"universe": universe, "style_names": BAR_STYLES, "settings": SETTINGS, "horizon": horizon}
        try:
            return risk_model(returns, industry, bar_styles(returns, amount, SETTINGS.days + 1), **inputs)
        except ProblemError as error:
            raise BacktestError(
                f"the risk model of {date}, of {len(stocks)} stocks with a score or an index weight: {error}; or give "
                "the portfolio a risk_aversion of 0"
            ) from error


def tracking_errors(result: BacktestResult, forecast: Mapping[str, float], horizon: int) -> pd.DataFrame:
    """Forecast tracking errors beside what the portfolio earned over its index.

    Parameters
    ----------
    result : BacktestResult
        With a benchmark.
    forecast : mapping of str to float
        By the date of the decision, fractions over ``horizon`` days.
    horizon : int
        Trading days of a forecast.

    Returns
    -------
    DataFrame
        Index ``traded``; columns ``forecast``, scaled by the root of the days to the next trade, and ``active``, the
        return over the index's between the closes of the two, before costs. Without the last, which has no next.
    """
    at = np.searchsorted(result.days, result.rebalances["traded"].to_numpy("datetime64[D]"))
    decided = result.rebalances["decided"].to_numpy("datetime64[D]")[:-1]
    start, end = at[:-1], at[1:]
    own, index = result.nav_before_costs, result.benchmark_nav
    known = {np.datetime64(day): value for day, value in forecast.items()}
    expected = np.array([known.get(day, np.nan) for day in decided]) * np.sqrt((end - start) / horizon)
    earned = own[end] / own[start] - index[end] / index[start]
    frame = pd.DataFrame({"forecast": expected, "active": earned}, index=pd.Index(result.days[start], name="traded"))
    return frame[np.isfinite(frame["forecast"])]


def daily_returns(price: np.ndarray) -> np.ndarray:
    """Returns (H, S) since the price before, across halts; NaN without a trade, and beyond every price limit."""
    row = np.maximum.accumulate(np.where(np.isfinite(price), np.arange(len(price))[:, None], -1), axis=0)
    before = np.vstack([np.full((1, price.shape[1]), -1), row[:-1]])
    last = np.where(before >= 0, np.take_along_axis(price, np.maximum(before, 0), axis=0), np.nan)
    returns = price / last - 1.0
    returns[~(np.abs(returns) <= LARGEST_RETURN)] = np.nan
    return returns
