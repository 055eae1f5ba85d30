"""Networks: windows of one or more inputs in, one column per task out."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from torch import nn

from mg_models.data.panel_windows import as_tensor
from mg_models.errors import CatalogError
from mg_models.networks.mlp import Mlp
from mg_models.networks.multitask import MultiTask
from mg_models.networks.recurrent import Recurrent
from mg_models.networks.residual import ResidualLearning
from mg_models.networks.sequence import Sequence
from mg_models.networks.tasks import TaskMlp
from mg_models.networks.transformer import StockAttention, TemporalTransformer
from mg_models.specs.model import ModelSpec
from mg_models.specs.networks import (
    NETWORKS,
    LinearSpec,
    MlpSpec,
    MultiTaskSpec,
    RecurrentSpec,
    ResidualLearningSpec,
    RidgeSpec,
    SequenceSpec,
    StockAttentionSpec,
    TaskMlpSpec,
    TemporalTransformerSpec,
    network,
)


def build_network(spec: ModelSpec, features: Mapping[str, int]) -> nn.Module:
    """The network of a catalog entry, its weights drawn from torch's generator.

    Parameters
    ----------
    spec : ModelSpec
    features : mapping of str to int
        Number of features of a step of each input.

    Returns
    -------
    torch.nn.Module
        ``network(windows, day=None)`` maps ``{input: (steps, rows, features)}`` to ``(rows, tasks)``; the model's
        prediction is the mean over tasks. ``day``, int64 ``(rows,)``, is the index of each row's day, rows of a day
        contiguous; without it, all rows are of one day. Only attention between stocks reads it.

    Raises
    ------
    CatalogError
        The entry's dataclass has no network (:func:`mg_models.specs.networks.network`), or its inputs and features do
        not fit that network.
    """
    build = getattr(type(spec.network), "build", None)
    if build is None:
        raise CatalogError(
            f"{spec.name}: no network is tied to {type(spec.network).__name__}; put @mg_models.network("
            f"{type(spec.network).__name__}) on its class"
        )
    module: nn.Module = build(spec, {i.panel: features[i.panel] for i in spec.inputs}, len(spec.label.horizons))
    if type(spec.network) not in NETWORKS.values():
        module.register_forward_pre_hook(_gathered)
    return module


@network(RecurrentSpec)
def _recurrent(spec: ModelSpec, features: Mapping[str, int], heads: int) -> nn.Module:
    return Recurrent(*_first(features), spec.network.hidden, spec.network.layers, spec.network.sigmoid)


@network(MultiTaskSpec)
def _multitask(spec: ModelSpec, features: Mapping[str, int], heads: int) -> nn.Module:
    shared = spec.network.shared
    # bars share one GRU; factors have features of their own, and so a GRU of their own
    owner = {i.panel: "bars" if shared and i.scale == "last_value" else i.panel for i in spec.inputs}
    return MultiTask(features, owner, spec.network.hidden, spec.network.layers)


@network(SequenceSpec)
def _sequence(spec: ModelSpec, features: Mapping[str, int], heads: int) -> nn.Module:
    return Sequence(features, spec.network)


@network(ResidualLearningSpec)
def _residual(spec: ModelSpec, features: Mapping[str, int], heads: int) -> nn.Module:
    _check_granularities(spec)
    return ResidualLearning({i.panel: (features[i.panel], i.per_day) for i in spec.inputs}, spec.network)


@network(TaskMlpSpec)
def _task_mlp(spec: ModelSpec, features: Mapping[str, int], heads: int) -> nn.Module:
    return TaskMlp(*_first(features), heads, spec.network)


@network(StockAttentionSpec)
def _stock_attention(spec: ModelSpec, features: Mapping[str, int], heads: int) -> nn.Module:
    _check_attention_heads(spec, features)
    return StockAttention(*_first(features), heads, spec.network)


@network(TemporalTransformerSpec)
def _temporal_transformer(spec: ModelSpec, features: Mapping[str, int], heads: int) -> nn.Module:
    _check_attention_heads(spec, features)
    return TemporalTransformer(*_first(features), spec.network)


@network(MlpSpec)
def _mlp(spec: ModelSpec, features: Mapping[str, int], heads: int) -> nn.Module:
    own = spec.network
    return Mlp(*_first(features), own.hidden, own.layers, own.dropout, own.clip)


@network(LinearSpec)
@network(RidgeSpec)
def _linear(spec: ModelSpec, features: Mapping[str, int], heads: int) -> nn.Module:
    return Mlp(*_first(features), 0, 0, 0.0, spec.network.clip)


def _gathered(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments of a user's network with windows as tensors: on a CPU they come as views into the panel."""
    windows, *others = given
    return {name: as_tensor(window) for name, window in windows.items()}, *others


def _first(features: Mapping[str, int]) -> tuple[str, int]:
    """The first input's name and number of features."""
    return next(iter(features.items()))


def _check_attention_heads(spec: ModelSpec, features: Mapping[str, int]) -> None:
    _, width = _first(features)
    if width % spec.network.heads:
        raise CatalogError(f"{spec.name}: {width} features do not divide into {spec.network.heads} attention heads")


def _check_granularities(spec: ModelSpec) -> None:
    if len({i.rows for i in spec.inputs}) > 1 or any(b.per_day % a.per_day for a, b in pairwise(spec.inputs)):
        raise CatalogError(
            f"{spec.name}: residual learning reads granularities over the same days, coarse to fine; was "
            f"{[(i.panel, i.rows, i.per_day) for i in spec.inputs]} (input, days, steps a day)"
        )
