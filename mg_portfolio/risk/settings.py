"""Settings of the risk model."""

from dataclasses import dataclass, fields
from typing import Literal

from mg_portfolio.errors import ProblemError


@dataclass(frozen=True)
class RiskSettings:
    """How a risk model is estimated. Half-lives and lags are in trading days.

    Attributes
    ----------
    days : int
        Longest window of returns behind one model.
    weights : "sqrt_size" or "equal"
        Of the stocks in the regression of each day; "sqrt_size" needs ``size``.
    statistical_factors : int
        Principal components of the residuals that join the factors; 0 for none.
    volatility_half_life, correlation_half_life : float
        Of the factors' variances, and of their correlations.
    specific_half_life : float
        Of the specific variances.
    newey_west_lags : int
        Autocovariances, with Bartlett's weights, in the factors' covariance and the specific variances; 0 for none.
    regime_half_life : float or None
        Volatility regime adjustment: the model is scaled by how far recent returns were from their forecasts, over
        the market, industries and styles, and over all stocks. None for none.
    shrinkage : float
        Weight of a bucket's mean against a stock's own specific volatility, per spread of the bucket; 0 for none.
    buckets : int
        Buckets of size, or without sizes of structural volatility.
    short_history, long_history : int
        Days with a residual up to which a stock's specific volatility is the structural one, and from which it is its
        own; between them both, in proportion.
    """

    days: int = 504
    weights: Literal["sqrt_size", "equal"] = "equal"
    statistical_factors: int = 5
    volatility_half_life: float = 84.0
    correlation_half_life: float = 252.0
    specific_half_life: float = 84.0
    newey_west_lags: int = 2
    regime_half_life: float | None = None
    shrinkage: float = 0.1
    buckets: int = 10
    short_history: int = 40
    long_history: int = 160

    def __post_init__(self) -> None:
        if self.weights not in ("sqrt_size", "equal"):
            raise ProblemError(f"weights was {self.weights!r}, expected 'sqrt_size' or 'equal'")
        least = {"days": 20, "buckets": 1, "statistical_factors": 0, "newey_west_lags": 0, "shrinkage": 0.0}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("half_life") and value is not None and not value > 0.0:
                raise ProblemError(f"{field.name} was {value}, expected a positive number of days")
            if field.name in least and not value >= least[field.name]:
                raise ProblemError(f"{field.name} was {value}, expected at least {least[field.name]}")
        if not 0 <= self.short_history < self.long_history:
            raise ProblemError(
                f"short_history was {self.short_history} and long_history {self.long_history}; the first is the smaller"
            )
