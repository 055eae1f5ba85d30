"""From a DataFrame of many stocks to arrays with one contiguous run of rows a stock.

Sorted input (by symbol, then seq) is used without a copy; other input is sorted
stably first. Symbols may be ``str``, categorical, object or Arrow-backed.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import DataError
from mg_assets.factors.kernels.cache import kernel
from mg_assets.market.schema import ORDER_KINDS

LIMIT, MARKET, OWN_BEST, CANCEL = range(len(ORDER_KINDS))
_NOT_A_TIME = np.iinfo(np.int64).min


class StockRows:
    """Rows of one table on one day, grouped by stock.

    Parameters
    ----------
    table : str
        Name for error messages.
    frame : DataFrame
        Must have ``symbol`` and ``columns``.
    columns : sequence of str
        Columns that will be asked for.
    by_seq : bool
        Whether the rows of a stock are needed in the order of ``seq`` (ties: as given).

    Attributes
    ----------
    symbols : ndarray of object (S,)
        Ascending.
    offsets : ndarray of int64 (S + 1,)
        Rows ``offsets[s]:offsets[s + 1]`` are those of stock s.

    Raises
    ------
    DataError
        A column is missing, a symbol or a time is null, or a column is not of its kind.
    """

    def __init__(self, table: str, frame: pd.DataFrame, columns: Sequence[str], by_seq: bool = False):
        self.table = table
        self._frame = frame
        lacking = [c for c in ("symbol", *columns, *(("seq",) if by_seq else ())) if c not in frame.columns]
        if lacking:
            raise DataError(
                f"table {table!r} lacks the columns {lacking}; it has {list(frame.columns)}: "
                "give it the lake's columns (mg_assets.market.schema)"
            )
        self._order: np.ndarray | None = None
        starts, codes, self.symbols = _symbol_runs(table, frame["symbol"])
        bounds = np.append(starts, len(frame))
        if (np.diff(codes) > 0).all():
            self.offsets = bounds
        else:
            row_codes = np.repeat(codes, np.diff(bounds))
            self._order = np.argsort(row_codes, kind="stable")
            self.offsets = np.append(0, np.cumsum(np.bincount(row_codes, minlength=len(self.symbols))))
        if by_seq:
            seq = self.integers("seq")
            if not ascending_within(seq, self.offsets):
                stock = np.repeat(np.arange(len(self.symbols)), np.diff(self.offsets))
                inner = np.lexsort((seq, stock))
                self._order = inner if self._order is None else self._order[inner]

    def __len__(self) -> int:
        return len(self.symbols)

    def floats(self, column: str) -> np.ndarray:
        """The column as read-only float64, null as NaN."""
        series = self._frame[column]
        try:
            values = series.to_numpy() if series.dtype == np.float64 else series.to_numpy(np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise self._not_numeric(column) from error
        return self._laid_out(values)

    def integers(self, column: str) -> np.ndarray:
        """The column as read-only int64, null as 0."""
        series = self._frame[column]
        try:
            if series.dtype == np.int64:
                values = series.to_numpy()
            elif isinstance(series.dtype, np.dtype) and series.dtype.kind == "f":
                values = np.nan_to_num(series.to_numpy()).astype(np.int64)
            else:
                values = series.to_numpy(np.int64, na_value=0)
        except (TypeError, ValueError) as error:
            raise self._not_numeric(column) from error
        return self._laid_out(values)

    def numbers(self, column: str) -> np.ndarray:
        """The column as read-only int64 where it is stored so, else as float64 with null as NaN."""
        return (self.integers if self._frame[column].dtype == np.int64 else self.floats)(column)

    def signs(self, column: str) -> np.ndarray:
        """+1 and -1 of the column, 0 for any other value, read-only int8."""
        series = self._frame[column]
        if series.dtype == np.int8:
            return self._laid_out(series.to_numpy())
        values = self.integers(column)
        return _read_only((values == 1).astype(np.int8) - (values == -1).astype(np.int8))

    def times(self) -> np.ndarray:
        """Epoch milliseconds of the column ``time``, read-only int64."""
        series = self._frame["time"]
        if isinstance(series.dtype, pd.ArrowDtype):
            series = series.astype(series.dtype.numpy_dtype)
        if not isinstance(series.dtype, np.dtype) or series.dtype.kind != "M":
            raise DataError(
                f"table {self.table!r}: column 'time' was {series.dtype}, expected exchange-local time "
                "without a zone: convert it to datetime64[ms]"
            )
        stamps = series.to_numpy().astype("datetime64[ms]", copy=False).view(np.int64)
        if len(stamps) and stamps.min() == _NOT_A_TIME:
            raise DataError(
                f"table {self.table!r}: {int((stamps == _NOT_A_TIME).sum())} rows have no time; set them aside first"
            )
        return self._laid_out(stamps)

    def kinds(self) -> np.ndarray:
        """Order kinds as positions in ``ORDER_KINDS``, read-only int8."""
        strings = _arrow(self.table, "kind", self._frame["kind"])
        if pa.types.is_dictionary(strings.type):
            names = strings.dictionary.to_pylist()
            known = np.array([ORDER_KINDS.index(n) if n in ORDER_KINDS else -1 for n in names], np.int8)
            codes = known[strings.indices.to_numpy()] if names else np.empty(0, np.int8)
        else:
            codes = _kind_codes(*_buffers(strings))
        unknown = np.flatnonzero(codes < 0)
        if len(unknown):
            row = int(unknown[0])
            raise DataError(
                f"table {self.table!r}: order kind was {strings[row].as_py()!r} in row {row + 1} "
                f"({self._frame['symbol'].iloc[row]}), expected one of {ORDER_KINDS}"
            )
        return self._laid_out(codes)

    def has(self, column: str) -> bool:
        """Whether the table has the column."""
        return column in self._frame.columns

    def wrong_minute(self, row: int, minute: int) -> DataError:
        """The error that laid-out row ``row`` has a minute that the day does not have, or has twice."""
        symbol = self.symbols[np.searchsorted(self.offsets, row, side="right") - 1]
        return DataError(
            f"table {self.table!r}: {symbol} has minute {minute} twice or outside 0..239; "
            "a day has one row for each of the minutes 0..239 (09:30-09:31 is 0)"
        )

    def _laid_out(self, values: np.ndarray) -> np.ndarray:
        values = np.ascontiguousarray(values if self._order is None else values[self._order]).view()
        # Read-only throughout: pandas hands out both kinds, and each mix would compile a kernel of its own.
        values.flags.writeable = False
        return values

    def _not_numeric(self, column: str) -> DataError:
        return DataError(
            f"table {self.table!r}: column {column!r} was {self._frame[column].dtype}, expected numbers; convert it"
        )


def _arrow(table: str, column: str, series: pd.Series) -> pa.Array:
    """The strings as one Arrow array: dictionary or large_string, without nulls."""
    array = pa.array(series, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.unify_dictionaries() if pa.types.is_dictionary(array.type) else array
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    if array.null_count:
        raise DataError(f"table {table!r}: {array.null_count} rows have no {column}; set them aside first")
    if pa.types.is_dictionary(array.type) or pa.types.is_large_string(array.type):
        return array
    try:
        return array.cast(pa.large_string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"table {table!r}: column {column!r} was {array.type}, expected strings") from error


def _buffers(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (n + 1,) int64 and bytes of a large_string array, both read-only."""
    _, offsets, data = array.buffers()
    if not len(array) or data is None:
        return _read_only(np.zeros(len(array) + 1, np.int64)), _read_only(np.empty(0, np.uint8))
    at = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return _read_only(at), _read_only(np.frombuffer(data, np.uint8))


