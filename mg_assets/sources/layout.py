"""Where a source's files lie: glob patterns with ``{date}`` and ``{code}`` placeholders.

``{date}`` is ``20230201``; ``{date:%Y-%m-%d}`` and the like write it otherwise. ``{code}`` stands
for a security code in the name of a file that holds one stock.
"""

import datetime as dt
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mg_assets.errors import SourceError
from mg_assets.market.calendar import trading_days

_HOLDER = re.compile(r"\{(date|code)(?::([^}]*))?\}")
_DIGITS = {"%Y": r"\d{4}", "%m": r"\d{2}", "%d": r"\d{2}", "%y": r"\d{2}"}


@dataclass(frozen=True)
class Pattern:
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
        """Whether a file's name tells its date."""
        return "{date" in self.text

    def files(self, root: Path, day: dt.date | None = None) -> list[Path]:
        """Files that match, of one day or of all, ascending."""
        if not root.is_dir():
            raise SourceError(f"source folder {root} does not exist; check the source's root")

        def fill(match: re.Match) -> str:
            if match[1] == "code" or day is None:
                return "/".join("*" for _ in (match[2] or "").split("/"))
            return day.strftime(match[2] or "%Y%m%d")

        glob = _HOLDER.sub(fill, self.text)
        if not any(c in glob for c in "*?["):
            path = root / glob
            return [path] if path.is_file() else []
        return sorted(p for p in root.glob(glob) if p.is_file())

    @property
    def daily(self) -> bool:
        """Whether a file's name tells a whole date (not a month or a year)."""
        form = self._form
        return "%d" in form and "%m" in form and ("%Y" in form or "%y" in form)

    @property
    def _form(self) -> str:
        return next((m[2] or "%Y%m%d" for m in _HOLDER.finditer(self.text) if m[1] == "date"), "")

    def day(self, root: Path, path: Path) -> np.datetime64 | None:
        """The whole date that a file's name tells; None where it tells none."""
        if not self.daily:
            return None
        match = self._expression(capture="date").fullmatch(path.relative_to(root).as_posix())
        try:
            return np.datetime64(dt.datetime.strptime(match["date"], self._form).date(), "D") if match else None
        except ValueError:
            return None  # digits that are no date belong to another file

    def days(self, root: Path) -> set[dt.date]:
        """Days that have a file; for names that tell a month or a year, all its trading days."""
        if self.daily:
            found = (self.day(root, path) for path in self.files(root))
            return {d.astype(dt.date) for d in found if d is not None}
        days: set[dt.date] = set()
        for path in self.files(root):
            match = self._expression(capture="date").fullmatch(path.relative_to(root).as_posix())
            if match:
                days |= {d for d in trading_days().tolist() if d.strftime(self._form) == match["date"]}
        return days

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


def _glob_expression(text: str) -> str:
    return re.escape(text).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


@dataclass(frozen=True)
class Files:
    """Alternative patterns of one stream: the first that matches anything is taken."""

    patterns: tuple[Pattern, ...]

    @classmethod
    def of(cls, value: str | Sequence[str], name: str) -> "Files":
        """From a pattern or a list of patterns of the option ``name``."""
        texts = [value] if isinstance(value, str) else list(value or ())
        if not texts or not all(isinstance(t, str) and t for t in texts):
            raise SourceError(f"{name} was {value!r}; give a file pattern or a list of them")
        return cls(tuple(Pattern(t) for t in texts))

    def find(self, root: Path, day: dt.date | None = None) -> tuple[list[Path], Pattern | None]:
        """Files of the first pattern that matches, and that pattern."""
        for pattern in self.patterns:
            found = pattern.files(root, day)
            if found:
                return found, pattern
        return [], None

    def days(self, root: Path) -> set[dt.date]:
        """Days on which any of the patterns has a file."""
        return set().union(*(p.days(root) for p in self.patterns if p.dated))


def stamp(paths: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Name, size and modification time of files: changes when a file does."""
    return [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]


def digest(*parts: object) -> str:
    """A short hash of settings and file stamps."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def as_days(days: Sequence[dt.date] | set[dt.date]) -> np.ndarray:
    """Dates as ``datetime64[D]``, ascending."""
    return np.array(sorted(days), dtype="datetime64[D]")
