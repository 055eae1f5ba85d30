"""``mg ui``: its port, and the end of every process that it started."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mg_assets.cli import results
from mg_assets.cli.main import main
from mg_assets.cli.process_group import end_group
from mg_assets.settings import CHECKOUT


def test_a_port_in_use_is_one_line(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["ui", "--port", str(port)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mg: port {port} is in use")
    assert f"mg ui --port {port + 1}" in line


@pytest.mark.parametrize("port", ["http", "0", "70000"])
def test_a_wrong_port_is_refused(port, capsys):
    with pytest.raises(SystemExit):
        main(["ui", "--port", port])
    assert f"{port!r} is no port" in capsys.readouterr().err


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize("trap", ["", "trap '' INT TERM; "], ids=["willing", "deaf"])
def test_every_process_of_a_group_ends(trap):
    script = f"{trap}sleep 60 & echo $!; sleep 60"
    leader = subprocess.Popen(["sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE, text=True)
    child = int(leader.stdout.readline())
    leader.stdout.close()
    end_group(leader.pid, grace=0.3)
    leader.wait(timeout=5)
    wait_for_the_end_of(child)


STARTER = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored
from mg_assets.cli.process_group import process_group
with process_group(["sleep", "60"], ["sh", "-c", "sleep 60 & wait"], grace=1.0) as started:
    print(*(process.pid for process in started), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_group_ends_with_the_process_that_started_it(number):
    starter = subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               text=True, start_new_session=True, cwd=CHECKOUT)  # fmt: skip
    first, second = map(int, starter.stdout.readline().split())
    child = first_child(second)
    starter.send_signal(number)
    starter.wait(timeout=10)
    starter.stdout.close()
    for process in (first, second, child):
        wait_for_the_end_of(process)


def first_child(process: int) -> int:
    deadline = time.monotonic() + 5
    while not (children := Path(f"/proc/{process}/task/{process}/children").read_text().split()):
        assert time.monotonic() < deadline, "the shell started nothing"
        time.sleep(0.02)
    return int(children[0])


def wait_for_the_end_of(process: int) -> None:
    deadline = time.monotonic() + 5
    while alive(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(process)


def test_the_command_that_opens_the_same_lake(monkeypatch):
    for name in [n for n in os.environ if n.startswith("MG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("sys.argv", [".venv/bin/mg", "run"])
    assert results.ui_command() == ".venv/bin/mg ui"  # no make: an image has none
    monkeypatch.setenv("MG_SETTINGS", "my lake.yaml")
    monkeypatch.setattr("sys.argv", ["/opt/my mg", "run"])
    assert results.ui_command() == "MG_SETTINGS='my lake.yaml' '/opt/my mg' ui"
    monkeypatch.setattr("sys.argv", ["/opt/mg_assets/cli/main.py", "run"])
    assert results.ui_command() == "MG_SETTINGS='my lake.yaml' mg ui"
