"""A group of processes that ends with the one that started it, however that ends.

The file is a program, too: it waits for the end of its standard input, which is a pipe from the process that started
the group. The kernel closes the pipe when that process is killed, and the group is ended.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

GRACE = 20.0  # seconds that the processes have to end by themselves


@contextmanager
def process_group(*commands: Sequence[str], grace: float = GRACE, **options: Any) -> Iterator[list[subprocess.Popen]]:
    """Start commands as one group of processes, not that of the terminal, and end all of it at the end.

    A signal reaches every process of the group, whichever of them has ended before. Where this process is killed, a
    watching one ends the group.

    Parameters
    ----------
    *commands : sequence of str
    grace : float
        Seconds that the processes have to end by themselves.
    **options
        For :class:`subprocess.Popen`.

    Yields
    ------
    list of Popen
    """
    watching = subprocess.Popen(
        [sys.executable, "-I", __file__, str(grace)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    group, started = 0, list[subprocess.Popen]()
    try:
        for command in commands:
            started.append(subprocess.Popen(command, process_group=group, **options))
            if not group and watching.stdin is not None:
                group = started[0].pid
                watching.stdin.write(f"{group}\n".encode())
                watching.stdin.flush()
        yield started
    finally:
        if group:
            end_group(group, grace)
        for process in started:
            process.poll()  # end_group may have taken in its exit code
        watching.kill()
        watching.communicate()


def end_group(group: int, grace: float = GRACE) -> None:
    """End every process of a group: interrupt them, terminate those that go on, and kill what is left.

    A process that a shell started in the background ignores the interrupt. The last step is after ``grace`` seconds,
    the one before after a quarter of them.

    A second Ctrl-C meanwhile kills them at once.
    """
    try:
        for number, seconds in ((signal.SIGINT, grace / 4), (signal.SIGTERM, 3 * grace / 4)):
            os.killpg(group, number)
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                os.killpg(group, 0)
                _reap()
                time.sleep(0.1)
    except ProcessLookupError:
        return
    except KeyboardInterrupt:
        pass
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _reap() -> None:
    """Take in children that have ended: a group holds them until then."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return


if __name__ == "__main__":
    if number := sys.stdin.read().strip():
        end_group(int(number), float(sys.argv[1]))
