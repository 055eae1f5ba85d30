"""``mg verify``: reads the lake whole and names every damaged file."""

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mg_assets.cli.arguments import add_tables_and_range, in_range, require_order, require_tables
from mg_assets.cli.screen import Screen
from mg_assets.settings import settings

if TYPE_CHECKING:
    from mg_assets.lake.store import Lake
    from mg_assets.lake.verify import VerifiedPartition


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg verify`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "verify",
        help="read tables whole and name every damaged file",
        description="Read partitions whole: checksums, digests of the content, table and key, models' weights and "
        "cards, and what killed writes left. Damaged partitions are named and marked: the next mg run rebuilds them. "
        "Exit code 1 where there are any.",
    )
    add_tables_and_range(parser)
    parser.add_argument("--lake", help="folder or URL of the lake; the settings' by default")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Verify the tables and print one line a damaged file, then a line a table."""
    from mg_assets.lake.store import Lake

    require_order(chosen.first, chosen.last)
    lake, screen = Lake(chosen.lake or settings().lake_url), Screen()
    have = require_tables(lake, chosen.table)
    damaged = 0
    counts = {}
    for table in chosen.table or have:
        keys = [key for key in lake.keys(table) if in_range(key, chosen.first, chosen.last)]
        found = _verify(lake, table, keys, screen)
        damaged += sum(len(part.damages) for part in found)
        counts[table] = found
    left = lake.storage.abandoned()
    for path in left:
        screen.line(f"{path} was left by a write that was killed; the next mg run removes it")
    print(_summary(counts))
    whole = not (chosen.table or chosen.first or chosen.last)
    if whole and not lake.sealed and all(p.complete and not p.damages for parts in counts.values() for p in parts):
        lake.seal()
        print("every partition has its digest: from now on a file without one counts as damaged")
    print(f"{damaged} damaged files" + (": mg run rebuilds them" if damaged else ""))
    return 1 if damaged else 0


def _verify(lake: "Lake", table: str, keys: Sequence[str], screen: Screen) -> "list[VerifiedPartition]":
    from mg_assets.lake.verify import verify_partition

    began, out = time.monotonic(), []
    for number, key in enumerate(keys, 1):
        found = verify_partition(lake, table, key)
        for error in found.damages:
            screen.line(f"{table} {key}: {error}")
        out.append(found)
        screen.progress(table, number, len(keys), (time.monotonic() - began) / number * (len(keys) - number))
    return out


def _summary(counts: "dict[str, list[VerifiedPartition]]") -> str:
    width = max(map(len, counts), default=0)
    lines = [f"{'table':{width}} {'partitions':>10} {'files':>7} {'rows':>14} {'damaged':>7} {'without digest':>14}"]
    for table, parts in counts.items():
        files, rows = sum(p.files for p in parts), sum(p.rows for p in parts)
        damaged, bare = sum(len(p.damages) for p in parts), sum(not p.complete for p in parts)
        lines.append(f"{table:{width}} {len(parts):10,} {files:7,} {rows:14,} {damaged:7,} {bare:14,}")
    if any(not p.complete for parts in counts.values() for p in parts):
        lines.append("without digest: of an older version, or of another program; only readability was verified")
    return "\n".join(lines)
