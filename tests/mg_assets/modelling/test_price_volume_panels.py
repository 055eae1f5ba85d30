"""The variants' input from the lake: adjusted bars in, the same features for a day alone as for all days."""

import numpy as np
import pandas as pd
import pytest

from mg_assets.lake.store import Lake
from mg_assets.modelling.panels import lookback, model_inputs, tables_of
from mg_assets.sources.simulated.exchange import SimulatedExchange
from mg_assets.sources.simulated.settings import SimulationSettings
from mg_models.catalog import get
from mg_models.data.price_volume import LOOK_BACK, price_volume_panel

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
