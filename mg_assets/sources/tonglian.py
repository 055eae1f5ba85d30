"""Level-2 tick files: Tonglian (DataYes), and with another dialect Huatai Insight or exchange history.

A day's folder holds the Shenzhen order and trade streams and Shanghai's in one of two forms: order
and trade streams apart, or (from 2023-11-27) merged. Which form a day has is told by the files that
are there; where both are, by the cut-over date. :mod:`shanghai` and :mod:`shenzhen` undo what the
exchanges' publication rules leave out.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from mg_assets.errors import SourceError
from mg_assets.market.schema import ORDERS, TRADES
from mg_assets.sources import shanghai, shenzhen
from mg_assets.sources.base import SourceDay
from mg_assets.sources.layout import Files, as_days, digest, stamp
from mg_assets.sources.presets import read_preset
from mg_assets.sources.quarantine import merge
from mg_assets.sources.streams import DIALECTS
from mg_assets.sources.ticks import KIND_NAMES, Ticks, read_stream

VERSION = 1  # raise it when the same files give another table
STREAMS = ("sz_orders", "sz_trades", "sh_orders", "sh_trades", "sh_merged")


class TonglianSource:
    """Trades and orders from level-2 files.

    Parameters
    ----------
    root : str or Path
        Folder of the files.
    files : mapping of str to (str or list of str), or str, optional
        Stream name -> file pattern, or alternatives of which the first that matches is taken, below
        ``root``; placeholders ``{date}``, ``{date:%Y-%m-%d}`` and ``{code}``. A text names a YAML
        file with such a mapping under ``files``. By default ``{date}/`` and the vendor's file names;
        with it, only the streams that it names exist.
    dialect : str
        ``tonglian``, ``huatai`` or ``exchange``: column names and codes.
    stocks_only : bool
        Leave out funds, bonds and indices (counted in the notes).
    """

    name = "tonglian"

    def __init__(
        self,
        root: str | Path,
        files: Mapping[str, str | Sequence[str]] | str | None = None,
        dialect: str = "tonglian",
        stocks_only: bool = True,
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
        given = {n: s.patterns for n, s in streams.items()} if files is None else dict(files)
        self._files = {n: Files.of(v, f"files[{n!r}]") for n, v in given.items()}
        for stream, found in self._files.items():
            if not all(p.daily for p in found.patterns):
                texts = [p.text for p in found.patterns]
                raise SourceError(f"files[{stream!r}] was {texts}; each needs {{date}} with year, month and day")

    def __repr__(self) -> str:
        return f"TonglianSource({str(self.root)!r}, dialect={self.dialect!r})"

    def days(self) -> np.ndarray:
        """Days on which any stream has a file, ``datetime64[D]``, ascending."""
        found: set[dt.date] = set()
        for files in self._files.values():
            found |= files.days(self.root)
        return as_days(found)

    def has(self, table: str, day: dt.date) -> bool:
        """Whether the day has trades, or an order stream (Shenzhen's cancels alone are none)."""
        here = self._here(_date(day))
        if table == "trades":
            return bool(here & {"sz_trades", "sh_trades", "sh_merged"})
        if table == "orders":
            return "sh_merged" in here or {"sh_orders", "sh_trades"} <= here or {"sz_orders", "sz_trades"} <= here
        return False

    def load(self, table: str, day: dt.date) -> SourceDay:
        """Trades or orders of one day. Raises SourceError where there are none."""
        date = _date(day)
        if not self.has(table, date):
            patterns = {n: [p.text for p in f.patterns] for n, f in self._files.items()}
            raise SourceError(
                f"{self.name} has no {table} on {date} below {self.root}; streams found: {sorted(self._here(date))}, "
                f"file patterns: {patterns}. Add the files or pass the option 'files'"
            )
        return self._trades(date) if table == "trades" else self._orders(date)

    def fingerprint(self, table: str, day: dt.date) -> str:
        """Hash of the day's files (size and time), the layout and this reader's version."""
        date = _date(day)
        used = [p for n in sorted(self._here(date)) for p in self._files[n].find(self.root, date)[0]]
        return digest(VERSION, self.dialect, self.stocks_only, table, str(date), stamp(used))

    # ------------------------------------------------------------------ streams

    def _here(self, day: dt.date) -> set[str]:
        """Streams that the day has files for; of Shanghai's two forms only the one that counts."""
        found = {n for n, f in self._files.items() if f.find(self.root, day)[0]}
        if "sh_merged" in found and "sh_trades" in found:
            found -= {"sh_orders", "sh_trades"} if day >= shanghai.MERGED_FROM else {"sh_merged"}
        elif "sh_merged" in found:
            found -= {"sh_orders"}
        return found

    def _read(self, name: str, day: dt.date) -> Ticks:
        paths, pattern = self._files[name].find(self.root, day)
        if pattern is None:
            raise SourceError(f"{self.name}: stream {name} vanished from {self.root} while {day} was read")
        return read_stream(name, DIALECTS[self.dialect][name], paths, pattern, self.root, day, self.stocks_only)

    def _trades(self, day: dt.date) -> SourceDay:
        here = self._here(day)
        parts: list[dict[str, np.ndarray]] = []
        read: dict[str, Ticks] = {}
        notes: dict[str, object] = {}
        if "sz_trades" in here:
            read["sz_trades"] = self._read("sz_trades", day)
            parts.append(shenzhen.fills_with_side(read["sz_trades"]))
            cancels = len(read["sz_trades"]) - len(parts[-1]["code"])
            if "sz_orders" not in here and cancels:
                notes["sz_cancels_left_out"] = f"{cancels} cancels, for the day has no Shenzhen order stream"
            notes["sz_side_rule"] = "larger order number in 09:30-14:57, else 0"
        if "sh_merged" in here:
            read["sh_merged"] = self._read("sh_merged", day)
            parts.append(shanghai.split_merged(read["sh_merged"])[1].columns)
        elif "sh_trades" in here:
            read["sh_trades"] = self._read("sh_trades", day)
            parts.append(read["sh_trades"].columns)
        return self._day("trades", day, parts, read, notes)

    def _orders(self, day: dt.date) -> SourceDay:
        here = self._here(day)
        parts: list[dict[str, np.ndarray]] = []
        read: dict[str, Ticks] = {}
        notes: dict[str, object] = {}
        if {"sz_orders", "sz_trades"} <= here:
            read["sz_orders"], read["sz_trades"] = self._read("sz_orders", day), self._read("sz_trades", day)
            columns, said = shenzhen.restore_orders(read["sz_orders"], read["sz_trades"])
            parts.append(columns)
            notes.update(said)
        elif "sz_orders" in here or "sz_trades" in here:
            lacking = "sz_trades (which hold the cancels)" if "sz_orders" in here else "sz_orders"
            notes["sz_orders_absent"] = f"no Shenzhen orders on {day}: the day lacks {lacking}"
        if "sh_merged" in here:
            read["sh_merged"] = self._read("sh_merged", day)
            columns, said = shanghai.restore_orders(*shanghai.split_merged(read["sh_merged"]))
            parts.append(columns)
            notes.update(said)
        elif {"sh_orders", "sh_trades"} <= here:
            read["sh_orders"], read["sh_trades"] = self._read("sh_orders", day), self._read("sh_trades", day)
            columns, said = shanghai.restore_orders(read["sh_orders"], read["sh_trades"])
            parts.append(columns)
            notes.update(said)
        elif here & {"sh_orders", "sh_trades"}:
            lacking = "sh_trades (needed to restore volumes)" if "sh_orders" in here else "sh_orders"
            notes["sh_orders_absent"] = f"no Shanghai orders on {day}: the day lacks {lacking}"
        return self._day("orders", day, parts, read, notes)

    def _day(self, table, day, parts, read: dict[str, Ticks], notes: dict[str, object]) -> SourceDay:
        midnight = np.datetime64(day, "ms").astype(np.int64)
        frames = []
        for part, ticks in zip(parts, _owners(table, read), strict=True):
            frames.append((part, ticks.exchange))
        frames.sort(key=lambda f: f[1], reverse=True)  # 000001.SZ..309999.SZ before 600000.SH..689999.SH
        arrow = pa.concat_tables([_table(table, part, exchange, midnight) for part, exchange in frames])
        bad = merge([t.quarantine for t in read.values()])
        bad = bad[bad["table"] == table].reset_index(drop=True)
        streams = {name: t.notes for name, t in read.items()}
        notes = {"source": self.name, "streams": streams, **notes, "rows": arrow.num_rows, "quarantined": len(bad)}
        return SourceDay(arrow.to_pandas(), bad, notes)


def _owners(table: str, read: dict[str, Ticks]) -> list[Ticks]:
    """The stream that each part of a table came from, one an exchange."""
    by_exchange: dict[str, Ticks] = {}
    for ticks in read.values():
        by_exchange.setdefault(ticks.exchange, ticks)
    return list(by_exchange.values())


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
    """Distinct codes and each row's place among them; the rows are sorted by code."""
    if not len(code):
        return np.empty(0, np.int64), np.empty(0, np.int32)
    first = np.concatenate([[True], np.diff(code) != 0])
    return code[first], (np.cumsum(first) - 1).astype(np.int32)


def _date(day: object) -> dt.date:
    return day if type(day) is dt.date else np.datetime64(str(day)[:10], "D").astype(dt.date)
