"""Tables as Markdown, for the pages of assets and checks in the UI."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd


def markdown_table(frame: pd.DataFrame, floats: str = ".4f") -> dg.MarkdownMetadataValue:
    """A frame for an asset's page, ``none`` where it is empty; a named index is the first column."""
    if frame.empty:
        return dg.MetadataValue.md("none")
    rows = frame.reset_index() if frame.index.name is not None else frame
    return dg.MetadataValue.md(_markdown(list(map(str, rows.columns)), rows.itertuples(index=False), floats))


def markdown(rows: Sequence[Mapping[str, Any]], floats: str = ".6g") -> str:
    """Rows as a Markdown table over the union of their columns."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return _markdown(columns, ([row.get(c) for c in columns] for row in rows), floats)


def rows_table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows as a table that the UI shows in place, over the union of their columns; figures with six digits."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    records = [dg.TableRecord({c: _cell_text(row.get(c)) for c in columns}) for row in rows]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=[dg.TableColumn(c) for c in columns]))


def note_text(value: Any) -> str:
    """A source's note on a day in words: ``csi300 2023-04-28, csi500 2023-04-28`` of a mapping."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {note_text(found)}" for name, found in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(note_text, value)) or "none"
    return str(value)


def _cell_text(value: Any) -> str:
    return _cell(value, ".6g").replace("\\|", "|")


def _markdown(columns: list[str], rows: Any, floats: str) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(_cell(v, floats) for v in row) + " |" for row in rows)])


def _cell(value: Any, floats: str) -> str:
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, str) and not value):
        return "-"
    if isinstance(value, float | np.floating):
        return "-" if np.isnan(value) else format(float(value), f"z{floats}")  # z: no -0.0000
    return str(value).replace("|", "\\|")
