"""Trading costs: one object for the optimiser and the backtest, and the Chinese rates as they changed by law."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from mg_portfolio.errors import ProblemError
from mg_portfolio.exchange_rules import SSE_MAIN, Date, history, in_force, one_day

LAWFUL = ("stamp_tax", "transfer_fee")
"""Rates of a day that the law sets: :data:`mg_portfolio.exchange_rules.RULES` has them, the same for every board.

Before 2015-08 the transfer fee followed the face value in Shanghai and was 0.00255% of the value in Shenzhen; before
2008-09-19 both sides paid the stamp tax. The first rate of the table counts also for the days before it.
"""


@dataclass(frozen=True)
class Costs:
    """Rates on traded value, fractions.

    The reports state one rate "two-sided": a purchase and its later sale together. Half of it falls on each side
    (:meth:`two_sided`). Series 69 states it per side (:meth:`one_sided`). By kind and by date: :func:`chinese_costs`.

    Attributes
    ----------
    commission : float
        On purchases and sales. The default is half of series 72's 0.4% two-sided.
    stamp_tax : float
        On sales alone.
    slippage : float
        Price paid for trading itself, on purchases and sales.
    transfer_fee : float
        Of the clearing house, on purchases and sales.
    """

    commission: float = 0.002
    stamp_tax: float = 0.0
    slippage: float = 0.0
    transfer_fee: float = 0.0

    def __post_init__(self) -> None:
        for name in ("commission", "stamp_tax", "slippage", "transfer_fee"):
            rate = getattr(self, name)
            if not 0.0 <= rate < 0.5:
                raise ProblemError(f"{name} was {rate!r}, expected a fraction of traded value from 0 to 0.5")

    @classmethod
    def two_sided(cls, rate: float) -> "Costs":
        """Costs of a purchase and its sale together: 0.004 is 0.2% on each side.

        Parameters
        ----------
        rate : float
            Fraction of the traded value, both sides together.

        Returns
        -------
        Costs
            Half of the rate as commission on each side.
        """
        return cls(commission=rate / 2)

    @classmethod
    def one_sided(cls, rate: float) -> "Costs":
        """Costs of each side: 0.002 is 0.2% on a purchase and 0.2% on a sale.

        Parameters
        ----------
        rate : float
            Fraction of the traded value, per side.

        Returns
        -------
        Costs
            The rate as commission on each side.
        """
        return cls(commission=rate)

    @classmethod
    def none(cls) -> "Costs":
        """Free trading.

        Returns
        -------
        Costs
            All rates 0.
        """
        return cls(commission=0.0)

    def on(self, day: Date) -> "Costs":
        """Look up the rates of a day: the same on every one.

        Parameters
        ----------
        day : str, date or datetime64
            Trading day.

        Returns
        -------
        Costs
            Itself.
        """
        return self

    @property
    def buy(self) -> float:
        """Rate on purchases."""
        return self.commission + self.slippage + self.transfer_fee

    @property
    def sell(self) -> float:
        """Rate on sales."""
        return self.buy + self.stamp_tax

    @property
    def per_traded_weight(self) -> float:
        """Cost per unit of ``sum|w - holdings|``, for an ``EnhancementProblem`` whose scores are returns.

        Purchases equal sales in a fully invested portfolio, so a unit pays the mean of both rates.
        """
        return 0.5 * (self.buy + self.sell)


@dataclass(frozen=True)
class CostSchedule:
    """Rates that change on given days.

    Attributes
    ----------
    steps : tuple of (date, Costs)
        Ascending; each holds from its date on, the first also before it.
    """

    steps: tuple[tuple[str, Costs], ...]

    def __post_init__(self) -> None:
        days = [np.datetime64(day, "D") for day, _ in self.steps]
        if not days or any(b <= a for a, b in pairwise(days)):
            raise ProblemError(f"steps had the days {[day for day, _ in self.steps]}, expected ascending days")

    def on(self, day: Date) -> Costs:
        """Look up the rates of a day.

        Parameters
        ----------
        day : str, date or datetime64
            Trading day.

        Returns
        -------
        Costs
            In force then.
        """
        date = one_day(day)
        reached = [costs for since, costs in self.steps if np.datetime64(since, "D") <= date]
        return reached[-1] if reached else self.steps[0][1]


def chinese_costs(commission: float = 0.00025, slippage: float = 0.0) -> CostSchedule:
    """Commission, transfer fee and stamp tax of the mainland's exchanges, by the law of each day.

    Parameters
    ----------
    commission : float
        The broker's, per side; negotiable, 0.025% is usual.
    slippage : float
        Per side, a fraction of the traded value.

    Returns
    -------
    CostSchedule
        Rates by date.
    """
    plain = Costs(commission=commission, slippage=slippage)
    days = sorted({str(day) for name in LAWFUL for day in history(name, SSE_MAIN)[0]})
    return CostSchedule(
        tuple((day, replace(plain, **{name: in_force(name, SSE_MAIN, day) for name in LAWFUL})) for day in days)
    )
