import numpy as np
import pandas as pd
import pytest

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.evaluation.evaluate import (
    days_listed,
    evaluate,
    evaluate_all,
    forward_returns,
    long_short,
    orthogonalize,
    period_schedule,
    tradable_next_day,
)
from mg_portfolio.evaluation.track_metrics import _growth


def market(seed=0, days=90, stocks=64, strength=0.004, halted=0.05):
    """Signal, price, universe and days: T+1's to T+6's returns carry some of T's signal."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((days, stocks))
    returns = 0.02 * rng.standard_normal((days, stocks))
    returns[2:] += strength * signal[:-2]
    price = 10 * np.cumprod(1 + returns, axis=0)
    price[rng.random(price.shape) < halted] = np.nan
    signal[rng.random(price.shape) < 0.05] = np.nan
    calendar = np.busday_offset("2022-11-01", np.arange(days), roll="forward")
    return signal, price, rng.random(price.shape) < 0.95, calendar


def naive_track(signal, price, tradable, decisions, cut, delay=1):
    """NAV and turnovers of the stocks that `cut` picks from a descending list, one weight dict at a time."""
    table = pd.DataFrame(price).ffill().to_numpy()
    weights, level, nav, turnovers = {}, 1.0, {}, []
    for d in range(len(price)):
        if weights:
            grown = {s: w * table[d, s] / table[d - 1, s] for s, w in weights.items()}
            level *= sum(grown.values())
            weights = {s: g / sum(grown.values()) for s, g in grown.items()}
        t = d - delay
        if t in decisions:
            at = [s for s in range(price.shape[1]) if tradable[t, s] and np.isfinite(signal[t, s] + price[d, s])]
            if len(at) >= 30:
                picked = cut(sorted(at, key=lambda s: -signal[t, s]))
                fresh = {s: 1 / len(picked) for s in picked}
                if weights:
                    names = set(weights) | set(fresh)
                    turnovers.append(sum(abs(fresh.get(s, 0) - weights.get(s, 0)) for s in names))
                weights = fresh
        if weights:
            nav[d] = level
    return pd.Series(nav), turnovers


def test_portfolios_equal_a_naive_twin():
    signal, price, tradable, days = market()
    found = evaluate(signal, price, tradable, days, groups=5)
    cuts = {f"layer{g + 1}": lambda o, g=g: [s for r, s in enumerate(o) if r * 5 // len(o) == g] for g in range(5)}
    cuts["top10pct"] = lambda o: o[: (len(o) + 9) // 10]
    cuts["bottom10pct"] = lambda o: o[-((len(o) + 9) // 10) :]
    cuts["universe"] = lambda o: o
    for k in range(5):
        decisions = set(range(k, len(days), 5))
        for name, cut in cuts.items():
            nav, turnovers = naive_track(signal, price, tradable, decisions, cut)
            p = found.portfolios.index(name)
            np.testing.assert_allclose(found.portfolios.gross[k, p, nav.index], nav, rtol=1e-12)
            assert np.isnan(found.portfolios.gross[k, p, : nav.index[0]]).all()
            held = found.portfolios.turnover[k][:, p]
            np.testing.assert_allclose(held[np.isfinite(held)], turnovers, rtol=1e-11)


def test_summary_equals_pandas():
    signal, price, tradable, days = market(1)
    found = evaluate(signal, price, tradable, days, every=5, groups=10)
    forward = forward_returns(price, 5)
    rows = []
    for k in range(5):
        ics, precise = [], []
        for t in range(k, len(days), 5):
            at = tradable[t] & np.isfinite(signal[t]) & np.isfinite(forward[t])
            if at.sum() < 30:
                continue
            x, y = pd.Series(signal[t, at]), pd.Series(forward[t, at])
            weight = 0.5 ** (2 * (len(x) - x.rank()) / len(x))
            rx, ry = x.rank(), y.rank()
            cov = np.cov(rx, ry, aweights=weight)
            ics.append((rx.corr(ry), x.corr(y), cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1])))
            top = x.nlargest((len(x) + 9) // 10).index
            precise.append((y[top] > y.median()).mean())
        ics = np.array(ics)
        top, top_turnover = naive_track(
            signal, price, tradable, set(range(k, len(days), 5)), lambda o: o[: (len(o) + 9) // 10]
        )
        every, _ = naive_track(signal, price, tradable, set(range(k, len(days), 5)), lambda o: o)
        relative = top / every
        daily = relative.pct_change().dropna()
        annual = relative.iloc[-1] ** (252 / len(daily)) - 1
        # Month ends, the day of the first purchase being the base of the first month
        month = pd.Series(days[relative.index].astype("datetime64[M]"), index=relative.index).iloc[1:]
        ends = relative.iloc[1:].groupby(month).last()
        levels = np.append(relative.iloc[0], ends)
        rows.append(
            {
                "rank_ic_mean": ics[:, 0].mean(),
                "rank_ic_std": ics[:, 0].std(ddof=1),
                "rank_ic_ir": ics[:, 0].mean() / ics[:, 0].std(ddof=1),
                "rank_icir_annual": ics[:, 0].mean() / ics[:, 0].std(ddof=1) * np.sqrt(252 / 5),
                "rank_ic_positive_ratio": (ics[:, 0] > 0).mean(),
                "ic_mean": ics[:, 1].mean(),
                "weighted_rank_ic_mean": ics[:, 2].mean(),
                "top_precision": np.mean(precise),
                "top_excess_annual": annual,
                "top10pct_excess_gross": annual,
                "top_information_ratio": annual / (daily.std() * np.sqrt(252)),
                "top_monthly_win_rate": np.mean(levels[1:] > levels[:-1]),
                "top_turnover_two_way": np.mean(top_turnover),
            }
        )
    expected = pd.DataFrame(rows)
    for name in expected:
        np.testing.assert_allclose(found.by_track[name], expected[name], rtol=1e-10, err_msg=name)
        assert found.summary[name] == pytest.approx(expected[name].mean(), rel=1e-10)


def test_net_pays_half_of_the_two_sided_cost_on_each_side():
    signal, price, tradable, days = market(2)
    found = evaluate(signal, price, tradable, days, tracks=0, cost=0.003)
    held, p = found.portfolios, found.portfolios.index("top10pct")
    paid = (1 - 0.0015) * np.prod(1 - 0.0015 * held.turnover[0][1:, p])  # the first purchase trades all of the value
    assert held.net[0, p, -1] / held.gross[0, p, -1] == pytest.approx(paid, rel=1e-12)
    assert found.summary["top10pct_excess_net"] < found.summary["top10pct_excess_gross"]


def test_costs_explain_the_published_gap_between_gross_and_net():
    # Series 88, table 5: bidirectional models lose 12.6 points a year at weekly turnover near 1.7 two-way
    assert 1.7 * 0.0015 * 50 == pytest.approx(0.126, abs=0.005)


def test_forward_return_runs_between_execution_prices():
    price = np.arange(1.0, 9.0)[:, None] ** 2
    found = forward_returns(price, every=3)
    np.testing.assert_allclose(found[:4, 0], [25 / 4 - 1, 36 / 9 - 1, 49 / 16 - 1, 64 / 25 - 1])
    assert np.isnan(found[4:]).all()
    np.testing.assert_allclose(forward_returns(price, 3, delay=0)[0, 0], 16 - 1)


def test_a_halted_stock_keeps_its_price_and_cannot_be_bought():
    price = np.array([[1.0], [2.0], [4.0], [np.nan], [np.nan], [8.0]])
    np.testing.assert_allclose(forward_returns(price, 2)[:, 0], [1.0, 0.0, np.nan, np.nan, np.nan, np.nan])


def test_permuting_stocks_changes_nothing():
    signal, price, tradable, days = market(3)
    signal = np.round(signal, 1)  # many ties
    order = np.random.default_rng(9).permutation(signal.shape[1])
    one = evaluate(signal, price, tradable, days)
    two = evaluate(signal[:, order], price[:, order], tradable[:, order], days)
    np.testing.assert_allclose(two.rank_ic, one.rank_ic, atol=1e-14)
    np.testing.assert_allclose(two.portfolios.net, one.portfolios.net, rtol=1e-12)
    assert two.summary == pytest.approx(one.summary, rel=1e-9, nan_ok=True)


def test_changing_the_future_changes_nothing_before_it():
    signal, price, tradable, days = market(4)
    cut = 60
    later = np.random.default_rng(1)
    other = [a.copy() for a in (signal, price, tradable)]
    other[0][cut:] = later.standard_normal(signal[cut:].shape)
    other[1][cut:] *= later.uniform(0.5, 2, price[cut:].shape)
    other[2][cut:] = ~tradable[cut:]
    one, two = evaluate(signal, price, tradable, days), evaluate(*other, days)
    known = cut - 6  # decided on T, bought on T+1, sold on T+6
    np.testing.assert_array_equal(two.rank_ic[:known], one.rank_ic[:known])
    np.testing.assert_array_equal(two.portfolios.net[:, :, :cut], one.portfolios.net[:, :, :cut])
    assert not np.array_equal(two.portfolios.net[:, :, cut], one.portfolios.net[:, :, cut])


def test_a_signal_without_information_has_no_rank_ic():
    signal, price, tradable, days = market(5, days=400, stocks=100, strength=0.0)
    found = evaluate(signal, price, tradable, days)
    assert abs(found.summary["rank_ic_mean"]) < 0.015  # three standard errors: 0.1 / sqrt(394)
    assert 0.45 < found.summary["top_precision"] < 0.55


def test_a_constant_signal_holds_the_universe():
    signal, price, tradable, days = market(6)
    found = evaluate(np.where(np.isfinite(signal), 0.1, np.nan), price, tradable, days)
    assert np.isnan(found.rank_ic).all()
    assert found.flat_days == 84
    np.testing.assert_allclose(found.layer_nav[:, 6:], 1.0, rtol=1e-12)
    assert found.summary["top_excess_annual"] == pytest.approx(0.0, abs=1e-10)


def test_direction_swaps_long_and_short():
    signal, price, tradable, days = market(7)
    up, down = evaluate(signal, price, tradable, days), evaluate(signal, price, tradable, days, direction=-1)
    np.testing.assert_allclose(down.rank_ic, -up.rank_ic, atol=1e-14)
    g = up.portfolios
    np.testing.assert_allclose(
        down.portfolios.gross[:, g.index("top10pct")], g.gross[:, g.index("bottom10pct")], rtol=1e-12
    )


def test_the_perfect_signal_orders_the_layers():
    _, price, tradable, days = market(8, halted=0)
    found = evaluate(forward_returns(price, 5), price, tradable, days, groups=5, tracks=[2])
    np.testing.assert_allclose(found.rank_ic[found.stocks >= 30], 1.0)
    last = found.layer_nav[:, -7]
    assert (np.diff(last) < 0).all()
    assert found.summary["top_precision"] == 1.0
    assert found.summary["bottom_precision"] == 1.0


def test_skipped_rebalances_are_excluded_with_their_reason():
    signal, price, tradable, days = market(9, halted=0)
    tradable[10] = False
    signal[20] = np.nan
    price[31] = np.nan  # no execution price for the decision of day 30
    found = evaluate(signal, price, tradable, days)
    assert found.exclusions[["date", "reason"]].values.tolist() == [
        [pd.Timestamp(days[10]), "too few stocks in the universe"],
        [pd.Timestamp(days[20]), "too few stocks with a signal"],
        [pd.Timestamp(days[30]), "too few stocks with an execution price"],
    ]
    assert sum(found.skipped.values()) == 3
    assert np.isnan(found.rank_ic[[10, 20, 30]]).all()
    assert found.summary["skipped_rebalances"] == pytest.approx(3 / 5)
    assert np.isfinite(found.portfolios.gross[:, :, 7:]).all()  # what is held drifts on


def test_by_year_splits_the_whole():
    signal, price, tradable, days = market(10)
    found = evaluate(signal, price, tradable, days, tracks=0)
    assert found.by_year.index.tolist() == [2022, 2023]
    whole = found.relative_nav("top10pct")[-1]
    assert np.prod(1 + found.by_year["top10pct_excess_gross"]) == pytest.approx(whole, rel=1e-12)
    net = found.relative_nav("top10pct", net=True)[-1]
    assert np.prod(1 + found.by_year["top10pct_excess_net"]) == pytest.approx(net, rel=1e-12)
    weekly = found.rank_ic[::5]
    for year, row in found.by_year.iterrows():
        inside = days[::5].astype("datetime64[Y]").astype(int) + 1970 == year
        assert row["rank_ic_mean"] == pytest.approx(np.nanmean(weekly[inside]), rel=1e-12)


@pytest.mark.parametrize(("stocks", "enough"), [(199, False), (200, True)])
def test_top100_needs_200_stocks(stocks, enough):
    signal, _, tradable, days = market(11, days=30, stocks=stocks)
    price = 10 * np.cumprod(1 + 0.02 * np.random.default_rng(0).standard_normal(signal.shape), axis=0)
    found = evaluate(np.nan_to_num(signal), price, np.ones_like(tradable), days)
    assert np.isfinite(found.summary["top100_excess_gross"]) == enough


def test_a_track_of_one_day_has_no_growth():
    nav = np.array([np.nan, 0.99, 1.01])
    assert np.isnan(_growth(nav, (1, 1), annual=True))
    assert _growth(nav, (1, 2), annual=False) == pytest.approx(0.01)  # from 1.0: the first purchase's cost is in it
    assert _growth(nav, (1, 2), annual=True) == pytest.approx(1.01**252 - 1)
    assert _growth(nav[1:], (0, 1), annual=False) == pytest.approx(0.01)
    assert _growth(np.array([1.0, 0.99, 1.01]), (1, 2), annual=False) == pytest.approx(1.01 / 0.99 - 1)  # held before


def test_universe_reads_the_next_day():
    listed = np.array([[100.0, 62.0, 100, 100, np.nan]] * 3)
    listed[2, 1] = 64
    no = np.zeros((3, 5), bool)
    st, suspended, locked = no.copy(), no.copy(), no.copy()
    st[0, 3] = suspended[1, 0] = locked[1, 2] = True
    found = tradable_next_day(listed, st, suspended, locked)
    assert found.tolist() == [[False] * 5, [True, False, True, True, False], [False] * 5]
    member = np.array([[True, True, False, True, True]] * 3)
    assert tradable_next_day(listed, st, suspended, locked, member)[1].tolist() == [True, False, False, True, False]
    with pytest.raises(EvaluationError, match="suspended had dtype float64"):
        tradable_next_day(listed, st, suspended.astype(float), locked)


def test_days_listed_counts_from_one():
    days = np.array(["2023-01-03", "2023-01-04", "2023-01-05"], "datetime64[D]")
    listed = np.array(["2023-01-04", "2000-01-04", "NaT", "2022-12-30"], "datetime64[D]")
    gone = np.array(["NaT", "2023-01-05", "NaT", "NaT"], "datetime64[D]")
    found = days_listed(days, listed, gone)
    np.testing.assert_array_equal(found[:, 0], [np.nan, 1, 2])
    assert found[1, 1] > 5000
    assert np.isnan(found[2, 1])
    assert np.isnan(found[:, 2]).all()
    assert found[0, 3] == pytest.approx(2, abs=1)


def test_period_schedule_waits_for_the_period_to_end():
    days = np.array(["2023-09-27", "2023-09-28", "2023-10-09", "2023-10-13", "2023-10-16"], "datetime64[D]")
    assert period_schedule(days, "weekly").tolist() == [False, True, False, True, False]
    assert period_schedule(days, "monthly").tolist() == [False, True, False, False, False]
    assert period_schedule(days[:4], "weekly").tolist() == [False, True, False, True]
    assert period_schedule(np.array(["2023-10-31"], "datetime64[D]"), "monthly").tolist() == [True]


def test_long_short_returns_equal_a_naive_twin():
    signal, price, tradable, days = market(12)
    found = long_short(signal, price, tradable, days, rebalance="monthly")
    decisions = set(np.flatnonzero(period_schedule(days, "monthly")))
    tops, bottoms, every = (
        naive_track(signal, price, tradable, decisions, cut)[0].pct_change()
        for cut in (lambda o: o[: (len(o) + 9) // 10], lambda o: o[-((len(o) + 9) // 10) :], lambda o: o)
    )
    np.testing.assert_allclose(found.long_short[tops.index], tops - bottoms, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(found.long_excess[tops.index], (1 + tops) / (1 + every) - 1, rtol=1e-9, atol=1e-14)
    assert (found.rebalances, found.skipped) == (len(decisions), 0)


def test_orthogonal_signal_is_uncorrelated_with_its_references():
    rng = np.random.default_rng(13)
    refs = rng.standard_normal((4, 80, 2)) * [1.0, 1e9]
    industry = rng.integers(0, 5, 80)
    signal = 2 * refs[:, :, 0] + 1e-9 * refs[:, :, 1] + industry + rng.standard_normal((4, 80))
    signal[0, :3] = np.nan
    inside = np.ones((4, 80), bool)
    inside[3, :70] = False
    found = orthogonalize(signal, refs, inside, industry)
    assert np.isnan(found[0, :3]).all()
    for d in range(3):
        at = np.isfinite(found[d])
        for k in range(2):
            assert abs(np.corrcoef(found[d, at], refs[d, at, k])[0, 1]) < 1e-10
        means = pd.Series(found[d, at]).groupby(industry[at]).mean()
        np.testing.assert_allclose(means, 0, atol=1e-12)
    assert np.isfinite(found[3]).sum() == 10


def test_errors():
    signal, price, tradable, days = market()
    with pytest.raises(EvaluationError, match=r"tracks was \(5,\), expected offsets from 0 to 4"):
        evaluate(signal, price, tradable, days, tracks=5)
    with pytest.raises(EvaluationError, match=r"price was -0.5 on \d{4}-\d\d-\d\d, one of \d+ below 0: give adjusted"):
        evaluate(signal, np.where(np.isnan(price), price, -0.5), tradable, days)
    with pytest.raises(EvaluationError, match=r"forward was a ndarray, expected ForwardReturns.from_prices"):
        evaluate_all({"mine": signal}, price)
    with pytest.raises(EvaluationError, match="direction was 0"):
        evaluate(signal, price, tradable, days, direction=0)
    with pytest.raises(EvaluationError, match="days were not ascending: 2022-11-01 follows"):
        evaluate(signal, price, tradable, np.append(days[1:], days[0]))
    with pytest.raises(EvaluationError, match="delay was -1"):
        forward_returns(price, 5, delay=-1)
