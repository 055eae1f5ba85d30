"""The date that an index's weights were published for goes with the reference into the lake."""

import datetime as dt

import numpy as np
import pytest

from mg_assets.assets import ASSET_OF
from mg_assets.lake.store import Lake
from mg_assets.market.calendar import trading_days
from mg_assets.orchestration.partition_build import Build
from mg_assets.sources import build_source
from mg_assets.sources.composite import CompositeSource
from mg_assets.sources.daily.history import DailyHistory
from mg_assets.sources.daily.members import IndexWeights
from mg_assets.sources.daily.panel import build_panel
from mg_assets.sources.daily.vetting import DailyRows

DAYS = trading_days("2023-01-03", "2023-02-10")
AXIS = np.array(["000001.SZ", "600000.SH"], object)


class Source:
    """A history as a source."""

    def __init__(self, name, weights):
        symbol, date = (a.ravel() for a in np.broadcast_arrays(np.arange(2), DAYS[:, None]))
        columns = dict.fromkeys(("open", "high", "low", "close"), np.full(len(date), 10.0))
        columns["volume"] = np.full(len(date), 1e5)
        self.history = DailyHistory(
            build_panel(DailyRows(AXIS, symbol.astype(np.int32), date, columns)), {}, {}, weights
        )
        self.name = name

    def has(self, table, day):
        return table == "reference" and self.history.has(np.datetime64(day))

    def load(self, table, day):
        return self.history.load(table, np.datetime64(day), self.name)


def weights_of(*dates):
    symbol, weight = np.tile([0, 1], len(dates)), np.tile([0.4, 0.6], len(dates))
    return IndexWeights(np.array(dates, "datetime64[D]"), np.arange(0, 2 * len(dates) + 1, 2), symbol, weight)


def said(source, day):
    (part,) = ASSET_OF["reference"].make(Build([day], Lake("/nowhere"), lambda: source, 1, lambda: "cpu", print))
    return part.stored.get("index_weights_of")


CSI300 = Source("one", {"csi300": weights_of("2023-01-05", "2023-01-31")})
CSI500 = Source("other", {"csi500": weights_of("2022-12-30"), "csi300": weights_of("2022-06-30")})


@pytest.mark.parametrize(
    ("source", "day", "expected"),
    [
        (CSI300, "2023-01-04", {}),
        (CSI300, "2023-01-30", {"csi300": "2023-01-05"}),
        (CSI300, "2023-01-31", {"csi300": "2023-01-31"}),
        (CompositeSource([CSI300, CSI500]), "2023-01-30", {"csi300": "2023-01-05", "csi500": "2022-12-30"}),
        (CompositeSource([CSI300, CSI500]), "2023-01-04", {"csi300": "2022-06-30", "csi500": "2022-12-30"}),
        (CompositeSource([CSI300]), "2023-01-30", {"csi300": "2023-01-05"}),
    ],
)
def test_the_date_of_the_weights_is_stored(source, day, expected):
    assert said(source, day) == expected


def test_simulated_weights_are_of_the_day():
    source = build_source("simulated", {"stocks": 40, "tick_start": "2030-01-01"})
    found = source.load("reference", dt.date(2023, 1, 30)).notes["index_weights_of"]
    assert found == dict.fromkeys(("csi300", "csi500", "csi1000"), "2023-01-30")
