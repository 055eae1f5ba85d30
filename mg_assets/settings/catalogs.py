"""The catalogs of a deployment: the built-in entries, those of its extensions, and those of its settings.

Every model, signal and portfolio of a deployment is resolved here, once, when the settings are read
(``settings().catalogs``); :mod:`mg_models.catalog` and :mod:`mg_portfolio.catalog` hold the built-in ones.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from mg_assets.errors import SettingsError
from mg_assets.extensions import defined
from mg_assets.market.schema import SCHEMAS
from mg_assets.settings.entries import PortfolioSettings, SignalSettings
from mg_assets.settings.values import known_names, shown
from mg_models.catalog import CATALOG as BUILT_IN
from mg_models.catalog import REPORTS, STANDARD_INPUTS, derive, override, trained_parts
from mg_models.errors import ModelError
from mg_models.specs.combination import CombinationSpec
from mg_models.specs.model import ModelSpec
from mg_portfolio import catalog as portfolio_catalog
from mg_portfolio.catalog import PortfolioSpec


@dataclass(frozen=True)
class TableSignal:
    """A signal that is read from a file of the user's own.

    Attributes
    ----------
    name : str
    path : str
        Parquet or CSV file, absolute.
    date, symbol, score : str
        Columns of a long table. Without a column ``score`` the table is wide: a row a day, a column a stock.
    description : str
    """

    name: str
    path: str
    date: str = "date"
    symbol: str = "symbol"
    score: str = "score"
    description: str = ""


@dataclass(frozen=True)
class Catalogs:
    """A deployment's entries by name.

    Attributes
    ----------
    models : dict of str to ModelSpec
        The settings' overrides applied.
    combinations : dict of str to CombinationSpec
        Weighted means; their parts are signals or factors.
    tables : dict of str to TableSignal
    portfolios : dict of str to PortfolioSpec
    own_signals : tuple of str
        Combinations and tables that the settings define, all of which the graph holds.
    """

    models: dict[str, ModelSpec]
    combinations: dict[str, CombinationSpec]
    tables: dict[str, TableSignal] = field(default_factory=dict)
    portfolios: dict[str, PortfolioSpec] = field(default_factory=dict)
    own_signals: tuple[str, ...] = ()

    @cached_property
    def model_of(self) -> dict[str, str]:
        """The model of each signal of a model: itself and its heads."""
        return {signal: name for name, entry in self.models.items() for signal in entry.signals}

    @property
    def hand_weighted(self) -> dict[str, int]:
        """Signals of factors weighted by rule, and the trading days before a day that the weights depend on."""
        return {name: c.look_back for name, c in self.combinations.items() if c.rule != "fuse"}

    @property
    def signals(self) -> tuple[str, ...]:
        """Every signal's name: models, their heads, combinations, tables."""
        return (*self.model_of, *self.combinations, *self.tables)

    def trained(self, names: Iterable[str]) -> tuple[str, ...]:
        """The trained models behind some signals, in order; parts that are factors have none."""
        parts = {p for c in self.combinations.values() if c.rule == "fuse" for p in c.parts}
        others = (parts | set(self.tables)).difference(self.model_of, self.combinations)
        return trained_parts(names, self.models, self.combinations, others)


NAME = re.compile(r"[a-z][a-z0-9_]*")
Problems = list[tuple[tuple[str | int, ...], str]]
"""What is wrong with entries of the settings: the keys that lead to it, and the rest of the line."""


def built_in(modules: Iterable[ModuleType] = ()) -> Catalogs:
    """The built-in entries and those at the top level of some modules.

    Returns
    -------
    Catalogs

    Raises
    ------
    SettingsError
        Two entries of the same name.
    """
    extensions = tuple(modules)
    found = Catalogs(
        defined((*REPORTS, *extensions), ModelSpec),
        defined((*REPORTS, *extensions), CombinationSpec),
        portfolios=defined((portfolio_catalog, *extensions), PortfolioSpec),
    )
    for name in found.combinations:
        if name in found.model_of:
            raise SettingsError(f"the signal {name!r} is a combination and of the model {found.model_of[name]!r}")
    return found


