"""``mg graph``: a picture of the settings' asset graph."""

import argparse
from pathlib import Path

from mg_assets.settings import CHECKOUT

DOCS = CHECKOUT / "docs" / "pictures" / "graph.svg"


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg graph`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "graph",
        help="draw the settings' asset graph",
        description="Draw the tables of the settings' asset graph in their groups, as an SVG file: what they hold by "
        "day, week, month or half-year, and which group is made from which.",
    )
    parser.add_argument("file", nargs="?", type=Path, default=Path("graph.svg"), help="graph.svg by default")
    parser.add_argument("--docs", action="store_true", help="regenerate docs/pictures/graph.svg")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Write the picture."""
    from mg_assets.assets import LAKE_ASSETS, TABLES
    from mg_assets.orchestration.picture import graph_picture

    groups = {table: asset.groups[table] for asset in LAKE_ASSETS for table in asset.tables}
    file = DOCS if chosen.docs else chosen.file
    file.write_text(graph_picture(TABLES, groups), encoding="utf-8")
    print(f"wrote {file}")
    return 0
