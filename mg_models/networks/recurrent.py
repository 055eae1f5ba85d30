"""A GRU's last state through batch normalisation and a linear head.

GRU(F -> H) -> BatchNorm(H) -> Linear(H -> 1) -> Sigmoid.

Source: Huatai series 72, charts 43-44.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mg_models.data.panel_windows import Window, as_tensor
from mg_models.networks import fused_gru


class Recurrent(nn.Module):
    """One GRU over one input.

    Parameters
    ----------
    panel : str
        The input it reads.
    features, hidden, layers : int
    sigmoid : bool
        Ends in a sigmoid. It does not change the order of stocks, but bounds the pull of outliers on
        the correlation.
    """

    def __init__(self, panel: str, features: int, hidden: int, layers: int, sigmoid: bool):
        super().__init__()
        self.panel = panel
        self.gru = nn.GRU(features, hidden, layers)
        self.head = Head(hidden)
        self.sigmoid = sigmoid

    def forward(self, windows: Mapping[str, Window], day: Tensor | None = None) -> Tensor:
        """Predictions ``(rows, 1)`` of windows ``(steps, rows, features)``."""
        state = last_state(self.gru, windows[self.panel])  # (rows, hidden)
        score = self.head(state)  # (rows, 1)
        return torch.sigmoid(score) if self.sigmoid else score  # (rows, 1)


class Head(nn.Module):
    """BatchNorm(H) -> Linear(H -> 1)."""

    def __init__(self, hidden: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(hidden)
        self.linear = nn.Linear(hidden, 1)

    def forward(self, state: Tensor) -> Tensor:
        """Scores ``(rows, 1)`` of states ``(rows, hidden)``."""
        return self.linear(self.norm(state))  # (rows, 1)


def last_state(gru: nn.Module, window: Window) -> Tensor:
    """The top layer's state after the last step, ``(rows, hidden)``, of ``(steps, rows, features)``."""
    if fused_gru.fits(gru, window):
        return fused_gru.fused_last_state(gru, window)
    _, state = gru(as_tensor(window))  # (layers, rows, hidden)
    return state[-1]
