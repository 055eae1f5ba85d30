"""The YAML file that maps a user's tables to ours, checked key by key.

``docs/sources.md`` describes every key. A table's mapping is a file pattern, ``columns`` (our name -> the
file's name, or a list of names), and ``units`` (our name -> how many of our unit one of the file's
is: ``price: 0.001`` for milli-yuan, ``volume: 100`` for lots).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mg_assets.errors import SourceError
from mg_assets.market.schema import INDICES
from mg_assets.sources.daily.vetting import NUMBERS
from mg_assets.sources.file_patterns import FilePatterns

DAILY = ("date", "symbol", "exchange", *NUMBERS)
MINUTE = ("date", "symbol", "exchange", "time", "open", "high", "low", "close", "volume", "amount", "num_trades")
LABELS = ("end", "start")
OPTIONS = ("optional", "only", "may_lack")
"""Keys that every table may have."""
VOLUME_STEP = "volume_step"
"""Option and note: minute volumes are rounded to the nearest multiple of so many shares."""


@dataclass(frozen=True)
class FlagMapping:
    """A flag that is true where a column has one of some values: ``{column: isST, values: [1]}``."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class RowFilter:
    """Which rows of a file are the table's: ``{column: index_code, values: [000300.SH]}``; the others are left out.

    A file without the column counts whole where its path has one of the values (``000300.XSHG_2023-01-31.csv``), or
    always (``or_all``).

    Attributes
    ----------
    columns : tuple of str
        Names that the files may use for it.
    values : tuple of str
    pattern : str
        Instead of values, a regular expression that the text must begin with.
    """

    columns: tuple[str, ...]
    values: tuple[str, ...] = ()
    pattern: str = ""
    or_all: bool = False

    def takes(self, word: str) -> bool:
        """Whether a text in the column marks a row of the table."""
        return re.match(self.pattern, word) is not None if self.pattern else word in self.values

    def names(self, path: Path) -> bool:
        """Whether a file's path says that all of its rows are the table's."""
        text = path.as_posix()
        words = map(re.escape, self.values)
        return self.or_all or any(re.search(rf"(?<![A-Za-z\d]){word}(?![A-Za-z\d])", text) for word in words)


@dataclass(frozen=True)
class TableMapping:
    """One kind of table on disk.

    Attributes
    ----------
    files : FilePatterns
    columns : mapping of str to tuple of str
        Our column to the names that the files may use for it.
    units : mapping of str to float
        Our column to how many of our unit one of the file's is.
    flags : mapping of str to FlagMapping
        ``suspended``, ``st``.
    options : mapping of str to object
        Further keys of the section, as given.
    more : tuple of TableMapping
        Further tables with the same (date, symbol) keys.
    only : RowFilter or None
        Which rows are the table's, where files hold several; by default all.
    may_lack : frozenset of str
        Our columns and flags that a file need not have: null there.
    """

    files: FilePatterns
    columns: Mapping[str, tuple[str, ...]]
    units: Mapping[str, float]
    flags: Mapping[str, FlagMapping] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    more: tuple["TableMapping", ...] = ()
    only: RowFilter | None = None
    may_lack: frozenset[str] = frozenset()

    def named(self, column: str) -> str:
        """The names that files may use for our column, for messages."""
        return " or ".join(self.columns.get(column, (column,)))

    @property
    def optional(self) -> bool:
        """Whether the source can be read without its files."""
        return bool(self.options.get("optional"))


@dataclass(frozen=True)
class SourceMapping:
    """A whole mapping file."""

    name: str
    caveats: tuple[str, ...]
    daily: TableMapping | None
    minute: TableMapping | None
    listing: TableMapping | None
    industry: TableMapping | None
    st_ranges: TableMapping | None
    suspensions: TableMapping | None
    membership: Mapping[str, TableMapping]
    weights: Mapping[str, TableMapping]
    names: TableMapping | None


