"""explain: every value follows from the rows shown by other arithmetic than the kernels', and equals the stored one."""

import datetime as dt
import math

import numpy as np
import pytest
import random_ticks
import real_ticks as real

from mg_assets.errors import DataError, MissingPartitionError
from mg_assets.factors import ALL34, FACTORS, bars_from_trades, day_pass, explain, intraday_factors
from mg_assets.lake.store import Lake
from mg_assets.sources import build_source

DAY = "2023-02-01"


def fill(lake, trades=None, orders=None, bars=None, day=DAY):
    """Store a day's tables and the factors that the kernels make of them."""
    tables = {"trades": trades, "orders": orders, "minute_bars": bars}
    for name, frame in tables.items():
        if frame is not None:
            lake.write(name, day, frame)
    lake.write("intraday_factors", day, intraday_factors(trades, orders, bars).reset_index())


def holds(explanation):
    """All values equal the stored ones, to 1e-9 relative or 1e-12 absolute."""
    wrong = [str(explanation[n].text(0)) for n in ALL34 if explanation[n].agrees is not True]
    assert not wrong, "\n".join(wrong)
    summary = explanation.summary()
    assert list(summary["factor"]) == list(ALL34)
    assert (summary["value"].isna() == (summary["note"] != "")).all()


# The values once more, from nothing but the table that explain shows.


def g1(x):
    x = np.asarray(x, float)
    d = x[np.isfinite(x)] - x[np.isfinite(x)].mean()
    return (d**3).mean() / (d**2).mean() ** 1.5


def g2(x):
    d = np.asarray(x, float) - np.mean(x)
    return (d**4).mean() / (d**2).mean() ** 2 - 3


def pearson(x, y):
    both = np.isfinite(x) & np.isfinite(y)
    return np.corrcoef(x[both], y[both])[0, 1]


def by_side(table, statistic):
    return statistic(table.loc[table["side"] == 1, "volume"]) - statistic(table.loc[table["side"] == -1, "volume"])


def down_size(t):
    fell = t[t["falling"]]
    per_trade = fell["amount"].sum() / fell["num_trades"].sum()
    return per_trade / (t["amount"].sum() / t["num_trades"].sum())


FROM_TABLE = {
    "late_skew_ret": lambda t: g1(t["r"]),
    "down_vol_perc": lambda t: t.loc[t["falling"], "squared"].sum() / t["squared"].sum(),
    "corr_ret_lastret": lambda t: pearson(t["r"], t["r_last"]),
    "corr_close_nextopen": lambda t: pearson(t["close"], t["next_open"]),
    **{f"volume_perc{k}": lambda t: t.loc[t["inside"], "volume"].sum() / t["volume"].sum() for k in range(2, 8)},
    "corr_volume_item": lambda t: pearson(t["volume"], t["num_trades"]),
    "early_corr_volume_ret": lambda t: pearson(t["volume"], t["r"]),
    "bigorder_ret": lambda t: (1 + t.loc[t["top"], "r"]).prod() - 1,
    "down_single_amt_perc": down_size,
    "corr_volume_amplitude": lambda t: pearson(t["volume"], t["amplitude"]),
    "bigorder_amt_perc": lambda t: t.loc[t["big"], "amount"].sum(),  # over twice the day's amount, below
    "early_bigorder_buy_perc": lambda t: (
        t.loc[t["big_buy"], "amount"].sum()
        / (t.loc[t["big_buy"], "amount"].sum() + t.loc[t["big_sell"], "amount"].sum())
    ),
    "bigorder_ret2": lambda t: t["g"].sum(),
    "early_active_bigorder_ret": lambda t: t["g"].sum(),
    "concentration_diff": lambda t: (t["squared"] * np.where(t["side"] == "buy", 1, -1)).sum(),
    "early_active_buy_perc": lambda t: t.loc[t["active"] == 1, "amount"].sum() / t["amount"].sum(),
    "corr_netactivebuy_lastret": lambda t: pearson(t["net"], t["r_last"]),
    "corr_netactivebuy_nextret": lambda t: pearson(t["net"], t["r_next"]),
    "skew_order_diff": lambda t: by_side(t, g1),
    "kurt_order_diff": lambda t: by_side(t, g2),
    "early_kurt_order": lambda t: g2(t["volume"]),
    "corr_buyorder_volume_price": lambda t: pearson(t["volume"], t["price"]),
    "intraday_skew": lambda t: g1(t["r"]),
    "open_buy_intent_share": lambda t: t["intent"].sum(),
    "open_buy_intent_strength": lambda t: t["intent"].mean() / t["intent"].std(ddof=0),
    "open_big_net_buy_share": lambda t: t["difference"].sum(),
    "open_big_net_buy_strength": lambda t: t["difference"].mean() / t["difference"].std(ddof=0),
    "improved_reversal": lambda t: t["close"].iloc[1] / t["close"].iloc[0] - 1,
    "tail_volume_share": lambda t: t.loc[t["inside"], "volume"].sum() / t["volume"].sum(),
}
OVER = {  # what a table's figure is still divided by
    "bigorder_amt_perc": lambda day, early: 2 * day,
    "concentration_diff": lambda day, early: day**2,
    "open_buy_intent_share": lambda day, early: early,
    "open_big_net_buy_share": lambda day, early: early,
}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A simulated day of a few stocks, as a user's lake holds it."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    source = build_source("simulated", {"stocks": 25, "tick_start": "2022-01-04", "orders_per_stock": 400})
    date = dt.date.fromisoformat(DAY)
    trades, orders = (source.load(t, date).frame for t in ("trades", "orders"))
    fill(lake, trades, orders, bars_from_trades(trades))
    return lake


