"""Order book replay: against the exchange's own book, a naive twin, real days, and data with holes."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import replay_twin as twin

from mg_assets.errors import DataError
from mg_assets.lake.store import SEALED_FILE, Lake
from mg_assets.market.schema import ORDERS, SNAPSHOTS, TRADES
from mg_assets.replay.agreement import around, order_book, replay, replay_day
from mg_assets.replay.book import FAULTS
from mg_assets.replay.stock import Alignment
from mg_assets.sources import build_source
from mg_assets.sources.level2.tonglian import TonglianSource
from mg_assets.sources.simulated.export import export_tonglian

PREVIOUS, exact_snapshots, naive_books, simulated_day = (
    twin.PREVIOUS, twin.exact_snapshots, twin.naive_books, twin.simulated_day,
)  # fmt: skip

DAY, MERGED = dt.date(2023, 2, 1), dt.date(2023, 11, 27)
CLOSES = dict.fromkeys(("000001.SZ", "000002.SZ", "600000.SH", "600001.SH"), PREVIOUS / 100)


@pytest.fixture(scope="module")
def market():
    orders, trades = simulated_day(DAY)
    return orders, trades, exact_snapshots(orders, trades)


def differing(day):
    """Rows of the agreement table that are not whole."""
    table = day.agreement()
    assert (table["compared"] > 0).all()
    return table[table["differ"] > 0]


def without(frame, rows, share=0.01, seed=0):
    """The frame without a share of the given rows."""
    rng = np.random.default_rng(seed)
    at = np.flatnonzero(rows)
    return frame.drop(frame.index[rng.choice(at, max(int(share * len(at)), 1), replace=False)])


# ------------------------------------------------------------------ the simulated exchange's own book


def test_every_snapshot_of_the_exchange_agrees(market):
    day = replay(*market, CLOSES)
    assert differing(day).empty
    stocks = day.by_stock()
    assert stocks["symbol"].tolist() == list(CLOSES)
    assert (stocks["snapshots"] > 1000).all()
    assert stocks[[*FAULTS, "backwards", "no_state"]].to_numpy().sum() == 0
    phases = set(day.agreement()["phase"])
    assert {"opening call", "before open", "continuous", "closing call", "closed"} <= phases


@pytest.mark.parametrize("date", [DAY, MERGED])
def test_both_exchanges_publication_rules(market, tmp_path, date):
    """Shanghai's remainders and Shenzhen's cancels among the trades, through the vendor's files and back."""
    orders, trades = simulated_day(date)
    export_tonglian(orders, trades, date, tmp_path)
    source = TonglianSource(tmp_path)
    read = [source.load(t, date).frame for t in ("orders", "trades")]
    day = replay(*read, exact_snapshots(orders, trades), CLOSES)
    assert differing(day).empty
    assert day.by_stock()[list(FAULTS)].to_numpy().sum() == 0


def test_a_day_alone_stocks_alone_and_no_future(market):
    whole = replay(*market, CLOSES)
    for stock in whole.stocks:
        alone = replay(*(f[f["symbol"] == stock.symbol] for f in market), CLOSES).stocks[0]
        for name in ("aligned", "fixed", "event", "offered", "found", "faults"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(stock, name))
    noon = pd.Timestamp("2023-02-01 12:00")
    morning = replay(*(f[f["time"] < noon] for f in market), CLOSES)
    for stock, full in zip(morning.stocks, whole.stocks, strict=True):
        size = len(stock.time)
        assert size > 500
        np.testing.assert_array_equal(stock.event, full.event[:size])
        np.testing.assert_array_equal(stock.found, full.found[:size])


# ------------------------------------------------------------------ a naive twin


