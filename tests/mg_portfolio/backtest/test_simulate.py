"""Identities of the backtest: values that add up, no look-ahead, one week at a time equals all at once."""

import datetime as dt

import backtest_frames as frames
import numpy as np
import pytest

from mg_portfolio import BacktestError
from mg_portfolio.backtest.execution import Execution
from mg_portfolio.backtest.market_panel import MarketPanel
from mg_portfolio.backtest.simulate import drift_to, simulate
from mg_portfolio.costs import Costs, CostSchedule

changed, market, target, weekly = frames.changed, frames.market, frames.target, frames.weekly


def naive(m: MarketPanel, decisions: dict[int, np.ndarray], cost: Costs) -> np.ndarray:
    """Daily value by scalar loops, for panels in which everything trades."""
    start = min(decisions)
    units, cash, nav = [0.0] * len(m.symbols), 1.0, []
    for day in range(start, len(m.days)):
        if day - 1 in decisions and day > start:
            price = m.trade_price[day]
            held = [u * p for u, p in zip(units, price, strict=True)]
            before = sum(held) + cash
            net = before
            for _ in range(50):
                orders = [net * w - h for w, h in zip(decisions[day - 1], held, strict=True)]
                paid = sum(cost.buy * o if o > 0 else -cost.sell * o for o in orders)
                net = before - paid
            cash = before - sum(h + o for h, o in zip(held, orders, strict=True)) - paid
            units = [(h + o) / p for h, o, p in zip(held, orders, price, strict=True)]
        nav.append(sum(u * p for u, p in zip(units, m.close[day], strict=True)) + cash)
    return np.array(nav)


def test_value_is_holdings_times_prices_plus_cash_every_day():
    m = market()
    r = simulate(m, weekly(m))
    assert r.nav == pytest.approx((r.units * m.mark).sum(axis=1) + r.cash, abs=1e-14)
    assert r.holdings.sum(axis=1) + r.cash / r.nav == pytest.approx(1.0, abs=1e-14)
    assert (r.holdings >= -1e-15).all()
    assert np.abs(r.cash[5:]).max() < 1e-12  # fully invested from the first purchase on
    assert r.nav[0] == 1.0


def test_equals_a_scalar_loop_where_everything_trades():
    m = market(halts=0, locks=0)
    cost = Costs(commission=0.001, stamp_tax=0.0005, slippage=0.0002)
    assert simulate(m, weekly(m), cost=cost).nav == pytest.approx(naive(m, weekly(m), cost), abs=1e-13)


def test_buy_and_hold_of_the_benchmark_tracks_it_exactly():
    m = market()
    b = target(40, 99)
    r = simulate(m, {}, start_holdings=b, cost=Costs.none(), benchmark={0: b})
    assert r.relative_nav == pytest.approx(1.0, abs=1e-14)


def test_buying_the_benchmark_for_free_tracks_it_from_then_on():
    """Bought on day 8 at its trade price: what it earns after that day's close is the index's."""
    m = market()
    others = (np.arange(60) != 8)[:, None]  # on day 8 everything trades
    flags = {name: getattr(m, name) & others for name in ("suspended", "limit_up", "limit_down")}
    price = np.where(flags["suspended"], np.nan, np.where(np.isnan(m.trade_price), m.mark, m.trade_price))
    m = changed(m, trade_price=price, **flags)
    b = target(40, 99)
    drift = m.mark[8] / price[8]  # from the day's trade price to its close
    r = simulate(m, {7: b}, cost=Costs.none(), benchmark={7: b, 8: b * drift / (b @ drift)})
    assert r.days[1] == m.days[8]
    assert r.nav[1] == pytest.approx(b @ drift, abs=1e-14)
    assert r.relative_nav[1:] == pytest.approx(r.relative_nav[1], abs=1e-13)
    paid = simulate(m, {7: b}, benchmark={7: b})
    assert paid.nav[1:] * 1.002 == pytest.approx(r.nav[1:], abs=1e-13)  # the purchase's 0.2%, and nothing else


