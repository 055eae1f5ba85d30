"""Functions that processes of a worker pool run; a spawned process imports them by name."""

import os
import signal
import time
from collections.abc import Callable
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
