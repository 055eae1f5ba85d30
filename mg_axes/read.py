"""One labelled object, of whatever library, as a dense array and the labels of its axes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

SHANGHAI = "Asia/Shanghai"
DATE_NAMES = frozenset(
    {"date", "datetime", "day", "trade_date", "tradedate", "trading_day", "timestamp", "time", "日期", "交易日期"}
)
SYMBOL_NAMES = frozenset(
    {
        *("symbol", "instrument", "code", "ts_code", "stock", "stock_code", "asset", "ticker", "security", "sid"),
        *(
            "order_book_id",
            "sec_code",
            "secucode",
            "wind_code",
            "windcode",
            "vt_symbol",
            "代码",
            "证券代码",
            "股票代码",
        ),
    }
)
WORDS = {"d": "dates", "s": "symbols", "f": "feature names", "g": "factor names"}
SPAN = "which is no single day: give the day on which each value was known, like 2024-03-04"
_WHOLE_DAY = r"\d{8}|\d{4}-\d{1,2}-\d{1,2}(?!\d)"
_DATE_TEXT = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2}|(19|20)\d{6}")


class LabelError(ValueError):
    """Labels that cannot be read; callers turn it into an error of their own package."""


@dataclass(frozen=True)
class Block:
    """Values and the labels of their axes: ``labels["d"]`` are days, ``"s"`` symbols (text), ``"f"`` names."""

    values: np.ndarray
    labels: dict[str, np.ndarray]


def is_labelled(value: object) -> bool:
    """Whether an object has labels that say which day or stock a value belongs to.

    Parameters
    ----------
    value : object
        Whatever a caller handed in.

    Returns
    -------
    bool
        False for arrays, lists and numbers, a Polars or Arrow column, and pandas objects whose index and columns are
        the default numbers. A list or tuple is labelled where one of its entries is.
    """
    if isinstance(value, pd.Series):
        return not _default(value.index)
    if isinstance(value, pd.DataFrame):
        return not (_default(value.index) and _default(value.columns))
    if isinstance(value, list | tuple):
        return any(is_labelled(entry) for entry in value)
    if isinstance(value, np.ndarray | pd.Index):
        return False
    if _library(value) == "polars":
        return type(value).__name__ in ("DataFrame", "LazyFrame")
    if _library(value) == "pyarrow":
        return hasattr(value, "schema")
    return any(hasattr(value, name) for name in ("columns", "coords"))  # xarray's, and frames of other libraries


def as_days(values: Any, name: str = "days", gaps: bool = False) -> np.ndarray:
    """Dates, times, texts or numbers like 20240304 as days.

    Parameters
    ----------
    values : sequence
        Dates or times. One with a time zone is of the day that it is in Shanghai.
    name : str
        What they are, for the error.
    gaps : bool
        Whether NaT may be among them.

    Returns
    -------
    ndarray of datetime64[D]
        As many, in the same order.

    Raises
    ------
    LabelError
        A ValueError, naming the first value that is no date.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        if np.datetime_data(values.dtype)[0] in ("Y", "M", "W") and values.size:
            raise LabelError(f"{name} had {values.flat[0]}, {SPAN}")
        found = values.astype("datetime64[D]")
    else:
        found = _parsed(values if isinstance(values, pd.Series | pd.Index) else list(np.atleast_1d(values)), name)
    if not gaps and np.isnat(found).any():
        raise LabelError(f"{name} had no date at position {int(np.flatnonzero(np.isnat(found))[0])}")
    return found


def _parsed(values: Any, name: str) -> np.ndarray:
    index = pd.Index(values)
    if isinstance(index, pd.PeriodIndex):
        index = _starts(index, name)
    try:
        if index.dtype.kind in "iuf" or index.inferred_type in ("integer", "string", "mixed-integer"):
            text = index.map(lambda x: str(int(x)) if isinstance(x, float) and x.is_integer() else str(x).strip())
            plain = text.str.replace("/", "-", regex=False)
            short = bool(len(plain)) and bool(plain.str.fullmatch(r"\d{8}").all())
            zoned = bool(plain.str.contains(r"[+-]\d{2}:?\d{2}$|Z$", regex=True).any()) and not short
            found = pd.to_datetime(plain, format="%Y%m%d" if short else "ISO8601", utc=zoned)
            vague = np.flatnonzero(~(plain.str.match(_WHOLE_DAY) | found.isna()))
            if len(vague):
                raise LabelError(f"{name} had {text[vague[0]]!r}, {SPAN}")
            index = found
        times = pd.DatetimeIndex(index)
    except LabelError:
        raise
    except (TypeError, ValueError, OverflowError):
        bad = next((x for x in index if not _is_date(x)), index[0])
        raise LabelError(f"{name} had {bad!r}, expected dates") from None
    if times.tz is not None:
        times = times.tz_convert(SHANGHAI).tz_localize(None)
    return times.to_numpy().astype("datetime64[D]")


