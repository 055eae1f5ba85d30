"""Vendors' 3-second snapshots as the lake's optional table ``snapshots``, which replayed order books are compared with.

A source of its own, for a composite with a tick source: deployments without it pay nothing. A whole
market's day has some 24 million rows, so files are read block by block and only the wanted stocks are kept
(``symbols``, or every n-th code with ``every``).

A level without a price or shares is null and 0; levels that the vendor does not have are null and null. In call
auctions the exchanges show the price that would trade as both sides' first level, and as a second level, without a
price, the shares left over at it.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mg_assets.errors import DataError, SourceError
from mg_assets.market.schema import SNAPSHOTS
from mg_assets.sources.base import SourceDay
from mg_assets.sources.file_patterns import FilePatterns, as_days
from mg_assets.sources.fingerprint import file_digests, fingerprint_of
from mg_assets.sources.io.columns import FileData, WantedColumn, pick
from mg_assets.sources.io.price_level import SAMPLED, are_yuan_and_shares, unit_of_prices
from mg_assets.sources.io.read_file import place, read_blocks, read_header
from mg_assets.sources.io.row_count import require_all_rows
from mg_assets.sources.io.times import OTHER_DAY, UNREADABLE, milliseconds_of_day
from mg_assets.sources.level2.ticks import A_SHARES, PRICE_GRID
from mg_assets.sources.presets import read_preset
from mg_assets.sources.quarantine import contents_of, first_reason, merge_quarantines, quarantine_frame

VERSION = 3  # raise it when the same files give another table
LEVELS = 10
MOST_RATIO = 3.0  # a day's average price is within a third of its last one, first days apart


@dataclass(frozen=True)
class SnapshotFormat:
    """How a kind of file names its columns.

    Attributes
    ----------
    columns : mapping of str to (tuple of str)
        code, time, last, volume, amount, num_trades, total_bid_volume, total_ask_volume.
    levels : mapping of str to str
        For bid_price, bid_volume, ask_price and ask_volume the name of a level's column, with ``{n}`` for its number.
    first : int
        Number of the best level.
    price, volume, amount : float
        How many yuan and shares one of the file's units is.
    """

    columns: Mapping[str, tuple[str, ...]]
    levels: Mapping[str, str]
    first: int = 1
    price: float = 1.0
    volume: float = 1.0
    amount: float = 1.0

    def wanted(self) -> dict[str, WantedColumn]:
        """The columns to read, under our names."""
        kinds = {"code": "int", "time": "text"}
        optional = ("total_bid_volume", "total_ask_volume")
        out = {c: WantedColumn(names, kinds.get(c, "float"), c not in optional) for c, names in self.columns.items()}
        for side, name in self.levels.items():
            for n in range(LEVELS):
                column = name.replace("{n}", str(n + self.first))
                out[f"{side}_{n + 1}"] = WantedColumn((column,), "float", required=n == 0)
        return out


SNAPSHOT_FORMATS = {
    "tonglian": SnapshotFormat(
        {
            "code": ("SecurityID",),
            "time": ("UpdateTime",),
            "last": ("LastPrice",),
            "volume": ("TradVolume", "Volume"),
            "amount": ("Turnover",),
            "num_trades": ("TradNumber", "TurnNum"),
            "total_bid_volume": ("TotalBidVol", "TotalBidQty"),
            "total_ask_volume": ("TotalAskVol", "TotalOfferQty"),
        },
        {
            "bid_price": "BidPrice{n}",
            "bid_volume": "BidVolume{n}",
            "ask_price": "AskPrice{n}",
            "ask_volume": "AskVolume{n}",
        },
    ),
    "axsbe": SnapshotFormat(
        {
            "code": ("SecurityID",),
            "time": ("DataTimeStamp",),
            "last": ("LastPx",),
            "volume": ("TotalVolumeTrade",),
            "amount": ("TotalValueTrade",),
            "num_trades": ("NumTrades",),
            "total_bid_volume": ("BidWeightSize",),
            "total_ask_volume": ("AskWeightSize",),
        },
        {
            "bid_price": "BidLevel[{n}].Price",
            "bid_volume": "BidLevel[{n}].Qty",
            "ask_price": "AskLevel[{n}].Price",
            "ask_volume": "AskLevel[{n}].Qty",
        },
        first=0,
        price=1e-3,
        volume=1e-3,
        amount=1e-5,
    ),
}
"""Tonglian's ``MarketData.csv`` (Shanghai) and ``mdl_6_28_0.csv`` (Shenzhen); integers of exchange messages (axsbe)."""

