"""Multi-granularity residual learning: each granularity learns what the coarser one leaves unexplained.

For the granularities in order, coarse to fine, with F_k the input of the k-th:

    P_1 = F_1,  P_k = F_k - R_{k-1}
    H_k = GRU(P_k),  y_k = MLP(last state of H_k),  R_k = MLP(H_k) in the input space of the (k+1)-th

A step of a coarser granularity covers several of the finer: R_k covers all of them at once (the
linear map that aligns the widths). The prediction is a weighted mean of the y_k:

``mean``         equal weights
``attention``    softmax over k of u' tanh(V h_k), h_k the last state
``contrastive``  softmax over k of the confidence c_k: how well the state before the last step forecasts the
                 last step's input, c_k = <W_k h_{k,T-1}, P_{k,T}> / width. W_k learns to distinguish a stock's
                 own next input from those of the batch's other stocks (softmax cross-entropy, all of them
                 negatives), so that a prediction does not depend on which other stocks are present.

Source: Haitong series 88, section 4 and figure 14, after Hou et al., Multi-Granularity Residual Learning
with Confidence Estimation for Time Series Prediction (2022); the contrastive loss at one random step a batch
instead of every step is ours.
"""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mg_models.data.panel_windows import Window, as_tensor
from mg_models.networks.sequence import mlp
from mg_models.specs.networks import ResidualLearningSpec

MOST_NEGATIVES = 1024  # rows of the contrastive loss: its matrix of scores is square in them
STORED_NAMES = {
    "explained.": "told.",
    "forecast.": "foretell.",
}  # in stored weights: a retrained model is the same bytes


class ResidualLearning(nn.Module):
    """Modules from coarse to fine.

    Parameters
    ----------
    inputs : mapping of str to (int, int)
        Coarse to fine: features of a step, and steps a day.
    spec : ResidualLearningSpec
    """

    def __init__(self, inputs: Mapping[str, tuple[int, int]], spec: ResidualLearningSpec):
        super().__init__()
        self.panels = tuple(inputs)
        self._combination = spec.combination
        finer = [*(inputs[p] for p in self.panels[1:]), None]
        granules = [Granule(inputs[p], f, spec) for p, f in zip(self.panels, finer, strict=True)]
        self.granules = nn.ModuleDict(dict(zip(self.panels, granules, strict=True)))
        if spec.combination == "attention":
            self.inner = nn.Linear(spec.hidden, spec.hidden)
            self.score = nn.Linear(spec.hidden, 1, bias=False)

    def forward(self, windows: Mapping[str, Window], day: Tensor | None = None) -> Tensor:
        """Predictions ``(rows, 1)`` of windows ``(steps, rows, features)``."""
        return self._pass(windows)[0]

    def learn(self, windows: Mapping[str, Window]) -> tuple[Tensor, Tensor, Tensor]:
        """Predictions ``(rows, 1)``, the mean square of what is left unexplained, and the contrastive loss."""
        prediction, residuals, states = self._pass(windows)
        unexplained = torch.stack([r.square().mean() for r in residuals[1:]]).sum()
        contrast = prediction.new_zeros(())
        if self._combination == "contrastive":
            each = zip(self._granules(), residuals, states, strict=True)
            contrast = torch.stack([granule.contrast(r, s) for granule, r, s in each]).sum()
        return prediction, unexplained, contrast

    def _pass(self, windows: Mapping[str, Window]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        residuals, states, predictions = [], [], []
        explained: Tensor | None = None
        for panel, granule in zip(self.panels, self._granules(), strict=True):
            window = as_tensor(windows[panel])
            residual = window if explained is None else window - explained  # (steps, rows, features)
            state = granule.rnn(residual)[0]  # (steps, rows, hidden)
            predictions.append(granule.head(state[-1]))  # (rows, 1)
            explained = granule.reconstruct(state)
            residuals.append(residual)
            states.append(state)
        each = torch.cat(predictions, dim=1)  # (rows, granularities)
        return (each * self._weights(residuals, states)).sum(1, keepdim=True), residuals, states

    def _weights(self, residuals: list[Tensor], states: list[Tensor]) -> Tensor:
        """Weights ``(rows, granularities)`` that sum to 1."""
        if self._combination == "mean":
            return torch.full_like(states[0][-1, :, :1].expand(-1, len(states)), 1 / len(states))
        if self._combination == "attention":
            last = torch.stack([s[-1] for s in states], dim=1)  # (rows, granularities, hidden)
            return torch.softmax(self.score(torch.tanh(self.inner(last))).squeeze(-1), dim=1)
        each_module = zip(self._granules(), residuals, states, strict=True)
        sure = [granule.confidence(r, s) for granule, r, s in each_module]  # (rows,) each
        return torch.softmax(torch.stack(sure, dim=1), dim=1)

    def _granules(self) -> "list[Granule]":
        return [cast(Granule, granule) for granule in self.granules.values()]


class Granule(nn.Module):
    """One granularity: encoder, prediction head, reconstruction of the finer one, confidence."""

    def __init__(self, own: tuple[int, int], finer: tuple[int, int] | None, spec: ResidualLearningSpec):
        super().__init__()
        features, steps = own
        self.rnn = nn.GRU(features, spec.hidden, spec.layers)
        self.head = mlp(spec.hidden, spec.mlp)
        self.explained = None
        if finer is not None:
            width, finer_steps = finer
            self._each = finer_steps // steps
            self.explained = mlp(spec.hidden, spec.hidden, self._each * width)
        if spec.combination == "contrastive":
            self.forecast = nn.Linear(spec.hidden, features, bias=False)
        self.register_state_dict_post_hook(_to_stored_names)
        self.register_load_state_dict_pre_hook(_from_stored_names)

    def reconstruct(self, states: Tensor) -> Tensor | None:
        """The part of the finer granularity's input that it explains, ``(finer steps, rows, finer features)``."""
        if self.explained is None:
            return None
        steps, rows, _ = states.shape
        wide = self.explained(states).view(steps, rows, self._each, -1).transpose(1, 2)  # (steps, each, rows, features)
        return wide.reshape(steps * self._each, rows, -1)

    def confidence(self, residual: Tensor, states: Tensor) -> Tensor:
        """How well the last input was forecast, ``(rows,)``."""
        return (self.forecast(states[-2]) * residual[-1]).mean(-1)

    def contrast(self, residual: Tensor, states: Tensor) -> Tensor:
        """Cross-entropy of each row's own next input against the other rows', at a random step."""
        steps, rows, width = residual.shape
        at = int(torch.randint(1, steps, ()))
        some = slice(None, None, -(-rows // MOST_NEGATIVES))
        scores = self.forecast(states[at - 1, some]) @ residual[at, some].T / width  # (rows, rows)
        return functional.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def _to_stored_names(_: nn.Module, state: dict[str, Tensor], prefix: str, *__: object) -> None:
    for own, stored in STORED_NAMES.items():
        _rename(state, prefix + own, prefix + stored)


def _from_stored_names(_: nn.Module, state: dict[str, Tensor], prefix: str, *__: object) -> None:
    for own, stored in STORED_NAMES.items():
        _rename(state, prefix + stored, prefix + own)


def _rename(state: dict[str, Tensor], old: str, new: str) -> None:
    for key in [k for k in state if k.startswith(old)]:
        state[new + key.removeprefix(old)] = state.pop(key)
