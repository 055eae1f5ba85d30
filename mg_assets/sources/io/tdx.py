"""TongDaXin's binaries (``vipdoc``): ``.day``, ``.lc1`` and ``.lc5``, one stock a file, as Arrow tables.

A record has 32 bytes, little-endian. ``.day``: date (20230103), open, high, low and close in 0.01 yuan, amount
(float, yuan), volume (shares), four unused bytes. ``.lc1`` and ``.lc5``: date (``(year - 2004) * 2048 + month * 100 +
day``), minutes since midnight at the bar's end, open, high, low and close (float, yuan), amount, volume, unused.

Sources: the readers of pytdx and mootdx (``TdxDailyBarReader``, ``TdxLCMinBarReader``).
"""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa

from mg_assets.errors import DataError, SourceError
from mg_assets.sources.io.dates import dates_of_parts

PRICES = ("open", "high", "low", "close")
RECORD_BYTES = 32
DAY_RECORD = np.dtype(
    [("date", "<u4"), *((n, "<u4") for n in PRICES), ("amount", "<f4"), ("volume", "<u4"), ("", "V4")]
)
MINUTE_RECORD = np.dtype(
    [
        ("date", "<u2"),
        ("minute", "<u2"),
        *((n, "<f4") for n in PRICES),
        ("amount", "<f4"),
        ("volume", "<u4"),
        ("", "V4"),
    ]
)
DAY_COLUMNS = ("tdx_date", *(f"{n}_fen" for n in PRICES), "amount", "volume")
MINUTE_COLUMNS = ("tdx_time", *PRICES, "amount", "volume")
FIRST_YEAR = 2004
_STOCK = re.compile(r"(sh|sz|bj)\d{6}", re.I)


def header(path: Path) -> list[str]:
    """Names of the columns that a file gives."""
    return list(DAY_COLUMNS if _is_daily(path) else MINUTE_COLUMNS)


def is_of_an_exchange(path: Path) -> bool:
    """Whether the file's name is a code of Shanghai, Shenzhen or Beijing (others are futures and foreign shares)."""
    return _STOCK.fullmatch(path.stem) is not None


def read(path: Path, day: np.datetime64 | None = None) -> tuple[pa.Table, np.ndarray, int]:
    """Read a file, or one day of it.

    Parameters
    ----------
    path : Path
    day : datetime64[D], optional
        Records without a readable date and time belong to the first day of the file.

    Returns
    -------
    table : Table
        Columns of :func:`header`.
    rows : ndarray of int64
        Position of each row in the file.
    count : int
        Records in the file.

    Raises
    ------
    DataError
        The file is empty.
    SourceError
        Its size is not that of whole records.
    """
    size = path.stat().st_size
    if not size:
        raise DataError(f"{path} is empty (0 bytes); download the stock's data again")
    if size % RECORD_BYTES:
        raise SourceError(
            f"{path} has {size} bytes, which are no whole records of {RECORD_BYTES}; it is truncated: download it again"
        )
    if _is_daily(path):
        raw = np.fromfile(path, DAY_RECORD)
        number = raw["date"].astype(np.int64)
        dates = dates_of_parts(number // 10_000, number // 100 % 100, number % 100)
        columns = {n: raw[f] for n, f in zip(DAY_COLUMNS[1:], (*PRICES, "amount", "volume"), strict=True)}
        return pa.table({DAY_COLUMNS[0]: dates, **columns}), np.arange(len(raw)), len(raw)
    raw = np.fromfile(path, MINUTE_RECORD)
    dates = np.where(raw["minute"] < 24 * 60, _dates(raw["date"]), np.datetime64("NaT", "D"))
    rows = np.arange(len(raw))
    if day is not None:
        known = dates[~np.isnat(dates)]
        first = len(known) > 0 and known.min() == day
        rows = np.flatnonzero((dates == day) | (np.isnat(dates) & first))
    part = raw[rows]
    times = dates[rows].astype("datetime64[ms]") + part["minute"].astype("timedelta64[m]")
    columns = {"tdx_time": times, **{n: part[n] for n in (*PRICES, "amount", "volume")}}
    return pa.table(columns), rows, len(raw)


def days(path: Path) -> np.ndarray:
    """Days of a file of minute bars, ``datetime64[D]``, ascending; raises as :func:`read`."""
    table, _, _ = read(path)
    stamps = table["tdx_time"].to_numpy()
    found = np.unique(stamps[~np.isnat(stamps)].astype("datetime64[D]"))
    if not len(found):
        raise DataError(f"{path}: none of {len(stamps)} records has a readable date; download the stock's data again")
    return found


def _is_daily(path: Path) -> bool:
    return path.suffix.lower() == ".day"


def _dates(packed: np.ndarray) -> np.ndarray:
    """Packed dates as ``datetime64[D]``; NaT where the number is none."""
    number = packed.astype(np.int64)
    return dates_of_parts(number // 2048 + FIRST_YEAR, number % 2048 // 100, number % 2048 % 100)
