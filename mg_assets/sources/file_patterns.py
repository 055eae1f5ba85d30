"""The paths of a source's files: glob patterns with ``{date}`` and ``{code}`` placeholders.

``{date}`` is ``20230201``; ``{date:%Y-%m-%d}`` and the like write it otherwise. ``{code}`` is a
security code in the name of a file that holds one stock.
"""

import datetime as dt
import fnmatch
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from mg_assets.errors import SourceError
from mg_assets.market.calendar import trading_days

_HOLDER = re.compile(r"\{(date|code)(?::([^}]*))?\}")
_DIGITS = {"%Y": r"\d{4}", "%m": r"\d{2}", "%d": r"\d{2}", "%y": r"\d{2}"}


@dataclass(frozen=True)
class FilePattern:
    """One glob pattern below a root folder."""

    text: str

    def __post_init__(self):
        for name in re.findall(r"\{([^}:]*)", self.text):
            if name not in ("date", "code"):
                raise SourceError(
                    f"file pattern {self.text!r}: placeholder {{{name}}} is unknown; use {{date}}, {{code}}"
                )

    @property
    def dated(self) -> bool:
        """Whether file names have a date, or part of one."""
        return "{date" in self.text

    def files(self, root: Path, day: dt.date | None = None) -> list[Path]:
        """Files that match, of one day or of all, ascending."""
        if not root.is_dir():
            raise SourceError(f"source folder {root} does not exist; check the source's root")

        glob = self.glob(day)
        if not any(c in glob for c in "*?["):
            path = root / glob
            return [path] if path.is_file() else []
        return sorted(p for p in root.glob(glob) if p.is_file())

    def glob(self, day: dt.date | None = None) -> str:
        """The pattern as a glob, of one day or of any."""
        parts = []
        for text, holder, form in self._parts:
            parts.append(text)
            if holder == "date" and day is not None:
                parts.append(_written(day, form or "%Y%m%d"))
            elif holder:
                parts.append("/".join("*" for _ in form.split("/")))
        return "".join(parts)

    @cached_property
    def _parts(self) -> list[tuple[str, str, str]]:
        """Each text before a placeholder, its name and form; the text after the last one with none."""
        parts, at = [], 0
        for match in _HOLDER.finditer(self.text):
            parts.append((self.text[at : match.start()], match[1], match[2] or ""))
            at = match.end()
        return [*parts, (self.text[at:], "", "")]

    @property
    def daily(self) -> bool:
        """Whether file names have a whole date (not a month or a year)."""
        form = self._form
        return "%d" in form and "%m" in form and ("%Y" in form or "%y" in form)

    @property
    def _form(self) -> str:
        return next((m[2] or "%Y%m%d" for m in _HOLDER.finditer(self.text) if m[1] == "date"), "")

    def day(self, root: Path, path: Path) -> np.datetime64 | None:
        """The whole date in a file's name; None where it has none."""
        if not self.daily:
            return None
        match = self._expression(capture="date").fullmatch(path.relative_to(root).as_posix())
        try:
            return np.datetime64(dt.datetime.strptime(match["date"], self._form).date(), "D") if match else None
        except ValueError:
            return None  # digits that are no date belong to another file

    def days(self, root: Path) -> set[dt.date]:
        """Days that have a file; for names with a month or a year, all its trading days."""
        if self.daily:
            found = (self.day(root, path) for path in self.files(root))
            return {d.astype(dt.date) for d in found if d is not None}
        matches = (
            self._expression(capture="date").fullmatch(path.relative_to(root).as_posix()) for path in self.files(root)
        )
        periods = {match["date"] for match in matches if match}
        return {d for d in trading_days().tolist() if d.strftime(self._form) in periods} if periods else set()

    def code(self, root: Path, path: Path) -> str | None:
        """The security code in a file's name, where the pattern has ``{code}``."""
        if "{code" not in self.text:
            return None
        match = self._expression(capture="code").fullmatch(path.relative_to(root).as_posix())
        return match["code"] if match else None

    def _expression(self, capture: str) -> re.Pattern:
        parts, at, seen = [], 0, False
        for match in _HOLDER.finditer(self.text):
            parts.append(_glob_expression(self.text[at : match.start()]))
            if match[1] == "code":
                inner = r"[^/]*?"
            else:
                inner = re.sub(r"%.", lambda m: _DIGITS.get(m[0], r"\w+"), match[2] or "%Y%m%d")
            if match[1] == capture and not seen:
                parts.append(f"(?P<{capture}>{inner})")
                seen = True
            else:
                parts.append(inner)
            at = match.end()
        parts.append(_glob_expression(self.text[at:]))
        return re.compile("".join(parts))


