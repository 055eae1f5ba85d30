"""Files that appear atomically, and what killed writes leave behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mg_models.atomic_file import abandoned_files, atomic_file, process_start_time

WRITER = """
import sys, time
from mg_models.atomic_file import atomic_file
with atomic_file(sys.argv[1] + "/target") as out:
    out.write(b"half")
    out.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def test_it_replaces_on_success_and_goes_on_an_error(tmp_path):
    with atomic_file(tmp_path / "new" / "target") as out:
        out.write(b"one")
        assert not (tmp_path / "new" / "target").exists()
    with pytest.raises(TypeError), atomic_file(tmp_path / "new" / "target") as out:
        out.write("no bytes")
    assert (tmp_path / "new" / "target").read_bytes() == b"one"
    assert os.listdir(tmp_path / "new") == ["target"]


def test_a_killed_write_is_left_over_and_a_live_one_is_not(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout.readline()
    assert len(os.listdir(tmp_path)) == 1
    assert abandoned_files(tmp_path) == []
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert [Path(p).name for p in abandoned_files(tmp_path)] == os.listdir(tmp_path)


def test_a_reused_process_id_does_not_hide_a_left_over_file(tmp_path):
    me, start = os.getpid(), process_start_time(os.getpid())
    (tmp_path / f".t.{socket.gethostname()}.{me}.{start}.aa.tmp").touch()
    (tmp_path / f".t.{socket.gethostname()}.{me}.{int(start) - 1}.bb.tmp").touch()
    assert [Path(p).name for p in abandoned_files(tmp_path)] == [
        f".t.{socket.gethostname()}.{me}.{int(start) - 1}.bb.tmp"
    ]


def test_a_file_of_another_host_stays_a_week(tmp_path):
    for name, days in (("young", 6), ("old", 8)):
        path = tmp_path / f".{name}.elsewhere.1.2.aa.tmp"
        path.touch()
        os.utime(path, (time.time() - days * 86_400,) * 2)
    assert [Path(p).name.split(".")[1] for p in abandoned_files(tmp_path)] == ["old"]


def test_the_folder_is_flushed_after_the_rename(tmp_path, monkeypatch):
    done = []
    really = (os.replace, os.fsync)
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("rename"), really[0](a, b)))

    def flushed(handle):
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
        really[1](handle)

    monkeypatch.setattr(os, "fsync", flushed)
    with atomic_file(tmp_path / "new" / "target"):
        pass
    assert done == ["file", "rename", "folder", "folder"]
