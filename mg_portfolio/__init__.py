"""Index-enhancement portfolios: optimisation, backtest, metrics, evaluation and the weekly report."""

from mg_portfolio.comparison import Comparison, compare
from mg_portfolio.doctor import Clash, Diagnosis, diagnose
from mg_portfolio.errors import BacktestError, InfeasibleError, PortfolioError, ProblemError, SolverError
from mg_portfolio.optimizer import optimize
from mg_portfolio.problem import Attempt, EnhancementProblem, EnhancementSolution

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
