"""The lake: one folder per table, one Parquet file per partition, written atomically.

``<root>/<table>/date=2023-02-01/part.parquet``. A write goes to a hidden file in the table's folder, is flushed to disk
and then renamed over the target, so that a reader or a crash sees either the old partition or the new one. On object
stores (fsspec URLs) a put is atomic by itself. Any Parquet reader can open the files as they are; what the lake
verifies when it reads one is in :mod:`mg_assets.lake.integrity`.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from mg_assets.errors import DamagedPartitionError, DataError, MissingPartitionError
from mg_assets.lake.digest import ContentDigest
from mg_assets.lake.index import IndexEntry, PartitionInfo, Stamp, TableIndex
from mg_assets.lake.integrity import CALLER, PartitionFile, lake_text, seal
from mg_assets.lake.parquet_layout import groups_between, write_parquet
from mg_assets.lake.storage import CHECK_RESULT_FILE, DAMAGE_FILE, DATA_FILE, MARKS, Storage, mark_damaged
from mg_assets.lake.unchecked import UNCHECKED, UncheckedLists, read_mark
from mg_assets.market.schema import SCHEMAS
from mg_axes import as_days

WHOLE = "all"
READ_THREADS = 4
INDEX_FILE = "_index.json"
SEALED_FILE = "_lake.json"
"""In the root of a lake all of whose partitions say what they are: a new one, or one that was verified."""


@dataclass(frozen=True)
class DensePanel:
    """Values of some columns of a table as dense ``(D, S)`` arrays.

    Attributes
    ----------
    days : ndarray of str (D,)
        Partition keys, ascending.
    symbols : ndarray of str (S,)
        Ascending, or as given.
    values : dict of str to ndarray (D, S)
        NaN (False for bool columns, None for strings) where a symbol is absent that day.
    present : ndarray of bool (D, S)
        Whether the table has the row.
    """

    days: np.ndarray
    symbols: np.ndarray
    values: dict[str, np.ndarray]
    present: np.ndarray

    def __getitem__(self, column: str) -> np.ndarray:
        return self.values[column]

    def stack(self, columns: Sequence[str]) -> np.ndarray:
        """The columns as one ``(D, S, F)`` float array."""
        return np.stack([self.values[c] for c in columns], axis=-1)


@dataclass(frozen=True)
class RemoteFile:
    """A partition's file on an object store: a callable that opens it."""

    lake: "Lake"
    table: str
    key: str

    def __call__(self) -> BinaryIO:
        """Open it."""
        return self.lake.storage.open(self.lake.path(self.table, self.key))

    def __str__(self) -> str:
        return self.lake.path(self.table, self.key)

    def report(self, what: str) -> None:
        """Record that its bytes are damaged."""
        self.lake.mark_damaged(self.table, self.key, what)


