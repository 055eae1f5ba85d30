"""Attention, residual learning and recurrent encoders against naive twins written from their formulas."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from mg_models.catalog import CATALOG
from mg_models.networks.attention import AdditiveAttention
from mg_models.networks.residual import ResidualLearning
from mg_models.networks.sequence import Encoder, Sequence
from mg_models.networks.tasks import TaskAttention, TaskMlp
from mg_models.networks.transformer import StockAttention, TemporalTransformer, positions
from mg_models.specs.networks import (
    ResidualLearningSpec,
    SequenceSpec,
    StockAttentionSpec,
    TaskMlpSpec,
    TemporalTransformerSpec,
)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def close(got: torch.Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(array(got), expected, atol=2e-5, rtol=1e-4)


def linear(layer: nn.Linear, x: np.ndarray) -> np.ndarray:
    out = x @ array(layer.weight).T
    return out if layer.bias is None else out + array(layer.bias)


def naive_multi_head(layer: nn.MultiheadAttention, x: np.ndarray) -> np.ndarray:
    """concat_h(softmax(Q_h K_h' / sqrt(d)) V_h) W_o of one sequence (length, width)."""
    width, heads = layer.embed_dim, layer.num_heads
    q, k, v = np.split(x @ array(layer.in_proj_weight).T + array(layer.in_proj_bias), 3, axis=1)
    size = width // heads
    out = []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        out.append(softmax(q[:, part] @ k[:, part].T / np.sqrt(size)) @ v[:, part])
    return linear(layer.out_proj, np.concatenate(out, axis=1))


def naive_norm(layer: nn.LayerNorm, x: np.ndarray) -> np.ndarray:
    z = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + layer.eps)
    return z * array(layer.weight) + array(layer.bias)


def naive_block(block: nn.TransformerEncoderLayer, x: np.ndarray) -> np.ndarray:
    x = naive_norm(block.norm1, x + naive_multi_head(block.self_attn, x))
    return naive_norm(block.norm2, x + linear(block.linear2, np.maximum(linear(block.linear1, x), 0)))


def test_alstm_attends_as_its_report_says():
    """s(h_i, h_j) = v tanh(W h_i + U h_j) with i the last state; what it gives, beside that state, in scalar loops."""
    spec = CATALOG["alstm"].network
    encoder = Encoder(3, dataclasses.replace(spec, hidden=4))
    window = torch.randn(5, 2, 3)
    states = array(encoder.rnn(window)[0])  # (steps, rows, hidden)
    w, u, v = (array(m.weight) for m in (encoder.attention.query, encoder.attention.inner, encoder.attention.score))
    assert encoder.attention.inner.bias is encoder.attention.query.bias is encoder.attention.score.bias is None
    found = array(encoder(window))
    for row in range(2):
        last = states[-1, row]
        energies = []
        for state in states[:, row]:
            inner = [sum(w[k][m] * last[m] + u[k][m] * state[m] for m in range(4)) for k in range(4)]
            energies.append(sum(v[0][k] * np.tanh(inner[k]) for k in range(4)))
        shares = [np.exp(e) / sum(np.exp(energies)) for e in energies]
        context = [sum(share * state[m] for share, state in zip(shares, states[:, row], strict=True)) for m in range(4)]
        np.testing.assert_allclose(found[row], [*context, *last], atol=2e-5)


def test_additive_attention_is_its_formula():
    layer, states = AdditiveAttention(6), torch.randn(9, 4, 6)
    w, b, v = array(layer.inner.weight), array(layer.inner.bias), array(layer.score.weight)[0]
    for row in range(4):
        h = array(states[:, row])
        energy = np.array([v @ np.tanh(w @ h[t] + b) for t in range(9)])
        close(layer.weights(states)[:, row], softmax(energy))
        close(layer(states)[row], softmax(energy) @ h)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_bidirectional_encoder_reads_both_ways(cell):
    """Its last state is each direction's after the whole window: the backward one's after reversed steps."""
    encoder = Encoder(3, SequenceSpec(cell=cell, hidden=5, bidirectional=True))
    window = torch.randn(7, 4, 3)
    forward, backward = (
        type(encoder.rnn)(3, 5) for _ in range(2)
    )  # one direction each, with the encoder's own weights
    for name, value in encoder.rnn.state_dict().items():
        one = backward if name.endswith("_reverse") else forward
        one.load_state_dict({**one.state_dict(), name.removesuffix("_reverse"): value})
    expected = torch.cat([forward(window)[0][-1], backward(window.flip(0))[0][-1]], dim=1)
    close(encoder(window), array(expected))
    assert encoder.width == 10


def test_an_attentive_encoder_joins_context_and_last_state():
    encoder = Encoder(3, SequenceSpec(hidden=5, layers=2, attention=True))
    window = torch.randn(7, 4, 3)
    states = encoder.rnn(window)[0]
    close(encoder(window), array(torch.cat([encoder.attention(states), states[-1]], dim=1)))


def test_a_residual_encoder_adds_each_layers_input():
    encoder = Encoder(3, SequenceSpec(cell="lstm", hidden=5, layers=2, residual=True))
    window = torch.randn(7, 4, 3)
    first = encoder.rnn[0](window)[0] + window @ encoder.around[0].weight.T
    second = encoder.rnn[1](first)[0] + first
    close(encoder(window), array(second[-1]))


def test_a_plain_gru_is_torchs_and_its_mlp_has_one_relu():
    network = Sequence({"x": 3}, SequenceSpec(hidden=5, mlp=4))
    window = torch.randn(6, 8, 3)
    state = array(network.encoders["x"].rnn(window)[1][-1])
    close(network({"x": window}), linear(network.head[2], np.maximum(linear(network.head[0], state), 0)))


def test_task_attention_is_its_formula():
    layer, shared = TaskAttention(8, 2, 4), torch.randn(5, 8)
    got = layer(shared)
    for row in range(5):
        x = array(shared[row])[None]
        each = np.concatenate([np.maximum(linear(f[0], x), 0) for f in layer.features])  # (tasks, width)
        tasks = np.maximum(linear(layer.task[0], each), 0)
        close(got[:, row], tasks + naive_multi_head(layer.attention, tasks))


def test_the_task_mlp_reads_the_last_step_alone():
    network = TaskMlp("x", 4, 2, TaskMlpSpec(hidden=6))
    window = torch.randn(3, 5, 4)
    hidden = array(window[-1])
    for layer in (network.shared[0], network.shared[2]):
        hidden = np.maximum(linear(layer, hidden), 0)
    expected = np.concatenate([linear(head, hidden) for head in network.heads], axis=1)
    close(network({"x": window}), expected)


def test_stock_attention_is_its_formula_whatever_the_padding():
    network = StockAttention("x", 4, 2, StockAttentionSpec(feedforward=6)).eval()
    x, day = torch.randn(1, 12, 4), torch.tensor([0] * 5 + [1] * 7)
    got = network({"x": x}, day)
    for which in (0, 1):
        state = array(x[0, day == which])
        for block in network.encoder.layers:
            state = naive_block(block, state)
        close(got[day == which], linear(network.heads, state))
    order = torch.randperm(7)
    torch.testing.assert_close(network({"x": x[:, 5:][:, order]}), got[5:][order], atol=1e-5, rtol=1e-4)


def test_the_temporal_transformer_is_its_formula():
    network = TemporalTransformer("x", 4, TemporalTransformerSpec(feedforward=6)).eval()
    window = torch.randn(9, 3, 4)
    for row in range(3):
        state = array(window[:, row]) + array(positions(9, 4))
        for block in network.encoder.layers:
            state = naive_block(block, state)
        close(network({"x": window})[row], linear(network.head, state[-1]))


@pytest.mark.parametrize("width", [4, 5])
def test_positions_are_the_sinusoids(width):
    got = positions(6, width)
    for t in range(6):
        for i in range(width):
            angle = t / 10000 ** ((i - i % 2) / width)
            assert float(got[t, i]) == pytest.approx(np.cos(angle) if i % 2 else np.sin(angle), abs=1e-6)


def residual(combination: str) -> tuple[ResidualLearning, dict]:
    network = ResidualLearning({"coarse": (3, 1), "fine": (2, 4)}, ResidualLearningSpec(5, 2, 4, combination))
    return network, {"coarse": torch.randn(3, 6, 3), "fine": torch.randn(12, 6, 2)}


def naive_residual(network: ResidualLearning, windows: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray, list]:
    """Predictions of both modules (rows, 2), the finer one's input, and both modules' states."""
    day, fine = network.granules["coarse"], network.granules["fine"]
    first = day.rnn(windows["coarse"])[0]
    wide = linear(day.explained[2], np.maximum(linear(day.explained[0], array(first)), 0))  # (3, rows, 4 * 2)
    left = array(windows["fine"]).copy()
    for step in range(12):
        left[step] -= wide[step // 4][:, 2 * (step % 4) : 2 * (step % 4) + 2]
    second = fine.rnn(torch.from_numpy(left).float())[0]
    each = [
        linear(g.head[2], np.maximum(linear(g.head[0], array(s[-1])), 0)) for g, s in ((day, first), (fine, second))
    ]
    return np.concatenate(each, axis=1), left, array(windows["coarse"]), [array(first), array(second)]


def test_residual_learning_is_its_formula():
    network, windows = residual("mean")
    each, left, _, _ = naive_residual(network, windows)
    prediction, unexplained, contrast = network.learn(windows)
    close(prediction[:, 0], each.mean(1))
    close(network(windows), array(prediction))
    assert float(unexplained.detach()) == pytest.approx((left**2).mean(), rel=1e-4)
    assert float(contrast.detach()) == 0


def test_residual_learning_stores_its_former_names():
    """Stored models, their names included, stay the same bytes."""
    network, windows = residual("contrastive")
    state = network.state_dict()
    parts = {key.split(".")[2] for key in state if key.startswith("granules.coarse.")}
    assert parts == {"rnn", "head", "told", "foretell"}
    other, _ = residual("contrastive")
    for weights in other.parameters():
        weights.data.zero_()
    other.load_state_dict(state)
    assert torch.equal(other(windows), network(windows))


def test_residual_learning_weighs_by_attention():
    network, windows = residual("attention")
    each, _, _, states = naive_residual(network, windows)
    last = np.stack([s[-1] for s in states], axis=1)  # (rows, 2, hidden)
    weights = softmax(linear(network.score, np.tanh(linear(network.inner, last)))[..., 0])
    close(network(windows)[:, 0], (each * weights).sum(1))


def test_residual_learning_weighs_by_confidence():
    network, windows = residual("contrastive")
    each, left, coarse, states = naive_residual(network, windows)
    sure = [
        (linear(g.forecast, s[-2]) * x[-1]).mean(1)
        for g, s, x in zip(network.granules.values(), states, (coarse, left), strict=True)
    ]
    close(network(windows)[:, 0], (each * softmax(np.stack(sure, axis=1))).sum(1))


def test_contrastive_loss_separates_a_row_from_the_others():
    network, windows = residual("contrastive")
    granule, states = network.granules["coarse"], network.granules["coarse"].rnn(windows["coarse"])[0]
    possible = []
    for at in (1, 2):
        scores = linear(granule.forecast, array(states[at - 1])) @ array(windows["coarse"][at]).T / 3
        possible.append(-np.log(np.diag(softmax(scores))).mean())
    got = [granule.contrast(windows["coarse"], states).item() for _ in range(20)]
    assert {min(range(2), key=lambda k: abs(possible[k] - g)) for g in got} == {0, 1}
    for g in got:
        assert min(abs(p - g) for p in possible) < 1e-5
