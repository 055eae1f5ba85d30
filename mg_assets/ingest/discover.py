"""Recognise each file of a folder, and build the options of the source that reads them all."""

import datetime as dt
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import takewhile
from pathlib import Path
from typing import Any

import pandas as pd

from mg_assets.errors import MgError, SourceError
from mg_assets.ingest.recognise import (
    Recognised,
    UnknownFileError,
    date_of,
    first_keys,
    looks_like_a_table,
    recognise,
)
from mg_assets.sources import build_source
from mg_assets.sources.daily.ricequant import BARS, FILES, OTHER_FILES
from mg_assets.sources.file_patterns import FilePattern
from mg_assets.sources.level2.stream_formats import DIALECTS
from mg_assets.sources.presets import read_preset

DATASETS = {"qlib": ("calendars/day.txt", 1), "ricequant": (BARS, 0)}
"""Kinds of datasets: a file that each has, and how many folders its root is above that file's."""
BUNDLE = (*FILES, *OTHER_FILES)
APART = (
    "no one pattern finds both alone, or they hold the same stocks and times; put the parts of a table alone into a "
    "folder, or ingest them apart"
)
_HOLDER = re.compile(r"\{[^}]*\}")
QLIB_SWITCHES: tuple[dict[str, bool], ...] = (
    {},
    {"raw_volume": True},
    {"raw_prices": True},
    {"raw_prices": True, "raw_volume": False},
)


@dataclass
class FileReport:
    """What became of one file (or of a Qlib dataset, as one).

    Attributes
    ----------
    path : Path
    what : str
        ``tonglian sh_orders 2023-02-01``; empty where it was not recognised.
    rows : int
        Rows read; -1 where none were.
    others : int
        Rows of funds, bonds, indices and B-shares among them, left out.
    reasons : Counter
        Why rows are invalid, and how many.
    seconds : float
    error : str
        Why the file could not be read; empty where it could.
    skipped : bool
        It is no table of a known kind, or not among the days and kinds that were asked for.
    remarks : list of str
        What its reader decided: columns that it lacks, how its times are labelled.
    """

    path: Path
    what: str = ""
    rows: int = -1
    others: int = 0
    reasons: Counter = field(default_factory=Counter)
    seconds: float = 0.0
    error: str = ""
    skipped: bool = False
    remarks: list[str] = field(default_factory=list)

    @property
    def set_aside(self) -> int:
        """Invalid rows, moved to the quarantine."""
        return sum(self.reasons.values())


@dataclass
class IngestReport:
    """What became of a folder's files.

    Attributes
    ----------
    files : dict of Path to FileReport
    options : dict
        The source that reads what was recognised: ``kind`` and options; empty where nothing was.
    written : dict of str to list of str
        Keys written, by table.
    unwritten : dict of (table, key) to str
        Why a day's table was not written.
    left_out : list of date
        Days that the lake has no partitions for.
    rows : Counter
        Rows read, by table.
    seconds : float
    """

    files: dict[Path, FileReport] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    written: dict[str, list[str]] = field(default_factory=dict)
    unwritten: dict[tuple[str, str], str] = field(default_factory=dict)
    left_out: list[dt.date] = field(default_factory=list)
    rows: Counter = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def remarks(self) -> Counter:
        """What readers decided about files, and about how many."""
        return Counter(f"{f.what.split()[0]}: {remark}" for f in self.files.values() if f.what for remark in f.remarks)

    @property
    def failed(self) -> list[FileReport]:
        """Files that could not be read."""
        return [f for f in self.files.values() if f.error]

    def by_kind(self) -> pd.DataFrame:
        """Files, rows and invalid rows, by what the files are."""
        rows = [
            {
                "what": " ".join(f.what.split()[:2]) or ("skipped" if f.skipped else "not recognised"),
                "files": 1,
                "rows": max(f.rows, 0),
                "set_aside": f.set_aside,
                "unread": int(bool(f.error)),
                "seconds": f.seconds,
            }
            for f in self.files.values()
        ]
        frame = pd.DataFrame(rows, columns=["what", "files", "rows", "set_aside", "unread", "seconds"])
        return frame.groupby("what", as_index=False).sum()


