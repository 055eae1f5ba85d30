"""Read, check and sort one tick stream of one day.

1. Read the needed columns of each file, block by block (:mod:`read_file`).
2. Translate codes and times; leave out securities that are no A-shares (counted).
3. Move invalid rows to the quarantine, each with the first check that it fails (:mod:`tick_checks`).
4. Sort rows by stock (:mod:`external_sort`); a range of stocks is then sorted by the exchange's sequence when it is
   asked for, and rows with repeated sequence numbers go to the quarantine.
"""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mg_assets.errors import DataError
from mg_assets.sources.base import no_quarantine
from mg_assets.sources.file_patterns import FilePattern
from mg_assets.sources.io.prefetch import prefetch
from mg_assets.sources.io.price_level import unit_of_prices
from mg_assets.sources.io.read_file import FileData, WantedColumn, place, read_blocks
from mg_assets.sources.io.read_log import ReadLog
from mg_assets.sources.io.row_count import require_all_rows
from mg_assets.sources.io.times import milliseconds_of_day
from mg_assets.sources.level2.external_sort import ExternalSort, by_code
from mg_assets.sources.level2.money import check_money
from mg_assets.sources.level2.stream_formats import LIMIT, MARKET, OWN_BEST, STATUS, StreamFormat
from mg_assets.sources.level2.tick_checks import (
    A_SHARES,
    UNKNOWN,
    belongs_to_orders,
    checks_of,
    is_stock,
    quarantine_rows,
)
from mg_assets.sources.quarantine import first_reason, merge_quarantines, quarantine_frame

PRICE_GRID = 10_000  # vendors print 1845.76 as 1845.75999999999999: back to the nearest 0.0001
NO_STOCK, OTHER_STOCK = 9_999_999, 9_999_998  # no A share; one of the other exchange
OTHER_EXCHANGE = "rows_of_the_other_exchange"
MOST_STRAY, MANY = 0.01, 1000  # a few codes may be damaged
PRICES_SEEN = 20_000
EXCHANGES = {"SH": "SH", "SS": "SH", "SSE": "SH", "XSHG": "SH", "SZ": "SZ", "SZE": "SZ", "SZSE": "SZ", "XSHE": "SZ"}
OTHER = {"SH": "SZ", "SZ": "SH"}
KIND_NAMES = {LIMIT: "limit", MARKET: "market", OWN_BEST: "own_best"}


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
        Invalid rows; ``table`` names the lake's table that they would have gone to.
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


@dataclass(frozen=True)
class TickStream:
    """A stream of one day, read and checked: its rows by ranges of stocks.

    Attributes
    ----------
    name : str
    stream : StreamFormat
    day : date
    paths : list of str
    rows : ExternalSort
    quarantine : DataFrame
        Invalid rows found while the files were read.
    notes : dict
    """

    name: str
    stream: StreamFormat
    day: dt.date
    paths: list[str]
    rows: ExternalSort
    quarantine: pd.DataFrame
    notes: dict[str, object]

    @property
    def exchange(self) -> str:
        """``SH`` or ``SZ``."""
        return self.stream.exchange

    def between(self, low: int, high: int) -> Ticks:
        """Ticks of the stocks with ``low <= code < high``.

        Returns
        -------
        Ticks
            Their quarantine holds rows with repeated sequence numbers only.

        Raises
        ------
        DataError
            A stock comes from two channels.
        """
        return _sorted(self, self.rows.between(low, high))


