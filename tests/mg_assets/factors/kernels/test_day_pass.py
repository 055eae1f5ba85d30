"""The fused pass over Parquet files against the calls on frames and against the naive twin, whoever wrote the files."""

import json
from itertools import chain

import duckdb
import factors_twin as twin
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import random_ticks
import real_ticks as real
from hypothesis import given, settings
from hypothesis import strategies as st

from mg_assets.errors import DataError
from mg_assets.factors import ALL34, bars_from_trades, day_pass, intraday_factors
from mg_assets.factors.kernels.logarithm import logs_in_place
from mg_assets.factors.kernels.parent_orders import order_slots, scratch_size
from mg_assets.lake import parquet_layout as storage
from mg_assets.lake.store import Lake

DAY = "2023-02-01"


def in_order(frame):
    return frame.sort_values(["symbol", "seq"], kind="stable").reset_index(drop=True)


def by_lake(folder, **frames):
    """Paths of the tables as the lake writes them."""
    lake = Lake(folder)
    return {name: lake.write(name, DAY, frame) for name, frame in frames.items()}


def by_pyarrow(folder, rows=41, **frames):
    """Paths of the tables as another writer may cut them: everywhere but at stock ends."""
    paths = {}
    for name, frame in frames.items():
        paths[name] = str(folder / f"{name}.parquet")
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), paths[name], row_group_size=rows)
    return paths


def a_day(seed, stocks=3, most=400):
    trades, orders = (in_order(f) for f in random_ticks.random_day(seed, stocks, most))
    return {"trades": trades, "orders": orders, "minute_bars": bars_from_trades(trades, {"600000.SH": 9.9})}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("write", [by_lake, by_pyarrow])
def test_files_of_random_days_agree_with_the_twin(tmp_path, seed, write):
    day = a_day(seed)
    found = day_pass(**write(tmp_path, **day), threads=2).factors
    twin.agree(found, twin.all_factors(ALL34, day["trades"], day["orders"], day["minute_bars"]))


@pytest.mark.parametrize("absent", ["trades", "orders", "minute_bars"])
def test_a_table_without_rows_is_as_one_that_is_absent(tmp_path, absent):
    day = a_day(4)
    paths = by_lake(tmp_path, **day | {absent: day[absent].iloc[:0]})
    expected = intraday_factors(**{name: None if name == absent else frame for name, frame in day.items()})
    pd.testing.assert_frame_equal(day_pass(**paths).factors, expected, check_exact=True)
    pd.testing.assert_frame_equal(day_pass(**paths | {absent: None}).factors, expected, check_exact=True)


def test_no_tables():
    assert day_pass().factors.shape == (0, len(ALL34))
    assert day_pass(minutes=True).minutes.shape == (0, 10, 240)


