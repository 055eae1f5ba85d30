"""The settings as one typed model. What each means is in docs/settings.md."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializeAsAny,
    WrapValidator,
    model_validator,
)

from mg_assets.errors import SettingsError
from mg_assets.extensions import load_modules
from mg_assets.settings.catalogs import Catalogs, Problems, built_in, combinations_with, models_with, portfolios_with
from mg_assets.settings.entries import PortfolioSettings, Signal, SignalSettings, as_entries, names_of
from mg_assets.settings.files import CHECKOUT
from mg_assets.settings.own_sources import kinds_of, option_problems, own_kinds
from mg_assets.settings.values import (
    Above,
    CodeChanges,
    Day,
    Each,
    EachOnce,
    EndDay,
    FilePatterns,
    Flag,
    FromOne,
    FromZero,
    HalfYear,
    MappingByName,
    Number,
    Part,
    PartitionDay,
    PartitionKey,
    Rate,
    Share,
    Text,
    TextByName,
    Texts,
    allowed,
    break_rule,
    known_names,
    name_of,
    several,
    shown,
)

ABSENT: Any = None  # an option that is not given: the source's own default
DEFAULT_PORTFOLIOS = ("csi500_turnover30", "csi1000_turnover30")


def _universes() -> tuple[str, ...]:
    from mg_portfolio.evaluation.universes import UNIVERSES

    return tuple(UNIVERSES)


def _executions() -> tuple[str, ...]:
    from mg_portfolio.evaluation.cases import EXECUTIONS

    return tuple(EXECUTIONS)


Universe = Annotated[str, name_of("a universe", _universes)]
ExecutionPrice = Annotated[str, name_of("an execution", _executions)]


class SourceSettings(Part):
    """Where raw tables come from: the kind, and the options of its reader, each of which checks its values further."""

    kind: str

    @property
    def options(self) -> dict[str, Any]:
        """The options that were set."""
        return {name: value for name, value in self.given().items() if name != "kind"}


class SimulatedSettings(SourceSettings):
    """The fields of :class:`mg_assets.sources.simulated.settings.SimulationSettings`."""

    kind: Literal["simulated"]
    seed: FromZero = ABSENT
    stocks: FromOne = ABSENT
    start: Day = ABSENT
    end: Day = ABSENT
    tick_start: Day | None = ABSENT
    orders_per_stock: FromOne = ABSENT
    alpha_strength: Number = ABSENT
    alpha_half_life: Number = ABSENT
    listed_at_start: Number = ABSENT
    idiosyncratic_vol: Number = ABSENT
    industry_vol: Number = ABSENT
    market_vol: Number = ABSENT
    suspended_share: Number = ABSENT
    st_share: Number = ABSENT
    index_sizes: Annotated[tuple[FromOne, ...] | None, Each] = ABSENT


class DialectSettings(SourceSettings):
    """Files of trades and orders in the columns of one vendor."""

    kind: Literal["huatai", "exchange", "tonglian_tables"]
    root: Text
    files: FilePatterns | None = ABSENT
    stocks_only: Flag = ABSENT
    check_dates: Flag = ABSENT
    price_unit: Above = ABSENT


class TonglianSettings(DialectSettings):
    """The same in Tonglian's, or in those of the ``dialect`` that is named."""

    kind: Literal["tonglian"]  # type: ignore[assignment]
    dialect: Text = ABSENT


class QlibSettings(SourceSettings):
    """A folder of Qlib."""

    kind: Literal["qlib"]
    root: Text
    raw_prices: Flag = ABSENT
    raw_volume: Flag | None = ABSENT
    indices: TextByName | None = ABSENT


class RiceQuantSettings(SourceSettings):
    """A bundle of RiceQuant."""

    kind: Literal["ricequant"]
    root: Text


class MappedSettings(SourceSettings):
    """Files of anybody's that a YAML file or a preset maps."""

    kind: Literal["mapped"]
    config: Text
    root: Text
    files: FilePatterns | None = ABSENT
    price_unit: Above | None = ABSENT
    volume_unit: Above | None = ABSENT
    amount_unit: Above | None = ABSENT


class SnapshotSettings(SourceSettings):
    """Files of level-2 snapshots."""

    kind: Literal["snapshots"]
    root: Text
    files: FilePatterns | None = ABSENT
    symbols: Texts | None = ABSENT
    every: FromOne = ABSENT
    layouts: MappingByName | None = ABSENT


class OwnSourceSettings(SourceSettings):
    """A source of the user's own (:class:`mg_assets.sources.OwnSource`); its options are its constructor's."""

    model_config = ConfigDict(frozen=True, extra="allow")