def _read_only(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False
    return values


def _symbol_runs(table: str, series: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First row and code of every run of equal symbols, and the symbols ascending."""
    array = _arrow(table, "symbol", series)
    if not len(array):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, object)
    if pa.types.is_dictionary(array.type):
        indices = array.indices.to_numpy()
        starts = runs_of(indices)
        run_names = array.dictionary.take(pa.array(indices[starts])).dictionary_encode()
    else:
        starts = _string_runs(*_buffers(array))
        run_names = array.take(pa.array(starts)).dictionary_encode()
    names = np.array(run_names.dictionary.to_pylist(), dtype=object)
    rank = np.argsort(names)
    code_of = np.empty(len(names), np.int64)
    code_of[rank] = np.arange(len(names))
    return starts, code_of[run_names.indices.to_numpy()], names[rank]


@kernel(nogil=True)
def _string_runs(offsets, data):
    """Rows whose string differs from the row's before."""
    n = len(offsets) - 1
    starts = np.empty(n, np.int64)
    starts[0] = 0
    count = 1
    for i in range(1, n):
        a, b, end = offsets[i - 1], offsets[i], offsets[i + 1]
        length = b - a
        same = end - b == length
        j = 0
        while same and j < length:
            same = data[a + j] == data[b + j]
            j += 1
        if not same:
            starts[count] = i
            count += 1
    return starts[:count].copy()


@kernel(nogil=True)
def codes_of(table, indices):
    """``table[indices]`` of a dictionary's positions, ``table`` being int8."""
    codes = np.empty(len(indices), np.int8)
    if len(table) > 8:
        for i in range(len(indices)):
            codes[i] = table[indices[i]]
        return codes
    packed = np.uint64(0)  # all codes in one number: shifts are vectorised, look-ups are not
    for k in range(len(table)):
        packed |= np.uint64(np.uint8(table[k])) << np.uint64(8 * k)
    for i in range(len(indices)):
        codes[i] = np.int8(packed >> (np.uint64(indices[i]) << np.uint64(3)))
    return codes


@kernel(nogil=True)
def put_nan(values, valid):
    """Write NaN where the validity bitmap has no bit."""
    for at in range(0, len(values), 8):
        bits = valid[at >> 3]
        if bits != 255:
            for i in range(at, min(at + 8, len(values))):
                if not (bits >> (i & 7)) & 1:
                    values[i] = np.nan


@kernel(nogil=True)
def runs_of(codes):
    """Rows whose code differs from the row's before; the first row is one."""
    count = 0
    for i in range(len(codes)):
        count += i == 0 or codes[i] != codes[i - 1]
    starts = np.empty(count, np.int64)
    count = 0
    for i in range(len(codes)):
        if i == 0 or codes[i] != codes[i - 1]:
            starts[count] = i
            count += 1
    return starts


@kernel(nogil=True)
def ascending_within(seq, offsets):
    """Whether the values rise (or stay) within each stock's rows."""
    for s in range(len(offsets) - 1):
        for i in range(offsets[s] + 1, offsets[s + 1]):
            if seq[i] < seq[i - 1]:
                return False
    return True


_KIND_BYTES = tuple(np.frombuffer(k.encode(), np.uint8) for k in ORDER_KINDS)


@kernel(nogil=True)
def _kind_codes(offsets, data):
    """Position in ORDER_KINDS of every string, -1 for any other."""
    n = len(offsets) - 1
    codes = np.empty(n, np.int8)
    for i in range(n):
        codes[i] = -1
        length = offsets[i + 1] - offsets[i]
        for k in range(len(_KIND_BYTES)):
            name = _KIND_BYTES[k]
            if len(name) == length:
                same = True
                for j in range(length):
                    if data[offsets[i] + j] != name[j]:
                        same = False
                        break
                if same:
                    codes[i] = k
                    break
    return codes
