"""Transformer encoders: across the stocks of a day, and over the days of a stock.

A block is multi-head attention, LayerNorm, two linear layers with a ReLU, LayerNorm, with a residual connection around
each half. The model's width is the number of factors, as in the report.

Source: Huatai series 69, charts 4, 6 and 7. Sinusoidal positions, and the last step as the temporal encoder's
output, are ours.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mg_models.data.panel_windows import Window, as_tensor
from mg_models.specs.networks import StockAttentionSpec, TemporalTransformerSpec


def encoder(width: int, spec: StockAttentionSpec | TemporalTransformerSpec) -> nn.TransformerEncoder:
    """Blocks over ``(length, batch, width)``."""
    block = nn.TransformerEncoderLayer(width, spec.heads, spec.feedforward, spec.dropout)
    return nn.TransformerEncoder(block, spec.blocks, enable_nested_tensor=False)


class StockAttention(nn.Module):
    """A day is a sequence of stocks, without positions: permuting the stocks permutes the predictions."""

    def __init__(self, panel: str, features: int, tasks: int, spec: StockAttentionSpec):
        super().__init__()
        self.panel = panel
        self.encoder = encoder(features, spec)
        self.heads = nn.Linear(features, tasks)

    def forward(self, windows: Mapping[str, Window], day: Tensor | None = None) -> Tensor:
        """Predictions ``(rows, tasks)`` of windows ``(steps, rows, features)``, days one after another."""
        x = as_tensor(windows[self.panel])[-1]  # (rows, features)
        if day is None:
            return self.heads(self.encoder(x[:, None])[:, 0])  # (rows, tasks)
        days = int(day[-1]) + 1 if len(day) else 0
        count = torch.bincount(day, minlength=days)  # (days,)
        rank = torch.arange(len(day), device=day.device) - (count.cumsum(0) - count)[day]  # (rows,)
        longest = int(count.max()) if days else 0
        padded = x.new_zeros(longest, days, x.shape[1])  # (stocks, days, features)
        padded[rank, day] = x
        absent = torch.arange(longest, device=day.device)[None, :] >= count[:, None]  # (days, stocks)
        states = self.encoder(padded, src_key_padding_mask=absent)  # (stocks, days, features)
        return self.heads(states[rank, day])  # (rows, tasks)


class TemporalTransformer(nn.Module):
    """A stock's window is a sequence of days with positions; the last day's state predicts."""

    def __init__(self, panel: str, features: int, spec: TemporalTransformerSpec):
        super().__init__()
        self.panel = panel
        self.encoder = encoder(features, spec)
        self.head = nn.Linear(features, 1)

    def forward(self, windows: Mapping[str, Window], day: Tensor | None = None) -> Tensor:
        """Predictions ``(rows, 1)`` of windows ``(steps, rows, features)``."""
        x = as_tensor(windows[self.panel])  # (steps, rows, features)
        x = x + positions(len(x), x.shape[2], x.device)[:, None]
        return self.head(self.encoder(x)[-1])  # (rows, 1)


def positions(steps: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Sinusoids ``(steps, width)``: sin(t / 10000^(i / width)) at even i, cos of the same at the next."""
    even = torch.arange(0, width, 2, device=device)
    angle = torch.arange(steps, device=device)[:, None] * torch.exp(even * (-math.log(10000.0) / width))
    out = torch.zeros(steps, width, device=device)
    out[:, 0::2] = torch.sin(angle)
    out[:, 1::2] = torch.cos(angle[:, : width // 2])
    return out
