"""Simulated days: targets met, the exchange's rules kept, the look of a market, the alpha's footprints."""

import dataclasses
import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mg_assets.errors import DataError
from mg_assets.factors import bars_from_trades, intraday_factors
from mg_assets.factors.registry import FACTORS
from mg_assets.market.schema import ORDER_KINDS, ORDERS, TRADES
from mg_assets.sources.simulated.auction import process_events
from mg_assets.sources.simulated.day_plan import DayPlan
from mg_assets.sources.simulated.intraday_layer import simulate_day
from mg_assets.sources.simulated.matching_book import (
    BEST_ASK,
    BEST_BID,
    CANCEL,
    EMPTY,
    FILLS,
    LIMIT,
    UNCROSS,
    new_matching_book,
)
from mg_assets.sources.simulated.settings import SimulationSettings

DATE = dt.date(2020, 3, 2)
SETTINGS = SimulationSettings(orders_per_stock=1500)
UP, DOWN, CLOSES_UP, CLOSES_DOWN, OPENS_UP, SUSPENDED, STAR = 3, 13, 5, 6, 7, 8, 21


def make_plan(stocks=60, seed=0, date=DATE, alpha=None, special=True):
    rng = np.random.default_rng(seed)
    half = stocks // 2
    symbols = [f"{1 + i:06d}.SZ" for i in range(stocks - half)] + [f"{600000 + i:06d}.SH" for i in range(half)]
    prev = np.round(np.exp(rng.normal(np.log(13), 0.5, stocks)).clip(3, 80), 2)
    up, down = np.round(prev * 1.1, 2), np.round(prev * 0.9, 2)
    volatility = 0.022 * np.exp(rng.normal(0, 0.25, stocks))
    begin = np.round(prev * np.exp(rng.normal(0, 0.008, stocks)), 2).clip(down, up)
    end = np.round(begin * np.exp(rng.normal(0, 1, stocks) * volatility), 2).clip(down, up)
    amount = 1.2e8 * np.exp(rng.normal(0, 0.9, stocks) - 0.3)
    noise = rng.normal(size=stocks)
    suspended, one_word = np.zeros(stocks, bool), np.zeros(stocks, bool)
    lot = np.full(stocks, 100)
    if special:
        begin[UP] = end[UP] = up[UP]
        begin[DOWN] = end[DOWN] = down[DOWN]
        one_word[[UP, DOWN]] = True
        end[CLOSES_UP], end[CLOSES_DOWN], begin[OPENS_UP] = up[CLOSES_UP], down[CLOSES_DOWN], up[OPENS_UP]
        suspended[SUSPENDED] = True
        lot[STAR] = 200
    return DayPlan(
        date=date,
        symbols=np.array(symbols, object),
        prev_close=prev,
        up_limit=up,
        down_limit=down,
        open=begin,
        close=end,
        volume=np.where(suspended, 0, amount / prev).astype(np.int64),
        volatility=volatility,
        alpha=noise if alpha is None else np.full(stocks, alpha, float),
        suspended=suspended,
        one_word=one_word,
        lot=lot,
        board=np.where(lot == 200, "star", "main").astype(object),
        float_shares=amount / prev * 60,
        st=np.zeros(stocks, bool),
    )


def pick(plan, keep):
    """The plan of some of the stocks."""
    arrays = {f.name: getattr(plan, f.name) for f in dataclasses.fields(plan) if f.name != "date"}
    return DayPlan(date=plan.date, **{k: v[keep] for k, v in arrays.items()})


def milliseconds(frame, date=DATE):
    return (frame["time"] - pd.Timestamp(date)).dt.total_seconds().mul(1000).round().astype(np.int64).to_numpy()


@pytest.fixture(scope="module")
def plan():
    return make_plan()


@pytest.fixture(scope="module")
def day(plan):
    return simulate_day(plan, SETTINGS)


