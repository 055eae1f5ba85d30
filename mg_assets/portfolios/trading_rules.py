"""Trading rules of the deployment: published costs or the law's by date, and an execution model if capital is set."""

from typing import Any

from pydantic import ValidationError

from mg_assets.errors import SettingsError
from mg_assets.settings import TradingSettings, settings
from mg_assets.settings.problems import Origin, problems
from mg_portfolio.backtest.execution import Execution
from mg_portfolio.catalog import PortfolioSpec
from mg_portfolio.costs import Costs, CostSchedule, chinese_costs
from mg_portfolio.exchange_rules import KNOWN_UNTIL


class TradingRules(TradingSettings):
    """The setting ``trading`` as the costs and the execution model of a backtest.

    Raises
    ------
    SettingsError
        A value that is not allowed, or a combination that is not.
    """

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            found = problems(error, given, Origin("setting trading", {}), TradingSettings)
            raise SettingsError(*found) from error

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
            law = f"stamp tax and transfer fee by date (known until {KNOWN_UNTIL})"
            parts = [f"{law}, commission {self.commission:.4%} a side"]
            parts += [f"slippage {self.slippage:.4%} a side"] if self.slippage else []
        parts += [f"{self.capital / 1e6:g} million yuan"] if self.capital is not None else []
        parts += [f"orders up to {self.participation:.0%} of the day's amount"] if self.participation else []
        return ", ".join([*parts, *(["whole lots"] if self.lots else [])])


def trading_rules() -> TradingRules:
    """The setting ``trading`` as trading rules."""
    return TradingRules(**settings().trading.given())
