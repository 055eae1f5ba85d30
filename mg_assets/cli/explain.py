"""``mg explain``: the path from a stock's raw rows of a day to its intraday factors. Reads a lake, builds nothing."""

import argparse
from pathlib import Path

from mg_assets.cli.arguments import count
from mg_assets.settings import settings


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg explain`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "explain",
        help="the path from a stock's raw rows of a day to its intraday factors",
        description="Recompute a stock's intraday factors of a day from its raw rows in the lake, compare them with "
        "the stored values, and show the rows that decide one of them.",
    )
    parser.add_argument("symbol", help="600519.SH")
    parser.add_argument("day", help="2023-02-01")
    parser.add_argument("factor", nargs="?", help="one factor with its rows; all values without it")
    parser.add_argument("--rows", metavar="N", type=count, default=20, help="rows to print of the factor's table (20)")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="file for the factor's whole table, or for all values")
    parser.add_argument("--html", metavar="FILE", type=Path, help="file for the page that a notebook would show")
    parser.add_argument("--lake", help="folder or URL of the lake; the settings' by default")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print a stock's factors of a day, or the rows of one; write them to files if requested."""
    from mg_assets.factors import explain

    day = explain(chosen.lake or settings().lake_url, chosen.symbol, chosen.day)
    factor = day[chosen.factor] if chosen.factor else None
    shown = day if factor is None else factor
    print(day.text() if factor is None else factor.text(chosen.rows))
    if chosen.csv:
        table = day.summary() if factor is None else day.table(chosen.factor)
        with chosen.csv.open("w", encoding="utf-8", newline="") as out:
            table.to_csv(out, index=False)
        print(f"{chosen.csv}: {len(table)} rows")
    if chosen.html:
        chosen.html.write_text(f"<meta charset='utf-8'>\n{shown._repr_html_()}\n", encoding="utf-8")
        print(f"{chosen.html}: {day!r}" if factor is None else f"{chosen.html}: {chosen.factor}")
    return 0
