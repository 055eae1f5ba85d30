"""``mg``: the parser of the command line; each command is a file of this package.

Exit codes: 0 done, 1 a check or a run failed, 2 the request cannot be served as it is (one line says why), 130 stopped
by Ctrl-C.
"""

import argparse
import logging
import os
import sys
from functools import partial

from mg_assets.cli import (
    cost,
    diff,
    explain,
    factors,
    graph,
    home,
    ingest,
    new,
    replay,
    results,
    retrain_check,
    run,
    runs,
    ui,
    verify,
    warmup,
    what_if,
)
from mg_assets.errors import MgError

COMMANDS = (
    run,
    ui,
    ingest,
    results,
    runs,
    explain,
    factors,
    graph,
    replay,
    what_if,
    cost,
    retrain_check,
    diff,
    verify,
    home,
    warmup,
    new,
)


def main(arguments: list[str] | None = None) -> int:
    """Entry point of ``mg``.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process by default.

    Returns
    -------
    int
        The exit code.

    Raises
    ------
    OSError
        One of no file or folder that the user could look at.
    """
    parser = argparse.ArgumentParser(
        prog="mg",
        description="From raw A-share ticks to index-enhancement weights, in the lake and Dagster instance of the UI.",
        epilog="mg COMMAND --help shows a command's arguments. MG_SETTINGS names a settings file: docs/settings.md.",
        formatter_class=partial(argparse.HelpFormatter, max_help_position=18),
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_command(commands)
    chosen = parser.parse_args(arguments)
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    try:
        return chosen.run(chosen)
    except _user_errors() as error:
        print(f"mg: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmg: stopped; run again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # mg factors | head: nobody reads on, and Python would say so at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None or error.strerror is None:
            raise
        print(f"mg: {error.filename}: {error.strerror.lower()}", file=sys.stderr)
        return 2


def _user_errors() -> tuple[type[Exception], ...]:
    """Errors that a user can act on, of the packages that were loaded."""
    bases = (("mg_models.errors", "ModelError"), ("mg_portfolio.errors", "PortfolioError"))
    return (MgError, *(getattr(sys.modules[module], name) for module, name in bases if module in sys.modules))


if __name__ == "__main__":
    sys.exit(main())
