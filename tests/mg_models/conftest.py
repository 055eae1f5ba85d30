"""Small inputs shared by the tests of mg_models."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mg_models.data.bar_panels import bar_inputs, completed_bars, month_of, week_of
from mg_models.data.panel import Panel, PeriodPanel


def weekdays(count: int, start: str = "2013-01-04") -> np.ndarray:
    days = np.arange(start, np.datetime64(start) + 2 * count, dtype="datetime64[D]")
    return days[(days.astype(np.int64) + 3) % 7 < 5][:count]


def names(count: int) -> np.ndarray:
    return np.array([f"{600000 + i}.SH" for i in range(count)], dtype=object)


def factor_panel(days: int, stocks: int, features: int, seed: int = 0, missing: float = 0.0) -> Panel:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((days, stocks, features)).astype(np.float32)
    values[rng.random((days, stocks)) < missing] = np.nan
    return Panel(weekdays(days), names(stocks), values, tuple(f"factor_{i}" for i in range(features)))


def daily_bars(days: int, stocks: int, seed: int = 0, suspended: float = 0.02) -> np.ndarray:
    """Random-walk bars (D, S, 6): suspended days repeat the close with volume 0 and no vwap."""
    rng = np.random.default_rng(seed)
    close = 10 * np.exp(np.cumsum(0.02 * rng.standard_normal((days, stocks)), axis=0))
    opened = close * np.exp(0.005 * rng.standard_normal(close.shape))
    high = np.maximum(opened, close) * (1 + 0.005 * rng.random(close.shape))
    low = np.minimum(opened, close) * (1 - 0.005 * rng.random(close.shape))
    volume = 1e6 * np.exp(0.5 * rng.standard_normal(close.shape))
    bars = np.stack([opened, high, low, close, (high + low + close) / 3, volume], axis=-1)
    idle = rng.random(close.shape) < suspended
    bars[idle, :4] = bars[idle, 3:4]
    bars[idle, 4] = np.nan
    bars[idle, 5] = 0.0
    return bars


def bars_of(days: np.ndarray, daily: np.ndarray) -> dict:
    weeks, weekly = completed_bars(daily, week_of(days))
    months, monthly = completed_bars(daily, month_of(days))
    return bar_inputs(days, names(daily.shape[1]), daily, weeks, weekly, months, monthly)


def future_changed(panel: Panel | PeriodPanel, day: int) -> Panel | PeriodPanel:
    """Everything after ``day`` replaced; completed periods that ``day`` cannot see too."""
    rng = np.random.default_rng(3)

    def changed(values: np.ndarray, keep: int) -> np.ndarray:
        out = values.copy()
        out[keep:] = rng.random(out[keep:].shape) + 0.5
        return out

    if isinstance(panel, PeriodPanel):
        seen = int(panel.period_of_day[day])
        return PeriodPanel(
            panel.days,
            panel.symbols,
            changed(panel.completed, seen),
            changed(panel.to_date, day + 1),
            panel.period_of_day,
            panel.features,
        )
    return Panel(panel.days, panel.symbols, changed(panel.values, day + 1), panel.features)


def permuted(panel: Panel | PeriodPanel, order: np.ndarray) -> Panel | PeriodPanel:
    symbols = panel.symbols[order]
    if isinstance(panel, PeriodPanel):
        return PeriodPanel(
            panel.days,
            symbols,
            panel.completed[:, order],
            panel.to_date[:, order],
            panel.period_of_day,
            panel.features,
        )
    return Panel(panel.days, symbols, panel.values[:, order], panel.features)


def cut_after(panel: Panel | PeriodPanel, day: int) -> Panel | PeriodPanel:
    """The panel as it was at the close of ``day``."""
    if isinstance(panel, PeriodPanel):
        seen = int(panel.period_of_day[day])
        return PeriodPanel(
            panel.days[: day + 1],
            panel.symbols,
            panel.completed[:seen],
            panel.to_date[: day + 1],
            panel.period_of_day[: day + 1],
            panel.features,
        )
    return Panel(panel.days[: day + 1], panel.symbols, panel.values[: day + 1], panel.features)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """As in training: networks of a few units lose more to threads than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Makers of small inputs."""
    return SimpleNamespace(
        weekdays=weekdays,
        names=names,
        factor_panel=factor_panel,
        daily_bars=daily_bars,
        bars_of=bars_of,
        future_changed=future_changed,
        permuted=permuted,
        cut_after=cut_after,
    )
