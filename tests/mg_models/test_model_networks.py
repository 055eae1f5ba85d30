"""Networks: shapes, which parts are shared, and the size that the reports' tables imply."""

import dataclasses

import pytest
import torch

from mg_models.catalog import CATALOG, override
from mg_models.errors import CatalogError
from mg_models.losses import loss_of
from mg_models.networks import build

FEATURES = {"hf": 27, "daily": 6, "weekly": 6, "monthly": 6}
GRU_OF_BARS = 3 * 30 * (6 + 30 + 2)
GRU_OF_FACTORS = 3 * 30 * (27 + 30 + 2)
HEAD = 30 * 2 + 30 + 1


def windows_of(spec, rows: int) -> dict[str, torch.Tensor]:
    return {i.panel: torch.randn(i.steps, rows, FEATURES[i.panel]) for i in spec.inputs}


@pytest.mark.parametrize("name", CATALOG)
def test_one_column_per_task(name):
    spec = CATALOG[name]
    tasks = len(spec.inputs) if spec.network == "multitask" else 1
    assert build(spec, FEATURES)(windows_of(spec, 7)).shape == (7, tasks)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("hf_gru", GRU_OF_FACTORS + HEAD),
        ("lf_daily_only", GRU_OF_BARS + HEAD),
        ("lf_multitask", GRU_OF_BARS + 3 * HEAD),
        ("lf_multitask_unshared", 3 * (GRU_OF_BARS + HEAD)),
        ("full_band_multitask", GRU_OF_BARS + GRU_OF_FACTORS + 4 * HEAD),
    ],
)
def test_parameters_are_those_of_the_published_sizes(name, parameters):
    network = build(CATALOG[name], FEATURES)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_every_parameter_is_trained():
    for spec in CATALOG.values():
        network = build(spec, FEATURES)
        network(windows_of(spec, 9)).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for n, p in network.named_parameters()), spec.name


def test_a_sigmoid_bounds_the_high_frequency_prediction():
    spec = CATALOG["hf_gru"]
    scores = build(spec, FEATURES)(windows_of(spec, 50))
    assert ((scores > 0) & (scores < 1)).all()


def test_more_layers_go_through_torchs_own_layer():
    spec = override(CATALOG["hf_gru"], layers=2)
    assert build(spec, FEATURES)(windows_of(spec, 4)).shape == (4, 1)


def test_an_unknown_network_or_loss_is_named():
    spec = dataclasses.replace(CATALOG["hf_gru"], network="perceptron", loss="mse")
    with pytest.raises(CatalogError, match="no network 'perceptron'"):
        build(spec, FEATURES)
    with pytest.raises(CatalogError, match="no loss 'mse'"):
        loss_of(spec, torch.zeros(3, 1), torch.zeros(3), torch.zeros(3, dtype=torch.int64), 1)