def read_stream(
    name: str,
    stream: StreamFormat,
    paths: Sequence[Path],
    pattern: FilePattern,
    root: Path,
    day: dt.date,
    stocks_only: bool = True,
    price_unit: float = 1.0,
    read_log: ReadLog | None = None,
    shared: Collection[Path] = (),
) -> TickStream:
    """Read and check one stream of one day.

    Parameters
    ----------
    name : str
        Of the stream: ``sh_orders``, ``sz_trades``, ...
    stream : StreamFormat
    paths : sequence of Path
        The day's files.
    pattern : FilePattern
        That found them below ``root``; it may have the security code.
    root : Path
    day : date
    stocks_only : bool
        Leave out securities that are no A-shares.
    price_unit : float
        Yuan per unit of the files' prices.
    read_log : ReadLog, optional
    shared : collection of Path
        Files that are read for the other exchange too.

    Returns
    -------
    TickStream

    Raises
    ------
    MgError
        A file is damaged, empty, lacks a column, or most of its rows are invalid.
    DataError
        The files have no rows, prices that cannot be yuan, or rows of the other exchange that nothing else reads.
    """
    runs, frames = ExternalSort(), []
    read_log = read_log or ReadLog()
    notes: dict[str, object] = {"files": [p.relative_to(root).as_posix() for p in paths]}
    counts: Counter[str] = Counter(rows=0)
    for path in paths:
        columns = dict(stream.columns)
        named = pattern.code(root, path)
        if named is not None:  # one file a stock may leave the code out of its rows
            columns["code"] = WantedColumn(columns["code"].names, "int", required=False)
        with read_log.reading(path) as entry:
            confirmed = not name.endswith("_orders") and check_money(path, stream, price_unit)
            here: Counter[str] = Counter()
            bad: list[pd.DataFrame] = []
            read, priced = 0, False
            for data in prefetch(read_blocks(path, columns, stream.header)):
                part, aside = _one_block(name, stream, data, named, day, stocks_only, price_unit, here, path in shared)
                if not priced and len(part["price"]):
                    priced = _prices_are_yuan(path, stream, part["price"][:PRICES_SEEN], price_unit, confirmed)
                runs.add(part)
                bad.append(aside)
                read += len(part["code"])
            frames.append(_not_mostly_bad(path, merge_quarantines(bad), here, day))
            require_all_rows(
                path, here["rows"], read=read, set_aside=len(frames[-1]), status_rows=here["status_rows"],
                other_securities=here["rows_of_other_securities"], of_the_other_exchange=here[OTHER_EXCHANGE],
            )  # fmt: skip
            entry.rows, entry.others = here["rows"], here["rows_of_other_securities"]
            counts += here
    unread = [e for p in paths if (e := read_log.files[p].error) is not None]
    if unread:  # a day without one of its files is incomplete
        raise unread[0]
    notes |= {"rows": counts["rows"], **{k: v for k, v in counts.items() if v and k not in ("rows", "checked")}}
    if notes["rows"] == 0:
        raise DataError(f"{', '.join(map(str, paths))}: a header and no rows on {day}; fetch the day's files again")
    runs.close()
    return TickStream(name, stream, day, [str(p) for p in paths], runs, merge_quarantines(frames), notes)


