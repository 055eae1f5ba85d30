"""A one-layer GRU's last state on a CPU, faster than torch's: its own gradients, windows read from the panel.

With r, z, n the reset, update and new gates, in torch's order and naming:

    r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)
    z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
    n = tanh(W_in x + b_in + r * (W_hn h + b_hn))
    h' = (1 - z) * n + z * h

torch's own layer makes some ten passes over memory per step, and the library below it leaves half of a core with
AVX-512 idle on matrices this narrow. The loops: :mod:`mg_models.networks.gru_kernels`. benchmarks/gru.py
has the figures; ``tests/mg_models/networks/test_fused_gru.py`` compares the two.
"""

from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from mg_models.data.panel_windows import Window, WindowView
from mg_models.data.window_kernels import TILE
from mg_models.networks.gru_kernels import backward, forward
from mg_models.simd import LANES


class _LastState(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, view: WindowView, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
        steps, rows, _ = view.shape
        hidden = w_hh.shape[1]
        padded = -(-hidden // LANES) * LANES
        weights = _packed(w_ih, w_hh, b_ih, b_hh, padded)
        keep = any(ctx.needs_input_grad[1:])
        states = torch.empty(-(-rows // TILE) if keep else 1, steps if keep else 2, TILE, padded)
        out = w_hh.new_empty(rows, hidden)
        forward(view.arrays, *weights, states.numpy(), out.numpy())
        if keep:
            ctx.view, ctx.weights = view, weights
            ctx.save_for_backward(w_hh, states)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        w_hh, states = ctx.saved_tensors
        hidden = w_hh.shape[1]
        w_x, w_h, bias = ctx.weights
        back = np.zeros_like(w_h)
        back[:, :, :hidden] = w_hh.detach().numpy().reshape(3, hidden, hidden)
        g_x, g_h, g_bias = backward(
            ctx.view.arrays, w_x, w_h, back, bias, states.numpy(), np.ascontiguousarray(grads[0].numpy())
        )
        of_inner = g_bias[[0, 1, 3]]
        return None, *(
            torch.from_numpy(np.ascontiguousarray(g, np.float32))
            for g in (
                g_x[..., :hidden].transpose(0, 2, 1).reshape(3 * hidden, -1),
                g_h[..., :hidden].transpose(0, 2, 1).reshape(3 * hidden, hidden),
                g_bias[:3, :hidden].reshape(-1),
                of_inner[:, :hidden].reshape(-1),
            )
        )


def _packed(
    w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, padded: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W_x ``(3, features, padded)``, W_h ``(3, hidden, padded)``, and r's, z's, n's and the inner part's biases."""
    hidden = w_hh.shape[1]
    w_x, w_h = (np.zeros((3, w.shape[1], padded), np.float32) for w in (w_ih, w_hh))
    for packed, w in ((w_x, w_ih), (w_h, w_hh)):
        packed[:, :, :hidden] = w.detach().numpy().reshape(3, hidden, -1).transpose(0, 2, 1)
    bias = np.zeros((4, padded), np.float32)
    outer, inner = (b.detach().numpy().reshape(3, hidden) for b in (b_ih, b_hh))
    bias[:3, :hidden] = outer
    bias[:2, :hidden] += inner[:2]
    bias[3, :hidden] = inner[2]
    return w_x, w_h, bias


def fits(gru: nn.Module, window: Window) -> TypeGuard[nn.GRU]:
    """Whether :func:`fused_last_state` can replace the layer: CPU, float32, one layer, one direction."""
    if not (isinstance(gru, nn.GRU) and gru.num_layers == 1 and not gru.bidirectional and gru.bias):
        return False
    if isinstance(window, WindowView):
        return True
    return window.device.type == "cpu" and window.dtype == torch.float32 and not window.requires_grad


def fused_last_state(gru: nn.GRU, window: Window) -> Tensor:
    """The state after the last step; gradients reach the layer's weights, not the window.

    Parameters
    ----------
    gru : torch.nn.GRU
        One that :func:`fits`.
    window : Tensor or WindowView (steps, rows, features)
        float32; values that are not finite are read as 0.

    Returns
    -------
    Tensor of float32 (rows, hidden)
    """
    view = window if isinstance(window, WindowView) else WindowView.of(window)
    return _LastState.apply(view, gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0)