@lru_cache(4096)
def _written(day: dt.date, form: str) -> str:
    return day.strftime(form)


def _names(folder: str) -> frozenset[str]:
    """Names of the files in a folder; none where it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(e.name for e in entries if e.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def _glob_expression(text: str) -> str:
    return re.escape(text).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


@dataclass(frozen=True)
class FilePatterns:
    """Alternative patterns of one stream: the first that matches anything is taken."""

    patterns: tuple[FilePattern, ...]

    @classmethod
    def of(cls, value: str | Sequence[str], name: str) -> "FilePatterns":
        """From a pattern or a list of patterns of the option ``name``."""
        texts = [value] if isinstance(value, str) else list(value or ())
        if not texts or not all(isinstance(t, str) and t for t in texts):
            raise SourceError(f"{name} was {value!r}; give a file pattern or a list of them")
        return cls(tuple(FilePattern(t) for t in texts))

    def find(
        self, root: Path, day: dt.date | None = None, listed: dict[str, frozenset[str]] | None = None
    ) -> tuple[list[Path], FilePattern | None]:
        """Files of the first pattern that matches, and that pattern; ``listed`` keeps folders between calls."""
        if not root.is_dir():
            raise SourceError(f"source folder {root} does not exist; check the source's root")
        listed = {} if listed is None else listed
        for pattern in self.patterns:
            folder, _, name = pattern.glob(day).rpartition("/")
            if any(c in folder for c in "*?["):
                first = folder.split("/", 1)[0]
                if first == "." or any(c in first for c in "*?[") or (root / first).is_dir():
                    found = pattern.files(root, day)
                    if found:
                        return found, pattern
                continue
            path = f"{root}/{folder}" if folder else str(root)
            if path not in listed:
                listed[path] = _names(path)
            here = listed[path]
            names = sorted(fnmatch.filter(here, name)) if any(c in name for c in "*?[") else [name] * (name in here)
            if names:
                return [Path(path, n) for n in names], pattern
        return [], None

    def days(self, root: Path) -> set[dt.date]:
        """Days on which any of the patterns has a file."""
        return days_of([p for p in self.patterns if p.dated], root)


def days_of(patterns: Iterable[FilePattern], root: Path) -> set[dt.date]:
    """Days on which any of the dated patterns has a file; each folder is listed once, whatever the patterns."""
    days: set[dt.date] = set()
    folders: dict[str, list[tuple[FilePattern, str]]] = {}
    for pattern in patterns:
        if pattern.daily:
            folder, _, name = pattern.glob().rpartition("/")
            folders.setdefault(folder or ".", []).append((pattern, name))
        else:
            days |= pattern.days(root)
    if folders and not root.is_dir():
        raise SourceError(f"source folder {root} does not exist; check the source's root")
    for folder, wanted in folders.items():
        for path in root.glob(folder) if folder != "." else [root]:
            if not path.is_dir():
                continue
            here = _names(str(path))
            for pattern, name in wanted:
                found = fnmatch.filter(here, name) if any(c in name for c in "*?[") else here & {name}
                dates = (pattern.day(root, path / n) for n in found)
                days |= {d.astype(dt.date) for d in dates if d is not None}
    return days


def as_days(days: Sequence[dt.date] | set[dt.date]) -> np.ndarray:
    """Dates as ``datetime64[D]``, ascending."""
    return np.array(sorted(days), dtype="datetime64[D]")
