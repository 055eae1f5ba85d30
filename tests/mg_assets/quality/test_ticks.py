"""Each rule of trades and orders: a partition that breaks just it, and whole days that break none."""

import numpy as np
import pandas as pd
import pytest

from mg_assets.quality import SUITES, run_suite
from mg_assets.quality.ticks import IDS, NUMBERS, SIDES

MS = pd.Timedelta(milliseconds=1)


def cell(column: str, value, row: int = 3):
    """A change of one value."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        out = frame.copy()
        values = out[column].to_numpy(dtype=object).copy()
        values[row] = value(values[row]) if callable(value) else value
        out[column] = pd.Series(values, index=out.index).infer_objects()
        return out

    return change


def swap_symbols(frame):
    """The first stock's rows after the second's."""
    first, second = frame["symbol"].unique()[:2]
    rest = frame[~frame["symbol"].isin([first, second])]
    return pd.concat([frame[frame["symbol"] == second], frame[frame["symbol"] == first], rest])


def other_number(frame):
    """Another order that exists, of the wrong side: the trade before's counterpart."""
    out = frame.copy()
    at = 3
    passive_sell = out["side"].iat[at] == 1
    column, other = ("sell_order", "buy_order") if passive_sell else ("buy_order", "sell_order")
    donor = next(i for i in range(at) if out["side"].iat[i] == (1 if passive_sell else -1))
    out.loc[out.index[at], column] = out[other].iat[donor]
    return out


def to_auction(frame):
    """The opening print gets an active side."""
    out = frame.copy()
    out.loc[out.index[0], "side"] = 1
    return out


def last_of_the_morning(clock):
    """The first stock's last trade before noon at another time."""

    def change(frame):
        row = int((frame["time"].dt.hour >= 13).to_numpy().argmax()) - 1
        return cell("time", lambda t: t.normalize() + pd.Timedelta(clock), row)(frame)

    return change


TRADES = {
    "lacking column": (lambda f: f.drop(columns="side"), {"schema_faults"}),
    "text price": (lambda f: f.assign(price="a lot"), {"schema_faults"}),
    "null volume": (cell("volume", None), {"nulls"}),
    "price zero": (cell("price", 0.0), {"bad_price"}),
    "volume zero": (cell("volume", 0), {"bad_volume"}),
    "side two": (cell("side", lambda s: 2 * s), {"bad_side"}),
    "swapped symbols": (swap_symbols, {"unsorted"}),
    "number twice": (lambda f: f.assign(seq=f["seq"].where(f.index != 4, f["seq"].iat[3])), {"seq_backwards"}),
    "time back": (lambda f: f.assign(time=f["time"].where(f.index != 5, f["time"].iat[3] - MS)), {"time_backwards"}),
    "noon": (last_of_the_morning("11:45:00"), {"out_of_session"}),
    "night": (cell("time", lambda t: t.normalize() + pd.Timedelta("16:00:00"), 39), {"out_of_session"}),
    "tick": (cell("price", lambda p: p + 0.005), {"off_tick"}),
    "above limit": (cell("price", lambda p: round(p * 1.3, 2)), {"outside_limits"}),
    "below limit": (cell("price", lambda p: round(p * 0.7, 2)), {"outside_limits"}),
    "unknown order": (cell("sell_order", 0), {"number_unknown"}),
    "order's side": (other_number, {"number_side", "overfilled"}),
    "overfilled": (cell("volume", 10**7), {"overfilled"}),
    "wrong side": (cell("side", lambda s: -s), {"wrong_aggressor"}),
    "no side": (cell("side", 0), {"no_aggressor"}),
    "auction side": (to_auction, {"auction_side"}),
    "few rows": (lambda f: f.groupby("symbol").head(8), {"rows_ratio", "short_exchanges"}),
    "cut at 11:00": (lambda f: f[f["time"].dt.hour < 11], {"short_exchanges"}),
    "no opening": (lambda f: f[f["time"].dt.strftime("%H:%M") > "09:31"], {"late_exchanges"}),
    "few stocks": (lambda f: f[f["symbol"] < "600008"], {"symbols_ratio", "no_data_share"}),
    "unknown stock": (lambda f: f.assign(symbol=f["symbol"].replace("688004.SH", "688999.SH")),
                      {"unknown_symbols"}),
}  # fmt: skip


def cancel_row(column, value):
    def change(frame):
        return cell(column, value, int(np.flatnonzero(frame["kind"] == "cancel")[0]))(frame)

    return change


def buy_row(column, value):
    def change(frame):
        return cell(column, value, int(np.flatnonzero((frame["side"] == 1) & (frame["kind"] != "cancel"))[0]))(frame)

    return change


