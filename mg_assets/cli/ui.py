"""``mg ui``: Dagster on the settings' lake, until Ctrl-C."""

import argparse
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from mg_assets.cli.home import prepare_home, print_lacking
from mg_assets.cli.process_group import process_group
from mg_assets.errors import DataError
from mg_assets.settings import CHECKOUT, settings

PORT = 3000
LOG = "ui.log"
GRAPH = "mg_assets.definitions"
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
    env = os.environ | {"DAGSTER_HOME": str(home)}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with (home / LOG).open("wb") as log, tempfile.TemporaryDirectory(prefix="mg-ui-") as folder:
            _serve(chosen.port, Path(folder), {"cwd": CHECKOUT, "env": env, "stdout": log, "stderr": log})
        lines = (home / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        print(*lines[-SHOWN:], f"a process of Dagster has ended; its log: {home / LOG}", sep="\n", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _serve(port: int, folder: Path, options: dict[str, Any]) -> None:
    """Run one code server, and web server and daemon on it, until one of them ends.

    Without a code server of their own both import the graph, the daemon again each minute.
    """
    served = folder / "code.sock"
    workspace = folder / "workspace.yaml"
    location = {"socket": str(served), "location_name": GRAPH}
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": location}]}), encoding="utf-8")
    dagster, quiet, loads = [sys.executable, "-m"], ["warning"], ["-w", str(workspace)]
    code = [*dagster, "dagster", "code-server", "start", "-m", GRAPH, "-s", str(served), "--log-level", *quiet]
    address = ["-h", "127.0.0.1", "-p", str(port), "--dagster-log-level", *quiet]
    web = [*dagster, "mg_assets.web", *loads, *address]
    daemon = [*dagster, "dagster._daemon", "run", *loads, "--log-level", *quiet]
    with process_group(code, **options) as (server,):
        while not served.exists():
            if server.poll() is not None:
                return
            time.sleep(0.1)
        with process_group(web, daemon, **options) as others:
            while all(process.poll() is None for process in (server, *others)):
                time.sleep(0.2)


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
