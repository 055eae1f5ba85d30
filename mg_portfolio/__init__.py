"""Index-enhancement portfolios: optimisation, backtest, metrics, evaluation and the weekly report."""

from mg_portfolio.errors import BacktestError, InfeasibleError, PortfolioError, ProblemError, SolverError
from mg_portfolio.optimization.infeasibility import Clash, Diagnosis, diagnose
from mg_portfolio.optimization.optimize import optimize
from mg_portfolio.optimization.problem import Attempt, EnhancementProblem, EnhancementSolution
from mg_portfolio.optimization.what_if import Comparison, compare

__all__ = [
    "Attempt",
    "BacktestError",
    "Clash",
    "Comparison",
    "Diagnosis",
    "EnhancementProblem",
    "EnhancementSolution",
    "InfeasibleError",
    "PortfolioError",
    "ProblemError",
    "SolverError",
    "compare",
    "diagnose",
    "optimize",
]