def star_buy(frame):
    at = np.flatnonzero((frame["side"] == 1) & (frame["kind"] == "limit") & frame["symbol"].str.startswith("688"))[0]
    return cell("volume", 199, int(at))(frame)


def again(frame):
    """The third order has the first one's number."""
    return cell("order_id", frame["order_id"].iat[0], 2)(frame)


ORDERS = {
    "extra column": (lambda f: f.assign(venue="x"), {"schema_faults"}),
    "null kind": (cell("kind", None), {"nulls", "bad_kind"}),
    "price below": (cell("price", -1.0, 0), {"bad_price"}),
    "volume zero": (cell("volume", 0), {"bad_volume"}),
    "side zero": (cell("side", 0, 0), {"bad_side"}),
    "kind": (cell("kind", "iceberg"), {"bad_kind"}),
    "no price": (cell("price", None, 0), {"no_price"}),
    "night": (cell("time", lambda t: t.normalize() + pd.Timedelta("05:00:00"), 0), {"out_of_session"}),
    "time back": (lambda f: f.assign(time=f["time"].where(f.index != 5, f["time"].iat[3] - MS)), {"time_backwards"}),
    "number twice": (lambda f: f.assign(seq=f["seq"].where(f.index != 4, f["seq"].iat[3])), {"seq_backwards"}),
    "swapped symbols": (swap_symbols, {"unsorted"}),
    "tick": (cell("price", lambda p: p + 0.001, 0), {"off_tick"}),
    "limit": (cell("price", lambda p: round(p * 1.3, 2), 0), {"outside_limits"}),
    "odd lot": (buy_row("volume", lambda v: v + 1), {"odd_lots"}),
    "small STAR order": (star_buy, {"odd_lots"}),
    "id twice": (again, {"duplicate_ids"}),
    "cancel of nothing": (cancel_row("order_id", 10**9), {"cancel_unknown"}),
    "cancel's side": (cancel_row("side", lambda s: -s), {"cancel_side"}),
    "cancel's volume": (cancel_row("volume", 10**9), {"cancel_volume"}),
    "many rows": (lambda f: f.groupby("symbol").head(20), {"rows_ratio", "short_exchanges"}),
    "cut at 11:00": (lambda f: f[f["time"].dt.hour < 11], {"short_exchanges"}),
}  # fmt: skip
ODD = {*NUMBERS, *SIDES, *IDS}  # one row warns
WARNS = {"odd_lots", "rows_ratio", "symbols_ratio", "no_data_share", "unknown_symbols"}


@pytest.fixture(scope="module")
def reported(broken):
    return {"trades": broken("trades", TRADES), "orders": broken("orders", ORDERS)}


@pytest.mark.parametrize(
    ("table", "name"), [("trades", n) for n in TRADES] + [("orders", n) for n in ORDERS], ids=lambda v: v
)
def test_each_broken_rule_fails_its_own_check(reported, table, name):
    expected = (TRADES if table == "trades" else ORDERS)[name][1]
    found = reported[table][name]
    assert {row["measure"] for row in found if row["measure"].removesuffix("_share") not in ODD} == expected - ODD
    assert {row["measure"] for row in found if row["measure"] in ODD} == expected & ODD
    assert all(row["blocking"] == (row["measure"] not in WARNS | ODD) for row in found)


@pytest.mark.parametrize("table", ["trades", "orders"])
def test_valid_days_pass(clean, table):
    outcomes = run_suite(table, clean, clean.keys(table))
    assert [o.name for o in outcomes] == [c.name for c in SUITES[table].checks]
    assert [(o.name, o.bad) for o in outcomes if not o.passed] == []
    assert all(o.observed["partitions"] == len(clean.keys(table)) for o in outcomes)


def test_offending_rows_are_shown(reported):
    row = reported["trades"]["above limit"][0]
    assert (row["row"], row["observed"], row["symbol"]) == (4, 1.0, "000001.SZ")
    assert row["price"] > 8
    assert row["check"] == "price_limits"


def test_trades_of_missing_orders_fail_order_numbers(lake):
    key = lake.keys("orders")[5]
    orders = lake.day("orders", key)
    lake.write("orders", key, orders[(orders["symbol"] != "000001.SZ") | (orders["seq"] > 8)])
    outcomes = {o.name: o for o in run_suite("trades", lake, [key])}
    assert not outcomes["order_numbers"].passed
    assert {r["symbol"] for r in outcomes["order_numbers"].bad} == {"000001.SZ"}


def test_stocks_without_any_order_are_left_out(lake):
    key = lake.keys("orders")[5]
    orders = lake.day("orders", key)
    lake.write("orders", key, orders[orders["symbol"].str.endswith(".SZ")])
    assert all(o.passed for o in run_suite("trades", lake, [key]))