_ENDS = (".parquet", ".csv", ".csv.gz", ".csv.zip", ".zip")
DEFAULT_FILES = {
    "SH": tuple(f"{{date}}/{stem}{end}" for stem in ("MarketData", "mdl_4_4_0") for end in _ENDS),
    "SZ": tuple(f"{{date}}/mdl_6_28_0{end}" for end in _ENDS),
}


class SnapshotSource:
    """The table ``snapshots`` from vendor files.

    Parameters
    ----------
    root : str or Path
        Folder of the files.
    files : mapping of str to (str or list of str), or str, optional
        ``SH`` and ``SZ`` -> file pattern, or alternatives of which the first that matches is taken, below ``root``,
        with ``{date}`` and ``{code}``. A text names a YAML file with such a mapping under ``files``.
    symbols : sequence of str, optional
        The stocks to keep, as ``600519.SH``; by default all A shares.
    every : int
        Keep the codes that this divides: 97 keeps about one stock in a hundred.
    layouts : mapping of str to mapping, optional
        Further kinds of files, by name: the fields of :class:`SnapshotFormat` that differ from Tonglian's.
    """

    name = "snapshots"

    def __init__(
        self,
        root: str | Path,
        files: Mapping[str, str | Sequence[str]] | str | None = None,
        symbols: Sequence[str] | None = None,
        every: int = 1,
        layouts: Mapping[str, Mapping] | None = None,
    ):
        self.root = Path(root).expanduser()
        if isinstance(files, str):
            files = read_preset(files).get("files")
        if files is not None and not isinstance(files, Mapping):
            raise SourceError(
                f"files of the snapshots were {files!r}; a mapping of SH and SZ to file patterns is needed"
            )
        given = DEFAULT_FILES if files is None else files
        unknown = sorted(set(given) - set(DEFAULT_FILES))
        if unknown:
            raise SourceError(f"files of the snapshots name {unknown}; the exchanges are {sorted(DEFAULT_FILES)}")
        if every < 1:
            raise SourceError(f"every was {every}; a number of at least 1 was expected")
        self.symbols = None if symbols is None else tuple(symbols)
        self.every = every
        self._files = {exchange: FilePatterns.of(texts, f"files[{exchange!r}]") for exchange, texts in given.items()}
        own = {k: replace(SNAPSHOT_FORMATS["tonglian"], **v) for k, v in (layouts or {}).items()}
        self._layouts = {**own, **SNAPSHOT_FORMATS}

    def __repr__(self) -> str:
        return f"SnapshotSource({str(self.root)!r})"

    def days(self) -> np.ndarray:
        """Days that have a file, ``datetime64[D]``, ascending."""
        found: set[dt.date] = set()
        for files in self._files.values():
            found |= files.days(self.root)
        return as_days(found)

    def has(self, table: str, day: dt.date) -> bool:
        """Whether the day has snapshots."""
        date = _date(day)
        return table == "snapshots" and any(f.find(self.root, date)[0] for f in self._files.values())

    def load(self, table: str, day: dt.date) -> SourceDay:
        """Load the day's snapshots.

        Returns
        -------
        SourceDay
            Sorted by symbol, then time, then the file's order.

        Raises
        ------
        SourceError
            There are none, or a file is damaged.
        DataError
            A file lacks a column, or most of its rows are invalid.
        """
        date = _date(day)
        if not self.has(table, date):
            patterns = {n: [p.text for p in f.patterns] for n, f in self._files.items()}
            raise SourceError(f"no {table} on {date} below {self.root}; file patterns: {patterns}. Add the files")
        frames, bad, names = [], [], []
        counts: Counter[str] = Counter()
        for exchange, files in self._files.items():
            for path in files.find(self.root, date)[0]:
                frame, aside = self._file(path, exchange, date, counts)
                frames.append(frame)
                bad.append(aside)
                names.append(path.relative_to(self.root).as_posix())
        notes: dict[str, object] = {"source": self.name, "files": names, **{k: n for k, n in counts.items() if n}}
        whole = pd.concat(frames, ignore_index=True)
        whole = whole.sort_values(["symbol", "time"], kind="stable", ignore_index=True)
        aside = merge_quarantines(bad)
        return SourceDay(whole, aside, {**notes, "rows": len(whole), "quarantined": len(aside)})

    def fingerprint(self, table: str, day: dt.date) -> str:
        """Hash of the content of each exchange's files, their layouts, the stocks kept and this reader's version."""
        date = _date(day)
        used = [(e, file_digests(f.find(self.root, date)[0])) for e, f in self._files.items()]
        symbols = None if self.symbols is None else sorted(set(self.symbols))
        return fingerprint_of(VERSION, table, str(date), symbols, self.every, repr([*self._layouts.values()]), used)

    # ------------------------------------------------------------------ one file

    def _file(self, path: Path, exchange: str, day: dt.date, counts: Counter[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        layout, columns = self._layout(path)
        frames, bad = [], []
        lines = left_out = 0
        for data in read_blocks(path, columns):
            part, aside, others = self._rows(path, data, layout, exchange, day)
            frames.append(part)
            bad.append(aside)
            if data.broken:
                bad.append(quarantine_frame("snapshots", str(path), *data.broken_rows))
            lines += len(data.table) + len(data.broken)
            left_out += others
        frame, aside = pd.concat(frames, ignore_index=True), merge_quarantines(bad)
        require_all_rows(path, lines, read=len(frame), set_aside=len(aside), other_securities=left_out)
        if not lines:
            raise DataError(f"{path}: a header and no rows on {day}; fetch the file again")
        _refuse_other_units(path, frame)
        counts["rows_of_other_securities"] += left_out
        if len(aside) > max(len(frame), 10):
            top = aside["reason"].value_counts()
            raise DataError(
                f"{path}: {len(aside)} of {len(frame) + len(aside)} rows are bad on {day}, most often "
                f"{top.index[0]!r} ({top.iloc[0]}); the first is {place(path, aside['row'].iloc[0])}. Is it a file of "
                "snapshots of this day?"
            )
        return frame, aside

    def _rows(
        self, path: Path, data: FileData, layout: SnapshotFormat, exchange: str, day: dt.date
    ) -> tuple[pd.DataFrame, pd.DataFrame, int]:
        """The wanted stocks' valid rows of a block, the quarantine of the invalid ones, and how many are of others."""
        code = pc.fill_null(data.table["code"], -1).to_numpy()
        at = np.flatnonzero(self._wanted(code, exchange) | (code < 0))
        part, code = data.table.take(pa.array(at)), code[at]
        time = milliseconds_of_day(part["time"], day) if len(at) else np.zeros(0, np.int64)
        numbers = {c: _numbers(part, c) for c in part.column_names if c not in ("code", "time")}
        negative = np.zeros(len(at), bool)
        for values in numbers.values():
            negative |= values < 0
        checks = [
            (code < 0, "the code is no number"),
            (time == OTHER_DAY, "the time is on another day"),
            (time == UNREADABLE, "the time is none"),
            *((mask[at], f"{c} is no number") for c, mask in data.unparsed.items() if c not in ("code", "time")),
            (negative, "a price, volume or count is negative"),
            (np.isnan(numbers["num_trades"]) & np.isnan(numbers["volume"]), "neither volume nor number of trades"),
        ]
        bad, which = first_reason(len(at), checks)
        aside = merge_quarantines([])
        if bad.any():
            there = np.flatnonzero(bad)
            symbols = [f"{c:06d}.{exchange}" if c >= 0 else None for c in code[there].tolist()]
            reasons = [checks[i][1] for i in which[there]]
            aside = quarantine_frame(
                "snapshots", str(path), data.row_numbers(at[there]), reasons, contents_of(part, there), symbols
            )
        good = ~bad
        frame: dict[str, object] = {
            "symbol": pd.Series([f"{c:06d}.{exchange}" for c in code[good].tolist()], dtype="str"),
            "time": np.datetime64(day, "ms") + time[good].astype("timedelta64[ms]"),
        }
        for column in SNAPSHOTS.names[2:]:
            values = numbers.get(column, np.full(len(at), np.nan))[good]
            if "price" in column or column == "last":
                priced = np.rint(values * layout.price * PRICE_GRID) / PRICE_GRID
                frame[column] = np.where(priced > 0, priced, np.nan)
            elif column == "amount":
                frame[column] = values * layout.amount
            else:
                scale = 1.0 if column == "num_trades" else layout.volume
                shares = pd.array(np.rint(values * scale), dtype="Float64")
                published = column[:3] in ("bid", "ask") and column in numbers  # an empty level, not a missing column
                shares[np.isnan(values)] = 0 if published else pd.NA
                frame[column] = shares.astype("Int64")
        return pd.DataFrame(frame), aside, len(data.table) - len(at)

    def _layout(self, path: Path) -> tuple[SnapshotFormat, dict[str, WantedColumn]]:
        header = read_header(path)
        reasons = []
        for name, layout in self._layouts.items():
            columns = layout.wanted()
            try:
                pick(path, header, columns)
            except DataError as error:
                reasons.append(f"{name}: {str(error).split(': ', 1)[-1].split(';')[0]}")
                continue
            return layout, columns
        raise DataError(f"{path} is no known kind of snapshots ({'; '.join(reasons)}); name its columns in 'layouts'")

    def _wanted(self, code: np.ndarray, exchange: str) -> np.ndarray:
        mask = np.zeros(len(code), bool)
        for low, high in A_SHARES[exchange]:
            mask |= (code >= low) & (code <= high)
        if self.symbols is not None:
            mask &= np.isin(code, [int(s[:6]) for s in self.symbols if s.endswith(exchange)])
        return mask & (code % self.every == 0)


def _refuse_other_units(path: Path, frame: pd.DataFrame) -> None:
    """Raise DataError where prices cannot be yuan, or the day's average price is far from the last one."""
    columns = {c: frame[c].to_numpy(np.float64, na_value=np.nan) for c in ("last", "volume", "amount")}
    traded = np.flatnonzero((columns["last"] > 0) & (columns["volume"] > 0) & (columns["amount"] > 0))
    traded = traded[:: max(len(traded) // SAMPLED, 1)]
    last, volume, amount = (columns[c][traded] for c in ("last", "volume", "amount"))
    found = unit_of_prices(last, are_yuan_and_shares(amount, volume, last))
    if found is not None:
        raise DataError(
            f"{path}: last prices are {found[0]:,.0f} in the middle, which no A share has cost in yuan; give the "
            "file's own kind in 'layouts', with its unit 'price'"
        )
    ratio = float(np.median(amount / volume / last)) if len(traded) else 1.0
    if not 1 / MOST_RATIO < ratio < MOST_RATIO:
        raise DataError(
            f"{path}: amount over volume is {ratio:.4g} times the last price in the middle: a unit is wrong; give the "
            "file's own kind in 'layouts', with its units 'volume' (100 for lots) and 'amount'"
        )


def _numbers(part: pa.Table, column: str) -> np.ndarray:
    return part[column].cast(pa.float64()).to_numpy(zero_copy_only=False)


def _date(day: object) -> dt.date:
    return day if type(day) is dt.date else np.datetime64(str(day)[:10], "D").astype(dt.date)
