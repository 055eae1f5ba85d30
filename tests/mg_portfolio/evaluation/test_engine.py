"""Many signals at once, confidence, decay, orthogonality, exclusions: against naive twins, and invariants."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.evaluation import decay_chart, years_chart
from mg_portfolio.evaluation.cases import Case, cases
from mg_portfolio.evaluation.confidence_intervals import automatic_lags, bootstrap, newey_west
from mg_portfolio.evaluation.evaluate import (
    ForwardReturns,
    evaluate,
    evaluate_all,
    long_short,
    orthogonalize,
    tradable_next_day,
)
from mg_portfolio.evaluation.exclusions import factor_exclusions, universe_exclusions
from mg_portfolio.evaluation.ic_decay import ic_decay
from mg_portfolio.evaluation.signal_correlation import correlation_sums, signal_correlations
from mg_portfolio.evaluation.tradable_universe import EXCLUSION_REASONS, exclusion_codes
from mg_portfolio.evaluation.universes import UNIVERSES, cni_ranks, top_by_amount, universe_members


def market(seed=0, days=80, stocks=70):
    rng = np.random.default_rng(seed)
    signal = np.round(rng.standard_normal((days, stocks)), 2)  # with ties
    returns = 0.02 * rng.standard_normal((days, stocks))
    returns[2:] += 0.004 * signal[:-2]
    price = 10 * np.cumprod(1 + returns, axis=0)
    price[rng.random(price.shape) < 0.05] = np.nan
    signal[rng.random(price.shape) < 0.05] = np.nan
    calendar = np.busday_offset("2022-11-01", np.arange(days), roll="forward")
    return signal, price, rng.random(price.shape) < 0.95, calendar


def same(one, two):
    np.testing.assert_array_equal(one.daily, two.daily)
    np.testing.assert_array_equal(one.portfolios.net, two.portfolios.net)
    assert one.summary == pytest.approx(two.summary, nan_ok=True, rel=1e-15)


@pytest.mark.parametrize("workers", [1, 2])
def test_many_at_once_equal_each_alone(workers):
    _, price, tradable, days = market()
    signals = {f"s{k}": market(k)[0] for k in range(4)}
    found = evaluate_all(
        signals, ForwardReturns.from_prices(price, tradable, days), {"s2": -1}, groups=5, workers=workers
    )
    for name, signal in signals.items():
        same(found[name], evaluate(signal, price, tradable, days, -1 if name == "s2" else 1, groups=5))


def test_a_late_signal_is_judged_from_its_first_day():
    signal, price, tradable, days = market(1)
    signal[:23] = np.nan
    followed = ForwardReturns.from_prices(price, tradable, days, every=10)
    found = evaluate_all({"late": signal, "none": np.full_like(signal, np.nan)}, followed, from_first=True)
    assert list(found) == ["late"]
    same(found["late"], evaluate(signal[23:], price[23:], tradable[23:], days[23:], every=10))
    assert found["late"].exclusions.empty


def test_one_day_at_a_time_equals_all_at_once():
    signal, price, tradable, days = market(2)
    whole = evaluate(signal, price, tradable, days, tracks=[0, 3])
    for d in (0, 7, 40, 73):
        window = slice(d, d + 7)  # the decision, T+1 and the five days of holding
        alone = evaluate(signal[window], price[window], tradable[window], days[window], tracks=0)
        entered = np.isfinite(price[d + 1])
        assert alone.stocks[0] == (tradable[d] & np.isfinite(signal[d]) & entered).sum()
        np.testing.assert_array_equal(alone.daily[0], whole.daily[d])
    for end in (30, 61):  # the portfolios as they stood at an earlier end
        part = evaluate(signal[:end], price[:end], tradable[:end], days[:end], tracks=[0, 3])
        np.testing.assert_array_equal(part.portfolios.gross, whole.portfolios.gross[:, :, :end])


def test_the_future_changes_no_series_before_it():
    signal, price, tradable, days = market(3)
    cut, rng = 50, np.random.default_rng(0)
    other = [a.copy() for a in (signal, price, tradable)]
    other[0][cut:] = rng.standard_normal(signal[cut:].shape)
    other[1][cut:] *= 1.5 * rng.random(price[cut:].shape) + 0.1
    other[2][cut:] = False
    one, two = evaluate(signal, price, tradable, days), evaluate(*other, days)
    for name in ("top10pct", "layer1"):
        np.testing.assert_array_equal(one.excess(name)[:cut], two.excess(name)[:cut])
    np.testing.assert_array_equal(one.long_short_returns[:cut], two.long_short_returns[:cut])
    common = rng.standard_normal((*signal.shape, 2))
    before = orthogonalize(signal, common, tradable)
    after = orthogonalize(other[0], common, other[2])
    np.testing.assert_array_equal(before[:cut], after[:cut])


def test_every_execution_price_and_rebalance_equals_a_naive_rank_correlation():
    signal, price, tradable, days = market(4)
    table = pd.DataFrame(price)
    for every in (5, 10):
        for delay in (0, 1):
            found = evaluate(signal, price, tradable, days, every=every, delay=delay)
            later = (table.ffill().shift(-delay - every) / table.shift(-delay) - 1).to_numpy()
            assert len(found.by_track) == every
            by_track = []
            for k in range(every):
                values = []
                for d in range(k, len(days) - delay - every, every):
                    at = tradable[d] & np.isfinite(signal[d]) & np.isfinite(later[d])
                    values.append(stats.spearmanr(signal[d, at], later[d, at])[0])
                by_track.append(np.mean(values))
            np.testing.assert_allclose(found.by_track["rank_ic_mean"], by_track, atol=1e-13)
            spread = found.spread.loc["rank_ic_mean"]
            assert spread["mean"] == pytest.approx(np.mean(by_track))
            assert spread["std"] == pytest.approx(np.std(by_track, ddof=1))
            assert (spread["min"], spread["max"]) == pytest.approx((min(by_track), max(by_track)))


def test_cases_put_the_main_one_first():
    some = cases(["all", "csi300"], ["t1_vwap", "t0_close"], [5, 10])
    assert some[0] == Case("all", "t1_vwap", 5)
    assert [str(c) for c in some[1:]] == [
        "all biweekly t1_vwap",
        "all weekly t0_close",
        "all biweekly t0_close",
        "csi300 weekly t1_vwap",
    ]
    assert len(cases(["all", "csi300"], ["t1_vwap", "t0_close"], [5, 10], whole=True)) == 8
    with pytest.raises(EvaluationError, match="execution was 't2'"):
        cases(executions=["t2"])
    with pytest.raises(EvaluationError, match="partly empty"):
        cases(universes=[])


def naive_newey_west(values, lags):
    """Sum over the whole matrix of products, weighted by the Bartlett kernel."""
    gap = values - values.mean()
    n = len(values)
    weight = np.maximum(1 - np.abs(np.subtract.outer(np.arange(n), np.arange(n))) / (lags + 1), 0)
    return values.mean() / np.sqrt((weight * np.outer(gap, gap)).sum() / n**2)


def test_newey_west_equals_the_double_sum():
    rng = np.random.default_rng(5)
    noise = rng.standard_normal(300)
    values = 0.1 + np.convolve(noise, np.ones(5) / 5, mode="same")
    for lags in (0, 4, 20):
        assert newey_west(values, lags)[1] == pytest.approx(naive_newey_west(values, lags), rel=1e-10)
    holed = np.insert(values, 50, np.nan)
    assert newey_west(holed, 4) == pytest.approx(newey_west(values, 4))
    assert newey_west(values, 0)[1] > 1.5 * newey_west(values, 8)[1]  # what overlaps is less sure than it looks
    assert automatic_lags(100) == 4
    assert automatic_lags(100, 9) == 9
    assert np.isnan(newey_west(np.full(50, 0.1))[1])
    assert np.isnan(newey_west(values[:5])[1])


def test_intervals_cover_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(6)
    hits = plain = 0
    for _ in range(200):
        noise = rng.standard_normal(404)
        values = 0.2 + (noise[4:] + noise[3:-1] + noise[2:-2] + noise[1:-3] + noise[:-4]) / 5
        low, high = bootstrap(values, block=10, draws=300)
        hits += low < 0.2 < high
        low, high = bootstrap(values, block=1, draws=300)
        plain += low < 0.2 < high
    assert 0.85 < hits / 200 <= 0.99
    assert plain / 200 < 0.8  # resampling single days forgets that they hang together


def test_the_same_seed_gives_the_same_interval_and_no_other():
    values = np.random.default_rng(7).standard_normal(120)
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap(values) != bootstrap(values, seed=1)
    low, high = bootstrap(values, ratio=True)
    assert low < values.mean() / values.std(ddof=1) < high
    assert np.isnan(bootstrap(values[:5])).all()
    with pytest.raises(EvaluationError, match="level was 95"):
        bootstrap(values, level=95)


def test_confidence_estimates_are_those_of_the_series():
    found = evaluate(*market(8, days=200))
    sure = found.confidence
    known = found.rank_ic[np.isfinite(found.rank_ic)]
    assert sure.loc["rank_ic_mean", "estimate"] == pytest.approx(known.mean())
    assert sure.loc["rank_ic_mean", "t"] == pytest.approx(naive_newey_west(known, sure.loc["rank_ic_mean", "lags"]))
    assert sure.loc["rank_ic_ir", "estimate"] == pytest.approx(known.mean() / known.std(ddof=1))
    navs = found.portfolios.gross[:, found.portfolios.index("top10pct")]
    every = found.portfolios.gross[:, found.portfolios.index("universe")]
    daily = pd.DataFrame(navs / every).T.pct_change(fill_method=None).mean(axis=1).dropna()
    expected = np.exp(252 * np.log1p(daily).mean()) - 1
    assert sure.loc["top10pct_excess_gross", "estimate"] == pytest.approx(expected, rel=1e-9)
    assert (sure["low"] < sure["estimate"]).all()
    assert (sure["estimate"] < sure["high"]).all()
    assert sure.loc["top10pct_excess_net", "estimate"] < sure.loc["top10pct_excess_gross", "estimate"]


def test_decay_equals_a_naive_one():
    signal, price, tradable, _ = market(9)
    table = pd.DataFrame(price)
    one_day = (table.ffill().shift(-1) / table - 1).to_numpy(copy=True)
    one_day[-1] = np.nan
    found = ic_decay(signal, price, tradable, lags=(1, 3, 20))
    for lag, value in found.items():
        expected = []
        for d in range(len(signal) - lag):
            at = tradable[d] & np.isfinite(signal[d]) & np.isfinite(one_day[d + lag])
            if at.sum() >= 30:
                expected.append(stats.spearmanr(signal[d, at], one_day[d + lag, at])[0])
        assert value == pytest.approx(np.mean(expected), abs=1e-13)
    with pytest.raises(EvaluationError, match="lag was 0"):
        ic_decay(signal, price, tradable, lags=[0])


def naive_residual(y, x, group):
    design = np.column_stack([group[:, None] == np.unique(group), x]).astype(float)
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]


def test_residuals_equal_least_squares_with_dummies():
    rng = np.random.default_rng(10)
    days, stocks = 6, 90
    common = rng.standard_normal((days, stocks, 4)) * [1, 3, 1e-4, 20]
    common[..., 3] += 5 * common[..., 1]  # nearly collinear
    signal = rng.standard_normal((days, stocks)) + common[..., 0]
    signal[rng.random(signal.shape) < 0.1] = np.nan
    common[rng.random(signal.shape) < 0.05, 2] = np.nan
    inside = rng.random(signal.shape) < 0.9
    industry = rng.integers(-1, 6, (days, stocks))
    found = orthogonalize(signal, common, inside, industry)
    for d in range(days):
        at = inside[d] & np.isfinite(signal[d]) & np.isfinite(common[d]).all(axis=1)
        expected = naive_residual(signal[d, at], common[d, at], industry[d, at])
        np.testing.assert_allclose(found[d, at], expected, atol=1e-10)
        assert np.isnan(found[d, ~at]).all()
    doubled = np.concatenate([common, common[..., :1] * 2 + 1], axis=2)  # adds nothing
    np.testing.assert_allclose(orthogonalize(signal, doubled, inside, industry), found, atol=1e-9)
    order = rng.permutation(stocks)
    permuted = orthogonalize(signal[:, order], common[:, order], inside[:, order], industry[:, order])
    np.testing.assert_allclose(permuted, found[:, order], atol=1e-12)
    few = inside & (np.arange(stocks) < 8)
    assert np.isnan(orthogonalize(signal, common, few, industry)).all()


def test_long_short_figures_are_of_the_series():
    signal, price, tradable, days = market(11, days=150)
    held = long_short(signal, price, tradable, days)
    figures, series = held.summary, pd.Series(held.long_short, pd.DatetimeIndex(days)).dropna()
    assert figures["long_short_annual"] == pytest.approx(np.prod(1 + series) ** (252 / len(series)) - 1)
    months = (1 + series).groupby(series.index.to_period("M")).prod() - 1
    assert figures["long_short_monthly_win_rate"] == pytest.approx((months > 0).mean())
    assert figures["long_excess_volatility"] == pytest.approx(np.nanstd(held.long_excess, ddof=1) * np.sqrt(252))


def test_pairs_that_cover_the_same_stocks_equal_those_that_do_not():
    rng = np.random.default_rng(12)
    stack = np.round(rng.standard_normal((4, 30, 60)), 1)
    stack[:3, rng.random((30, 60)) < 0.2] = np.nan  # the first three miss the same stocks
    stack[3, rng.random((30, 60)) < 0.2] = np.nan
    stack[2, 5] = 1.0  # flat that day
    tradable = rng.random((30, 60)) < 0.9
    found = signal_correlations(stack, tradable, min_stocks=10)
    for a in range(4):
        for b in range(4):
            daily = []
            for d in range(30):
                at = tradable[d] & np.isfinite(stack[a, d]) & np.isfinite(stack[b, d])
                if np.ptp(stack[a, d, at]) and np.ptp(stack[b, d, at]):
                    daily.append(stats.spearmanr(stack[a, d, at], stack[b, d, at])[0])
            assert found[a, b] == pytest.approx(np.mean(daily), abs=1e-12)
    parts = [correlation_sums(stack[:, r], tradable[r], 10) for r in (slice(0, 11), slice(11, 30))]
    total, used = (sum(part[i] for part in parts) for i in (0, 1))
    np.testing.assert_allclose(total / used, found, rtol=1e-13)


def flags(seed=13, days=40, stocks=50):
    rng = np.random.default_rng(seed)
    listed_days = np.arange(days)[:, None] + rng.integers(-30, 200, stocks)[None, :]
    draw = lambda share: rng.random((days, stocks)) < share  # noqa: E731
    return np.maximum(listed_days, 0), draw(0.05), draw(0.05), draw(0.05), draw(0.6)


def test_reasons_explain_the_universe_and_add_up():
    listed_days, st, suspended, locked, member = flags()
    days = np.busday_offset("2023-01-03", np.arange(40), roll="forward")
    reasons = exclusion_codes(listed_days, st, suspended, locked, member)
    np.testing.assert_array_equal(reasons == 0, tradable_next_day(listed_days, st, suspended, locked, member))
    for d, s in np.ndindex(reasons.shape):
        tests = [
            listed_days[d, s] < 1,
            not member[d, s],
            st[d, s],
            listed_days[d, s] < 63,
            d == 39,
            d < 39 and suspended[d + 1, s],
            d < 39 and locked[d + 1, s],
        ]
        assert reasons[d, s] == (tests.index(True) + 1 if any(tests) else 0)
    symbols = np.array([f"{s:06d}.SZ" for s in range(50)], object)
    table = universe_exclusions(reasons, days, symbols, listed_days > 0, "some")
    counts = table.pivot_table(index="reason", columns="scope", values="count", aggfunc="sum")
    assert (counts["day"] == counts["stock"]).all()
    assert counts["day"].to_dict() == {EXCLUSION_REASONS[c]: (reasons == c).sum() for c in range(2, 8)}
    assert counts["day"].sum() + (reasons == 0).sum() == (listed_days > 0).sum()


def test_the_ledger_of_factors_accounts_for_every_stock_day():
    signal, price, tradable, days = market(14)
    signal[10], signal[12], tradable[30] = np.nan, 1.0, False
    found = evaluate(signal, price, tradable, days, groups=5)
    counted = found.stocks[np.isfinite(found.rank_ic)].sum()
    assert sum(found.excluded.values()) + counted == tradable.sum()
    table = factor_exclusions({"f": found}, "all", [("g", "fewer than 30 days", 3)])
    rows = table[table["scope"] == "factor"].set_index(["name", "reason"])["count"]
    late = tradable[-6:] & np.isfinite(signal[-6:])
    assert rows["f", "return not known yet"] == late.sum()
    assert rows["f", "no signal"] == (tradable & ~np.isfinite(signal)).sum()
    assert rows["f", "flat that day"] == found.stocks[12]
    assert rows["g", "fewer than 30 days"] == 3
    skipped = table[table["scope"] == "rebalance"]
    assert skipped["date"].tolist() == [pd.Timestamp(days[10]), pd.Timestamp(days[30])]
    assert skipped["count"].tolist() == [1, 1]
    assert factor_exclusions({}).empty


def test_universes_are_what_their_names_say():
    rng = np.random.default_rng(15)
    days = np.busday_offset("2022-11-01", np.arange(60), roll="forward")
    shape = (60, 40)
    group = rng.integers(0, 4, 40)
    members = {n: np.broadcast_to(group == k, shape).copy() for k, n in enumerate(("csi300", "csi500", "csi1000"))}
    listed = np.ones(shape, bool)
    listed[:, 0] = False
    amount, cap = rng.random(shape) * 1e8, np.broadcast_to(rng.random(40) * 1e10, shape)
    masks, absent = universe_members(UNIVERSES, members, amount, cap, listed, days)
    assert masks["all"] is None
    np.testing.assert_array_equal(masks["csi800"][5], (group == 0) | (group == 1))
    np.testing.assert_array_equal(masks["outside_csi1800"][5], (group == 3) & listed[5])
    mean = pd.DataFrame(np.where(listed, amount, np.nan)).rolling(21, min_periods=1).mean().iloc[30]
    assert set(np.flatnonzero(masks["top_amount20"][30])) == set(mean.nlargest(8).index)
    assert set(absent) == {"cni2000", "outside_cni3000"}  # 39 stocks fill no CNI 1000
    _, without = universe_members(["csi300", "outside_csi1800"], {}, amount, cap, listed, days)
    assert without["outside_csi1800"] == "the source has no members of csi300, csi500, csi1000"
    with pytest.raises(EvaluationError, match=r"universes were \['csi50'\]"):
        universe_members(["csi50"], members, amount, cap, listed, days)


def test_cni_places_change_in_january_and_july_and_look_back():
    rng = np.random.default_rng(16)
    days = np.busday_offset("2022-06-01", np.arange(170), roll="forward")
    amount, cap = rng.random((170, 30)), np.cumprod(1 + 0.05 * rng.standard_normal((170, 30)), axis=0)
    places = cni_ranks(amount, cap, np.ones((170, 30), bool), days)
    changed = np.flatnonzero((places[1:] != places[:-1]).any(axis=1)) + 1
    assert [str(days[d])[:7] for d in changed] == ["2022-07", "2023-01"]
    start = changed[1]
    value, traded = cap[start - 126 : start].mean(axis=0), amount[start - 126 : start].mean(axis=0)
    score = 2 / 3 * value / value.sum() + traded / traded.sum() / 3
    np.testing.assert_array_equal(places[start], pd.Series(-score).rank())
    later = cap.copy()
    later[start:] = 1.0
    np.testing.assert_array_equal(cni_ranks(amount, later, np.ones((170, 30), bool), days), places)
    assert top_by_amount(amount, np.ones((170, 30), bool))[50].sum() == 6


def test_cni_universes_are_cut_from_the_places(monkeypatch):
    monkeypatch.setattr(
        "mg_portfolio.evaluation.universes.CNI_BOUNDS", {"cni2000": (10, 25), "outside_cni3000": (25, np.inf)}
    )
    days = np.busday_offset("2023-01-03", np.arange(30), roll="forward")
    size = np.broadcast_to(np.arange(40, 0, -1.0), (30, 40)).copy()  # the first stock is the largest
    listed = np.ones((30, 40), bool)
    listed[:15, 39] = False  # listed after the review
    size[:15, 39] = np.nan
    masks, absent = universe_members(["cni2000", "outside_cni3000"], {}, size, size, listed, days)
    assert not absent
    assert np.flatnonzero(masks["cni2000"][20]).tolist() == list(range(10, 25))
    assert np.flatnonzero(masks["outside_cni3000"][20]).tolist() == list(range(25, 40))
    assert np.flatnonzero(masks["outside_cni3000"][10]).tolist() == list(range(25, 39))
    official = np.zeros((30, 40), bool)
    official[:, 5:20] = True
    given = {"cni1000": np.zeros_like(official) | (np.arange(40) < 5), "cni2000": official}
    masks, _ = universe_members(["cni2000"], given, size, size, listed, days)
    np.testing.assert_array_equal(masks["cni2000"], official)


def test_pictures_show_the_figures():
    found = evaluate(*market(17, days=150))
    bars = decay_chart(np.linspace(0.05, -0.01, 20)).axes[0].patches
    np.testing.assert_allclose([b.get_height() for b in bars], np.linspace(0.05, -0.01, 20))
    left, right = years_chart(found.by_year_and_track).axes
    np.testing.assert_allclose([b.get_height() for b in left.patches], found.by_year["rank_ic_mean"])
    np.testing.assert_allclose([b.get_height() for b in right.patches], found.by_year["top_excess_annual"])
    with pytest.raises(EvaluationError, match="expected one value a lag"):
        decay_chart(np.zeros((2, 3)))
