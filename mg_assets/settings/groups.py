"""Groups of settings that the deployment's settings hold: what runs build, trading, evaluation cases, quality."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mg_assets.settings.values import (
    Above,
    Each,
    EachOnce,
    Flag,
    FromOne,
    HalfYear,
    Part,
    PartitionDay,
    Rate,
    Share,
    Text,
    break_rule,
    name_of,
)


def _universes() -> tuple[str, ...]:
    from mg_portfolio.evaluation.universes import UNIVERSES

    return tuple(UNIVERSES)


def _executions() -> tuple[str, ...]:
    from mg_portfolio.evaluation.cases import EXECUTIONS

    return tuple(EXECUTIONS)


Universe = Annotated[str, name_of("a universe", _universes)]
ExecutionPrice = Annotated[str, name_of("an execution", _executions)]


class RunSettings(Part):
    """What ``mg run`` builds.

    Attributes
    ----------
    daily_from, until : str or None
        First and last day; those of the source by default.
    ticks_from : str or None
        First of the contiguous days with ticks, which last to the end of the run.
    tick_days : tuple of str
        Scattered days with ticks before those.
    factors_from : str or None
        First day of factors of daily bars; by default ``daily_from``. Models on them train on no earlier day.
    half_years : tuple of str
        Half-years that models are trained for.
    portfolios_from : str or None
        First week of the portfolios; by default that of the first day with predictions.
    """

    daily_from: PartitionDay | None = None
    ticks_from: PartitionDay | None = None
    tick_days: Annotated[tuple[PartitionDay, ...], Each, EachOnce] = ()
    factors_from: PartitionDay | None = None
    until: PartitionDay | None = None
    half_years: Annotated[tuple[HalfYear, ...], Each, EachOnce] = ()
    portfolios_from: PartitionDay | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "RunSettings":
        for name in ("daily_from", "ticks_from", "factors_from", "portfolios_from"):
            first = getattr(self, name)
            if first and self.until and first > self.until:
                raise break_rule(f"{name} {first} is after until {self.until}")
        return self


class TradingSettings(Part):
    """How portfolios trade.

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

    costs: Annotated[str, name_of("a cost model", lambda: ("published", "chinese"))] = "published"
    commission: Rate = 0.00025
    slippage: Rate = 0.0
    capital: Above | None = None
    participation: Share | None = None
    lots: Flag = False

    @model_validator(mode="after")
    def _go_together(self) -> "TradingSettings":
        if self.capital is None and (self.lots or self.participation is not None):
            raise break_rule("lots and participation need a capital in yuan, such as capital: 5.0e+8")
        if self.costs == "published" and {"commission", "slippage"} & self.model_fields_set:
            raise break_rule("commission and slippage need costs: chinese; published costs are the reports' own")
        return self


class EvaluationSettings(Part):
    """The cases that factors and signals are evaluated under; the first of each list is the main case.

    Attributes
    ----------
    universes, executions : tuple of str
        Names in :data:`mg_portfolio.evaluation.universes.UNIVERSES` and
        :data:`mg_portfolio.evaluation.cases.EXECUTIONS`.
    every : tuple of int
        Trading days between rebalances.
    whole : bool
        Every combination of them, else only those that differ from the main case in one respect.
    """

    universes: Annotated[tuple[Universe, ...], Each, EachOnce, Field(min_length=1)] = (
        "all",
        "csi300",
        "csi500",
        "csi1000",
    )
    executions: Annotated[tuple[ExecutionPrice, ...], Each, EachOnce, Field(min_length=1)] = ("t1_vwap",)
    every: Annotated[tuple[FromOne, ...], Each, EachOnce, Field(min_length=1)] = (5, 10)
    whole: Flag = False


class QualitySettings(Part):
    """Limits of checks that warn.

    Attributes
    ----------
    index_weights_age : int
        Trading days that an index's weights may be old at a decision. They are published monthly: 45 are two months, in
        which one publication is missing.
    validation_days : int
        Days that validate a training at least, whose mean RankIC decides when it stops. With a deviation of 0.1 a day
        the mean of 40 has a standard error of 0.016.
    """

    index_weights_age: FromOne = 45
    validation_days: FromOne = 40


class RuleSettings(BaseModel):
    """An expectation of Great Expectations on a table; its other keys are the arguments.

    Attributes
    ----------
    table, expectation : str
    name, description : str or None
        Of the check; made of the column and the expectation by default.
    blocking : bool
        Whether a partition that breaks it is kept from what reads it; else it warns.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    table: Text
    expectation: Text
    name: Text | None = None
    description: Text | None = None
    blocking: Flag = True

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of :func:`mg_assets.quality.rules.expect`."""
        own = {"name": self.name, "description": self.description or "", "blocking": self.blocking}
        return {**own, **(self.model_extra or {})}
