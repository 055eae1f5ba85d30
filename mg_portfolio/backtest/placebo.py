"""Placebo portfolios: random signals under a portfolio's own limits, costs and rebalancing path.

Any signal earns something under limits: what the universe, the index weights and the costs give or take. Random scores
earn the same without knowing anything, so that a backtest's excess means as much as it lies above theirs.

1. :func:`placebo_scores` draws a signal like the real one in all but what it knows: on each decision day a permutation
   of the day's own scores, as persistent from one decision to the next as the real one's ranks have been so far.
2. :func:`simulate_placebo` takes it through :func:`~mg_portfolio.backtest.rebalance.rebalance` and
   :func:`~mg_portfolio.backtest.rebalance.simulate_decisions`, as any portfolio.
3. :func:`placebo_figures` computes its figures; :mod:`mg_portfolio.evaluation.placebo_comparison` compares.

The problems of one week are not shared between placebos: each holds other stocks, on which the bounds and the rows of a
problem depend, and the rest of a problem (exposures, members) is a slice.
"""

from dataclasses import replace
from hashlib import blake2b

import numpy as np
import pandas as pd

from mg_portfolio.backtest.execution import Execution
from mg_portfolio.backtest.rebalance import DecisionPanel, PortfolioPath, rebalance, simulate_decisions
from mg_portfolio.backtest.result import BacktestResult
from mg_portfolio.catalog import PortfolioSpec
from mg_portfolio.costs import Costs, CostSchedule
from mg_portfolio.metrics import metrics_by_year

FEW = 3  # stocks with both scores: fewer have no correlation
FIGURES = (
    "days",
    "excess_annual",
    "tracking_error",
    "information_ratio",
    "turnover_two_way_per_rebalance",
    "turnover_two_way_annual",
)


def rank_autocorrelation(scores: np.ndarray) -> np.ndarray:
    """Rank correlation of each decision's scores with those of the one before, mean of all so far.

    Parameters
    ----------
    scores : (W, S) float
        Of each decision day; NaN means no score.

    Returns
    -------
    (W,) float
        Known at each decision: over its own stocks and the earlier ones' alone; 0 before there is any.
    """
    found = np.full(len(scores), np.nan)
    for week in range(1, len(scores)):
        both = np.isfinite(scores[week]) & np.isfinite(scores[week - 1])
        if both.sum() >= FEW:
            now, before = (pd.Series(scores[w, both]).rank().to_numpy() for w in (week, week - 1))
            spread = now.std() * before.std()
            if spread > 0.0:
                found[week] = ((now - now.mean()) * (before - before.mean())).mean() / spread
    counted = np.cumsum(np.isfinite(found))
    return np.divide(np.cumsum(np.nan_to_num(found)), counted, out=np.zeros(len(found)), where=counted > 0)


def placebo_scores(scores: np.ndarray, symbols: np.ndarray, portfolio: str, number: int) -> np.ndarray:
    """Draw one random signal in place of a real one.

    Each stock follows normal noise ``x_t = r x_{t-1} + sqrt(1 - r^2) e_t`` of its own, whose ``r`` gives two decisions'
    ranks the real signal's mean correlation up to that decision. The day's real scores are then dealt out in the order
    of ``x``: the same stocks have a score, with the same values, so that coverage, dispersion and, nearly, turnover and
    costs are the real signal's. Beyond one week the noise forgets as a first-order autoregression does; a signal with
    a long memory is more persistent than that.

    Parameters
    ----------
    scores : (W, S) float
        The real signal on each decision day; NaN means no score.
    symbols : (S,)
        Stock codes. A stock's noise depends on its code, not on the other stocks of the axis.
    portfolio : str
        Name of the portfolio, which with ``number`` seeds the noise.
    number : int
        Of the placebo.

    Returns
    -------
    (W, S) float
        Scores of a day depend on that day and those before alone.

    Notes
    -----
    For normal variables of correlation ``r`` the rank correlation is ``(6 / pi) asin(r / 2)``, so that ``r`` is
    ``2 sin(pi rank / 6)`` (Pearson, 1907).
    """
    weeks = len(scores)
    noise = np.empty(scores.shape)
    for at, symbol in enumerate(symbols):
        digest = blake2b(f"{portfolio}|{number}|{symbol}".encode(), digest_size=16).digest()
        stream = np.random.Philox(key=int.from_bytes(digest, "little"))
        noise[:, at] = np.random.Generator(stream).standard_normal(weeks)  # more weeks change no earlier draw
    linear = np.clip(2.0 * np.sin(np.pi / 6.0 * rank_autocorrelation(scores)), -1.0, 1.0)
    out = np.full(scores.shape, np.nan)
    for week, keep in enumerate(linear):
        if week:
            noise[week] = keep * noise[week - 1] + np.sqrt(1.0 - keep * keep) * noise[week]
        scored = np.flatnonzero(np.isfinite(scores[week]))
        out[week, scored[np.argsort(noise[week, scored], kind="stable")]] = np.sort(scores[week, scored])
    return out


def simulate_placebo(
    panel: DecisionPanel,
    spec: PortfolioSpec,
    decided: np.ndarray,
    scores: np.ndarray,
    cost: Costs | CostSchedule | None = None,
    execution: Execution | None = None,
) -> PortfolioPath | None:
    """Rebalance and backtest a portfolio on other scores.

    Parameters
    ----------
    panel : DecisionPanel
        Data at each close; its own scores are not read.
    spec : PortfolioSpec
        Limits and costs of the portfolio.
    decided : (W,) int
        Decision days, ascending, as indices into the panel.
    scores : (W, S) float
        Scores on them.
    cost : Costs or CostSchedule, optional
        Default: the specification's.
    execution : Execution, optional
        With the capital at the portfolio's first decision.

    Returns
    -------
    PortfolioPath or None
        None where nothing was decided on any day.
    """
    given = np.full(panel.score.shape, np.nan)
    given[decided] = scores
    other = replace(panel, score=given)
    return simulate_decisions(other, spec, rebalance(other, spec, decided, cost, execution), cost, execution)


def placebo_figures(result: BacktestResult) -> pd.DataFrame:
    """Figures of a backtest that stand beside its placebos', for the whole period and each year.

    Parameters
    ----------
    result : BacktestResult
        With a benchmark.

    Returns
    -------
    DataFrame
        Index ``period`` ("whole", "2023", ...); columns ``FIGURES`` as in :func:`mg_portfolio.metrics_by_year`,
        ``excess_before_costs`` (of the value without what each rebalance cost) and ``cost_annual``, the excess that
        costs took, both scaled as ``excess_annual``.
    """
    found = metrics_by_year(result.nav, result.benchmark_nav, result.days, result.turnover)
    gross = metrics_by_year(result.nav_before_costs, result.benchmark_nav, result.days)["excess_annual"]
    return found[list(FIGURES)].assign(excess_before_costs=gross, cost_annual=gross - found["excess_annual"])
