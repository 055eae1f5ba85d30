"""Networks: shapes, which parts are shared, and the size that the reports' tables imply."""

import dataclasses

import pytest
import torch

from mg_models.catalog import CATALOG, override
from mg_models.errors import CatalogError
from mg_models.networks import build_network
from mg_models.specs.data import InputSpec

FEATURES = {
    "hf": 27, "daily": 6, "weekly": 6, "monthly": 6, "daily_factors": 42,
    "features_240m": 14, "features_60m": 14, "features_30m": 14, "price_volume": 96,
}  # fmt: skip
GRU_OF_BARS = 3 * 30 * (6 + 30 + 2)
GRU_OF_FACTORS = 3 * 30 * (27 + 30 + 2)
HEAD = 30 * 2 + 30 + 1


def gru(features: int, hidden: int) -> int:
    """Parameters of one layer and direction."""
    return 3 * hidden * (features + hidden + 2)


def lstm(features: int, hidden: int) -> int:
    return 4 * hidden * (features + hidden + 2)


def linear(features: int, out: int) -> int:
    return (features + 1) * out


def attention(width: int) -> int:
    """Additive: W, b and v."""
    return linear(width, width) + width


def block(width: int, feedforward: int) -> int:
    """Transformer encoder block: attention (in and out), two linear layers, two LayerNorms."""
    inner = linear(width, 3 * width) + linear(width, width)
    return inner + linear(width, feedforward) + linear(feedforward, width) + 4 * width


def nn10(width: int) -> int:
    return linear(width, 10) + linear(10, 1)


def windows_of(spec, rows: int) -> dict[str, torch.Tensor]:
    return {i.panel: torch.randn(min(i.rows, 4) * i.per_day, rows, FEATURES[i.panel]) for i in spec.inputs}


@pytest.mark.parametrize("name", CATALOG)
def test_one_column_per_task(name):
    spec = CATALOG[name]
    tasks = len(spec.inputs) if spec.network.kind == "multitask" else len(spec.label.horizons)
    assert build_network(spec, FEATURES)(windows_of(spec, 7)).shape == (7, tasks)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("hf_gru", GRU_OF_FACTORS + HEAD),
        ("lf_daily_only", GRU_OF_BARS + HEAD),
        ("lf_multitask", GRU_OF_BARS + 3 * HEAD),
        ("lf_multitask_unshared", 3 * (GRU_OF_BARS + HEAD)),
        ("full_band_multitask", GRU_OF_BARS + GRU_OF_FACTORS + 4 * HEAD),
        ("daily_gru_5d", gru(14, 50) + nn10(50)),
        ("30min_gru_10d", gru(14, 50) + nn10(50)),
        ("60min_biagru_5d", 2 * gru(14, 50) + attention(100) + nn10(200)),
        ("mixed_input_gru_10d", 3 * gru(14, 50) + nn10(150)),
        ("mixed_input_biagru_5d", 3 * (2 * gru(14, 50) + attention(100)) + nn10(600)),
        ("gru_50_1_nn10", gru(14, 50) + nn10(50)),
        ("gru_50_2_nn10", gru(14, 50) + gru(50, 50) + nn10(50)),
        ("attention_gru_50_2_nn10", gru(14, 50) + gru(50, 50) + attention(50) + nn10(100)),
        (
            "residual_attention_lstm_48_2_nn10",
            lstm(14, 48) + 14 * 48 + lstm(48, 48) + attention(48) + nn10(96),
        ),
        (
            "mrl_daily_30min_5d",
            2 * (gru(14, 50) + gru(50, 50) + nn10(50)) + linear(50, 50) + linear(50, 8 * 14),
        ),
        ("mtl_mlp", linear(42, 256) + linear(256, 256) + 2 * linear(256, 1)),
        (
            "mtl_task_attention",
            linear(42, 256) + linear(256, 256) + 3 * linear(256, 256) + 4 * linear(256, 256) + 2 * linear(256, 1),
        ),
        ("mtl_stock_attention", 2 * block(42, 64) + linear(42, 2)),
        ("lstm", lstm(42, 64) + lstm(64, 64) + linear(64, 1)),
        ("alstm", lstm(42, 64) + lstm(64, 64) + 64 * 64 + 64 * 64 + 64 + linear(128, 1)),  # W, U, v
        ("temporal_transformer", 2 * block(42, 256) + linear(42, 1)),
    ],
)
def test_parameters_are_those_of_the_published_sizes(name, parameters):
    network = build_network(CATALOG[name], FEATURES)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_every_parameter_is_trained():
    for spec in CATALOG.values():
        network = build_network(spec, FEATURES)
        network(windows_of(spec, 9)).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for n, p in network.named_parameters()), spec.name


def test_a_sigmoid_bounds_the_high_frequency_prediction():
    spec = CATALOG["hf_gru"]
    scores = build_network(spec, FEATURES)(windows_of(spec, 50))
    assert ((scores > 0) & (scores < 1)).all()


def test_more_layers_go_through_torchs_own_layer():
    spec = override(CATALOG["hf_gru"], layers=2)
    assert build_network(spec, FEATURES)(windows_of(spec, 4)).shape == (4, 1)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("mtl_mlp", {"network": CATALOG["lstm"].network}, "a sequence network has one head, the label horizons are 2"),
        ("lf_multitask", {"network": CATALOG["mtl_mlp"].network}, "a task_mlp network reads one input, has daily"),
    ],
)
def test_a_network_that_does_not_fit_is_named(name, changes, message):
    with pytest.raises(CatalogError, match=message):
        build_network(dataclasses.replace(CATALOG[name], **changes), FEATURES)


def test_features_that_do_not_divide_into_heads_are_named():
    with pytest.raises(CatalogError, match="43 features do not divide into 2 attention heads"):
        build_network(CATALOG["temporal_transformer"], {"daily_factors": 43})


def test_what_a_panel_and_a_split_cannot_hold_is_named():
    with pytest.raises(CatalogError, match="features_30m: scale 'last_value' is for rows of one step, has 8 a day"):
        InputSpec("features_30m", 16, "last_value", per_day=8)
    with pytest.raises(CatalogError, match="features_30m: steps must be a multiple of 8"):
        InputSpec("features_30m", 20, per_day=8)
    with pytest.raises(CatalogError, match="steps must be a multiple of 8"):
        override(CATALOG["gru_50_1_nn10"], steps=20)
    with pytest.raises(CatalogError, match="granularities over the same days, coarse to fine"):
        build_network(override(CATALOG["mrl_daily_30min_5d"], steps={"features_30m": 16}), FEATURES)
