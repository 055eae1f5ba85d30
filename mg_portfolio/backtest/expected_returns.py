"""Scores in units of return: what a score has earned, shrunk by its standard error, point in time.

Grinold (1994), "Alpha is volatility times IC times score": ``alpha_i = IC * volatility * z_i``, with ``z_i`` the
z-score of the score over the day's stocks and ``volatility`` the cross-sectional one of returns to the next rebalance.
IC and volatility of one decision come together in the slope of returns on scores, ``slope = IC * volatility /
std(score)``, so ``alpha_i = slope * (score_i - mean score)``.

The slope is the mean over past decisions whose returns are complete, ``m`` with standard error ``e``, shrunk towards
zero by empirical Bayes (positive-part James and Stein, 1961): ``m * max(0, 1 - (e / m)**2)``, and 0 where the mean is
not positive. A score within one standard error of having earned nothing is expected to earn nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.errors import ProblemError
from mg_portfolio.optimization.constraints import weight_bounds
from mg_portfolio.optimization.optimize import optimize
from mg_portfolio.optimization.problem import EnhancementProblem
from mg_portfolio.optimization.shadow_prices import return_per_score
from mg_portfolio.optimization.solution import EnhancementSolution

YEAR = 52  # decisions whose slopes are kept
LAGS = 8  # holding periods after a decision over which the decay of its RankIC is measured
ENOUGH = 10  # decisions with complete returns that a mean slope needs
TRADED = 1e-9  # a smaller change of weight is rounding


@dataclass(frozen=True)
class ReturnPerScore:
    """Expected return to the next rebalance per unit of score.

    Attributes
    ----------
    shrunk : float
        The mean shrunk by its standard error; what the decision takes.
    mean, standard_error : float
        Of the slopes.
    decisions : int
        Past decisions with complete returns.
    """

    shrunk: float
    mean: float
    standard_error: float
    decisions: int

    def expected(self, score: np.ndarray) -> np.ndarray:
        """Expected returns (S,) of scores (S,), 0 for the mean score; NaN where a stock has no score."""
        return expected_return(score, self.shrunk)


def expected_return(score: np.ndarray, per_score: float) -> np.ndarray:
    """Expected returns (S,) of scores (S,) at a return per unit of score, 0 for the mean score; NaN without a score."""
    score = np.asarray(score, dtype=np.float64)
    known = np.isfinite(score)
    return per_score * (score - score[known].mean()) if known.any() else score


def shrunk_slope(slopes: np.ndarray) -> ReturnPerScore:
    """Mean of past slopes of returns on scores, shrunk to zero by its standard error.

    Parameters
    ----------
    slopes : (T,) float
        One a decision, of periods that do not overlap.

    Returns
    -------
    ReturnPerScore

    Raises
    ------
    ProblemError
        Fewer than two slopes, or one that is not finite.
    """
    found = np.asarray(slopes, dtype=np.float64)
    if found.ndim != 1 or len(found) < 2 or not np.isfinite(found).all():
        raise ProblemError(f"slopes had shape {found.shape}, expected at least two finite numbers")
    mean, error = float(found.mean()), float(found.std(ddof=1) / np.sqrt(len(found)))
    shrunk = mean * max(0.0, 1.0 - (error / mean) ** 2) if mean > 0.0 else 0.0
    return ReturnPerScore(shrunk, mean, error, len(found))


@dataclass
class ScoreSlopes:
    """Returns per unit of score of past decisions, each used once its holding period has ended.

    Attributes
    ----------
    slopes : list of (decided, slope)
        Ascending, of the last year's decisions.
    pending : list of (decided, symbols, scores)
        Decisions whose returns are not complete yet.
    lags : int
        Holding periods after a decision over which the decay is measured; 0 for none.
    decay : list of (decided, RankIC by lag)
        Of the last year's decisions, once all lags are complete.
    """

    slopes: list[tuple[str, float]] = field(default_factory=list)
    pending: list[tuple[str, np.ndarray, np.ndarray]] = field(default_factory=list)
    lags: int = 0
    decay: list[tuple[str, list[float]]] = field(default_factory=list)

    def add_completed(self, market: MarketPanel, buyable: np.ndarray, day: int, every: int) -> None:
        """Add the slopes of returns from T+1's trade to ``every`` sessions later that are complete at ``day``'s close.

        As with labels, a stock that could not be bought on T+1, or is not in ``buyable`` (D, S) then, has none. With
        ``lags`` the RankICs with the returns of each of so many periods are added once the last is complete.
        """
        row = {str(d): i for i, d in enumerate(market.days)}
        column = {s: i for i, s in enumerate(market.symbols)}
        still, last = [], self.slopes[-1][0] if self.slopes else ""
        for decided, symbols, scores in self.pending:
            at = row.get(decided)
            if at is None:
                continue  # before the days of the panel
            complete = at + 1 + every * self.lags <= day
            if at + 1 + every > day or not complete:
                still.append((decided, symbols, scores))
            if at + 1 + every > day or (decided <= last and not (complete and self.lags)):
                continue
            here = np.array([s in column for s in symbols])
            s = np.array([column[name] for name in symbols[here]], dtype=np.int64)
            locked = market.limit_up[at + 1, s] | market.limit_down[at + 1, s]
            entry = market.tradable[at + 1, s] & buyable[at + 1, s] & ~locked
            start = np.where(entry, market.trade_price[at + 1, s], np.nan)
            if decided > last:
                slope, _ = return_per_score(scores[here], market.trade_price[at + 1 + every, s] / start - 1.0)
                if np.isfinite(slope):
                    self.slopes.append((decided, slope))
            if complete and self.lags:
                prices = market.trade_price[at + 1 : at + 2 + every * self.lags : every, s]
                returns = np.where(entry, prices[1:] / prices[:-1] - 1.0, np.nan)
                found = [_rank_ic(scores[here], r) for r in returns]
                if np.isfinite(found).all():
                    self.decay.append((decided, found))
        self.pending, self.slopes, self.decay = still, self.slopes[-YEAR:], self.decay[-YEAR:]

    @property
    def mean(self) -> float | None:
        """Return to the next rebalance per unit of score; None before enough decisions have complete returns."""
        return float(np.mean([s for _, s in self.slopes])) if len(self.slopes) >= ENOUGH else None

    @property
    def shrunk(self) -> ReturnPerScore | None:
        """The same with its standard error, shrunk; None before enough decisions have complete returns."""
        return shrunk_slope(np.array([s for _, s in self.slopes])) if len(self.slopes) >= ENOUGH else None

    def holding_period(self, every: int) -> float | None:
        """Trading days over which the signal earns what its first ``every`` promise, by its decay so far.

        The mean RankIC of each lag is shrunk as the slopes are, so that one within its standard error of nothing is the
        end.

        Parameters
        ----------
        every : int
            Trading days of a lag.

        Returns
        -------
        float or None
            From ``every`` to ``every * lags``; None before enough decisions are complete, or without a RankIC.
        """
        if len(self.decay) < ENOUGH:
            return None
        by_lag = np.array([found for _, found in self.decay]).T
        shrunk = {lag: shrunk_slope(ics).shrunk for lag, ics in enumerate(by_lag, start=1)}
        return every * holding_period(shrunk) if shrunk[1] > 0.0 else None


def _rank_ic(scores: np.ndarray, returns: np.ndarray) -> float:
    """Rank correlation over the stocks with both; NaN where there is none."""
    both = np.isfinite(scores) & np.isfinite(returns)
    found = [pd.Series(x[both]).rank().to_numpy() for x in (scores, returns)]
    if both.sum() < 3 or not all(np.ptp(x) > 0.0 for x in found):
        return float("nan")
    return float(np.corrcoef(*found)[0, 1])


def holding_period(decay: Mapping[int, float]) -> float:
    """Days over which a signal earns what its first day promises, from its IC decay.

    Parameters
    ----------
    decay : mapping of int to float
        Mean RankIC by lag in days from 1, as :func:`mg_portfolio.evaluation.ic_decay.ic_decay` returns it.

    Returns
    -------
    float
        Sum of the ICs up to the first that is not positive, over the first day's; at least 1.

    Raises
    ------
    ProblemError
        No lag 1, or an IC there that is not positive: the signal earns nothing that could pay a trade.
    """
    first = decay.get(1, float("nan"))
    if not first > 0.0:
        raise ProblemError(f"the IC of lag 1 was {first:g}, expected one above 0")
    total = 0.0
    for lag in sorted(decay):
        if not decay[lag] > 0.0:
            break
        total += decay[lag]
    return total / first


@dataclass(frozen=True)
class NoTradeRegion:
    """What the cost in the objective kept from trading.

    Attributes
    ----------
    stocks : int
        Held stocks that could be traded either way and were not.
    turnover_saved : float
        One-way turnover less than the same problem without cost has.
    cost_saved, return_forgone : float
        Trading cost and expected return less than without cost, in units of the objective.
    """

    stocks: int
    turnover_saved: float
    cost_saved: float
    return_forgone: float


def no_trade_region(problem: EnhancementProblem, solution: EnhancementSolution) -> NoTradeRegion:
    """Compare a solution with that of the same problem without cost.

    Parameters
    ----------
    problem : EnhancementProblem
        With a cost.
    solution : EnhancementSolution
        Its own.

    Returns
    -------
    NoTradeRegion
    """
    bounds, held = weight_bounds(problem), problem.holdings
    room = (bounds.lower < held - TRADED) & (bounds.upper > held + TRADED)
    still = room & (np.abs(solution.weights - held) <= TRADED)
    free = optimize(replace(problem, cost=0.0)).weights
    saved = float(np.abs(free - held).sum() - np.abs(solution.weights - held).sum())
    forgone = float(problem.score @ (free - solution.weights))
    return NoTradeRegion(int(still.sum()), saved / 2.0, problem.cost * saved, forgone)
