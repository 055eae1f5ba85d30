"""Index-enhancement portfolios: optimise, backtest, evaluate and report.

An ordinary library: arrays or labelled frames in, arrays and frames out, nothing kept between calls. All weights are
fractions of the portfolio's value; days are rows, stocks are columns.

One rebalance. :func:`optimize` maximises the score under stock, industry, style, member and turnover limits, and
recomputes every constraint on the weights that it returns:

>>> import numpy as np
>>> from mg_portfolio import EnhancementProblem, optimize
>>> problem = EnhancementProblem(
...     score=np.array([1.0, 0.5, -0.5, -1.0]),
...     benchmark=np.full(4, 0.25),
...     holdings=np.full(4, 0.25),
...     stock_limit=0.1,
...     turnover_limit=0.15,
... )
>>> solution = optimize(problem)
>>> solution.status, solution.weights.round(4).tolist()
('optimal', [0.35, 0.3, 0.2, 0.15])
>>> round(solution.shadow_prices["turnover"], 4)  # score gained per unit of one-way turnover
1.0

:func:`build_problem` makes the problem from one day's panels and the limits of a published portfolio (``PORTFOLIOS``);
:func:`diagnose` names the constraints that exclude one another and the relaxations that suffice; :func:`compare` puts
two solutions side by side; :func:`shadow_price_table` shows what each limit costs; :func:`risk_model` estimates the
covariance that a risk aversion needs from daily bars.

A backtest. :func:`simulate` trades decisions on the next day, with costs, halts and price limits; :func:`rebalance`
makes the decisions, each from the drifted weights of the one before:

>>> from mg_portfolio import MarketPanel, chinese_costs, performance_metrics, simulate
>>> days = np.datetime64("2023-09-01") + np.arange(5)
>>> price = 10.0 * np.cumprod(np.tile([1.02, 1.01, 1.0, 0.99], (5, 1)), axis=0)
>>> no = np.zeros((5, 4), dtype=bool)
>>> market = MarketPanel(days, list("ABCD"), price, price, suspended=no, limit_up=no, limit_down=no)
>>> result = simulate(
...     market, {0: solution.weights}, cost=chinese_costs(commission=0.00025), benchmark={0: problem.benchmark}
... )
>>> round(float(result.relative_nav[-1]), 4)
1.0048
>>> figures = performance_metrics(result.nav, result.benchmark_nav, result.days)
>>> figures["max_drawdown"] < 0.001
True

A signal. :func:`evaluate` gives rank ICs, quantile portfolios and long-short returns of one signal,
:func:`evaluate_all` of many at once, and :func:`tear_sheet` a page of one that opens anywhere.

Labelled inputs (pandas, Polars, Arrow, xarray) are aligned on date and symbol, or refused by name: :mod:`mg_axes`.

Where to look next: :mod:`mg_portfolio.optimization`, :mod:`mg_portfolio.backtest`, :mod:`mg_portfolio.evaluation`,
:mod:`mg_portfolio.charts` and :mod:`mg_portfolio.report`; ``docs/portfolio.md`` and ``docs/evaluation.md``.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mg_portfolio.backtest.attribution import BacktestAttribution, attribute
    from mg_portfolio.backtest.execution import Execution
    from mg_portfolio.backtest.market_panel import MarketPanel
    from mg_portfolio.backtest.rebalance import (
        Decision,
        DecisionPanel,
        PortfolioPath,
        rebalance,
        simulate_decisions,
    )
    from mg_portfolio.backtest.result import BacktestResult
    from mg_portfolio.backtest.simulate import simulate
    from mg_portfolio.backtest.weekday_paths import (
        WeekdaySensitivity,
        simulate_weekday_paths,
        weekday_decisions,
        weekday_sensitivity,
    )
    from mg_portfolio.catalog import ALL_PORTFOLIOS, PORTFOLIOS, PortfolioSpec
    from mg_portfolio.costs import Costs, CostSchedule, chinese_costs
    from mg_portfolio.errors import (
        BacktestError,
        EvaluationError,
        InfeasibleError,
        PortfolioError,
        ProblemError,
        SolverError,
    )
    from mg_portfolio.evaluation.evaluate import evaluate, evaluate_all
    from mg_portfolio.evaluation.forward_returns import ForwardReturns
    from mg_portfolio.evaluation.result import Evaluation
    from mg_portfolio.metrics import metrics_by_year, performance_metrics
    from mg_portfolio.optimization.build_problem import build_problem, on_axis
    from mg_portfolio.optimization.infeasibility import InfeasibilityReport, InfeasibleSubset, diagnose
    from mg_portfolio.optimization.optimize import optimize
    from mg_portfolio.optimization.problem import EnhancementProblem
    from mg_portfolio.optimization.sensitivity import shadow_price_table
    from mg_portfolio.optimization.shadow_prices import return_per_score
    from mg_portfolio.optimization.solution import Attempt, EnhancementSolution
    from mg_portfolio.optimization.what_if import Comparison, compare
    from mg_portfolio.report.tear_sheet.page import TearSheet, tear_sheet
    from mg_portfolio.risk.diagnostics import BiasStatistics, bias_statistics
    from mg_portfolio.risk.exposures import bar_styles
    from mg_portfolio.risk.model import RiskModel, risk_model
    from mg_portfolio.risk.settings import RiskSettings

__all__ = [
    "ALL_PORTFOLIOS",
    "PORTFOLIOS",
    "Attempt",
    "BacktestAttribution",
    "BacktestError",
    "BacktestResult",
    "BiasStatistics",
    "Comparison",
    "CostSchedule",
    "Costs",
    "Decision",
    "DecisionPanel",
    "EnhancementProblem",
    "EnhancementSolution",
    "Evaluation",
    "EvaluationError",
    "Execution",
    "ForwardReturns",
    "InfeasibilityReport",
    "InfeasibleError",
    "InfeasibleSubset",
    "MarketPanel",
    "PortfolioError",
    "PortfolioPath",
    "PortfolioSpec",
    "ProblemError",
    "RiskModel",
    "RiskSettings",
    "SolverError",
    "TearSheet",
    "WeekdaySensitivity",
    "attribute",
    "bar_styles",
    "bias_statistics",
    "build_problem",
    "chinese_costs",
    "compare",
    "diagnose",
    "evaluate",
    "evaluate_all",
    "metrics_by_year",
    "on_axis",
    "optimize",
    "performance_metrics",
    "rebalance",
    "return_per_score",
    "risk_model",
    "shadow_price_table",
    "simulate",
    "simulate_decisions",
    "simulate_weekday_paths",
    "tear_sheet",
    "weekday_decisions",
    "weekday_sensitivity",
]

_MODULES = {
    "backtest.attribution": "BacktestAttribution attribute",
    "backtest.execution": "Execution",
    "backtest.market_panel": "MarketPanel",
    "backtest.rebalance": "Decision DecisionPanel PortfolioPath rebalance simulate_decisions",
    "backtest.result": "BacktestResult",
    "backtest.simulate": "simulate",
    "backtest.weekday_paths": "WeekdaySensitivity simulate_weekday_paths weekday_decisions weekday_sensitivity",
    "catalog": "ALL_PORTFOLIOS PORTFOLIOS PortfolioSpec",
    "costs": "Costs CostSchedule chinese_costs",
    "errors": "BacktestError EvaluationError InfeasibleError PortfolioError ProblemError SolverError",
    "evaluation.evaluate": "evaluate evaluate_all",
    "evaluation.forward_returns": "ForwardReturns",
    "evaluation.result": "Evaluation",
    "metrics": "metrics_by_year performance_metrics",
    "optimization.build_problem": "build_problem on_axis",
    "optimization.infeasibility": "InfeasibilityReport InfeasibleSubset diagnose",
    "optimization.optimize": "optimize",
    "optimization.problem": "EnhancementProblem",
    "optimization.sensitivity": "shadow_price_table",
    "optimization.shadow_prices": "return_per_score",
    "optimization.solution": "Attempt EnhancementSolution",
    "optimization.what_if": "Comparison compare",
    "report.tear_sheet.page": "TearSheet tear_sheet",
    "risk.diagnostics": "BiasStatistics bias_statistics",
    "risk.exposures": "bar_styles",
    "risk.model": "RiskModel risk_model",
    "risk.settings": "RiskSettings",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import an exported name on first use: solvers, numba and pandas load with the calls that need them."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
