"""What a forecast must do if it has seen no future: die without labels, weaken late, ignore what follows."""

import dataclasses

import numpy as np
import pytest

from mg_models.catalog import get, override
from mg_models.data.day_statistics import rank_ic
from mg_models.data.panel import Panel
from mg_models.data.splits import period_end, period_start
from mg_models.inference import predict
from mg_models.training.retrain import train

DAYS, STOCKS, HORIZON = 260, 80, 10
SPEC = override(
    get("price_volume_linear"), max_epochs=12, learning_rate=0.02, train_days=120, valid_days=60, min_train_days=5,
    min_valid_days=2, min_stocks=10, batch_days=1, seeds=[0],
)  # fmt: skip


@pytest.fixture(scope="module")
def market() -> tuple[Panel, np.ndarray]:
    """Features that forget a tenth a day, and 10-day returns that follow two of them; NaN where not over yet."""
    random = np.random.default_rng(3)
    values = np.empty((DAYS, STOCKS, 5), np.float32)
    values[0] = random.standard_normal((STOCKS, 5))
    for d in range(1, DAYS):
        values[d] = 0.9 * values[d - 1] + 0.436 * random.standard_normal((STOCKS, 5))
    daily = 0.02 * random.standard_normal((DAYS, STOCKS))
    daily[2:] += 0.004 * (values[:-2, :, 0] - values[:-2, :, 1])
    returns = np.full((DAYS, STOCKS), np.nan)
    for d in range(DAYS - HORIZON - 1):  # entered at T+1
        returns[d] = daily[d + 2 : d + 2 + HORIZON].sum(0)
    days = np.busday_offset("2013-01-04", np.arange(DAYS), roll="forward").astype("datetime64[D]")
    return Panel(days, np.array([f"{i:06d}.SZ" for i in range(STOCKS)], object), values, tuple("abcde")), returns


def scored(panel: Panel, returns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The days of 2013H2 with a return, by index, and their scores by a model trained before it."""
    first, stop = np.searchsorted(panel.days, [period_start("2013H2"), period_end("2013H2")])
    at = np.arange(first, min(stop, DAYS - HORIZON - 1))
    models = train(SPEC, {"price_volume": panel}, returns, None, "2013H2")
    return at, predict(models, {"price_volume": panel}, panel.days[at])


@pytest.fixture(scope="module")
def honest(market) -> tuple[np.ndarray, np.ndarray]:
    return scored(*market)


def mean_rank_ic(scores: np.ndarray, returns: np.ndarray) -> float:
    return float(np.mean([rank_ic(s, r) for s, r in zip(scores, returns, strict=True)]))


def test_a_model_of_shuffled_labels_forecasts_nothing(market, honest):
    (panel, returns), (at, scores) = market, honest
    random = np.random.default_rng(7)
    shuffled = np.array([random.permutation(day) for day in returns])
    _, blind = scored(panel, shuffled)
    assert mean_rank_ic(scores, returns[at]) == pytest.approx(0.47, abs=0.03)
    assert abs(mean_rank_ic(blind, shuffled[at])) < 0.05  # five standard errors by day and stock
    assert abs(mean_rank_ic(blind, returns[at])) < 0.5 * mean_rank_ic(scores, returns[at])


def test_late_scores_weaken(market, honest):
    (_, returns), (at, scores) = market, honest
    by_lag = [mean_rank_ic(scores[: len(at) - lag], returns[at[lag:]]) for lag in (0, 1, 5, 20)]
    assert by_lag[0] > by_lag[1] > by_lag[2] > by_lag[3] + 0.05
    # nor does a score know the return that is over before its day
    past = mean_rank_ic(scores[HORIZON + 1 :], returns[at[: -HORIZON - 1]])
    assert past < by_lag[0]


def test_disturbed_future_changes_no_score_before_it(market, honest):
    (panel, returns), (at, scores) = market, honest
    middle = at[len(at) // 2]
    values, other = panel.values.copy(), returns.copy()
    values[middle:] = np.random.default_rng(1).standard_normal(values[middle:].shape) * 50
    other[at[0] - HORIZON - 1 :] *= -3  # labels that are not over when the half-year begins
    _, again = scored(dataclasses.replace(panel, values=values), other)
    np.testing.assert_array_equal(again[at < middle], scores[at < middle])
    assert (again[at >= middle] != scores[at >= middle]).any()
