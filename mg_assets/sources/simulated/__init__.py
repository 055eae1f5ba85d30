"""The simulated exchange: a market without files, deterministic by (seed, date)."""

from mg_assets.sources.simulated.daily_layer import DailyMarket, daily_market
from mg_assets.sources.simulated.day_plan import DayPlan, plan_day
from mg_assets.sources.simulated.exchange import SimulatedExchange
from mg_assets.sources.simulated.settings import SimulationSettings

__all__ = ["DailyMarket", "DayPlan", "SimulatedExchange", "SimulationSettings", "daily_market", "plan_day"]
