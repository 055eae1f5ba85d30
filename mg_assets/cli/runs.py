"""``mg runs``: what the lake's runs used of the machine."""

import argparse
import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from mg_assets.cli.arguments import count
from mg_assets.cli.home import prepare_home
from mg_assets.settings import settings

if TYPE_CHECKING:
    from mg_assets.orchestration.run_usage import RunRow

SHOWN = 20
TABLES_SHOWN = 40  # characters
TOTALS = ("job", "runs", "failed", "wall", "CPU", "peak", "read", "written")
EACH = ("began", "job", "partitions", "status", "wall", "CPU", "peak", "read", "written", "tables")


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg runs`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "runs",
        help="what runs used: time, CPU, memory, bytes read and written",
        description="Print what the runs of the lake's Dagster instance used, in total by job and for the newest runs: "
        "time by the clock, CPU seconds, largest memory of a process, bytes read and written, of cached files too. A "
        "dash: not measured, as of runs that were killed.",
    )
    parser.add_argument("--last", type=count, default=SHOWN, help=f"newest runs listed one by one ({SHOWN})")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the totals, then the newest runs."""
    from mg_assets.orchestration.run_usage import run_rows

    home = prepare_home(settings())
    rows = run_rows(home)
    if not rows:
        print(f"{home} has no run yet: mg run, or materialise something in the UI")
        return 0
    print(f"{len(rows):,} runs in {home}\n")
    print("\n".join(aligned(TOTALS, totals(rows), left=1)))
    print(f"\nThe newest {min(chosen.last, len(rows))}, in UTC:\n")
    print("\n".join(aligned(EACH, map(_line, rows[: chosen.last]), left=4)))
    return 0


def totals(rows: "Iterable[RunRow]") -> list[list[str]]:
    """Sums by job, the longest first, and of all; the peak is the largest."""
    by_job: dict[str, list[RunRow]] = defaultdict(list)
    for row in rows:
        by_job[row.job].append(row)
    ordered = sorted(by_job.items(), key=lambda job: -sum(r.seconds for r in job[1]))
    every = [row for _, held in ordered for row in held]
    return [_sums(name, held) for name, held in [*ordered, ("all", every)]]


def _sums(name: str, rows: "Sequence[RunRow]") -> list[str]:
    failed = sum(row.status == "failure" for row in rows)

    def over(values: Iterable[float], take: Callable[[list[float]], float] = math.fsum) -> float:
        known = [v for v in values if not math.isnan(v)]
        return take(known) if known else math.nan

    return [
        name, f"{len(rows):,}", f"{failed:,}", seconds(sum(r.seconds for r in rows)),
        seconds(over(r.cpu for r in rows)), size(over((r.memory for r in rows), max)), size(over(r.read for r in rows)),
        size(over(r.written for r in rows)),
    ]  # fmt: skip


def _line(row: "RunRow") -> list[str]:
    began = dt.datetime.fromtimestamp(row.began, dt.UTC)
    tables = ", ".join(row.tables)
    return [
        f"{began:%Y-%m-%d %H:%M:%S}", row.job, row.partitions or "-", row.status, seconds(row.seconds),
        seconds(row.cpu), size(row.memory), size(row.read), size(row.written),
        tables if len(tables) <= TABLES_SHOWN else f"{tables[: TABLES_SHOWN - 3]}...",
    ]  # fmt: skip


def seconds(value: float) -> str:
    """``0.4 s``, ``12.3 s``, ``5.1 min``, ``2.0 h``; a dash for NaN."""
    if math.isnan(value):
        return "-"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def size(mib: float) -> str:
    """``12 MiB``, ``3.4 GiB``; a dash for NaN."""
    if math.isnan(mib):
        return "-"
    return f"{mib:.0f} MiB" if mib < 1024 else f"{mib / 1024:.1f} GiB"


def aligned(head: Sequence[str], lines: Iterable[Sequence[str]], left: int) -> list[str]:
    """Rows under their head: the first ``left`` columns, and a last one of text, to the left, figures to the right."""
    every = [list(head), *map(list, lines)]
    widths = [max(len(line[i]) for line in every) for i in range(len(head))]
    text = {*range(left), *([len(head) - 1] if head[-1] == "tables" else [])}
    return [
        "  ".join(c.ljust(w) if i in text else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
        .rstrip()
        for line in every
    ]  # fmt: skip
