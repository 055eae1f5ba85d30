"""``mg what-if``: a stored portfolio's week under other limits. Writes nothing to the lake."""

import argparse
from pathlib import Path

from mg_assets.cli.arguments import day


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg what-if`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "what-if",
        help="a stored portfolio's week under other limits; writes nothing",
        description="Solve a stored portfolio's week again with and without changed limits, and compare weights, "
        "exposures and shadow prices. Writes nothing to the lake.",
    )
    parser.add_argument("portfolio", help="as in the catalog: csi500_turnover30, ...")
    parser.add_argument("change", nargs="+", help="turnover_limit=0.2, size=0.1, stock_limit=none, industry[Steel]=.01")
    parser.add_argument("--week", metavar="DAY", type=day, help="any day of it; by default the last with weights")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write the tables and the plot there as well")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print a comparison on the settings' lake, and write it as a page if requested."""
    from mg_assets.portfolios.what_if import parse_changes, what_if

    comparison = what_if(chosen.portfolio, chosen.week and str(chosen.week), None, **parse_changes(chosen.change))
    print(comparison)
    if chosen.html is not None:
        from mg_portfolio.charts.what_if import what_if_html

        page = f"<!doctype html><meta charset=utf-8><title>{chosen.portfolio}</title>{what_if_html(comparison)}"
        chosen.html.write_text(page, encoding="utf-8")
        print(f"\nwritten to {chosen.html}")
    return 0
