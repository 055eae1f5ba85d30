"""A trained model on disk: weights as safetensors, and a JSON card with their provenance.

``<folder>/seed<k>.safetensors`` and ``<folder>/seed<k>.json``. Writes are atomic: the card is written last
and holds the weights' digest and its own. Neither file holds a time of day: the same inputs, seed and device kind give
the same bytes. Never a pickle.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from mg_models.atomic_file import abandoned_files, atomic_file
from mg_models.data.splits import Split, period_start
from mg_models.errors import CheckpointError
from mg_models.networks import build_network
from mg_models.specs.data import InputSpec, LabelSpec, SplitSpec
from mg_models.specs.losses import LOSSES
from mg_models.specs.model import ModelSpec, plain
from mg_models.specs.networks import NETWORKS

if TYPE_CHECKING:
    from mg_models.data.dataset import Dataset

FORMAT = 2
CARD_DIGEST = "card_sha256"  # cards of older versions have none


@dataclass(frozen=True)
class TrainedModel:
    """Weights of one (retrain, seed), with what is needed to use them.

    Attributes
    ----------
    spec : ModelSpec
        As it was trained, overrides included.
    retrain : str
        The half-year it was trained for.
    seed : int
    features : dict of str to tuple of str
        Feature names of each input, in order.
    state : dict of str to Tensor
        The network's weights and batch-norm statistics, on the CPU.
    card : dict
        What is stored as JSON.
    """

    spec: ModelSpec
    retrain: str
    seed: int
    features: dict[str, tuple[str, ...]]
    state: dict[str, Tensor]
    card: dict[str, Any]

    def network(self, device: str = "cpu") -> nn.Module:
        """The network with these weights.

        Parameters
        ----------
        device : str
            ``"cpu"``, ``"cuda"`` or ``"mps"``.

        Returns
        -------
        torch.nn.Module
            In evaluation mode.

        Raises
        ------
        CheckpointError
            The weights are not those of this version's network.
        """
        with torch.random.fork_rng(devices=[]):  # a module draws its initial weights from the caller's generator
            per_day = {i.panel: i.per_day for i in self.spec.inputs}
            network = build_network(self.spec, {n: len(names) // per_day[n] for n, names in self.features.items()})
        try:
            network.load_state_dict(self.state)
        except RuntimeError as error:
            raise CheckpointError(
                f"{self.spec.name} {self.retrain} seed {self.seed} was stored with other weights than its network "
                f"has now; train again: {error}"
            ) from error
        return network.to(device).eval()


def save(model: TrainedModel, folder: str | Path) -> Path:
    """Write a model: each file atomically, the card last.

    An older card is removed first, so that a kill between the files leaves no model rather than one that does not fit.

    Parameters
    ----------
    model : TrainedModel
        One seed's model.
    folder : str or Path
        Of one half-year; created where it is missing.

    Returns
    -------
    Path
        The card's.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed{model.seed}.json").unlink(missing_ok=True)
    weights = safetensors.torch.save({k: model.state[k].contiguous() for k in sorted(model.state)})
    card = {**model.card, "weights_sha256": hashlib.sha256(weights).hexdigest()}
    card[CARD_DIGEST] = _card_digest(card)
    for path in abandoned_files(folder):
        Path(path).unlink(missing_ok=True)
    _write(folder / f"seed{model.seed}.safetensors", weights)
    return _write(folder / f"seed{model.seed}.json", (json.dumps(card, indent=1, sort_keys=True) + "\n").encode())


def load(folder: str | Path) -> list[TrainedModel]:
    """Every seed's model in a folder, by ascending seed.

    Parameters
    ----------
    folder : str or Path
        Of one half-year, as :func:`save` writes it.

    Returns
    -------
    list of TrainedModel
        At least one.

    Raises
    ------
    CheckpointError
        No model there, or one whose files are incomplete, altered or of another format.
    """
    folder = Path(folder)
    cards = sorted(folder.glob("seed*.json"))
    if not cards:
        raise CheckpointError(f"no trained model in {folder}; train it, or give the folder of one half-year")
    return sorted((_load(card) for card in cards), key=lambda m: m.seed)


def load_seed(folder: str | Path, seed: int) -> TrainedModel | None:
    """One seed's model, or None where it is not stored (or its card was not written yet)."""
    path = Path(folder) / f"seed{seed}.json"
    return _load(path) if path.exists() else None


def card_id(card: dict[str, Any]) -> str:
    """Sixteen hex digits that identify a stored model's card, its weights' digest included."""
    return hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()[:16]


def keep_only(folder: str | Path, seeds: Iterable[int]) -> None:
    """Remove a folder's models of other seeds, left by an older training that had more."""
    wanted = set(seeds)
    for path in Path(folder).glob("seed*.*"):
        if path.suffix in (".json", ".safetensors") and int(path.stem.removeprefix("seed")) not in wanted:
            path.unlink()


def weights_of(folder: str | Path) -> dict[str, str]:
    """The weights' digest on each card in a folder, by seed."""
    cards = sorted(Path(folder).glob("seed*.json"))
    return {card.stem.removeprefix("seed"): json.loads(card.read_bytes())["weights_sha256"] for card in cards}


@dataclass(frozen=True)
class Provenance:
    """Data and code of a training, for the card.

    Attributes
    ----------
    fingerprints : dict of str to str
        The caller's names for the inputs' versions.
    data_digest : str
        Digest of exactly the inputs and labels that the training can see.
    git_revision : str or None
    input_digests : dict of str to str
        The same for each input, and for the labels.
    label_known : dict of str to str
        For ``train`` and ``valid``, the day at whose close the last label is available.
    """

    fingerprints: dict[str, str] = field(default_factory=dict)
    data_digest: str = ""
    git_revision: str | None = None
    input_digests: dict[str, str] = field(default_factory=dict)
    label_known: dict[str, str] = field(default_factory=dict)


