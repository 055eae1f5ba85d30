"""How much a partition changed when it was built again: rows added, gone and changed, and by how much.

1. :class:`RowComparison` compares old and new rows by the table's key, piece by piece.
2. :class:`Replacement` holds a partition's old file open while a new one takes its place. Where the digest is another,
   it compares the two and stores a :class:`Restatement` under ``_restatements/<table>/<key>.json`` of the lake, one
   file a partition: the last change of each is kept.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mg_assets.errors import DamagedPartitionError
from mg_assets.lake.index import PartitionInfo
from mg_assets.lake.integrity import PartitionFile
from mg_assets.lake.parquet_layout import groups_between, stocks_of
from mg_assets.lake.store import Lake

FIRST = 10
"""Rows of a kind that a comparison lists."""
FOLDER = "_restatements"
TICKS = ("trades", "orders", "snapshots")
"""Tables too large to be compared row by row while they are written."""
KEYS = {
    "trades": ("symbol", "seq"),
    "orders": ("symbol", "seq"),
    "snapshots": ("symbol", "time"),
    "minute_bars": ("symbol", "minute"),
}
_DATES = ("date", "decided")


@dataclass(frozen=True)
class ColumnChange:
    """Changes of one column in the rows that both versions have.

    Attributes
    ----------
    rows : int
        Rows with another value.
    filled, emptied : int
        Of these, null before and null now.
    largest, mean : float or None
        Absolute change, of the rows that have a number before and now; None without any.
    deviation : float or None
        Standard deviation of the new column over the partition: what the change is to be compared with.
    row : str
        Key of the row with the largest change, else of the first changed one; ``old`` and ``new`` are its values.
    old, new : float, str, bool or None
    """

    rows: int
    filled: int
    emptied: int
    largest: float | None
    mean: float | None
    deviation: float | None
    row: str
    old: Any
    new: Any

    @property
    def compared(self) -> int:
        """Rows with a value before and now."""
        return self.rows - self.filled - self.emptied

    @property
    def relative(self) -> float:
        """The largest change in standard deviations of the column; 0 where it is not known."""
        return self.largest / self.deviation if self.largest is not None and self.deviation else 0.0


@dataclass(frozen=True)
class RowChanges:
    """Difference of two versions of a partition.

    Attributes
    ----------
    added, gone, changed : int
        Rows.
    columns : dict of str to ColumnChange
        Of the columns with another value in any row.
    added_columns, gone_columns : tuple of str
    first_added, first_gone : tuple of str
        Keys of the first ten.
    first_changed : tuple of dict
        The first ten changed values: ``row``, ``column``, ``old`` and ``new``.
    """

    added: int = 0
    gone: int = 0
    changed: int = 0
    columns: Mapping[str, ColumnChange] = field(default_factory=dict)
    added_columns: tuple[str, ...] = ()
    gone_columns: tuple[str, ...] = ()
    first_added: tuple[str, ...] = ()
    first_gone: tuple[str, ...] = ()
    first_changed: tuple[Mapping[str, Any], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.gone or self.changed or self.added_columns or self.gone_columns)


class RowComparison:
    """Compares two versions of a table's rows, given in pieces that hold the same keys.

    Parameters
    ----------
    table : str
        Decides the key: the symbol, with the sequence number of ticks and the minute of minute bars; all columns that
        are no floats where there is no symbol. Rows of the same key are matched in their order.

    Examples
    --------
    >>> comparison = RowComparison("daily_bars")
    >>> old = pa.table({"symbol": ["600000.SH", "600001.SH"], "close": [10.5, 7.0]})
    >>> comparison.add(old, pa.table({"symbol": ["600000.SH"], "close": [10.8]}))
    >>> found = comparison.result()
    >>> (found.gone, found.changed, found.first_changed[0]["new"])
    (1, 1, 10.8)
    """

    def __init__(self, table: str):
        self._table = table
        self._counts = np.zeros(3, int)
        self._columns: dict[str, list[ColumnChange]] = {}
        self._names: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._first: tuple[list[str], list[str], list[dict[str, Any]]] = ([], [], [])

    def add(self, old: pa.Table, new: pa.Table) -> None:
        """Continue with a piece of each version."""
        key = [name for name in _key(self._table, new.schema) if name in old.column_names]
        at = _matches(old, new, key)
        both, added = np.flatnonzero(at >= 0), np.flatnonzero(at < 0)
        gone = np.setdiff1d(np.arange(len(old)), at[both])
        columns = [c for c in new.column_names if c in old.column_names and c not in key]
        self._names = (
            tuple(c for c in new.column_names if c not in old.column_names),
            tuple(c for c in old.column_names if c not in new.column_names),
        )
        changed = np.zeros(len(both), bool)
        values: list[tuple[int, str, Any, Any]] = []
        for name in columns:
            a, b = _numpy(old[name])[at[both]], _numpy(new[name])[both]
            differs = _differs(a, b)
            rows = np.flatnonzero(differs)
            if len(rows):
                changed |= differs
                found, top = _column_change(a[rows], b[rows], b)
                self._columns.setdefault(name, []).append(replace(found, row=_row(new, key, both[rows[top]])))
                values += [(int(both[r]), name, a[r], b[r]) for r in rows[:FIRST]]
        self._counts += [len(added), len(gone), int(changed.sum())]
        self._first[0].extend(_row(new, key, i) for i in added[:FIRST])
        self._first[1].extend(_row(old, key, i) for i in gone[:FIRST])
        for i, name, a, b in sorted(values, key=lambda value: (value[0], columns.index(value[1])))[:FIRST]:
            self._first[2].append({"row": _row(new, key, i), "column": name, "old": _plain(a), "new": _plain(b)})

    def result(self) -> RowChanges:
        """The difference of what was added."""
        added, gone, changed = map(int, self._counts)
        columns = {name: joined(parts) for name, parts in self._columns.items()}
        lists = (tuple(part[:FIRST]) for part in self._first)
        return RowChanges(added, gone, changed, columns, *self._names, *lists)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Restatement:
    """Another content of a partition than before, and why.

    Attributes
    ----------
    table, key : str
    time : float
        When it was built, seconds since the epoch: for the reader alone.
    batch : str
        The run, backfill or ``mg run`` that built it.
    definition : bool
        The recipe is another: not the data were restated, but the table is defined in another way.
    because : tuple of str
        ``source NAME`` of each table of the source, and each upstream table, that is not the one of the build before.
    old_rows, rows : int
    changes : RowChanges or None
        None for ticks.
    columns : tuple of str
        Columns with another digest.
    left : int
        Stocks that had a row and have none.
    first_left : tuple of str
        The first ten of them.
    """

    table: str
    key: str
    time: float
    batch: str
    definition: bool
    because: tuple[str, ...]
    old_rows: int
    rows: int
    changes: RowChanges | None
    columns: tuple[str, ...] = ()
    left: int = 0
    first_left: tuple[str, ...] = ()

    @property
    def from_source(self) -> bool:
        """Whether the source gave other rows."""
        return any(cause.startswith("source ") for cause in self.because)


class Replacement:
    """A partition while a new version takes its place.

    Parameters
    ----------
    lake : Lake
    table, key : str

    Examples
    --------
    >>> import tempfile
    >>> lake = Lake(tempfile.mkdtemp())
    >>> old, new = ([pd.DataFrame({"symbol": ["600000.SH"], "score": [s]}) for s in (0.5, 0.7)])
    >>> path = lake.write("fused", "2023-02-01", old)
    >>> with Replacement(lake, "fused", "2023-02-01") as replaced:
    ...     path = lake.write("fused", "2023-02-01", new)
    ...     found = replaced.record("a run")
    >>> round(found.changes.columns["score"].largest, 4)
    0.2
    """

    def __init__(self, lake: Lake, table: str, key: str):
        self._lake, self._table, self._key = lake, table, key
        self._old = lake.info(table, [key], unchecked=False).get(key)
        self._file: PartitionFile | None = None
        self.new: PartitionInfo | None = None  # what was written, once it is recorded
        self._rows: pa.Table | None = None
        self._stocks: set[str] | None = None
        if self._old is None or self._old.damaged:
            return
        try:
            self._file = lake.opened(table, key)  # on a disk, an open file outlives the one that takes its place
            if lake.storage.remote:
                self._rows = None if table in TICKS else self._file.read()
                self._stocks = _stocks_in(self._file)
        except DamagedPartitionError:
            self._old = None

    def __enter__(self) -> "Replacement":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def record(self, batch: str) -> Restatement | None:
        """Compare with what was written since, and store the difference; None where there is none to be found."""
        old = self._old
        new = self.new = self._lake.info(self._table, [self._key], unchecked=False).get(self._key)
        if old is None or old.damaged or new is None or old.digest == new.digest:
            return None
        changes = self._compare()
        if changes is not None and not changes:
            return None
        left = self._left()
        found = Restatement(
            self._table,
            self._key,
            round(time.time(), 3),
            batch,
            old.metadata.get("recipe") != new.metadata.get("recipe"),
            tuple(_causes(old, new)),
            old.rows,
            new.rows,
            changes,
            tuple(name for name, digest in new.columns.items() if old.columns.get(name) != digest),
            len(left),
            tuple(left[:FIRST]),
        )
        with self._lake.storage.replace(_path(self._lake, self._table, self._key), self._table) as out:
            out.write(json.dumps(asdict(found)).encode())
        return found

    def _left(self) -> list[str]:
        """Stocks that had a row and have none."""
        if self._file is None:
            return []
        try:
            before = _stocks_in(self._file) if self._stocks is None else self._stocks
        except DamagedPartitionError:
            return []
        with self._lake.opened(self._table, self._key) as now:
            return sorted(before - _stocks_in(now))

    def _compare(self) -> RowChanges | None:
        if self._file is None or self._table in TICKS:
            return None
        comparison = RowComparison(self._table)
        try:
            old = self._file.read() if self._rows is None else self._rows
        except DamagedPartitionError:
            return None
        comparison.add(old, self._lake.table(self._table, self._key))
        return comparison.result()


def recorded(lake: Lake, tables: Iterable[str] | None = None) -> Iterator[Restatement]:
    """The last restatement of each partition that has one, table by table."""
    files = lake.storage.files(FOLDER)  # of an object store one listing
    for table in lake.storage.tables() if tables is None else tables:
        folder, names = f"{lake.storage.base}/{FOLDER}/{table}", files.names(table)
        for name in lake.storage.names(folder) if names is None else names:
            found = _restatement(lake.storage.read(f"{folder}/{name}"))
            if found is not None:
                yield found


def overall(restatements: Iterable[Restatement]) -> RowChanges:
    """The changes of several partitions of a table; rows are named with their partition."""
    changes = [(found.key, found.changes) for found in restatements if found.changes is not None]
    columns: dict[str, list[ColumnChange]] = {}
    for key, found in changes:
        for name, change in found.columns.items():
            columns.setdefault(name, []).append(replace(change, row=f"{change.row} {key}"))
    first = [{**row, "row": f"{row['row']} {key}"} for key, found in changes for row in found.first_changed]
    return RowChanges(
        sum(found.added for _, found in changes),
        sum(found.gone for _, found in changes),
        sum(found.changed for _, found in changes),
        {name: joined(parts) for name, parts in columns.items()},
        tuple(dict.fromkeys(c for _, found in changes for c in found.added_columns)),
        tuple(dict.fromkeys(c for _, found in changes for c in found.gone_columns)),
        first_changed=tuple(first[:FIRST]),
    )


def compare_with_stored(lake: Lake, table: str, key: str, pieces: Iterable[pa.Table]) -> RowChanges:
    """Compare a stored partition with new rows that come in pieces of whole stocks, one piece in memory at a time.

    Parameters
    ----------
    lake : Lake
    table, key : str
    pieces : iterable of Table
        Of the table's schema, sorted by symbol.

    Returns
    -------
    RowChanges
    """
    comparison, done = RowComparison(table), ""
    with lake.opened(table, key) as file:
        for piece in filter(len, pieces):
            last = piece["symbol"][-1].as_py()
            comparison.add(_stocks(file, done, last), piece)
            done = last
        rest = _stocks(file, done, None)
        if len(rest):
            comparison.add(rest, rest.slice(0, 0))
    return comparison.result()


def _stocks(file: PartitionFile, after: str, last: str | None) -> pa.Table:
    """The rows of the stocks after one, up to another; None for all that follow."""
    part = file.read_row_groups(groups_between(file.parquet, after, last or "\uffff"))
    inside = pc.greater(part["symbol"], after)
    return part.filter(pc.and_(inside, pc.less_equal(part["symbol"], last)) if last else inside)


def _stocks_in(file: PartitionFile) -> set[str]:
    """The stocks with a row: of ticks from the footer's index, of others from their column; none without one."""
    index = stocks_of(file.parquet)
    if index is not None:
        return {stock for stocks, _ in index for stock in stocks}
    groups = range(file.parquet.num_row_groups) if "symbol" in file.schema.names else ()
    return {s for g in groups for s in pc.unique(file.read_row_groups([g], ["symbol"])["symbol"]).to_pylist()}


