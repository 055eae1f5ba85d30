"""Settings of a simulated market: one frozen, hashable, validated record."""

import datetime as dt
import math
from dataclasses import dataclass

from mg_assets.errors import SourceError
from mg_assets.market.calendar import trading_days

LARGEST = 6000
"""Most stocks that the symbol ranges of the boards hold with room to spare."""


@dataclass(frozen=True)
class SimulationSettings:
    """Settings of the simulated exchange. Equal settings make equal bytes on every machine.

    Dates may be given as ISO strings. ``end`` and ``tick_start`` never change a day that they
    leave in the history; every other field makes another market.

    Attributes
    ----------
    seed : int
        Key of every random number.
    stocks : int
        All stocks that are ever listed (10..6000); the symbol axis.
    start, end : date
        First and last day of the history, both inclusive; closed days are skipped.
    tick_start : date or None
        First day with trades and orders; None: every day has them. Days before have
        daily bars instead.
    orders_per_stock : int
        Mean number of new orders per stock and day.
    alpha_strength : float
        Scale of the planted alpha (0..3). 1 gives a RankIC of 0.12-0.15 with 5-day returns,
        0 a market in which nothing predicts anything.
    alpha_half_life : float
        Half-life of the planted signal in trading days.
    listed_at_start : float
        Share of the stocks that are listed on the first day; the others follow evenly over
        eleven years.
    idiosyncratic_vol, industry_vol, market_vol : float
        Typical daily standard deviations (fractions).
    suspended_share, st_share : float
        Mean shares of listed names suspended and under special treatment.
    index_sizes : tuple of three int, or None
        Members of the CSI 300, CSI 500 and CSI 1000 analogues; None: 15%, 28% and 42% of the
        names listed at the start, but no more than 300, 500 and 1000.

    Raises
    ------
    SourceError
        For a value outside its range, naming the field and what is allowed.
    """

    seed: int = 20130104
    stocks: int = 200
    start: dt.date = dt.date(2013, 1, 4)
    end: dt.date = dt.date(2023, 12, 29)
    tick_start: dt.date | None = None
    orders_per_stock: int = 1500
    alpha_strength: float = 1.0
    alpha_half_life: float = 8.0
    listed_at_start: float = 0.8
    idiosyncratic_vol: float = 0.017
    industry_vol: float = 0.006
    market_vol: float = 0.012
    suspended_share: float = 0.015
    st_share: float = 0.025
    index_sizes: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        for name in ("start", "end", "tick_start"):
            object.__setattr__(self, name, _date(name, getattr(self, name)))
        if self.index_sizes is not None:
            object.__setattr__(self, "index_sizes", tuple(self.index_sizes))
        for name, low, high in (
            ("seed", 0, 2**63 - 1),
            ("stocks", 10, LARGEST),
            ("orders_per_stock", 20, 200_000),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise SourceError(f"simulation setting {name} was {value!r}; give an integer in {low}..{high}")
        for name, least, most in (
            ("alpha_strength", 0.0, 3.0),
            ("alpha_half_life", 0.5, 250.0),
            ("listed_at_start", 0.1, 1.0),
            ("idiosyncratic_vol", 0.001, 0.1),
            ("industry_vol", 0.0, 0.05),
            ("market_vol", 0.0, 0.05),
            ("suspended_share", 0.0, 0.3),
            ("st_share", 0.0, 0.3),
        ):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (number and math.isfinite(value) and least <= value <= most):
                raise SourceError(f"simulation setting {name} was {value!r}; give a number in {least}..{most}")
        if self.end < self.start:
            raise SourceError(f"simulation setting end was {self.end}, before start {self.start}; swap them")
        try:
            days = trading_days(self.start, self.end)
            calendar = trading_days("1995-01-03")  # stocks were listed from 1993 on
        except ValueError as error:
            raise SourceError(f"simulation days {self.start}..{self.end}: {error}") from error
        if not len(days):
            raise SourceError(f"no trading day in {self.start}..{self.end}; widen the simulation's start and end")
        first, last = calendar[0].item(), calendar[-1].item()
        if self.start < first or self.end > last:
            raise SourceError(
                f"simulation days were {self.start}..{self.end}; the trading calendar has {first}..{last} only"
            )
        sizes = self.members
        if len(sizes) != 3 or min(sizes) < 1 or sum(sizes) > self.stocks * self.listed_at_start:
            raise SourceError(
                f"simulation setting index_sizes was {sizes}; give three positive sizes whose sum is at most the "
                f"{int(self.stocks * self.listed_at_start)} stocks listed at the start, or None"
            )

    @property
    def members(self) -> tuple[int, int, int]:
        """Number of members of the three indices."""
        if self.index_sizes is not None:
            return self.index_sizes
        listed = round(self.stocks * self.listed_at_start)
        return (
            max(1, min(300, int(0.15 * listed))),
            max(1, min(500, int(0.28 * listed))),
            max(1, min(1000, int(0.42 * listed))),
        )

    @property
    def first_tick_day(self) -> dt.date:
        """First day with trades and orders."""
        return self.start if self.tick_start is None else self.tick_start


def _date(name: str, value: object) -> dt.date | None:
    if value is None and name == "tick_start":
        return None
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value)
        except ValueError as error:
            raise SourceError(f"simulation setting {name} was {value!r}; write a date as 2013-01-04") from error
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    raise SourceError(f"simulation setting {name} was {value!r}; give a date")
