"""Parquet row groups as one contiguous run of rows a stock, straight from Arrow's buffers.

Row groups are read and processed several at a time. A stock that spans row groups (files of other writers; the lake's
own are cut at stock ends) is joined first.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import BinaryIO, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mg_assets.errors import DamagedPartitionError, DataError
from mg_assets.factors.kernels.columns import ascending_within, codes_of, put_nan, runs_of
from mg_assets.lake.integrity import read_footer, reading
from mg_assets.lake.parquet_layout import states_order, stocks_of
from mg_assets.lake.storage import RemoteFile, mark_damaged
from mg_assets.market.schema import ORDER_KINDS

Partition = str | Path | Callable[[], BinaryIO]
"""A Parquet file: its path, or a callable that opens it (for object stores)."""

Made = TypeVar("Made")


class _WrongRowError(ValueError):
    """A wrong row of a row group; the group's reader adds the stock."""

    def __init__(self, row: int, text: str):
        super().__init__(text)
        self.row = row


@dataclass(frozen=True)
class Block:
    """Whole stocks of one table.

    Attributes
    ----------
    symbols : list of str (S,)
    offsets : ndarray of int64 (S + 1,)
        Rows ``offsets[s]:offsets[s + 1]`` are those of stock s, in sequence order.
    columns : dict of str to ndarray
        As the kernels take them: prices float64 with null as NaN, times int64 epoch milliseconds,
        ``side`` and ``kind`` int8, other integers int64 with null as 0. Read-only.
    """

    symbols: list[str]
    offsets: np.ndarray
    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.symbols)

    def part(self, first: int, last: int) -> "Block":
        """Stocks ``first:last``."""
        lo, hi = self.offsets[first], self.offsets[last]
        columns = {name: values[lo:hi] for name, values in self.columns.items()}
        return Block(self.symbols[first:last], self.offsets[first : last + 1] - lo, columns)

    def owned(self) -> "Block":
        """The same rows in memory of their own, so that the row group can go."""
        return Block(self.symbols, self.offsets, _read_only({name: v.copy() for name, v in self.columns.items()}))


