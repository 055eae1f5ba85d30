"""Read, check and sort one tick stream of one day.

1. Read the needed columns of each file (:mod:`files`).
2. Translate codes and times; leave out securities that are no A-shares (counted).
3. Set aside rows that cannot be: each with the first reason that it fails.
4. Sort by stock, then by the exchange's sequence; set aside repeated sequence numbers.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mg_assets.errors import DataError
from mg_assets.sources.base import no_quarantine
from mg_assets.sources.files import Column, FileData, read_columns
from mg_assets.sources.layout import Pattern
from mg_assets.sources.quarantine import contents_of, first_reason, merge, quarantine
from mg_assets.sources.streams import ADD, CANCEL, FILL, LIMIT, MARKET, OWN_BEST, STATUS, Stream
from mg_assets.sources.times import OTHER_DAY, UNREADABLE, milliseconds_of_day
from mg_assets.sources.watch import Watch

FIRST_MS = (9 * 60 + 15) * 60_000
LAST_MS = (15 * 60 + 30) * 60_000 + 59_999  # after-hours fixed-price trading ends at 15:30
MAX_NUMBER = 1 << 43  # order numbers are packed with the code into one int64
UNKNOWN = -100
PRICE_GRID = 10_000  # vendors print 1845.76 as 1845.75999999999999: back to the nearest 0.0001
NO_STOCK = 9_999_999
EXCHANGES = {"SH": "SH", "SS": "SH", "SSE": "SH", "XSHG": "SH", "SZ": "SZ", "SZE": "SZ", "SZSE": "SZ", "XSHE": "SZ"}
A_SHARES = {"SH": ((600000, 609999), (680000, 689999)), "SZ": ((1, 4999), (300000, 309999))}
INTEGERS = ("code", "channel", "seq", "order_id", "buy_order", "sell_order", "volume")


@dataclass(frozen=True)
class Ticks:
    """Good rows of a stream, sorted by code, then seq.

    Attributes
    ----------
    exchange : str
        ``SH`` or ``SZ``.
    columns : dict of str to ndarray (n,)
        code (int32), time (ms of the day), seq, price (NaN where null), volume, and what the stream has of
        order_id, buy_order, sell_order, side, kind.
    quarantine : DataFrame
        Rows set aside; ``table`` says which of our tables they would have gone to.
    notes : dict
    """

    exchange: str
    columns: dict[str, np.ndarray]
    quarantine: pd.DataFrame = field(default_factory=no_quarantine)
    notes: dict[str, object] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns["code"])

    def __getitem__(self, column: str) -> np.ndarray:
        return self.columns[column]

    def where(self, mask: np.ndarray) -> "Ticks":
        """The rows of a mask, with the same quarantine and notes."""
        return Ticks(self.exchange, {k: v[mask] for k, v in self.columns.items()}, self.quarantine, self.notes)


def order_key(code: np.ndarray, number: np.ndarray) -> np.ndarray:
    """One int64 for a stock's order: code in the high bits, order number in the low 43."""
    return (code.astype(np.int64) << 43) | number


def read_stream(
    name: str,
    stream: Stream,
    paths: Sequence[Path],
    pattern: Pattern,
    root: Path,
    day: dt.date,
    stocks_only: bool = True,
    price_unit: float = 1.0,
    watch: Watch | None = None,
) -> Ticks:
    """Read one stream of one day; prices are multiplied by ``price_unit`` (yuan per unit of the file's).

    Raises
    ------
    SourceError, DataError
        A file is damaged, empty, lacks a column, or most of its rows are bad.
    """
    parts, frames = [], []
    watch = watch or Watch()
    notes: dict[str, object] = {"files": [p.relative_to(root).as_posix() for p in paths], "rows": 0}
    for path in paths:
        columns = dict(stream.columns)
        named = pattern.code(root, path)
        if named is not None:  # one file a stock may leave the code out of its rows
            columns["code"] = Column(columns["code"].names, "int", required=False)
        with watch.reading(path) as told:
            data = read_columns(path, columns, stream.header)
            part, bad, rows, others = _one_file(name, stream, data, named, day, stocks_only, price_unit)
            parts.append(part)
            frames.append(bad)
            told.rows, told.others = rows, others
            notes["rows"] = int(notes["rows"]) + rows  # type: ignore[call-overload]
            if others:
                notes["rows_of_other_securities"] = int(notes.get("rows_of_other_securities", 0)) + others  # type: ignore[call-overload]
            notes.update(data.notes)
    unread = [e for p in paths if (e := watch.files[p].error) is not None]
    if unread:  # a day without one of its files is no day
        raise unread[0]
    if notes["rows"] == 0:
        raise DataError(f"{', '.join(map(str, paths))}: a header and no rows on {day}; fetch the day's files again")
    merged = {k: np.concatenate([p[k] for p in parts]) if len(parts) > 1 else parts[0][k] for k in parts[0]}
    return _sorted(name, stream, merged, [str(p) for p in paths], frames, notes, day)