def _of_own_kind(value: Any, handler: Callable[[Any], Any]) -> Any:
    """Settings of a source of the user's own, else what the built-in kinds make of it."""
    own = own_kinds()
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not own or kind in SOURCES or not isinstance(kind, str):
        return handler(value)
    if kind not in own:
        raise several([(("kind",), f"was {shown(kind)}; {known_names(kind, [*SOURCES, *own])}")])
    problems = option_problems(kind, {n: v for n, v in value.items() if n != "kind"})
    if problems:
        raise several(problems)
    return OwnSourceSettings(**value)


class CompositeSettings(SourceSettings):
    """Several sources, asked in turn."""

    kind: Literal["composite"]
    sources: "list[AnySource]" = Field(min_length=1)


AnySource = Annotated[
    SimulatedSettings
    | TonglianSettings
    | DialectSettings
    | QlibSettings
    | RiceQuantSettings
    | MappedSettings
    | SnapshotSettings
    | CompositeSettings,
    Field(discriminator="kind"),
    WrapValidator(_of_own_kind),
    SerializeAsAny(),
]
CompositeSettings.model_rebuild()

SOURCES: dict[str, type[SourceSettings]] = {
    "simulated": SimulatedSettings,
    "tonglian": TonglianSettings,
    "huatai": DialectSettings,
    "exchange": DialectSettings,
    "tonglian_tables": DialectSettings,
    "qlib": QlibSettings,
    "ricequant": RiceQuantSettings,
    "mapped": MappedSettings,
    "snapshots": SnapshotSettings,
    "composite": CompositeSettings,
}
"""Settings of each kind of source."""


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
    half_years : tuple of str
        Half-years that models are trained for.
    portfolios_from : str or None
        First week of the portfolios; by default that of the first day with predictions.
    """

    daily_from: PartitionDay | None = None
    ticks_from: PartitionDay | None = None
    tick_days: Annotated[tuple[PartitionDay, ...], Each, EachOnce] = ()
    until: PartitionDay | None = None
    half_years: Annotated[tuple[HalfYear, ...], Each, EachOnce] = ()
    portfolios_from: PartitionDay | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "RunSettings":
        for name in ("daily_from", "ticks_from", "portfolios_from"):
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


def _not_of_portfolios(signals: Any) -> Any:
    """Refuse the signals of portfolios, which were set here until version 0.2."""
    if isinstance(signals, Mapping):
        old = [(n, s) for n, s in signals.items() if isinstance(s, str)]
        if old:
            where = "a portfolio's signal is set as portfolios: {{{}: {{signal: {}}}}}"
            raise several([((str(n),), f"was {shown(s)}; {where.format(n, s)}") for n, s in old])
    return signals


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


def _mapping(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A setting that is a mapping; empty where it is none."""
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


def _all_text(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)


def _under(setting: str, problems: Problems) -> Problems:
    return [((setting, *keys), text) for keys, text in problems]