@pytest.mark.parametrize("symbol", ["000001.SZ", "600000.SH"])
def test_ladders_equal_the_naive_twin(market, symbol):
    orders, trades = (f[f["symbol"] == symbol] for f in market[:2])
    books = naive_books(orders, trades)
    times = np.array([b[0] for b in books])
    rng = np.random.default_rng(3)
    for at in rng.choice(np.flatnonzero(np.r_[times[1:] != times[:-1], False]), 60, replace=False):
        _, bids, asks, shown = books[at]
        assert shown  # an order and its trades share a moment
        found = order_book(orders, trades, symbol, (times[at] + pd.Timedelta(1, "ms")).time())
        for side, levels in (("bid", sorted(bids.items(), reverse=True)), ("ask", sorted(asks.items()))):
            count = min(10, len(levels))
            np.testing.assert_allclose(found[f"{side}_price"][:count], [p for p, _ in levels[:10]], rtol=0, atol=1e-9)
            np.testing.assert_array_equal(found[f"{side}_volume"][:count], [v for _, v in levels[:10]])
            assert found[f"{side}_price"][count:].isna().all()


# ------------------------------------------------------------------ rules, one at a time


def frames(orders, trades=()):
    """Small tables: (ms after 10:00, seq, id, side, price, volume, kind), (ms, seq, price, volume, buy, sell, side)."""
    start = pd.Timestamp("2023-02-01 10:00")
    o = pd.DataFrame(list(orders), columns=["time", "seq", "order_id", "side", "price", "volume", "kind"])
    t = pd.DataFrame(list(trades), columns=["time", "seq", "price", "volume", "buy_order", "sell_order", "side"])
    out = []
    for frame, schema in ((o, ORDERS), (t, TRADES)):
        frame["time"] = pd.to_datetime(start + pd.to_timedelta(frame["time"], unit="ms")).astype("datetime64[ms]")
        frame.insert(0, "symbol", "000001.SZ")
        frame["price"] = frame["price"].astype(float)
        out.append(frame[schema.names])
    return out


def top(orders, trades=(), time="10:30:00"):
    book = order_book(*frames(orders, trades), "000001.SZ", time)
    return {
        side: [(p, v) for p, v in zip(book[f"{side}_price"], book[f"{side}_volume"], strict=True) if v]
        for side in ("bid", "ask")
    }


ASKS = [(0, 1, 1, -1, 10.01, 300, "limit"), (0, 2, 2, -1, 10.02, 500, "limit")]
BUY = (10, 5, 3, 1, 10.02, 1000, "limit")
HITS = [(10, 5, 10.01, 300, 3, 1, 1), (10, 6, 10.02, 500, 3, 2, 1)]


def test_an_aggressive_order_rests_with_what_is_left():
    assert top([*ASKS, BUY], HITS) == {"bid": [(10.02, 200)], "ask": []}


def test_an_order_comes_before_the_trade_that_shares_its_number():
    assert top([*ASKS, BUY], HITS[:1]) == {"bid": [(10.02, 700)], "ask": [(10.02, 500)]}  # crossed: a trade lacks
    day = replay(*frames([*ASKS, BUY], HITS[:1]))
    assert day.by_stock()["crossed_states"].iloc[0] == 1


@pytest.mark.parametrize("gap", [False, True])
def test_a_market_orders_rest_stands_at_its_last_trade(gap):
    market = (10, 5, 3, 1, np.nan, 500, "market")
    later = [(11, 6, 9, 1, 9.0, 100, "limit")] if gap else []  # another order before its trade
    trade = [(12, 7, 10.01, 300, 3, 1, 1)]
    bids = [(10.01, 200), *[(9.0, 100)] * gap]
    assert top([*ASKS, market, *later], trade) == {"bid": bids, "ask": [(10.02, 500)]}
    killed = (12, 8, 3, 1, np.nan, 200, "cancel")
    assert top([*ASKS, market, *later, killed], trade) == {"bid": [(9.0, 100)] * gap, "ask": [(10.02, 500)]}


def test_an_own_best_order_joins_its_side():
    own = (5, 3, 4, -1, np.nan, 700, "own_best")
    assert top([*ASKS, own])["ask"] == [(10.01, 1000), (10.02, 500)]
    lonely = (5, 3, 4, 1, np.nan, 700, "own_best")
    assert top([*ASKS, lonely])["bid"] == []
    assert replay(*frames([*ASKS, lonely])).by_stock()["orders_without_a_price"].iloc[0] == 1


