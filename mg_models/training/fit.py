"""The trainer of every model: a network, a loss and a catalog entry in, a trained model out.

1. Build the network from the seed.
2. Shuffle the training days, batch whole days, take a step of Adam on the loss's clipped gradient.
3. At each epoch's end score the validation days: mean daily RankIC. Keep the best weights.
4. Stop after ``patience`` epochs without a better one, or at ``max_epochs``.

The step rule, ``check_every`` above 0, validates every so many steps instead, and patience counts those validations.
One torch thread, so that a rerun gives the same bits whatever else the machine does.

A ridge regression takes no steps: its weights are solved for on the training days (:mod:`mg_models.training.ridge`);
the validation days measure it.

Source: Huatai series 72, charts 44 and 51 (at most 100 epochs, early stop 10); series 69, chart 8 (early stop 20). The
RankIC as what is best, and the bound on the gradient, are ours.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mg_models.checkpoint import Provenance, TrainedModel, new_card
from mg_models.data.dataset import Batch, Dataset, step_features
from mg_models.data.day_statistics import rank_ic
from mg_models.data.panel_windows import Window
from mg_models.data.splits import Split
from mg_models.errors import TrainingError
from mg_models.networks import build_network
from mg_models.networks.mlp import Mlp
from mg_models.specs.model import ModelSpec
from mg_models.specs.networks import RidgeSpec
from mg_models.training.allocator import reuse_freed_memory
from mg_models.training.losses import batch_loss
from mg_models.training.ridge import solve_ridge

THREADS = 1


@dataclass(frozen=True)
class Progress:
    """State of one (retrain, seed) at a validation check.

    Attributes
    ----------
    model, retrain, seed
    epoch, step : int
    valid_rank_ic, best_rank_ic : float
    seconds_left : float
        Until this (retrain, seed) stops, if no later check is better than the best so far.
    loss : float
        Mean training loss since the previous check.
    seconds : float
        Since this (retrain, seed) began.
    """

    model: str
    retrain: str
    seed: int
    epoch: int
    step: int
    valid_rank_ic: float
    best_rank_ic: float
    seconds_left: float
    loss: float = float("nan")
    seconds: float = 0.0


def fit(
    data: Dataset,
    split: Split,
    seed: int,
    on_progress: Callable[[Progress], None] | None = None,
    provenance: Provenance | None = None,
) -> TrainedModel:
    """Train one (retrain, seed).

    Parameters
    ----------
    data : Dataset
        With labels.
    split : Split
    seed : int
    on_progress : callable, optional
        Called with a :class:`Progress` at every validation check.
    provenance : Provenance, optional
        Stored in the model's card.

    Returns
    -------
    TrainedModel

    Raises
    ------
    TrainingError
        The loss or a validation score was not finite.
    """
    spec = data.spec
    with reproducible(seed, data.device):
        network = build_network(spec, step_features(spec, data.features)).to(data.device).train()
        if isinstance(network, Mlp):
            network.calibrate(data.windows(day) for day in split.train.tolist())
        course = _Course(data, split, seed, on_progress)
        if isinstance(spec.network, RidgeSpec) and isinstance(network, Mlp):
            course.add_loss(1, solve_ridge(network, data, split.train, spec.network.penalty))
            course.check(network, 1, 1)
            epoch = step = 1
        else:
            epoch, step = _descend(network, data, split, seed, course)
    card = new_card(spec, data, split, seed, THREADS, provenance or Provenance())
    card["training"] = course.record(epoch, step)
    return TrainedModel(spec, split.retrain, seed, data.features, course.best_state, card)


def _descend(network: nn.Module, data: Dataset, split: Split, seed: int, course: "_Course") -> tuple[int, int]:
    """Steps of Adam until patience or the epochs run out; how many epochs and steps those were."""
    spec, step = data.spec, 0
    generator = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
    for epoch in range(1, spec.max_epochs + 1):
        for batch in _batches(data, generator, split):
            loss = batch_loss(spec, network, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), spec.grad_clip)
            optimizer.step()
            step += 1
            course.add_loss(step, float(loss.detach()))
            if spec.check_every and step % spec.check_every == 0 and course.check(network, epoch, step):
                break
        if course.over or (not spec.check_every and course.check(network, epoch, step)):
            break
    if course.checked_at != step:
        course.check(network, epoch, step)
    return epoch, step


def _batches(data: Dataset, generator: np.random.Generator, split: Split) -> Iterator[Batch]:
    """One epoch: the training days in random order."""
    for days in data.batches(generator.permutation(split.train)):
        yield from data.parts(data.batch(days), generator)


def predict_day(network: nn.Module, data: Dataset, day: int) -> np.ndarray:
    """A day's predictions of its rows; see :func:`predict_windows`."""
    return predict_windows(network, data.spec, data.windows(day))