def test_benchmark_from_returns_weights_and_schedule_agree():
    m = market(halts=0, locks=0)
    b = target(40, 99)
    drifting = simulate(m, {}, start_holdings=b, cost=Costs.none(), benchmark={0: b})
    returns = np.r_[np.nan, drifting.benchmark_nav[1:] / drifting.benchmark_nav[:-1] - 1]
    from_returns = simulate(m, weekly(m), benchmark=returns)
    from_daily = simulate(m, weekly(m), benchmark=drifting.holdings)
    scheduled = simulate(m, weekly(m), benchmark={0: b, 30: drifting.holdings[30]})
    assert from_returns.benchmark_nav == pytest.approx(drifting.benchmark_nav, abs=1e-13)
    assert from_daily.benchmark_nav == pytest.approx(drifting.benchmark_nav, abs=1e-13)
    assert scheduled.benchmark_nav == pytest.approx(drifting.benchmark_nav, abs=1e-13)


def test_index_starts_at_one_where_the_portfolio_starts():
    m = market()
    late = {d: w for d, w in weekly(m).items() if d >= 10}
    r = simulate(m, late, benchmark={0: target(40, 1)})
    assert r.days[0] == m.days[10]
    assert r.benchmark_nav[0] == r.nav[0] == 1.0
    assert np.isnan(simulate(m, late).benchmark_nav).all()


def test_the_future_changes_nothing_before_it():
    m = market()
    now = 33
    whole = simulate(m, weekly(m), benchmark={0: target(40, 1)})
    noise = np.random.default_rng(8).random(m.close.shape) + 0.5
    later = np.arange(60)[:, None] > now
    other = changed(
        m,
        close=np.where(later, m.close * noise, m.close),
        trade_price=np.where(later, m.trade_price * noise, m.trade_price),
        suspended=np.where(later, ~m.suspended, m.suspended),
    )
    decisions = {d: w if d <= now else target(40, d + 1000) for d, w in weekly(m).items()}
    again = simulate(other, decisions, benchmark={0: target(40, 1)})
    for name in ("nav", "benchmark_nav", "holdings"):
        assert (getattr(whole, name)[: now + 1] == getattr(again, name)[: now + 1]).all()
    assert (whole.nav[now + 1 :] != again.nav[now + 1 :]).all()


def test_week_by_week_equals_all_at_once():
    m = market()
    cost = Costs.two_sided(0.004)
    whole = simulate(m, weekly(m), cost=cost)
    held = np.zeros(40)
    for day in range(0, 55, 5):
        assert held == pytest.approx(whole.holdings[day], abs=1e-14)
        held = drift_to(m, held, weekly(m)[day], day, m.days[day + 5], cost)[0]
    drifted, growth = drift_to(m, held, None, 55, 59)
    assert drifted == pytest.approx(held * m.mark[59] / m.mark[55] / (held * m.mark[59] / m.mark[55]).sum())
    assert growth == pytest.approx((held * m.mark[59] / m.mark[55]).sum())
    assert drift_to(m, held, weekly(m)[55], 55, 55)[0] == pytest.approx(held)


def test_permuting_stocks_permutes_holdings():
    m = market()
    order = np.random.default_rng(3).permutation(40)
    shuffled = MarketPanel(
        m.days,
        m.symbols[order],
        *(x[:, order] for x in (m.trade_price, m.close, m.suspended, m.limit_up, m.limit_down)),
    )
    a = simulate(m, weekly(m))
    b = simulate(shuffled, {d: w[order] for d, w in weekly(m).items()})
    assert a.nav == pytest.approx(b.nav, abs=1e-12)
    assert a.holdings[:, order] == pytest.approx(b.holdings, abs=1e-12)


