"""Combinations against their definitions, and their ignorance of the future."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from mg_models.combine import equal_weight, fuse, icir_weight, icir_weights
from mg_models.data.day_statistics import rank_ic, ranks, zscore_stocks
from mg_models.data.splits import label_end_days
from mg_models.errors import InputError, LeakageError


def test_equal_weight_signs_and_skips():
    scores = np.array([[[1.0, 2.0], [np.nan, 4.0], [np.nan, np.nan]]])
    np.testing.assert_allclose(equal_weight(scores, np.array([1, -1])), [[-0.5, -4.0, np.nan]])
    with pytest.raises(InputError, match="directions"):
        equal_weight(scores, np.array([1, 0]))


def test_icir_weights_are_mean_over_std_of_the_window(make):
    days = make.weekdays(800)
    at = np.arange(0, 800, 5)
    ic = np.random.default_rng(0).standard_normal((len(at), 3)) + np.array([0.5, -0.2, 0.0])
    known = label_end_days(days, 5)[at]
    weights = icir_weights(ic, known, days)
    day = 700
    past = ic[at + 6 <= day][-52:]
    ratio = past.mean(0) / past.std(0, ddof=1)
    np.testing.assert_allclose(weights[day], ratio / np.abs(ratio).sum())
    first = np.flatnonzero(np.isfinite(weights[:, 0]))[0]
    assert first == at[25] + 6  # the 26th observation, known six trading days after its own


def test_icir_weights_do_not_see_the_future(make):
    days = make.weekdays(500)
    at = np.arange(0, 500, 5)
    rng = np.random.default_rng(1)
    ic = rng.standard_normal((len(at), 4))
    known = label_end_days(days, 5)[at]
    day = 333
    changed = np.where((known <= days[day])[:, None], ic, 99.0)
    a, b = icir_weights(ic, known, days), icir_weights(changed, known, days)
    np.testing.assert_array_equal(a[: day + 1], b[: day + 1])
    assert not np.array_equal(a[-1], b[-1])


def test_icir_weights_want_observations_in_order(make):
    days = make.weekdays(60)
    with pytest.raises(LeakageError, match="available must ascend"):
        icir_weights(np.ones((60, 1)), days[::-1], days)


def test_icir_weight_leaves_out_days_without_weights():
    scores = np.ones((2, 3, 2))
    scores[1, 0, 0] = np.nan
    weights = np.array([[np.nan, np.nan], [0.75, -0.25]])
    np.testing.assert_allclose(icir_weight(scores, weights), [[np.nan] * 3, [-1.0, 0.5, 0.5]])


def test_a_stocks_score_does_not_depend_on_the_others():
    """Bit for bit, so that a day built alone is the day of a range, whose panel has more stocks."""
    rng = np.random.default_rng(4)
    for stocks in range(3, 60):
        scores = rng.standard_normal((1, stocks, 27))
        scores[rng.random(scores.shape) < 0.02] = np.nan
        kept = rng.random(stocks) < 0.8
        signs = rng.choice([-1.0, 1.0], 27)
        every = equal_weight(scores, signs)[:, kept]
        np.testing.assert_array_equal(every, equal_weight(scores[:, kept], signs))
        np.testing.assert_array_equal(every, equal_weight(np.asfortranarray(scores), signs)[:, kept])


def test_fuse_is_one_part_to_three():
    rng = np.random.default_rng(2)
    a, b = 5 + rng.standard_normal((4, 30)), 0.1 * rng.standard_normal((4, 30))
    b[2, 7] = np.nan
    got = fuse([(a, 1), (b, 3)])
    np.testing.assert_allclose(got, (zscore_stocks(a) + 3 * zscore_stocks(b)) / 4)
    assert np.isnan(got[2, 7])
    with pytest.raises(InputError, match="one \\(day, stock\\) shape"):
        fuse([(a, 1), (b[:, :3], 1)])


def test_ranks_and_rank_ic_equal_scipys():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 20, 200).astype(float), rng.standard_normal(200)
    np.testing.assert_array_equal(ranks(a), rankdata(a))
    assert rank_ic(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)


def test_zscore_and_rank_ic_of_flat_days():
    np.testing.assert_array_equal(zscore_stocks(np.array([3.0, 3.0, np.nan])), [0, 0, np.nan])
    assert rank_ic(np.ones(5), np.arange(5.0)) == 0
    assert np.isnan(rank_ic(np.array([1.0, np.nan, 2.0]), np.array([1.0, 2.0, 3.0])))
    assert rank_ic(np.array([1.0, 5.0, 9.0]), np.array([-1.0, 0.0, 1.0])) == pytest.approx(1)