def test_cancels_take_part_or_all():
    part, rest = (5, 3, 2, -1, 10.02, 200, "cancel"), (6, 4, 2, -1, 10.02, 300, "cancel")
    assert top([*ASKS, part])["ask"] == [(10.01, 300), (10.02, 300)]
    assert top([*ASKS, part, rest])["ask"] == [(10.01, 300)]
    assert top([*ASKS, part, rest], time="10:00:00.006")["ask"] == [(10.01, 300), (10.02, 300)]


@pytest.mark.parametrize(
    ("fault", "orders", "trades"),
    [
        ("cancels_of_unknown_orders", [(5, 3, 7, -1, 10.02, 200, "cancel")], []),
        ("cancels_beyond_the_rest", [(5, 3, 2, -1, 10.02, 600, "cancel")], []),
        ("trades_of_unknown_orders", [], [(5, 3, 10.01, 100, 8, 1, 1)]),
        ("trades_beyond_the_rest", [(5, 3, 3, 1, 10.01, 400, "limit")], [(5, 3, 10.01, 400, 3, 1, 1)]),
        ("order_numbers_repeated", [(5, 3, 2, -1, 10.02, 500, "limit")], []),
    ],
)
def test_faults_are_counted_one_by_one(fault, orders, trades):
    found = replay(*frames([*ASKS, *orders], trades)).by_stock()[list(FAULTS)].iloc[0]
    assert found[found > 0].to_dict() == {fault: 1}


def test_errors_name_the_place_and_the_remedy(market):
    orders, trades, shown = market
    with pytest.raises(DataError, match=r"orders lack the columns \['kind'\]"):
        replay(orders.drop(columns="kind"), trades)
    with pytest.raises(DataError, match=r"orders of 000001.SZ do not ascend by seq; sort"):
        replay(orders.iloc[::-1].sort_values("symbol", kind="stable"), trades)
    with pytest.raises(DataError, match=r"not contiguous; sort the table"):
        replay(pd.concat([orders, orders.head(3)]), trades)
    with pytest.raises(DataError, match=r"snapshots of 000001.SZ do not ascend by time"):
        replay(orders, trades, shown.iloc[::-1].sort_values("symbol", kind="stable"))
    with pytest.raises(DataError, match=r"orders of 000001.SZ: price 99999999.0 beside"):
        replay(orders.assign(price=orders["price"].where(orders.index != 5, 99_999_999.0)), trades)
    with pytest.raises(DataError, match=r"000001.SZ: kinds \['iceberg'\] are unknown"):
        replay(orders.assign(kind=orders["kind"].where(orders.index != 5, "iceberg")), trades)
    with pytest.raises(DataError, match=r"900001.SH has no orders"):
        order_book(orders, trades, "900001.SH", "10:00:00")


# ------------------------------------------------------------------ it can fail

HOLES = {
    "orders": lambda o, t: (without(o, o["kind"] != "cancel"), t),
    "cancels": lambda o, t: (without(o, o["kind"] == "cancel"), t),
    "trades": lambda o, t: (o, without(t, np.ones(len(t), bool))),
}


@pytest.mark.parametrize("hole", HOLES)
def test_agreement_falls_with_one_row_in_a_hundred_gone(market, hole):
    orders, trades, shown = market
    day = replay(*HOLES[hole](orders, trades), shown, CLOSES)
    stocks = day.by_stock().set_index("symbol")
    assert (stocks["everything"] < 0.95).all()
    assert day.share("level_1") < (0.99 if hole == "orders" else 0.4)
    assert set(day.disagreements(2)["symbol"]) == set(CLOSES)
    if hole == "orders":
        assert day.by_stock()["trades_of_unknown_orders"].sum() > 0
    if hole == "trades":
        assert day.by_stock()["no_state"].sum() > 0 or day.by_stock()["crossed_states"].sum() > 0


