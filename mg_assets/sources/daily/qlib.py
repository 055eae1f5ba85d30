"""Qlib's binary dataset: daily bars, adjustment factor and index membership.

``calendars/day.txt`` lists the days; ``features/<symbol>/<field>.day.bin`` holds little-endian
float32, of which the first is the calendar index of the second; ``instruments/<list>.txt`` holds
symbol, first day, last day (inclusive).

Convention: prices are adjusted (raw = price / factor) and volume is divided by the factor (raw =
volume x factor). Datasets exist that hold raw prices (``raw_prices``), raw volumes beside adjusted
prices (``raw_volume``), or both. Raw A-share prices lie on 0.01 yuan and raw volumes are whole
shares; where the data plainly contradicts the switches the source raises an error that names the switch.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from mg_assets.errors import DataError, SourceError
from mg_assets.market.rules import round_to_tick
from mg_assets.market.schema import INDICES
from mg_assets.sources.daily.dataset import DatasetSource
from mg_assets.sources.daily.history import DailyHistory
from mg_assets.sources.daily.members import DateRanges
from mg_assets.sources.daily.panel import build_panel
from mg_assets.sources.daily.vetting import OHLC, DailyRows
from mg_assets.sources.fingerprint import file_digests
from mg_assets.sources.io.dates import to_date
from mg_assets.sources.io.row_count import require_all_rows
from mg_assets.sources.io.symbols import symbol_axis

FIELDS = {**dict.fromkeys((*OHLC, "volume")), "factor": "adj_factor", "vwap": "vwap", "amount": "amount"}
REQUIRED = (*OHLC, "volume", "factor")
SAMPLED = 20_000
"""Values that are checked for the convention that the switches name."""


class QlibSource(DatasetSource):
    """Daily bars and reference from a Qlib dataset.

    Parameters
    ----------
    root : str or Path
        Folder with ``calendars``, ``features`` and ``instruments``.
    raw_prices : bool
        Prices are raw already; ``factor`` is then only the adjustment factor.
    raw_volume : bool, optional
        Volumes are raw already; by default the same as ``raw_prices``.
    indices : mapping of str to str, optional
        Index -> file in ``instruments``; by default ``csi300.txt``, ``csi500.txt``, ``csi1000.txt``,
        as far as they exist.
    """

    name = "qlib"

    def __init__(
        self,
        root: str | Path,
        raw_prices: bool = False,
        raw_volume: bool | None = None,
        indices: Mapping[str, str] | None = None,
    ):
        super().__init__(root)
        self.raw_prices = raw_prices
        self.raw_volume = raw_prices if raw_volume is None else raw_volume
        unknown = sorted(set(indices or {}) - set(INDICES))
        if unknown:
            raise SourceError(f"qlib: indices {unknown} are unknown; they are {list(INDICES)}")
        self._indices = dict(indices or {})

    def __repr__(self) -> str:
        return f"QlibSource({str(self.root)!r}, raw_prices={self.raw_prices}, raw_volume={self.raw_volume})"

    @cached_property
    def _folders(self) -> list[Path]:
        features = self.root / "features"
        if not features.is_dir():
            raise SourceError(
                f"qlib dataset {self.root} has no folder 'features'; point root at the dataset's own folder"
            )
        return sorted(p for p in features.iterdir() if p.is_dir())

    @cached_property
    def incomplete(self) -> dict[Path, str]:
        """Folders of stocks that lack a file, which are left out, and what they lack."""
        position = symbol_axis(pa.chunked_array([[p.name.upper() for p in self._folders]]))[1].tolist()
        out: dict[Path, str] = {}
        for folder in (f for f, at in zip(self._folders, position, strict=True) if at >= 0):
            lacking = [f"{n}.day.bin" for n in REQUIRED if not (folder / f"{n}.day.bin").is_file()]
            if lacking:
                fields = ", ".join(REQUIRED)
                out[folder] = f"{folder} lacks {', '.join(lacking)}: the stock is left out; dump the fields {fields}"
        return out

    def _content(self) -> list[object]:
        """All that decides the rows: switches, the role of each file that is there, and its digest."""
        files = {f"{f.name}/{n}": f / f"{n}.day.bin" for f in self._folders for n in FIELDS}
        files["calendar"] = self.root / "calendars" / "day.txt"
        files |= {name: self._list_of(name) for name in ("all", *INDICES)}
        here = {role: path for role, path in files.items() if path.is_file()}
        digests = file_digests(list(here.values()))
        return ["qlib", self.raw_prices, self.raw_volume, list(zip(here, digests, strict=True))]

    def _list_of(self, name: str) -> Path:
        return self.root / "instruments" / self._indices.get(name, f"{name}.txt")

    def _read(self) -> DailyHistory:
        rows = self._rows()
        listed: dict[str, np.ndarray] = {}
        every = self._list_of("all")
        if every.is_file():
            spans = read_instruments(every, rows.axis)
            first = np.full(len(rows.axis), np.datetime64("NaT", "D"))
            first[spans.symbol[::-1]] = spans.start[::-1]
            listed["list_date"] = first
        membership = {}
        for index in INDICES:
            path = self._list_of(index)
            if path.is_file():
                membership[index] = read_instruments(path, rows.axis)
            elif index in self._indices:
                raise SourceError(f"{path} does not exist; check the option 'indices'")
        return DailyHistory(build_panel(rows, listed.get("list_date")), listed, membership)

    def _rows(self) -> DailyRows:
        calendar = read_calendar(self.root / "calendars" / "day.txt")
        axis, position, _ = symbol_axis(pa.chunked_array([[p.name.upper() for p in self._folders]]))
        parts: dict[str, list[np.ndarray]] = {}
        symbols, dates, places = [], [], []
        values_read = outside = 0
        for folder, at in zip(self._folders, position.tolist(), strict=True):
            if at < 0 or folder in self.incomplete:
                continue
            start, fields = _read_stock(folder)
            length = len(fields["close"])
            over = start + length - len(calendar)
            if over > 0:
                raise DataError(
                    f"{folder}/close.day.bin: values from index {start} on end {over} days after "
                    f"the calendar's last day {calendar[-1]}; dump calendar and features together"
                )
            given = np.any([~np.isnan(fields[n]) for n in (*OHLC, "volume")], axis=0)
            from_, to = (int(np.argmax(given)), length - int(np.argmax(given[::-1]))) if given.any() else (0, 0)
            for name, values in fields.items():
                parts.setdefault(name, []).append(values[from_:to])
            symbols.append(np.full(to - from_, at, np.int32))
            dates.append(calendar[start + from_ : start + to])
            places.append(np.arange(from_, to))
            values_read, outside = values_read + length, outside + length - (to - from_)
        if self.incomplete and not symbols:
            raise DataError(next(iter(self.incomplete.values())))
        if not symbols:
            raise DataError(f"qlib dataset {self.root}: no stock below 'features'; folders are named like sh600000")
        whole = {k: np.concatenate(v) for k, v in parts.items() if len(v) == len(symbols)}
        columns = self._raw(whole)
        names = np.array([str(self.root / "features" / f"{s[7:].lower()}{s[:6]}") for s in axis], dtype=object)
        symbol = np.concatenate(symbols)
        require_all_rows(self.root / "features", values_read, read=len(symbol), days_without_any_value=outside)
        notes: dict[str, object] = {
            "convention": f"raw_prices={self.raw_prices}, raw_volume={self.raw_volume}",
            "stocks": len(axis),
        }
        if outside:
            notes["days_without_any_value"] = outside
        if self.incomplete:
            names_of = ", ".join(sorted(f.name for f in self.incomplete)[:20])
            notes["folders_that_lack_a_file"] = f"{len(self.incomplete)}: {names_of}"
        for name, code in (("folders_of_other_securities", -2), ("folders_that_are_no_symbol", -1)):
            if left_out := [p.name for p, at in zip(self._folders, position.tolist(), strict=True) if at == code]:
                notes[name] = f"{len(left_out)}: {', '.join(left_out[:20])}"
        if partial := sorted(k for k, v in parts.items() if len(v) < len(symbols)):
            notes["fields_of_some_stocks_only"] = f"{', '.join(partial)}: left out"
        return DailyRows(
            axis=axis,
            symbol=symbol,
            date=np.concatenate(dates),
            columns=columns,
            file=names[symbol],
            row=np.concatenate(places) + 1,
            notes=notes,
        )

    def _raw(self, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Raw prices and volumes from the stored ones."""
        factor = stored["factor"]
        self._agree(stored["close"], stored["volume"], factor)
        divisor = 1.0 if self.raw_prices else factor
        columns = {n: round_to_tick(stored[n] / divisor) for n in OHLC}
        columns["volume"] = np.rint(stored["volume"] * (1.0 if self.raw_volume else factor))
        columns["adj_factor"] = factor
        if "vwap" in stored:
            columns["vwap"] = stored["vwap"] / divisor
        if "amount" in stored:
            columns["amount"] = stored["amount"]
        return columns

    def _agree(self, close: np.ndarray, volume: np.ndarray, factor: np.ndarray) -> None:
        """Raise DataError where the data plainly follows another convention than the switches."""
        small = np.minimum(close, close / factor) < 2000  # single precision still resolves a tenth of a fen
        checked = np.flatnonzero(small & (np.abs(factor - 1) > 1e-3) & (volume > 0))
        checked = checked[:: max(len(checked) // SAMPLED, 1)]
        if len(checked) < 100:
            return
        adjusted, raw = _on_tick(close[checked] / factor[checked]), _on_tick(close[checked])
        if (raw if self.raw_prices else adjusted) < 0.8 and (adjusted if self.raw_prices else raw) > 0.95:
            raise DataError(
                f"qlib dataset {self.root}: raw_prices={self.raw_prices}, but {adjusted:.0%} of close / factor and "
                f"{raw:.0%} of close lie on 0.01 yuan; set raw_prices={not self.raw_prices}"
            )
        small = volume[checked] < 2**22  # single precision still holds quarters of a share
        if small.sum() < 100:
            return
        whole = float(np.mean(np.abs(volume[checked][small] % 1) < 1e-6))
        if not self.raw_volume and whole > 0.99:
            raise DataError(
                f"qlib dataset {self.root}: raw_volume=False, but {whole:.0%} of the volumes are whole numbers where "
                "the factor is not 1: they are not divided by it; set raw_volume=True"
            )
        if self.raw_volume and whole < 0.5:
            raise DataError(
                f"qlib dataset {self.root}: raw_volume=True, but only {whole:.0%} of the volumes are whole numbers: "
                "they are divided by the factor; set raw_volume=False"
            )


def _on_tick(prices: np.ndarray) -> float:
    """Share of prices within 0.0005 of a whole fen."""
    return float(np.mean(np.abs(prices * 100 - np.rint(prices * 100)) < 0.05))


def _read_stock(folder: Path) -> tuple[int, dict[str, np.ndarray]]:
    fields: dict[str, np.ndarray] = {}
    starts: dict[str, int] = {}
    for field, ours in FIELDS.items():
        path = folder / f"{field}.day.bin"
        if not path.is_file():  # of a field that is not required
            continue
        size = path.stat().st_size
        if size < 8 or size % 4:
            raise DataError(f"{path} has {size} bytes; float32 values after a start index were expected: dump it again")
        values = np.fromfile(path, "<f4")
        if not (np.isfinite(values[0]) and values[0] >= 0 and values[0] == np.floor(values[0])):
            raise DataError(f"{path}: the start index was {values[0]}; a calendar position was expected: dump it again")
        starts[field] = int(values[0])
        fields[field if ours is None else {"adj_factor": "factor"}.get(ours, ours)] = values[1:].astype(np.float64)
    if len(set(starts.values())) > 1 or len({len(v) for v in fields.values()}) > 1:
        lengths = {k: (starts[k], len(v)) for k, v in fields.items()}
        raise DataError(
            f"{folder}: fields differ in start index or length {lengths}; the dump is incomplete: dump it again"
        )
    return starts["close"], fields


def _text_of(path: Path) -> str:
    """A text file's content, in UTF-8 whatever the locale."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8 ({error}); dump it again") from error


def read_calendar(path: Path) -> np.ndarray:
    """Days of a calendar file, ``datetime64[D]``, ascending."""
    if not path.is_file():
        raise SourceError(f"{path} does not exist; point root at the dataset's own folder")
    days = np.array([to_date(line) for line in _text_of(path).split()], "datetime64[D]")
    if not len(days) or np.isnat(days).any() or np.any(np.diff(days) <= np.timedelta64(0, "D")):
        raise DataError(f"{path}: ascending dates, one a line, were expected; dump the calendar again")
    return days


def read_instruments(path: Path, axis: np.ndarray) -> DateRanges:
    """Spans of an instruments file (symbol, first day, last day, tab-separated) on an axis."""
    lines = [line.split() for line in _text_of(path).splitlines() if line.strip()]
    short = next((i for i, fields in enumerate(lines) if len(fields) < 3), None)
    if short is not None:
        raise DataError(f"{path}: line {short} is {lines[short]}; symbol, first day, last day were expected")
    words = pa.chunked_array([pa.array([f[0] for f in lines], pa.string())])
    own, index, _ = symbol_axis(words)
    position = {s: i for i, s in enumerate(axis)}
    to_axis = np.array([*(position.get(s, -1) for s in own), -1], np.int64)
    symbol = to_axis[np.where(index >= 0, index, len(own))]
    start, end = (np.array([to_date(f[i]) for f in lines], "datetime64[D]") for i in (1, 2))
    if np.isnat(start).any() or np.isnat(end).any():
        line = int(np.flatnonzero(np.isnat(start) | np.isnat(end))[0])
        raise DataError(f"{path}: line {line} is {lines[line]}; its date is none, write it as 2020-01-31")
    keep = symbol >= 0
    return DateRanges(symbol[keep], start[keep], end[keep])
