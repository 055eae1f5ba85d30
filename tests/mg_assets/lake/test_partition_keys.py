"""Names of tables, partitions and files lead nowhere outside the lake."""

import datetime as dt

import pandas as pd
import pytest

from mg_assets.errors import DataError
from mg_assets.lake.partition_keys import as_key
from mg_assets.lake.store import Lake

FRAME = pd.DataFrame({"symbol": ["600000.SH"], "close": [1.0]})
OUTSIDE = ["../evil", "a/../../evil", "/evil", "..", ".", "", "a/b", "a\\b", "a\nb", "a\0b", "-a", ".writing"]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_leaves_its_folder(tmp_path, name):
    lake = Lake(tmp_path / "lake")
    lake.write("signal", "2023-01-03", FRAME)
    before = files(tmp_path)
    for act in (
        lambda: lake.write(name, "2023-01-03", FRAME),
        lambda: lake.write("signal", name, FRAME),
        lambda: lake.write_file("signal", "2023-01-03", name, b"evil"),
        lambda: lake.day(name, "2023-01-03"),
        lambda: lake.day("signal", name),
        lambda: lake.has("signal", name),
        lambda: lake.remove("signal", name),
        lambda: lake.record_check_failures("signal", name, ["x"]),
        lambda: lake.keys(name),
        lambda: lake.unchecked(name).read(),
        lambda: lake.unchecked("signal").write(name, {"2023-01-03": None}),
    ):
        with pytest.raises(DataError, match=r"were expected"):
            act()
    assert files(tmp_path) == before


def test_dates_and_half_years_are_keys():
    assert [as_key(d) for d in ("2023-01-31", dt.date(2023, 1, 31), "2023H1")] == ["2023-01-31", "2023-01-31", "2023H1"]
    with pytest.raises(DataError, match="like 2023-01-31, or a half-year like 2023H1"):
        as_key("2023-13-01")


def test_names_in_use_stay(tmp_path):
    lake = Lake(tmp_path)
    for table, key in (
        ("signal", "2023-01-03"),
        ("hf_gru_model", "2023H1"),
        ("portfolio_cells", "我的-1.5+x"),
        ("sheet", "all"),
    ):
        lake.write(table, key, FRAME)
        assert lake.keys(table) == [key]
