"""Stocks whose rows a source no longer has: named by the run or the ingest that takes them out of the lake."""

import pyarrow as pa
import pytest

from mg_assets.cli.left_stocks import left_stocks
from mg_assets.lake.restatement import Replacement
from mg_assets.lake.store import Lake
from mg_assets.market.schema import SCHEMAS

DAYS = ("2023-02-01", "2023-02-02", "2023-02-03")
NUMBERS = ("seq", "close", "minute", "price")
STOCKS = [f"60000{i}.SH" for i in range(4)]


@pytest.fixture(params=["folder", "object store"])
def lake(request, tmp_path) -> Lake:
    return Lake(tmp_path if request.param == "folder" else f"memory://{tmp_path.name}")


def rows(table: str, stocks: list[str]) -> pa.Table:
    if table not in SCHEMAS:
        return pa.table({"symbol": stocks, "score": [0.5] * len(stocks)})
    ones = {f.name: pa.array([1] * len(stocks)).cast(f.type) for f in SCHEMAS[table] if f.name in NUMBERS}
    others = {f.name: pa.nulls(len(stocks), f.type) for f in SCHEMAS[table]}
    return pa.table(others | ones | {"symbol": pa.array(stocks)}, schema=SCHEMAS[table])


def build(lake: Lake, table: str, day: str, stocks: list[str], batch: str, **made_from) -> None:
    with Replacement(lake, table, day) as replaced:
        lake.write(table, day, rows(table, stocks), {"recipe": "1", **made_from})
        replaced.record(batch)


@pytest.mark.parametrize("table", ["daily_bars", "trades", "minute_bars"])
def test_a_stock_whose_file_is_gone_is_named(lake, table):
    for number, day in enumerate(DAYS):
        build(lake, table, day, STOCKS, "first", source={table: f"{number}"})
    assert left_stocks(lake, "first") == []
    for day in DAYS[1:]:
        build(lake, table, day, STOCKS[:2] + STOCKS[3:], "second", source={table: "less"})
    head, line, remedy = left_stocks(lake, "second")
    assert line == f"  {table}: 1 stock (600002.SH), 2 days, 2023-02-02 to 2023-02-03"
    assert "no longer has" in head
    assert f"mg diff --rebuilt {table} " in remedy
    assert left_stocks(lake, "third") == []


def test_what_follows_from_upstream_has_no_line(tmp_path):
    lake = Lake(tmp_path)
    for stocks, batch in ((STOCKS, "first"), (STOCKS[1:], "second")):
        build(lake, "minute_bars", DAYS[0], stocks, batch, inputs={"trades": batch})
        build(lake, "fused", DAYS[0], stocks, batch)
    assert left_stocks(lake, "second") == []
    (line,) = left_stocks(lake, "second", ["fused"])[1:-1]  # a signal of the user's own file
    assert line == "  fused: 1 stock (600000.SH), 1 day, 2023-02-01"


def test_many_stocks_are_counted(tmp_path):
    lake, many = Lake(tmp_path), [f"{600000 + i}.SH" for i in range(30)]
    build(lake, "daily_bars", DAYS[0], many, "first", source={"daily_bars": "1"})
    build(lake, "daily_bars", DAYS[0], many[:3], "second", source={"daily_bars": "2"})
    (line,) = left_stocks(lake, "second")[1:-1]
    assert line.startswith("  daily_bars: up to 27 stocks (600003.SH, 600004.SH,")
