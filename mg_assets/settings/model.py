"""The settings as one typed model. What each means is in docs/settings.md."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ModelWrapValidatorHandler, PrivateAttr, model_validator

from mg_assets.errors import SettingsError
from mg_assets.extensions import load_modules
from mg_assets.settings.catalogs import Catalogs, Problems, built_in, combinations_with, models_with, portfolios_with
from mg_assets.settings.entries import PortfolioSettings, Signal, SignalSettings, as_entries, names_of
from mg_assets.settings.files import CHECKOUT
from mg_assets.settings.groups import EvaluationSettings, QualitySettings, RuleSettings, RunSettings, TradingSettings
from mg_assets.settings.own_sources import kinds_of
from mg_assets.settings.source_kinds import AnySource, SimulatedSettings
from mg_assets.settings.values import (
    FIRST_DAY,
    CodeChanges,
    Each,
    EachOnce,
    EndDay,
    FromZero,
    HalfYear,
    Part,
    PartitionDay,
    PartitionRange,
    Text,
    allowed,
    break_rule,
    name_of,
    several,
    shown,
)

DEFAULT_PORTFOLIOS = ("csi500_turnover30", "csi1000_turnover30")


def _not_of_portfolios(signals: Any) -> Any:
    """Refuse the signals of portfolios, which were set here until version 0.2."""
    if isinstance(signals, Mapping):
        old = [(n, s) for n, s in signals.items() if isinstance(s, str)]
        if old:
            where = "a portfolio's signal is set as portfolios: {{{}: {{signal: {}}}}}"
            raise several([((str(n),), f"was {shown(s)}; {where.format(n, s)}") for n, s in old])
    return signals


def _mapping(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A setting that is a mapping; empty where it is none."""
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


def _all_text(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)


def _under(setting: str, problems: Problems) -> Problems:
    return [((setting, *keys), text) for keys, text in problems]


def _before_first_day(made: "Settings") -> Problems:
    """Days and half-years that are set and lie before the graph's first day."""
    run, first = made.run, made.first_day
    half = f"{first[:4]}H{1 if first[5:7] < '07' else 2}"
    days: dict[tuple[str | int, ...], str | None] = {("end_date",): made.end_date}
    own = ("daily_from", "ticks_from", "factors_from", "until", "portfolios_from")
    days |= {("run", n): getattr(run, n) for n in own}
    days |= {("run", "tick_days", i): day for i, day in enumerate(run.tick_days)}
    halves: dict[tuple[str | int, ...], str] = {("run", "half_years", i): h for i, h in enumerate(run.half_years)}
    if "first_model" in made.model_fields_set:
        halves["first_model",] = made.first_model
    early = [(where, "a date", day) for where, day in days.items() if day and day < first]
    early += [(where, "a half-year", name) for where, name in halves.items() if name < half]
    return [(where, f"was {day}; {what} from first_day ({first}) on was expected") for where, what, day in early]


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
    first_day : str
        First trading-day partition (or the day before it); the exchange's calendar begins in December 1990.
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
    quality : QualitySettings
        Limits of checks that warn (docs/quality.md).
    rules : tuple of RuleSettings
        Quality rules of the user's own (docs/extensions.md).
    accepted : dict
        Partitions that are accepted although a blocking check fails, by table and check, e.g.
        ``{"labels": {"finite_share": ["2015-07-07", "2015-08-24..2015-08-26"]}}``: the check only warns there.
    device : str
        ``auto``, ``cpu``, ``cuda`` (or ``cuda:1``) or ``mps``.
    workers : int
        Threads and processes used inside an asset; 0 is one for each core.
    half_years_per_run : int
        Half-years that a run of a backfill trains: 1 where several machines train; 0 for all in one run.
    training_logs : str
        ``tensorboard`` writes each training's curves as TensorBoard files into the lake's ``.tensorboard``,
        ``tensorboard:<folder>`` elsewhere; empty for none.
    webhook : str
        URL that a failed run is posted to; empty for none.
    language : str
        Of the weekly report, ``en`` or ``zh``.
    gains : str
        Colour of gains in the weekly report, ``red`` or ``green``, losses have the other; empty: red in Chinese, green
        in English.
    run : RunSettings
        What ``mg run`` builds.
    """

    lake: Text = "lake/demo"
    source: AnySource = Field(default_factory=lambda: SimulatedSettings(kind="simulated"))
    code_changes: CodeChanges = ()
    first_day: PartitionDay = FIRST_DAY
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
    quality: QualitySettings = Field(default_factory=QualitySettings)
    rules: Annotated[tuple[RuleSettings, ...], Each] = ()
    accepted: dict[str, dict[str, Annotated[tuple[PartitionRange, ...], Each]]] = Field(default_factory=dict)
    device: Annotated[
        str,
        allowed(
            "auto, cpu, cuda, cuda:N or mps",
            lambda v: v in ("auto", "cpu", "cuda", "mps") or (str(v).startswith("cuda:") and str(v)[5:].isdigit()),
        ),
    ] = "auto"
    workers: FromZero = 0
    half_years_per_run: FromZero = 0
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
        Field(repr=False),  # whoever knows it can post
    ] = ""
    language: Annotated[str, name_of("a language", lambda: ("en", "zh"))] = "en"
    gains: Annotated[str, allowed("red, green or nothing", lambda v: v in ("", "red", "green"))] = ""
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
        problems = [*_before_first_day(made), *_under("models", wrong), *_under("signals", more)]
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
