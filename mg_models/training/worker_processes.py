"""Training in parallel: each (retrain, seed) in a single-threaded process, over panels that all of them map."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mg_models import checkpoint
from mg_models.checkpoint import Provenance
from mg_models.data.dataset import Dataset
from mg_models.data.panel import Panel, PeriodPanel
from mg_models.data.splits import Split
from mg_models.errors import ModelError, TrainingError
from mg_models.specs.model import ModelSpec
from mg_models.training.fit import Progress, fit
from mg_models.worker_pool import WorkerDiedError, run_tasks, shared_folder


@dataclass(frozen=True)
class TrainingTask:
    """One (retrain, seed): what a process needs to train and store it."""

    spec: ModelSpec
    split: Split
    seed: int
    device: str
    provenance: Provenance
    data: str
    target: str

    @property
    def name(self) -> str:
        """Model, half-year and seed."""
        return f"{self.spec.name} {self.split.retrain} seed {self.seed}"


@contextmanager
def shared_inputs(inputs: dict[str, Panel | PeriodPanel], labels: np.ndarray, eligible: np.ndarray) -> Iterator[Path]:
    """The arrays as ``.npy`` files in a :func:`~mg_models.worker_pool.shared_folder`."""
    with shared_folder() as folder:
        np.save(folder / "labels.npy", labels)
        np.save(folder / "eligible.npy", eligible)
        for name, panel in inputs.items():
            (folder / "inputs" / name).mkdir(parents=True)
            for field, value in vars(panel).items():
                array = np.array(value, dtype=str) if field in ("symbols", "features") else value
                np.save(folder / "inputs" / name / f"{field}.npy", array)
        yield folder


def train_tasks(
    tasks: list[TrainingTask],
    workers: int,
    on_progress: Callable[[Progress], None] | None = None,
    on_trained: Callable[[str, int], None] | None = None,
) -> None:
    """Train and store every task's model, at most ``workers`` at a time; the first failure stops the others.

    ``on_trained`` is called with the half-year and the seed of each model that is stored.

    Raises
    ------
    TrainingError
        A process died, or its training failed with an unforeseen error.
    ModelError
        As the training raised it.
    """
    by_name = {task.name: task for task in tasks}
    try:
        for name, _ in run_tasks(_train, by_name, workers, on_progress):
            if on_trained is not None:
                on_trained(by_name[name].split.retrain, by_name[name].seed)
    except WorkerDiedError as died:
        raise TrainingError(
            f"the process that trained {died.task} died with exit code {died.exit_code} (-9: killed, often for want of "
            f"memory); use fewer workers and run again: finished ones in out_dir are kept"
        ) from None


def _train(task: TrainingTask, send: Callable[[Progress], None]) -> None:
    torch.set_num_threads(1)
    try:
        folder = Path(task.data)
        inputs = {path.name: _panel(path) for path in (folder / "inputs").iterdir()}
        labels, eligible = _mapped(folder / "labels.npy"), _mapped(folder / "eligible.npy")
        data = Dataset(task.spec, inputs, labels, eligible, task.device)
        checkpoint.save(fit(data, task.split, task.seed, send, task.provenance), task.target)
    except ModelError:
        raise
    except Exception:
        raise TrainingError(f"training {task.name} failed:\n{traceback.format_exc()}") from None


def _panel(folder: Path) -> Panel | PeriodPanel:
    fields: dict[str, Any] = {path.stem: _mapped(path) for path in folder.glob("*.npy")}
    fields["features"] = tuple(fields["features"].tolist())
    fields["symbols"] = fields["symbols"].astype(object)
    return PeriodPanel(**fields) if "completed" in fields else Panel(**fields)


def _mapped(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="c")  # copy on write: torch wants a writable array, the pages stay shared
