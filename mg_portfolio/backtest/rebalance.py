"""A portfolio's path through time: decide, trade the next day, drift, decide again.

1. ``panel`` holds what was known at each close (:class:`DecisionPanel`).
2. :func:`problem_at` cuts one day's problem out of it, on the stocks that matter that day.
3. :func:`walk` goes from decision to decision, each from the weights that the last one has become;
   :func:`account` turns the steps into a backtest.

A step starts from weights on the stocks held and from nothing else, so that a week solved alone, or on other axes,
gives the same bits as all weeks in one go.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from mg_portfolio.backtest.execution import Execution
from mg_portfolio.backtest.market_panel import Day, MarketPanel
from mg_portfolio.backtest.result import BacktestResult
from mg_portfolio.backtest.simulate import carry, simulate
from mg_portfolio.catalog import PortfolioSpec
from mg_portfolio.costs import Costs, CostSchedule
from mg_portfolio.errors import BacktestError
from mg_portfolio.optimization.build_problem import build_problem, on_axis
from mg_portfolio.optimization.optimize import optimize
from mg_portfolio.optimization.problem import EnhancementProblem
from mg_portfolio.optimization.solution import EnhancementSolution


@dataclass(frozen=True, eq=False)
class DecisionPanel:
    """What a rebalance knows at each close: D days, S stocks.

    Attributes
    ----------
    market : MarketPanel
    score : (D, S) float
        Signal; NaN means no score.
    benchmark : (D, S) float
        Index weights in any unit; 0 or NaN outside the index. A day of zeros has no benchmark.
    member : (D, S) bool
        Of the index.
    industry : (D, S) int
        Codes.
    industry_names : mapping of int to str
    styles : mapping of name to (D, S) float
        Standardised exposures; NaN is the mean.
    buyable : (D, S) bool
        Stocks that may be bought.
    """

    market: MarketPanel
    score: np.ndarray
    benchmark: np.ndarray
    member: np.ndarray
    industry: np.ndarray
    industry_names: Mapping[int, str]
    styles: Mapping[str, np.ndarray]
    buyable: np.ndarray

    def __post_init__(self) -> None:
        shape = self.market.close.shape
        given = {name: getattr(self, name) for name in ("score", "benchmark", "member", "industry", "buyable")}
        for name, values in (given | dict(self.styles)).items():
            if values.shape != shape:
                raise BacktestError(f"{name} had shape {values.shape}, expected {shape} like the market's panel")


@dataclass(frozen=True, eq=False)
class Step:
    """One decision of a path, or why there was none.

    Attributes
    ----------
    day : int
        Index of the decision's day in the panel.
    holdings, target : (S,) float
        Weights at the close before the decision, and what it wants; the same where it is absent.
    value : float
        The portfolio's at the decision, 1 at its first.
    problem, solution : optional
        None where the decision is absent.
    absent : str
        Why nothing was decided; empty where something was.
    """

    day: int
    holdings: np.ndarray
    target: np.ndarray
    value: float
    problem: EnhancementProblem | None = None
    solution: EnhancementSolution | None = None
    absent: str = ""


def problem_at(panel: DecisionPanel, spec: PortfolioSpec, day: int, holdings: np.ndarray) -> EnhancementProblem | str:
    """One day's problem, or a sentence that says what it lacks.

    Parameters
    ----------
    panel : DecisionPanel
    spec : PortfolioSpec
    day : int
        Index in the panel.
    holdings : (S,) float
        Weights held at the close.
    """
    date = panel.market.days[day]
    if not np.isfinite(panel.score[day]).any():
        return f"no {spec.signal} on {date}"
    if not np.nansum(panel.benchmark[day]) > 0.0:
        return f"the source has no {spec.index} weights on {date}"
    return build_problem(
        spec,
        score=panel.score[day],
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
    )


def walk(
    panel: DecisionPanel,
    spec: PortfolioSpec,
    days: Iterable[int],
    cost: Costs | CostSchedule | None = None,
    execution: Execution | None = None,
    last: Step | None = None,
) -> Iterator[Step]:
    """Decide on each of the days, in order.

    Parameters
    ----------
    panel : DecisionPanel
    spec : PortfolioSpec
    days : iterable of int
        Decision days, ascending indices into the panel.
    cost : Costs or CostSchedule, optional
        Default: the specification's.
    execution : Execution, optional
        With the capital at the portfolio's first decision.
    last : Step, optional
        The decision before the first of the days; where absent the portfolio starts in cash.

    Yields
    ------
    Step
        One a day; a day that lacks signal or benchmark is a step without a solution, and the portfolio drifts on.
    """
    rates = spec.costs if cost is None else cost
    for day in days:
        if last is None:
            holdings, value = np.zeros(len(panel.market.symbols)), 1.0
        else:
            holdings, growth = _carried(panel.market, last, day, rates, execution)
            value = last.value * growth
        problem = problem_at(panel, spec, day, holdings)
        if isinstance(problem, str):
            yield Step(day, holdings, holdings, value, absent=problem)
            continue
        solution = optimize(problem)
        last = Step(day, holdings, on_axis(problem, solution.weights, len(holdings)), value, problem, solution)
        yield last


def _carried(
    market: MarketPanel, last: Step, day: int, cost: Costs | CostSchedule, execution: Execution | None
) -> tuple[np.ndarray, float]:
    """Weights at the close of ``day``, computed on the stocks held alone."""
    held = np.flatnonzero((last.holdings > 0.0) | (last.target > 0.0))
    now = None if execution is None else execution.grown(last.value)
    days = market.cut(last.day, day + 1, held)
    weights, growth = carry(days, last.holdings[held], last.target[held], 0, day - last.day, cost, now)
    out = np.zeros(len(last.holdings))
    out[held] = weights
    return out, growth


@dataclass(frozen=True, eq=False)
class Path:
    """A walked portfolio.

    Attributes
    ----------
    result : BacktestResult
    benchmark : dict of day to (S,) float
        Index weights at each decision.
    relaxed, absent : int
        Decisions that moved a limit, and days without a decision.
    largest_violation : float
        Over all decisions.
    """

    result: BacktestResult
    benchmark: dict[Day, np.ndarray] = field(repr=False)
    relaxed: int = 0
    absent: int = 0
    largest_violation: float = 0.0


def account(
    panel: DecisionPanel,
    spec: PortfolioSpec,
    steps: Iterable[Step],
    cost: Costs | CostSchedule | None = None,
    execution: Execution | None = None,
) -> Path | None:
    """Simulate the steps of a walk to the panel's end, beside the index weights of each; None without a decision."""
    decisions: dict[Day, np.ndarray] = {}
    index: dict[Day, np.ndarray] = {}
    relaxed = absent = 0
    worst = 0.0
    for step in steps:
        if step.problem is None or step.solution is None:
            absent += 1
            continue
        decisions[step.day] = step.target
        index[step.day] = on_axis(step.problem, step.problem.benchmark, len(step.target))
        relaxed += step.solution.status != "optimal"
        worst = max(worst, step.solution.largest_violation)
    if not decisions:
        return None
    rates = spec.costs if cost is None else cost
    result = simulate(panel.market, decisions, cost=rates, benchmark=index, execution=execution)
    return Path(result, index, relaxed, absent, worst)
