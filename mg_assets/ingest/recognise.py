"""Recognise what a file is: which vendor's, which table, of which day.

1. Its first lines give a header and some rows, of a packed file too.
2. A vendor's stream or a preset's table is a candidate where the header has all columns that it needs, or, for
   kinds without a header line, where the file's name is the kind's. The one with most columns under their
   official names wins, then the one whose usual file name it has.
3. The path's date and security code become the placeholders of a file pattern.
"""

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mg_assets.errors import SourceError
from mg_assets.sources.daily.mapping import RowFilter, SourceMapping, TableMapping, parse_mapping
from mg_assets.sources.file_patterns import FilePatterns
from mg_assets.sources.io.archives import is_packed, read_head
from mg_assets.sources.io.columns import WantedColumn
from mg_assets.sources.io.delimited import detect_format
from mg_assets.sources.io.first_rows import HUNDRED_KB, SAMPLE_ROWS, first_rows
from mg_assets.sources.io.native import NATIVE_ENDS, is_native, native_sample, refuse_other_bars
from mg_assets.sources.io.read_file import source_errors
from mg_assets.sources.io.symbols import is_a_share, to_symbol
from mg_assets.sources.io.times import UNREADABLE, days_and_milliseconds
from mg_assets.sources.io.wide import long_rows
from mg_assets.sources.level2.stream_formats import DIALECTS, StreamFormat
from mg_assets.sources.presets import preset_names, read_preset

TABLE_ENDS = (".csv", ".txt", ".tsv", ".parquet", ".pq", ".gz", ".zip", ".7z", ".001", *NATIVE_ENDS)
FOUR_KB = 4096
PLACES = 32
"""Places of a file in which a code is looked at."""
FIRST_MINUTE, LAST_MINUTE = 9 * 60, 16 * 60
_DATE = re.compile(r"(?<!\d)((?:19|20)\d{2})([-_./]?)(0[1-9]|1[0-2])([-_./]?)(0[1-9]|[12]\d|3[01])(?!\d)")
_CODE = re.compile(
    r"(?<![A-Za-z\d])(?:(?:sh|sz|bj)[._]?)?\d{6}(?:[._](?:sh|sz|bj|ss|sse|szse|bse|xshg|xshe))?(?![A-Za-z\d])", re.I
)
_EXCHANGE_FOLDER = re.compile(r"(?<=/)(?:sh|sz|bj)(?=/)|^(?:sh|sz|bj)(?=/)", re.I)
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d{2}(?:0[1-9]|1[0-2])?(?!\d)")
NEAREST_SHARE = 0.5
KEYS = ("symbol", "code", "date", "time", "seq")


class UnknownFileError(SourceError):
    """A table of no known kind, nor near to one."""


@dataclass(frozen=True)
class Recognised:
    """What a file is.

    Attributes
    ----------
    path : Path
    kind : str
        ``tonglian``, ``huatai``, ``exchange``, or a preset's name.
    table : str
        A stream (``sz_orders``), or ``daily``, ``minute``, ``more.0``, ``weights.csi300``, ... of a preset.
    pattern : str
        The file pattern that finds it and its like below the root.
    day : date or None
        In its path.
    """

    path: Path
    kind: str
    table: str
    pattern: str
    day: dt.date | None

    @property
    def ticks(self) -> bool:
        """Whether it is a tick stream."""
        return self.kind in DIALECTS


@dataclass(frozen=True)
class _Candidate:
    kind: str
    table: str
    columns: Mapping[str, WantedColumn]
    exchange: str = ""
    names: tuple[str, ...] = ()  # usual file names
    header: tuple[str, ...] = ()
    covers: StreamFormat | None = None
    needs: tuple[FilePatterns, ...] = ()  # further tables without which the preset cannot be read
    only: RowFilter | None = None
    may_lack: frozenset[str] = frozenset()

    @property
    def bars(self) -> bool:
        """Whether it is a preset's table of bars; the others belong to one."""
        return self.table in ("daily", "minute")

    def code_is_in_name(self, header: Iterable[str]) -> bool:
        """Whether a file with this header has its stock's code in its name alone."""
        here = {h.strip().casefold() for h in header}
        return "symbol" in self.columns and not any(n.casefold() in here for n in self.columns["symbol"].names)


