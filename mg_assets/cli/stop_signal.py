"""Ctrl-C and SIGTERM that nobody forgets.

Dagster catches both while it starts and ends a run, and drops one that comes after the last step. Python writes every
signal's number to a descriptor as it arrives, whoever handles it: what was written there is looked at between runs.
"""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOPS = frozenset({signal.SIGINT, signal.SIGTERM})


@contextmanager
def unlost_stop() -> Iterator[None]:
    """Raise KeyboardInterrupt at the end of the block where a signal to stop came within it and nothing stopped."""
    if threading.current_thread() is not threading.main_thread():  # signals are handled by the main thread alone
        yield
        return
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)
    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    try:
        yield
        try:
            arrived = reading.recv(4096)
        except BlockingIOError:
            return
        if STOPS.intersection(arrived):
            raise KeyboardInterrupt
    finally:
        signal.set_wakeup_fd(before)
        reading.close()
        writing.close()