def test_one_lost_row_is_found_and_shown(market):
    """The first snapshot that differs is the first one taken after the lost order, with the rows around it."""
    orders, trades, shown = market
    symbol = "600000.SH"
    own = orders[(orders["symbol"] == symbol) & (orders["kind"] == "limit")]
    traded = set(trades["buy_order"]) | set(trades["sell_order"])
    quiet = own[~own["order_id"].isin(traded) & (own["time"] > pd.Timestamp("2023-02-01 10:00"))]
    best = shown[shown["symbol"] == symbol].set_index("time")
    after = best.iloc[best.index.searchsorted(quiet["time"])]
    touch = np.where(quiet["side"] > 0, after["bid_price_1"], after["ask_price_1"])
    index = quiet.index[np.flatnonzero(quiet["price"].to_numpy() == touch)[0]]
    row = quiet.loc[index]
    day = replay(orders.drop(index), trades, shown, CLOSES)
    stock = next(s for s in day.stocks if s.symbol == symbol)
    _, same = stock.agrees((1 << 46) - 1)
    first = day.disagreements(1).query("symbol == @symbol").iloc[0]
    assert first["time"] == stock.time[~same & (stock.phase >= 0)][0]
    assert 0 <= (first["time"] - row["time"]).total_seconds() + 1 <= 10
    rows = around(orders.drop(index), trades, symbol, int(first["event"]), 4)
    assert rows["event"].tolist() == list(range(int(first["event"]) - 3, int(first["event"]) + 5))
    assert rows["time"].iloc[3] < first["time"] + pd.Timedelta(1, "s")
    assert set(rows["table"]) <= {"orders", "trades"}
    assert {"event", "seq", "order_id", "buy_order"} <= set(rows.columns)
    others = replay(orders.drop(index), trades, shown[shown["symbol"] != symbol], CLOSES)
    assert differing(others).empty


def test_other_books_with_right_counts_do_not_agree(market):
    """Each snapshot with the next one's book but its own counts: the choice of states cannot hide it."""
    orders, trades, shown = market
    levels = [n for n in SNAPSHOTS.names if "_price_" in n or "_volume_" in n or n.startswith("total")]
    wrong = shown.copy()
    wrong[levels] = shown.groupby("symbol")[levels].shift(-1).fillna(shown[levels])
    wrong = wrong.astype(shown.dtypes.to_dict())
    day = replay(orders, trades, wrong, CLOSES)
    moved = wrong[levels].ne(shown[levels]) & ~(wrong[levels].isna() & shown[levels].isna())
    moved = moved.any(axis=1).to_numpy()
    same = np.concatenate([s.agrees((1 << 46) - 1)[1] & (s.phase == 2) for s in day.stocks])
    continuous = np.concatenate([s.phase == 2 for s in day.stocks])
    assert (same & moved).sum() / (moved & continuous).sum() < 0.3


def test_stocks_without_orders_are_named_and_volume_may_align(market):
    orders, trades, shown = market
    day = replay(orders[orders["symbol"] != "000002.SZ"], trades, shown, CLOSES)
    assert day.without_orders == ["000002.SZ"]
    assert len(day.stocks) == 3
    blind = shown.assign(num_trades=pd.Series(pd.NA, shown.index, "Int64"))
    day = replay(orders, trades, blind, CLOSES)
    table = day.agreement()
    assert "num_trades" not in set(table[table["compared"] > 0]["field"])
    assert day.share("level_1", "continuous") == 1.0


def test_what_a_vendor_does_not_publish_is_not_compared(market):
    orders, trades, shown = market
    five = shown.copy()
    for n in range(6, 11):
        for side in ("bid", "ask"):
            five[f"{side}_price_{n}"], five[f"{side}_volume_{n}"] = np.nan, pd.Series(pd.NA, five.index, "Int64")
    five["total_bid_volume"] = five["total_bid_volume"].astype("Int64").where(np.arange(len(five)) % 2 == 0)
    day = replay(orders, trades, five, CLOSES)
    assert differing(day).empty
    everything = np.bitwise_or.reduce([k for s in day.stocks for k in s.keep])
    assert everything & (1 << 5 | 1 << 15 | 1 << 25 | 1 << 35) == 0
    stock = day.stocks[0]
    continuous = stock.phase == 2
    assert 0.4 < (stock.keep[continuous] >> 44 & 1).mean() < 0.6
    wrong = five.assign(total_bid_volume=five["total_bid_volume"] + 1)
    assert 0.4 < replay(orders, trades, wrong, CLOSES).share("everything", "continuous") < 0.6