def special_days():
    """Stocks of every awkward kind on one day, named for what they are."""

    def trade(symbol, time, seq, price=10.0, volume=100, buy=0, sell=0, side=0):
        return (symbol, time, seq, price, volume, buy, sell, side)

    rng = np.random.default_rng(1)
    trades, orders = [], []
    trades.append(trade("one.SH", "10:31:00.000", 1, buy=5, sell=4, side=1))
    for i in range(60):  # at the limit all day: one price, buy orders queue
        trades.append(
            trade("limit.SH", f"{10 + i // 60}:{i % 60:02d}:00.000", i, 11.0, 100 * (i % 7 + 1), 3, 100 + i, -1)
        )
        orders.append(("limit.SH", f"09:{30 + i // 2:02d}:30.000", i, i + 1, 1, 11.0, 100 * (i + 1), "limit"))
    for i, time in enumerate(["09:25:00.000"] * 20 + ["15:00:00.000"] * 20):
        trades.append(trade("auction.SH", time, i, 10 + (i >= 20) / 10, 100 * (i + 1), 1000 + i // 3, 2000 + i // 5, 1))
    for i in range(30):  # suspended: orders, and trades that do not count
        orders.append(("halted.SH", "09:20:00.000", i, i + 1, 1 - 2 * (i % 2), 10.0, 100 * (i + 1), "limit"))
    trades.append(trade("halted.SH", "09:26:00.000", 1, price=0.0))
    trades.append(trade("halted.SH", "15:20:00.000", 2, buy=7, sell=9))
    price = 10.0
    for i in range(3000):  # heavy, numbers of a busy channel: one buy order takes part in a third of all trades
        second = 34_200 + i * 4 if i < 1800 else 46_800 + (i - 1800) * 6
        clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{i % 1000:03d}"
        price = max(0.01, round(price + rng.integers(-1, 2) / 100, 2))
        buy = 777 if i % 3 == 0 else int(rng.integers(1, 30_000_000))
        volume = 100 * int(rng.integers(1, 50))
        trades.append(trade("heavy.SZ", clock, i, price, volume, buy, i * 9973, int(rng.choice([-1, 1]))))
    return in_order(random_ticks.trades_frame(trades)), in_order(random_ticks.orders_frame(orders))


def test_special_stocks_agree_with_the_twin(tmp_path):
    trades, orders = special_days()
    bars = bars_from_trades(trades)
    paths = by_lake(tmp_path, trades=trades, orders=orders, minute_bars=bars)
    found = day_pass(**paths).factors
    twin.agree(found, twin.all_factors(ALL34, trades, orders, bars))
    assert found.loc["halted.SH"].isna().all()
    assert np.isnan(found.loc["limit.SH", "corr_ret_lastret"])
    assert found.loc["auction.SH", "bigorder_amt_perc"] > 0
    assert found.loc["heavy.SZ", "bigorder_amt_perc"] > 1 / 6


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), rows=st.integers(1, 60), threads=st.integers(1, 3), statistics=st.booleans())
def test_any_cut_into_row_groups_gives_the_same_bits(tmp_path_factory, seed, rows, threads, statistics):
    day = a_day(seed, stocks=2, most=120)
    folder = tmp_path_factory.mktemp("cut")
    for name, frame in day.items():
        table = pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(table, folder / name, row_group_size=rows, write_statistics=statistics)
    found = day_pass(*(folder / name for name in day), threads=threads).factors
    expected = intraday_factors(**{name: frame if len(frame) else None for name, frame in day.items()})
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_rows_of_a_stock_that_are_not_in_sequence_are_sorted(tmp_path):
    day = a_day(5)
    mixed = day["trades"].sample(frac=1, random_state=2).sort_values("symbol", kind="stable")
    repeated = day["trades"]["seq"].duplicated(keep=False) & (day["trades"]["symbol"] == "600000.SH")
    assert repeated.any()  # rows of equal seq keep the order of the file
    pieces = [g.sort_index() for _, g in mixed.groupby(["symbol", "seq"], sort=False)]
    mixed = pd.concat(pieces).sort_values("symbol", kind="stable")
    expected = intraday_factors(day["trades"], None, None)
    for write in (by_lake, by_pyarrow):
        pd.testing.assert_frame_equal(day_pass(write(tmp_path, trades=mixed)["trades"]).factors, expected)


@pytest.mark.parametrize("writer", ["polars", "duckdb", "dictionary", "nanoseconds and int32"])
def test_files_of_other_programs(tmp_path, writer):
    day = a_day(3)
    paths = {name: str(tmp_path / f"{name}.parquet") for name in day}
    for name, frame in day.items():
        if writer == "polars":
            pl.from_pandas(frame).write_parquet(paths[name], row_group_size=64)
        elif writer == "duckdb":
            duckdb.sql(f"copy (select * from frame) to '{paths[name]}' (format parquet)")
        elif writer == "dictionary":
            frame.astype({"symbol": "category"}).to_parquet(paths[name], index=False, row_group_size=50)
        else:
            kinds = {"time": "datetime64[ns]"} if "time" in frame else {}
            frame.astype(kinds | {"volume": "int32"}).to_parquet(paths[name], index=False)
    pd.testing.assert_frame_equal(day_pass(**paths).factors, intraday_factors(**day), check_exact=True)


def test_what_opens_a_file_serves_as_its_path(tmp_path):
    day = a_day(3)
    paths = by_lake(tmp_path, **day)
    opened = {name: lambda path=path: open(path, "rb") for name, path in paths.items()}
    pd.testing.assert_frame_equal(day_pass(**opened).factors, day_pass(**paths).factors, check_exact=True)


def test_threads_and_thresholds(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "ROW_GROUP", 150)
    day = a_day(8, stocks=9, most=200)
    paths = by_lake(tmp_path, **day)
    assert pq.read_metadata(paths["trades"]).num_row_groups > 3
    for multiple in (0.0, 1.0, 2.5):
        expected = intraday_factors(**day, big_order_std=multiple)
        for threads in (1, 4):
            found = day_pass(**paths, big_order_std=multiple, threads=threads).factors
            pd.testing.assert_frame_equal(found, expected, check_exact=True)
            assert found.attrs == expected.attrs