class Lake:
    """Tables of Parquet partitions under one root.

    Parameters
    ----------
    root : str or Path
        A folder, or any URL that fsspec knows (``s3://bucket/lake``).

    See Also
    --------
    mg_assets.lake.as_of.AsOfLake : The same lake as of the close of a day.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> lake = Lake(tempfile.mkdtemp())
    >>> path = lake.write("signal", "2023-02-01", pd.DataFrame({"symbol": ["600519.SH"], "score": [0.5]}))
    >>> lake.keys("signal")
    ['2023-02-01']
    >>> lake.day("signal", "2023-02-01")
          symbol  score
    0  600519.SH    0.5
    """

    def __init__(self, root: str | Path):
        self.root = str(root).rstrip("/")
        self.storage = Storage(self.root)
        self._indices: dict[str, TableIndex] = {}
        self._sealed: bool | None = None  # not looked at yet

    def __repr__(self) -> str:
        return f"Lake({self.root!r})"

    def __getstate__(self) -> dict[str, Any]:  # another process reads the footers itself
        return self.__dict__ | {"_indices": {}}

    def path(self, table: str, key: str) -> str:
        """Path of a partition's file (it need not exist); key ``all`` denotes a table without partitions."""
        return f"{self.folder(table, key)}/{DATA_FILE}"

    def folder(self, table: str, key: str) -> str:
        """Folder of a partition: its data, and files beside them (a model's weights and training curves)."""
        base = f"{self.storage.base}/{table}"
        return base if key == WHOLE else f"{base}/{_column(table, key)}={key}"

    def file(self, table: str, key: str) -> str | Callable[[], BinaryIO]:
        """The partition's Parquet file, verified to be it: its path, or on an object store a callable that opens it."""
        self.opened(table, key).close()
        return RemoteFile(self, table, key) if self.storage.remote else self.path(table, key)

    def modified(self, table: str, key: str) -> float | None:
        """When the partition was last written, in seconds since the epoch; None where it is absent."""
        return self.storage.modified(self.path(table, key))

    def keys(self, table: str) -> list[str]:
        """Partition keys that the table has, ascending."""
        return _keys(self.storage.folders(table))

    def has(self, table: str, key: str) -> bool:
        """Whether the partition exists."""
        return self.storage.exists(self.path(table, key))

    def write(
        self,
        table: str,
        key: str,
        frame: pd.DataFrame | pa.Table | Iterable[pa.Table],
        metadata: dict[str, object] | None = None,
        row_group_size: int = 1 << 20,
    ) -> str:
        """Replace one partition atomically and return its path.

        Parameters
        ----------
        table, key : str
            Table and partition key, such as ``daily_bars`` and ``2023-02-01``.
        frame : DataFrame, Table or iterable of Table
            Rows, sorted by symbol where the table has symbols. They may come in pieces with the same columns, at least
            one, of which one at a time is in memory. Columns of a table in :data:`mg_assets.market.schema.SCHEMAS` are
            cast to its schema.
        metadata : dict, optional
            Kept in the file's footer as JSON and returned by :meth:`metadata`.
        row_group_size : int
            For tables without a layout of their own (:mod:`mg_assets.lake.parquet_layout`).

        Returns
        -------
        str
            Path of the file.

        Raises
        ------
        DataError
            Columns are lacking, unknown or not of the schema's type, or no piece was given.
        """
        kept = None if metadata is None else {CALLER.encode(): json.dumps(metadata, default=str).encode()}
        parts = [frame] if isinstance(frame, pd.DataFrame | pa.Table) else frame
        digest = ContentDigest()

        def pieces() -> Iterator[pa.Table]:
            for part in parts:
                piece = conform(table, part).replace_schema_metadata(kept)
                digest.add(piece)
                yield piece

        def footer() -> dict[str, str]:
            return lake_text(table, key, digest.result(), self._digests_beside(table, key))

        self._seal_if_new()
        path = self.path(table, key)
        with self.storage.replace(path, table) as out:
            write_parquet(table, pieces(), out, row_group_size, footer)
            seal(out)
        self.storage.remove(f"{self.folder(table, key)}/{DAMAGE_FILE}")
        return path

    def write_file(self, table: str, key: str, name: str, content: bytes) -> str:
        """Write a file beside a partition's data (a report, a model card), atomically; returns its path."""
        path = f"{self.folder(table, key)}/{name}"
        with self.storage.replace(path, table) as out:
            out.write(content)
        return path

    @property
    def sealed(self) -> bool:
        """Whether every partition must say which it is: a file that does not was put there by another program."""
        if self._sealed is None:
            self._sealed = self.storage.exists(f"{self.storage.base}/{SEALED_FILE}")
        return self._sealed

    def _seal_if_new(self) -> None:
        """Seal a lake without partitions; looked at once, at this object's first write."""
        if self._sealed is None and not self.sealed:
            if not any(self.storage.folders(table) for table in self.storage.tables()):
                self.seal()

    def seal(self) -> None:
        """Require from now on that every partition says which it is; lakes of older versions do not."""
        with self.storage.replace(f"{self.storage.base}/{SEALED_FILE}", "") as out:
            out.write(json.dumps({"format": 3}).encode())
        self._sealed = True

    def remove(self, table: str, key: str) -> None:
        """Delete a partition's file where it exists."""
        self.storage.remove(self.path(table, key))

    def remove_abandoned(self) -> list[str]:
        """Remove the temporary files of writes whose process was killed, never a live one's; returns their paths."""
        found = self.storage.abandoned()
        for path in found:
            self.storage.remove(path)
        return found

    def record_check_failures(self, table: str, key: str, failed: Sequence[str]) -> None:
        """Record the partition's failed blocking checks beside its data; an empty list deletes an older record."""
        if failed:
            found = self.info(table, [key]).get(key)
            record = {"failed": list(failed), "digest": found.digest if found is not None else None}
            self.write_file(table, key, CHECK_RESULT_FILE, json.dumps(record).encode())
        else:
            self.storage.remove(f"{self.folder(table, key)}/{CHECK_RESULT_FILE}")

    def rejected(self, table: str, key: str) -> list[str]:
        """Blocking checks that the present content of the partition failed, ``unchecked`` where none has seen it."""
        found = self.info(table, [key]).get(key)
        return [] if found is None else list(found.rejected)

    def mark_damaged(self, table: str, key: str, what: str) -> None:
        """Record that a partition's file, as it is now, is damaged: for :meth:`info` it is, until it is replaced."""
        path = self.path(table, key)
        if self.storage.remote:
            mark = {"what": what, "stamp": self.storage.stamp(path)}
            self.write_file(table, key, DAMAGE_FILE, json.dumps(mark).encode())
        else:
            mark_damaged(path, what)

    def info(self, table: str, keys: Iterable[str] | None = None) -> dict[str, PartitionInfo]:
        """What the footers of a table's partitions say, damaged ones included; only changed files are opened.

        Parameters
        ----------
        table : str
            Table name.
        keys : iterable of str, optional
            Partitions to look at, those that are absent left out; by default all, for which a table is listed once.

        Returns
        -------
        dict of str to PartitionInfo
            By key, ascending.
        """
        if table not in self._indices:
            self._indices[table] = TableIndex(
                load=partial(self.storage.read, f"{self.storage.base}/{table}/{INDEX_FILE}"),
                save=partial(self.write_file, table, WHOLE, INDEX_FILE),
                read=partial(self._entry, table),
                stamp_beside=partial(self._stamp_beside, table),
            )
        if keys is None:
            folders = self.storage.partitions(table)
            present = {key: folders[below] for key, below in zip(_keys(folders), sorted(folders), strict=False)}
        else:
            found = {key: self._stamp_and_marks(table, key) for key in sorted(set(keys))}
            present = {key: seen for key, seen in found.items() if seen is not None}
        stamps = {key: stamp for key, (stamp, _) in present.items()}
        out = self._indices[table].look(stamps, whole=keys is None)
        for key in [k for k in out if present[k][1]]:
            out[key] = self._marked(table, out[key], *present[key])
        for digests in self.unchecked(table).read().values():
            for key in [k for k in digests if k in out and out[k].digest != digests[k]]:
                out[key] = replace(out[key], rejected=(UNCHECKED,))
        return out

    def unchecked(self, table: str) -> UncheckedLists:
        """The lists of the table's partitions that are written and not checked."""
        return UncheckedLists(self.storage, table)

    def metadata(self, table: str, key: str) -> dict:
        """The ``metadata`` given to :meth:`write`; empty without any."""
        with self.opened(table, key) as file:
            return dict(file.footer.metadata)

    def table(self, table: str, key: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One partition as an Arrow table, without the partition column."""
        with self.opened(table, key) as file:
            return file.read(columns)

    def stock(self, table: str, key: str, symbol: str) -> pa.Table:
        """One symbol's rows of a partition; row groups that cannot hold it are not read."""
        with self.opened(table, key) as file:
            part = file.read_row_groups(groups_between(file.parquet, symbol, symbol))
        return part.filter(pc.equal(part["symbol"], symbol))

    def rows(self, table: str, key: str) -> int:
        """Number of rows of a partition, from the file's footer."""
        with self.opened(table, key) as file:
            return file.parquet.num_rows

    def opened(self, table: str, key: str, dictionary: Sequence[str] = ()) -> PartitionFile:
        """A partition's file for reading, verified to be this table's and key's.

        Parameters
        ----------
        table, key : str
            Table and partition key.
        dictionary : sequence of str
            Text columns that are read as dictionary codes, where the file has them.

        Returns
        -------
        PartitionFile
            To be closed. Pages are verified as they are read.

        Raises
        ------
        DamagedPartitionError
            The file is not what was written.
        MissingPartitionError
            The lake lacks the partition.
        """
        try:
            return self._opened(table, key, dictionary)
        except DamagedPartitionError as error:
            self.mark_damaged(table, key, error.what)
            raise

    def _opened(self, table: str, key: str, dictionary: Sequence[str]) -> PartitionFile:
        path = self.path(table, key)
        try:
            source = self.storage.open(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._lacks(table, key) from error
        file = PartitionFile(source, path, partial(self.mark_damaged, table, key), dictionary)
        found = (file.footer.table, file.footer.key)
        if found == (table, key) or (file.footer.table is None and not self.sealed):
            return file
        file.close()
        other = "of another program" if file.footer.table is None else " ".join(map(str, found))
        raise DamagedPartitionError(path, f"it is a file {other}, put in the place of {table} {key}")

    def day(self, table: str, key: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One partition as a DataFrame, without the partition column."""
        return self.table(table, key, columns).to_pandas()

    def read(
        self,
        table: str,
        keys: Iterable[str],
        columns: Sequence[str] | None = None,
        missing: str = "raise",
    ) -> pd.DataFrame:
        """Many partitions as one DataFrame with the key in the first column (``date``, ``week``, ...).

        Parameters
        ----------
        table : str
            Table name.
        keys : iterable of str
            Partition keys; rows come in their ascending order.
        columns : sequence of str, optional
            Columns to read, by default all.
        missing : {"raise", "skip"}
            What to do about partitions that the lake lacks.

        Returns
        -------
        DataFrame
            Empty without any partition.

        Raises
        ------
        MissingPartitionError
            A partition is missing and ``missing`` is ``"raise"``.
        """
        wanted = list(keys)
        parts = self._tables(table, wanted, columns, missing)
        return _joined(table, parts).to_pandas() if parts else pd.DataFrame()

    def read_range(
        self,
        table: str,
        start: str | dt.date,
        end: str | dt.date,
        columns: str | Sequence[str] | None = None,
        into: str = "pandas",
    ) -> Any:
        """Read the partitions between two dates as one table, the key in its first column.

        Parameters
        ----------
        table : str
            Table name.
        start, end : str or date
            First and last day (or week, month, half-year ``"2023H1"``), both included; days that the lake does not have
            are left out.
        columns : str or sequence of str, optional
            Columns to read, by default all; the key and ``symbol`` come with them.
        into : {"pandas", "polars", "arrow"}
            Library of the result. Polars is imported only when it is asked for.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame or pyarrow.Table
            Rows ascend by key. ``date`` (or ``week``, ``month``) is a date, a half-year is text.

        Raises
        ------
        DataError
            No partition in the range, a column that the table has not, or another library.
        """
        first, last = _key_text(start), _key_text(end)
        keys = self.keys(table)
        wanted = [key for key in keys if first <= key <= last]
        if not wanted:
            found = f"it has {len(keys)} from {keys[0]} to {keys[-1]}" if keys else "the lake has none of it"
            raise DataError(f"table {table!r} in {self.root} has no partition from {first} to {last}: {found}")
        if columns is not None:
            own = self.table(table, wanted[-1]).column_names
            key = _column(table, wanted[0])  # comes anyway
            columns = [name for name in ([columns] if isinstance(columns, str) else columns) if name != key]
            lacking = [name for name in columns if name not in own]
            if lacking:
                raise DataError(f"table {table!r} has no column {lacking[0]!r}; it has {', '.join([key, *own])}")
            columns = list(dict.fromkeys(["symbol", *columns] if "symbol" in own else columns))
        whole = _joined(table, self._tables(table, wanted, columns, "raise"))
        if _column(table, wanted[0]) in ("date", "week", "month"):
            whole = whole.set_column(0, whole.column_names[0], whole[0].cast(pa.date32()))
        return in_library(whole, into)

    def panel(
        self,
        table: str,
        keys: Iterable[str],
        columns: Sequence[str],
        symbols: Sequence[str] | np.ndarray | None = None,
        missing: str = "raise",
        dtype: type = np.float64,
    ) -> DensePanel:
        """Read columns of many partitions as dense ``(D, S)`` arrays.

        Parameters
        ----------
        table : str
            Table with a column ``symbol``, at most one row a symbol and partition.
        keys : iterable of str
            Partition keys, the first axis in ascending order.
        columns : sequence of str
            Columns to read.
        symbols : sequence of str, optional
            The second axis; by default every symbol found, ascending.
        missing : {"raise", "empty"}
            Whether a missing partition raises or becomes a row without values.
        dtype : type
            Of numeric columns.

        Returns
        -------
        DensePanel
            Days, symbols, one array a column, and where the table has a row.

        Raises
        ------
        MissingPartitionError
            A partition is missing and ``missing`` is ``"raise"``.
        """
        wanted = sorted(keys)
        parts = self._tables(table, wanted, ["symbol", *columns], "raise" if missing == "raise" else "skip")
        found = dict(parts)
        if symbols is None:
            every = {s for _, part in parts for s in pc.unique(part["symbol"]).to_pylist()}
            axis = np.array(sorted(every), dtype=object)
        else:
            axis = np.asarray(symbols, dtype=object)
        index = pd.Index(axis)
        shape = (len(wanted), len(axis))
        present = np.zeros(shape, bool)
        values: dict[str, np.ndarray] = {}
        for row, key in enumerate(wanted):
            part = found.get(key)
            if part is None or not len(part):
                continue
            at = index.get_indexer(part["symbol"].to_numpy(zero_copy_only=False))
            keep = at >= 0
            present[row, at[keep]] = True
            for column in columns:
                data = part[column]
                if column not in values:
                    values[column] = _blank(data.type, shape, dtype)
                values[column][row, at[keep]] = _numpy(data, values[column].dtype)[keep]
        for column in columns:
            values.setdefault(column, np.full(shape, np.nan, dtype))
        return DensePanel(np.array(wanted, dtype=object), axis, values, present)

    def _tables(
        self, table: str, keys: list[str], columns: Sequence[str] | None, missing: str
    ) -> list[tuple[str, pa.Table]]:
        absent = [k for k in keys if not self.has(table, k)]
        if absent and missing == "raise":
            raise MissingPartitionError(
                f"table {table!r} in {self.root} lacks {len(absent)} of {len(keys)} partitions, "
                f"first {absent[0]}, last {absent[-1]}; materialise them first"
            )
        here = sorted(set(keys) - set(absent))
        if len(here) < 4:
            return [(k, self.table(table, k, columns)) for k in here]
        with ThreadPoolExecutor(READ_THREADS) as pool:
            return list(zip(here, pool.map(lambda k: self.table(table, k, columns), here), strict=True))

    def _stamp_beside(self, table: str, key: str, name: str) -> Stamp | None:
        return self.storage.stamp(f"{self.folder(table, key)}/{name}")

    def _stamp_and_marks(self, table: str, key: str) -> tuple[Stamp, list[str]] | None:
        stamp = self.storage.stamp(self.path(table, key))
        if stamp is None:
            return None
        return stamp, [name for name in MARKS if self.storage.exists(f"{self.folder(table, key)}/{name}")]

    def _marked(self, table: str, info: PartitionInfo, stamp: Stamp, marks: list[str]) -> PartitionInfo:
        """A partition with what the marks beside it say, where they speak of this very content and file."""
        for name in marks:
            text = self.storage.read(f"{self.folder(table, info.key)}/{name}")
            if text is None or info.damaged is not None:  # just removed, or of no further interest
                continue
            mark = read_mark(text)
            if name == CHECK_RESULT_FILE and (mark is None or mark.get("digest") == info.digest):
                info = replace(info, rejected=tuple((mark or {}).get("failed", (f"{name}, which cannot be read",))))
            if name == DAMAGE_FILE and (mark is None or _same_file(mark.get("stamp"), stamp)):
                what = (mark or {}).get("what", f"its mark {name} cannot be read")
                info = replace(info, damaged=what, digest=None)
        return info

    def _entry(self, table: str, key: str, stamp: Stamp) -> IndexEntry | None:
        """What a partition's footer, and the files beside it that it names, say; None where it is gone."""
        try:
            with self._opened(table, key, ()) as file:
                footer = file.footer
        except MissingPartitionError:
            return None
        except DamagedPartitionError as error:
            return IndexEntry(stamp, PartitionInfo(key, 0, None, {}, {}, error.what))
        beside = {name: self._stamp_beside(table, key, name) for name in footer.files}
        damaged = "; ".join(what for _, what in self.damages_beside(table, key, footer.files)) or None
        digest = footer.digest or {"content": None, "columns": {}}
        content = None if damaged else digest["content"]
        rows, metadata = footer.parquet.num_rows, dict(footer.metadata)
        return IndexEntry(stamp, PartitionInfo(key, rows, content, digest["columns"], metadata, damaged), beside)

    def damages_beside(self, table: str, key: str, written: Mapping[str, str]) -> list[tuple[str, str]]:
        """Name the files, and their faults, beside a partition's data whose digests are not ``written``."""
        found = self._digests_beside(table, key) if written else {}
        return [
            (name, f"{name} is not the file that was written" if name in found else f"{name} is absent")
            for name, digest in written.items()
            if found.get(name) != digest
        ]

    def _digests_beside(self, table: str, key: str) -> dict[str, str]:
        """Digest of every file beside a partition's data (weights, cards, reports), by name."""
        folder = self.folder(table, key)
        names = [n for n in self.storage.names(folder) if n != DATA_FILE and n[0] not in "._"]
        return {n: xxhash.xxh3_64_hexdigest(self.storage.read(f"{folder}/{n}") or b"") for n in names}

    def _lacks(self, table: str, key: str) -> MissingPartitionError:
        return MissingPartitionError(f"table {table!r} has no partition {key} in {self.root}; materialise it first")


def _same_file(marked: object, stamp: Stamp) -> bool:
    """Whether a mark's stamp is of this file: by size and inode (or version), since times can be set."""
    return isinstance(marked, list) and len(marked) == len(stamp) and (marked[0], marked[-1]) == (stamp[0], stamp[-1])


def _keys(folders: Iterable[str]) -> list[str]:
    """Partition keys of a table's folders; one whose data are in the table's own folder has no others."""
    names = sorted(folders)
    return [WHOLE] if "" in names else [name.partition("=")[2] for name in names]


def conform(table: str, frame: pd.DataFrame | pa.Table) -> pa.Table:
    """Cast a frame to the table's schema (DataError where it does not fit); tables without one are left as they are."""
    schema = SCHEMAS.get("quarantine" if table.startswith("quarantine_") else table)
    data = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    if schema is None:
        return data.replace_schema_metadata(None)
    lacking = [n for n in schema.names if n not in data.column_names]
    extra = [n for n in data.column_names if n not in schema.names]
    if lacking or extra:
        raise DataError(
            f"table {table!r}: columns lacking {lacking}, not in the schema {extra}; expected {schema.names}"
        )
    try:
        return data.select(schema.names).replace_schema_metadata(None).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"table {table!r} does not fit its schema: {error}") from error


def in_library(table: pa.Table, into: str) -> Any:
    """A table as it is (``"arrow"``), of ``"pandas"`` or of ``"polars"``; DataError for another library."""
    if into == "pandas":
        return table.to_pandas(date_as_object=False)
    if into == "arrow":
        return table
    if into != "polars":
        raise DataError(f"into was {into!r}, expected pandas, polars or arrow")
    try:
        import polars  # only here: it is no dependency
    except ModuleNotFoundError:
        raise DataError("polars is not installed: pip install polars, or read into pandas or arrow") from None
    return polars.from_arrow(table)


def _joined(table: str, parts: list[tuple[str, pa.Table]]) -> pa.Table:
    """Partitions below one another, the key in the first column."""
    tagged = []
    for key, part in parts:
        tag = pa.DictionaryArray.from_arrays(np.zeros(len(part), np.int32), [key])
        tagged.append(part.add_column(0, _column(table, key), tag.cast(pa.string())))
    return pa.concat_tables(tagged, promote_options="permissive")


def _key_text(key: str | dt.date) -> str:
    """A date as partitions are named by it; a half-year as it is."""
    if isinstance(key, str) and len(key) == 6 and key[4] == "H":
        return key
    try:
        return str(as_days([key], "start or end")[0])
    except ValueError as wrong:
        raise DataError(f"{wrong}, like 2023-01-31, or a half-year like 2023H1") from None


def _column(table: str, key: str) -> str:
    if table == "portfolio_cells":
        return "cell"
    if len(key) == 6 and key[4] == "H":
        return "period"
    if table.startswith("weekly_") or table.startswith("weights_"):
        return "week"
    return "month" if table.startswith("monthly_") else "date"


def _blank(kind: pa.DataType, shape: tuple[int, int], dtype: type) -> np.ndarray:
    if pa.types.is_boolean(kind):
        return np.zeros(shape, bool)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.full(shape, None, object)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return np.full(shape, np.datetime64("NaT", "D"), "datetime64[D]")
    return np.full(shape, np.nan, dtype)


def _numpy(data: pa.ChunkedArray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "b":
        return pc.fill_null(data, False).to_numpy(zero_copy_only=False).astype(bool)
    if dtype.kind == "f":
        return data.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return data.to_numpy(zero_copy_only=False)