def discover_files(
    folder: Path, only: str | None = None, units: Mapping[str, float] | None = None
) -> tuple[IngestReport, list[Recognised]]:
    """Recognise every file below a folder.

    Parameters
    ----------
    folder : Path
    only : str, optional
        The one vendor or preset that is looked for; ``mapped`` for any preset, ``qlib`` for Qlib datasets.
    units : mapping of str to float, optional
        Options ``price_unit``, ``volume_unit`` and ``amount_unit`` of the sources that have them.

    Returns
    -------
    report : IngestReport
        An entry for each file (a Qlib dataset counts as one), and the options of the source that reads them.
    found : list of Recognised
        The files that were recognised.

    Raises
    ------
    SourceError
        The folder does not exist.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder; give the folder that holds the files")
    report, found = IngestReport(), []
    datasets = _datasets(folder, only)
    for dataset, kind in datasets.items():
        report.files[dataset] = FileReport(dataset, what=f"{kind} dataset")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and not any(_is_part_of(path, *dataset) for dataset in datasets.items()):
            report.files[path], kinds = _recognised(path, folder, only)
            found += kinds
    report.options = _with_units(source_options(folder, found, datasets, report), units or {})
    return report, found


def _with_units(options: dict[str, Any], units: Mapping[str, float]) -> dict[str, Any]:
    """A source's options with the units that its kind has an option for."""
    if "sources" in options:
        return {**options, "sources": [_with_units(o, units) for o in options["sources"]]}
    known = units if options.get("kind") == "mapped" else {}
    if options.get("kind") in DIALECTS:
        known = {name: unit for name, unit in units.items() if name == "price_unit"}
    return {**options, **known}


def _datasets(folder: Path, only: str | None) -> dict[Path, str]:
    """The folders that are a dataset, and its kind, by the file that each kind has."""
    found: dict[Path, str] = {}
    for kind, (mark, up) in DATASETS.items():
        if only in (None, kind):
            found |= {p.parents[up]: kind for p in sorted(folder.rglob(mark)) if p.is_file()}
    return found


def _is_part_of(path: Path, dataset: Path, kind: str) -> bool:
    """Whether a file belongs to a dataset; other files may lie beside a bundle's."""
    return dataset in path.parents if kind == "qlib" else path.parent == dataset and path.name in BUNDLE


def _recognised(path: Path, folder: Path, only: str | None) -> tuple[FileReport, list[Recognised]]:
    """A file's entry, and what it is; two answers where it holds both exchanges."""
    entry = FileReport(path)
    if not looks_like_a_table(path):
        entry.skipped = True
        return entry, []
    began = time.perf_counter()
    answers: list[Recognised] = []
    try:
        answers = recognise(path, folder, only)
    except UnknownFileError:
        entry.skipped = True
    except MgError as error:
        entry.skipped = only is not None and _of_another_kind(path, folder)
        entry.error = "" if entry.skipped else str(error)
    if answers and answers[0].ticks and answers[0].day is None:
        entry.what = f"{answers[0].kind} {answers[0].table}"
        above = date_of(folder, folder.parent)
        how = "put it into a folder named 20230201"
        if above is not None:  # the folder of a day was given
            how = f"give the folder above: mg ingest {folder.parent} --from {above} --to {above}"
        entry.error = f"{path} is {entry.what}, but its path has no date below {folder}; {how}"
        answers = []
    elif answers:
        tables = "+".join(a.table for a in answers)
        entry.what = " ".join([answers[0].kind, tables, str(answers[0].day or "")]).strip()
    entry.seconds = time.perf_counter() - began
    return entry, answers


def _of_another_kind(path: Path, folder: Path) -> bool:
    """Whether a file is sound, but of another kind than the one that is looked for."""
    try:
        return bool(recognise(path, folder))
    except MgError:
        return False


def source_options(
    folder: Path,
    found: Iterable[Recognised],
    datasets: Mapping[Path, str] | None = None,
    report: IngestReport | None = None,
) -> dict[str, Any]:
    """The source that reads the recognised files: ``kind`` and options, of several a composite."""
    report = report or IngestReport()
    ticks: dict[str, dict[str, dict[str, list[Recognised]]]] = {}
    mapped: dict[str, dict[str, dict[str, list[Recognised]]]] = {}
    for one in found:
        kinds = ticks if one.ticks else mapped
        kinds.setdefault(one.kind, {}).setdefault(one.table, {}).setdefault(one.pattern, []).append(one)
    sources: list[dict[str, Any]] = [
        {
            "kind": kind,
            "root": str(folder),
            "files": {s: _without_parts(s, groups, report) for s, groups in sorted(streams.items())},
        }
        for kind, streams in sorted(ticks.items())
    ]
    for preset, tables in sorted(mapped.items(), key=lambda m: "minute" not in m[1]):
        files = {table: _one_pattern(preset, table, groups, report) for table, groups in sorted(tables.items())}
        if not {"daily", "minute"} & set(files):
            for groups in tables.values():
                for one in (o for g in groups.values() for o in g):
                    report.files[
                        one.path
                    ].error = f"{one.path} belongs to {preset}'s daily bars, which are not in the folder"
            continue
        sources.append({"kind": "mapped", "config": preset, "root": str(folder), "files": files})
    sources += [
        {"kind": kind, "root": str(d), **(_switches(d, report) if kind == "qlib" else {})}
        for d, kind in (datasets or {}).items()
    ]
    if not sources:
        return {}
    return sources[0] if len(sources) == 1 else {"kind": "composite", "sources": sources}


