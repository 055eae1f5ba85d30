"""Column lineage: which columns upstream each column of a table is made from.

Dagster's own entry (``dagster/column_lineage``) goes with the latest materialisation, where Dagster+ and the GraphQL
interface read it. The open-source UI draws none; there it is in the description of each column.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import dagster as dg

from mg_assets.orchestration.staleness import TableAsset

ENTRY = "dagster/column_lineage"


def column_lineage(entry: TableAsset, unread: Collection[str] = ()) -> dict[str, dg.TableColumnLineage]:
    """The lineage as a materialisation's metadata; empty where the table states none.

    Parameters
    ----------
    entry : TableAsset
    unread : collection of str
        Upstream tables that the partition was made without.

    Returns
    -------
    dict
    """
    if not entry.lineage:
        return {}
    deps = {
        column: [dg.TableColumnDep(table, name) for table, name in _split(inputs) if table not in unread]
        for column, inputs in entry.lineage.items()
    }
    return {ENTRY: dg.TableColumnLineage(deps)}


def from_text(inputs: Sequence[str]) -> str:
    """Name the columns upstream by table, each table a link to its page."""
    named: dict[str, list[str]] = {}
    for table, name in _split(inputs):
        named.setdefault(table, []).append(name)
    tables = [f"[{table}](/assets/{table}) {', '.join(names)}" for table, names in named.items()]
    return f"From {'; '.join(tables)}." if tables else ""


def same_columns(table: str, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Lineage of columns that are made from the upstream table's column of the same name."""
    return {name: (f"{table}.{name}",) for name in names}


def all_from(names: Iterable[str], inputs: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Lineage of columns each of which is made from all the given columns, by table."""
    every = tuple(f"{table}.{name}" for table, columns in inputs.items() for name in dict.fromkeys(columns))
    return dict.fromkeys(names, every)


def _split(inputs: Iterable[str]) -> Iterable[tuple[str, str]]:
    for text in inputs:
        table, _, name = text.partition(".")
        yield table, name
