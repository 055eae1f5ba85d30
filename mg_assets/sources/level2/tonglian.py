"""Level-2 tick files: Tonglian (DataYes), and with another dialect Huatai Insight or exchange history.

A day's folder holds the Shenzhen order and trade streams and Shanghai's in one of two forms: order
and trade streams apart, or (from 2023-11-27) merged. Each form of a stream has its days
(:mod:`stream_formats`): where the day has files of the right form, others are skipped and noted; where it has
only files that cannot be of that day, that is an error. :mod:`shanghai` and :mod:`shenzhen` restore what
the exchanges' publication rules leave out.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import MgError, SourceError
from mg_assets.market.schema import ORDERS, TRADES
from mg_assets.sources.base import Loaded, StreamedDay
from mg_assets.sources.file_patterns import FilePattern, FilePatterns, as_days, days_of
from mg_assets.sources.fingerprint import file_digests, fingerprint_of
from mg_assets.sources.io.read_log import ReadLog
from mg_assets.sources.level2 import shanghai, shenzhen
from mg_assets.sources.level2.external_sort import ranges
from mg_assets.sources.level2.stream_formats import DIALECTS, MERGED_FROM, StreamFormat
from mg_assets.sources.level2.ticks import KIND_NAMES, Ticks, TickStream, read_stream
from mg_assets.sources.presets import read_preset
from mg_assets.sources.quarantine import merge_quarantines

VERSION = 3  # raise it when the same files give another table
Found = tuple[StreamFormat, list[Path], FilePattern]
Restored = tuple[dict[str, np.ndarray], dict[str, object]]
BATCH_ROWS = 1 << 19
"""Published rows that are restored and made a table at once."""


class TonglianSource:
    """Trades and orders from level-2 files.

    Parameters
    ----------
    root : str or Path
        Folder of the files.
    files : mapping of str to (str or list of str), or str, optional
        StreamFormat name -> file pattern, or alternatives of which the first that matches is taken, below
        ``root``; placeholders ``{date}``, ``{date:%Y-%m-%d}`` and ``{code}``. A text names a YAML
        file with such a mapping under ``files``. By default ``{date}/`` and the vendor's file names;
        with it, only the streams that it names exist.
    dialect : str
        ``tonglian``, ``tonglian_tables``, ``huatai`` or ``exchange``: column names and codes.
    stocks_only : bool
        Leave out funds, bonds and indices (counted in the notes).
    check_dates : bool
        Refuse files whose form the vendor does not have on their day; False for files with made-up dates.
    price_unit : float
        Yuan per unit of the files' prices: 0.0001 for the integers of Huatai's programming interface.
    """

    name = "tonglian"

    def __init__(
        self,
        root: str | Path,
        files: Mapping[str, str | Sequence[str]] | str | None = None,
        dialect: str = "tonglian",
        stocks_only: bool = True,
        check_dates: bool = True,
        price_unit: float = 1.0,
    ):
        if dialect not in DIALECTS:
            raise SourceError(f"tick dialect was {dialect!r}; one of {sorted(DIALECTS)} was expected")
        self.root = Path(root).expanduser()
        self.dialect = dialect
        self.stocks_only = stocks_only
        self.name = dialect
        if isinstance(files, str):
            preset = read_preset(files)
            files = preset.get("files")
            if not isinstance(files, Mapping):
                raise SourceError(f"layout {preset.get('name')!r} has no mapping 'files' of streams to file patterns")
        streams = DIALECTS[dialect]
        unknown = sorted(set(files or {}) - set(streams))
        if unknown:
            raise SourceError(f"files: streams {unknown} are unknown to {dialect}; they are {sorted(streams)}")
        if not price_unit > 0:
            raise SourceError(f"price_unit was {price_unit!r}; yuan per unit of the files' prices was expected")
        self.check_dates = check_dates
        self.price_unit = float(price_unit)
        self.read_log: ReadLog | None = None
        self._files: dict[str, list[tuple[StreamFormat, FilePatterns]]] = {}
        for stream in streams if files is None else files:
            forms = streams[stream]
            given = None if files is None else FilePatterns.of(files[stream], f"files[{stream!r}]")
            self._files[stream] = [(f, given or FilePatterns.of(f.patterns, stream)) for f in forms]
            for pattern in () if given is None else given.patterns:
                if not pattern.daily:
                    texts = [p.text for p in given.patterns] if given else []
                    raise SourceError(f"files[{stream!r}] was {texts}; each needs {{date}} with year, month and day")

    def __repr__(self) -> str:
        return f"TonglianSource({str(self.root)!r}, dialect={self.dialect!r})"

    def days(self) -> np.ndarray:
        """Days on which any stream has a file, ``datetime64[D]``, ascending."""
        patterns = dict.fromkeys(p for forms in self._files.values() for _, f in forms for p in f.patterns)
        return as_days(days_of(patterns, self.root))

    def has(self, table: str, day: dt.date) -> bool:
        """Whether the day has trades, or an order stream (Shenzhen's cancels alone are none)."""
        found, misplaced = self._streams(_date(day))
        if self._wrong_date(table, found, misplaced):
            return True  # loading it raises what is wrong
        here = set(found)
        if table == "trades":
            return bool(here & {"sz_trades", "sh_trades", "sh_merged"})
        if table == "orders":
            return "sh_merged" in here or {"sh_orders", "sh_trades"} <= here or {"sz_orders", "sz_trades"} <= here
        return False

    def load(self, table: str, day: dt.date) -> Loaded:
        """Read trades or orders of one day; raises SourceError where there are none."""
        date = _date(day)
        return self._load(table, date, {})

    def load_day(self, day: dt.date) -> dict[str, "Loaded | MgError"]:
        """Trades and orders of one day, each file read once; a table that cannot be read is its error."""
        date = _date(day)
        read: dict[str, TickStream | MgError] = {}
        out: dict[str, Loaded | MgError] = {}
        for table in ("trades", "orders"):
            if not self.has(table, date):
                continue
            try:
                out[table] = self._load(table, date, read)
            except MgError as error:
                out[table] = error
        for name in self._streams(date)[0] if self.read_log is not None else ():
            if name not in read:  # no table needed the stream: its rows belong in the read log all the same
                with suppress(MgError):
                    self._read(name, date, read)
        return out

    def fingerprint(self, table: str, day: dt.date) -> str:
        """Hash of the content of the files that the table is made of, their form, and this reader's version."""
        date = _date(day)
        found = self._streams(date)[0]
        streams: list[tuple[object, ...]] = []
        for name in sorted(found):
            form, paths, pattern = found[name]
            if table == "trades" and name.endswith("_orders"):  # whether cancels have their orders is noted, no more
                streams.append((name, form.period))
                continue
            # of a name counts the security code, and in which order the files of a stream come
            codes = [pattern.code(self.root, p) for p in paths]
            streams.append((name, form.period, *zip(codes, file_digests(paths), strict=True)))
        return fingerprint_of(VERSION, self.dialect, self.stocks_only, self.price_unit, table, str(date), streams)

    # ------------------------------------------------------------------ streams

    def _streams(self, day: dt.date) -> tuple[dict[str, Found], dict[str, Found]]:
        """Streams that the day has files for, in the form that counts, and files of forms that are not of the day."""
        found: dict[str, Found] = {}
        misplaced: dict[str, Found] = {}
        listed: dict[str, frozenset[str]] = {}
        for name, forms in self._files.items():
            for form, files in forms:
                if name in found or (name in misplaced and not form.covers(day)):
                    continue
                paths, pattern = files.find(self.root, day, listed)
                if pattern is not None:
                    right = form.covers(day) or not self.check_dates
                    (found if right else misplaced)[name] = (form, paths, pattern)
            if name in found:
                misplaced.pop(name, None)
        if "sh_merged" in found and "sh_trades" in found:
            apart = day < MERGED_FROM
            for name in ("sh_merged",) if apart else ("sh_orders", "sh_trades"):
                found.pop(name, None)
        elif "sh_merged" in found:
            found.pop("sh_orders", None)
        return found, misplaced

    def _wrong_date(self, table: str, found: Mapping[str, Found], misplaced: Mapping[str, Found]) -> list[str]:
        """Misplaced streams in whose stead the table has no right ones."""
        wrong = []
        for name in misplaced:
            instead = {"sh_merged": "sh_trades", "sh_orders": "sh_merged", "sh_trades": "sh_merged"}.get(name)
            if instead not in found and not (table == "trades" and name.endswith("_orders")):
                wrong.append(name)
        return wrong if table in ("trades", "orders") else []

    def _load(self, table: str, day: dt.date, read: dict[str, "TickStream | MgError"]) -> Loaded:
        found, misplaced = self._streams(day)
        for name in self._wrong_date(table, found, misplaced):
            every = DIALECTS[self.dialect].items()
            forms = [f"{n} {f.period}" for n, s in every if n.startswith(name[:2]) for f in s]
            raise SourceError(
                f"{misplaced[name][1][0]} is dated {day}, but {self.name} has no {name} of this form on that day "
                f"(forms: {', '.join(forms)}); check the date in its path, or pass check_dates=False if dates are "
                "made up"
            )
        if not self.has(table, day):
            patterns = {n: [p.text for _, f in forms for p in f.patterns[:3]] for n, forms in self._files.items()}
            raise SourceError(
                f"{self.name} has no {table} on {day} below {self.root}; streams found: {sorted(found)}, "
                f"file patterns: {patterns}. Add the files or pass the option 'files'"
            )
        parts, notes = self._parts(table, day, read)
        if misplaced:
            names = [p.name for _, paths, _ in misplaced.values() for p in paths]
            notes["files_outside_their_dates"] = f"{names}: skipped"
        return _streamed(table, day, self.name, parts, notes)

    def _read(self, name: str, day: dt.date, read: dict[str, "TickStream | MgError"]) -> TickStream:
        if name not in read:
            try:
                read[name] = self._read_files(name, day)
            except MgError as error:
                read[name] = error
        ticks = read[name]
        if isinstance(ticks, MgError):
            raise ticks
        return ticks

    def _read_files(self, name: str, day: dt.date) -> TickStream:
        found = self._streams(day)[0].get(name)
        if found is None:
            raise SourceError(f"{self.name}: stream {name} vanished from {self.root} while {day} was read")
        form, paths, pattern = found
        present = {part for part in form.parts if any(p.name.startswith(part) for p in paths)}
        if present and len(present) < len(form.parts):
            lacking = [p for p in form.parts if p not in present]
            raise SourceError(
                f"{paths[0]}: {name} of {day} has no file {lacking[0]}*; a day comes in {len(form.parts)} files "
                f"({', '.join(form.parts)}): fetch the other, half a day would be taken for a whole one"
            )
        others = [paths for n, (_, paths, _) in self._streams(day)[0].items() if n[:2] != name[:2]]
        return read_stream(
            name, form, paths, pattern, self.root, day, self.stocks_only, self.price_unit, self.read_log,
            shared={p for paths in others for p in paths},
        )  # fmt: skip

    def _parts(
        self, table: str, day: dt.date, kept: dict[str, "TickStream | MgError"]
    ) -> tuple[list["Part"], dict[str, object]]:
        """Each exchange's part of a table, Shenzhen first, and the day's notes."""
        here = self._streams(day)[0]
        notes: dict[str, object] = {}
        parts: list[Part] = []

        def take(restore: Restore, *names: str) -> None:
            parts.append((restore, [self._read(n, day, kept) for n in names]))

        if table == "trades":
            if "sz_trades" in here:
                take(partial(_shenzhen_trades, "sz_orders" in here), "sz_trades")
            if "sh_merged" in here:
                take(_merged_trades, "sh_merged")
            elif "sh_trades" in here:
                take(_shanghai_trades, "sh_trades")
            return parts, notes
        if {"sz_orders", "sz_trades"} <= set(here):
            take(partial(shenzhen.restore_shenzhen_orders, one_sequence=here["sz_orders"][0].one_sequence), *SHENZHEN)
        elif "sz_orders" in here or "sz_trades" in here:
            lacking = "sz_trades (which hold the cancels)" if "sz_orders" in here else "sz_orders"
            notes["sz_orders_absent"] = f"no Shenzhen orders on {day}: the day lacks {lacking}"
        if "sh_merged" in here:
            take(_merged_orders, "sh_merged")
        elif {"sh_orders", "sh_trades"} <= set(here):
            take(shanghai.restore_shanghai_orders, *SHANGHAI)
        elif set(here) & {"sh_orders", "sh_trades"}:
            lacking = "sh_trades (needed to restore volumes)" if "sh_orders" in here else "sh_orders"
            notes["sh_orders_absent"] = f"no Shanghai orders on {day}: the day lacks {lacking}"
        return parts, notes


SHENZHEN, SHANGHAI = ("sz_orders", "sz_trades"), ("sh_orders", "sh_trades")
Restore = Callable[..., Restored]
"""From the ticks of some stocks, one a stream, to a table's columns and notes."""
Part = tuple[Restore, list[TickStream]]


def _shenzhen_trades(orders_here: bool, ticks: Ticks) -> Restored:
    columns = shenzhen.fills_with_side(ticks)
    notes: dict[str, object] = {}
    cancels = len(ticks) - len(columns["code"])
    if cancels and not orders_here:
        notes["sz_cancels_left_out"] = cancels
    return columns, {**notes, "sz_side_rule": "larger order number in 09:30-14:57, else 0"}


def _merged_trades(ticks: Ticks) -> Restored:
    return shanghai.split_merged(ticks)[1].columns, {}


def _shanghai_trades(ticks: Ticks) -> Restored:
    return ticks.columns, {}


def _merged_orders(ticks: Ticks) -> Restored:
    return shanghai.restore_shanghai_orders(*shanghai.split_merged(ticks))


def _streamed(
    table: str, day: dt.date, source: str, parts: Sequence[Part], day_notes: Mapping[str, object]
) -> StreamedDay:
    """A table of the day, made some stocks at a time; where no stream was too large for memory, at once."""
    midnight = np.datetime64(day, "ms").astype(np.int64)
    streams = [t for _, used in parts for t in used]
    doubled: dict[str, list[pd.DataFrame]] = {}
    notes: dict[str, object] = {}

    def make() -> Iterator[pa.Table]:
        notes.clear()
        notes.update(day_notes)
        doubled.update({t.name: [] for t in streams})
        for restore, used in parts:
            for low, high in _batches(used):
                ticks = [t.between(low, high) for t in used]
                for stream, some in zip(used, ticks, strict=True):
                    doubled[stream.name].append(some.quarantine)
                columns, more = restore(*ticks)
                _add(notes, more)
                yield _table(table, columns, used[0].exchange, midnight)

    def summarize(rows: int) -> tuple[pd.DataFrame, dict[str, object]]:
        bad = merge_quarantines([f for t in streams for f in (t.quarantine, *doubled[t.name])])
        bad = bad[bad["table"] == table].reset_index(drop=True)
        by_stream = {t.name: t.notes for t in streams}
        if left := notes.get("sz_cancels_left_out"):
            notes["sz_cancels_left_out"] = f"{left} cancels, for the day has no Shenzhen order stream"
        return bad, {"source": source, "streams": by_stream, **notes, "rows": rows, "quarantined": len(bad)}

    return StreamedDay(make, summarize, keep=not any(t.rows.on_disk for t in streams))


def _batches(streams: Sequence[TickStream]) -> Iterator[tuple[int, int]]:
    """Ranges of stocks with about ``BATCH_ROWS`` rows in the streams together; one empty range where there is none."""
    found = [t.rows.stocks() for t in streams]
    codes, index = np.unique(np.concatenate([c for c, _ in found]), return_inverse=True)
    counts = np.bincount(index, weights=np.concatenate([n for _, n in found]), minlength=len(codes))
    yield from ranges(codes, counts.astype(np.int64), BATCH_ROWS) if len(codes) else [(0, 0)]


def _add(notes: dict[str, object], more: Mapping[str, object]) -> None:
    """Add counts up; a text replaces the one before."""
    for key, value in more.items():
        before = notes.get(key, 0)
        notes[key] = before + value if isinstance(value, int) and isinstance(before, int) else value


def _table(table: str, part: dict[str, np.ndarray], exchange: str, midnight: np.int64) -> pa.Table:
    schema = TRADES if table == "trades" else ORDERS
    codes, index = _axis(part["code"])
    names = pa.array([f"{c:06d}.{exchange}" for c in codes.tolist()], pa.string())
    columns: dict[str, pa.Array] = {
        "symbol": pa.DictionaryArray.from_arrays(pa.array(index), names).cast(pa.string()),
        "time": pa.array((part["time"] + midnight).astype("datetime64[ms]")),
        "price": pa.array(part["price"], pa.float64(), from_pandas=True),
    }
    if table == "orders":
        kinds = np.array(["cancel", *(KIND_NAMES[k] for k in sorted(KIND_NAMES))], dtype=object)
        columns["kind"] = pa.DictionaryArray.from_arrays(
            pa.array(part["kind"].astype(np.int8)), pa.array(kinds, pa.string())
        ).cast(pa.string())
    for field in schema:
        if field.name not in columns:
            columns[field.name] = pa.array(part[field.name]).cast(field.type)
    return pa.table([columns[n] for n in schema.names], schema=schema)


def _axis(code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct codes and each row's index among them; the rows are sorted by code."""
    if not len(code):
        return np.empty(0, np.int64), np.empty(0, np.int32)
    first = np.concatenate([[True], np.diff(code) != 0])
    return code[first], (np.cumsum(first) - 1).astype(np.int32)


def _date(day: object) -> dt.date:
    return day if type(day) is dt.date else np.datetime64(str(day)[:10], "D").astype(dt.date)
