"""``mg new``: a working file of one's own with its conformance test."""

import argparse
import importlib.util
import keyword
import os
import re
import shlex
import shutil
import sys
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path
from string import Template

from mg_assets.errors import DataError

KINDS = {
    "factor": ("py", "extensions: [./{file}]"),
    "model": ("py", "extensions: [./{file}]\ncatalog: [hf_gru, lf_multitask, {name}]"),
    "portfolio": ("yaml", "portfolios:\n  {name}: {{like: csi500_turnover30, stock_limit: 0.01, turnover: 0.1}}"),
    "source": ("py", "extensions: [./{file}]\nsource: {{kind: {name}, root: FOLDER}}"),
}
"""Suffix of each kind's file, and the lines for the settings, whose paths are relative to the settings file."""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg new`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "new",
        help="write a factor, model, portfolio or source of your own, with its test",
        description="Write a working file with its conformance test, and print the lines for the settings and the "
        "command that runs the test. Nothing is overwritten.",
    )
    parser.add_argument("kind", choices=list(KINDS), help="what to write")
    parser.add_argument("name", help="its name, as late_volume: of its file and in the settings")
    parser.add_argument("--to", type=Path, default=Path(), help="folder, made if absent; the current one by default")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Write the file and its test."""
    kind, name, folder = chosen.kind, chosen.name, chosen.to
    suffix, lines = KINDS[kind]
    _check_name(kind, name)
    file, test = folder / f"{name}.{suffix}", folder / f"test_{name}.py"
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file; give a folder with --to")
    there = [str(path) for path in (file, test) if path.exists()]
    if there:
        raise DataError(f"{' and '.join(there)} exists; give another name, or another folder with --to")
    folder.mkdir(parents=True, exist_ok=True)
    words = {"name": name, "title": name.title().replace("_", "")}
    for path, template in ((file, f"{kind}.{suffix}.txt"), (test, f"{kind}_test.py.txt")):
        text = files("mg_assets.cli").joinpath("templates", template).read_text(encoding="utf-8")
        path.write_text(Template(text).substitute(words), encoding="utf-8")
    print(f"wrote {file} and {test}\n\nfor the settings (paths relative to their file):\n")
    print("\n".join(f"  {line}" for line in lines.format(name=name, file=file.name).splitlines()))
    print(f"\ntest it:\n\n  {_python()} {shlex.quote(str(test))}")
    return 0


def _check_name(kind: str, name: str) -> None:
    """Refuse a name that is no name of the settings, or that a module has already."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise DataError(f"the name {name!r} must be lower-case letters, digits and _, from a letter on: late_volume")
    if name in _taken(kind):
        raise DataError(f"{name} is a name of the built-in catalogs; give another name")
    sys.path[:] = [p for p in sys.path if p not in ("", os.getcwd())]  # a file of that name is found below
    if KINDS[kind][0] == "py" and importlib.util.find_spec(name) is not None:
        raise DataError(f"{name} is a module of Python or of a library, which {name}.py would hide; give another name")


def _taken(kind: str) -> Collection[str]:
    """Names that a file of one's own cannot have in the settings."""
    from mg_assets.factors.own import KEYS
    from mg_assets.factors.registry import PASSPORTS
    from mg_assets.sources import KINDS as SOURCES
    from mg_models.catalog import signal_names
    from mg_portfolio.catalog import ALL_PORTFOLIOS

    taken: dict[str, Collection[str]] = {"portfolio": ALL_PORTFOLIOS, "source": SOURCES}
    return taken[kind] if kind in taken else {*PASSPORTS, *signal_names(), *KEYS}


def _python() -> str:
    """The command that starts this Python."""
    found = shutil.which("python")
    same = found is not None and Path(found).absolute() == Path(sys.executable).absolute()
    return "python" if same else shlex.quote(sys.executable)
