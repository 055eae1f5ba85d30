"""A factor risk model from daily bars: what :class:`~mg_portfolio.EnhancementProblem` takes for its quadratic term.

Market, industries and styles by cross-sectional regression (:mod:`~mg_portfolio.risk.cross_section`), principal
components of what they leave (:mod:`~mg_portfolio.risk.statistical`), their covariance
(:mod:`~mg_portfolio.risk.covariance`) and specific variances (:mod:`~mg_portfolio.risk.specific`).
"""

from dataclasses import dataclass

import numpy as np

from mg_axes import bare
from mg_portfolio.errors import ProblemError
from mg_portfolio.risk.covariance import factor_covariance, regime_multiplier
from mg_portfolio.risk.cross_section import CrossSections, cross_sections
from mg_portfolio.risk.settings import RiskSettings
from mg_portfolio.risk.specific import specific_variance
from mg_portfolio.risk.statistical import statistical_factors

LEAST_DAYS = 20
"""Days with factor returns below which there is no model."""


@dataclass(frozen=True, eq=False)
class RiskModel:
    """Covariance of returns over ``horizon`` trading days, ``B C B' + diag(D)``. N stocks, F factors.

    Attributes
    ----------
    factor_loadings : (N, F) float
        B: ones (market), industries, styles, statistical factors.
    factor_cov : (F, F) float
        C, return squared per ``horizon`` days, positive semidefinite.
    specific_var : (N,) float
        D, in the same unit.
    factor_names : tuple of F str
        "market", "industry[code]", "style[name]", "statistical[1]".
    horizon : int
        Trading days.
    observed : (N,) int
        Days with a residual behind each specific variance.
    regime : tuple of two float
        What the volatility regime adjustment multiplied C and D by; 1 without it.
    """

    factor_loadings: np.ndarray
    factor_cov: np.ndarray
    specific_var: np.ndarray
    factor_names: tuple[str, ...]
    horizon: int
    observed: np.ndarray
    regime: tuple[float, float]

    def fields(self, positions: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The three fields of :class:`~mg_portfolio.EnhancementProblem`, ``replace(problem, **fields)``.

        Parameters
        ----------
        positions : (M,) int, optional
            Stocks in the problem's order: ``problem.positions`` of :func:`mg_portfolio.build_problem`. By default all.

        Returns
        -------
        dict
            ``factor_loadings`` (M, F), ``factor_cov`` (F, F) and ``specific_var`` (M,).
        """
        at = slice(None) if positions is None else positions
        return {
            "factor_loadings": self.factor_loadings[at],
            "factor_cov": self.factor_cov,
            "specific_var": self.specific_var[at],
        }

    def volatility(self, weights: np.ndarray) -> np.ndarray:
        """Forecast standard deviation of portfolios over ``horizon`` days; of active weights, the tracking error.

        Parameters
        ----------
        weights : (..., N) float
            Fractions of the portfolio's value.

        Returns
        -------
        (...) float
            Fractions per ``horizon`` days.
        """
        w = np.asarray(bare("weights", weights, ProblemError), np.float64)
        exposure = w @ self.factor_loadings
        variance = ((exposure @ self.factor_cov) * exposure).sum(-1) + w**2 @ self.specific_var
        return np.sqrt(np.maximum(variance, 0.0))


def risk_model(
    returns: np.ndarray,
    industry: np.ndarray,
    styles: np.ndarray | None = None,
    *,
    size: np.ndarray | None = None,
    universe: np.ndarray | None = None,
    style_names: tuple[str, ...] | None = None,
    settings: RiskSettings | None = None,
    horizon: int = 1,
) -> RiskModel:
    """Risk model as known at the close of the last day given.

    Parameters
    ----------
    returns, industry, styles, size, universe, style_names
        Panels of T days as in :func:`~mg_portfolio.risk.cross_section.cross_sections`. The last row of the industries
        and styles becomes the loadings.
    settings : RiskSettings, optional
        Weights, factors, half-lives, corrections and shrinkage.
    horizon : int
        Trading days that the covariance is of: 1 per day, 5 for a holding period of a week.

    Returns
    -------
    RiskModel
        Its ``fields()`` are those of :class:`~mg_portfolio.EnhancementProblem`.
    """
    settings = settings or RiskSettings()
    first = max(len(returns) - settings.days - 1, 0)
    inputs = {"styles": styles, "size": size, "universe": universe}
    cut = {name: None if x is None else x[first:] for name, x in inputs.items()}
    codes = industry if np.ndim(industry) == 1 else industry[first:]
    sections = cross_sections(returns[first:], codes, style_names=style_names, settings=settings, **cut)
    return estimate(sections, settings=settings, horizon=horizon)


def estimate(
    sections: CrossSections, day: int = -1, *, settings: RiskSettings | None = None, horizon: int = 1
) -> RiskModel:
    """Risk model as known at the close of one day, from regressions made before.

    Parameters
    ----------
    sections : CrossSections
        Of any number of days; those after ``day`` are not looked at.
    day : int
        Row, from the end where negative.
    settings : RiskSettings, optional
        As for the regressions.
    horizon : int
        Trading days that the covariance is of.

    Returns
    -------
    RiskModel
        Of all N stocks; one without any history has the structural specific variance and no statistical loadings.

    Raises
    ------
    ProblemError
        Fewer than 20 days with factor returns, a row that is not there, or a horizon below 1.
    """
    settings = settings or RiskSettings()
    total = len(sections.factor_returns)
    if not -total <= day < total:
        raise ProblemError(f"day was {day}, expected a row of the {total} given")
    if horizon < 1:
        raise ProblemError(f"horizon was {horizon}, expected at least one trading day")
    stop = day % total + 1
    rows = np.arange(max(stop - settings.days, 0), stop)
    rows = rows[np.isfinite(sections.factor_returns[rows, 0])]
    if len(rows) < LEAST_DAYS:
        raise ProblemError(
            f"returns had {len(rows)} days with enough stocks for a regression, expected at least {LEAST_DAYS}; "
            "give a longer history"
        )
    known, residuals = sections.factor_returns[rows], sections.residuals[rows]
    common, common_returns = statistical_factors(residuals, settings.statistical_factors)
    residuals = residuals - common_returns @ common.T
    factors = np.hstack([known, common_returns])
    cov = factor_covariance(
        factors, settings.volatility_half_life, settings.correlation_half_life, settings.newey_west_lags
    )

    last = stop - 1
    industries = sections.industry[last][:, None] == np.arange(len(sections.industry_codes))
    styles = np.nan_to_num(sections.styles[last].astype(np.float64))
    size = None if sections.size is None else sections.size[last]
    features = [industries.astype(np.float64), styles]
    if size is not None:
        usable = np.isfinite(size) & (size > 0.0)
        log = np.log(size, out=np.zeros(len(size)), where=usable)
        features.append(np.where(usable, log - log[usable].mean() if usable.any() else 0.0, 0.0)[:, None])
    specific = specific_variance(residuals, np.hstack(features), size, settings)

    regime = (1.0, 1.0)
    if settings.regime_half_life is not None:
        regime = (
            regime_multiplier(known, settings.volatility_half_life, settings.regime_half_life),
            regime_multiplier(residuals, settings.specific_half_life, settings.regime_half_life),
        )
    loadings = np.hstack([np.ones((len(specific), 1)), industries, styles, common])
    names = (*sections.factor_names, *(f"statistical[{k + 1}]" for k in range(common.shape[1])))
    observed = np.isfinite(residuals).sum(0)
    return RiskModel(
        loadings, cov * (horizon * regime[0]), specific * (horizon * regime[1]), names, horizon, observed, regime
    )
