"""The simulated exchange: a market without files, deterministic by (seed, date)."""

from mg_assets.sources.simulated.daily import DailyMarket, daily_market
from mg_assets.sources.simulated.plan import DayPlan, plan_day
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_assets.sources.simulated.source import SimulatedExchange

__all__ = ["DailyMarket", "DayPlan", "SimulatedExchange", "SimulationSettings", "daily_market", "plan_day"]
