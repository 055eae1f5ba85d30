"""What a changed partition means for the rest of the lake, in words: for the terminal and the pages of the UI."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from mg_assets.lake.partition_keys import WHOLE
from mg_assets.lake.restatement import FIRST, ColumnChange, Restatement, RowChanges, overall
from mg_assets.lake.store import Lake
from mg_assets.orchestration.inputs import LakeSnapshot
from mg_assets.orchestration.metadata import markdown
from mg_assets.orchestration.orphaned_runs import TAG
from mg_assets.orchestration.partitions import HALF_YEARLY
from mg_assets.orchestration.staleness import TableRegistry

KINDS = ("tables", "models", "predictions", "weights")


def batch_of(run: dg.DagsterRun) -> str:
    """What a run belongs to: its backfill, the ``mg run`` that started it, or itself."""
    return run.tags.get("dagster/backfill") or run.tags.get(TAG) or run.run_id


def kind_of(registry: TableRegistry, table: str) -> str:
    """What a table is to a reader of results: one of :data:`KINDS`."""
    entry = registry[table]
    if entry.definition == HALF_YEARLY:
        return "models"
    if table.startswith("weights_"):
        return "weights"
    return "predictions" if list(entry.columns) == ["score"] else "tables"


def dependents_in_words(dependents: Mapping[str, Sequence[str]], registry: TableRegistry) -> list[str]:
    """One line a kind and span: ``models: gru_model, gat_model: 2 partitions each, 2023H1 to 2023H2``."""
    spans: dict[tuple[str, str], list[str]] = {}
    for table, keys in dependents.items():
        span = "" if keys == [WHOLE] else f"{counted(keys, 'partition')}{{}}, {span_of(keys)}"
        spans.setdefault((kind_of(registry, table), span), []).append(table)
    return [
        f"{kind}: {', '.join(tables)}{': ' if span else ''}{span.format(' each' if len(tables) > 1 else '')}"
        for (kind, span), tables in sorted(spans.items(), key=lambda item: KINDS.index(item[0][0]))
    ]


def changed_columns(changes: Mapping[str, Sequence[RowChanges | None]]) -> dict[str, set[str]]:
    """Columns that changed, of the tables whose partitions all kept their rows."""
    return {
        table: {name for found in each if found for name in found.columns}
        for table, each in changes.items()
        if all(found is not None and not (found.added or found.gone) for found in each)
    }


def counted(things: Sequence, noun: str) -> str:
    """``1 partition``, ``2 partitions``."""
    return f"{len(things):,} {noun}{'' if len(things) == 1 else 's'}"


def stocks_in_words(count: int, first: Sequence[str], at_most: int = 5) -> str:
    """``1 stock (600000.SH)``, ``7 stocks (600000.SH, 600001.SH, ...)``."""
    names = [*first[:at_most], *(["..."] if count > len(first[:at_most]) else [])]
    return f"{count:,} stock{'' if count == 1 else 's'} ({', '.join(names)})"


def span_of(keys: Sequence[str]) -> str:
    """First and last of ascending keys."""
    return keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"


def counts_in_words(changes: RowChanges, columns: bool = True) -> str:
    """``2 rows added, 1 gone, 5 changed (close 4, volume 1)``."""
    each = ", ".join(f"{name} {c.rows:,}" for name, c in changes.columns.items())
    what = f"{changes.added:,} rows added, {changes.gone:,} gone, {changes.changed:,} changed"
    other = [
        f"{'new' if more else 'no longer'}: {', '.join(names)}"
        for more, names in ((True, changes.added_columns), (False, changes.gone_columns))
        if names
    ]
    return "; ".join([what + (f" ({each})" if each and columns else ""), *other])


def value(given: object) -> str:
    """A value of a table; ``null`` where there is none."""
    if given is None:
        return "null"
    return f"{given:.8g}" if isinstance(given, float) else str(given)


def column_rows(columns: Mapping[str, ColumnChange]) -> list[dict[str, Any]]:
    """Columns with their changes, those first that moved most standard deviations."""
    return [
        {
            "column": name,
            "rows": c.rows,
            "filled": c.filled,
            "emptied": c.emptied,
            "largest": c.largest,
            "mean": c.mean,
            "in sd": c.relative if c.deviation and c.largest is not None else None,
            "at": c.row,
            "old": value(c.old),
            "new": value(c.new),
        }
        for name, c in sorted(columns.items(), key=lambda item: -item[1].relative)
    ]


def partition_page(found: Restatement) -> dg.MarkdownMetadataValue:
    """How a partition's rows changed, for its page in the UI."""
    parts = [f"{found.table} {found.key}: {why(found)}."]
    if found.changes is None:
        parts.append(f"{found.old_rows:,} rows before, {found.rows:,} now; other values in {', '.join(found.columns)}.")
    else:
        parts += [f"{counts_in_words(found.changes)}.", *_tables(found.changes)]
    if found.left:
        parts.insert(1, f"{stocks_in_words(found.left, found.first_left)} without a row now.")
    return dg.MetadataValue.md("\n\n".join(parts))


def run_page(restated: Sequence[Restatement], registry: TableRegistry, lake: Lake) -> dg.MarkdownMetadataValue:
    """How much a run changed a table, and what depends on the partitions that the source restated."""
    table = restated[0].table
    changes = overall(restated)
    parts = [
        f"{counted(restated, 'partition')} with other rows than before; {why(*restated)}.",
        f"{counts_in_words(changes)}.",
    ]
    if changes.columns:
        parts.append(markdown(column_rows(changes.columns)[:FIRST]))
    raw = [found.key for found in restated if found.from_source]
    if raw:
        columns = changed_columns({table: [found.changes for found in restated if found.from_source]})
        lines = dependents_in_words(registry.dependents(LakeSnapshot(lake), {table: raw}, columns), registry)
        parts.append("Made from them:\n\n" + "\n".join(f"- {line}" for line in lines or ["nothing in the lake"]))
    return dg.MetadataValue.md("\n\n".join(parts))


def why(*restated: Restatement) -> str:
    """Why partitions of a table changed."""
    causes = dict.fromkeys(cause for found in restated for cause in found.because)
    if any(found.definition for found in restated):
        return "the definition of the table, or of one upstream, is another" + _also(causes)
    return f"changed: {', '.join(causes)}" if causes else "the same definition and the same data gave other values"


def _also(causes: Iterable[str]) -> str:
    names = ", ".join(causes)
    return f"; changed too: {names}" if names else ""


def _tables(changes: RowChanges) -> Iterable[str]:
    """The first ten rows of each kind, and the columns that changed."""
    for title, names in (("Added", changes.first_added), ("Gone", changes.first_gone)):
        if names:
            yield f"{title}: {', '.join(names)}{' ...' if len(names) == FIRST else ''}"
    if changes.first_changed:
        yield markdown([{**row, "old": value(row["old"]), "new": value(row["new"])} for row in changes.first_changed])
    if changes.columns:
        yield markdown(column_rows(changes.columns)[:FIRST])
