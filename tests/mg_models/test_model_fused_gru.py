"""The fused GRU against torch's own layer."""

import numpy as np
import pytest
import torch
from torch import nn

from mg_models.networks import fused_gru
from mg_models.networks.fused_gru import _sigmoid, _tanh, fits, fused_last_state


def gradients(gru: nn.GRU, state: torch.Tensor, weight: torch.Tensor) -> list[torch.Tensor]:
    gru.zero_grad()
    (state * weight).sum().backward()
    return [p.grad.clone() for p in gru.parameters() if p.grad is not None]


@pytest.mark.parametrize(("steps", "rows", "features", "hidden"), [(2, 3, 2, 4), (12, 37, 6, 30), (40, 1100, 27, 30)])
def test_states_and_gradients_equal_torchs(steps, rows, features, hidden):
    torch.manual_seed(0)
    gru = nn.GRU(features, hidden)
    window, weight = torch.randn(steps, rows, features), torch.randn(rows, hidden)
    _, state = gru(window)
    expected = gradients(gru, state[-1], weight)
    fused = fused_last_state(gru, window)
    torch.testing.assert_close(fused, state[-1], atol=2e-6, rtol=1e-5)
    for got, want in zip(gradients(gru, fused, weight), expected, strict=True):
        assert float((got - want).abs().max() / want.abs().max()) < 2e-5
    with torch.inference_mode():
        torch.testing.assert_close(fused_last_state(gru, window), fused.detach(), atol=0, rtol=0)


def test_a_row_does_not_depend_on_its_tile():
    """Rows of the last, shorter tile have the state that they have alone, to rounding."""
    gru = nn.GRU(4, 8)
    window = torch.randn(10, fused_gru.TILE + 3, 4)
    with torch.inference_mode():
        whole = fused_last_state(gru, window)
        torch.testing.assert_close(fused_last_state(gru, window[:, -3:]), whole[-3:], atol=1e-6, rtol=1e-5)


def test_the_approximations_are_those_of_libm():
    x = np.linspace(-30, 30, 20001).astype(np.float32)
    np.testing.assert_allclose([_tanh.py_func(v) for v in x], np.tanh(x), atol=5e-7)
    np.testing.assert_allclose([_sigmoid(v) for v in x], 1 / (1 + np.exp(-x.astype(np.float64))), atol=5e-7)


def test_what_it_does_not_fit_is_left_to_torch():
    window = torch.zeros(3, 2, 4)
    assert fits(nn.GRU(4, 5), window)
    assert not fits(nn.GRU(4, 5, num_layers=2), window)
    assert not fits(nn.GRU(4, 5, bidirectional=True), window)
    assert not fits(nn.LSTM(4, 5), window)
    assert not fits(nn.GRU(4, 5), window.double())
    assert not fits(nn.GRU(4, 5), window.requires_grad_())
