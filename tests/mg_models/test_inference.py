"""Predictions: one day equals all days, permuted stocks permute them, the future changes none."""

import numpy as np
import pytest
import torch

from mg_models import checkpoint
from mg_models.catalog import CATALOG, override
from mg_models.data.panel import Panel
from mg_models.errors import InputError, LeakageError
from mg_models.inference import predict
from mg_models.training.retrain import train

DAYS, STOCKS = 240, 50
RETRAIN = "2013H2"


@pytest.fixture(scope="module", params=["hf_gru", "lf_multitask"])
def case(request, make):
    """Models, inputs and the days they predict."""
    quick = {"hidden": 6, "batch_rows": 300, "max_epochs": 2, "check_every": 4, "min_train_days": 10}
    spec = override(CATALOG[request.param], min_valid_days=3, seeds=[0, 1], **quick)
    if request.param == "hf_gru":
        spec, inputs = override(spec, steps=8), {"hf": make.factor_panel(DAYS, STOCKS, 5, missing=0.05)}
    else:
        spec = override(spec, steps={"daily": 10, "weekly": 5, "monthly": 4})
        inputs = make.bars_of(make.weekdays(DAYS), make.daily_bars(DAYS, STOCKS))
    labels = np.random.default_rng(5).standard_normal((DAYS, STOCKS))
    models = train(spec, inputs, labels, None, RETRAIN)
    days = make.weekdays(DAYS)
    return models, inputs, days[days >= np.datetime64("2013-07-01")]


def test_shape_scale_and_nan_rule(case):
    models, inputs, days = case
    scores = predict(models, inputs, days)
    assert scores.shape == (len(days), STOCKS)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).any(1).all()
    assert np.isnan(scores).any()
    np.testing.assert_allclose(np.nanmean(scores, 1), 0, atol=1e-12)
    one = predict(models[:1], inputs, days)
    np.testing.assert_allclose(np.nanstd(one, 1), 1, atol=1e-12)


def test_no_input_no_score(case):
    models, inputs, days = case
    panel = next(iter(inputs.values()))
    values = panel.values.copy()
    values[panel.days == days[20], 3] = np.nan
    changed = {**inputs, next(iter(inputs)): Panel(panel.days, panel.symbols, values, panel.features)}
    assert np.isnan(predict(models, changed, days[20:21])[0, 3])


def test_one_day_at_a_time_equals_all_at_once(case):
    models, inputs, days = case
    whole = predict(models, inputs, days)
    single = np.concatenate([predict(models, inputs, days[i : i + 1]) for i in (0, 17, len(days) - 1)])
    np.testing.assert_array_equal(single, whole[[0, 17, -1]])


def test_a_later_day_changes_nothing(case, make):
    models, inputs, days = case
    whole = predict(models, inputs, days)
    for i in (0, 25):
        at = int(np.searchsorted(next(iter(inputs.values())).days, days[i]))
        then = {name: make.cut_after(panel, at) for name, panel in inputs.items()}
        np.testing.assert_array_equal(predict(models, then, days[i : i + 1])[0], whole[i])


def test_permuted_stocks_permute_the_scores(case, make):
    models, inputs, days = case
    order = np.random.default_rng(6).permutation(STOCKS)
    got = predict(models, {name: make.permuted(panel, order) for name, panel in inputs.items()}, days)
    np.testing.assert_allclose(got, predict(models, inputs, days)[:, order], atol=2e-4)


def test_stored_models_predict_the_same(case, tmp_path):
    models, inputs, days = case
    for model in models:
        checkpoint.save(model, tmp_path)
    np.testing.assert_array_equal(predict(checkpoint.load(tmp_path), inputs, days), predict(models, inputs, days))


def test_the_callers_threads_and_generator_are_left_alone(case):
    models, inputs, days = case
    torch.manual_seed(3)
    before = torch.rand(1)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    predict(models, inputs, days[:1])
    assert torch.get_num_threads() == threads
    assert torch.rand(1) == before


def test_refusals(case):
    models, inputs, days = case
    with pytest.raises(LeakageError, match="before 2013-07-01"):
        predict(models, inputs, np.array(["2013-06-28"], "datetime64[D]"))
    assert predict(models, inputs, np.array(["2013-06-28"], "datetime64[D]"), in_sample=True).shape == (1, STOCKS)
    with pytest.raises(InputError, match="have no 2013-07-06"):
        predict(models, inputs, np.array(["2013-07-06"], "datetime64[D]"))  # a Saturday
    with pytest.raises(InputError, match="no trained model"):
        predict([], inputs, days)
    name = next(iter(inputs))
    panel = inputs[name]
    renamed = Panel(panel.days, panel.symbols, panel.values, tuple(f"x_{f}" for f in panel.features))
    with pytest.raises(InputError, match="trained on"):
        predict(models, {**inputs, name: renamed}, days)