@dataclass(frozen=True)
class _Sample:
    header: list[str]
    rows: list[list[str]]

    def column(self, names: Iterable[str]) -> list[str]:
        """Values of the first of the names that the header has."""
        folded = {h.strip().casefold(): i for i, h in reversed(list(enumerate(self.header)))}
        at = next((folded[n.casefold()] for n in names if n.casefold() in folded), None)
        return [] if at is None else [r[at].strip().strip('"') for r in self.rows if at < len(r)]


def looks_like_a_table(path: Path) -> bool:
    """Whether the file's name is one of a table; later volumes of an archive belong to its first."""
    name = path.name.lower()
    return not name.startswith(".") and name.endswith(TABLE_ENDS)


def recognise(path: Path, root: Path, only: str | None = None) -> list[Recognised]:
    """Recognise a file below ``root``.

    Parameters
    ----------
    path, root : Path
    only : str, optional
        The one vendor or preset that is looked for.

    Returns
    -------
    list of Recognised
        One; more where the file holds both exchanges, daily and minute bars, or several tables of a preset.

    Raises
    ------
    MgError
        The file cannot be read, or is none of the known kinds (the nearest is named).
    """
    refuse_other_bars(path)
    sample = _sample(path)
    day = date_of(path, root)
    offered = [c for c in _candidates() if _is_wanted(c, only) and all(f.find(root)[0] for f in c.needs)]
    fitting = [(_score(c, sample, path, day), c) for c in offered if _fits(c, sample, path)]
    fitting = _of_the_interval(fitting, sample)
    if not fitting:
        unknown: SourceError = _unknown(path, offered, sample)
        raise unknown
    best = max(score for score, _ in fitting)
    chosen = next(c for score, c in fitting if score == best)
    twins = [c for score, c in fitting if c.kind == chosen.kind and score[1:] == best[1:] and c.exchange]
    if chosen.exchange and len({c.exchange for c in twins}) > 1:  # one header for both exchanges: the codes decide
        kept = _of_exchanges(twins, sample, path)
    else:
        kept = _of_several_tables([c for _, c in fitting], chosen, sample, path)
    return [Recognised(path, c.kind, c.table, _pattern(path, root, c, sample), day) for c in kept]


def first_keys(one: Recognised) -> set[tuple[str, ...]]:
    """Stock and time of a file's first rows, as the file writes them.

    Parameters
    ----------
    one : Recognised

    Returns
    -------
    set of tuple of str
        The code in the file's name with them.
    """
    sample, named = _sample(one.path), _CODE.search(one.path.name)
    columns = next(c.columns for c in _candidates() if (c.kind, c.table) == (one.kind, one.table))
    found = [sample.column(columns[c].names) for c in KEYS if c in columns]
    return {(named[0] if named else "", *row) for row in zip(*(values for values in found if values), strict=True)}


def _pattern(path: Path, root: Path, candidate: _Candidate, sample: _Sample) -> str:
    """The file's pattern; of a preset's table one for the folders of all exchanges, and for indices' files too."""
    if candidate.kind in DIALECTS:
        return pattern_of(path, root)
    return _EXCHANGE_FOLDER.sub("*", pattern_of(path, root, candidate.code_is_in_name(sample.header)))


def _of_several_tables(
    fitting: Sequence[_Candidate], chosen: _Candidate, sample: _Sample, path: Path
) -> list[_Candidate]:
    """The chosen table, with the others of the file: both intervals of a database, several reference tables."""
    if chosen.kind in DIALECTS:
        return [chosen]
    if not chosen.bars:
        around = [c for c in fitting if c.kind == chosen.kind and not c.table.startswith("more.") and not c.bars]
        named = [c for c in around if c.only is not None and c.only.names(path)]
        return [chosen] if chosen.table.startswith("more.") else named or around
    names = {c.names for c in chosen.columns.values()}
    twins = [c for c in fitting if c.bars and {w.names for w in c.columns.values()} == names]
    if len(twins) < 2 or is_native(path):
        return twins or [chosen]
    stamps = sample.column(next(w for n, w in chosen.columns.items() if n in ("date", "time")).names)
    table = "minute" if _are_minutes(stamps) else "daily"
    return [c for c in twins if c.table == table][:1] or [chosen]