def naive_minutes(trades):
    """Per stock and bar: what bought, what sold, and what big buy orders took net of big sell orders."""
    out = {}
    for symbol, rows in twin.session_trades(trades).items():
        logs = []
        big = {}
        for side in ("buy_order", "sell_order"):
            total = {}
            for t in rows:
                if t[side] > 0:
                    total[t[side]] = total.get(t[side], 0.0) + t["a"]
            logs += [np.log(x) for x in total.values()]
            big[side] = total
        line = np.mean(logs) + np.std(logs) + 1e-9 if logs else np.inf
        arrays = np.zeros((3, 240))
        for t in rows:
            if t["side"]:
                arrays[0 if t["side"] > 0 else 1, t["m"]] += t["a"]
            for sign, side in ((1, "buy_order"), (-1, "sell_order")):
                if t[side] > 0 and np.log(big[side][t[side]]) > line:
                    arrays[2, t["m"]] += sign * t["a"]
        out[symbol] = arrays
    return out


def test_minute_arrays_and_bars_of_the_same_pass(tmp_path):
    day = a_day(6)
    path = by_lake(tmp_path, trades=day["trades"])["trades"]
    found = day_pass(path, minutes=True)
    assert found.minutes.shape == (len(found.symbols), 10, 240)
    naive = naive_minutes(day["trades"])
    assert list(found.symbols) == sorted(naive)
    for s, symbol in enumerate(found.symbols):
        flows = [found.minute(name)[s] for name in ("active_buy", "active_sell", "big_net")]
        np.testing.assert_allclose(flows, naive[symbol], rtol=1e-9, atol=1e-6)
    assert (np.isnan(found.minute("open")) == (found.minute("num_trades") == 0)).all()
    for prev_close in (None, {"600000.SH": 9.9}):
        bars = found.minute_bars(prev_close).to_pandas()
        expected = bars_from_trades(day["trades"], prev_close)
        pd.testing.assert_frame_equal(bars, expected, check_exact=True)
    assert day_pass(path).minutes.shape == (0, 10, 240)


def test_previous_close_beside_the_bars(tmp_path):
    late = a_day(4)["minute_bars"].query("minute > 100").assign(prev_close=9.7)
    path = by_pyarrow(tmp_path, minute_bars=late)["minute_bars"]
    pd.testing.assert_frame_equal(day_pass(minute_bars=path).factors, intraday_factors(None, None, late))


@pytest.mark.parametrize(("folder", "symbol", "date", "prev_close"), real.DAYS)
def test_real_days(tmp_path, shared_data, folder, symbol, date, prev_close):
    trades, orders = real.tables(shared_data, folder, date)
    day = {"trades": in_order(trades), "minute_bars": bars_from_trades(trades, {trades["symbol"].iloc[0]: prev_close})}
    if orders is not None:
        day["orders"] = in_order(orders)
    expected = intraday_factors(trades, day.get("orders"), day["minute_bars"])
    for write in (by_lake, lambda f, **d: by_pyarrow(f, rows=9999, **d)):
        found = day_pass(**write(tmp_path, **day)).factors
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_memory_is_bounded_by_row_groups_not_by_the_day(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "ROW_GROUP", 1 << 15)
    trades = a_day(0, stocks=1, most=2000)["trades"].head(1)
    n = 10_000
    one = pd.concat([trades] * n, ignore_index=True).assign(seq=np.arange(n))
    pool, before = pa.system_memory_pool(), pa.default_memory_pool()
    peaks = []
    for stocks in (15, 90):
        many = pd.concat([one.assign(symbol=f"{600000 + s}.SH") for s in range(stocks)], ignore_index=True)
        path = by_lake(tmp_path, trades=many)["trades"]
        start, peak = pool.bytes_allocated(), 0
        original = storage.pq.ParquetFile.read_row_group

        def watched(*args, _read=original, **kwargs):
            nonlocal peak
            rows = _read(*args, **kwargs)
            peak = max(peak, pool.bytes_allocated() - start)  # noqa: B023
            return rows

        pa.set_memory_pool(pool)
        try:
            monkeypatch.setattr(storage.pq.ParquetFile, "read_row_group", watched)
            day_pass(path, threads=1)
        finally:
            monkeypatch.setattr(storage.pq.ParquetFile, "read_row_group", original)
            pa.set_memory_pool(before)
        peaks.append(peak)
    assert 0 < peaks[1] < 1.6 * peaks[0]


