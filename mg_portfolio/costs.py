"""What trading costs: one object for the optimiser and the backtest."""

from dataclasses import dataclass

from mg_portfolio.errors import ProblemError


@dataclass(frozen=True)
class Costs:
    """Rates on traded value, fractions.

    The reports state one rate "two-sided": a purchase and its later sale together. Half of it falls on each side
    (:meth:`two_sided`). Series 69 states it per side (:meth:`one_sided`).

    Attributes
    ----------
    commission : float
        On purchases and sales. The default is half of series 72's 0.4% two-sided.
    stamp_tax : float
        On sales alone.
    slippage : float
        Price paid for trading itself, on purchases and sales.
    """

    commission: float = 0.002
    stamp_tax: float = 0.0
    slippage: float = 0.0

    def __post_init__(self) -> None:
        for name in ("commission", "stamp_tax", "slippage"):
            rate = getattr(self, name)
            if not 0.0 <= rate < 0.5:
                raise ProblemError(f"{name} was {rate!r}, expected a fraction of traded value from 0 to 0.5")

    @classmethod
    def two_sided(cls, rate: float) -> "Costs":
        """Costs of a purchase and its sale together: 0.004 is 0.2% on each side."""
        return cls(commission=rate / 2)

    @classmethod
    def one_sided(cls, rate: float) -> "Costs":
        """Costs of each side: 0.002 is 0.2% on a purchase and 0.2% on a sale."""
        return cls(commission=rate)

    @classmethod
    def none(cls) -> "Costs":
        """Trading for free."""
        return cls(commission=0.0)

    @property
    def buy(self) -> float:
        """Rate on purchases."""
        return self.commission + self.slippage

    @property
    def sell(self) -> float:
        """Rate on sales."""
        return self.commission + self.stamp_tax + self.slippage

    @property
    def per_traded_weight(self) -> float:
        """Cost per unit of ``sum|w - holdings|``, for an ``EnhancementProblem`` whose scores are returns.

        Purchases equal sales in a fully invested portfolio, so a unit pays the mean of both rates.
        """
        return 0.5 * (self.buy + self.sell)
