"""Tasks in processes of their own, over arrays in a temporary folder that all of them map.

A process that has finished one task takes the next: importing torch costs seconds. Processes are started afresh, not
forked: a fork after torch or Arrow has started threads can hang. They import the function of the task by its name, on
the caller's ``sys.path``, and nothing else of the caller: multiprocessing's own would run the caller's script again in
each process, so that a script without a ``__main__`` guard trained for ever, and a notebook could not be asked.
Messages and results come through a pipe a process; if the process dies, the pipe's end says so. If the parent is
killed, its processes end at once, and the next :func:`shared_folder` removes the arrays that it left.

joblib's loky was weighed: it starts as fast (2 processes that import torch: 3.1 to 4.8 s, here 3.8 to 5.0 s), but after
a SIGKILL of the parent its workers and arrays stay for minutes, it has no channel for progress messages, and the error
of a killed worker does not name its task.
"""

import fcntl
import io
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.spawn import get_executable
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar, cast

Task = TypeVar("Task")
Result = TypeVar("Result")
Send = Callable[[Any], None]

PREFIX = "mg_arrays_"  # of temporary folders
LOCK = "lock"
_MESSAGE, _RESULT, _ERROR = range(3)
_BOOTSTRAP = (  # the working folder, which -c puts first, may hold a random.py or queue.py that the caller never sees
    "import sys; sys.path[:] = filter(None, sys.path); from multiprocessing.connection import Connection; "
    "pipe = Connection(int(sys.argv[1])); sys.path[:] = pipe.recv(); "
    "from mg_models.worker_pool import _serve; _serve(pipe, int(sys.argv[2]))"
)


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
    TypeError
        A function or class of the caller's script or notebook, which other processes cannot import.
    Exception
        What a task raised.
    """
    waiting = [(name, _pickled(task)) for name, task in tasks.items()][::-1]
    function = _pickled(work)
    running: dict[Connection, tuple[str, _Worker]] = {}
    try:
        while waiting and len(running) < workers:
            worker = _Worker(function)
            running[worker.pipe] = (waiting[-1][0], worker)
            worker.send(waiting.pop()[1])
        while running:
            for pipe in cast(list[Connection], wait(list(running))):
                name, worker = running[pipe]
                kind, content = _receive(name, worker)
                if kind == _MESSAGE:
                    if on_message is not None:
                        on_message(content)
                    continue
                if waiting:
                    running[pipe] = (waiting[-1][0], worker)
                    worker.send(waiting.pop()[1])
                else:
                    del running[pipe]
                    worker.end()
                yield name, content
    finally:
        for _, worker in running.values():
            worker.end(kill=True)


class _Worker:
    """A process that runs tasks, the pipe to it, and the file whose closing it takes for the parent's end."""

    def __init__(self, function: bytes):
        self.pipe, there = Pipe()
        watched, self._alive = os.pipe()
        warnings = [f"-W{option}" for option in sys.warnoptions]
        try:
            self.process = subprocess.Popen(
                [get_executable(), *warnings, "-c", _BOOTSTRAP, str(there.fileno()), str(watched)],
                pass_fds=(there.fileno(), watched),
                stdin=subprocess.DEVNULL,
            )
        finally:
            there.close()  # only the child holds it now, so its death ends the pipe
            os.close(watched)
        self.pipe.send(sys.path)
        self.send(function)

    def send(self, pickled: bytes) -> None:
        """Send a function or a task; that of a process that has died is noticed when it is received from."""
        try:
            self.pipe.send_bytes(pickled)
        except BrokenPipeError:
            pass

    def end(self, kill: bool = False) -> int:
        """End the process, at once or when it finds the pipe closed, and return its exit code."""
        if kill:
            self.process.kill()  # SIGTERM may be ignored, as a shell's background jobs inherit it
        self.pipe.close()
        code = self.process.wait()
        os.close(self._alive)
        return code


class _Pickler(pickle.Pickler):
    """Refuses what only the caller's script or notebook defines."""

    def reducer_override(self, thing: object) -> Any:
        if isinstance(thing, FunctionType | type) and thing.__module__ == "__main__":
            raise TypeError(
                f"{thing.__qualname__} is defined in the script or notebook that was started, which other processes "
                "cannot import: put it into a module of its own, or use workers=1"
            )
        return NotImplemented


def _pickled(thing: object) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(thing)
    return buffer.getvalue()


def _receive(name: str, worker: _Worker) -> tuple[int, Any]:
    """A process's next message or result; raises what its task raised."""
    try:
        kind, content = worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        raise WorkerDiedError(name, worker.process.wait()) from None
    if kind == _ERROR:
        error, text = content
        cause = WorkerTracebackError(f"in the process of {name}:\n{text}")
        raise cause if error is None else error from cause
    return kind, content


def _serve(pipe: Connection, watched: int) -> None:
    """Run tasks until the pipe ends."""
    threading.Thread(target=_end_with_parent, args=(watched,), daemon=True).start()
    try:
        function = pipe.recv_bytes()
        while True:
            task = pipe.recv_bytes()
            try:
                result = pickle.loads(function)(pickle.loads(task), lambda message: pipe.send((_MESSAGE, message)))
            except Exception as error:
                pipe.send((_ERROR, (_picklable(error), traceback.format_exc())))
            else:
                pipe.send((_RESULT, result))
    except (EOFError, OSError):
        return  # no more tasks


def _end_with_parent(watched: int) -> None:
    os.read(watched, 1)  # returns when the parent, which alone holds the other end, closes it or dies
    os._exit(1)


def _picklable(error: Exception) -> Exception | None:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return None
    return error