def joined(parts: Sequence[ColumnChange]) -> ColumnChange:
    """One column's changes over several pieces or partitions."""
    if len(parts) == 1:
        return parts[0]
    top = max(parts, key=lambda part: -1.0 if part.largest is None else part.largest)
    weights = [part.compared if part.mean is not None else 0 for part in parts]
    total = sum(weights)
    mean = sum(w * (part.mean or 0.0) for w, part in zip(weights, parts, strict=True)) / total if total else None
    counts = {name: sum(getattr(part, name) for part in parts) for name in ("rows", "filled", "emptied")}
    return replace(top, mean=mean, **counts)


def _path(lake: Lake, table: str, key: str) -> str:
    return f"{lake.storage.base}/{FOLDER}/{table}/{key}.json"


def _restatement(stored: bytes | None) -> Restatement | None:
    """A stored record; None where it is absent or damaged: the next change of the partition writes it again."""
    try:
        kept = json.loads(stored or b"null")
        changes = kept["changes"]
        if changes is not None:
            columns = {name: ColumnChange(**change) for name, change in changes["columns"].items()}
            kept["changes"] = RowChanges(**{**changes, "columns": columns})
        return Restatement(**kept | {name: tuple(kept.get(name, ())) for name in ("because", "first_left")})
    except (ValueError, KeyError, TypeError):
        return None


