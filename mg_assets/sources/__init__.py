"""Sources of raw tables: the simulated exchange, vendors' files, Qlib datasets, mapped tables.

:func:`build_source` makes one by name; a reader of one's own is a subclass of :class:`OwnSource` or
:class:`DailySource` (docs/extensions.md), which give all that the protocol :class:`Source` asks for.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from mg_assets.errors import SourceError
from mg_assets.settings import settings
from mg_assets.sources.base import RAW_TABLES, Source, SourceDay, StreamedDay

if TYPE_CHECKING:
    from mg_assets.sources.own import DailySource, OwnSource


def build_source(kind: str, options: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None) -> Source:
    """Make a source by name.

    Parameters
    ----------
    kind : str
        ``simulated``, ``tonglian``, ``huatai``, ``exchange``, ``qlib``, ``ricequant``, ``mapped``, ``snapshots``,
        ``composite``, or one of :func:`own_kinds`.
    options : mapping, optional
        The source's parameters (docs/sources.md); of a composite, ``{"sources": [{"kind": ..., ...}, ...]}`` or the
        list itself.

    Returns
    -------
    Source
        Of that kind, with these options.

    Raises
    ------
    SourceError
        The kind or an option is unknown, or an option is lacking; the message lists the valid ones.
    """
    if kind not in KINDS:
        own = own_kinds()
        if kind not in own:
            raise SourceError(f"source kind was {kind!r}; one of {sorted([*KINDS, *own])} was expected (MG_SOURCE)")
        return _call(kind, own[kind], dict(options or {}))  # type: ignore[arg-type]
    if kind == "composite":
        return _composite(options)
    if options is not None and not isinstance(options, Mapping):
        raise SourceError(f"options of source {kind!r} were {options!r}; a mapping of names to values was expected")
    return KINDS[kind](dict(options or {}))


def own_kinds(modules: Iterable[ModuleType] | None = None) -> dict[str, "type[OwnSource]"]:
    """Sources of the user's own by kind: the subclasses of `OwnSource` at the top level of modules.

    Parameters
    ----------
    modules : iterable of module, optional
        Those of the settings' ``extensions`` by default.

    Returns
    -------
    dict of str to type

    Raises
    ------
    SourceError
        A kind is a built-in one or given twice, or a class lacks what a source must give.
    """
    from mg_assets.sources.own import DailySource, OwnSource, check_class

    found: dict[str, type[OwnSource]] = {}
    for module in settings().modules if modules is None else modules:
        for value in vars(module).values():
            if not isinstance(value, type) or not issubclass(value, OwnSource) or value in (OwnSource, DailySource):
                continue
            if value.kind in KINDS or found.setdefault(value.kind, value) is not value:
                raise SourceError(f"source kind {value.kind!r} of {value.__name__} is taken; give it another")
            check_class(value)
    return found


def _simulated(options: dict[str, Any]) -> Source:
    from mg_assets.sources.simulated.exchange import SimulatedExchange
    from mg_assets.sources.simulated.settings import SimulationSettings

    valid = {f.name for f in dataclasses.fields(SimulationSettings)}
    _refuse_unknown("simulated", options, valid)
    return cast(Source, SimulatedExchange(SimulationSettings(**options)))


def _tonglian(options: dict[str, Any]) -> Source:
    from mg_assets.sources.level2.tonglian import TonglianSource

    return _call("tonglian", TonglianSource, options)


def _tonglian_tables(options: dict[str, Any]) -> Source:
    from mg_assets.sources.level2.tonglian import TonglianSource

    return _call("tonglian_tables", TonglianSource, options, dialect="tonglian_tables")


def _huatai(options: dict[str, Any]) -> Source:
    from mg_assets.sources.level2.tonglian import TonglianSource

    return _call("huatai", TonglianSource, options, dialect="huatai")


def _exchange(options: dict[str, Any]) -> Source:
    from mg_assets.sources.level2.tonglian import TonglianSource

    return _call("exchange", TonglianSource, options, dialect="exchange")


def _qlib(options: dict[str, Any]) -> Source:
    from mg_assets.sources.daily.qlib import QlibSource

    return _call("qlib", QlibSource, options)


def _ricequant(options: dict[str, Any]) -> Source:
    from mg_assets.sources.daily.ricequant import RiceQuantSource

    return _call("ricequant", RiceQuantSource, options)


def _mapped(options: dict[str, Any]) -> Source:
    from mg_assets.sources.mapped.source import MappedSource

    return _call("mapped", MappedSource, options)


def _snapshots(options: dict[str, Any]) -> Source:
    from mg_assets.sources.level2.snapshots import SnapshotSource

    return _call("snapshots", SnapshotSource, options)


def _composite(options: object) -> Source:
    from mg_assets.sources.composite import CompositeSource

    if isinstance(options, Mapping):
        _refuse_unknown("composite", dict(options), {"sources"})
        options = options.get("sources")
    if not isinstance(options, Sequence) or isinstance(options, str):
        raise SourceError(f"composite sources were {options!r}; a list of {{kind, ...}} was expected")
    built = []
    for index, entry in enumerate(options):
        if not isinstance(entry, Mapping) or "kind" not in entry:
            raise SourceError(f"composite source {index} was {entry!r}; a mapping with 'kind' was expected")
        rest = {k: v for k, v in entry.items() if k != "kind"}
        built.append(build_source(entry["kind"], rest["sources"] if entry["kind"] == "composite" else rest))
    return CompositeSource(built)


KINDS: dict[str, Callable[..., Source]] = {
    "simulated": _simulated,
    "tonglian": _tonglian,
    "tonglian_tables": _tonglian_tables,
    "huatai": _huatai,
    "exchange": _exchange,
    "qlib": _qlib,
    "ricequant": _ricequant,
    "mapped": _mapped,
    "snapshots": _snapshots,
    "composite": _composite,
}


def _call(kind: str, factory: Callable[..., Source], options: dict[str, Any], **fixed: Any) -> Source:
    parameters = {n: p for n, p in inspect.signature(factory).parameters.items() if n not in fixed}
    _refuse_unknown(kind, options, set(parameters))
    lacking = [n for n, p in parameters.items() if p.default is p.empty and n not in options]
    if lacking:
        raise SourceError(f"source {kind!r}: options {lacking} are lacking; valid options: {sorted(parameters)}")
    return factory(**options, **fixed)


def _refuse_unknown(kind: str, options: dict[str, Any], valid: set[str]) -> None:
    unknown = sorted(set(options) - valid)
    if unknown:
        raise SourceError(f"source {kind!r}: options {unknown} are unknown; valid options: {sorted(valid)}")


def __getattr__(name: str) -> Any:
    """The base classes of one's own sources, imported on first use."""
    if name not in ("DailySource", "OwnSource"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mg_assets.sources import own

    return getattr(own, name)


__all__ = [
    "KINDS",
    "RAW_TABLES",
    "DailySource",
    "OwnSource",
    "Source",
    "SourceDay",
    "StreamedDay",
    "build_source",
    "own_kinds",
]