# Errors


def test_errors_name_file_stock_column_and_remedy(tmp_path):
    day = a_day(4)
    trades, orders, bars = day["trades"], day["orders"], day["minute_bars"]

    def written(frame, name="t.parquet"):
        frame.to_parquet(tmp_path / name, index=False, row_group_size=50)
        return str(tmp_path / name)

    with pytest.raises(DataError, match=r"'trades' in .*t.parquet.*\['side'\].*lake's columns"):
        day_pass(written(trades.drop(columns="side")))
    with pytest.raises(DataError, match=r"rows of 60000\d.SH are not contiguous; sort the file by symbol, seq"):
        day_pass(written(pd.concat([trades, trades])))
    with pytest.raises(DataError, match=r"rows have no symbol"):
        day_pass(written(trades.assign(symbol=trades["symbol"].where(trades.index != 3))))
    with pytest.raises(DataError, match=r"rows have no time"):
        day_pass(written(trades.assign(time=trades["time"].where(trades.index != 3))))
    with pytest.raises(DataError, match=r"'time' was timestamp.*UTC"):
        day_pass(written(trades.assign(time=trades["time"].dt.tz_localize("UTC"))))
    with pytest.raises(DataError, match=r"column 'price' was (large_)?string, expected double"):
        day_pass(written(trades.assign(price="ten")))
    odd = orders.assign(kind=orders["kind"].where(orders.index != 7, "iceberg"))
    with pytest.raises(DataError, match=rf"{odd['symbol'][7]} has an order of kind 'iceberg', expected one of"):
        day_pass(None, written(odd))
    twice = pd.concat([bars, bars.iloc[[245]]]).sort_values("symbol", kind="stable")
    with pytest.raises(DataError, match=rf"'minute_bars' in .*{bars['symbol'][245]} has minute 5 twice"):
        day_pass(minute_bars=written(twice))


def test_nulls_in_numbers_count_as_in_frames(tmp_path):
    day = a_day(6)
    trades = day["trades"].astype({"volume": "Int64", "buy_order": "Int64", "side": "Int8"})
    for at, column in ((5, "volume"), (6, "buy_order"), (7, "side"), (8, "price")):
        trades.loc[at, column] = None
    path = by_pyarrow(tmp_path, trades=trades)["trades"]
    pd.testing.assert_frame_equal(day_pass(path).factors, intraday_factors(trades, None, None))


# Kernels


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_slots_distinguish_order_ids_of_any_spread(data):
    top = data.draw(st.sampled_from([3, 64, 65, 5000, 40_000_000, 2**40, 2**62]))
    base = data.draw(st.sampled_from([0, 1, 10**9]))
    numbers = np.array(data.draw(st.lists(st.integers(-2, top), max_size=80)), np.int64)
    numbers = np.where(numbers > 0, numbers + base, numbers)
    n = len(numbers)
    slots = np.empty(n, np.uint32)
    size = scratch_size(n)
    count = order_slots(numbers, slots, np.full(size, 2**64 - 1, np.uint64), np.full(size, 2**32 - 1, np.uint32))
    kept = numbers > 0
    assert count == len(np.unique(numbers[kept])) + 1
    assert (slots[~kept] == 0).all()
    pairs = set(zip(numbers[kept].tolist(), slots[kept].tolist(), strict=True))
    assert len(pairs) == count - 1
    assert {slot for _, slot in pairs} == set(range(1, count))


def test_logarithms_are_those_of_the_library():
    x = np.exp(np.random.default_rng(0).uniform(-300, 300, 200_000))
    x = np.concatenate([x, 1 + np.linspace(-1e-6, 1e-6, 1001), [1.0, 2.0, 0.5, 1e12]])
    found = x.copy()
    logs_in_place(found)
    np.testing.assert_allclose(found, np.log(x), rtol=4e-16, atol=1e-300)
    none = np.array([0.0, -1.0, np.nan])
    logs_in_place(none)
    assert (none == -np.inf).all()


# Layout


