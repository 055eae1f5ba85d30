"""A network of a user's own: tied to its dataclass, trained, stored and loaded like a built-in one."""

import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
from last_step_network import LastStepSpec

import mg_models
from mg_models import checkpoint
from mg_models.catalog import get, override
from mg_models.data.panel import Panel
from mg_models.errors import CatalogError, CheckpointError
from mg_models.networks import build_network
from mg_models.specs.data import InputSpec, LabelSpec, SplitSpec
from mg_models.specs.losses import ResidualLearningLossSpec, SquaredErrorSpec
from mg_models.specs.model import ModelSpec, plain

MODEL = ModelSpec(
    name="last_step",
    inputs=(InputSpec("mine", 3),),
    network=LastStepSpec(),
    loss=SquaredErrorSpec(),
    label=LabelSpec((5, 10)),
    max_epochs=2,
    batch_rows=500,
    seeds=(0,),
    split=SplitSpec(every=2),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model in the folder of its half-year, trained in a process of its own, and its inputs."""
    days = np.arange("2013-01-01", "2013-09-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)]
    symbols = np.array([f"{600000 + i}.SH" for i in range(40)], dtype=object)
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((len(days), 40, 4), dtype=np.float32)
    inputs = {"mine": Panel(days, symbols, factors, tuple("abcd"))}
    returns = np.repeat(factors[..., :1], 2, axis=2).astype(float)
    folder = tmp_path_factory.mktemp("own")
    models = mg_models.train(MODEL, inputs, returns, None, "2013H2", workers=1)
    checkpoint.save(models[0], folder)
    return folder, models, inputs, days


def test_it_trains_and_predicts_each_horizon(trained):
    _, models, inputs, days = trained
    found = mg_models.predict_signals(models, inputs, days[-2:])
    assert set(found) == {"last_step", "last_step_5d", "last_step_10d", "last_step_5d10d"}
    assert found["last_step"].shape == (2, 40)


def test_a_stored_model_loads_again(trained):
    folder, models, inputs, days = trained
    (loaded,) = checkpoint.load(folder)
    assert loaded.spec == models[0].spec
    before, after = (mg_models.predict(m, inputs, days[-1:]) for m in (models, [loaded]))
    np.testing.assert_array_equal(before, after)


def test_a_model_whose_module_was_not_imported_is_named(trained, monkeypatch):
    monkeypatch.delitem(sys.modules, LastStepSpec.__module__)
    with pytest.raises(CheckpointError, match=r"LastStepSpec of the module .* was not imported; name the mod"):
        checkpoint.load(trained[0])


def test_a_dataclass_without_network_is_named():
    @dataclass(frozen=True)
    class Untied:
        hidden: int = 3

    with pytest.raises(CatalogError, match=r"no network is tied to Untied; put @mg_models\.network\(Untied\)"):
        build_network(replace(MODEL, network=Untied(), label=LabelSpec()), {"mine": 4})
    with pytest.raises(CatalogError, match=r"Untied must be a dataclass\(frozen=True\) at the top level"):
        mg_models.network(Untied)


def test_what_a_network_cannot_take_is_named_before_training():
    two = (InputSpec("mine", 3), InputSpec("other", 3))
    with pytest.raises(CatalogError, match="a LastStepSpec network reads one input, has mine, other"):
        replace(MODEL, inputs=two)
    with pytest.raises(CatalogError, match="inputs must be different panels, at least one, was"):
        replace(MODEL, inputs=(two[0], two[0]))
    with pytest.raises(CatalogError, match="the loss residual_learning_error is of residual_learning networks, has"):
        replace(MODEL, loss=ResidualLearningLossSpec())
    with pytest.raises(CatalogError, match="a recurrent network has one head, the label horizons are 2"):
        replace(get("hf_gru"), label=LabelSpec((5, 10)))


def test_a_field_at_its_default_is_in_no_hash_and_no_card():
    spec = get("hf_gru")
    assert spec.hash == "b3a0a565d8ca972c"
    assert "columns" not in plain(spec)["inputs"][0]
    chosen = replace(spec, inputs=(replace(spec.inputs[0], columns=("a",)),))
    assert chosen.hash != spec.hash
    assert override(spec, hidden=31).hash != spec.hash
