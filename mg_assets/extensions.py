"""A user's own modules, and what stands at the top level of modules.

The settings' ``extensions`` names modules: importable ones (``my_project.factors``) or files (``./models.py``). The
built-in catalogs are collected from the built-in modules by the same :func:`defined`; there is no registry to fill.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from mg_assets.errors import SettingsError

T = TypeVar("T")

OWN_PACKAGES = ("mg_assets", "mg_models", "mg_portfolio", "mg_axes")


def load_modules(names: Sequence[str], base: Path) -> tuple[ModuleType, ...]:
    """Import the modules that a deployment names, each once a process.

    A file is imported under its stem, and its folder is appended to ``sys.path``, as is ``base`` where a name is
    dotted: processes that are spawned later inherit the path, and so can import the module too.

    Parameters
    ----------
    names : sequence of str
        Dotted names of modules, or paths of ``.py`` files, relative ones to ``base``.
    base : Path
        Folder of the settings file.

    Returns
    -------
    tuple of module
        In the order of ``names``.

    Raises
    ------
    SettingsError
        One line for each name that cannot be imported: file, line and exception; or the module of the same name that a
        file would hide.
    """
    modules: list[ModuleType] = []
    found: list[str] = []
    for name in names:
        try:
            modules.append(_of_file(name, base) if is_file(name) else _of_name(name, base))
        except SettingsError as error:
            found += error.args
    if found:
        raise SettingsError(*found)
    return tuple(modules)


def is_file(name: str) -> bool:
    """Whether an extension is named by its file, not as a module."""
    return name.endswith(".py") or "/" in name or "\\" in name


def defined(modules: Iterable[ModuleType], kind: type[T]) -> dict[str, T]:
    """The objects of a type at the top level of some modules, by their ``name``.

    Parameters
    ----------
    modules : iterable of module
    kind : type
        Its instances have a ``name``. Those in tuples, lists and mappings at the top level count as well.

    Returns
    -------
    dict of str to object
        In the order of the modules, then of their assignments.

    Raises
    ------
    SettingsError
        Two different objects of the same name. One object that several modules import counts once.
    """
    out: dict[str, T] = {}
    origin: dict[str, str] = {}
    for module in modules:
        for value in vars(module).values():
            for one in _instances(value, kind):
                name = one.name  # type: ignore[attr-defined]
                if out.setdefault(name, one) is not one:
                    where = f"{origin[name]} and {_where(module)}"
                    raise SettingsError(f"{kind.__name__} {name!r} is defined twice: in {where}; rename one")
                origin.setdefault(name, _where(module))
    return out


def code_digest(of: Callable | type) -> str:
    """Sixteen hex digits of the source text behind a function or class.

    Its module's file, and those of the modules beside and below it that it imports, at whatever distance; not
    libraries. A change of any of them, be it a comment, is another digest.

    Parameters
    ----------
    of : callable or type
        Without a file, as in a notebook, its own source text alone counts.

    Returns
    -------
    str
    """
    module = inspect.getmodule(of)
    file = getattr(module, "__file__", None)
    if module is None or file is None:
        texts = [inspect.getsource(of).encode()]
    else:
        path = Path(file).resolve()
        files = {path}
        _add_imported(path, module.__name__, path.parents[module.__name__.count(".")], files)
        texts = [path.read_bytes() for path in sorted(files)]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]


def _add_imported(path: Path, name: str, above: Path, files: set[Path]) -> None:
    """Add the files below a folder that a module imports."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = name if path.stem == "__init__" else name.rpartition(".")[0]
            inside = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*inside, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for used in names:
            if used.partition(".")[0] in OWN_PACKAGES or not used:
                continue
            file = getattr(_spec(used), "origin", None)
            found = Path(file).resolve() if file and file.endswith(".py") else None
            if found and found not in files and found.is_relative_to(above) and "site-packages" not in found.parts:
                files.add(found)
                _add_imported(found, used, above, files)


def _instances(value: object, kind: type[T]) -> Iterator[T]:
    members = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else (value,)
    return (one for one in members if isinstance(one, kind))


def _of_file(name: str, base: Path) -> ModuleType:
    path = (base / Path(name).expanduser()).resolve()
    if not path.is_file():
        raise SettingsError(f"extension {name}: there is no file {path}")
    stem = path.stem
    if path.suffix != ".py" or not stem.isidentifier():
        raise SettingsError(
            f"extension {name}: a Python file was expected whose name is an identifier, as my_models.py"
        )
    loaded = sys.modules.get(stem)
    if loaded is not None and _is(loaded, path):
        return loaded
    taken = loaded or _spec(stem)
    if taken is not None and not _is(taken, path):
        raise SettingsError(f"extension {name}: it would hide the module {stem} of {_where(taken)}; rename the file")
    return _imported(name, stem, path.parent)


def _of_name(name: str, base: Path) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise SettingsError(
            f"extension {name}: a module as my_project.factors, or a file as ./factors.py, was expected"
        )
    return _imported(name, name, base)


def _imported(name: str, module: str, folder: Path) -> ModuleType:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's module raises while it is imported
        raise SettingsError(f"extension {name}: it cannot be imported: {described(error)}") from error


def described(error: BaseException) -> str:
    """File, line and text of an error in a user's code, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    here, library = str(Path(__file__).parent), str(Path(importlib.__file__).parents[1])
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(("<", here, library))]
    own = [f for f in frames if "site-packages" not in f.filename] or frames
    at = f"{own[-1].filename}, line {own[-1].lineno}: " if own else ""
    return f"{at}{type(error).__name__}: {text}"


def _spec(module: str) -> object | None:
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None


def _is(module: object, path: Path) -> bool:
    """Whether a module, or the specification of one, is that of a file."""
    file = getattr(module, "__file__", None) or getattr(module, "origin", None)
    return bool(file) and Path(str(file)).resolve() == path


def _where(module: object) -> str:
    return str(getattr(module, "__file__", None) or getattr(module, "origin", None) or "the standard library")
