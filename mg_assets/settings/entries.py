"""Entries of the catalogs as settings define them: portfolios and signals; and the names that they may refer to."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any

from pydantic import model_validator

from mg_assets.market.schema import INDICES
from mg_assets.settings.values import (
    ABSENT,
    Above,
    Fraction,
    FromZero,
    FromZeroNumber,
    NamedWeights,
    Part,
    Rate,
    Share,
    Text,
    allowed,
    break_rule,
    each_once,
    name_of,
    name_problem,
    several,
    shown,
)
from mg_models.catalog import signal_names
from mg_portfolio.catalog import ALL_PORTFOLIOS, BENCHMARKS, OTHER_STYLES, SIZES, PortfolioSpec
from mg_portfolio.costs import Costs

WHERE = "mg_portfolio.catalog"  # lists the portfolios
STYLES = ("size", "valuation", *OTHER_STYLES)
PLACEBOS = 20  # the first of 21 alike is one in twenty-one by chance
_NAMES: ContextVar[tuple[Collection[str], Collection[str]]] = ContextVar("names")


@contextmanager
def names_of(signals: Collection[str], portfolios: Collection[str]) -> Iterator[None]:
    """Check settings against these names of signals and portfolios, not the built-in ones alone."""
    token = _NAMES.set((signals, portfolios))
    try:
        yield
    finally:
        _NAMES.reset(token)


def _signals() -> Collection[str]:
    return _NAMES.get((signal_names(), ()))[0]


def known_portfolios() -> Collection[str]:
    """Names of portfolios, of the catalogs and of the settings' own."""
    return _NAMES.get(((), ALL_PORTFOLIOS))[1]


Signal = Annotated[str, name_of("a signal", _signals, "docs/models.md")]
Portfolio = Annotated[str, name_of("a portfolio", known_portfolios, WHERE)]
Index = Annotated[str, name_of("an index", lambda: INDICES)]
Style = Annotated[str, name_of("a style", lambda: STYLES)]
BenchmarkKind = Annotated[str, name_of("a benchmark", lambda: tuple(BENCHMARKS))]
SizeMeasure = Annotated[str, name_of("a measure of size", lambda: tuple(SIZES))]


class CostSettings(Part):
    """Rates on traded value: of both sides together, of each side, or by kind as in :class:`mg_portfolio.Costs`."""

    two_sided: Rate = ABSENT
    one_sided: Rate = ABSENT
    commission: Rate = ABSENT
    stamp_tax: Rate = ABSENT
    slippage: Rate = ABSENT
    transfer_fee: Rate = ABSENT

    @model_validator(mode="after")
    def _one_form(self) -> "CostSettings":
        given = set(self.model_fields_set)
        if not given or (given & {"two_sided", "one_sided"} and len(given) > 1):
            raise break_rule("two_sided or one_sided alone, or rates by kind were expected, as {one_sided: 0.002}")
        return self

    @property
    def costs(self) -> Costs:
        """The rates."""
        rates = self.given()
        for name in ("two_sided", "one_sided"):
            if name in rates:
                return getattr(Costs, name)(rates[name])
        return Costs(**({"commission": 0.0} | rates))


class PortfolioSettings(Part):
    """Fields of :class:`mg_portfolio.catalog.PortfolioSpec` that differ from those of the portfolio it is ``like``.

    ``turnover`` is short for ``turnover_limit``. ``placebos`` is the number of random signals that are backtested
    beside it, no field of the specification: it changes nothing of the portfolio itself.
    """

    like: Portfolio = ABSENT
    signal: Signal = ABSENT
    index: Index = ABSENT
    member_floor: Fraction | None = ABSENT
    stock_limit: Share = ABSENT
    industry_limit: Fraction | None = ABSENT
    style_limits: dict[Style, FromZeroNumber] = ABSENT
    other_styles: FromZeroNumber | None = ABSENT
    turnover_limit: Share = ABSENT
    turnover: Share = ABSENT
    costs: CostSettings = ABSENT
    cost: Rate = ABSENT
    holding_period: Above | None = ABSENT
    risk_aversion: FromZeroNumber = ABSENT
    size_from: SizeMeasure = ABSENT
    benchmark_from: BenchmarkKind = ABSENT
    placebos: FromZero = PLACEBOS
    every: Annotated[int, allowed("5, a week: portfolios are decided weekly", lambda v: type(v) is int and v == 5)] = (
        ABSENT
    )

    @model_validator(mode="after")
    def _turnover_once(self) -> "PortfolioSettings":
        if {"turnover", "turnover_limit"} <= self.model_fields_set:
            raise break_rule("turnover and turnover_limit are the same; one of them was expected")
        return self

    def changes(self) -> dict[str, Any]:
        """The fields that are set, as :class:`PortfolioSpec` has them."""
        out = {name: getattr(self, name) for name in self.model_fields_set if name != "like"}
        if "turnover" in out:
            out["turnover_limit"] = out.pop("turnover")
        if "costs" in out:
            out["costs"] = self.costs.costs
        fields = PortfolioSpec.__dataclass_fields__
        return {n: float(v) if type(v) is int and n != "every" else v for n, v in out.items() if n in fields}


class SignalSettings(Part):
    """A weighted mean of signals and factors, or a table of scores.

    Attributes
    ----------
    mean : dict of str to float
        Weight by signal or factor; a list gives all the same.
    table : str
        Parquet or CSV file, relative to the settings file: columns date, symbol and score, or a row a day and a column
        a stock.
    date, symbol, score : str
        Its columns, where they have other names.
    description : str
    """

    mean: NamedWeights = ABSENT
    table: Text = ABSENT
    date: Text = "date"
    symbol: Text = "symbol"
    score: Text = "score"
    description: Text = ABSENT

    @model_validator(mode="after")
    def _one_kind(self) -> "SignalSettings":
        given = self.model_fields_set
        if len(given & {"mean", "table"}) != 1:
            raise break_rule("mean, weights of signals or factors, or table, a file of scores, was expected")
        if "mean" in given and given & {"date", "symbol", "score"}:
            raise break_rule("date, symbol and score are columns of a table; a mean has none")
        if "mean" in given and not sum(self.weights.values()) > 0:
            raise break_rule("the weights of mean must add up to more than 0")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """Weight by signal or factor."""
        return dict(self.mean) if isinstance(self.mean, Mapping) else dict.fromkeys(self.mean or (), 1.0)


def as_entries(value: Any) -> Any:
    """The setting ``portfolios`` as a mapping; a list of names takes them as the catalog has them."""
    if not isinstance(value, list | tuple):
        return value
    known = known_portfolios()
    wrong = [(at, name, name_problem(name, "a portfolio", known, WHERE)) for at, name in enumerate(value)]
    found = [([at], f"was {shown(name)}; {problem}") for at, name, problem in wrong if problem]
    if found:
        raise several(found)
    each_once(tuple(value))
    return {name: {} for name in value}
