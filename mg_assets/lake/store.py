"""The lake: one folder per table, one Parquet file per partition, written atomically.

``<root>/<table>/date=2023-02-01/part.parquet``. A write goes to a hidden file in the table's folder, is flushed to disk
and then renamed over the target, so that a reader or a crash sees either the old partition or the new one. On object
stores (fsspec URLs) a put is atomic by itself. Any Parquet reader can open the files as they are; what the lake
verifies when it reads one is in :mod:`mg_assets.lake.integrity`.
"""

import copy
import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from mg_assets.errors import DamagedPartitionError, DataError, MissingPartitionError
from mg_assets.lake.dense_panel import DensePanel, dense_panel
from mg_assets.lake.digest import ContentDigest
from mg_assets.lake.frames import chosen_columns, conform, in_library, joined
from mg_assets.lake.index import PartitionInfo
from mg_assets.lake.integrity import CALLER, PartitionFile, lake_text, seal
from mg_assets.lake.look import SeenTable, TableLooks
from mg_assets.lake.marks import CHECK_RESULT_FILE, DAMAGE_FILE, check_mark, damage_mark
from mg_assets.lake.parquet_layout import groups_between, write_parquet
from mg_assets.lake.partition_keys import WHOLE, as_key, keys_of, partition_column, safe_name
from mg_assets.lake.storage import DATA_FILE, RemoteFile, Storage, TableFiles, mark_damaged
from mg_assets.lake.unchecked import UncheckedLists

