"""A PostgreSQL server of a test's own: a new cluster in a temporary folder, on the loopback interface."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DEBIAN = Path("/usr/lib/postgresql")


def binaries() -> Path | None:
    """Folder of ``initdb`` and ``pg_ctl``: the newest of Debian's, else the path's."""
    versions = sorted(DEBIAN.glob("*/bin/pg_ctl"), key=lambda file: int(file.parts[-3]))
    found = versions[-1] if versions else shutil.which("pg_ctl")
    return Path(found).parent if found else None


class Server:
    """A cluster that can be started, stopped and restarted on one port."""

    def __init__(self, folder: Path, bin_folder: Path):
        self.folder, self.bin = folder, bin_folder
        self.port = _free_port()
        self.url = f"postgresql+psycopg2://mg@127.0.0.1:{self.port}/postgres?options=-csynchronous_commit%3Doff"
        # PostgreSQL refuses to run as root
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)

    def control(self, program: str, *options: str) -> None:
        user = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        done = subprocess.run(
            [str(self.bin / program), "-D", str(self.folder / "data"), *options],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # the server keeps what it inherits: a pipe would never end
            check=False,
            **user,
        )
        assert done.returncode == 0, f"{program} {' '.join(options)}: exit code {done.returncode}, {self.log()}"

    def log(self) -> str:
        file = self.folder / "log"
        return file.read_text(errors="replace")[-2000:] if file.exists() else "no log"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self.control("pg_ctl", "-w", "-t", "60", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self.control("pg_ctl", "-w", "-t", "60", "-m", "immediate", "stop")


@contextmanager
def postgres_server() -> Iterator[Server]:
    """A running server; skips the test, with the reason, where there is none."""
    bin_folder = binaries()
    if bin_folder is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="mg_postgres_") as folder:
        server = Server(Path(folder), bin_folder)
        server.control("initdb", "-U", "mg", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
