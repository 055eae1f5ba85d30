"""Conformance of a portfolio: its limits on a made-up index."""

from pathlib import Path

import numpy as np

from mg_assets.settings.load import load_settings
from mg_assets.testing.subjects import errors_as_failures
from mg_portfolio import build_problem, on_axis, optimize
from mg_portfolio.catalog import PortfolioSpec
from mg_portfolio.errors import PortfolioError
from mg_portfolio.optimization.relaxation import relaxed_text

STOCKS, MEMBERS, WEEKS = 1200, 800, 3
TOLERANCE = 1e-6
CHECKS = ("weights", "limits", "turnover", "permutation of stocks", "restatement noticed")


def check_portfolio(portfolio: PortfolioSpec | str | Path, name: str | None = None) -> tuple[str, ...]:
    """Check that a portfolio can be held, on a made-up index of 800 stocks and scores of three weeks.

    1. Weights are at least 0 and add up to 1, and no limit had to give way.
    2. No stock, industry, style or share of members is beyond its limit.
    3. Each week trades at most the limit on turnover.
    4. Stocks in another order give the same objective.
    5. Other scores give other weights.

    Parameters
    ----------
    portfolio : PortfolioSpec or path
        Or a settings file that defines it.
    name : str, optional
        In the settings; by default the only one.

    Returns
    -------
    tuple of str
        What was checked.

    Raises
    ------
    AssertionError
        A rule is broken, or the settings are not valid; one line a problem.
    """
    spec = portfolio if isinstance(portfolio, PortfolioSpec) else _of_settings(Path(portfolio), name)
    try:
        _check(spec)
    except PortfolioError as error:
        raise AssertionError(f"portfolio {spec.name}: {error}") from error
    return CHECKS


def _of_settings(path: Path, name: str | None) -> PortfolioSpec:
    if not path.is_file():
        raise AssertionError(f"there is no settings file {path}")
    with errors_as_failures():
        config = load_settings(str(path))
    names = list(config.portfolios)
    if name is None and len(names) != 1:
        raise AssertionError(f"{path} has the portfolios {', '.join(names)}; name one of them")
    return config.catalogs.portfolios[name or names[0]]


def _check(spec: PortfolioSpec) -> None:
    rng = np.random.default_rng(5)
    benchmark = np.zeros(STOCKS)
    benchmark[:MEMBERS] = rng.dirichlet(np.full(MEMBERS, 20.0))
    industry = np.arange(STOCKS) % 30
    styles = {style: rng.standard_normal(STOCKS) for style in spec.styles}
    held = benchmark.copy()
    for week in range(WEEKS):
        score = rng.standard_normal(STOCKS)
        problem = build_problem(spec, score, benchmark, held, industry, styles)
        solution = optimize(problem)
        if solution.status != "optimal":
            gave = relaxed_text(solution.relaxed)
            raise AssertionError(f"portfolio {spec.name}: {CHECKS[0]} is broken: {solution.message or gave}")
        weights = on_axis(problem, solution.weights, STOCKS)
        _check_limits(spec, week, weights, held, benchmark, industry, styles)
        if week == 0:
            order = rng.permutation(STOCKS)
            turned = {style: x[order] for style, x in styles.items()}
            other = optimize(build_problem(spec, score[order], benchmark[order], held[order], industry[order], turned))
            if abs(other.objective - solution.objective) > TOLERANCE:
                raise AssertionError(f"portfolio {spec.name}: {CHECKS[3]} is broken: the objective differs")
        elif np.abs(weights - held).max() < TOLERANCE:
            raise AssertionError(f"portfolio {spec.name}: {CHECKS[4]} is broken: other scores trade nothing")
        held = weights


def _check_limits(
    spec: PortfolioSpec,
    week: int,
    weights: np.ndarray,
    held: np.ndarray,
    benchmark: np.ndarray,
    industry: np.ndarray,
    styles: dict[str, np.ndarray],
) -> None:
    active = weights - benchmark
    industries = np.bincount(industry, active)
    found = {
        "weights below 0": (-weights.min(), 0.0),
        "sum of the weights beyond 1": (abs(weights.sum() - 1.0), 0.0),
        "stock_limit": (np.abs(active).max(), spec.stock_limit),
        "industry_limit": (np.abs(industries).max(), spec.industry_limit),
        "member_floor": (-weights[benchmark > 0].sum(), None if spec.member_floor is None else -spec.member_floor),
        "turnover_limit": (np.abs(weights - held).sum() / 2, spec.turnover_limit),
        **{f"style {s}": (abs(float(active @ x)), spec.limit_of(s)) for s, x in styles.items()},
    }
    for what, (value, limit) in found.items():
        if limit is not None and value > limit + TOLERANCE:
            raise AssertionError(
                f"portfolio {spec.name}: {CHECKS[1]} is broken in week {week + 1}: {what} {value:.6g}, at most "
                f"{limit:.6g} was expected"
            )