def _is_wanted(candidate: _Candidate, only: str | None) -> bool:
    return only in (None, candidate.kind) or (only == "mapped" and candidate.kind not in DIALECTS)


def _of_the_interval(
    fitting: list[tuple[tuple[int, int, int], _Candidate]], sample: _Sample
) -> list[tuple[tuple[int, int, int], _Candidate]]:
    """Without the tables of minute bars where the rows are days, or those of daily bars where they are minutes."""
    minutes = [c for _, c in fitting if c.table == "minute" and c.only is None]
    if not minutes or not any(c.table == "daily" for _, c in fitting):
        return fitting
    stamps = sample.column(minutes[0].columns["time"].names)
    wrong = "daily" if _are_minutes(stamps) else "minute"
    return [(score, c) for score, c in fitting if c.table != wrong or c.only is not None]


def _are_minutes(stamps: Sequence[str]) -> bool:
    """Whether stamps are of minute bars: days have one time of the day in Shanghai, if any, on the hour or at night."""
    clock = days_and_milliseconds(pa.chunked_array([pa.array(stamps, pa.string())]))[1]
    minutes = np.unique(clock[clock != UNREADABLE] // 60_000)
    in_session = (minutes >= FIRST_MINUTE) & (minutes <= LAST_MINUTE) & (minutes % 60 != 0)
    return len(minutes) > 1 or bool(in_session.any())


def _of_exchanges(candidates: Sequence[_Candidate], sample: _Sample, path: Path) -> list[_Candidate]:
    """The candidates whose exchange some of the codes are of; all, where a column names the exchange of each row."""
    form = candidates[0].covers
    if form is not None and form.market:
        kept = {c.exchange: c for c in candidates}
        return [kept[exchange] for exchange in sorted(kept)]
    names = candidates[0].columns["code"].names
    codes = [*sample.column(names), *_codes_further_on(path, names)]
    symbols = [s for s in map(to_symbol, codes) if s and is_a_share(s)]
    kept_ones = [c for c in candidates if any(s.endswith(c.exchange) for s in symbols)]
    if not kept_ones:
        raise SourceError(
            f"{path} is {candidates[0].kind}'s, but no code of its first rows is a stock's: of which exchange?"
        )
    return kept_ones


def _codes_further_on(path: Path, names: Sequence[str]) -> list[str]:
    """Codes of some rows all over a plain file: a table sorted by exchange has the second one behind the first."""
    with source_errors(path):
        if path.suffix.lower() in (".parquet", ".pq"):
            return _parquet_codes(path, names)
        size = path.stat().st_size
        if is_packed(path) or size <= HUNDRED_KB:
            return []
        form = detect_format(path, lambda: io.BytesIO(read_head(path, HUNDRED_KB)))
        lines: list[bytes] = []
        with open(path, "rb") as file:
            for place in range(1, PLACES + 1):
                file.seek((size - FOUR_KB) * place // PLACES)
                lines += file.read(FOUR_KB).splitlines()[1:-1]
    text = (line.decode("utf-8" if form.encoding == "utf8" else form.encoding, errors="replace") for line in lines)
    rows = list(csv.reader(text, delimiter=form.delimiter, quoting=csv.QUOTE_NONE))
    return _Sample(form.header, rows).column(names)


def _parquet_codes(path: Path, names: Sequence[str]) -> list[str]:
    """Codes of some rows of some row groups."""
    with pq.ParquetFile(path) as file:
        column = next((n for n in file.schema_arrow.names if n.strip() in names), None)
        groups = range(0, file.num_row_groups, max(file.num_row_groups // PLACES, 1)) if column else range(0)
        tables = [file.read_row_group(g, [column]) for g in groups]
    return [str(v) for t in tables for v in t.take(range(0, len(t), max(len(t) // SAMPLE_ROWS, 1)))[0].to_pylist()]


def date_of(path: Path, root: Path) -> dt.date | None:
    """The date in a path below a root; None where there is none."""
    for match in _DATE.finditer(path.relative_to(root).as_posix()):
        try:
            return dt.date(int(match[1]), int(match[3]), int(match[5]))
        except ValueError:
            continue
    return None


def pattern_of(path: Path, root: Path, any_code: bool = False) -> str:
    """A path below a root with placeholders for its date and code (or any security's), and a star for a year."""
    text = path.relative_to(root).as_posix()
    if re.search(r"[\[\]{}*?]", text):
        raise SourceError(f"{path}: its name has one of []{{}}*?, which mean something in file patterns; rename it")
    parts: list[str] = []
    at = 0
    for match in _DATE.finditer(text):
        form = f"%Y{match[2]}%m{match[4]}%d"
        parts += [
            _without_code(text[at : match.start()], any_code),
            "{date}" if form == "%Y%m%d" else f"{{date:{form}}}",
        ]
        at = match.end()
    parts.append(_without_code(text[at:], any_code))
    return "".join(parts)


def _without_code(text: str, any_code: bool) -> str:
    def code(match: re.Match) -> str:
        symbol = to_symbol(match[0].replace("_", "."))
        return "{code}" if symbol and (any_code or is_a_share(symbol)) else match[0]

    parts = re.split(r"(\{code\})", _CODE.sub(code, text))
    return "".join(p if p == "{code}" else _YEAR.sub("*", p) for p in parts)


# ------------------------------------------------------------------ candidates


@cache
def _candidates() -> tuple[_Candidate, ...]:
    out: list[_Candidate] = []
    for kind, streams in DIALECTS.items():
        for table, forms in streams.items():
            for form in forms:
                names = tuple(dict.fromkeys(PurePosixPath(p).name for p in form.patterns))
                columns = {k: c for k, c in form.columns.items() if c.required}
                out.append(_Candidate(kind, table, columns, form.exchange, names, form.header, form))
    for name in preset_names():
        content = read_preset(name)
        if "daily" in content or "minute" in content:
            out += _of_preset(name, parse_mapping(content, name))
    return tuple(out)


def _of_preset(name: str, mapped: SourceMapping) -> Iterable[_Candidate]:
    around: dict[str, TableMapping | None] = {
        "listing": mapped.listing, "industry": mapped.industry, "st_ranges": mapped.st_ranges,
        "suspensions": mapped.suspensions, **{f"membership.{i}": m for i, m in mapped.membership.items()},
        **{f"weights.{i}": m for i, m in mapped.weights.items()},
    }  # fmt: skip
    needs = tuple(section.files for section in around.values() if section is not None and not section.optional)
    sections: list[tuple[str, TableMapping]] = []
    if mapped.daily is not None:
        sections.append(("daily", mapped.daily))
        sections += [(f"more.{i}", more) for i, more in enumerate(mapped.daily.more)]
    if mapped.minute is not None:
        sections.append(("minute", mapped.minute))
    sections += [(table, section) for table, section in around.items() if section is not None and section.optional]
    for table, section in sections:
        columns = {ours: WantedColumn(theirs, "text") for ours, theirs in section.columns.items()}
        columns |= {f"_{flag}": WantedColumn((how.column,), "text") for flag, how in section.flags.items()}
        columns.setdefault("symbol", WantedColumn(("a security code in the file's name",), "text"))
        names = tuple(dict.fromkeys(PurePosixPath(p.text).name for p in section.files.patterns))
        if section.only is not None:
            columns["_only"] = WantedColumn(section.only.columns, "text")
        may_lack = frozenset(c if c in section.columns else f"_{c}" for c in section.may_lack)
        yield _Candidate(name, table, columns, names=names, needs=needs, only=section.only, may_lack=may_lack)


def _fits(candidate: _Candidate, sample: _Sample, path: Path) -> bool:
    if not _lacking(candidate, sample, path):
        return _has_its_rows(candidate, sample) if candidate.bars else _has_a_column(candidate, sample)
    if not candidate.header:
        return False
    width = len(sample.header) - (not sample.header[-1].strip())
    return width == len(candidate.header) and _named_so(candidate, path)


def _has_a_column(candidate: _Candidate, sample: _Sample) -> bool:
    """Whether the header has any column of a table all of whose columns but the keys may lack."""
    more = candidate.may_lack if set(candidate.columns) - candidate.may_lack <= {"date", "symbol"} else ()
    return not more or any(_known(candidate.columns[c], sample) for c in more)


def _known(column: WantedColumn, sample: _Sample) -> bool:
    here = {h.strip().casefold() for h in sample.header}
    return any(n.casefold() in here for n in column.names)


def _has_its_rows(candidate: _Candidate, sample: _Sample) -> bool:
    """Whether any of the first rows is of the interval of a table of bars."""
    words = sample.column(candidate.only.columns) if candidate.only is not None else []
    return candidate.only is None or not words or any(candidate.only.takes(w) for w in words)


def _lacking(candidate: _Candidate, sample: _Sample, path: Path) -> list[str]:
    here = {h.strip().casefold() for h in sample.header}
    named = {"symbol", "code"} if _CODE.search(path.name) else set()
    named |= {"date"} if _DATE.search(path.name) else set()
    named |= {"_only"} if candidate.only is not None and candidate.only.names(path) else set()
    named |= candidate.may_lack
    form = candidate.covers
    other = [form.market] if form is not None and form.market and form.market.casefold() not in here else []
    return other + [
        " or ".join(column.names)
        for ours, column in candidate.columns.items()
        if ours not in named and not any(n.casefold() in here for n in column.names)
    ]


def _score(candidate: _Candidate, sample: _Sample, path: Path, day: dt.date | None) -> tuple[int, int, int]:
    """The more the better: covers the day, columns under their official names, usual file name."""
    here = {h.strip() for h in sample.header}
    official = sum(c.names[0] in here for c in candidate.columns.values())
    if candidate.header and not official:
        official = len(candidate.columns)
    stream = candidate.covers
    covers = stream is None or day is None or stream.covers(day)
    return official, int(_named_so(candidate, path)), int(covers)


def _named_so(candidate: _Candidate, path: Path) -> bool:
    forms = {re.sub(r"\{date[^}]*\}", "*", re.sub(r"\{code\}", "??????", n)) for n in candidate.names}
    return any(fnmatch(path.name.lower(), f.lower()) for f in forms if f.strip("*.") not in ("csv", "parquet"))


def _unknown(path: Path, offered: Sequence[_Candidate], sample: _Sample) -> SourceError:
    """The error of a file that fits nothing; it names the columns that it lacks to be of the nearest kind."""
    header = [h.strip() for h in sample.header][:20]
    nowhere = Path("")

    def nearness(candidate: _Candidate) -> tuple[int, int]:  # most columns in the header, then fewest lacking
        return sum(_known(c, sample) for c in candidate.columns.values()), -len(_lacking(candidate, sample, nowhere))

    near = max(offered, key=nearness, default=None)
    lacking = [] if near is None else _lacking(near, sample, nowhere)
    if near is None or len(lacking) > NEAREST_SHARE * (len(near.columns) - len(near.may_lack)):
        return UnknownFileError(
            f"{path} is of no known kind: its first line is {header}. Map it with a YAML file (docs/sources.md)"
        )
    return SourceError(
        f"{path} is of no known kind: its first line is {header}. Nearest is {near.kind} ({near.table}), of which it "
        f"lacks {lacking}; export them, or map the file with a YAML file (docs/sources.md)"
    )


# --------------------------------------------------------------------- sample


def _sample(path: Path) -> _Sample:
    """A file's first rows as text; raises as :func:`read_file.read_columns`."""
    if is_native(path):
        names, cells = native_sample(path, SAMPLE_ROWS)
        if not names:
            raise UnknownFileError(f"{path} holds no bars of stocks")
        return _Sample(names, cells)
    return _Sample(*long_rows(path, *first_rows(path)))
