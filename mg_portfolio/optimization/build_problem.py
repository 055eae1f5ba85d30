"""From one day's panels to the problem of a published portfolio, and its weights back onto their axis."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mg_axes import STOCK_CODES, STOCK_FLAGS, STOCK_WEIGHTS, SYMBOLS, Layout, aligned
from mg_portfolio.catalog import HEAVY_STYLES, PortfolioSpec
from mg_portfolio.errors import ProblemError
from mg_portfolio.optimization.problem import EnhancementProblem


@aligned(
    ProblemError,
    by=("score", "benchmark", "holdings"),
    together=True,
    score=Layout("s"),
    benchmark=STOCK_WEIGHTS,
    holdings=STOCK_WEIGHTS,
    industry=STOCK_CODES,
    styles=Layout("s", wider=True),
    member=STOCK_FLAGS,
    suspended=Layout("s", True, wider=True),
    limit_up=STOCK_FLAGS,
    limit_down=STOCK_FLAGS,
    buyable=STOCK_FLAGS,
    symbols=SYMBOLS,
)
def build_problem(
    spec: PortfolioSpec,
    score: np.ndarray,
    benchmark: np.ndarray,
    holdings: np.ndarray,
    industry: np.ndarray | None = None,
    styles: Mapping[str, np.ndarray] | None = None,
    *,
    member: np.ndarray | None = None,
    suspended: np.ndarray | None = None,
    limit_up: np.ndarray | None = None,
    limit_down: np.ndarray | None = None,
    buyable: np.ndarray | None = None,
    symbols: np.ndarray | None = None,
    industry_names: Mapping[int, str] | None = None,
    turnover_limit: float | None = None,
    cost: float = 0.0,
) -> EnhancementProblem:
    """Build the problem of a published portfolio from one day's cross-section.

    Kept are the stocks that have a score, a benchmark weight or a holding. A stock without a score, or not in
    ``buyable``, may be held and sold but not bought. The benchmark is scaled to sum to one.

    Arrays may be labelled by symbol (pandas, Polars, Arrow, xarray; see :mod:`mg_axes`). They are aligned on
    ``symbols``, by default the stocks of the score, the benchmark and the holdings together. A stock that they lack has
    no score, no weight and no industry, is suspended, and has no other flag.

    Parameters
    ----------
    spec : PortfolioSpec
        Limits of the portfolio, from the catalog or one's own.
    score : (S,) float
        Signal; NaN means no score.
    benchmark : (S,) float
        Index weights in any unit; 0 or NaN outside the index.
    holdings : (S,) float
        Weights held now, fractions of the portfolio's value; NaN counts as 0.
    industry : (S,) int, optional
        Codes; negative is unknown and treated as an industry of its own. Without codes no industry is limited.
    styles : mapping of name to (S,) float, optional
        Standardised exposures; NaN is the mean, 0. Styles without a limit in the spec are left out. Each style that
        the spec names must be given.
    member : (S,) bool, optional
        Index members; by default the stocks with a benchmark weight.
    suspended, limit_up, limit_down : (S,) bool, optional
        Not tradable; cannot be bought; cannot be sold. At a decision after the close these are that day's states, the
        best guess for tomorrow.
    buyable : (S,) bool, optional
        Universe that may be bought; by default every stock with a score.
    symbols : (S,), optional
        Stock codes, for error messages.
    industry_names : mapping of int to str, optional
        Name of each industry code, for constraint names.
    turnover_limit : float, optional
        One-way, instead of the spec's.
    cost : float
        Objective units per unit of traded weight.

    Returns
    -------
    EnhancementProblem
        ``positions`` holds the kept stocks' indices on the axis of S; :func:`on_axis` takes weights back to it.

    Raises
    ------
    ProblemError
        No benchmark weight at all, a style that the spec limits is missing, or shapes differ.
    """
    score, benchmark, holdings = (np.asarray(x, dtype=np.float64) for x in (score, benchmark, holdings))
    size = len(score)
    for name, x in (("benchmark", benchmark), ("holdings", holdings)):
        if x.shape != (size,):
            raise ProblemError(f"{name} had shape {x.shape}, expected ({size},) like score")
    b, w0 = np.nan_to_num(benchmark), np.nan_to_num(holdings)
    if not b.sum() > 0.0:
        raise ProblemError(
            f"{spec.name}: no stock had a weight in {spec.index} on this day: load the index's weights first"
        )
    scored = np.isfinite(score)
    kept = np.flatnonzero(scored | (b > 0.0) | (w0 > 0.0))
    lowest = float(score[scored].min()) if scored.any() else 0.0

    def flags(given: np.ndarray | None, default: np.ndarray) -> np.ndarray:
        return default if given is None else np.asarray(given, dtype=bool)

    no, yes = np.zeros(size, dtype=bool), np.ones(size, dtype=bool)
    return EnhancementProblem(
        score=np.where(scored, score, lowest)[kept],
        benchmark=b[kept] / b[kept].sum(),
        holdings=w0[kept],
        industry=None if industry is None else np.asarray(industry)[kept],
        **_limited_styles(spec, styles or {}, kept),
        member=flags(member, b > 0.0)[kept],
        suspended=flags(suspended, no)[kept],
        limit_up=(flags(limit_up, no) | ~scored | ~flags(buyable, yes))[kept],
        limit_down=flags(limit_down, no)[kept],
        stock_limit=spec.stock_limit,
        member_floor=spec.member_floor,
        industry_limit=None if industry is None else spec.industry_limit,
        turnover_limit=spec.turnover_limit if turnover_limit is None else turnover_limit,
        cost=cost,
        symbols=None if symbols is None else np.asarray(symbols)[kept],
        industry_names=industry_names,
        positions=kept,
    )


def _limited_styles(spec: PortfolioSpec, styles: Mapping[str, np.ndarray], kept: np.ndarray) -> dict[str, Any]:
    """The problem's style fields: exposures of the kept stocks to the styles that the spec limits."""
    missing = [name for name in spec.style_limits if name not in styles]
    if missing:
        raise ProblemError(
            f"{spec.name} limits the style(s) {', '.join(missing)} but styles had {list(styles) or 'none'}"
        )
    used = [name for name in styles if not np.isnan(spec.limit_of(name))]
    if not used:
        return {}
    return {
        "styles": np.column_stack([np.nan_to_num(np.asarray(styles[n], dtype=np.float64))[kept] for n in used]),
        "style_limits": np.array([spec.limit_of(name) for name in used]),
        "style_names": tuple(used),
        "style_priority": np.array([1e3 if name in HEAVY_STYLES else 1e2 for name in used]),
    }


def on_axis(problem: EnhancementProblem, weights: np.ndarray, size: int) -> np.ndarray:
    """Put a built problem's weights back on the axis that its stocks came from.

    Parameters
    ----------
    problem : EnhancementProblem
        Made by :func:`build_problem`.
    weights : (N,) float
        Weights of its stocks.
    size : int
        Number of stocks S on the axis.

    Returns
    -------
    (S,) float
        The weights, 0 for the stocks left out.

    Raises
    ------
    ProblemError
        The problem was not made by :func:`build_problem`.
    """
    if problem.positions is None:
        raise ProblemError("the problem had no positions: it was not made by build_problem")
    out = np.zeros(size)
    out[problem.positions] = weights
    return out
