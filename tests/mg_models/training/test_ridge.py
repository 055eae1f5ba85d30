"""The closed form against ordinary least squares on the stacked rows, and the entries that are trained by it."""

import numpy as np
import pytest
import torch

from mg_models.catalog import get, override
from mg_models.data.label_transforms import transform
from mg_models.data.panel import Panel
from mg_models.inference import predict
from mg_models.training.cost_estimate import estimate
from mg_models.training.retrain import plan_training, train

DAYS, STOCKS, FEATURES, HORIZON = 220, 60, 6, 10
SPEC = override(get("price_volume_ridge"), min_train_days=5, min_valid_days=2, min_stocks=10, every=3)


@pytest.fixture(scope="module")
def market() -> tuple[dict[str, Panel], np.ndarray]:
    """Features of unequal spread, of a number of stocks that changes by the day, and returns that follow three."""
    random = np.random.default_rng(5)
    values = random.standard_normal((DAYS, STOCKS, FEATURES)).astype(np.float32)
    values *= np.array([0.1, 1, 1, 5, 20, 1], np.float32)
    returns = 0.3 * values[..., 1] - 0.05 * values[..., 3] + 2 * values[..., 0]
    returns = returns + random.standard_normal((DAYS, STOCKS))
    for d in range(DAYS):
        values[d, random.permutation(STOCKS)[: d % 30]] = np.nan
    returns[-HORIZON - 1 :] = np.nan
    days = np.busday_offset("2013-01-04", np.arange(DAYS), roll="forward").astype("datetime64[D]")
    symbols = np.array([f"{i:06d}.SZ" for i in range(STOCKS)], object)
    return {"price_volume": Panel(days, symbols, values, tuple("abcdef"))}, returns


@pytest.mark.parametrize("penalty", [1e-9, 0.03, 2.0])
def test_the_weights_are_those_of_penalised_least_squares(market, penalty):
    panels, returns = market
    panel, spec = panels["price_volume"], override(SPEC, penalty=penalty)
    (model,) = train(spec, panels, returns, None, "2013H2")
    split = plan_training(spec, panels, returns, None, ["2013H2"]).splits["2013H2"]
    weight, scale = (model.state[n].double().numpy() for n in ("net.0.weight", "scale"))
    # torch's median is the lower of two middle values
    middle = [np.nanquantile(np.abs(panel.values[d]), 0.5, axis=0, method="lower") for d in split.train]
    np.testing.assert_allclose(scale, 1.4826 * np.mean(middle, axis=0), rtol=1e-5)
    rows, targets = [], []
    for d in split.train:
        here = np.isfinite(panel.values[d]).all(1) & np.isfinite(returns[d])
        rows.append((panel.values[d, here] / scale).clip(-3, 3) / np.sqrt(here.sum()))
        targets.append(transform("normal_rank", returns[d, here, None])[:, 0] / np.sqrt(here.sum()))
    x, y = np.concatenate(rows), np.concatenate(targets)
    ridge = penalty * (x**2).sum() / FEATURES
    x = np.concatenate([x, np.sqrt(ridge) * np.eye(FEATURES)])
    y = np.concatenate([y, np.zeros(FEATURES)])
    expected, *_ = np.linalg.lstsq(x, y, rcond=None)
    np.testing.assert_allclose(weight[0], expected, rtol=1e-4, atol=1e-6)
    assert float(model.state["net.0.bias"]) == 0


def test_validation_measures_and_stops_nothing(market):
    """The validation days' labels change the card, not the weights; the scores rank what the labels follow."""
    panels, returns = market
    (model,) = train(SPEC, panels, returns, None, "2013H2")
    split = plan_training(SPEC, panels, returns, None, ["2013H2"]).splits["2013H2"]
    turned = returns.copy()
    turned[split.valid] *= -1
    (other,) = train(SPEC, panels, turned, None, "2013H2")
    assert torch.equal(model.state["net.0.weight"], other.state["net.0.weight"])
    course, against = (m.card["training"]["best_valid_rank_ic"] for m in (model, other))
    assert course > 0.3
    assert against == pytest.approx(-course)
    assert len(model.card["training"]["checks"]) == 1
    scores = predict([model], panels, panels["price_volume"].days[split.test[:5]])
    assert np.isfinite(scores).sum(1).min() >= 30


def test_its_cost_is_that_of_one_pass_over_the_days(market):
    panels, returns = market
    todo = plan_training(SPEC, panels, returns, None, ["2013H2"])
    cost = estimate(todo)
    assert cost.steps[2] == cost.steps_per_epoch
    assert [m.seed for m in train(SPEC, panels, returns, None, "2013H2")] == [0]
