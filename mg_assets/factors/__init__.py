"""Factor kernels, bars and labels: arrays and frames in, frames out; no Dagster.

Assets of the same names (``mg_assets.assets``: `daily_factors`, `labels`, ..) read the lake, call these and write it.
"""

from mg_assets.factors.cross_section import mad_winsorise, preprocess, trailing_mean, zscore
from mg_assets.factors.daily import DailySeries, daily_factors
from mg_assets.factors.explanation import Explanation, explain
from mg_assets.factors.granular import Granular, granular_features
from mg_assets.factors.kernels.build_bars import bars_from_trades, daily_from_minutes
from mg_assets.factors.kernels.day_pass import DayPass, day_pass
from mg_assets.factors.kernels.intraday import intraday_factors
from mg_assets.factors.kernels.minute import minute_factors
from mg_assets.factors.kernels.monitor import monitor_factors
from mg_assets.factors.kernels.order import order_factors
from mg_assets.factors.kernels.trade import trade_factors
from mg_assets.factors.labels import eligible_entry, labels, tradable_next
from mg_assets.factors.own import Factor, factor
from mg_assets.factors.periods import completed_periods, period_bars, period_to_date
from mg_assets.factors.registry import ALL34, FACTORS, HF27, MINUTE, MONITOR, ORDER, TRADE, FactorSpec
from mg_assets.factors.style_factors import common_factors, style_exposures

__all__ = [
    "ALL34",
    "FACTORS",
    "HF27",
    "MINUTE",
    "MONITOR",
    "ORDER",
    "TRADE",
    "DailySeries",
    "DayPass",
    "Explanation",
    "Factor",
    "FactorSpec",
    "Granular",
    "bars_from_trades",
    "common_factors",
    "completed_periods",
    "daily_factors",
    "daily_from_minutes",
    "day_pass",
    "eligible_entry",
    "explain",
    "factor",
    "granular_features",
    "intraday_factors",
    "labels",
    "mad_winsorise",
    "minute_factors",
    "monitor_factors",
    "order_factors",
    "period_bars",
    "period_to_date",
    "preprocess",
    "style_exposures",
    "tradable_next",
    "trade_factors",
    "trailing_mean",
    "zscore",
]
