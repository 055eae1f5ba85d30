"""Latent layer: factor returns, idiosyncratic returns with clustering and fat tails, planted alpha.

    r = beta * market + industry + size * f_s + value * f_v + alpha + sigma * e + jump - drift
    x_d = rho * x_{d-1} + sqrt(1 - rho^2) * innovation_d,   signal = z-score of x over listed stocks
    alpha_d = ALPHA * strength * signal_{d-1} * sigma_d

Nothing here depends on prices, so that a signal of strength 0 cannot reach them.
"""

from dataclasses import dataclass

import numpy as np

from mg_assets.sources.simulated.random_streams import RandomStream, generator
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_assets.sources.simulated.stocks import INDUSTRIES, Stocks

ALPHA = 0.085
"""Daily alpha per unit of signal, in idiosyncratic standard deviations, at strength 1.
Calibrated by tests/mg_assets/sources/simulated/test_daily_signal.py::test_planted_rank_ic_is_in_its_band."""
TAIL = 5.0  # degrees of freedom of the idiosyncratic t
JUMP_SHARE = 0.014  # stocks a day with news
JUMP_SIZE = 4.0  # standard deviation of news in typical daily deviations
SIZE_VOL, VALUE_VOL = 0.0035, 0.0020
MARKET_DRIFT = 0.0004
FROM_RETURN, FROM_VOLUME, FROM_VOLATILITY = -0.40, -0.30, -0.03  # of the signal's innovation
PERSISTENCE = 0.96  # of log volatility
COMPENSATION = 0.1
"""Share of sigma^2 / 2 taken off. At 1 means are equal and medians are not: at strength 0 volatility
would have a RankIC of -0.014 with 5-day returns; at 0 the most volatile fifth would earn 6% a year
more than the rest. Here the RankIC is 0.001 (1000 stocks, eleven years, three seeds)."""


@dataclass(frozen=True)
class DayReturns:
    """One day of all S stocks: log returns, what happens overnight, and the shocks behind them."""

    log_return: np.ndarray
    news: np.ndarray  # part of log_return that comes as a jump
    shock: np.ndarray  # standardised idiosyncratic return
    volume_shock: np.ndarray  # standard normal
    day_std: np.ndarray  # of log_return, known before the day
    heat: np.ndarray  # log volatility above its usual level
    market_heat: float


class ReturnProcess:
    """State of the latent layer between two days."""

    def __init__(self, settings: SimulationSettings, stocks: Stocks):
        self.settings, self.stocks = settings, stocks
        n = settings.stocks
        rng = generator(settings.seed, RandomStream.RETURNS, 2**40)
        self.rho = 0.5 ** (1.0 / settings.alpha_half_life)
        self.heat = 0.2 * rng.standard_normal(n)
        self.market_heat = 0.0
        self.latent = rng.standard_normal(n)
        self.level = np.log(stocks.volatility / settings.idiosyncratic_vol)
        noise = 1.0 - FROM_RETURN**2 - FROM_VOLUME**2
        self.own_noise = np.sqrt(noise)

    def step(self, day: int, signal: np.ndarray, size: np.ndarray, value: np.ndarray) -> DayReturns:
        """Returns of one day, as of the evening before (arrays (S,))."""
        s, stocks = self.settings, self.stocks
        n = s.stocks
        common = generator(s.seed, RandomStream.FACTORS, day)
        shocks = common.standard_normal(len(INDUSTRIES) + 4)
        market_shock = shocks[0] * np.sqrt((TAIL - 2) / (2 * common.standard_gamma(TAIL / 2)))
        market_std = s.market_vol * np.exp(self.market_heat)
        market = MARKET_DRIFT + market_std * market_shock
        industry = s.industry_vol * shocks[4:]

        rng = generator(s.seed, RandomStream.RETURNS, day)
        z, news, own, volume_shock, vol_noise = rng.standard_normal((5, n))
        e = z * np.sqrt((TAIL - 2) / (2 * rng.standard_gamma(TAIL / 2, n)))
        hit = rng.random(n) < JUMP_SHARE
        sigma = stocks.volatility * np.exp(self.heat)
        jump = np.where(hit, JUMP_SIZE * stocks.volatility * news, 0.0)
        variance = sigma**2 + JUMP_SHARE * (JUMP_SIZE * stocks.volatility) ** 2
        log_return = (
            stocks.beta * market
            + industry[stocks.industry_code]
            + SIZE_VOL * shocks[1] * size
            + VALUE_VOL * shocks[2] * value
            + (ALPHA * s.alpha_strength) * signal * sigma
            + sigma * e
            + jump
            - COMPENSATION * 0.5 * variance
        )
        day_std = np.sqrt(sigma**2 + (stocks.beta * market_std) ** 2 + s.industry_vol**2 + SIZE_VOL**2 * size**2)
        moved = DayReturns(log_return, jump, e, volume_shock, day_std, self.heat, self.market_heat)

        innovation = FROM_RETURN * z + FROM_VOLUME * volume_shock + self.own_noise * own
        innovation += FROM_VOLATILITY * (self.level + self.heat) / 0.3
        self.latent = self.rho * self.latent + np.sqrt(1 - self.rho**2) * innovation
        arch = np.minimum(np.abs(e), 5.0) - 0.73
        self.heat = np.clip(PERSISTENCE * self.heat + 0.11 * arch + 0.09 * vol_noise + 0.3 * hit, -1.2, 1.3)
        kick = min(abs(market_shock), 5.0) - 0.73 - 0.4 * min(max(market_shock, -4.0), 4.0)
        self.market_heat = float(np.clip(0.975 * self.market_heat + 0.06 * kick + 0.04 * shocks[3], -1.0, 1.0))
        return moved

    def signal(self, listed: np.ndarray) -> np.ndarray:
        """The planted signal after :meth:`step`: z-score of the latent over listed stocks, 0 elsewhere."""
        return masked_zscore(self.latent, listed)


def masked_zscore(x: np.ndarray, mask: np.ndarray, limit: float = np.inf) -> np.ndarray:
    """z-score of ``x`` over ``mask`` (population std), clipped to ``limit``; 0 outside the mask."""
    inside = x[mask]
    if len(inside) < 2:
        return np.zeros(len(x))
    spread = inside.std()
    z = (x - inside.mean()) / (spread if spread > 0 else 1.0)
    return np.where(mask, np.clip(z, -limit, limit), 0.0)
