"""``mg home``: the Dagster home beside a lake."""

import argparse
import fcntl
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from mg_assets.settings import CHECKOUT, replace_text, settings

if TYPE_CHECKING:
    from mg_assets.cli.screen import Screen
    from mg_assets.settings import Settings

RENAMED_MODULE = re.compile(r"^(\s*module:\s*[\"']?)mg_assets\.event_log(?=[\"']?\s*(?:#.*)?$)", re.MULTILINE)
"""The event log's module as homes of version 0.1 name it."""
ADDED = ("nux", "python_logs", "run_monitoring")
"""Parts of ``deploy/dagster.yaml`` that homes of version 0.2 lack."""
STORAGE = re.compile(
    r"^(?P<name>[ \t]*base_dir:[ \t]*)(?P<quote>['\"]?)"
    r"(?P<home>[^\r\n]+?)(?P<below>/storage/(?:events|runs|schedules))(?P=quote)(?=[ \t]*(?:#.*)?\r?$)",
    re.MULTILINE,
)
"""A folder of Dagster's own storage, in the home."""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg home`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "home",
        help="prepare the Dagster home of the lake and print its path",
        description="Prepare the Dagster home of the settings' lake and print its path, for DAGSTER_HOME.",
    )
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Prepare the home of the settings' lake."""
    home = prepare_home(settings())
    print(home)
    print_lacking(home)
    return 0


def prepare_home(config: "Settings") -> Path:
    """Make the Dagster home of a lake where it is absent, and point the environment to it.

    Parameters
    ----------
    config : Settings

    Returns
    -------
    Path
        ``DAGSTER_HOME`` where it is set, else ``.dagster`` in the lake; in ``lake/dagster`` of the checkout for a lake
        on an object store.
    """
    beside = CHECKOUT / "lake" / "dagster" if "://" in config.lake_url else Path(config.lake_url) / ".dagster"
    home = Path(os.environ.get("DAGSTER_HOME", beside))
    home.mkdir(parents=True, exist_ok=True)
    file = home / "dagster.yaml"
    if not file.exists():
        replace_text(
            file,
            (CHECKOUT / "deploy" / "dagster.yaml").read_text(encoding="utf-8").replace("$HOME_FOLDER", _quoted(home)),
        )
    else:
        _migrate(file, home)
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "500")
    return home


def print_lacking(home: Path) -> None:
    """Name on stderr what a home's ``dagster.yaml`` lacks of what a new one gets; its owner's file is not changed.

    Parameters
    ----------
    home : Path
    """
    file = home / "dagster.yaml"
    try:
        held = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError:  # Dagster names the line
        return
    lacking = [name for name in ADDED if name not in held]
    if lacking:
        print(f"{file} lacks {' and '.join(lacking)}: copy from deploy/dagster.yaml", file=sys.stderr, flush=True)


@contextmanager
def one_run(home: Path, screen: "Screen") -> Iterator[None]:
    """Let one ``mg run`` at a time work on a lake: a second one says so and waits for the first to end.

    Parameters
    ----------
    home : Path
        The lake's Dagster home.
    screen : Screen
    """
    with open(home / ".running", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            screen.line(
                f"another mg run (process {file.read()}) builds this lake: waiting until it ends (Ctrl-C stops)"
            )
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _migrate(file: Path, home: Path) -> None:
    """Let a home of an older version, or of a lake that was moved or copied, name what is its own.

    An unquoted folder with a " #" ended there for YAML, and the storage lay beside the lake.

    Nothing else of the file is touched: storage that lies elsewhere stays there.
    """

    def own(found: re.Match) -> str:
        if Path(found["home"]).name != home.name or _folder(found[0]) == os.path.abspath(f"{home}{found['below']}"):
            return found[0]
        return f"{found['name']}'{_quoted(home)}{found['below']}'"

    with file.open(encoding="utf-8", newline="") as lines:
        old = lines.read()
    new = STORAGE.sub(own, RENAMED_MODULE.sub(r"\1mg_assets.orchestration.event_log", old))
    if new != old:
        replace_text(file, new)


def _quoted(folder: Path) -> str:
    """A folder as it stands between the single quotes of a YAML text, where only they are special."""
    return str(folder).replace("'", "''")


def _folder(line: str) -> str | None:
    """The folder that a line of YAML names; None where it is no valid YAML."""
    try:
        return os.path.abspath(str(yaml.safe_load(line)["base_dir"]))
    except yaml.YAMLError:
        return None
