"""Newey-West and the stationary bootstrap against naive twins and the libraries."""

import numpy as np
import pandas as pd
import pytest
from evaluation_market import market

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.evaluation.confidence_intervals import automatic_lags, bootstrap, newey_west
from mg_portfolio.evaluation.evaluate import (
    evaluate,
)


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
    assert newey_west(values, 0)[1] > 1.5 * newey_west(values, 8)[1]  # overlap makes the usual standard error too small
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
    assert plain / 200 < 0.8  # resampling single days ignores their autocorrelation


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


def overlapping(seed, days=700):
    """Daily values that overlap by five days, as RankIC of a weekly return do."""
    noise = np.random.default_rng(seed).standard_normal(days + 4)
    return 0.02 + 0.1 * np.convolve(noise, np.ones(5) / 5, mode="valid")


@pytest.mark.parametrize("lags", [0, 4, 17])
def test_newey_west_equals_statsmodels(lags):
    regression = pytest.importorskip("statsmodels.regression.linear_model")
    values = overlapping(21)
    options = {"maxlags": lags, "use_correction": False}
    expected = regression.OLS(values, np.ones(len(values))).fit(cov_type="HAC", cov_kwds=options)
    assert newey_west(values, lags) == pytest.approx((expected.params[0], expected.tvalues[0]), rel=1e-12)


@pytest.mark.parametrize("ratio", [False, True])
def test_bootstrap_equals_arch_on_the_same_indices(ratio, monkeypatch):
    arch = pytest.importorskip("arch.bootstrap")
    values, drawn = overlapping(22), []

    def statistic(sample):
        return sample.mean() / sample.std(ddof=1) if ratio else sample.mean()

    for sample, _ in arch.StationaryBootstrap(10.0, values, seed=3).bootstrap(500):
        drawn.append(sample[0])
    expected = arch.StationaryBootstrap(10.0, values, seed=3).conf_int(statistic, 500, method="percentile")
    position = {value: i for i, value in enumerate(values)}  # no value occurs twice
    indices = np.array([[position[value] for value in sample] for sample in drawn], np.int32)
    monkeypatch.setattr("mg_portfolio.evaluation.confidence_intervals._drawn_indices", lambda *_: indices)
    assert bootstrap(values, 10.0, 500, ratio=ratio) == pytest.approx(expected.ravel(), rel=1e-12)


def test_bootstrap_draws_blocks_like_arch():
    """Other random numbers, the same distribution: ends of the interval agree to its Monte Carlo error."""
    arch = pytest.importorskip("arch.bootstrap")
    values = overlapping(23)
    expected = arch.StationaryBootstrap(10.0, values, seed=3).conf_int(np.mean, 4000, method="percentile").ravel()
    found = np.array(bootstrap(values, 10.0, 4000))
    assert np.abs(found - expected).max() < 0.06 * np.ptp(expected)
