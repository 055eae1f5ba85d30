"""Columns of a table as the UI shows them: type, description, and the columns upstream that each is made from."""

from collections.abc import Mapping

import dagster as dg
import pandas as pd
import pyarrow as pa

from mg_assets.market.column_texts import COLUMN_TEXTS, PORTFOLIO_TEXTS, SYMBOL
from mg_assets.market.schema import SCHEMAS
from mg_assets.orchestration.lineage import from_text
from mg_assets.orchestration.staleness import TableAsset


def stated_schema(entry: TableAsset) -> dg.TableSchema | None:
    """Columns as a table's schema or its asset states them; None where nothing does."""
    schema = SCHEMAS.get(entry.table)
    named = {f.name: str(f.type) for f in schema} if schema else dict.fromkeys(entry.columns, "double")
    if entry.lineage or "symbol" in named:
        named = named | {"symbol": "string"} if "symbol" in named else {"symbol": "string"} | named
    return _schema(entry, named) if named else None


def found_schema(entry: TableAsset, frame: pd.DataFrame) -> dg.TableSchema:
    """Columns as they were made: a table without a fixed schema may hold text and dates among its figures."""
    schema = pa.Schema.from_pandas(frame, preserve_index=False)
    return _schema(entry, {f.name: str(f.type).removeprefix("large_") for f in schema})


def _schema(entry: TableAsset, kinds: Mapping[str, str]) -> dg.TableSchema:
    columns = [dg.TableColumn(name, kind, description=column_text(entry, name)) for name, kind in kinds.items()]
    return dg.TableSchema(columns=columns)


def column_text(entry: TableAsset, column: str) -> str | None:
    """A column's description, and where it comes from."""
    texts = {"symbol": SYMBOL, **PORTFOLIO_TEXTS, **COLUMN_TEXTS.get(entry.table, {}), **entry.columns}
    text = texts.get(column) or texts.get("...", "")  # the dots stand for columns that are only known once made
    parts = [text, from_text(entry.lineage.get(column, ()))]
    return "\n\n".join(filter(None, parts)) or None