def models_with(
    models: Mapping[str, ModelSpec], given: Mapping[Any, Any], taken: Iterable[str]
) -> tuple[dict[str, ModelSpec], Problems]:
    """Models with the overrides of the settings, and the settings' own.

    Parameters
    ----------
    models : mapping of str to ModelSpec
    given : mapping
        The setting ``models``: of a model's name its changes, of a new name also the model it is ``like``.
    taken : iterable of str
        Signals that are no models.

    Returns
    -------
    models : dict of str to ModelSpec
        Without the changes that are wrong.
    problems : list
    """
    out, problems = dict(models), Problems()
    waiting = {n: dict(c) for n, c in given.items() if isinstance(n, str) and isinstance(c, Mapping)}
    others = set(taken)
    for name in [n for n in waiting if n in models]:
        changes = waiting.pop(name)
        if "like" in changes:
            problems.append(((name, "like"), f"was {changes['like']!r}; {name} is in the catalog: rename yours"))
            continue
        out[name], found = _changed(models[name], name, changes, False)
        problems += found
    while waiting:
        ready = [n for n, c in waiting.items() if c.get("like") in out]
        if not ready:
            break
        for name in ready:
            changes = waiting.pop(name)
            taken_by = _taken(name, (), "model")
            if taken_by:
                problems.append(((name,), taken_by))
                continue
            out[name], found = _changed(out[changes.pop("like")], name, changes, True)
            signals = set(out[name].signals) & (others | {s for n, m in out.items() if n != name for s in m.signals})
            if signals:
                found.append(((name,), f"has the signal {min(signals)}, which there is already; rename it"))
            problems += found
    for name, changes in waiting.items():
        problems.append(_unlike(name, changes.get("like"), out, waiting, "trained model", "docs/models.md"))
    return out, problems


def _unlike(
    name: str, like: object, known: Iterable[str], waiting: Iterable[str], what: str, where: str
) -> tuple[tuple[str, ...], str]:
    """The problem of an entry whose model or portfolio is not known."""
    if like is None:
        near = known_names(name, known, where=where)
        return (name,), f"is no {what}; {near}; one of your own is set as {name}: {{like: NAME, ...}}"
    if not isinstance(like, str):
        return (name, "like"), f"was {shown(like)}; the name of a {what} was expected"
    if like in waiting:
        return (name, "like"), f"was {like!r}, which is like it in turn"
    return (name, "like"), f"was {like!r}; a {what} was expected; {known_names(like, known, where=where)}"


def _changed(base: ModelSpec, name: str, changes: Mapping[str, Any], own: bool) -> tuple[ModelSpec, Problems]:
    """A model with changes: its parts together, then each hyper-parameter by itself, then all that are right."""
    problems = Problems()
    parts = {k: v for k, v in changes.items() if own and k in PARTS}
    spec = base
    if own:
        try:
            spec = derive(base, name, STANDARD_INPUTS, **parts)
        except ModelError as error:
            text = _nearest(str(error).removeprefix(f"{name}: "))
            return replace(base, name=name), [((name,), f"was {shown(dict(changes))}; {text}")]
    wanted = {str(k): v for k, v in changes.items() if k not in parts}
    good: dict[str, Any] = {}
    for key, value in wanted.items():
        pair = {k: wanted[k] for k in PAIR if k in wanted} if key in PAIR else {}
        try:
            override(spec, **{**pair, key: value})
            good[key] = value
        except ModelError as error:
            problems.append(((name, key), _problem(spec.name, key, value, str(error))))
    try:
        spec = override(spec, **good)
    except ModelError as error:
        problems.append(((name,), f"was {shown(dict(changes))}; {error}"))
    return spec, problems


PAIR = ("train_days", "valid_days")
"""Hyper-parameters that are both given or both not."""


PARTS = ("inputs", "network", "loss", "label", "split", "universe", "description", "horizons", "price", "transform")
"""Changes of a model of one's own that may be right only with one another."""


def _problem(model: str, key: object, value: object, message: str) -> str:
    """The catalog's message on a change; where it lists the hyper-parameters, the nearest one before them."""
    _, listed, names = message.partition("; there are ")
    if listed:
        return f"is unknown; {known_names(key, [*names.split(', '), *(PARTS if model not in BUILT_IN else ())])}"
    return f"was {shown(value)}; {message.removeprefix(f'{model}: ').rpartition(', was ')[0] or message}"


def _nearest(message: str) -> str:
    """A message that lists names, with the nearest one to the quoted name."""
    found = re.fullmatch(r"(.*?'([^']*)'[^;]*); there are (.*)", message)
    return f"{found[1]}; {known_names(found[2], found[3].split(', '))}" if found else message


