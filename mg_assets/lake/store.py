"""The lake: one folder per table, one Parquet file per partition, written atomically.

``<root>/<table>/date=2023-02-01/part.parquet``. A write goes to a hidden file beside the
target, is flushed to disk and then renamed over it, so that a reader or a crash sees either
the old partition or the new one. On object stores (fsspec URLs) a put is atomic by itself.
Any Parquet reader can open the files as they are.
"""

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from mg_assets.errors import DamagedPartitionError, DataError, MissingPartitionError
from mg_assets.lake.digest import ContentDigest
from mg_assets.lake.index import IndexEntry, PartitionInfo, Stamp, TableIndex
from mg_assets.lake.integrity import CALLER, Footer, FooterError, lake_text, read_footer, reading, seal
from mg_assets.lake.parquet_layout import groups_between, write_parquet
from mg_assets.market.schema import SCHEMAS

WHOLE = "all"
READ_THREADS = 4
CHECK_RESULT_FILE = "_failed_checks.json"  # readers of Parquet folders skip names with a leading underscore
INDEX_FILE = "_index.json"


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


@contextmanager
def atomic_file(path: str) -> Iterator[BinaryIO]:
    """Open a hidden file beside ``path``; on success flush it to disk and rename it over ``path``."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    beside = f"{folder}/.{os.path.basename(path)}.{uuid.uuid4().hex}.tmp"
    try:
        with open(beside, "w+b") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.unlink(beside)
        raise


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
        self._remote = "://" in self.root
        if self._remote:
            import fsspec

            self._fs, self._base = fsspec.core.url_to_fs(self.root)
        else:
            self._base = self.root
        self._indices: dict[str, TableIndex] = {}

    def __repr__(self) -> str:
        return f"Lake({self.root!r})"

    def path(self, table: str, key: str) -> str:
        """Path of a partition's file (it need not exist); key ``all`` denotes a table without partitions."""
        return f"{self.folder(table, key)}/part.parquet"

    def folder(self, table: str, key: str) -> str:
        """Folder of a partition: its data, and files beside them (a model's weights and training curves)."""
        return f"{self._base}/{table}" if key == WHOLE else f"{self._base}/{table}/{_column(table, key)}={key}"

    def file(self, table: str, key: str) -> str | Callable[[], BinaryIO]:
        """The partition's Parquet file, which must exist: its path, or on an object store a callable that opens it."""
        if not self.has(table, key):
            raise self._lacks(table, key)
        return partial(self._open, table, key) if self._remote else self.path(table, key)

    def modified(self, table: str, key: str) -> float | None:
        """When the partition was last written, in seconds since the epoch; None where it is absent."""
        path = self.path(table, key)
        try:
            return self._fs.modified(path).timestamp() if self._remote else os.stat(path).st_mtime
        except FileNotFoundError:
            return None

    def keys(self, table: str) -> list[str]:
        """Partition keys that the table has, ascending."""
        folder = f"{self._base}/{table}"
        if self._remote:
            files = self._fs.glob(f"{folder}/*/part.parquet")
            return sorted(f.rsplit("/", 2)[1].partition("=")[2] for f in files)
        if not os.path.isdir(folder):
            return []
        if os.path.exists(f"{folder}/part.parquet"):
            return [WHOLE]
        return sorted(
            e.name.partition("=")[2]
            for e in os.scandir(folder)
            if "=" in e.name and os.path.exists(f"{e.path}/part.parquet")
        )

    def has(self, table: str, key: str) -> bool:
        """Whether the partition exists."""
        path = self.path(table, key)
        return bool(self._fs.exists(path)) if self._remote else os.path.exists(path)

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

        path = self.path(table, key)
        if not self._remote:
            with atomic_file(path) as out:
                write_parquet(table, pieces(), out, row_group_size, footer)
                seal(out)
            return path
        with tempfile.TemporaryFile() as whole:
            write_parquet(table, pieces(), whole, row_group_size, footer)
            seal(whole)
            whole.seek(0)
            with self._fs.open(path, "wb") as out:
                shutil.copyfileobj(whole, out, 1 << 20)
        return path

    def write_file(self, table: str, key: str, name: str, content: bytes) -> str:
        """Write a file beside a partition's data (a report, a model card), atomically; returns its path."""
        path = f"{self.folder(table, key)}/{name}"
        if self._remote:
            self._fs.pipe_file(path, content)
            return path
        with atomic_file(path) as out:
            out.write(content)
        return path

    def remove(self, table: str, key: str) -> None:
        """Delete a partition's file where it exists."""
        path = self.path(table, key)
        if self.has(table, key):
            self._fs.rm_file(path) if self._remote else os.unlink(path)

    def record_check_failures(self, table: str, key: str, failed: Sequence[str]) -> None:
        """Record the partition's failed blocking checks beside its data; an empty list deletes an older record."""
        path = f"{self.folder(table, key)}/{CHECK_RESULT_FILE}"
        if failed:
            self.write_file(table, key, CHECK_RESULT_FILE, json.dumps({"failed": list(failed)}).encode())
        elif self._fs.exists(path) if self._remote else os.path.exists(path):
            self._fs.rm_file(path) if self._remote else os.unlink(path)

    def rejected(self, table: str, key: str) -> list[str]:
        """Blocking checks that the present version of the partition failed; a rewritten one has none until checked."""
        path = f"{self.folder(table, key)}/{CHECK_RESULT_FILE}"
        try:
            checked = self._fs.modified(path).timestamp() if self._remote else os.stat(path).st_mtime
        except FileNotFoundError:
            return []
        written = self.modified(table, key)
        if written is None or written > checked:
            return []
        with self._fs.open(path, "rb") if self._remote else open(path, "rb") as file:
            return json.load(file)["failed"]

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
                load=partial(self._stored_index, table),
                save=partial(self.write_file, table, WHOLE, INDEX_FILE),
                read=partial(self._entry, table),
                stamp_beside=partial(self._stamp_beside, table),
            )
        stamps = {}
        for key in self.keys(table) if keys is None else sorted(set(keys)):
            stamp = self._stamp(self.path(table, key))
            if stamp is not None:
                stamps[key] = stamp
        return self._indices[table].look(stamps, whole=keys is None)

    def metadata(self, table: str, key: str) -> dict:
        """The ``metadata`` given to :meth:`write`; empty without any."""
        with self.opened(table, key) as (_, footer):
            return dict(footer.metadata)

    def table(self, table: str, key: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One partition as an Arrow table, without the partition column."""
        with self.opened(table, key) as (file, _):
            return file.read(columns=list(columns) if columns is not None else None)

    def stock(self, table: str, key: str, symbol: str) -> pa.Table:
        """One symbol's rows of a partition; row groups that cannot hold it are not read."""
        with self.opened(table, key) as (file, footer):
            filters = pq.filters_to_expression([("symbol", "=", symbol)])
            groups = groups_between(footer.parquet, symbol, symbol)
            return file.read_row_groups(groups).filter(filters)

    def rows(self, table: str, key: str) -> int:
        """Number of rows of a partition, from the file's footer."""
        with self.opened(table, key) as (_, footer):
            return footer.parquet.num_rows

    @contextmanager
    def opened(self, table: str, key: str, dictionary: Sequence[str] = ()) -> Iterator[tuple[pq.ParquetFile, Footer]]:
        """A partition's file for reading, verified to be the one that was written; its pages are as they are read.

        Parameters
        ----------
        table, key : str
            Table and partition key.
        dictionary : sequence of str
            Text columns that are read as dictionary codes, where the file has them.

        Yields
        ------
        tuple of ParquetFile and Footer

        Raises
        ------
        DamagedPartitionError
            The file, or what is read of it while it is open, is not what was written.
        MissingPartitionError
            The lake lacks the partition.
        """
        with self._open(table, key) as raw, reading(self.path(table, key)):
            footer = self._identified(read_footer(raw), table, key)
            here = [name for name in dictionary if name in footer.parquet.schema.names]
            with pq.ParquetFile(
                raw, metadata=footer.parquet, read_dictionary=here, page_checksum_verification=True
            ) as file:
                yield file, footer

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
        if not parts:
            return pd.DataFrame()
        name = _column(table, wanted[0])
        tagged = []
        for key, part in parts:
            tag = pa.DictionaryArray.from_arrays(np.zeros(len(part), np.int32), [key])
            tagged.append(part.add_column(0, name, tag.cast(pa.string())))
        return pa.concat_tables(tagged, promote_options="permissive").to_pandas()

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

    def _identified(self, footer: Footer, table: str, key: str) -> Footer:
        """The footer where it is that of this table and key; FooterError where it is another's."""
        if footer.table is not None and (footer.table, footer.key) != (table, key):
            raise FooterError(f"it is {footer.table} {footer.key}, put in the place of {table} {key}")
        return footer

    def _entry(self, table: str, key: str, stamp: Stamp) -> IndexEntry | None:
        """What a partition's footer, and the files beside it that it names, say; None where it is gone."""
        try:
            with self._open(table, key) as file, reading(self.path(table, key)):
                footer = self._identified(read_footer(file), table, key)
        except MissingPartitionError:
            return None
        except DamagedPartitionError as error:
            return IndexEntry(stamp, PartitionInfo(key, 0, None, {}, {}, error.what))
        beside = {name: self._stamp_beside(table, key, name) for name in footer.files}
        damaged = None
        if footer.files:
            found = self._digests_beside(table, key)
            wrong = [name for name, digest in footer.files.items() if found.get(name) != digest]
            damaged = f"{', '.join(wrong)} beside it: absent or changed since it was written" if wrong else None
        digest = footer.digest or {"content": None, "columns": {}}
        rows, metadata = footer.parquet.num_rows, dict(footer.metadata)
        return IndexEntry(
            stamp, PartitionInfo(key, rows, digest["content"], digest["columns"], metadata, damaged), beside
        )

    def _digests_beside(self, table: str, key: str) -> dict[str, str]:
        """Digest of every file beside a partition's data (weights, cards, reports), by name."""
        folder = self.folder(table, key)
        if self._remote:
            paths = self._fs.ls(folder, detail=False) if self._fs.exists(folder) else []
            names = [p.rsplit("/", 1)[1] for p in paths if self._fs.isfile(p)]
        else:
            names = [e.name for e in os.scandir(folder) if e.is_file()] if os.path.isdir(folder) else []
        out = {}
        for name in sorted(names):
            if name != "part.parquet" and name[0] not in "._":
                with self._fs.open(f"{folder}/{name}", "rb") if self._remote else open(f"{folder}/{name}", "rb") as f:
                    out[name] = xxhash.xxh3_64_hexdigest(f.read())
        return out

    def _stamp_beside(self, table: str, key: str, name: str) -> Stamp | None:
        return self._stamp(f"{self.folder(table, key)}/{name}")

    def _stamp(self, path: str) -> Stamp | None:
        """What changes when a file does; None where it is absent."""
        try:
            if self._remote:
                facts = self._fs.info(path)
                version = (facts.get(n) for n in ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created"))
                return [int(facts["size"]), str(next((v for v in version if v), ""))]
            found = os.stat(path)
            return [found.st_size, found.st_mtime_ns, found.st_ino]
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _stored_index(self, table: str) -> bytes | None:
        path = f"{self._base}/{table}/{INDEX_FILE}"
        try:
            with self._fs.open(path, "rb") if self._remote else open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _open(self, table: str, key: str) -> Any:
        path = self.path(table, key)
        try:
            return self._fs.open(path, "rb") if self._remote else open(path, "rb")
        except FileNotFoundError as error:
            raise self._lacks(table, key) from error

    def _lacks(self, table: str, key: str) -> MissingPartitionError:
        return MissingPartitionError(f"table {table!r} has no partition {key} in {self.root}; materialise it first")


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
