"""Shares traded a day: persistent abnormal turnover, higher on volatile days, heavy-tailed across stocks."""

import numpy as np

from mg_assets.sources.simulated.daily_returns import DayReturns
from mg_assets.sources.simulated.random_streams import RandomStream, generator
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_assets.sources.simulated.stocks import Stocks

PERSISTENCE = 0.9  # of abnormal log turnover
SHOCK = 0.28
LARGEST_TURNOVER = 0.6
TYPICAL_AMOUNT = 1.2e8  # yuan a day at which a stock has TRADES_PER_ORDER * orders_per_stock trades
TRADES_PER_ORDER = 0.6
"""Both as the intraday layer has them, so that trade counts do not jump at ``tick_start``
(tests/mg_assets/sources/simulated/test_daily_source.py::test_ticks_realise_the_plan)."""


class VolumeProcess:
    """Abnormal log turnover of the S stocks."""

    def __init__(self, settings: SimulationSettings, stocks: Stocks):
        self.settings, self.stocks = settings, stocks
        rng = generator(settings.seed, RandomStream.VOLUME, 2**40)
        self.abnormal = SHOCK / np.sqrt(1 - PERSISTENCE**2) * rng.standard_normal(settings.stocks)

    def step(
        self, day: int, returns: DayReturns, float_shares: np.ndarray, locked: np.ndarray, trading: np.ndarray
    ) -> np.ndarray:
        """Shares traded: a multiple of 100 except for odd lots sold, on STAR at least 200; 0 where not trading."""
        n = self.settings.stocks
        rng = generator(self.settings.seed, RandomStream.VOLUME, day)
        noise, self.trade_noise = rng.standard_normal((2, n))
        odd = rng.random(n)
        self.abnormal = PERSISTENCE * self.abnormal + SHOCK * returns.volume_shock
        age = np.clip(day - self.stocks.list_row, 0, 400)
        log_turnover = (
            np.log(self.stocks.turnover)
            + self.abnormal
            + 0.22 * (np.minimum(np.abs(returns.shock), 5.0) - 0.73)
            + 0.5 * returns.heat
            + 0.5 * returns.market_heat
            + 0.12 * noise
            + 2.0 * np.exp(-age / 12.0)
            + np.where(locked, -2.5, 0.0)
        )
        shares = np.minimum(np.exp(log_turnover), LARGEST_TURNOVER) * float_shares
        lots = np.maximum(np.round(shares / 100), np.where(self.stocks.board == "star", 2, 1)).astype(np.int64) * 100
        lots += np.where(odd < 0.15, 1 + (odd / 0.15 * 99).astype(np.int64), 0)
        return np.where(trading, lots, 0)

    def trades(self, amount: np.ndarray) -> np.ndarray:
        """Number of trades of the day just stepped, given its amount in yuan."""
        busy = np.clip((amount / TYPICAL_AMOUNT) ** 0.4, 0.25, 4.0)
        count = TRADES_PER_ORDER * self.settings.orders_per_stock * busy * np.exp(0.12 * self.trade_noise)
        return np.where(amount > 0, np.maximum(count, 1), 0).astype(np.int32)
