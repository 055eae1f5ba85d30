"""Small sound files of every reader, seeded mutations of them, and what the reader makes of a mutated one.

An outcome is ``as clean`` (the same tables), ``other values`` (a changed value that no rule refuses), ``set aside``
(rows in the quarantine), ``refused`` (an error of the project's that names the file), or a fault: ``traceback`` (any
other exception, or an error that names no file), ``lost`` (lines that are neither rows, nor set aside, nor left out by
name), ``hang``. Lines are counted here by code that shares nothing with the readers.
"""

import datetime as dt
import gzip
import io
import re
import shutil
import signal
import sqlite3
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from exported import exported
from program_files import daily_bars, minute_bars, ricequant, tdx_days, tdx_minutes, vnpy_database, vnpy_rows
from vendor_files import as_text, huatai_shanghai, huatai_shenzhen, shenzhen_files

from mg_assets.errors import MgError
from mg_assets.sources import build_source
from mg_assets.sources.base import Loaded
from mg_assets.sources.daily.qlib import QlibSource
from mg_assets.sources.level2.snapshots import SnapshotSource
from mg_assets.sources.level2.tonglian import TonglianSource
from mg_assets.sources.mapped.source import MappedSource

FAULTS = ("traceback", "lost", "hang")
OUTCOMES = ("as clean", "other values", "set aside", "refused", *FAULTS)
SECONDS = 30
DAY, MERGED = dt.date(2023, 2, 1), dt.date(2023, 11, 27)
Files = dict[str, bytes]


@dataclass(frozen=True)
class Reading:
    """What a reader made of its files.

    Attributes
    ----------
    tables : list of DataFrame
    quarantine : DataFrame
        One row for each row that was set aside.
    accounted : dict of str to int
        By group of files, rows read, set aside and left out by name.
    """

    tables: list[pd.DataFrame]
    quarantine: pd.DataFrame
    accounted: dict[str, int]


@dataclass(frozen=True)
class Kind:
    """A reader with its sound files, and the counts that it must account for.

    Attributes
    ----------
    files : dict of str to bytes
    read : callable
    lines : callable
        Rows in a file, from its name and content.
    group : callable
        The group of a file's stem, by which the rows are counted; the stem itself by default.
    """

    files: Files
    read: Callable[[Path], Reading]
    lines: Callable[[str, bytes], int]
    group: Callable[[str], str] = str

    def expected(self, files: Files) -> dict[str, int]:
        """Rows of each group of files."""
        found: Counter = Counter()
        for path, data in files.items():
            found[self.group(_stem(path))] += self.lines(path, data)
        return found


class TooSlowError(Exception):
    """A reader took more than ``SECONDS``."""


# ------------------------------------------------------------------ mutations


def _at(rng: np.random.Generator, data: bytes) -> int:
    return int(rng.integers(0, max(len(data), 1)))


