"""The fused GRU against torch's own layer."""

import os
import platform
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

from mg_models.data.panel import Panel, PeriodPanel
from mg_models.data.panel_windows import Windows, WindowView
from mg_models.data.window_kernels import TILE
from mg_models.networks.fused_gru import fits, fused_last_state
from mg_models.networks.gru_kernels import _sigmoid, _tanh
from mg_models.simd import LANES
from mg_models.specs.data import InputSpec

SPECS = (
    InputSpec("hf", 40),
    InputSpec("features_60m", 24, per_day=4),
    InputSpec("daily", 40, "last_value"),
    InputSpec("weekly", 12, "last_value", clip=1.5),
    InputSpec("monthly", 3, "last_value"),
)


def gradients(gru: nn.GRU, state: torch.Tensor, weight: torch.Tensor) -> list[torch.Tensor]:
    gru.zero_grad()
    (state * weight).sum().backward()
    return [p.grad.clone() for p in gru.parameters() if p.grad is not None]


@pytest.mark.parametrize(
    ("steps", "rows", "features", "hidden"),
    [
        (2, 3, 2, 4),
        (1, 5, 1, 1),
        (7, TILE, 14, 50),
        (12, 37, 6, 30),
        (5, 2 * TILE, 3, 64),
        (40, 1100, 27, 30),
    ],
)
def test_states_and_gradients_equal_torchs(steps, rows, features, hidden):
    torch.manual_seed(0)
    gru = nn.GRU(features, hidden)
    window, weight = torch.randn(steps, rows, features), torch.randn(rows, hidden)
    _, state = gru(window)
    expected = gradients(gru, state[-1], weight)
    fused = fused_last_state(gru, window)
    torch.testing.assert_close(fused, state[-1], atol=2e-6, rtol=1e-5)
    for got, want in zip(gradients(gru, fused, weight), expected, strict=True):
        assert float((got - want).abs().max()) <= 2e-5 * float(want.abs().max())
    with torch.inference_mode():
        torch.testing.assert_close(fused_last_state(gru, window), fused.detach(), atol=0, rtol=0)


def test_the_gradient_is_that_of_finite_differences():
    """In float64, a plain recurrence written from the definition; each weight moved by itself."""
    torch.manual_seed(1)
    gru, window = nn.GRU(3, 5), torch.randn(6, 70, 3)
    fused_last_state(gru, window).square().sum().backward()
    wide = [p.detach().double().clone() for p in (gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0)]

    def loss() -> float:
        w_x, w_h, b_x, b_h = wide
        state = torch.zeros(70, 5, dtype=torch.float64)
        for x in window.double():
            outer, inner = x @ w_x.T + b_x, state @ w_h.T + b_h
            r, z = torch.sigmoid(outer[:, :10] + inner[:, :10]).split(5, dim=1)
            new = torch.tanh(outer[:, 10:] + r * inner[:, 10:])
            state = (1 - z) * new + z * state
        return float(state.square().sum())

    for got, weights in zip([p.grad for p in gru.parameters()], wide, strict=True):
        flat = weights.view(-1)
        for at in range(0, len(flat), 7):
            kept = float(flat[at])
            flat[at] = kept + 1e-5
            up = loss()
            flat[at] = kept - 1e-5
            down = loss()
            flat[at] = kept
            assert float(got.reshape(-1)[at]) == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-4)


