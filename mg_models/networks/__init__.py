"""Networks: windows of one or more inputs in, one column per task out."""

from collections.abc import Mapping
from itertools import pairwise

from torch import nn

from mg_models.errors import CatalogError
from mg_models.networks.mlp import Mlp
from mg_models.networks.multitask import MultiTask
from mg_models.networks.recurrent import Recurrent
from mg_models.networks.residual import ResidualLearning
from mg_models.networks.sequence import Sequence
from mg_models.networks.tasks import TaskMlp
from mg_models.networks.transformer import StockAttention, TemporalTransformer
from mg_models.specs import (
    LinearSpec,
    MlpSpec,
    ModelSpec,
    MultiTaskSpec,
    RecurrentSpec,
    ResidualLearningSpec,
    SequenceSpec,
    StockAttentionSpec,
    TaskMlpSpec,
    TemporalTransformerSpec,
)

SEVERAL_INPUTS = (MultiTaskSpec, SequenceSpec, ResidualLearningSpec)
SEVERAL_HEADS = (TaskMlpSpec, StockAttentionSpec)


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
        No such network, or one that the entry's inputs, features or labels do not fit.
    """
    network, heads = spec.network, len(spec.label.horizons)
    inputs = {i.panel: features[i.panel] for i in spec.inputs}
    first, width = next(iter(inputs.items()))
    _check_inputs_and_heads(spec, width)
    match network:
        case RecurrentSpec():
            return Recurrent(first, width, network.hidden, network.layers, network.sigmoid)
        case MultiTaskSpec():
            # bars share one GRU; factors have features of their own, and so a GRU of their own
            owner = {i.panel: "bars" if network.shared and i.scale == "last_value" else i.panel for i in spec.inputs}
            return MultiTask(inputs, owner, network.hidden, network.layers)
        case SequenceSpec():
            return Sequence(inputs, network)
        case ResidualLearningSpec():
            _check_granularities(spec)
            return ResidualLearning({i.panel: (features[i.panel], i.per_day) for i in spec.inputs}, network)
        case TaskMlpSpec():
            return TaskMlp(first, width, heads, network)
        case StockAttentionSpec():
            return StockAttention(first, width, heads, network)
        case TemporalTransformerSpec():
            return TemporalTransformer(first, width, network)
        case MlpSpec():
            return Mlp(first, width, network.hidden, network.layers, network.dropout, network.clip)
        case LinearSpec():
            return Mlp(first, width, 0, 0, 0.0, network.clip)
    raise CatalogError(f"{spec.name}: no network {network!r}")


def _check_inputs_and_heads(spec: ModelSpec, width: int) -> None:
    """``width`` is the number of features of a step of the first input."""
    network, heads = spec.network, len(spec.label.horizons)
    if len(spec.inputs) > 1 and not isinstance(network, SEVERAL_INPUTS):
        names = ", ".join(i.panel for i in spec.inputs)
        raise CatalogError(f"{spec.name}: a {network.kind} network reads one input, has {names}")
    if heads > 1 and not isinstance(network, SEVERAL_HEADS):
        raise CatalogError(f"{spec.name}: a {network.kind} network has one head, the label horizons are {heads}")
    if isinstance(network, StockAttentionSpec | TemporalTransformerSpec) and width % network.heads:
        raise CatalogError(f"{spec.name}: {width} features do not divide into {network.heads} attention heads")


def _check_granularities(spec: ModelSpec) -> None:
    if len({i.rows for i in spec.inputs}) > 1 or any(b.per_day % a.per_day for a, b in pairwise(spec.inputs)):
        raise CatalogError(
            f"{spec.name}: residual learning reads granularities over the same days, coarse to fine; was "
            f"{[(i.panel, i.rows, i.per_day) for i in spec.inputs]} (input, days, steps a day)"
        )