def _one_pattern(preset: str, table: str, groups: dict[str, list[Recognised]], report: IngestReport) -> str:
    """The pattern of a preset's table; each file that lies elsewhere is an error, as either could be meant."""
    usual = _own_patterns(preset, table) if table in ("daily", "minute") else []
    every = [one for files in groups.values() for one in files]
    named = next((u for u in usual for one in every if one.path.as_posix().endswith(f"/{u}")), None)
    if named is None and (common := _common_pattern(groups)):
        return common
    best = max(
        groups,
        key=lambda p: (p in usual, any(o.path.as_posix().endswith(f"/{named}") for o in groups[p]), len(groups[p])),
    )
    for pattern, files in groups.items():
        for one in files if pattern != best else ():
            report.files[
                one.path
            ].error = f"{one.path} is {preset} ({table}) as the {len(groups[best])} files {best!r} are, but {APART}"
    own = named is not None and len(groups[best]) == 1 and fnmatch(named, re.sub(r"\{[^}]*\}", "*", best))
    return named if own and named is not None else best  # a preset's own path, not a file of that name elsewhere


def _without_parts(stream: str, groups: dict[str, list[Recognised]], report: IngestReport) -> list[str]:
    """The patterns of a tick stream; of several that have files of one day the first is read, unless it is a part."""
    days = [{one.day: one for one in files} for files in groups.values()]
    shared = next((d for i, mine in enumerate(days) for d in mine if any(d in other for other in days[:i])), None)
    if shared is None:
        return list(groups)
    if common := _common_pattern(groups, shared):
        return [common]
    first, *others = [of_day[shared] for of_day in days if shared in of_day]
    for pattern, files in groups.items():
        part = next((o for o in others if o.pattern == pattern), None)
        if part is None or first_keys(part) & first_keys(first):  # no file of that day, or another form of the same
            continue
        for one in files:
            report.files[one.path].error = f"{one.path} is a part of {stream} as {first.pattern!r} is, but {APART}"
    return list(groups)


def _common_pattern(groups: Mapping[str, list[Recognised]], day: dt.date | None = None) -> str | None:
    """One pattern for the files of several, where it finds no others, and they are parts of one table; else None.

    Two files that begin with the same stocks and times are no parts: one may be a copy, or adjusted.

    Parameters
    ----------
    groups : mapping of str to list of Recognised
        Files by pattern.
    day : date, optional
        Compare the files of this day alone.

    Returns
    -------
    str or None
    """
    if len(groups) < 2:
        return None
    levels = [pattern.split("/") for pattern in groups]
    if len({len(level) for level in levels}) > 1:
        return None
    common = "/".join(map(_common_name, zip(*levels, strict=True)))
    if any(sorted(_HOLDER.findall(pattern)) != sorted(_HOLDER.findall(common)) for pattern in groups):
        return None
    every = [one for files in groups.values() for one in files]
    root = every[0].path.parents[len(levels[0]) - 1]
    if set(FilePattern(common).files(root)) != {one.path for one in every}:
        return None
    seen: set[tuple[str, ...]] = set()
    for one in every if day is None else [o for o in every if o.day == day]:
        mine = first_keys(one)
        if mine & seen:
            return None
        seen |= mine
    return common


def _common_name(names: tuple[str, ...]) -> str:
    """What names begin and end with, and a star between."""
    if len(set(names)) == 1:
        return names[0]
    front = _common_begin(names)
    back = _common_begin([n[len(front) :][::-1] for n in names])[::-1]
    return f"{front}*{back}"


def _common_begin(words: Sequence[str]) -> str:
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*words, strict=False))
    return "".join(letters[0] for letters in same)


def _own_patterns(preset: str, table: str) -> list[str]:
    files = read_preset(preset).get(table, {}).get("files", [])
    return [files] if isinstance(files, str) else list(files)


def _switches(dataset: Path, report: IngestReport) -> dict[str, Any]:
    """The switches under which a Qlib dataset is consistent."""
    began = time.perf_counter()
    first = ""
    for switches in QLIB_SWITCHES:
        try:
            source = build_source("qlib", {"root": dataset, **switches})
            source.days()
        except MgError as error:
            first = first or str(error)
            if "set raw_" not in str(error):
                break
        else:
            report.files[dataset].seconds = time.perf_counter() - began
            for stock, reason in source.incomplete.items():  # type: ignore[attr-defined]
                report.files[stock] = FileReport(stock, what="qlib stock", error=reason)
            return dict(switches)
    report.files[dataset].error = first
    return {}