def _one_file(
    name: str,
    stream: Stream,
    data: FileData,
    named: str | None,
    day: dt.date,
    stocks_only: bool,
    price_unit: float,
) -> tuple[dict[str, np.ndarray], pd.DataFrame, int, int]:
    table = data.table
    count = len(table)
    raw, missing = _arrays(stream, data, named, day, price_unit)
    stocks = _is_stock(raw["code"], stream.exchange) | missing["code"] if stocks_only else np.ones(count, bool)
    checks = _checks(name, stream, raw, missing, data.unparsed)
    bad, which = first_reason(count, checks)
    bad &= stocks
    rows = count + len(data.broken)
    set_aside = _set_aside(name, stream, data, raw, missing, bad, which, checks)
    if len(set_aside) * 2 > max(int(stocks.sum()) + len(data.broken), 1) and len(set_aside) > 10:
        top = set_aside["reason"].value_counts()
        raise DataError(
            f"{data.path}: {len(set_aside)} of {rows} rows are bad on {day}, "
            f"most often {top.index[0]!r} ({top.iloc[0]}); "
            f"the first is row {set_aside['row'].iloc[0]}: {set_aside['content'].iloc[0]}. "
            "Is it this stream's file, of this day and in the declared vendor's form?"
        )
    keep = stocks & ~bad
    if STATUS in stream.codes.get("kind", {}).values():
        keep &= raw["kind"] != STATUS
    out = raw if keep.all() else {k: v[keep] for k, v in raw.items()}
    out["row"] = data.row_numbers(np.flatnonzero(keep))
    return out, set_aside, rows, int(count - stocks.sum())


