"""Every published model as one entry: inputs, network, loss, label, split, seeds, hyper-parameters.

A model is a network, a loss and an entry here; one trainer serves them all. ``CATALOG`` holds the
trained models, ``COMBINATIONS`` the signals made from other signals or straight from factors. Names
are those of the reports' published tables, so that results join to them.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mg_models.errors import CatalogError

Scale = Literal["none", "last_value"]


@dataclass(frozen=True)
class InputSpec:
    """One input of a model.

    Attributes
    ----------
    panel : str
        Key of the panel in the ``inputs`` that training and prediction are given.
    steps : int
        Window length, in rows of that panel.
    scale : {"none", "last_value"}
        ``"none"``: the values are already preprocessed per day. ``"last_value"``: each feature's
        series is divided by its own last value, then z-scored over stocks per day and step.
    clip : float or None
        Bound on the z-scores of ``"last_value"``.
    min_share : float
        Share of the steps that a stock must have to take part.
    """

    panel: str
    steps: int
    scale: Scale = "none"
    clip: float | None = None
    min_share: float = 0.6


@dataclass(frozen=True)
class SplitSpec:
    """How a retrain's days are divided; see :mod:`mg_models.splits`.

    Attributes
    ----------
    every : int
        Sample every so many trading days.
    valid_share : float
        The last part of the samples, in time order, that validates.
    min_train_days, min_valid_days : int
        Sampled days without which a retrain is refused.
    """

    every: int = 5
    valid_share: float = 0.2
    min_train_days: int = 20
    min_valid_days: int = 5


@dataclass(frozen=True)
class ModelSpec:
    """One trained model.

    Attributes
    ----------
    name : str
    inputs : tuple of InputSpec
    network : {"recurrent", "multitask"}
    loss : {"negative_ic", "multitask_ic"}
    horizon : int
        Trading days of the label's return, from T+1 to T+1+horizon.
    hidden, layers : int
        Width and depth of the GRU.
    sigmoid : bool
        Whether the head ends in a sigmoid.
    shared : bool
        Whether the bars of a multi-task network share one GRU (factors always have their own).
    correlation_penalty : float
        Weight of the correlations between the tasks' predictions in the loss.
    batch_rows : int
        A batch is whole days that add up to about so many rows.
    learning_rate : float
        Of Adam.
    max_epochs : int
    check_every : int
        Steps between two validations.
    patience : int
        Validations without a better one that end the training.
    grad_clip : float
        Bound on the gradient's norm.
    min_stocks : int
        A day with fewer stocks takes no part in the loss.
    seeds : tuple of int
    split : SplitSpec
    description, source : str
    """

    name: str
    inputs: tuple[InputSpec, ...]
    network: Literal["recurrent", "multitask"]
    loss: Literal["negative_ic", "multitask_ic"]
    horizon: int = 10
    hidden: int = 30
    layers: int = 1
    sigmoid: bool = False
    shared: bool = True
    correlation_penalty: float = 0.01
    batch_rows: int = 5000
    learning_rate: float = 0.005
    max_epochs: int = 100
    check_every: int = 10
    patience: int = 10
    grad_clip: float = 1.0
    min_stocks: int = 30
    seeds: tuple[int, ...] = (0, 1, 2)
    split: SplitSpec = field(default_factory=SplitSpec)
    description: str = ""
    source: str = ""

    @property
    def hash(self) -> str:
        """Sixteen hex digits of everything that shapes the trained weights, seeds and prose left out."""
        content = dataclasses.asdict(self)
        for key in ("description", "source", "seeds"):
            content.pop(key)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class CombinationSpec:
    """A signal without weights to train.

    Attributes
    ----------
    name : str
    rule : {"equal_weight", "icir_weight", "fuse"}
        ``equal_weight`` and ``icir_weight`` combine the factors of the panel named first in
        ``parts``; ``fuse`` takes the z-scored signals named in ``parts``.
    parts : tuple of str
    weights : tuple of float
        One per part, for ``fuse``.
    window, min_observations : int
        Of ``icir_weight``: weekly RankIC observations.
    horizon : int
        Of the return that the RankIC observations measure, trading days.
    """

    name: str
    rule: Literal["equal_weight", "icir_weight", "fuse"]
    parts: tuple[str, ...]
    weights: tuple[float, ...] = ()
    window: int = 52
    min_observations: int = 26
    horizon: int = 5
    description: str = ""
    source: str = ""


_FACTORS = InputSpec("hf", 40)
_DAILY = InputSpec("daily", 40, "last_value")
_WEEKLY = InputSpec("weekly", 20, "last_value")
_MONTHLY = InputSpec("monthly", 12, "last_value")


def _single(frequency: str, bars: InputSpec) -> ModelSpec:
    return ModelSpec(
        name=f"lf_{frequency}_only",
        inputs=(bars,),
        network="recurrent",
        loss="negative_ic",
        description=f"GRU over {frequency} bars alone.",
        source="Huatai series 72, chart 52",
    )


_ENTRIES = (
    ModelSpec(
        name="hf_gru",
        inputs=(_FACTORS,),
        network="recurrent",
        loss="negative_ic",
        sigmoid=True,
        description="GRU over 40 days of the 27 high-frequency factors, trained on the correlation with the return.",
        source="Huatai series 72, charts 43-45",
    ),
    ModelSpec(
        name="lf_multitask",
        inputs=(_DAILY, _WEEKLY, _MONTHLY),
        network="multitask",
        loss="multitask_ic",
        description="One GRU shared by daily, weekly and monthly bars, a head for each, their mean as the prediction.",
        source="Huatai series 72, charts 50-52",
    ),
    _single("daily", _DAILY),
    _single("weekly", _WEEKLY),
    _single("monthly", _MONTHLY),
    ModelSpec(
        name="lf_multitask_unshared",
        inputs=(_DAILY, _WEEKLY, _MONTHLY),
        network="multitask",
        loss="multitask_ic",
        shared=False,
        description="lf_multitask with a GRU of its own for each frequency.",
        source="Huatai series 72, chart 52",
    ),
    ModelSpec(
        name="full_band_multitask",
        inputs=(_DAILY, _WEEKLY, _MONTHLY, _FACTORS),
        network="multitask",
        loss="multitask_ic",
        description="lf_multitask with the 27 factors as a fourth task, with a GRU of their own, trained jointly.",
        source="Huatai series 72, chart 57",
    ),
)

CATALOG: dict[str, ModelSpec] = {entry.name: entry for entry in _ENTRIES}

COMBINATIONS: dict[str, CombinationSpec] = {
    entry.name: entry
    for entry in (
        CombinationSpec(
            name="hf_equal_weight",
            rule="equal_weight",
            parts=("hf",),
            description="Mean of the 27 direction-signed high-frequency factors (20-day means, preprocessed).",
            source="Huatai series 72, chart 45",
        ),
        CombinationSpec(
            name="hf_icir_weight",
            rule="icir_weight",
            parts=("hf",),
            description="High-frequency factors weighted by the mean over std of their past year's weekly RankIC.",
            source="Huatai series 72, chart 45 (the window of 52 weeks is ours)",
        ),
        CombinationSpec(
            name="lf_separate_equal_weight",
            rule="fuse",
            parts=("lf_daily_only", "lf_weekly_only", "lf_monthly_only"),
            weights=(1.0, 1.0, 1.0),
            description="Daily, weekly and monthly bars trained apart, then averaged.",
            source="Huatai series 72, chart 52",
        ),
        CombinationSpec(
            name="fused",
            rule="fuse",
            parts=("hf_gru", "lf_multitask"),
            weights=(1.0, 3.0),
            description="High- and low-frequency signals, z-scored per day, one part to three.",
            source="Huatai series 72, chart 57",
        ),
    )
}


def get(name: str) -> ModelSpec:
    """The catalog's entry of a trained model.

    Raises
    ------
    CatalogError
        The name is not one of :data:`CATALOG`.
    """
    try:
        return CATALOG[name]
    except KeyError:
        raise CatalogError(f"no trained model {name!r}; the catalog has {', '.join(CATALOG)}") from None


def override(spec: ModelSpec, **changes: Any) -> ModelSpec:
    """A copy of an entry with some hyper-parameters changed.

    Keys are fields of :class:`ModelSpec`, of its :class:`SplitSpec` (``every``, ``valid_share``, ...), or
    ``steps`` / ``clip``, a mapping from input to value (``steps={"daily": 60}``) or one value for all.

    Raises
    ------
    CatalogError
        An unknown key, or a value of the wrong type or out of range.
    """
    fields = {f.name: f for f in dataclasses.fields(ModelSpec)} | {f.name: f for f in dataclasses.fields(SplitSpec)}
    locked = {"name", "inputs", "network", "loss", "split", "description", "source"}
    own: dict[str, Any] = {}
    split: dict[str, Any] = {}
    inputs = spec.inputs
    for key, value in changes.items():
        if key in ("steps", "clip"):
            inputs = _override_inputs(spec, inputs, key, value)
            continue
        if key not in fields or key in locked:
            allowed = sorted(set(fields) - locked | {"steps", "clip"})
            raise CatalogError(f"{spec.name}: no hyper-parameter {key!r}; there are {', '.join(allowed)}")
        holder, into = (spec, own) if hasattr(spec, key) else (spec.split, split)
        into[key] = _checked(spec.name, key, getattr(holder, key), value)
    return dataclasses.replace(spec, **own, inputs=inputs, split=dataclasses.replace(spec.split, **split))


def _override_inputs(spec: ModelSpec, inputs: tuple[InputSpec, ...], key: str, value: Any) -> tuple[InputSpec, ...]:
    names = [i.panel for i in inputs]
    wanted = dict(value) if isinstance(value, Mapping) else dict.fromkeys(names, value)
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise CatalogError(f"{spec.name}: {key} names inputs {unknown}; the model has {', '.join(names)}")
    template: Any = 1 if key == "steps" else 1.0
    checked: dict[str, Any] = {
        n: None if key == "clip" and v is None else _checked(spec.name, f"{key}[{n}]", template, v)
        for n, v in wanted.items()
    }
    changes: list[dict[str, Any]] = [{key: checked[n]} if n in checked else {} for n in names]
    return tuple(dataclasses.replace(i, **c) for i, c in zip(inputs, changes, strict=True))


def _checked(model: str, key: str, present: Any, value: Any) -> Any:
    """``value`` in the type of ``present``; ints pass for floats, lists of ints for tuples."""
    kind = type(present)
    wrong = CatalogError(f"{model}: {key} must be {kind.__name__} like {present!r}, was {value!r}")
    if kind is tuple:
        if not isinstance(value, list | tuple) or not value or not all(type(v) is int for v in value):
            raise wrong
        if len(set(value)) != len(value):
            raise CatalogError(f"{model}: {key} holds a value twice: {value!r}")
        return tuple(value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise wrong
    if kind is not bool and not (value > 0 or (key == "correlation_penalty" and value == 0)):
        raise CatalogError(f"{model}: {key} must be positive, was {value!r}")
    if key == "valid_share" and value >= 1:
        raise CatalogError(f"{model}: valid_share must be below 1, was {value!r}")
    return value
