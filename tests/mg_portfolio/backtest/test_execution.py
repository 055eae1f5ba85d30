"""Execution model: lots, capacity, rates by date, and the attribution of their effects."""

import backtest_frames as frames
import numpy as np
import pytest

from mg_portfolio import BacktestError, ProblemError
from mg_portfolio.backtest.attribution import attribute
from mg_portfolio.backtest.execution import Execution, Filling, round_to_lots
from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.backtest.simulate import drift_to, simulate
from mg_portfolio.costs import Costs, CostSchedule, chinese_costs

changed, market, target, weekly = frames.changed, frames.market, frames.target, frames.weekly
real_market, check_account = frames.real_market, frames.check_account

CAPITAL = 2e7


def test_filling_adds_up_for_any_total():
    r = np.random.default_rng(0)
    for _ in range(200):
        n = int(r.integers(1, 12))
        wanted = np.where(r.random(n) < 0.3, 0.0, r.random(n))
        low = np.where(r.random(n) < 0.5, 0.0, 0.2 * r.random(n))
        high = np.where(r.random(n) < 0.5, np.inf, low + 0.3 * r.random(n) * (r.random(n) < 0.8))
        filling = Filling(wanted, low, high)
        for total in r.random(5) * 2:
            got = filling.clip(filling.scaled_target(total))
            assert (got >= low).all()
            assert (got <= high).all()
            floor = low.sum()
            top = np.where(wanted > 0, high, low).sum()
            assert got.sum() == pytest.approx(np.clip(total, floor, top), abs=1e-12)
            inside = (got > low + 1e-12) & (got < high - 1e-12)  # shared in proportion
            if inside.sum() > 1:
                assert np.ptp(got[inside] / wanted[inside]) < 1e-9


def test_capacity_is_a_share_of_the_days_amount():
    m = real_market()
    execution = Execution(CAPITAL, participation=0.1)
    r = simulate(m, weekly(m), execution=execution)
    check_account(r, m)
    day = {d: i for i, d in enumerate(m.days)}
    stock = {s: i for i, s in enumerate(m.symbols)}
    value = r.rebalances.set_index("traded")["value"]
    capped = 0
    for row in r.trades.itertuples():
        t, s = day[np.datetime64(row.traded, "D")], stock[row.symbol]
        yuan = abs(row.filled) * value[row.traded] * CAPITAL
        limit = 0.1 * np.nan_to_num(m.amount[t, s])
        assert yuan <= limit * (1 + 1e-9)
        if row.reason == "capacity":
            capped += 1
            assert yuan == pytest.approx(limit)
    assert capped > 20
    missed = r.rebalances["unfilled_weight"]
    free = simulate(m, weekly(m)).rebalances["unfilled_weight"]
    assert missed.mean() > 2 * free.mean()
    roomy = simulate(m, weekly(m), execution=Execution(1.0, participation=0.1))  # one yuan has room everywhere
    assert roomy.nav == pytest.approx(simulate(m, weekly(m)).nav, abs=1e-13)


def test_weight_beyond_capacity_is_spread_over_the_rest():
    ones = np.ones((4, 3))
    none = np.zeros((4, 3), bool)
    amount = np.full((4, 3), 1e9)
    amount[2, 0] = 1e6
    m = MarketPanel(
        np.datetime64("2020-01-01") + np.arange(4),
        np.array(["A", "B", "C"]),
        ones,
        ones,
        none,
        none,
        none,
        None,
        amount,
    )
    r = simulate(
        m,
        {1: np.array([0.5, 0.25, 0.25])},
        start_holdings=np.array([0.0, 0.5, 0.5]),
        cost=Costs.none(),
        execution=Execution(1e7, participation=0.5),
    )
    assert r.holdings[-1] == pytest.approx([0.05, 0.475, 0.475])
    row = r.trades.set_index("symbol").loc["A"]
    assert (row["reason"], row["planned"], row["filled"]) == ("capacity", 0.5, pytest.approx(0.05))
    assert r.rebalances["unfilled_weight"].iloc[0] == pytest.approx(0.45)