def parse_mapping(content: Mapping[str, Any], where: str) -> SourceMapping:
    """Check a mapping and make it typed.

    Parameters
    ----------
    content : mapping
        What the YAML file holds.
    where : str
        The file's name, for messages.

    Returns
    -------
    SourceMapping

    Raises
    ------
    SourceError
        A key or column is unknown or lacking; the message names where, and what is valid.
    """
    _refuse_unknown(content, where, ("description", *(f.name for f in fields(SourceMapping))))
    ohlcv, spans = ("open", "high", "low", "close", "volume"), ("symbol", "start", "end")
    daily = _table_mapping(
        content,
        "daily",
        where,
        DAILY,
        ("date", "symbol", *ohlcv),
        options=("drop_before_listing",),
        flags=("suspended", "st"),
        more=DAILY,
    )
    minute = _table_mapping(content, "minute", where, MINUTE, ("time", *ohlcv), options=("label", VOLUME_STEP))
    if minute is not None:
        _check_minute_options(minute.options, where)
    elif daily is None:
        raise SourceError(f"{where}: neither 'daily' nor 'minute' is mapped; map at least one")
    listing, industry = ("symbol", "list_date", "delist_date"), ("date", "symbol", "industry")
    return SourceMapping(
        name=str(content.get("name") or "mapped"),
        caveats=tuple(content.get("caveats") or ()),
        daily=daily,
        minute=minute,
        listing=_table_mapping(content, "listing", where, listing, listing[:2], options=("open_end",)),
        industry=_table_mapping(content, "industry", where, industry, industry[1:], options=("prefix",)),
        st_ranges=_table_mapping(content, "st_ranges", where, spans, spans),
        suspensions=_table_mapping(content, "suspensions", where, ("symbol", "date"), ("symbol", "date")),
        membership=_by_index(content, "membership", where, spans),
        weights=_by_index(content, "weights", where, ("date", "symbol", "weight"), ("drop_dates",)),
        names=_table_mapping(content, "names", where, ("symbol", "name"), ("symbol",)),
    )


def _check_minute_options(options: Mapping[str, Any], where: str) -> None:
    label, step = options.get("label"), options.get(VOLUME_STEP, 1)
    if label not in LABELS:
        raise SourceError(f"{where}: minute.label was {label!r}; 'end' or 'start' was expected")
    if isinstance(step, bool) or not isinstance(step, int) or step < 1:
        raise SourceError(
            f"{where}: minute.{VOLUME_STEP} was {step!r}; the number of shares to whose multiples the file's volumes "
            "are rounded was expected (100 for whole lots, 1 where they are exact)"
        )


def _by_index(
    content: Mapping[str, Any], key: str, where: str, columns: tuple[str, ...], options: tuple[str, ...] = ()
) -> dict[str, TableMapping]:
    """The mapping of each index's table in the group ``key``."""
    group = content.get(key) or {}
    _refuse_unknown(group, f"{where}: {key}", INDICES)
    found = {index: _table_mapping(group, index, f"{where}: {key}", columns, columns, options) for index in group}
    return {index: mapping for index, mapping in found.items() if mapping is not None}


def _refuse_unknown(content: object, where: str, valid: tuple[str, ...]) -> None:
    if not isinstance(content, Mapping):
        raise SourceError(f"{where} was {content!r}; a mapping was expected")
    unknown = sorted(set(map(str, content)) - set(valid))
    if unknown:
        raise SourceError(f"{where}: keys {unknown} are unknown; valid keys: {sorted(valid)}")


def _table_mapping(
    content: Mapping[str, Any],
    key: str,
    where: str,
    columns: tuple[str, ...],
    required: tuple[str, ...],
    options: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
    more: tuple[str, ...] = (),
) -> TableMapping | None:
    """The mapping of one table under ``key``; None where there is none."""
    raw = content.get(key)
    if raw is None:
        return None
    path = f"{where}: {key}"
    _refuse_unknown(raw, path, ("files", "columns", "units", *OPTIONS, *options, *flags, *(("more",) if more else ())))
    for need in ("files", "columns"):
        if need not in raw:
            raise SourceError(f"{path}: {need!r} is lacking; give the file pattern and the column names")
    files = FilePatterns.of(raw["files"], f"{path}.files")
    return TableMapping(
        files,
        _columns(raw["columns"], f"{path}.columns", columns, required, _named_by_files(files, key)),
        _units(raw.get("units") or {}, f"{path}.units", ("price", *columns)),
        {flag: _flag(raw[flag], f"{path}.{flag}") for flag in flags if flag in raw},
        {option: raw[option] for option in ("optional", *options) if option in raw},
        _further_tables(raw.get("more") or (), path, more),
        _row_filter(raw["only"], f"{path}.only") if "only" in raw else None,
        _may_lack(raw, f"{path}.may_lack", required),
    )


