"""Retrain a stored half-year's models and compare the weights, byte for byte.

1. Read the stored cards: the configuration, seeds and device kind that they were trained with.
2. Build the same inputs and labels from the lake as it is now.
3. Train in a temporary folder and compare the weights' digests.

The same inputs, seed, device kind, thread count and library versions give the same bytes. Where they do not, the
result names the difference: the inputs (their digest), a library, or neither.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from mg_assets.errors import DataError, MissingPartitionError
from mg_assets.lake.local_files import local_folder
from mg_assets.lake.store import Lake
from mg_assets.modelling.training_inputs import training_data


@dataclass(frozen=True)
class SeedComparison:
    """A stored seed and its retraining.

    Attributes
    ----------
    seed : int
    same : bool
        Whether the weights are the same bytes.
    same_inputs : bool or None
        Whether the inputs and labels up to the last validation day are the same bytes; None where the card is of an
        older version without digests.
    changed_inputs : tuple of str
        Those that are not.
    versions : dict of str to (str, str)
        Libraries whose version has changed: then and now.
    stored_rank_ic, rank_ic : float
        Best validation RankIC, then and now.
    """

    seed: int
    same: bool
    same_inputs: bool | None
    changed_inputs: tuple[str, ...]
    versions: dict[str, tuple[str, str]]
    stored_rank_ic: float
    rank_ic: float

    def __str__(self) -> str:
        if self.same:
            return f"seed {self.seed}: the same bytes (validation RankIC {self.rank_ic:+.4f})"
        changed = [f"{name} was {then}, is {now}" for name, (then, now) in self.versions.items()]
        if self.same_inputs is None:
            changed.append("the card is of an older version without digests of the inputs, which may have changed")
        elif not self.same_inputs:
            which = ", ".join(self.changed_inputs)
            changed.append(f"the lake's inputs or labels are not those of the training ({which})")
        return (
            f"seed {self.seed}: other weights (validation RankIC {self.stored_rank_ic:+.4f} then, {self.rank_ic:+.4f} "
            f"now); {'; '.join(changed) or 'inputs and libraries are the same: check the processor and the code'}"
        )


def retrain_check(
    lake: Lake,
    name: str,
    half_year: str,
    device: str = "cpu",
    workers: int = 1,
    progress: Callable | None = None,
) -> list[SeedComparison]:
    """Retrain a stored model's seeds from the lake as it is, and compare.

    Parameters
    ----------
    lake : Lake
        Nothing is written to it.
    name, half_year : str
        Of a trained model in the lake, ``lf_multitask`` and ``2017H1``.
    device : str
        Device to train on, of the kind that the model was trained on.
    workers : int
    progress : callable, optional
        Called with a :class:`~mg_models.training.fit.Progress` at every validation check.

    Returns
    -------
    list of SeedComparison
        By ascending seed.

    Raises
    ------
    MissingPartitionError
        The lake has no such model.
    DataError
        The model was trained on another kind of device.
    """
    from mg_models import checkpoint
    from mg_models.training.retrain import train

    table = f"{name}_model"
    if not lake.has(table, half_year):
        raise MissingPartitionError(
            f"the lake {lake.root} has no {table} of {half_year}; it has {', '.join(lake.keys(table)) or 'none'}"
        )
    with local_folder(lake, table, half_year) as here:
        stored = checkpoint.load(here)
    kind = stored[0].card["device"]
    if device.partition(":")[0] != kind:
        raise DataError(
            f"{name} {half_year} was trained on {kind}, and only that kind of device gives the same bytes; "
            f"set device: {kind} (MG_DEVICE), was {device}"
        )
    spec = stored[0].spec
    inputs, _, labels, label_end = training_data(lake, spec, [half_year])
    seeds = [m.seed for m in stored]
    with tempfile.TemporaryDirectory(prefix="mg_retrain_") as folder:
        train(spec, inputs, labels, label_end, half_year, seeds, device, workers, progress, folder)
        again = checkpoint.load(f"{folder}/{half_year}")
    return [_compared(then.card, now.card) for then, now in zip(stored, again, strict=True)]


def _compared(then: dict, now: dict) -> SeedComparison:
    versions = {
        name: (old, now["versions"].get(name, "absent"))
        for name, old in then["versions"].items()
        if now["versions"].get(name) != old
    }
    old, new = then.get("input_digests", {}), now["input_digests"]
    return SeedComparison(
        seed=then["seed"],
        same=then["weights_sha256"] == now["weights_sha256"],
        same_inputs=old == new if old else None,
        changed_inputs=tuple(n for n in new if old.get(n) != new[n]),
        versions=versions,
        stored_rank_ic=then["training"]["best_valid_rank_ic"],
        rank_ic=now["training"]["best_valid_rank_ic"],
    )
