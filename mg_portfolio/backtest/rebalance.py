"""Rebalance a portfolio through time: decide, trade the next day, drift, decide again.

1. :class:`DecisionPanel` holds what is available at each close.
2. :func:`problem_at` builds one day's problem from it, on the stocks that matter that day.
3. :func:`rebalance` solves one after another, each from the weights that the last decision has drifted to;
   :func:`simulate_decisions` backtests them.

A decision starts from the weights of the stocks held alone, so that a week solved by itself, or on a wider axis of
stocks, gives the same bits as all weeks in one call.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from mg_axes import CODES, FLAGS, PANEL, WEIGHTS
from mg_portfolio.backtest.execution import Execution
from mg_portfolio.backtest.expected_returns import LAGS, ReturnPerScore, ScoreSlopes
from mg_portfolio.backtest.market_panel import Day, MarketPanel
from mg_portfolio.backtest.result import BacktestResult
from mg_portfolio.backtest.risk_history import RiskHistory
from mg_portfolio.backtest.simulate import drift_to, simulate
from mg_portfolio.catalog import PortfolioSpec
from mg_portfolio.costs import Costs, CostSchedule
from mg_portfolio.errors import BacktestError
from mg_portfolio.optimization.build_problem import build_problem, on_axis
from mg_portfolio.optimization.optimize import optimize
from mg_portfolio.optimization.problem import EnhancementProblem
from mg_portfolio.optimization.solution import EnhancementSolution


@dataclass(frozen=True, eq=False)
class DecisionPanel:
    """Data available to a rebalance at each close: D days, S stocks.

    The panels may be labelled (:mod:`mg_axes`): they are aligned on the market's days and symbols.
    :meth:`from_frames` fills in what may be left out.

    Attributes
    ----------
    market : MarketPanel
        Prices and tradability.
    score : (D, S) float
        Signal; NaN means no score.
    benchmark : (D, S) float
        Index weights in any unit; 0 or NaN outside the index. A day of zeros has no benchmark.
    member : (D, S) bool
        Index members.
    industry : (D, S) int
        Codes.
    industry_names : mapping of int to str
        Name of each code.
    styles : mapping of name to (D, S) float
        Standardised exposures; NaN is the mean.
    buyable : (D, S) bool
        Stocks that may be bought.
    history : RiskHistory, optional
        Daily prices behind the risk models of a portfolio with a risk aversion, on the panel's stocks; by default the
        market's own days.
    """

    market: MarketPanel
    score: np.ndarray
    benchmark: np.ndarray
    member: np.ndarray
    industry: np.ndarray
    industry_names: Mapping[int, str]
    styles: Mapping[str, np.ndarray]
    buyable: np.ndarray
    history: RiskHistory | None = None

    @classmethod
    def from_frames(
        cls,
        market: MarketPanel,
        score: Any,
        benchmark: Any,
        industry: Any = None,
        styles: Mapping[str, Any] | None = None,
        **panels: Any,
    ) -> Self:
        """Fill in what a portfolio of one's own leaves out.

        Parameters
        ----------
        market : MarketPanel
            Prices and tradability.
        score, benchmark : (D, S) float, or labelled
            Signal, and index weights; see :mod:`mg_axes` for labelled ones.
        industry : (D, S) int, or labelled, optional
            By default one industry: its limit then holds whatever the weights are.
        styles : mapping of name to (D, S) float, or labelled, optional
            Of the styles that the specification limits.
        **panels : (D, S) bool, or labelled, optional
            ``member``, by default the stocks with a benchmark weight; ``buyable``, by default every stock.

        Returns
        -------
        DecisionPanel
            On the market's days and symbols.

        Raises
        ------
        BacktestError
            A date or symbol that the market has not.
        """
        found = market.on_axes({"score": PANEL, "benchmark": WEIGHTS}, {"score": score, "benchmark": benchmark})
        given = {"member": np.nan_to_num(found["benchmark"]) > 0.0, "buyable": np.ones(market.close.shape, dtype=bool)}
        industry = np.zeros(market.close.shape, dtype=np.int64) if industry is None else industry
        return cls(market, **found, industry=industry, industry_names={}, styles=styles or {}, **(given | panels))

    def __post_init__(self) -> None:
        layouts = {
            "score": PANEL,
            "benchmark": WEIGHTS,
            "member": FLAGS,
            "industry": CODES,
            "buyable": FLAGS,
            "styles": PANEL,
        }
        found = self.market.on_axes(layouts, {name: getattr(self, name) for name in layouts})
        for name, values in found.items():
            object.__setattr__(self, name, values)
        shape = self.market.close.shape
        given = {name: getattr(self, name) for name in ("score", "benchmark", "member", "industry", "buyable")}
        for name, values in (given | dict(self.styles)).items():
            if values.shape != shape:
                raise BacktestError(f"{name} had shape {values.shape}, expected {shape} like the market's panel")
        if self.history is not None and self.history.price.shape[1] != shape[1]:
            raise BacktestError(
                f"history had {self.history.price.shape[1]} stocks, expected {shape[1]} like the market's panel"
            )

    @cached_property
    def risk_history(self) -> RiskHistory:
        """Daily prices behind the risk models."""
        return RiskHistory.of(self.market) if self.history is None else self.history


@dataclass(frozen=True, eq=False)
class Decision:
    """One rebalance decision, or why there was none.

    Attributes
    ----------
    day : int
        Index of its day in the panel.
    holdings, target : (S,) float
        Weights at the close before the decision, and those decided; the same where there was no decision.
    value : float
        Of the portfolio at the decision, 1 at its first.
    problem : EnhancementProblem, optional
        None where there was no decision.
    solution : EnhancementSolution, optional
        None where there was no decision.
    absent : str
        Why nothing was decided; empty where something was.
    expected : ReturnPerScore, optional
        What made the score a return, where the specification has a cost or a risk aversion.
    holding_period : float, optional
        Trading days over which the problem's cost is earned, where it has one.
    """

    day: int
    holdings: np.ndarray
    target: np.ndarray
    value: float
    problem: EnhancementProblem | None = None
    solution: EnhancementSolution | None = None
    absent: str = ""
    expected: ReturnPerScore | None = None
    holding_period: float | None = None


def problem_at(
    panel: DecisionPanel,
    spec: PortfolioSpec,
    day: int,
    holdings: np.ndarray,
    expected: ReturnPerScore | None = None,
    holding_period: float | None = None,
) -> EnhancementProblem | str:
    """Build one day's problem.

    Parameters
    ----------
    panel : DecisionPanel
        Data at each close.
    spec : PortfolioSpec
        Limits of the portfolio.
    day : int
        Index in the panel.
    holdings : (S,) float
        Weights held at the close.
    expected : ReturnPerScore, optional
        Takes the score in units of return, and the specification's cost and risk aversion with it.
    holding_period : float, optional
        Trading days over which a trade earns its cost; by default those to the next rebalance.

    Returns
    -------
    EnhancementProblem or str
        The problem, or a sentence naming what the day lacks.
    """
    date = panel.market.days[day]
    if not np.isfinite(panel.score[day]).any():
        return f"no {spec.signal} on {date}"
    if not np.nansum(panel.benchmark[day]) > 0.0:
        return f"the source has no {spec.index} weights on {date}"
    problem = build_problem(
        spec,
        score=panel.score[day] if expected is None else expected.expected(panel.score[day]),
        benchmark=panel.benchmark[day],
        holdings=holdings,
        industry=panel.industry[day],
        styles={name: values[day] for name, values in panel.styles.items() if not np.isnan(spec.limit_of(name))},
        member=panel.member[day],
        suspended=~panel.market.tradable[day],
        limit_up=panel.market.limit_up[day],
        limit_down=panel.market.limit_down[day],
        buyable=panel.buyable[day],
        symbols=panel.market.symbols,
        industry_names=panel.industry_names,
        cost=0.0 if expected is None else spec.cost * spec.every / (holding_period or spec.every),
    )
    if expected is None or not spec.risk_aversion > 0.0 or problem.positions is None:
        return problem
    offered = np.isfinite(panel.score[day]) | (np.nan_to_num(panel.benchmark[day]) > 0.0)
    risk = panel.risk_history.fields(date, offered, panel.industry[day], problem.positions, spec.every)
    return replace(problem, risk_aversion=spec.risk_aversion, **risk)


def rebalance(
    panel: DecisionPanel,
    spec: PortfolioSpec,
    days: Iterable[Day],
    cost: Costs | CostSchedule | None = None,
    execution: Execution | None = None,
    last: Decision | None = None,
    slopes: ScoreSlopes | None = None,
) -> Iterator[Decision]:
    """Decide on each of the days, in order, from the drifted weights of the decision before.

    Parameters
    ----------
    panel : DecisionPanel
        Data at each close.
    spec : PortfolioSpec
        Limits, costs and signal of the portfolio.
    days : iterable of int or date
        Decision days, ascending: indices into the panel, or its dates.
    cost : Costs or CostSchedule, optional
        Default: the specification's.
    execution : Execution, optional
        With the capital at the portfolio's first decision.
    last : Decision, optional
        The decision before the first of the days; where absent the portfolio starts in cash.
    slopes : ScoreSlopes, optional
        What earlier decisions' scores earned; the days' own are added. By default kept from the first of the days on
        where the specification takes its score in units of return.

    Yields
    ------
    Decision
        One a day; on a day that lacks signal or benchmark it has no solution, and the portfolio drifts on.
    """
    rates = spec.costs if cost is None else cost
    if slopes is None and spec.scores_are_returns:
        slopes = ScoreSlopes(lags=LAGS if spec.measures_decay else 0)
    for day in map(panel.market.index, days):
        if last is None:
            holdings, value = np.zeros(len(panel.market.symbols)), 1.0
        else:
            holdings, growth = _drifted(panel.market, last, day, rates, execution)
            value = last.value * growth
        if slopes is not None:
            slopes.add_completed(panel.market, panel.buyable, day, spec.every)
        expected = slopes.shrunk if slopes is not None and spec.scores_are_returns else None
        held = None if slopes is None or expected is None or not spec.cost > 0.0 else _holding_period(spec, slopes)
        problem = problem_at(panel, spec, day, holdings, expected, held)
        if isinstance(problem, str):
            yield Decision(day, holdings, holdings, value, absent=problem)
            continue
        solution = optimize(problem)
        target, kept = on_axis(problem, solution.weights, len(holdings)), problem.positions
        if slopes is not None:
            slopes.pending.append((str(panel.market.days[day]), panel.market.symbols[kept], panel.score[day, kept]))
        last = Decision(day, holdings, target, value, problem, solution, expected=expected, holding_period=held)
        yield last


def _holding_period(spec: PortfolioSpec, slopes: ScoreSlopes) -> float:
    """The specification's, else the measured one, else the time to the next rebalance."""
    return spec.holding_period or slopes.holding_period(spec.every) or float(spec.every)


