"""The composite source: the first that has a table, filled from later ones."""

import datetime as dt
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from mg_assets.errors import SourceError
from mg_assets.sources import build_source
from mg_assets.sources.base import SourceDay
from mg_assets.sources.composite import CompositeSource

DAY = dt.date(2020, 1, 2)


@dataclass
class Fixed:
    """A source with given frames."""

    name: str
    frames: dict[str, pd.DataFrame]
    absent: list[str] = field(default_factory=list)

    def days(self):
        return np.array([DAY], "datetime64[D]")

    def has(self, table, day):
        return table in self.frames and day == DAY

    def load(self, table, day):
        return SourceDay(self.frames[table], notes={"absent_columns": self.absent})

    def fingerprint(self, table, day):
        return f"{self.name}-{table}"


def test_composite_takes_the_first_and_fills_the_reference():
    first = Fixed(
        "a",
        {
            "reference": pd.DataFrame(
                {
                    "symbol": ["000001.SZ", "600000.SH"],
                    "pb": [1.0, np.nan],
                    "st": [False, False],
                    "industry": pd.Series([None, "x"], dtype="str"),
                }
            )
        },
        absent=["st"],
    )  # fmt: skip
    later = Fixed(
        "b",
        {
            "reference": pd.DataFrame(
                {
                    "symbol": ["600000.SH", "000001.SZ", "600001.SH"],
                    "pb": [2.0, 9.0, 3.0],
                    "st": [True, False, True],
                    "industry": ["y", "z", "w"],
                }
            ),
            "trades": pd.DataFrame({"symbol": ["b"]}),
        },
    )  # fmt: skip
    both = CompositeSource([first, later])
    loaded = both.load("reference", DAY)
    assert loaded.frame.symbol.tolist() == ["000001.SZ", "600000.SH"]
    assert loaded.frame.pb.tolist() == [1.0, 2.0]
    assert loaded.frame.st.tolist() == [False, True]
    assert loaded.frame.st.dtype == bool
    assert loaded.frame.industry.tolist() == ["z", "x"]
    assert loaded.notes["filled_from"] == {"b": ["industry", "pb", "st"]}
    assert loaded.notes["absent_columns"] == []
    assert both.load("trades", DAY).notes["source"] == "b"
    assert both.fingerprint("trades", DAY) != both.fingerprint("reference", DAY)
    assert first.frames["reference"].pb.isna().sum() == 1  # the source's own frame is left as it was
    assert not both.has("orders", DAY)
    with pytest.raises(SourceError, match=r"\['a', 'b'\] has orders"):
        both.load("orders", DAY)


def test_composite_of_real_panel_and_vendor(shared_data):
    source = build_source(
        "composite",
        {
            "sources": [
                {"kind": "mapped", "config": "csi800_ever", "root": shared_data},
                {"kind": "mapped", "config": "baostock", "root": shared_data / "daily_baostock_300_2020_2023"},
                {"kind": "tonglian", "root": shared_data, "files": "level2_by_stock"},
            ]
        },
    )
    day = dt.date(2023, 2, 1)
    assert all(source.has(t, day) for t in ("daily_bars", "reference", "trades", "orders"))
    loaded = source.load("reference", day)
    frame = loaded.frame.set_index("symbol")
    assert set(loaded.notes["filled_from"]["baostock"]) >= {"pb", "pe_ttm", "float_shares", "st"}
    assert frame.csi300_weight.sum() == pytest.approx(1)
    assert frame.pb.notna().sum() > 200
    assert frame.csi300_member.dtype == bool


def test_a_stock_has_the_name_that_the_first_source_gives():
    first, later, silent = (Fixed(name, {}) for name in "abc")
    first.stock_names = lambda: {"600000.SH": "浦发银行"}
    later.stock_names = lambda: {"600000.SH": "浦发", "000001.SZ": "平安银行"}
    assert CompositeSource([first, silent, later]).stock_names() == {"600000.SH": "浦发银行", "000001.SZ": "平安银行"}
