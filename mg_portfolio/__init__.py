"""Index-enhancement portfolios: optimisation, backtest, metrics, evaluation and the weekly report."""

from mg_portfolio.errors import BacktestError, InfeasibleError, PortfolioError, ProblemError, SolverError
from mg_portfolio.optimization.infeasibility import InfeasibilityReport, InfeasibleSubset, diagnose
from mg_portfolio.optimization.optimize import optimize
from mg_portfolio.optimization.problem import EnhancementProblem
from mg_portfolio.optimization.solution import Attempt, EnhancementSolution
from mg_portfolio.optimization.what_if import Comparison, compare

__all__ = [
    "Attempt",
    "BacktestError",
    "Comparison",
    "EnhancementProblem",
    "EnhancementSolution",
    "InfeasibilityReport",
    "InfeasibleError",
    "InfeasibleSubset",
    "PortfolioError",
    "ProblemError",
    "SolverError",
    "compare",
    "diagnose",
    "optimize",
]
