"""Functions that processes of a worker pool run; a spawned process imports them by name."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Unpicklable(ValueError):
    """Holds what cannot be sent to another process."""

    def __init__(self, text: str):
        super().__init__(text)
        self.held = lambda: text


def double(task: int, send: Callable[[Any], None]) -> tuple[int, int]:
    """Twice the task, after a message, and the process that computed it."""
    send(f"began {task}")
    return 2 * task, os.getpid()


def refuse(task: int, send: Callable[[Any], None]) -> int:
    """Raises a user's error for task 1, one that cannot be pickled for 2, and dies of SIGKILL at 3."""
    if task == 1:
        raise KeyError("one")
    if task == 2:
        raise Unpicklable("two")
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def sleep(task: float, send: Callable[[Any], None]) -> None:
    """Says its process, then sleeps."""
    send(os.getpid())
    time.sleep(task)


def children() -> list[int]:
    """Processes that this one started and that still run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended since
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found
