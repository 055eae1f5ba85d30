"""Many signals at once against each alone and against naive twins; what must not vary."""

import numpy as np
import pandas as pd
import pytest
from evaluation_market import market
from scipy import stats

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.charts.evaluation import decay_chart, years_chart
from mg_portfolio.evaluation.cases import Case, cases
from mg_portfolio.evaluation.evaluate import (
    ForwardReturns,
    evaluate,
    evaluate_all,
    long_short,
    orthogonalize,
)
from mg_portfolio.evaluation.ic_decay import ic_decay
from mg_portfolio.evaluation.signal_correlation import correlation_sums, signal_correlations


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


def test_a_late_signal_is_evaluated_from_its_first_day():
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


def test_each_price_and_rebalance_equals_naive_rank_correlation():
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


def test_long_short_figures_are_of_the_series():
    signal, price, tradable, days = market(11, days=150)
    held = long_short(signal, price, tradable, days)
    figures, series = held.summary, pd.Series(held.long_short, pd.DatetimeIndex(days)).dropna()
    assert figures["long_short_annual"] == pytest.approx(np.prod(1 + series) ** (252 / len(series)) - 1)
    months = (1 + series).groupby(series.index.to_period("M")).prod() - 1
    assert figures["long_short_monthly_win_rate"] == pytest.approx((months > 0).mean())
    assert figures["long_excess_volatility"] == pytest.approx(np.nanstd(held.long_excess, ddof=1) * np.sqrt(252))


def test_correlations_of_same_and_other_coverage_equal_scipy():
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


def test_pictures_show_the_figures():
    found = evaluate(*market(17, days=150))
    bars = decay_chart(np.linspace(0.05, -0.01, 20)).axes[0].patches
    np.testing.assert_allclose([b.get_height() for b in bars], np.linspace(0.05, -0.01, 20))
    left, right = years_chart(found.by_year_and_track).axes
    np.testing.assert_allclose([b.get_height() for b in left.patches], found.by_year["rank_ic_mean"])
    np.testing.assert_allclose([b.get_height() for b in right.patches], found.by_year["top_excess_annual"])
    with pytest.raises(EvaluationError, match="expected one value a lag"):
        decay_chart(np.zeros((2, 3)))
