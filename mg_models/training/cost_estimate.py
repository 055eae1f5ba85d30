"""Estimate of a training's windows, steps, minutes and memory, before it is launched.

1. Count each half-year's windows and steps from its split.
2. Take the seconds of a step from a rate (an earlier training's), or measure a few steps and a few validation days.
3. A training ends ``patience`` checks, epochs by default, after its best one: at least the first, expected half the
   patience later, unless earlier trainings differ.

Measuring trains a network of its own and leaves the generators as they were: results do not change.
"""

import time
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch import nn

from mg_models.data.dataset import Batch, Dataset, step_features
from mg_models.data.panel import PeriodPanel
from mg_models.data.splits import Split
from mg_models.networks import build_network
from mg_models.training.fit import THREADS, predict_day, reproducible
from mg_models.training.losses import batch_loss
from mg_models.training.retrain import TrainingPlan

MEASURED_STEPS = 3
MEASURED_DAYS = 3
ENOUGH_SECONDS = 2.0
BEST_AFTER = 0.5  # share of the patience, in checks
PROCESS_MB = (
    330.0  # of a process before it reads a window, torch 2.13 on a CPU: tests/mg_models/training/test_cost_estimate.py
)
START_SECONDS = 4.0  # until a process of its own trains


@dataclass(frozen=True)
class Rate:
    """How fast a model trains.

    Attributes
    ----------
    seconds_per_step : float
        Validation included.
    activations_mb : float
        Tensors saved for the gradients of a step, with the batch's windows; NaN where it was not measured.
    basis : str
        Source of the rate, as text.
    steps : float
        Steps of a training, on average; NaN where no training has finished.
    """

    seconds_per_step: float
    activations_mb: float
    basis: str
    steps: float = float("nan")


@dataclass(frozen=True)
class Cost:
    """An estimate.

    Attributes
    ----------
    model : str
    device : str
    pairs, finished : int
        (Half-year, seed) pairs in all, and those that an earlier run finished.
    workers : int
        Processes side by side.
    windows : int
        Of an epoch of the last half-year: the stocks of its training days.
    window_values : int
        Numbers in a window, all inputs together.
    steps_per_epoch : int
        Of the last half-year.
    steps : tuple of int
        Of a (half-year, seed) of the last half-year: at the least, expected, at the most.
    seconds_per_step : float
    minutes : tuple of float
        Of the whole training: at the least, expected, at the most.
    panel_mb, process_mb, memory_mb : float
        The inputs, held once; of each process beside them; altogether.
    basis : str
    """

    model: str
    device: str
    pairs: int
    finished: int
    workers: int
    windows: int
    window_values: int
    steps_per_epoch: int
    steps: tuple[int, int, int]
    seconds_per_step: float
    minutes: tuple[float, float, float]
    panel_mb: float
    process_mb: float
    memory_mb: float
    basis: str

    @property
    def pair_seconds(self) -> float:
        """Expected seconds of one (half-year, seed)."""
        return self.steps[1] * self.seconds_per_step

    def lines(self) -> list[tuple[str, str]]:
        """Each quantity and its estimate, as text."""
        least, expected, most = (_duration(m) for m in self.minutes)
        low, middle, high = self.steps
        kept = f", {self.finished} of them finished by an earlier run" if self.finished else ""
        return [
            ("to train", f"{self.pairs} (half-year, seed) pairs{kept}; {self.workers} at a time on {self.device}"),
            ("windows", f"{self.windows:,} an epoch, {self.window_values:,} numbers each"),
            ("steps", f"{self.steps_per_epoch} an epoch; {middle} a pair expected, {low} at least, {high} at most"),
            ("time", f"{expected} expected, {least} at least, {most} at most"),
            ("a step", f"{1000 * self.seconds_per_step:.0f} ms with its share of validation ({self.basis})"),
            (
                "memory",
                f"{self.memory_mb:,.0f} MB: inputs {self.panel_mb:,.0f} MB once, {self.process_mb:,.0f} MB a process",
            ),
        ]

    def __str__(self) -> str:
        return "; ".join(f"{what}: {text}" for what, text in self.lines())