class TableFile:
    """One day's table in a Parquet file.

    Parameters
    ----------
    table : str
        Name for error messages.
    partition : Partition
    columns : dict of str to DataType
        What the kernels need besides ``symbol``, and as what (``kind`` as positions in ``ORDER_KINDS``).
    optional : dict of str to DataType
        What is read where the file has it.
    by_seq : bool
        Whether a stock's rows must be taken in the order of ``seq``. The column is read only where the
        file does not state that it is sorted so.

    Raises
    ------
    DataError
        A column is missing.
    """

    def __init__(
        self,
        table: str,
        partition: Partition,
        columns: Mapping[str, pa.DataType],
        optional: Mapping[str, pa.DataType] | None = None,
        by_seq: bool = False,
    ):
        self.table = table
        self.partition = partition
        with reading(str(self)), self._source() as source:
            footer = read_footer(source)
        if footer.table not in (None, table):
            raise DamagedPartitionError(str(self), f"it is {footer.table} {footer.key}, expected {table}")
        self._of_lake = footer.table is not None
        self.metadata = footer.parquet
        self.schema = self.metadata.schema.to_arrow_schema()
        self.stocks = stocks_of(self.metadata)
        self.sort = by_seq and not states_order(self.metadata)
        self.wanted = dict(columns) | ({"seq": pa.int64()} if self.sort else {})
        self.wanted |= {name: kind for name, kind in (optional or {}).items() if name in self.schema.names}
        self.columns = [*([] if self.stocks else ["symbol"]), *self.wanted]
        lacking = [c for c in self.columns if c not in self.schema.names]
        if lacking:
            raise DataError(
                f"{self}: the columns {lacking} are lacking; it has {self.schema.names}: "
                "give it the lake's columns (mg_assets.market.schema)"
            )
        self.open_ends = _open_ends(self.metadata)
        self._files: SimpleQueue[pq.ParquetFile] = SimpleQueue()

    def __str__(self) -> str:
        path = self.partition if isinstance(self.partition, str | Path | RemoteFile) else "its file"
        return f"table {self.table!r} in {path}"

    def __len__(self) -> int:
        return self.metadata.num_rows

    def _source(self):
        # Arrow's own file: one of Python's would copy every read twice, under the interpreter's lock.
        return pa.OSFile(str(self.partition), "rb") if isinstance(self.partition, str | Path) else self.partition()

    def each(self, pool: ThreadPoolExecutor | None, window: int, work: Callable[[Block], Made]) -> list[Made]:
        """Apply ``work`` to blocks that hold each stock exactly once; ``window`` row groups are in memory at most.

        Returns
        -------
        list
            The results in the order of the file.

        Raises
        ------
        DataError
            A stock's rows are not contiguous, or a column is not of its kind.
        """
        made: list[Made] = []
        seen: set[str] = set()
        waiting: Block | None = None

        def finish(block: Block, result: Made) -> None:
            again = seen.intersection(block.symbols)
            if again:
                raise DataError(f"{self}: the rows of {min(again)} are not contiguous; sort the file by symbol, seq")
            seen.update(block.symbols)
            made.append(result)

        tasks = [partial(self._group, g, work) for g in range(self.metadata.num_row_groups)]
        try:
            for head, inner, tail in _in_order(pool, window, tasks):
                for piece in (head, tail):
                    if piece is None:
                        continue
                    if waiting is not None and waiting.symbols == piece.symbols:
                        waiting = _joined(waiting, piece)
                        continue
                    if waiting is not None:
                        finish(waiting, work(self._sorted(waiting)))
                    waiting = piece
                if inner is not None:
                    finish(*inner)
            if waiting is not None:
                finish(waiting, work(self._sorted(waiting)))
        finally:
            self._close()
        return made

    def _group(
        self, group: int, work: Callable[[Block], Made]
    ) -> tuple[Block | None, tuple[Block, Made] | None, Block | None]:
        """Process the stocks that begin and end in a row group; return those at its open ends."""
        block = self._read(group)
        open_head, open_tail = self.open_ends[group], self.open_ends[group + 1]
        if len(block) == 1 and (open_head or open_tail):
            return block.owned(), None, None
        first, last = int(open_head and len(block) > 0), len(block) - int(open_tail and len(block) > 0)
        inner = block.part(first, last) if (first, last) != (0, len(block)) else block
        result = (Block(inner.symbols, inner.offsets, {}), work(self._sorted(inner))) if len(inner) else None
        head = block.part(0, 1).owned() if first else None
        tail = block.part(last, len(block)).owned() if last < len(block) else None
        return head, result, tail

    def _report(self, what: str) -> None:
        """Record that a page is damaged, for the lake's next run."""
        if isinstance(self.partition, str | Path):
            if self._of_lake:
                mark_damaged(self.partition, what)
        elif isinstance(self.partition, RemoteFile):
            self.partition.report(what)

    @contextmanager
    def _file(self) -> Iterator[pq.ParquetFile]:
        """An open file that no other thread reads."""
        try:
            file = self._files.get_nowait()
        except Empty:
            dictionaries = [c for c in ("symbol", "kind") if c in self.columns]
            file = pq.ParquetFile(
                self._source(),
                metadata=self.metadata,
                read_dictionary=dictionaries,
                page_checksum_verification=True,
                pre_buffer=False,  # see PartitionFile: no thread but this one
            )
        yield file
        self._files.put(file)

    def _close(self) -> None:
        while not self._files.empty():
            self._files.get().close(force=True)

    def _read(self, group: int) -> Block:
        with reading(str(self), self._report), self._file() as file:
            rows = file.read_row_group(group, columns=self.columns, use_threads=False)
        if self.stocks:
            symbols, offsets = self.stocks[group]
        else:
            symbol = _one(rows["symbol"])
            self._no_nulls("symbol", symbol)
            indices = symbol.indices.to_numpy()
            starts = runs_of(indices)
            symbols = symbol.dictionary.take(pa.array(indices[starts])).to_pylist()
            offsets = np.append(starts, len(indices))
        try:
            columns = {name: self._values(name, wanted, rows) for name, wanted in self.wanted.items()}
        except _WrongRowError as error:
            symbol = symbols[int(np.searchsorted(offsets, error.row, side="right")) - 1]
            raise DataError(f"{self}: {symbol} has {error}") from error
        return Block(symbols, offsets, columns)

    def _values(self, name: str, wanted: pa.DataType, rows: pa.Table) -> np.ndarray:
        array = _one(rows[name])
        if name == "kind":
            return self._kinds(array)
        if name == "time":
            self._no_nulls(name, array)
            kind = array.type
            if not pa.types.is_timestamp(kind) or kind.tz is not None:
                raise DataError(
                    f"{self}: column 'time' was {kind}, expected exchange-local time without a zone: "
                    "convert it to timestamp[ms]"
                )
            return _buffer(array if kind == wanted else array.cast(wanted, safe=False), np.int64)
        if array.type != wanted:
            try:
                array = array.cast(wanted)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise DataError(f"{self}: column {name!r} was {array.type}, expected {wanted}; convert it") from error
        if array.null_count:
            array = _without_nulls(array)
        return _buffer(array, wanted.to_pandas_dtype())

    def _kinds(self, array: pa.Array) -> np.ndarray:
        self._no_nulls("kind", array)
        names = array.dictionary.to_pylist()
        table = np.array([ORDER_KINDS.index(n) if n in ORDER_KINDS else -1 for n in names] or [0], np.int8)
        codes = codes_of(table, array.indices.to_numpy())
        if (table < 0).any() and (codes < 0).any():
            row = int(np.flatnonzero(codes < 0)[0])
            raise _WrongRowError(row, f"an order of kind {array[row].as_py()!r}, expected one of {ORDER_KINDS}")
        codes.flags.writeable = False
        return codes

    def _no_nulls(self, name: str, array: pa.Array) -> None:
        if array.null_count:
            raise DataError(f"{self}: {array.null_count} rows have no {name}; set them aside first")

    def _sorted(self, block: Block) -> Block:
        if not self.sort:
            return block
        seq = block.columns["seq"]
        if ascending_within(seq, block.offsets):
            return block
        stock = np.repeat(np.arange(len(block)), np.diff(block.offsets))
        order = np.lexsort((seq, stock))
        columns = {name: values[order] for name, values in block.columns.items()}
        return Block(block.symbols, block.offsets, _read_only(columns))