def check_targets(plan, trades):
    prices = trades.groupby("symbol")["price"]
    trading = ~plan.suspended
    assert set(trades["symbol"].unique()) == set(plan.symbols[trading])
    assert (prices.first().reindex(plan.symbols[trading]).to_numpy() == plan.open[trading]).all()
    assert (prices.last().reindex(plan.symbols[trading]).to_numpy() == plan.close[trading]).all()


def rebuild(plan, i, orders, trades):
    """Enter a stock's rows into a fresh book; return its fills under published numbers, and the quotes."""
    base = round(plan.down_limit[i] * 100)
    ticks = round(plan.up_limit[i] * 100) - base + 1
    rows = orders[orders["symbol"] == plan.symbols[i]]
    time = milliseconds(rows, plan.date)
    new = (rows["kind"] != "cancel").to_numpy()
    number = rows["order_id"].to_numpy()
    slot = {n: s for s, n in enumerate(number[new])}
    kind = rows["kind"].map({k: c for c, k in enumerate(ORDER_KINDS)}).to_numpy()
    tick = np.where(rows["price"].isna(), EMPTY, (rows["price"] * 100).round() - base).astype(np.int64)
    tick[~new] = [slot[n] for n in number[~new]]
    side = (rows["side"] < 0).to_numpy().astype(np.int8)
    at = np.searchsorted(time, [33_900_000, 54_000_000])  # before the opening and the closing print
    reference = round(plan.prev_close[i] * 100) - base
    kind = np.insert(kind, at, UNCROSS).astype(np.int8)
    events = (
        kind,
        np.insert(side, at, 0),
        np.insert(tick, at, reference),
        np.insert(rows["volume"].to_numpy(), at, 0),
        np.insert((time >= 34_200_000) & (time < 53_820_000), at, True),
    )
    book = new_matching_book(int(new.sum()), ticks)
    killed, fills = np.zeros(len(kind), np.int64), np.zeros(len(kind), np.int64)
    process_events(book, *events, killed, fills)
    made = book.fills[: book.state[FILLS]].copy()
    made[:, 0], made[:, 1] = number[new][made[:, 0]], number[new][made[:, 1]]
    made[:, 2] += base
    return made, killed, events, book


# ---------------------------------------------------------------- targets and rules


def test_prints_the_targets(plan, day):
    _, trades = day
    check_targets(plan, trades)
    trading = ~plan.suspended
    ratio = trades.groupby("symbol")["volume"].sum().reindex(plan.symbols[trading]) / plan.volume[trading]
    assert (abs(ratio - 1) < 0.25).all()
    assert abs(ratio.median() - 1) < 0.03


def test_tables_have_the_lakes_schema(day):
    orders, trades = day
    for frame, schema in ((orders, ORDERS), (trades, TRADES)):
        assert list(frame.columns) == schema.names
        assert pa.Schema.from_pandas(frame, preserve_index=False).types == [
            pa.large_string() if t == pa.string() else t for t in schema.types
        ]
        assert frame["symbol"].is_monotonic_increasing
        assert (frame["volume"] > 0).all()
    priced = orders["kind"].isin(["limit"])
    assert orders["price"][priced].notna().all()
    assert orders["price"][orders["kind"].isin(["market", "own_best"])].isna().all()
    assert set(orders["kind"]) == set(ORDER_KINDS)