READ_THREADS = 4
SEALED_FILE = "_lake.json"
"""In the root of a lake all of whose partitions say what they are: a new one, or one that was verified."""


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
        self._looks = TableLooks(self.storage, self.folder, self._opened, self.damages_beside, self.write_file)
        self._sealed: bool | None = None  # not looked at yet

    def __repr__(self) -> str:
        return f"Lake({self.root!r})"

    def keeping(self) -> Self:
        """The lake for one pass of reading: on an object store, a small file is asked for once, and then kept.

        What another process writes meanwhile is not seen in files that were read; listings and :meth:`info` show it.

        Returns
        -------
        Lake
            The same files; this one where it keeps them already.
        """
        if self.storage.kept is not None:
            return self
        out = copy.copy(self)
        out.storage = self.storage.keeping()
        return out

    def path(self, table: str, key: str) -> str:
        """Path of a partition's file (it need not exist); key ``all`` denotes a table without partitions."""
        return f"{self.folder(table, key)}/{DATA_FILE}"

    def folder(self, table: str, key: str) -> str:
        """Folder of a partition: its data, and files beside them (a model's weights and training curves)."""
        base = f"{self.storage.base}/{safe_name(table, 'table')}"
        return base if key == WHOLE else f"{base}/{partition_column(table, key)}={safe_name(key, 'partition')}"

    def address(self, table: str, key: str) -> str:
        """Address of a partition's folder for a reader: with the scheme of an object store."""
        return self.root + self.folder(table, key).removeprefix(self.storage.base)

    def file(self, table: str, key: str) -> str | Callable[[], BinaryIO]:
        """The partition's Parquet file, verified to be it: its path, or on an object store a callable that opens it."""
        self.opened(table, key).close()
        path = self.path(table, key)
        return RemoteFile(self.storage, path, partial(self.mark_damaged, table, key)) if self.storage.remote else path

    def modified(self, table: str, key: str) -> float | None:
        """When the partition was last written, in seconds since the epoch; None where it is absent."""
        return self.storage.modified(self.path(table, key))

    def written_since(self, table: str, since: float) -> set[str]:
        """The keys of partitions that were written after a time, in seconds since the epoch."""
        times = self.storage.times(safe_name(table, "table"))
        return {key for key, below in zip(keys_of(times), sorted(times), strict=False) if times[below] > since}

    def keys(self, table: str) -> list[str]:
        """Partition keys that the table has, ascending."""
        return keys_of(self.storage.folders(safe_name(table, "table")))

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
        path = f"{self.folder(table, key)}/{safe_name(name, 'file')}"
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
            found = self.info(table, [key], unchecked=False).get(key)
            mark = check_mark(failed, found.digest if found is not None else None)
            self.write_file(table, key, CHECK_RESULT_FILE, mark)
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
            self.write_file(table, key, DAMAGE_FILE, damage_mark(what, self.storage.stamp(path)))
        else:
            mark_damaged(path, what)

    def info(self, table: str, keys: Iterable[str] | None = None, unchecked: bool = True) -> dict[str, PartitionInfo]:
        """What the footers of a table's partitions say, damaged ones included; only changed files are opened.

        Parameters
        ----------
        table : str
            Table name.
        keys : iterable of str, optional
            Partitions to look at, those that are absent left out; by default all, for which a table is listed once.
        unchecked : bool
            Whether the lists of partitions that are not checked are looked at.

        Returns
        -------
        dict of str to PartitionInfo
            By key, ascending.
        """
        return self.seen(table, keys, unchecked=unchecked).partitions

    def seen(
        self,
        table: str,
        keys: Iterable[str] | None = None,
        files: TableFiles | None = None,
        unchecked: bool = True,
    ) -> SeenTable:
        """What :meth:`info` gives, and the lists of partitions that are not checked.

        Parameters
        ----------
        table : str
            Table name.
        keys : iterable of str, optional
            Partitions to look at, by default all.
        files : TableFiles, optional
            Of the table, where they were listed before.
        unchecked : bool
            Whether the lists are looked at.

        Returns
        -------
        SeenTable
            The partitions that are there, and the lists.
        """
        return self._looks.seen(table, keys, files, unchecked)

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
        return joined(parts, partition_column(table, wanted[0])).to_pandas() if parts else pd.DataFrame()

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
        first, last = as_key(start), as_key(end)
        keys = self.keys(table)
        wanted = [key for key in keys if first <= key <= last]
        if not wanted:
            found = f"it has {len(keys)} from {keys[0]} to {keys[-1]}" if keys else "the lake has none of it"
            raise DataError(f"table {table!r} in {self.root} has no partition from {first} to {last}: {found}")
        key = partition_column(table, wanted[0])
        if columns is not None:
            columns = chosen_columns(table, columns, self.table(table, wanted[-1]).column_names, key)
        kind = pa.date32() if key in ("date", "week", "month") else None
        whole = joined(self._tables(table, wanted, columns, "raise"), key, kind)
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
        return dense_panel(wanted, parts, columns, symbols, dtype)

    def _tables(
        self, table: str, keys: list[str], columns: Sequence[str] | None, missing: str
    ) -> list[tuple[str, pa.Table]]:
        few = len(keys) < 4
        if few and self.storage.remote and missing == "raise":  # a partition that is absent says so when it is opened
            return [(k, self.table(table, k, columns)) for k in sorted(set(keys))]
        have = set(self.keys(table)) if self.storage.remote and not few else None
        absent = [k for k in keys if not (self.has(table, k) if have is None else k in have)]
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

    def damages_beside(self, table: str, key: str, written: Mapping[str, str]) -> list[tuple[str, str]]:
        """Name the files, and their faults, beside a partition's data whose digests are not ``written``."""
        found = self._digests_beside(table, key) if written else {}
        return [
            (name, f"{name} is not the file that was written" if name in found else f"{name} is absent")
            for name, digest in written.items()
            if found.get(name) != digest
        ]

    def names_beside(self, table: str, key: str) -> list[str]:
        """The names of the files beside a partition's data (weights, cards, reports), ascending."""
        return [n for n in self.storage.names(self.folder(table, key)) if n != DATA_FILE and n[0] not in "._"]

    def _digests_beside(self, table: str, key: str) -> dict[str, str]:
        """Digest of every file beside a partition's data (weights, cards, reports), by name."""
        folder, names = self.folder(table, key), self.names_beside(table, key)
        return {n: xxhash.xxh3_64_hexdigest(self.storage.read(f"{folder}/{n}") or b"") for n in names}

    def _lacks(self, table: str, key: str) -> MissingPartitionError:
        return MissingPartitionError(
            f"table {table!r} has no partition {key} in {self.root}: build it with mg run, which needs the source's "
            "files of it"
        )