@pytest.mark.parametrize("participation", [None, 0.2])
def test_lots(participation):
    m = real_market()
    r = simulate(m, weekly(m), execution=Execution(CAPITAL, participation, lots=True))
    check_account(r, m)
    day = {d: i for i, d in enumerate(m.days)}
    stock = {s: i for i, s in enumerate(m.symbols)}
    value = r.rebalances.set_index("traded")["value"]
    left = dict(zip(r.days, r.holdings, strict=True))
    bought = {"6000": 0, "6880": 0, "8300": 0}
    for row in r.trades[r.trades["side"] != "payout"].itertuples():
        t, s = day[np.datetime64(row.traded, "D")], stock[row.symbol]
        raw = m.trade_price[t, s] / m.adj_factor[t, s]
        shares = abs(row.filled) * value[row.traded] * CAPITAL / raw
        if shares < 1e-6 or np.isnan(shares):
            continue
        if row.side == "sell" and left[m.days[t]][s] == 0.0:
            continue  # sold whole
        board = str(row.symbol)[:4]
        step = 100 if board == "6000" else 1
        assert shares == pytest.approx(round(shares / step) * step, rel=1e-8)
        assert shares > (199.9 if board == "6880" else 99.9)
        bought[board] += 1
    assert min(bought.values()) > 5
    small = simulate(m, weekly(m), execution=Execution(1e5, participation, lots=True))
    check_account(small, m)
    refused = small.trades[small.trades["reason"] == "lot"]
    assert len(refused) > 10
    assert (refused["filled"] == 0.0).all()
    if participation is None:
        idle = r.cash[6:] / r.nav[6:]
        assert 0 < idle.mean() < 0.01
        big = simulate(m, weekly(m), execution=Execution(1e13, lots=True))
        assert big.nav == pytest.approx(simulate(m, weekly(m)).nav, rel=1e-5)


@pytest.mark.parametrize(
    ("symbol", "orders"),
    [
        ("600000.SH", {99: 0, 100: 100, 199: 100, 200: 200}),
        ("688001.SH", {199: 0, 200: 200, 201: 201}),
        ("830001.BJ", {99: 0, 100: 100, 101: 101}),
    ],
)
def test_the_smallest_order_and_its_step(symbol, orders):
    """100 shares by the hundred; on the STAR market 200, and any number above; in Beijing 100, and any above."""
    symbols = np.array([symbol])
    for wanted, made in orders.items():
        value, share, held = np.array([wanted * 0.003]), np.array([0.003]), np.array([9.0])
        assert round_to_lots(value, held, share, symbols, 9.0, 0.0, 0.0) == pytest.approx([made * 0.003])
        assert round_to_lots(-value, held, share, symbols, 9.0, 0.0, 0.0) == pytest.approx([-made * 0.003])
    assert round_to_lots(-held, held, share, symbols, 0.0, 0.0, 0.0) == pytest.approx(-held)  # sold whole


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unpriced", [0.0, np.nan])
def test_a_stock_without_a_price_needs_no_lots(unpriced):
    traded = np.array([0.035, -0.02, 0.0, 0.0])
    share = np.array([1e-4, 1e-4, 1e-4, unpriced])
    symbols = np.array(["600000.SH", "600001.SH", "688001.SH", "688002.SH"])
    made = round_to_lots(traded, np.array([0.0, 0.05, 0.3, 0.0]), share, symbols, 0.1, 0.0, 0.0)
    assert made == pytest.approx([0.03, -0.02, 0.0, 0.0])
    m = real_market()  # the last stock is listed halfway
    later = np.arange(60)[:, None] >= np.where(np.arange(40) == 39, 30, 0)
    m = changed(
        m,
        close=np.where(later, m.close, np.nan),
        trade_price=np.where(later, m.trade_price, np.nan),
        adj_factor=np.where(later, m.adj_factor, np.nan),
    )
    check_account(simulate(m, weekly(m), execution=Execution(CAPITAL, 0.2, lots=True)), m)