def _line_list(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def _cut(rng: np.random.Generator, data: bytes) -> bytes:
    return data[: _at(rng, data)]


def _cut_last_field(rng: np.random.Generator, data: bytes) -> bytes:
    return data[: max(len(data) - int(rng.integers(1, 12)), 0)]


def _lost_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    at = _at(rng, data)
    return data[:at] + data[at + int(rng.integers(1, 300)) :]


def _inserted(*texts: bytes) -> Callable[[np.random.Generator, bytes], bytes]:
    def change(rng: np.random.Generator, data: bytes) -> bytes:
        for _ in range(int(rng.integers(1, 4))):
            at = _at(rng, data)
            data = data[:at] + texts[int(rng.integers(len(texts)))] + data[at:]
        return data

    return change


def _overwritten(rng: np.random.Generator, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        if out:
            out[_at(rng, data)] = int(rng.integers(256))
    return bytes(out)


def _zeroed(rng: np.random.Generator, data: bytes) -> bytes:
    at, size = _at(rng, data), int(rng.integers(1, 2000))
    return data[:at] + bytes(len(data[at : at + size])) + data[at + size :]


def _swapped_lines(rng: np.random.Generator, data: bytes) -> bytes:
    lines = _line_list(data)
    if len(lines) > 1:
        i, j = rng.integers(0, len(lines), 2)
        lines[i], lines[j] = lines[j], lines[i]
    return b"".join(lines)


def _line_again(rng: np.random.Generator, data: bytes) -> bytes:
    lines = _line_list(data)
    if lines:
        lines.insert(int(rng.integers(len(lines))), lines[int(rng.integers(len(lines)))])
    return b"".join(lines)


def _header_again(rng: np.random.Generator, data: bytes) -> bytes:
    lines = _line_list(data)
    if lines:
        lines.insert(int(rng.integers(1, len(lines) + 1)), lines[0])
    return b"".join(lines)


def _header_alone(rng: np.random.Generator, data: bytes) -> bytes:
    return b"".join(_line_list(data)[:1])


def _blank_lines(rng: np.random.Generator, data: bytes) -> bytes:
    lines = _line_list(data)
    for _ in range(int(rng.integers(1, 4))):
        lines.insert(int(rng.integers(0, len(lines) + 1)) if rng.random() < 0.6 else 0, b"\n")
    return b"".join(lines)


WORDS = (
    b"many", b"", b"-", b"nan", b"inf", b"-1", b"1e999", b"1e30", b"0x10", b"99999999999999999999", b"1,5", b"N.A.",
    b"2023-02-30", b"25:61:00", "买".encode(), "买".encode("gb18030"), b"\xff\xfe", b" ", b'"', b'"12', b"0",
)  # fmt: skip


def _word_in_a_cell(rng: np.random.Generator, data: bytes) -> bytes:
    lines = _line_list(data)
    if len(lines) < 2:
        return data
    at = int(rng.integers(1, len(lines)))
    cells = lines[at].split(b",")
    i = int(rng.integers(len(cells)))
    cells[i] = WORDS[int(rng.integers(len(WORDS)))] + (b"\n" if i == len(cells) - 1 else b"")
    lines[at] = b",".join(cells)
    return b"".join(lines)


def _word_in_a_column(rng: np.random.Generator, data: bytes) -> bytes:
    lines = [x.split(b",") for x in _line_list(data)]
    i, word = int(rng.integers(len(lines[0]) if lines else 1)), WORDS[int(rng.integers(len(WORDS)))]
    for cells in lines[1:]:
        if i < len(cells) - 1:
            cells[i] = word
    return b"".join(b",".join(cells) for cells in lines)


def _other_line_ends(rng: np.random.Generator, data: bytes) -> bytes:
    ends = (b"\r\n", b"\r", b"\n", b"\n\n", b"\r\r\n")
    lines = data.splitlines()
    if rng.random() < 0.5:
        return ends[int(rng.integers(len(ends)))].join(lines)
    return b"".join(x + ends[int(rng.integers(len(ends)))] for x in lines)


def _encoded(rng: np.random.Generator, data: bytes) -> bytes:
    text = data.decode("latin-1")
    name = ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-8")[int(rng.integers(5))]
    return text.encode(name)


def _another_delimiter(rng: np.random.Generator, data: bytes) -> bytes:
    return data.replace(b",", (b";", b"\t", b"|", b" ", b",,")[int(rng.integers(5))])


def _a_long_line(rng: np.random.Generator, data: bytes) -> bytes:
    at = _at(rng, data)
    return data[:at] + b"7" * int(rng.integers(70_000, 300_000)) + data[at:]


TEXT_MUTATIONS: dict[str, Callable[[np.random.Generator, bytes], bytes]] = {
    "cut": _cut, "cut last field": _cut_last_field, "bytes lost": _lost_bytes, "stray quotes": _inserted(b'"'),
    "stray delimiters": _inserted(b",", b";", b"\t"), "line breaks": _inserted(b"\n", b"\r", b"\r\n"),
    "zero bytes": _inserted(b"\0", b"\0\0\0"), "odd bytes": _inserted(b"\xff", b"\x81", b"\xef\xbb\xbf", b"\x1a"),
    "overwritten": _overwritten, "zeroed": _zeroed, "swapped lines": _swapped_lines, "a line again": _line_again,
    "header again": _header_again, "header alone": _header_alone, "blank lines": _blank_lines,
    "word in a cell": _word_in_a_cell, "word in a column": _word_in_a_column, "line ends": _other_line_ends,
    "encoding": _encoded, "delimiter": _another_delimiter, "long line": _a_long_line,
}  # fmt: skip


def _bits(rng: np.random.Generator, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        if out:
            out[_at(rng, data)] ^= 1 << int(rng.integers(8))
    return bytes(out)


def _a_float(rng: np.random.Generator, data: bytes) -> bytes:
    values = np.frombuffer(data[: len(data) // 4 * 4], "<f4").copy()
    if len(values):
        value = (np.nan, np.inf, -np.inf, -1.0, 0.0, 1e38, 1e9, 0.5)[int(rng.integers(8))]
        values[int(rng.integers(len(values))) if rng.random() < 0.8 else 0] = value
    return values.tobytes()


BINARY_MUTATIONS: dict[str, Callable[[np.random.Generator, bytes], bytes]] = {
    "cut": _cut, "bytes lost": _lost_bytes, "overwritten": _overwritten, "zeroed": _zeroed, "bits": _bits,
    "a float": _a_float, "empty": lambda rng, data: b"", "twice": lambda rng, data: data + data,
}  # fmt: skip


def _column(
    change: Callable[[np.random.Generator, pd.Series], object],
) -> Callable[[np.random.Generator, bytes], bytes]:
    def changed(rng: np.random.Generator, frame: pd.DataFrame) -> pd.DataFrame:
        name = str(rng.choice(frame.columns))
        return frame.assign(**{name: change(rng, frame[name])})

    return _parquet(changed)


def _parquet(change: Callable[[np.random.Generator, pd.DataFrame], pd.DataFrame]) -> Callable:
    """A change of the table in a Parquet file; bytes that are none stay as they are."""

    def changed(rng: np.random.Generator, data: bytes) -> bytes:
        try:
            frame = pq.read_table(io.BytesIO(data)).to_pandas()
            out = io.BytesIO()
            size = int(rng.choice([20, 1 << 20]))
            pq.write_table(pa.Table.from_pandas(change(rng, frame), preserve_index=False), out, row_group_size=size)
        except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError):
            return data
        return out.getvalue()

    return changed


VALUES = (None, np.nan, np.inf, -1, 0, 2**40, 2**62, 1e30, 0.5, "many", "", "1e999", "25:61:00", "买", b"\xff",
          dt.date(2023, 2, 30 - 2), dt.datetime(2023, 2, 1, 9, 30), dt.timedelta(hours=10), True)  # fmt: skip


def _value(rng: np.random.Generator) -> object:
    return VALUES[int(rng.integers(len(VALUES)))]


def _some(rng: np.random.Generator, column: pd.Series) -> pd.Series:
    out, value = column.astype(object).copy(), _value(rng)
    if len(out):
        for at in rng.integers(0, len(out), int(rng.integers(1, 4))):
            out.iloc[at] = value
    return out if rng.random() < 0.5 else out.map(str)


PARQUET_MUTATIONS: dict[str, Callable[[np.random.Generator, bytes], bytes]] = {
    **{n: c for n, c in BINARY_MUTATIONS.items() if n not in ("a float", "twice")},
    "values": _column(_some),
    "a column of one value": _column(lambda rng, c: pd.Series([_value(rng)] * len(c), index=c.index, dtype=object)),
    "text": _column(lambda rng, c: c.astype(str)),
    "floats": _column(lambda rng, c: pd.to_numeric(c, errors="coerce")),
    "categories": _column(lambda rng, c: c.astype("category")),
    "lists": _column(lambda rng, c: pd.Series([[x] for x in c], index=c.index)),
    "bytes": _column(lambda rng, c: c.map(lambda x: str(x).encode())),
    "no column": _parquet(lambda rng, f: f.drop(columns=str(rng.choice(f.columns)))),
    "another name": _parquet(lambda rng, f: f.rename(columns={str(rng.choice(f.columns)): "x"})),
    "no rows": _parquet(lambda rng, f: f.iloc[:0]),
    "rows lost": _parquet(lambda rng, f: f.drop(index=f.index[rng.random(len(f)) < 0.1])),
    "rows again": _parquet(lambda rng, f: pd.concat([f, f.iloc[: int(rng.integers(1, 5))]])),
    "another order": _parquet(lambda rng, f: f.iloc[rng.permutation(len(f))]),
}


def _database_cells(rng: np.random.Generator, data: bytes) -> bytes:
    """Another value in a column of some rows of a database; bytes that are none stay as they are."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.db"
        path.write_bytes(data)
        database = sqlite3.connect(path)
        try:
            names = [row[1] for row in database.execute("PRAGMA table_info(dbbardata)")]
            value = (-1, 0, 2**40, 1e30, 0.5, "many", "", "2023-02-30 09:31:00", "25:61", "买", b"\xff")[
                rng.integers(11)
            ]
            update = f"UPDATE OR IGNORE dbbardata SET {rng.choice(names[1:])} = ? WHERE id % 97 = ?"
            database.execute(update, (value, int(rng.integers(97))))
            database.commit()
        except (sqlite3.Error, IndexError, ValueError, OverflowError):
            return data
        finally:
            database.close()
        return path.read_bytes()


DATABASE_MUTATIONS = {**BINARY_MUTATIONS, **{f"cells {i}": _database_cells for i in range(8)}}


def mutated(rng: np.random.Generator, files: Mapping[str, bytes]) -> tuple[Files, str, str]:
    """The files with one of them mutated (under another name where it is packed); its name and what was done."""
    name = sorted(files)[int(rng.integers(len(files)))]
    data, done = files[name], []
    table = TEXT_MUTATIONS if name.endswith((".csv", ".txt")) else BINARY_MUTATIONS
    table = PARQUET_MUTATIONS if name.endswith(".parquet") else table
    table = DATABASE_MUTATIONS if name.endswith(".db") else table
    for _ in range(int(rng.integers(1, 4))):
        what = sorted(table)[int(rng.integers(len(table)))]
        data, done = table[what](rng, data), [*done, what]
    out = {k: v for k, v in files.items() if k != name}
    if name.endswith(".csv") and "/" in name and rng.random() < 0.15:
        data, name = gzip.compress(data), f"{name}.gz"
        done.append("packed")
        if rng.random() < 0.6:
            what = ("cut", "overwritten", "bits")[int(rng.integers(3))]
            data, done = BINARY_MUTATIONS[what](rng, data), [*done, what]
    return {**out, name: data}, name, ", ".join(done)


# ------------------------------------------------------------------ readers


def data_lines(data: bytes) -> int:
    """Lines that are not empty, but the first."""
    return len([x for x in re.split(rb"\r\n|\r|\n", data.removeprefix(b"\xef\xbb\xbf")) if x]) - 1


def text_lines(name: str, data: bytes) -> int:
    """Data lines of a file that may be packed."""
    return data_lines(gzip.decompress(data) if name.endswith(".gz") else data)


def _stem(path: str) -> str:
    return Path(path).name.split(".")[0]


def _per_file(quarantine: pd.DataFrame) -> Counter:
    return Counter(_stem(f) for f in quarantine["file"])


def _number(notes: Mapping, key: str) -> int:
    return int(str(notes.get(key, 0)).split(" ")[0])


STREAMS = {
    "Transaction": "sh_trades", "sh_trans": "sh_trades", "mdl_4_19_0": "sh_orders", "mdl_4_24_0": "sh_merged",
    "mdl_6_33_0": "sz_orders", "mdl_6_36_0": "sz_trades", "sz_trans": "sz_trades",
    "am_hq_order_spot": "sz_orders", "pm_hq_order_spot": "sz_orders",
    "am_hq_trade_spot": "sz_trades", "pm_hq_trade_spot": "sz_trades",
}  # fmt: skip


def stream_of(stem: str) -> str:
    """The stream of a level-2 file."""
    return STREAMS.get(stem, stem)


def read_level2(day: dt.date, dialect: str = "tonglian") -> Callable[[Path], Reading]:
    """A reader of a day's level-2 files."""

    def read(root: Path) -> Reading:
        source = TonglianSource(root, dialect=dialect)
        loaded: dict[str, Loaded] = {}
        for table, got in source.load_day(day).items():
            if isinstance(got, MgError):
                raise got
            loaded[table] = got
        trades, orders = loaded["trades"], loaded["orders"]
        aside = pd.concat([trades.quarantine, orders.quarantine], ignore_index=True)
        notes, streams = orders.notes, trades.notes["streams"] | orders.notes["streams"]
        count = Counter(stream_of(_stem(f)) for f in aside["file"])
        shanghai = trades.frame["symbol"].str.endswith(".SH")
        published = _number(notes, "sh_orders_published") + _number(notes, "sh_cancels")
        rows = {
            "sh_trades": int(shanghai.sum()), "sh_orders": published, "sh_merged": int(shanghai.sum()) + published,
            "sz_orders": _number(notes, "sz_orders"),
            "sz_trades": int((~shanghai).sum()) + _number(notes, "sz_cancels"),
        }  # fmt: skip
        left_out = ("rows_of_other_securities", "status_rows")
        accounted = {s: rows[s] + count[s] + sum(found.get(k, 0) for k in left_out) for s, found in streams.items()}
        return Reading([trades.frame, orders.frame], aside, accounted)

    return read


def read_daily(root: Path) -> Reading:
    """Daily bars in one file, with adjustment factors in another."""
    source = MappedSource("tushare", root)
    days = source.days().tolist()
    loaded = [source.load("daily_bars", d) for d in days]
    aside = pd.concat([d.quarantine for d in loaded], ignore_index=True)
    notes, count = loaded[0].notes, _per_file(aside)
    frame = pd.concat([d.frame.assign(day=d_) for d, d_ in zip(loaded, days, strict=True)], ignore_index=True)
    left_out = _number(notes, "rows_of_other_securities")
    rows = len(frame) - sum(_number(d.notes, "rows_added_for_halts") for d in loaded)
    return Reading([frame], aside, {"daily": rows + left_out + count["daily"]})


def read_minutes(root: Path) -> Reading:
    """Minute bars of several stocks and days in one file."""
    source = MappedSource("minute_tushare", root)
    loaded = [source.load("minute_bars", d) for d in source.days().tolist()]
    aside = pd.concat([d.quarantine for d in loaded], ignore_index=True).drop_duplicates(["file", "row"])
    read = sum(int(d.notes["rows_read"]) for d in loaded)
    broken = int(aside["content"].str.startswith('{"line"').sum())  # lines that are no rows have no day
    return Reading([d.frame for d in loaded], aside, {"stk_mins": read + broken})


def read_qlib(root: Path) -> Reading:
    """A Qlib dataset; its values are counted by stock."""
    source = QlibSource(root)
    loaded = [source.load("daily_bars", d) for d in source.days().tolist()]
    aside = pd.concat([d.quarantine for d in loaded], ignore_index=True)
    frame = pd.concat([d.frame for d in loaded], ignore_index=True)
    outside = _number(loaded[0].notes, "days_without_any_value")
    members = pd.concat([source.load("reference", d).frame for d in source.days().tolist()[::20]])
    return Reading([frame, members], aside, {"values": len(frame) + len(aside) + outside})


def read_snapshots(root: Path) -> Reading:
    """A day's snapshots of both exchanges."""
    day = SnapshotSource(root).load("snapshots", DAY)
    total = len(day.frame) + len(day.quarantine) + _number(day.notes, "rows_of_other_securities")
    return Reading([day.frame], day.quarantine, {"both": total})


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def level2_files(day: dt.date) -> Files:
    """A simulated day as its exporter writes it."""
    with tempfile.TemporaryDirectory() as folder:
        return {f"{day:%Y%m%d}/{p.name}": p.read_bytes() for p in exported(day, Path(folder)).values()}


def _tonglian_frames() -> dict[str, pd.DataFrame]:
    return {_stem(p): pd.read_csv(io.BytesIO(data), index_col=False) for p, data in level2_files(DAY).items()}


def huatai_files() -> Files:
    """Huatai Insight's files of both exchanges."""
    frames = _tonglian_frames()
    every = [*huatai_shenzhen(frames), *huatai_shanghai(frames)]
    return {f"20230201/{name}.csv": _csv(frame) for name, frame in every}


def headless_files() -> Files:
    """The Shenzhen exchange's own files, which have no header."""
    return {f"20230201/{name}.csv": as_text(frame, ",") for name, frame in shenzhen_files(_tonglian_frames())}


def parquet_files() -> Files:
    """Tonglian's files as Parquet."""
    out = {}
    for name, frame in _tonglian_frames().items():
        content = io.BytesIO()
        frame.to_parquet(content, index=False, row_group_size=50)
        out[f"20230201/{name}.parquet"] = content.getvalue()
    return out


def parquet_rows(name: str, data: bytes) -> int:
    """Rows by the file's footer."""
    return pq.read_metadata(io.BytesIO(data)).num_rows


def daily_files() -> Files:
    """Twelve sessions of four stocks in tushare's columns, one row of a fund."""
    rng, rows, factors = np.random.default_rng(5), [], []
    for k, code in enumerate(("600000.SH", "000001.SZ", "300001.SZ", "688001.SH")):
        close = 10.0 + k
        for day in pd.bdate_range("2023-02-01", periods=12):
            before, close = close, round(close * (1 + rng.normal(0, 0.01)), 2)
            low, high = round(min(before, close) - 0.1, 2), round(max(before, close) + 0.1, 2)
            row = (code, f"{day:%Y%m%d}", before, high, low, close, before, 10_000, round(close * 1000, 2))
            rows.append(row)
            factors.append((code, f"{day:%Y%m%d}", 1.5))
    rows.append(("510300.SH", "20230201", 4.0, 4.1, 3.9, 4.0, 4.0, 100, 40.0))
    names = ["ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "vol", "amount"]
    return {
        "daily.csv": _csv(pd.DataFrame(rows, columns=names)),
        "adj_factor.csv": _csv(pd.DataFrame(factors, columns=["ts_code", "trade_date", "adj_factor"])),
    }


def minute_files() -> Files:
    """Two sessions of three stocks in tushare's columns."""
    rng, rows = np.random.default_rng(6), []
    for code in ("600000.SH", "000001.SZ", "510300.SH"):
        for day in ("2023-02-01", "2023-02-02"):
            price = 10.0
            clock = [f"{m // 60:02d}:{m % 60:02d}:00" for m in (*range(570, 691), *range(781, 901))]
            for time in clock:
                price = round(price + rng.choice([-0.01, 0.0, 0.01]), 2)
                rows.append((code, f"{day} {time}", price, price, price, price, 100, price * 100))
    names = ["ts_code", "trade_time", "open", "high", "low", "close", "vol", "amount"]
    return {"stk_mins.csv": _csv(pd.DataFrame(rows, columns=names))}


def qlib_files() -> Files:
    """Two stocks of 40 days, one with a suspension."""
    days = pd.bdate_range("2020-01-01", periods=40)
    files = {
        "calendars/day.txt": "\n".join(f"{d:%Y-%m-%d}" for d in days).encode(),
        "instruments/all.txt": b"SH600000\t1999-11-10\t2099-12-31\nSZ000001\t2020-02-03\t2099-12-31\n",
        "instruments/csi300.txt": b"SH600000\t2020-03-02\t2020-03-31\n",
    }
    rng = np.random.default_rng(7)
    for name, start in (("sh600000", 0), ("sz000001", 9)):
        count = len(days) - start
        close = np.round(12 + np.cumsum(rng.normal(0, 0.1, count)), 2)
        factor = np.where(np.arange(count) < 30, 1.5, 3.137)
        raw = {"open": close - 0.01, "high": close + 0.05, "low": close - 0.05, "close": close}
        stored = {k: v * factor for k, v in raw.items()}
        stored |= {"volume": rng.integers(1000, 4_000_000, count) / factor, "factor": factor}
        for field, values in stored.items():
            values[10:13] = np.nan
            files[f"features/{name}/{field}.day.bin"] = np.append(start, values).astype("<f4").tobytes()
    return files


def snapshot_files() -> Files:
    """Forty snapshots of five securities, one of them a fund."""
    names = {"SH": ("TradNumber", "TradVolume", "TotalBidVol", "TotalAskVol"),
             "SZ": ("TurnNum", "Volume", "TotalBidQty", "TotalOfferQty")}  # fmt: skip
    out = {}
    for exchange, stem, codes in (("SH", "MarketData", (600519, 600000, 510300)), ("SZ", "mdl_6_28_0", (1, 300750))):
        number, volume, bids, asks = names[exchange]
        rows = []
        for i in range(40):
            for code in codes:
                row = {
                    "UpdateTime": f"09:{30 + i // 20:02d}:{3 * (i % 20):02d}.000", "SecurityID": code,
                    "LastPrice": 10.02, "Turnover": 1002.0 * i, number: i, volume: 100 * i, bids: 900, asks: 1200,
                }  # fmt: skip
                for n in range(1, 11):
                    row |= {f"BidPrice{n}": round(10.02 - n / 100, 2), f"BidVolume{n}": 100 * n,
                            f"AskPrice{n}": round(10.02 + n / 100, 2), f"AskVolume{n}": 200 * n}  # fmt: skip
                rows.append(row)
        out[f"20230201/{stem}.csv"] = _csv(pd.DataFrame(rows))
    return out


def program_files(write: Callable[..., None], *arguments: object) -> Files:
    """The files that a function of :mod:`program_files` writes into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, *arguments)
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def program_minutes() -> pd.DataFrame:
    """Two days of two stocks."""
    return pd.concat([
        minute_bars(s, d, 10.0) for s in ("600000.SH", "000001.SZ") for d in ("2023-01-03", "2023-01-04")
    ])  # fmt: skip


def vnpy_files() -> Files:
    """A database with daily and minute bars."""
    rows = vnpy_rows(daily_bars(), "d") + vnpy_rows(program_minutes(), "1m")
    return program_files(lambda root: vnpy_database(root / "database.db", rows))


def read_program_days(kind: str, options: dict[str, object]) -> Callable[[Path], Reading]:
    """A reader of daily bars of a whole history."""

    def read(root: Path) -> Reading:
        source = build_source(kind, {"root": root, **options})
        loaded = [source.load("daily_bars", d) for d in source.days().tolist()]
        aside = pd.concat([d.quarantine for d in loaded], ignore_index=True)
        return Reading([d.frame for d in loaded], aside, {"every": int(loaded[0].notes["rows_read"])})

    return read


def read_program_minutes(preset: str) -> Callable[[Path], Reading]:
    """A reader of minute bars, a day at a time."""

    def read(root: Path) -> Reading:
        source = MappedSource(preset, root)
        loaded = [source.load("minute_bars", d) for d in source.days().tolist()]
        aside = pd.concat([d.quarantine for d in loaded], ignore_index=True)
        read = sum(int(d.notes["rows_read"]) for d in loaded)
        return Reading([d.frame for d in loaded], aside, {"every": read})

    return read


def database_rows(interval: str) -> Callable[[str, bytes], int]:
    """Rows of an interval in a database."""

    def count(name: str, data: bytes) -> int:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            try:
                database = sqlite3.connect(file.name)
                query = "SELECT COUNT(*) FROM dbbardata NOT INDEXED WHERE interval = ?"
                return int(database.execute(query, (interval,)).fetchone()[0])
            except sqlite3.Error as error:
                raise pa.ArrowInvalid(str(error)) from error
            finally:
                database.close()

    return count


def bundle_rows(name: str, data: bytes) -> int:
    """Rows of the stocks in a bundle's file of bars."""
    import h5py

    if not name.endswith("stocks.h5"):
        return 0
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return sum(len(file[key]) for key in file if not key.startswith("51"))
    except (OSError, RuntimeError, KeyError) as error:
        raise pa.ArrowInvalid(str(error)) from error


def kinds() -> dict[str, Kind]:
    """Every reader's sound files."""
    headless = lambda name, data: text_lines(name, data) + 1  # noqa: E731
    records = lambda name, data: len(data) // 32  # noqa: E731
    every = lambda stem: "every"  # noqa: E731
    closes = lambda stem: "values" if stem == "close" else "other"  # noqa: E731
    return {
        "level-2": Kind(level2_files(DAY), read_level2(DAY), text_lines, stream_of),
        "level-2, merged": Kind(level2_files(MERGED), read_level2(MERGED), text_lines, stream_of),
        "level-2, Huatai": Kind(huatai_files(), read_level2(DAY, "huatai"), text_lines, stream_of),
        "level-2, no header": Kind(headless_files(), read_level2(DAY, "exchange"), headless, stream_of),
        "level-2, Parquet": Kind(parquet_files(), read_level2(DAY), parquet_rows, stream_of),
        "daily": Kind(daily_files(), read_daily, text_lines),
        "minute": Kind(minute_files(), read_minutes, text_lines),
        "Qlib": Kind(qlib_files(), read_qlib, lambda name, data: len(data) // 4 - 1, closes),
        "snapshots": Kind(snapshot_files(), read_snapshots, text_lines, lambda stem: "both"),
        "TongDaXin": Kind(
            program_files(tdx_days, daily_bars()), read_program_days("mapped", {"config": "tdx"}), records, every
        ),
        "TongDaXin, minute": Kind(
            program_files(tdx_minutes, program_minutes()), read_program_minutes("minute_tdx"), records, every
        ),
        "vnpy": Kind(vnpy_files(), read_program_days("mapped", {"config": "vnpy"}), database_rows("d"), every),
        "vnpy, minute": Kind(vnpy_files(), read_program_minutes("minute_vnpy"), database_rows("1m"), every),
        "RiceQuant": Kind(
            program_files(ricequant, daily_bars()), read_program_days("ricequant", {}), bundle_rows, every
        ),
    }


# ------------------------------------------------------------------ outcomes


def outcome(kind: Kind, clean: Reading, files: Files, name: str) -> tuple[str, str]:
    """What the reader makes of mutated files, and the details of a fault."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        for path, data in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
        try:
            with _limited(SECONDS), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reading = kind.read(root)
        except TooSlowError:
            return "hang", f"more than {SECONDS} s"
        except MgError as error:
            return ("refused", "") if str(root) in str(error) else ("traceback", f"no file named: {error}")
        except Exception as error:
            return "traceback", f"{type(error).__name__}: {error}"
        finally:
            shutil.rmtree(root, ignore_errors=True)
    if fault := _lost(kind, reading, files, name):
        return "lost", fault
    if len(reading.quarantine) > len(clean.quarantine):
        return "set aside", ""
    return ("as clean" if _equal(reading, clean) else "other values"), ""


def _lost(kind: Kind, reading: Reading, files: Files, name: str) -> str:
    """Lines that are not accounted for; empty where all are."""
    try:
        expected = {g: n for g, n in kind.expected(files).items() if g in reading.accounted}
    except pa.ArrowException:
        return f"{name} was read, although it is no whole file"
    wrong = {g: (n, reading.accounted[g]) for g, n in expected.items() if n != reading.accounted[g]}
    named = reading.quarantine["file"].str.len().gt(0).all() and reading.quarantine["reason"].str.len().gt(0).all()
    if wrong:
        return f"lines, accounted for: {wrong}"
    return "" if named else f"{name}: a row is set aside without file or reason"


def _equal(reading: Reading, clean: Reading) -> bool:
    return len(reading.tables) == len(clean.tables) and all(
        a.reset_index(drop=True).equals(b.reset_index(drop=True))
        for a, b in zip(reading.tables, clean.tables, strict=True)
    )


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def clean_reading(kind: Kind) -> Reading:
    """What the reader makes of the sound files."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, data in kind.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
        return kind.read(root)


def campaign(kind: Kind, count: int, seed: int) -> tuple[Counter, list[str]]:
    """Outcomes of ``count`` mutated files, and the faults in words."""
    clean = clean_reading(kind)
    found: Counter = Counter()
    faults: list[str] = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        files, name, done = mutated(rng, kind.files)
        what, details = outcome(kind, clean, files, name)
        found[what] += 1
        if what in FAULTS:
            faults.append(f"[{seed}, {number}] {name}: {done}: {what}: {details}")
    return found, faults


__all__ = ["OUTCOMES", "Kind", "Reading", "campaign", "clean_reading", "kinds", "mutated", "outcome"]
