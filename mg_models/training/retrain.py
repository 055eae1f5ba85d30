"""Train every (retrain, seed) of a model, alone or in parallel, resuming after an interruption.

1. Split each retrain's days, so that bad input fails before anything is trained.
2. Load the (retrain, seed) pairs that are stored in ``out_dir`` for the same configuration and data.
3. Train the others: in this process, or each in a single-threaded process of its own
   (:mod:`mg_models.training.worker_processes`). Both give the same bits.
4. Store each as it finishes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mg_axes import DAYS, SYMBOLS, Layout, align, as_days
from mg_models import checkpoint
from mg_models.checkpoint import Provenance, TrainedModel, git_revision, versions
from mg_models.data.dataset import Dataset, eligible_rows, select_inputs, usable_days
from mg_models.data.fingerprint import training_digests
from mg_models.data.label_transforms import as_heads
from mg_models.data.panel import Panel, PeriodPanel, common_axes
from mg_models.data.splits import Split, label_end_days, split
from mg_models.errors import CheckpointError, InputError, TrainingError
from mg_models.specs.model import ModelSpec
from mg_models.training.fit import Progress, fit
from mg_models.training.worker_processes import TrainingTask, shared_inputs, train_tasks

PARTS = ("train", "valid")


def train(
    spec: ModelSpec,
    inputs: Mapping[str, Panel | PeriodPanel],
    labels: np.ndarray,
    label_end: np.ndarray | None,
    retrain: str,
    seeds: Iterable[int] | None = None,
    device: str = "cpu",
    workers: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
    out_dir: str | Path | None = None,
    fingerprints: Mapping[str, str] | None = None,
) -> list[TrainedModel]:
    """Train one half-year's model, all seeds; :func:`train_many` does several half-years at once.

    Parameters
    ----------
    spec : ModelSpec
        A catalog entry, as it is or overridden.
    inputs : mapping of str to Panel or PeriodPanel
        On the same days and stocks.
    labels : ndarray (D, S) or (D, S, horizons), or labelled
        Raw returns of the spec's horizons on the inputs' axes (fractions), NaN where a stock has none. Labelled ones
        (pandas, Polars, Arrow, xarray; see :mod:`mg_axes`) are aligned on the inputs' days and symbols; of others they
        are not used.
    label_end : ndarray of datetime64[D] (D,), or labelled by date, or None
        The day at whose close each label (of the longest horizon) is available, NaT where it is not yet. None:
        the trading day horizon + 1 after it.
    retrain : str
        Half-year to predict, ``"2017H1"``. It uses only labels available before it.
    seeds : iterable of int, optional
        By default the catalog's.
    device : str
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    workers : int
        Processes that train at a time.
    on_progress : callable, optional
        Called with a :class:`~mg_models.training.fit.Progress` at every validation check.
    out_dir : str or Path, optional
        Folder to store the models in, and to resume from.
    fingerprints : mapping of str to str, optional
        The caller's names for the inputs' versions, stored in the card.

    Returns
    -------
    list of TrainedModel
        By the order of ``seeds``.
    """
    return train_many(
        spec, inputs, labels, label_end, [retrain], seeds, device, workers, on_progress, out_dir, fingerprints
    )[retrain]


@dataclass(frozen=True)
class TrainingPlan:
    """The half-years and seeds that a training will do, with their data.

    Attributes
    ----------
    spec : ModelSpec
    inputs : dict of str to Panel or PeriodPanel
        Those that the model reads.
    labels : ndarray (D, S) or (D, S, horizons)
    eligible : ndarray of bool (D, S)
    splits : dict of str to Split
        By half-year.
    seeds : tuple of int
    device : str
    origins : dict of str to Provenance
        By half-year.
    done : dict of (str, int) to TrainedModel
        The (half-year, seed) pairs that an earlier run finished.
    damaged : tuple of str
        Errors of stored models that cannot be read; they are trained again.
    """

    spec: ModelSpec
    inputs: dict[str, Panel | PeriodPanel]
    labels: np.ndarray
    eligible: np.ndarray
    splits: dict[str, Split]
    seeds: tuple[int, ...]
    device: str
    origins: dict[str, Provenance]
    done: dict[tuple[str, int], TrainedModel]
    damaged: tuple[str, ...] = ()

    @property
    def jobs(self) -> list[tuple[str, int]]:
        """The (half-year, seed) pairs to train, in order."""
        return [(r, s) for r in self.splits for s in self.seeds if (r, s) not in self.done]

    def dataset(self) -> Dataset:
        """The inputs and labels on the device."""
        return Dataset(self.spec, self.inputs, self.labels, self.eligible, self.device)


def train_many(
    spec: ModelSpec,
    inputs: Mapping[str, Panel | PeriodPanel],
    labels: np.ndarray,
    label_end: np.ndarray | None,
    retrains: Iterable[str],
    seeds: Iterable[int] | None = None,
    device: str = "cpu",
    workers: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
    out_dir: str | Path | None = None,
    fingerprints: Mapping[str, str] | None = None,
    on_plan: Callable[[TrainingPlan], None] | None = None,
    on_trained: Callable[[str, int], None] | None = None,
) -> dict[str, list[TrainedModel]]:
    """Train a model for several half-years.

    Parameters
    ----------
    spec : ModelSpec
        A catalog entry, as it is or overridden.
    inputs : mapping of str to Panel or PeriodPanel
        On the same days and stocks.
    labels : ndarray (D, S) or (D, S, horizons), or labelled
        Raw returns of the spec's horizons on the inputs' axes (fractions), NaN where a stock has none. Labelled ones
        (pandas, Polars, Arrow, xarray; see :mod:`mg_axes`) are aligned on the inputs' days and symbols; of others they
        are not used.
    label_end : ndarray of datetime64[D] (D,), or labelled by date, or None
        The day at whose close each label (of the longest horizon) is available, NaT where it is not yet. None:
        the trading day horizon + 1 after it.
    retrains : iterable of str
        Half-years to predict, ``["2017H1", "2017H2"]``. Each uses only labels available before it.
    seeds : iterable of int, optional
        By default the catalog's.
    device : str
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    workers : int
        Processes that train side by side.
    on_progress : callable, optional
        Called with a :class:`~mg_models.training.fit.Progress` at every validation check.
    out_dir : str or Path, optional
        Each model is stored in ``<out_dir>/<retrain>``. One that is stored there already, of the same configuration,
        data, fingerprints and library versions, is loaded and not trained again.
    fingerprints : mapping of str to str, optional
        The caller's names for the inputs' versions, stored in the card.
    on_plan : callable, optional
        Called with the :class:`TrainingPlan` before anything is trained.
    on_trained : callable, optional
        Called with the half-year and the seed of each model as soon as it is trained (and stored).

    Returns
    -------
    dict of str to list of TrainedModel
        By half-year, in the order of ``seeds``.

    Raises
    ------
    InputError
        Inputs or labels that do not fit.
    LeakageError
        Labels available too late.
    TrainingError
        Too little data, a training that failed, or a process that died.
    """
    if workers < 1:
        raise TrainingError(f"workers must be at least 1, was {workers}")
    todo = plan_training(spec, inputs, labels, label_end, retrains, seeds, device, out_dir, fingerprints)
    if on_plan is not None:
        on_plan(todo)
    done, jobs = dict(todo.done), todo.jobs
    if min(workers, len(jobs)) > 1:
        done |= _in_processes(todo, workers, on_progress, on_trained, out_dir)
    elif jobs:
        data = todo.dataset()
        for retrain, seed in jobs:
            model = fit(data, todo.splits[retrain], seed, on_progress, todo.origins[retrain])
            if out_dir is not None:
                checkpoint.save(model, Path(out_dir) / retrain)
            done[retrain, seed] = model
            if on_trained is not None:
                on_trained(retrain, seed)
    return {r: [done[r, s] for s in todo.seeds] for r in todo.splits}


def plan_training(
    spec: ModelSpec,
    inputs: Mapping[str, Panel | PeriodPanel],
    labels: np.ndarray,
    label_end: np.ndarray | None,
    retrains: Iterable[str],
    seeds: Iterable[int] | None = None,
    device: str = "cpu",
    out_dir: str | Path | None = None,
    fingerprints: Mapping[str, str] | None = None,
) -> TrainingPlan:
    """The plan of :func:`train_many` with the same arguments, which raises the same errors; nothing is trained.

    Parameters
    ----------
    spec, inputs, labels, label_end, retrains, seeds, device, out_dir, fingerprints
        As for :func:`train_many`.

    Returns
    -------
    TrainingPlan
        Its ``jobs`` are the (half-year, seed) pairs that are left to train.

    Raises
    ------
    TrainingError
        A half-year has too few days before it.
    """
    chosen = select_inputs(spec, inputs)
    days, symbols = common_axes(chosen)
    labels, label_end = _on_axes(labels, label_end, days, symbols)
    eligible = eligible_rows(spec, chosen)
    as_heads(spec, labels, eligible.shape)
    ends = label_end_days(days, spec.horizon) if label_end is None else label_end
    usable = usable_days(spec, eligible, labels)
    if len(days) and not usable.any():
        full = (eligible & np.isfinite(as_heads(spec, labels, eligible.shape)).all(axis=-1)).sum(axis=1)
        raise TrainingError(
            f"{spec.name}: no day had {spec.min_stocks} stocks with inputs and labels that vary, at most {full.max()} "
            f"of {len(symbols)}: give more stocks, or override min_stocks"
        )
    try:
        splits = {r: split(days, r, spec.horizon, spec.split, ends, usable) for r in retrains}
    except TrainingError as error:
        raise TrainingError(f"{spec.name}, {error}") from None
    marks, revision = dict(fingerprints or {}), git_revision()
    origins = {
        r: Provenance(marks, whole, revision, each, {p: str(ends[getattr(splits[r], p)].max()) for p in PARTS})
        for r, (whole, each) in training_digests(spec, chosen, labels, eligible, splits).items()
    }
    chosen_seeds = tuple(spec.seeds if seeds is None else seeds)
    done, damaged = {}, []
    for retrain in splits if out_dir is not None else ():
        for seed in chosen_seeds:
            try:
                stored = checkpoint.load_seed(Path(out_dir or "") / retrain, seed)
            except CheckpointError as error:  # cut short by a crash of the machine, or of another version
                damaged.append(str(error))
                continue
            if stored is not None and _same_job(stored, spec, origins[retrain], device):
                done[retrain, seed] = stored
    return TrainingPlan(spec, chosen, labels, eligible, splits, chosen_seeds, device, origins, done, tuple(damaged))


def _on_axes(
    labels: np.ndarray, label_end: np.ndarray | None, days: np.ndarray, symbols: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Labels, and the days on which they are available, on the axes of the inputs."""
    layouts = {
        "labels": Layout("ds", otherwise="dsf", wider=True),
        "label_end": Layout("d", None, wider=True),
        "days": DAYS,
        "symbols": SYMBOLS,
    }
    given = {"labels": labels, "label_end": label_end, "days": days, "symbols": symbols}
    found, _ = align(InputError, layouts, given)
    try:
        ends = found["label_end"]
        return found["labels"], None if ends is None else as_days(ends, "label_end", gaps=True)
    except ValueError as wrong:
        raise InputError(str(wrong)) from None