def symbols(lake):
    return list(lake.day("intraday_factors", DAY)["symbol"])


def test_every_stock_of_a_simulated_day_agrees(simulated):
    assert len(symbols(simulated)) > 15
    for symbol in symbols(simulated):
        holds(explain(simulated, symbol, DAY))


def test_a_table_alone_gives_its_value(simulated):
    assert set(FROM_TABLE) == set(ALL34)
    compared = 0
    for symbol in symbols(simulated)[:6]:
        day = explain(simulated, symbol, DAY)
        amounts = (day.trades.amount, day.trades.early["amount"].sum())
        for name, figure in FROM_TABLE.items():
            if math.isfinite(day.value(name)):
                over = OVER.get(name, lambda *_: 1)(*amounts)
                assert figure(day.table(name)) / over == pytest.approx(day.value(name), rel=1e-9, abs=1e-12), (
                    symbol,
                    name,
                )
                compared += 1
    assert compared > 5 * len(ALL34)


@pytest.mark.parametrize(("folder", "symbol", "date", "prev_close"), real.DAYS)
def test_real_days_agree(shared_data, tmp_path, folder, symbol, date, prev_close):
    lake = Lake(tmp_path)
    trades, orders = real.tables(shared_data, folder, date)
    name = trades["symbol"].iloc[0]
    fill(lake, trades, orders, bars_from_trades(trades, {name: prev_close}), date)
    day = explain(lake, name, date)
    holds(day)
    assert len(day.trades.counted) == bars_from_trades(trades)["num_trades"].sum()
    if orders is None:
        assert day["kurt_order_diff"].note == "the day has no orders"
        aside = day.left_out().set_index("reason")["rows"]
        assert aside["price is not above 0"] == (trades["price"] <= 0).sum() > 30_000  # Shenzhen's cancels
    else:
        assert (day.orders["kind"] == "cancel").sum() == (orders["kind"] == "cancel").sum()


@pytest.mark.parametrize("seed", range(10))
def test_odd_days_agree(tmp_path, seed):
    trades, orders = random_ticks.random_day(seed)
    lake = Lake(tmp_path)
    fill(lake, trades, orders, bars_from_trades(trades, {"600000.SH": 9.9}))
    for symbol in symbols(lake):
        holds(explain(lake, symbol, DAY))


def test_the_streaming_pass_over_the_files_agrees(simulated, tmp_path):
    lake = Lake(tmp_path)
    for table in ("trades", "orders", "minute_bars"):
        lake.write(table, DAY, simulated.day(table, DAY))
    files = [lake.path(table, DAY) for table in ("trades", "orders", "minute_bars")]
    lake.write("intraday_factors", DAY, day_pass(*files).factors.reset_index())
    for symbol in symbols(lake)[::4]:
        holds(explain(lake, symbol, DAY))


