"""The simulated exchange: a market without files, deterministic by (seed, date)."""

from mg_assets.sources.simulated.settings import SimulationSettings

__all__ = ["SimulationSettings"]