def _drifted(
    market: MarketPanel, last: Decision, day: int, cost: Costs | CostSchedule, execution: Execution | None
) -> tuple[np.ndarray, float]:
    """Weights at the close of ``day``, computed on the stocks held alone."""
    held = np.flatnonzero((last.holdings > 0.0) | (last.target > 0.0))
    now = None if execution is None else execution.scaled(last.value)
    days = market.select(last.day, day + 1, held)
    weights, growth = drift_to(days, last.holdings[held], last.target[held], 0, day - last.day, cost, now)
    out = np.zeros(len(last.holdings))
    out[held] = weights
    return out, growth


@dataclass(frozen=True, eq=False)
class PortfolioPath:
    """A portfolio rebalanced through time, and its backtest.

    Attributes
    ----------
    result : BacktestResult
        From the first decision to the panel's end.
    benchmark : dict of day to (S,) float
        Index weights at each decision.
    relaxed, absent : int
        Number of decisions that moved a limit, and of days without a decision.
    largest_violation : float
        Over all decisions.
    """

    result: BacktestResult
    benchmark: dict[Day, np.ndarray] = field(repr=False)
    relaxed: int = 0
    absent: int = 0
    largest_violation: float = 0.0


def simulate_decisions(
    panel: DecisionPanel,
    spec: PortfolioSpec,
    decisions: Iterable[Decision],
    cost: Costs | CostSchedule | None = None,
    execution: Execution | None = None,
) -> PortfolioPath | None:
    """Backtest decisions to the panel's end, against the index weights of each.

    Parameters
    ----------
    panel : DecisionPanel
        Data at each close, the decisions' own.
    spec : PortfolioSpec
        Whose costs are the default.
    decisions : iterable of Decision
        As :func:`rebalance` yields them.
    cost : Costs or CostSchedule, optional
        Default: the specification's.
    execution : Execution, optional
        With the capital at the portfolio's first decision.

    Returns
    -------
    PortfolioPath or None
        None where nothing was decided on any day.
    """
    targets: dict[Day, np.ndarray] = {}
    index: dict[Day, np.ndarray] = {}
    relaxed = absent = 0
    worst = 0.0
    for made in decisions:
        if made.problem is None or made.solution is None:
            absent += 1
            continue
        targets[made.day] = made.target
        index[made.day] = on_axis(made.problem, made.problem.benchmark, len(made.target))
        relaxed += made.solution.status != "optimal"
        worst = max(worst, made.solution.largest_violation)
    if not targets:
        return None
    rates = spec.costs if cost is None else cost
    result = simulate(panel.market, targets, cost=rates, benchmark=index, execution=execution)
    return PortfolioPath(result, index, relaxed, absent, worst)
