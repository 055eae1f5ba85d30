"""From the lake's tables to the panels that models read."""

from dataclasses import dataclass

import numpy as np

from mg_assets.errors import DataError
from mg_assets.factors.registry import HF27
from mg_assets.market.calendar import FIRST_DAY, month_of, shift, trading_days, week_of
from mg_assets.store import Lake
from mg_models.bars import bar_inputs
from mg_models.catalog import ModelSpec
from mg_models.panel import Panel, PeriodPanel

LOOKBACK = 39
BARS = ("open", "high", "low", "close", "vwap", "volume")


@dataclass(frozen=True)
class Axes:
    """Days ``(D,)`` and symbols ``(S,)`` that all inputs of a model share."""

    days: np.ndarray
    symbols: np.ndarray


def model_inputs(
    lake: Lake, spec: ModelSpec, since: str | None = None, until: str | None = None
) -> tuple[dict[str, Panel | PeriodPanel], Axes]:
    """Panels of a catalog entry's inputs between two days, both inclusive.

    Without ``since``, from the first day that the lake has. Days without a partition are empty.

    Raises
    ------
    DataError
        The entry names an input that the lake cannot make.
    """
    wanted = {i.panel for i in spec.inputs}
    bars, tick = {"daily", "weekly", "monthly"}, {"hf"}
    if wanted - bars - tick:
        raise DataError(f"{spec.name} reads inputs {sorted(wanted - bars - tick)}, which the lake cannot make")
    tables = (["factor_inputs"] if wanted & tick else []) + (["daily_bars"] if wanted & bars else [])
    have = [lake.keys(t) for t in tables]
    first = since or max((k[0] for k in have if k), default=str(FIRST_DAY))
    last = until or max((k[-1] for k in have if k), default=first)
    days = [str(d) for d in trading_days(first, last)]
    symbols = np.array(
        sorted(set().union(*(lake.panel(t, days, [], missing="empty").symbols for t in tables))), dtype=object
    )
    stamps = np.array(days, "datetime64[D]")
    out: dict[str, Panel | PeriodPanel] = {}
    if wanted & tick:
        panel = lake.panel("factor_inputs", days, list(HF27), symbols, missing="empty", dtype=np.float32)
        out["hf"] = Panel(stamps, symbols, panel.stack(HF27), tuple(HF27))
    if wanted & bars:
        out |= _bars(lake, days, stamps, symbols)
    return out, Axes(stamps, symbols)


def _bars(lake: Lake, days: list[str], stamps: np.ndarray, symbols: np.ndarray) -> dict[str, Panel | PeriodPanel]:
    panel = lake.panel("daily_bars", days, [*BARS, "adj_factor"], symbols, missing="empty")
    factor = panel["adj_factor"][..., None]
    daily = panel.stack(BARS)
    daily[..., :5] *= factor
    daily[..., 5] /= factor[..., 0]
    weeks = _periods(lake, "weekly_bars", days[0], -100, week_of(stamps[-1:]))
    months = _periods(lake, "monthly_bars", days[0], -260, month_of(stamps[-1:]))
    return bar_inputs(
        stamps,
        symbols,
        daily,
        np.array(weeks, "datetime64[D]"),
        lake.panel("weekly_bars", weeks, BARS, symbols).stack(BARS),
        np.array(months, "datetime64[D]"),
        lake.panel("monthly_bars", months, BARS, symbols).stack(BARS),
    )


def _periods(lake: Lake, table: str, first: str, sessions: int, last: np.ndarray) -> list[str]:
    """Keys of a table from ``sessions`` before ``first`` to the period ``last``; bar_inputs names those it lacks."""
    return [k for k in lake.keys(table) if str(shift(first, sessions)) <= k <= str(last[0])]


def training_labels(lake: Lake, axes: Axes, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Raw returns ``(D, S)`` of a horizon, and the day at whose close each is known ``(D,)``."""
    column = f"ret_{horizon}"
    days = [str(d) for d in axes.days]
    labels = lake.panel("labels", days, [column], axes.symbols, missing="empty")[column]
    every = trading_days()
    at = np.searchsorted(every, axes.days) + horizon + 1
    known = every[np.minimum(at, len(every) - 1)]
    # a return that reaches past the last day of the panel is not known within it
    labels[known > axes.days[-1]] = np.nan
    known = np.where(known > axes.days[-1], np.datetime64("NaT"), known)
    return labels, known
