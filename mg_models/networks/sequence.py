"""A recurrent encoder for each input, side by side, then a small MLP.

    x -> GRU or LSTM (layers, one or both directions) -> last state [, additive attention over the states]
    all inputs' encodings -> Linear -> ReLU -> Linear -> prediction

The last state of both directions is the state after each has read the whole window. A residual layer adds its input
(through a linear map where the widths differ) to its output.

Source: Haitong series 88, sections 1-3; Haitong weekly 2023-12-15, table 1; Huatai series 69, chart 5. The
report of series 88 names no activation: ReLU is ours.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mg_models.data.panel_windows import Window, as_tensor
from mg_models.networks.attention import AdditiveAttention
from mg_models.networks.recurrent import last_state
from mg_models.specs.networks import SequenceSpec

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}


class Sequence(nn.Module):
    """Encoders and the MLP over them; ``features`` is the number of features of each input."""

    def __init__(self, features: Mapping[str, int], spec: SequenceSpec):
        super().__init__()
        encoders = {panel: Encoder(count, spec) for panel, count in features.items()}
        self.encoders = nn.ModuleDict(encoders)
        self.head = mlp(sum(e.width for e in encoders.values()), spec.mlp)

    def forward(self, windows: Mapping[str, Window], day: Tensor | None = None) -> Tensor:
        """Predictions ``(rows, 1)`` of windows ``(steps, rows, features)``."""
        encoded = torch.cat([encoder(windows[p]) for p, encoder in self.encoders.items()], dim=1)  # (rows, width)
        return self.head(encoded)  # (rows, 1)


class Encoder(nn.Module):
    """One input's window to one vector; ``width`` is the vector's length."""

    def __init__(self, features: int, spec: SequenceSpec):
        super().__init__()
        cell, states = CELLS[spec.cell], spec.hidden * (2 if spec.bidirectional else 1)
        if spec.residual:
            widths = [features] + [states] * (spec.layers - 1)
            self.rnn = nn.ModuleList(cell(w, spec.hidden, bidirectional=spec.bidirectional) for w in widths)
            self.around = nn.ModuleList(
                nn.Identity() if w == states else nn.Linear(w, states, bias=False) for w in widths
            )
        else:
            self.rnn = cell(features, spec.hidden, spec.layers, bidirectional=spec.bidirectional)
        self.attention = AdditiveAttention(states, spec.query) if spec.attention else None
        self._hidden = spec.hidden
        self._backward = spec.bidirectional
        self.width = states * (2 if spec.attention else 1)

    def forward(self, window: Window) -> Tensor:
        """``(rows, width)`` of ``(steps, rows, features)``."""
        if self.attention is None and isinstance(self.rnn, nn.GRU) and not self._backward:
            return last_state(self.rnn, window)  # (rows, hidden)
        states = self.states(as_tensor(window))  # (steps, rows, states)
        last = states[-1]  # (rows, states)
        if self._backward:
            last = torch.cat([states[-1, :, : self._hidden], states[0, :, self._hidden :]], dim=1)
        return last if self.attention is None else torch.cat([self.attention(states), last], dim=1)

    def states(self, window: Tensor) -> Tensor:
        """The top layer's states ``(steps, rows, states)``."""
        if not isinstance(self.rnn, nn.ModuleList):
            return self.rnn(window)[0]
        for layer, around in zip(self.rnn, self.around, strict=True):
            window = layer(window)[0] + around(window)  # (steps, rows, states)
        return window


def mlp(width: int, hidden: int, out: int = 1) -> nn.Module:
    """``width -> hidden -> out`` with a ReLU between; a linear map where ``hidden`` is 0."""
    if not hidden:
        return nn.Linear(width, out)
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, out))
