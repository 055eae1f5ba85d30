"""Additive attention: a weighted mean of states, with weights computed from the states themselves.

    e_t = v' tanh(W h_t + b),  a = softmax(e),  context = sum_t a_t h_t

Source: Haitong series 88, section 3; Huatai series 69, chart 5 (ALSTM).
"""

import torch
from torch import Tensor, nn


class AdditiveAttention(nn.Module):
    """Additive attention over steps; ``width`` is that of the states."""

    def __init__(self, width: int):
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def weights(self, states: Tensor) -> Tensor:
        """Weights ``(steps, rows)`` of states ``(steps, rows, width)``; they sum to 1 over the steps."""
        energy = self.score(torch.tanh(self.inner(states))).squeeze(-1)  # (steps, rows)
        return torch.softmax(energy, dim=0)  # (steps, rows)

    def forward(self, states: Tensor) -> Tensor:
        """Context ``(rows, width)`` of states ``(steps, rows, width)``."""
        return torch.einsum("tr,trw->rw", self.weights(states), states)  # (rows, width)