def test_sequence_and_clock(day):
    orders, trades = day
    both = pd.concat(
        [
            orders[["symbol", "seq"]].assign(ms=milliseconds(orders), what=orders["kind"]),
            trades[["symbol", "seq"]].assign(ms=milliseconds(trades), what="trade"),
        ]
    ).sort_values(["symbol", "seq"])
    assert not both.duplicated(["symbol", "seq"]).any()
    assert (both.groupby("symbol")["ms"].diff().fillna(0) >= 0).all()
    ms, what = both["ms"], both["what"]
    sessions = (
        ms.between(33_300_000, 33_899_999)
        | ms.between(34_200_000, 41_399_999)
        | ms.between(46_800_000, 53_819_999)
        | ms.between(53_820_000, 53_999_999)
    )
    assert sessions[what != "trade"].all()
    prints = ms.between(33_900_000, 33_900_999) | ms.between(54_000_000, 54_000_999)
    assert (sessions | prints)[what == "trade"].all()
    frozen = ms.between(33_600_000, 33_900_000) | (ms >= 53_820_000)
    assert not (what[frozen] == "cancel").any()
    assert (what[ms < 33_600_000] == "cancel").any()
    in_print = prints[what == "trade"].to_numpy()
    assert (trades["side"].to_numpy() == 0).tolist() == in_print.tolist()


def test_book_makes_the_same_trades_from_the_orders(plan, day):
    orders, trades = day
    spreads = []
    for i in np.flatnonzero(~plan.suspended)[:30]:
        made, killed, events, book = rebuild(plan, i, orders, trades)
        mine = trades[trades["symbol"] == plan.symbols[i]]
        ticks = (mine["price"] * 100).round().astype(np.int64)
        expected = np.column_stack(
            [mine["buy_order"], mine["sell_order"], ticks, mine["volume"], mine["side"].astype(np.int64)]
        )
        np.testing.assert_array_equal(made, expected)
        rows = orders[orders["symbol"] == plan.symbols[i]]
        withdrawn = killed[events[0] == CANCEL]
        cancels = rows[rows["kind"] == "cancel"]
        by_kill = cancels["price"].isna().to_numpy() & (withdrawn == 0)  # the book killed it on entry
        np.testing.assert_array_equal(withdrawn[~by_kill], cancels["volume"][~by_kill])
        assert killed[np.isin(events[0], [LIMIT])].sum() == 0
        filled = made[:, 3].sum()
        entered = rows["volume"][rows["kind"] != "cancel"].sum()
        resting = book.orders[:, 2].sum()
        assert entered == 2 * filled + cancels["volume"].sum() + resting
        spreads.append(book.state[BEST_ASK] > book.state[BEST_BID])
    assert all(spreads)


def test_numbers_follow_each_exchange(day):
    orders, trades = day
    new = orders[orders["kind"] != "cancel"]
    assert not new.duplicated(["symbol", "order_id"]).any()
    shenzhen = new["symbol"].str.endswith(".SZ")
    assert (new["order_id"] == new["seq"])[shenzhen].all()
    own = new[~shenzhen].groupby("symbol")["order_id"]
    assert (own.diff().dropna() > 0).all()
    for side, column in ((1, "buy_order"), (-1, "sell_order")):
        known = new[new["side"] == side].set_index(["symbol", "order_id"])["seq"]
        found = known.reindex(pd.MultiIndex.from_frame(trades[["symbol", column]]))
        assert found.notna().all()
        assert (found.to_numpy() < trades["seq"].to_numpy()).all()
    active = trades[trades["side"] != 0]
    assert (np.sign(active["buy_order"] - active["sell_order"]) == active["side"]).all()
    cancels = orders[orders["kind"] == "cancel"].merge(new, on=["symbol", "order_id"], suffixes=("", "_new"))
    assert len(cancels) == (orders["kind"] == "cancel").sum()
    assert (cancels["side"] == cancels["side_new"]).all()
    assert cancels["price"].equals(cancels["price_new"])
    assert (cancels["volume"] <= cancels["volume_new"]).all()


