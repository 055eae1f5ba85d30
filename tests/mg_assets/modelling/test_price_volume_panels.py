"""The variants' input from the lake: adjusted bars in, the same features for a day alone as for all days."""

import numpy as np
import pandas as pd
import pytest

from mg_assets.factors import labels
from mg_assets.lake.store import Lake
from mg_assets.modelling.labels import training_labels
from mg_assets.modelling.panels import lookback, model_inputs, tables_of
from mg_assets.modelling.training_inputs import training_data, training_since
from mg_assets.sources.simulated.exchange import SimulatedExchange
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_models.catalog import get, override
from mg_models.data.price_volume import LOOK_BACK, price_volume_panel
from mg_models.training.retrain import plan_training

SETTINGS = SimulationSettings(seed=5, stocks=40, end="2014-03-31", tick_start="2014-03-31")


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("price_volume") / "lake")
    source = SimulatedExchange(SETTINGS)
    for day in [pd.Timestamp(d).date() for d in source.days()[:-1]]:
        lake.write("daily_bars", str(day), source.load("daily_bars", day).frame)
    return lake


def test_the_lake_makes_the_input_of_the_variants(lake):
    spec = get("price_volume_linear")
    assert [(n.table, n.back) for n in tables_of(spec)] == [("daily_bars", LOOK_BACK)]
    inputs, axes = model_inputs(lake, spec)
    days = [str(d) for d in axes.days]
    columns = ("open", "high", "low", "close", "vwap", "volume", "adj_factor")
    raw = lake.panel("daily_bars", days, list(columns), axes.symbols)
    factor = raw["adj_factor"]
    assert (np.nanmax(factor, 0) > np.nanmin(factor, 0)).any()  # some stock paid or split
    adjusted = np.stack([raw[c] * factor for c in columns[:5]] + [raw["volume"] / factor], axis=-1)
    expected = price_volume_panel(axes.days, axes.symbols, adjusted)
    np.testing.assert_array_equal(inputs["price_volume"].values, expected.values)
    assert np.isfinite(expected.values[-1]).all(1).sum() > 30

    last = days[-1]
    alone, there = model_inputs(lake, spec, days[-1 - lookback(spec)], last)
    at = np.searchsorted(axes.symbols.astype(str), there.symbols.astype(str))
    np.testing.assert_array_equal(alone["price_volume"].values[-1], expected.values[-1, at])


@pytest.fixture(scope="module")
def labelled(lake) -> Lake:
    """The lake with labels of most stocks."""
    days = lake.keys("daily_bars")
    bars = lake.panel("daily_bars", days, ["vwap", "adj_factor", "volume"])
    returns = labels(bars["vwap"] * bars["adj_factor"], bars["volume"] > 0, (10,))[..., 0]
    for day, row in zip(days, returns, strict=True):
        lake.write("labels", day, pd.DataFrame({"symbol": bars.symbols, "ret_10": row}))
    return lake


def test_a_training_makes_only_the_days_it_reads(labelled):
    """Alone, with another half-year, or with every day made: the same split and the same data, to the last bit."""
    spec = override(get("price_volume_ridge"), min_train_days=5, min_valid_days=2, min_stocks=10)
    halves = ["2013H2", "2014H1"]
    both = plan_training(spec, *_in_order(training_data(labelled, spec, halves)), halves)
    since = training_since(spec, "2013-07-01", labelled)
    inputs, axes = model_inputs(labelled, spec, since, "2013-12-31")
    whole = plan_training(spec, inputs, *training_labels(labelled, axes, spec), halves)
    made = np.isfinite(both.inputs["price_volume"].values[..., 0]).any(1)
    assert 0 < made.sum() < 0.4 * len(made)
    for half in halves:
        alone = plan_training(spec, *_in_order(training_data(labelled, spec, [half])), [half])
        for other in (both, whole):
            assert other.origins[half].input_digests == alone.origins[half].input_digests
            for part in ("train", "valid"):
                at = getattr(alone.splits[half], part), getattr(other.splits[half], part)
                np.testing.assert_array_equal(*at)
                here, there = (t.inputs["price_volume"].values[d] for t, d in zip((alone, other), at, strict=True))
                np.testing.assert_array_equal(here, there)


def test_a_prediction_makes_only_its_days(labelled):
    spec, days = get("price_volume_ridge"), labelled.keys("daily_bars")
    inputs, _ = model_inputs(labelled, spec, days[0], days[-1], predicted=days[-2:])
    made = np.isfinite(inputs["price_volume"].values[..., 0]).any(1)
    assert np.flatnonzero(made).tolist() == [len(days) - 2, len(days) - 1]
    every, _ = model_inputs(labelled, spec, days[0], days[-1])
    np.testing.assert_array_equal(inputs["price_volume"].values[-2:], every["price_volume"].values[-2:])


def _in_order(data):
    """Inputs, labels and the days on which those are available, of training_data."""
    inputs, _, returns, ends = data
    return inputs, returns, ends
