"""Kinds of sources that a deployment's modules define, and the options that their constructors take.

The settings know no base class of sources: a kind is any class at the top level of a module with a text ``kind`` and
the methods of a source. :func:`mg_assets.sources.build_source` makes one, and refuses what is no source.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from mg_assets.settings.values import known_names

_KINDS: ContextVar[Mapping[str, type]] = ContextVar("kinds")


@contextmanager
def kinds_of(modules: Iterable[ModuleType]) -> Iterator[None]:
    """Check settings against the kinds of sources that some modules define, beside the built-in ones."""
    classes = (c for m in modules for c in vars(m).values() if isinstance(c, type))
    found = {getattr(c, "kind", None): c for c in classes if hasattr(c, "load")}
    token = _KINDS.set({kind: c for kind, c in found.items() if isinstance(kind, str) and kind})
    try:
        yield
    finally:
        _KINDS.reset(token)


def own_kinds() -> Mapping[str, type]:
    """The kinds that :func:`kinds_of` found."""
    return _KINDS.get({})


def option_problems(kind: str, options: Mapping[str, Any]) -> list[tuple[tuple[str], str]]:
    """Options that the constructor of an own kind does not take, and those that it needs."""
    taken = dict(list(inspect.signature(own_kinds()[kind].__init__).parameters.items())[1:])  # type: ignore[misc]
    if any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        return []
    unknown = [((n,), f"is unknown; {known_names(n, taken)}") for n in options if n not in taken]
    needed = [n for n, p in taken.items() if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    return unknown + [((n,), "is needed") for n in needed if n not in options]