def test_week_by_week_equals_all_at_once_with_every_option():
    m = real_market()
    whole = simulate(m, weekly(m), cost=chinese_costs(), execution=Execution(CAPITAL, 0.2, lots=True))
    held = np.zeros(40)
    for day in range(0, 50, 5):
        assert held == pytest.approx(whole.holdings[day], abs=1e-12)
        now = Execution(CAPITAL * whole.nav[day], 0.2, lots=True)
        held = drift_to(m, held, weekly(m)[day], day, day + 5, chinese_costs(), now)[0]


def test_rates_follow_the_law():
    rates = chinese_costs(commission=0.0003, slippage=0.0001)
    old, fee, new = rates.on("2021-06-01"), rates.on("2022-04-29"), rates.on("2023-08-28")
    assert (old.stamp_tax, fee.stamp_tax, rates.on("2023-08-27").stamp_tax, new.stamp_tax) == (1e-3, 1e-3, 1e-3, 5e-4)
    assert (old.transfer_fee, fee.transfer_fee) == (2e-5, 1e-5)
    assert new.buy == pytest.approx(0.0004 + 1e-5)
    assert new.sell == pytest.approx(0.0004 + 1e-5 + 5e-4)
    assert Costs().on("2021-06-01") == Costs()
    with pytest.raises(ProblemError, match="ascending"):
        CostSchedule((("2021-01-01", Costs()), ("2020-01-01", Costs())))