def test_lots_and_limits(plan, day):
    orders, trades = day
    new = orders[orders["kind"] != "cancel"]
    star = new["symbol"] == plan.symbols[STAR]
    buys = new["side"] > 0
    assert (new["volume"][buys & ~star] % 100 == 0).all()
    assert new["volume"][star].min() == 200
    assert (new["volume"][star & buys] % 100 != 0).any()
    odd = (new["volume"][~buys] % 100 != 0).mean()
    assert 0.005 < odd < 0.1
    limits = pd.DataFrame({"low": plan.down_limit, "high": plan.up_limit}, index=plan.symbols)
    for frame in (orders[orders["price"].notna()], trades):
        band = limits.loc[frame["symbol"]]
        price = frame["price"].to_numpy()
        assert ((price >= band["low"].to_numpy()) & (price <= band["high"].to_numpy())).all()
        np.testing.assert_allclose(price * 100, np.rint(price * 100), rtol=0, atol=1e-8)


def test_locked_days(plan, day):
    orders, trades = day
    for i, limit, side in ((UP, plan.up_limit, 1), (DOWN, plan.down_limit, -1)):
        mine = trades[trades["symbol"] == plan.symbols[i]]
        assert set(mine["price"]) == {limit[i]}
        assert set(mine["side"]) <= {0, -side}
        queue = orders[(orders["symbol"] == plan.symbols[i]) & (orders["side"] == side)]
        entered = queue["volume"].where(queue["kind"] != "cancel", -queue["volume"]).sum()
        assert entered > 2 * mine["volume"].sum()  # a queue that the day could not fill
    closes = trades[trades["symbol"] == plan.symbols[CLOSES_UP]]
    assert closes["price"].nunique() > 20
    last = closes[milliseconds(closes) >= 53_700_000]
    assert set(last["price"]) == {plan.up_limit[CLOSES_UP]}
    assert not (trades["symbol"] == plan.symbols[SUSPENDED]).any()
    assert not (orders["symbol"] == plan.symbols[SUSPENDED]).any()


def test_a_stocks_day_depends_on_nothing_else(plan, day):
    orders, trades = day
    again = simulate_day(plan, SETTINGS)
    pd.testing.assert_frame_equal(again[0], orders)
    pd.testing.assert_frame_equal(again[1], trades)
    keep = np.array([2, 5, 13, 40])
    for part, whole in zip(simulate_day(pick(plan, keep), SETTINGS), day, strict=True):
        mine = whole[whole["symbol"].isin(plan.symbols[keep])].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, mine)
    with ThreadPoolExecutor(2) as pool:
        plans = [pick(dataclasses.replace(plan, date=DATE + dt.timedelta(days=k)), keep) for k in (0, 1)]
        first, other = pool.map(lambda p: simulate_day(p, SETTINGS)[1], plans)
    pd.testing.assert_frame_equal(first, simulate_day(plans[0], SETTINGS)[1])
    assert not first["volume"].head(50).equals(other["volume"].head(50))
    seeded = simulate_day(plans[0], dataclasses.replace(SETTINGS, seed=1))[1]
    assert not first["volume"].head(50).equals(seeded["volume"].head(50))


def test_nothing_trades_in_an_empty_plan(plan):
    orders, trades = simulate_day(dataclasses.replace(plan, suspended=np.ones(len(plan), bool)), SETTINGS)
    assert len(orders) == len(trades) == 0
    assert list(orders.columns) == ORDERS.names


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [("open", 10.005, "open was 10.005"), ("close", 1e4, "close was"), ("volume", 0, "volume was 0")],
)
def test_a_wrong_plan_is_named(plan, field, value, text):
    values = getattr(plan, field).copy().astype(float)
    values[4] = value
    with pytest.raises(DataError, match=text) as error:
        simulate_day(dataclasses.replace(plan, **{field: values}), SETTINGS)
    assert plan.symbols[4] in str(error.value)
    assert "2020-03-02" in str(error.value)


PLANS = st.builds(
    dict,
    seed=st.integers(0, 10_000),
    price=st.integers(105, 200_000),
    band=st.sampled_from([0.05, 0.1, 0.2]),
    where=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    edge=st.sampled_from(["", "open up", "close up", "open down", "close down", "up down", "one word"]),
    volume=st.integers(1, 50_000_000),
    volatility=st.floats(0.001, 0.08),
    alpha=st.floats(-6, 6),
    lot=st.sampled_from([100, 200]),
    shanghai=st.booleans(),
)


