"""An MLP over the last step of one input: today's features of a stock, without memory.

    x -> x / scale, within +-clip -> (Linear -> ReLU -> Dropout) x layers -> Linear -> prediction

Without layers it is a linear model. The scale is a constant of each feature, taken from the training days before the
first step: unlike a z-score per day, it keeps the information of how far the stocks are apart on a day.

Source: ours (``catalog/variants.py``).
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from mg_models.data.panel_windows import Window, as_tensor

TO_STD = 1.4826
"""Standard deviations of a normal variable in its median absolute deviation."""


class Mlp(nn.Module):
    """``panel`` is the input that it reads; with 0 ``layers`` the model is linear."""

    scale: Tensor

    def __init__(self, panel: str, features: int, hidden: int, layers: int, dropout: float, clip: float):
        super().__init__()
        self.panel = panel
        self.clip = clip
        self.register_buffer("scale", torch.ones(features))
        widths = [features] + [hidden] * layers
        inner = (m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.ReLU(), nn.Dropout(dropout)))
        self.net = nn.Sequential(*inner, nn.Linear(widths[-1], 1))

    def calibrate(self, days: Iterable[Mapping[str, Window]]) -> None:
        """Set the scale: 1.4826 times the mean over days of the median absolute value over stocks.

        ``days`` yields each training day's windows. Days on which that median is 0 (a feature whose history has not
        begun) are left out; a feature without any other day keeps the scale 1.
        """
        total, count = torch.zeros_like(self.scale), torch.zeros_like(self.scale)
        for windows in days:
            middle = as_tensor(windows[self.panel])[-1].abs().median(dim=0).values  # (features,)
            total += middle
            count += middle > 0
        self.scale.copy_(torch.where(count > 0, TO_STD * total / count.clamp(min=1), 1.0))

    def forward(self, windows: Mapping[str, Window], day: Tensor | None = None) -> Tensor:
        """Predictions ``(rows, 1)`` of windows ``(steps, rows, features)``."""
        return self.net(self.scaled(windows))  # (rows, 1)

    def scaled(self, windows: Mapping[str, Window]) -> Tensor:
        """The last step's features over their scale, bounded, ``(rows, features)``."""
        return (as_tensor(windows[self.panel])[-1] / self.scale).clamp(-self.clip, self.clip)
