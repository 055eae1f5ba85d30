"""Was the forecast right: bias statistics, and forecast against realised tracking error."""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv

from mg_axes import bare
from mg_portfolio.errors import ProblemError


@dataclass(frozen=True, eq=False)
class BiasStatistics:
    """Forecasts of P portfolios over D periods that do not overlap.

    Attributes
    ----------
    statistic : (P,) float
        Root mean square of realised return over forecast; 1 is right, above 1 the risk was forecast too low.
    low, high : float
        Interval of a right forecast's statistic for normal returns, from the chi-squared distribution of D periods.
    within : float
        Share of the portfolios inside it; fat tails and correlated portfolios lower it.
    forecast, realised : (P,) float
        Root mean square over the periods, in the unit of a period: the tracking errors, for active weights.
    periods : int
        D.
    """

    statistic: np.ndarray
    low: float
    high: float
    within: float
    forecast: np.ndarray
    realised: np.ndarray
    periods: int


def bias_statistics(forecast: np.ndarray, realised: np.ndarray, level: float = 0.95) -> BiasStatistics:
    """Compute bias statistics of risk forecasts.

    Parameters
    ----------
    forecast : (D, P) float
        Standard deviations, positive, each known before its period, such as
        :meth:`~mg_portfolio.risk.model.RiskModel.volatility`.
    realised : (D, P) float
        Returns of the portfolios over the periods; risk is about zero, as in the model.
    level : float
        Of the interval.

    Returns
    -------
    BiasStatistics
        Of each portfolio.

    Raises
    ------
    ProblemError
        Shapes that differ, fewer than two periods, NaN, or a forecast that is not positive.
    """
    f = np.asarray(bare("forecast", forecast, ProblemError), np.float64)
    x = np.asarray(bare("realised", realised, ProblemError), np.float64)
    if f.ndim != 2 or f.shape != x.shape or len(f) < 2:
        raise ProblemError(f"forecast had shape {f.shape} and realised {x.shape}, expected one (periods, portfolios)")
    if not (np.isfinite(x).all() and np.isfinite(f).all() and (f > 0.0).all()):
        raise ProblemError("forecast or realised had NaN, or a forecast was not positive; leave such portfolios out")
    count = len(f)
    statistic = np.sqrt(((x / f) ** 2).mean(0))
    ends = np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    low, high = np.sqrt(2.0 * gammaincinv(count / 2.0, ends) / count)  # quantiles of chi-square with count degrees
    within = float(((statistic >= low) & (statistic <= high)).mean())
    root = [np.sqrt((v**2).mean(0)) for v in (f, x)]
    return BiasStatistics(statistic, float(low), float(high), within, root[0], root[1], count)