def _one(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return column.combine_chunks() if column.num_chunks else pa.array([], column.type)


def _buffer(array: pa.Array, dtype: type[np.generic]) -> np.ndarray:
    """An array without nulls as numpy, without a copy."""
    data = array.buffers()[1]
    empty = data is None or not len(array)
    values = np.empty(0, dtype) if empty else np.frombuffer(data, dtype, len(array), array.offset * dtype().itemsize)
    values.flags.writeable = False  # throughout: a mix would compile a kernel of its own
    return values


def _without_nulls(array: pa.Array) -> pa.Array:
    """Null as NaN or 0; in place where the values were just read into memory of our own."""
    if not pa.types.is_floating(array.type):
        return pc.fill_null(array, 0)
    valid, data = array.buffers()
    if array.offset or not data.is_mutable:
        return pc.fill_null(array, np.nan)
    put_nan(np.frombuffer(data, np.float64, len(array)), np.frombuffer(valid, np.uint8))
    return pa.Array.from_buffers(array.type, len(array), [None, data], 0)


def _open_ends(metadata: pq.FileMetaData) -> list[bool]:
    """Whether a stock may continue over the start of each row group, and over the end of the last (False)."""
    # by the column's statistics; without them every inner border is open
    names = [metadata.schema.column(i).name for i in range(metadata.num_columns)]
    at = names.index("symbol")
    limits = []
    for g in range(metadata.num_row_groups):
        statistics = metadata.row_group(g).column(at).statistics
        stated = statistics is not None and statistics.has_min_max
        limits.append((statistics.min, statistics.max) if stated else None)
    inner = [a is None or b is None or a[1] >= b[0] for a, b in pairwise(limits)]
    return [False, *inner, False]


def _joined(a: Block, b: Block) -> Block:
    columns = {name: np.concatenate([a.columns[name], b.columns[name]]) for name in a.columns}
    return Block(a.symbols, np.array([0, a.offsets[-1] + b.offsets[-1]]), _read_only(columns))


def _read_only(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for values in columns.values():
        values.flags.writeable = False
    return columns


def _in_order(pool: ThreadPoolExecutor | None, window: int, tasks: Iterable[Callable[[], Made]]) -> Iterator[Made]:
    """Results of the tasks in order, at most ``window`` of them begun and not yet taken."""
    if pool is None:
        yield from (task() for task in tasks)
        return
    running: deque[Future[Made]] = deque()
    try:
        for task in tasks:
            if len(running) >= window:
                yield running.popleft().result()
            running.append(pool.submit(task))
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()
