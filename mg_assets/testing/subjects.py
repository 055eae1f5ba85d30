"""What a conformance test is given: an object, or the file that defines it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from mg_assets.errors import MgError
from mg_assets.extensions import defined, load_modules
from mg_models.errors import ModelError

T = TypeVar("T")


@contextmanager
def errors_as_failures() -> Iterator[None]:
    """Raise an error of the user's code or data as an :class:`AssertionError` of the same line."""
    try:
        yield
    except (MgError, ModelError) as error:
        raise AssertionError(str(error)) from error


def module_of(path: str | Path) -> ModuleType:
    """A user's file as a module; an :class:`AssertionError` where it cannot be imported."""
    with errors_as_failures():
        return load_modules([str(Path(path).resolve())], Path.cwd())[0]


def subject(given: T | str | Path, kind: type[T], name: str | None = None) -> T:
    """An object, or the one of its kind that a file defines.

    Parameters
    ----------
    given : object or path
    kind : type
    name : str, optional
        Where the file defines several.

    Returns
    -------
    object

    Raises
    ------
    AssertionError
        The file defines none, or several and no name was given.
    """
    if isinstance(given, kind):
        return given
    if not isinstance(given, str | Path):
        raise AssertionError(f"a {kind.__name__} or the path of its file was expected, was {type(given).__name__}")
    found = defined([module_of(given)], kind)
    if name is not None and name in found:
        return found[name]
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    what = f"defines {', '.join(found)}; name one of them" if found else f"defines no {kind.__name__}"
    raise AssertionError(f"{given} {what}")


def report(check: Callable[..., tuple[str, ...]], *given: Any, **options: Any) -> None:
    """Run a conformance test in a script: print what was checked, or the broken rule, and exit with 1."""
    try:
        print("\n".join(f"ok: {rule}" for rule in check(*given, **options)))
    except (AssertionError, MgError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        sys.exit(1)
