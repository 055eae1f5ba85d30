"""Parts of a catalog entry: inputs, label, network, loss, split, and the settings of the training.

Networks and losses are small dataclasses, one for each kind, so that an entry names only what its report
names. ``kind`` identifies them in a stored card. :func:`network` ties a network to its dataclass, a built-in one
(:mod:`mg_models.networks`) as one of a user's own.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar

from mg_models.errors import CatalogError

Scale = Literal["none", "last_value"]
Builder = TypeVar("Builder", bound=Callable[..., Any])
OPTIONAL = {"optional": True}
"""Metadata of a field that was added to a specification: at its default it is in no hash and no card."""
MARGIN = 12  # trading days beyond the window of weekly observations: the last one's return, and the week's start


@dataclass(frozen=True)
class InputSpec:
    """One input of a model.

    Attributes
    ----------
    panel : str
        Key of the panel in the ``inputs`` that training and prediction are given.
    steps : int
        Window length. In rows of the panel, times ``per_day``.
    scale : {"none", "last_value"}
        ``"none"``: the values are already preprocessed per day. ``"last_value"``: each feature's
        series is divided by its own last value, then z-scored over stocks per day and step.
    clip : float or None
        Bound on the z-scores of ``"last_value"``.
    min_share : float
        Share of the window's rows that an eligible stock must have.
    per_day : int
        Steps in one row of the panel, one after another: 8 for half-hours. Such a row has ``per_day`` times the
        features of a step.
    columns : tuple of str
        The panel's features by name, where whoever makes the panel lets a model choose them; else all it has.

    Raises
    ------
    CatalogError
        ``steps`` is no multiple of ``per_day``, or rows of several steps are to be divided by their last.
    """

    panel: str
    steps: int
    scale: Scale = "none"
    clip: float | None = None
    min_share: float = 0.6
    per_day: int = 1
    columns: tuple[str, ...] = field(default=(), metadata=OPTIONAL)

    def __post_init__(self) -> None:
        if self.steps % self.per_day:
            raise CatalogError(
                f"input {self.panel}: steps must be a multiple of {self.per_day}, its steps a day, was {self.steps}"
            )
        if self.scale == "last_value" and self.per_day > 1:
            raise CatalogError(
                f"input {self.panel}: scale 'last_value' is for rows of one step, has {self.per_day} a day; use 'none' "
                "on values standardised before"
            )

    @property
    def rows(self) -> int:
        """Rows of the panel in a window: days, weeks or months."""
        return self.steps // self.per_day


@dataclass(frozen=True)
class LabelSpec:
    """The return that a model learns, and how it is transformed.

    Attributes
    ----------
    horizons : tuple of int
        Trading days of the returns, from T+1 to T+1+horizon; a head for each where there are several.
    price : {"vwap", "close"}
        Price of entry and exit.
    transform : {"zscore", "rank", "normal_rank", "neutral_normal_rank"}
        Of a day's raw returns over its stocks: z-scored; ranked, then z-scored; ranked, mapped to
        normal quantiles, then z-scored; or the residual of that on the style features of the first input
        (:data:`~mg_models.data.label_transforms.STYLES`).
    """

    horizons: tuple[int, ...] = (10,)
    price: Literal["vwap", "close"] = "vwap"
    transform: Literal["zscore", "rank", "normal_rank", "neutral_normal_rank"] = "zscore"


@dataclass(frozen=True)
class SplitSpec:
    """How a retrain's days are divided; see :mod:`mg_models.data.splits`.

    Attributes
    ----------
    every : int
        Sample every so many trading days.
    valid_share : float
        The last part of the samples, in time order, that validates, where the window expands.
    train_days, valid_days : int
        Fixed lengths of a rolling window, trading days; 0: the window expands.
    min_train_days, min_valid_days : int
        A retrain with fewer sampled days is refused.
    """

    every: int = 5
    valid_share: float = 0.2
    train_days: int = 0
    valid_days: int = 0
    min_train_days: int = 20
    min_valid_days: int = 5

    def __post_init__(self) -> None:
        if bool(self.train_days) != bool(self.valid_days):
            raise CatalogError(
                f"train_days and valid_days must both be given or both be 0, was {self.train_days} and "
                f"{self.valid_days}"
            )


@dataclass(frozen=True)
class RecurrentSpec:
    """GRU(F -> hidden, layers) -> BatchNorm -> Linear -> (Sigmoid).

    Attributes
    ----------
    hidden, layers : int
        Units of a layer of the GRU, and layers.
    sigmoid : bool
        Whether the output passes a sigmoid.
    kind : str
        Name in a stored card.
    """

    hidden: int = 30
    layers: int = 1
    sigmoid: bool = False
    kind: Literal["recurrent"] = "recurrent"


@dataclass(frozen=True)
class MultiTaskSpec:
    """A task for each input: a GRU (``shared`` by the bars), own BatchNorm and Linear; their mean is the prediction.

    Attributes
    ----------
    hidden, layers : int
        Units of a layer of a GRU, and layers.
    shared : bool
        Whether the inputs of bars share one GRU.
    kind : str
        Name in a stored card.
    """

    hidden: int = 30
    layers: int = 1
    shared: bool = True
    kind: Literal["multitask"] = "multitask"
    several_inputs: ClassVar[bool] = True


@dataclass(frozen=True)
class SequenceSpec:
    """A recurrent encoder for each input, their outputs concatenated, then an MLP.

    Attributes
    ----------
    cell : {"gru", "lstm"}
    hidden, layers : int
        Units of a layer of an encoder, and layers.
    bidirectional : bool
        Whether encoders also read from the last step to the first.
    attention : bool
        Whether additive attention over the top layer's states is concatenated with the last state.
    residual : bool
        Whether each layer has a residual connection.
    mlp : int
        Width of the MLP between the encoders and the prediction; 0: none.
    kind : str
        Name in a stored card.
    """

    cell: Literal["gru", "lstm"] = "gru"
    hidden: int = 50
    layers: int = 1
    bidirectional: bool = False
    attention: bool = False
    residual: bool = False
    mlp: int = 10
    kind: Literal["sequence"] = "sequence"
    several_inputs: ClassVar[bool] = True


@dataclass(frozen=True)
class ResidualLearningSpec:
    """Multi-granularity residual learning: a module for each input, coarse to fine.

    Attributes
    ----------
    hidden, layers : int
        Units of a layer of each module's GRU, and layers.
    mlp : int
        Width of each prediction head.
    combination : {"mean", "attention", "contrastive"}
        Weights of the modules' predictions.
    kind : str
        Name in a stored card.
    """

    hidden: int = 50
    layers: int = 2
    mlp: int = 10
    combination: Literal["mean", "attention", "contrastive"] = "mean"
    kind: Literal["residual_learning"] = "residual_learning"
    several_inputs: ClassVar[bool] = True


@dataclass(frozen=True)
class TaskMlpSpec:
    """An MLP shared by the tasks, a head for each horizon.

    Attributes
    ----------
    hidden, layers : int
        Units of a layer of the MLP, and layers.
    task_attention_heads : int
        Heads of the attention between the tasks, in front of their heads; 0: none.
    kind : str
        Name in a stored card.
    """

    hidden: int = 256
    layers: int = 2
    task_attention_heads: int = 0
    kind: Literal["task_mlp"] = "task_mlp"
    several_heads: ClassVar[bool] = True


@dataclass(frozen=True)
class StockAttentionSpec:
    """Transformer encoder over the stocks of a day, without positions; a head for each horizon.

    Attributes
    ----------
    blocks, heads : int
        Encoder blocks, and attention heads of a block.
    feedforward : int
        Width of a block's feed-forward layer.
    dropout : float
        Share of values that are dropped in training.
    kind : str
        Name in a stored card.
    """

    blocks: int = 2
    heads: int = 2
    feedforward: int = 64
    dropout: float = 0.1
    kind: Literal["stock_attention"] = "stock_attention"
    several_heads: ClassVar[bool] = True


@dataclass(frozen=True)
class TemporalTransformerSpec:
    """Transformer encoder over the steps of a stock's window, with positions.

    Attributes
    ----------
    blocks, heads : int
        Encoder blocks, and attention heads of a block.
    feedforward : int
        Width of a block's feed-forward layer.
    dropout : float
        Share of values that are dropped in training.
    kind : str
        Name in a stored card.
    """

    blocks: int = 2
    heads: int = 2
    feedforward: int = 256
    dropout: float = 0.1
    kind: Literal["temporal_transformer"] = "temporal_transformer"


@dataclass(frozen=True)
class LinearSpec:
    """A linear map of the last step of one input, each feature divided by its scale on the training days.

    Attributes
    ----------
    clip : float
        Bound on the scaled features.
    kind : str
        Name in a stored card.
    """

    clip: float = 3.0
    kind: Literal["linear"] = "linear"


@dataclass(frozen=True)
class MlpSpec:
    """An MLP over the last step of one input, each feature divided by its scale on the training days.

    Attributes
    ----------
    hidden, layers : int
        Units of a layer, and layers.
    dropout : float
        Share of values that are dropped in training.
    clip : float
        Bound on the scaled features.
    kind : str
        Name in a stored card.
    """

    hidden: int = 64
    layers: int = 1
    dropout: float = 0.5
    clip: float = 3.0
    kind: Literal["mlp"] = "mlp"


@dataclass(frozen=True)
class NegativeIcSpec:
    """Minus the daily correlation of prediction and label.

    Attributes
    ----------
    kind : str
        Name in a stored card.
    """

    kind: Literal["negative_ic"] = "negative_ic"


@dataclass(frozen=True)
class MultitaskIcSpec:
    """Minus the tasks' correlations with the label, plus a penalty on those with each other.

    Attributes
    ----------
    correlation_penalty : float
        Weight of each pair's correlation.
    kind : str
        Name in a stored card.
    """

    correlation_penalty: float = 0.01
    kind: Literal["multitask_ic"] = "multitask_ic"


@dataclass(frozen=True)
class SquaredErrorSpec:
    """Squared error, the mean over heads where there are several.

    Attributes
    ----------
    kind : str
        Name in a stored card.
    """

    kind: Literal["squared_error"] = "squared_error"


@dataclass(frozen=True)
class RankWeightedErrorSpec:
    """Squared error with weight ``0.5 ** (halvings * rank / n)``, rank 0 being the highest return of the day.

    Attributes
    ----------
    halvings : float
        How often the weight halves from the highest return to the lowest.
    kind : str
        Name in a stored card.
    """

    halvings: float = 2.0
    kind: Literal["rank_weighted_error"] = "rank_weighted_error"


@dataclass(frozen=True)
class ResidualLearningLossSpec:
    """Squared error, plus the weighted reconstruction and contrastive losses.

    Attributes
    ----------
    reconstruction : float
        The report's lambda_1: weight of the mean square of each granularity's input less its reconstruction from the
        coarser one.
    contrast : float
        Weight of the contrastive loss, where the combination is ``"contrastive"``.
    kind : str
        Name in a stored card.
    """

    reconstruction: float = 0.05
    contrast: float = 0.1
    kind: Literal["residual_learning_error"] = "residual_learning_error"


NetworkSpec = (
    RecurrentSpec
    | MultiTaskSpec
    | SequenceSpec
    | ResidualLearningSpec
    | TaskMlpSpec
    | StockAttentionSpec
    | TemporalTransformerSpec
    | LinearSpec
    | MlpSpec
)
LossSpec = NegativeIcSpec | MultitaskIcSpec | SquaredErrorSpec | RankWeightedErrorSpec | ResidualLearningLossSpec

NETWORKS: dict[str, type] = {c.kind: c for c in NetworkSpec.__args__}
LOSSES: dict[str, type] = {c.kind: c for c in LossSpec.__args__}


def network(spec_type: type) -> Callable[[Builder], Builder]:
    """Tie a network to the dataclass that describes it.

    Parameters
    ----------
    spec_type : type
        A frozen dataclass at the top level of a module. ``several_inputs`` and ``several_heads``, class variables,
        say that the network reads more than one input, and that it predicts each of several horizons; without them
        it reads one input and has one head. ``kind`` is its name in a stored card, by default the class's own.

    Returns
    -------
    callable
        Decorator of the network: a :class:`torch.nn.Module` class, or a function that gives such a module, called as
        ``network(spec, features, heads)``: the :class:`ModelSpec`, the number of features of a step of each input,
        and the number of horizons. See :func:`mg_models.networks.build_network` for what the module maps to what.

    Raises
    ------
    CatalogError
        ``spec_type`` is no frozen dataclass, or cannot be found by its name.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import mg_models
    >>> from torch import nn
    >>> @dataclass(frozen=True)
    ... class LastStepSpec:
    ...     hidden: int = 16
    >>> @mg_models.network(LastStepSpec)
    ... class LastStep(nn.Module):
    ...     def __init__(self, spec, features, heads):
    ...         super().__init__()
    ...         (self.panel, width), hidden = *features.items(), spec.network.hidden
    ...         self.layers = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, heads))
    ...
    ...     def forward(self, windows, day=None):
    ...         return self.layers(windows[self.panel][-1])  # (rows, heads)
    """
    frozen = getattr(getattr(spec_type, "__dataclass_params__", None), "frozen", False)
    if not frozen or "<locals>" in spec_type.__qualname__:
        raise CatalogError(
            f"{spec_type.__name__} must be a dataclass(frozen=True) at the top level of a module, by which it is stored"
        )

    def tie(builder: Builder) -> Builder:
        spec_type.build = staticmethod(builder)  # type: ignore[attr-defined]
        if not hasattr(spec_type, "kind"):
            spec_type.kind = spec_type.__name__  # type: ignore[attr-defined]
        return builder

    return tie


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
        Steps between two validations; 0: one at each epoch's end.
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
    check_every: int = 10
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
        Of ``icir_weight``: weekly RankIC observations looked back over, and the fewest of them.
    horizon : int
        Of the return that the RankIC observations measure, trading days.
    description, source : str
        One sentence; report and chart.
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

    @property
    def look_back(self) -> int:
        """Trading days before a day that the weights of its factors depend on."""
        return self.window * self.horizon + MARGIN if self.rule == "icir_weight" else 0


def mean_of(name: str, parts: tuple[str, ...], description: str, source: str) -> CombinationSpec:
    """The equal-weight mean of z-scored signals."""
    return CombinationSpec(name, "fuse", parts, (1.0,) * len(parts), description=description, source=source)