def _in_processes(
    todo: TrainingPlan,
    count: int,
    on_progress: Callable[[Progress], None] | None,
    on_trained: Callable[[str, int], None] | None,
    out_dir: str | Path | None,
) -> dict[tuple[str, int], TrainedModel]:
    with shared_inputs(todo.inputs, todo.labels, todo.eligible) as folder:
        target = Path(out_dir) if out_dir is not None else folder / "models"
        tasks = [
            TrainingTask(todo.spec, todo.splits[r], s, todo.device, todo.origins[r], str(folder), str(target / r))
            for r, s in todo.jobs
        ]
        train_tasks(tasks, count, on_progress, on_trained)
        return {(r, s): _stored(target / r, s) for r, s in todo.jobs}


def _stored(folder: Path, seed: int) -> TrainedModel:
    model = checkpoint.load_seed(folder, seed)
    if model is None:
        raise TrainingError(f"the process of seed {seed} ended, but {folder} does not hold its model")
    return model


def _same_job(model: TrainedModel, spec: ModelSpec, origin: Provenance, device: str) -> bool:
    card = model.card
    return (
        model.spec.hash == spec.hash
        and card["data_digest"] == origin.data_digest
        and card["fingerprints"] == origin.fingerprints
        and card["device"] == device.partition(":")[0]
        and card["versions"] == versions()
    )
