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


def build_network(spec: ModelSpec, features: Mapping[str, int]) -> nn.Module:
    """The entry's network; ``features`` is the number of features of a step of each input.

    ``network(windows, day=None)`` takes ``{input: (steps, rows, features)}`` and gives ``(rows, tasks)``; the
    model's prediction is the mean over tasks. ``day`` ``(rows,)`` int64 says which day each row is of,
    days one after another; without it, all rows are of one day. Only attention between stocks reads it.

    Raises
    ------
    CatalogError
        No such network, or one that the entry's inputs, features or labels do not fit.
    """
    network, names, heads = spec.network, [i.panel for i in spec.inputs], len(spec.label.horizons)
    first, width = names[0], features[names[0]]
    several_inputs = MultiTaskSpec | SequenceSpec | ResidualLearningSpec
    if len(names) > 1 and not isinstance(network, several_inputs):
        raise CatalogError(f"{spec.name}: a {network.kind} network reads one input, has {', '.join(names)}")
    if heads > 1 and not isinstance(network, TaskMlpSpec | StockAttentionSpec):
        raise CatalogError(f"{spec.name}: a {network.kind} network has one head, the label horizons are {heads}")
    if isinstance(network, StockAttentionSpec | TemporalTransformerSpec) and width % network.heads:
        raise CatalogError(f"{spec.name}: {width} features do not divide into {network.heads} attention heads")
    if isinstance(network, RecurrentSpec):
        return Recurrent(first, width, network.hidden, network.layers, network.sigmoid)
    if isinstance(network, MultiTaskSpec):
        # bars share one GRU; factors have features of their own, and so a GRU of their own
        owner = {i.panel: "bars" if network.shared and i.scale == "last_value" else i.panel for i in spec.inputs}
        return MultiTask({n: features[n] for n in names}, owner, network.hidden, network.layers)
    if isinstance(network, SequenceSpec):
        return Sequence({n: features[n] for n in names}, network)
    if isinstance(network, ResidualLearningSpec):
        if len({i.rows for i in spec.inputs}) > 1 or any(b.per_day % a.per_day for a, b in pairwise(spec.inputs)):
            raise CatalogError(
                f"{spec.name}: residual learning reads granularities over the same days, coarse to fine; was "
                f"{[(i.panel, i.rows, i.per_day) for i in spec.inputs]} (input, days, steps a day)"
            )
        return ResidualLearning({i.panel: (features[i.panel], i.per_day) for i in spec.inputs}, network)
    if isinstance(network, TaskMlpSpec):
        return TaskMlp(first, width, heads, network)
    if isinstance(network, StockAttentionSpec):
        return StockAttention(first, width, heads, network)
    if isinstance(network, TemporalTransformerSpec):
        return TemporalTransformer(first, width, network)
    if isinstance(network, MlpSpec):
        return Mlp(first, width, network.hidden, network.layers, network.dropout, network.clip)
    if isinstance(network, LinearSpec):
        return Mlp(first, width, 0, 0, 0.0, network.clip)
    raise CatalogError(f"{spec.name}: no network {network!r}")