def test_stamp_tax_is_that_of_the_day():
    m = market(halts=0, locks=0)
    m = changed(m, days=np.datetime64("2023-08-01") + np.arange(60))
    everything = {d: np.eye(40)[d // 5 % 2] for d in range(0, 60, 5)}  # sells one stock for another each week
    r = simulate(m, everything, cost=chinese_costs(commission=0.0))
    later = r.rebalances[~r.rebalances["initial"]]
    tax = later["cost"] - 1e-5 * later["realised_two_way"]
    before = later["traded"] < np.datetime64("2023-08-28")
    assert before.any()
    assert tax[before].to_numpy() == pytest.approx(1e-3, rel=1e-6)
    assert tax[~before].to_numpy() == pytest.approx(5e-4, rel=1e-6)


@pytest.mark.parametrize(
    "options", [{}, {"execution": Execution(CAPITAL, 0.2, lots=True)}], ids=["plain", "lots and capacity"]
)
@pytest.mark.parametrize("as_weights", [False, True])
def test_attribution_of_a_backtest_sums_to_the_excess(options, as_weights):
    m = real_market()
    r_ = np.random.default_rng(5)
    start = simulate(m, {}, start_holdings=target(40, 7), cost=Costs.none())
    benchmark = start.holdings if as_weights else {0: target(40, 7), 30: target(40, 8)}
    late = {d: w for d, w in weekly(m).items() if d >= 10}
    r = simulate(m, late, cost=chinese_costs(), benchmark=benchmark, **options)
    styles = {"size": r_.standard_normal((60, 40)), "beta": r_.standard_normal(40)}
    a = attribute(r, m, benchmark, r_.integers(0, 5, 40), styles)
    daily = r.nav[1:] / r.nav[:-1] - r.benchmark_nav[1:] / r.benchmark_nav[:-1]
    by_part = a.brinson.allocation.sum(axis=1) + a.brinson.selection.sum(axis=1) + a.execution + a.cost
    assert by_part == pytest.approx(daily, abs=1e-13)
    assert a.excess == pytest.approx(daily, abs=1e-13)
    assert a.factors.drop(columns="excess").sum(axis=1).to_numpy() + a.execution + a.cost == pytest.approx(
        daily, abs=1e-13
    )
    compounded = r.nav[-1] / r.nav[0] - r.benchmark_nav[-1] / r.benchmark_nav[0]
    assert a.table()["excess"] == pytest.approx(compounded, abs=1e-12)
    assert a.factor_table()["excess"] == pytest.approx(compounded, abs=1e-12)
    assert a.brinson.table()["total"].sum() == pytest.approx(a.table()[["allocation", "selection"]].sum(), abs=1e-13)
    on_trading_days = np.isin(r.days[1:], r.rebalances["traded"].to_numpy("datetime64[D]"))
    assert np.abs(a.execution[~on_trading_days]).max() < 1e-13
    assert (a.cost[on_trading_days] < 0).all()
    assert (a.cost[~on_trading_days] == 0).all()


def test_the_first_day_is_attributed_to_cash():
    m = real_market()
    benchmark = {0: target(40, 7)}
    r = simulate(m, {d: w for d, w in weekly(m).items() if d >= 10}, cost=Costs.none(), benchmark=benchmark)
    a = attribute(r, m, benchmark, np.arange(40) % 5)
    index = r.benchmark_nav[1:] / r.benchmark_nav[:-1] - 1
    bought = np.searchsorted(r.days, r.rebalances["traded"].iloc[0].to_datetime64().astype("datetime64[D]")) - 1
    assert bought == 0
    assert a.brinson.allocation[0, -1] == pytest.approx(-index[0])
    assert a.brinson.allocation[0].sum() == pytest.approx(-index[0])
    assert a.brinson.selection[0] == pytest.approx(0.0, abs=1e-15)
    earned = r.nav[1] / r.nav[0] - 1  # bought at the day's price, held to its close
    assert a.execution[0] == pytest.approx(earned)
    assert a.brinson.table().loc[-1, "total"] == pytest.approx(-index[0] * a.link[0], abs=1e-12)
    assert a.brinson.table()["total"].sum() + a.table()["execution"] == pytest.approx(r.nav[-1] - r.benchmark_nav[-1])


def test_holding_the_benchmark_has_nothing_to_attribute():
    m = market()
    b = target(40, 3)
    r = simulate(m, {}, start_holdings=b, cost=Costs.none(), benchmark={0: b})
    a = attribute(r, m, {0: b}, np.arange(40) % 4)
    assert np.abs(a.excess).max() < 1e-14
    assert a.table().abs().max() < 1e-13
    with pytest.raises(BacktestError, match="without styles"):
        a.factor_table()


BAD = [
    (lambda m: simulate(changed(m, amount=None), weekly(m), execution=Execution(1e6, 0.1)), "panel had no amount"),
    (lambda m: simulate(changed(m, adj_factor=None), weekly(m), execution=Execution(1e6, lots=True)), "no adj_factor"),
    (
        lambda m: simulate(changed(m, adj_factor=m.adj_factor * 0), weekly(m), execution=Execution(1e6, lots=True)),
        "adj_factor of .* on 2020-01-02 was 0.0",
    ),
    (lambda m: attribute(simulate(m, weekly(m)), m, np.zeros(60), np.zeros(40, int)), "needs the benchmark's weights"),
    (lambda m: attribute(simulate(m, weekly(m)), m, {9: target(40, 1)}, np.zeros(40, int)), "began after"),
    (lambda m: attribute(simulate(m, weekly(m)), market(days=50), {0: target(40, 1)}, np.zeros(40, int)), "ran on"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[m for _, m in BAD])
def test_missing_panels_are_named(call, message):
    with pytest.raises(BacktestError, match=message):
        call(real_market())


@pytest.mark.parametrize("bad", [{"capital": 0.0}, {"capital": 1e6, "participation": 1.5}])
def test_unusable_execution_limits_are_refused(bad):
    with pytest.raises(ProblemError, match="expected"):
        Execution(**bad)
