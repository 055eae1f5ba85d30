"""``mg ui``: Dagster on the settings' lake, until Ctrl-C."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time

from mg_assets.cli.home import prepare_home, print_lacking
from mg_assets.cli.process_group import process_group
from mg_assets.errors import DataError
from mg_assets.settings import CHECKOUT, settings

PORT = 3000
LOG = "ui.log"
SHOWN = 20  # lines of it where Dagster ends by itself


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mg ui`` to the parser of ``mg``."""
    parser = commands.add_parser(
        "ui",
        help="start Dagster on the lake: graph, partitions, checks, plots, backfills",
        description="Start Dagster's web server, daemon and code server on the settings' lake, until Ctrl-C.",
    )
    parser.add_argument("--port", type=_port, default=PORT, help=f"of the web server on 127.0.0.1 ({PORT})")
    parser.set_defaults(run=run)


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give one from 1 to 65535")
    return int(text)


def run(chosen: argparse.Namespace) -> int:
    """Start Dagster, and end all its processes with it."""
    require_free(chosen.port)
    config = settings()
    home = prepare_home(config)
    print(f"Dagster on http://127.0.0.1:{chosen.port}, lake {config.lake_url} (Ctrl-C stops it)", flush=True)
    print(f"Its log: {home / LOG}", flush=True)
    print_lacking(home)
    workspace = ["-w", str(CHECKOUT / "workspace.yaml")]
    env = os.environ | {"DAGSTER_HOME": str(home)}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    address = ["-h", "127.0.0.1", "-p", str(chosen.port), "--dagster-log-level", "warning"]
    web = [sys.executable, "-m", "mg_assets.web", *workspace, *address]
    daemon = [sys.executable, "-m", "dagster._daemon", "run", *workspace, "--log-level", "warning"]
    try:
        with (
            (home / LOG).open("wb") as log,
            process_group(web, daemon, cwd=CHECKOUT, env=env, stdout=log, stderr=subprocess.STDOUT) as servers,
        ):
            while all(server.poll() is None for server in servers):
                time.sleep(0.2)
        lines = (home / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        print(*lines[-SHOWN:], f"a process of Dagster has ended; its log: {home / LOG}", sep="\n", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def require_free(port: int) -> None:
    """Raise a :class:`DataError` where something listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DataError(
                f"port {port} is in use ({(error.strerror or 'no reason given').lower()}): stop what listens there, or "
                f"take another: mg ui --port {port + 1}, make ui PORT={port + 1}"
            ) from error


def _interrupt(number: int, frame: object) -> None:
    print("\nstopping Dagster", flush=True)
    raise KeyboardInterrupt