def test_gradients_are_the_same_bits_again():
    gru, window = nn.GRU(27, 30), torch.randn(10, 500, 27)
    first, again = (gradients(gru, fused_last_state(gru, window), torch.ones(500, 30)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_graph_that_is_kept_gives_its_gradients_again():
    gru = nn.GRU(3, 4)
    total = fused_last_state(gru, torch.randn(5, 6, 3)).sum()
    total.backward(retain_graph=True)
    once = [p.grad.clone() for p in gru.parameters()]
    total.backward()
    for p, first in zip(gru.parameters(), once, strict=True):
        assert torch.equal(p.grad, 2 * first)
    with pytest.raises(RuntimeError, match="second time"):
        total.backward()


def test_rows_without_weight_add_nothing():
    """Their values do not leak into others' gradients through tiles, padding or a read past a row's end."""
    torch.manual_seed(2)
    gru, window = nn.GRU(5, 12), torch.randn(8, 100, 5)
    weight = torch.randn(100, 12)
    weight[40:60] = 0
    before = gradients(gru, fused_last_state(gru, window), weight)
    window[:, 40:60] = 50 * torch.randn(8, 20, 5)
    after = gradients(gru, fused_last_state(gru, window), weight)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_the_window_may_be_strided():
    gru, window = nn.GRU(4, 6), torch.randn(9, 200, 4)
    apart = window.transpose(0, 1).contiguous().transpose(0, 1)
    assert not apart.is_contiguous()
    with torch.inference_mode():
        assert torch.equal(fused_last_state(gru, apart), fused_last_state(gru, window))


def test_a_row_does_not_depend_on_its_tile():
    """Rows of the last, shorter tile have the state that they have alone, to rounding."""
    gru = nn.GRU(4, 8)
    window = torch.randn(10, TILE + 3, 4)
    with torch.inference_mode():
        whole = fused_last_state(gru, window)
        torch.testing.assert_close(fused_last_state(gru, window[:, -3:]), whole[-3:], atol=1e-6, rtol=1e-5)


def test_the_approximations_are_those_of_libm():
    x = np.linspace(-30, 30, 20001).astype(np.float32)
    np.testing.assert_allclose([_tanh.py_func(v) for v in x], np.tanh(x), atol=5e-7)
    np.testing.assert_allclose([_sigmoid(v) for v in x], 1 / (1 + np.exp(-x.astype(np.float64))), atol=5e-7)


@pytest.mark.parametrize("spec", SPECS, ids=[f"{s.panel}-{s.scale}-{s.per_day}" for s in SPECS])
def test_reading_from_the_panel_equals_the_gathered_window(spec, make):
    """Bit by bit, states and gradients; of days before the panel's beginning and of some of a day's stocks too."""
    panel = panel_of(spec, make)
    windows, days = Windows(panel, spec), [3, 70, 41]
    everyone = [np.flatnonzero(panel.valid(bars=spec.scale == "last_value")[d]) for d in days]
    some = [rows[np.random.default_rng(d).random(len(rows)) < 0.8] for d, rows in zip(days, everyone, strict=True)]
    view = windows.view(days, everyone, some)
    gathered = torch.cat([windows.gather(d, torch.from_numpy(r))[:, np.isin(r, s)] for d, r, s in
                          zip(days, everyone, some, strict=True)], dim=1)  # fmt: skip
    torch.testing.assert_close(view.tensor(), gathered, atol=2e-4, rtol=1e-5)
    gru, weight = nn.GRU(gathered.shape[2], 9), torch.randn(gathered.shape[1], 9)
    straight, whole = fused_last_state(gru, view), fused_last_state(gru, view.tensor())
    assert torch.equal(straight, whole)
    pairs = zip(gradients(gru, straight, weight), gradients(gru, whole, weight), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    half = np.arange(0, gathered.shape[1], 2)
    assert torch.equal(view.take(half).tensor(), view.tensor()[:, half])


def panel_of(spec: InputSpec, make) -> Panel | PeriodPanel:
    if spec.scale == "last_value":
        return make.bars_of(make.weekdays(90), make.daily_bars(90, 130, suspended=0.1))[spec.panel]
    return make.factor_panel(90, 130, 7 * spec.per_day, missing=0.1)


def test_no_window_is_held_while_it_learns():
    """A step of 5,000 windows of 40 days keeps its states, 4 bytes a unit, and nothing of the windows."""
    days = np.arange("2013-01-04", np.datetime64("2013-01-04") + 60, dtype="datetime64[D]")
    names = np.array([str(i) for i in range(1000)], object)
    panel = Panel(days, names, np.zeros((60, 1000, 27), np.float32), tuple(map(str, range(27))))
    everybody = [np.arange(1000)] * 5
    view = Windows(panel, InputSpec("hf", 40)).view([45, 47, 50, 55, 59], everybody, everybody)
    assert np.shares_memory(view.values, panel.values)
    gru = nn.GRU(27, 30)
    fused_last_state(gru, view).sum().backward()  # compiled
    kept = []
    tracemalloc.start()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.untyped_storage()) or t, lambda t: t):
        fused_last_state(gru, view).sum().backward()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    padded = -(-30 // LANES) * LANES
    states = -(-5000 // TILE) * 40 * TILE * padded * 4
    assert states <= sum(s.nbytes() for s in {s.data_ptr(): s for s in kept}.values()) < states + 20_000
    assert peak < 2 << 20  # arrays of numpy; the windows would be 21.6 MB


def test_what_is_not_finite_is_read_as_0():
    gru, window = nn.GRU(20, 6), torch.randn(5, 70, 20)
    window[2, 3, 19] = torch.nan
    window[4, 60, 0] = -torch.inf
    clean = torch.nan_to_num(window, nan=0.0, posinf=0.0, neginf=0.0)
    assert torch.equal(fused_last_state(gru, window), fused_last_state(gru, clean))
    assert torch.equal(WindowView.of(window).tensor(), clean)


def test_what_it_does_not_fit_is_left_to_torch():
    window = torch.zeros(3, 2, 4)
    assert fits(nn.GRU(4, 5), window)
    assert not fits(nn.GRU(4, 5, num_layers=2), window)
    assert not fits(nn.GRU(4, 5, bidirectional=True), window)
    assert not fits(nn.LSTM(4, 5), window)
    assert not fits(nn.GRU(4, 5), window.double())
    assert not fits(nn.GRU(4, 5), window.requires_grad_())


OTHER_MACHINE = """
import torch
from llvmlite import binding

binding.get_host_cpu_features = lambda: {"avx2": True, "fma": True}
from mg_models.networks import fused_gru
from mg_models.simd import LANES

assert LANES == 8
torch.manual_seed(0)
gru, window, weight = torch.nn.GRU(27, 30), torch.randn(12, 150, 27), torch.randn(150, 30)
(gru(window)[1][-1] * weight).sum().backward()
expected = [p.grad.clone() for p in gru.parameters()]
gru.zero_grad()
(fused_gru.fused_last_state(gru, window) * weight).sum().backward()
for p, want in zip(gru.parameters(), expected):
    assert float((p.grad - want).abs().max()) <= 2e-5 * float(want.abs().max())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the widths of x86")
def test_a_machine_without_avx512(tmp_path):
    env = os.environ | {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx2,+fma",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    done = subprocess.run([sys.executable, "-c", OTHER_MACHINE], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
