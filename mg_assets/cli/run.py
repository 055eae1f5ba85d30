"""``mg run`` and ``mg real``: build what is missing or stale, from raw ticks to weights and report."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mg_assets.cli.home import one_run, prepare_home
from mg_assets.cli.results import print_results
from mg_assets.cli.screen import Screen
from mg_assets.errors import DataError
from mg_assets.settings import CHECKOUT, settings

if TYPE_CHECKING:  # pydantic is loaded by the command that reads settings
    from mg_assets.settings import Settings


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg run`` and ``mg real`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "run",
        help="build what is missing or stale, from raw ticks to weights and report",
        description="Build what is missing or stale in the lake, from raw ticks to weights and report, and print the "
        "results. What is built: the settings' run (deploy/demo.yaml, or the file that MG_SETTINGS names).",
    )
    parser.set_defaults(run=run, data=None)
    _add_options(parser)
    real = commands.add_parser(
        "real",
        help="the same on a folder of real market data",
        description="mg run with the settings of deploy/real.yaml on a folder of real market data.",
    )
    real.add_argument("data", type=Path, help="folder of the real data; its layout is in docs/sources.md")
    real.set_defaults(run=run)
    _add_options(real)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plan",
        action="store_true",
        help="say what would be built, by stage and table, why and in about what time; build and write nothing",
    )
    parser.add_argument(
        "--skip-failed",
        action="store_true",
        help="go on without the days that cannot be built or that a blocking check rejects: only the tables of that "
        "very day wait, and what reads a window of days (factor means, training, evaluation) is built as if the day "
        "were absent. They are listed at the end, the exit status is 0, and the next run tries them again. Without "
        "it all that reads them waits, and the exit status is 1",
    )


def run(chosen: argparse.Namespace) -> int:
    """Build the settings' lake and print the results."""
    if chosen.data is not None:
        _use_real_data(chosen.data.resolve())
    config, screen = settings(), Screen()
    if chosen.plan:
        from mg_assets.cli.preview import plan_lines

        print(f"lake {config.lake_url}, source {config.source.kind}", *plan_lines(config), sep="\n")
        return 0
    home = prepare_home(config)
    screen.line(f"lake {config.lake_url}, source {config.source.kind}, {config.worker_count} workers")

    with one_run(home, screen):
        from mg_assets.cli.build import build_steps

        try:
            report = build_steps(config, screen, chosen.skip_failed)
        except BaseException:
            _print_left(config)  # what was built is kept, and the next run does not come back to it
            raise
    screen.line(f"built in {sum(report.seconds.values()):.0f} s")
    try:
        print_results(config)
    finally:
        _print_left(config)
        for lines in (report.warnings.lines(), report.failures.lines()):
            if lines:
                print("", *lines, sep="\n")
    return 1 if report.failures.reasons and not chosen.skip_failed else 0


def _print_left(config: "Settings") -> None:
    """Name the stocks that this run took out of the lake."""
    from mg_assets.cli.left_stocks import left_stocks
    from mg_assets.lake.store import Lake
    from mg_assets.orchestration.orphaned_runs import TAG, process_tag

    lines = left_stocks(Lake(config.lake_url), process_tag()[TAG], config.catalogs.tables)
    if lines:
        print("", *lines, sep="\n")


def _use_real_data(data: Path) -> None:
    """Point the settings to a folder of real data."""
    if not data.is_dir():
        raise DataError(f"{data} is not a folder; give the folder that holds daily_alla_2010_2023 (docs/sources.md)")
    os.environ["MG_SETTINGS"] = os.environ.get("MG_SETTINGS") or str(CHECKOUT / "deploy" / "real.yaml")
    os.environ["MG_DATA"] = str(data)