def _causes(old: PartitionInfo, new: PartitionInfo) -> Iterator[str]:
    """What the new version was made from that the old one was not."""
    for name, prefix in (("source", "source "), ("inputs", "")):
        before, now = old.metadata.get(name), new.metadata.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from (f"{prefix}{part}" for part in {**before, **now} if before.get(part) != now.get(part))


def _key(table: str, schema: pa.Schema) -> list[str]:
    if table in KEYS:
        return list(KEYS[table])
    if "symbol" in schema.names:
        return ["symbol", *(name for name in _DATES if name in schema.names)]
    return [f.name for f in schema if not pa.types.is_floating(f.type)]


def _matches(old: pa.Table, new: pa.Table, key: Sequence[str]) -> np.ndarray:
    """Position of each new row among the old ones, -1 where it is not there."""
    if len(old) == len(new) and all(not _differs(_numpy(old[name]), _numpy(new[name])).any() for name in key):
        return np.arange(len(new))
    if not key:
        return np.where(np.arange(len(new)) < len(old), np.arange(len(new)), -1)
    before, now = (_index(part.select(list(key)).to_pandas()) for part in (old, new))
    return before.get_indexer(now)


def _index(keys: pd.DataFrame) -> pd.MultiIndex:
    """The keys; those that occur more than once are numbered."""
    names = list(keys.columns)
    repeated = keys.duplicated().any()
    number = keys.groupby(names, dropna=False).cumcount() if repeated else pd.Series(0, keys.index)
    return pd.MultiIndex.from_arrays([*(keys[name] for name in names), number])