def flat(stocks: int = 4, days: int = 6, **flags) -> MarketPanel:
    """Prices of 1 throughout, one stock flagged on day 3."""
    none = np.zeros((days, stocks), dtype=bool)
    given = {name: none.copy() for name in ("suspended", "limit_up", "limit_down")}
    for name, stock in flags.items():
        given[name][3, stock] = True
    return MarketPanel(
        np.datetime64("2020-01-01") + np.arange(days),
        np.array(list("ABCDEFGH"[:stocks]), dtype=object),
        np.ones((days, stocks)),
        np.ones((days, stocks)),
        **given,
    )


@pytest.mark.parametrize(
    ("flag", "before", "wanted", "after"),
    [
        ("suspended", [0.4, 0.3, 0.3, 0.0], [0.1, 0.3, 0.2, 0.4], [0.4, 0.2, 2 / 15, 4 / 15]),
        ("limit_down", [0.4, 0.3, 0.3, 0.0], [0.1, 0.3, 0.2, 0.4], [0.4, 0.2, 2 / 15, 4 / 15]),
        ("limit_up", [0.1, 0.3, 0.3, 0.3], [0.4, 0.2, 0.2, 0.2], [0.1, 0.3, 0.3, 0.3]),
        ("limit_up", [0.4, 0.3, 0.3, 0.0], [0.1, 0.3, 0.2, 0.4], [0.1, 0.3, 0.2, 0.4]),  # a sale goes through
        ("limit_down", [0.1, 0.3, 0.3, 0.3], [0.4, 0.2, 0.2, 0.2], [0.4, 0.2, 0.2, 0.2]),  # so does a purchase
    ],
)
def test_untradable_weight_is_spread_over_the_rest(flag, before, wanted, after):
    m = flat(**{flag: 0})
    r = simulate(m, {2: np.array(wanted)}, start_holdings=np.array(before), cost=Costs.none())
    assert r.holdings[3] == pytest.approx(after, abs=1e-14)
    stuck = r.trades[r.trades["reason"] != ""]
    if after[0] != wanted[0]:
        assert stuck["symbol"].tolist() == ["A"]
        assert stuck["reason"].tolist() == [flag]
        assert stuck["filled"].iloc[0] == 0.0
        assert stuck["planned"].iloc[0] == pytest.approx(wanted[0] - before[0])
        assert r.rebalances["unfilled"].tolist() == [1]
    else:
        assert stuck.empty


def test_a_purchase_scaled_down_to_a_sale_may_be_locked_too():
    # A frozen at 0.5 halves the others' room: B's planned purchase becomes a sale, which its lower limit forbids
    m = flat(suspended=0, limit_down=1)
    r = simulate(
        m, {2: np.array([0.0, 0.4, 0.6, 0.0])}, start_holdings=np.array([0.5, 0.3, 0.2, 0.0]), cost=Costs.none()
    )
    assert r.holdings[3] == pytest.approx([0.5, 0.3, 0.2, 0.0])
    assert dict(zip(r.trades["symbol"], r.trades["reason"], strict=True))["B"] == "limit_down"


def test_costs_are_paid_on_traded_value():
    m = flat()
    cost = Costs(commission=0.001, stamp_tax=0.0005)
    r = simulate(m, {2: np.array([0, 0, 0.5, 0.5])}, start_holdings=np.array([0.5, 0.5, 0, 0]), cost=cost)
    after = (1 - 0.0015) / 1.001  # sells all of 1, buys what is left after both costs
    assert r.nav[3] == pytest.approx(after, abs=1e-15)
    assert r.rebalances["cost"].iloc[0] == pytest.approx(1 - after)
    assert r.rebalances["planned_two_way"].iloc[0] == pytest.approx(2.0)
    assert r.rebalances["realised_two_way"].iloc[0] == pytest.approx(1 + after)
    free = simulate(m, {2: np.array([0, 0, 0.5, 0.5])}, start_holdings=np.array([0.5, 0.5, 0, 0]), cost=Costs.none())
    assert free.nav[3] == 1.0


