"""Prices and tradability that the backtest runs on."""

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from mg_axes import DAYS, FLAGS, PANEL, SYMBOLS, Layout, align, as_days
from mg_portfolio.errors import BacktestError

Day = int | np.integer | dt.date | np.datetime64
"""A day as its index in the panel or as a date."""

LAYOUTS = {
    "trade_price": PANEL,
    "close": PANEL,
    "suspended": Layout("ds", True, wider=True),
    "limit_up": FLAGS,
    "limit_down": FLAGS,
    "listed": Layout("ds", None, wider=True),
    "amount": PANEL,
    "adj_factor": PANEL,
}
"""The panels, and what a stock is on a day that a labelled one lacks; of a listing nothing is assumed."""


@dataclass(frozen=True, eq=False)
class MarketPanel:
    """Adjusted prices and tradability of S stocks on D days.

    The panels may be labelled (pandas, Polars, Arrow, xarray; see :mod:`mg_axes`): they are aligned on ``days`` and
    ``symbols``. :meth:`from_frames` takes both from the closes.

    Attributes
    ----------
    days : (D,) datetime64[D]
        Ascending.
    symbols : (S,) object
        Stock codes.
    trade_price : (D, S) float
        Adjusted price that orders of the day are filled at (vwap, or open, or close); NaN where there was no trade.
    close : (D, S) float
        Adjusted close, for valuation. NaN carries the last close forward, so a halted or delisted stock keeps its
        last price.
    suspended, limit_up, limit_down : (D, S) bool
        Not tradable that day; locked at that limit at the trade price (cannot be bought; cannot be sold).
    listed : (D, S) bool, optional
        False from the day a stock leaves the exchange: a holding is then paid out in cash at its last price, free of
        cost, when the portfolio next trades. False between two listed days is a halt, and read as listed. Where
        absent, a stock without prices stays in the portfolio at its last price.
    amount : (D, S) float, optional
        Yuan traded that day, for a capacity; NaN is none.
    adj_factor : (D, S) float, optional
        Adjusted price over the exchange's price, for lots; NaN where there was no trade.
    absent : (D, S) bool, optional
        Days on which a stock is not listed only because nothing has been heard of it for long: its payout's reason is
        then ``absent``, not ``delisted``.
    """

    days: np.ndarray
    symbols: np.ndarray
    trade_price: np.ndarray
    close: np.ndarray
    suspended: np.ndarray
    limit_up: np.ndarray
    limit_down: np.ndarray
    listed: np.ndarray | None = None
    amount: np.ndarray | None = None
    adj_factor: np.ndarray | None = None
    absent: np.ndarray | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        for name, values in self.on_axes(LAYOUTS, {name: getattr(self, name) for name in LAYOUTS}).items():
            set_(self, name, values)
        set_(self, "days", _days(self.days))
        set_(self, "symbols", np.asarray(self.symbols, dtype=object))
        shape = (len(self.days), len(self.symbols))
        if len(self.days) == 0 or (np.diff(self.days) <= np.timedelta64(0, "D")).any():
            raise BacktestError("days were empty or not ascending: sort the panel by day and drop repeated days")
        extra = [name for name in ("amount", "adj_factor") if getattr(self, name) is not None]
        for name in ("trade_price", "close", *extra):
            set_(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        flags = ["suspended", "limit_up", "limit_down"]
        flags += [name for name in ("listed", "absent") if getattr(self, name) is not None]
        for name in flags:
            set_(self, name, np.asarray(getattr(self, name), dtype=bool))
        for name in ["trade_price", "close", *flags, *extra]:
            found = getattr(self, name).shape
            if found != shape:
                raise BacktestError(f"{name} had shape {found}, expected {shape} (days, symbols)")
        if self.listed is not None:
            halted = np.logical_or.accumulate(self.listed) & np.logical_or.accumulate(self.listed[::-1])[::-1]
            set_(self, "listed", self.listed | halted)
        for name in ("trade_price", "close"):
            bad = np.argwhere(~(np.isnan(getattr(self, name)) | (getattr(self, name) > 0)))
            if len(bad):
                d, s = bad[0]
                raise BacktestError(
                    f"{name} of {self.symbols[s]} on {self.days[d]} was {getattr(self, name)[d, s]!r}, expected "
                    "a price above 0, or NaN where there was none"
                )

    @classmethod
    def from_frames(cls, close: Any, trade_price: Any = None, suspended: Any = None, **panels: Any) -> Self:
        """Build a panel on the dates and symbols of labelled closes.

        Parameters
        ----------
        close : labelled (D, S)
            Adjusted closes, of pandas, Polars, Arrow or xarray; see :mod:`mg_axes`.
        trade_price : labelled (D, S), optional
            By default the closes.
        suspended : labelled (D, S) of bool, optional
            By default the stocks without a trade price.
        **panels : labelled (D, S), optional
            ``limit_up``, ``limit_down`` (by default nowhere), ``listed``, ``amount``, ``adj_factor``.

        Returns
        -------
        MarketPanel
            Days ascending, symbols sorted.

        Raises
        ------
        BacktestError
            Closes without labels, or a panel with labels that they have not.
        """
        given = {"close": close, "trade_price": close if trade_price is None else trade_price}
        layouts = {"close": PANEL, "trade_price": PANEL, "days": DAYS, "symbols": SYMBOLS}
        found, axes = align(BacktestError, layouts, given | {"days": None, "symbols": None}, by=("close",))
        if not axes:
            raise BacktestError(
                "close had no dates and symbols: give a labelled panel, or MarketPanel(days, symbols, ..)"
            )
        nowhere = np.zeros(found["close"].shape, dtype=bool)
        suspended = np.isnan(found["trade_price"]) if suspended is None else suspended
        return cls(suspended=suspended, **found, **({"limit_up": nowhere, "limit_down": nowhere} | panels))

    def on_axes(self, layouts: dict[str, Layout], given: dict[str, Any]) -> dict[str, Any]:
        """Put labelled arguments on the panel's days and symbols; bare arrays come back as they are.

        Parameters
        ----------
        layouts : dict of str to Layout
            By argument.
        given : dict of str to object
            The arguments.

        Returns
        -------
        dict of str to object
            By argument.

        Raises
        ------
        BacktestError
            A date or symbol that the panel has not.
        """
        axes = {"days": self.days, "symbols": self.symbols}
        found, _ = align(BacktestError, {**layouts, "days": DAYS, "symbols": SYMBOLS}, given | axes)
        return {name: found[name] for name in given}

    @cached_property
    def tradable(self) -> np.ndarray:
        """Whether an order of the day can be filled at all; (D, S) bool."""
        can = ~self.suspended & np.isfinite(self.trade_price)
        return can if self.listed is None else can & self.listed

    @cached_property
    def mark(self) -> np.ndarray:
        """Last close up to each day, 0 before the first; (D, S) float."""
        price = np.where(np.isnan(self.close) & self.tradable, self.trade_price, self.close)
        day = np.where(np.isnan(price), -1, np.arange(len(self.days))[:, None])
        np.maximum.accumulate(day, axis=0, out=day)
        filled = np.take_along_axis(price, np.maximum(day, 0), axis=0)
        return np.where(day < 0, 0.0, filled)

    def select(self, first: int, after: int, stocks: np.ndarray) -> "MarketPanel":
        """Select days and stocks; halted stocks keep the price they had before.

        Parameters
        ----------
        first, after : int
            The days ``first..after - 1``.
        stocks : (K,) int
            Indices of stocks.

        Returns
        -------
        MarketPanel
            Of those days and K stocks.
        """
        days = slice(first, after)
        mark = self.mark[days][:, stocks]
        return MarketPanel(
            self.days[days],
            self.symbols[stocks],
            self.trade_price[days][:, stocks],
            np.where(mark > 0.0, mark, np.nan),
            *(getattr(self, name)[days][:, stocks] for name in ("suspended", "limit_up", "limit_down")),
            *(
                None if getattr(self, name) is None else getattr(self, name)[days][:, stocks]
                for name in ("listed", "amount", "adj_factor", "absent")
            ),
        )

    def index(self, day: Day) -> int:
        """Index of a day given as an index or a date.

        Parameters
        ----------
        day : int or date
            Index in the panel, or a date of it.

        Returns
        -------
        int
            Index in the panel.

        Raises
        ------
        BacktestError
            The day is not in the panel.
        """
        if isinstance(day, (int, np.integer)):
            if not 0 <= day < len(self.days):
                raise BacktestError(f"day index {day} was outside the panel's {len(self.days)} days")
            return int(day)
        date = day.astype("datetime64[D]") if isinstance(day, np.datetime64) else _days([day])[0]
        at = int(np.searchsorted(self.days, date))
        if at == len(self.days) or self.days[at] != date:
            raise BacktestError(f"{date} was not a day of the panel ({self.days[0]} to {self.days[-1]})")
        return at


def _days(values: Any) -> np.ndarray:
    try:
        return as_days(values)
    except ValueError as wrong:
        raise BacktestError(str(wrong)) from None