@hypothesis_settings(max_examples=120, deadline=None)
@given(PLANS)
def test_any_plan_prints_its_targets(case):
    prev = case["price"]
    low, high = round(prev * (1 - case["band"])), round(prev * (1 + case["band"]))
    begin, end = (low + round(w * (high - low)) for w in case["where"])
    edge = case["edge"]
    begin = high if edge in ("open up", "up down", "one word") else low if edge == "open down" else begin
    end = high if edge in ("close up", "one word") else low if edge in ("close down", "up down") else end
    one = dict.fromkeys(("float_shares", "st"), np.zeros(1))
    plan = DayPlan(
        date=DATE,
        symbols=np.array(["600000.SH" if case["shanghai"] else "000001.SZ"], object),
        prev_close=np.array([prev / 100]),
        up_limit=np.array([high / 100]),
        down_limit=np.array([low / 100]),
        open=np.array([begin / 100]),
        close=np.array([end / 100]),
        volume=np.array([case["volume"]]),
        volatility=np.array([case["volatility"]]),
        alpha=np.array([case["alpha"]]),
        suspended=np.zeros(1, bool),
        one_word=np.array([begin == end and begin in (low, high)]),
        lot=np.array([case["lot"]]),
        board=np.array(["main"], object),
        **one,
    )
    settings = SimulationSettings(seed=case["seed"], orders_per_stock=300)
    orders, trades = simulate_day(plan, settings)
    check_targets(plan, trades)
    made, *_ = rebuild(plan, 0, orders, trades)
    assert made[:, 3].tolist() == trades["volume"].tolist()
    if plan.one_word[0]:
        assert set(trades["price"]) == {begin / 100}
    inside = low < min(begin, end) and max(begin, end) < high
    quiet = not edge and inside and case["volatility"] < 0.4 * case["band"]
    if quiet and case["volume"] * prev / 100 > 3e7:  # orders enough to steer by, and no lock on the way
        assert 0.6 < trades["volume"].sum() / case["volume"] < 1.6


# ---------------------------------------------------------------- the look of a market


@pytest.fixture(scope="module")
def market():
    plan = make_plan(120, seed=3, special=False)
    orders, trades = simulate_day(plan, SETTINGS)
    return plan, orders, trades, bars_from_trades(trades, pd.Series(plan.prev_close, plan.symbols))


def by_minute(bars, column):
    return bars.pivot(index="symbol", columns="minute", values=column)


def test_volume_is_u_shaped(market):
    *_, bars = market
    volume = by_minute(bars, "volume").sum().to_numpy()
    share = volume.reshape(8, 30).sum(axis=1) / volume.sum()
    assert share[0] > 0.18  # the first half-hour is the busiest
    assert share[0] == share.max()
    middle = share[2:7]
    assert share[1] > middle.min()
    assert share[7] > 1.1 * middle.mean()
    assert 0.06 < middle.min() < middle.max() < 0.14


def test_auctions_have_their_share(market):
    _, _, trades, _ = market
    ms = milliseconds(trades)
    total = trades["volume"].sum()
    assert 0.01 < trades["volume"][ms < 34_200_000].sum() / total < 0.05
    assert 0.005 < trades["volume"][ms >= 54_000_000].sum() / total < 0.04


def test_bid_ask_bounce(market):
    *_, bars = market
    close = by_minute(bars, "close")
    returns = close.pct_change(axis=1).iloc[:, 1:].to_numpy()
    lagged = [np.corrcoef(r[1:], r[:-1])[0, 1] for r in returns]
    assert -0.2 < np.mean(lagged) < -0.02
    assert np.mean(np.array(lagged) < 0) > 0.6


