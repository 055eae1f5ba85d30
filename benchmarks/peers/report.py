"""Generated parts of a Markdown page: what stands between ``<!-- name -->`` and ``<!-- /name -->``."""

import os
import platform
from pathlib import Path


def put(page: str | Path, name: str, text: str) -> None:
    """Replace the part ``name`` of the page.

    Raises
    ------
    ValueError
        The page has no such part.
    """
    page = Path(page)
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    whole = page.read_text(encoding="utf-8")
    if whole.count(begin) != 1 or whole.count(end) != 1:
        raise ValueError(f"{page} has not one {begin} and one {end}; add the two lines where the part is to stand")
    head, rest = whole.split(begin)
    page.write_text(f"{head}{begin}\n{text.strip()}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def machine(*packages: str) -> str:
    """Cores, memory and versions, in one line."""
    from importlib.metadata import version

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    names = ", ".join(f"{p} {version(p)}" for p in packages)
    return f"{cores} cores ({platform.machine()}), Python {platform.python_version()}, {names}"