def layout_day(monkeypatch, tmp_path, rows=100):
    monkeypatch.setattr(storage, "ROW_GROUP", rows)
    day = a_day(8, stocks=9, most=200)
    return day, by_lake(tmp_path, trades=day["trades"], orders=day["orders"])


def test_row_groups_end_where_stocks_end(monkeypatch, tmp_path):
    day, paths = layout_day(monkeypatch, tmp_path)
    for name, path in paths.items():
        file = pq.ParquetFile(path)
        groups = [file.read_row_group(g, columns=["symbol"])["symbol"].to_pylist() for g in range(file.num_row_groups)]
        assert list(chain.from_iterable(groups)) == day[name]["symbol"].tolist()
        stocks = [set(g) for g in groups]
        assert len(groups) > 2
        assert sum(map(len, stocks)) == day[name]["symbol"].nunique()
        assert all(len(g) <= 100 or len(s) == 1 for g, s in zip(groups, stocks, strict=True))
        stated = storage.stocks_of(file.metadata)
        assert [np.repeat(names, np.diff(at)).tolist() for names, at in stated] == groups


def test_other_engines_read_the_ticks_as_they_are(monkeypatch, tmp_path):
    day, paths = layout_day(monkeypatch, tmp_path)
    for name, path in paths.items():
        expected = day[name]
        text = {"symbol": "str", **({"kind": "str"} if name == "orders" else {})}
        read = {
            "pandas": pd.read_parquet(path),
            "polars": pl.read_parquet(path).to_pandas(),
            "duckdb": duckdb.sql(f"select * from read_parquet('{path}', hive_partitioning=false)").df(),
            "lake": Lake(tmp_path).day(name, DAY),
        }
        for engine, frame in read.items():
            frame = frame.astype({**text, "time": "datetime64[ms]"})
            pd.testing.assert_frame_equal(frame, expected, check_dtype=False, obj=f"{name} by {engine}")


def test_a_copied_symbol_index_is_ignored_in_a_rewritten_file(monkeypatch, tmp_path):
    day, paths = layout_day(monkeypatch, tmp_path, rows=1 << 18)
    table = pq.read_table(paths["trades"])
    assert storage.STOCKS.encode() in (table.schema.metadata or pq.read_metadata(paths["trades"]).metadata)
    backwards = table.sort_by([("symbol", "descending"), ("seq", "ascending")])
    kept = {storage.STOCKS: json.dumps([[[s, int(n)] for s, n in day["trades"].groupby("symbol").size().items()]])}
    pq.write_table(backwards.replace_schema_metadata(kept), tmp_path / "again.parquet")
    assert storage.stocks_of(pq.read_metadata(tmp_path / "again.parquet")) is None
    found = day_pass(tmp_path / "again.parquet").factors
    pd.testing.assert_frame_equal(found, intraday_factors(day["trades"], None, None))


def test_only_sorted_rows_are_stated_to_be(tmp_path):
    trades = a_day(3)["trades"]
    lake = Lake(tmp_path)
    for frame, stated in (
        (trades, True),
        (trades[::-1], False),
        (trades.sort_values("seq"), False),
        (trades[:1], True),
    ):
        metadata = pq.read_metadata(lake.write("trades", DAY, frame))
        assert storage.states_order(metadata) == stated
        assert (storage.stocks_of(metadata) is not None) == stated


def test_days_with_and_without_nulls_read_as_one(tmp_path):
    trades = a_day(3)["trades"]
    lake = Lake(tmp_path)
    lake.write("trades", "2023-02-01", trades)
    lake.write("trades", "2023-02-02", trades.assign(price=trades["price"].where(trades.index > 3)))
    assert not pq.read_schema(lake.path("trades", "2023-02-01")).field("price").nullable
    assert pq.read_schema(lake.path("trades", "2023-02-02")).field("price").nullable
    read = lake.read("trades", ["2023-02-01", "2023-02-02"])
    assert len(read) == 2 * len(trades)
    assert read["price"].isna().sum() == 4
    files = f"{tmp_path}/trades/*/part.parquet"
    assert duckdb.sql(f"select count(price) from read_parquet('{files}')").fetchall()[0][0] == 2 * len(trades) - 4
    assert pl.scan_parquet(files).select(pl.col("price").null_count()).collect().item() == 4
    assert pd.read_parquet(f"{tmp_path}/trades")["price"].isna().sum() == 4