# ------------------------------------------------------------------ from the lake


def test_the_lake_by_row_groups_gives_the_same(market, tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    for name, frame in zip(("orders", "trades", "snapshots"), market, strict=True):
        lake.write(name, "2023-02-01", frame)
    whole = replay(*market)
    for rows in (None, 700):  # 700: stocks span several row groups
        if rows is not None:
            (tmp_path / "lake" / SEALED_FILE).unlink()  # a lake of an older version may hold files of other writers
            lake = Lake(lake.root)
            for name in ("orders", "trades", "snapshots"):
                table = lake.table(name, "2023-02-01").replace_schema_metadata(None)
                pq.write_table(table, lake.path(name, "2023-02-01"), row_group_size=rows)
        day = replay_day(lake, "2023-02-01")
        pd.testing.assert_frame_equal(day.agreement(), whole.agreement())
        pd.testing.assert_frame_equal(day.by_stock(), whole.by_stock())
        two = replay_day(lake, "2023-02-01", ["600001.SH", "000001.SZ", "999999.SH"])
        assert [s.symbol for s in two.stocks] == ["000001.SZ", "600001.SH"]
    lake.write("orders", "2023-02-01", market[0][market[0]["symbol"] != "600001.SH"])
    assert replay_day(lake, "2023-02-01").without_orders == ["600001.SH"]


def test_a_lake_without_snapshots_still_counts_faults(market, tmp_path):
    orders, trades, _ = market
    bare = Lake(str(tmp_path))
    bare.write("orders", "2023-02-01", orders)
    bare.write("trades", "2023-02-01", trades)
    day = replay_day(bare, "2023-02-01")
    assert day.by_stock()["events"].sum() == len(orders) + len(trades)
    assert day.agreement().empty
    assert np.isnan(day.share())
    alone = replay_day(bare, "2023-02-01", ["600000.SH"])
    assert ([s.symbol for s in alone.stocks], alone.without_orders) == (["600000.SH"], [])


def outcomes(lake, table):
    from mg_assets.quality import run_suite

    return {o.name: o for o in run_suite(table, lake, lake.keys(table))}


def test_the_check_warns_of_a_lost_trade_and_needs_snapshots(market, tmp_path):
    orders, trades, shown = market
    lake = Lake(str(tmp_path / "lake"))
    lake.write("orders", "2023-02-01", orders)
    lake.write("trades", "2023-02-01", trades)
    assert outcomes(lake, "orders")["replay"].observed["note"] == "not applicable"
    lake.write("snapshots", "2023-02-01", shown)
    found = outcomes(lake, "orders")["replay"]
    assert found.passed, found.bad
    assert not found.blocking
    assert found.observed["measures"]["replayed_level_1"] == [1.0, 1.0]
    assert all(o.passed for o in outcomes(lake, "snapshots").values())
    lake.write("trades", "2023-02-01", trades.drop(trades.index[300]))
    found = outcomes(lake, "orders")["replay"]
    assert not found.passed
    assert {b["measure"] for b in found.bad} <= {"replayed_level_1", "replayed_all_fields"}
    assert {"symbol", "time", "field", "ours", "theirs"} <= set(found.bad[0])
    lake.write("trades", "2023-02-01", trades)
    lake.write("orders", "2023-02-01", orders[orders["symbol"] != "600000.SH"])
    assert {b["measure"] for b in outcomes(lake, "orders")["replay"].bad} == {"not_replayed_share"}


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("falling", lambda f: f.assign(volume=f["volume"].where(f.index != 700, 0))),
        ("negative", lambda f: f.assign(ask_volume_3=f["ask_volume_3"].where(f.index != 700, -1))),
        ("level_order", lambda f: f.assign(bid_price_2=f["bid_price_2"].where(f.index != 700, 99.0))),
        ("unsorted", lambda f: f.assign(time=f["time"].where(f.index != 700, f["time"].iloc[3]))),
    ],
)
def test_snapshots_have_a_suite(market, tmp_path, rule, broken):
    lake = Lake(str(tmp_path))
    lake.write("snapshots", "2023-02-01", broken(market[2]))
    bad = [b for o in outcomes(lake, "snapshots").values() for b in o.bad]
    assert {b["measure"] for b in bad} == {rule}
    assert bad[0]["row"] in (701, 702)