def estimate(todo: TrainingPlan, workers: int = 1, rate: Rate | None = None) -> Cost:
    """Estimate of a planned training.

    Parameters
    ----------
    todo : TrainingPlan
        From :func:`~mg_models.training.retrain.plan_training`.
    workers : int
        Processes that train at a time.
    rate : Rate, optional
        By default the plan's last half-year is measured, some seconds of this process.

    Returns
    -------
    Cost
        Windows, steps, minutes and memory.
    """
    spec, splits = todo.spec, todo.splits
    data = todo.dataset()
    last = list(splits)[-1]
    epochs = {r: steps_of_epoch(data, s) for r, s in splits.items()}
    rate = measure(data, splits[last], epochs[last]) if rate is None else rate
    jobs = todo.jobs
    side_by_side = max(min(workers, len(jobs)), 1)
    bounds = {r: _steps(todo, epochs[r], rate) for r in splits}
    minutes = []
    for k in range(3):
        each = [bounds[r][k] * rate.seconds_per_step for r, _ in jobs]
        total = max(sum(each) / side_by_side, max(each, default=0.0))
        minutes.append((total + (START_SECONDS if side_by_side > 1 and jobs else 0.0)) / 60)
    panel = sum(_bytes(p) for p in todo.inputs.values()) + todo.labels.nbytes + todo.eligible.nbytes
    activations = rate.activations_mb if np.isfinite(rate.activations_mb) else _windows_mb(todo)
    process = activations + (PROCESS_MB if side_by_side > 1 else 0.0)
    return Cost(
        model=spec.name,
        device=todo.device,
        pairs=len(splits) * len(todo.seeds),
        finished=len(todo.done),
        workers=side_by_side,
        windows=int(data.eligible[splits[last].train].sum()),
        window_values=sum(i.rows * len(todo.inputs[i.panel].features) for i in spec.inputs),
        steps_per_epoch=epochs[last],
        steps=bounds[last],
        seconds_per_step=rate.seconds_per_step,
        minutes=(minutes[0], minutes[1], minutes[2]),
        panel_mb=panel / 1e6,
        process_mb=process,
        memory_mb=panel / 1e6 + side_by_side * process,
        basis=rate.basis,
    )


def steps_of_epoch(data: Dataset, split: Split) -> int:
    """Steps of an epoch: about, since the order of the days moves the borders of the batches."""
    groups = list(data.batches(split.train))
    most = data.spec.batch_stocks
    if not most:
        return len(groups)
    labels = data.labels
    if labels is None:
        return len(groups)
    rows = [int((np.isfinite(labels[d]).all(-1) & data.eligible[d]).sum()) for g in groups for d in g]
    return sum(max(ceil(r / most), 1) for r in rows)


def measure(data: Dataset, split: Split, epoch: int) -> Rate:
    """Time a few steps of a separate network, and a few validation days, after a step that does not count."""
    spec = data.spec
    with reproducible(0, data.device):
        network = build_network(spec, step_features(spec, data.features)).to(data.device).train()
        optimizer = torch.optim.Adam(network.parameters(), lr=spec.learning_rate)
        generator = np.random.default_rng(0)
        saved = 0.0
        spent: list[float] = []
        for days in data.batches(generator.permutation(split.train)):
            began = time.perf_counter()
            batch = data.batch(days)
            parts = list(data.parts(batch, generator))
            gathered = (time.perf_counter() - began) / len(parts)
            for part in parts:
                began = time.perf_counter()
                if not spent:
                    saved = _step_saved(data, network, optimizer, part)
                else:
                    _step(data, network, optimizer, part)
                _wait(data.device)
                spent.append(time.perf_counter() - began + gathered)
                if len(spent) > MEASURED_STEPS or sum(spent[1:]) > ENOUGH_SECONDS:
                    break
            else:
                continue
            break
        network.eval()
        shown = split.valid[:MEASURED_DAYS].tolist()
        with torch.inference_mode():
            predict_day(network, data, shown[0])
            began = time.perf_counter()
            for day in shown:
                predict_day(network, data, day)
            _wait(data.device)
        validation = (time.perf_counter() - began) / len(shown) * len(split.valid)
    steps = spent[1:] or spent
    check = spec.check_every or epoch
    where = f"{THREADS} thread" if data.device == "cpu" else data.device
    return Rate(
        float(np.median(steps)) + validation / max(check, 1),
        saved / 1e6,
        f"measured on {len(steps)} steps and {len(shown)} validation days, {where}",
    )


def _step(data: Dataset, network: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch) -> None:
    loss = batch_loss(data.spec, network, batch)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), data.spec.grad_clip)
    optimizer.step()
    float(loss.detach())


def _step_saved(data: Dataset, network: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch) -> float:
    """A step; returns the bytes saved for its gradients, each storage once, and those of the windows."""
    given = [w.untyped_storage() for w in batch.windows.values() if isinstance(w, torch.Tensor)]
    storages = {storage.data_ptr(): storage.nbytes() for storage in given}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _step(data, network, optimizer, batch)
    return float(sum(storages.values()))


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _steps(todo: TrainingPlan, epoch: int, rate: Rate) -> tuple[int, int, int]:
    spec = todo.spec
    check = spec.check_every or epoch
    most = spec.max_epochs * epoch
    least = min((spec.patience + 1) * check, most)
    usual = rate.steps if np.isfinite(rate.steps) else (spec.patience * (1 + BEST_AFTER)) * check
    return least, int(min(max(usual, least), most)), most


def _windows_mb(todo: TrainingPlan) -> float:
    spec = todo.spec
    rows = spec.batch_rows if not spec.batch_stocks else spec.batch_stocks
    return 2 * 4e-6 * rows * sum(i.rows * len(todo.inputs[i.panel].features) for i in spec.inputs)


def _bytes(panel: object) -> int:
    names = ("completed", "to_date") if isinstance(panel, PeriodPanel) else ("values",)
    return sum(getattr(panel, n).nbytes for n in names)


def _duration(minutes: float) -> str:
    if minutes < 1.5:
        return f"{60 * minutes:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