def test_trade_signs_persist(market):
    _, _, trades, _ = market
    active = trades[trades["side"] != 0]
    number = active["buy_order"].where(active["side"] > 0, active["sell_order"])
    first = active[~pd.DataFrame({"s": active["symbol"], "n": number}).duplicated()]  # one row an aggressive order
    persistence = [np.corrcoef(s[1:], s[:-1])[0, 1] for _, s in first.groupby("symbol")["side"]]
    assert 0.2 < np.mean(persistence) < 0.6


def test_order_sizes_are_heavy_tailed(market):
    _, orders, _, _ = market
    new = orders[orders["kind"] != "cancel"]
    by_stock = new.groupby("symbol")["volume"]
    assert by_stock.apply(pd.Series.kurt).median() > 10
    assert (by_stock.median() / by_stock.mean()).median() < 0.65
    lots = new["volume"] // 100
    large = lots[lots > 20]
    assert (large % 5 == 0).mean() > 0.4  # round numbers beyond their fifth


def test_orders_are_cancelled(market):
    plan, orders, *_ = market
    new = orders["kind"] != "cancel"
    assert 0.3 < (~new).sum() / new.sum() < 0.5
    assert 0.6 * 1500 < new.sum() / len(plan) < 1.5 * 1500
    assert 0.01 < (orders["kind"] == "market").sum() / new.sum() < 0.05


def test_spread_is_a_few_ticks(market):
    plan, orders, trades, _ = market
    spreads = []
    for i in range(0, 60, 6):
        rows = orders[orders["symbol"] == plan.symbols[i]]
        ms = milliseconds(rows)
        for stop in np.searchsorted(ms, np.linspace(34_500_000, 41_000_000, 25)):
            part = rows.iloc[:stop]
            *_, book = rebuild(plan, i, part, trades)
            spreads.append(book.state[BEST_ASK] - book.state[BEST_BID])
    spreads = np.array(spreads)
    assert (spreads >= 1).all()
    assert (spreads <= 3).mean() > 0.75
    assert (spreads == 1).mean() > 0.35


def test_volatility_follows_the_plan(market):
    plan, *_, bars = market
    close = by_minute(bars, "close").reindex(plan.symbols)
    realised = np.sqrt((np.log(close).diff(axis=1) ** 2).sum(axis=1))
    assert 0.8 < (realised / plan.volatility).median() < 1.3


# ---------------------------------------------------------------- the planted alpha


def footprints(days, stocks, strength):
    """Mean rank correlation of each factor with the alpha, times its published direction."""
    rows = []
    for k in range(days):
        date = DATE + dt.timedelta(days=k)
        plan = make_plan(stocks, seed=100 + k, date=date, special=False)
        alpha = pd.Series(plan.alpha, plan.symbols)
        orders, trades = simulate_day(dataclasses.replace(plan, alpha=strength * plan.alpha), SETTINGS)
        factors = intraday_factors(trades, orders, bars_from_trades(trades, pd.Series(plan.prev_close, plan.symbols)))
        rows.append(factors.rank().corrwith(alpha.reindex(factors.index).rank()))
    direction = pd.Series({name: spec.direction for name, spec in FACTORS.items()})
    return pd.DataFrame(rows).mean() * direction


def test_alpha_shows_in_the_factors_with_the_published_signs():
    seen = footprints(days=4, stocks=300, strength=1.0)
    assert (seen > 0).sum() >= 30
    assert 0.08 < seen.mean() < 0.22
    assert seen.max() < 0.4  # no factor gives the alpha away
    assert seen[["open_big_net_buy_share", "tail_volume_share", "corr_volume_amplitude"]].min() > 0.08


def test_without_alpha_no_factor_knows_it():
    seen = footprints(days=3, stocks=300, strength=0.0)
    deviation = 1 / np.sqrt(3 * 300)
    assert abs(seen).max() < 4.5 * deviation
    assert abs(seen.mean()) < 2 * deviation
