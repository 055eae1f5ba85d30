"""Frames of partitions: cast to a table's schema, put below one another, and given in a library's form."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mg_assets.errors import DataError
from mg_assets.market.schema import SCHEMAS


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


def chosen_columns(table: str, columns: str | Sequence[str] | None, own: Sequence[str], key: str) -> list[str] | None:
    """Columns of a range to read, ``symbol`` with them; the key comes anyway. DataError for one that is not there."""
    if columns is None:
        return None
    wanted = [name for name in ([columns] if isinstance(columns, str) else columns) if name != key]
    lacking = [name for name in wanted if name not in own]
    if lacking:
        raise DataError(f"table {table!r} has no column {lacking[0]!r}; it has {', '.join([key, *own])}")
    return list(dict.fromkeys(["symbol", *wanted] if "symbol" in own else wanted))


def joined(parts: Iterable[tuple[str, pa.Table]], column: str, kind: pa.DataType | None = None) -> pa.Table:
    """Partitions below one another, their keys in a first column of that name; text, or of another type."""
    tagged = []
    for key, part in parts:
        keys = pa.DictionaryArray.from_arrays(np.zeros(len(part), np.int32), [key]).cast(pa.string())
        tagged.append(part.add_column(0, column, keys if kind is None else keys.cast(kind)))
    return pa.concat_tables(tagged, promote_options="permissive")


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
        raise DataError("polars is not installed: pip install polars, or take pandas or arrow") from None
    return polars.from_arrow(table)
