"""Each (retrain, seed) in a single-threaded process, over panels that all of them map from one copy.

A process that is done with one takes the next: importing torch costs seconds.

The panels are written once as ``.npy`` files and mapped by every process, so that memory does not
grow with their number. Processes are spawned, not forked: a fork after torch or Arrow has started
threads can hang. A process sends its progress through a pipe; if it dies, the pipe's end says so.
"""

import fcntl
import multiprocessing
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from mg_models import checkpoint
from mg_models.checkpoint import Provenance
from mg_models.data.dataset import Dataset
from mg_models.data.panel import Panel, PeriodPanel
from mg_models.data.splits import Split
from mg_models.errors import ModelError, TrainingError
from mg_models.specs import ModelSpec
from mg_models.training.fit import Progress, fit

PREFIX = "mg_models_"  # of temporary folders
LOCK = "lock"


@dataclass(frozen=True)
class Task:
    """One (retrain, seed): what a process needs to train and store it."""

    spec: ModelSpec
    split: Split
    seed: int
    device: str
    provenance: Provenance
    data: str
    target: str


@contextmanager
def shared(inputs: dict[str, Panel | PeriodPanel], labels: np.ndarray, eligible: np.ndarray) -> Iterator[Path]:
    """A temporary folder with the arrays as ``.npy`` files, removed at the end; if killed before, by the next."""
    _remove_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    held = open(folder / LOCK, "w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX)  # as long as this process lives
        np.save(folder / "labels.npy", labels)
        np.save(folder / "eligible.npy", eligible)
        for name, panel in inputs.items():
            (folder / "inputs" / name).mkdir(parents=True)
            for field, value in vars(panel).items():
                array = np.array(value, dtype=str) if field in ("symbols", "features") else value
                np.save(folder / "inputs" / name / f"{field}.npy", array)
        yield folder
    finally:
        held.close()
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


def run(
    tasks: list[Task],
    count: int,
    progress: Callable[[Progress], None] | None = None,
    finished: Callable[[str, int], None] | None = None,
) -> None:
    """Run the tasks, at most ``count`` at a time; the first failure stops the others.

    ``finished`` is told the half-year and the seed of each whose model is stored.

    Raises
    ------
    TrainingError
        A process died, or its training failed with something unforeseen.
    ModelError
        As the training raised it.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(tasks))
    running: dict[Connection, tuple[Task, Any]] = {}
    try:
        while waiting and len(running) < count:
            here, there = context.Pipe()
            process = context.Process(target=_work, args=(there,), daemon=True)
            process.start()
            there.close()  # only the child holds it now, so its death ends the pipe
            running[here] = (waiting.pop(), process)
            here.send(running[here][0])
        while running:
            for pipe in wait(list(running)):
                _receive(cast(Connection, pipe), running, waiting, progress, finished)
    finally:
        for pipe, (_, process) in running.items():
            process.terminate()
            process.join()
            pipe.close()


def _receive(
    pipe: Connection,
    running: dict[Connection, tuple[Task, Any]],
    waiting: list[Task],
    progress: Callable[[Progress], None] | None,
    finished: Callable[[str, int], None] | None,
) -> None:
    """Take a process's message; one that is done gets the next task, or ends."""
    task, process = running[pipe]
    where = f"{task.spec.name} {task.split.retrain} seed {task.seed}"
    try:
        message = pipe.recv()
    except (EOFError, ConnectionResetError):
        process.join()
        raise TrainingError(
            f"the process that trained {where} died with exit code {process.exitcode} (-9: killed, often for want of "
            f"memory); use fewer workers and run again: finished ones in out_dir are kept"
        ) from None
    if isinstance(message, Progress):
        if progress is not None:
            progress(message)
    elif isinstance(message, ModelError):
        raise message
    elif message is not None:
        raise TrainingError(f"training {where} failed:\n{message}")
    else:
        if waiting:
            running[pipe] = (waiting.pop(), process)
            pipe.send(running[pipe][0])
        else:
            del running[pipe]
            pipe.close()
            process.join()
        if finished is not None:
            finished(task.split.retrain, task.seed)


def _work(pipe: Connection) -> None:
    """What a process does until its pipe ends: train a task, store it, and say None when done."""
    torch.set_num_threads(1)
    try:
        while True:
            _train(pipe.recv(), pipe)
    except (EOFError, OSError):
        return  # no more tasks, or the parent is gone


def _train(task: Task, pipe: Connection) -> None:
    try:
        folder = Path(task.data)
        inputs = {path.name: _panel(path) for path in (folder / "inputs").iterdir()}
        labels, eligible = _mapped(folder / "labels.npy"), _mapped(folder / "eligible.npy")
        data = Dataset(task.spec, inputs, labels, eligible, task.device)
        model = fit(data, task.split, task.seed, pipe.send, task.provenance)
        checkpoint.save(model, task.target)
        pipe.send(None)
    except (BrokenPipeError, ConnectionResetError):
        raise  # the parent is gone
    except ModelError as error:
        pipe.send(error)
    except Exception:
        pipe.send(traceback.format_exc())


def _panel(folder: Path) -> Panel | PeriodPanel:
    fields: dict[str, Any] = {path.stem: _mapped(path) for path in folder.glob("*.npy")}
    fields["features"] = tuple(fields["features"].tolist())
    fields["symbols"] = fields["symbols"].astype(object)
    return PeriodPanel(**fields) if "completed" in fields else Panel(**fields)


def _mapped(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="c")  # copy on write: torch wants a writable array, the pages stay shared
