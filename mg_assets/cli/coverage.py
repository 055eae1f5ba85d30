"""What a source has: which raw tables on which days, of how many stocks, with which columns."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mg_assets.errors import MgError
from mg_assets.market.calendar import trading_days
from mg_assets.market.schema import INDICES, REFERENCE
from mg_assets.sources.base import Source

TABLES = ("trades", "orders", "minute_bars", "daily_bars", "reference")
SAMPLED = 12  # days whose rows are looked at, from the first to the last
ENOUGH = 10  # days with ticks or minute bars that a 20-day mean of factors needs
DENSE = 0.8  # of the trading days: fewer are single days


@dataclass(frozen=True)
class Coverage:
    """What a source has.

    Attributes
    ----------
    days : dict of str to tuple of str
        Days of each raw table, ascending.
    stocks : tuple of int
        Stocks that traded, on some days from the first to the last; empty where the source has no daily tables.
    columns : frozenset of str
        Columns of the reference, the daily bars and, without trades, the minute bars (``minute_bars.num_trades``) that
        have values on one of these days.
    members : dict of str to int
        Most members of an index that have a row on one of them.
    """

    days: dict[str, tuple[str, ...]]
    stocks: tuple[int, ...] = ()
    columns: frozenset[str] = frozenset()
    members: dict[str, int] = field(default_factory=dict)

    @property
    def daily(self) -> tuple[str, ...]:
        """Days with daily bars from the source."""
        return self.days["daily_bars"]

    @property
    def intraday(self) -> tuple[str, ...]:
        """Days with ticks or minute bars."""
        return _union(self.days["trades"], self.days["minute_bars"])

    @property
    def bars(self) -> tuple[str, ...]:
        """Days on which daily bars can be had: the source's own, or made of ticks or minute bars."""
        return _union(self.daily, self.intraday)

    @property
    def every(self) -> tuple[str, ...]:
        """Days of any table."""
        return _union(*self.days.values())

    def contiguous_from(self) -> str | None:
        """First of the days with ticks or minute bars that are near enough to each other for means over 20 days."""
        days = self.intraday
        if len(days) < ENOUGH:
            return None
        calendar = trading_days(days[0], days[-1]).astype(str)
        have = np.isin(calendar, days)
        share = have[::-1].cumsum()[::-1] / np.arange(len(have), 0, -1)  # from each day to the last
        first = calendar[np.argmax(have & (share >= DENSE))]
        return str(first) if (np.array(days) >= first).sum() >= ENOUGH else None


def _union(*days: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(set().union(*days)))


def days_of(source: Source, first: str | None = None, last: str | None = None) -> dict[str, tuple[str, ...]]:
    """Trading days of each raw table of a source, between two days; nothing is read but what lists them."""
    covered = source.days().astype("datetime64[D]")
    if not len(covered):
        return dict.fromkeys(TABLES, ())
    calendar = trading_days(first or str(covered[0]), last or str(covered[-1]))
    days = [d for d in np.intersect1d(covered, calendar).tolist() if isinstance(d, dt.date)]
    return {table: tuple(str(d) for d in days if source.has(table, d)) for table in TABLES}


def coverage_of(source: Source, first: str | None = None, last: str | None = None) -> Coverage:
    """What a source has between two days.

    Parameters
    ----------
    source : Source
    first, last : str, optional
        Those of the source by default.

    Returns
    -------
    Coverage
        Days whose rows cannot be read are left out of what is looked at; the run names their error.
    """
    days = days_of(source, first, last)
    stocks: list[int] = []
    columns: set[str] = set()
    members = dict.fromkeys(INDICES, 0)
    if days["minute_bars"] and not days["trades"]:
        columns |= _columns_of_minutes(source, days["minute_bars"][-1])
    for table in ("daily_bars", "reference"):
        have = days[table]
        for at in np.unique(np.linspace(0, len(have) - 1, min(SAMPLED, len(have))).round().astype(int)):
            try:
                frame = source.load(table, dt.date.fromisoformat(have[at])).frame
            except MgError:
                continue
            if table == "daily_bars":
                stocks.append(int((frame["volume"] > 0).sum()))
                columns |= {c for c in ("amount", "float_shares") if frame[c].notna().any()}
                continue
            columns |= {c for c in REFERENCE.names if frame[c].notna().any() and not c.endswith("_weight")}
            for index in INDICES:
                if frame[f"{index}_weight"].fillna(0).gt(0).any():
                    columns.add(f"{index}_weight")
                members[index] = max(members[index], int(frame[f"{index}_member"].fillna(False).sum()))
    return Coverage(days, tuple(stocks), frozenset(columns), members)


def _columns_of_minutes(source: Source, day: str) -> set[str]:
    """Columns of a day's minute bars that have values."""
    try:
        frame = source.load("minute_bars", dt.date.fromisoformat(day)).frame
    except MgError:
        return set()
    return {f"minute_bars.{c}" for c in frame.columns if frame[c].notna().any()}