def predict_windows(network: nn.Module, spec: ModelSpec, windows: dict[str, Window]) -> np.ndarray:
    """Predictions of a day's windows.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    spec : ModelSpec
    windows : dict of str to Tensor or WindowView (steps, rows, features)

    Returns
    -------
    ndarray of float64 (rows, columns)
        The first column is the model's prediction, the mean over the network's tasks. With several horizons the
        columns after it are those of :attr:`ModelSpec.heads`.
    """
    tasks = network(windows).cpu().double().numpy()  # (rows, tasks)
    mean = tasks.mean(1, keepdims=True)
    return np.concatenate([mean, tasks, mean], axis=1) if spec.heads else mean


def validation_rank_ic(
    network: nn.Module, data: Dataset, split: Split, labels: list[np.ndarray] | None = None
) -> float:
    """Mean RankIC over the validation days; NaN days are left out.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    data : Dataset
    split : Split
    labels : list of ndarray (rows, horizons), optional
        The raw labels of the validation days, where a caller has them already.

    Returns
    -------
    float
    """
    days = split.valid.tolist()
    with torch.inference_mode():
        scores = [predict_day(network, data, day) for day in days]
    labels = [data.label(d) for d in days] if labels is None else labels
    return float(np.nanmean([_rank_ic(p, y) for p, y in zip(scores, labels, strict=True)]))


class _Course:
    """Checks so far: the best weights, and whether patience has run out."""

    def __init__(self, data: Dataset, split: Split, seed: int, on_progress: Callable[[Progress], None] | None):
        self._data, self._split, self._seed, self._on_progress = data, split, seed, on_progress
        self._labels = [data.label(d) for d in split.valid.tolist()]
        self._losses: list[float] = []
        self._checks: list[dict[str, float]] = []
        self._best = -np.inf
        self._best_step = 0
        self.checked_at = 0
        self._since = 0
        self._started = time.monotonic()
        self.best_state: dict[str, torch.Tensor] = {}
        self.over = False

    def add_loss(self, step: int, loss: float) -> None:
        if not np.isfinite(loss):
            raise TrainingError(
                f"{self._where()}: the loss was {loss} at step {step}; look for infinite inputs, or lower "
                f"learning_rate ({self._data.spec.learning_rate})"
            )
        self._losses.append(loss)

    def check(self, network: nn.Module, epoch: int, step: int) -> bool:
        """Score the validation days; True if training is over."""
        self.checked_at = step
        network.eval()
        score = validation_rank_ic(network, self._data, self._split, self._labels)
        network.train()
        if not np.isfinite(score):
            raise TrainingError(f"{self._where()}: the validation RankIC was {score} at step {step}")
        loss = float(np.mean(self._losses))
        self._checks.append({"step": step, "epoch": epoch, "rank_ic": score, "loss": loss})
        self._losses = []
        self._since += 1
        if score > self._best:
            self._best, self._best_step, self._since = score, step, 0
            self.best_state = {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
        patience = self._data.spec.patience
        self.over = self._since >= patience
        if self._on_progress is not None:
            passed = time.monotonic() - self._started
            left = (patience - self._since) * passed / len(self._checks)
            name, retrain = self._data.spec.name, self._split.retrain
            self._on_progress(Progress(name, retrain, self._seed, epoch, step, score, self._best, left, loss, passed))
        return self.over

    def record(self, epochs: int, steps: int) -> dict[str, object]:
        return {
            "epochs": epochs,
            "steps": steps,
            "best_step": self._best_step,
            "best_valid_rank_ic": self._best,
            "checks": self._checks,
        }

    def _where(self) -> str:
        return f"{self._data.spec.name} {self._split.retrain} seed {self._seed}"


def _rank_ic(prediction: np.ndarray, label: np.ndarray) -> float:
    """Mean RankIC over horizons of a day's columns (see :func:`predict_day`) with its labels ``(rows, horizons)``."""
    heads = label.shape[1]
    first = 1 if heads > 1 else 0
    return float(np.mean([rank_ic(prediction[:, first + k], label[:, k]) for k in range(heads)]))


@contextmanager
def reproducible(seed: int, device: str) -> Iterator[None]:
    """One thread, deterministic algorithms, and torch's generators drawn from the seed; all as before afterwards."""
    reuse_freed_memory()
    with _threads(THREADS), _deterministic(device), _seeded(seed, device):
        yield


@contextmanager
def _seeded(seed: int, device: str) -> Iterator[None]:
    """Weights and dropout drawn from the seed; the caller's generators are left as they were."""
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _deterministic(device: str) -> Iterator[None]:
    """CuDNN's deterministic algorithms while training on a GPU."""
    if not device.startswith("cuda"):
        yield
        return
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before
