"""Trading rules of the deployment: published costs or the law's by date, and an execution model if capital is set."""

from dataclasses import dataclass, fields

from mg_assets.errors import DataError
from mg_assets.settings import settings
from mg_portfolio.backtest.execution import Execution
from mg_portfolio.catalog import PortfolioSpec
from mg_portfolio.costs import Costs, CostSchedule, chinese_costs


@dataclass(frozen=True)
class TradingRules:
    """The setting ``trading``.

    Attributes
    ----------
    costs : str
        ``published``: the portfolio's own rate of its report. ``chinese``: commission, transfer fee and stamp tax as
        the law had them on each day.
    commission, slippage : float
        Per side, with ``chinese``.
    capital : float or None
        Yuan at the start; required for lots and participation.
    participation : float or None
        Largest share of a stock's amount of the day that one order may be.
    lots : bool
        Orders in whole lots.
    """

    costs: str = "published"
    commission: float = 0.00025
    slippage: float = 0.0
    capital: float | None = None
    participation: float | None = None
    lots: bool = False

    def __post_init__(self) -> None:
        if self.costs not in ("published", "chinese"):
            raise DataError(f"setting trading: costs was {self.costs!r}, expected 'published' or 'chinese'")
        if self.capital is None and (self.lots or self.participation is not None):
            raise DataError("setting trading: lots and participation need a capital in yuan, such as capital: 5.0e+8")

    def rates(self, spec: PortfolioSpec) -> Costs | CostSchedule:
        """Trading costs of a portfolio."""
        return spec.costs if self.costs == "published" else chinese_costs(self.commission, self.slippage)

    @property
    def execution(self) -> Execution | None:
        """Execution model, if capital is set."""
        if self.capital is None:
            return None
        return Execution(float(self.capital), self.participation, self.lots)

    def __str__(self) -> str:
        if self.costs == "published":
            parts = ["the report's costs"]
        else:
            parts = [f"stamp tax and transfer fee by date, commission {self.commission:.4%} a side"]
            parts += [f"slippage {self.slippage:.4%} a side"] if self.slippage else []
        parts += [f"{self.capital / 1e6:g} million yuan"] if self.capital is not None else []
        parts += [f"orders up to {self.participation:.0%} of the day's amount"] if self.participation else []
        return ", ".join([*parts, *(["whole lots"] if self.lots else [])])


def trading_rules() -> TradingRules:
    """The setting ``trading`` as trading rules.

    Returns
    -------
    TradingRules

    Raises
    ------
    DataError
        The setting has an unknown key or a combination that is not allowed.
    """
    given = settings().trading
    known = {f.name for f in fields(TradingRules)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise DataError(f"setting trading: unknown {unknown}; known are {sorted(known)}")
    return TradingRules(**given)
