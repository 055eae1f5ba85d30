"""Additive attention: a weighted mean of states, with weights computed from the states themselves.

    e_t = v' tanh(W h_t + b)        the states alone
    e_t = v' tanh(W q + U h_t)      with a query q: the last state, whose attention it is
    a = softmax(e),  context = sum_t a_t h_t

Source: Huatai series 69, section 2 and chart 5 (ALSTM: s(h_i, h_j) = v tanh(W h_i + U h_j)); that the last state
asks, and that the values are the states themselves, is ours. Haitong series 88, section 3, weighs the hidden states and
prints no formula.
"""

import torch
from torch import Tensor, nn


class AdditiveAttention(nn.Module):
    """Additive attention over steps; ``width`` is that of the states. With ``query`` the last state asks."""

    def __init__(self, width: int, query: bool = False):
        super().__init__()
        self.inner = nn.Linear(width, width, bias=not query)
        self.query = nn.Linear(width, width, bias=False) if query else None
        self.score = nn.Linear(width, 1, bias=False)

    def weights(self, states: Tensor) -> Tensor:
        """Weights ``(steps, rows)`` of states ``(steps, rows, width)``; they sum to 1 over the steps."""
        inner = self.inner(states)  # (steps, rows, width)
        if self.query is not None:
            inner = inner + self.query(states[-1])
        return torch.softmax(self.score(torch.tanh(inner)).squeeze(-1), dim=0)  # (steps, rows)

    def forward(self, states: Tensor) -> Tensor:
        """Context ``(rows, width)`` of states ``(steps, rows, width)``."""
        return torch.einsum("tr,trw->rw", self.weights(states), states)  # (rows, width)