def _numpy(column: pa.ChunkedArray) -> np.ndarray:
    return column.to_pandas().to_numpy()


def _differs(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Which values are not the same, null being the same as null."""
    if old.dtype.kind in "iufb" and new.dtype.kind in "iufb":
        return (old != new) & ~((old != old) & (new != new))
    nothing = pd.isna(old) & pd.isna(new)
    return np.asarray(old.astype(object) != new.astype(object), bool) & ~nothing


def _column_change(old: np.ndarray, new: np.ndarray, whole: np.ndarray) -> tuple[ColumnChange, int]:
    """The changes of a column's changed rows, without the key of the largest one, and its position among them."""
    absent, lacking = pd.isna(old), pd.isna(new)
    largest = mean = deviation = None
    top = 0
    if old.dtype.kind in "iuf" and new.dtype.kind in "iuf":
        values = whole.astype(float)
        with np.errstate(invalid="ignore", over="ignore"):
            change = np.abs(new.astype(float) - old.astype(float))
        finite, known = np.isfinite(change), np.isfinite(values)
        deviation = float(np.std(values[known])) if known.any() else None
        if finite.any():
            top = int(np.argmax(np.where(finite, change, -1.0)))
            largest, mean = float(change[top]), float(change[finite].mean())
    filled, emptied = int((absent & ~lacking).sum()), int((lacking & ~absent).sum())
    return ColumnChange(
        len(old), filled, emptied, largest, mean, deviation, "", _plain(old[top]), _plain(new[top])
    ), top


def _row(part: pa.Table, key: Sequence[str], at: int) -> str:
    """The key of a row in words; its number where the table has no key."""
    return " ".join(str(_plain(part[name][int(at)].as_py())) for name in key) if key else f"row {at + 1}"


def _plain(value: Any) -> Any:
    """A value as JSON has it; null is None."""
    if (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float | np.floating) and value != value)
    ):
        return None
    if isinstance(value, np.datetime64 | pd.Timestamp):
        return str(pd.Timestamp(value)).removesuffix(" 00:00:00")
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, bool | int | float | str) else str(value)
