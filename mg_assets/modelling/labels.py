"""The returns that a model learns, and the days from which they are known."""

from dataclasses import dataclass

import numpy as np

from mg_assets import factors
from mg_assets.factors.labels import eligible_entry
from mg_assets.lake.price_jumps import JUMP_COLUMNS, stored_jumps
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_models.catalog import ModelSpec

ENTRY = ("suspended", "st", "open", "high", "low", "close", "up_limit", "down_limit")


@dataclass(frozen=True)
class Axes:
    """Days ``(D,)`` and symbols ``(S,)`` that all inputs of a model share."""

    days: np.ndarray
    symbols: np.ndarray


def training_labels(lake: Lake, axes: Axes, spec: ModelSpec) -> tuple[np.ndarray, np.ndarray]:
    """Raw returns of an entry's label, and the days from which they are available.

    Returns at vwap are those of the lake's labels; at another price they are computed from the daily bars by the
    same rules.

    Parameters
    ----------
    lake : Lake
    axes : Axes
    spec : ModelSpec

    Returns
    -------
    labels : ndarray of float64 (D, S, horizons)
    label_end : ndarray of datetime64[D] (D,)
        The day at whose close each day's returns are complete; NaT where that is after the last day.
    """
    days, horizons = [str(d) for d in axes.days], spec.label.horizons
    if spec.label.price == "vwap":
        columns = [f"ret_{h}" for h in horizons]
        labels = lake.panel("labels", days, columns, axes.symbols, missing="empty").stack(columns)
    else:
        wanted = [*dict.fromkeys((*ENTRY, *JUMP_COLUMNS))]
        bars = lake.panel("daily_bars", days, wanted, axes.symbols, missing="empty")
        suspended, st = flag(bars["suspended"]), flag(bars["st"])
        entry = eligible_entry(suspended, st, *(bars[c] for c in ENTRY[2:]))
        price = np.where(suspended, np.nan, bars[spec.label.price])  # a carried close is nothing to sell at
        jumps = stored_jumps(lake, bars)
        labels = factors.labels(price * bars["adj_factor"], entry & bars.present, horizons, jumps)
        labels[~bars.present] = np.nan  # not listed yet
    every = trading_days()
    at = np.searchsorted(every, axes.days)
    label_end = every[np.minimum(at + spec.horizon + 1, len(every) - 1)]
    for k, h in enumerate(horizons):  # a return that reaches past the panel's last day is not available within it
        labels[every[np.minimum(at + h + 1, len(every) - 1)] > axes.days[-1], :, k] = np.nan
    return labels, np.where(label_end > axes.days[-1], np.datetime64("NaT"), label_end)


def flag(values: np.ndarray) -> np.ndarray:
    """A column of booleans that is NaN throughout where the lake has no partition."""
    return values if values.dtype == bool else values == 1
