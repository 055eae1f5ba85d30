"""Daily, weekly and monthly bars as the inputs of the low-frequency models.

The week and the month of a day enter as a bar to date: open of its first traded day,
highest high and lowest low so far, last close, volume so far and the volume-weighted price so far. A
completed week or month enters only from the first day after it.

Source: Huatai series 72, charts 50-51.
"""

import numpy as np

from mg_axes import CUBE, DAYS, SYMBOLS, align, as_days, bare
from mg_axes import FEATURES as FEATURE_AXIS
from mg_models.data.panel import Panel, PeriodPanel
from mg_models.errors import InputError

FEATURES = ("open", "high", "low", "close", "vwap", "volume")
OPEN, HIGH, LOW, CLOSE, VWAP, VOLUME = range(6)


def bar_inputs(
    days: np.ndarray,
    symbols: np.ndarray,
    daily: np.ndarray,
    weeks: np.ndarray,
    weekly: np.ndarray,
    months: np.ndarray,
    monthly: np.ndarray,
) -> dict[str, Panel | PeriodPanel]:
    """The three inputs of the low-frequency models.

    Parameters
    ----------
    days : ndarray of datetime64[D] (D,)
        Trading days, ascending.
    symbols : ndarray (S,)
        Stocks.
    daily : ndarray (D, S, 6), or labelled
        Labelled bars (:mod:`mg_axes`) are aligned on the days, the symbols and the names of :data:`FEATURES`; so are
        those of weeks and months, dated as ``weeks`` and ``months``.
        Adjusted open, high, low, close, vwap (yuan) and volume (shares). A suspended day has volume 0
        (its vwap, where missing, is taken from the close); NaN where a stock is not listed.
    weeks : ndarray of datetime64[D] (P,)
        Monday of each week of ``weekly``, ascending.
    weekly : ndarray (P, S, 6)
        Adjusted weekly bars. A day never sees weeks that are not over, so the current week may be present or not.
    months : ndarray of datetime64[D] (Q,)
        First calendar day of each month of ``monthly``, ascending.
    monthly : ndarray (Q, S, 6)
        Adjusted monthly bars; see ``weekly``.

    Returns
    -------
    dict
        ``daily`` (a :class:`Panel`), ``weekly`` and ``monthly`` (:class:`PeriodPanel`).

    Raises
    ------
    InputError
        Shapes or axes that do not fit, or a completed period between the first and the last day
        that has no bar.
    """
    days = as_days(days)
    daily = on_bar_axes("daily", daily, days, symbols)
    _check("daily", daily, (len(days), len(symbols), len(FEATURES)))
    values = np.array(daily, np.float32)
    idle = ~np.isfinite(values[..., VWAP]) & np.isfinite(values[..., CLOSE])
    values[..., VWAP][idle] = values[..., CLOSE][idle]
    return {
        "daily": Panel(days, symbols, values, FEATURES),
        "weekly": _period_panel("weekly", days, symbols, values, week_of(days), weeks, weekly),
        "monthly": _period_panel("monthly", days, symbols, values, month_of(days), months, monthly),
    }


def to_date_bars(daily: np.ndarray, period: np.ndarray) -> np.ndarray:
    """The bar of each day's period, of the period's days up to and including it.

    Parameters
    ----------
    daily : ndarray (D, S, 6)
        Days without a trade (volume 0 or NaN) add nothing.
    period : ndarray (D,)
        Equal within a period.

    Returns
    -------
    ndarray of float32 (D, S, 6)
        NaN where a stock has not traded in the period yet.
    """
    out = np.full(daily.shape, np.nan, np.float32)
    symbols = daily.shape[1]
    opened, high, low, close = (np.full(symbols, np.nan) for _ in range(4))
    volume, amount = np.zeros(symbols), np.zeros(symbols)
    for d, bar in enumerate(daily):  # bar (S, 6)
        if d == 0 or period[d] != period[d - 1]:
            for series in (opened, high, low, close):
                series.fill(np.nan)
            volume.fill(0.0)
            amount.fill(0.0)
        traded = np.isfinite(bar).all(-1) & (bar[:, VOLUME] > 0)
        opened = np.where(traded & np.isnan(opened), bar[:, OPEN], opened)
        high = np.where(traded, np.fmax(high, bar[:, HIGH]), high)
        low = np.where(traded, np.fmin(low, bar[:, LOW]), low)
        close = np.where(traded, bar[:, CLOSE], close)
        volume += np.where(traded, bar[:, VOLUME], 0.0)
        amount += np.where(traded, bar[:, VWAP].astype(np.float64) * bar[:, VOLUME], 0.0)
        some = volume > 0
        vwap = np.divide(amount, volume, out=np.full(symbols, np.nan), where=some)
        out[d] = np.stack([opened, high, low, close, vwap, np.where(some, volume, np.nan)], axis=-1)
    return out


def completed_bars(daily: np.ndarray, period: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weekly or monthly bars from daily ones, for callers without a table of them.

    The last period may be unfinished; :func:`bar_inputs` does not use it.

    Parameters
    ----------
    daily : ndarray (D, S, 6)
        Adjusted daily bars; see :func:`bar_inputs`.
    period : ndarray of datetime64[D] (D,)
        First day of each day's period, as :func:`week_of` gives it.

    Returns
    -------
    tuple of ndarray
        Period starts ``(P,)`` and bars ``(P, S, 6)``, float32.
    """
    bare("daily", daily, InputError)
    last = np.flatnonzero(np.append(period[1:] != period[:-1], True))
    return period[last], to_date_bars(daily, period)[last]


def week_of(days: np.ndarray) -> np.ndarray:
    """Monday of each day's calendar week, ``datetime64[D]``."""
    d = as_days(days)
    return d - (d.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday


def month_of(days: np.ndarray) -> np.ndarray:
    """First calendar day of each day's month, ``datetime64[D]``."""
    return as_days(days).astype("datetime64[M]").astype("datetime64[D]")


def _period_panel(
    name: str,
    days: np.ndarray,
    symbols: np.ndarray,
    daily: np.ndarray,
    period: np.ndarray,
    starts: np.ndarray,
    bars: np.ndarray,
) -> PeriodPanel:
    starts = as_days(starts)
    bars = on_bar_axes(name, bars, starts, symbols)
    _check(name, bars, (len(starts), len(symbols), len(FEATURES)))
    if np.any(np.diff(starts).astype(np.int64) <= 0):
        raise InputError(f"{name}: period starts must ascend; sort and deduplicate them")
    over = np.unique(period)[:-1]  # the period of the last day is not completed for any day
    lacking = over[~np.isin(over, starts)]
    if len(lacking):
        raise InputError(
            f"{name}: {len(lacking)} periods between {days[0]} and {days[-1]} have no bar, first {lacking[0]}; "
            f"materialise them, or compute them with completed_bars"
        )
    return PeriodPanel(days, symbols, bars, to_date_bars(daily, period), np.searchsorted(starts, period), FEATURES)


def on_bar_axes(name: str, bars: np.ndarray, days: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """Labelled bars on the days, the symbols and :data:`FEATURES`; bare ones as they are."""
    layouts = {name: CUBE, "days": DAYS, "symbols": SYMBOLS, "features": FEATURE_AXIS}
    return align(InputError, layouts, {name: bars, "days": days, "symbols": symbols, "features": FEATURES})[0][name]


def _check(name: str, array: np.ndarray, expected: tuple[int, ...]) -> None:
    if np.shape(array) != expected:
        raise InputError(f"{name} must be {expected}, was {np.shape(array)}")
