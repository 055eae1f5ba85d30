"""Rebalancing: the same week by week and in one go, on any axis, without look-ahead; and its weekday paths."""

from dataclasses import replace

import backtest_frames as frames
import numpy as np
import pytest

from mg_portfolio import BacktestError
from mg_portfolio.backtest.attribution import attribute, factor_attribution
from mg_portfolio.backtest.execution import Execution
from mg_portfolio.backtest.rebalance import DecisionPanel, rebalance, simulate_decisions
from mg_portfolio.backtest.simulate import simulate
from mg_portfolio.backtest.weekday_paths import simulate_weekday_paths, weekday_decisions, weekday_sensitivity
from mg_portfolio.catalog import PORTFOLIOS
from mg_portfolio.costs import Costs, chinese_costs
from mg_portfolio.metrics import performance_metrics

SPEC = PORTFOLIOS["csi500_turnover30"]
DAYS, STOCKS = 62, 120
EXECUTION = Execution(5e8, participation=0.2, lots=True)


def panel(seed: int = 0) -> DecisionPanel:
    """Trading days of a year with two holidays; a signal that is absent on some days."""
    every = np.arange(np.datetime64("2023-01-02"), np.datetime64("2023-04-20"))
    open_days = every[np.is_busday(every)]
    closed = (open_days >= np.datetime64("2023-01-23")) & (open_days <= np.datetime64("2023-01-27"))
    closed |= np.isin(open_days, np.array(["2023-01-02", "2023-04-05"], "datetime64[D]"))
    days = open_days[~closed][:DAYS]
    m = frames.changed(frames.real_market(seed, days=len(days), stocks=STOCKS), days=days)
    r = np.random.default_rng(seed + 7)
    shape = m.close.shape
    score = np.cumsum(r.standard_normal(shape), axis=0)
    score /= score.std(axis=1, keepdims=True)
    score[r.random(shape) < 0.02] = np.nan
    weight = np.where(np.arange(STOCKS) < 60, r.lognormal(0, 0.3, STOCKS), 0.0) * np.ones(shape)
    return DecisionPanel(
        market=m,
        score=score,
        benchmark=weight,
        member=weight > 0,
        industry=np.broadcast_to(np.arange(STOCKS) % 6, shape).copy(),
        industry_names=dict(enumerate("abcdef")),
        styles={"size": np.broadcast_to(r.standard_normal(STOCKS), shape).copy()},
        buyable=r.random(shape) < 0.98,
    )


@pytest.fixture(scope="module")
def week_ends() -> np.ndarray:
    return weekday_decisions(panel().market.days)["fri"]


@pytest.mark.parametrize("execution", [None, EXECUTION], ids=["plain", "lots and capacity"])
def test_one_week_at_a_time_gives_the_bits_of_all_at_once(week_ends, execution):
    p = panel()
    whole = list(rebalance(p, SPEC, week_ends, chinese_costs(), execution))
    last = None
    for day, decision in zip(week_ends, whole, strict=True):
        (alone,) = rebalance(p, SPEC, [day], chinese_costs(), execution, last)
        assert (alone.target == decision.target).all()
        assert (alone.holdings == decision.holdings).all()
        assert alone.value == decision.value
        last = alone


def test_decisions_are_backtested_at_the_costs_asked_for(week_ends):
    p = panel()
    made = list(rebalance(p, SPEC, week_ends[:3]))
    assert [d.problem.cost for d in made] == [0.0] * 3  # the objective has none where scores are no returns
    targets = {d.day: d.target for d in made}
    for asked, rates in ((None, SPEC.costs), (Costs.none(), Costs.none()), (chinese_costs(), chinese_costs())):
        found = simulate_decisions(p, SPEC, made, asked).result
        np.testing.assert_array_equal(found.nav, simulate(p.market, targets, cost=rates).nav)


@pytest.mark.parametrize("total", [1.0, 0.01, 100.0])
def test_index_weights_may_have_any_unit(week_ends, total):
    p = panel()
    scaled = replace(p, benchmark=total * p.benchmark / p.benchmark.sum(axis=1, keepdims=True))
    (first,), (same,) = (list(rebalance(x, SPEC, week_ends[:1])) for x in (p, scaled))
    assert same.absent == ""
    np.testing.assert_allclose(same.target, first.target, rtol=0, atol=1e-9)