def new_card(
    spec: ModelSpec, data: "Dataset", split: Split, seed: int, threads: int, provenance: Provenance
) -> dict[str, Any]:
    """The card before training; the trainer adds ``training``."""
    ranges = {}
    for part in ("train", "valid"):
        index = getattr(split, part)
        ranges[part] = {"first": str(data.days[index[0]]), "last": str(data.days[index[-1]]), "days": len(index)}
        if part in provenance.label_known:
            ranges[part]["label_known"] = provenance.label_known[part]
    return {
        "format": FORMAT,
        "catalog_entry": plain(spec),
        **_own_network(spec),
        "config_hash": spec.hash,
        "retrain": split.retrain,
        "predicts_from": str(period_start(split.retrain)),
        "seed": seed,
        "ranges": ranges,
        "days": split.days,
        "stocks": int(data.eligible[np.concatenate([split.train, split.valid])].any(axis=0).sum()),
        "features": {name: list(names) for name, names in data.features.items()},
        "fingerprints": dict(sorted(provenance.fingerprints.items())),
        "data_digest": provenance.data_digest,
        "input_digests": dict(sorted(provenance.input_digests.items())),
        "embargo": spec.horizon + 1,
        "git_revision": provenance.git_revision,
        "versions": versions(),
        "device": torch.device(data.device).type,
        "threads": threads,
    }


def versions() -> dict[str, str]:
    """Versions of the libraries that a training's bits depend on."""
    return {name: metadata.version(name) for name in ("torch", "numpy", "safetensors")}


def git_revision() -> str | None:
    """The checkout's commit, or None where this package does not run from one."""
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _load(path: Path) -> TrainedModel:
    weights_path = path.with_suffix(".safetensors")
    try:
        card = json.loads(path.read_bytes())
        weights = weights_path.read_bytes()
        if card["format"] not in (1, FORMAT):
            raise CheckpointError(f"{path} has format {card['format']}, this version reads 1 and {FORMAT}; train again")
        if card["format"] == FORMAT and card.get(CARD_DIGEST, _card_digest(card)) != _card_digest(card):
            raise CheckpointError(f"{path} is not the card that was written; train again")
        if hashlib.sha256(weights).hexdigest() != card["weights_sha256"]:
            raise CheckpointError(f"{weights_path} is not the file that {path.name} was written with; train again")
        entry = card["catalog_entry"]
        spec = _spec(entry if card["format"] == FORMAT else _since_format_1(entry), card.get("network_type", ""))
        features = {name: tuple(names) for name, names in card["features"].items()}
        return TrainedModel(spec, card["retrain"], card["seed"], features, safetensors.torch.load(weights), card)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} has no weights {weights_path.name} beside it; train again") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is not a model's card ({error!r}); train again") from error


def _own_network(spec: ModelSpec) -> dict[str, str]:
    """Where the dataclass of a network of a user's own is defined, for the card."""
    kind = type(spec.network)
    return {} if kind in NETWORKS.values() else {"network_type": f"{kind.__module__}:{kind.__qualname__}"}


def _network_type(name: str, model: str) -> type:
    """The dataclass of a network of a user's own, from a module that was imported: a card imports nothing."""
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if getattr(found, "build", None) is None:
        raise CheckpointError(
            f"{model} has a network of its own, {qualname} of the module {module}, which was not imported; name the "
            "module in the setting extensions, or import it before the model is loaded"
        )
    return cast(type, found)


def _spec(entry: dict[str, Any], network_type: str = "") -> ModelSpec:
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in entry["network"].items()}
    network = _network_type(network_type, entry["name"]) if network_type else NETWORKS[entry["network"]["kind"]]
    return ModelSpec(
        **{
            **entry,
            "inputs": tuple(InputSpec(**{**i, "columns": tuple(i.get("columns", ()))}) for i in entry["inputs"]),
            "network": network(**fields),
            "loss": LOSSES[entry["loss"]["kind"]](**entry["loss"]),
            "label": LabelSpec(**{**entry["label"], "horizons": tuple(entry["label"]["horizons"])}),
            "split": SplitSpec(**entry["split"]),
            "seeds": tuple(entry["seeds"]),
        }
    )


def _since_format_1(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of format 1, whose network and loss were names with their settings beside them."""
    entry = dict(entry)
    settings = {k: entry.pop(k) for k in ("hidden", "layers", "sigmoid", "shared", "correlation_penalty", "horizon")}
    own = {"recurrent": ("hidden", "layers", "sigmoid"), "multitask": ("hidden", "layers", "shared")}[entry["network"]]
    entry["network"] = {"kind": entry["network"], **{k: settings[k] for k in own}}
    penalty = {"correlation_penalty": settings["correlation_penalty"]} if entry["loss"] == "multitask_ic" else {}
    entry["loss"] = {"kind": entry["loss"], **penalty}
    return {**entry, "label": {"horizons": [settings["horizon"]]}}


def _card_digest(card: Mapping[str, Any]) -> str:
    """Digest of a card but for the digest on it."""
    rest = json.loads(json.dumps({name: value for name, value in card.items() if name != CARD_DIGEST}))  # as stored
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _write(path: Path, content: bytes) -> Path:
    with atomic_file(path) as out:
        out.write(content)
    return path