def _starts(periods: pd.PeriodIndex, name: str) -> pd.DatetimeIndex:
    """Periods of a day at most as times; the first day of a longer one lies before its value was known."""
    business = periods.freqstr in ("B", "C")  # a Friday's lasts to Sunday
    if not business and len(periods) and (periods.end_time - periods.start_time).max() > pd.Timedelta(days=1):
        raise LabelError(f"{name} had the period {periods[0]}, {SPAN}")
    return periods.to_timestamp()


def read(name: str, value: Any, dims: str) -> Block:
    """Read a labelled object.

    Parameters
    ----------
    name : str
        Of the argument, for errors; also the column that is read where a table has several.
    value : object
        Labelled, see :func:`is_labelled`.
    dims : str
        The axes that it must have, in order: ``d`` day, ``s`` stock, ``f`` feature, ``g`` factor of a risk model.

    Returns
    -------
    Block
        On its own labels: days ascending where they come from a table's rows, nothing dropped.

    Raises
    ------
    LabelError
        A library that is not known, labels that are lacking or doubled, or more columns than one.
    """
    library = _library(value)
    if library == "polars" and type(value).__name__ == "LazyFrame":
        raise LabelError(f"{name} was a Polars LazyFrame: give {name}.collect()")
    if library in ("polars", "pyarrow"):
        value = value.to_pandas()
    elif library == "xarray":
        return _checked(name, _of_xarray(name, value, dims), dims)
    if isinstance(value, pd.Series):
        if value.index.nlevels < len(dims):
            raise LabelError(f"{name} was a Series of one index level, expected {_what(dims)}")
        value = value.to_frame(name if value.name is None else value.name)
    if not isinstance(value, pd.DataFrame):
        raise LabelError(
            f"{name} was a {_library(value)} {type(value).__name__}, whose labels are not read: give a frame of pandas "
            "or Polars, an xarray DataArray, or a bare array"
        )
    return _checked(name, _of_frame(name, value, dims), dims)


def _of_frame(name: str, frame: pd.DataFrame, dims: str) -> Block:
    rows, frame = _row_labels(name, frame, dims)
    square = len(set(dims)) < len(dims)  # a covariance
    left = list(dims[1:]) if square else [dim for dim in dims if dim not in rows]
    if len(left) > 1 or frame.columns.nlevels > 1:
        raise LabelError(
            f"{name} had {_what(left) or 'several levels'} in its columns: give a table of date, symbol and "
            f"a column for each value (frame.stack())"
        )
    if not left:
        frame = frame[[_value_column(name, frame, dims)]]
    values = _numbers(name, frame)
    if not left:
        values = values[:, 0]
    columns = {dim: _texts(name, dim, frame.columns) for dim in left}
    if len(rows) == 2:
        return _pivoted(name, values, rows, columns, dims)
    labels = {dim: _texts(name, dim, index) for dim, index in rows.items()}
    if square:
        order = pd.Index(columns[dims[0]]).get_indexer(labels[dims[0]])
        if len(order) != values.shape[1] or (order < 0).any():
            raise LabelError(f"{name} had other names in its columns than in its rows")
        return Block(values[:, order], labels)
    labels |= columns
    return Block(values.T if "".join(labels) != dims else values, labels)


