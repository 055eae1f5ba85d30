"""The one trainer: a network, a loss and a catalog entry in, a trained model out.

1. Build the network from the seed.
2. Shuffle the training days, batch whole days, take a step of Adam on the loss's clipped gradient.
3. Every ``check_every`` steps, score the validation days: mean daily RankIC. Keep the best weights.
4. Stop after ``patience`` checks without a better one, or at ``max_epochs``.

Patience is counted in checks, not epochs: at learning rate 0.005 the best weights come after some
40-60 steps, often within the first epochs. One torch thread, so that a rerun gives the same bits
whatever else the machine does.

Source: Huatai series 72, charts 44 and 51.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mg_models.checkpoint import Provenance, TrainedModel, new_card
from mg_models.dataset import Dataset
from mg_models.errors import TrainingError
from mg_models.losses import loss_of
from mg_models.networks import build
from mg_models.scoring import rank_ic
from mg_models.splits import Split

THREADS = 1
VALID_ROWS = 10_000  # rows of one forward pass without gradients; bounds its memory to some 100 MB


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
    """

    model: str
    retrain: str
    seed: int
    epoch: int
    step: int
    valid_rank_ic: float
    best_rank_ic: float
    seconds_left: float


def fit(
    data: Dataset,
    split: Split,
    seed: int,
    progress: Callable[[Progress], None] | None = None,
    provenance: Provenance | None = None,
) -> TrainedModel:
    """Train one (retrain, seed).

    Parameters
    ----------
    data : Dataset
        With labels.
    split : Split
    seed : int
    progress : callable, optional
        Given a :class:`Progress` at every check.
    provenance : Provenance, optional
        Kept in the model's card.

    Raises
    ------
    TrainingError
        The loss or a validation score stopped being a number.
    """
    spec = data.spec
    with _threads(THREADS), _deterministic(data.device):
        network = _seeded(data, seed)
        generator = np.random.default_rng(seed)
        optimizer = torch.optim.Adam(network.parameters(), lr=spec.learning_rate)
        course = _Course(data, split, seed, progress)
        step = 0
        for epoch in range(1, spec.max_epochs + 1):
            for days in data.batches(generator.permutation(split.train), spec.batch_rows):
                batch = data.batch(days)
                loss = loss_of(spec, network(batch.windows), batch.label, batch.day, batch.days)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), spec.grad_clip)
                optimizer.step()
                step += 1
                course.add_loss(step, float(loss.detach()))
                if step % spec.check_every == 0 and course.check(network, epoch, step):
                    break
            if course.over:
                break
        if not course.over and step % spec.check_every:
            course.check(network, epoch, step)
    card = new_card(spec, data, split, seed, THREADS, provenance or Provenance())
    card["training"] = course.record(epoch, step)
    return TrainedModel(spec, split.retrain, seed, data.features, course.best_state, card)


def predict_days(network: nn.Module, data: Dataset, days: list[int]) -> list[np.ndarray]:
    """Each day's predictions of its rows, float64: the mean over the network's tasks."""
    network.eval()
    with torch.inference_mode():
        return [network(data.windows(d)).mean(1).cpu().double().numpy() for d in days]


class _Course:
    """Checks so far: the best weights, and whether patience has run out."""

    def __init__(self, data: Dataset, split: Split, seed: int, progress: Callable[[Progress], None] | None):
        self._data, self._split, self._seed, self._progress = data, split, seed, progress
        self._labels = [data.label(d) for d in split.valid.tolist()]
        self._losses: list[float] = []
        self._checks: list[dict[str, float]] = []
        self._best = -np.inf
        self._best_step = 0
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
        scores = predict_days(network, self._data, self._split.valid.tolist())
        network.train()
        score = float(np.nanmean([rank_ic(p, y) for p, y in zip(scores, self._labels, strict=True)]))
        if not np.isfinite(score):
            raise TrainingError(f"{self._where()}: the validation RankIC was {score} at step {step}")
        self._checks.append({"step": step, "rank_ic": score, "loss": float(np.mean(self._losses))})
        self._losses = []
        self._since += 1
        if score > self._best:
            self._best, self._best_step, self._since = score, step, 0
            self.best_state = {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
        patience = self._data.spec.patience
        self.over = self._since >= patience
        if self._progress is not None:
            each = (time.monotonic() - self._started) / len(self._checks)
            left = (patience - self._since) * each
            name = self._data.spec.name
            self._progress(Progress(name, self._split.retrain, self._seed, epoch, step, score, self._best, left))
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


def _seeded(data: Dataset, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):  # the caller's generator is left as it was
        torch.manual_seed(seed)
        network = build(data.spec, {name: len(f) for name, f in data.features.items()})
    return network.to(data.device).train()


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