def _arrays(
    stream: Stream, data: FileData, named: str | None, day: dt.date, price_unit: float
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Columns as arrays, and where each is null (0, or NaN for prices, stands in)."""
    table, count = data.table, len(data.table)
    raw: dict[str, np.ndarray] = {}
    missing: dict[str, np.ndarray] = {}
    for ours in table.column_names:
        column = table[ours]
        if ours == "time":
            raw[ours] = milliseconds_of_day(column, day)
        elif ours in stream.codes:
            raw[ours] = translate(column, stream.codes[ours])
        elif ours == "price":
            raw[ours] = column.to_numpy(zero_copy_only=False) * (PRICE_GRID * price_unit)
            np.rint(raw[ours], out=raw[ours])
            raw[ours] /= PRICE_GRID
        else:
            missing[ours] = column.is_null().to_numpy() if column.null_count else np.zeros(count, bool)
            raw[ours] = pc.fill_null(column, 0).to_numpy() if column.null_count else column.to_numpy()
    if data.unparsed.get("code") is not None and data.text is not None:
        raw["code"] = raw["code"].copy()  # Arrow's memory is read-only
        missing["code"] = missing["code"].copy()
        _codes_with_suffix(raw["code"], missing["code"], data.unparsed["code"], data.text["code"], stream.exchange)
    if "code" not in raw:
        code = _code_of_name(named, data.path)
        raw["code"], missing["code"] = np.full(count, code, np.int64), np.zeros(count, bool)
    raw["code"] = np.clip(raw["code"], 0, NO_STOCK).astype(np.int32)
    raw.setdefault("channel", np.zeros(count, np.int64))
    return raw, missing


def translate(column: pa.ChunkedArray, codes: Mapping[str, int]) -> np.ndarray:
    """A coded column as ``int8``; ``UNKNOWN`` where the code is not among ``codes``."""
    if pa.types.is_floating(column.type):
        column = column.cast(pa.int64(), safe=False)
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    out = []
    for chunk in column.chunks:
        words = chunk.dictionary.cast(pa.string()).to_pylist()
        table = np.array([*(codes.get((w or "").strip(), UNKNOWN) for w in words), UNKNOWN], np.int8)
        out.append(table[chunk.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)])
    return np.concatenate(out) if out else np.empty(0, np.int8)


def _codes_with_suffix(
    code: np.ndarray, missing: np.ndarray, unparsed: np.ndarray, text: pa.ChunkedArray, exchange: str
) -> None:
    """Codes written ``605580.SH`` or ``SH605580``, in place; what stays unread stays marked.

    A code of the other exchange becomes one that no stock has: 000001.SH is an index, 000001.SZ a bank.
    """
    words = text.to_pandas().astype("str").str.strip()
    found = words.str.extract(r"(?i)^(?:(s[hz])\.?)?(\d{6})(?:\.(s[hz]|ss|sse|sze|szse|xshg|xshe))?$")
    numbers = pd.to_numeric(found[1], errors="coerce").to_numpy("float64", na_value=np.nan)
    named = found[0].fillna(found[2]).str.upper().map(EXCHANGES)
    good = unparsed & np.isfinite(numbers)
    code[good] = numbers[good].astype(np.int64)
    code[good & (named.notna() & (named != exchange)).to_numpy(bool)] = NO_STOCK
    missing[good] = False
    unparsed[good] = False


def _code_of_name(named: str | None, path: str) -> int:
    digits = "".join(c for c in named or "" if c.isdigit())
    if len(digits) != 6:
        raise DataError(f"{path}: the rows have no security code and the file's name has none of six digits; add one")
    return int(digits)


def _is_stock(code: np.ndarray, exchange: str) -> np.ndarray:
    mask = np.zeros(len(code), bool)
    for low, high in A_SHARES[exchange]:
        mask |= (code >= low) & (code <= high)
    return mask


def _checks(
    name: str,
    stream: Stream,
    raw: dict[str, np.ndarray],
    missing: dict[str, np.ndarray],
    unparsed: dict[str, np.ndarray],
) -> list[tuple[np.ndarray, str]]:
    none = np.zeros(len(raw["code"]), bool)
    vendor = {ours: c.names[0] for ours, c in stream.columns.items()}
    kind = raw.get("kind")
    status = kind == STATUS if kind is not None and STATUS in stream.codes["kind"].values() else none
    checks = [(bad & ~status, f"{vendor[c]} is no number") for c, bad in unparsed.items()]
    checks += [(missing[c] & ~status, f"{vendor[c]} is empty") for c in INTEGERS if c in missing and c != "channel"]
    time, clock = raw["time"], vendor["time"]
    checks.append((time == OTHER_DAY, f"{clock} is on another day"))
    checks.append(((time == UNREADABLE) & ~status, f"{clock} is no time"))
    checks.append((((time < FIRST_MS) | (time > LAST_MS)) & ~status, f"{clock} is outside 09:15-15:30"))
    if kind is not None:
        checks.append((kind == UNKNOWN, f"{vendor['kind']} is an unknown code"))
    if "side" in raw:
        checks.append(((raw["side"] == UNKNOWN) & ~status, f"{vendor['side']} is an unknown code"))
    checks.append(((raw["volume"] <= 0) & ~status, f"{vendor['volume']} is not positive"))
    price_bad = ~(raw["price"] > 0) | np.isinf(raw["price"])
    if name == "sz_orders":
        price_bad &= kind == LIMIT
    elif name == "sz_trades":
        price_bad &= kind == FILL
    elif name == "sh_orders":
        price_bad &= kind == ADD
    elif name == "sh_merged":
        price_bad &= (kind == ADD) | (kind == FILL)
    checks.append((price_bad, f"{vendor['price']} is not positive"))
    for column in ("seq", "order_id", "buy_order", "sell_order"):
        if column in raw:
            low = 0 if column in ("buy_order", "sell_order") else 1
            outside = (raw[column] < low) | (raw[column] >= MAX_NUMBER)
            checks.append((outside & ~status, f"{vendor[column]} is outside [{low}, 2^43)"))
    if name == "sz_trades":
        one = (raw["buy_order"] == 0) != (raw["sell_order"] == 0)
        checks.append(((kind == CANCEL) & ~one, "a cancel names not exactly one order"))
    if name == "sh_orders":
        checks.append(((raw["side"] == 0) & ~status, f"{vendor['side']} of an order is neither buy nor sell"))
    if name == "sh_merged":
        own = np.where(raw["side"] > 0, raw["buy_order"], raw["sell_order"])
        entry = (kind == ADD) | (kind == CANCEL)
        checks.append((entry & (raw["side"] == 0), f"{vendor['side']} of an order is neither buy nor sell"))
        checks.append((entry & (own == 0), "the order's own side has no order number"))
    return checks


def _set_aside(name, stream, data: FileData, raw, missing, bad, which, checks) -> pd.DataFrame:
    at = np.flatnonzero(bad)
    source = data.text if data.text is not None else data.table
    frames = []
    if len(at):
        symbols = [
            f"{c:06d}.{stream.exchange}" if not m else None
            for c, m in zip(raw["code"][at].tolist(), missing["code"][at].tolist(), strict=True)
        ]
        kinds = raw["kind"][at] if "kind" in raw else None
        frame = quarantine(
            "trades",
            data.path,
            data.row_numbers(at),
            [checks[i][1] for i in which[at]],
            contents_of(source, at),
            symbols,
        )
        frame["table"] = np.where(belongs_to_orders(name, kinds, len(at)), "orders", "trades")
        frames.append(frame)
    if data.broken:
        rows, reasons, lines = zip(*data.broken, strict=True)
        home = "orders" if name in ("sh_orders", "sz_orders") else "trades"
        frames.append(quarantine(home, data.path, rows, reasons, lines))
    return merge(frames)


def belongs_to_orders(name: str, kind: np.ndarray | None, count: int) -> np.ndarray:
    """Whether rows of a stream go to our orders table (else to trades)."""
    if name in ("sh_orders", "sz_orders"):
        return np.ones(count, bool)
    if kind is None or name == "sh_trades":
        return np.zeros(count, bool)
    return (kind == CANCEL) | ((kind == ADD) & (name == "sh_merged"))


def _sorted(name, stream, columns, paths, frames, notes, day) -> Ticks:
    code, seq = columns["code"], columns["seq"]
    rising = np.all((np.diff(code) > 0) | ((np.diff(code) == 0) & (np.diff(seq) > 0)))
    if not rising:
        # files come in sequence order as a rule, and a stable sort by the code alone is then enough
        ordered = np.all(np.diff(seq) > 0)
        order = np.argsort(_ranks(code), kind="stable") if ordered else np.argsort(order_key(code, seq), kind="stable")
        columns = {k: v[order] for k, v in columns.items()}
        code, seq = columns["code"], columns["seq"]
    same = np.flatnonzero((np.diff(code) == 0) & (np.diff(columns["channel"]) != 0))
    if len(same):
        stock = f"{code[same[0]]:06d}.{stream.exchange}"
        raise DataError(
            f"{', '.join(paths)}: {stock} comes from channels {columns['channel'][same[0]]} and "
            f"{columns['channel'][same[0] + 1]} on {day}; sequence numbers count within one channel: split the file"
        )
    double = np.zeros(len(code), bool)
    if len(code):
        double[1:] = (np.diff(code) == 0) & (np.diff(seq) == 0)
    if double.any():
        kinds = columns["kind"][double] if "kind" in columns else None
        at = {k: v[double].tolist() for k, v in columns.items()}
        contents = [{k: v[i] for k, v in at.items()} for i in range(int(double.sum()))]
        symbols = [f"{c:06d}.{stream.exchange}" for c in at["code"]]
        reason = f"{stream.columns['seq'].names[0]} occurs twice"
        frame = quarantine("trades", paths[0], at["row"], [reason] * len(symbols), contents, symbols)
        frame["table"] = np.where(belongs_to_orders(name, kinds, len(symbols)), "orders", "trades")
        frames = [*frames, frame]
        columns = {k: v[~double] for k, v in columns.items()}
    columns = {k: v for k, v in columns.items() if k not in ("row", "channel")}
    return Ticks(stream.exchange, columns, merge(frames), notes)


def _ranks(code: np.ndarray) -> np.ndarray:
    """Each code's place among those there; 16 bits, which numpy sorts by radix (3 times faster)."""
    here = np.bincount(code) > 0
    if here.sum() > np.iinfo(np.int16).max:
        return code
    return (np.cumsum(here) - 1).astype(np.int16)[code]


KIND_NAMES = {LIMIT: "limit", MARKET: "market", OWN_BEST: "own_best"}
