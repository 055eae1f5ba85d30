"""Tasks in spawned processes, over arrays in a temporary folder that all of them map.

A process that has finished one task takes the next: importing torch costs seconds. Processes are spawned, not forked: a
fork after torch or Arrow has started threads can hang. Messages and results come through a pipe a process; if the
process dies, the pipe's end says so. If the parent is killed, its processes end at once, and the next
:func:`shared_folder` removes the arrays that it left.

joblib's loky was weighed: it starts as fast (2 processes that import torch: 3.1 to 4.8 s, here 3.8 to 5.0 s), but after
a SIGKILL of the parent its workers and arrays stay for minutes, it has no channel for progress messages, and the error
of a killed worker does not name its task.
"""

import fcntl
import multiprocessing
import os
import pickle
import shutil
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, TypeVar, cast

Task = TypeVar("Task")
Result = TypeVar("Result")
Send = Callable[[Any], None]

PREFIX = "mg_arrays_"  # of temporary folders
LOCK = "lock"
_MESSAGE, _RESULT, _ERROR = range(3)


class WorkerDiedError(RuntimeError):
    """A worker process ended in the middle of a task.

    Attributes
    ----------
    task : str
        Its name.
    exit_code : int or None
        -9 where it was killed, often for want of memory.
    """

    def __init__(self, task: str, exit_code: int | None):
        super().__init__(f"the process of {task} died with exit code {exit_code}")
        self.task, self.exit_code = task, exit_code


class WorkerTracebackError(RuntimeError):
    """Cause of an error that a task raised: the traceback in its process."""


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A temporary folder for arrays that processes map; removed at the end.

    The folder of a process that was killed is removed by the next call of any process.

    Yields
    ------
    Path
    """
    _remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = open(folder / LOCK, "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as long as this process lives
        yield folder
    finally:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned() -> None:
    """Remove the folders of killed processes: those whose lock nobody holds."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            with open(folder / LOCK) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # in use, another user's, or only just made
            continue


def run_tasks(
    work: Callable[[Task, Send], Result],
    tasks: Mapping[str, Task],
    workers: int,
    on_message: Callable[[Any], None] | None = None,
) -> Iterator[tuple[str, Result]]:
    """Run a function on some tasks in parallel processes; the first error stops the others.

    Parameters
    ----------
    work : callable
        A function of a module, given a task and a function that sends a message to the parent.
    tasks : mapping of str to object
        By name, in the order in which they begin.
    workers : int
        Most processes at a time.
    on_message : callable, optional
        Called in this process with each message.

    Yields
    ------
    tuple of str and object
        A task's name and result, as each finishes.

    Raises
    ------
    WorkerDiedError
        A process died.
    Exception
        What a task raised.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(tasks.items())[::-1]
    running: dict[Connection, tuple[str, SpawnProcess]] = {}
    try:
        while waiting and len(running) < workers:
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, work), daemon=True)
            process.start()
            there.close()  # only the child holds it now, so its death ends the pipe
            running[here] = (waiting[-1][0], process)
            here.send(waiting.pop()[1])
        while running:
            for pipe in cast(list[Connection], wait(list(running))):
                name, process = running[pipe]
                kind, content = _receive(pipe, name, process)
                if kind == _MESSAGE:
                    if on_message is not None:
                        on_message(content)
                    continue
                if waiting:
                    running[pipe] = (waiting[-1][0], process)
                    pipe.send(waiting.pop()[1])
                else:
                    del running[pipe]
                    pipe.close()
                    process.join()
                yield name, content
    finally:
        for pipe, (_, process) in running.items():
            process.kill()  # SIGTERM may be ignored, as a shell's background jobs inherit it
            process.join()
            pipe.close()


def _receive(pipe: Connection, name: str, process: SpawnProcess) -> tuple[int, Any]:
    """A process's next message or result; raises what its task raised."""
    try:
        kind, content = pipe.recv()
    except (EOFError, ConnectionResetError):
        process.join()
        raise WorkerDiedError(name, process.exitcode) from None
    if kind == _ERROR:
        error, text = content
        cause = WorkerTracebackError(f"in the process of {name}:\n{text}")
        raise cause if error is None else error from cause
    return kind, content


def _serve(pipe: Connection, work: Callable[[Any, Send], Any]) -> None:
    """Run tasks until the pipe ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        while True:
            task = pipe.recv()
            try:
                result = work(task, lambda message: pipe.send((_MESSAGE, message)))
            except Exception as error:
                pipe.send((_ERROR, (_picklable(error), traceback.format_exc())))
            else:
                pipe.send((_RESULT, result))
    except (EOFError, OSError):
        return  # no more tasks


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _picklable(error: Exception) -> Exception | None:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return None
    return error