def test_unused_stocks_change_no_bit(week_ends):
    p = panel()
    more = np.array([f"{300000 + i}.SZ" for i in range(37)], dtype=object)
    order = np.argsort(np.concatenate([np.arange(STOCKS), np.linspace(0.5, STOCKS - 0.5, 37)]))  # in between

    def wider(x, fill):
        extra = np.full((len(x), 37), fill, dtype=x.dtype)
        return np.concatenate([x, extra], axis=1)[:, order]

    market = frames.changed(
        p.market,
        symbols=np.concatenate([p.market.symbols, more])[order],
        **{n: wider(getattr(p.market, n), 10.0) for n in ("trade_price", "close", "amount", "adj_factor")},
        **{n: wider(getattr(p.market, n), False) for n in ("suspended", "limit_up", "limit_down")},
    )
    q = DecisionPanel(
        market, wider(p.score, np.nan), wider(p.benchmark, 0.0), wider(p.member, False), wider(p.industry, 0),
        p.industry_names, {"size": wider(p.styles["size"], 0.0)}, wider(p.buyable, True),
    )  # fmt: skip
    back = np.argsort(order)[:STOCKS]
    for a, b in zip(rebalance(p, SPEC, week_ends), rebalance(q, SPEC, week_ends), strict=True):
        assert (b.target[back] == a.target).all()
        assert b.value == a.value


@pytest.mark.parametrize("execution", [None, EXECUTION], ids=["plain", "lots and capacity"])
def test_the_backtest_holds_what_decisions_started_from(week_ends, execution):
    p = panel()
    decisions = list(rebalance(p, SPEC, week_ends, execution=execution))
    path = simulate_decisions(p, SPEC, decisions, execution=execution)
    frames.check_account(path.result, p.market)
    for decision in decisions:
        at = decision.day - decisions[0].day
        assert path.result.holdings[at] == pytest.approx(decision.holdings, abs=1e-12)
        assert path.result.nav[at] == pytest.approx(decision.value, rel=1e-12)
    assert path.largest_violation < 1e-9
    assert (path.relaxed, path.absent) == (sum(s.solution.status == "relaxed" for s in decisions), 0)
    assert path.relaxed >= 1  # a cold start


def test_the_future_changes_no_decision(week_ends):
    p, other = panel(), panel(seed=5)
    now = week_ends[6]
    later = (np.arange(len(p.score)) > now)[:, None]

    def mixed(a, b):
        return np.where(later, b, a)

    m = frames.changed(
        p.market,
        **{n: mixed(getattr(p.market, n), getattr(other.market, n)) for n in ("trade_price", "close", "suspended")},
    )
    q = replace(p, market=m, score=mixed(p.score, other.score), buyable=mixed(p.buyable, other.buyable))
    for a, b in zip(rebalance(p, SPEC, week_ends), rebalance(q, SPEC, week_ends), strict=True):
        if a.day <= now:
            assert (a.target == b.target).all()
    assert (a.target != b.target).any()


def test_a_week_without_signal_or_benchmark_drifts_on(week_ends):
    p = panel()
    score, weights = p.score.copy(), p.benchmark.copy()
    score[week_ends[3]] = np.nan
    weights[week_ends[5]] = 0.0
    decisions = list(rebalance(replace(p, score=score, benchmark=weights), SPEC, week_ends))
    assert decisions[3].absent == f"no fused on {p.market.days[week_ends[3]]}"
    assert decisions[5].absent == f"the source has no csi500 weights on {p.market.days[week_ends[5]]}"
    assert decisions[3].problem is None
    assert (decisions[3].target == decisions[3].holdings).all()
    path = simulate_decisions(p, SPEC, decisions)
    assert path.absent == 2
    at = decisions[4].day - decisions[0].day
    assert path.result.holdings[at] == pytest.approx(decisions[4].holdings, abs=1e-12)  # two weeks of drift
    assert simulate_decisions(p, SPEC, [decisions[3]]) is None


def test_weekdays_of_every_week():
    days = panel().market.days
    found = weekday_decisions(days)
    monday = days - (days.astype(int) + 3) % 7
    for k, name in enumerate(("mon", "tue", "wed", "thu", "fri")):
        chosen = []
        for m in np.unique(monday):  # as the docstring defines them
            own = [i for i, d in enumerate(days) if monday[i] == m]
            upto = [i for i in own if int((days[i] - m) / np.timedelta64(1, "D")) <= k]
            chosen.append(upto[-1] if upto else own[0])
        assert found[name].tolist() == chosen
    assert (monday[found["fri"]] == np.unique(monday)).all()