def _row_labels(name: str, frame: pd.DataFrame, dims: str) -> tuple[dict[str, pd.Index], pd.DataFrame]:
    """Labels of a frame's rows by axis, and the frame without the columns that they were in."""
    index = frame.index
    if index.nlevels > 1:
        levels = {_level(index, k): index.get_level_values(k) for k in range(index.nlevels)}
        if index.nlevels != 2 or set(levels) != {"d", "s"} or not {"d", "s"} <= set(dims):
            raise LabelError(f"{name} had the index levels {list(index.names)}, expected {_what(dims[:2])}")
        return levels, frame
    named = {dim: _named(frame, names) for dim, names in (("d", DATE_NAMES), ("s", SYMBOL_NAMES)) if dim in dims}
    found = {}
    shuffled_table = bool(named) and all(named.values())
    if not _default(index) and not shuffled_table:
        found[_row_axis(name, frame, dims)] = index
    for dim, columns in named.items():
        if dim not in found and columns:
            found[dim] = pd.Index(frame[columns[0]])
            frame = frame.drop(columns=columns[0])
    if not found:
        raise LabelError(
            f"{name} had no {_what(dims[:2])}: it has the columns {[str(c) for c in frame.columns[:6]]}; set them as "
            "its index, or name the columns date and symbol"
        )
    return found, frame


def _named(frame: pd.DataFrame, names: frozenset[str]) -> list:
    return [column for column in frame.columns if str(column).lower() in names]


def _row_axis(name: str, frame: pd.DataFrame, dims: str) -> str:
    """Which axis a frame's single index is."""
    if "d" not in dims:
        return dims[0]
    if _dates(frame.index):
        if "s" in dims and frame.columns.nlevels == 1 and len(frame.columns) > 1 and _dates(frame.columns):
            raise LabelError(f"{name} had dates in its rows and in its columns, expected dates and symbols")
        return "d"
    if "s" in dims and (_dates(frame.columns) or _named(frame, DATE_NAMES)):
        return "s"
    raise LabelError(
        f"{name} had no dates: its index begins with {frame.index[0]!r}"
        if len(frame)
        else f"{name} was an empty frame without dates"
    )


def _pivoted(
    name: str, values: np.ndarray, rows: dict[str, pd.Index], columns: dict[str, np.ndarray], dims: str
) -> Block:
    """Rows of (date, symbol) as a dense block; what has no row is NaN."""
    (days, at_day), (symbols, at_stock) = (_codes(name, dim, rows[dim]) for dim in "ds")
    place = at_day * len(symbols) + at_stock
    taken = np.bincount(place, minlength=len(days) * len(symbols))
    if (taken > 1).any():
        first = int(np.flatnonzero(taken > 1)[0])
        raise LabelError(
            f"{name} had {int((taken > 1).sum())} day-stocks with several rows, the first "
            f"{symbols[first % len(symbols)]} on {days[first // len(symbols)]}: one row a day and stock is expected"
        )
    kind = object if values.dtype.kind == "O" or (values.dtype.kind == "b" and (taken == 0).any()) else values.dtype
    nothing = {"f": np.nan, "b": False, "M": np.datetime64("NaT")}.get(np.dtype(kind).kind)
    whole = np.full((len(taken), *values.shape[1:]), nothing, kind)
    whole[place] = values
    whole = whole.reshape(len(days), len(symbols), *values.shape[1:])
    return Block(whole if dims[:2] == "ds" else whole.swapaxes(0, 1), {"d": days, "s": symbols, **columns})


def _codes(name: str, dim: str, index: pd.Index) -> tuple[np.ndarray, np.ndarray]:
    """Sorted labels and each row's place among them; the labels are read once, not once a row."""
    codes, found = pd.factorize(index)
    if (codes < 0).any():
        raise LabelError(f"{name} had {int((codes < 0).sum())} rows without a {'date' if dim == 'd' else 'symbol'}")
    labels, place = np.unique(_texts(name, dim, pd.Index(found)), return_inverse=True)
    return labels, place[codes]


