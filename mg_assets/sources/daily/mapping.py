"""The YAML file that maps a user's tables to ours, checked key by key.

``docs/sources.md`` describes every key. A section is a file pattern, ``columns`` (our name -> the
file's name, or a list of names), and ``units`` (our name -> how many of our unit one of the file's
is: ``price: 0.001`` for milli-yuan, ``volume: 100`` for lots).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mg_assets.errors import SourceError
from mg_assets.market.schema import INDICES
from mg_assets.sources.daily.panel import NUMBERS
from mg_assets.sources.layout import Files

DAILY = ("date", "symbol", *NUMBERS)
MINUTE = ("date", "symbol", "time", "open", "high", "low", "close", "volume", "amount", "num_trades")
LABELS = ("end", "start")
VOLUME_STEP = "volume_step"
"""Option and note: minute volumes are rounded to the nearest multiple of so many shares."""


@dataclass(frozen=True)
class Flag:
    """A truth told by a column's value: ``{column: isST, values: [1]}``."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """One kind of table on disk."""

    files: Files
    columns: Mapping[str, tuple[str, ...]]
    units: Mapping[str, float]
    flags: Mapping[str, Flag] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    more: tuple["Section", ...] = ()


@dataclass(frozen=True)
class Mapped:
    """A whole mapping file."""

    name: str
    caveats: tuple[str, ...]
    daily: Section | None
    minute: Section | None
    listing: Section | None
    industry: Section | None
    st_ranges: Section | None
    membership: Mapping[str, Section]
    weights: Mapping[str, Section]


def parse_mapping(content: Mapping[str, Any], where: str) -> Mapped:
    """Check a mapping and make it typed.

    Raises
    ------
    SourceError
        A key or column is unknown or lacking; the message names the place and what is valid.
    """
    _known(content, where, ("name", "description", "caveats", "daily", "minute", "listing", "industry", "st_ranges",
                            "membership", "weights"))  # fmt: skip
    ranges = ("symbol", "start", "end")
    daily = _section(content, "daily", where, DAILY, ("date", "symbol", "open", "high", "low", "close", "volume"),
                     options=("drop_before_listing",), flags=("suspended", "st"), more=DAILY)  # fmt: skip
    minute = _section(content, "minute", where, MINUTE, ("time", "open", "high", "low", "close", "volume"),
                      options=("label", VOLUME_STEP))  # fmt: skip
    if minute is not None and minute.options.get("label") not in LABELS:
        raise SourceError(f"{where}: minute.label was {minute.options.get('label')!r}; 'end' or 'start' was expected")
    step = None if minute is None else minute.options.get(VOLUME_STEP, 1)
    if step is not None and (isinstance(step, bool) or not isinstance(step, int) or step < 1):
        raise SourceError(
            f"{where}: minute.{VOLUME_STEP} was {step!r}; the number of shares to whose multiples the file's volumes "
            "are rounded was expected (100 for whole lots, 1 where they are exact)"
        )
    if daily is None and minute is None:
        raise SourceError(f"{where}: neither 'daily' nor 'minute' is mapped; map at least one")
    indexed: dict[str, dict[str, Section]] = {"membership": {}, "weights": {}}
    for key, columns, options in (
        ("membership", ranges, ()),
        ("weights", ("date", "symbol", "weight"), ("drop_dates",)),
    ):
        group = content.get(key) or {}
        _known(group, f"{where}: {key}", INDICES)
        for index in group:
            section = _section(group, index, f"{where}: {key}", columns, columns, options=options)
            if section is not None:
                indexed[key][index] = section
    return Mapped(
        name=str(content.get("name") or "mapped"),
        caveats=tuple(content.get("caveats") or ()),
        daily=daily,
        minute=minute,
        listing=_section(content, "listing", where, ("symbol", "list_date", "delist_date"), ("symbol", "list_date"),
                         options=("open_end",)),
        industry=_section(content, "industry", where, ("date", "symbol", "industry"), ("symbol", "industry"),
                          options=("prefix",)),
        st_ranges=_section(content, "st_ranges", where, ranges, ranges),
        membership=indexed["membership"],
        weights=indexed["weights"],
    )  # fmt: skip


def _known(content: object, where: str, valid: tuple[str, ...]) -> None:
    if not isinstance(content, Mapping):
        raise SourceError(f"{where} was {content!r}; a mapping was expected")
    unknown = sorted(set(map(str, content)) - set(valid))
    if unknown:
        raise SourceError(f"{where}: keys {unknown} are unknown; valid keys: {sorted(valid)}")


def _section(
    content: Mapping[str, Any],
    key: str,
    where: str,
    columns: tuple[str, ...],
    required: tuple[str, ...],
    options: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
    more: tuple[str, ...] = (),
) -> Section | None:
    raw = content.get(key)
    if raw is None:
        return None
    place = f"{where}: {key}"
    _known(raw, place, ("files", "columns", "units", *options, *flags, *(("more",) if more else ())))
    for need in ("files", "columns"):
        if need not in raw:
            raise SourceError(f"{place}: {need!r} is lacking; give the file pattern and the column names")
    _known(raw["columns"], f"{place}.columns", columns)
    files = Files.of(raw["files"], f"{place}.files")
    by_code = all("{code" in p.text for p in files.patterns)
    by_date = all(p.dated for p in files.patterns)
    free = {"symbol"} if by_code else set()  # what a file's name tells need not be a column
    free |= {"date"} if by_date or key == "minute" else set()
    lacking = [c for c in required if c not in raw["columns"] and c not in free]
    if lacking:
        raise SourceError(f"{place}.columns: {lacking} are lacking; map each to the file's column name")
    named = {ours: (t,) if isinstance(t, str) else tuple(map(str, t)) for ours, t in raw["columns"].items()}
    units = raw.get("units") or {}
    _known(units, f"{place}.units", ("price", *columns))
    for name, unit in units.items():
        if isinstance(unit, bool) or not isinstance(unit, (int, float)) or not unit > 0:
            raise SourceError(f"{place}.units.{name} was {unit!r}; a positive number was expected")
    told = {flag: _flag(raw[flag], f"{place}.{flag}") for flag in flags if flag in raw}
    extra = tuple(
        s
        for i, entry in enumerate(raw.get("more") or ())
        if (s := _section({"more": entry}, "more", f"{place}[{i}]", more, ("date", "symbol"), ("optional",)))
    )
    return Section(files, named, dict(units), told, {o: raw[o] for o in options if o in raw}, extra)


def _flag(raw: object, place: str) -> Flag:
    _known(raw, place, ("column", "values"))
    values = raw.get("values") if isinstance(raw, Mapping) else None
    if not isinstance(raw, Mapping) or not isinstance(raw.get("column"), str) or not isinstance(values, list):
        raise SourceError(f"{place} was {raw!r}; {{column: name, values: [value, ...]}} was expected")
    return Flag(raw["column"], tuple(str(v) for v in values))
