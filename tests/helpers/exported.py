"""A small simulated day as level-2 files, for tests of readers."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from mg_assets.sources.simulated.day_plan import DayPlan
from mg_assets.sources.simulated.export import export_tonglian
from mg_assets.sources.simulated.intraday_layer import simulate_day
from mg_assets.sources.simulated.settings import SimulationSettings

SYMBOLS = ("000001.SZ", "300001.SZ", "600000.SH", "688001.SH")


def simulated(date: dt.date, orders_per_stock: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Orders and trades of two Shenzhen and two Shanghai stocks."""
    n = len(SYMBOLS)
    plan = DayPlan(
        date=date,
        symbols=np.array(SYMBOLS, object),
        prev_close=np.full(n, 10.0),
        up_limit=np.full(n, 11.0),
        down_limit=np.full(n, 9.0),
        open=np.full(n, 10.02),
        close=np.linspace(9.8, 10.4, n).round(2),
        volume=np.full(n, 2_000_000),
        volatility=np.full(n, 0.02),
        alpha=np.zeros(n),
        suspended=np.zeros(n, bool),
        one_word=np.zeros(n, bool),
        lot=np.full(n, 100),
        board=np.full(n, "main", object),
        float_shares=np.full(n, 1e9),
        st=np.zeros(n, bool),
    )
    return simulate_day(plan, SimulationSettings(orders_per_stock=orders_per_stock))


def exported(date: dt.date, folder: Path, orders_per_stock: int = 60) -> dict[str, Path]:
    """The day's files as Tonglian has them, by stem."""
    orders, trades = simulated(date, orders_per_stock)
    return {path.stem: path for path in export_tonglian(orders, trades, date, folder)}
