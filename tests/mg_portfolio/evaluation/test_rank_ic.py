import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mg_portfolio.arguments import EvaluationError
from mg_portfolio.evaluation.evaluate import ic_decay, rank_ic_by_day, rank_rows, signal_correlations
from mg_portfolio.evaluation.rank_kernels import correlation


def panel(seed=0, days=40, stocks=60, missing=0.1, ties=True):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((days, stocks))
    if ties:
        values = np.round(values, 1)
    values[rng.random(values.shape) < missing] = np.nan
    return values


def test_ranks_equal_pandas():
    values, mask = panel(1), np.random.default_rng(2).random((40, 60)) < 0.8
    expected = pd.DataFrame(np.where(mask, values, np.nan)).rank(axis=1).to_numpy()
    np.testing.assert_array_equal(rank_rows(values, mask), expected)


def test_no_correlation_is_beyond_one():
    """Rounding of equal values' correlation lies on both sides of 1."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        x = rng.standard_normal(17)
        found += [correlation(x, 3.0 * x, 17), -correlation(x, -0.7 * x, 17)]
    assert max(found) == 1.0
    assert min(found) > 1.0 - 1e-12


def test_ranks_leave_out_infinities():
    np.testing.assert_array_equal(rank_rows(np.array([[2.0, np.inf, 1.0, -np.inf]])), [[2, np.nan, 1, np.nan]])


def test_rank_ic_equals_scipy():
    signal, forward = panel(3), panel(4, ties=False)
    universe = np.random.default_rng(5).random(signal.shape) < 0.9
    found = rank_ic_by_day(signal, forward, universe)
    for d in range(len(signal)):
        at = universe[d] & np.isfinite(signal[d]) & np.isfinite(forward[d])
        assert found[d] == pytest.approx(stats.spearmanr(signal[d, at], forward[d, at])[0], abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-3, 3)), min_size=3, max_size=40))
def test_rank_ic_equals_scipy_under_heavy_ties(pairs):
    x, y = np.array(pairs, float).T
    found = rank_ic_by_day(x[None], y[None], np.ones((1, len(x)), bool))[0]
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-12)


def test_flat_signal_has_no_rank_ic():
    # 0.1 is no exact binary fraction: the mean's rounding must not pass for variation
    flat = np.full((3, 50), 0.1)
    assert np.isnan(rank_ic_by_day(flat, panel(6, 3, 50, 0), np.ones((3, 50), bool))).all()


def test_correlations_equal_the_pairwise_mean():
    signals = {"a": panel(7), "b": panel(8, missing=0.3), "c": panel(9, missing=0)}
    signals["d"] = signals["a"] + 0.5 * panel(10)
    signals["e"] = np.round(signals["c"] + panel(12, missing=0), 1)  # ties, and the stocks of c
    universe = np.random.default_rng(11).random((40, 60)) < 0.9
    found = signal_correlations(signals, universe, min_stocks=10)
    stack = list(signals.values())
    for i, a in enumerate(stack):
        for j, b in enumerate(stack):
            daily = []
            for d in range(len(a)):
                at = universe[d] & np.isfinite(a[d]) & np.isfinite(b[d])
                if at.sum() >= 10:
                    daily.append(stats.spearmanr(a[d, at], b[d, at])[0])
            assert found[i, j] == pytest.approx(np.mean(daily), abs=1e-12)
    assert found[0, 3] > 0.5


def test_correlations_without_enough_stocks_are_nan():
    assert np.isnan(signal_correlations(panel(1)[None], np.zeros((40, 60), bool))).all()


def test_decay_finds_the_lag_that_was_planted():
    rng = np.random.default_rng(12)
    signal = rng.standard_normal((150, 80))
    returns = 0.02 * rng.standard_normal(signal.shape)
    returns[4:] += 0.01 * signal[:-4]  # the return of day T+4: from T+3 to T+4, lag 3 after a T+1 execution
    price = 10 * np.cumprod(1 + returns, axis=0)
    decay = ic_decay(signal, price, np.ones(signal.shape, bool), lags=range(1, 7))
    assert decay[3] == pytest.approx(0.43, abs=0.05)
    assert max(abs(decay[lag]) for lag in (1, 2, 4, 5, 6)) < 0.05


def test_errors_name_the_argument_and_the_remedy():
    with pytest.raises(EvaluationError, match="universe had dtype float64, expected bool"):
        rank_ic_by_day(panel(), panel(), np.ones((40, 60)))
    with pytest.raises(EvaluationError, match=r"forward_return had shape \(40, 10\).*align"):
        rank_ic_by_day(panel(), panel(stocks=10), np.ones((40, 60), bool))
