"""The catalog entry of a trained model: inputs, label, network, loss, split, and the settings of the training."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from mg_models.errors import CatalogError
from mg_models.specs.data import InputSpec, LabelSpec, SplitSpec
from mg_models.specs.losses import LossSpec, ResidualLearningLossSpec
from mg_models.specs.networks import ResidualLearningSpec


@dataclass(frozen=True)
class ModelSpec:
    """One trained model.

    Attributes
    ----------
    name : str
    inputs : tuple of InputSpec
    network : NetworkSpec
        Or a dataclass of one's own, tied to its network by :func:`network`.
    loss : LossSpec
    label : LabelSpec
    universe : str
        Key of the panel of members (finite: a member on that day); empty: every stock with inputs.
    batch_rows : int
        A batch is whole days that add up to about so many rows.
    batch_days : int
        A batch is so many days, whatever their rows; 0: by ``batch_rows``.
    batch_stocks : int
        A batch is at most so many stocks of one day, drawn at random; 0: whole days.
    learning_rate, weight_decay : float
        Of Adam.
    max_epochs : int
    check_every : int
        Steps between two validations; 0: one at each epoch's end, so that ``patience`` counts epochs.
    patience : int
        Validations without a better one after which the training ends.
    grad_clip : float
        Bound on the gradient's norm.
    min_stocks : int
        Days with fewer stocks are left out of the loss.
    seeds : tuple of int
    split : SplitSpec
    description, source : str
    """

    name: str
    inputs: tuple[InputSpec, ...]
    network: Any
    loss: LossSpec
    label: LabelSpec = field(default_factory=LabelSpec)
    universe: str = ""
    batch_rows: int = 5000
    batch_days: int = 0
    batch_stocks: int = 0
    learning_rate: float = 0.005
    weight_decay: float = 0.0
    max_epochs: int = 100
    check_every: int = 0
    patience: int = 10
    grad_clip: float = 1.0
    min_stocks: int = 30
    seeds: tuple[int, ...] = (0, 1, 2)
    split: SplitSpec = field(default_factory=SplitSpec)
    description: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        names = [i.panel for i in self.inputs]
        kind = getattr(self.network, "kind", type(self.network).__name__)
        if not names or len(set(names)) < len(names):
            raise CatalogError(f"{self.name}: inputs must be different panels, at least one, was {names}")
        if len(names) > 1 and not getattr(self.network, "several_inputs", False):
            raise CatalogError(f"{self.name}: a {kind} network reads one input, has {', '.join(names)}")
        if len(self.label.horizons) > 1 and not getattr(self.network, "several_heads", False):
            raise CatalogError(
                f"{self.name}: a {kind} network has one head, the label horizons are {len(self.label.horizons)}"
            )
        if isinstance(self.loss, ResidualLearningLossSpec) and not isinstance(self.network, ResidualLearningSpec):
            raise CatalogError(f"{self.name}: the loss {self.loss.kind} is of residual_learning networks, has {kind}")

    @property
    def horizon(self) -> int:
        """The longest of the label's horizons, which sets the embargo."""
        return max(self.label.horizons)

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the predictions beside their mean, ``("10d", "20d", "10d20d")``; none with one horizon.

        The last is the mean itself, under its name in the report's tables.
        """
        each = tuple(f"{h}d" for h in self.label.horizons)
        return (*each, "".join(each)) if len(each) > 1 else ()

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the model's signals: its own (the mean over heads), and one for each head."""
        return (self.name, *(f"{self.name}_{head}" for head in self.heads))

    @property
    def hash(self) -> str:
        """Sixteen hex digits of everything that the trained weights depend on, but the seeds."""
        content = plain(self)
        for key in ("description", "source", "seeds"):
            content.pop(key)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def plain(spec: Any) -> dict[str, Any]:
    """A specification as nested dicts, without fields that were added later and have their default."""
    return {
        f.name: _plain(getattr(spec, f.name))
        for f in dataclasses.fields(spec)
        if not (f.metadata.get("optional") and getattr(spec, f.name) == f.default)
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return plain(value)
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value