def test_planned_turnover_is_that_of_the_decisions_close():
    m = market()
    r = simulate(m, weekly(m))
    for row in r.rebalances.itertuples():
        decided = int(np.searchsorted(r.days, np.datetime64(row.decided, "D")))
        expected = np.abs(weekly(m)[decided] - r.holdings[decided]).sum()
        assert row.planned_two_way == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(("since", "paid"), [(3, 0.01), (4, 0.0)])
def test_costs_are_those_of_the_day_of_the_trade(since, paid):
    """Decided on day 2, traded on day 3."""
    m = flat()
    cost = CostSchedule((("1990-01-01", Costs.none()), (str(m.days[since]), Costs.one_sided(0.01))))
    everything = np.array([1.0, 0, 0, 0])
    r = simulate(m, {2: everything}, cost=cost)
    assert r.nav[1] == pytest.approx(1 / (1 + paid))
    assert drift_to(m, np.zeros(4), everything, 2, 3, cost)[1] == pytest.approx(1 / (1 + paid))


def test_lots_are_those_of_the_day_of_the_trade(monkeypatch):
    m = flat()
    m = changed(m, adj_factor=np.ones(m.close.shape))
    day_of_trade = m.days[3]
    lot = {day_of_trade: (100, 100)}
    monkeypatch.setattr("mg_portfolio.backtest.execution.in_force", lambda _, __, day: lot.get(day, (400, 400)))
    r = simulate(m, {2: np.array([0.35, 0, 0, 0])}, cost=Costs.none(), execution=Execution(1000.0, lots=True))
    assert r.holdings[-1, 0] == pytest.approx(0.3)


def test_two_sided_cost_is_half_on_each_side():
    cost = Costs.two_sided(0.004)
    assert (cost.buy, cost.sell) == (0.002, 0.002)
    assert Costs.one_sided(0.002) == cost
    assert Costs(0.001, 0.001).per_traded_weight == pytest.approx(0.0015)
    with pytest.raises(ValueError, match="commission was 4"):
        Costs(commission=4)


def test_trades_are_made_the_day_after_at_its_trade_price():
    m = flat()
    price, close = m.trade_price.copy(), m.close.copy()
    price[3, 0], close[3:, 0] = 2.0, 4.0
    m = changed(m, trade_price=price, close=close)
    r = simulate(m, {2: np.array([1.0, 0, 0, 0])}, cost=Costs.none())
    assert r.nav.tolist() == [1.0, 2.0, 2.0, 2.0]
    assert r.trades["price"].tolist() == [2.0]
    assert str(r.trades["traded"].iloc[0])[:10] == "2020-01-04"
    assert r.rebalances["initial"].tolist() == [True]
    assert r.turnover.empty


def test_halted_and_delisted_stocks_keep_their_last_price():
    m = flat(days=8)
    close, trade = m.close.copy(), m.trade_price.copy()
    close[2, 0] = 3.0
    close[3:, 0] = np.nan
    trade[3:, 0] = np.nan
    listed = np.ones(close.shape, bool)
    listed[4:, 0] = False
    w = np.full(4, 0.25)
    kept = simulate(changed(m, close=close, trade_price=trade), {5: np.array([0, 1.0, 0, 0])}, start_holdings=w)
    assert kept.nav[2:6] == pytest.approx(1.5)
    assert kept.holdings[7, 0] == pytest.approx(0.5, abs=0.01)
    assert kept.trades.loc[kept.trades["symbol"] == "A", "reason"].tolist() == ["no_price"]
    paid = simulate(
        changed(m, close=close, trade_price=trade, listed=listed),
        {5: np.array([0, 1.0, 0, 0])},
        start_holdings=w,
        cost=Costs.none(),
    )
    assert paid.nav == pytest.approx(np.r_[1.0, 1.0, np.full(6, 1.5)])
    assert paid.holdings[7].tolist() == [0.0, 1.0, 0.0, 0.0]
    row = paid.trades[paid.trades["symbol"] == "A"].iloc[0]
    assert (row["side"], row["reason"]) == ("payout", "delisted")
    assert row["filled"] == pytest.approx(-0.5)
    absent = simulate(
        changed(m, close=close, trade_price=trade, listed=listed, absent=~listed),
        {5: np.array([0, 1.0, 0, 0])},
        start_holdings=w,
    )
    assert absent.trades.loc[absent.trades["symbol"] == "A", "reason"].tolist() == ["absent"]
    listed[7:, 0] = True  # it comes back: the days between were a halt
    halted = changed(m, close=close, trade_price=trade, listed=listed)
    assert halted.listed.all()
    kept = simulate(halted, {5: np.array([0, 1.0, 0, 0])}, start_holdings=w)
    assert kept.trades.loc[kept.trades["symbol"] == "A", "reason"].tolist() == ["no_price"]