def test_shanghai_side_is_checked_only_where_numbers_rise(lake):
    key = lake.keys("trades")[5]
    trades = lake.day("trades", key)
    shanghai = trades["symbol"].str.endswith(".SH") & (trades["side"] != 0)
    lake.write("trades", key, trades.assign(side=np.where(shanghai, -trades["side"], trades["side"])))
    assert not {o.name: o.passed for o in run_suite("trades", lake, [key])}["aggressor"]
    orders = lake.day("orders", key)
    flipped = orders["symbol"].str.endswith(".SH")
    top = orders["order_id"].max() + 1
    lake.write("orders", key, orders.assign(order_id=np.where(flipped, top - orders["order_id"], orders["order_id"])))
    mirrored = lake.day("trades", key)
    for column in ("buy_order", "sell_order"):
        flip = mirrored["symbol"].str.endswith(".SH")
        mirrored[column] = np.where(flip, top - mirrored[column], mirrored[column])
    lake.write("trades", key, mirrored)
    assert {o.name: o.passed for o in run_suite("trades", lake, [key])}["aggressor"]


def test_a_day_read_in_small_row_groups_measures_the_same(lake):
    """Symbols that run over several row groups, and orders looked up by the groups' statistics."""
    key = lake.keys("trades")[6]
    trades, orders = lake.day("trades", key), lake.day("orders", key)
    spoiled = cell("sell_order", 0, 500)(cell("price", lambda p: p + 0.005, 700)(trades))
    lake.write("trades", key, spoiled)
    whole = run_suite("trades", lake, [key])
    lake.write("trades", key, spoiled, row_group_size=101)
    lake.write("orders", key, orders, row_group_size=77)
    split = run_suite("trades", lake, [key])
    assert whole == split
    assert [o.name for o in whole if not o.passed] == ["price_limits", "odd_trades"]
    assert [r["row"] for o in split for r in o.bad] == [701, 501]
    whole_orders = run_suite("orders", lake, [key])
    assert all(o.passed for o in whole_orders)


def test_quarantined_rows_warn_above_one_percent(lake):
    key = lake.keys("trades")[4]
    rows = len(lake.day("trades", key))
    for share, passed in ((0.005, True), (0.02, False)):
        count = int(rows * share)
        aside = pd.DataFrame({"table": "trades", "symbol": "000001.SZ", "file": "trade.csv", "row": range(count),
                              "reason": "price below 0", "content": "{}"})  # fmt: skip
        lake.write("quarantine_trades", key, aside)
        outcome = {o.name: o for o in run_suite("trades", lake, [key])}["set_aside"]
        assert (outcome.passed, outcome.blocking) == (passed, False)
    assert outcome.bad[0]["reasons"] == f"price below 0: {count}"
    lake.write("quarantine", key, pd.concat([aside.assign(table="orders")] * 3))
    assert not {o.name: o for o in run_suite("orders", lake, [key])}["set_aside"].passed


def test_quarantine_rows_need_a_reason_and_a_source_row(lake):
    aside = pd.DataFrame({"table": "trades", "symbol": None, "file": "a.csv", "row": range(3), "reason": "why",
                          "content": "{}"})  # fmt: skip
    lake.write("quarantine_trades", "2020-03-02", aside)
    lake.write("quarantine_trades", "2020-03-03", aside.assign(reason=["why", "", None]))
    lake.write("quarantine_trades", "2020-03-04", aside.assign(file=["", "a", "a"]))
    outcomes = run_suite("quarantine_trades", lake, lake.keys("quarantine_trades"))
    assert [(r["partition"], r["measure"]) for o in outcomes for r in o.bad] == [
        ("2020-03-03", "no_reason"), ("2020-03-03", "no_reason"), ("2020-03-04", "no_source_row")]  # fmt: skip


def test_tables_of_a_source_without_ticks_are_not_applicable(lake):
    from mg_assets.market.schema import TRADES as SCHEMA

    for outcome in run_suite("trades", lake, ["2019-01-02", "2019-01-03"]):
        assert outcome.passed
        assert outcome.observed["absent_partitions"] == ["2019-01-02", "2019-01-03"]
        assert outcome.observed["note"] == "not applicable"
    keys = ["2019-01-02", "2019-01-03"]
    for key in keys:
        lake.write("trades", key, SCHEMA.empty_table())
    assert all(o.passed for o in run_suite("trades", lake, keys))


def test_an_accidentally_empty_day_warns(lake):
    key = lake.keys("trades")[30]
    lake.write("trades", key, lake.day("trades", key).iloc[:0])
    failed = [o for o in run_suite("trades", lake, [key]) if not o.passed]
    assert [(o.name, o.blocking) for o in failed] == [("size_band", False)]
