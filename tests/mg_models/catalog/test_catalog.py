"""The catalog says what the reports say, and an override changes what it names."""

import json
from pathlib import Path

import pytest

from mg_models.catalog import CATALOG, COMBINATIONS, get, override, signal_names
from mg_models.catalog.table import catalog_table, into
from mg_models.errors import CatalogError


def test_series_72_hyper_parameters():
    for name in ("hf_gru", "lf_multitask"):
        spec = CATALOG[name]
        assert (spec.network.hidden, spec.network.layers, spec.horizon, spec.learning_rate) == (30, 1, 10, 0.005)
        assert (spec.batch_rows, spec.max_epochs, spec.patience, len(spec.seeds)) == (5000, 100, 10, 3)
        assert (spec.split.every, spec.split.valid_share) == (5, 0.2)
    assert [(i.panel, i.steps) for i in CATALOG["lf_multitask"].inputs] == [
        ("daily", 40), ("weekly", 20), ("monthly", 12),
    ]  # fmt: skip
    assert CATALOG["hf_gru"].inputs[0].steps == 40
    assert CATALOG["hf_gru"].network.sigmoid
    assert CATALOG["lf_multitask"].network.shared
    assert CATALOG["lf_multitask"].loss.correlation_penalty == 0.01
    assert COMBINATIONS["fused"].weights == (1, 3)


def test_every_part_of_a_combination_exists():
    for combination in COMBINATIONS.values():
        if combination.rule == "fuse":
            assert len(combination.parts) == len(combination.weights)
            assert set(combination.parts) <= set(signal_names())


def test_override_reaches_model_split_and_inputs():
    spec = override(get("lf_multitask"), hidden=16, every=3, steps={"daily": 20}, clip=3, seeds=[4, 5], learning_rate=1)
    assert (spec.network.hidden, spec.split.every, spec.seeds, spec.learning_rate) == (16, 3, (4, 5), 1.0)
    assert [(i.steps, i.clip) for i in spec.inputs] == [(20, 3.0), (20, 3.0), (12, 3.0)]
    assert get("lf_multitask").network.hidden == 30


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hiddn": 16}, "no hyper-parameter 'hiddn'; there are .*hidden"),
        ({"name": "x"}, "no hyper-parameter 'name'"),
        ({"hidden": 16.5}, "hidden must be int like 30, was 16.5"),
        ({"hidden": True}, "hidden must be int"),
        ({"hidden": 0}, "hidden must be positive"),
        ({"shared": 1}, "shared must be bool"),
        ({"sigmoid": True}, "no hyper-parameter 'sigmoid'"),
        ({"kind": "recurrent"}, "no hyper-parameter 'kind'"),
        ({"horizons": [0]}, "horizons must be one number above 0"),
        ({"train_days": 100}, "train_days and valid_days must both be given"),
        ({"seeds": [1, 1]}, "a value twice"),
        ({"seeds": []}, "seeds must be tuple"),
        ({"steps": {"hourly": 3}}, "inputs \\['hourly'\\]"),
        ({"valid_share": 1.5}, "below 1"),
    ],
)
def test_override_refuses(changes, message):
    with pytest.raises(CatalogError, match=message):
        override(get("lf_multitask"), **changes)


def test_horizons_that_name_heads_stay():
    assert override(get("hf_gru"), horizons=[5]).horizon == 5
    with pytest.raises(CatalogError, match=r"heads \(\[10, 20\]\), was \[5, 10\]"):
        override(get("mtl_mlp"), horizons=[5, 10])


def test_an_unknown_model_is_named():
    with pytest.raises(CatalogError, match="no trained model 'lf_gru'; the catalog has hf_gru"):
        get("lf_gru")


def test_the_hash_is_of_what_shapes_the_weights():
    spec = get("hf_gru")
    assert spec.hash == override(spec, seeds=[7]).hash
    assert spec.hash != override(spec, learning_rate=0.01).hash
    assert spec.hash != override(spec, steps=20).hash
    assert len({s.hash for s in CATALOG.values()}) == len(CATALOG)
    assert json.dumps(spec.hash)


def test_the_page_shows_the_catalog():
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text()
    assert page == into(page), "docs/models.md is out of date: run make docs"
    assert page.endswith(catalog_table())
