"""``mg diff``: what a changed vendor file changes in the lake, and what the last rebuild changed."""

import argparse
import datetime as dt
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from mg_assets.cli.arguments import add_tables_and_range, day, in_range, require_order, require_tables
from mg_assets.cli.screen import Screen
from mg_assets.errors import DamagedPartitionError, MgError
from mg_assets.settings import settings

if TYPE_CHECKING:
    import pyarrow as pa

    from mg_assets.lake.restatement import Restatement, RowChanges
    from mg_assets.lake.store import Lake
    from mg_assets.sources.base import Loaded, Source

COLUMNS = 10  # of a table, that are shown where no table is named


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg diff`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "diff",
        help="compare the lake with changed source files; after a rebuild, show how much each result changed",
        description="Compare the lake's partitions with the source where its files are no longer those that they were "
        "made from: rows added, gone and changed, and every table, model, prediction and weights that depends on "
        "them. Nothing is built. After mg run, --rebuilt shows how much each table changed.",
    )
    add_tables_and_range(parser)
    parser.add_argument("--rebuilt", action="store_true", help="how much the last run or backfill changed each table")
    parser.add_argument("--since", type=day, help="with --rebuilt: all runs since this day instead of the last one")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the differences from the source, or those of the last rebuild."""
    from mg_assets.lake.store import Lake

    require_order(chosen.first, chosen.last)
    config = settings()
    lake = Lake(config.lake_url)
    require_tables(lake, chosen.table)
    if chosen.rebuilt or chosen.since:
        print_rebuilt(lake, chosen)
        return 0
    from mg_assets.sources import build_source

    print_source_changes(lake, build_source(config.source.kind, config.source.options), chosen)
    return 0


def print_source_changes(lake: "Lake", source: "Source", chosen: argparse.Namespace) -> None:
    """Print how the source's rows differ from the partitions made from it, and what depends on them."""
    from mg_assets.assets import TABLES
    from mg_assets.orchestration.inputs import LakeSnapshot
    from mg_assets.orchestration.restatements import changed_columns, counted, dependents_in_words
    from mg_assets.sources.recorded import changed_marks

    seen, screen = LakeSnapshot(lake), Screen()
    affected: dict[str, dict[str, RowChanges | None]] = {}
    other_files: list[str] = []
    other_rows: list[str] = []
    for table in TABLES:
        made = {k: i for k, i in seen.info(table).items() if i.metadata.get("source") and i.damaged is None}
        if (chosen.table and table not in chosen.table) or not made:
            continue
        began, keys = time.monotonic(), [k for k in made if in_range(k, chosen.first, chosen.last)]
        for number, key in enumerate(keys, 1):
            changed = changed_marks(source, key, made[key].metadata["source"])
            if changed:
                other_files.append(key)
                found = _compared(lake, source, table, key, screen)
                if found is None or found:
                    affected.setdefault(table, {})[key] = found
                if found:
                    other_rows.append(key)
                    _print_rows(table, key, found, screen)
            screen.progress(table, number, len(keys), (time.monotonic() - began) / number * (len(keys) - number))
    if not other_files:
        screen.text("the source's files are those that the lake was made from")
        return
    screen.text(
        f"{counted(other_files, 'partition')} made from other source files, {len(other_rows):,} with other rows"
    )
    if affected:
        columns = changed_columns({table: list(found.values()) for table, found in affected.items()})
        lines = dependents_in_words(TABLES.dependents(seen, affected, columns), TABLES)
        screen.text("made from them:" if lines else "nothing in the lake was made from them")
        for line in lines:
            screen.text(f"  {line}")
        screen.text("mg run rebuilds what changes; mg diff --rebuilt then shows how much")


def _compared(lake: "Lake", source: "Source", table: str, key: str, screen: Screen) -> "RowChanges | None":
    """The changes of a partition, None where they cannot be found (a line says why)."""
    from mg_assets.lake.restatement import compare_with_stored

    date = dt.date.fromisoformat(key)
    if not source.has(table, date):
        screen.text(f"{table} {key}: the source no longer has this table on the day")
        return None
    try:
        return compare_with_stored(lake, table, key, _pieces(table, source.load(table, date)))
    except DamagedPartitionError as error:
        screen.text(f"{table} {key}: {error}")
    except MgError as error:
        screen.text(f"{table} {key}: cannot be read from the source: {error}")
    return None


def _pieces(table: str, loaded: "Loaded") -> "Iterator[pa.Table]":
    """The rows in the schema of the lake's table."""
    from mg_assets.lake.frames import conform
    from mg_assets.sources.base import StreamedDay

    parts: Iterable = loaded if isinstance(loaded, StreamedDay) else [loaded.frame]
    return (conform(table, part) for part in parts)


def _print_rows(table: str, key: str, found: "RowChanges", screen: Screen) -> None:
    """Print the counts and the first rows of each kind."""
    from mg_assets.orchestration.restatements import counts_in_words, value

    screen.text(f"{table} {key}: {counts_in_words(found)}")
    for sign, names in (("+", found.first_added), ("-", found.first_gone)):
        for name in names:
            screen.text(f"  {sign} {name}")
    for change in found.first_changed:
        screen.text(f"    {change['row']}  {change['column']} {value(change['old'])} -> {value(change['new'])}")


def print_rebuilt(lake: "Lake", chosen: argparse.Namespace) -> None:
    """Print how much the tables changed in the last run that changed any, or since a day."""
    from mg_assets.lake.restatement import recorded

    every = list(recorded(lake))
    if chosen.since:
        start = dt.datetime.combine(chosen.since, dt.time()).timestamp()
        every = [r for r in every if r.time >= start]
    elif every:
        last = max(every, key=lambda r: r.time).batch
        every = [r for r in every if r.batch == last]
    wanted = [
        r for r in every if (not chosen.table or r.table in chosen.table) and in_range(r.key, chosen.first, chosen.last)
    ]
    if not wanted:
        print("no partition that was built again has other rows than before")
        return
    begin, end = (dt.datetime.fromtimestamp(bound(r.time for r in wanted)) for bound in (min, max))
    print(f"built again from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}")
    order = _order({r.table for r in wanted})
    for table, group in groupby(sorted(wanted, key=lambda r: (order[r.table], r.key)), key=lambda r: r.table):
        _print_table(table, list(group), None if chosen.table else COLUMNS)


def _order(tables: set[str]) -> Mapping[str, int]:
    """Place of each table in the order of the data; what the graph no longer has comes last."""
    from mg_assets.assets import TABLES

    return {table: number for number, table in enumerate([*TABLES, *sorted(tables - set(TABLES))])}


def _print_table(table: str, found: "Sequence[Restatement]", shown: int | None) -> None:
    """Print how much a table changed, with at most so many columns."""
    from mg_assets.lake.restatement import overall
    from mg_assets.orchestration.restatements import column_rows, counted, counts_in_words, span_of, why

    changes, keys = overall(found), [r.key for r in found]
    print(f"\n{table}: {counted(keys, 'partition')}, {span_of(keys)}; {why(*found)}")
    large = [r for r in found if r.changes is None]
    if large:
        names = ", ".join(dict.fromkeys(name for r in large for name in r.columns))
        print(f"  {sum(r.old_rows for r in large):,} rows before, {sum(r.rows for r in large):,} now; changed: {names}")
    if len(large) == len(found):
        return
    print(f"  {counts_in_words(changes, columns=False)}")
    rows = column_rows(changes.columns)
    for line in _aligned(rows[:shown]):
        print(f"  {line}")
    filled = sum(r["filled"] for r in rows), sum(r["emptied"] for r in rows)
    if any(filled):
        print(f"  values that were null before: {filled[0]:,}; that are null now: {filled[1]:,}")
    if shown is not None and len(rows) > shown:
        print(f"  and {len(rows) - shown} more columns: mg diff --rebuilt {table}")


def _aligned(rows: "Sequence[Mapping[str, Any]]") -> Iterator[str]:
    """The columns that changed as lines of a table: text to the left, figures to the right."""
    heads = ["column", "rows", "largest", "mean", "in sd", "at", "old", "new"]
    figures = [[_figure(row[name]) for name in ("largest", "mean", "in sd")] for row in rows]
    cells = [
        [row["column"], f"{row['rows']:,}", *shown, row["at"], row["old"], row["new"]]
        for row, shown in zip(rows, figures, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for line in [heads, *cells] if cells else []:
        padded = [
            text.ljust(width) if head in ("column", "at") else text.rjust(width)
            for head, text, width in zip(heads, line, widths, strict=True)
        ]
        yield "  ".join(padded).rstrip()


def _figure(number: float | None) -> str:
    return "" if number is None else f"{number:.4g}"