@pytest.mark.parametrize("place", ["folder", "object store"])
def test_command(request, place, market, tmp_path, monkeypatch, capsys):
    from mg_assets.cli.main import main

    if place == "object store":
        request.getfixturevalue("server")
    trades = market[1]
    lake = Lake(str(tmp_path / "lake") if place == "folder" else "s3://mg/replay")
    for name, frame in zip(("orders", "trades", "snapshots"), market, strict=True):
        lake.write(name, "2023-02-01", frame)
    monkeypatch.setenv("MG_LAKE", str(lake.root))
    from mg_assets.settings import settings

    settings.cache_clear()
    try:
        assert main(["replay", "2023-02-01"]) == 0
        said = capsys.readouterr().out
        assert "4 stocks" in said
        assert "everything" in said
        assert "100.000%" in said
        lake.write("trades", "2023-02-01", trades.drop(trades.index[300]))
        assert main(["replay", "2023-02-01", "--symbol", trades["symbol"].iloc[300]]) == 1
        said = capsys.readouterr().out
        assert "1 stocks" in said
        assert "that agree least" in said
        assert main(["replay", "2023-02-05"]) == 2
        assert "no trading day" in capsys.readouterr().err
        assert main(["replay", "2023-13-05"]) == 2
    finally:
        settings.cache_clear()


# ------------------------------------------------------------------ real days


@pytest.fixture(scope="module", params=["2023-02-01", "2023-02-07"])
def real(request, shared_data):
    day = dt.date.fromisoformat(request.param)
    ticks = TonglianSource(shared_data, files="level2_by_stock")
    shown = build_source("snapshots", {"root": str(shared_data), "files": "snapshots_by_stock"})
    tables = [s.load(t, day).frame for s, t in ((ticks, "orders"), (ticks, "trades"), (shown, "snapshots"))]
    return [f[f["symbol"] == "600519.SH"].reset_index(drop=True) for f in tables]


def test_real_days_agree_in_every_field_of_every_snapshot(real):
    day = replay(*real)
    assert differing(day).empty
    stock = day.by_stock().iloc[0]
    assert stock["snapshots"] > 4900
    assert stock[[*FAULTS, "backwards", "no_state"]].sum() == 0
    assert stock["states_median"] <= 4
    tight = replay(*real, alignment=Alignment(before=100))
    assert tight.share("level_1", "continuous") == 1.0
    assert tight.share("everything") > 0.997
    assert 0.6 < day.by_stock()["level_1_fixed"].iloc[0] < 0.75  # no choice at all


@pytest.mark.parametrize(("hole", "level_1"), [("orders", 0.96), ("cancels", 0.05), ("trades", 0.05)])
def test_real_agreement_falls_with_one_row_in_a_hundred_gone(real, hole, level_1):
    orders, trades, shown = real
    day = replay(*HOLES[hole](orders, trades), shown)
    assert day.share("level_1") < level_1
    assert day.share("everything") < 0.03


def test_real_books_of_the_next_snapshot_do_not_agree(real):
    orders, trades, shown = real
    levels = [n for n in SNAPSHOTS.names if "_price_" in n or "_volume_" in n or n.startswith("total")]
    wrong = shown.assign(**shown[levels].shift(-1).fillna(shown[levels]))
    day = replay(orders, trades, wrong)
    assert day.share("everything", "continuous") < 0.03
    assert day.share("num_trades", "continuous") == 1.0
