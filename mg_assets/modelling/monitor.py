"""Monitoring of training: estimated cost, progress, curves, and TensorBoard's event files.

A :class:`TrainingMonitor` is called back at the launch, at every validation check and after every finished (half-year,
seed), whether they train in this process or in others. It logs, calls ``on_progress``, and writes TensorBoard's event
files where the setting ``training_logs`` asks for them.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mg_assets.errors import DataError
from mg_assets.lake.store import Lake
from mg_assets.modelling.signals import platform_mark
from mg_models.catalog import ModelSpec
from mg_models.data.splits import short_history

if TYPE_CHECKING:
    from mg_models.training.cost_estimate import Cost, Rate
    from mg_models.training.fit import Progress
    from mg_models.training.retrain import TrainingPlan

EVERY_SECONDS = 15.0  # between two lines of the log
SETTLED = 5  # checks after which a pair's own speed is used: the first one compiles kernels
TENSORBOARD = "tensorboard"

Pair = tuple[str, int]


class TrainingMonitor:
    """Callbacks of a model's training that log its progress and estimate the time left.

    Parameters
    ----------
    name : str
        The model.
    log : callable
        Called with each line of the log.
    on_progress : callable, optional
        Called with what is trained, how many are done, how many there are, and the seconds left.
    logs : TensorBoardLogs, optional
    workers : int
        Parallel processes.
    rate : Rate, optional
        Seconds per step of an earlier training; without it the launch measures one.
    """

    def __init__(
        self,
        name: str,
        log: Callable[[str], None],
        on_progress: Callable[[str, int, int, float], None] | None = None,
        logs: "TensorBoardLogs | None" = None,
        workers: int = 1,
        rate: "Rate | None" = None,
    ):
        self.name, self._log, self._on_progress, self._logs = name, log, on_progress, logs
        self._workers, self._rate = workers, rate
        self.cost: Cost | None = None
        self._seconds: dict[Pair, float] = {}  # of the finished pairs
        self._last: dict[Pair, Progress] = {}
        self._checks: dict[Pair, int] = {}
        self._done: set[Pair] = set()
        self._total = 0
        self._logged = -np.inf

    def launch(self, todo: "TrainingPlan") -> None:
        """Estimate and log the cost; log what an earlier run has finished."""
        from mg_models.training.cost_estimate import estimate

        self._total = len(todo.splits) * len(todo.seeds)
        self._done = set(todo.done)
        for fault in todo.damaged:
            self._log(f"{self.name}: set aside and trained again: {fault}")
        if todo.done:
            found = ", ".join(f"{r} seed {s}" for r, s in sorted(todo.done))
            self._log(f"{self.name}: {len(todo.done)} of {self._total} are finished already: {found}")
            if self._logs is not None:
                for model in todo.done.values():
                    self._logs.add_stored(model)
        for half_year, split in todo.splits.items():
            if short_history(split.days):
                self._log(f"{self.name} {half_year}: {short_history(split.days)}")
        if todo.jobs:
            self.cost = estimate(todo, self._workers, self._rate)
            self._log(f"{self.name} will take {self.cost}")

    def progress(self, p: "Progress") -> None:
        """Take in a validation check."""
        pair = (p.retrain, p.seed)
        begun = pair not in self._last
        self._last[pair] = p
        self._checks[pair] = self._checks.get(pair, 0) + 1
        if self._logs is not None:
            self._logs.add(p)
        left = self.seconds_left()
        if self._on_progress is not None:
            self._on_progress(f"{self.name}, (half-year, seed) pairs", len(self._done), self._total, left)
        now = time.monotonic()
        if begun or now - self._logged > EVERY_SECONDS:
            self._logged = now
            self._log(
                f"{self.name} {p.retrain} seed {p.seed}: epoch {p.epoch}, step {p.step}, loss {p.loss:+.4f}, "
                f"validation RankIC {p.valid_rank_ic:+.4f}, best {p.best_rank_ic:+.4f}; {len(self._done)} of "
                f"{self._total} trained, about {left:.0f} s left"
            )

    def finished(self, half_year: str, seed: int) -> None:
        """Take in a (half-year, seed) that is trained and stored."""
        pair = (half_year, seed)
        self._done.add(pair)
        last = self._last.get(pair)
        if last is not None:
            self._seconds[pair] = last.seconds
        left = self.seconds_left()
        best = f", best validation RankIC {last.best_rank_ic:+.4f} after {last.step} steps" if last is not None else ""
        self._log(
            f"{self.name} {half_year} seed {seed} is trained{best}; {len(self._done)} of {self._total} trained, "
            f"about {left:.0f} s left"
        )
        if self._on_progress is not None:
            self._on_progress(f"{self.name}, (half-year, seed) pairs", len(self._done), self._total, left)
        if self._logs is not None:
            self._logs.close(pair)

    def seconds_left(self) -> float:
        """Seconds until all pairs are trained: running ones by their own estimate, others by the mean of a pair."""
        mean = self._mean_seconds()
        running = [p for pair, p in self._last.items() if pair not in self._done]
        remaining = [
            mean - p.seconds
            if mean > p.seconds and self._checks[p.retrain, p.seed] < SETTLED
            else max(mean - p.seconds, p.seconds_left)
            for p in running
        ]
        waiting = max(self._total - len(self._done) - len(running), 0)
        lanes = max(min(self._workers, len(running) + waiting), 1)
        return max((sum(remaining) + waiting * mean) / lanes, max(remaining, default=0.0))

    def _mean_seconds(self) -> float:
        if self._seconds:
            return float(np.mean(list(self._seconds.values())))
        return self.cost.pair_seconds if self.cost is not None else 0.0

    def measured(self, half_year: str) -> dict[str, Any]:
        """Seconds and steps of a half-year's pairs, for the estimate of a later training; empty if none was trained."""
        ran = [self._last[p] for p in self._seconds if p[0] == half_year]
        if not ran or self.cost is None:
            return {}
        return {
            "device": self.cost.device,
            "platform": platform_mark(),
            "workers": self.cost.workers,
            "seconds_per_step": round(float(np.mean([p.seconds / p.step for p in ran])), 6),
            "steps": round(float(np.mean([p.step for p in ran])), 1),
            "process_mb": round(self.cost.process_mb, 1),
            "estimated_minutes": round(self.cost.minutes[1], 2),
        }


