"""Keys of partitions, and the folders that are named by them."""

import datetime as dt
import re
from collections.abc import Iterable
from functools import lru_cache

from mg_assets.errors import DataError
from mg_axes import as_days

WHOLE = "all"
"""Key of a table without partitions."""


_NAME = re.compile(r"\w[\w.+-]*")


@lru_cache(1 << 16)
def safe_name(text: str, what: str) -> str:
    """A table, key or file name as it is, where it can name nothing outside its folder; DataError for anything else."""
    if _NAME.fullmatch(text):
        return text
    raise DataError(f"{what} {text!r}: letters, digits, _ . + and - were expected, the first a letter, digit or _")


def partition_column(table: str, key: str) -> str:
    """Name of the column that a table's keys are of, and that its folders are named by: ``date``, ``week``, ..."""
    if table == "portfolio_cells":
        return "cell"
    if is_half_year(key):
        return "period"
    if table.startswith("weekly_") or table.startswith("weights_"):
        return "week"
    return "month" if table.startswith("monthly_") else "date"


def is_half_year(key: str) -> bool:
    """Whether a key is of a half-year, as ``2023H1``."""
    return len(key) == 6 and key[4] == "H"


def keys_of(folders: Iterable[str]) -> list[str]:
    """Partition keys of a table's folders; one whose data are in the table's own folder has no others."""
    names = sorted(folders)
    return [WHOLE] if "" in names else [name.partition("=")[2] for name in names]


def as_key(date: str | dt.date) -> str:
    """A date as partitions are named by it, a half-year as it is; DataError for anything else."""
    if isinstance(date, str) and is_half_year(date):
        return date
    try:
        return str(as_days([date], "start or end")[0])
    except ValueError as wrong:
        raise DataError(f"{wrong}, like 2023-01-31, or a half-year like 2023H1") from None
