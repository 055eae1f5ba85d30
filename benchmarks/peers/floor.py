"""The least that any answer costs: pyarrow reads the columns that the factors need, and nothing is done with them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = {
    "trades": ("symbol", "time", "price", "volume", "buy_order", "sell_order", "side"),
    "orders": ("symbol", "time", "side", "price", "volume", "kind"),
    "minute_bars": ("symbol", "minute", "open", "high", "low", "close", "volume", "amount", "num_trades"),
}
TEXTS = ("symbol", "kind")


def read(paths: dict[str, str]) -> int:
    """Read a day row group by row group, text as dictionary codes, and let each go; returns the rows."""
    rows = 0
    for table, columns in COLUMNS.items():
        file = pq.ParquetFile(paths[table], read_dictionary=[n for n in TEXTS if n in columns])
        for group in range(file.num_row_groups):
            rows += len(file.read_row_group(group, columns=list(columns)))
    return rows


def factors(paths: dict[str, str]) -> pa.Table:
    """No factors; the number of rows read."""
    return pa.table({"rows": [read(paths)]})


def of_default_layout(paths: dict[str, str]) -> pa.Table:
    """The same of the same rows as ``pyarrow.parquet.write_table`` writes them unasked."""
    return factors({table: default_layout(path, table) for table, path in paths.items()})


def default_layout(path: str, table: str) -> str:
    """Where the copy of a lake's file in pyarrow's default layout stands."""
    return str(Path(path).parents[2] / "default_layout" / f"{table}.parquet")
