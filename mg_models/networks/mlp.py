"""An MLP over the last step of one input: what a stock's features say today, without a memory of its own.

    x -> (Linear -> ReLU -> Dropout) x layers -> Linear -> prediction

Without layers it is a linear model. Source: ours (``catalog/variants.py``).
"""

from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor, nn


class Mlp(nn.Module):
    """``panel`` is the input that it reads; 0 ``layers`` make a linear model."""

    def __init__(self, panel: str, features: int, hidden: int, layers: int, dropout: float):
        super().__init__()
        self.panel = panel
        widths = [features] + [hidden] * layers
        inner = (m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.ReLU(), nn.Dropout(dropout)))
        self.net = nn.Sequential(*inner, nn.Linear(widths[-1], 1))

    def forward(self, windows: Mapping[str, Tensor], day: Tensor | None = None) -> Tensor:
        """Predictions ``(rows, 1)`` of windows ``(steps, rows, features)``."""
        return self.net(windows[self.panel][-1])  # (rows, 1)