def _of_xarray(name: str, value: Any, dims: str) -> Block:
    if type(value).__name__ == "Dataset":
        names = list(value.data_vars)
        one = names[0] if len(names) == 1 else name if name in names else None
        if "f" not in dims and one is None:
            raise LabelError(f"{name} had the variables {names}, expected one or one named {name!r}")
        value = value.to_array("feature") if "f" in dims else value[one]
    axes = {}
    for k, dim in enumerate(value.dims):
        if dim not in value.coords:
            raise LabelError(f"{name} had no coordinates on {dim!r}: give them, or a bare array (.values)")
        index = value.indexes[dim]
        lower = str(dim).lower()
        if lower in DATE_NAMES or (lower not in SYMBOL_NAMES and "d" in dims and _dates(index)):
            axes["d"] = (k, _texts(name, "d", index))
        elif lower in SYMBOL_NAMES or (
            lower not in ("feature", "factor", "variable") and "s" in dims and "s" not in axes
        ):
            axes["s"] = (k, _texts(name, "s", index))
        else:
            axes["f" if "f" in dims else "g"] = (k, _texts(name, "s", index))
    if sorted(axes) != sorted(dims) or len(value.dims) != len(dims):
        raise LabelError(f"{name} had the dimensions {list(value.dims)}, expected {_what(dims)}")
    return Block(np.transpose(value.to_numpy(), [axes[dim][0] for dim in dims]), {dim: axes[dim][1] for dim in dims})


def _checked(name: str, block: Block, dims: str) -> Block:
    for dim in dims:
        labels = pd.Index(block.labels[dim])
        if not labels.is_unique:
            twice = labels[labels.duplicated()][0]
            twice = np.datetime_as_string(np.datetime64(twice, "D")) if dim == "d" else twice
            raise LabelError(f"{name} had {twice!s} twice among its {WORDS[dim]}: expected each once")
    return block


def _value_column(name: str, frame: pd.DataFrame, dims: str) -> Any:
    if len(frame.columns) == 1:
        return frame.columns[0]
    if name in frame.columns:
        return name
    raise LabelError(
        f"{name} had the columns {[str(c) for c in frame.columns[:6]]} beside {_what(dims)}, expected one, or one "
        f"named {name!r}"
    )


def _numbers(name: str, frame: pd.DataFrame) -> np.ndarray:
    """Values of a frame: float64, dates, flags, or objects where flags have gaps."""
    kinds = {dtype.kind if isinstance(dtype, np.dtype) else getattr(dtype, "kind", "O") for dtype in frame.dtypes}
    if kinds <= {"b"}:
        return frame.to_numpy(dtype=bool) if not frame.isna().to_numpy().any() else frame.astype(object).to_numpy()
    if kinds <= {"M"}:
        return np.column_stack([as_days(frame.iloc[:, k], name, gaps=True) for k in range(frame.shape[1])])
    try:
        if kinds & {"c", "m"}:  # pandas would make real numbers, or nanoseconds, of them
            raise TypeError
        if "O" in kinds and frame.isin([True, False]).where(frame.notna(), True).to_numpy().all():
            return frame.astype(object).to_numpy()
        return frame.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        bad = next(
            c for c, dtype in zip(frame.columns, frame.dtypes, strict=True) if getattr(dtype, "kind", "O") not in "biuf"
        )
        raise LabelError(f"{name} had values that are no numbers, in the column {bad!s}") from None


def _texts(name: str, dim: str, labels: pd.Index) -> np.ndarray:
    """Days, or symbols and names as text."""
    if dim == "d":
        return as_days(labels, f"the dates of {name}")
    if labels.isna().any():
        raise LabelError(f"{name} had a row or column without a symbol or name")
    return np.array([str(label) for label in labels], dtype=object)


def _level(index: pd.Index, k: int) -> str:
    name = str(index.names[k]).lower()
    if name in DATE_NAMES:
        return "d"
    if name in SYMBOL_NAMES:
        return "s"
    return "d" if _dates(index.get_level_values(k).unique()) else "s"


def _dates(labels: pd.Index) -> bool:
    """Whether labels are dates: by their type, or each by its text."""
    if isinstance(labels, pd.DatetimeIndex | pd.PeriodIndex):
        return True
    return len(labels) > 0 and not _default(labels) and all(_is_date(x) for x in labels)


def _is_date(label: Any) -> bool:
    if hasattr(label, "year") and hasattr(label, "month"):
        return True
    if isinstance(label, np.datetime64):
        return True
    if isinstance(label, float):  # 20240304.0: a column of whole numbers with a gap, once
        return label.is_integer() and _DATE_TEXT.match(str(int(label))) is not None
    return not isinstance(label, tuple) and _DATE_TEXT.match(str(label).strip()) is not None


def _default(index: pd.Index) -> bool:
    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None


def _library(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _what(dims: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(WORDS[dim] for dim in dims))
