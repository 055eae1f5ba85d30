"""The enhancement problem: what is maximised, and the limits."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from mg_axes import BY_STOCK, STOCK_CODES, STOCK_FLAGS, STOCK_WEIGHTS, SYMBOLS, Layout, align
from mg_portfolio.errors import ProblemError
from mg_portfolio.optimization.validation import validated

LAYOUTS = {
    "score": BY_STOCK,
    "benchmark": STOCK_WEIGHTS,
    "holdings": STOCK_WEIGHTS,
    "industry": STOCK_CODES,
    "styles": Layout("sf", wider=True),
    "style_limits": Layout("f"),
    "style_priority": Layout("f"),
    "member": STOCK_FLAGS,
    "suspended": STOCK_FLAGS,
    "limit_up": STOCK_FLAGS,
    "limit_down": STOCK_FLAGS,
    "factor_loadings": Layout("sg", wider=True),
    "factor_cov": Layout("gg"),
    "specific_var": Layout("s", wider=True),
    "symbols": SYMBOLS,
    "style_names": Layout("f", is_axis=True),
}
"""The fields that lie along stocks, styles or factors."""


@dataclass(frozen=True, eq=False)
class EnhancementProblem:
    """One rebalance of an index-enhancement portfolio.

    Maximise ``score'w - risk_aversion/2 (w-b)' Sigma (w-b) - cost * sum|w - holdings|`` with
    ``Sigma = factor_loadings @ factor_cov @ factor_loadings.T + diag(specific_var)``, subject to ``sum w = 1``,
    ``w >= 0`` and the limits below. All weights are fractions of the portfolio's value. N stocks, K styles, F factors.

    Arrays may be labelled by symbol (pandas, Polars, Arrow, xarray; see :mod:`mg_axes`): they are aligned on
    ``symbols``, by default those of the score in ascending order, and ``symbols`` is set. A weight of a stock that they
    lack is 0, a flag not set. Styles and factors may be labelled by name as well.

    Parameters
    ----------
    score : (N,) float
        Expected return or z-scored signal. No NaN: a stock without a score is dropped or barred from buying by
        :func:`mg_portfolio.build_problem`.
    benchmark : (N,) float
        Index weights, not negative, summing to one.
    holdings : (N,) float
        Weights now, drifted, not negative. Their sum may be below one: the rest is cash, and all zeros is a cold start.
    industry : (N,) int, optional
        Industry codes; any integers. Needed where ``industry_limit`` is set.
    styles : (N, K) float, optional
        Style exposures in standard deviations.
    style_limits : (K,) float, optional
        ``|styles.T @ (w - b)| <= limit``; 0 is neutral, NaN is no limit.
    member : (N,) bool, optional
        Index members, for ``member_floor``; where absent, the stocks with a benchmark weight.
    suspended, limit_up, limit_down : (N,) bool, optional
        Not tradable; cannot be bought; cannot be sold.
    stock_limit : float, optional
        ``|w_i - b_i| <= stock_limit``.
    member_floor : float, optional
        Least weight of the members together.
    industry_limit : float, optional
        Largest active weight of an industry, 0 for neutral.
    turnover_limit : float, optional
        One-way: ``0.5 * sum|w - holdings| <= turnover_limit``. Buying from cash counts, so a cold start needs 0.5.
    cost : float
        Objective units per unit of two-way traded weight ``sum|w - holdings|``.
    risk_aversion : float
        ``gamma``; above 0 the three risk fields are needed.
    factor_loadings, factor_cov, specific_var : (N, F), (F, F), (N,) float, optional
        Factor risk model; ``factor_cov`` symmetric and positive semidefinite, ``specific_var`` not negative.
    symbols : (N,), optional
        Stock codes, used in error messages and to carry the axis along.
    style_names : sequence of K str, optional
        Names in constraint names (``style[size]``); where absent, the column number.
    industry_names : mapping of int to str, optional
        Names in constraint names (``industry[bank]``); where absent, the code.
    style_priority : (K,) float, optional
        Penalty per standard deviation for relaxing a style's limit in an infeasible problem. Styles have no meaning
        here, so where this is absent a limit of up to 0.2 is taken for size or valuation (1e3) and a wider one for
        the rest (1e2).
    limit_offsets : mapping of constraint name to float, optional
        Widens single limits beyond those above (negative: tightens them): ``{"industry[bank]": 0.01}``. Names as
        in :func:`mg_portfolio.optimization.constraints.violations`, of members, industries, styles and turnover.
    positions : (N,) int, optional
        Indices of the stocks on a wider axis, set by :func:`mg_portfolio.build_problem`.

    Raises
    ------
    ProblemError
        For labels that do not match, a wrong shape or type, NaN, a negative weight or limit, a wrong sum, or a limit
        whose data is absent.

    Notes
    -----
    Tradability wins over the stock band: suspended, ``w = holdings``; at the upper limit, ``w`` is at most the band's
    top and the holdings; at the lower, at least the band's bottom and the holdings.
    """

    score: np.ndarray
    benchmark: np.ndarray
    holdings: np.ndarray
    industry: np.ndarray | None = None
    styles: np.ndarray | None = None
    style_limits: np.ndarray | None = None
    member: np.ndarray | None = None
    suspended: np.ndarray | None = None
    limit_up: np.ndarray | None = None
    limit_down: np.ndarray | None = None
    stock_limit: float | None = None
    member_floor: float | None = None
    industry_limit: float | None = None
    turnover_limit: float | None = None
    cost: float = 0.0
    risk_aversion: float = 0.0
    factor_loadings: np.ndarray | None = None
    factor_cov: np.ndarray | None = None
    specific_var: np.ndarray | None = None
    symbols: np.ndarray | None = None
    style_names: tuple[str, ...] | None = None
    industry_names: Mapping[int, str] | None = None
    style_priority: np.ndarray | None = None
    limit_offsets: Mapping[str, float] | None = None
    positions: np.ndarray | None = None

    def __post_init__(self) -> None:
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        given |= align(ProblemError, LAYOUTS, {name: given[name] for name in LAYOUTS}, by=("score",))[0]
        for name, value in validated(given).items():
            object.__setattr__(self, name, value)

    @property
    def size(self) -> int:
        """Number of stocks N."""
        return len(self.score)

    @property
    def limited_styles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
        """Exposures (N, K'), limits (K',), penalties (K',) and names of the styles that have a limit."""
        if self.styles is None or self.style_limits is None or self.style_priority is None or self.style_names is None:
            return np.zeros((self.size, 0)), np.zeros(0), np.zeros(0), ()
        used = np.flatnonzero(~np.isnan(self.style_limits))
        names = tuple(self.style_names[k] for k in used)
        return self.styles[:, used], self.style_limits[used], self.style_priority[used], names

    @property
    def risk_model(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Loadings (N, F), factor covariance (F, F) and specific variances (N,).

        Raises
        ------
        ProblemError
            The problem carries none.
        """
        if self.factor_loadings is None or self.factor_cov is None or self.specific_var is None:
            raise ProblemError("the problem had no risk model: give factor_loadings, factor_cov and specific_var")
        return self.factor_loadings, self.factor_cov, self.specific_var

    def name_of(self, stock: int) -> str:
        """Code of a stock, or its number where the problem has no codes.

        Parameters
        ----------
        stock : int
            Index of the stock.

        Returns
        -------
        str
            Such as "600000.SH" or "stock 17".
        """
        return str(self.symbols[stock]) if self.symbols is not None else f"stock {stock}"


def with_limit_offset(p: EnhancementProblem, name: str, amount: float) -> EnhancementProblem:
    """Problem with one limit widened by ``amount``: the stock band of all stocks, or a constraint by name."""
    if name == "stock_limit":
        return replace(p, stock_limit=(p.stock_limit or 0.0) + amount)
    offsets = dict(p.limit_offsets or {})
    return replace(p, limit_offsets=offsets | {name: offsets.get(name, 0.0) + amount})