@pytest.mark.parametrize("without", [("trades",), ("orders",), ("bars",), ("trades", "bars"), ("trades", "orders")])
def test_a_table_that_is_not_there_takes_its_factors_with_it(tmp_path, without):
    trades, orders = random_ticks.random_day(0)
    tables = {"trades": trades, "orders": orders, "bars": bars_from_trades(trades)}
    lake = Lake(tmp_path)
    fill(lake, **{k: v for k, v in tables.items() if k not in without})
    for symbol in symbols(lake):
        day = explain(lake, symbol, DAY)
        holds(day)
        for table in without:
            table = "minute_bars" if table == "bars" else table
            for name in (n for n in ALL34 if table in FACTORS[n].needs):
                assert table in day[name].note


def test_an_empty_table_is_one_that_the_source_does_not_have(tmp_path):
    trades, orders = random_ticks.random_day(0)
    lake = Lake(tmp_path)
    lake.write("orders", DAY, orders.iloc[:0])
    fill(lake, trades, None, bars_from_trades(trades))
    day = explain(lake, symbols(lake)[0], DAY)
    assert day["early_kurt_order"].note == "the day has no orders"
    holds(day)


def test_a_suspended_stock_has_no_value_and_says_so(tmp_path):
    trades, orders = random_ticks.random_day(1)
    lake = Lake(tmp_path)
    idle = trades.assign(price=0.0)
    fill(lake, idle, orders, bars_from_trades(trades).iloc[:0])
    day = explain(lake, orders["symbol"].iloc[0], DAY)
    holds(day)
    assert day["early_kurt_order"].note == "the stock did not trade that day"