def combinations_with(
    catalogs: Catalogs, given: Mapping[str, SignalSettings]
) -> tuple[dict[str, CombinationSpec], dict[str, TableSignal], Problems]:
    """Combinations with the settings' own weighted means, and their tables of scores.

    Parameters
    ----------
    catalogs : Catalogs
    given : mapping of str to SignalSettings

    Returns
    -------
    combinations, tables : dict
    problems : list
    """
    combinations, tables, problems = dict(catalogs.combinations), dict[str, TableSignal](), Problems()
    for name, entry in given.items():
        problem = _taken(name, catalogs.signals, "signal")
        if problem:
            problems.append(((name,), problem))
        elif entry.table is None:
            text = entry.description or f"Weighted mean of {', '.join(entry.weights)}, z-scored per day."
            weights = tuple(map(float, entry.weights.values()))
            combinations[name] = CombinationSpec(
                name, "fuse", tuple(entry.weights), weights, description=text, source=OWN
            )
        else:
            columns = {key: getattr(entry, key) for key in ("date", "symbol", "score")}
            text = entry.description or f"Scores of {Path(entry.table).name}."
            tables[name] = TableSignal(name, entry.table, **columns, description=text)
    means = [n for n in given if n in combinations]
    known = {p for n in means for p in combinations[n].parts if p not in means}
    while means:  # a mean of means follows its parts
        ready = [n for n in means if known.issuperset(combinations[n].parts)]
        if not ready:
            problems.append(
                ((means[0], "mean"), f"was {shown(list(given[means[0]].weights))}; it is a part of its own parts")
            )
            break
        for name in ready:
            combinations[name] = combinations.pop(name)
        known.update(ready)
        means = [n for n in means if n not in ready]
    return combinations, tables, problems


def portfolios_with(
    portfolios: Mapping[str, PortfolioSpec], given: Mapping[str, PortfolioSettings]
) -> tuple[dict[str, PortfolioSpec], Problems]:
    """Portfolios with the settings' changes, and their own.

    A portfolio of the catalog keeps its published figures while nothing but its signal is changed; one of the settings'
    own has none.

    Parameters
    ----------
    portfolios : mapping of str to PortfolioSpec
    given : mapping of str to PortfolioSettings

    Returns
    -------
    portfolios : dict of str to PortfolioSpec
    problems : list
    """
    out, problems = dict(portfolios), Problems()
    waiting = dict(given)
    for name in [n for n in waiting if n in portfolios]:
        entry = waiting.pop(name)
        changes = entry.changes()
        if entry.like is not None:
            problems.append(((name, "like"), f"was {entry.like!r}; {name} is in the catalog: rename yours"))
        own: dict[str, Any] = {"published": None, "source": OWN} if set(changes) - {"signal"} else {}
        out[name] = replace(portfolios[name], **changes, **own)
    while waiting:
        ready = [n for n, e in waiting.items() if e.like in out or e.like is None]
        if not ready:
            break
        for name in ready:
            entry = waiting.pop(name)
            problem = _taken(name, (), "portfolio")
            lacking: list[str] = [n for n in NEEDED if n not in entry.changes()] if entry.like is None else []
            if problem:
                problems.append(((name,), problem))
            elif len(lacking) == len(NEEDED):
                problems.append(_unlike(name, None, out, waiting, "portfolio", "mg_portfolio.catalog"))
            elif lacking:
                problems.append(((name,), f"is not whole: it needs {', '.join(lacking)}, or like: NAME of another"))
            else:
                whole: dict[str, Any] = {"name": name, "published": None, "source": OWN, **entry.changes()}
                out[name] = PortfolioSpec(**whole) if entry.like is None else replace(out[entry.like], **whole)
    for name, entry in waiting.items():
        problems.append(_unlike(name, entry.like, out, waiting, "portfolio", "mg_portfolio.catalog"))
    return out, problems


OWN = "defined in the settings"
NEEDED = ("signal", "index", "member_floor", "stock_limit", "industry_limit")
"""Fields of a portfolio without a default."""


def _taken(name: str, names: Iterable[str], what: str) -> str:
    """Why an entry of the settings' own cannot have a name; empty where it can."""
    if not NAME.fullmatch(name):
        return f"is no name for a {what}: lower-case letters, digits and _, from a letter on, were expected"
    if name in names:
        return f"is a {what} of the catalog; rename yours"
    if name in SCHEMAS:
        return "is a table of the lake; rename yours"
    if name in _printed():
        return "is a name in the reports' tables, whose figures would stand beside yours; rename yours"
    return ""


@cache
def _printed() -> frozenset[str]:
    """Subjects of the published tables."""
    with open(
        Path(portfolio_catalog.__file__).with_name("report") / "published.csv", encoding="utf-8", newline=""
    ) as rows:
        return frozenset(row["subject"] for row in csv.DictReader(rows))