def _one_block(
    name: str,
    stream: StreamFormat,
    data: FileData,
    named: str | None,
    day: dt.date,
    stocks_only: bool,
    price_unit: float,
    counts: Counter[str],
    shared: bool,
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Valid rows of a block, and the quarantine of the others; ``counts`` grows by its rows."""
    count = len(data.table)
    raw, missing = _arrays(stream, data, named, day, price_unit)
    stocks = is_stock(raw["code"], stream.exchange) | missing["code"] if stocks_only else np.ones(count, bool)
    checks = checks_of(name, stream, raw, missing, data.unparsed)
    theirs = np.zeros(count, bool)
    if not stocks.all():  # of securities other than the exchange's stocks
        rest = np.flatnonzero(~stocks)
        theirs[rest] = is_stock(raw["code"][rest], OTHER[stream.exchange]) | (raw["code"][rest] == OTHER_STOCK)
    if not shared and theirs.any():
        _refuse_many(data.path, name, int(theirs.sum()), count)
        stocks |= theirs
        missing["code"] = missing["code"] | theirs  # its symbol is not this exchange's
        checks.insert(0, (theirs, f"{stream.columns['code'].names[0]} is a stock of the other exchange"))
    bad, which = first_reason(count, checks)
    bad &= stocks
    aside = quarantine_rows(name, stream, data, raw, missing, bad, which, checks)
    mine = int(stocks.sum())
    counts["rows"] += count + len(data.broken)
    counts["checked"] += mine + len(data.broken)
    if mine < count:
        counts["rows_of_other_securities"] += count - mine
    if shared:
        counts[OTHER_EXCHANGE] += int(np.count_nonzero(theirs))
        counts["rows_of_other_securities"] -= int(np.count_nonzero(theirs))
    counts.update({k: v for k, v in data.notes.items() if isinstance(v, int)})
    keep = stocks & ~bad
    if STATUS in stream.codes.get("kind", {}).values():
        status = keep & (raw["kind"] == STATUS)
        counts["status_rows"] += int(status.sum())
        keep &= ~status
    at = None if keep.all() else np.flatnonzero(keep)
    out = raw if at is None else {k: v[at] for k, v in raw.items()}
    out["row"] = data.row_numbers(np.arange(count) if at is None else at)
    return out, aside


def _refuse_many(path: str, name: str, rows: int, of: int) -> None:
    """Raise DataError where a block holds the other exchange's stocks, not a damaged code."""
    if rows > MOST_STRAY * max(of, MANY):
        other = f"{'sz' if name.startswith('sh') else 'sh'}{name[2:]}"
        raise DataError(
            f"{path}: {rows} of {of} rows are A shares of the other exchange, which {name} leaves out; name the file "
            f"for {other} too (option 'files'; of a table of both exchanges mg ingest does)"
        )


def _prices_are_yuan(path: Path, stream: StreamFormat, prices: np.ndarray, price_unit: float, confirmed: bool) -> bool:
    """Whether there were prices; raises DataError where they cannot be yuan."""
    found = unit_of_prices(prices, confirmed)
    if found is not None:
        level, unit = found
        guess = f"{(unit if unit == unit else 1e-4) * price_unit:g}"
        raise DataError(
            f"{path}: column {stream.columns['price'].names[0]!r} is {level:,.0f} in the middle, which no A share has "
            f"cost in yuan; set the option price_unit, {guess} (mg ingest --price-unit {guess})"
        )
    return bool(np.any(prices > 0))


def _not_mostly_bad(path: Path, aside: pd.DataFrame, counts: Counter[str], day: dt.date) -> pd.DataFrame:
    """A file's invalid rows; raises DataError where they are more than half of it."""
    if len(aside) * 2 > max(counts["checked"], 1) and len(aside) > 10:
        top = aside["reason"].value_counts()
        raise DataError(
            f"{path}: {len(aside)} of {counts['rows']} rows are bad on {day}, "
            f"most often {top.index[0]!r} ({top.iloc[0]}); "
            f"the first is {place(path, aside['row'].iloc[0])}: {aside['content'].iloc[0]}. "
            "Is it this stream's file, of this day and in the declared vendor's form?"
        )
    return aside


def _arrays(
    stream: StreamFormat, data: FileData, named: str | None, day: dt.date, price_unit: float
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Columns as arrays (a null is 0, of prices NaN), and where each is null."""
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

    000001.SH is an index, 000001.SZ a bank: a code of the other exchange becomes ``OTHER_STOCK`` or ``NO_STOCK``.
    """
    words = text.to_pandas().astype("str").str.strip()
    found = words.str.extract(r"(?i)^(?:(s[hz])\.?)?(\d{6})(?:\.(s[hz]|ss|sse|sze|szse|xshg|xshe))?$")
    numbers = pd.to_numeric(found[1], errors="coerce").to_numpy("float64", na_value=np.nan)
    named = found[0].fillna(found[2]).str.upper().map(EXCHANGES)
    good = unparsed & np.isfinite(numbers)
    code[good] = numbers[good].astype(np.int64)
    is_theirs = is_stock(code, OTHER[exchange])
    other = good & (named.notna() & (named != exchange)).to_numpy(bool)
    code[good & (named == exchange).to_numpy(bool) & is_theirs] = NO_STOCK
    code[other] = np.where(is_theirs[other], OTHER_STOCK, NO_STOCK)
    missing[good] = False
    unparsed[good] = False


def _code_of_name(named: str | None, path: str) -> int:
    digits = "".join(c for c in named or "" if c.isdigit())
    if len(digits) != 6:
        raise DataError(f"{path}: the rows have no security code and the file's name has none of six digits; add one")
    return int(digits)


def _sorted(ticks: TickStream, columns: dict[str, np.ndarray]) -> Ticks:
    """Rows by code, then seq, without repeated numbers."""
    order = by_code(columns["code"])
    if order is not None:
        columns = {k: v[order] for k, v in columns.items()}
    code, seq = columns["code"], columns["seq"]
    same = code[1:] == code[:-1]
    step = np.diff(seq)
    if np.any(step[same] < 0):  # files come in sequence order as a rule
        order = np.argsort(order_key(code, seq), kind="stable")
        columns = {k: v[order] for k, v in columns.items()}
        seq = columns["seq"]
        step = np.diff(seq)
    stream, channel = ticks.stream, columns["channel"]
    mixed = np.flatnonzero(same & (channel[1:] != channel[:-1]))
    if len(mixed):
        stock = f"{code[mixed[0]]:06d}.{stream.exchange}"
        raise DataError(
            f"{', '.join(ticks.paths)}: {stock} comes from channels {channel[mixed[0]]} and "
            f"{channel[mixed[0] + 1]} on {ticks.day}; sequence numbers count within one channel: split the file"
        )
    bad = no_quarantine()
    double = np.concatenate([[False], same & (step == 0)]) if len(code) else np.zeros(0, bool)
    if double.any():
        kinds = columns["kind"][double] if "kind" in columns else None
        at = {k: v[double].tolist() for k, v in columns.items()}
        contents = [{k: v[i] for k, v in at.items()} for i in range(int(double.sum()))]
        symbols = [f"{c:06d}.{stream.exchange}" for c in at["code"]]
        reason = f"{stream.columns['seq'].names[0]} occurs twice"
        bad = quarantine_frame("trades", ticks.paths[0], at["row"], [reason] * len(symbols), contents, symbols)
        bad["table"] = np.where(belongs_to_orders(ticks.name, kinds, len(symbols)), "orders", "trades")
        columns = {k: v[~double] for k, v in columns.items()}
    columns = {k: v for k, v in columns.items() if k not in ("row", "channel")}
    return Ticks(stream.exchange, columns, bad, ticks.notes)


__all__ = ["A_SHARES", "KIND_NAMES", "PRICE_GRID", "TickStream", "Ticks", "order_key", "read_stream"]
