"""An MLP over the day's factors that several horizons share, with or without attention between the tasks.

    x -> Linear -> ReLU -> Linear -> ReLU = s             shared by the tasks
    prediction of task k = Linear_k(s)

With task attention, z_k = ReLU(Linear_k(s)), stacked as a sequence of tasks, passes one more layer that the
tasks share, t_k, and prediction of task k = Linear_k(t_k + MultiHead(t)_k).

Source: Huatai series 69, charts 3 and 7.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from mg_models.data.panel_windows import Window, as_tensor
from mg_models.specs.networks import TaskMlpSpec


class TaskMlp(nn.Module):
    """Hard parameter sharing; ``panel`` is the input that it reads, its last step."""

    def __init__(self, panel: str, features: int, tasks: int, spec: TaskMlpSpec):
        super().__init__()
        self.panel = panel
        widths = [features] + [spec.hidden] * spec.layers
        self.shared = nn.Sequential(*(m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.ReLU())))
        attention = spec.task_attention_heads
        self.between = TaskAttention(spec.hidden, tasks, attention) if attention else None
        self.heads = nn.ModuleList(nn.Linear(spec.hidden, 1) for _ in range(tasks))

    def forward(self, windows: Mapping[str, Window], day: Tensor | None = None) -> Tensor:
        """Predictions ``(rows, tasks)`` of windows ``(steps, rows, features)``."""
        shared = self.shared(as_tensor(windows[self.panel])[-1])  # (rows, hidden)
        each = [shared] * len(self.heads) if self.between is None else self.between(shared).unbind(0)
        return torch.cat([head(x) for head, x in zip(self.heads, each, strict=True)], dim=1)  # (rows, tasks)


class TaskAttention(nn.Module):
    """Multi-head scaled dot-product attention between tasks, with a residual connection."""

    def __init__(self, hidden: int, tasks: int, heads: int):
        super().__init__()
        self.features = nn.ModuleList(nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU()) for _ in range(tasks))
        self.task = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU())
        self.attention = nn.MultiheadAttention(hidden, heads)

    def forward(self, shared: Tensor) -> Tensor:
        """``(tasks, rows, hidden)`` of ``(rows, hidden)``."""
        tasks = self.task(torch.stack([layer(shared) for layer in self.features]))  # (tasks, rows, hidden)
        attended, _ = self.attention(tasks, tasks, tasks, need_weights=False)  # (tasks, rows, hidden)
        return tasks + attended
