"""Factor returns: each day's returns regressed on the exposures known the day before.

With industry dummies the normal equations are diagonal in the industries, so a day is solved for its styles alone (a
Schur complement) by sums within industries. An industry's return is split into the market's and its own; the own ones,
weighted as in the regression, sum to zero. That is the constrained regression on market, industries and styles.
"""

from dataclasses import dataclass

import numpy as np

from mg_axes import bare
from mg_portfolio.errors import ProblemError
from mg_portfolio.risk.settings import RiskSettings


@dataclass(frozen=True, eq=False)
class CrossSections:
    """Factor returns and residuals of T days and N stocks; what follows a day never enters its row.

    Attributes
    ----------
    factor_names : tuple of M str
        "market", "industry[code]", "style[name]".
    factor_returns : (T, M) float
        Per day; NaN on the first day, which has no exposures before it, and on days with too few returns.
    residuals : (T, N) float
        Returns less those of the factors; NaN where there is no return, and for a stock that is its whole industry in
        the regression: the industry's return is then its own, and nothing of it is left.
    industry : (T, N) int
        Positions in ``industry_codes``.
    industry_codes : (J,) int
        Ascending.
    styles : (T, N, K) float
        As given, with NaN.
    size : (T, N) float or None
        As given.
    """

    factor_names: tuple[str, ...]
    factor_returns: np.ndarray
    residuals: np.ndarray
    industry: np.ndarray
    industry_codes: np.ndarray
    styles: np.ndarray
    size: np.ndarray | None


def cross_sections(
    returns: np.ndarray,
    industry: np.ndarray,
    styles: np.ndarray | None = None,
    *,
    size: np.ndarray | None = None,
    universe: np.ndarray | None = None,
    style_names: tuple[str, ...] | None = None,
    settings: RiskSettings | None = None,
) -> CrossSections:
    """Regress each day's returns on industries and styles by weighted least squares.

    Parameters
    ----------
    returns : (T, N) float
        Daily returns, fractions; row t is from the close of day t-1 to that of day t. NaN where the stock is not
        listed or did not trade: such a day says nothing of the stock.
    industry : (N,) or (T, N) int
        Codes; a negative one is an industry of its own, of the stocks without one.
    styles : (T, N, K) float, optional
        Exposures in standard deviations, row t as known at the close of day t; they explain row t+1 of the returns.
        NaN counts as 0, the mean.
    size : (T, N) float, optional
        Market value or its stand-in, any unit, as known at the close of day t. A stock without it has no weight where
        the weights are "sqrt_size".
    universe : (T, N) bool, optional
        Stocks in the regression of day t+1; the others have residuals too. By default all.
    style_names : tuple of K str, optional
        By default the column numbers.
    settings : RiskSettings, optional
        ``weights`` is used here.

    Returns
    -------
    CrossSections
        Of all days.

    Raises
    ------
    ProblemError
        A shape that does not fit, an infinite value, or no size where the weights need it.
    """
    settings = settings or RiskSettings()
    r = _panel("returns", returns, None)
    days, stocks = r.shape
    given = np.asarray(bare("industry", industry, ProblemError))
    if given.shape not in ((stocks,), (days, stocks)) or given.dtype.kind not in "iu":
        raise ProblemError(
            f"industry had shape {given.shape} and type {given.dtype}, expected integers of shape ({stocks},) or "
            f"({days}, {stocks}); -1 is a stock without one"
        )
    codes, flat = np.unique(given, return_inverse=True)
    at = np.broadcast_to(flat.reshape(given.shape), (days, stocks))
    x = np.zeros((days, stocks, 0)) if styles is None else np.asarray(bare("styles", styles, ProblemError))
    if x.ndim != 3 or x.shape[:2] != (days, stocks) or np.isinf(x).any():
        raise ProblemError(f"styles had shape {x.shape}, expected ({days}, {stocks}, K) without infinite values")
    names = tuple(map(str, range(x.shape[2]))) if style_names is None else tuple(style_names)
    if len(names) != x.shape[2]:
        raise ProblemError(f"style_names had {len(names)} names, styles {x.shape[2]} columns")
    sizes = None if size is None else _panel("size", size, r.shape)
    inside = np.ones(r.shape, bool) if universe is None else np.asarray(bare("universe", universe, ProblemError))
    if inside.shape != r.shape or inside.dtype != np.bool_:
        raise ProblemError(f"universe had shape {inside.shape} and type {inside.dtype}, expected bool {r.shape}")
    if settings.weights == "sqrt_size" and sizes is None:
        raise ProblemError("weights are 'sqrt_size' and size was not given: give it, or take weights='equal'")

    factors = np.full((days, 1 + len(codes) + len(names)), np.nan)
    residuals = np.full(r.shape, np.nan)
    for day in range(1, days):
        weight = (inside[day - 1] & np.isfinite(r[day])).astype(np.float64)
        if settings.weights == "sqrt_size" and sizes is not None:
            weight *= np.sqrt(np.maximum(np.nan_to_num(sizes[day - 1]), 0.0))
        exposure = np.nan_to_num(x[day - 1].astype(np.float64, copy=False))
        if np.count_nonzero(weight) < 2 * (len(names) + 1):
            continue
        factors[day], explained = _regression(np.nan_to_num(r[day]), exposure, at[day - 1], weight, len(codes))
        alone = weight > (1.0 - 1e-9) * np.bincount(at[day - 1], weight, len(codes))[at[day - 1]]
        residuals[day] = np.where(alone & (weight > 0.0), np.nan, r[day] - explained)
    labels = ("market", *(f"industry[{c}]" for c in codes), *(f"style[{n}]" for n in names))
    return CrossSections(labels, factors, residuals, at, codes, x, sizes)


def _panel(name: str, values: np.ndarray, shape: tuple[int, ...] | None) -> np.ndarray:
    """A ``(T, N)`` float64 panel without infinite values, or an error that names it."""
    out = np.asarray(bare(name, values, ProblemError), np.float64)
    if out.ndim != 2 or (shape is not None and out.shape != shape):
        raise ProblemError(f"{name} had shape {out.shape}, expected {shape or '(days, stocks)'}")
    if np.isinf(out).any():
        day, stock = np.argwhere(np.isinf(out))[0]
        raise ProblemError(f"{name} was infinite on row {day}, stock {stock}; NaN is a value that is not there")
    return out


def _regression(
    r: np.ndarray, x: np.ndarray, industry: np.ndarray, w: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """One day: returns of market, industries and styles, and what they explain of each stock."""
    total = np.bincount(industry, w, count)
    weighted = w[:, None] * x
    by_industry = np.stack([np.bincount(industry, c, count) for c in weighted.T], axis=1) if x.shape[1] else x[:count]
    by_industry = by_industry.reshape(count, x.shape[1])
    of_return = np.bincount(industry, w * r, count)
    inverse = np.divide(1.0, total, out=np.zeros(count), where=total > 0.0)
    within = weighted.T @ x - by_industry.T @ (inverse[:, None] * by_industry)
    style = np.zeros(x.shape[1])
    if x.shape[1]:
        style = np.linalg.lstsq(within, weighted.T @ r - by_industry.T @ (inverse * of_return), rcond=1e-10)[0]
    raw = inverse * (of_return - by_industry @ style)
    market = float(total @ raw / total.sum())
    raw[total == 0.0] = market  # an industry without a stock that day has no return of its own
    return np.concatenate([[market], raw - market, style]), raw[industry] + x @ style
