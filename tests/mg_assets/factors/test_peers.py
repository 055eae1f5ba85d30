"""The benchmark's contestants make the same 34 factors, and its comparison reports one that does not."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from mg_assets.factors import ALL34, bars_from_trades, intraday_factors
from mg_assets.lake.store import Lake
from mg_assets.sources.simulated.exchange import SimulatedExchange
from mg_assets.sources.simulated.settings import SimulationSettings

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def bench():
    """Modules of the benchmarks folder."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        names = ("contestant", "floor", "fused", "market", "report")
        found = {name: importlib.import_module(f"peers.{name}") for name in names}
        yield SimpleNamespace(factors=importlib.import_module("factors"), **found)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def day(bench, tmp_path_factory):
    """Files of a small day, and the frames that they were written from."""
    market = bench.market
    trades, orders = market.one_set(rows=30_000, orders_per_stock=1_500)
    tables, stocks = market.repeated(trades, orders, 2)
    folder = tmp_path_factory.mktemp("peers")
    for name, rows in tables.items():
        Lake(folder).write(name, str(market.DAY), rows)
    return bench.contestant.paths_of(folder), folder, stocks, (trades, orders)


def saved(bench, module, paths, path):
    bench.contestant.save(module.factors(paths), str(path))
    return path


@pytest.mark.parametrize("name", ["polars_day", "duckdb_day", "pandas_day"])
def test_a_peer_agrees_with_the_fused_pass(bench, day, name):
    pytest.importorskip(name.removesuffix("_day"))
    paths, folder, stocks, _ = day
    ours = saved(bench, bench.fused, paths, folder / "ours.parquet")
    theirs = saved(bench, importlib.import_module(f"peers.{name}"), paths, folder / f"{name}.parquet")
    assert bench.factors.compare(ours, theirs, name) <= 1
    assert pq.read_metadata(theirs).num_rows == stocks


def test_polars_in_batches_equals_polars_at_once(bench, day):
    pytest.importorskip("polars")
    polars_day = importlib.import_module("peers.polars_day")
    paths, *_ = day
    batches, whole = polars_day.factors(paths, batch=7), polars_day.whole(paths)
    assert set(batches["symbol"]) == set(whole["symbol"])
    x, y = (f.sort("symbol").select(ALL34).to_numpy().astype(float) for f in (batches, whole))
    np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("change", ["value", "nan", "stock"])
def test_the_comparison_reports_one_wrong_value(bench, day, change):
    paths, folder, *_ = day
    ours = saved(bench, bench.fused, paths, folder / "ours.parquet")
    wrong = pd.read_parquet(ours)
    if change == "stock":
        wrong = wrong.iloc[1:]
    else:
        wrong.loc[3, "bigorder_ret2"] = (
            np.nan if change == "nan" else wrong.loc[3, "bigorder_ret2"] * (1 + 2e-9) + 3e-12
        )
    wrong.to_parquet(folder / "wrong.parquet")
    with pytest.raises(SystemExit, match=r"bigorder_ret2|stocks"):
        bench.factors.compare(ours, folder / "wrong.parquet", "changed")


def test_spreading_the_numbers_changes_no_factor(bench, day):
    market = bench.market
    *_, (trades, _) = day
    exchange = SimulatedExchange(
        SimulationSettings(
            stocks=26, start="2023-01-03", end=market.DAY, orders_per_stock=1_500, listed_at_start=1.0
        )
    )  # fmt: skip
    raw = [exchange.load(t, market.DAY).frame for t in ("trades", "orders")]
    raw = [f[f["symbol"].isin(set(trades["symbol"]))] for f in raw]
    before, after = (
        intraday_factors(t, o, bars_from_trades(t)) for t, o in (raw, market.spread_numbers(*raw))
    )  # fmt: skip
    pd.testing.assert_frame_equal(before, after, check_exact=True)
    numbers = market.spread_numbers(*raw)[0].groupby("symbol")["buy_order"]
    assert ((numbers.max() - numbers.min()) > 50 * numbers.nunique()).all()


def test_the_floor_reads_every_row_and_column_of_the_pass(bench, day):

    paths, *_ = day
    from mg_assets.factors.kernels import day_pass

    floor = bench.floor
    assert floor.read(paths) == sum(pq.read_metadata(p).num_rows for p in paths.values())
    for table, needed in (("trades", day_pass._TRADES), ("orders", day_pass._ORDERS), ("minute_bars", day_pass._BARS)):
        assert set(floor.COLUMNS[table]) == {"symbol", *needed}


def test_a_page_is_changed_between_its_marks_only(bench, tmp_path):
    put = bench.report.put
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- /a -->\nafter\n")
    put(page, "a", "new")
    put(page, "a", "newer")
    assert page.read_text() == "before\n<!-- a -->\nnewer\n<!-- /a -->\nafter\n"
    with pytest.raises(ValueError, match="b"):
        put(page, "b", "new")