def stored_rate(lake: Lake, spec: ModelSpec, before: str, device: str) -> "Rate | None":
    """The rate of the newest earlier half-year's training of the same settings, device kind and processor; or None."""
    from mg_models.training.cost_estimate import Rate

    table = f"{spec.name}_model"
    for half in reversed([k for k in lake.keys(table) if k < before]):
        kept = lake.metadata(table, half).get("training") or {}
        same = (spec.hash, device.partition(":")[0], platform_mark())
        if (kept.get("config"), kept.get("device", "").partition(":")[0], kept.get("platform")) == same:
            where = f"as the training of {half} took, {kept['workers']} at a time"
            return Rate(kept["seconds_per_step"], float("nan"), where, kept["steps"])
    return None


class TensorBoardLogs:
    """Event files for TensorBoard, a run for each (half-year, seed): ``tensorboard --logdir <folder>``.

    Parameters
    ----------
    folder : str or Path

    Raises
    ------
    DataError
        The package tensorboard is not installed.
    """

    def __init__(self, folder: str | Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise DataError(
                "training_logs: tensorboard needs the package tensorboard, which is not installed: pip install "
                "'mg[tensorboard]' (or tensorboard), or leave training_logs (MG_TRAINING_LOGS) empty"
            ) from error
        self.folder = Path(folder)
        self._make: Callable[..., Any] = SummaryWriter
        self._writers: dict[Pair, Any] = {}

    def add(self, p: "Progress") -> None:
        """Write a validation check; the first of a pair replaces the files of an older training of it."""
        self._write((p.retrain, p.seed), p.step, p.epoch, p.loss, p.valid_rank_ic)

    def add_stored(self, model: Any) -> None:
        """Write the curves of a finished model's card, where its own run left no event files."""
        pair = (model.retrain, model.seed)
        if not any(self._run_folder(pair).glob("events.*")):
            for check in model.card["training"]["checks"]:
                self._write(pair, check["step"], check.get("epoch", 0), check["loss"], check["rank_ic"])
            self.close(pair)

    def close(self, pair: Pair) -> None:
        """Close a pair's event file."""
        writer = self._writers.pop(pair, None)
        if writer is not None:
            writer.close()

    def _run_folder(self, pair: Pair) -> Path:
        return self.folder / f"{pair[0]}-seed{pair[1]}"

    def _write(self, pair: Pair, step: int, epoch: int, loss: float, rank_ic: float) -> None:
        if pair not in self._writers:
            for old in self._run_folder(pair).glob("events.*"):
                old.unlink()
            self._writers[pair] = self._make(str(self._run_folder(pair)), flush_secs=5)
        writer = self._writers[pair]
        writer.add_scalar("training/loss", loss, step)
        writer.add_scalar("training/epoch", epoch, step)
        writer.add_scalar("validation/rank_ic", rank_ic, step)


def open_logs(setting: str, lake: Lake, name: str) -> TensorBoardLogs | None:
    """The logs that ``training_logs`` asks for: nothing, ``tensorboard``, or ``tensorboard:<folder>``.

    Parameters
    ----------
    setting : str
    lake : Lake
        Event files are written to its ``.tensorboard`` by default.
    name : str
        The model: each has a folder of its own.

    Returns
    -------
    TensorBoardLogs or None

    Raises
    ------
    DataError
        The setting is none of these, or names no folder where the lake is an object store.
    """
    if not setting:
        return None
    kind, _, folder = setting.partition(":")
    if kind != TENSORBOARD:
        raise DataError(f"training_logs must be empty, tensorboard or tensorboard:<folder>, was {setting!r}")
    if not folder and "://" in lake.root:
        raise DataError("training_logs needs a folder where the lake is an object store: tensorboard:<folder>")
    return TensorBoardLogs(Path(folder or f"{lake.root}/.tensorboard").expanduser() / name)


def cost_of(lake: Lake, spec: ModelSpec, half_year: str, device: str, workers: int, measured: bool = False) -> "Cost":
    """Estimated cost of training a half-year on the lake as it is.

    Parameters
    ----------
    lake : Lake
    spec : ModelSpec
    half_year : str
    device : str
    workers : int
        Parallel processes, on a CPU.
    measured : bool
        Whether to time steps even where an earlier training has stored its rate.

    Returns
    -------
    Cost
    """
    from mg_assets.modelling.training_inputs import training_data
    from mg_models.training.cost_estimate import estimate
    from mg_models.training.retrain import plan_training

    inputs, _, labels, label_end = training_data(lake, spec, [half_year])
    todo = plan_training(spec, inputs, labels, label_end, [half_year], device=device)
    rate = None if measured else stored_rate(lake, spec, half_year, device)
    return estimate(todo, workers if device == "cpu" else 1, rate)
