"""``mg run`` and ``mg real``: build what is missing or stale, from raw ticks to weights and report."""

import argparse
import os
from pathlib import Path

from mg_assets.cli.home import prepare_home
from mg_assets.cli.results import print_results
from mg_assets.cli.screen import Screen
from mg_assets.errors import DataError
from mg_assets.settings import CHECKOUT, settings


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg run`` and ``mg real`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "run",
        help="build what is missing or stale, from raw ticks to weights and report",
        description="Build what is missing or stale in the lake, from raw ticks to weights and report, and print the "
        "results. What is built: the settings' run (deploy/demo.yaml, or the file that MG_SETTINGS names).",
    )
    parser.set_defaults(run=run, data=None)
    real = commands.add_parser(
        "real",
        help="the same on a folder of real market data",
        description="mg run with the settings of deploy/real.yaml on a folder of real market data.",
    )
    real.add_argument("data", type=Path, help="folder of the real data; its layout is in docs/sources.md")
    real.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Build the settings' lake and print the results."""
    if chosen.data is not None:
        _use_real_data(chosen.data.resolve())
    config, screen = settings(), Screen()
    prepare_home(config)
    screen.line(f"lake {config.lake_url}, source {config.source.kind}, {config.worker_count} workers")

    from mg_assets.cli.build import build_steps

    spent = build_steps(config, screen)
    screen.line(f"built in {sum(spent.values()):.0f} s")
    print_results(config)
    return 0


def _use_real_data(data: Path) -> None:
    """Point the settings to a folder of real data."""
    if not data.is_dir():
        raise DataError(f"{data} is not a folder; give the folder that holds daily_csi800_ever_2013_2023")
    os.environ.setdefault("MG_SETTINGS", str(CHECKOUT / "deploy" / "real.yaml"))
    os.environ["MG_DATA"] = str(data)