def test_weekday_paths_are_the_portfolio_and_four_others(week_ends):
    p = panel()
    weeks = np.unique(p.market.days - (p.market.days.astype(int) + 3) % 7)
    own = simulate_decisions(p, SPEC, rebalance(p, SPEC, week_ends))
    paths = simulate_weekday_paths(p, SPEC, weeks, {"fri": own})
    again = simulate_weekday_paths(p, SPEC, weeks)
    assert list(paths) == ["mon", "tue", "wed", "thu", "fri"]
    assert paths["fri"] is own
    assert (again["fri"].result.nav == own.result.nav).all()
    sensitivity = weekday_sensitivity(paths)
    assert len(sensitivity.days) == len(p.market.days) - week_ends[0] - 1
    assert (
        sensitivity.days[0] == p.market.days[week_ends[0] + 1]
    )  # Friday's path buys on Monday; by then all are invested
    assert all(path.result.holdings[path.result.days == sensitivity.days[0]].sum() > 0.9 for path in paths.values())
    for name, path in paths.items():
        r = path.result
        inside = r.days >= sensitivity.days[0]
        assert sensitivity.relative_nav[name] == pytest.approx(r.relative_nav[inside] / r.relative_nav[inside][0])
        expected = performance_metrics(r.nav[inside], r.benchmark_nav[inside])["excess_annual"]
        assert sensitivity.figures.loc[name, "excess_annual"] == pytest.approx(expected)
    table = sensitivity.table()
    assert table.loc["std", "excess_annual"] == pytest.approx(np.std(sensitivity.figures["excess_annual"], ddof=1))
    assert table.loc["min", "excess_annual"] < table.loc["max", "excess_annual"]  # the paths differ
    later = simulate_weekday_paths(p, SPEC, weeks[4:])
    assert later["mon"].result.days[0] == p.market.days[weekday_decisions(p.market.days)["mon"][4]]


def test_attribution_of_a_rebalanced_path_sums_to_its_excess(week_ends):
    p = panel()
    path = simulate_decisions(p, SPEC, rebalance(p, SPEC, week_ends, chinese_costs()), chinese_costs())
    found = attribute(path.result, p.market, path.benchmark, p.industry, p.styles)
    r = path.result
    compounded = r.nav[-1] / r.nav[0] - r.benchmark_nav[-1] / r.benchmark_nav[0]
    assert found.table()["excess"] == pytest.approx(compounded, abs=1e-12)
    assert found.factor_table()["excess"] == pytest.approx(compounded, abs=1e-12)
    assert found.brinson.table()["total"].sum() + found.table()[["execution", "cost"]].sum() == pytest.approx(
        compounded
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_factor_effects_equal_a_regression_on_dummies_and_styles(weighted):
    r = np.random.default_rng(2)
    t, s = 6, 80
    active, returns = 0.01 * r.standard_normal((t, s)), 0.02 * r.standard_normal((t, s))
    returns[r.random((t, s)) < 0.05] = np.nan
    codes = r.integers(0, 7, (t, s))
    codes[:, 0] = 9  # alone in its industry
    styles = {"size": r.standard_normal((t, s)), "beta": r.standard_normal((t, s))}
    size = np.exp(r.standard_normal((t, s))) if weighted else None
    found = factor_attribution(active, returns, styles, codes, size)
    for day in range(t):
        names = np.unique(codes[day])
        x = np.column_stack([codes[day][:, None] == names, styles["size"][day], styles["beta"][day]]).astype(float)
        use = np.isfinite(returns[day])
        root = np.ones(s) if size is None else np.sqrt(size[day])
        beta = np.linalg.lstsq(x[use] * root[use, None], returns[day][use] * root[use], rcond=None)[0]
        parts = (active[day] @ x) * beta
        assert found.loc[day, "size"] == pytest.approx(parts[-2], abs=1e-12)
        assert found.loc[day, "beta"] == pytest.approx(parts[-1], abs=1e-12)
        assert found.loc[day, "industry"] == pytest.approx(parts[:-2].sum(), abs=1e-12)
        assert found.loc[day].drop("excess").sum() == pytest.approx(active[day] @ np.nan_to_num(returns[day]))


def test_holding_the_benchmark_for_free_tracks_it():
    p = panel()
    weights = p.benchmark[0] / p.benchmark[0].sum()
    for day in weekday_decisions(p.market.days)["wed"][:3]:
        start = {int(day): weights}
        r = simulate(p.market, {}, start_holdings=weights, cost=Costs.none(), benchmark={0: weights, **start})
        assert r.relative_nav[: day + 1] == pytest.approx(1.0, abs=1e-13)


def test_panels_of_another_shape_are_refused():
    p = panel()
    with pytest.raises(BacktestError, match="score had shape"):
        replace(p, score=p.score[1:])
    with pytest.raises(BacktestError, match="size had shape"):
        replace(p, styles={"size": p.score[:, 1:]})
