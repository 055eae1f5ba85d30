"""Days x stocks x features, resident in memory; windows are gathered from it by index.

Two kinds. A :class:`Panel` has one row per day (factors, daily bars). A :class:`PeriodPanel`
has one row per completed week or month, and the bar to date of every day; the series that day T
sees is the last completed periods and the bar to date as its last step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from mg_axes import CUBE, DAYS, FEATURES, SYMBOLS, Layout, align, as_days, bare
from mg_models.errors import InputError

_PERIODS = Layout("d", -1)


@dataclass(frozen=True)
class Panel:
    """One value per (day, stock, feature); :meth:`from_frame` makes one of a labelled table.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
        Trading days, ascending.
    symbols : ndarray of object (S,)
    values : ndarray of float32 (D, S, F)
        NaN where a stock has no value. May be handed in labelled (:mod:`mg_axes`): it is aligned on the other three.
    features : tuple of str (F,)

    Raises
    ------
    InputError
        Axes that do not fit the values, or days that do not ascend.
    """

    days: np.ndarray
    symbols: np.ndarray
    values: np.ndarray
    features: tuple[str, ...]

    def __post_init__(self) -> None:
        axes = {"days": self.days, "symbols": self.symbols, "features": self.features}
        layouts = {"values": CUBE, "days": DAYS, "symbols": SYMBOLS, "features": FEATURES}
        _set(self, "values", align(InputError, layouts, {"values": self.values, **axes})[0]["values"])
        _axes(self)
        _set(self, "values", _float32(self.values))
        _shape("values", self.values, (len(self.days), len(self.symbols), len(self.features)))

    @classmethod
    def from_frame(cls, frame: Any, features: Sequence[str] | None = None) -> Self:
        """Make a panel of a labelled table, days ascending and symbols sorted.

        Parameters
        ----------
        frame : labelled (D, S, F)
            A table of pandas, Polars or Arrow with dates, symbols and a column for each feature, or one of xarray; see
            :mod:`mg_axes`.
        features : sequence of str, optional
            Columns in the panel's order; by default all of the table, in its order.

        Returns
        -------
        Panel
            NaN where the table has no row.

        Raises
        ------
        InputError
            Labels that cannot be read, or a feature that the table has not.
        """
        found, axes = align(InputError, {"frame": CUBE}, {"frame": frame})
        if not axes:
            raise InputError(
                "frame had no dates and symbols: give a labelled table, or Panel(days, symbols, values, ..)"
            )
        own = list(axes["f"])
        wanted = own if features is None else [str(name) for name in features]
        lacking = [name for name in wanted if name not in own]
        if lacking:
            raise InputError(f"frame has no {lacking[0]!r}; its features are {own[:12]}")
        chosen = found["frame"] if features is None else found["frame"][..., [own.index(name) for name in wanted]]
        return cls(axes["d"], axes["s"], chosen, tuple(wanted))

    def valid(self, bars: bool = False) -> np.ndarray:
        """Mask of the rows that are present.

        A row of factors is present where any feature is finite. A bar is present where every feature is finite and
        positive, so that a day without a trade has none.

        Parameters
        ----------
        bars : bool
            Whether rows are bars.

        Returns
        -------
        ndarray of bool (D, S)
            True where a row is present.
        """
        return _valid(self.values, bars)

    def eligible(self, steps: int, min_share: float, bars: bool = False) -> np.ndarray:
        """The eligible stocks of each day.

        A stock is eligible on day T if its row at T is present and at least ``min_share`` of the ``steps`` rows that
        end at T are.

        Parameters
        ----------
        steps : int
            Rows in a window.
        min_share : float
            Least share of them that must be present.
        bars : bool
            Whether rows are bars; see :meth:`valid`.

        Returns
        -------
        ndarray of bool (D, S)
            True where a stock is eligible.
        """
        valid = self.valid(bars)
        total = _running(valid)  # (D + 1, S)
        days = len(self.days)
        first = np.maximum(np.arange(days) + 1 - steps, 0)
        count = total[1:] - total[first]
        return valid & (count >= np.ceil(min_share * steps))


@dataclass(frozen=True)
class PeriodPanel:
    """Weekly or monthly values that each day can see.

    Attributes
    ----------
    days : ndarray of datetime64[D] (D,)
    symbols : ndarray of object (S,)
    completed : ndarray of float32 (P, S, F)
        One row per period, in time order.
    to_date : ndarray of float32 (D, S, F)
        May be labelled, like the values of a :class:`Panel`; ``completed`` may not. The current period's value using
        days up to and including each day.
    period_of_day : ndarray of int64 (D,)
        How many rows of ``completed`` are over before the period of each day begins: day d may
        see ``completed[:period_of_day[d]]``.
    features : tuple of str (F,)

    Raises
    ------
    InputError
        Axes that do not fit, or a ``period_of_day`` that runs backwards or past the last period.
    """

    days: np.ndarray
    symbols: np.ndarray
    completed: np.ndarray
    to_date: np.ndarray
    period_of_day: np.ndarray
    features: tuple[str, ...]

    def __post_init__(self) -> None:
        axes = {"days": self.days, "symbols": self.symbols, "features": self.features}
        layouts = {"to_date": CUBE, "period_of_day": _PERIODS}
        given = {name: getattr(self, name) for name in layouts}
        layouts |= {"days": DAYS, "symbols": SYMBOLS, "features": FEATURES}
        for name, values in align(InputError, layouts, given | axes)[0].items():
            _set(self, name, values)
        _axes(self)
        _set(self, "completed", _float32(bare("completed", self.completed, InputError)))
        _set(self, "to_date", _float32(self.to_date))
        _set(self, "period_of_day", np.asarray(self.period_of_day, np.int64))
        wide = (len(self.symbols), len(self.features))
        _shape("to_date", self.to_date, (len(self.days), *wide))
        _shape("completed", self.completed, (len(self.completed), *wide))
        _shape("period_of_day", self.period_of_day, (len(self.days),))
        p = self.period_of_day
        if len(p) and (p[0] < 0 or p[-1] > len(self.completed) or np.any(np.diff(p) < 0)):
            raise InputError(
                f"period_of_day must ascend within 0..{len(self.completed)} (the completed periods), "
                f"was {p[0]}..{p[-1]}"
            )

    def valid(self, bars: bool = False) -> np.ndarray:
        """Mask of the rows of ``to_date`` that are present, ``(D, S)`` bool; see :meth:`Panel.valid`."""
        return _valid(self.to_date, bars)

    def eligible(self, steps: int, min_share: float, bars: bool = False) -> np.ndarray:
        """The eligible stocks of each day, ``(D, S)`` bool; see :meth:`Panel.eligible`."""
        today = self.valid(bars)
        total = _running(_valid(self.completed, bars))  # (P + 1, S)
        first = np.maximum(self.period_of_day - (steps - 1), 0)
        count = total[self.period_of_day] - total[first] + today
        return today & (count >= np.ceil(min_share * steps))


def common_axes(inputs: Mapping[str, Panel | PeriodPanel]) -> tuple[np.ndarray, np.ndarray]:
    """Days and symbols that all the inputs share.

    Returns
    -------
    tuple of ndarray
        Days ``(D,)`` and symbols ``(S,)``.

    Raises
    ------
    InputError
        No input, or two inputs whose days or symbols differ.
    """
    if not inputs:
        raise InputError("no input panel was given")
    names = list(inputs)
    first = inputs[names[0]]
    for name in names[1:]:
        other = inputs[name]
        for axis in ("days", "symbols"):
            a, b = getattr(first, axis), getattr(other, axis)
            if len(a) != len(b) or not np.array_equal(a, b):
                raise InputError(
                    f"inputs {names[0]!r} and {name!r} have different {axis} ({len(a)} and {len(b)}); "
                    f"build them on one axis"
                )
    return first.days, first.symbols


def _axes(panel: Panel | PeriodPanel) -> None:
    try:
        _set(panel, "days", as_days(panel.days))
    except ValueError as wrong:
        raise InputError(str(wrong)) from None
    _set(panel, "symbols", np.asarray(panel.symbols, dtype=object))
    _set(panel, "features", tuple(panel.features))
    steps = np.diff(panel.days).astype(np.int64)
    if np.any(steps <= 0):
        at = int(np.flatnonzero(steps <= 0)[0])
        raise InputError(f"days must ascend, but {panel.days[at + 1]} follows {panel.days[at]}; sort and deduplicate")


def _set(panel: Panel | PeriodPanel, name: str, value: object) -> None:
    object.__setattr__(panel, name, value)  # the dataclass is frozen


def _float32(values: np.ndarray) -> np.ndarray:
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    return array if array.dtype == np.float32 and array.flags.c_contiguous else np.ascontiguousarray(array, np.float32)


def _shape(name: str, array: np.ndarray, expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise InputError(f"{name} must be {expected} by its axes, was {array.shape}")


def _valid(values: np.ndarray, bars: bool) -> np.ndarray:
    out = np.empty(values.shape[:2], bool)
    for row, value in enumerate(values):  # day by day: no mask of the whole history is allocated
        finite = np.isfinite(value)
        out[row] = (finite & (value > 0)).all(-1) if bars else finite.any(-1)
    return out


def _running(valid: np.ndarray) -> np.ndarray:
    total = np.zeros((len(valid) + 1, valid.shape[1]), np.int32)
    np.cumsum(valid, axis=0, out=total[1:])
    return total