def test_everything_halted_changes_nothing_and_cash_waits():
    m = flat()
    shut = m.suspended.copy()
    shut[3] = True
    m = changed(m, suspended=shut)
    r = simulate(m, {2: np.array([0, 0, 0, 1.0])}, start_holdings=np.array([0.5, 0.5, 0, 0]))
    assert r.holdings[3].tolist() == [0.5, 0.5, 0.0, 0.0]
    r = simulate(m, {2: np.array([0, 0, 0, 1.0]), 4: np.array([0, 0, 1.0, 0])}, cost=Costs.none())
    assert r.cash[:3].tolist() == [1.0, 1.0, 1.0]
    assert r.holdings[-1].tolist() == [0.0, 0.0, 1.0, 0.0]


def test_a_target_below_one_leaves_the_rest_in_cash():
    m = flat()
    close = m.close.copy()
    close[3:] = 2.0  # doubled by the close of the day of the trade
    r = simulate(changed(m, close=close), {2: np.array([0.3, 0.3, 0, 0])}, cost=Costs.none())
    assert r.cash[-1] == pytest.approx(0.4)
    assert r.rebalances["cash"].iloc[0] == pytest.approx(0.4 / 1.6)


def test_dates_and_indices_name_the_same_day():
    m = market()
    by_index = simulate(m, {5: target(40, 1)})
    for day in (m.days[5], dt.date(2020, 1, 6)):
        assert (simulate(m, {day: target(40, 1)}).nav == by_index.nav).all()


BAD = [
    (lambda m: simulate(m, {}), "neither a decision"),
    (lambda m: simulate(m, {0: np.zeros(3)}), "target decided on 2020-01-01 had shape"),
    (lambda m: simulate(m, {0: np.r_[-0.1, np.zeros(39)]}), "for 600000.SH"),
    (lambda m: simulate(m, {0: np.r_[np.nan, np.zeros(39)]}), "for 600000.SH"),
    (lambda m: simulate(m, {0: np.full(40, 1.0)}), "summed to 40"),
    (lambda m: simulate(m, {dt.date(2031, 1, 1): np.zeros(40)}), "2031-01-01 was not a day"),
    (lambda m: simulate(m, {77: np.zeros(40)}), "day index 77"),
    (lambda m: simulate(m, {5: target(40, 1), "2020-01-06": target(40, 2)}), "decisions had 2020-01-06 twice"),
    (lambda m: simulate(m, weekly(m), benchmark=np.zeros(3)), "benchmark had shape"),
    (lambda m: simulate(m, weekly(m), benchmark=np.full(60, np.nan)), "no return on 2020-01-02"),
    (lambda m: simulate(m, weekly(m), benchmark={10: target(40, 0)}), "began after"),
    (lambda m: drift_to(m, target(40, 0), None, 5, 2), "was before decided"),
    (lambda m: changed(m, close=m.close[:5]), "close had shape"),
    (lambda m: changed(m, close=-m.close), "expected a price above 0"),
    (lambda m: changed(m, days=m.days[::-1]), "not ascending"),
    (lambda m: drift_to(changed(m, close=m.close * np.nan), target(40, 0), None, 0, 1), "no price"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[m for _, m in BAD])
def test_decisions_and_panels_that_do_not_fit_are_refused(call, message):
    with pytest.raises(BacktestError, match=message):
        call(market(halts=0.5))
