"""A network of a user's own: an MLP over the last step of one input, a head for each horizon."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

import mg_models


@dataclass(frozen=True)
class LastStepSpec:
    hidden: int = 8
    widths: tuple[int, ...] = (8,)
    several_heads: ClassVar[bool] = True


@mg_models.network(LastStepSpec)
class LastStep(nn.Module):
    def __init__(self, spec, features, heads):
        super().__init__()
        (self.panel, width), hidden = *features.items(), spec.network.hidden
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, heads))

    def forward(self, windows, day=None):
        return self.layers(windows[self.panel][-1])
