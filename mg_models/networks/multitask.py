"""One task per input: bars of each frequency predict the same return.

One GRU(F -> H) shared by the inputs of one kind (or one each), own BatchNorm(H) and Linear(H -> 1) per
input. The model's prediction is the mean of the tasks'.

Source: Huatai series 72, charts 50-52 and 57.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mg_models.data.panel_windows import Window
from mg_models.networks.recurrent import Head, last_state


class MultiTask(nn.Module):
    """Hard parameter sharing over inputs of different frequency.

    Parameters
    ----------
    features : mapping of str to int
        Inputs, in task order, and their number of features.
    owner : mapping of str to str
        The name of each input's GRU; inputs that share one have the same number of features.
    hidden, layers : int
    """

    def __init__(self, features: Mapping[str, int], owner: Mapping[str, str], hidden: int, layers: int):
        super().__init__()
        self.panels = tuple(features)
        self.owner = dict(owner)
        self.grus = nn.ModuleDict({self.owner[p]: nn.GRU(features[p], hidden, layers) for p in self.panels})
        self.heads = nn.ModuleDict({p: Head(hidden) for p in self.panels})

    def forward(self, windows: Mapping[str, Window], day: Tensor | None = None) -> Tensor:
        """Predictions ``(rows, tasks)`` of windows ``(steps, rows, features)``, steps by input."""
        scores = [self.heads[p](last_state(self.grus[self.owner[p]], windows[p])) for p in self.panels]  # (rows, 1)
        return torch.cat(scores, dim=1)  # (rows, tasks)