def _named_by_files(files: FilePatterns, key: str) -> set[str]:
    """Columns that need not be mapped: the files' names have them, and minutes have their date in their time."""
    free = {"symbol"} if all("{code" in p.text for p in files.patterns) else set()
    return free | ({"date"} if key == "minute" or all(p.dated for p in files.patterns) else set())


def _columns(
    raw: Mapping[str, Any], path: str, valid: tuple[str, ...], required: tuple[str, ...], free: set[str]
) -> dict[str, tuple[str, ...]]:
    _refuse_unknown(raw, path, valid)
    lacking = [c for c in required if c not in raw and c not in free]
    if lacking:
        raise SourceError(f"{path}: {lacking} are lacking; map each to the file's column name")
    return {ours: (t,) if isinstance(t, str) else tuple(map(str, t)) for ours, t in raw.items()}


def _may_lack(raw: Mapping[str, Any], path: str, required: tuple[str, ...]) -> frozenset[str]:
    """The mapped columns and flags that a file may be without."""
    names = raw.get("may_lack") or []
    valid = [c for c in (*raw["columns"], *(k for k in ("suspended", "st") if k in raw)) if c not in required]
    if not isinstance(names, list) or not set(map(str, names)) <= set(valid):
        raise SourceError(f"{path} was {names!r}; a list of some of {sorted(valid)} was expected")
    return frozenset(map(str, names))


def _units(raw: Mapping[str, Any], path: str, valid: tuple[str, ...]) -> dict[str, float]:
    _refuse_unknown(raw, path, valid)
    for name, unit in raw.items():
        if isinstance(unit, bool) or not isinstance(unit, (int, float)) or not unit > 0:
            raise SourceError(f"{path}.{name} was {unit!r}; a positive number was expected")
    return dict(raw)


def _further_tables(raw: Sequence[Any], path: str, columns: tuple[str, ...]) -> tuple[TableMapping, ...]:
    found = (
        _table_mapping({"more": entry}, "more", f"{path}[{i}]", columns, ("date", "symbol"), flags=("suspended", "st"))
        for i, entry in enumerate(raw)
    )
    return tuple(mapping for mapping in found if mapping is not None)


def _row_filter(raw: object, path: str) -> RowFilter:
    _refuse_unknown(raw, path, ("column", "values", "pattern", "or_all"))
    values, pattern = (raw.get("values"), raw.get("pattern", "")) if isinstance(raw, Mapping) else (None, "")
    if not isinstance(raw, Mapping) or "column" not in raw or isinstance(values, list) == bool(pattern):
        raise SourceError(f"{path} was {raw!r}; {{column: name, values: [value, ...]}} or a pattern was expected")
    names = raw["column"]
    columns = (names,) if isinstance(names, str) else tuple(map(str, names))
    try:
        re.compile(pattern)
    except re.error as error:
        raise SourceError(f"{path}.pattern was {pattern!r}, which is no regular expression: {error}") from error
    return RowFilter(columns, tuple(str(v) for v in values or ()), str(pattern), bool(raw.get("or_all", False)))


def _flag(raw: object, path: str) -> FlagMapping:
    _refuse_unknown(raw, path, ("column", "values"))
    values = raw.get("values") if isinstance(raw, Mapping) else None
    if not isinstance(raw, Mapping) or not isinstance(raw.get("column"), str) or not isinstance(values, list):
        raise SourceError(f"{path} was {raw!r}; {{column: name, values: [value, ...]}} was expected")
    return FlagMapping(raw["column"], tuple(str(v) for v in values))