def test_the_big_orders_are_those_above_the_threshold(tmp_path):
    rows = [("600000.SH", f"09:{31 + i}:00.000", i, 10.0, 100, 10 + i, 50 + i // 2, 1) for i in range(9)]
    rows.append(("600000.SH", "10:30:00.000", 9, 10.1, 9000, 99, 60, -1))
    lake = Lake(tmp_path)
    fill(lake, random_ticks.trades_frame(rows))
    day = explain(lake, "600000.SH", DAY)
    parents = day.trades.orders
    # sells 50..53 hold two trades each, 54 one; buys one each; the last trade's two orders are the big ones
    assert len(parents) == 10 + 6
    logs = np.log([1000.0] * 9 + [90_900.0] * 2 + [2000.0] * 4 + [1000.0])
    assert day.trades.threshold == pytest.approx(logs.mean() + logs.std() + 1e-9, rel=1e-12)
    assert sorted(parents.loc[parents["big"], "order"]) == [60, 99]
    assert day.value("bigorder_amt_perc") == pytest.approx(2 * 90_900 / (2 * 99_900))
    assert day.value("bigorder_ret2") == pytest.approx(math.log(1.01))
    steps = day.steps("bigorder_amt_perc").set_index("step")["value"]
    assert steps["big orders"] == 2
    assert steps["amount of the day"] == 99_900
    # with another multiple nothing is big
    strict = explain(lake, "600000.SH", DAY, big_order_std=3.0)
    assert strict.value("bigorder_amt_perc") == 0
    assert strict["bigorder_amt_perc"].agrees is False


def test_rows_left_out_are_listed_with_a_reason(tmp_path):
    rows = [("688001.SH", f"10:{i:02d}:00.000", i, 10 + i / 100, 100, i + 1, i + 51, 1) for i in range(20)]
    rows += [
        ("688001.SH", "15:20:00.000", 20, 10.2, 500, 90, 91, 0),  # after hours
        ("688001.SH", "10:30:00.000", 21, 0.0, 500, 92, 0, 0),
        ("688001.SH", "10:31:00.000", 22, 10.2, 0, 93, 94, 1),
    ]
    orders = [
        ("688001.SH", "09:14:59.999", 1, 1, 1, 10.0, 100, "limit"),
        ("688001.SH", "09:15:00.000", 2, 2, 1, 10.0, 100, "limit"),
        ("688001.SH", "15:00:00.999", 3, 3, -1, None, 100, "market"),
        ("688001.SH", "15:00:01.000", 4, 4, -1, 10.0, 100, "cancel"),
    ]
    lake = Lake(tmp_path)
    fill(lake, random_ticks.trades_frame(rows), random_ticks.orders_frame(orders))
    day = explain(lake, "688001.SH", DAY)
    aside = {(r.table, r.reason): r.rows for r in day.left_out().itertuples()}
    assert aside == {
        ("trades", "outside 09:15 to 15:05"): 1,
        ("trades", "price is not above 0"): 1,
        ("trades", "volume is not above 0"): 1,
        ("orders", "outside 09:15 to 15:00:00.999"): 2,
    }
    assert len(day.trades.counted) == 20
    assert "left out: 1 trades: outside 09:15 to 15:05" in str(day)
    holds(day)


def test_a_stored_value_that_differs_is_shown(simulated, tmp_path):
    symbol = symbols(simulated)[0]
    lake = Lake(tmp_path)
    for table in ("trades", "orders", "minute_bars"):
        lake.write(table, DAY, simulated.day(table, DAY))
    stored = simulated.day("intraday_factors", DAY)
    stored.loc[stored["symbol"] == symbol, "down_vol_perc"] *= 1 + 1e-8
    lake.write("intraday_factors", DAY, stored)
    day = explain(lake, symbol, DAY)
    assert list(day.summary().query("agrees == False")["factor"]) == ["down_vol_perc"]
    assert "DIFFERS" in str(day["down_vol_perc"])
    assert "&ne; stored" in day._repr_html_()


def test_nothing_stored_is_no_disagreement(tmp_path):
    trades, orders = random_ticks.random_day(0)
    lake = Lake(tmp_path)
    lake.write("trades", DAY, trades)
    lake.write("orders", DAY, orders)
    day = explain(str(tmp_path), trades["symbol"].iloc[0], DAY)
    assert day["bigorder_ret2"].agrees is None
    assert "no stored value" in str(day["bigorder_ret2"])


def test_an_absent_day_names_the_days_that_there_are(simulated):
    remedy = r"build the day with mg run; where the source lacks it, put the day's files into the source's folder first"
    with pytest.raises(
        MissingPartitionError, match=rf"2023-02-03.*trades has 1 days, 2023-02-01\.\.2023-02-01.*{remedy}"
    ):
        explain(simulated, "600000.SH", "2023-02-03")
    with pytest.raises(MissingPartitionError, match=r"2023-02-05 is no trading day$"):
        explain(simulated, "600000.SH", "2023-02-05")
    with pytest.raises(MissingPartitionError, match=f"the lake has no day of any of them; {remedy}"):
        explain(Lake(str(simulated.root) + "-none"), "600000.SH", DAY)


def test_tables_without_rows_are_named_with_the_remedy(simulated, tmp_path):
    trades, orders = simulated.day("trades", DAY), simulated.day("orders", DAY)
    lake, symbol = Lake(str(tmp_path)), trades["symbol"].iloc[0]
    lake.write("trades", DAY, trades)
    lake.write("orders", DAY, orders[:0])
    assert "\norders: the day's table has no row of any stock\n" in explain(lake, symbol, DAY).text()
    lake.write("trades", DAY, trades[:0])
    with pytest.raises(
        DataError, match=rf"trades, orders of {DAY} have no row of any stock \(.*part.parquet.*\): build"
    ):
        explain(lake, symbol, DAY)


def test_an_unknown_stock_names_like_ones(simulated):
    known = symbols(simulated)[0]
    with pytest.raises(DataError, match=rf"in none of trades, orders, minute_bars of {DAY}.*{known}"):
        explain(simulated, known[:-3], DAY)
    with pytest.raises(DataError, match="day was 'yesterday or so', expected a date"):
        explain(simulated, known, "yesterday or so")
    assert explain(simulated, known, "20230201").day == DAY


def test_an_unknown_factor_names_like_ones(simulated):
    day = explain(simulated, symbols(simulated)[0], DAY)
    with pytest.raises(DataError, match=r"'bigorder_rett' is unknown.*such as bigorder_ret,"):
        day.value("bigorder_rett")
    with pytest.raises(DataError, match="'ret_5d' is a daily factor"):
        day.table("ret_5d")


def test_it_shows_itself_as_text_and_in_a_notebook(simulated):
    day = explain(simulated, symbols(simulated)[0], DAY)
    text, page = str(day), day._repr_html_()
    for name in ALL34:
        assert name in text
        assert f"<summary><code>{name} = " in page
    assert "big: ln A > " in text
    path = day["bigorder_ret"]
    assert "bars at the top" in str(path)
    assert "<table" in path._repr_html_()
    assert list(day.steps("bigorder_ret").columns) == ["step", "value", "how"]
    assert repr(day) == f"Explanation({day.symbol!r}, '2023-02-01')"
