"""Networks: windows of one or more inputs in, one column per task out."""

from collections.abc import Mapping

from torch import nn

from mg_models.catalog import ModelSpec
from mg_models.errors import CatalogError
from mg_models.networks.multitask import MultiTask
from mg_models.networks.recurrent import Recurrent


def build(spec: ModelSpec, features: Mapping[str, int]) -> nn.Module:
    """The entry's network; ``features`` is the number of features of each input.

    ``network(windows)`` takes ``{input: (steps, rows, features)}`` and gives ``(rows, tasks)``; the
    model's prediction is the mean over tasks.
    """
    names = [i.panel for i in spec.inputs]
    if spec.network == "recurrent":
        return Recurrent(names[0], features[names[0]], spec.hidden, spec.layers, spec.sigmoid)
    if spec.network == "multitask":
        # bars share one GRU; factors have features of their own, and so a GRU of their own
        owner = {i.panel: "bars" if spec.shared and i.scale == "last_value" else i.panel for i in spec.inputs}
        return MultiTask({n: features[n] for n in names}, owner, spec.hidden, spec.layers)
    raise CatalogError(f"{spec.name}: no network {spec.network!r}; there are recurrent and multitask")
