"""Networks of a catalog entry: a dataclass for each kind, and the network that each is tied to.

:func:`network` ties a network to its dataclass, a built-in one (:mod:`mg_models.networks`) as one of a user's own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar

from mg_models.errors import CatalogError
from mg_models.specs.data import OPTIONAL

Builder = TypeVar("Builder", bound=Callable[..., Any])


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
    query : bool
        Whether the attention compares each state with the last one, ``v' tanh(W h_T + U h_t)``.
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
    query: bool = field(default=False, metadata=OPTIONAL)
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
class RidgeSpec:
    """The linear map of :class:`LinearSpec` by ridge regression in closed form: no steps, no seeds.

    Of an entry's training settings it reads the split alone: the validation days measure it, they stop nothing.

    Attributes
    ----------
    penalty : float
        Weight of the squared weights, as a share of the mean over features of their mean square.
    clip : float
        Bound on the scaled features.
    kind : str
        Name in a stored card.
    """

    penalty: float = 0.03
    clip: float = 3.0
    kind: Literal["ridge"] = "ridge"


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


NetworkSpec = (
    RecurrentSpec
    | MultiTaskSpec
    | SequenceSpec
    | ResidualLearningSpec
    | TaskMlpSpec
    | StockAttentionSpec
    | TemporalTransformerSpec
    | LinearSpec
    | RidgeSpec
    | MlpSpec
)

NETWORKS: dict[str, type] = {c.kind: c for c in NetworkSpec.__args__}


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
    >>> from dataclasses import dataclass, field
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