class Settings(Part):
    """A deployment's settings.

    Attributes
    ----------
    lake : str
        Folder or fsspec URL of the lake.
    source : SourceSettings
        Its kind, and the options of :func:`mg_assets.sources.build_source`.
    code_changes : str or list of (old code, new code, first day)
        Codes that stocks had before, besides the known ones: a list, or a CSV file relative to the settings file
        (docs/sources.md).
    end_date : str
        Last trading-day partition, ``"today"`` for an open end, empty for the source's last day.
    first_model : str
        First half-year for which models are trained, as ``2016H1``.
    extensions : tuple of str
        Modules of a user's own, whose top level defines entries of the catalogs: importable ones, or ``.py`` files,
        relative to the settings file (docs/extensions.md).
    catalog : tuple of str
        Signals that the graph holds, by their names in the model catalog: models, heads, and fusions, which bring
        the models of their parts. Without a trained model among them the graph has no training, and no retrain sensor.
    models : dict
        Overrides of catalog hyper-parameters by model name, e.g. ``{"hf_gru": {"seeds": [1]}}``; and models of one's
        own, which name the one that they are ``like``.
    portfolios : dict of str to PortfolioSettings
        Portfolios that the graph builds: names in the catalog, with what is changed, and portfolios of one's own.
    signals : dict of str to SignalSettings
        Signals of one's own: weighted means and tables of scores, all of which the graph holds.
    trading : TradingSettings
        How portfolios trade; the report's costs by default.
    evaluation : EvaluationSettings
        Cases that factors and signals are evaluated under (docs/evaluation.md).
    rules : tuple of RuleSettings
        Quality rules of the user's own (docs/extensions.md).
    accepted : dict
        Partitions that are accepted although a blocking check fails, by table and check, e.g.
        ``{"labels": {"finite_share": ["2015-07-07"]}}``: the check only warns there.
    device : str
        ``auto``, ``cpu``, ``cuda`` (or ``cuda:1``) or ``mps``.
    workers : int
        Threads and processes used inside an asset; 0 is one for each core.
    training_logs : str
        ``tensorboard`` writes each training's curves as TensorBoard files into the lake's ``.tensorboard``,
        ``tensorboard:<folder>`` elsewhere; empty for none.
    webhook : str
        URL that a failed run is posted to; empty for none.
    language : str
        Of the weekly report, ``en`` or ``zh``.
    run : RunSettings
        What ``mg run`` builds.
    """

    lake: Text = "lake/demo"
    source: AnySource = Field(default_factory=lambda: SimulatedSettings(kind="simulated"))
    code_changes: CodeChanges = ()
    end_date: EndDay = ""
    first_model: HalfYear = "2016H1"
    extensions: Annotated[tuple[Text, ...], Each, EachOnce] = ()
    catalog: Annotated[tuple[Signal, ...], Each, EachOnce] = ("hf_gru", "lf_multitask")
    models: dict[str, dict[str, Any]] = Field(default_factory=dict)
    portfolios: Annotated[dict[str, PortfolioSettings], BeforeValidator(as_entries)] = Field(
        default_factory=lambda: dict.fromkeys(DEFAULT_PORTFOLIOS, PortfolioSettings())
    )
    signals: Annotated[dict[str, SignalSettings], BeforeValidator(_not_of_portfolios)] = Field(default_factory=dict)
    trading: TradingSettings = Field(default_factory=TradingSettings)
    evaluation: EvaluationSettings = Field(default_factory=EvaluationSettings)
    rules: Annotated[tuple[RuleSettings, ...], Each] = ()
    accepted: dict[str, dict[str, Annotated[tuple[PartitionKey, ...], Each]]] = Field(default_factory=dict)
    device: Annotated[
        str,
        allowed(
            "auto, cpu, cuda, cuda:N or mps",
            lambda v: v in ("auto", "cpu", "cuda", "mps") or (str(v).startswith("cuda:") and str(v)[5:].isdigit()),
        ),
    ] = "auto"
    workers: FromZero = 0
    training_logs: Annotated[
        str,
        allowed(
            "tensorboard, tensorboard:FOLDER or nothing",
            lambda v: v in ("", "tensorboard") or str(v).startswith("tensorboard:"),
        ),
    ] = ""
    webhook: Annotated[
        str,
        allowed("an http or https URL, or nothing", lambda v: v == "" or str(v).startswith(("http://", "https://"))),
    ] = ""
    language: Annotated[str, name_of("a language", lambda: ("en", "zh"))] = "en"
    run: RunSettings = Field(default_factory=RunSettings)

    @property
    def lake_url(self) -> str:
        """Lake root; relative paths are resolved against the checkout."""
        return self.lake if "://" in self.lake else str((CHECKOUT / Path(self.lake).expanduser()).resolve())

    _catalogs: Catalogs = PrivateAttr()

    @model_validator(mode="wrap")
    @classmethod
    def _with_catalogs(cls, values: Any, handler: ModelWrapValidatorHandler["Settings"]) -> "Settings":
        """Resolve the catalogs first, whose names the settings may use, and then the settings' own entries."""
        given = values if isinstance(values, Mapping) else {}
        named = given.get("extensions") or ()
        try:
            modules = load_modules(named, CHECKOUT) if _all_text(named) else ()
            found = built_in(modules)
        except SettingsError as error:
            raise break_rule("; ".join(error.args)) from error
        models, wrong = models_with(found.models, _mapping(given, "models"), found.combinations)
        found = replace(found, models=models)
        portfolios = {*found.portfolios, *_mapping(given, "portfolios")}
        with names_of((*found.signals, *_mapping(given, "signals")), portfolios), kinds_of(modules):
            made = handler(values)
        means, tables, more = combinations_with(found, made.signals)
        problems = [*_under("models", wrong), *_under("signals", more)]
        held, more = portfolios_with(found.portfolios, made.portfolios)
        problems += _under("portfolios", more)
        if problems:
            raise several(problems)
        made._catalogs = Catalogs(models, means, tables, held, tuple(made.signals))
        return made

    @property
    def catalogs(self) -> Catalogs:
        """The models, signals and portfolios of the deployment: built-in, of its extensions, and its own."""
        return self._catalogs

    @property
    def held_signals(self) -> tuple[str, ...]:
        """Signals that the graph holds: those of ``catalog`` and the settings' own."""
        return tuple(dict.fromkeys((*self.catalog, *self.catalogs.own_signals)))

    @property
    def modules(self) -> tuple[ModuleType, ...]:
        """The modules of ``extensions``, imported once a process."""
        return load_modules(self.extensions, CHECKOUT)

    @property
    def worker_count(self) -> int:
        """Workers as a positive number."""
        return self.workers or os.cpu_count() or 1

    def digest(self, *names: str) -> str:
        """Short hash of the named settings, of what was set in them alone."""
        held = ((name, getattr(self, name)) for name in names)
        values = {name: value.given() if isinstance(value, Part) else value for name, value in held}
        text = json.dumps(values, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
