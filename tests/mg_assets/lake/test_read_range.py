"""A table by date range, into pandas, Polars or Arrow."""

import datetime as dt

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mg_assets.errors import DataError
from mg_assets.lake.store import Lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("range"))
    for k, day in enumerate(("2023-01-03", "2023-01-04", "2023-01-06")):
        lake.write("scores", day, pd.DataFrame({"symbol": ["600000.SH", "000001.SZ"], "v": [k, k + 0.5], "w": [1, 2]}))
    lake.write("certificates", "2023H1", pd.DataFrame({"v": [1.0]}))
    return lake


@pytest.mark.parametrize("start", ["2023-01-04", "20230104", dt.date(2023, 1, 4), pd.Timestamp("2023-01-04 15:00")])
def test_a_range_is_read_into_each_library(lake, start):
    frame = lake.read_range("scores", start, "2023-01-31", columns=["v"])
    assert list(frame.columns) == ["date", "symbol", "v"]
    assert frame["date"].dt.strftime("%Y-%m-%d").tolist() == ["2023-01-04"] * 2 + ["2023-01-06"] * 2
    assert frame["v"].tolist() == [1.0, 1.5, 2.0, 2.5]
    table = lake.read_range("scores", start, "2023-01-31", ["v"], into="arrow")
    assert isinstance(table, pa.Table)
    assert table.schema.field("date").type == pa.date32()
    polars = lake.read_range("scores", start, "2023-01-31", ["v"], into="polars")
    assert polars["date"].dtype == pl.Date
    assert polars["v"].to_list() == frame["v"].tolist()


@pytest.mark.parametrize("columns", ["v", ["date", "symbol", "v"], ["v", "date", "v"]])
def test_a_columns_name_alone_and_the_key_are_taken(lake, columns):
    frame = lake.read_range("scores", "2023-01-01", "2023-01-31", columns)
    pd.testing.assert_frame_equal(frame, lake.read_range("scores", "2023-01-01", "2023-01-31")[["date", "symbol", "v"]])


def test_half_years_are_read_by_their_name(lake):
    assert lake.read_range("certificates", "2022H2", "2023H2")["period"].tolist() == ["2023H1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("scores", "2024-01-01", "2024-02-01"),
            "from 2024-01-01 to 2024-02-01: it has 3 from 2023-01-03 to 2023-01-06",
        ),
        (("score", "2023-01-01", "2023-02-01"), "the lake has none of it"),
        (("scores", "soon", "2023-02-01"), "start or end had .soon., expected dates, like 2023-01-31"),
        (("scores", "2023-01-01", "2023-02-01", ["x"]), "has no column 'x'; it has date, symbol, v, w"),
        (("scores", "2023-01-01", "2023-02-01", None, "dask"), "into was 'dask', expected pandas, polars or arrow"),
    ],
)
def test_what_cannot_be_read_is_named(lake, arguments, message):
    with pytest.raises(DataError, match=message) as raised:
        lake.read_range(*arguments)
    assert "\n" not in str(raised.value)
